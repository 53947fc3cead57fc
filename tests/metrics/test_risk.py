import contextlib
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate
from scipy import stats as scipy_stats

from skdrfm.exceptions import NonFiniteError, PanelError, SkdrfmWarning
from skdrfm.metrics import conditional_value_at_risk, hit_rate, kurtosis, skewness, value_at_risk
from skdrfm.metrics._risk import _increases_between

METHODS = ["historical", "gaussian", "cornish_fisher"]
RETURNS = st.lists(st.floats(-1, 1), min_size=2, max_size=60)
LEVELS = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.975, 0.99, 0.999])


def sample(n_periods, seed=0):
    return np.random.default_rng(seed).standard_t(6, n_periods) * 0.04 + 0.005


def literal_conditional_value_at_risk(returns, level):
    """Smallest value of the function of Rockafellar and Uryasev (2002); it is convex with kinks at the losses."""
    losses = -np.asarray(returns)
    return min(a + np.mean(np.maximum(losses - a, 0)) / (1 - level) for a in losses)


def expansion(z, s, k):
    return z + (z**2 - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * s**2 / 36


@contextlib.contextmanager
def undefined_expansions_allowed():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The Cornish-Fisher", category=SkdrfmWarning)
        yield


class TestReferenceValues:
    def test_hit_rate_counts_gains_and_no_zeros(self):
        assert hit_rate([0.02, -0.01, 0.0, 0.01]) == 0.5
        assert hit_rate([0.0]) == 0
        assert hit_rate([1e-9]) == 1

    def test_moments_by_hand(self):
        # Deviations -1, -1, -1, 3 about the mean 0: m2 = 3, m3 = 6, m4 = 21.
        returns = [-1.0, -1.0, -1.0, 3.0]
        assert skewness(returns, bias_corrected=False) == pytest.approx(6 / 3**1.5)
        assert skewness(returns) == pytest.approx(6 / 3**1.5 * np.sqrt(12) / 2)
        assert kurtosis(returns, excess=False, bias_corrected=False) == pytest.approx(21 / 9)
        assert kurtosis(returns, bias_corrected=False) == pytest.approx(21 / 9 - 3)
        assert kurtosis(returns) == pytest.approx((5 * (21 / 9 - 3) + 6) * 3 / 2)
        assert kurtosis(returns, excess=False) == pytest.approx(kurtosis(returns) + 3)

    @pytest.mark.parametrize("n_periods", [4, 5, 96])
    def test_moments_equal_scipy_with_both_settings_of_bias_and_pandas_without(self, n_periods):
        returns = sample(n_periods)
        for corrected in (True, False):
            assert skewness(returns, bias_corrected=corrected) == pytest.approx(
                scipy_stats.skew(returns, bias=not corrected), rel=1e-10
            )
            for excess in (True, False):
                assert kurtosis(returns, excess=excess, bias_corrected=corrected) == pytest.approx(
                    scipy_stats.kurtosis(returns, fisher=excess, bias=not corrected), rel=1e-10
                )
        assert skewness(returns) == pytest.approx(pd.Series(returns).skew(), rel=1e-10)
        assert kurtosis(returns) == pytest.approx(pd.Series(returns).kurt(), rel=1e-10)

    @pytest.mark.parametrize("scale", [1e-200, 1e200])
    def test_the_unit_of_returns_does_not_matter_to_moments(self, scale):
        returns = sample(20)
        assert skewness(returns * scale) == pytest.approx(skewness(returns), rel=1e-12)
        assert kurtosis(returns * scale) == pytest.approx(kurtosis(returns), rel=1e-12)

    @pytest.mark.parametrize(
        ("n_periods", "level", "rank", "tail"),
        [
            (20, 0.95, 1, 1),  # in binary 1 - 0.95 is above 0.05: the tail must stay one period
            (40, 0.95, 2, 2),
            (100, 0.93, 7, 7),
            (1000, 0.999, 1, 1),
            (96, 0.95, 5, 4.8),
            (10, 0.95, 1, 0.5),
            (1, 0.95, 1, 0.05),
            (30, 0.5, 15, 15),
        ],
    )
    def test_historical_tail_by_counting(self, n_periods, level, rank, tail):
        returns = np.random.default_rng(1).permutation(np.arange(n_periods) ** 1.5 - 10)
        ordered = np.sort(returns)
        assert value_at_risk(returns, level=level) == -ordered[rank - 1]
        mean = (ordered[: rank - 1].sum() + (tail - rank + 1) * ordered[rank - 1]) / tail
        assert conditional_value_at_risk(returns, level=level) == pytest.approx(-mean, rel=1e-9)

    def test_historical_value_at_risk_is_the_inverse_of_the_sample_distribution(self):
        returns = sample(96)
        expected = -np.quantile(returns, 0.05, method="inverted_cdf")
        assert value_at_risk(returns) == expected

    @pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
    def test_gaussian_tail_equals_scipy(self, level):
        returns = sample(96)
        normal = scipy_stats.norm(returns.mean(), returns.std(ddof=1))
        assert value_at_risk(returns, level=level, method="gaussian") == pytest.approx(-normal.ppf(1 - level))
        mean = normal.expect(lb=-np.inf, ub=normal.ppf(1 - level), conditional=True)
        assert conditional_value_at_risk(returns, level=level, method="gaussian") == pytest.approx(-mean, rel=1e-6)

    @pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
    def test_cornish_fisher_tail_is_the_integral_of_its_quantile_function(self, level):
        returns = sample(96, seed=3)
        s, k = scipy_stats.skew(returns), scipy_stats.kurtosis(returns)
        assert abs(s) > 0.1
        assert k > 0.5
        mean, deviation = returns.mean(), returns.std(ddof=1)
        expected = -(mean + deviation * expansion(scipy_stats.norm.ppf(1 - level), s, k))
        assert value_at_risk(returns, level=level, method="cornish_fisher") == pytest.approx(expected, rel=1e-10)

        def quantile(p):
            return mean + deviation * expansion(scipy_stats.norm.ppf(p), s, k)

        area, _ = integrate.quad(quantile, 0, 1 - level, epsabs=1e-12, limit=200)
        result = conditional_value_at_risk(returns, level=level, method="cornish_fisher")
        assert result == pytest.approx(-area / (1 - level), rel=1e-6)

    def test_cornish_fisher_without_shape_is_gaussian(self):
        returns = np.array([-0.03, 0.0, 0.0, 0.0, 0.0, 0.03]) + 0.01  # skewness 0 and raw kurtosis 3
        for figure in (value_at_risk, conditional_value_at_risk):
            expected = figure(returns, method="gaussian")
            assert figure(returns, method="cornish_fisher") == pytest.approx(expected, rel=1e-12)

    def test_losses_with_a_long_tail_are_larger_by_cornish_fisher(self):
        returns = 0.02 - np.random.default_rng(0).gamma(6, 0.01, 500)
        assert skewness(returns) < -0.5
        for figure in (value_at_risk, conditional_value_at_risk):
            assert figure(returns, method="cornish_fisher") > 1.05 * figure(returns, method="gaussian")

    @pytest.mark.parametrize("method", METHODS)
    def test_equal_returns_lose_what_they_lose(self, method):
        for figure in (value_at_risk, conditional_value_at_risk):
            assert figure([-0.1] * 3, method=method) == 0.1
            assert figure([0.1] * 3, method=method) == -0.1

    def test_equal_returns_have_no_shape(self):
        for corrected in (True, False):
            assert np.isnan(skewness([0.1] * 4, bias_corrected=corrected))
            assert np.isnan(kurtosis([0.1] * 4, bias_corrected=corrected))


class TestPeers:
    def test_empyrical_interpolates_the_value_at_risk_and_counts_the_tail_up(self):
        empyrical = pytest.importorskip("empyrical", reason="compares with empyrical-reloaded")
        # Its percentile is an observation where 0.05 (T - 1) is a whole number, and lies between two otherwise.
        returns = sample(101)
        assert value_at_risk(returns) == pytest.approx(-empyrical.value_at_risk(returns, cutoff=0.05), rel=1e-12)
        returns = sample(100)
        assert value_at_risk(returns) > -empyrical.value_at_risk(returns, cutoff=0.05)
        # Its tail has int(0.05 (T - 1)) + 1 periods, which is 0.05 T for 100 and more than that for 101.
        expected = -empyrical.conditional_value_at_risk(returns, cutoff=0.05)
        assert conditional_value_at_risk(returns) == pytest.approx(expected, rel=1e-12)
        returns = sample(101)
        assert conditional_value_at_risk(returns) > -empyrical.conditional_value_at_risk(returns, cutoff=0.05)

    @pytest.mark.parametrize("n_periods", [50, 96, 250])
    def test_skfolio_has_the_same_historical_tail(self, n_periods):
        measures = pytest.importorskip("skfolio.measures", reason="compares with skfolio")
        returns = sample(n_periods)
        assert value_at_risk(returns) == pytest.approx(measures.value_at_risk(returns, beta=0.95), rel=1e-12)
        assert conditional_value_at_risk(returns) == pytest.approx(measures.cvar(returns, beta=0.95), rel=1e-9)

    def test_quantstats_has_the_same_moments_and_a_gaussian_value_at_risk_with_the_other_sign(self):
        stats = pytest.importorskip("quantstats.stats", reason="compares with quantstats")
        returns = pd.Series(sample(96), index=pd.date_range("2007-04-30", periods=96, freq="ME"))
        assert skewness(returns) == pytest.approx(stats.skew(returns), rel=1e-10)
        assert kurtosis(returns) == pytest.approx(stats.kurtosis(returns), rel=1e-10)
        expected = -stats.value_at_risk(returns, confidence=0.95)
        assert value_at_risk(returns, method="gaussian") == pytest.approx(expected, rel=1e-12)


class TestProperties:
    @given(RETURNS, LEVELS, st.sampled_from(METHODS))
    def test_the_mean_of_the_tail_is_never_below_its_edge(self, returns, level, method):
        with undefined_expansions_allowed():
            var = value_at_risk(returns, level=level, method=method)
            cvar = conditional_value_at_risk(returns, level=level, method=method)
        assert cvar >= var or (method == "cornish_fisher" and np.isnan(var) and np.isnan(cvar))

    @given(RETURNS, LEVELS)
    def test_historical_tail_is_exact(self, returns, level):
        cvar = conditional_value_at_risk(returns, level=level)
        assert cvar == pytest.approx(literal_conditional_value_at_risk(returns, level), abs=1e-9)
        assert -max(returns) - 1e-12 <= value_at_risk(returns, level=level) <= cvar <= -min(returns) + 1e-12

    @given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=40), LEVELS)
    def test_historical_tail_of_a_sum_is_at_most_the_sum_of_tails(self, pairs, level):
        first, second = np.array(pairs).T
        parts = conditional_value_at_risk(first, level=level) + conditional_value_at_risk(second, level=level)
        assert conditional_value_at_risk(first + second, level=level) <= parts + 1e-9

    @given(st.lists(st.integers(-100, 100), min_size=4, max_size=40), LEVELS, st.sampled_from(METHODS))
    def test_tails_follow_a_shift_and_a_positive_scale(self, percent, level, method):
        returns = np.array(percent) / 100
        for figure in (value_at_risk, conditional_value_at_risk):
            with undefined_expansions_allowed():
                before = figure(returns, level=level, method=method)
                after = figure(3 * returns + 0.5, level=level, method=method)
            if not (np.isnan(before) or np.isnan(after)):
                assert after == pytest.approx(3 * before - 0.5, abs=1e-9)

    @given(RETURNS, st.sampled_from(["historical", "gaussian"]))
    def test_a_higher_level_is_a_larger_loss(self, returns, method):
        for figure in (value_at_risk, conditional_value_at_risk):
            losses = [figure(returns, level=level, method=method) for level in (0.5, 0.8, 0.95, 0.99)]
            assert np.all(np.diff(losses) >= -1e-12)

    @given(st.lists(st.integers(-50, 50), min_size=4, max_size=30, unique=True))
    def test_moments_ignore_order_and_skewness_changes_sign(self, percent):
        returns = np.array(percent) / 100
        assert skewness(-returns) == pytest.approx(-skewness(returns), abs=1e-9)
        assert kurtosis(-returns) == pytest.approx(kurtosis(returns), rel=1e-9, abs=1e-9)
        assert skewness(np.sort(returns)) == pytest.approx(skewness(returns), abs=1e-9)
        raw = kurtosis(returns, excess=False, bias_corrected=False)
        assert raw >= 1 + skewness(returns, bias_corrected=False) ** 2 - 1e-9

    def test_series_and_arrays_agree_and_inputs_are_not_changed(self):
        series = pd.Series(sample(60), index=pd.period_range("2020-01", periods=60, freq="M"))
        before = series.copy()
        for figure in (hit_rate, skewness, kurtosis, value_at_risk, conditional_value_at_risk):
            assert figure(series) == figure(series.to_numpy()) == figure(series.tolist())
        pd.testing.assert_series_equal(series, before)


class TestValidation:
    @pytest.mark.parametrize("figure", [value_at_risk, conditional_value_at_risk])
    @pytest.mark.parametrize(
        "returns",
        [
            np.linspace(-1, 1, 50) * 0.05,  # thin tails: the expansion turns within the tail
            np.r_[np.zeros(150), -1.0, 1.0],  # a kurtosis of 76: it falls around the median
        ],
    )
    def test_expansions_that_are_no_quantile_function_give_nan_and_say_why(self, figure, returns):
        with pytest.warns(SkdrfmWarning, match=rf"excess kurtosis .* {figure.__name__} is NaN.*'historical'") as caught:
            assert np.isnan(figure(returns, method="cornish_fisher"))
        assert caught[0].filename == __file__
        assert np.isfinite(figure(returns, method="gaussian"))

    @pytest.mark.parametrize(
        ("s", "k", "increases"),
        [
            (0, 0, True),
            (0, 7.9, True),
            (0, 8.1, False),
            (0, -0.75, True),
            (0, -0.9, False),
            (-1, 2, True),
            (3, 9, False),
            (3, 16, False),  # it rises at both ends
            (-2, 12, True),
        ],
    )
    def test_range_of_moments_of_the_expansion_is_found_point_by_point(self, s, k, increases):
        low = scipy_stats.norm.ppf(0.0005)
        slopes = np.diff(expansion(np.linspace(low, 0, 100_001), s, k))
        assert bool((slopes >= 0).all()) == increases
        assert _increases_between(low, 0.0, s, k) == increases

    @pytest.mark.parametrize("level", [0.05, 0.49, 1, 95, None])
    def test_levels_name_the_share_of_good_periods(self, level):
        with pytest.raises(ValueError, match=r"'level' parameter of value_at_risk must be a float in the range \[0.5"):
            value_at_risk([0.1, -0.1], level=level)

    def test_methods_are_named(self):
        with pytest.raises(ValueError, match=r"'method' parameter of conditional_value_at_risk must be a str among"):
            conditional_value_at_risk([0.1, -0.1], method="normal")

    @pytest.mark.parametrize(
        ("figure", "parameters", "needed"),
        [
            (skewness, {}, 3),
            (skewness, {"bias_corrected": False}, 2),
            (kurtosis, {}, 4),
            (kurtosis, {"bias_corrected": False}, 2),
            (value_at_risk, {"method": "gaussian"}, 2),
            (conditional_value_at_risk, {"method": "cornish_fisher"}, 2),
        ],
    )
    def test_too_few_periods_are_counted(self, figure, parameters, needed):
        returns = np.linspace(-0.1, 0.2, needed)
        with pytest.raises(PanelError, match=f"at least {needed} periods for this figure. Got {needed - 1}"):
            figure(returns[:-1], **parameters)
        with undefined_expansions_allowed():
            assert isinstance(figure(returns, **parameters), float)

    @pytest.mark.parametrize("figure", [hit_rate, skewness, kurtosis, value_at_risk, conditional_value_at_risk])
    def test_missing_and_no_returns_are_errors(self, figure):
        with pytest.raises(NonFiniteError, match="Got 1 NaN or infinite of 5"):
            figure([0.1, 0.2, np.nan, 0.3, 0.4])
        with pytest.raises(PanelError, match=r"at least (one|\d) periods? for this figure. Got 0"):
            figure([])
