"""Delisting returns inside forward returns, against a literal walk of every row through its horizon."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.panel import forward_returns

DATES = pd.period_range("2000-01", periods=8, freq="M").to_timestamp(how="end").normalize()


def series(cells, name="r"):
    """Values by (month number from 0, asset), in the given order."""
    index = pd.MultiIndex.from_tuples([(DATES[month], asset) for month, asset in cells], names=["date", "asset"])
    return pd.Series(list(cells.values()), index=index, name=name, dtype=float)


def flat_prices():
    return series({(month, asset): 1.0 for month in range(4) for asset in "AB"})


def delisted_slowly(cells, horizon, kind, events):
    """Walk every row through its horizon, one month at a time: forward returns, and the events that entered one."""
    end = max(month for month, _ in cells)
    known = {cell: value for cell, value in cells.items() if not np.isnan(value)}
    outcome, used = {}, set()
    for (month, asset), value in cells.items():
        worth = 1.0 if kind == "returns" else value
        met = None
        for ahead in range(month + 1, month + horizon + 1):
            cell = (ahead, asset)
            if met is not None:
                continue  # cash
            if cell in events:
                met = cell
                if kind == "returns":
                    worth *= (1 + known.get(cell, 0.0)) * (1 + events[cell])
                else:
                    worth = known.get(cell, known.get((ahead - 1, asset), np.nan)) * (1 + events[cell])
            elif kind == "returns":
                worth *= 1 + known.get(cell, np.nan)
            else:
                worth = known.get(cell, np.nan)
        forward = worth / value - 1 if kind == "prices" else worth - 1
        outcome[month, asset] = forward if month + horizon <= end else np.nan
        if met is not None and np.isfinite(outcome[month, asset]):
            used.add(met)
    return np.array(list(outcome.values())), len(used)


@st.composite
def delisted_panels(draw):
    """Ragged values with gaps and missing ones, and delistings anywhere, with and without rows."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    kind = draw(st.sampled_from(["returns", "prices"]))
    grid = [(month, asset) for month in range(8) for asset in "ABCD"]
    chosen = [grid[i] for i in rng.permutation(len(grid)) if rng.random() < draw(st.sampled_from([0.5, 0.9]))]
    cells = {cell: rng.uniform(-0.9, 1.0) if kind == "returns" else rng.uniform(1, 9) for cell in chosen or grid}
    for cell in list(cells):
        if rng.random() < 0.1:
            cells[cell] = np.nan
    events = {cell: float(rng.choice([-1.0, -0.3, 0.2])) for cell in grid if rng.random() < 0.2}
    return cells, kind, events


class TestReferenceValues:
    @settings(max_examples=80)
    @given(delisted_panels(), st.integers(1, 4))
    def test_every_value_is_what_a_literal_walk_finds(self, panel, horizon):
        cells, kind, events = panel
        expected, n_used = delisted_slowly(cells, horizon, kind, events)
        delisting = series(events)
        if events and not n_used:
            with pytest.warns(CoverageWarning, match=f"Got none among {len(events)}"):
                forward = forward_returns(series(cells), horizon, kind=kind, delisting=delisting)
        else:
            forward = forward_returns(series(cells), horizon, kind=kind, delisting=delisting)
        np.testing.assert_allclose(forward, expected, rtol=1e-12, atol=1e-14)
        counts = {"n_delistings_used": n_used, "n_delistings_unused": len(events) - n_used}
        assert forward.attrs == {"forward_returns": counts}

    @settings(max_examples=60)
    @given(delisted_panels(), st.integers(1, 3), st.floats(-1, 1))
    def test_one_number_stands_for_each_asset_that_ends_early(self, panel, horizon, number):
        cells, kind, _ = panel
        last = {asset: max(month for month, own in cells if own == asset) for _, asset in cells}
        ended = {(month + 1, asset): number for asset, month in last.items() if month < max(last.values())}
        expected, n_used = delisted_slowly(cells, horizon, kind, ended)
        forward = forward_returns(series(cells), horizon, kind=kind, delisting=number)
        np.testing.assert_allclose(forward, expected, rtol=1e-12, atol=1e-14)
        assert forward.attrs["forward_returns"]["n_delistings_used"] == n_used
        assert sum(forward.attrs["forward_returns"].values()) == len(ended)

    @settings(max_examples=40)
    @given(delisted_panels(), st.integers(1, 3))
    def test_without_delistings_nothing_changes(self, panel, horizon):
        cells, kind, _ = panel
        plain = forward_returns(series(cells), horizon, kind=kind)
        none = forward_returns(series(cells), horizon, kind=kind, delisting=series({(0, "A"): 0.0}).iloc[:0])
        pd.testing.assert_series_equal(none, plain, check_exact=True)
        assert plain.attrs == {}

    def test_by_hand(self):
        # B has its last row in month 1; its stock is gone in month 2. A and C go on; C pauses in month 1.
        returns = {(m, "A"): 0.01 for m in range(5)} | {(0, "B"): 0.0, (1, "B"): 0.1}
        returns |= {(m, "C"): 0.02 for m in (0, 2, 3, 4)}
        forward = forward_returns(series(returns), delisting=-0.3)
        assert forward[DATES[1], "B"] == -0.3
        assert forward[DATES[0], "B"] == 0.1
        assert np.isnan(forward[DATES[0], "C"]), "a pause is no delisting"
        assert forward.groupby(level="date").count().tolist() == [2, 2, 2, 2, 0]
        over_three = forward_returns(series(returns), 3, delisting=-0.3)
        assert over_three[DATES[0], "B"] == pytest.approx(1.1 * 0.7 - 1)
        assert over_three[DATES[1], "B"] == -0.3, "the proceeds stay in cash"

    def test_a_part_of_the_month_is_compounded_with_the_delisting_return(self):
        returns = {(0, "A"): 0.0, (1, "A"): -0.2, (0, "B"): 0.0, (1, "B"): 0.0, (2, "B"): 0.0}
        forward = forward_returns(series(returns), delisting=series({(1, "A"): -0.5}))
        assert forward[DATES[0], "A"] == pytest.approx(0.8 * 0.5 - 1)
        assert np.isnan(forward[DATES[1], "A"]), "nobody can buy after the delisting"
        prices = {(0, "A"): 10.0, (1, "A"): 8.0, (0, "B"): 1.0, (1, "B"): 1.0, (2, "B"): 1.0}
        forward = forward_returns(series(prices), kind="prices", delisting=series({(1, "A"): -0.5}))
        assert forward[DATES[0], "A"] == pytest.approx(8 * 0.5 / 10 - 1)

    def test_a_day_inside_the_month_is_enough(self):
        returns = series({(0, "A"): 0.0, (0, "B"): 0.0, (1, "B"): 0.0})
        index = pd.MultiIndex.from_tuples([(pd.Timestamp("2000-02-11"), "A")], names=["date", "asset"])
        forward = forward_returns(returns, delisting=pd.Series([-0.4], index=index))
        assert forward[DATES[0], "A"] == -0.4

    def test_an_asset_that_comes_back_is_cash_only_for_those_who_held_it(self):
        returns = {(m, "A"): 0.1 for m in (0, 3, 4)} | {(m, "B"): 0.0 for m in range(6)}
        delisting = series({(1, "A"): -0.5})
        forward = forward_returns(series(returns), 3, delisting=delisting)
        assert forward[DATES[0], "A"] == -0.5
        one = forward_returns(series(returns), delisting=delisting)
        assert one[DATES[3], "A"] == pytest.approx(0.1)

    def test_delistings_at_or_after_the_end_of_the_panel(self):
        returns = {(m, a): 0.0 for m in range(3) for a in "AB" if (m, a) != (2, "A")}
        at_end = forward_returns(series(returns), delisting=series({(2, "A"): -0.3}))
        assert at_end[DATES[1], "A"] == -0.3
        with pytest.warns(CoverageWarning, match="Got none among 1. Name dates and assets alike"):
            after = forward_returns(series(returns), delisting=series({(3, "B"): -0.3}))
        assert after.attrs["forward_returns"] == {"n_delistings_used": 0, "n_delistings_unused": 1}
        assert after.groupby(level="date").count().iloc[-1] == 0
        # Two months ahead of month 1 lies beyond the end for all, so also for the delisted.
        assert forward_returns(series(returns), 2, delisting=-0.3)[DATES[1]].isna().all()

    def test_trading_days_take_the_next_date_of_the_panel(self):
        days = pd.to_datetime(["2000-01-07", "2000-01-10", "2000-01-11"])
        index = pd.MultiIndex.from_product([days, ["A", "B"]], names=["date", "asset"]).delete([2, 4])
        returns = pd.Series(0.0, index=index)
        on_saturday = pd.MultiIndex.from_tuples([(pd.Timestamp("2000-01-08"), "A")], names=index.names)
        forward = forward_returns(returns, frequency="date", delisting=pd.Series([-0.6], index=on_saturday))
        assert forward[days[0], "A"] == -0.6
        assert forward_returns(returns, frequency="date", delisting=-0.1)[days[0], "A"] == -0.1
        numbers = pd.Series([-0.6], index=on_saturday.set_levels([20000108], level="date"))
        with pytest.raises(PanelError, match=r"like those of 'data' \(datetime64.*Got int64"):
            forward_returns(returns, frequency="date", delisting=numbers)


class TestProperties:
    def test_inputs_are_not_modified(self):
        returns, delisting = series({(0, "A"): 0.0, (1, "B"): 0.0, (1, "A"): 0.0}), series({(1, "A"): -0.5})
        before = returns.copy(), delisting.copy()
        forward_returns(returns, delisting=delisting)
        pd.testing.assert_series_equal(returns, before[0])
        pd.testing.assert_series_equal(delisting, before[1])

    def test_an_empty_panel_has_no_delistings(self):
        assert forward_returns(flat_prices().iloc[:0], delisting=-0.3).empty
        with pytest.warns(CoverageWarning, match="Got none among 1"):
            assert forward_returns(flat_prices().iloc[:0], delisting=series({(0, "A"): 0.0})).empty


class TestValidation:
    @pytest.mark.parametrize(
        ("delisting", "error", "message"),
        [
            (True, PanelError, "Got a bool"),
            ("CRSP", PanelError, "Got a str"),
            (series({(1, "A"): -0.3}).to_frame(), PanelError, "Got a DataFrame"),
            (-30.0, PanelError, r"at least -1 \(decimals.*Got 1 that are not, first -30"),
            (float("nan"), NonFiniteError, "Got 1 of 1 that are missing"),
            (
                series({(1, "A"): np.inf, (2, "A"): 0.0}),
                NonFiniteError,
                "Got 1 of 2 that are missing or infinite. Fill",
            ),
            (series({(1, "A"): 0.0, (1, "B"): -1.5}), PanelError, "Got 1 that are not, first -1.5"),
            (series({(1, "A"): 0.0}).reset_index(drop=True), PanelError, "delisting must have a MultiIndex"),
        ],
        ids=str,
    )
    def test_what_is_no_delisting_return_is_refused(self, delisting, error, message):
        with pytest.raises(error, match=message):
            forward_returns(flat_prices(), kind="prices", delisting=delisting)

    def test_two_delistings_in_one_month_are_refused(self):
        days = pd.to_datetime(["2000-02-11", "2000-02-12"])
        index = pd.MultiIndex.from_product([days, ["A"]], names=["date", "asset"])
        with pytest.raises(PanelError, match=r"frequency 'M'. Got 1 more: .*2000-02-12.*Compound or drop"):
            forward_returns(flat_prices(), kind="prices", delisting=pd.Series(0.0, index=index))
