import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skdrfm.exceptions import PanelError
from skdrfm.panel import assets_of, check_aligned, check_panel_index, dates_of
from skdrfm.panel._index import calendar_ordinals, has_panel_index

MONTHS = pd.period_range("1999-11", "2000-03", freq="M")


def index_of(dates, assets=("A", "B")):
    return pd.MultiIndex.from_product([dates, assets], names=["date", "asset"])


def panel():
    index = index_of(MONTHS.to_timestamp())
    return pd.DataFrame({"CAP": np.arange(len(index), dtype=float)}, index=index)


class TestReferenceValues:
    def test_dates_and_assets_are_those_of_the_rows(self):
        X = panel().iloc[[3, 0]]
        assert list(dates_of(X)) == [pd.Timestamp("1999-12-01"), pd.Timestamp("1999-11-01")]
        assert list(assets_of(X)) == ["B", "A"]
        assert list(dates_of(X.index)) == list(dates_of(X["CAP"]))

    @pytest.mark.parametrize(
        "dates",
        [
            MONTHS,
            MONTHS.to_timestamp(how="end"),
            MONTHS.to_timestamp() + pd.to_timedelta([3, 27, 0, 11, 30], unit="D"),
            MONTHS.to_timestamp().tz_localize("UTC"),
            pd.Index([199911, 199912, 200001, 200002, 200003]),
            pd.Index([199911, 199912, 200001, 200002, 200003], dtype="int32"),
            pd.Index([19991130, 19991201, 20000115, 20000229, 20000331]),
            pd.Index(["1999-11", "1999-12", "2000-01", "2000-02", "2000-03"]),
            pd.Index(["1999-11-30", "1999-12-01", "2000-01", "2000-02-29", "2000-03-31"]),
            pd.Index([datetime.date(m.year, m.month, 9) for m in MONTHS]),
        ],
        ids=lambda d: f"{d.dtype}-{d[0]}",
    )
    def test_consecutive_months_differ_by_one_for_every_kind_of_date(self, dates):
        order = [4, 0, 0, 2, 1, 3]
        ordinals = calendar_ordinals(dates[order], "M")
        np.testing.assert_array_equal(ordinals - ordinals[1], order)
        assert ordinals.dtype == np.intp

    @pytest.mark.parametrize(
        ("frequency", "expected"),
        [("M", [0, 1, 3]), ("Q", [0, 1, 1]), ("Y", [0, 1, 1]), ("D", [0, 10, 78]), ("date", [0, 1, 2])],
    )
    def test_periods_have_the_length_of_the_frequency(self, frequency, expected):
        dates = pd.to_datetime(["1999-12-28", "2000-01-07", "2000-03-15"])
        ordinals = calendar_ordinals(dates, frequency)
        np.testing.assert_array_equal(ordinals - ordinals[0], expected)

    def test_distinct_dates_are_counted_in_their_order_in_time(self):
        dates = pd.to_datetime(["2000-03-15", "1999-12-28", "2000-03-15", "2000-01-07"])
        np.testing.assert_array_equal(calendar_ordinals(dates, "date"), [2, 0, 2, 1])


class TestProperties:
    def test_a_sound_index_is_returned_as_it_is(self):
        X = panel()
        assert check_panel_index(X) is X.index
        assert check_panel_index(X.index) is X.index
        assert check_panel_index(X["CAP"].swaplevel()).names == ["asset", "date"]

    def test_only_an_index_with_both_levels_is_a_panel(self):
        assert has_panel_index(panel())
        assert not has_panel_index(panel().reset_index("asset"))
        assert not has_panel_index(np.ones(3))

    def test_equal_rows_are_aligned_and_arrays_are_compared_by_length(self):
        X = panel()
        assert check_aligned(X, X["CAP"].copy()) is None
        assert check_aligned(X, X["CAP"].to_numpy()) is None
        assert check_aligned(X.to_numpy(), X["CAP"]) is None


class TestValidation:
    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: panel().rename_axis(["month", "permno"]), r"found: 'month', 'permno'\). Rename"),
            (lambda: panel().reset_index("asset"), r"one level named 'date'\). Set it from columns"),
            (lambda: panel().reset_index(), r"one level named None\). Set it from columns"),
            (lambda: panel().to_numpy(), "a ndarray without an index"),
            (
                lambda: pd.concat([panel(), panel().iloc[:2]]),
                r"Got 2 duplicate rows: .*'A'\), .*'B'\)\. Keep one row",
            ),
            (
                lambda: panel().set_axis(index_of([pd.NaT, *MONTHS.to_timestamp()[1:]])),
                "the date of every row. Got 2 rows without one",
            ),
            (
                lambda: panel().set_axis(index_of(MONTHS, ["A", None])),
                "the asset of every row. Got 5 rows without one",
            ),
            (
                lambda: panel().set_axis(index_of(["1999-11", 199912, 1, 2, pd.Timestamp(0)])),
                "all be of one type. Got Timestamp, int, str",
            ),
        ],
    )
    def test_a_broken_index_is_refused_with_the_way_out(self, make, message):
        with pytest.raises(PanelError, match=message):
            check_panel_index(make())

    @given(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12),
        st.booleans(),
        st.permutations(range(4)),
    )
    def test_a_pair_that_occurs_twice_is_found_in_any_order_of_rows_and_levels(self, pairs, in_order, places):
        pairs = sorted(pairs) if in_order else pairs
        # The order of the labels within a level need not be that of time.
        codes = [[places.index(date) for date, _ in pairs], [asset for _, asset in pairs]]
        index = pd.MultiIndex([list(places), list("ABCD")], codes, names=["date", "asset"], verify_integrity=False)
        if len(set(pairs)) == len(pairs):
            assert check_panel_index(index) is index
        else:
            with pytest.raises(PanelError, match=f"Got {len(pairs) - len(set(pairs))} duplicate rows"):
                check_panel_index(index)

    def test_a_missing_level_is_named(self):
        plain = panel().reset_index(drop=True)
        with pytest.raises(PanelError, match=r"level named 'date' \(found: None\).*groups=dates"):
            dates_of(plain)
        with pytest.raises(PanelError, match="level named 'asset'"):
            assets_of(plain)

    def test_targets_that_do_not_fit_are_refused(self):
        X = panel()
        y = X["CAP"]
        with pytest.raises(PanelError, match=r"for each row of X \(10\). Got 9"):
            check_aligned(X, y.iloc[1:])
        with pytest.raises(PanelError, match="the same rows in another order"):
            check_aligned(X, y.iloc[::-1])
        other = y.rename({"B": "C"}, level="asset")
        with pytest.raises(PanelError, match=r"5 rows of X that returns lacks: .* and 2 more"):
            check_aligned(X, other, y_name="returns")

    @pytest.mark.parametrize(
        "dates",
        [
            pd.Index([199911.0, 199912.0]),
            pd.Index([1999, 2000]),
            pd.Index([199913]),
            pd.Index(["01/02/2000"]),
            pd.Index(["199911"]),
            pd.Index(["soon"]),
            pd.Index([True, False]),
        ],
        ids=str,
    )
    def test_what_is_no_clear_date_is_refused(self, dates):
        with pytest.raises(PanelError, match=r"yyyymm integers or ISO strings\. Got"):
            calendar_ordinals(dates, "M")

    def test_unknown_frequency_is_refused_with_the_known_ones(self):
        with pytest.raises(PanelError, match=r"'M', 'Q', 'Y', 'W', 'D', 'date'\. Got 'ME'"):
            calendar_ordinals(MONTHS, "ME")
