"""Deletion and insertion curves of explanations, and of a random attribution."""

from typing import Any

import pandas as pd

from skdrfm.exceptions import PanelError
from skdrfm.inspection._faithfulness_report import RANDOM, FaithfulnessReport
from skdrfm.panel._plot import PALETTE, legend_beside, new_axes

_KINDS = {
    "deletion": ("highest_first", "lowest_first"),
    "insertion": ("insertion",),
}
# Methods beyond the colours have them again, with a mark.
_MARKS = (None, "o", "s", "^")
_DASHES = {"highest_first": "-", "lowest_first": (0, (4, 1.5)), "insertion": "-"}
_MORE = {"deletion": "removed", "insertion": "put in, the highest relevance first"}


class FaithfulnessDisplay:
    """Mean change of the prediction as inputs are removed or put in, by relevance.

    Solid lines fall as the inputs of highest relevance are removed, dashed lines rise as those of lowest relevance
    are. The wider the gap between the two, the better the explanation orders what matters; that of the random
    attribution is grey.

    Parameters
    ----------
    curves : DataFrame of shape (n_methods * (n_steps + 1), n_columns)
        By ``method`` and ``step``, with the columns ``share`` (of inputs removed or put in, from 0 to 1) and
        ``highest_first`` and ``lowest_first``, or ``insertion``, in standard deviations of the predictions.
    kind : {"deletion", "insertion"}, default="deletion"
        Which curves to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on, after :meth:`plot`.
    figure_ : matplotlib Figure
        Their figure, after :meth:`plot`.

    See Also
    --------
    FaithfulnessDisplay.from_report : Make the display from a report.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.inspection import FaithfulnessDisplay
    >>> index = pd.MultiIndex.from_product([["lrp-all", "random"], [0, 1]], names=["method", "step"])
    >>> curves = pd.DataFrame({"share": [0.0, 1.0] * 2, "insertion": [-0.5, 0.0, -0.5, 0.0]}, index=index)
    >>> FaithfulnessDisplay(curves, kind="insertion").to_frame().loc["lrp-all"]
          share  insertion
    step
    0       0.0       -0.5
    1       1.0        0.0
    """

    ax_: Any
    figure_: Any

    def __init__(self, curves: pd.DataFrame, *, kind: str = "deletion") -> None:
        self.curves = curves
        self.kind = kind

    @classmethod
    def from_report(cls, report: FaithfulnessReport, *, kind: str = "deletion") -> "FaithfulnessDisplay":
        """Take the curves of a report.

        Parameters
        ----------
        report : FaithfulnessReport
            What `faithfulness` returned.
        kind : {"deletion", "insertion"}, default="deletion"
            Which curves to draw.

        Returns
        -------
        FaithfulnessDisplay
            The display, not drawn yet.

        Raises
        ------
        ValueError
            If the kind is neither of the two.
        """
        names = _curve_names(kind)
        return cls(report.curves[["share", *names]].copy(), kind=kind)

    def plot(self, ax: Any = None) -> "FaithfulnessDisplay":
        """Draw one line, or one solid and one dashed line, for each method.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        FaithfulnessDisplay
            The display itself, with ``ax_`` and ``figure_`` set.

        Raises
        ------
        PanelError
            If there is nothing to draw, or a column is missing.
        ValueError
            If the kind is neither of the two.
        """
        names = _curve_names(self.kind)
        self._check(names)
        ax = new_axes() if ax is None else ax
        ax.axhline(0, color="0.3", linewidth=0.8, zorder=1)
        methods = list(self.curves.index.get_level_values("method").unique())
        colours = PALETTE[:-1]  # the last one is grey
        named = [method for method in methods if method != RANDOM]
        styles = {m: (colours[i % len(colours)], _MARKS[i // len(colours) % len(_MARKS)]) for i, m in enumerate(named)}
        for method in methods:
            lines = self.curves.loc[method]
            colour, mark = styles.get(method, ("0.6", None))
            for name in names:
                label = None if name == "lowest_first" else str(method)
                style = {"color": colour, "linestyle": _DASHES[name], "marker": mark, "markersize": 4}
                ax.plot(100 * lines["share"], lines[name], linewidth=1.8, label=label, **style)
        ax.set(title=f"Signed {self.kind} curves", xlabel=f"Inputs {_MORE[self.kind]} (%)")
        ax.set_ylabel("Change of the prediction\n(standard deviations)")
        if self.kind == "deletion":
            ax.plot([], [], color="0.3", linestyle=_DASHES["highest_first"], label="highest relevance first")
            ax.plot([], [], color="0.3", linestyle=_DASHES["lowest_first"], label="lowest relevance first")
        legend_beside(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _check(self, names: tuple[str, ...]) -> None:
        absent = [name for name in ("share", *names) if name not in self.curves.columns]
        levels = list(self.curves.index.names)
        if absent or not len(self.curves) or "method" not in levels:
            raise PanelError(
                f"'curves' must be indexed by method and step, with the columns share, {', '.join(names)}. Got "
                f"{len(self.curves)} rows indexed by {levels!r}, missing: {', '.join(absent) or 'none'}. Use "
                "FaithfulnessDisplay.from_report."
            )

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the lines, as a copy.

        Returns
        -------
        DataFrame of shape (n_methods * (n_steps + 1), n_columns)
            Shares and changes of the prediction by method and step.
        """
        return self.curves.copy()


def _curve_names(kind: str) -> tuple[str, ...]:
    if kind not in _KINDS:
        raise ValueError(f"'kind' must be one of {', '.join(map(repr, _KINDS))}. Got {kind!r}. Choose one of them.")
    return _KINDS[kind]
