"""WalkForwardSplit: worked examples, kinds of dates, and its errors."""

import datetime

import numpy as np
import pandas as pd
import pytest

from skdrfm.exceptions import SplitError
from skdrfm.model_selection import WalkForwardSplit


def month_ends(n, start="2007-04-30", tz=None):
    return pd.date_range(start, periods=n, freq="ME", tz=tz)


def panel(n_dates, n_assets=3, seed=0, ragged=True):
    """Rows in random order; some assets missing on some dates, each date with at least one row."""
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product([month_ends(n_dates), list("ABCDEFGH")[:n_assets]], names=["date", "asset"])
    keep = rng.random(len(index)) < 0.8 if ragged else np.ones(len(index), bool)
    keep[::n_assets] = True
    index = index[keep][rng.permutation(keep.sum())]
    return pd.DataFrame({"x": rng.normal(size=len(index))}, index=index)


DATES = {
    "datetime64": lambda dates: dates,
    "time zone": lambda dates: dates.tz_localize("Europe/Paris"),
    "months": lambda dates: dates.to_period("M"),
    "days": lambda dates: dates.to_period("D"),
    "yyyymm": lambda dates: dates.strftime("%Y%m").astype(int),
    "yyyymmdd": lambda dates: dates.strftime("%Y%m%d").astype(int),
    "float yyyymm": lambda dates: dates.strftime("%Y%m").astype(float),
    "ISO days": lambda dates: dates.strftime("%Y-%m-%d"),
    "ISO months": lambda dates: dates.strftime("%Y-%m"),
    "text yyyymm": lambda dates: dates.strftime("%Y%m"),
    "text yyyymmdd": lambda dates: dates.strftime("%Y%m%d"),
    "text with slashes": lambda dates: dates.strftime("%Y/%m/%d"),
    "date": lambda dates: pd.Index(dates.date, dtype=object),
}
NO_CALENDAR = {("float yyyymm", "M"), ("text yyyymm", "M")}
# October 2007, the seventh of the months.
FIRST = [
    "2007-10-31",
    "2007-10",
    "20071031",
    "200710",
    20071031,
    200710,
    200710.0,
    "2007Q4",
    datetime.date(2007, 10, 31),
    pd.Timestamp("2007-10-31"),
    pd.Period("2007-10", "M"),
    np.datetime64("2007-10-31"),
]


class TestReferenceValues:
    def test_the_paper_has_96_windows_of_60_months(self):
        # Training starts in April 2002, the last test month is March 2015.
        dates = pd.date_range("2002-04-30", "2015-03-31", freq="ME")
        cv = WalkForwardSplit(train_size=60, test_size=1)
        assert cv.get_n_splits(groups=dates) == 96
        first = cv.summary(dates, groups=dates).iloc[0]
        assert first["test_start"] == pd.Timestamp("2007-04-30")
        assert first["train_end"] == pd.Timestamp("2007-03-31")

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


class TestCalendar:
    """October 2014 to April 2015 without January 2015."""

    MONTHS = (201410, 201411, 201412, 201502, 201503, 201504)

    def windows(self, *sizes, **options):
        cv = WalkForwardSplit(*sizes, **options)
        months = np.array(self.MONTHS)
        assert cv.get_n_splits(groups=months) == len(list(cv.split(None, groups=months)))
        return [(months[train].tolist(), months[test].tolist()) for train, test in cv.split(None, groups=months)]

    def test_distinct_dates_pass_over_a_missing_month(self):
        assert self.windows(2, 1)[1:3] == [([201411, 201412], [201502]), ([201412, 201502], [201503])]

    def test_a_missing_month_takes_its_place_in_training_windows(self):
        assert self.windows(2, 1, freq="M") == [
            ([201410, 201411], [201412]),
            ([201412], [201502]),
            ([201502], [201503]),
            ([201502, 201503], [201504]),
        ]

    def test_a_missing_month_takes_its_place_in_the_gap(self):
        # A return over two months stored in December ends in February: with distinct dates it would be trained on
        # only up to November, with months up to December.
        assert ([201411], [201502]) in self.windows(1, 1, gap=1)
        assert ([201412], [201502]) in self.windows(1, 1, gap=1, freq="M")

    def test_a_window_without_training_or_test_rows_is_not_yielded(self):
        tested = [test for _, test in self.windows(1, 1, freq="M")]
        # January has no row to test, and February none to train on.
        assert tested == [[201411], [201412], [201503], [201504]]

    def test_n_splits_counts_yielded_windows(self):
        assert [test for _, test in self.windows(1, 1, freq="M", n_splits=3)] == [[201412], [201503], [201504]]

    def test_steps_are_calendar_steps(self):
        assert [test for _, test in self.windows(1, 1, step=3, freq="M")] == [[201411]]
        assert [test for _, test in self.windows(1, 1, step=3)] == [[201411], [201503]]

    @pytest.mark.parametrize("first", [201501, "2015-01", "2015-01-15", datetime.date(2015, 1, 31)])
    def test_the_first_test_date_may_be_in_a_missing_month(self, first):
        assert next(test for _, test in self.windows(2, 1, freq="M", first_test_date=first)) == [201502]

    def test_dates_of_one_period_stay_together(self):
        days = pd.bdate_range("2020-01-01", "2020-06-30")
        cv = WalkForwardSplit(2, 1, freq="M")
        tested = [days[test] for _, test in cv.split(None, groups=days)]
        assert [set(dates.month) for dates in tested] == [{3}, {4}, {5}, {6}]
        assert sum(map(len, tested)) == (days.month > 2).sum()

    def test_the_calendar_of_a_time_zone_is_that_of_its_clock(self):
        # The evening of the last day of January in New York is February in London.
        evenings = pd.DatetimeIndex(["2020-01-30 20:00", "2020-01-31 20:00", "2020-02-28 20:00"], tz="America/New_York")
        assert [test.tolist() for _, test in WalkForwardSplit(1, 1, freq="M").split(None, groups=evenings)] == [[2]]

    def test_the_summary_shows_the_dates_that_there_are(self):
        months = pd.PeriodIndex(["2014-12", "2015-02", "2015-03"], freq="M")
        summary = WalkForwardSplit(2, 1, freq="M").summary(None, groups=months)
        assert summary["train_start"].tolist() == [months[0], months[1]]
        assert summary["train_dates"].tolist() == [1, 1]


class TestDates:
    @pytest.mark.parametrize("first", FIRST, ids=repr)
    @pytest.mark.parametrize(
        ("kind", "freq"), [(kind, freq) for kind in DATES for freq in (None, "M") if (kind, freq) not in NO_CALENDAR]
    )
    def test_any_type_of_date_gives_the_same_windows(self, kind, freq, first):
        cv = WalkForwardSplit(5, 1, first_test_date=first, freq=freq)
        dates = DATES[kind](month_ends(8))
        assert [test.tolist() for _, test in cv.split(np.zeros(8), groups=dates)] == [[6], [7]]

    @pytest.mark.parametrize("kind", DATES)
    def test_a_year_is_its_first_date(self, kind):
        for first in ("2008", 2008, "2008Q1", "2008-Q1"):
            cv = WalkForwardSplit(5, 1, first_test_date=first)
            dates = DATES[kind](month_ends(10))
            assert [test.tolist() for _, test in cv.split(np.zeros(10), groups=dates)] == [[9]]

    def test_a_quarter_of_a_fiscal_year_is_that_of_the_panel(self):
        quarters = pd.period_range("2007Q1", periods=4, freq="Q-MAR")
        cv = WalkForwardSplit(1, 1, first_test_date="2007Q3")
        assert [test.tolist() for _, test in cv.split(None, groups=quarters)] == [[2], [3]]

    def test_times_of_a_day_are_told_apart_in_text(self):
        hours = pd.date_range("2007-01-31 08:00", periods=6, freq="h")
        for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d %H:%M"):
            for first in (hours[3], "2007-01-31 11:00"):
                cv = WalkForwardSplit(2, 1, first_test_date=first)
                assert [test.tolist() for _, test in cv.split(None, groups=hours.strftime(form))] == [[3], [4], [5]]

    def test_labels_that_are_no_dates_are_taken_in_their_order(self):
        cv = WalkForwardSplit(2, 1, first_test_date="d")
        assert [test.tolist() for _, test in cv.split(None, groups=list("ecdab"))] == [[2], [0]]
        cv = WalkForwardSplit(2, 1, first_test_date=100)
        assert [test.tolist() for _, test in cv.split(None, groups=[7, 100, 99, 8, 9])] == [[1]]
        cv = WalkForwardSplit(1, 1, first_test_date="2007Q2")
        assert [test.tolist() for _, test in cv.split(None, groups=["2007Q1", "2007Q2", "2007Q3"])] == [[1], [2]]
        for first in (2.5, "2.5", 2):
            cv = WalkForwardSplit(1, 1, first_test_date=first)
            assert [test.tolist() for _, test in cv.split(None, groups=[1.5, 2.5, 3.5])] == [[1], [2]]

    def test_dates_come_from_y_where_x_has_none(self):
        X = panel(8)
        y = X["x"]
        from_y = [test.tolist() for _, test in WalkForwardSplit(5).split(X.to_numpy(), y)]
        from_x = [test.tolist() for _, test in WalkForwardSplit(5).split(X)]
        assert from_y == from_x

    def test_dates_without_rows_left_in_the_index_do_not_count(self):
        X = panel(8).sort_index()
        late = X[X.index.get_level_values("date") > month_ends(3)[-1]]
        assert len(late.index.levels[0]) == 8
        assert WalkForwardSplit(3).get_n_splits(late) == 2

    def test_a_panel_in_date_order_is_split_without_copies(self):
        X = panel(8).sort_index()
        splits = list(WalkForwardSplit(3).split(X))
        assert all(np.shares_memory(train, splits[0][0].base) for train, _ in splits)


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
            ({"train_size": 6, "first_test_date": "2008-01", "gap": 7}, "6 . gap and embargo 7.* with 9 .*too short"),
            ({"train_size": 6, "first_test_date": "1990-01"}, "with 0 before it"),
            ({"freq": "month"}, "'freq' .* must be one of 'M', 'Q', 'Y', 'W', 'D' or None. Got 'month'"),
            ({"freq": "date"}, "'freq' .* Got 'date'"),
            ({"train_size": 60, "freq": "M", "gap": 2}, r"60 training and 1 test periods .*2 periods .*\(12 periods\)"),
            ({"train_size": 6, "freq": "M", "first_test_date": "2006-01"}, "with 0 before it"),
        ],
    )
    def test_errors_say_what_must_be_and_what_came(self, parameters, message):
        with pytest.raises(SplitError, match=message):
            list(WalkForwardSplit(**parameters).split(panel(12)))

    def test_no_dates_name_the_ways_to_pass_them(self):
        with pytest.raises(SplitError, match=r"Index X or y by \(date, asset\), or pass groups=dates"):
            list(WalkForwardSplit().split(np.zeros((5, 2)), np.zeros(5)))

    @pytest.mark.parametrize(
        ("dates", "kinds"),
        [
            ([pd.Timestamp("2020"), "2021"], "Timestamp, str"),
            ([pd.Timestamp("2020"), datetime.date(2021, 1, 1)], "Timestamp, date"),
        ],
    )
    def test_mixed_types_of_dates(self, dates, kinds):
        with pytest.raises(SplitError, match=f"one type that can be ordered. Got {kinds}"):
            list(WalkForwardSplit(1).split(np.zeros(2), groups=pd.Index(dates, dtype=object)))

    def test_groups_of_another_length(self):
        with pytest.raises(SplitError, match=r"one date for each row of X \(5\). Got 4"):
            list(WalkForwardSplit(1).split(np.zeros(5), groups=month_ends(4)))

    def test_missing_dates_are_counted(self):
        with pytest.raises(SplitError, match="Got 1 rows without"):
            list(WalkForwardSplit(1).split(np.zeros(2), groups=pd.DatetimeIndex(["2020-01-31", None])))

    def test_missing_dates_of_an_index_are_counted(self):
        index = pd.MultiIndex.from_arrays([pd.DatetimeIndex(["2020-01-31", None]), ["A", "B"]], names=["date", "asset"])
        with pytest.raises(SplitError, match="Got 1 rows without"):
            list(WalkForwardSplit(1).split(pd.Series(0.0, index=index)))

    def test_no_rows(self):
        for freq in (None, "M"):
            with pytest.raises(SplitError, match="Got 0 distinct dates"):
                WalkForwardSplit(1, freq=freq).get_n_splits(groups=pd.DatetimeIndex([]))
            with pytest.raises(SplitError, match="too short"):
                WalkForwardSplit(1, freq=freq, first_test_date="2020").get_n_splits(groups=pd.DatetimeIndex([]))

    @pytest.mark.parametrize(
        "labels",
        [[1, 2, 3], list("abc"), [2020.0, 2021.0], [202001, 202013]],
        ids=["places", "text", "floats", "month 13"],
    )
    def test_labels_that_are_no_dates_have_no_calendar(self, labels):
        with pytest.raises(SplitError, match="With freq='M' dates must be calendar dates.*use freq=None"):
            WalkForwardSplit(1, freq="M").get_n_splits(groups=labels)

    @pytest.mark.parametrize("label", ["01/02/2000", "1.2.2000", "31-Jan-2000"])
    def test_text_with_the_day_or_month_first_is_refused(self, label):
        with pytest.raises(SplitError, match="must be ISO 8601, the year first.*Convert"):
            WalkForwardSplit(1).get_n_splits(groups=[label, "2000-02-01"])

    @pytest.mark.parametrize("freq", [None, "M"])
    def test_text_whose_order_is_not_that_of_time(self, freq):
        months = [f"{year}-{month}" for year in (2007, 2008) for month in range(1, 13)]
        cv = WalkForwardSplit(9, 1, freq=freq)
        for groups in (months, pd.CategoricalIndex(months, categories=months), ["20000101", "2000-02-01"]):
            with pytest.raises(SplitError, match="must be ISO 8601, .* Got '20.*' sorted before '20"):
                next(cv.split(None, groups=groups))
        index = pd.MultiIndex.from_product([months, ["A", "B"]], names=["date", "asset"])
        with pytest.raises(SplitError, match="Got '2007-12' sorted before '2007-2'. Convert"):
            next(cv.split(pd.Series(0.0, index=index)))

    @pytest.mark.parametrize("first", ["2007-4", "2007-04-3", "4/1/2007", "April 2007", "07-04", "2007-13", "200713"])
    @pytest.mark.parametrize("first_of", [str, np.str_])
    def test_a_first_test_date_that_may_be_read_otherwise_is_refused(self, first, first_of):
        for kind in DATES:
            cv = WalkForwardSplit(2, 1, first_test_date=first_of(first))
            with pytest.raises(SplitError, match="'first_test_date' must be a date like those of the panel .* Got"):
                cv.get_n_splits(groups=DATES[kind](month_ends(8)))

    @pytest.mark.parametrize(
        "first", [pd.NaT, np.datetime64("NaT"), np.nan, np.inf, 200710.5, True, 7, b"2007-10", [1], [1, 2]], ids=repr
    )
    def test_a_first_test_date_that_is_no_date_is_refused(self, first):
        for kind in DATES:
            cv = WalkForwardSplit(2, 1, first_test_date=first)
            with pytest.raises(SplitError, match="'first_test_date' must be a date like"):
                cv.get_n_splits(groups=DATES[kind](month_ends(8)))

    @pytest.mark.parametrize("first", ["2007-10", "200710", 200710, pd.Timestamp("2007-10-31")])
    @pytest.mark.parametrize("labels", [["2007Q1", "2007Q2", "2007Q3"], ["t01", "t02", "t03"]])
    def test_a_date_among_labels_that_are_no_dates_is_refused(self, labels, first):
        with pytest.raises(SplitError, match="'first_test_date' must be a date like"):
            WalkForwardSplit(1, 1, first_test_date=first).get_n_splits(groups=labels)

    def test_pairs_as_groups_must_name_their_dates(self):
        index = panel(3).index
        with pytest.raises(SplitError, match="without a level 'date' .found: 'month', 'asset'."):
            WalkForwardSplit(1).get_n_splits(groups=index.set_names(["month", "asset"]))

    def test_groups_of_two_dimensions(self):
        with pytest.raises(SplitError, match=r"Got shape \(4, 1\)"):
            WalkForwardSplit(1).get_n_splits(groups=np.zeros((4, 1)))
