"""WalkForwardSplit against a literal walk over the calendar, for every combination of its parameters."""

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdrfm.exceptions import SplitError
from skdrfm.model_selection import WalkForwardSplit
from skdrfm.model_selection._walk_forward import describe_windows

START = datetime.date(2013, 11, 27)

KINDS = {
    "datetime64": pd.to_datetime,
    "Period": lambda days: pd.PeriodIndex(days, freq="D"),
    "yyyymmdd": lambda days: pd.Index([int(f"{day:%Y%m%d}") for day in days]),
    "ISO strings": lambda days: pd.Index([day.isoformat() for day in days]),
    "datetime.date": lambda days: pd.Index(days, dtype=object),
    "categories": lambda days: pd.CategoricalIndex(
        pd.to_datetime(days), categories=pd.to_datetime(days[::-1]).unique()
    ),
}


def period_number(day, freq):
    """Consecutive numbers of calendar periods; weeks begin on Monday, as ordinal 1 does."""
    return {
        "D": day.toordinal(),
        "W": (day.toordinal() - 1) // 7,
        "M": day.year * 12 + day.month,
        "Q": day.year * 4 + (day.month - 1) // 3,
        "Y": day.year,
    }[freq]


def literal_windows(days, chosen):
    """Row positions of each window, by loops over days and rows; None where there must be an error."""
    distinct = sorted(set(days))
    freq = chosen["freq"]
    number = {day: period_number(day, freq) if freq else place for place, day in enumerate(distinct)}
    first_number = number[distinct[0]]
    last_number = number[distinct[-1]]
    left_out = chosen["gap"] + chosen["embargo"]
    cursor = first_number + chosen["train_size"] + left_out
    asked = chosen["first_test_date"]
    if asked is not None:
        at = period_number(asked, freq) if freq else sum(day < asked for day in distinct)
        if at < cursor:
            return None
        cursor = at
    windows = []
    while cursor + chosen["test_size"] - 1 <= last_number:
        train_stop = cursor - left_out
        train_start = first_number if chosen["expanding"] else train_stop - chosen["train_size"]
        train = [row for row, day in enumerate(days) if train_start <= number[day] < train_stop]
        test = [row for row, day in enumerate(days) if cursor <= number[day] < cursor + chosen["test_size"]]
        if train and test:
            windows.append((train, test))
        cursor += chosen["step"] or chosen["test_size"]
    if len(windows) < (chosen["n_splits"] or 1):
        return None
    if chosen["n_splits"] is None:
        return windows
    return windows[: chosen["n_splits"]] if asked is not None else windows[-chosen["n_splits"] :]


@st.composite
def rows_of_days(draw):
    """Days of rows in any order, with holes in the calendar and one to three rows for each day."""
    spacing = draw(st.sampled_from([1, 3, 20, 31]))
    places = draw(st.lists(st.integers(0, 24), min_size=1, max_size=18, unique=True))
    rows = [START + datetime.timedelta(days=place * spacing) for place in places for _ in range(1 + place % 3)]
    return draw(st.permutations(rows)) if draw(st.booleans()) else sorted(rows)


parameters = st.fixed_dictionaries(
    {
        "train_size": st.integers(1, 6),
        "test_size": st.integers(1, 3),
        "step": st.none() | st.integers(1, 4),
        "gap": st.integers(0, 2),
        "embargo": st.integers(0, 2),
        "expanding": st.booleans(),
        "n_splits": st.none() | st.integers(1, 4),
        "first_test_date": st.none() | st.integers(0, 500).map(lambda days: START + datetime.timedelta(days=days)),
        "freq": st.sampled_from([None, "D", "W", "M", "Q", "Y"]),
    }
)


def panel(days, kind):
    assets = np.arange(len(days))
    return pd.Series(0.0, index=pd.MultiIndex.from_arrays([KINDS[kind](days), assets], names=["date", "asset"]))


def as_lists(splits):
    return [(train.tolist(), test.tolist()) for train, test in splits]


class TestEveryCombination:
    @given(days=rows_of_days(), chosen=parameters, kind=st.sampled_from(sorted(KINDS)))
    @settings(max_examples=200)
    def test_windows_and_their_number_equal_a_literal_walk(self, days, chosen, kind):
        cv = WalkForwardSplit(**chosen)
        X = panel(days, kind)
        expected = literal_windows(days, chosen)
        if expected is None:
            for count in (cv.get_n_splits, lambda X: list(cv.split(X)), cv.summary):
                with pytest.raises(SplitError, match="must fit|must have"):
                    count(X)
            return
        assert as_lists(cv.split(X)) == expected
        assert cv.get_n_splits(X) == len(expected)
        assert len(cv.summary(X)) == len(expected)

    @given(days=rows_of_days(), chosen=parameters, kind=st.sampled_from(sorted(KINDS)))
    @settings(max_examples=50)
    def test_dates_as_groups_give_the_windows_of_dates_in_the_index(self, days, chosen, kind):
        cv = WalkForwardSplit(**chosen)
        X = panel(days, kind)
        if literal_windows(days, chosen) is None:
            return
        by_index = as_lists(cv.split(X))
        groups = KINDS[kind](days)
        for given_as in (groups, pd.Series(groups), X.index, np.asarray(groups)):
            assert as_lists(cv.split(np.zeros((len(days), 1)), groups=given_as)) == by_index
        assert as_lists(cv.split(X.to_numpy(), X)) == by_index


class TestInvariants:
    @given(days=rows_of_days(), chosen=parameters)
    @settings(max_examples=100)
    def test_the_past_alone_trains_and_no_date_is_cut(self, days, chosen):
        if literal_windows(days, chosen) is None:
            return
        number = [
            period_number(day, chosen["freq"]) if chosen["freq"] else sorted(set(days)).index(day) for day in days
        ]
        number = np.array(number)
        for train, test in WalkForwardSplit(**chosen).split(panel(days, "datetime64")):
            assert number[train].max() + chosen["gap"] + chosen["embargo"] < number[test].min()
            assert number[test].max() - number[test].min() < chosen["test_size"]
            for part in (train, test):
                assert (np.diff(part) > 0).all()
                assert set(np.flatnonzero(np.isin(number, number[part]))) == set(part.tolist())

    @given(days=rows_of_days(), chosen=parameters, n_later=st.integers(1, 4))
    @settings(max_examples=50)
    def test_later_rows_change_no_earlier_window(self, days, chosen, n_later):
        chosen = {**chosen, "n_splits": None}
        before = literal_windows(days, chosen)
        if before is None:
            return
        # The last period is complete: days that come later belong to later ones.
        later = [max(days) + datetime.timedelta(days=366 * year) for year in range(1, n_later + 1)]
        after = as_lists(WalkForwardSplit(**chosen).split(panel([*days, *later], "datetime64")))
        assert after[: len(before)] == before

    @given(days=rows_of_days(), train_size=st.integers(1, 4), test_size=st.integers(1, 3))
    @settings(max_examples=50)
    def test_without_a_step_no_row_is_tested_twice_and_none_is_forgotten(self, days, train_size, test_size):
        distinct = sorted(set(days))
        if len(distinct) < train_size + test_size:
            return
        cv = WalkForwardSplit(train_size, test_size)
        tested = np.concatenate([test for _, test in cv.split(panel(days, "datetime64"))])
        n_tested = (len(distinct) - train_size) // test_size * test_size
        expected = distinct[train_size : train_size + n_tested]
        assert sorted(tested) == [row for row, day in enumerate(days) if day in expected]

    @given(days=rows_of_days(), chosen=parameters)
    @settings(max_examples=30)
    def test_the_input_is_not_modified_and_windows_cannot_be(self, days, chosen):
        if literal_windows(days, chosen) is None:
            return
        X = panel(days, "datetime64")
        copy = X.copy(deep=True)
        for split in WalkForwardSplit(**chosen).split(X):
            assert not any(part.flags.writeable for part in split)
        pd.testing.assert_series_equal(X, copy)

    @given(days=rows_of_days(), chosen=parameters)
    @settings(max_examples=30)
    def test_the_summary_describes_the_rows_that_are_yielded(self, days, chosen):
        expected = literal_windows(days, chosen)
        if expected is None:
            return
        summary = WalkForwardSplit(**chosen).summary(panel(days, "datetime64"))
        for line, split in zip(summary.itertuples(), expected, strict=True):
            for part, rows in zip(("train", "test"), split, strict=True):
                own = [days[row] for row in rows]
                assert getattr(line, f"{part}_start").date() == min(own)
                assert getattr(line, f"{part}_end").date() == max(own)
                assert getattr(line, f"{part}_dates") == len(set(own))
                assert getattr(line, f"{part}_rows") == len(own)

    @given(days=rows_of_days())
    @settings(max_examples=30)
    def test_windows_of_any_splitter_can_be_described(self, days):
        rows = np.arange(len(days))
        described = describe_windows(pd.to_datetime(days), [(rows[::-1], rows[:1])]).iloc[0]
        assert described["train_start"].date() == min(days)
        assert described["train_end"].date() == max(days)
        assert described["test_dates"] == described["test_rows"] == 1
