"""Rows grouped by date: the arithmetic that every cross-sectional figure shares.

All of it works on whole arrays; no figure loops over dates in Python.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray, BoolArray, FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.panel import check_panel_index, dates_of
from skdrfm.utils._ties import tie_blocks


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
        return np.bincount(self.codes, minlength=len(self.dates))

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
        largest: FloatArray = np.maximum.reduceat(values[self._order], self._starts)
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

    def series(self, values: AnyArray, *, name: str) -> "pd.Series[Any]":
        """One value for each date, as a Series."""
        return pd.Series(values, index=self.dates, name=name)

    @cached_property
    def _order(self) -> IntArray:
        return np.argsort(self.codes, kind="stable")

    @cached_property
    def _starts(self) -> IntArray:
        starts: IntArray = np.cumsum(self.counts) - self.counts
        return starts


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
        labels = dates_of(index)
    else:
        labels = pd.Index(dates if np.ndim(dates) else [dates])
    if isinstance(labels, pd.MultiIndex) or len(labels) != len(data):
        raise PanelError(
            f"'dates' must hold one date for each row of {name} ({len(data)}). Got {len(labels)} "
            f"{'tuples' if isinstance(labels, pd.MultiIndex) else 'dates'}. "
            f"Pass the dates in the order of the rows of {name}."
        )
    return group_by(labels)


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
    return DateGroups(codes.astype(np.intp), pd.Index(distinct).rename("date"))
