"""Drawings of walk-forward windows."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.panel._plot import label_dates, legend_beside, new_axes, time_axis

_BORDERS = ("train_start", "train_end", "test_start", "test_end")
_COLOURS = {"train": "#0072B2", "test": "#D55E00"}


class WindowPlanDisplay:
    """Training and test windows as horizontal bars, the first window on top.

    A bar reaches from the first date of a window to the moment at which the last of its forward returns is known,
    one period after its last date. Dates that are left out between training and test, by gap or embargo, are blank.

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
        starts, lengths = self._bars(borders)
        spacing = (len(self.windows) - 1) / max(1, len(shown) - 1)
        span = (starts + lengths).max() - starts.min()
        for column, (part, name) in enumerate((("train", "Training"), ("test", "Test"))):
            narrow = lengths[:, column].max() < span / 200
            ax.barh(
                shown + 1,
                lengths[shown, column],
                left=starts[shown, column],
                height=0.8 * max(1.0, spacing),
                color=_COLOURS[part],
                edgecolor=_COLOURS[part],
                # An edge keeps in sight what would be narrower than a pixel.
                linewidth=1.2 if narrow else 0,
                label=name,
            )
        label_dates(ax, borders[:, 0])
        count = f"{len(shown)} of {len(self.windows)}" if len(shown) < len(self.windows) else str(len(self.windows))
        ax.set(title=f"Walk-forward windows ({count} shown)", xlabel="Date", ylabel="Window")
        ax.set_ylim(len(self.windows) + max(1.0, spacing) / 2, 1 - max(1.0, spacing) / 2)
        ax.set_yticks(_window_ticks(len(self.windows)))
        legend_beside(ax)
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

    def _bars(self, borders: AnyArray) -> tuple[AnyArray, AnyArray]:
        """Left ends and lengths of the bars on the time axis, both of shape (n_windows, 2): training, test."""
        period = self._period(borders)
        ends = borders[:, [1, 3]] + period
        # Months differ in length: training that reaches up to the test date must not seem to leave a gap.
        tests = borders[:, 2]
        meets = np.abs(tests - ends[:, 0]) < period / 2
        ends[:, 0] = np.where(meets, tests, ends[:, 0])
        starts = borders[:, [0, 2]]
        return starts, ends - starts

    def _period(self, borders: AnyArray) -> Any:
        """Length of a period on the time axis: the smallest mean step between the dates of a training window."""
        later = self.windows["train_dates"].to_numpy() - 1
        several = later > 0
        if several.any():
            return ((borders[several, 1] - borders[several, 0]) / later[several]).min()
        # Of windows of one date, the way to the test date has the gap in it, and that to the next window the step.
        steps = np.abs(np.append(borders[:, 2] - borders[:, 1], np.diff(borders[:, 2])))
        return steps[steps != 0 * steps[0]].min()

    def to_frame(self) -> pd.DataFrame:
        """Return the windows, all of them, as a copy.

        Returns
        -------
        DataFrame of shape (n_windows, n_columns)
            First and last dates and sizes of the windows.
        """
        return self.windows.copy()


def _window_ticks(n_windows: int) -> list[int]:
    """Choose window numbers to label: round ones, and the first."""
    from matplotlib.ticker import MaxNLocator

    values = MaxNLocator(nbins=9, integer=True, steps=[1, 2, 5, 10]).tick_values(1, n_windows)
    return [1, *(int(value) for value in values if 1 < value <= n_windows)]
