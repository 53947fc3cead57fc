import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import pearsonr, spearmanr

from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.metrics import (
    factor_rank_autocorrelation,
    icir,
    information_coefficient,
    rank_information_coefficient,
)

BOTH = [information_coefficient, rank_information_coefficient]
ORACLES = {information_coefficient: pearsonr, rank_information_coefficient: spearmanr}


@pytest.fixture
def ragged():
    rng = np.random.default_rng(1)
    dates = np.repeat(np.arange(6), [3, 4, 10, 25, 7, 51])
    rng.shuffle(dates)
    truth = rng.normal(size=100).round(1)  # rounded, so that ties occur
    prediction = (0.3 * truth + rng.normal(size=100)).round(1)
    return truth, prediction, dates


class TestReferenceValues:
    @pytest.mark.parametrize("figure", BOTH)
    def test_each_date_equals_scipy(self, figure, ragged):
        truth, prediction, dates = ragged
        result = figure(truth, prediction, dates=dates)
        assert result.name == figure.__name__
        for date in np.unique(dates):
            rows = dates == date
            expected = ORACLES[figure](truth[rows], prediction[rows]).statistic
            assert result[date] == pytest.approx(expected, rel=1e-12, abs=1e-14)

    def test_rank_correlation_with_a_tie_by_hand(self):
        # Ranks (1, 2, 3) and (1, 2.5, 2.5): covariance 1.5, squares 2 and 1.5.
        result = rank_information_coefficient([0.1, 0.2, 0.3], [1, 5, 5], dates=[1, 1, 1])
        assert result[1] == pytest.approx(1.5 / np.sqrt(2 * 1.5), rel=1e-14)

    @pytest.mark.parametrize("scale", [1e-250, 1e200])
    def test_very_small_and_very_large_predictions_do_not_overflow(self, scale):
        prediction = np.array([1.0, 3.0, 2.0]) * scale
        result = information_coefficient([0.1, 0.2, 0.3], prediction, dates=[1, 1, 1])
        assert result[1] == pytest.approx(0.5, rel=1e-12)


class TestProperties:
    @given(
        arrays(float, (2, 15), elements=st.integers(-4, 4).map(float)),
        st.permutations(range(15)),
    )
    @pytest.mark.filterwarnings("ignore::skdrfm.exceptions.CoverageWarning")
    def test_rank_ic_keeps_under_increasing_transforms_and_row_order(self, values, permutation):
        dates = np.repeat([0, 1, 2], [3, 5, 7])
        truth, prediction = values
        result = rank_information_coefficient(truth, prediction, dates=dates)
        transformed = rank_information_coefficient(truth**3, np.exp(prediction), dates=dates)
        np.testing.assert_array_equal(result, transformed)
        flipped = rank_information_coefficient(truth, -prediction, dates=dates)
        np.testing.assert_array_equal(flipped, -result)
        shuffled = rank_information_coefficient(truth[permutation], prediction[permutation], dates=dates[permutation])
        np.testing.assert_array_equal(shuffled, result)
        assert result.dropna().abs().le(1).all()

    @pytest.mark.parametrize("figure", BOTH)
    def test_a_perfect_forecast_has_a_figure_of_one(self, figure, ragged):
        truth, _, dates = ragged
        np.testing.assert_allclose(figure(truth, 2 * truth + 1, dates=dates), 1, rtol=1e-12)


class TestICIR:
    def test_ratio_by_hand(self):
        # Mean 0.04 and standard deviation 0.02 of three ICs.
        assert icir([0.02, 0.04, 0.06], periods_per_year=1) == pytest.approx(2)
        assert icir([0.02, 0.04, 0.06], periods_per_year=12) == pytest.approx(2 * np.sqrt(12))

    def test_dates_without_an_ic_are_left_out(self):
        ic = pd.Series([np.nan, 0.02, 0.04, np.nan, 0.06])
        assert icir(ic, periods_per_year=1) == pytest.approx(2)
        assert icir(ic.astype("Float64"), periods_per_year=1) == pytest.approx(2)

    def test_equal_ics_have_no_ratio(self):
        assert np.isnan(icir([0.1, 0.1, 0.1], periods_per_year=12))

    def test_one_ic_is_not_enough(self):
        with pytest.raises(PanelError, match="ic must hold at least 2 periods"):
            icir([0.1, np.nan], periods_per_year=12)

    @pytest.mark.parametrize("ic", [[], [np.nan, np.nan]])
    def test_no_ic_at_all_is_not_enough(self, ic):
        with pytest.raises(PanelError, match="ic must hold at least 2 periods for this figure. Got 0"):
            icir(ic, periods_per_year=12)

    def test_infinite_ics_are_refused(self):
        with pytest.raises(NonFiniteError, match="ic must hold finite numbers"):
            icir([0.1, np.inf], periods_per_year=12)

    def test_periods_must_be_positive(self):
        with pytest.raises(ValueError, match="'periods_per_year' parameter of icir must be"):
            icir([0.1, 0.2], periods_per_year=0)


class TestFactorRankAutocorrelation:
    @pytest.fixture
    def panel(self):
        """Scores with ties; a sixth of the pairs is missing and rows are shuffled."""
        rng = np.random.default_rng(4)
        index = pd.MultiIndex.from_product([range(8), list("ABCDEFGHIJKL")], names=["date", "asset"])
        return pd.Series(rng.normal(size=96).round(1), index=index).sample(80, random_state=4)

    @pytest.mark.parametrize("lag", [1, 3])
    def test_each_date_equals_scipy_over_the_common_names(self, panel, lag):
        result = factor_rank_autocorrelation(panel, lag=lag)
        table = panel.unstack("asset").sort_index()
        assert list(result.index) == list(table.index)
        assert result.iloc[:lag].isna().all()
        for place in range(lag, len(table)):
            both = table.iloc[[place, place - lag]].dropna(axis=1).to_numpy()
            assert both.shape[1] >= 3
            assert result.iloc[place] == pytest.approx(spearmanr(*both).statistic, rel=1e-12, abs=1e-14)

    @pytest.mark.filterwarnings("ignore")
    def test_equals_alphalens_where_all_dates_have_the_same_names(self):
        performance = pytest.importorskip("alphalens.performance", reason="comparison with alphalens-reloaded")
        rng = np.random.default_rng(5)
        dates = pd.date_range("2020-01-31", periods=7, freq="ME")
        index = pd.MultiIndex.from_product([dates, range(20)], names=["date", "asset"])
        scores = pd.Series(rng.normal(size=140).round(1), index=index)
        for lag in (1, 2):
            expected = performance.factor_rank_autocorrelation(scores.to_frame("factor"), period=lag)
            np.testing.assert_allclose(factor_rank_autocorrelation(scores, lag=lag), expected, rtol=1e-12)

    def test_row_order_changes_no_bit(self, panel):
        result = factor_rank_autocorrelation(panel)
        pd.testing.assert_series_equal(factor_rank_autocorrelation(panel.sort_index()), result, check_exact=True)
        swapped = panel.swaplevel()
        pd.testing.assert_series_equal(factor_rank_autocorrelation(swapped), result, check_exact=True)

    def test_unchanged_order_gives_one_and_reversed_order_minus_one(self):
        index = pd.MultiIndex.from_product([[1, 2, 3], list("ABCD")], names=["date", "asset"])
        scores = pd.Series([1, 2, 3, 4, 10, 20, 30, 40, 4, 3, 2, 1.0], index=index)
        np.testing.assert_allclose(factor_rank_autocorrelation(scores), [np.nan, 1, -1], rtol=1e-15)

    def test_dates_without_the_figure_are_nan_and_counted_by_reason(self):
        dates = [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5]
        assets = list("ABCABCABCABDXY")
        scores = [1, 2, 3, 1, 2, 3, 5, 5, 5, 1, 2, 3, 1, 2]
        index = pd.MultiIndex.from_arrays([dates, assets], names=["date", "asset"])
        with pytest.warns(CoverageWarning) as caught:
            result = factor_rank_autocorrelation(pd.Series(scores, index=index))
        assert len(caught) == 1
        assert caught[0].filename == __file__
        assert "3 of 4 dates" in str(caught[0].message)
        assert "2 with fewer than 3 common names" in str(caught[0].message)
        assert "1 with constant scores" in str(caught[0].message)
        assert result.isna().tolist() == [True, False, True, True, True]

    def test_panels_without_common_names_have_no_figure(self):
        index = pd.MultiIndex.from_arrays([[1, 1, 2, 2], list("ABCD")], names=["date", "asset"])
        with pytest.warns(CoverageWarning, match="1 of 1 dates"):
            assert factor_rank_autocorrelation(pd.Series([1.0, 2, 3, 4], index=index)).isna().all()

    def test_panels_that_are_too_short_are_refused(self, panel):
        with pytest.raises(PanelError, match=r"more dates than 'lag' \(8\). Got 8"):
            factor_rank_autocorrelation(panel, lag=8)

    def test_arrays_are_refused(self, panel):
        with pytest.raises(PanelError, match="scores must be a Series indexed by"):
            factor_rank_autocorrelation(panel.to_numpy())

    def test_missing_scores_are_counted(self, panel):
        panel.iloc[5] = np.nan
        with pytest.raises(NonFiniteError, match="scores must hold finite numbers. Got NaN: 1 of 80"):
            factor_rank_autocorrelation(panel)

    def test_lag_must_be_positive(self, panel):
        with pytest.raises(ValueError, match="'lag' parameter of factor_rank_autocorrelation must be"):
            factor_rank_autocorrelation(panel, lag=0)


class TestCoverage:
    @pytest.mark.parametrize("figure", BOTH)
    def test_dates_without_the_figure_are_nan_and_counted_once(self, figure):
        dates = [1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
        truth = [0.1, 0.2, 0.1, 0.2, 0.3, 0.1, 0.1, 0.1, 0.1, 0.2, 0.3]
        # 0.1 three times has a mean that is not exactly 0.1: rounding must not become a correlation.
        prediction = [1, 2, 0.1, 0.1, 0.1, 1, 2, 3, 1, 2, 3]
        with pytest.warns(CoverageWarning) as caught:
            result = figure(truth, prediction, dates=dates)
        assert len(caught) == 1
        message = str(caught[0].message)
        assert "3 of 4 dates" in message
        assert "1 with fewer than 3 names" in message
        assert "1 with constant predictions" in message
        assert "1 with constant returns" in message
        assert caught[0].filename == __file__
        assert result.isna().tolist() == [True, True, True, False]
        assert result[4] == pytest.approx(1)

    def test_a_date_with_two_reasons_is_counted_once(self):
        truth, prediction = [0.1, 0.1, 0.1, 0.1, 0.2, 0.3], [1, 1, 1, 3, 1, 2]
        with pytest.warns(CoverageWarning, match=r"1 with constant predictions\. Means"):
            rank_information_coefficient(truth, prediction, dates=[1, 1, 1, 2, 2, 2])

    @pytest.mark.parametrize("figure", BOTH)
    def test_three_names_are_enough(self, figure):
        assert figure([0.1, 0.2, 0.3], [3, 2, 1], dates=[1, 1, 1])[1] == pytest.approx(-1)


class TestValidation:
    @pytest.mark.parametrize("figure", BOTH)
    def test_text_dates_whose_order_is_not_that_of_time_are_refused(self, figure):
        dates = np.repeat(["2007-2", "2007-10"], 4)
        values = np.arange(8.0)
        with pytest.raises(PanelError, match="Got '2007-10' sorted before '2007-2'"):
            figure(values, values, dates=dates)
        padded = np.repeat(["2007-02", "2007-10"], 4)
        assert list(figure(values, values, dates=padded).index) == ["2007-02", "2007-10"]

    @pytest.mark.parametrize("figure", BOTH)
    def test_missing_predictions_are_counted_and_not_ranked(self, figure):
        with pytest.raises(NonFiniteError, match="Got NaN: 1 of 3"):
            figure([0.1, 0.2, 0.3], [1, np.nan, 2], dates=[1, 1, 1])

    @pytest.mark.parametrize("figure", BOTH)
    def test_unknown_dates_are_an_error(self, figure):
        with pytest.raises(PanelError, match="The date of each row of y_true must be known"):
            figure([0.1, 0.2, 0.3], [1, 3, 2])
