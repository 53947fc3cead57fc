"""Drawing of which descriptors need a network."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.explanation import Explanation
from skdrfm.inspection._necessity import PARTS, NonlinearityIndex, nonlinearity_index
from skdrfm.inspection._plot_pools import axes_of_bars, check_n_groups, pool_names
from skdrfm.panel._plot import PALETTE, legend_beside, percent_axis

_NAMES = ("One slope for all dates", "A slope for each date", "A slope for each name")


class NonlinearityDisplay:
    """Bars of the share of each descriptor in the squared relevances, split by the model that it asks for.

    A long bar says that the model uses the descriptor much; its last part is what no linear model can do.

    Parameters
    ----------
    index : NonlinearityIndex
        What is drawn, see `nonlinearity_index`.
    n_groups : int, default=None
        Bars to draw, the longest; None: all.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on, after :meth:`plot`.
    figure_ : matplotlib Figure
        Their figure, after :meth:`plot`.

    See Also
    --------
    NonlinearityDisplay.from_explanation : Make the display from an explanation.

    Examples
    --------
    >>> from skdrfm.datasets import make_factor_panel
    >>> from skdrfm.factor_model import LinearFactorRegressor
    >>> from skdrfm.inspection import NonlinearityDisplay
    >>> X, y = make_factor_panel(n_dates=12, n_assets=20, n_descriptors=2, random_state=0)
    >>> explanation = LinearFactorRegressor().fit(X, y).explain(X)
    >>> NonlinearityDisplay.from_explanation(explanation).to_frame()["nonlinear"].tolist()
    [0.0, 0.0]
    """

    ax_: Any
    figure_: Any

    def __init__(self, index: NonlinearityIndex, *, n_groups: int | None = None) -> None:
        self.index = index
        self.n_groups = n_groups

    @classmethod
    def from_explanation(
        cls,
        explanation: Explanation,
        groups: Mapping[str, Sequence[str]] | None = None,
        *,
        by: str = "group",
        n_groups: int | None = None,
    ) -> "NonlinearityDisplay":
        """Compute the index and make the display of it.

        Parameters
        ----------
        explanation, groups, by
            As in `nonlinearity_index`.
        n_groups : int, default=None
            As in the class.

        Returns
        -------
        NonlinearityDisplay
            The display, not drawn yet.

        Raises
        ------
        PanelError
            As in `nonlinearity_index`.
        NonFiniteError
            If a relevance is NaN or infinite.
        """
        return cls(nonlinearity_index(explanation, groups=groups, by=by), n_groups=n_groups)

    def plot(self, ax: Any = None) -> "NonlinearityDisplay":
        """Draw a bar of three parts for each descriptor, the longest on top.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        NonlinearityDisplay
            The display itself, with ``ax_`` and ``figure_`` set.

        Raises
        ------
        PanelError
            If `n_groups` is no whole number from 1.
        """
        check_n_groups(self.n_groups, self)
        table = self.index.table
        order = np.argsort(-table["share"].to_numpy(), kind="stable")[: self.n_groups]
        shown = table.iloc[order]
        ax = axes_of_bars(ax, pool_names(shown.index))
        # A descriptor that contributes nothing has a bar of no length.
        widths = shown[list(PARTS)].mul(shown["share"], axis=0).fillna(0.0).to_numpy()
        left = np.zeros(len(shown))
        for j, name in enumerate(_NAMES):
            ax.barh(np.arange(len(shown)), widths[:, j], left=left, height=0.7, color=PALETTE[j], label=name)
            left = left + widths[:, j]
        percent_axis(ax.xaxis)
        nonlinear = self.index.prediction["nonlinear_adjusted"]
        known = "" if np.isnan(nonlinear) else f"\n(of the prediction, {100 * nonlinear:.0f} % is not linear)"
        ax.set(title=f"What model the contributions ask for{known}", xlabel="Share of squared relevances")
        legend_beside(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the bars, as a copy.

        Returns
        -------
        DataFrame of shape (n_groups, 5) or (n_groups, 7)
            The table of the index.
        """
        return self.index.to_frame()
