"""Drawing of what a model loses without its most relevant descriptors."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm.exceptions import PanelError
from skdrfm.inspection._removal import RemovalCheck, removal_check
from skdrfm.panel._plot import PALETTE, count_of_dates, new_axes, percent_axis

_WAYS = {"least": ("Least relevant", 2, "s"), "random": ("Random", 6, "^"), "most": ("Most relevant", 5, "o")}
_LABELS = {"rank_ic": "Mean rank IC", "long_short": "Mean long/short return", "r2_oos": "Out-of-sample R2"}


class RemovalDisplay:
    """A figure of the forecasts against the number of descriptors that the model was retrained without.

    The line of the most relevant descriptors falls below that of random ones if the explanation is right about them.
    The band is one standard deviation over the random draws.

    Parameters
    ----------
    check : RemovalCheck
        What is drawn, see `removal_check`.
    figure : {"rank_ic", "long_short", "r2_oos"}, default="rank_ic"
        The figure on the vertical axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on, after :meth:`plot`.
    figure_ : matplotlib Figure
        Their figure, after :meth:`plot`.

    See Also
    --------
    RemovalDisplay.from_model : Make the check and the display of it.

    Examples
    --------
    >>> from skdrfm import WalkForwardSplit, make_factor_panel
    >>> from skdrfm.factor_model import LinearFactorRegressor
    >>> from skdrfm.inspection import RemovalDisplay
    >>> X, y = make_factor_panel(n_dates=30, n_assets=20, n_descriptors=3, random_state=0)
    >>> display = RemovalDisplay.from_model(
    ...     LinearFactorRegressor(), X, y, cv=WalkForwardSplit(24, test_size=3), n_removed=[1], n_random=2,
    ...     random_state=0, progress=False,
    ... )
    >>> display.to_frame().shape
    (4, 8)
    """

    ax_: Any
    figure_: Any

    def __init__(self, check: RemovalCheck, *, figure: str = "rank_ic") -> None:
        self.check = check
        self.figure = figure

    @classmethod
    def from_model(
        cls, model: Any, X: Any, y: Any, *, cv: Any, figure: str = "rank_ic", **options: Any
    ) -> "RemovalDisplay":
        """Remove, retrain and make the display of the result.

        Parameters
        ----------
        model, X, y, cv
            As in `removal_check`.
        figure : {"rank_ic", "long_short", "r2_oos"}, default="rank_ic"
            The figure on the vertical axis.
        **options
            Further options of `removal_check`.

        Returns
        -------
        RemovalDisplay
            The display, not drawn yet.

        Raises
        ------
        PanelError
            As in `removal_check`.
        """
        return cls(removal_check(model, X, y, cv=cv, **options), figure=figure)

    def plot(self, ax: Any = None) -> "RemovalDisplay":
        """Draw a line for each way to remove; all start at the figure of the whole model.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        RemovalDisplay
            The display itself, with ``ax_`` and ``figure_`` set.

        Raises
        ------
        PanelError
            If the figure is unknown.
        """
        if self.figure not in _LABELS:
            raise PanelError(f"'figure' must be one of {', '.join(map(repr, _LABELS))}. Got {self.figure!r}.")
        ax = new_axes() if ax is None else ax
        table = self.to_frame()
        whole = table.loc["none"]
        for way, (name, colour, marker) in _WAYS.items():
            part = pd.concat([whole, table.loc[way]])
            numbers, values = part.index.to_numpy(), part[self.figure].to_numpy()
            if way == "random":
                # One draw alone has no spread.
                spread = np.nan_to_num(part[f"{self.figure}_spread"].to_numpy())
                ax.fill_between(
                    numbers, values - spread, values + spread, color=PALETTE[colour], alpha=0.2, linewidth=0
                )
            ax.plot(numbers, values, color=PALETTE[colour], marker=marker, markersize=5, linewidth=1.6, label=name)
        ax.axhline(0, color="0.3", linewidth=0.8)
        ax.set_xticks(sorted(set(table.index.get_level_values("n_removed"))))
        unit = self.check.importance.columns.name
        dates = count_of_dates(len(self.check.rank_ic))
        ax.set(
            title=f"Forecasts without some {unit}s, retrained in each window ({dates})",
            xlabel=f"Removed {unit}s",
            ylabel=_LABELS[self.figure],
        )
        if self.figure != "rank_ic":
            percent_axis(ax.yaxis)
        ax.legend(loc="best", frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def to_frame(self) -> pd.DataFrame:
        """Return the figures of each way and number.

        Returns
        -------
        DataFrame of shape (n_ways, 8)
            As from `RemovalCheck.to_frame`.
        """
        return self.check.to_frame()
