"""Drawing of how sure contributions are: means with their errors and seeds, or bands over seeds in time."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.inspection._plot_pools import axes_of_bars, check_n_groups, pool_names
from skdrfm.inspection._uncertainty import ContributionStatistics, contribution_statistics
from skdrfm.panel._plot import (
    PALETTE,
    count_of_dates,
    label_all_dates,
    legend_beside,
    line_style,
    new_axes,
    percent_axis,
    time_axis,
)

_KINDS = ("mean", "time")
_PORTFOLIOS = {
    "long_short": "long/short forecast",
    "long": "forecast of the highest quantile",
    "equal": "mean forecast",
    "given": "forecast of the portfolio",
}


class ContributionStatisticsDisplay:
    """Mean contributions with error bars and a dot for each seed, or contributions in time with a band over seeds.

    A bar that does not reach 0 says that the mean is no accident of these dates; dots on both sides of 0 say that it
    is one of the random start.

    Parameters
    ----------
    statistics : ContributionStatistics
        What is drawn, see `contribution_statistics`.
    kind : {"mean", "time"}, default="mean"
        Means by group, the largest on top, or a line over dates for each of a few groups.
    n_groups : int, default=None
        Groups to draw, those with the largest absolute mean. None: all means, or the lines of 5 groups.
    n_errors : float, default=2.0
        Length of an error bar to each side, in Newey-West standard errors.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on, after :meth:`plot`.
    figure_ : matplotlib Figure
        Their figure, after :meth:`plot`.

    See Also
    --------
    ContributionStatisticsDisplay.from_explanations : Make the display from explanations.

    Examples
    --------
    >>> from skdrfm.datasets import make_factor_panel
    >>> from skdrfm.factor_model import LinearFactorRegressor
    >>> from skdrfm.inspection import ContributionStatisticsDisplay
    >>> X, y = make_factor_panel(n_dates=12, n_assets=20, n_descriptors=2, random_state=0)
    >>> explanation = LinearFactorRegressor().fit(X, y).explain(X)
    >>> ContributionStatisticsDisplay.from_explanations(explanation).to_frame().shape
    (3, 8)
    """

    ax_: Any
    figure_: Any

    def __init__(
        self,
        statistics: ContributionStatistics,
        *,
        kind: str = "mean",
        n_groups: int | None = None,
        n_errors: float = 2.0,
    ) -> None:
        self.statistics = statistics
        self.kind = kind
        self.n_groups = n_groups
        self.n_errors = n_errors

    @classmethod
    def from_explanations(
        cls,
        explanations: Any,
        *,
        kind: str = "mean",
        n_groups: int | None = None,
        n_errors: float = 2.0,
        **options: Any,
    ) -> "ContributionStatisticsDisplay":
        """Compute the statistics and make the display of them.

        Parameters
        ----------
        explanations : Explanation or WalkForwardResult, or sequence or mapping of them
            As in `contribution_statistics`.
        kind, n_groups, n_errors
            As in the class.
        **options
            Further options of `contribution_statistics`, such as groups.

        Returns
        -------
        ContributionStatisticsDisplay
            The display, not drawn yet.

        Raises
        ------
        PanelError
            As in `contribution_statistics`.
        """
        statistics = contribution_statistics(explanations, **options)
        return cls(statistics, kind=kind, n_groups=n_groups, n_errors=n_errors)

    def plot(self, ax: Any = None) -> "ContributionStatisticsDisplay":
        """Draw the means, or the lines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        ContributionStatisticsDisplay
            The display itself, with ``ax_`` and ``figure_`` set.

        Raises
        ------
        PanelError
            If the kind is unknown, or `n_groups` is no whole number from 1.
        """
        if self.kind not in _KINDS:
            raise PanelError(f"'kind' must be one of {', '.join(map(repr, _KINDS))}. Got {self.kind!r}.")
        check_n_groups(self.n_groups, self)
        table = self.statistics.table
        order = np.argsort(-table["mean"].abs().to_numpy(), kind="stable")
        shown = order[: self.n_groups or (5 if self.kind == "time" else len(order))]
        names = pool_names(table.index[shown])
        what = f"Contribution to the {_PORTFOLIOS[self.statistics.weights]}"
        seeds = "1 seed" if self.statistics.n_seeds == 1 else f"{self.statistics.n_seeds} seeds"
        if self.kind == "mean":
            ax = axes_of_bars(ax, names)
            self._draw_means(ax, shown)
            ax.set_xlabel(what)
            percent_axis(ax.xaxis)
            ax.set_title(
                f"Mean contributions, {count_of_dates(self.statistics.n_dates)}, {seeds}\n"
                f"(bars: {self.n_errors:g} standard errors over dates; dots: seeds)"
            )
        else:
            ax = new_axes() if ax is None else ax
            self._draw_lines(ax, shown, names)
            ax.set(xlabel="Date of prediction", ylabel=what)
            percent_axis(ax.yaxis)
            ax.set_title(f"Contributions over time (band: one standard deviation over {seeds})")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_means(self, ax: Any, shown: Any) -> None:
        table = self.statistics.table
        heights = np.arange(len(shown))
        mean = table["mean"].to_numpy()[shown]
        # A single date has no error.
        error = np.nan_to_num(table["standard_error"].to_numpy()[shown])
        ax.axvline(0, color="0.3", linewidth=0.8)
        ax.barh(heights, mean, height=0.6, color=PALETTE[0], alpha=0.35)
        ax.errorbar(mean, heights, xerr=self.n_errors * error, fmt="none", ecolor=PALETTE[0], capsize=3)
        if self.statistics.n_seeds > 1:
            by_seed = self.statistics.by_seed().to_numpy()[:, shown]
            ax.plot(by_seed, np.broadcast_to(heights, by_seed.shape), "o", color=PALETTE[5], markersize=3.5)

    def _draw_lines(self, ax: Any, shown: Any, names: list[str]) -> None:
        by_date = self.statistics.by_date()
        positions = time_axis(by_date.index)
        lines: FloatArray = by_date.to_numpy()[:, shown]
        spread = self.statistics.spread_by_date().to_numpy()[:, shown]
        ax.axhline(0, color="0.3", linewidth=0.8)
        for i, name in enumerate(names):
            colour, dash = line_style(i)
            marker = "o" if len(positions) == 1 else None
            if self.statistics.n_seeds > 1:
                edges = lines[:, i] - spread[:, i], lines[:, i] + spread[:, i]
                ax.fill_between(positions, *edges, color=colour, alpha=0.18, linewidth=0)
            ax.plot(positions, lines[:, i], color=colour, linestyle=dash, linewidth=1.6, marker=marker, label=name)
        label_all_dates(ax, positions, by_date.index)
        legend_beside(ax)

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the drawing, as a copy.

        Returns
        -------
        DataFrame of shape (n_groups, 8) or (n_seeds * n_dates, n_groups)
            The table of the statistics; for kind "time" the contributions by (seed, date).
        """
        return self.statistics.by_seed_and_date.copy() if self.kind == "time" else self.statistics.to_frame()
