"""Positions and the returns that they earn, brought together by index and never by place."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray, FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.metrics._dates import DateGroups, group_by
from skdrfm.panel import assets_of, check_panel_index, dates_of
from skdrfm.utils.validation import check_finite, describe_first


@dataclass(frozen=True, eq=False)
class Positions:
    """Rows in one canonical order, by date and then by asset, with the forward return of each.

    Sums over the rows of a date are taken in this order, so that no result depends on the order of the input, not
    even in the last bit.

    Parameters
    ----------
    index : MultiIndex of length n_samples
        The (date, asset) pairs, sorted.
    groups : DateGroups
        The dates of the rows.
    assets : ndarray of shape (n_samples,)
        Number of the asset of each row.
    values : ndarray of shape (n_samples,)
        Scores or weights.
    returns : ndarray of shape (n_samples,)
        Decimal forward return of each row.
    """

    index: pd.MultiIndex
    groups: DateGroups
    assets: IntArray
    values: FloatArray
    returns: FloatArray


def align_positions(values: Any, returns: Any, *, name: str) -> Positions:
    """Sort rows by date and asset and look up their forward returns.

    Parameters
    ----------
    values : Series of shape (n_samples,), indexed by (date, asset)
        Scores or weights; NaN is left to the caller.
    returns : Series, indexed by (date, asset)
        Decimal forward returns; pairs that values lacks are ignored.
    name : str
        Name of values in messages.

    Returns
    -------
    Positions
        The rows in canonical order.

    Raises
    ------
    PanelError
        If one of the two is no Series with a panel index, or a pair has no realised return.
    NonFiniteError
        If a return that is needed is infinite.
    """
    for series, label in ((values, name), (returns, "returns")):
        if not isinstance(series, pd.Series):
            raise PanelError(
                f"{label} must be a Series indexed by (date, asset). Got {type(series).__name__}. "
                f"Build one: pd.Series({label}, index=X.index)."
            )
    index = check_panel_index(values, name=name)
    if not len(index):
        raise PanelError(f"{name} must have at least one row. Got none. Check how its rows were selected.")
    realised = _realised_returns(index, returns, name=name)
    groups = group_by(dates_of(index))
    assets = pd.factorize(assets_of(index), sort=True)[0].astype(np.intp)
    order = np.lexsort((assets, groups.codes))
    canonical = pd.MultiIndex.from_arrays([dates_of(index)[order], assets_of(index)[order]], names=["date", "asset"])
    numbers = _as_floats(values, name=name)
    sorted_groups = DateGroups(groups.codes[order], groups.dates)
    return Positions(canonical, sorted_groups, assets[order], numbers[order], realised[order])


def _realised_returns(index: pd.MultiIndex, returns: "pd.Series[Any]", *, name: str) -> FloatArray:
    known = check_panel_index(returns, name="returns")
    if list(known.names) != list(index.names):
        known = known.reorder_levels(list(index.names))
    rows = known.get_indexer(index)
    # Position -1 stands for an absent pair: NaN there, also where returns have no row at all.
    realised: FloatArray = np.append(_as_floats(returns, name="returns"), np.nan)[rows]
    absent = np.isnan(realised)
    if absent.any():
        pairs = index[absent].tolist()
        hint = " Check that both use the same type of dates and assets." if not (rows >= 0).any() else ""
        raise PanelError(
            f"Each row of {name} must have a realised return of the same (date, asset). Got "
            f"{len(pairs)} of {len(index)} rows without one: {describe_first(pairs)}.{hint} "
            f"Leave out dates whose return is not known yet: {name} = "
            f"{name}[{name}.index.isin(returns.dropna().index)]."
        )
    check_finite(realised, what="returns")
    return realised


def _as_floats(series: "pd.Series[Any]", *, name: str) -> FloatArray:
    try:
        values: FloatArray = series.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise PanelError(
            f"{name} must hold numbers. Got dtype {series.dtype}. Convert it, for example with pd.to_numeric."
        ) from error
    return values


def frozen_series(values: AnyArray, index: pd.Index, *, name: str) -> "pd.Series[Any]":
    """Make a Series whose numbers cannot be overwritten."""
    values = np.array(values)
    values.flags.writeable = False
    return pd.Series(values, index=index, name=name, copy=False)


def frozen_frame(values: AnyArray, index: pd.Index, columns: pd.Index) -> pd.DataFrame:
    """Make a DataFrame whose numbers cannot be overwritten."""
    values = np.array(values)
    values.flags.writeable = False
    return pd.DataFrame(values, index=index, columns=columns, copy=False)
