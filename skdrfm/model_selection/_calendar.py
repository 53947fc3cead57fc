"""The distinct dates of a panel, their places in the calendar, and the rows of each."""

import datetime
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray, IntArray
from skdrfm.exceptions import PanelError, SplitError
from skdrfm.panel._index import FREQUENCIES, LEVELS, calendar_ordinals
from skdrfm.panel._text_dates import check_text_dates
from skdrfm.utils.validation import describe_first

# Calendar periods that windows can count; without one they count the distinct dates.
CALENDAR = tuple(frequency for frequency in FREQUENCIES if frequency != "date")

_DIGITS = re.compile(r"\d{6}(\d{2})?")
_ISO = re.compile(r"\d{4}(-\d{2}(-\d{2}.*)?)?")
_QUARTER = re.compile(r"\d{4}-?Q[1-4]")


@dataclass(frozen=True, eq=False)
class DateRows:
    """Rows grouped by date, so that the rows of a range of dates are found without reading all of them.

    Parameters
    ----------
    dates : Index of length n_dates
        The distinct dates in ascending order.
    codes : ndarray of int of shape (n_samples,)
        For each row the position of its date.
    """

    dates: pd.Index
    codes: AnyArray

    def between(self, start: int, stop: int) -> IntArray:
        """List the rows of the dates from position start up to stop, in ascending order.

        Returns
        -------
        ndarray of int, read-only
            Row positions. Of a panel in date order all windows are views of one array.
        """
        rows = self._order[self._starts[start] : self._starts[stop]]
        if not self._in_date_order and stop - start > 1:
            rows = np.sort(rows)
            rows.setflags(write=False)
        return rows

    @cached_property
    def _in_date_order(self) -> bool:
        return bool((self.codes[1:] >= self.codes[:-1]).all())

    @cached_property
    def _order(self) -> IntArray:
        if self._in_date_order:
            order = np.arange(len(self.codes), dtype=np.intp)
        else:
            order = np.argsort(self.codes, kind="stable")
        order.setflags(write=False)
        return order

    @cached_property
    def _starts(self) -> IntArray:
        counts = np.bincount(self.codes, minlength=len(self.dates))
        return np.concatenate([[0], np.cumsum(counts)])


def rows_by_date(X: Any, y: Any, groups: Any) -> DateRows:
    """Find the date of each row, in groups if they are given, else in the index of X or of y.

    Raises
    ------
    SplitError
        If there are no dates, one for each row, that can be ordered.
    """
    if groups is not None:
        index = _as_index(groups, None if X is None else len(X))
    else:
        indexes = (getattr(data, "index", None) for data in (X, y))
        dated = [index for index in indexes if isinstance(index, pd.Index) and LEVELS[0] in index.names]
        if not dated:
            raise SplitError(
                "WalkForwardSplit needs the date of each row. Got data without an index level 'date' and no "
                "groups. Index X or y by (date, asset), or pass groups=dates (with metadata routing: "
                "params={'groups': dates})."
            )
        index = dated[0]
    codes, distinct = _factorize(index)
    if len(distinct) and isinstance(distinct[0], str):
        check_text_dates(distinct, error=SplitError)
    return DateRows(distinct, codes.astype(np.min_scalar_type(-len(distinct) - 1), copy=False))


def calendar_slots(dates: pd.Index, freq: str | None) -> IntArray:
    """Place distinct dates in the calendar: periods since the first date, or their own positions without a freq.

    Raises
    ------
    SplitError
        If the frequency is unknown, or the dates are no calendar dates.
    """
    if freq is None or not len(dates):
        return np.arange(len(dates), dtype=np.intp)
    ordinals = _ordinals(dates, freq)
    slots: IntArray = ordinals - ordinals[0]
    return slots


def slot_of(date: Any, dates: pd.Index, freq: str | None) -> int:
    """Place a date among the slots of distinct dates: the first slot that is not before it.

    Raises
    ------
    SplitError
        If the date cannot be read in the type of the panel's dates.
    """
    try:
        like = _like(date, dates)
        if freq is None or not len(dates):
            return int(dates.searchsorted(like))
        here, first = (int(_ordinals(pd.Index([day], dtype=dates.dtype), freq)[0]) for day in (like, dates[0]))
    except (ValueError, TypeError, OverflowError) as error:
        raise SplitError(
            f"'first_test_date' must be a date like those of the panel ({describe_first(list(dates), 2)}). "
            f"Got {date!r}."
        ) from error
    return here - first


def _as_index(groups: Any, n_rows: int | None) -> pd.Index:
    """Read groups as the index of dates that they are, whatever holds them."""
    if not isinstance(groups, pd.Index | pd.Series):
        groups = np.asarray(groups)
    if groups.ndim != 1 or n_rows not in (None, len(groups)):
        raise SplitError(
            f"groups must hold one date for each row of X{'' if n_rows is None else f' ({n_rows})'}. Got "
            f"{len(groups) if groups.ndim == 1 else f'shape {groups.shape}'}. Pass the dates of the same rows."
        )
    if isinstance(groups, pd.MultiIndex) and LEVELS[0] not in groups.names:
        raise SplitError(
            "groups must hold dates. Got a MultiIndex without a level 'date' (found: "
            f"{', '.join(map(repr, groups.names))}). Pass the level of the dates: groups.get_level_values(...)."
        )
    index: pd.Index = groups if isinstance(groups, pd.Index) else pd.Index(groups)
    return index


def _factorize(index: pd.Index) -> tuple[AnyArray, pd.Index]:
    """Distinct dates in ascending order, and for each row the position of its date among them."""
    codes: AnyArray
    if isinstance(index, pd.MultiIndex):
        number = index.names.index(LEVELS[0])
        level, codes = _plain(index.levels[number]), np.asarray(index.codes[number])
        if level.is_monotonic_increasing and level.is_unique and not level.hasnans:
            # The index has done the work already. A level keeps dates whose rows are gone: they are left out here.
            _check_no_missing(int((codes < 0).sum()))
            used = np.bincount(codes, minlength=len(level)) > 0
            if used.all():
                return codes, level
            positions: AnyArray = np.cumsum(used) - 1
            return positions[codes], level[used]
        index = index.get_level_values(LEVELS[0])
    index = _plain(index)
    _check_no_missing(int(np.asarray(index.isna()).sum()))
    try:
        codes, distinct = pd.factorize(index, sort=True)
        ordered = distinct.is_monotonic_increasing
    except TypeError:
        ordered = False
    if not ordered:
        kinds = sorted({type(date).__name__ for date in index})
        raise SplitError(
            f"Dates must all be of one type that can be ordered. Got {', '.join(kinds)}. "
            "Convert them, for example with pd.to_datetime."
        )
    return codes, pd.Index(distinct)


def _plain(index: pd.Index) -> pd.Index:
    """Take the dates out of categories, whose order may be any."""
    if not isinstance(index, pd.CategoricalIndex):
        return index
    plain: pd.Index = index.astype(index.categories.dtype)
    return plain


def _check_no_missing(n_missing: int) -> None:
    if n_missing:
        raise SplitError(f"Each row must have a date. Got {n_missing} rows without. Drop them.")


def _ordinals(dates: pd.Index, freq: str) -> IntArray:
    if freq not in CALENDAR:
        raise SplitError(
            f"The 'freq' parameter of WalkForwardSplit must be one of {', '.join(map(repr, CALENDAR))} or None. "
            f"Got {freq!r} instead."
        )
    try:
        return calendar_ordinals(dates, freq)
    except PanelError as error:
        raise SplitError(
            f"With freq={freq!r} dates must be calendar dates: datetime64, Period, yyyymm integers or ISO strings. "
            f"Got {dates.dtype} values such as {describe_first(list(dates), 2)}. Convert them with pd.to_datetime, "
            "or use freq=None to count the distinct dates."
        ) from error


def _like(date: Any, distinct: pd.Index) -> Any:
    """Read a date in the type of the panel's dates; one that is finer is read as the period that contains it."""
    if not len(distinct):
        return date
    last = distinct[-1]
    if isinstance(distinct, pd.DatetimeIndex):
        stamp = pd.Timestamp(_as_iso(date))
        return stamp if distinct.tz is None or stamp.tz is not None else stamp.tz_localize(distinct.tz)
    if isinstance(distinct, pd.PeriodIndex):
        # A quarter may be one of a fiscal year, which the panel's own frequency knows.
        is_quarter = isinstance(date, str) and _QUARTER.fullmatch(date)
        return pd.Period(date if is_quarter else _as_iso(date), freq=str(distinct.freqstr))
    if pd.api.types.is_integer_dtype(distinct.dtype) or pd.api.types.is_float_dtype(distinct.dtype):
        n_digits = len(str(int(last)))
        if n_digits in (6, 8):
            return int(_as_digits(date, n_digits))
        return float(date) if pd.api.types.is_float_dtype(distinct.dtype) else int(date)
    if isinstance(last, str):
        return _like_text(date, last)
    return pd.Timestamp(_as_iso(date)).date() if isinstance(last, datetime.date) else date


def _like_text(date: Any, label: str) -> str:
    """Write a date in the form of the panel's dates, as far as these go."""
    if _DIGITS.fullmatch(label):
        return _as_digits(date, len(label))
    if re.match(r"\d{4}([-/. ]|$)", label):
        iso = _as_iso(date)
        return (iso[:10].replace("-", label[4:5]) + label[10:11] + iso[11:])[: len(label)]
    if not isinstance(date, str) or _DIGITS.fullmatch(date) or re.match(r"\d{4}-\d", date):
        raise ValueError("a date among labels that are no dates")
    return date


def _as_digits(date: Any, n_digits: int) -> str:
    """Write a date as yyyymm or yyyymmdd."""
    return (_as_iso(date).replace("-", "")[:8] + "0101")[:n_digits]


def _as_iso(date: Any) -> str:
    """Write a date as ISO 8601, at least its year."""
    if pd.isna(date):
        raise ValueError("no date")
    if isinstance(date, pd.Period):
        date = date.start_time
    if isinstance(date, datetime.date | np.datetime64):
        stamp = pd.Timestamp(date)
        return stamp.isoformat() if stamp != stamp.normalize() or stamp.tz is not None else stamp.strftime("%Y-%m-%d")
    text = str(int(date) if isinstance(date, float) and date.is_integer() else date)
    if _QUARTER.fullmatch(text):
        return _as_iso(pd.Period(text))
    if _DIGITS.fullmatch(text):
        text = "-".join(part for part in (text[:4], text[4:6], text[6:]) if part)
    # pandas reads much more: "200704" as 20 July 2004, and "4/1/2007" as 1 April, which may mean 4 January.
    if not _ISO.fullmatch(text):
        raise ValueError("text that is no date")
    pd.Timestamp(text)  # raises if there is no such day
    return text
