import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdrfm.exceptions import PanelError
from skdrfm.panel import stack_lags

FIRST = pd.Period("1999-10", freq="M")
KINDS = ("end", "any day", "period", "yyyymm", "yyyymmdd", "iso month", "iso day")


def label(month, kind, day):
    """The date of a month, counted from FIRST, as one of the kinds of dates."""
    period = FIRST + month
    stamp = period.to_timestamp() + pd.Timedelta(days=day)
    return {
        "end": period.to_timestamp(how="end").normalize(),
        "any day": stamp,
        "period": period,
        "yyyymm": period.year * 100 + period.month,
        "yyyymmdd": stamp.year * 10000 + stamp.month * 100 + stamp.day,
        "iso month": f"{stamp:%Y-%m}",
        "iso day": f"{stamp:%Y-%m-%d}",
    }[kind]


@st.composite
def panels(draw, n_columns=2):
    """Ragged panel in any row order, with the month number of each row."""
    cells = [(month, asset) for month in range(18) for asset in "ABC"]
    chosen = draw(st.lists(st.sampled_from(cells), min_size=1, max_size=40, unique=True))
    kind = draw(st.sampled_from(KINDS))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    # One day for each month, or every row of a date would be a date of its own.
    days = rng.integers(0, 28, size=18)
    index = pd.MultiIndex.from_arrays(
        [
            pd.Index([label(month, kind, int(days[month])) for month, _ in chosen]),
            [a for _, a in chosen],
        ],
        names=["date", "asset"],
    )
    values = rng.standard_normal((len(index), n_columns))
    X = pd.DataFrame(values, index=index, columns=[f"D{j}" for j in range(n_columns)])
    return X, np.array([month for month, _ in chosen])


def stacked_slowly(X, months, lags):
    """Literal look-up of each period, row by row: kept rows and their values."""
    assets = X.index.get_level_values("asset")
    known = {(asset, month): row for asset, month, row in zip(assets, months, X.to_numpy(), strict=True)}
    kept, rows = [], []
    for i, (asset, month) in enumerate(zip(assets, months, strict=True)):
        history = [known.get((asset, month - lag)) for lag in sorted(lags, reverse=True)]
        if all(row is not None for row in history):
            kept.append(i)
            rows.append(np.concatenate(history))
    return kept, rows


lag_sets = st.lists(st.integers(0, 13), min_size=1, max_size=4, unique=True)


class TestReferenceValues:
    @settings(max_examples=200)
    @given(panels(), lag_sets)
    def test_every_row_holds_the_periods_that_a_literal_look_up_finds(self, panel, lags):
        X, months = panel
        y = pd.Series(np.arange(len(X), dtype=float), index=X.index, name="forward_return")
        kept, rows = stacked_slowly(X, months, lags)
        if not kept:
            with pytest.raises(PanelError, match="Got none among"):
                stack_lags(X, y, lags=lags)
            return
        stacked, target = stack_lags(X, y, lags=lags)
        np.testing.assert_array_equal(stacked.to_numpy(), np.array(rows))
        assert stacked.index.equals(X.index[kept])
        pd.testing.assert_series_equal(target, y.iloc[kept])
        counts = {"n_rows": len(X), "n_kept": len(kept), "n_dropped": len(X) - len(kept)}
        assert stacked.attrs["stack_lags"] == counts
        pd.testing.assert_frame_equal(stack_lags(X, lags=lags), stacked)

    def test_columns_run_from_the_oldest_lag_in_the_order_of_X(self):
        X, _ = complete_panel()
        stacked = stack_lags(X[["D1", "D0"]], lags=(0, 6, 3))
        assert list(stacked.columns) == [f"{d}__lag{k}" for k in (6, 3, 0) for d in ("D1", "D0")]
        cube = stacked.to_numpy().reshape(len(stacked), 3, 2)
        np.testing.assert_array_equal(cube[:, -1], X.loc[stacked.index, ["D1", "D0"]])

    def test_a_gap_drops_rows_and_never_shifts_one(self):
        X, months = complete_panel(n_months=6)
        gap = (months == 2) & (X.index.get_level_values("asset") == "A")
        stacked = stack_lags(X[~gap], lags=(0, 1))
        of_a = stacked.xs("A", level="asset")
        assert list(of_a.index) == [label(month, "end", 0) for month in (1, 4, 5)]
        np.testing.assert_array_equal(of_a["D0__lag1"], X.xs("A", level="asset")["D0"].iloc[[0, 3, 4]])

    def test_trading_days_are_counted_by_the_dates_of_the_panel(self):
        dates = pd.to_datetime(["2000-01-07", "2000-01-10", "2000-01-11"])  # over a weekend
        index = pd.MultiIndex.from_product([dates, ["A"]], names=["date", "asset"])
        X = pd.DataFrame({"D0": [1.0, 2.0, 3.0]}, index=index)
        stacked = stack_lags(X, lags=(1,), frequency="date")
        np.testing.assert_array_equal(stacked["D0__lag1"], [1.0, 2.0])
        np.testing.assert_array_equal(stack_lags(X, lags=(1,), frequency="D")["D0__lag1"], [2.0])


def complete_panel(n_months=15, assets="AB"):
    months = np.repeat(np.arange(n_months), len(assets))
    index = pd.MultiIndex.from_product(
        [[label(m, "end", 0) for m in range(n_months)], list(assets)], names=["date", "asset"]
    )
    values = np.arange(2.0 * len(index)).reshape(-1, 2)
    return pd.DataFrame(values, index=index, columns=["D0", "D1"]), months


class TestProperties:
    @settings(max_examples=60)
    @given(panels(), st.integers(0, 17))
    def test_later_rows_have_no_effect_on_earlier_ones(self, panel, last):
        X, months = panel
        past = months <= last
        lags = (0, 1)
        kept, _ = stacked_slowly(X[past], months[past], lags) if past.any() else ([], [])
        if not kept:
            return
        changed = X.copy()
        changed[~past] = -1e9
        expected = stack_lags(X[past], lags=lags)
        from_whole = stack_lags(X, lags=lags)
        from_changed = stack_lags(changed, lags=lags)
        assert list(from_whole.index[from_whole.index.isin(expected.index)]) == list(expected.index)
        for outcome in (from_whole, from_changed):
            rows = outcome.index.isin(expected.index)
            np.testing.assert_array_equal(outcome[rows].to_numpy(), expected.to_numpy())

    @settings(max_examples=40)
    @given(panels(), st.randoms(use_true_random=False))
    def test_rows_follow_their_order_in_X(self, panel, random):
        X, months = panel
        if not stacked_slowly(X, months, (0, 2))[0]:
            return
        order = list(range(len(X)))
        random.shuffle(order)
        stacked = stack_lags(X, lags=(0, 2))
        shuffled = stack_lags(X.iloc[order], lags=(0, 2))
        assert list(shuffled.index) == [row for row in X.index[order] if row in set(stacked.index)]
        pd.testing.assert_frame_equal(shuffled.loc[stacked.index], stacked)

    def test_missing_values_are_kept_and_rows_with_them_too(self):
        X, _ = complete_panel()
        X.iloc[4, 0] = np.nan
        stacked = stack_lags(X, lags=(0, 1))
        assert len(stacked) == len(X) - 2
        assert int(stacked.isna().sum().sum()) == 2

    def test_input_is_not_modified(self):
        X, _ = complete_panel()
        X.attrs["n_missing_filled"] = 7
        y = X["D0"].rename("y")
        before = X.copy(), y.copy()
        stacked, _ = stack_lags(X, y, lags=(0, 3))
        stacked.iloc[0] = -1.0
        pd.testing.assert_frame_equal(X, before[0])
        pd.testing.assert_series_equal(y, before[1])
        assert X.attrs == {"n_missing_filled": 7}
        assert stacked.attrs["n_missing_filled"] == 7

    def test_level_order_of_the_index_does_not_matter(self):
        X, _ = complete_panel()
        expected = stack_lags(X, lags=(0, 3))
        swapped = stack_lags(X.swaplevel(), lags=(0, 3))
        pd.testing.assert_frame_equal(swapped.swaplevel(), expected)

    def test_unused_levels_of_the_index_do_not_matter(self):
        X, months = complete_panel()
        pd.testing.assert_frame_equal(
            stack_lags(X[months >= 5], lags=(0, 3)),
            stack_lags(X[months >= 5].set_axis(X.index[months >= 5].remove_unused_levels()), lags=(0, 3)),
        )

    def test_float32_stays_float32(self):
        X, _ = complete_panel()
        assert set(stack_lags(X.astype("float32"), lags=(0, 1)).dtypes) == {np.dtype("float32")}

    def test_dropped_rows_are_logged_with_their_count(self, caplog):
        X, _ = complete_panel()
        with caplog.at_level(logging.INFO, logger="skdrfm.panel"):
            stack_lags(X, lags=(0, 12))
        assert "kept 6 of 30 rows, dropped 24" in caplog.text


class TestValidation:
    @pytest.mark.parametrize("lags", [(), (-1,), (0, 0), (1.5,), ("3",), 3, (0, None)], ids=str)
    def test_lags_must_be_distinct_integers_from_zero(self, lags):
        X, _ = complete_panel()
        with pytest.raises(PanelError, match="'lags' must be distinct integers >= 0"):
            stack_lags(X, lags=lags)

    def test_two_rows_of_an_asset_in_one_period_are_refused(self):
        dates = pd.to_datetime(["2000-01-03", "2000-01-31", "2000-02-29"])
        index = pd.MultiIndex.from_product([dates, ["A"]], names=["date", "asset"])
        X = pd.DataFrame({"D0": [1.0, 2.0, 3.0]}, index=index)
        with pytest.raises(PanelError, match=r"Got 1 further rows: .*2000-01-31.*'A'"):
            stack_lags(X, lags=(0,))

    def test_too_short_a_panel_is_refused_with_its_rows(self):
        X, _ = complete_panel(n_months=3)
        with pytest.raises(PanelError, match=r"all lags \(0, 3\). Got none among 6 rows"):
            stack_lags(X, lags=(0, 3))
        with pytest.raises(PanelError, match="Got none among 0 rows"):
            stack_lags(X.iloc[:0], lags=(0,))

    def test_a_target_in_another_order_is_refused(self):
        X, _ = complete_panel()
        with pytest.raises(PanelError, match="another order"):
            stack_lags(X, X["D0"].iloc[::-1])

    def test_a_series_is_refused_with_the_way_out(self):
        with pytest.raises(PanelError, match=r"Got a Series. Make it one with X.to_frame\(\)"):
            stack_lags(complete_panel()[0]["D0"])

    def test_columns_that_hold_no_numbers_are_refused_by_name(self):
        X, _ = complete_panel()
        X = X.assign(industry="bank", listed=True)
        with pytest.raises(
            PanelError, match=r"must be numbers. Got other columns: 'industry' \(.*\), 'listed' \(bool\)"
        ):
            stack_lags(X, lags=(0,))
