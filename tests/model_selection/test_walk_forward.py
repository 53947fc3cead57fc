"""WalkForwardSplit against a literal walk over dates, its properties and its errors."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_validate

from skdrfm.exceptions import SplitError
from skdrfm.model_selection import WalkForwardSplit


def month_ends(n, start="2007-04-30"):
    return pd.date_range(start, periods=n, freq="ME")


def panel(n_dates, n_assets=3, seed=0, ragged=True):
    """Rows in random order; some assets missing on some dates, each date with at least one row."""
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product([month_ends(n_dates), list("ABCDEFGH")[:n_assets]], names=["date", "asset"])
    keep = rng.random(len(index)) < 0.8 if ragged else np.ones(len(index), bool)
    keep[::n_assets] = True
    index = index[keep][rng.permutation(keep.sum())]
    return pd.DataFrame({"x": rng.normal(size=len(index))}, index=index)


def literal_windows(n, train, test, step, gap, expanding):
    """Walk a cursor over the dates, one window at a time."""
    windows = []
    cursor = train + gap
    while cursor + test <= n:
        start = 0 if expanding else cursor - gap - train
        windows.append((list(range(start, cursor - gap)), list(range(cursor, cursor + test))))
        cursor += step
    return windows


parameters = st.fixed_dictionaries(
    {
        "train_size": st.integers(1, 8),
        "test_size": st.integers(1, 4),
        "step": st.none() | st.integers(1, 5),
        "gap": st.integers(0, 3),
        "embargo": st.integers(0, 2),
        "expanding": st.booleans(),
    }
)


class TestReferenceValues:
    def test_the_paper_has_96_windows_of_60_months(self):
        # Training starts in April 2002, the last test month is March 2015.
        dates = pd.date_range("2002-04-30", "2015-03-31", freq="ME")
        cv = WalkForwardSplit(train_size=60, test_size=1)
        assert cv.get_n_splits(groups=dates) == 96
        first = cv.summary(dates, groups=dates).iloc[0]
        assert first["test_start"] == pd.Timestamp("2007-04-30")
        assert first["train_end"] == pd.Timestamp("2007-03-31")

    @given(parameters, st.integers(0, 10_000))
    @settings(max_examples=150, deadline=None)
    def test_windows_equal_a_literal_walk(self, chosen, seed):
        X = panel(20, seed=seed)
        expected = literal_windows(
            20,
            chosen["train_size"],
            chosen["test_size"],
            chosen["step"] or chosen["test_size"],
            chosen["gap"] + chosen["embargo"],
            chosen["expanding"],
        )
        cv = WalkForwardSplit(**chosen)
        if not expected:
            with pytest.raises(SplitError, match="must fit"):
                list(cv.split(X))
            return
        dates = month_ends(20)
        got = []
        for train, test in cv.split(X):
            per_part = []
            for rows in (train, test):
                own = X.index.get_level_values("date")[rows]
                used = sorted({int(dates.get_loc(date)) for date in own})
                # Every row of a used date is in the window: a date is never cut.
                assert len(rows) == sum((X.index.get_level_values("date") == dates[i]).sum() for i in used)
                per_part.append(used)
            got.append(tuple(per_part))
        assert got == expected
        assert cv.get_n_splits(X) == len(expected)

    def test_gap_keeps_training_labels_before_first_test_date(self):
        dates = month_ends(10)
        train, test = next(WalkForwardSplit(4, 1, gap=2).split(dates, groups=dates))
        # A return over 3 months stored at date i ends at date i + 3.
        assert train.max() + 3 <= test.min()

    def test_n_splits_keeps_the_latest_windows(self):
        dates = month_ends(10)
        everything = list(WalkForwardSplit(4, 1).split(dates, groups=dates))
        latest = list(WalkForwardSplit(4, 1, n_splits=2).split(dates, groups=dates))
        assert [test.tolist() for _, test in latest] == [test.tolist() for _, test in everything[-2:]]

    def test_n_splits_counts_from_the_first_test_date_where_that_is_given(self):
        dates = month_ends(10)
        cv = WalkForwardSplit(4, 1, n_splits=2, first_test_date=dates[5])
        assert [test.tolist() for _, test in cv.split(dates, groups=dates)] == [[5], [6]]


class TestDates:
    @pytest.mark.parametrize(
        "dates",
        [
            month_ends(8),
            month_ends(8).to_period("M"),
            month_ends(8).strftime("%Y%m").astype(int),
            month_ends(8).strftime("%Y-%m-%d"),
        ],
        ids=["datetime64", "Period", "yyyymm", "ISO strings"],
    )
    def test_any_type_of_date_gives_the_same_windows(self, dates):
        cv = WalkForwardSplit(5, 1, first_test_date="2007-10")
        tests = [test.tolist() for _, test in cv.split(np.zeros(8), groups=dates)]
        assert tests == [[6], [7]] if isinstance(dates, pd.Index) else tests

    def test_dates_come_from_y_where_x_has_none(self):
        X = panel(8)
        y = X["x"]
        from_y = [test.tolist() for _, test in WalkForwardSplit(5).split(X.to_numpy(), y)]
        from_x = [test.tolist() for _, test in WalkForwardSplit(5).split(X)]
        assert from_y == from_x

    def test_rows_may_come_in_any_order(self):
        X = panel(8)
        shuffled = X.sample(frac=1, random_state=3)
        for (train, test), (train_2, test_2) in zip(
            WalkForwardSplit(5).split(X), WalkForwardSplit(5).split(shuffled), strict=True
        ):
            assert set(X.index[train]) == set(shuffled.index[train_2])
            assert set(X.index[test]) == set(shuffled.index[test_2])

    def test_later_dates_do_not_change_earlier_windows(self):
        X = panel(10, ragged=False).sort_index()
        early = X[X.index.get_level_values("date") < X.index.get_level_values("date").unique().sort_values()[8]]
        for (train, test), (train_2, test_2) in zip(
            WalkForwardSplit(5).split(early), WalkForwardSplit(5).split(X), strict=False
        ):
            np.testing.assert_array_equal(train, train_2)
            np.testing.assert_array_equal(test, test_2)


class TestInsideScikitLearn:
    def test_cross_validate_and_grid_search_without_routing(self):
        X = panel(12)
        y = X["x"] * 0.5
        scores = cross_validate(LinearRegression(), X, y, cv=WalkForwardSplit(6, 2))["test_score"]
        assert len(scores) == 3
        search = GridSearchCV(LinearRegression(), {"fit_intercept": [True, False]}, cv=WalkForwardSplit(6, 2))
        assert search.fit(X, y).n_splits_ == 3

    def test_dates_arrive_as_groups_with_routing_on_and_off(self):
        X = panel(12)
        dates = X.index.get_level_values("date")
        array, y = X.to_numpy(), X["x"].to_numpy()
        off = cross_validate(LinearRegression(), array, y, cv=WalkForwardSplit(6), groups=dates)["test_score"]
        with sklearn.config_context(enable_metadata_routing=True):
            on = cross_validate(LinearRegression(), array, y, cv=WalkForwardSplit(6), params={"groups": dates})[
                "test_score"
            ]
            search = GridSearchCV(LinearRegression(), {"fit_intercept": [True]}, cv=WalkForwardSplit(6))
            assert search.fit(array, y, groups=dates).n_splits_ == 6
        np.testing.assert_array_equal(on, off)

    def test_it_pickles_and_repeats(self):
        cv = WalkForwardSplit(6, 2, gap=1)
        again = pickle.loads(pickle.dumps(cv))
        assert vars(again) == vars(cv)
        assert "train_size=6" in repr(cv)
        assert vars(clone(cv, safe=False)) == vars(cv)


class TestValidation:
    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"train_size": 0}, r"'train_size' parameter of WalkForwardSplit must be an int in the range \[1, inf\)"),
            ({"test_size": 1.5}, "'test_size' .* Got 1.5"),
            ({"step": 0}, "'step' .* or None. Got 0"),
            ({"gap": -1}, r"'gap' .* \[0, inf\)"),
            ({"embargo": True}, "'embargo' .* Got True"),
            ({"n_splits": 0}, "'n_splits'"),
            ({"train_size": 60}, "Got 12 distinct dates from 2007-04-30 .*, enough for 0"),
            ({"train_size": 6, "n_splits": 7}, "7 windows .* enough for 6"),
            ({"train_size": 6, "first_test_date": "2007-05-31"}, "must have 6 dates before it .* earliest possible"),
            ({"train_size": 6, "first_test_date": "soon"}, "'first_test_date' must be a date like"),
        ],
    )
    def test_errors_say_what_must_be_and_what_came(self, parameters, message):
        with pytest.raises(SplitError, match=message):
            list(WalkForwardSplit(**parameters).split(panel(12)))

    def test_no_dates_name_the_ways_to_pass_them(self):
        with pytest.raises(SplitError, match=r"Index X or y by \(date, asset\), or pass groups=dates"):
            list(WalkForwardSplit().split(np.zeros((5, 2)), np.zeros(5)))

    def test_mixed_types_of_dates(self):
        with pytest.raises(SplitError, match="one type that can be ordered. Got Timestamp, str"):
            list(WalkForwardSplit(1).split(np.zeros(2), groups=pd.Index([pd.Timestamp("2020"), "2021"], dtype=object)))

    def test_groups_of_another_length(self):
        with pytest.raises(SplitError, match=r"one date for each row of X \(5\). Got 4"):
            list(WalkForwardSplit(1).split(np.zeros(5), groups=month_ends(4)))

    def test_missing_dates_are_counted(self):
        with pytest.raises(SplitError, match="Got 1 rows without"):
            list(WalkForwardSplit(1).split(np.zeros(2), groups=pd.DatetimeIndex(["2020-01-31", None])))
