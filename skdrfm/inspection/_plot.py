"""Drawings of contributions over time."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation
from skdrfm.inspection._plot_common import check_dates, check_rows
from skdrfm.panel._plot import PALETTE, bar_edges, label_all_dates, label_dates, legend_beside, new_axes, time_axis
from skdrfm.utils._param_validation import StrOptions, validate_params

_HATCHES = ("", "///", "...", "xxx")
_KINDS = ("share", "signed")


class ContributionDisplay:
    """Contributions of descriptor groups to the forecasts over time: shares as areas, or signed sums as bars.

    Shares say what the forecasts rest on. Signed contributions say where they push: groups above 0 raise the forecast
    of the average asset of a date, groups below 0 lower it, and the line of their net shows what is left.

    Parameters
    ----------
    shares : DataFrame of shape (n_dates, n_groups)
        By date. For kind ``"share"`` the share of each group in the absolute contributions, 0 to 1; rows sum to 1.
        For kind ``"signed"`` the mean contribution of each group, in units of the prediction (decimal return per
        period: 0.01 = 1 %). Rows of NaN are left blank.
    kind : {"share", "signed"}, default="share"
        What the numbers are.
    net : Series of shape (n_dates,), default=None
        Only for kind ``"signed"``: mean prediction less intercept of each date, drawn as a line. None: the sum of the
        groups. The two differ where the explanation has a conservation gap.

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
    >>> signed = pd.DataFrame({"Risk": [0.25, -0.5], "Value": [0.5, 0.25]}, index=[202001, 202002])
    >>> ContributionDisplay(signed, kind="signed").to_frame()
            Risk  Value   net
    202001  0.25   0.50  0.75
    202002 -0.50   0.25 -0.25
    """

    ax_: Any
    figure_: Any

    def __init__(self, shares: pd.DataFrame, *, kind: str = "share", net: "pd.Series[float] | None" = None) -> None:
        self.shares = shares
        self.kind = kind
        self.net = net

    @classmethod
    @validate_params({"kind": [StrOptions(set(_KINDS))]}, prefer_skip_nested_validation=True)
    def from_explanation(
        cls, explanation: Explanation, groups: Mapping[str, Sequence[str]] | None = None, *, kind: str = "share"
    ) -> "ContributionDisplay":
        """Average the shares, or the signed contributions, of the explained rows of each date.

        Parameters
        ----------
        explanation : Explanation
            Explained rows, indexed by (date, asset).
        groups : mapping of str to sequence of str, default=None
            Descriptors of each group; None: each descriptor is a group of its own.
        kind : {"share", "signed"}, default="share"
            ``"share"``: the absolute contribution of a group over the sum of them all, taken for each row before the
            mean. ``"signed"``: the mean contribution itself, in which opposite signs of two assets cancel.

        Returns
        -------
        ContributionDisplay
            The display, not drawn yet.

        Raises
        ------
        PanelError
            If the explanation has no rows, its rows have no dates, or the groups do not fit its descriptors.
        NonFiniteError
            If a relevance is NaN or infinite.
        """
        check_rows(explanation)
        dates = check_dates(explanation)
        if kind == "signed":
            explained = pd.Series(explanation.predictions - explanation.intercept)
            net = explained.groupby(dates).mean().rename_axis(index="date")
            return cls(explanation.over_time(groups), kind=kind, net=net)
        if groups is None:
            groups = {name: (name,) for name in explanation.descriptor_names}
        return cls(explanation.share(groups).groupby(level="date").mean())

    def plot(self, ax: Any = None, *, legend: bool = True) -> "ContributionDisplay":
        """Draw one area for each group, stacked to 100 %, or one stack of bars up and one down for each date.

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
            If there is nothing to draw, a share is negative, or `net` has other dates.
        """
        self._check()
        ax = new_axes() if ax is None else ax
        handles, names = self._draw_signed(ax) if self.kind == "signed" else self._draw_shares(ax)
        ax.set_xlabel("Date of prediction")
        if legend:
            legend_beside(ax, handles, names)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_shares(self, ax: Any) -> tuple[list[Any], list[str]]:
        from matplotlib.ticker import PercentFormatter

        positions = time_axis(self.shares.index)
        if len(self.shares) > 1:
            colours, hatches = zip(*self._looks(), strict=True)
            handles = ax.stackplot(
                positions, self.shares.to_numpy().T, colors=colours, hatch=hatches, linewidth=0, alpha=0.9
            )
            ax.set_xlim(positions[0], positions[-1])
        else:
            # A single date has no area.
            left, width = bar_edges(ax, positions)
            handles = self._stack(ax, left, width, self.shares.to_numpy(dtype=np.float64))
            ax.set_xticks(positions)
        label_dates(ax, positions)
        ax.set(ylim=(0, 1), title="Contributions of descriptor groups")
        ax.set_ylabel("Share of absolute contributions")
        ax.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
        return handles[::-1], self._names()[::-1]

    def _draw_signed(self, ax: Any) -> tuple[list[Any], list[str]]:
        from matplotlib.ticker import PercentFormatter

        positions = time_axis(self.shares.index)
        edges = bar_edges(ax, positions)
        values = self.shares.to_numpy(dtype=np.float64)
        above, below = np.clip(values, 0, None), np.clip(values, None, 0)
        handles = self._stack(ax, *edges, above)
        self._stack(ax, *edges, below)
        net = self.to_frame()["net"].to_numpy()
        # White on both sides of the line keeps it apart from bars of any colour.
        ax.plot(positions, net, color="white", linewidth=3.0, marker="o" if len(net) == 1 else None, markersize=9)
        (line,) = ax.plot(positions, net, color="black", linewidth=1.4, marker="o" if len(net) == 1 else None)
        ax.axhline(0, color="0.3", linewidth=0.8)
        label_all_dates(ax, positions, self.shares.index)
        ax.margins(x=0 if len(net) > 1 else 1)
        # Bars let no margin be added beyond where one starts, so room is made here.
        extremes = np.concatenate([above.sum(axis=1), below.sum(axis=1), net])
        room = 0.05 * (np.nanmax(extremes) - np.nanmin(extremes)) or 1.0
        ax.set_ylim(np.nanmin(extremes) - room, np.nanmax(extremes) + room)
        ax.set_title("Signed contributions of descriptor groups")
        ax.set_ylabel("Mean contribution to the forecast")
        ax.yaxis.set_major_formatter(PercentFormatter(xmax=1))
        return [line, *handles[::-1]], ["Net of all groups", *self._names()[::-1]]

    def _stack(self, ax: Any, left: Any, width: Any, heights: Any) -> list[Any]:
        """Draw bars one on the other, away from 0; heights have one sign, shape (n_dates, n_groups)."""
        tops = np.cumsum(heights, axis=1)
        return [
            ax.bar(
                left,
                heights[:, i],
                width,
                bottom=tops[:, i] - heights[:, i],
                align="edge",
                color=colour,
                # Of the edge only its colour counts: hatches are drawn in it.
                edgecolor="white",
                hatch=hatch,
                linewidth=0,
            )
            for i, (colour, hatch) in enumerate(self._looks())
        ]

    def _names(self) -> list[str]:
        return [str(name) for name in self.shares.columns]

    def _looks(self) -> list[tuple[str, str]]:
        """Colour and hatch of each group: the colours come again with the next hatch."""
        n_colours, n_hatches = len(PALETTE), len(_HATCHES)
        n_groups = self.shares.shape[1]
        return [(PALETTE[i % n_colours], _HATCHES[i // n_colours % n_hatches]) for i in range(n_groups)]

    def _check(self) -> None:
        if self.kind not in _KINDS:
            raise PanelError(f"'kind' must be one of {', '.join(map(repr, _KINDS))}. Got {self.kind!r}.")
        if not self.shares.size or self.shares.isna().to_numpy().all():
            raise PanelError(
                f"'shares' must hold at least one date and one group. Got shape {self.shares.shape} without a "
                "value. Explain some rows first."
            )
        if self.kind == "signed":
            self._check_signed()
            return
        negative = int((self.shares < 0).to_numpy().sum())
        if negative:
            raise PanelError(
                f"'shares' must be at least 0, so that areas can be stacked. Got {negative} negative values. Use "
                'shares of absolute contributions, as Explanation.share gives them, or kind="signed".'
            )

    def _check_signed(self) -> None:
        if "net" in self.shares.columns:
            raise PanelError(
                "The groups of signed contributions must not be named 'net', the name of their sum. "
                f"Got {self._names()!r}. Rename the group."
            )
        if not (self.shares.index.is_monotonic_increasing and self.shares.index.is_unique):
            raise PanelError(
                "Signed contributions must be in the order of their dates, each date once. Got other rows. Sort them: "
                "shares.sort_index()."
            )
        if self.net is not None and not self.net.index.equals(self.shares.index):
            raise PanelError(
                "'net' must have the dates of 'shares' in the same order. "
                f"Got {len(self.net)} dates for {len(self.shares)}. Align them: net.reindex(shares.index)."
            )

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the drawing, as a copy.

        Returns
        -------
        DataFrame of shape (n_dates, n_groups) or (n_dates, n_groups + 1)
            Shares, 0 to 1; or signed contributions and the line as the last column, ``net``.

        Raises
        ------
        PanelError
            If `net` has other dates than the signed contributions, or a group is named ``net``.
        """
        if self.kind != "signed":
            return self.shares.copy()
        self._check_signed()
        # A date without any contribution has no net either.
        net = self.shares.sum(axis=1, min_count=1) if self.net is None else self.net
        return self.shares.assign(net=net)
