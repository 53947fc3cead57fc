import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skdrfm.exceptions import PanelError
from skdrfm.portfolio import backtest_weights, turnover


def panel_series(rows):
    index = pd.MultiIndex.from_tuples([(date, asset) for date, asset, _ in rows], names=["date", "asset"])
    return pd.Series([value for *_, value in rows], index=index, dtype=float)


def literal_turnover(weights, returns):
    """One date after the other, one name after the other."""
    dates = sorted(set(weights.index.get_level_values("date")))
    drifted, out = {}, []
    for date in dates:
        now = weights.xs(date, level="date").to_dict()
        if any(np.isnan(weight) for weight in now.values()):
            out.append(np.nan)
            drifted = {}
            continue
        names = set(now) | set(drifted)
        out.append(sum(abs(now.get(name, 0.0) - drifted.get(name, 0.0)) for name in names))
        drifted = {}
        for sign in (1, -1):
            leg = {name: weight for name, weight in now.items() if sign * weight > 0}
            capital = sum(leg.values())
            grown = {name: weight * (1 + returns[date, name]) for name, weight in leg.items()}
            for name, value in grown.items():
                drifted[name] = value / sum(grown.values()) * capital
    return pd.Series(out, index=dates)


class TestReferenceValues:
    def test_long_only_drift_by_hand(self):
        # After +20 % and -10 % the halves are 0.6 and 0.45 of 1.05.
        weights = panel_series([(1, "A", 0.5), (1, "B", 0.5), (2, "A", 0.5), (2, "B", 0.5)])
        returns = panel_series([(1, "A", 0.2), (1, "B", -0.1), (2, "A", 0.0), (2, "B", 0.0)])
        result = turnover(weights, returns)
        assert result.name == "turnover"
        assert result.index.name == "date"
        np.testing.assert_allclose(result, [1, 2 * (0.6 / 1.05 - 0.5)], rtol=1e-13)

    def test_long_only_equals_the_published_form(self):
        rng = np.random.default_rng(0)
        returns = rng.normal(0, 0.1, (6, 8))
        weights = rng.dirichlet(np.ones(8), 6)
        index = pd.MultiIndex.from_product([range(6), range(8)], names=["date", "asset"])
        result = turnover(pd.Series(weights.ravel(), index), pd.Series(returns.ravel(), index))
        portfolio = (weights * returns).sum(axis=1, keepdims=True)
        drifted = (weights * (1 + returns) / (1 + portfolio))[:-1]
        expected = np.abs(weights[1:] - drifted).sum(axis=1)
        np.testing.assert_allclose(result[1:], expected, rtol=1e-12)

    def test_each_leg_drifts_on_its_own_capital(self):
        # Long A, B with +100 % and 0 %: 2/3 and 1/3; short C alone stays -1 whatever it returns.
        held = [("A", 0.5), ("B", 0.5), ("C", -1.0)]
        weights = panel_series([(date, *pair) for date in (1, 2) for pair in held])
        returns = panel_series([(1, "A", 1.0), (1, "B", 0.0), (1, "C", 0.7)] + [(2, a, 0.0) for a in "ABC"])
        np.testing.assert_allclose(turnover(weights, returns), [2, 1 / 3], rtol=1e-13)

    def test_names_that_disappear_are_sold_and_new_ones_bought(self):
        weights = panel_series([(1, "A", 1.0), (2, "B", 1.0), (3, "B", 1.0)])
        returns = panel_series([(1, "A", 0.3), (2, "B", 0.1), (3, "B", 0.1)])
        np.testing.assert_allclose(turnover(weights, returns), [1, 2, 0], atol=1e-15)

    def test_full_reversal_of_both_legs_trades_four_times_the_capital(self):
        weights = panel_series([(1, "A", 1.0), (1, "B", -1.0), (2, "A", -1.0), (2, "B", 1.0)])
        returns = weights * 0.01
        np.testing.assert_allclose(turnover(weights, returns), [2, 4], rtol=1e-13)

    def test_date_without_portfolio_is_nan_and_the_next_one_a_build_up(self):
        weights = panel_series([(1, "A", 1.0), (2, "A", np.nan), (3, "A", 1.0)])
        returns = panel_series([(1, "A", 0.1), (2, "A", 0.1), (3, "A", 0.1)])
        np.testing.assert_array_equal(turnover(weights, returns), [1, np.nan, 1])

    def test_a_leg_that_lost_everything_is_bought_anew(self):
        weights = panel_series([(1, "A", 1.0), (2, "A", 1.0)])
        returns = panel_series([(1, "A", -1.2), (2, "A", 0.0)])
        assert turnover(weights, returns).tolist() == [1, 1]


@st.composite
def held_panels(draw):
    """Ragged panels: names enter and leave, weights of both signs and zeros."""
    rows = draw(
        st.dictionaries(
            st.tuples(st.integers(0, 4), st.sampled_from("ABCDE")),
            st.tuples(st.integers(-3, 3), st.integers(-50, 100)),
            min_size=1,
            max_size=20,
        )
    )
    empty = draw(st.sets(st.integers(0, 4), max_size=1))
    weights = panel_series([(d, a, np.nan if d in empty else w / 4) for (d, a), (w, _) in rows.items()])
    returns = panel_series([(d, a, r / 100) for (d, a), (_, r) in rows.items()])
    return weights, returns


class TestProperties:
    @given(held_panels(), st.randoms(use_true_random=False))
    def test_equals_a_loop_in_any_row_order(self, panel, random):
        weights, returns = panel
        result = turnover(weights, returns)
        expected = literal_turnover(weights, returns)
        np.testing.assert_allclose(result, expected, atol=1e-12)
        order = list(range(len(weights)))
        random.shuffle(order)
        pd.testing.assert_series_equal(turnover(weights.iloc[order], returns), result, check_exact=True)

    def test_levels_may_come_in_the_other_order(self):
        weights = panel_series([(1, "A", 0.5), (1, "B", 0.5), (2, "A", 1.0)])
        returns = panel_series([(1, "A", 0.5), (1, "B", 0.0), (2, "A", 0.0)])
        swapped = turnover(weights.swaplevel(), returns)
        pd.testing.assert_series_equal(swapped, turnover(weights, returns))


class TestValidation:
    def test_weights_that_are_missing_on_part_of_a_date_are_refused(self):
        weights = panel_series([(1, "A", 1.0), (1, "B", np.nan)])
        with pytest.raises(PanelError, match="Got 1 NaN or infinite values on 1 dates"):
            turnover(weights, weights.fillna(0.0))

    def test_infinite_weights_are_refused(self):
        weights = panel_series([(1, "A", np.inf)])
        with pytest.raises(PanelError, match="weights must be finite"):
            turnover(weights, panel_series([(1, "A", 0.0)]))

    def test_weights_without_a_return_are_counted(self):
        weights = panel_series([(1, "A", 1.0), (2, "A", 1.0)])
        with pytest.raises(PanelError, match=r"Each row of weights .* Got 1 of 2 rows without one: \(2, 'A'\)"):
            turnover(weights, weights.iloc[:1])


class TestRates:
    weights = panel_series([(1, "A", 1.0), (1, "B", -1.0), (2, "A", -1.0), (2, "B", 1.0)])
    returns = panel_series([(1, "A", 0.0), (1, "B", 0.0), (2, "A", 0.0), (2, "B", 0.0)])

    @pytest.mark.parametrize("name", ["cost", "borrow_fee"])
    @pytest.mark.parametrize("faulty", [-0.01, np.inf])
    def test_rates_are_finite_and_not_negative(self, name, faulty):
        rates = pd.Series({"A": 0.01, "B": faulty, "C": 0.01})
        with pytest.raises(PanelError, match=f"'{name}' must hold finite decimals of at least 0. Got 1 others of 3"):
            backtest_weights(self.weights, self.returns, **{name: rates})

    def test_one_infinite_number_is_refused(self):
        with pytest.raises(ValueError, match="'cost' parameter of backtest_weights must be .* Got inf"):
            backtest_weights(self.weights, self.returns, cost=np.inf)

    def test_a_traded_asset_without_a_cost_is_an_error_that_names_it(self):
        with pytest.raises(
            PanelError, match=r"'cost' must have .* is traded. Got 2 pairs without one: \(1, 'B'\), \(2"
        ):
            backtest_weights(self.weights, self.returns, cost=pd.Series({"A": 0.01, "B": np.nan}))

    def test_a_cost_is_needed_at_the_date_of_the_trade(self):
        cost = panel_series([(1, "A", 0.01), (1, "B", 0.01), (2, "B", 0.01)])
        with pytest.raises(PanelError, match=r"Got 1 pairs without one: \(2, 'A'\)"):
            backtest_weights(self.weights, self.returns, cost=cost)

    def test_an_asset_that_is_sold_while_it_has_a_return_needs_the_cost_of_that_date(self):
        weights = panel_series([(1, "A", 1.0), (2, "B", 1.0)])
        cost = panel_series([(1, "A", 0.01), (2, "B", 0.01)])
        with pytest.raises(PanelError, match=r"Got 1 pairs without one: \(2, 'A'\)"):
            backtest_weights(weights, self.returns, cost=cost)

    def test_a_cost_of_another_asset_or_a_later_date_is_not_taken_for_one_that_left(self):
        weights = panel_series([(1, "B", 1.0), (2, "A", 1.0), (3, "C", 1.0)])
        cost = panel_series(
            [(1, "A", 0.5), (1, "B", 0.01), (2, "A", 0.02), (2, "C", 0.5), (3, "B", 0.5), (3, "C", 0.04)]
        )
        result = backtest_weights(weights, weights * 0, cost=cost)
        np.testing.assert_allclose(result.costs, [0.01, 0.02 + 0.01, 0.04 + 0.02])

    def test_an_asset_that_left_and_never_had_a_cost_is_counted_twice(self):
        weights = panel_series([(1, "A", 0.0), (1, "B", 1.0), (2, "A", 0.0)])
        cost = panel_series([(1, "A", 0.01), (2, "A", 0.01)])
        for known in (cost, cost[:0]):
            with pytest.raises(PanelError, match=r"Got 2 pairs without one: \(1, 'B'\), \(2, 'B'\)"):
                backtest_weights(weights, weights * 0, cost=known)

    def test_only_short_positions_need_a_fee(self):
        with pytest.raises(PanelError, match=r"'borrow_fee' .* held short. Got 1 pairs without one: \(2, 'A'\)"):
            backtest_weights(self.weights, self.returns, borrow_fee=pd.Series({"B": 0.01}))
        result = backtest_weights(self.weights[:2], self.returns, borrow_fee=pd.Series({"B": 0.12}))
        np.testing.assert_allclose(result.borrow_fees, [0.01])

    def test_what_is_closed_at_a_date_without_portfolio_needs_no_cost(self):
        weights = panel_series([(1, "A", 1.0), (2, "A", np.nan), (3, "B", 1.0)])
        cost = panel_series([(1, "A", 0.01), (3, "B", 0.02)])
        result = backtest_weights(weights, weights.fillna(0.0), cost=cost)
        np.testing.assert_allclose(result.costs, [0.01, np.nan, 0.02])

    def test_assets_that_come_twice_are_refused(self):
        cost = pd.Series([0.01, 0.02, 0.03], index=["A", "A", "B"])
        with pytest.raises(PanelError, match="'cost' must have one number for each asset. Got 1 assets more than once"):
            backtest_weights(self.weights, self.returns, cost=cost)

    def test_other_level_names_are_refused(self):
        cost = (self.weights * 0).rename_axis(["month", "permno"])
        with pytest.raises(PanelError, match="cost must have a MultiIndex with the levels 'date' and 'asset'"):
            backtest_weights(self.weights, self.returns, cost=cost)

    def test_texts_are_refused(self):
        with pytest.raises(PanelError, match="cost must hold numbers"):
            backtest_weights(self.weights, self.returns, cost=pd.Series({"A": "low", "B": "high"}))
