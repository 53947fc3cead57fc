"""Whether figures find skill where it was planted, and none where there is none.

Numbers of dates, names and seeds were fixed before the first run; bounds follow from theory and from the binomial
distribution of counts.
"""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from skdrfm.metrics import (
    deflated_sharpe_ratio,
    diebold_mariano,
    information_coefficient,
    newey_west_t,
    probabilistic_sharpe_ratio,
    probability_of_backtest_overfitting,
    quantile_returns,
    rank_information_coefficient,
    sharpe_ratio,
)

N_DATES = 120
N_NAMES = 50
N_SEEDS = 200


def planted_panel(correlation, seed, n_dates=N_DATES, n_names=N_NAMES):
    """Scores and returns that are bivariate normal with one correlation on each date, as Series by (date, asset)."""
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product([range(n_dates), range(n_names)], names=["date", "asset"])
    common = rng.normal(0.0, 0.05, n_dates).repeat(n_names)
    scores = rng.normal(size=len(index))
    noise = rng.normal(size=len(index))
    # The common return of a date must not matter to figures of its cross-section.
    returns = common + 0.1 * (correlation * scores + np.sqrt(1 - correlation**2) * noise)
    return pd.Series(returns, index=index), pd.Series(scores, index=index)


def shuffled_within_dates(y, seed):
    """The same returns on each date, dealt to other names."""
    places = np.random.default_rng(seed).random((N_DATES, N_NAMES)).argsort(axis=1)
    dealt = np.take_along_axis(y.to_numpy().reshape(N_DATES, N_NAMES), places, axis=1)
    return pd.Series(dealt.ravel(), index=y.index)


def binomial_band(probability, n_seeds):
    """Counts outside of which chance leads in fewer than 3 of 1,000 cases."""
    return binom.ppf(0.0015, n_seeds, probability), binom.ppf(0.9985, n_seeds, probability)


class TestPlantedSkill:
    @pytest.mark.parametrize("correlation", [0.0, 0.03, 0.1, 0.3])
    def test_information_coefficients_are_recovered_within_three_standard_errors(self, correlation):
        n, errors = N_NAMES, {"plain": [], "rank": []}
        # Moments of the bivariate normal distribution. Pearson: expectation and variance to order 1/n. Spearman: exact
        # expectation, which tends to (6/pi) asin(rho/2); the variance 1/(n-1) of rho = 0 is the largest.
        plain = correlation * (1 - (1 - correlation**2) / (2 * n))
        rank = 6 / (np.pi * (n + 1)) * (np.arcsin(correlation) + (n - 2) * np.arcsin(correlation / 2))
        for seed in range(12):
            y, scores = planted_panel(correlation, seed)
            ic, rank_ic = information_coefficient(y, scores), rank_information_coefficient(y, scores)
            errors["plain"].append((ic.mean() - plain) / ((1 - correlation**2) / np.sqrt((n - 1) * N_DATES)))
            errors["rank"].append((rank_ic.mean() - rank) * np.sqrt((n - 1) * N_DATES))
        for standardised in errors.values():
            assert np.abs(standardised).max() < 3
            # Standard errors are as large as theory says, and not larger.
            assert 0.5 < np.sqrt(np.mean(np.square(standardised))) < 1.6

    def test_rank_information_coefficient_tends_to_its_limit(self):
        y, scores = planted_panel(0.3, seed=0, n_dates=20, n_names=5000)
        limit = 6 / np.pi * np.arcsin(0.15)
        assert rank_information_coefficient(y, scores).mean() == pytest.approx(limit, abs=3 / np.sqrt(5000 * 20))

    def test_planted_skill_is_significant(self):
        y, scores = planted_panel(0.1, seed=1)
        # The t statistic of a mean IC of 0.1 is about 0.1 sqrt(50 x 120) = 7.7.
        assert newey_west_t(rank_information_coefficient(y, scores)) > 4

    def test_the_forecast_that_knows_is_better_than_zero(self):
        y, scores = planted_panel(0.2, seed=2)
        result = diebold_mariano(y, {"zero": scores * 0.0, "knows": 0.02 * scores})
        assert result.statistic.loc["zero", "knows"] > 3


@pytest.fixture(scope="module")
def shuffled_t_values():
    """T statistics of mean rank IC and long/short return of shuffled panels, one row for each seed."""
    rows = []
    for seed in range(N_SEEDS):
        y, scores = planted_panel(0.1, seed)
        y = shuffled_within_dates(y, seed + 10_000)
        by_quantile = quantile_returns(y, scores, n_quantiles=5)
        long_short = by_quantile.iloc[:, -1] - by_quantile.iloc[:, 0]
        rows.append((newey_west_t(rank_information_coefficient(y, scores)), newey_west_t(long_short)))
    return pd.DataFrame(rows, columns=["rank_ic", "long_short"])


@pytest.mark.slow
class TestShuffledLabels:
    @pytest.mark.parametrize("figure", ["rank_ic", "long_short"])
    def test_about_95_percent_of_seeds_have_t_below_two(self, shuffled_t_values, figure):
        # In 60,000 series of 120 independent normal values 94.3 % have |t| < 2 with 4 lags.
        low, high = binomial_band(0.943, N_SEEDS)
        assert low <= (shuffled_t_values[figure].abs() < 2).sum() <= high

    @pytest.mark.parametrize("figure", ["rank_ic", "long_short"])
    def test_t_is_centred_at_zero(self, shuffled_t_values, figure):
        assert abs(shuffled_t_values[figure].mean()) < 3 * 1.05 / np.sqrt(N_SEEDS)
        assert shuffled_t_values[figure].std() == pytest.approx(1.04, abs=3 * 1.04 / np.sqrt(2 * N_SEEDS))

    def test_equal_forecasts_are_told_apart_by_chance_alone(self):
        # Two forecasts with noise of the same size: 95.4 % below 2 in the limit, a little fewer in 120 dates.
        below = 0
        for seed in range(N_SEEDS):
            y, scores = planted_panel(0.0, seed)
            other = shuffled_within_dates(scores, seed + 20_000)
            p = diebold_mariano(y, {"a": 0.01 * scores, "b": 0.01 * other}).p_values.loc["a", "b"]
            below += p >= 0.05
        low, high = binomial_band(0.94, N_SEEDS)
        assert low <= below <= high


class TestManyTrials:
    @staticmethod
    def random_strategies(seed, n_dates=N_DATES, n_trials=100):
        return np.random.default_rng(seed).normal(0.0, 0.03, (n_dates, n_trials))

    def test_best_of_100_random_strategies_is_not_taken_for_skill(self):
        deflated, plain = 0, 0
        for seed in range(N_SEEDS):
            strategies = self.random_strategies(seed)
            ratios = np.sqrt(12) * strategies.mean(axis=0) / strategies.std(axis=0, ddof=1)
            best = strategies[:, ratios.argmax()]
            deflated += deflated_sharpe_ratio(best, trial_sharpe_ratios=ratios, periods_per_year=12) < 0.95
            plain += probabilistic_sharpe_ratio(best, periods_per_year=12) < 0.95
        assert deflated >= 0.9 * N_SEEDS
        # Without deflation nearly all of these seeds would have passed for skill.
        assert plain < 0.1 * N_SEEDS

    def test_skill_among_random_strategies_is_still_found(self):
        found = 0
        for seed in range(20):
            strategies = self.random_strategies(seed, n_dates=240)
            # Annual Sharpe ratio of 1.7 over 20 years, where luck gives the best of 100 about 0.57.
            strategies[:, 0] += 0.015
            ratios = [sharpe_ratio(column, periods_per_year=12) for column in strategies.T]
            result = deflated_sharpe_ratio(strategies[:, 0], trial_sharpe_ratios=ratios, periods_per_year=12)
            found += result > 0.95
        assert found >= 18

    def test_overfitting_is_told_from_skill(self):
        noise, skill = [], []
        for seed in range(10):
            strategies = self.random_strategies(seed, n_trials=30)
            noise.append(probability_of_backtest_overfitting(strategies, n_blocks=8).probability)
            strategies[:, 0] += 0.02
            skill.append(probability_of_backtest_overfitting(strategies, n_blocks=8).probability)
        assert 0.3 < np.mean(noise) < 0.7
        assert max(skill) < 0.05
