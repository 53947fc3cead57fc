"""Drawing of a comparison of explainers: how far they agree, and what they cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.exceptions import PanelError
from skdrfm.inspection._compare_result import ExplainerComparison
from skdrfm.panel._plot import PALETTE, check_axes_pair, heat_cells, new_axes_pair, number


class ExplainerComparisonDisplay:
    """Rank correlations between explainers as a heat map, and the time that each takes for a row as bars.

    Parameters
    ----------
    agreement : DataFrame of shape (n_methods, n_methods)
        Rank correlations, -1 to 1; NaN is left grey.
    cost : Series of length n_methods
        Microseconds for one row, by method; the bars are drawn on a logarithmic axis.

    Attributes
    ----------
    axes_ : tuple of two matplotlib Axes
        The axes drawn on, the heat map first, after :meth:`plot`.
    figure_ : matplotlib Figure
        Their figure, after :meth:`plot`.

    See Also
    --------
    ExplainerComparisonDisplay.from_comparison : Make the display from a comparison.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.inspection import ExplainerComparisonDisplay
    >>> agreement = pd.DataFrame([[1.0, 0.5], [0.5, 1.0]], index=["a", "b"], columns=["a", "b"])
    >>> display = ExplainerComparisonDisplay(agreement, pd.Series([10.0, 200.0], index=["a", "b"]))
    >>> display.to_frame()
         a    b  microseconds_per_sample
    a  1.0  0.5                     10.0
    b  0.5  1.0                    200.0
    """

    axes_: Any
    figure_: Any

    def __init__(self, agreement: pd.DataFrame, cost: "pd.Series[float]") -> None:
        self.agreement = agreement
        self.cost = cost

    @classmethod
    def from_comparison(
        cls, comparison: ExplainerComparison, by: str | Mapping[str, Sequence[str]] = "cell"
    ) -> "ExplainerComparisonDisplay":
        """Take agreement and cost from a comparison.

        Parameters
        ----------
        comparison : ExplainerComparison
            Result of `compare_explainers`.
        by : {"cell", "descriptor", "lag", "group"} or mapping of str to sequence of str, default="cell"
            As in `ExplainerComparison.agreement`; methods without such units are left out of both charts.

        Returns
        -------
        ExplainerComparisonDisplay
            The display, not drawn yet.

        Raises
        ------
        PanelError
            If there are less than two units.
        """
        agreement = comparison.agreement(by)
        return cls(agreement, comparison.summary().loc[agreement.index, "microseconds_per_sample"])

    def plot(self, axes: Any = None) -> "ExplainerComparisonDisplay":
        """Draw the heat map, and below it the bars.

        Parameters
        ----------
        axes : pair of matplotlib Axes, default=None
            Where to draw, the heat map first; None makes a new figure.

        Returns
        -------
        ExplainerComparisonDisplay
            The display itself, with ``axes_`` and ``figure_`` set.

        Raises
        ------
        PanelError
            If there is nothing to draw, cost and agreement name other methods, or `axes` are not two.
        """
        self._check()
        names = [str(name) for name in self.agreement.columns]
        n_methods = len(names)
        height = 2.4 + 0.6 * n_methods
        pair = new_axes_pair(height, (2, 1), share_dates=False) if axes is None else check_axes_pair(axes)
        upper, lower = pair
        values = self.agreement.to_numpy(dtype=np.float64)
        texts = [["" if np.isnan(value) else number(value, 2) for value in row] for row in values]
        heat_cells(upper, values, texts, largest=1.0)
        upper.set_xticks(range(n_methods), names, rotation=30, ha="right", rotation_mode="anchor")
        upper.set_yticks(range(n_methods), names)
        upper.set_title("Rank correlation of relevances, mean over rows")
        cost = self.cost[self.agreement.index].to_numpy(dtype=np.float64)
        lower.barh(range(n_methods), cost, color=PALETTE[0])
        lower.set_yticks(range(n_methods), names)
        lower.invert_yaxis()
        lower.set_xscale("log")
        lower.set_xlabel("Microseconds for a row, one run (logarithmic)")
        self.axes_, self.figure_ = pair, upper.figure
        return self

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the drawing, as a copy.

        Returns
        -------
        DataFrame of shape (n_methods, n_methods + 1)
            Rank correlations, and the cost as the last column, ``microseconds_per_sample``.
        """
        return self.agreement.assign(microseconds_per_sample=self.cost)

    def _check(self) -> None:
        if not self.agreement.size or self.agreement.isna().to_numpy().all():
            raise PanelError(
                f"'agreement' must hold at least one rank correlation. Got shape {self.agreement.shape} without a "
                "value. Compare two methods first."
            )
        if set(self.cost.index) != set(self.agreement.index):
            raise PanelError(
                f"'cost' must name the methods of 'agreement'. Got {list(self.cost.index)!r} for "
                f"{list(self.agreement.index)!r}. Take both from one comparison."
            )
