"""Returns of assets that leave the panel: which asset, in which period, at which return."""

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray, FloatArray, IntArray
from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.panel._history import asset_codes, from_first
from skdrfm.panel._index import calendar_ordinals, check_panel_index
from skdrfm.utils.validation import describe_first


@dataclass(frozen=True)
class Delistings:
    """Delisting returns, each at an asset and a period of a panel.

    Parameters
    ----------
    assets, periods : ndarray of int of shape (n_placed,)
        Code of the asset among the levels of the panel's index, and period counted from the panel's first one.
    returns : ndarray of shape (n_placed,)
        Delisting return, decimal.
    n_given : int
        Number of delisting returns, those included whose asset or period the panel does not have.
    """

    assets: IntArray
    periods: IntArray
    returns: FloatArray
    n_given: int


NONE_GIVEN = Delistings(np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp), np.empty(0), 0)


def place_delistings(delisting: Any, index: pd.MultiIndex, frequency: str) -> Delistings:
    """Read delisting returns: one for all assets whose rows end early, or one for each (date, asset).

    Parameters
    ----------
    delisting : float or Series indexed by (date, asset)
        Return of each asset whose rows end before the last period, in the period after its last row; or the returns
        themselves, at the delisting dates.
    index : MultiIndex
        Index of the panel.
    frequency : str
        Length of a period.

    Returns
    -------
    Delistings
        Those within the periods of the panel.

    Raises
    ------
    PanelError
        If delisting is neither a number nor a Series with a panel index, a return is below -1, or an asset has two
        delisting returns in one period.
    NonFiniteError
        If a delisting return is missing or infinite.
    """
    ordinals = calendar_ordinals(index.get_level_values("date"), frequency)
    if isinstance(delisting, pd.Series):
        return _given(delisting, index, ordinals, frequency)
    if isinstance(delisting, bool) or not isinstance(delisting, Real):
        raise PanelError(
            "'delisting' must be None, a decimal return such as -0.3, or a Series of them indexed by (date, asset). "
            f"Got a {type(delisting).__name__}."
        )
    _check_returns(np.array([float(delisting)]))
    codes = asset_codes(index)
    last = np.full(len(index.levels[index.names.index("asset")]), -1, dtype=np.intp)
    periods = from_first(ordinals)
    np.maximum.at(last, codes, periods)
    gone: IntArray = np.flatnonzero((last >= 0) & (last < periods.max(initial=-1)))
    return Delistings(gone, last[gone] + 1, np.full(len(gone), float(delisting)), len(gone))


def _given(delisting: "pd.Series[Any]", index: pd.MultiIndex, ordinals: IntArray, frequency: str) -> Delistings:
    own = check_panel_index(delisting, name="delisting")
    returns: FloatArray = delisting.to_numpy(dtype=np.float64, na_value=np.nan)
    _check_returns(returns)
    periods = _periods_of(own, index, frequency)
    if len(ordinals):
        periods = periods - ordinals.min()
    level = own.levels[own.names.index("asset")]
    known = index.levels[index.names.index("asset")].get_indexer(level)
    assets: IntArray = np.asarray(known, dtype=np.intp)[asset_codes(own)]
    pairs = pd.DataFrame({"asset": asset_codes(own), "period": periods})
    repeated = pairs.duplicated().to_numpy()
    if repeated.any():
        raise PanelError(
            f"An asset must have at most one delisting return in a period of frequency {frequency!r}. Got "
            f"{int(repeated.sum())} more: {describe_first(list(own[repeated]))}. Compound or drop them."
        )
    last = ordinals.max() - ordinals.min() if len(ordinals) else -1
    placed = (assets >= 0) & (periods >= 0) & (periods <= last)
    return Delistings(assets[placed], periods[placed], returns[placed], len(delisting))


def _periods_of(own: pd.MultiIndex, index: pd.MultiIndex, frequency: str) -> IntArray:
    """Periods of delisting dates on the scale of the panel's `calendar_ordinals`."""
    dates = own.get_level_values("date")
    if frequency != "date":
        return calendar_ordinals(dates, frequency)
    # Periods are the panel's own dates: a delisting between two of them falls into the period that ends at the later.
    distinct = index.get_level_values("date").unique().sort_values()
    try:
        periods: IntArray = np.asarray(distinct.searchsorted(pd.Index(dates)), dtype=np.intp)
    except (TypeError, ValueError) as error:
        raise PanelError(
            f"The dates of 'delisting' must be like those of 'data' ({distinct.dtype}). Got {dates.dtype}. "
            "Convert them, for example with pd.to_datetime."
        ) from error
    return periods


def _check_returns(returns: AnyArray) -> None:
    faulty = ~np.isfinite(returns)
    if faulty.any():
        raise NonFiniteError(
            f"Delisting returns must be finite. Got {int(faulty.sum())} of {len(returns)} that are missing or "
            "infinite. Fill them, for example with -0.3 (Shumway 1997), or drop them."
        )
    if (returns < -1).any():
        raise PanelError(
            "Delisting returns must be at least -1 (decimals: -0.3 = -30 %). "
            f"Got {int((returns < -1).sum())} that are not, first {returns[returns < -1][0]:g}."
        )
