"""What every construction of weights reads of its rows: labels and sizes, groups, and sums that know no row order."""

import warnings
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray, FloatArray, IntArray
from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.metrics._dates import DateGroups
from skdrfm.metrics._validation import as_float_vector
from skdrfm.panel._index import has_panel_index, positions_of_rows
from skdrfm.utils.validation import describe_first


def index_of(rows: Any) -> pd.Index | None:
    """Return the index that a result takes over: that of a Series, else none."""
    return rows.index if isinstance(rows, pd.Series) else None


def ordered_sum(groups: DateGroups, values: FloatArray) -> FloatArray:
    """Sum of values over the rows of each group, with its addends in increasing order.

    The order of the rows then does not change the sum, not even in the last bit.

    Returns
    -------
    ndarray of shape (n_groups,)
        Sums; 0 for a group without rows.
    """
    order = np.lexsort((values, groups.codes))
    return DateGroups(groups.codes[order], groups.dates).sum(values[order])


def rows_in(data: Any, rows: Any, *, name: str, rows_name: str) -> IntArray:
    """Find where data hold the value of each row.

    Two pandas objects are matched by index, or by asset where data are indexed by asset alone; anything else by
    place.

    Parameters
    ----------
    data : Series, DataFrame or array-like
        What is looked up.
    rows : Series or array-like of length n_samples
        What carries the rows.
    name, rows_name : str
        Their names in messages.

    Returns
    -------
    ndarray of shape (n_samples,)
        Position in data; -1 where data have no such label.

    Raises
    ------
    PanelError
        If the labels cannot be compared, or the lengths differ.
    """
    if isinstance(data, pd.Series | pd.DataFrame) and isinstance(rows, pd.Series):
        if data.index.equals(rows.index):
            return np.arange(len(rows), dtype=np.intp)
        if has_panel_index(rows):
            return positions_of_rows(data, rows.index, name=name, rows_name=rows_name)
        raise PanelError(
            f"{name} must have the index of {rows_name}, row by row. Got another index. "
            f"Align them: {name} = {name}.reindex({rows_name}.index), or index both by (date, asset)."
        )
    if len(data) != len(rows):
        raise PanelError(
            f"{name} must have one value for each row of {rows_name} ({len(rows)}). Got {len(data)}. "
            f"Pass them in the order of the rows, or as pandas data with the index of {rows_name}."
        )
    return np.arange(len(rows), dtype=np.intp)


def sector_codes(sectors: Any, rows: Any, *, rows_name: str) -> IntArray:
    """Give each row the number of its sector, from 0; every row must have one."""
    if np.ndim(sectors) != 1:
        raise PanelError(
            f"sectors must be one-dimensional with one label for each row. Got shape {np.shape(sectors)}. "
            "Pass a Series or a 1-D array."
        )
    # A Series keeps what is missing; an array of strings would make the label "nan" of it.
    labels = pd.Series(sectors)
    where = rows_in(sectors, rows, name="sectors", rows_name=rows_name)
    codes = np.append(pd.factorize(labels)[0], -1)[where].astype(np.intp)
    absent = codes < 0
    if absent.any():
        raise PanelError(
            f"sectors must hold the sector of every row of {rows_name}. {_count(absent, rows)}. "
            'Give these rows a sector of their own: sectors.fillna("unknown").'
        )
    return codes


def sizes_of(size: Any, rows: Any, *, rows_name: str) -> FloatArray:
    """Read the market value of each row, finite and above 0."""
    known = as_float_vector(size, name="size")
    where = rows_in(size, rows, name="size", rows_name=rows_name)
    values: FloatArray = np.append(known, np.nan)[where]
    way_out = f"Drop these rows of {rows_name}, or give them a market value."
    unknown = ~np.isfinite(values)
    if unknown.any():
        raise NonFiniteError(f"size must be finite for every row of {rows_name}. {_count(unknown, rows)}. {way_out}")
    useless = values <= 0
    if useless.any():
        raise PanelError(f"size must be above 0 for every row of {rows_name}. {_count(useless, rows)}. {way_out}")
    return values


def _count(faulty: BoolArray, rows: Any) -> str:
    """Count the faulty rows and name the first ones."""
    labels = rows.index[faulty].tolist() if isinstance(rows, pd.Series) else np.flatnonzero(faulty).tolist()
    return f"Got {int(faulty.sum())} of {len(faulty)} rows without one: {describe_first(labels)}"


def sections_of(groups: DateGroups, codes: IntArray) -> tuple[DateGroups, IntArray]:
    """Split the rows of each date by another number of theirs.

    Parameters
    ----------
    groups : DateGroups
        The dates.
    codes : ndarray of shape (n_samples,)
        Number of each row, such as that of its sector.

    Returns
    -------
    sections : DateGroups
        Rows that agree in date and number; its ``dates`` are the numbers of the sections.
    date : ndarray of shape (n_sections,)
        Position of the date of each section in ``groups.dates``.
    """
    n_codes = int(codes.max()) + 1
    numbers, pairs = pd.factorize(groups.codes * n_codes + codes, sort=True)
    date: IntArray = np.asarray(pairs, dtype=np.intp) // n_codes
    return DateGroups(numbers.astype(np.intp), pd.RangeIndex(len(pairs))), date


def held_dates(weights: FloatArray, groups: DateGroups) -> BoolArray:
    """Tell which dates have weights: finite ones on all names, while NaN on all says that there is no portfolio."""
    faulty = ~np.isfinite(weights)
    share = groups.mean(faulty)
    if np.isinf(weights).any() or ((share > 0) & (share < 1)).any():
        raise PanelError(
            f"weights must be finite on a date, or NaN on all its names. Got {int(faulty.sum())} NaN or infinite "
            f"values on {int((share > 0).sum())} dates. Give names that are not held the weight 0."
        )
    held: BoolArray = share == 0
    return held


def warn_about_lost_dates(lost: BoolArray, why: str, *, stacklevel: int) -> None:
    """Count in one warning the dates that have no figures, if there are any, and say why."""
    if lost.any():
        warnings.warn(f"{int(lost.sum())} of {len(lost)} dates {why}", CoverageWarning, stacklevel=stacklevel)
