import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.metrics import newey_west_t


def literal_newey_west(values, n_lags):
    """The formula, term by term."""
    n = len(values)
    mean = sum(values) / n
    e = [value - mean for value in values]
    omega = sum(x * x for x in e) / n
    for lag in range(1, n_lags + 1):
        gamma = sum(e[t] * e[t - lag] for t in range(lag, n)) / n
        omega += 2 * (1 - lag / (n_lags + 1)) * gamma
    return mean / np.sqrt(omega / n)


class TestReferenceValues:
    def test_one_lag_by_hand(self):
        # e = (-1, 1, -1, 1) / 100 about the mean 0.02: g_0 = 1e-4, g_1 = -0.75e-4, sum = 1e-4 (1 - 0.75).
        expected = 0.02 / np.sqrt(0.25e-4 / 4)
        assert newey_west_t([0.01, 0.03, 0.01, 0.03], n_lags=1) == pytest.approx(expected)

    def test_no_lags_is_the_usual_t_with_another_ddof(self):
        values = np.random.default_rng(0).normal(0.01, 0.05, 60)
        expected = ttest_1samp(values, 0).statistic * np.sqrt(60 / 59)
        assert newey_west_t(values, n_lags=0) == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize(("n_periods", "n_lags"), [(2, 1), (5, 2), (96, 3), (100, 4), (240, 4), (600, 5)])
    def test_default_number_of_lags(self, n_periods, n_lags):
        values = np.random.default_rng(n_periods).normal(size=n_periods)
        assert newey_west_t(values) == pytest.approx(literal_newey_west(values, n_lags), rel=1e-10)
        assert newey_west_t(values) == newey_west_t(values, n_lags=n_lags)

    @pytest.mark.parametrize("n_lags", [0, 3, 11])
    def test_equals_a_regression_on_a_constant_in_statsmodels(self, n_lags):
        api = pytest.importorskip("statsmodels.api", reason="statsmodels is the independent computation")
        values = np.convolve(np.random.default_rng(5).normal(0.01, 0.04, 98), np.ones(3), mode="valid")
        fit = api.OLS(values, np.ones(96)).fit(
            cov_type="HAC", cov_kwds={"maxlags": n_lags, "kernel": "bartlett", "use_correction": False}
        )
        assert newey_west_t(values, n_lags=n_lags) == pytest.approx(fit.tvalues[0], rel=1e-10)

    def test_overlapping_returns_lose_significance(self):
        monthly = np.random.default_rng(3).normal(0.01, 0.05, 400)
        overlapping = np.convolve(monthly, np.ones(12), mode="valid")
        assert newey_west_t(overlapping, n_lags=11) < newey_west_t(overlapping, n_lags=0) / 2

    @pytest.mark.parametrize("scale", [1e-200, 1e200])
    def test_the_unit_of_values_does_not_matter(self, scale):
        values = np.array([0.01, 0.03, -0.02, 0.05])
        assert newey_west_t(values * scale) == pytest.approx(newey_west_t(values), rel=1e-12)

    def test_equal_values_have_no_t(self):
        assert np.isnan(newey_west_t([0.1, 0.1, 0.1]))


class TestProperties:
    @given(st.lists(st.integers(-1000, 1000), min_size=3, max_size=25, unique=True), st.integers(0, 2))
    def test_equals_the_literal_sum_and_changes_sign_with_the_values(self, values, n_lags):
        result = newey_west_t(values, n_lags=n_lags)
        assert result == pytest.approx(literal_newey_west(values, n_lags), rel=1e-6, abs=1e-9)
        assert newey_west_t([-v for v in values], n_lags=n_lags) == pytest.approx(-result)
        assert newey_west_t([v / 100 for v in values], n_lags=n_lags) == pytest.approx(result)


class TestValidation:
    def test_lags_must_be_fewer_than_periods(self):
        with pytest.raises(PanelError, match=r"below the number of periods \(3\). Got 3"):
            newey_west_t([0.1, 0.2, 0.4], n_lags=3)

    def test_negative_lags_are_refused(self):
        with pytest.raises(ValueError, match="'n_lags' parameter of newey_west_t must be"):
            newey_west_t([0.1, 0.2], n_lags=-1)

    def test_one_value_is_not_enough(self):
        with pytest.raises(PanelError, match="values must hold at least 2 periods"):
            newey_west_t([0.1])

    def test_missing_values_are_counted(self):
        with pytest.raises(NonFiniteError, match="Got 2 NaN or infinite of 3"):
            newey_west_t([0.1, np.nan, np.inf])
