"""Drawings of explanations."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation
from skdrfm.panel._plot import label_dates, time_axis

# Okabe and Ito's colours that stand out on white and on black, told apart with any colour vision.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F7F7F")
_HATCHES = ("", "///", "...", "xxx")


class ContributionDisplay:
    """Shares of descriptor groups in the forecasts over time, as stacked areas.

    Parameters
    ----------
    shares : DataFrame of shape (n_dates, n_groups)
        Share of each group in the absolute contributions, 0 to 1, by date; rows sum to 1. Rows of NaN are left blank.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on, after :meth:`plot`.
    figure_ : matplotlib Figure
        Their figure, after :meth:`plot`.

    See Also
    --------
    ContributionDisplay.from_explanation : Make the display from an explanation.

    References
    ----------
    Nakagawa, Ito, Abe and Izumi (2019), https://arxiv.org/abs/1901.11493, Figure 2, here as a time series.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.inspection import ContributionDisplay
    >>> shares = pd.DataFrame({"Risk": [0.25, 0.5], "Value": [0.75, 0.5]}, index=[202001, 202002])
    >>> ContributionDisplay(shares).to_frame().loc[202002].tolist()
    [0.5, 0.5]
    """

    ax_: Any
    figure_: Any

    def __init__(self, shares: pd.DataFrame) -> None:
        self.shares = shares

    @classmethod
    def from_explanation(
        cls, explanation: Explanation, groups: Mapping[str, Sequence[str]] | None = None
    ) -> "ContributionDisplay":
        """Average the shares of the explained rows of each date.

        Parameters
        ----------
        explanation : Explanation
            Explained rows, indexed by (date, asset).
        groups : mapping of str to sequence of str, default=None
            Descriptors of each group; None: each descriptor is a group of its own.

        Returns
        -------
        ContributionDisplay
            The display, not drawn yet.

        Raises
        ------
        PanelError
            If the rows of the explanation have no dates.
        """
        if explanation.index is None or "date" not in explanation.index.names:
            raise PanelError(
                "The explanation must be indexed by (date, asset). Got rows without dates. Explain a DataFrame with "
                "this index, or pass shares by date."
            )
        if groups is None:
            groups = {name: (name,) for name in explanation.descriptor_names}
        return cls(explanation.share(groups).groupby(level="date").mean())

    def plot(self, ax: Any = None, *, legend: bool = True) -> "ContributionDisplay":
        """Draw one area for each group, stacked to 100 %.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        legend : bool, default=True
            Whether to name the groups beside the axes, in the order of the areas.

        Returns
        -------
        ContributionDisplay
            The display itself, with ``ax_`` and ``figure_`` set.

        Raises
        ------
        PanelError
            If there is nothing to draw, or a share is negative.
        """
        from matplotlib.ticker import PercentFormatter

        self._check()
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
        positions = time_axis(self.shares.index)
        names = [str(name) for name in self.shares.columns]
        colours = [PALETTE[i % len(PALETTE)] for i in range(len(names))]
        hatches = [_HATCHES[i // len(PALETTE) % len(_HATCHES)] for i in range(len(names))]
        if len(self.shares) > 1:
            handles = ax.stackplot(
                positions, self.shares.to_numpy().T, colors=colours, hatch=hatches, linewidth=0, alpha=0.9
            )
            ax.set_xlim(positions[0], positions[-1])
        else:
            handles = self._bars(ax, positions, colours, hatches)
        label_dates(ax, positions)
        ax.set(ylim=(0, 1), title="Contributions of descriptor groups", xlabel="Date of prediction")
        ax.set_ylabel("Share of absolute contributions")
        ax.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
        if legend:
            ax.legend(handles[::-1], names[::-1], loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _bars(self, ax: Any, positions: Any, colours: list[str], hatches: list[str]) -> list[Any]:
        """Draw one stacked bar, since a single date has no area."""
        below, handles = 0.0, []
        for share, colour, hatch in zip(self.shares.to_numpy()[0], colours, hatches, strict=True):
            handles.append(ax.bar(positions, [share], bottom=below, color=colour, hatch=hatch, alpha=0.9))
            below += share
        ax.set_xticks(positions)
        return handles

    def _check(self) -> None:
        if not self.shares.size or self.shares.isna().to_numpy().all():
            raise PanelError(
                f"'shares' must hold at least one date and one group. Got shape {self.shares.shape} without a "
                "value. Explain some rows first."
            )
        negative = int((self.shares < 0).to_numpy().sum())
        if negative:
            raise PanelError(
                f"'shares' must be at least 0, so that areas can be stacked. Got {negative} negative values. Use "
                "shares of absolute contributions, as Explanation.share gives them."
            )

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the areas, as a copy.

        Returns
        -------
        DataFrame of shape (n_dates, n_groups)
            Shares, 0 to 1.
        """
        return self.shares.copy()
