"""Rows grouped by date: the arithmetic that every cross-sectional figure shares.

Sums of whole numbers are exact and know no order. `as_whole_numbers` and `sum_in_any_order` are for figures that must
be the same to the last bit for any order of the rows.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray, BoolArray, FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.panel import check_panel_index, dates_of
from skdrfm.panel._text_dates import check_text_dates
from skdrfm.utils._ties import sorting_order, tie_blocks


@dataclass(frozen=True, eq=False)
class DateGroups:
    """Which row belongs to which date.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,)
        Position of each row's date in ``dates``.
    dates : Index of length n_dates
        The distinct dates in increasing order; each has at least one row.
    """

    codes: IntArray
    dates: pd.Index

    @cached_property
    def counts(self) -> IntArray:
        """Number of rows of each date, shape (n_dates,)."""
        if self._in_order:
            borders = np.searchsorted(self.codes, np.arange(len(self.dates) + 1))
            return np.diff(borders).astype(np.intp)
        return np.bincount(self.codes, minlength=len(self.dates))

    @cached_property
    def starts(self) -> IntArray:
        """Place of the first row of each date once rows are in the order of dates, shape (n_dates,)."""
        starts: IntArray = np.cumsum(self.counts) - self.counts
        return starts

    def in_date_order(self, values: AnyArray) -> AnyArray:
        """Values with the rows of a date side by side, dates increasing; the array itself if it is so already."""
        return values if self._in_order else values[self._order]

    def sum(self, values: AnyArray) -> FloatArray:
        """Sum of values over the rows of each date, shape (n_dates,)."""
        sums: FloatArray = np.bincount(self.codes, weights=values, minlength=len(self.dates)).astype(np.float64)
        return sums

    def mean(self, values: AnyArray) -> FloatArray:
        """Mean of values over the rows of each date, shape (n_dates,)."""
        mean: FloatArray = self.sum(values) / self.counts
        return mean

    def maximum(self, values: FloatArray) -> FloatArray:
        """Maximum of values over the rows of each date, shape (n_dates,)."""
        largest: FloatArray = np.maximum.reduceat(self.in_date_order(values), self.starts)
        return largest

    def is_constant(self, values: FloatArray) -> BoolArray:
        """Tell for each date whether all its values are equal, exactly; shape (n_dates,)."""
        constant: BoolArray = self.maximum(values) == -self.maximum(-values)
        return constant

    def tie_blocks(self, values: FloatArray) -> tuple[IntArray, IntArray]:
        """Place each row in the ranking of its date, equal values together.

        Returns
        -------
        below : ndarray of shape (n_samples,)
            Rows of the same date with a smaller value.
        size : ndarray of shape (n_samples,)
            Rows of the same date with an equal value, the row itself included.
        """
        return tie_blocks(values, self.codes)

    def centred_ranks(self, values: FloatArray) -> FloatArray:
        """Twice the deviation of each rank from the mean rank of its date, equal values sharing an average rank.

        These are whole numbers, and float64 adds their squares without rounding up to some 300,000 names on a date:
        what is made of their sums does not depend on the order of rows, not even in the last bit.
        """
        below, size = self.tie_blocks(values)
        ranks: FloatArray = (2 * below + size - self.counts[self.codes]).astype(np.float64)
        return ranks

    def series(self, values: AnyArray, *, name: str) -> "pd.Series[Any]":
        """One value for each date, as a Series."""
        return pd.Series(values, index=self.dates, name=name)

    @cached_property
    def _in_order(self) -> bool:
        return bool((self.codes[1:] >= self.codes[:-1]).all())

    @cached_property
    def _order(self) -> IntArray:
        return sorting_order(self.codes)


def date_groups(data: Any, dates: Any = None, *, name: str) -> DateGroups:
    """Group rows by date: by ``dates`` if given, else by the index level ``date`` of data.

    Parameters
    ----------
    data : Series, DataFrame or ndarray of length n_samples
        What carries the rows.
    dates : array-like of shape (n_samples,), default=None
        Date of each row.
    name : str
        Name of data in messages.

    Returns
    -------
    DateGroups
        The dates, sorted, and the date of each row.

    Raises
    ------
    PanelError
        If the dates are not known, not one for each row, missing in some rows or of mixed types.
    """
    if dates is None:
        index = getattr(data, "index", None)
        if not isinstance(index, pd.Index) or "date" not in index.names:
            raise PanelError(
                f"The date of each row of {name} must be known. Got no 'dates' and no index level "
                f"named 'date' in {name}. Pass dates=..., one date for each row, or index {name} by "
                "(date, asset)."
            )
        if set(index.names) == {"date", "asset"}:
            check_panel_index(index, name=name)
        return group_by_index(index)
    labels = pd.Index(dates if np.ndim(dates) else [dates])
    if isinstance(labels, pd.MultiIndex) or len(labels) != len(data):
        raise PanelError(
            f"'dates' must hold one date for each row of {name} ({len(data)}). Got {len(labels)} "
            f"{'tuples' if isinstance(labels, pd.MultiIndex) else 'dates'}. "
            f"Pass the dates in the order of the rows of {name}."
        )
    return group_by(labels)


def group_by_index(index: "pd.Index[Any]") -> DateGroups:
    """Group rows by the level ``date`` of their index."""
    if not isinstance(index, pd.MultiIndex) or not len(index):
        return group_by(dates_of(index))
    place = index.names.index("date")
    rows, labels = np.asarray(index.codes[place]), index.levels[place]
    if rows.min() < 0 or not labels.is_unique:
        return group_by(dates_of(index))
    # A MultiIndex numbers its dates already: only the distinct ones are sorted, not one label for each row.
    ends_of_runs = np.append(np.flatnonzero(rows[1:] != rows[:-1]), len(rows) - 1)
    used = np.unique(rows[ends_of_runs])
    distinct = group_by(labels[used])
    if np.array_equal(distinct.codes, used):
        return DateGroups(rows.astype(np.intp), distinct.dates)
    position = np.zeros(len(labels), dtype=np.intp)
    position[used] = distinct.codes
    return DateGroups(position[rows], distinct.dates)


def group_by(labels: pd.Index) -> DateGroups:
    """Group rows by date labels, one for each row."""
    missing = int(np.count_nonzero(labels.isna()))
    if missing:
        raise PanelError(
            f"Every row must have a date. Got {missing} of {len(labels)} rows without one. "
            "Drop them or fill in the date."
        )
    if labels.dtype == object:
        kinds = sorted({type(label).__name__ for label in labels})
        if len(kinds) > 1:
            raise PanelError(
                f"Dates must all be of one type. Got {', '.join(kinds)}. Convert them, for example with pd.to_datetime."
            )
    codes, distinct = pd.factorize(labels, sort=True)
    if len(distinct) and isinstance(distinct[0], str):
        check_text_dates(pd.Index(distinct))
    return DateGroups(codes.astype(np.intp), pd.Index(distinct).rename("date"))


def as_whole_numbers(values: FloatArray) -> tuple[IntArray, float]:
    """Round numbers to multiples of a unit so small that 64 bits just hold the sum of all of them.

    With 5,000 numbers the unit is 2**-49 of the largest one or less, so that their mean is as good as in float64.

    Returns
    -------
    multiples : ndarray of shape (n_samples,)
        How often the unit fits.
    unit : float
        A power of 2.
    """
    largest = max(float(values.max()), -float(values.min()))
    bits = min(62 - len(values).bit_length() - math.frexp(largest)[1], 1023)
    scaled = values * 2.0**bits
    return np.rint(scaled, out=scaled).astype(np.int64), 2.0**-bits


def sum_in_any_order(values: FloatArray) -> float:
    """Sum numbers so that their order does not change the last bit."""
    large, unit = as_whole_numbers(values)
    # What rounding left over is exact in float64.
    small, small_unit = as_whole_numbers(values - large * unit)
    return int(large.sum()) * unit + int(small.sum()) * small_unit
