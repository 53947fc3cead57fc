"""Lagged descriptors side by side: the input of every model."""

from collections.abc import Sequence
from typing import Any, overload

import pandas as pd

from skdrfm.panel._lagged import LaggedPanel
from skdrfm.panel._lags import PAPER_LAGS


@overload
def stack_lags(
    X: pd.DataFrame, y: None = None, *, lags: Sequence[int] = PAPER_LAGS, frequency: str = "M"
) -> pd.DataFrame: ...
@overload
def stack_lags(
    X: pd.DataFrame, y: "pd.Series[Any]", *, lags: Sequence[int] = PAPER_LAGS, frequency: str = "M"
) -> tuple[pd.DataFrame, "pd.Series[Any]"]: ...


def stack_lags(
    X: pd.DataFrame,
    y: "pd.Series[Any] | None" = None,
    *,
    lags: Sequence[int] = PAPER_LAGS,
    frequency: str = "M",
) -> pd.DataFrame | tuple[pd.DataFrame, "pd.Series[Any]"]:
    """Put the descriptors of several past periods of each asset into one row.

    The row of asset i at date t receives the descriptors of the same asset k calendar periods before t, for each
    lag k (Nakagawa et al. 2019, Table 2: 0, 3, 6, 9 and 12 months). A gap in an asset's history never shifts a
    row: the period itself is looked up. Rows that lack one of these periods are dropped from X and y together.

    Use it on the whole panel before any split: it only looks back, and inside a split the first test rows would
    lose their history. Scale each cross-section first, then stack.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_descriptors), indexed by (date, asset)
        One column for each descriptor; rows in any order.
    y : Series of shape (n_samples,), default=None
        Target with the index of X.
    lags : sequence of int, default=(0, 3, 6, 9, 12)
        Periods before the row's date, each >= 0; the order does not matter.
    frequency : {"M", "Q", "Y", "W", "D", "date"}, default="M"
        Length of a period. ``"date"`` counts the distinct dates of the panel, as for trading days.

    Returns
    -------
    X : DataFrame of shape (n_kept, n_lags * n_descriptors)
        Columns ``"{descriptor}__lag{k}"``, oldest lag first and within a lag in the order of X, so that
        ``reshape(n_kept, n_lags, n_descriptors)`` runs from the oldest to the newest period. Rows keep the order
        of X. ``X.attrs["stack_lags"]`` counts ``n_rows``, ``n_kept`` and ``n_dropped``.
    y : Series of shape (n_kept,)
        Only if y was given.

    Raises
    ------
    PanelError
        If the index is no panel index, a column holds no numbers, y is not aligned to X, lags are empty, negative or
        repeated, an asset has two rows in one period, or no row has the full history.

    See Also
    --------
    LaggedPanel : The same rows, gathered window by window, where a copy for each lag is too large for memory.

    Examples
    --------
    >>> from skdrfm.datasets import make_factor_panel
    >>> from skdrfm.panel import stack_lags
    >>> X, y = make_factor_panel(n_dates=24, n_assets=10, n_descriptors=2, random_state=0)
    >>> X_lagged, y_lagged = stack_lags(X, y, lags=(0, 12))
    >>> list(X_lagged.columns)
    ['60VOL__lag12', 'BETA__lag12', '60VOL__lag0', 'BETA__lag0']
    >>> X_lagged.attrs["stack_lags"]
    {'n_rows': 240, 'n_kept': 120, 'n_dropped': 120}
    """
    panel = LaggedPanel(X, lags, frequency)
    if y is None:
        return panel.to_frame()
    target: pd.Series[Any] = panel.align(y)
    return panel.to_frame(), target
