import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.metrics import (
    annualised_return,
    annualised_volatility,
    break_even_cost,
    sharpe_ratio,
    sharpe_standard_error,
    sortino_ratio,
)
from skdrfm.metrics._performance import compounded_wealth

MONTHLY = {"periods_per_year": 12}
RETURNS = st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=40)
# AR, VOL and SR of the seven models of Nakagawa et al. (2019), Table 4.
PUBLISHED = [
    (0.1320, 0.1501, 0.88),
    (0.1518, 0.1160, 1.31),
    (0.1123, 0.1490, 0.75),
    (0.1133, 0.1477, 0.77),
    (0.0602, 0.1331, 0.45),
    (0.0663, 0.1752, 0.38),
    (0.0544, 0.1169, 0.47),
]


@pytest.fixture(params=[0, 1, 2])
def monthly(request):
    index = pd.date_range("2007-04-30", periods=96, freq="ME")
    return pd.Series(np.random.default_rng(request.param).normal(0.01, 0.05, 96), index=index)


class TestReferenceValues:
    def test_figures_by_hand(self):
        returns = [0.01, -0.02, 0.04]
        assert annualised_return(returns, **MONTHLY) == pytest.approx(0.12, rel=1e-14)
        # Deviations 0, -0.03, 0.03: variance 0.0018 / 2.
        assert annualised_volatility(returns, **MONTHLY) == pytest.approx(np.sqrt(12 * 0.0009))
        assert sharpe_ratio(returns, **MONTHLY) == pytest.approx(0.12 / np.sqrt(12 * 0.0009))

    @pytest.mark.parametrize(("annual_return", "volatility", "published"), PUBLISHED)
    def test_sharpe_ratio_has_the_convention_of_the_published_table(self, annual_return, volatility, published):
        # Two returns a +- s have the mean a and, with ddof 1, the deviation s sqrt(2).
        mean, spread = annual_return / 12, volatility / np.sqrt(12) / np.sqrt(2)
        returns = [mean - spread, mean + spread]
        assert annualised_return(returns, **MONTHLY) == pytest.approx(annual_return)
        assert annualised_volatility(returns, **MONTHLY) == pytest.approx(volatility)
        assert round(sharpe_ratio(returns, **MONTHLY), 2) == published

    def test_periods_of_a_year_enter_linearly_and_by_their_root(self):
        returns = [0.01, -0.02, 0.04]
        assert annualised_return(returns, periods_per_year=252) == pytest.approx(2.52)
        ratio = sharpe_ratio(returns, periods_per_year=48) / sharpe_ratio(returns, **MONTHLY)
        assert ratio == pytest.approx(2)

    def test_geometric_return_compounds_to_the_same_wealth(self):
        # Two quarters from 1 to 1.10 x 0.90 = 0.99; a year has two such halves.
        result = annualised_return([0.10, -0.10], periods_per_year=4, compounding="geometric")
        assert result == pytest.approx(0.99**2 - 1, rel=1e-13)

    @pytest.mark.parametrize("returns", [[-1.0], [0.5, -1.0, 2.0], [0.5, -1.7, -3.0]])
    def test_ruin_is_a_geometric_return_of_minus_one(self, returns):
        assert annualised_return(returns, **MONTHLY, compounding="geometric") == -1

    def test_geometric_return_of_very_long_or_wild_series_stays_in_range(self):
        assert annualised_return([5.0] * 1000, periods_per_year=1, compounding="geometric") == pytest.approx(5)
        assert annualised_return([20.0], periods_per_year=252, compounding="geometric") == np.inf

    def test_wealth_compounds_by_column_and_stays_lost(self):
        returns = np.array([[0.5, 0.5], [-0.5, -1.5], [0.2, 2.0]])
        np.testing.assert_allclose(compounded_wealth(returns), [[1.5, 1.5], [0.75, 0], [0.9, 0]])

    def test_sharpe_standard_error_by_hand(self):
        # Mean 0.02, deviation 0.02 with ddof 1: SR = 1 per period; symmetric, raw kurtosis 3 (2 / 3) / (2 / 3)^2 = 1.5.
        returns = [0.0, 0.02, 0.04]
        assert sharpe_standard_error(returns, **MONTHLY) == pytest.approx(np.sqrt(12 * 1.5 / 3))
        result = sharpe_standard_error(returns, **MONTHLY, method="non_normal")
        assert result == pytest.approx(np.sqrt(12 * (1 + 0.5 / 4) / 3))

    def test_sharpe_standard_error_is_the_spread_of_sharpe_ratios(self):
        rng = np.random.default_rng(7)
        normal = rng.normal(0.1, 0.2, (4000, 150))
        # A mean of half a deviation and a heavy tail of losses.
        skewed = 0.15 - rng.exponential(0.1, (4000, 150))
        for sample, method in ((normal, "normal"), (normal, "non_normal"), (skewed, "non_normal")):
            ratios = sample.mean(axis=1) / sample.std(axis=1, ddof=1)
            errors = [sharpe_standard_error(row, periods_per_year=1, method=method) for row in sample[:300]]
            assert np.mean(errors) == pytest.approx(ratios.std(), rel=0.06)
        for_normal = [sharpe_standard_error(row, periods_per_year=1) for row in sample[:300]]
        assert np.mean(for_normal) < 0.85 * ratios.std()

    def test_sortino_ratio_by_hand(self):
        # Over target 0.01: 0.02, -0.02, 0.03, -0.01; squares below it 4e-4 and 1e-4 over all 4 periods.
        result = sortino_ratio([0.03, -0.01, 0.04, 0.0], target=0.01, **MONTHLY)
        assert result == pytest.approx(0.005 * 12 / np.sqrt(5e-4 / 4 * 12))

    def test_break_even_cost_by_hand(self):
        assert break_even_cost([0.01, 0.03], [4.0, 1.0]) == pytest.approx(0.04 / 5)
        assert break_even_cost([-0.01, 0.0], [1.0, 1.0]) == pytest.approx(-0.005)

    def test_equal_returns_have_no_volatility_and_no_sharpe_ratio(self):
        returns = [0.1] * 3  # their mean is not exactly 0.1
        assert annualised_volatility(returns, **MONTHLY) == 0
        assert np.isnan(sharpe_ratio(returns, **MONTHLY))
        for method in ("normal", "non_normal"):
            assert np.isnan(sharpe_standard_error(returns, **MONTHLY, method=method))

    @pytest.mark.parametrize(("returns", "target"), [([0.1, 0.1], 0.0), ([0.0, 0.2], 0.0), ([-0.1, 0.1], -0.1)])
    def test_nothing_below_the_target_leaves_no_sortino_ratio(self, returns, target):
        assert np.isnan(sortino_ratio(returns, target=target, **MONTHLY))

    def test_nothing_traded_leaves_no_break_even_cost(self):
        assert np.isnan(break_even_cost([0.01, 0.02], [0.0, 0.0]))


class TestPeers:
    def test_empyrical_agrees_when_it_is_told_the_periods(self, monthly):
        empyrical = pytest.importorskip("empyrical", reason="compares with empyrical-reloaded")
        per_year = {"annualization": 12}
        assert annualised_return(monthly, **MONTHLY, compounding="geometric") == pytest.approx(
            empyrical.annual_return(monthly, **per_year), rel=1e-10
        )
        assert annualised_volatility(monthly, **MONTHLY) == pytest.approx(
            empyrical.annual_volatility(monthly, **per_year), rel=1e-12
        )
        assert sharpe_ratio(monthly, **MONTHLY) == pytest.approx(empyrical.sharpe_ratio(monthly, **per_year), rel=1e-12)
        for target in (0.0, 0.01):
            expected = empyrical.sortino_ratio(monthly, required_return=target, **per_year)
            assert sortino_ratio(monthly, target=target, **MONTHLY) == pytest.approx(expected, rel=1e-10)

    def test_quantstats_agrees_when_it_is_told_the_periods(self, monthly):
        stats = pytest.importorskip("quantstats.stats", reason="compares with quantstats")
        assert annualised_return(monthly, **MONTHLY, compounding="geometric") == pytest.approx(
            stats.cagr(monthly, periods=12), rel=1e-10
        )
        assert annualised_volatility(monthly, **MONTHLY) == pytest.approx(
            stats.volatility(monthly, periods=12), rel=1e-12
        )
        assert sharpe_ratio(monthly, **MONTHLY) == pytest.approx(stats.sharpe(monthly, periods=12), rel=1e-12)
        assert sortino_ratio(monthly, **MONTHLY) == pytest.approx(stats.sortino(monthly, periods=12), rel=1e-12)

    @pytest.mark.parametrize("shortfall", [-2e-309, -5e-324])
    def test_a_sortino_ratio_beyond_the_range_of_numbers_is_infinite(self, shortfall):
        assert sortino_ratio([0.5] * 9 + [shortfall], **MONTHLY) == np.inf


class TestProperties:
    @given(RETURNS)
    def test_series_and_arrays_agree(self, returns):
        series = pd.Series(returns, index=pd.period_range("2020-01", periods=len(returns), freq="M"))
        figures = (annualised_return, annualised_volatility, sharpe_ratio, sharpe_standard_error, sortino_ratio)
        for figure in figures:
            np.testing.assert_equal(figure(series, **MONTHLY), figure(np.array(returns), **MONTHLY))

    @given(st.lists(st.floats(-2, 2), min_size=1, max_size=40))
    def test_geometric_return_is_never_above_the_growth_of_the_mean(self, returns):
        geometric = annualised_return(returns, periods_per_year=1, compounding="geometric")
        assert -1 <= geometric <= max(np.mean(np.maximum(returns, -1)), -1) + 1e-12
        wealth = np.prod(np.maximum(1 + np.array(returns), 0))
        assert (1 + geometric) ** len(returns) == pytest.approx(wealth, rel=1e-9, abs=1e-300)

    @given(st.lists(st.integers(-50, 50), min_size=2, max_size=30))
    def test_standard_error_for_any_shape_exists_and_grows_with_the_root_of_the_periods(self, percent):
        returns = np.array(percent) / 100
        for method in ("normal", "non_normal"):
            error = sharpe_standard_error(returns, **MONTHLY, method=method)
            assert np.isnan(error) == (len(set(percent)) == 1)
            per_period = sharpe_standard_error(returns, periods_per_year=1, method=method)
            np.testing.assert_allclose(error, per_period * np.sqrt(12))
            assert not error < 0

    @given(st.lists(st.tuples(st.floats(-0.5, 0.5), st.floats(0.01, 4)), min_size=1, max_size=30))
    def test_nothing_is_left_after_the_break_even_cost(self, periods):
        gross, trades = np.array(periods).T
        cost = break_even_cost(gross, trades)
        assert np.mean(gross - cost * trades) == pytest.approx(0, abs=1e-12)
        if gross.mean() > 1e-9:
            assert np.mean(gross - 0.9 * cost * trades) > 0

    def test_inputs_are_not_changed(self, monthly):
        before = monthly.copy()
        monthly.to_numpy(copy=False).flags.writeable = False
        for figure in (annualised_return, sharpe_standard_error, sortino_ratio):
            figure(monthly, **MONTHLY)
        break_even_cost(monthly, monthly.abs())
        pd.testing.assert_series_equal(monthly, before)


class TestValidation:
    @pytest.mark.parametrize("figure", [annualised_volatility, sharpe_ratio, sharpe_standard_error, sortino_ratio])
    def test_one_return_has_no_deviation(self, figure):
        with pytest.raises(PanelError, match=r"at least 2 periods for this figure. Got 1"):
            figure([0.01], **MONTHLY)

    def test_no_return_is_an_error(self):
        with pytest.raises(PanelError, match="returns must hold at least one period for this figure. Got 0"):
            annualised_return([], **MONTHLY)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_missing_returns_are_counted_with_a_way_out(self, value):
        with pytest.raises(NonFiniteError, match=r"Got 1 NaN or infinite of 2 .*dropna"):
            annualised_return([0.1, value], **MONTHLY)

    @pytest.mark.parametrize("periods", [0, -12, "12", None])
    def test_periods_per_year_must_be_positive(self, periods):
        with pytest.raises(ValueError, match="'periods_per_year' parameter of annualised_return must be"):
            annualised_return([0.1], periods_per_year=periods)

    def test_names_of_choices_are_told(self):
        with pytest.raises(ValueError, match="'compounding' parameter of annualised_return must be a str among"):
            annualised_return([0.1], **MONTHLY, compounding="log")
        with pytest.raises(ValueError, match="'method' parameter of sharpe_standard_error must be a str among"):
            sharpe_standard_error([0.1, 0.2], **MONTHLY, method="mertens")
        with pytest.raises(ValueError, match="'target' parameter of sortino_ratio must be"):
            sortino_ratio([0.1, -0.2], target=np.nan, **MONTHLY)

    def test_periods_without_portfolio_are_left_out_of_the_break_even_cost_and_counted(self):
        with pytest.warns(CoverageWarning, match="1 of 3 periods have neither") as caught:
            cost = break_even_cost([0.01, np.nan, 0.03], [4.0, np.nan, 1.0])
        assert cost == break_even_cost([0.01, 0.03], [4.0, 1.0])
        assert caught[0].filename == __file__

    @pytest.mark.parametrize(
        ("gross", "trades", "error", "message"),
        [
            ([0.01, np.nan], [1.0, 1.0], NonFiniteError, "Got 1 other of 2 periods"),
            ([0.01, 0.02], [1.0, np.nan], NonFiniteError, "Got 1 other of 2 periods"),
            ([0.01, np.inf], [1.0, 1.0], NonFiniteError, "Got 1 other of 2 periods"),
            ([0.01, np.nan], [1.0, np.inf], NonFiniteError, "Got 1 other of 2 periods"),
            ([np.nan, np.nan], [np.nan, np.nan], PanelError, "Got NaN on all 2"),
            ([0.01, 0.02], [1.0], PanelError, r"one value for each of gross_returns \(2\). Got 1"),
            ([0.01, 0.02], [1.0, -1.0], PanelError, "Got 1 negative values, the least -1"),
            ([0.01], ["many"], PanelError, "turnover must hold numbers"),
        ],
    )
    def test_break_even_cost_refuses_what_does_not_belong_together(self, gross, trades, error, message):
        with pytest.raises(error, match=message):
            break_even_cost(gross, trades)

    def test_break_even_cost_compares_indices(self):
        gross = pd.Series([0.01, 0.02], index=[1, 2])
        with pytest.raises(PanelError, match="turnover must have the index of gross_returns"):
            break_even_cost(gross, pd.Series([1.0, 1.0], index=[2, 1]))
        assert break_even_cost(gross, [1.0, 1.0]) == pytest.approx(0.015)
