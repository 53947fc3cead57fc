"""Drawing of how well forecasts meet the size of returns."""

import warnings
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.exceptions import CoverageWarning, PanelError
from skdrfm.metrics._dates import date_groups
from skdrfm.metrics._quantiles import mean_by_quantile
from skdrfm.metrics._validation import as_aligned_values, validated
from skdrfm.panel._plot import PALETTE, count_of_dates, new_axes, percent_axis
from skdrfm.utils._param_validation import Interval


class ForecastCalibrationDisplay:
    """Mean realised return against mean forecast for groups of names with low to high forecasts.

    At each date the names are sorted by forecast into bins of equal size, names with equal forecasts sharing the bins
    that they stand in; each bin is then averaged over dates. Points on the 45-degree line are forecasts of the right
    size. Points that rise more slowly than the line belong to forecasts that are too bold, points that lie above it as
    a whole to forecasts that are too low. A market that rose or fell on the whole moves all points up or down.

    Parameters
    ----------
    bins : DataFrame of shape (n_bins, 4)
        By bin, from the lowest forecasts to the highest: ``mean_forecast`` and ``mean_return`` (decimals per period,
        0.01 = 1 %), ``standard_error`` of the mean return (``std / sqrt(n_dates)``, ddof 1, over the returns of the bin
        at each date; NaN for one date), and ``n_dates``.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on, after :meth:`plot`.
    figure_ : matplotlib Figure
        Their figure, after :meth:`plot`.

    See Also
    --------
    ForecastCalibrationDisplay.from_predictions : Make the display from predictions.

    Examples
    --------
    >>> from skdrfm.metrics import ForecastCalibrationDisplay
    >>> display = ForecastCalibrationDisplay.from_predictions(
    ...     [0.02, -0.02, 0.04, 0.0], [0.01, -0.01, 0.03, 0.01], dates=[1, 1, 2, 2], n_bins=2
    ... )
    >>> display.to_frame().round(4)
         mean_forecast  mean_return  standard_error  n_dates
    bin
    1             0.00        -0.01            0.01        2
    2             0.02         0.03            0.01        2
    """

    ax_: Any
    figure_: Any

    def __init__(self, bins: pd.DataFrame) -> None:
        self.bins = bins

    @classmethod
    @validated({"n_bins": [Interval(Integral, 2, None, closed="left")]})
    def from_predictions(
        cls, y_true: Any, y_pred: Any, *, n_bins: int = 10, dates: Any = None
    ) -> "ForecastCalibrationDisplay":
        """Average forecasts and returns of each bin, first over its names and then over dates.

        Parameters
        ----------
        y_true : Series or ndarray of shape (n_samples,)
            Realised forward returns, decimal (0.01 = 1 %).
        y_pred : Series or ndarray of shape (n_samples,)
            Predicted returns of the same rows; compared by index where both are Series.
        n_bins : int, default=10
            Bins at each date, at least 2.
        dates : array-like of shape (n_samples,), default=None
            Date of each row. None takes the index level ``date`` of y_true.

        Returns
        -------
        ForecastCalibrationDisplay
            The display, not drawn yet.

        Raises
        ------
        PanelError
            If rows are not aligned, their dates are not known, or no date has as many names as there are bins.
        NonFiniteError
            If a value is NaN or infinite.

        Warns
        -----
        CoverageWarning
            If some dates have fewer names than there are bins; they are left out.
        """
        truth, prediction = as_aligned_values(y_true, y_pred)
        groups = date_groups(y_true, dates, name="y_true")
        used = groups.counts >= n_bins
        few = f"fewer than {n_bins} names, one for each bin"
        if not used.any():
            raise PanelError(
                f"At least one date must have {n_bins} names, one for each bin. Got at most {int(groups.counts.max())} "
                f"names on {len(groups.dates)} dates. Use fewer bins."
            )
        if not used.all():
            warnings.warn(
                f"{int((~used).sum())} of {len(used)} dates have {few}, and are left out of the calibration. Use fewer "
                "bins to keep them.",
                CoverageWarning,
                stacklevel=3,
            )
        forecasts, returns = (
            pd.DataFrame(mean_by_quantile(prediction, values, groups, used, n_bins)[used])
            for values in (prediction, truth)
        )
        bins = pd.DataFrame(
            {
                "mean_forecast": forecasts.mean(),
                "mean_return": returns.mean(),
                "standard_error": returns.sem(ddof=1),
                "n_dates": int(used.sum()),
            }
        )
        return cls(bins.set_axis(pd.RangeIndex(1, n_bins + 1, name="bin")))

    def plot(self, ax: Any = None) -> "ForecastCalibrationDisplay":
        """Draw one point for each bin, with one standard error up and down, and the 45-degree line.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        ForecastCalibrationDisplay
            The display itself, with ``ax_`` and ``figure_`` set.

        Raises
        ------
        PanelError
            If there is no bin, or a column is missing.
        """
        self._check()
        ax = new_axes() if ax is None else ax
        forecasts = self.bins["mean_forecast"].to_numpy(dtype=np.float64)
        low, high = float(forecasts.min()), float(forecasts.max())
        room = 0.08 * (high - low) or 0.001
        ends = (low - room, high + room)
        (line,) = ax.plot(ends, ends, color="0.35", linewidth=1.2, linestyle="--", label="Return = forecast")
        points = ax.errorbar(
            forecasts,
            self.bins["mean_return"].to_numpy(),
            yerr=self.bins["standard_error"].to_numpy(),
            fmt="o-",
            color=PALETTE[0],
            ecolor=PALETTE[4],
            elinewidth=1.4,
            capsize=3,
            label=f"{len(self.bins)} bins of names (lines: ± 1 standard error)",
        )
        ax.axhline(0, color="0.6", linewidth=0.8, zorder=0)
        ax.set_xlim(*ends)
        percent_axis(ax.xaxis)
        percent_axis(ax.yaxis)
        dates = count_of_dates(int(self.bins["n_dates"].max()))
        ax.set(title=f"Realised return by forecast ({dates})", xlabel="Mean forecast per period")
        ax.set_ylabel("Mean realised return per period")
        ax.legend(handles=[points, line], loc="best", fontsize="small")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _check(self) -> None:
        columns = ("mean_forecast", "mean_return", "standard_error", "n_dates")
        absent = [name for name in columns if name not in self.bins.columns]
        if absent or not len(self.bins):
            raise PanelError(
                f"'bins' must have at least one row and the columns {', '.join(columns)}. Got {len(self.bins)} rows, "
                f"missing: {', '.join(absent) or 'none'}. Use ForecastCalibrationDisplay.from_predictions."
            )

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the points, as a copy.

        Returns
        -------
        DataFrame of shape (n_bins, 4)
            Mean forecasts and returns, standard errors and numbers of dates.
        """
        return self.bins.copy()
