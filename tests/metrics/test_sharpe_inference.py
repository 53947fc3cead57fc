import math
import statistics

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import kurtosis, norm, skew

from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.metrics import (
    deflated_sharpe_ratio,
    minimum_track_record_length,
    probabilistic_sharpe_ratio,
    sharpe_ratio,
)
from skdrfm.metrics._sharpe_inference import SharpeMoments

RETURNS = np.random.default_rng(2).standard_t(5, 96) * 0.03 + 0.015


def series_with(sharpe, skewness, kurtosis, n_periods):
    """Two or three values in shares that give the moments exactly, in a stack of n_periods."""
    # Support -a, 0, b of a variable with mean 0 and variance 1: m3 = b - a, m4 = (b - a)^2 + a b.
    difference, product = skewness, kurtosis - skewness**2
    b = (difference + math.sqrt(difference**2 + 4 * product)) / 2
    a = b - difference
    shares = np.array([1 / (a * (a + b)), 1 - 1 / (a * b), 1 / (b * (a + b))])
    counts = shares * n_periods
    assert np.allclose(counts, counts.round()), "choose moments whose shares are whole numbers of periods"
    standard = np.repeat([-a, 0.0, b], counts.round().astype(int))
    return (standard + sharpe * math.sqrt(n_periods / (n_periods - 1))) * 0.02


class TestReferenceValues:
    @pytest.mark.parametrize(
        ("n_trials", "skewness", "kurtosis", "expected"),
        [(100, -3, 10, 0.9004), (46, -3, 10, 0.9505), (88, 0, 3, 0.9505)],
    )
    def test_example_of_bailey_and_lopez_de_prado_2014(self, n_trials, skewness, kurtosis, expected):
        # 1250 days, annual Sharpe ratio 2.5 with 250 days in a year, annual variance of the trials 1/2.
        moments = SharpeMoments(sharpe=2.5 / math.sqrt(250), skewness=skewness, kurtosis=kurtosis, n_periods=1250)
        g = 0.5772156649
        luck = (1 - g) * norm.ppf(1 - 1 / n_trials) + g * norm.ppf(1 - 1 / (n_trials * math.e))
        assert moments.probability_above(math.sqrt(0.5 / 250) * luck) == pytest.approx(expected, abs=5e-5)

    def test_the_example_with_normal_moments_through_the_function(self):
        returns = series_with(2.5 / math.sqrt(250), 0, 3, 1248)
        trials = np.linspace(-1, 2.5, 88)
        trials = 2.5 + (trials - 2.5) * math.sqrt(0.5) / trials.std(ddof=1)
        result = deflated_sharpe_ratio(returns, trial_sharpe_ratios=trials, periods_per_year=250)
        # 1248 days instead of 1250, so that the moments are exact: the fourth digit changes.
        assert result == pytest.approx(0.9505, abs=2e-4)

    @pytest.mark.parametrize(("periods_per_year", "years"), [(252, 2.73), (52, 2.83), (12, 3.24)])
    def test_years_to_show_a_sharpe_ratio_of_two_above_one(self, periods_per_year, years):
        # Bailey and Lopez de Prado 2012: normal returns observed by days, weeks and months.
        root = math.sqrt(periods_per_year)
        moments = SharpeMoments(sharpe=2 / root, skewness=0, kurtosis=3, n_periods=100)
        assert moments.periods_needed(1 / root, 0.95) / periods_per_year == pytest.approx(years, abs=0.005)

    def test_moments_are_those_of_the_population_with_raw_kurtosis(self):
        ratio = RETURNS.mean() / RETURNS.std(ddof=1)
        g3, g4 = skew(RETURNS), kurtosis(RETURNS, fisher=False)
        spread = math.sqrt(1 - g3 * ratio + (g4 - 1) / 4 * ratio**2)
        expected = norm.cdf((ratio - 0.5 / math.sqrt(12)) * math.sqrt(95) / spread)
        result = probabilistic_sharpe_ratio(RETURNS, benchmark=0.5, periods_per_year=12)
        assert result == pytest.approx(expected, rel=1e-12)

    def test_six_months_by_hand(self):
        returns = [0.01, 0.03, -0.02, 0.04, 0.02, 0.01]
        mean, sd = statistics.fmean(returns), statistics.pstdev(returns)
        ratio = mean / statistics.stdev(returns)
        g3 = statistics.fmean([((r - mean) / sd) ** 3 for r in returns])
        g4 = statistics.fmean([((r - mean) / sd) ** 4 for r in returns])
        squared = 1 - g3 * ratio + (g4 - 1) / 4 * ratio**2
        assert minimum_track_record_length(returns, level=0.9, periods_per_year=12) == pytest.approx(
            1 + squared * (norm.ppf(0.9) / ratio) ** 2, rel=1e-12
        )

    def test_luck_is_close_to_the_expected_best_of_independent_trials(self):
        # A Sharpe ratio that equals the expected best of 50 has a deflated one of one half. The approximation of the
        # expected maximum is off by 0.03, a quarter of the standard error of this Sharpe ratio.
        best = np.random.default_rng(1).normal(size=(20000, 50)).max(axis=1).mean()
        returns = series_with(best / math.sqrt(12), 0, 3, 1248)
        trials = norm.ppf((np.arange(50) + 0.5) / 50)
        trials /= trials.std(ddof=1)
        result = deflated_sharpe_ratio(returns, trial_sharpe_ratios=trials, periods_per_year=12)
        assert result == pytest.approx(0.5, abs=0.15)

    def test_fewer_independent_trials_deflate_less(self):
        trials = np.linspace(-1.0, sharpe_ratio(RETURNS, periods_per_year=12), 40)
        parameters = {"trial_sharpe_ratios": trials, "periods_per_year": 12}
        all_trials = deflated_sharpe_ratio(RETURNS, **parameters)
        assert deflated_sharpe_ratio(RETURNS, n_trials=40, **parameters) == all_trials
        assert deflated_sharpe_ratio(RETURNS, n_trials=2.5, **parameters) > all_trials
        assert deflated_sharpe_ratio(RETURNS, n_trials=400, **parameters) < all_trials

    def test_equal_trials_deflate_nothing(self):
        ratio = sharpe_ratio(RETURNS, periods_per_year=12)
        assert deflated_sharpe_ratio(
            RETURNS, trial_sharpe_ratios=[ratio, ratio], periods_per_year=12
        ) == probabilistic_sharpe_ratio(RETURNS, periods_per_year=12)

    def test_equal_returns_have_no_figure(self):
        equal = [0.1, 0.1, 0.1]
        assert np.isnan(probabilistic_sharpe_ratio(equal, periods_per_year=12))
        assert np.isnan(deflated_sharpe_ratio(equal, trial_sharpe_ratios=[0.1, 0.2], periods_per_year=12))
        assert np.isnan(minimum_track_record_length(equal, periods_per_year=12))

    def test_no_record_is_long_enough_below_the_benchmark(self):
        ratio = sharpe_ratio(RETURNS, periods_per_year=12)
        assert minimum_track_record_length(RETURNS, benchmark=ratio + 0.01, periods_per_year=12) == np.inf
        assert minimum_track_record_length(-np.abs(RETURNS), periods_per_year=12) == np.inf

    def test_skewness_that_takes_all_uncertainty_away_is_certain(self):
        moments = SharpeMoments(sharpe=1.0, skewness=2.0, kurtosis=5.0, n_periods=10)
        assert moments.probability_above(0.5) == 1.0
        assert moments.probability_above(1.0) == 0.5
        assert moments.probability_above(1.5) == 0.0


class TestProperties:
    @given(
        st.lists(st.integers(-50, 60), min_size=3, max_size=30),
        st.floats(-2, 2),
        st.floats(0.55, 0.99),
    )
    def test_a_record_is_long_enough_exactly_if_the_probability_reaches_the_level(self, points, benchmark, level):
        assume(len(set(points)) > 1)
        returns = np.array(points) / 1000
        probability = probabilistic_sharpe_ratio(returns, benchmark=benchmark, periods_per_year=12)
        assert 0 <= probability <= 1
        assume(abs(probability - level) > 1e-9)
        needed = minimum_track_record_length(returns, benchmark=benchmark, level=level, periods_per_year=12)
        assert (len(returns) >= needed) == (probability >= level)

    @given(st.floats(-2, 2))
    def test_a_higher_benchmark_is_less_probable(self, benchmark):
        low, high = (
            probabilistic_sharpe_ratio(RETURNS, benchmark=benchmark + step, periods_per_year=12) for step in (0, 0.1)
        )
        assert high < low

    @pytest.mark.parametrize("scale", [1e-200, 100, 1e200])
    def test_the_unit_of_returns_does_not_matter(self, scale):
        expected = probabilistic_sharpe_ratio(RETURNS, periods_per_year=12)
        assert probabilistic_sharpe_ratio(RETURNS * scale, periods_per_year=12) == pytest.approx(expected, rel=1e-10)

    def test_the_frequency_is_that_of_the_benchmark(self):
        assert probabilistic_sharpe_ratio(RETURNS, benchmark=1, periods_per_year=12) == pytest.approx(
            probabilistic_sharpe_ratio(RETURNS, benchmark=2, periods_per_year=48), rel=1e-12
        )


class TestValidation:
    def test_one_trial_is_not_enough(self):
        with pytest.raises(PanelError, match="at least 2 trials. Got 1.*probabilistic_sharpe_ratio"):
            deflated_sharpe_ratio(RETURNS, trial_sharpe_ratios=[1.0], periods_per_year=12)

    def test_trials_per_period_are_refused(self):
        ratio = sharpe_ratio(RETURNS, periods_per_year=12)
        assert ratio > 0.5
        with pytest.raises(PanelError, match=r"must be per year and contain that of returns.*Got .* at most"):
            deflated_sharpe_ratio(
                RETURNS, trial_sharpe_ratios=np.array([-1, 0, ratio]) / math.sqrt(12), periods_per_year=12
            )

    def test_rounded_trials_are_accepted(self):
        ratio = sharpe_ratio(RETURNS, periods_per_year=12)
        rounded = math.floor(ratio * 100) / 100
        result = deflated_sharpe_ratio(RETURNS, trial_sharpe_ratios=[rounded, 0.0, 0.3], periods_per_year=12)
        exact = deflated_sharpe_ratio(RETURNS, trial_sharpe_ratios=[ratio, 0.0, 0.3], periods_per_year=12)
        assert result == pytest.approx(exact, abs=0.01)

    def test_missing_numbers_are_refused(self):
        with pytest.raises(NonFiniteError, match="trial_sharpe_ratios must hold finite"):
            deflated_sharpe_ratio(RETURNS, trial_sharpe_ratios=[1.0, np.nan], periods_per_year=12)
        with pytest.raises(NonFiniteError, match="returns must hold finite"):
            probabilistic_sharpe_ratio([0.1, np.nan], periods_per_year=12)

    def test_fewer_than_two_independent_trials_are_refused(self):
        with pytest.raises(ValueError, match="'n_trials' parameter of deflated_sharpe_ratio must be"):
            deflated_sharpe_ratio(RETURNS, trial_sharpe_ratios=[1.0, 2.0], n_trials=1, periods_per_year=12)

    @pytest.mark.parametrize("level", [0.4, 1, 95])
    def test_level_is_at_least_one_half(self, level):
        with pytest.raises(ValueError, match="'level' parameter of minimum_track_record_length must be"):
            minimum_track_record_length(RETURNS, level=level, periods_per_year=12)

    def test_one_return_is_not_enough(self):
        with pytest.raises(PanelError, match="returns must hold at least 2 periods"):
            probabilistic_sharpe_ratio([0.1], periods_per_year=12)
