"""A lagged panel that holds its values once and gathers the rows of a window when they are asked for."""

import copy
import logging
from collections.abc import Sequence
from numbers import Integral
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray
from skdrfm.exceptions import PanelError
from skdrfm.panel._history import History
from skdrfm.panel._index import check_aligned, check_panel_index
from skdrfm.panel._lags import PAPER_LAGS, check_lags, column_names

logger = logging.getLogger(__name__)

# Rows gathered at a time: small enough that a block is turned from rows to columns inside the processor's cache.
_BLOCK = 4096


class LaggedPanel:
    """Descriptors of several past periods of each asset, without a copy for each period.

    It stands for the DataFrame that `stack_lags` returns, and gives any of its rows, bit for bit, through `iloc`.
    In memory are the descriptors once and, for each row and lag, the number of the row to read: with 94 descriptors
    and 5 lags about a fifth of the stacked panel. `walk_forward_predict`, `WalkForwardSplit`, `check_aligned`,
    `dates_of`, `assets_of` and scikit-learn's `cross_validate` take it in place of the DataFrame, so that a walk holds
    the windows of the moment and no more.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_descriptors), indexed by (date, asset)
        One column of numbers for each descriptor; rows in any order. The values are shared with X where they lie in
        one array, and else copied once. Later changes of X do not reach the panel (with pandas 2: only if the values
        were copied).
    lags : sequence of int, default=(0, 3, 6, 9, 12)
        Periods before the row's date, each >= 0; the order does not matter.
    frequency : {"M", "Q", "Y", "W", "D", "date"}, default="M"
        Length of a period. ``"date"`` counts the distinct dates of the panel, as for trading days.

    Raises
    ------
    PanelError
        If the index is no panel index, a column holds no numbers, lags are empty, negative or repeated, an asset has
        two rows in one period, or no row has the full history.

    See Also
    --------
    stack_lags : The same rows as one DataFrame.

    Examples
    --------
    >>> from skdrfm import WalkForwardSplit, make_factor_panel, walk_forward_predict
    >>> from skdrfm.factor_model import LinearFactorRegressor
    >>> from skdrfm.panel import LaggedPanel
    >>> X, y = make_factor_panel(n_dates=26, n_assets=10, n_descriptors=2, random_state=0)
    >>> panel = LaggedPanel(X, lags=(0, 1))
    >>> panel
    LaggedPanel(250 rows x 4 columns, lags (1, 0))
    >>> panel.iloc[-2:].shape
    (2, 4)
    >>> cv = WalkForwardSplit(24)
    >>> walk_forward_predict(LinearFactorRegressor(), panel, panel.align(y), cv=cv, progress=False).predictions.shape
    (10,)
    """

    __slots__ = ("_attrs", "_columns", "_index", "_kept", "_lags", "_rows", "_source", "_values")

    _attrs: dict[Any, Any]
    _columns: "pd.Index[Any]"
    _index: pd.MultiIndex
    _kept: AnyArray  # rows of X that have the full history, one for each row of the panel
    _lags: tuple[int, ...]
    _rows: AnyArray  # rows of X to read, of shape (n_kept, n_lags)
    _source: pd.DataFrame  # shares its values with _values, or has none
    _values: AnyArray

    def __init__(self, X: pd.DataFrame, lags: Sequence[int] = PAPER_LAGS, frequency: str = "M") -> None:
        index = check_panel_index(X)
        if not isinstance(X, pd.DataFrame):
            raise PanelError(
                "X must be a DataFrame with one column for each descriptor. "
                f"Got a {type(X).__name__}. Make it one with X.to_frame()."
            )
        ordered = check_lags(lags)
        rows, complete = _source_rows(index, ordered, frequency)
        if not complete.any():
            raise PanelError(
                f"At least one row must have its asset's rows at all lags {tuple(sorted(ordered))}. Got none among "
                f"{len(X)} rows. Use shorter lags, a longer panel, or check 'frequency' (got {frequency!r})."
            )
        self._source, self._values = _shared_values(X)
        self._rows = rows[complete]
        self._kept = np.flatnonzero(complete).astype(rows.dtype)
        self._index = index[complete]
        self._columns = pd.Index(column_names(X.columns, ordered))
        self._lags = tuple(ordered)
        n_kept = len(self._rows)
        counts = {"n_rows": len(X), "n_kept": n_kept, "n_dropped": len(X) - n_kept}
        self._attrs = {**X.attrs, "stack_lags": counts}
        logger.info("lags found for and kept %(n_kept)d of %(n_rows)d rows, dropped %(n_dropped)d", counts)

    @property
    def index(self) -> pd.MultiIndex:
        """(date, asset) of each row, in the order of X."""
        return self._index

    @property
    def columns(self) -> "pd.Index[Any]":
        """Names ``"{descriptor}__lag{k}"``, oldest lag first and within a lag in the order of X."""
        return self._columns

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows, and number of lags times number of descriptors."""
        return len(self._rows), len(self._columns)

    @property
    def lags(self) -> tuple[int, ...]:
        """Lags in periods before the row's date, oldest first."""
        return self._lags

    @property
    def attrs(self) -> dict[Any, Any]:
        """Attributes of X, and under ``"stack_lags"`` the counts ``n_rows``, ``n_kept`` and ``n_dropped``."""
        return {**self._attrs, "stack_lags": dict(self._attrs["stack_lags"])}

    @property
    def nbytes(self) -> int:
        """Bytes of the values and the row numbers that are held; the index is not counted."""
        return self._values.nbytes + self._rows.nbytes + self._kept.nbytes

    @property
    def iloc(self) -> "_RowsOf":
        """Rows by position, as from the stacked DataFrame: a list or slice of ints or a mask gives a DataFrame."""
        return _RowsOf(self)

    def to_frame(self) -> pd.DataFrame:
        """Gather all rows.

        Returns
        -------
        DataFrame of shape (n_kept, n_lags * n_descriptors)
            What `stack_lags` returns, in the type of the values of X (float32 stays float32).
        """
        return self._gather(np.arange(len(self)))

    def take(self, rows: Any, axis: int = 0) -> pd.DataFrame:
        """Gather rows by position, as scikit-learn's `cross_validate` and searches with ``refit=False`` ask for them.

        Parameters
        ----------
        rows : array-like of int
            Positions.
        axis : {0}, default=0
            Rows; columns cannot be taken.

        Returns
        -------
        DataFrame of shape (n_taken, n_lags * n_descriptors)
            The same as ``iloc[rows]``.

        Raises
        ------
        PanelError
            If axis is not 0.
        """
        if axis != 0:
            raise PanelError(f"'axis' must be 0: a LaggedPanel gives rows. Got {axis!r}. Use panel.iloc[rows].")
        frame: pd.DataFrame = self.iloc[np.asarray(rows)]
        return frame

    def align(self, y: Any) -> Any:
        """Keep the rows of a target, or of any other data of X, that the panel has kept.

        Parameters
        ----------
        y : Series or DataFrame of n_samples rows
            Data with the index of the X from which the panel was made.

        Returns
        -------
        Series or DataFrame of n_kept rows
            The rows of the panel, in its order.

        Raises
        ------
        PanelError
            If y does not have the rows of X in the same order, or the panel was made by `without_source`.

        Examples
        --------
        >>> from skdrfm.datasets import make_factor_panel
        >>> from skdrfm.panel import LaggedPanel
        >>> X, y = make_factor_panel(n_dates=24, n_assets=10, random_state=0)
        >>> panel = LaggedPanel(X, lags=(0, 12))
        >>> panel.align(y).index.equals(panel.index)
        True
        """
        # A panel has at least one row of its source, unless this was left out.
        if not len(self._source):
            raise PanelError(
                "A LaggedPanel must have its source to align other data. Got one from without_source(). Align with "
                "the panel from which it was made."
            )
        check_aligned(self._source, y)
        return y.iloc[self._kept] if hasattr(y, "iloc") else np.asarray(y)[self._kept]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, mask: Any) -> "LaggedPanel":
        """Keep the rows of a boolean mask, without a copy of the values.

        Parameters
        ----------
        mask : ndarray or Series of bool of shape (n_kept,)
            Rows to keep; a Series must have the index of the panel.

        Returns
        -------
        LaggedPanel
            With the same columns and attributes.

        Raises
        ------
        PanelError
            If the mask is not boolean, or has other rows.
        """
        chosen = np.asarray(mask)
        if chosen.ndim != 1 or chosen.dtype != bool:
            raise PanelError(
                "A LaggedPanel must be indexed by a boolean mask of its rows. "
                f"Got {mask if np.ndim(mask) == 0 else type(mask).__name__!r}. "
                "Take rows with panel.iloc[rows], and columns from panel.to_frame() or panel.iloc[rows]."
            )
        check_aligned(self, mask, x_name="panel", y_name="mask")
        part = copy.copy(self)
        part._index = self._index[chosen]
        part._rows = self._rows[chosen]
        part._kept = self._kept[chosen]
        return part

    def without_source(self) -> "LaggedPanel":
        """Leave out X itself, which serves `align` alone, so that a worker receives the values once.

        Returns
        -------
        LaggedPanel
            With the same rows, without a copy of the values. It cannot `align`.
        """
        part = copy.copy(self)
        part._source = pd.DataFrame()
        return part

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise PanelError(
            "A LaggedPanel must be walked window by window, or gathered on purpose. Got a request for an array of all "
            f"{self.shape[0]:,} x {self.shape[1]:,} values. Pass panel.iloc[rows], or panel.to_frame() where that "
            f"fits into memory ({self.shape[0] * self.shape[1] * self._values.itemsize / 2**30:.1f} GiB)."
        )

    def __repr__(self) -> str:
        return f"LaggedPanel({self.shape[0]} rows x {self.shape[1]} columns, lags {self._lags})"

    def _gather(self, positions: AnyArray) -> pd.DataFrame:
        n_descriptors = self._values.shape[1]
        # By columns, as pandas lays a table out: models then meet the same memory, and the same rounding, as ever.
        stacked: AnyArray = np.empty((len(positions), self.shape[1]), dtype=self._values.dtype, order="F")
        for start in range(0, len(positions), _BLOCK):
            rows = self._rows[positions[start : start + _BLOCK]]
            for j in range(len(self._lags)):
                columns = slice(j * n_descriptors, (j + 1) * n_descriptors)
                stacked[start : start + _BLOCK, columns] = self._values[rows[:, j]]
        frame = pd.DataFrame(stacked, index=self._index.take(positions), columns=self._columns, copy=False)
        frame.attrs = self.attrs
        return frame


class _RowsOf:
    """Access to rows by position."""

    __slots__ = ("_panel",)

    def __init__(self, panel: LaggedPanel) -> None:
        self._panel = panel

    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, tuple):
            raise PanelError(
                "LaggedPanel.iloc must be given rows alone. Got rows and columns. "
                "Take the columns from the rows: panel.iloc[rows].iloc[:, columns]."
            )
        # pandas itself reads the key, so that negative numbers, masks and faults mean what they mean in a DataFrame.
        positions = pd.Series(np.arange(len(self._panel)), copy=False).iloc[rows]
        if isinstance(positions, Integral):
            return self._panel._gather(np.array([positions])).iloc[0]
        return self._panel._gather(positions.to_numpy())


def _source_rows(index: pd.MultiIndex, lags: Sequence[int], frequency: str) -> tuple[AnyArray, AnyArray]:
    """Find, for every row and lag, the row of the same asset that many periods earlier."""
    history = History.of_panel(index, frequency)
    rows: AnyArray = np.empty((len(index), len(lags)), dtype=history.dtype)
    complete = np.ones(len(index), dtype=bool)
    for j, lag in enumerate(lags):
        rows[:, j] = history.shifted(-lag)
        complete &= rows[:, j] >= 0
    return rows, complete


def _shared_values(X: pd.DataFrame) -> tuple[pd.DataFrame, AnyArray]:
    """Values of X without a copy where they lie in one array, and what keeps later changes of X away from them."""
    source = X.copy(deep=False)
    values: AnyArray = source.to_numpy()
    if values.dtype.kind not in "biuf":
        others = [
            f"{name!r} ({dtype})"
            for name, dtype in X.dtypes.items()
            if not isinstance(dtype, np.dtype) or dtype.kind not in "iuf"
        ]
        raise PanelError(
            f"Descriptors must be numbers. Got other columns: {', '.join(others[:3])}"
            f"{f' and {len(others) - 3} more' if len(others) > 3 else ''}. "
            "Convert them, for example with X.astype('float64'), or leave them out."
        )
    if not np.may_share_memory(values, source.iloc[:, :1].to_numpy()):
        # A copy already: the original may be freed as soon as the caller drops it.
        source = pd.DataFrame(index=X.index)
    values = values.view()
    values.setflags(write=False)
    return source, values
