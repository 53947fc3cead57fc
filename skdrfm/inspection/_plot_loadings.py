"""Loadings of single descriptors over time, with a band over the assets."""

from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray, FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation
from skdrfm.inspection._plot_common import check_dates, check_rows
from skdrfm.panel._plot import PALETTE, label_dates, line_style, new_axes, short_date, time_axis
from skdrfm.utils._param_validation import Interval, validate_params

_PARTS = ["lower", "median", "upper"]


class LoadingDisplay:
    """Loadings of a few descriptors over time: the median over the assets as a line, quantiles as a band.

    A loading is the forecast's answer to one unit more of a descriptor. A band that leaves 0 says that the model gives
    nearly all assets the same sign; a wide band says that the answer depends on the asset.

    Parameters
    ----------
    bands : DataFrame of shape (n_dates, 3 * n_descriptors)
        By date, with columns (descriptor, part), where the parts of each descriptor are ``lower``, ``median`` and
        ``upper``. In units of the prediction per unit of the descriptor.
    quantiles : tuple of two floats, default=(0.1, 0.9)
        Which quantiles over the assets ``lower`` and ``upper`` are, for the label of the axis.
    lag : int, default=None
        The lag whose loadings these are; None: their sum over all lags. For the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on, after :meth:`plot`.
    figure_ : matplotlib Figure
        Their figure, after :meth:`plot`.

    See Also
    --------
    LoadingDisplay.from_explanation : Make the display from an explanation.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skdrfm.explanation import linear_explanation
    >>> from skdrfm.inspection import LoadingDisplay
    >>> index = pd.MultiIndex.from_product([[202001, 202002], ["A", "B"]], names=["date", "asset"])
    >>> explanation = linear_explanation(
    ...     np.ones((4, 2, 1)), [0.25, 0.5], index=index, descriptor_names=["CAP"], lags=[3, 0]
    ... )
    >>> LoadingDisplay.from_explanation(explanation).to_frame()
    descriptor   CAP
    part       lower median upper
    date
    202001      0.75   0.75  0.75
    202002      0.75   0.75  0.75
    """

    ax_: Any
    figure_: Any

    def __init__(
        self, bands: pd.DataFrame, *, quantiles: tuple[float, float] = (0.1, 0.9), lag: int | None = None
    ) -> None:
        self.bands = bands
        self.quantiles = quantiles
        self.lag = lag

    @classmethod
    @validate_params(
        {
            "descriptors": [str, "array-like", None],
            "n_descriptors": [Interval(Integral, 1, None, closed="left")],
            "lag": [Integral, None],
            "quantiles": [tuple, list],
        },
        prefer_skip_nested_validation=True,
    )
    def from_explanation(
        cls,
        explanation: Explanation,
        descriptors: str | Sequence[str] | None = None,
        *,
        n_descriptors: int = 4,
        lag: int | None = None,
        quantiles: tuple[float, float] = (0.1, 0.9),
    ) -> "LoadingDisplay":
        """Take the median and two quantiles of the loadings of each date.

        Parameters
        ----------
        explanation : Explanation
            Explained rows, indexed by (date, asset).
        descriptors : str or sequence of str, default=None
            Descriptors to draw; None: those with the largest mean absolute contribution over all rows, summed over
            lags or at `lag`, the largest first.
        n_descriptors : int, default=4
            How many of them to take, at most; without effect if `descriptors` are named.
        lag : int, default=None
            Lag of the loadings. None: their sum over lags, the answer to one unit more at every lag.
        quantiles : tuple of two floats, default=(0.1, 0.9)
            Edges of the band, from 0 to 1.

        Returns
        -------
        LoadingDisplay
            The display, not drawn yet.

        Raises
        ------
        PanelError
            If the explanation has no rows, its rows have no dates, a descriptor or the lag is unknown, or the
            quantiles do not rise from 0 to 1.
        NonFiniteError
            If a relevance is NaN or infinite.
        """
        check_rows(explanation)
        dates = check_dates(explanation)
        lower, upper = _check_quantiles(quantiles)
        loadings, contributions = _over_lags(explanation, lag)
        known = list(explanation.descriptor_names)
        if descriptors is None:
            order = np.argsort(-np.abs(contributions).mean(axis=0), kind="stable")[:n_descriptors]
        else:
            order = np.asarray([known.index(name) for name in _check_descriptors(descriptors, known)])
        chosen = pd.DataFrame(loadings[:, order], columns=[known[i] for i in order])
        parts = [chosen.groupby(dates).quantile(level) for level in (lower, 0.5, upper)]
        bands = pd.concat(dict(zip(_PARTS, parts, strict=True)), axis=1).swaplevel(axis=1)
        bands = bands[[(name, part) for name in chosen.columns for part in _PARTS]]
        bands.columns.names = ["descriptor", "part"]
        return cls(bands.rename_axis(index="date"), quantiles=(lower, upper), lag=None if lag is None else int(lag))

    def plot(self, ax: Any = None, *, legend: bool = True) -> "LoadingDisplay":
        """Draw a line and a band for each descriptor.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        legend : bool, default=True
            Whether to name the descriptors at the right ends of their lines. Points of a single date are always
            named, below them.

        Returns
        -------
        LoadingDisplay
            The display itself, with ``ax_`` and ``figure_`` set.

        Raises
        ------
        PanelError
            If there is nothing to draw, or a descriptor lacks one of its three parts.
        """
        names = self._check()
        ax = new_axes() if ax is None else ax
        ax.axhline(0, color="0.3", linewidth=0.8, zorder=1)
        if len(self.bands) > 1:
            self._draw_lines(ax, names, legend)
        else:
            self._draw_points(ax, names)
        lower, upper = (100 * level for level in self.quantiles)
        ax.set_title("Loadings summed over lags" if self.lag is None else f"Loadings at lag {self.lag}")
        ax.set_ylabel(f"Forecast per unit of the descriptor\n(median, {lower:g} to {upper:g} % of assets)")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_lines(self, ax: Any, names: list[Any], legend: bool) -> None:
        positions = time_axis(self.bands.index)
        ends = []
        for name, colour, dash in self._looks(names):
            lower, median, upper = self._band(name)
            ax.fill_between(positions, lower, upper, color=colour, alpha=0.18, linewidth=0)
            ax.plot(positions, median, color=colour, linestyle=dash, linewidth=1.8)
            ends.append(_last_finite(positions, median))
        label_dates(ax, positions)
        ax.set_xlim(positions[0], positions[-1])
        ax.set_xlabel("Date of prediction")
        if legend:
            _name_ends(ax, [str(name) for name in names], ends)

    def _draw_points(self, ax: Any, names: list[Any]) -> None:
        """Draw a point with a bar for each descriptor, side by side, since a single date has no line."""
        for i, (name, colour, _) in enumerate(self._looks(names)):
            lower, median, upper = self._band(name)
            ax.vlines([i], lower, upper, color=colour, linewidth=8, alpha=0.3)
            ax.plot([i], median, color=colour, marker="o")
        ax.set_xticks(range(len(names)), [str(name) for name in names])
        ax.set_xlim(-0.6, len(names) - 0.4)
        ax.set_xlabel(f"Date of prediction: {short_date(self.bands.index[0])}")

    def _band(self, name: Any) -> tuple[FloatArray, ...]:
        return tuple(self.bands[name, part].to_numpy(dtype=np.float64) for part in _PARTS)

    @staticmethod
    def _looks(names: list[Any]) -> list[tuple[Any, str, Any]]:
        """Each name with its colour and dash: the colours come again with the next dash."""
        return [(name, *line_style(i)) for i, name in enumerate(names)]

    def _check(self) -> list[Any]:
        """Names of the descriptors, once the bands are complete."""
        columns = self.bands.columns
        if not self.bands.size or columns.nlevels != 2:
            raise PanelError(
                "'bands' must hold at least one date and columns (descriptor, part). Got shape "
                f"{self.bands.shape} with {columns.nlevels} level(s) of columns. Use LoadingDisplay.from_explanation."
            )
        names = list(columns.get_level_values(0).unique())
        absent = [(name, part) for name in names for part in _PARTS if (name, part) not in columns]
        if absent:
            raise PanelError(
                f"'bands' must have the parts {', '.join(_PARTS)} of each descriptor. Missing: {absent!r}. Use "
                "LoadingDisplay.from_explanation."
            )
        return names

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the lines and bands, as a copy.

        Returns
        -------
        DataFrame of shape (n_dates, 3 * n_descriptors)
            Loadings by date, with columns (descriptor, part).
        """
        return self.bands.copy()


def _over_lags(explanation: Explanation, lag: int | None) -> tuple[FloatArray, FloatArray]:
    """Return loadings and contributions summed over lags, or at one, each of shape (n_samples, n_features)."""
    if lag is None:
        return explanation.loadings.sum(axis=1), explanation.values.sum(axis=1)
    if lag not in explanation.lags:
        raise PanelError(
            f"'lag' must be one of the lags of the explanation, {list(explanation.lags)!r}. Got {lag!r}. Pass one of "
            "them, or None for the sum over all."
        )
    step = explanation.lags.index(lag)
    return explanation.loadings[:, step], explanation.values[:, step]


def _check_quantiles(quantiles: Sequence[float]) -> tuple[float, float]:
    edges = tuple(quantiles)
    if len(edges) != 2 or not 0 <= edges[0] < edges[1] <= 1:
        raise PanelError(
            f"'quantiles' must be two numbers from 0 to 1, the lower first. Got {quantiles!r}. Pass (0.1, 0.9) for the "
            "middle 80 % of the assets."
        )
    return float(edges[0]), float(edges[1])


def _check_descriptors(descriptors: str | Sequence[str], known: Sequence[str]) -> list[str]:
    named = [descriptors] if isinstance(descriptors, str) else list(descriptors)
    unknown = [name for name in named if name not in known]
    if unknown or not named or len(set(named)) < len(named):
        raise PanelError(
            "'descriptors' must be at least one descriptor of the explanation, each once. "
            f"Got {named!r}, of which unknown: {unknown!r}. Choose from {list(known)!r}."
        )
    return named


def _last_finite(positions: AnyArray, values: FloatArray) -> tuple[Any, float]:
    """Last point of a line; that of an empty line is at the end of the axis, at 0."""
    finite = np.flatnonzero(np.isfinite(values))
    return (positions[finite[-1]], float(values[finite[-1]])) if len(finite) else (positions[-1], 0.0)


def _name_ends(ax: Any, names: Sequence[str], ends: Sequence[tuple[Any, float]]) -> None:
    """Write each name right of the end of its line, moved up or down so that no two names overlap."""
    low, high = ax.get_ylim()
    heights = np.asarray([(height - low) / (high - low) for _, height in ends])
    heights = _spread(heights, min(0.055, 1 / max(1, len(names) - 1)))
    for i, (name, end, height) in enumerate(zip(names, ends, heights, strict=True)):
        ax.annotate(
            name,
            xy=end,
            xytext=(1.03, height),
            textcoords="axes fraction",
            verticalalignment="center",
            arrowprops={
                "arrowstyle": "-",
                "color": PALETTE[i % len(PALETTE)],
                "linewidth": 1.4,
                "relpos": (0, 0.5),
                "shrinkA": 1,
                "shrinkB": 0,
            },
            annotation_clip=False,
        )


def _spread(heights: FloatArray, gap: float) -> FloatArray:
    """Move heights apart to at least `gap`, each as little as its neighbours allow, within 0 to 1."""
    order = np.argsort(heights, kind="stable")
    spread = np.clip(heights[order], 0.0, 1.0)
    for i, j in pairwise(range(len(spread))):
        spread[j] = max(spread[j], spread[i] + gap)
    # What was pushed out at the top comes back, and pushes those below it down.
    spread[-1] = min(spread[-1], 1.0)
    for j, i in pairwise(range(len(spread) - 1, -1, -1)):
        spread[i] = min(spread[i], spread[j] - gap)
    result = np.empty_like(spread)
    result[order] = spread
    return result
