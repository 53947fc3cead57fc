"""What is held between trades: delay, drift, names that leave, against one name after the other in dictionaries."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.portfolio import backtest, backtest_weights, long_short_weights, turnover

pytestmark = pytest.mark.filterwarnings("ignore:.* orders .* could not be executed")

LEGS = (1, -1)
COLUMNS = ["long_short", "gross_long_short", "turnover", "costs", "borrow_fees", "orders_not_executed", "n_names"]


def panel_series(rows):
    index = pd.MultiIndex.from_tuples([row[:2] for row in rows], names=["date", "asset"])
    return pd.Series([row[2] for row in rows], index=index, dtype=float)


def leg_of(weights, sign):
    return {name: weight for name, weight in weights.items() if sign * weight > 0}


def literal_backtest(weights, returns, *, cost, borrow_fee, delay, rebalance_every, periods_per_year):
    """One date after the other, one name after the other; costs and fees are dictionaries of all pairs."""
    dates = sorted(set(weights.index.get_level_values("date")))
    orders = {date: weights.xs(date, level="date").to_dict() for date in dates}
    realised = returns.dropna().to_dict()
    left_over, cash, size, open_ = {}, {}, {}, False
    table, positions = [], {}
    for number, date in enumerate(dates):
        age = number - delay
        missed, held = 0, {}
        if age >= 0 and age % rebalance_every == 0:
            order = orders[dates[age]]
            open_ = not any(np.isnan(weight) for weight in order.values())
            if open_:
                held = {name: weight for name, weight in order.items() if (date, name) in realised}
                absent = {name: weight for name, weight in order.items() if name not in held}
                missed = sum(weight != 0 for weight in absent.values())
                size = {sign: sum(leg_of(order, sign).values()) for sign in LEGS}
                cash = {sign: sum(leg_of(absent, sign).values()) for sign in LEGS}
            else:
                listed = [name for name in order if (date, name) in realised]
        elif open_:
            held = {name: weight for name, weight in left_over.items() if (date, name) in realised}
            sold = {name: weight for name, weight in left_over.items() if name not in held}
            cash = {sign: cash[sign] + sum(leg_of(sold, sign).values()) for sign in LEGS}
        else:
            listed = [name for name in left_over if (date, name) in realised]
        if not open_:
            table.append([np.nan] * 5 + [0, len(orders[date])])
            # Only the names are kept: those of an order that was not formed are listed until the next one.
            left_over = dict.fromkeys(listed, 0.0) if age >= 0 else {}
            positions.update({(date, name): np.nan for name in left_over})
            continue

        trades = {
            name: abs(held.get(name, 0.0) - left_over.get(name, 0.0)) for name in [*held, *(set(left_over) - set(held))]
        }
        paid = 0.0
        for name, amount in trades.items():
            at = date if (date, name) in cost else dates[number - 1]
            paid += amount * cost[at, name] if amount else 0.0
        fees = sum(borrow_fee[date, name] / periods_per_year * -weight for name, weight in leg_of(held, -1).items())
        paid += fees
        gross = sum(weight * realised[date, name] for name, weight in held.items())
        table.append([gross - paid, gross, sum(trades.values()), paid, fees, missed, len(orders[date])])
        positions.update({(date, name): weight for name, weight in held.items()})

        left_over = dict.fromkeys(held, 0.0)
        for sign in LEGS:
            grown = {name: w * max(1 + realised[date, name], 0) for name, w in leg_of(held, sign).items()}
            value = sum(grown.values()) + cash[sign]
            factor = size[sign] / value if value else 0.0
            left_over.update({name: weight * factor for name, weight in grown.items()})
            cash[sign] *= factor
    frame = pd.DataFrame(table, index=pd.Index(dates, name="date"), columns=COLUMNS)
    return frame, pd.Series(positions, dtype=float)


@st.composite
def cases(draw):
    """Ragged panels, pairs with a return and no weight, a date without portfolio, and all options."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_dates, n_assets = draw(st.integers(1, 8)), draw(st.integers(1, 5))
    pairs = [(date, name) for date in range(n_dates) for name in "ABCDE"[:n_assets]]
    absent, bare = draw(st.sampled_from([0.0, 0.1, 0.4])), draw(st.sampled_from([0.0, 0.2, 0.6]))
    pairs = [pair for pair in pairs if rng.random() >= absent] or pairs[:1]
    weighted = [pair for pair in pairs if rng.random() >= bare] or pairs[:1]
    empty = rng.integers(3 * n_dates)
    weights = panel_series([(*pair, np.nan if pair[0] == empty else rng.integers(-3, 4) / 4) for pair in weighted])
    returns = panel_series([(*pair, rng.integers(-120, 150) / 100) for pair in pairs])
    options = {
        "delay": draw(st.integers(0, min(2, weights.index.get_level_values("date").nunique() - 1))),
        "rebalance_every": draw(st.integers(1, 5)),
        "periods_per_year": draw(st.sampled_from([1, 4, 12])),
    }
    labels = draw(st.sampled_from([None, pd.Index(list("EDCBA")), returns.index]))
    for name in ("cost", "borrow_fee"):
        rates = rng.integers(0, 50, 1 if labels is None else len(labels)) / 1e4
        options[name] = float(rates[0]) if labels is None else pd.Series(rates, index=labels)
    return weights, returns, options


def by_pair(rate, index):
    """Spell a rate out for every (date, asset)."""
    if not isinstance(rate, pd.Series):
        return dict.fromkeys(index, rate)
    return rate.to_dict() if isinstance(rate.index, pd.MultiIndex) else {pair: rate[pair[1]] for pair in index}


def run(weights, returns, options):
    """The result, or None if no portfolio comes about."""
    dates = weights.index.get_level_values("date").unique().sort_values()
    executed = dates[:: options.get("rebalance_every", 1)]
    executed = executed[dates.get_indexer(executed) + options.get("delay", 0) < len(dates)]
    if weights[weights.index.get_level_values("date").isin(executed)].isna().all():
        return None
    return backtest_weights(weights, returns, **options)


class TestLiteralOracle:
    @settings(max_examples=150)
    @given(cases())
    def test_equals_a_loop_over_names_with_all_options_together(self, case):
        weights, returns, options = case
        result = run(weights, returns, options)
        rates = {name: by_pair(options[name], returns.index) for name in ("cost", "borrow_fee")}
        expected, positions = literal_backtest(weights, returns, **{**options, **rates})
        if result is None:
            assert expected["long_short"].isna().all()
            return
        pd.testing.assert_frame_equal(result.to_frame(), expected, atol=1e-12, check_dtype=False)
        assert result.summary()["Orders not executed"] == expected["orders_not_executed"].sum()
        assert result.positions.index.tolist() == sorted(positions.index)
        np.testing.assert_allclose(result.positions, positions.sort_index(), atol=1e-12)

    @settings(max_examples=30)
    @given(cases())
    def test_turnover_is_that_of_the_simulation(self, case):
        weights, returns, options = case
        result = run(weights, returns, {"cost": options["cost"]})
        if result is not None:
            pd.testing.assert_series_equal(result.turnover, turnover(weights, returns), check_exact=True)


class TestReferenceValues:
    def test_buying_once_and_holding_compounds_the_wealth_of_each_name(self):
        rng = np.random.default_rng(0)
        rates = rng.normal(0, 0.1, (9, 4))
        index = pd.MultiIndex.from_product([range(9), list("ABCD")], names=["date", "asset"])
        weights = pd.Series(np.tile([0.4, 0.3, 0.2, 0.1], 9), index=index)
        result = backtest_weights(weights, pd.Series(rates.ravel(), index), rebalance_every=9)
        wealth = (1 + rates).cumprod(axis=0) @ [0.4, 0.3, 0.2, 0.1]
        np.testing.assert_allclose((1 + result.long_short).cumprod(), wealth, rtol=1e-13)
        assert result.turnover[0] == pytest.approx(1)
        assert (result.turnover[1:] == 0).all()

    def test_a_name_that_leaves_is_sold_and_its_capital_waits_in_cash(self):
        # A doubles and leaves: 2/3 of the capital is sold into cash and earns nothing, B keeps 1/3.
        weights = panel_series([(0, "A", 0.5), (0, "B", 0.5), (1, "B", 1), (2, "B", 1)])
        returns = panel_series([(0, "A", 1.0), (0, "B", 0.0), (1, "B", 0.3), (2, "B", 0.0)])
        result = backtest_weights(weights, returns, rebalance_every=2, cost=0.01)
        np.testing.assert_allclose(result.gross_long_short, [0.5, 0.1, 0.0], atol=1e-15)
        # At the third date B has 1.3 / 3 of 3.3 / 3, and all of it is in B again.
        np.testing.assert_allclose(result.turnover, [1, 2 / 3, 1 - 1.3 / 3.3], rtol=1e-13)
        np.testing.assert_allclose(result.costs, 0.01 * result.turnover, rtol=1e-15)
        np.testing.assert_allclose(result.positions, [0.5, 0.5, 1 / 3, 1], rtol=1e-13)

    def test_cash_keeps_its_share_of_a_leg_that_grows(self):
        # A leaves with half of the capital; B doubles twice, so that its share is 1/2, 2/3, 4/5.
        weights = panel_series([(0, "A", 0.5), (0, "B", 0.5), *((date, "B", 1.0) for date in range(1, 4))])
        returns = panel_series([(0, "A", 0.0), (0, "B", 0.0), *((date, "B", 1.0) for date in range(1, 4))])
        result = backtest_weights(weights, returns, rebalance_every=4)
        np.testing.assert_allclose(result.positions[1:].tolist(), [1 / 2, 1 / 2, 2 / 3, 4 / 5], rtol=1e-13)
        np.testing.assert_allclose(result.long_short, [0, 1 / 2, 2 / 3, 4 / 5], rtol=1e-13)

    def test_an_order_without_a_return_at_execution_stays_in_cash_and_is_counted(self):
        weights = panel_series([(0, "A", 0.5), (0, "B", 0.5), (0, "C", 0.0), (1, "B", 1.0)])
        returns = panel_series([(0, "A", 9.0), (0, "B", 9.0), (0, "C", 9.0), (1, "B", 0.2)])
        with pytest.warns(CoverageWarning, match="1 orders on 1 of 2 dates could not be executed") as caught:
            result = backtest_weights(weights, returns, delay=1)
        assert caught[0].filename == __file__
        np.testing.assert_allclose(result.long_short, [np.nan, 0.1])
        np.testing.assert_allclose(result.turnover, [np.nan, 0.5])
        assert result.orders_not_executed.tolist() == [0, 1]
        assert result.summary()["Dates without portfolio"] == 1

    def test_a_name_without_a_prediction_stays_held_until_the_next_execution(self):
        predictions = panel_series([(0, "A", 1), (0, "B", 2), (1, "A", 1), (2, "A", 1), (2, "C", 2)])
        returns = panel_series([(date, name, 0.1) for date in range(3) for name in "ABC"])
        result = backtest(predictions, returns, n_quantiles=2, rebalance_every=2)
        assert result.positions[1].to_dict() == {"A": -1, "B": 1}
        assert result.turnover.tolist() == [2, 0, 2]
        assert result.weights.index.get_level_values("date").unique().tolist() == [0, 2]

    def test_borrowing_costs_a_part_of_the_year(self):
        weights = panel_series([(0, "A", 1.0), (0, "B", -0.75), (0, "C", -0.25)])
        returns = panel_series([(0, "A", 0.0), (0, "B", 0.0), (0, "C", 0.0)])
        assert backtest_weights(weights, returns, borrow_fee=0.12).long_short.tolist() == [pytest.approx(-0.01)]
        fees = pd.Series({"B": 0.04, "C": 0.4})
        result = backtest_weights(weights, returns, borrow_fee=fees, periods_per_year=4)
        np.testing.assert_allclose(result.borrow_fees, [0.75 * 0.01 + 0.25 * 0.1])
        np.testing.assert_array_equal(result.costs, result.borrow_fees)

    def test_costs_differ_by_asset_and_date(self):
        weights = panel_series([(0, "A", 1.0), (1, "B", 1.0)])
        returns = panel_series([(0, "A", 0.0), (1, "A", 0.0), (1, "B", 0.0)])
        by_asset = backtest_weights(weights, returns, cost=pd.Series({"A": 0.01, "B": 0.02}))
        np.testing.assert_allclose(by_asset.costs, [0.01, 0.03])
        by_date = panel_series([(0, "A", 0.01), (1, "A", 0.05), (1, "B", 0.02)])
        np.testing.assert_allclose(backtest_weights(weights, returns, cost=by_date).costs, [0.01, 0.07])

    def test_a_name_that_left_pays_the_cost_of_its_last_row(self):
        weights = panel_series([(0, "A", 1.0), (1, "A", 1.0), (2, "B", 1.0)])
        returns = panel_series([(0, "A", 0.0), (1, "A", 0.0), (2, "B", 0.0)])
        cost = panel_series([(0, "A", 0.01), (1, "A", 0.03), (2, "B", 0.02)])
        np.testing.assert_allclose(backtest_weights(weights, returns, cost=cost).costs, [0.01, 0, 0.05])

    def test_one_asset_is_timed(self):
        weights = panel_series([(date, "M", weight) for date, weight in enumerate([1, 1, -1, 0, 1])])
        returns = panel_series([(date, "M", 0.1) for date in range(5)])
        result = backtest_weights(weights, returns, cost=0.01)
        np.testing.assert_allclose(result.turnover, [1, 0, 2, 1, 1])
        np.testing.assert_allclose(result.long_short, [0.09, 0.1, -0.12, -0.01, 0.09])
        assert result.quantile_returns.shape == (5, 0)
        assert list(result.to_frame().columns) == COLUMNS
        assert list(result.cumulative().columns) == ["long_short"]
        assert list(result.quantile_summary().index) == ["gross_long_short"]


def complete_panel(seed, n_dates=9, n_assets=8):
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product([range(n_dates), range(n_assets)], names=["date", "asset"])
    predictions = pd.Series(rng.normal(size=len(index)).round(1), index=index)
    return predictions, pd.Series(rng.normal(0, 0.2, len(index)), index=index)


class TestProperties:
    @settings(max_examples=40)
    @given(cases(), st.randoms(use_true_random=False))
    def test_row_order_changes_nothing_to_the_last_bit(self, case, random):
        weights, returns, options = case
        expected = run(weights, returns, options)
        if expected is None:
            return
        shuffled = {
            name: option.sample(frac=1, random_state=random.randrange(99)) if isinstance(option, pd.Series) else option
            for name, option in options.items()
        }
        order, other = (random.sample(range(len(rows)), len(rows)) for rows in (weights, returns))
        result = backtest_weights(weights.iloc[order], returns.iloc[other].swaplevel(), **shuffled)
        pd.testing.assert_frame_equal(result.to_frame(), expected.to_frame(), check_exact=True)
        pd.testing.assert_series_equal(result.positions, expected.positions, check_exact=True)

    @settings(max_examples=80)
    @given(cases(), st.integers(0, 6))
    def test_later_rows_change_no_earlier_figure_with_every_option(self, case, last):
        weights, returns, options = case
        early = [rows[rows.index.get_level_values("date") <= last] for rows in (weights, returns)]
        if early[0].empty:
            return
        expected, whole = run(*early, options), run(weights, returns, options)
        if expected is None:
            return
        shown = expected.to_frame()
        pd.testing.assert_frame_equal(whole.to_frame().loc[shown.index], shown, check_exact=True)
        known = whole.positions.index.get_level_values("date") <= shown.index[-1]
        pd.testing.assert_series_equal(whole.positions[known], expected.positions, check_exact=True)

    @settings(max_examples=40)
    @given(cases())
    def test_costs_and_fees_never_help_and_grow_with_their_rates(self, case):
        weights, returns, options = case
        result = run(weights, returns, options)
        if result is None:
            return
        held = result.gross_long_short.notna()
        assert (result.long_short <= result.gross_long_short)[held].all()
        assert (result.costs >= result.borrow_fees)[held].all()
        assert (result.borrow_fees >= 0)[held].all()
        dear = {"cost": 3 * options["cost"], "borrow_fee": 3 * options["borrow_fee"]}
        costly = backtest_weights(weights, returns, **{**options, **dear})
        np.testing.assert_allclose(costly.costs, 3 * result.costs, rtol=1e-12)
        np.testing.assert_array_equal(costly.gross_long_short, result.gross_long_short)

    @settings(max_examples=40)
    @given(cases())
    def test_opposite_weights_trade_the_same_and_earn_the_opposite(self, case):
        weights, returns, options = case
        options = {**options, "borrow_fee": 0.0}
        result = run(weights, returns, options)
        if result is not None:
            flipped = backtest_weights(-weights, returns, **options)
            np.testing.assert_array_equal(flipped.gross_long_short, -result.gross_long_short)
            np.testing.assert_array_equal(flipped.turnover, result.turnover)
            np.testing.assert_array_equal(flipped.costs, result.costs)

    @settings(max_examples=30)
    @given(cases())
    def test_equal_rates_by_asset_or_pair_are_one_number(self, case):
        weights, returns, options = case
        options = {**options, "cost": 0.003, "borrow_fee": 0.05}
        result = run(weights, returns, options)
        if result is None:
            return
        for labels in (pd.Index(list("ABCDE")), returns.index):
            rates = {"cost": pd.Series(0.003, index=labels), "borrow_fee": pd.Series(0.05, index=labels)}
            spelled = backtest_weights(weights, returns, **{**options, **rates})
            np.testing.assert_allclose(spelled.long_short, result.long_short, atol=1e-15)

    @pytest.mark.parametrize("rebalance_every", [1, 3])
    @pytest.mark.parametrize("delay", [1, 2])
    def test_delay_equals_weights_shifted_by_hand(self, delay, rebalance_every):
        predictions, returns = complete_panel(seed=delay)
        late = backtest(predictions, returns, delay=delay, rebalance_every=rebalance_every, cost=0.001)
        shifted = long_short_weights(predictions).groupby(level="asset").shift(delay).dropna()
        by_hand = backtest_weights(shifted, returns, rebalance_every=rebalance_every, cost=0.001)
        assert late.long_short[:delay].isna().all()
        for name in ("long_short", "gross_long_short", "turnover", "costs"):
            pd.testing.assert_series_equal(getattr(late, name)[delay:], getattr(by_hand, name), check_exact=True)

    @pytest.mark.parametrize("options", [{}, {"delay": 1}, {"rebalance_every": 3}, {"delay": 2, "rebalance_every": 2}])
    def test_predictions_are_followed_as_their_long_short_weights(self, options):
        predictions, returns = complete_panel(seed=3)
        rates = {"cost": 0.002, "borrow_fee": 0.03}
        direct = backtest(predictions, returns, **options, **rates)
        given_weights = backtest_weights(long_short_weights(predictions), returns, **options, **rates)
        for name in ("long_short", "turnover", "costs", "positions", "weights"):
            pd.testing.assert_series_equal(getattr(direct, name), getattr(given_weights, name), check_exact=True)

    def test_each_leg_keeps_its_size_while_it_drifts(self):
        predictions, returns = complete_panel(seed=5)
        positions = backtest(predictions, returns, n_quantiles=2, rebalance_every=4).positions
        for leg in (positions.clip(lower=0), -positions.clip(upper=0)):
            np.testing.assert_allclose(leg.groupby(level="date").sum(), 1, rtol=1e-13)

    @pytest.mark.parametrize(("delay", "rebalance_every"), [(0, 10**9), (8, 1), (3, 10**6)])
    def test_spans_and_delays_may_reach_beyond_the_end(self, delay, rebalance_every):
        predictions, returns = complete_panel(seed=1)
        result = backtest(predictions, returns, delay=delay, rebalance_every=rebalance_every)
        assert result.long_short.notna().sum() == 9 - delay
        assert result.turnover.sum() == pytest.approx(2)

    def test_rows_that_are_not_needed_are_ignored(self):
        predictions, returns = complete_panel(seed=2)
        weights = long_short_weights(predictions)
        options = {"delay": 1, "rebalance_every": 2, "cost": 0.01}
        expected = backtest_weights(weights, returns, **options).to_frame()
        spoiled = returns.copy()
        # Nothing is held on the first date, on another one, or in an asset without weights.
        spoiled.loc[0] = np.nan
        spoiled.loc[99, 0] = np.inf
        for date in range(9):
            spoiled.loc[date, 77] = np.inf
        pd.testing.assert_frame_equal(backtest_weights(weights, spoiled, **options).to_frame(), expected)

    def test_a_listed_name_that_is_not_held_may_return_anything(self):
        weights = panel_series([(0, "A", 1.0), (0, "B", 0.0), (1, "A", 1.0)])
        returns = panel_series([(0, "A", 0.1), (0, "B", 0.1), (1, "A", 0.1), (1, "B", np.inf)])
        result = backtest_weights(weights, returns, rebalance_every=2)
        np.testing.assert_allclose(result.long_short, [0.1, 0.1])

    def test_inputs_are_not_changed(self):
        weights = panel_series([(0, "A", 1.0), (1, "B", 1.0)])
        returns = panel_series([(0, "A", 0.1), (1, "B", 0.1)])
        cost = panel_series([(0, "A", 0.01), (1, "B", 0.02)])
        kept = weights.copy(), returns.copy(), cost.copy()
        backtest_weights(weights, returns, cost=cost, borrow_fee=cost)
        for before, after in zip(kept, (weights, returns, cost), strict=True):
            pd.testing.assert_series_equal(before, after)


class TestValidation:
    def test_weights_that_are_missing_on_part_of_a_date_are_refused(self):
        weights = panel_series([(0, "A", 1.0), (0, "B", np.nan)])
        with pytest.raises(PanelError, match="weights must be finite on a date, or NaN on all its names"):
            backtest_weights(weights, weights.fillna(0.0))

    def test_no_portfolio_at_all_is_an_error(self):
        weights = panel_series([(0, "A", np.nan), (1, "A", 1.0)])
        with pytest.raises(PanelError, match="within the 2 dates. Got none with delay=1 and rebalance_every=1"):
            backtest_weights(weights, weights.fillna(0.0), delay=1)
        with pytest.raises(PanelError, match="Got none with delay=5"):
            backtest_weights(weights.dropna(), weights, delay=5)

    def test_an_infinite_return_of_a_name_that_is_held_without_a_weight_is_refused(self):
        weights = panel_series([(0, "A", 1.0), (1, "B", 1.0)])
        returns = panel_series([(0, "A", 0.1), (1, "A", np.inf), (1, "B", 0.1)])
        with pytest.raises(NonFiniteError, match="returns must hold finite numbers"):
            backtest_weights(weights, returns, rebalance_every=2)

    def test_each_weight_after_the_delay_needs_a_return(self):
        weights = panel_series([(0, "A", 1.0), (1, "A", 1.0), (1, "B", 0.0)])
        returns = panel_series([(1, "A", 0.1)])
        with pytest.raises(PanelError, match=r"Each row of weights .* Got 1 of 3 rows without one: \(1, 'B'\)"):
            backtest_weights(weights, returns, delay=1)
        assert backtest_weights(weights.drop((1, "B")), returns, delay=1).long_short[1] == pytest.approx(0.1)

    def test_parameters_out_of_range_are_named(self):
        weights = panel_series([(0, "A", 1.0)])
        for parameter in ({"cost": -1.0}, {"borrow_fee": "no"}, {"delay": -1}, {"rebalance_every": 0}):
            (name,) = parameter
            with pytest.raises(ValueError, match=f"'{name}' parameter of backtest_weights must be"):
                backtest_weights(weights, weights, **parameter)
