from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.metrics import _overfitting as overfitting_module
from skdrfm.metrics import probability_of_backtest_overfitting, sharpe_ratio


def make_returns(n_dates=50, n_trials=6, seed=0):
    return np.random.default_rng(seed).normal(0.005, 0.04, (n_dates, n_trials))


def literal_cross_validation(returns, n_blocks, statistic):
    """The procedure of the paper, one combination after the other."""
    figure = {"mean": np.mean, "sharpe_ratio": lambda r: sharpe_ratio(r, periods_per_year=1)}[statistic]
    blocks = np.array_split(returns, n_blocks)
    rows = []
    for half in combinations(range(n_blocks), n_blocks // 2):
        inside = np.concatenate([blocks[b] for b in range(n_blocks) if b in half])
        outside = np.concatenate([blocks[b] for b in range(n_blocks) if b not in half])
        reached_inside = [figure(trial) for trial in inside.T]
        reached_outside = [figure(trial) for trial in outside.T]
        best = int(np.argmax(reached_inside))
        share = rankdata(reached_outside)[best] / (returns.shape[1] + 1)
        rows.append((best, reached_inside[best], reached_outside[best], np.log(share / (1 - share))))
    return pd.DataFrame(rows, columns=["chosen", "in_sample", "out_of_sample", "logit"])


class TestReferenceValues:
    @pytest.mark.parametrize("statistic", ["mean", "sharpe_ratio"])
    @pytest.mark.parametrize(("n_dates", "n_blocks"), [(24, 2), (48, 8), (53, 6)])
    def test_equals_the_procedure_step_by_step(self, n_dates, n_blocks, statistic):
        returns = make_returns(n_dates)
        result = probability_of_backtest_overfitting(returns, n_blocks=n_blocks, statistic=statistic)
        expected = literal_cross_validation(returns, n_blocks, statistic)
        pd.testing.assert_frame_equal(result.to_frame().reset_index(drop=True), expected, check_dtype=False, rtol=1e-10)
        assert result.probability == (expected["logit"] <= 0).mean()
        assert result.n_combinations == comb(n_blocks, n_blocks // 2)

    def test_two_blocks_by_hand(self):
        # The first half chooses trial 0 (mean 2), worst of three on the second; the second chooses trial 2, second
        # of three on the first: ranks 1 and 2 of 3, so logits log(1/3) and log(1).
        returns = np.array([[1, 0, 0], [3, 0, 2], [0, 1, 4], [0, 3, 4]]) / 100
        result = probability_of_backtest_overfitting(returns, n_blocks=2, statistic="mean")
        assert result.chosen.tolist() == [0, 2]
        np.testing.assert_allclose(result.in_sample, [0.02, 0.04])
        np.testing.assert_allclose(result.out_of_sample, [0.0, 0.01], atol=1e-17)
        np.testing.assert_allclose(result.logits, [np.log(1 / 3), 0.0], atol=1e-15)
        assert result.probability == 1.0

    def test_noise_is_overfitted_half_of_the_time(self):
        figures = [
            probability_of_backtest_overfitting(make_returns(160, 20, seed), n_blocks=8).probability
            for seed in range(60)
        ]
        # Under exchangeable trials the expectation is 1/2; single sets of returns vary by about 0.25.
        assert np.mean(figures) == pytest.approx(0.5, abs=4 * np.std(figures) / np.sqrt(60))
        assert 0.05 < np.std(figures) < 0.4

    def test_a_dominant_trial_is_not_overfitted(self):
        returns = make_returns(120, 20)
        returns[:, 7] += 0.05
        result = probability_of_backtest_overfitting(returns)
        assert result.n_combinations == 12870
        assert result.probability == 0.0
        assert set(result.chosen) == {7}

    def test_blocks_cover_all_dates_the_first_ones_longer(self):
        # One date alone decides which trial is best on its half: it must belong to some block.
        for date in range(11):
            returns = np.zeros((11, 2))
            returns[date, 1] = 1.0
            result = probability_of_backtest_overfitting(returns, n_blocks=4, statistic="mean")
            assert result.chosen.sum() == 3
        returns = np.arange(11.0)[:, None] * [1, 0]
        result = probability_of_backtest_overfitting(returns, n_blocks=4, statistic="mean")
        assert result.in_sample[0] == pytest.approx(np.mean(range(6)))
        assert result.out_of_sample[0] == pytest.approx(np.mean(range(6, 11)))

    def test_equal_trials_share_their_rank(self):
        returns = make_returns(40, 1).repeat(4, axis=1)
        result = probability_of_backtest_overfitting(returns, n_blocks=4)
        np.testing.assert_array_equal(result.logits, 0.0)
        assert result.probability == 1.0

    def test_a_mean_of_equal_returns_exists(self):
        returns = np.column_stack([np.zeros(16), np.full(16, 0.01)])
        result = probability_of_backtest_overfitting(returns, n_blocks=4, statistic="mean")
        assert result.probability == 0.0
        np.testing.assert_allclose(result.in_sample, 0.01)

    def test_a_large_common_level_does_not_drown_the_variation(self):
        returns = make_returns(40, 5)
        result = probability_of_backtest_overfitting(returns + 1e6, n_blocks=4)
        expected = literal_cross_validation(returns + 1e6, 4, "sharpe_ratio")
        np.testing.assert_allclose(result.in_sample, expected["in_sample"], rtol=1e-9)


class TestProperties:
    @given(st.integers(0, 2**20), st.sampled_from(["mean", "sharpe_ratio"]))
    def test_logits_are_bounded_by_the_number_of_trials(self, seed, statistic):
        result = probability_of_backtest_overfitting(make_returns(16, 4, seed), n_blocks=4, statistic=statistic)
        assert np.abs(result.logits).max() <= np.log(4) + 1e-12
        assert 0 <= result.probability <= 1
        # Every half is once the one that chooses and once the other one.
        assert (result.in_sample >= result.out_of_sample[::-1] - 1e-15).all() or statistic == "sharpe_ratio"

    @given(st.integers(0, 2**20))
    def test_the_order_of_trials_does_not_matter(self, seed):
        returns = make_returns(24, 5, seed)
        order = np.random.default_rng(seed).permutation(5)
        result = probability_of_backtest_overfitting(returns, n_blocks=4)
        shuffled = probability_of_backtest_overfitting(returns[:, order], n_blocks=4)
        np.testing.assert_array_equal(shuffled.logits, result.logits)
        np.testing.assert_array_equal(order[shuffled.chosen], result.chosen)

    def test_chunks_hold_all_combinations(self, monkeypatch):
        returns = make_returns()
        expected = probability_of_backtest_overfitting(returns, n_blocks=8).to_frame()
        monkeypatch.setattr(overfitting_module, "_CHUNK_SIZE", 6 * 9)
        pd.testing.assert_frame_equal(probability_of_backtest_overfitting(returns, n_blocks=8).to_frame(), expected)

    def test_names_of_trials_are_kept_and_inputs_are_not_changed(self):
        table = pd.DataFrame(make_returns(24, 3), columns=["a", "b", "c"])
        before = table.copy()
        result = probability_of_backtest_overfitting(table, n_blocks=4)
        plain = probability_of_backtest_overfitting(table.to_numpy(), n_blocks=4)
        assert result.chosen.tolist() == [table.columns[j] for j in plain.chosen]
        pd.testing.assert_frame_equal(table, before)

    def test_numbers_cannot_be_overwritten(self):
        result = probability_of_backtest_overfitting(make_returns(), n_blocks=4)
        for array in (result.logits, result.chosen, result.in_sample, result.out_of_sample):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0
        with pytest.raises(AttributeError):
            result.probability = 0.0

    def test_representation_tells_the_figure(self):
        result = probability_of_backtest_overfitting(make_returns(), n_blocks=2)
        assert repr(result).startswith("BacktestOverfitting(probability=")
        assert repr(result).endswith("n_combinations=2, n_blocks=2, statistic='sharpe_ratio')")


class TestValidation:
    def test_odd_blocks_are_refused(self):
        with pytest.raises(PanelError, match="'n_blocks' must be even.*Got 5"):
            probability_of_backtest_overfitting(make_returns(), n_blocks=5)

    @pytest.mark.parametrize("n_blocks", [0, 22])
    def test_blocks_are_bounded(self, n_blocks):
        with pytest.raises(ValueError, match="'n_blocks' parameter of probability_of_backtest_overfitting must be"):
            probability_of_backtest_overfitting(make_returns(), n_blocks=n_blocks)

    @pytest.mark.parametrize("returns", [np.ones(40), np.ones((40, 1)), np.ones((31, 3))])
    def test_tables_need_trials_and_dates(self, returns):
        with pytest.raises(PanelError, match="at least 2 trials, and 32 dates for 16 blocks. Got shape"):
            probability_of_backtest_overfitting(returns)

    def test_missing_returns_are_named_by_trial(self):
        table = pd.DataFrame(make_returns(), columns=list("abcdef"))
        table.iloc[3, 2] = np.nan
        with pytest.raises(NonFiniteError, match="NaN: 1 in 'c'"):
            probability_of_backtest_overfitting(table)

    def test_missing_returns_of_nullable_columns_are_named_by_trial(self):
        returns = pd.DataFrame(make_returns(40, 3), columns=list("abc"), dtype="Float64")
        returns.iloc[1, 2] = pd.NA
        with pytest.raises(NonFiniteError, match="NaN: 1 in 'c'"):
            probability_of_backtest_overfitting(returns, n_blocks=4)

    def test_tables_must_hold_numbers(self):
        with pytest.raises(PanelError, match="returns must hold numbers. Got DataFrame"):
            probability_of_backtest_overfitting(pd.DataFrame({"a": ["x"] * 40, "b": 1.0}))

    def test_trials_that_rest_for_half_of_the_time_have_no_sharpe_ratio(self):
        table = pd.DataFrame(make_returns(44, 3), columns=["a", "b", "c"])
        table.loc[np.r_[0:12, 33:44], "b"] = 0.0
        with pytest.raises(PanelError, match=r"Got equal ones for 1 of 3 trials: 'b'"):
            probability_of_backtest_overfitting(table, n_blocks=8, statistic="sharpe_ratio")
        probability_of_backtest_overfitting(table, n_blocks=8, statistic="mean")

    def test_halves_that_rest_at_different_levels_have_a_sharpe_ratio(self):
        # Four of eight blocks are constant, two at each of two levels: no half of four is constant throughout.
        returns = make_returns(48, 2)
        returns[:12, 0], returns[36:, 0] = 0.0, 0.01
        result = probability_of_backtest_overfitting(returns, n_blocks=8)
        expected = literal_cross_validation(returns, 8, "sharpe_ratio")
        np.testing.assert_allclose(result.logits, expected["logit"], atol=1e-12)
