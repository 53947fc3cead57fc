"""Heat map of relevance by lag and descriptor."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation
from skdrfm.inspection._plot_common import check_rows
from skdrfm.panel._plot import new_axes
from skdrfm.utils._param_validation import StrOptions, validate_params

_WORDS = {"mean_absolute": "Mean absolute contribution", "mean": "Mean contribution"}


class RelevanceHeatmapDisplay:
    """Relevance of each descriptor at each lag as a heat map, time from left to right.

    Parameters
    ----------
    relevance : DataFrame of shape (n_features, n_timesteps)
        Mean contribution to the forecast, in units of the target (decimal return per period: 0.01 = 1 %). The index
        holds the descriptors, from top to bottom, or is a MultiIndex of (group, descriptor); groups are then named at
        the right. The columns are the lags, the oldest first.
    statistic : {"mean_absolute", "mean"}, default="mean_absolute"
        What was averaged. Absolute contributions are drawn from white at 0 to dark, signed ones in blue above and red
        below a white 0.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on, after :meth:`plot`.
    figure_ : matplotlib Figure
        Their figure, after :meth:`plot`.
    colorbar_ : matplotlib Colorbar or None
        The colour bar, after :meth:`plot`.

    See Also
    --------
    RelevanceHeatmapDisplay.from_explanation : Make the display from an explanation.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.explanation import linear_explanation
    >>> from skdrfm.inspection import RelevanceHeatmapDisplay
    >>> explanation = linear_explanation(
    ...     np.ones((1, 2, 2)), [0.01, 0.02, -0.03, 0.0], descriptor_names=["BETA", "CAP"], lags=[3, 0]
    ... )
    >>> RelevanceHeatmapDisplay.from_explanation(explanation).to_frame()
    lag            3     0
    descriptor
    BETA        0.01  0.03
    CAP         0.02  0.00
    """

    ax_: Any
    figure_: Any
    colorbar_: Any

    def __init__(self, relevance: pd.DataFrame, *, statistic: str = "mean_absolute") -> None:
        self.relevance = relevance
        self.statistic = statistic

    @classmethod
    @validate_params({"statistic": [StrOptions(set(_WORDS))]}, prefer_skip_nested_validation=True)
    def from_explanation(
        cls,
        explanation: Explanation,
        *,
        statistic: str = "mean_absolute",
        groups: Mapping[str, Sequence[str]] | None = None,
    ) -> "RelevanceHeatmapDisplay":
        """Average the relevances over all explained rows, each row with the same weight.

        Parameters
        ----------
        explanation : Explanation
            Explained rows, with or without dates.
        statistic : {"mean_absolute", "mean"}, default="mean_absolute"
            Mean of ``|values|``, how much a cell matters, or of ``values``, where it pushes on average. Inputs that
            are centred in each cross-section have mean contributions near 0 even where they matter.
        groups : mapping of str to sequence of str, default=None
            Descriptors of each group; each in exactly one. Rows are then ordered by group.

        Returns
        -------
        RelevanceHeatmapDisplay
            The display, not drawn yet.

        Raises
        ------
        PanelError
            If the explanation has no rows, or the groups do not fit its descriptors.
        NonFiniteError
            If a relevance is NaN or infinite.
        """
        check_rows(explanation)
        values = np.abs(explanation.values) if statistic == "mean_absolute" else explanation.values
        relevance = pd.DataFrame(
            values.mean(axis=0).T,
            index=pd.Index(explanation.descriptor_names, name="descriptor"),
            columns=pd.Index(explanation.lags, name="lag"),
        )
        if groups is not None:
            # One row is enough for the explanation to check that the groups fit.
            explanation[:1].by_group(groups)
            pairs = [(group, name) for group, names in groups.items() for name in names]
            relevance = relevance.loc[[name for _, name in pairs]]
            relevance.index = pd.MultiIndex.from_tuples(pairs, names=["group", "descriptor"])
        return cls(relevance, statistic=statistic)

    def plot(self, ax: Any = None, *, colorbar: bool = True, cmap: Any = None) -> "RelevanceHeatmapDisplay":
        """Draw one cell for each descriptor and lag.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        colorbar : bool, default=True
            Whether to draw the colour bar; it takes its room from `ax`.
        cmap : str or matplotlib Colormap, default=None
            Colours; None: ``"Blues"`` for absolute and ``"RdBu"`` for signed contributions.

        Returns
        -------
        RelevanceHeatmapDisplay
            The display itself, with ``ax_``, ``figure_`` and ``colorbar_`` set.

        Raises
        ------
        PanelError
            If there is nothing to draw, the lags do not run from the oldest to the newest, or an absolute
            contribution is negative.
        """
        self._check()
        n_features, n_timesteps = self.relevance.shape
        ax = new_axes(max(2.4, 1.4 + 0.26 * n_features)) if ax is None else ax
        values = self.relevance.to_numpy(dtype=np.float64)
        signed = self.statistic == "mean"
        largest = float(np.nanmax(np.abs(values))) or 1.0
        image = ax.imshow(
            values,
            cmap=cmap or ("RdBu" if signed else "Blues"),
            vmin=-largest if signed else 0.0,
            vmax=largest,
            aspect="auto",
            interpolation="nearest",
        )
        ax.set_xticks(range(n_timesteps), [str(lag) for lag in self.relevance.columns])
        ax.set_yticks(range(n_features), [str(name) for name in self.relevance.index.get_level_values(-1)])
        ax.set(title="Relevance by lag and descriptor", xlabel="Lag (periods before the date of prediction)")
        ax.tick_params(length=0)
        # Thin gaps show where a cell ends, also between cells of one colour.
        ax.set_xticks(np.arange(1, n_timesteps) - 0.5, minor=True)
        ax.set_yticks(np.arange(1, n_features) - 0.5, minor=True)
        ax.grid(visible=False)
        ax.grid(which="minor", color="white", linewidth=1.0)
        ax.tick_params(which="minor", length=0)
        ax.spines[:].set_visible(False)
        room = self._name_groups(ax)
        # A constrained layout sees the names of the groups and needs no room for them beside.
        laid_out = getattr(ax.figure, "get_constrained_layout", bool)()
        self.colorbar_ = self._draw_colorbar(ax, image, 0.03 if laid_out else 0.03 + room) if colorbar else None
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_colorbar(self, ax: Any, image: Any, pad: float) -> Any:
        bar = ax.figure.colorbar(image, ax=ax, pad=pad)
        bar.set_label(f"{_WORDS[self.statistic]} to the forecast\n(units of the target; of returns, 0.01 = 1 %)")
        bar.formatter.set_powerlimits((-5, 5))
        bar.outline.set_visible(False)
        return bar

    def _name_groups(self, ax: Any) -> float:
        """Separate the groups and name them at the right; return the room that names take, as part of the width."""
        if self.relevance.index.nlevels < 2:
            return 0.0
        groups = self.relevance.index.get_level_values(0)
        starts = np.flatnonzero([True, *(groups[1:] != groups[:-1])])
        ends = np.append(starts[1:], len(groups))
        for start in starts[1:]:
            ax.axhline(start - 0.5, color="0.15", linewidth=1.2)
        names = [str(group) for group in groups[starts]]
        side = ax.secondary_yaxis("right")
        side.set_yticks((starts + ends - 1) / 2, names)
        side.tick_params(length=0)
        side.spines[:].set_visible(False)
        return 0.02 * max(map(len, names))

    def _check(self) -> None:
        if self.statistic not in _WORDS:
            raise PanelError(f"'statistic' must be one of {', '.join(map(repr, _WORDS))}. Got {self.statistic!r}.")
        if not self.relevance.size or self.relevance.isna().to_numpy().all():
            raise PanelError(
                f"'relevance' must hold at least one descriptor and one lag. Got shape {self.relevance.shape} without "
                "a value. Explain some rows first."
            )
        lags = self.relevance.columns
        if not lags.is_monotonic_decreasing or not lags.is_unique:
            raise PanelError(
                f"The columns of 'relevance' must be lags, the oldest first. Got {list(lags)!r}. Sort them: "
                "relevance.sort_index(axis=1, ascending=False)."
            )
        negative = int((self.relevance < 0).to_numpy().sum())
        if self.statistic == "mean_absolute" and negative:
            raise PanelError(
                f"Mean absolute contributions must be at least 0. Got {negative} negative values. For signed "
                'contributions pass statistic="mean".'
            )

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the cells, as a copy.

        Returns
        -------
        DataFrame of shape (n_features, n_timesteps)
            Mean contributions, in units of the target.
        """
        return self.relevance.copy()
