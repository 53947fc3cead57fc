"""Drawing of how well forecasts order returns over time."""

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.exceptions import PanelError
from skdrfm.metrics._cross_section import information_coefficient, rank_information_coefficient
from skdrfm.metrics._inference import newey_west_t
from skdrfm.metrics._validation import validated
from skdrfm.panel._plot import PALETTE, bar_edges, label_all_dates, new_axes, number, time_axis
from skdrfm.utils._param_validation import Interval


class InformationCoefficientDisplay:
    """Information coefficient of each date as a bar, with the mean of the last dates as a line.

    Parameters
    ----------
    ic : Series of shape (n_dates,)
        Correlation of forecast and return by date, in [-1, 1]; NaN where there is none. A name of
        ``"rank_information_coefficient"`` says that it is one of ranks.
    window : int, default=12
        Dates in the mean of the last dates.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on, after :meth:`plot`.
    figure_ : matplotlib Figure
        Their figure, after :meth:`plot`.

    See Also
    --------
    InformationCoefficientDisplay.from_predictions : Make the display from predictions.
    skdrfm.metrics.newey_west_t : The t statistic of the mean that the legend shows.

    Examples
    --------
    >>> from skdrfm.metrics import InformationCoefficientDisplay
    >>> returns, predictions = [0.01, 0.02, 0.03, 0.01, 0.02, 0.03], [1, 2, 3, 1, 3, 2]
    >>> display = InformationCoefficientDisplay.from_predictions(
    ...     returns, predictions, dates=[202001] * 3 + [202002] * 3, window=2
    ... )
    >>> display.to_frame()
            information_coefficient  rolling_mean
    date
    202001                      1.0           NaN
    202002                      0.5          0.75
    """

    ax_: Any
    figure_: Any

    def __init__(self, ic: "pd.Series[Any]", *, window: int = 12) -> None:
        self.ic = ic
        self.window = window

    @classmethod
    @validated({"rank": ["boolean"], "window": [Interval(Integral, 1, None, closed="left")]})
    def from_predictions(
        cls, y_true: Any, y_pred: Any, *, dates: Any = None, rank: bool = True, window: int = 12
    ) -> "InformationCoefficientDisplay":
        """Correlate predictions and returns of each date.

        Parameters
        ----------
        y_true : Series or ndarray of shape (n_samples,)
            Realised forward returns, decimal (0.01 = 1 %).
        y_pred : Series or ndarray of shape (n_samples,)
            Predictions of the same rows, in any unit; compared by index where both are Series.
        dates : array-like of shape (n_samples,), default=None
            Date of each row. None takes the index level ``date`` of y_true.
        rank : bool, default=True
            Whether to correlate ranks (Spearman) or the numbers themselves (Pearson).
        window : int, default=12
            Dates in the mean of the last dates.

        Returns
        -------
        InformationCoefficientDisplay
            The display, not drawn yet.

        Raises
        ------
        PanelError
            If rows are not aligned or their dates are not known.
        NonFiniteError
            If a value is NaN or infinite.

        Warns
        -----
        CoverageWarning
            If some dates have fewer than 3 names or constant numbers, and so no coefficient.
        """
        figure = rank_information_coefficient if rank else information_coefficient
        return cls(figure(y_true, y_pred, dates=dates), window=window)

    def plot(self, ax: Any = None) -> "InformationCoefficientDisplay":
        """Draw one bar for each date, the mean of the last dates and the mean of all.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        InformationCoefficientDisplay
            The display itself, with ``ax_`` and ``figure_`` set.

        Raises
        ------
        PanelError
            If there is no coefficient to draw, or `window` is no whole number of at least 1.
        """
        known = self.ic.dropna()
        if not len(known):
            raise PanelError(
                f"'ic' must hold a coefficient on at least one date. Got none on {len(self.ic)} dates. A date needs 3 "
                "names with different predictions."
            )
        rolling = self.to_frame()["rolling_mean"].to_numpy()
        ax = new_axes() if ax is None else ax
        short = "Rank IC" if str(self.ic.name).startswith("rank") else "IC"
        dates = self.ic.index
        positions = time_axis(dates)
        left, width = bar_edges(ax, positions)
        bars = ax.bar(
            left, self.ic.to_numpy(), width, align="edge", color=PALETTE[4], linewidth=0, label=f"{short} by date"
        )
        handles = [bars]
        if np.isfinite(rolling).any():
            # White on both sides of the line keeps it apart from the bars.
            ax.plot(positions, rolling, color="white", linewidth=3.6)
            label = f"Mean of the last {self.window} dates"
            marker = "o" if np.isfinite(rolling).sum() == 1 else None
            handles += ax.plot(positions, rolling, color=PALETTE[0], linewidth=2.0, marker=marker, label=label)
        mean = float(known.mean())
        label = f"Mean of all: {number(mean, 3)}"
        if len(known) > 1:
            label += f" (Newey-West t {number(newey_west_t(known), 2)})"
        handles.append(ax.axhline(mean, color=PALETTE[5], linewidth=1.4, linestyle="--", label=label))
        ax.axhline(0, color="0.3", linewidth=0.8)
        label_all_dates(ax, positions, dates)
        ax.set(title=f"{short} of each date", xlabel="Date of prediction", ylabel=f"{short} (correlation)")
        # Room above the bars, which no legend may hide.
        low, high = min(float(known.min()), 0.0), max(float(known.max()), 0.0)
        span = high - low or 1.0
        ax.set_ylim(low - 0.05 * span, high + 0.25 * span)
        ax.legend(handles=handles, loc="upper center", ncols=3, fontsize="small", frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the bars and the line, as a copy.

        Returns
        -------
        DataFrame of shape (n_dates, 2)
            ``information_coefficient``, and ``rolling_mean``: the mean of the last `window` coefficients that exist,
            that of the date itself included and none of a later one; NaN before there are so many, and on dates
            without a coefficient.

        Raises
        ------
        PanelError
            If `window` is no whole number of at least 1.
        """
        window: Any = self.window
        if not isinstance(window, Integral) or int(window) < 1:
            raise PanelError(
                f"'window' must be a whole number of dates, at least 1. Got {window!r}. Pass for example 12."
            )
        known = self.ic.dropna()
        rolling = known.rolling(self.window).mean().reindex(self.ic.index)
        return pd.DataFrame({"information_coefficient": self.ic, "rolling_mean": rolling})
