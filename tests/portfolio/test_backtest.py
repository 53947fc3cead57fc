from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.metrics import max_drawdown, newey_west_t, performance_summary
from skdrfm.portfolio import backtest, backtest_weights, long_short_weights, quantile_weights, turnover


def simulated(n_dates=8, n_assets=13, seed=0, decimals=1):
    """Predictions with many ties and returns, by (date, asset), without some pairs."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2020-01-31", periods=n_dates, freq="ME")
    index = pd.MultiIndex.from_product([dates, [f"S{i}" for i in range(n_assets)]], names=["date", "asset"])
    index = index[rng.random(len(index)) > 0.1]
    predictions = pd.Series(rng.normal(size=len(index)).round(decimals), index=index)
    returns = pd.Series(rng.normal(0, 0.1, len(index)), index=index)
    return predictions, returns


@pytest.fixture
def panel():
    return simulated()


def two_names(rows):
    index = pd.MultiIndex.from_product([range(1, len(rows) + 1), ["A", "B"]], names=["date", "asset"])
    return pd.Series(np.ravel(rows).astype(float), index=index)


class TestReferenceValues:
    def test_two_names_by_hand(self):
        predictions = two_names([[1, 2], [1, 2], [2, 1]])
        returns = two_names([[0.01, 0.03], [0.02, -0.01], [0.05, 0.01]])
        result = backtest(predictions, returns, n_quantiles=2, cost=0.01)
        np.testing.assert_allclose(result.gross_long_short, [0.02, -0.03, 0.04], rtol=1e-14)
        np.testing.assert_allclose(result.turnover, [2, 0, 4], atol=1e-14)
        np.testing.assert_allclose(result.long_short, [0, -0.03, 0], atol=1e-15)
        np.testing.assert_allclose(result.quantile_returns[1], [0.01, 0.02, 0.01])
        np.testing.assert_allclose(result.quantile_returns[2], [0.03, -0.01, 0.05])
        assert result.weights.tolist() == [-1, 1, -1, 1, 1, -1]
        assert result.n_names.tolist() == [2, 2, 2]
        assert (result.cost, result.periods_per_year) == (0.01, 12)

    def test_summary_holds_the_paper_convention(self, panel):
        result = backtest(*panel, cost=0.001, periods_per_year=4)
        summary, r = result.summary(), result.long_short.to_numpy()
        assert summary["Return"] == pytest.approx(4 * r.mean())
        assert summary["Volatility"] == pytest.approx(2 * r.std(ddof=1))
        assert summary["Sharpe ratio"] == pytest.approx(summary["Return"] / summary["Volatility"])
        assert summary["Max drawdown"] == max_drawdown(r)
        assert summary["Newey-West t"] == newey_west_t(r)
        assert summary["Mean turnover"] == pytest.approx(result.turnover.mean())
        assert summary["Dates"] == 8
        assert summary["Dates without portfolio"] == 0

    def test_returns_are_weights_times_returns_of_each_date(self, panel):
        predictions, returns = panel
        result = backtest(predictions, returns, n_quantiles=4)
        columns = quantile_weights(predictions, n_quantiles=4)
        expected = columns.mul(returns, axis=0).groupby(level="date").sum()
        np.testing.assert_allclose(result.quantile_returns, expected, atol=1e-15)
        spread = result.quantile_returns[4] - result.quantile_returns[1]
        np.testing.assert_allclose(result.gross_long_short, spread, atol=1e-15)
        pd.testing.assert_series_equal(
            result.weights, long_short_weights(predictions, n_quantiles=4).sort_index(), check_exact=True
        )
        pd.testing.assert_series_equal(result.turnover, turnover(result.weights, returns))

    def test_cumulative_returns_are_compounded(self, panel):
        result = backtest(*panel, cost=0.002)
        cumulative = result.cumulative()
        assert list(cumulative.columns) == ["long_short", *(f"quantile_{j}" for j in range(1, 6))]
        np.testing.assert_allclose(cumulative["long_short"], (1 + result.long_short).cumprod() - 1)
        np.testing.assert_allclose(cumulative["quantile_2"], (1 + result.quantile_returns[2]).cumprod() - 1)

    def test_table_by_date_has_every_figure(self, panel):
        result = backtest(*panel, n_quantiles=2)
        table = result.to_frame()
        assert list(table.columns) == [
            "long_short",
            "gross_long_short",
            "turnover",
            "costs",
            "borrow_fees",
            "orders_not_executed",
            "n_names",
            "quantile_1",
            "quantile_2",
        ]
        np.testing.assert_array_equal(table["quantile_2"], result.quantile_returns[2])
        np.testing.assert_array_equal(table["turnover"], result.turnover)
        assert table.index.name == "date"

    def test_one_date_has_a_return_and_no_figures_that_need_two(self):
        result = backtest(two_names([[1, 2]]), two_names([[0.01, 0.03]]), n_quantiles=2)
        summary = result.summary()
        assert summary["Return"] == pytest.approx(0.24)
        assert summary[["Volatility", "Sharpe ratio", "Newey-West t"]].isna().all()

    def test_summary_continues_the_figures_of_a_return_series(self, panel):
        result = backtest(*panel, cost=0.001, borrow_fee=0.03)
        summary = result.summary()
        figures = performance_summary(result.long_short, periods_per_year=12)
        pd.testing.assert_series_equal(summary[: len(figures)], figures, check_exact=True)
        assert list(summary.index[len(figures) :]) == [
            "Mean turnover",
            "Break-even cost",
            "Mean cost",
            "Dates",
            "Dates without portfolio",
            "Orders not executed",
        ]
        assert summary["Mean cost"] == pytest.approx((result.gross_long_short - result.long_short).mean())

    def test_mean_return_is_zero_at_the_break_even_cost(self):
        index = pd.MultiIndex.from_product([range(6), range(10)], names=["date", "asset"])
        returns = pd.Series(np.random.default_rng(0).normal(0, 0.1, len(index)), index=index)
        predictions = returns + np.random.default_rng(1).normal(0, 0.1, len(index))
        cost = backtest(predictions, returns, borrow_fee=0.02).summary()["Break-even cost"]
        assert cost > 0.005
        assert backtest(predictions, returns, borrow_fee=0.02, cost=cost).long_short.mean() == pytest.approx(
            0, abs=1e-15
        )

    def test_quantile_summary_by_hand(self, panel):
        result = backtest(*panel, n_quantiles=3, cost=0.01, periods_per_year=4)
        table = result.quantile_summary()
        assert list(table.index) == ["quantile_1", "quantile_2", "quantile_3", "gross_long_short"]
        second, spread = result.quantile_returns[2].to_numpy(), result.gross_long_short.to_numpy()
        for name, r in (("quantile_2", second), ("gross_long_short", spread)):
            mean, std = r.sum() / 8, np.sqrt(((r - r.mean()) ** 2).sum() / 7)
            assert table.loc[name, "Mean return"] == pytest.approx(mean)
            assert table.loc[name, "Standard error"] == pytest.approx(std / np.sqrt(8))
            assert table.loc[name, "Newey-West t"] == newey_west_t(r)
            assert table.loc[name, "Sharpe ratio"] == pytest.approx(2 * mean / std)

    def test_quantile_summary_of_one_date_has_means_alone(self):
        result = backtest(two_names([[1, 2]]), two_names([[0.01, 0.03]]), n_quantiles=2)
        table = result.quantile_summary()
        np.testing.assert_allclose(table["Mean return"], [0.01, 0.03, 0.02])
        assert table.drop(columns="Mean return").isna().all(axis=None)

    def test_positions_are_the_weights_if_each_date_is_traded_at_once(self, panel):
        result = backtest(*panel)
        pd.testing.assert_series_equal(result.positions, result.weights, check_exact=True)

    @pytest.mark.filterwarnings("ignore:.* orders .* could not be executed")
    def test_quantile_portfolios_are_held_with_the_delay_and_drift_of_the_spread(self, panel):
        predictions, returns = panel
        options = {"delay": 1, "rebalance_every": 2}
        result = backtest(predictions, returns, n_quantiles=3, **options)
        columns = quantile_weights(predictions, n_quantiles=3)
        for quantile in (1, 2, 3):
            alone = backtest_weights(columns[quantile], returns, **options)
            np.testing.assert_allclose(alone.long_short, result.quantile_returns[quantile], atol=1e-15)

    def test_repr_says_what_was_done_in_one_line(self, panel):
        text = repr(backtest(*panel, cost=0.001))
        assert text.startswith("BacktestResult(8 dates from 2020-01-31")
        assert text.endswith("5 quantiles, cost=0.001)")

    @pytest.mark.filterwarnings("ignore:.* orders .* could not be executed")
    def test_repr_names_the_options_that_were_used(self, panel):
        predictions, returns = panel
        fees = pd.Series(0.01, index=predictions.index.levels[1])
        result = backtest(predictions, returns, cost=fees, borrow_fee=0.02, delay=2, rebalance_every=3)
        assert repr(result).endswith("cost=by asset, borrow_fee=0.02, delay=2, rebalance_every=3)")
        assert np.isnan(result.cost)
        text = repr(backtest_weights(long_short_weights(predictions), returns, borrow_fee=fees))
        assert text.endswith("given weights, cost=0, borrow_fee=by asset)")


class TestProperties:
    @pytest.mark.parametrize("seed", range(5))
    def test_row_order_changes_nothing_to_the_last_bit(self, panel, seed):
        predictions, returns = panel
        rng = np.random.default_rng(seed)
        expected = backtest(predictions, returns, cost=0.001)
        result = backtest(
            predictions.iloc[rng.permutation(len(predictions))],
            returns.iloc[rng.permutation(len(returns))],
            cost=0.001,
        )
        pd.testing.assert_frame_equal(result.to_frame(), expected.to_frame(), check_exact=True)
        pd.testing.assert_series_equal(result.weights, expected.weights, check_exact=True)

    def test_order_of_index_levels_changes_nothing(self, panel):
        predictions, returns = panel
        expected = backtest(predictions, returns).to_frame()
        for left, right in [(predictions.swaplevel(), returns), (predictions, returns.swaplevel())]:
            pd.testing.assert_frame_equal(backtest(left, right).to_frame(), expected, check_exact=True)

    @given(st.integers(2, 40), st.integers(2, 6), st.integers(0, 2), st.integers(1, 3), st.integers(0, 10))
    def test_equal_predictions_return_exactly_nothing_with_every_option(
        self, n_assets, n_quantiles, delay, rebalance_every, seed
    ):
        index = pd.MultiIndex.from_product([range(5), range(n_assets)], names=["date", "asset"])
        returns = pd.Series(np.random.default_rng(seed).normal(size=len(index)), index=index)
        result = backtest(
            pd.Series(0.02, index=index),
            returns,
            n_quantiles=n_quantiles,
            min_names=2,
            cost=0.01,
            borrow_fee=0.1,
            delay=delay,
            rebalance_every=rebalance_every,
        )
        assert (result.long_short[delay:] == 0).all()
        assert (result.turnover[delay:] == 0).all()

    @given(st.integers(2, 40), st.integers(2, 6), st.floats(-1e-3, 1e-3), st.integers(0, 10))
    def test_equal_predictions_return_exactly_nothing(self, n_assets, n_quantiles, value, seed):
        index = pd.MultiIndex.from_product([[1, 2], range(n_assets)], names=["date", "asset"])
        returns = pd.Series(np.random.default_rng(seed).normal(size=len(index)), index=index)
        predictions = pd.Series(value, index=index)
        result = backtest(predictions, returns, n_quantiles=n_quantiles, min_names=2, cost=0.01)
        assert (result.long_short == 0).all()
        assert (result.turnover == 0).all()

    @pytest.mark.parametrize("seed", range(5))
    def test_opposite_predictions_earn_the_opposite(self, seed):
        predictions, returns = simulated(seed=seed)
        result, flipped = backtest(predictions, returns), backtest(-predictions, returns)
        np.testing.assert_array_equal(flipped.gross_long_short, -result.gross_long_short)
        np.testing.assert_array_equal(flipped.turnover, result.turnover)

    @pytest.mark.parametrize("seed", range(5))
    def test_increasing_transforms_change_nothing(self, seed):
        predictions, returns = simulated(seed=seed)
        result = backtest(np.exp(3 * predictions), returns).to_frame()
        pd.testing.assert_frame_equal(result, backtest(predictions, returns).to_frame(), check_exact=True)

    @given(st.floats(0, 0.1), st.floats(0, 0.1), st.integers(0, 20))
    def test_costs_never_help(self, low, high, seed):
        low, high = sorted([low, high])
        panel = simulated(n_dates=4, seed=seed)
        cheap, dear = backtest(*panel, cost=low), backtest(*panel, cost=high)
        assert (dear.long_short <= cheap.long_short).all()
        assert (cheap.long_short <= cheap.gross_long_short).all()
        np.testing.assert_array_equal(cheap.gross_long_short, dear.gross_long_short)

    @pytest.mark.parametrize("n_quantiles", [2, 3, 5])
    def test_quantiles_average_to_the_equal_weighted_universe(self, panel, n_quantiles):
        predictions, returns = panel
        result = backtest(predictions, returns, n_quantiles=n_quantiles)
        universe = returns.groupby(level="date").mean()
        np.testing.assert_allclose(result.quantile_returns.mean(axis=1), universe, atol=1e-15)

    def test_returns_that_are_not_needed_are_ignored(self, panel):
        predictions, returns = panel
        more = pd.MultiIndex.from_product([[pd.Timestamp("2030-01-31")], ["S0"]], names=["date", "asset"])
        longer = pd.concat([pd.Series(np.inf, index=more), returns])
        expected = backtest(predictions, returns).to_frame()
        pd.testing.assert_frame_equal(backtest(predictions, longer).to_frame(), expected)

    def test_later_rows_change_no_earlier_figure(self, panel):
        predictions, returns = panel
        dates = predictions.index.get_level_values("date")
        early = dates <= dates.unique().sort_values()[4]
        expected = backtest(predictions[early], returns[early], cost=0.001).to_frame()
        whole = backtest(predictions, returns, cost=0.001).to_frame()
        pd.testing.assert_frame_equal(whole.loc[expected.index], expected, check_exact=True)

    def test_inputs_are_not_changed(self, panel):
        predictions, returns = panel
        kept = predictions.copy(), returns.copy()
        backtest(predictions, returns, cost=0.001).summary()
        pd.testing.assert_series_equal(predictions, kept[0])
        pd.testing.assert_series_equal(returns, kept[1])


class TestCoverage:
    def test_dates_with_few_names_are_nan_and_never_zero(self):
        index = pd.MultiIndex.from_tuples([(1, "A"), (1, "B"), (2, "A"), (3, "A"), (3, "B")], names=["date", "asset"])
        predictions = pd.Series([1.0, 2, 1, 1, 2], index=index)
        returns = pd.Series([0.0, 0.1, 0.5, 0.0, 0.2], index=index)
        with pytest.warns(CoverageWarning, match="1 of 3 dates have fewer than 2 names") as caught:
            result = backtest(predictions, returns, n_quantiles=2)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        np.testing.assert_allclose(result.long_short, [0.1, np.nan, 0.2])
        assert result.quantile_returns.loc[2].isna().all()
        np.testing.assert_allclose(result.turnover, [2, np.nan, 2])
        assert np.isnan(result.weights[2, "A"])
        assert result.n_names.tolist() == [2, 1, 2]
        summary = result.summary()
        assert (summary["Dates"], summary["Dates without portfolio"]) == (3, 1)
        assert summary["Orders not executed"] == 0
        assert summary["Break-even cost"] == pytest.approx(0.15 / 2)
        assert summary["Return"] == pytest.approx(12 * 0.15)
        np.testing.assert_allclose(result.cumulative()["long_short"], [0.1, 0.1, 0.32])

    def test_a_formation_date_with_few_names_closes_the_position_until_the_next_one(self):
        rows = [(date, asset) for date in range(6) for asset in ("AB" if date != 2 else "A")]
        index = pd.MultiIndex.from_tuples(rows, names=["date", "asset"])
        predictions = pd.Series([1.0 if asset == "A" else 2.0 for _, asset in rows], index=index)
        returns = pd.Series(0.1, index=index)
        with pytest.warns(CoverageWarning, match="1 of 3 dates have fewer than 2 names"):
            result = backtest(predictions, returns, n_quantiles=2, rebalance_every=2)
        np.testing.assert_array_equal(result.turnover, [2, 0, np.nan, np.nan, 2, 0])
        assert result.long_short.isna().tolist() == [False, False, True, True, False, False]
        assert result.quantile_returns[1].isna().tolist() == [False, False, True, True, False, False]
        assert result.positions[result.positions.index.get_level_values("date").isin([2, 3])].isna().all()

    def test_few_names_between_formations_do_not_matter(self):
        rows = [(date, asset) for date in range(4) for asset in ("AB" if date != 1 else "A")]
        index = pd.MultiIndex.from_tuples(rows, names=["date", "asset"])
        predictions = pd.Series([1.0 if asset == "A" else 2.0 for _, asset in rows], index=index)
        full = pd.MultiIndex.from_product([range(4), ["A", "B"]], names=["date", "asset"])
        result = backtest(predictions, pd.Series(0.1, index=full), n_quantiles=2, rebalance_every=2)
        assert result.turnover.tolist() == [2, 0, 0, 0]
        assert result.positions[1, "B"] == 1
        assert result.n_names.tolist() == [2, 1, 2, 2]


class TestFrozen:
    def test_fields_cannot_be_replaced(self, panel):
        with pytest.raises(FrozenInstanceError):
            backtest(*panel).cost = 1.0

    @pytest.mark.parametrize(
        "name",
        [
            "long_short",
            "gross_long_short",
            "quantile_returns",
            "weights",
            "positions",
            "turnover",
            "costs",
            "borrow_fees",
            "orders_not_executed",
            "n_names",
        ],
    )
    def test_numbers_cannot_be_overwritten(self, panel, name):
        figures = getattr(backtest(*panel), name)
        with pytest.raises(ValueError, match="read-only"):
            figures.iloc[0] = 0


class TestValidation:
    def test_predictions_without_a_return_are_counted_with_the_first_pairs(self, panel):
        predictions, returns = panel
        returns = returns.copy()
        returns.iloc[:2] = np.nan
        with pytest.raises(PanelError, match=r"Got 7 of \d+ rows without one: .*'S0'.* and 4 more") as caught:
            backtest(predictions, returns.iloc[:-5])
        assert "returns.dropna().index" in str(caught.value)

    def test_empty_returns_leave_all_pairs_without_one(self, panel):
        predictions, returns = panel
        n_rows = len(predictions)
        with pytest.raises(PanelError, match=f"Got {n_rows} of {n_rows} rows without one"):
            backtest(predictions, returns.iloc[:0])

    def test_all_pairs_absent_hints_at_the_type_of_dates(self, panel):
        predictions, returns = panel
        texts = returns.copy()
        texts.index = texts.index.set_levels(texts.index.levels[0].strftime("%Y-%m"), level="date")
        with pytest.raises(PanelError, match="Check that both use the same type of dates"):
            backtest(predictions, texts)

    def test_missing_predictions_are_counted(self, panel):
        predictions, returns = panel
        predictions = predictions.copy()
        predictions.iloc[3] = np.nan
        with pytest.raises(NonFiniteError, match=r"predictions must hold finite numbers. Got NaN: 1"):
            backtest(predictions, returns)

    def test_infinite_returns_are_refused(self, panel):
        predictions, returns = panel
        returns = returns.copy()
        returns.iloc[3] = np.inf
        with pytest.raises(NonFiniteError, match="returns must hold finite numbers"):
            backtest(predictions, returns)

    @pytest.mark.parametrize("kind", ["array", "frame"])
    def test_only_series_carry_rows(self, panel, kind):
        predictions, returns = panel
        wrong = predictions.to_numpy() if kind == "array" else predictions.to_frame()
        with pytest.raises(PanelError, match="predictions must be a Series indexed by"):
            backtest(wrong, returns)
        with pytest.raises(PanelError, match="returns must be a Series indexed by"):
            backtest(predictions, wrong)

    def test_other_level_names_are_refused(self, panel):
        predictions, returns = panel
        with pytest.raises(PanelError, match="predictions must have a MultiIndex"):
            backtest(predictions.rename_axis(["month", "permno"]), returns)

    def test_duplicate_pairs_are_refused(self, panel):
        predictions, returns = panel
        with pytest.raises(PanelError, match="returns must have one row for each"):
            backtest(predictions, pd.concat([returns, returns.iloc[:1]]))

    def test_no_rows_are_refused(self, panel):
        predictions, returns = panel
        with pytest.raises(PanelError, match="predictions must have at least one row"):
            backtest(predictions.iloc[:0], returns)

    def test_texts_are_refused(self, panel):
        predictions, returns = panel
        with pytest.raises(PanelError, match="predictions must hold numbers"):
            backtest(predictions.astype(object).map(lambda _: "a"), returns)

    def test_fewer_assets_than_quantiles_is_an_error(self, panel):
        with pytest.raises(PanelError, match="20 names for 20 quantile portfolios"):
            backtest(*panel, n_quantiles=20)

    @pytest.mark.parametrize(
        "parameter",
        [
            {"cost": -0.1},
            {"cost": "high"},
            {"borrow_fee": -0.1},
            {"delay": -1},
            {"delay": 0.5},
            {"rebalance_every": 0},
            {"n_quantiles": 1},
            {"periods_per_year": 0},
            {"min_names": 0},
        ],
    )
    def test_parameters_out_of_range_are_named(self, panel, parameter):
        (name,) = parameter
        with pytest.raises(ValueError, match=f"'{name}' parameter of backtest must be"):
            backtest(*panel, **parameter)
