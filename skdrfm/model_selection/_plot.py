"""Drawings of walk-forward windows."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.panel._plot import label_dates, new_axes, time_axis

_BORDERS = ("train_start", "train_end", "test_start", "test_end")
_COLOURS = {"train": "#0072B2", "test": "#D55E00"}


class WindowPlanDisplay:
    """Training and test windows as horizontal bars, the first window on top.

    A bar reaches from the first date of a window to the moment at which the last of its forward returns is known,
    one period after its last date.

    Parameters
    ----------
    windows : DataFrame of shape (n_windows, n_columns)
        One row for each window with ``train_start``, ``train_end``, ``train_dates``, ``test_start`` and ``test_end``,
        as made by `WalkForwardSplit.summary` or in `WalkForwardResult.windows`.
    max_windows : int, default=60
        Windows to draw at most; of more, evenly spaced ones with the first and the last.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on, after :meth:`plot`.
    figure_ : matplotlib Figure
        Their figure, after :meth:`plot`.

    Examples
    --------
    >>> from skdrfm import WalkForwardSplit, make_factor_panel
    >>> from skdrfm.model_selection import WindowPlanDisplay
    >>> X, y = make_factor_panel(n_dates=72, n_assets=10, random_state=0)
    >>> display = WindowPlanDisplay.from_splitter(WalkForwardSplit(train_size=60), X)
    >>> len(display.to_frame())
    12
    """

    ax_: Any
    figure_: Any

    def __init__(self, windows: pd.DataFrame, *, max_windows: int = 60) -> None:
        self.windows = windows
        self.max_windows = max_windows

    @classmethod
    def from_splitter(cls, cv: Any, X: Any, y: Any = None, groups: Any = None) -> "WindowPlanDisplay":
        """List the windows of a splitter on a panel.

        Parameters
        ----------
        cv : WalkForwardSplit
            The splitter.
        X, y, groups
            As in `WalkForwardSplit.split`.

        Returns
        -------
        WindowPlanDisplay
            The display, not drawn yet.

        Raises
        ------
        SplitError
            If there are no dates, or too few for one window.
        """
        return cls(cv.summary(X, y, groups))

    def plot(self, ax: Any = None) -> "WindowPlanDisplay":
        """Draw two bars for each window.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        WindowPlanDisplay
            The display itself, with ``ax_`` and ``figure_`` set.

        Raises
        ------
        PanelError
            If there is no window, or a column is missing.
        """
        self._check()
        ax = new_axes() if ax is None else ax
        shown = self._shown()
        borders = self._borders()
        period = _period(borders, self.windows["train_dates"].to_numpy())
        spacing = (len(self.windows) - 1) / max(1, len(shown) - 1)
        for part, first, last in (("train", 0, 1), ("test", 2, 3)):
            ax.barh(
                shown + 1,
                borders[shown, last] + period - borders[shown, first],
                left=borders[shown, first],
                height=0.8 * max(1.0, spacing),
                color=_COLOURS[part],
                linewidth=0,
                label={"train": "Training", "test": "Test"}[part],
            )
        label_dates(ax, borders[:, 0])
        count = f"{len(shown)} of {len(self.windows)}" if len(shown) < len(self.windows) else str(len(self.windows))
        ax.set(title=f"Walk-forward windows ({count} shown)", xlabel="Date", ylabel="Window")
        ax.set_ylim(len(self.windows) + max(1.0, spacing) / 2, 1 - max(1.0, spacing) / 2)
        ax.yaxis.get_major_locator().set_params(integer=True)
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _check(self) -> None:
        absent = [name for name in (*_BORDERS, "train_dates") if name not in self.windows.columns]
        if absent or not len(self.windows):
            raise PanelError(
                f"'windows' must have at least one row and the columns {', '.join((*_BORDERS, 'train_dates'))}. Got "
                f"{len(self.windows)} rows, missing: {', '.join(absent) or 'none'}. Use WalkForwardSplit.summary(X)."
            )

    def _shown(self) -> IntArray:
        n_windows = len(self.windows)
        if n_windows <= self.max_windows:
            return np.arange(n_windows)
        return np.unique(np.linspace(0, n_windows - 1, max(1, self.max_windows)).round().astype(np.intp))

    def _borders(self) -> AnyArray:
        """Dates of the four borders on the time axis, shape (n_windows, 4)."""
        dates = pd.Index(pd.concat([self.windows[name] for name in _BORDERS], ignore_index=True))
        positions = time_axis(dates)
        if positions.dtype.kind not in "Miuf":
            # Labels that cannot be read as dates are drawn by their order.
            positions = pd.factorize(dates, sort=True)[0]
        return np.asarray(positions).reshape(len(_BORDERS), -1).T

    def to_frame(self) -> pd.DataFrame:
        """Return the windows, all of them, as a copy.

        Returns
        -------
        DataFrame of shape (n_windows, n_columns)
            First and last dates and sizes of the windows.
        """
        return self.windows.copy()


def _period(borders: AnyArray, train_dates: AnyArray) -> Any:
    """Length of a period on the time axis; for windows of one date, the way to the test date."""
    if train_dates[0] > 1:
        return (borders[0, 1] - borders[0, 0]) / (train_dates[0] - 1)
    return borders[0, 2] - borders[0, 1]
