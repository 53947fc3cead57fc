import numpy as np
import pandas as pd
import pytest

from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.metrics import BootstrapInterval, bootstrap_interval, sharpe_ratio
from skdrfm.metrics import _bootstrap as bootstrap_module

RETURNS = np.random.default_rng(0).normal(0.01, 0.04, 96)


def annual_sharpe(history):
    return sharpe_ratio(history, periods_per_year=12)


def drawn_histories(values, **parameters):
    """The histories that a statistic sees, the one that happened at the end."""
    seen = []

    def record(history):
        seen.append(history.copy())
        return 0.0

    bootstrap_interval(values, record, **parameters)
    return np.array(seen)


class TestReferenceValues:
    def test_blocks_of_one_period_give_the_standard_error_of_independent_draws(self):
        interval = bootstrap_interval(RETURNS, block_length=1, level=0.9, n_resamples=20000, random_state=0)
        error = RETURNS.std() / np.sqrt(96)
        assert interval.estimate == pytest.approx(RETURNS.mean(), rel=1e-12)
        assert interval.low == pytest.approx(RETURNS.mean() - 1.645 * error, abs=0.05 * error)
        assert interval.high == pytest.approx(RETURNS.mean() + 1.645 * error, abs=0.05 * error)

    def test_circular_blocks_of_the_whole_length_turn_history_around(self):
        histories = drawn_histories(np.arange(7.0), block_length=7, method="circular", n_resamples=50, random_state=0)
        np.testing.assert_array_equal(np.diff(histories, axis=1) % 7, 1)
        assert len(np.unique(histories[:-1, 0])) == 7
        np.testing.assert_array_equal(histories[-1], np.arange(7.0))

    def test_circular_blocks_have_their_length_and_begin_anywhere(self):
        histories = drawn_histories(np.arange(11.0), block_length=4, method="circular", n_resamples=400, random_state=0)
        follows = np.diff(histories[:-1], axis=1) % 11 == 1
        inside = np.array([True, True, True, False, True, True, True, False, True, True])
        assert follows[:, inside].all()
        # A new block happens to go on where the last one ended in one of 11 cases.
        assert 0.03 < follows[:, ~inside].mean() < 0.17
        assert set(histories[:-1, 4]) == set(range(11))

    @pytest.mark.parametrize("block_length", [2, 5, 20])
    def test_stationary_blocks_have_their_mean_length(self, block_length):
        histories = drawn_histories(np.arange(200.0), block_length=block_length, n_resamples=400, random_state=0)
        follows = (np.diff(histories[:-1], axis=1) % 200 == 1).mean()
        expected = 1 - 1 / block_length + 1 / block_length / 200
        assert follows == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 400 / 199))

    @pytest.mark.parametrize("method", ["stationary", "circular"])
    def test_every_period_is_drawn_equally_often(self, method):
        histories = drawn_histories(np.arange(10.0), block_length=3, method=method, n_resamples=3000, random_state=1)
        shares = np.bincount(histories[:-1].astype(int).ravel(), minlength=10) / histories[:-1].size
        np.testing.assert_allclose(shares, 0.1, atol=0.006)
        first = np.bincount(histories[:-1, 0].astype(int), minlength=10) / 3000
        np.testing.assert_allclose(first, 0.1, atol=0.022)

    @pytest.mark.parametrize(("n_periods", "block_length"), [(2, 2), (8, 2), (9, 3), (96, 5), (240, 7)])
    def test_default_block_length(self, n_periods, block_length):
        interval = bootstrap_interval(np.arange(float(n_periods)), n_resamples=1)
        assert interval.block_length == block_length

    def test_longer_blocks_keep_the_dependence_that_widens_the_interval(self):
        overlapping = np.convolve(np.random.default_rng(3).normal(0.0, 0.05, 411), np.ones(12), mode="valid")
        short = bootstrap_interval(overlapping, block_length=1, random_state=0)
        long = bootstrap_interval(overlapping, block_length=24, random_state=0)
        assert long.high - long.low > 2 * (short.high - short.low)

    def test_bounds_are_percentiles(self):
        figures = iter([*range(101), 0])
        interval = bootstrap_interval(RETURNS, lambda _: next(figures), n_resamples=101, level=0.9)
        assert (interval.low, interval.high) == pytest.approx((5.0, 95.0), rel=1e-12)


class TestProperties:
    @pytest.mark.parametrize("method", ["stationary", "circular"])
    @pytest.mark.parametrize(
        ("name", "function", "parameters"),
        [("mean", np.mean, {}), ("sharpe_ratio", annual_sharpe, {"periods_per_year": 12})],
    )
    def test_names_give_what_functions_give(self, name, function, parameters, method):
        shared = {"n_resamples": 50, "random_state": 3, "method": method}
        expected = bootstrap_interval(RETURNS, function, **shared)
        result = bootstrap_interval(RETURNS, name, **shared, **parameters)
        assert (result.estimate, result.low, result.high) == pytest.approx(
            (expected.estimate, expected.low, expected.high), rel=1e-12
        )

    def test_draws_are_repeatable(self):
        first = bootstrap_interval(RETURNS, random_state=7)
        assert first == bootstrap_interval(RETURNS, random_state=7)
        assert first == bootstrap_interval(pd.Series(RETURNS), random_state=np.random.RandomState(7))
        assert first != bootstrap_interval(RETURNS, random_state=8)

    def test_chunks_hold_all_resamples(self, monkeypatch):
        monkeypatch.setattr(bootstrap_module, "_CHUNK_SIZE", 10 * 96)
        histories = drawn_histories(RETURNS, n_resamples=25, random_state=0)
        assert histories.shape == (26, 96)
        assert len(np.unique(histories, axis=0)) == 26

    def test_rows_of_several_columns_stay_whole(self):
        table = pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0) + 100})
        histories = drawn_histories(table, n_resamples=30, random_state=0)
        assert histories.shape == (31, 20, 2)
        np.testing.assert_array_equal(histories[:, :, 1] - histories[:, :, 0], 100)

    def test_a_wider_level_holds_a_narrower_one(self):
        wide, narrow = (bootstrap_interval(RETURNS, level=level, random_state=0) for level in (0.99, 0.5))
        assert wide.low < narrow.low < narrow.high < wide.high

    def test_statistics_cannot_change_the_input(self):
        values = RETURNS.copy()

        def overwrite(history):
            history[:] = 0
            return 0.0

        bootstrap_interval(values, overwrite, n_resamples=2)
        np.testing.assert_array_equal(values, RETURNS)

    def test_table_has_one_row(self):
        interval = bootstrap_interval(RETURNS, random_state=0)
        table = interval.to_frame()
        assert isinstance(interval, BootstrapInterval)
        assert table.shape == (1, 8)
        assert table.loc[0, "low"] == interval.low
        assert table.loc[0, "method"] == "stationary"


class TestUndefined:
    def test_resamples_without_a_figure_are_counted_and_left_out(self):
        values = [0.01, 0.01, 0.01, 0.02]
        with pytest.warns(CoverageWarning, match=r"does not exist for \d+ of 500 resamples") as record:
            interval = bootstrap_interval(
                values, "sharpe_ratio", periods_per_year=12, n_resamples=500, block_length=1, random_state=0
            )
        # All four draws are among the three equal values, or all are the fourth.
        assert interval.n_undefined / 500 == pytest.approx((3**4 + 1) / 4**4, abs=0.08)
        assert f"{interval.n_undefined} of 500" in str(record[0].message)
        assert record[0].filename == __file__
        assert np.isfinite([interval.low, interval.high]).all()

    def test_equal_values_have_no_sharpe_ratio(self):
        with pytest.warns(CoverageWarning, match="does not exist for 10 of 10"):
            interval = bootstrap_interval([0.1] * 3, "sharpe_ratio", periods_per_year=12, n_resamples=10)
        assert np.isnan([interval.estimate, interval.low, interval.high]).all()

    def test_infinite_figures_are_left_out(self):
        figures = iter([1.0, np.inf, 3.0, 2.0])
        with pytest.warns(CoverageWarning, match="for 1 of 3"):
            interval = bootstrap_interval(RETURNS, lambda _: next(figures), n_resamples=3)
        assert 1 <= interval.low <= interval.high <= 3


class TestValidation:
    def test_blocks_must_fit_into_the_history(self):
        with pytest.raises(PanelError, match=r"at most the number of periods \(3\). Got 4"):
            bootstrap_interval([0.1, 0.2, 0.3], block_length=4)

    def test_the_sharpe_ratio_needs_the_periods_of_a_year(self):
        with pytest.raises(PanelError, match="Got None with statistic='sharpe_ratio'. Pass for example 12"):
            bootstrap_interval(RETURNS, "sharpe_ratio")

    def test_other_figures_are_not_annualised(self):
        with pytest.raises(PanelError, match="Got 12 with statistic='mean'. Leave it out"):
            bootstrap_interval(RETURNS, periods_per_year=12)

    def test_named_figures_take_one_series(self):
        with pytest.raises(PanelError, match="Got values with 2 columns"):
            bootstrap_interval(np.ones((5, 2)))

    def test_callables_must_return_a_number(self):
        with pytest.raises(PanelError, match="must return one number for each history. Got ndarray"):
            bootstrap_interval(RETURNS, lambda history: history, n_resamples=2)

    def test_missing_values_are_counted(self):
        with pytest.raises(NonFiniteError, match="Got 1 NaN or infinite of 2"):
            bootstrap_interval([0.1, np.nan])
        with pytest.raises(NonFiniteError, match="Got 2 NaN or infinite of 4"):
            bootstrap_interval([[0.1, np.nan], [np.inf, 1.0]], np.mean)

    @pytest.mark.parametrize("values", [np.ones((1, 2)), np.ones((3, 0)), np.ones((3, 2, 2))])
    def test_tables_must_have_periods_and_columns(self, values):
        with pytest.raises(PanelError, match="at least 2 periods as rows.*Got shape"):
            bootstrap_interval(values, np.mean)

    def test_missing_values_of_nullable_columns_are_counted(self):
        table = pd.DataFrame({"a": [0.1, 0.2, 0.3], "b": [0.1, None, 0.3]}, dtype="Float64")
        with pytest.raises(NonFiniteError, match="Got 1 NaN or infinite of 6"):
            bootstrap_interval(table, lambda history: history.mean())

    def test_tables_must_hold_numbers(self):
        with pytest.raises(PanelError, match="values must hold numbers"):
            bootstrap_interval(pd.DataFrame({"a": ["x", "y"]}), np.mean)

    def test_one_period_is_not_enough(self):
        with pytest.raises(PanelError, match="at least 2 periods"):
            bootstrap_interval([0.1])

    @pytest.mark.parametrize("level", [0, 1, 95])
    def test_level_is_a_share(self, level):
        with pytest.raises(ValueError, match="'level' parameter of bootstrap_interval must be"):
            bootstrap_interval(RETURNS, level=level)

    def test_unknown_figures_are_refused(self):
        with pytest.raises(ValueError, match="'statistic' parameter of bootstrap_interval must be"):
            bootstrap_interval(RETURNS, "median")


@pytest.mark.slow
class TestCoverage:
    """How often 90 % intervals of the mean hold the truth, in 300 histories of 240 periods."""

    @staticmethod
    def coverage(autocorrelation, **parameters):
        rng = np.random.default_rng(0)
        shocks = rng.normal(size=(340, 300))
        histories = np.zeros_like(shocks)
        for t in range(1, 340):
            histories[t] = autocorrelation * histories[t - 1] + shocks[t]
        intervals = [
            bootstrap_interval(history[100:], level=0.9, n_resamples=400, random_state=seed, **parameters)
            for seed, history in enumerate(histories.T)
        ]
        return np.mean([interval.low <= 0 <= interval.high for interval in intervals])

    @pytest.mark.parametrize("method", ["stationary", "circular"])
    @pytest.mark.parametrize("autocorrelation", [0.0, 0.4])
    def test_blocks_cover_about_as_often_as_they_say(self, autocorrelation, method):
        # Three binomial standard errors are 0.05; blocks of finite length lose about as much where periods depend.
        assert 0.8 <= self.coverage(autocorrelation, method=method) <= 0.95

    def test_single_periods_miss_dependence(self):
        # In theory 0.72: the variance of the mean is 7/3 of what independent periods would have.
        assert self.coverage(0.4, block_length=1) == pytest.approx(0.72, abs=0.08)
