import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import pearsonr, spearmanr

from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.metrics import information_coefficient, rank_information_coefficient

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
        np.testing.assert_allclose(flipped, -result, atol=1e-15)
        shuffled = rank_information_coefficient(truth[permutation], prediction[permutation], dates=dates[permutation])
        np.testing.assert_allclose(shuffled, result, atol=1e-14)
        assert result.dropna().abs().le(1).all()

    @pytest.mark.parametrize("figure", BOTH)
    def test_a_perfect_forecast_has_a_figure_of_one(self, figure, ragged):
        truth, _, dates = ragged
        np.testing.assert_allclose(figure(truth, 2 * truth + 1, dates=dates), 1, rtol=1e-12)


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
    def test_missing_predictions_are_counted_and_not_ranked(self, figure):
        with pytest.raises(NonFiniteError, match="Got NaN: 1 of 3"):
            figure([0.1, 0.2, 0.3], [1, np.nan, 2], dates=[1, 1, 1])

    @pytest.mark.parametrize("figure", BOTH)
    def test_unknown_dates_are_an_error(self, figure):
        with pytest.raises(PanelError, match="The date of each row of y_true must be known"):
            figure([0.1, 0.2, 0.3], [1, 3, 2])
