"""Lagged descriptors side by side: the input of every model."""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.panel._index import calendar_ordinals, check_aligned, check_panel_index
from skdrfm.utils.validation import describe_first

logger = logging.getLogger(__name__)

_COLUMN = re.compile(r"^(?P<descriptor>.+)__lag(?P<lag>\d+)$")
PAPER_LAGS = (0, 3, 6, 9, 12)


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
        If the index is no panel index, y is not aligned to X, lags are empty, negative or repeated, an asset has
        two rows in one period, or no row has the full history.

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
    index = check_panel_index(X)
    if not isinstance(X, pd.DataFrame):
        raise PanelError(
            "X must be a DataFrame with one column for each descriptor. "
            f"Got a {type(X).__name__}. Make it one with X.to_frame()."
        )
    if y is not None:
        check_aligned(X, y)
    ordered = _check_lags(lags)
    rows, complete = _source_rows(index, ordered, frequency)
    if not complete.any():
        raise PanelError(
            f"At least one row must have its asset's rows at all lags {tuple(sorted(ordered))}. Got none among "
            f"{len(X)} rows. Use shorter lags, a longer panel, or check 'frequency' (got {frequency!r})."
        )
    values = X.to_numpy()
    stacked = np.concatenate([values[rows[complete, j]] for j in range(len(ordered))], axis=1)
    out = pd.DataFrame(
        stacked,
        index=index[complete],
        columns=column_names(X.columns, ordered),
    )
    counts = {"n_rows": len(X), "n_kept": len(out), "n_dropped": len(X) - len(out)}
    out.attrs = {**X.attrs, "stack_lags": counts}
    logger.info("stack_lags kept %(n_kept)d of %(n_rows)d rows, dropped %(n_dropped)d", counts)
    return out if y is None else (out, y[complete])


def column_names(descriptor_names: Iterable[Any], lags: Iterable[int]) -> list[str]:
    """Name flat columns, lag by lag in the given order: ``"{descriptor}__lag{k}"``."""
    names = list(descriptor_names)
    return [f"{name}__lag{lag}" for lag in lags for name in names]


def _check_lags(lags: Any) -> list[int]:
    given: list[Any] = list(lags) if np.iterable(lags) else []
    valid = all(isinstance(lag, int | np.integer) and lag >= 0 for lag in given)
    if not given or not valid or len(set(given)) < len(given):
        raise PanelError(f"'lags' must be distinct integers >= 0, at least one. Got {lags!r}.")
    return sorted((int(lag) for lag in given), reverse=True)


def _source_rows(index: pd.MultiIndex, lags: Sequence[int], frequency: str) -> tuple[IntArray, BoolArray]:
    """Find, for every row and lag, the row of the same asset that many periods earlier."""
    periods = calendar_ordinals(index.get_level_values("date"), frequency)
    assets = index.codes[index.names.index("asset")].astype(np.int64)
    if not len(index):
        return np.empty((0, len(lags)), dtype=np.intp), np.empty(0, dtype=bool)
    periods = periods - periods.min()
    span = int(periods.max()) + 1
    keys = assets * span + periods
    order = np.argsort(keys, kind="stable")
    sorted_keys = keys[order]
    if (sorted_keys[1:] == sorted_keys[:-1]).any():
        twice = order[1:][sorted_keys[1:] == sorted_keys[:-1]]
        raise PanelError(
            f"Each asset must have at most one row in a period of frequency {frequency!r}. Got "
            f"{len(twice)} further rows: {describe_first([tuple(index[i]) for i in twice[:4]])}. "
            "Keep one row for each period, or pass another 'frequency'."
        )
    rows = np.empty((len(index), len(lags)), dtype=np.intp)
    complete = np.ones(len(index), dtype=bool)
    for j, lag in enumerate(lags):
        position = np.searchsorted(sorted_keys, keys - lag)
        position = np.minimum(position, len(keys) - 1)
        found = (sorted_keys[position] == keys - lag) & (periods >= lag)
        rows[:, j] = order[position]
        complete &= found
    return rows, complete


@dataclass(frozen=True)
class LagLayout:
    """How the columns of a lagged panel are laid out in time.

    Parameters
    ----------
    descriptor_names : tuple of str of length n_features
        Names of the descriptors within one lag.
    lags : tuple of int of length n_timesteps
        Lags in periods before the prediction date, oldest (largest) first.
    """

    descriptor_names: tuple[str, ...]
    lags: tuple[int, ...]

    @property
    def n_timesteps(self) -> int:
        """Number of lags."""
        return len(self.lags)


def lag_layout(columns: Sequence[Any]) -> LagLayout | None:
    """Read the layout of lagged columns from their names.

    Parameters
    ----------
    columns : sequence of str
        Column names of X.

    Returns
    -------
    LagLayout or None
        None if no column is named ``"{descriptor}__lag{k}"``.

    Raises
    ------
    PanelError
        If some columns are named so and others not, or they are not ordered oldest lag first with the same
        descriptors in each lag.

    Examples
    --------
    >>> from skdrfm.panel import lag_layout
    >>> lag_layout(["CAP__lag3", "BETA__lag3", "CAP__lag0", "BETA__lag0"])
    LagLayout(descriptor_names=('CAP', 'BETA'), lags=(3, 0))
    >>> lag_layout(["CAP", "BETA"]) is None
    True
    """
    matches = [_COLUMN.match(str(column)) for column in columns]
    found = [(match["descriptor"], int(match["lag"])) for match in matches if match is not None]
    if not found:
        return None
    lags = list(dict.fromkeys(lag for _, lag in found))
    names = tuple(name for name, lag in found if lag == lags[0])
    expected = [(name, lag) for lag in sorted(lags, reverse=True) for name in names]
    repeated = len(set(found)) < len(found)
    if len(found) < len(matches) or repeated or found != expected:
        raise PanelError(
            "Lagged columns must be named '{descriptor}__lag{k}', all of them, oldest lag first and with the same "
            f"descriptors in the same order in each lag. Got {describe_first(list(columns), 6)}. "
            "Build them with skdrfm.stack_lags, or pass n_timesteps and columns without '__lag'."
        )
    return LagLayout(names, tuple(lags))
