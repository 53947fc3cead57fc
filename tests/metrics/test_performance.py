import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.metrics import (
    annualised_return,
    annualised_volatility,
    max_drawdown,
    sharpe_ratio,
)

MONTHLY = {"periods_per_year": 12}
RETURNS = st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=40)


class TestReferenceValues:
    def test_figures_by_hand(self):
        returns = [0.01, -0.02, 0.04]
        assert annualised_return(returns, **MONTHLY) == pytest.approx(0.12, rel=1e-14)
        # Deviations 0, -0.03, 0.03: variance 0.0018 / 2.
        assert annualised_volatility(returns, **MONTHLY) == pytest.approx(np.sqrt(12 * 0.0009))
        assert sharpe_ratio(returns, **MONTHLY) == pytest.approx(0.12 / np.sqrt(12 * 0.0009))

    @pytest.mark.parametrize(
        ("annual_return", "volatility", "published"),
        [(0.1320, 0.1501, 0.88), (0.1518, 0.1160, 1.31), (0.0602, 0.1331, 0.45)],
    )
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

    @pytest.mark.parametrize(
        ("returns", "expected"),
        [
            ([-0.1, 0.05], -0.1),  # the start value is a peak
            ([0.1, -0.2, -0.1, 0.5], 0.8 * 0.9 - 1),  # compounded, not summed
            ([0.1, 0.0, 0.2], 0.0),
            ([0.5, -1.0, 3.0], -1.0),
            ([0.5, -1.2, -3.0], -1.0),  # ruin stays ruin
        ],
    )
    def test_drawdown_by_hand(self, returns, expected):
        assert max_drawdown(returns) == pytest.approx(expected, abs=1e-15)

    def test_equal_returns_have_no_volatility_and_no_sharpe_ratio(self):
        returns = [0.1] * 3  # their mean is not exactly 0.1
        assert annualised_volatility(returns, **MONTHLY) == 0
        assert np.isnan(sharpe_ratio(returns, **MONTHLY))


class TestProperties:
    @given(RETURNS)
    def test_drawdown_is_a_loss_of_at_most_everything(self, returns):
        drawdown = max_drawdown(returns)
        assert -1 <= drawdown <= 0
        wealth, peak, worst = 1.0, 1.0, 0.0
        for value in returns:
            wealth *= 1 + value
            peak = max(peak, wealth)
            worst = min(worst, wealth / peak - 1)
        assert drawdown == pytest.approx(worst, abs=1e-12)

    @given(RETURNS)
    def test_series_and_arrays_agree(self, returns):
        series = pd.Series(returns, index=pd.period_range("2020-01", periods=len(returns), freq="M"))
        for figure in (annualised_return, annualised_volatility, sharpe_ratio):
            np.testing.assert_equal(figure(series, **MONTHLY), figure(np.array(returns), **MONTHLY))


class TestValidation:
    @pytest.mark.parametrize("figure", [annualised_volatility, sharpe_ratio])
    def test_one_return_has_no_deviation(self, figure):
        with pytest.raises(PanelError, match=r"at least 2 periods for this figure. Got 1"):
            figure([0.01], **MONTHLY)

    def test_no_return_is_an_error(self):
        with pytest.raises(PanelError, match="at least one"):
            annualised_return([], **MONTHLY)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_missing_returns_are_counted_with_a_way_out(self, value):
        with pytest.raises(NonFiniteError, match=r"Got 1 NaN or infinite of 2 .*dropna"):
            max_drawdown([0.1, value])

    @pytest.mark.parametrize("periods", [0, -12, "12", None])
    def test_periods_per_year_must_be_positive(self, periods):
        with pytest.raises(ValueError, match="'periods_per_year' parameter of annualised_return must be"):
            annualised_return([0.1], periods_per_year=periods)
