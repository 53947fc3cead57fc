"""Which rows make up a cross-section, found once for all columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray, FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.panel import check_panel_index

__all__ = ["CrossSections", "date_codes"]


def date_codes(X: Any, groups: Any = None) -> IntArray:
    """Give each row the number of its date.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
        The rows. Their dates are the index level ``date`` of a DataFrame.
    groups : array-like of shape (n_samples,), default=None
        Dates that take precedence over the index.

    Returns
    -------
    ndarray of shape (n_samples,)
        Number of the date, from 0; a number that no row has is allowed. All rows are one cross-section where X carries
        no dates and no groups are given.

    Raises
    ------
    PanelError
        If groups do not fit X or lack a date, or if the index of X is that of a panel or a time
        series without a level named ``date``.
    """
    n_samples = len(X)
    if groups is not None:
        codes, _ = pd.factorize(_one_dimensional(groups, n_samples))
        absent = int((codes < 0).sum())
        if absent:
            raise PanelError(
                f"'groups' must hold the date of every row. Got {absent} rows without one "
                f"({n_samples} rows in all). Drop them or fill in the date."
            )
        return codes.astype(np.intp)
    index = getattr(X, "index", None)
    if isinstance(index, pd.MultiIndex) and "date" in index.names:
        if set(index.names) == {"date", "asset"}:
            check_panel_index(index)
        level = index.names.index("date")
        return np.asarray(index.codes[level], dtype=np.intp)
    if isinstance(index, pd.Index) and index.name == "date":
        return date_codes(X, index)
    if isinstance(index, pd.MultiIndex | pd.DatetimeIndex | pd.PeriodIndex):
        # One cross-section over all dates would rank the past against the future.
        found = ", ".join(repr(name) for name in index.names)
        raise PanelError(
            f"X must have an index level named 'date' (found: {found}). "
            "Rename the level, or pass the dates as groups=dates."
        )
    return np.zeros(n_samples, dtype=np.intp)


def _one_dimensional(groups: Any, n_samples: int) -> "pd.Index[Any]":
    if np.ndim(groups) != 1 or len(groups) != n_samples:
        raise PanelError(
            f"'groups' must have one date for each row of X, shape ({n_samples},). "
            f"Got shape {np.shape(groups)}. Pass dates_of(X) for a panel."
        )
    dates: pd.Index[Any] = pd.Index(groups)
    return dates


@dataclass(frozen=True, eq=False)
class CrossSections:
    """The rows of each cross-section; iterating gives one section after the other.

    Parameters
    ----------
    order : ndarray of shape (n_samples,) or None
        Rows, section by section, each in the order of the panel. None where the panel lies that
        way already, so that a section is a slice and no row has to be moved.
    bounds : ndarray of shape (n_sections + 1,)
        Where each section starts in that order, and where the last one ends.
    """

    order: IntArray | None
    bounds: IntArray

    @classmethod
    def from_codes(cls, *codes: IntArray) -> "CrossSections":
        """Group rows that agree in all codes.

        Parameters
        ----------
        *codes : ndarray of shape (n_samples,)
            Numbers from 0, such as those of dates and of industries.

        Returns
        -------
        CrossSections
            At least one row in each section.

        Examples
        --------
        >>> import numpy as np
        >>> from skdrfm.preprocessing._sections import CrossSections
        >>> [rows.tolist() for rows in CrossSections.from_codes(np.array([0, 1, 0, 1]))]
        [[0, 2], [1, 3]]
        >>> list(CrossSections.from_codes(np.array([4, 4, 1])))
        [slice(0, 2, None), slice(2, 3, None)]
        """
        joint, *others = codes
        for other in others:
            joint = joint.astype(np.int64) * (int(other.max()) + 1) + other
        joint = pd.factorize(joint)[0] if others else joint
        bounds = _bounds(joint)
        if len(bounds) - 1 == np.count_nonzero(np.bincount(joint)):
            return cls(None, bounds)
        order = np.argsort(joint, kind="stable")
        return cls(order, _bounds(joint[order]))

    def __iter__(self) -> Iterator[slice | IntArray]:
        for start, stop in zip(self.bounds[:-1].tolist(), self.bounds[1:].tolist(), strict=True):
            rows = slice(start, stop)
            yield rows if self.order is None else self.order[rows]


def _bounds(codes: IntArray) -> IntArray:
    """Find where runs of equal codes start, and the end."""
    starts = np.flatnonzero(codes[1:] != codes[:-1]) + 1
    bounds: IntArray = np.concatenate(([0], starts, [len(codes)]))
    return bounds


def gather(values: AnyArray, rows: slice | IntArray) -> FloatArray:
    """Copy the rows of a section, each column in one piece: shape (n_columns, n_names).

    Sums along the last axis then take the same path, bit for bit, whatever the layout of the panel.
    """
    if isinstance(rows, slice):
        return np.array(values[rows].T, order="C")
    if values.flags.c_contiguous:
        return np.ascontiguousarray(values.take(rows, axis=0).T)
    return values.T.take(rows, axis=1)
