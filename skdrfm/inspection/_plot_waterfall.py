"""The forecast of one stock, step by step from the intercept to the prediction."""

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation
from skdrfm.inspection._plot_common import check_rows, signed_percents
from skdrfm.panel._plot import PALETTE, new_axes, short_date
from skdrfm.utils._param_validation import Interval, validate_params
from skdrfm.utils.validation import describe_first

# Blue, vermilion and grey: any colour vision tells them apart.
_POSITIVE, _NEGATIVE, _NEUTRAL = PALETTE[0], PALETTE[5], PALETTE[6]
_GAP_NAME = "not explained (conservation gap)"


class WaterfallDisplay:
    """One forecast as a waterfall: from the intercept through the contributions to the prediction.

    Parameters
    ----------
    contributions : Series of length n_steps
        Contribution of each descriptor, or group, to the forecast, in the order of the steps; decimal return per
        period (0.01 = 1 %).
    intercept : float
        Where the forecast starts: what no input explains. Same unit.
    prediction : float
        Where it ends: intercept plus the sum of contributions, up to rounding.
    title : str, default="Forecast"
        Title of the drawing.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on, after :meth:`plot`.
    figure_ : matplotlib Figure
        Their figure, after :meth:`plot`.

    See Also
    --------
    WaterfallDisplay.from_explanation : Make the display from a row of an explanation.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.explanation import linear_explanation
    >>> from skdrfm.inspection import WaterfallDisplay
    >>> explanation = linear_explanation(
    ...     np.ones((1, 1, 2)), [0.25, -0.5], 1.0, descriptor_names=["BETA", "CAP"]
    ... )
    >>> WaterfallDisplay.from_explanation(explanation, 0).to_frame()
                value  start   end
    step
    intercept    1.00    0.0  1.00
    CAP         -0.50    1.0  0.50
    BETA         0.25    0.5  0.75
    prediction   0.75    0.0  0.75
    """

    ax_: Any
    figure_: Any

    def __init__(
        self, contributions: "pd.Series[float]", *, intercept: float, prediction: float, title: str = "Forecast"
    ) -> None:
        self.contributions = contributions
        self.intercept = intercept
        self.prediction = prediction
        self.title = title

    @classmethod
    @validate_params(
        {"max_rows": [Interval(Integral, 2, None, closed="left")]},
        prefer_skip_nested_validation=True,
    )
    def from_explanation(
        cls,
        explanation: Explanation,
        row: int | tuple[Any, Any],
        *,
        groups: Mapping[str, Sequence[str]] | None = None,
        max_rows: int = 10,
    ) -> "WaterfallDisplay":
        """Sort the contributions of one row by size, the largest first, and bundle the rest.

        Parameters
        ----------
        explanation : Explanation
            Explained rows.
        row : int or tuple of (date, asset)
            Position of the row, counted from the end if negative; or its date and asset.
        groups : mapping of str to sequence of str, default=None
            Descriptors of each group; None: each descriptor is a step of its own.
        max_rows : int, default=10
            Steps between intercept and prediction, at most. If there are more contributions, the smallest ones
            become the last of these steps, named ``"n other descriptors"`` or ``"n other groups"``. A conservation
            gap beyond rounding is one step more.

        Returns
        -------
        WaterfallDisplay
            The display, not drawn yet.

        Raises
        ------
        PanelError
            If the row is unknown, or the groups do not fit the descriptors of the explanation.
        NonFiniteError
            If a relevance of the row is NaN or infinite.
        """
        position = _position(explanation, row)
        chosen = explanation[[position]]
        check_rows(chosen)
        table = chosen.by_descriptor() if groups is None else chosen.by_group(groups)
        sizes = table.iloc[0].astype(np.float64)
        sizes = sizes.iloc[np.argsort(-sizes.abs().to_numpy(), kind="stable")]
        steps = list(sizes.items())
        if len(sizes) > max_rows:
            rest = sizes.iloc[max_rows - 1 :]
            what = "descriptors" if groups is None else "groups"
            steps = [*steps[: max_rows - 1], (f"{len(rest)} other {what}", rest.sum())]
        intercept, prediction = float(chosen.intercept[0]), float(chosen.predictions[0])
        values = [value for _, value in steps]
        gap = prediction - intercept - sum(values)
        # The coarser of the two types says how far apart rounding may leave sum and prediction.
        dtype = max((chosen.values.dtype, chosen.predictions.dtype), key=lambda kind: np.finfo(kind).eps)
        if abs(gap) > _rounding(values, intercept, prediction, dtype):
            steps.append((_GAP_NAME, gap))
        names = pd.Index([name for name, _ in steps], name="step")
        contributions = pd.Series([value for _, value in steps], index=names, dtype=dtype)
        return cls(contributions, intercept=intercept, prediction=prediction, title=_title(chosen, position))

    def plot(self, ax: Any = None) -> "WaterfallDisplay":
        """Draw one bar for each step, the intercept on top, with its value in percent.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        WaterfallDisplay
            The display itself, with ``ax_`` and ``figure_`` set.

        Raises
        ------
        PanelError
            If intercept and contributions do not add up to the prediction.
        """
        from matplotlib.ticker import PercentFormatter

        steps = self.to_frame()
        n_steps = len(steps)
        ax = new_axes(max(2.4, 1.2 + 0.3 * n_steps)) if ax is None else ax
        levels = np.arange(n_steps)
        starts, ends = steps["start"].to_numpy(), steps["end"].to_numpy()
        moves = np.where(steps["value"] >= 0, _POSITIVE, _NEGATIVE)
        moves[[0, -1]] = _NEUTRAL
        ax.barh(levels, ends - starts, left=starts, height=0.68, color=list(moves), linewidth=0, zorder=2)
        # Each bar hands its end to the next, also the last contribution to the prediction.
        ax.vlines(ends[:-1], levels[:-1] - 0.34, levels[1:] + 0.34, color="0.45", linewidth=0.8, zorder=1)
        ax.axvline(0, color="0.3", linewidth=0.8, zorder=1)
        labels = signed_percents(steps["value"])
        for level, start, end, label in zip(levels, starts, ends, labels, strict=True):
            right = end >= start
            ax.annotate(
                label,
                (end, level),
                xytext=(4 if right else -4, 0),
                textcoords="offset points",
                horizontalalignment="left" if right else "right",
                verticalalignment="center",
                fontsize="small",
            )
        ax.set_yticks(levels, [str(name) for name in steps.index])
        ax.set_ylim(n_steps - 0.5, -0.5)
        low, high = min(0.0, starts.min(), ends.min()), max(0.0, starts.max(), ends.max())
        room = 0.24 * ((high - low) or 1.0)
        ax.set_xlim(low - room * bool(low < 0), high + room)
        ax.tick_params(axis="y", length=0)
        ax.xaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=" %"))
        ax.locator_params(axis="x", nbins=6)
        ax.set(title=self.title, xlabel="Forecast return per period")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def to_frame(self) -> pd.DataFrame:
        """Return the steps from the intercept to the prediction.

        Returns
        -------
        DataFrame of shape (n_steps + 2, 3)
            Columns ``value``, ``start`` and ``end`` of each bar, decimal returns. A step starts where the one before
            it ends; intercept and prediction start at 0.

        Raises
        ------
        PanelError
            If intercept and contributions do not add up to the prediction.
        """
        values = self.contributions.to_numpy(dtype=np.float64)
        ends = self.intercept + np.concatenate([[0.0], np.cumsum(values)])
        gap = self.prediction - ends[-1]
        # Twice, since from_explanation adds up in another order; and written so that a NaN is refused too.
        if not abs(gap) <= 2 * _rounding(values, self.intercept, self.prediction, self.contributions.dtype):
            raise PanelError(
                "Intercept and contributions must add up to the prediction. Got a prediction of "
                f"{self.prediction:g} and a sum of {ends[-1]:g}. Add the difference as a contribution of its own, as "
                "WaterfallDisplay.from_explanation does."
            )
        return pd.DataFrame(
            {
                "value": [self.intercept, *values, self.prediction],
                "start": [0.0, *ends[:-1], 0.0],
                "end": [*ends[:-1], ends[-1], self.prediction],
            },
            index=pd.Index(["intercept", *self.contributions.index, "prediction"], name="step"),
        )


def _rounding(values: Any, intercept: float, prediction: float, dtype: Any) -> float:
    """Difference that rounding can make in a sum of these numbers."""
    scale = float(np.sum(np.abs(values))) + abs(intercept) + abs(prediction)
    return 1e3 * float(np.finfo(dtype).eps) * scale


def _position(explanation: Explanation, row: Any) -> int:
    """Position of the row among those of the explanation."""
    n_rows = len(explanation)
    if isinstance(row, int | np.integer) and not isinstance(row, bool):
        if not -n_rows <= row < n_rows:
            raise PanelError(
                f"'row' must be a position among the {n_rows} rows of the explanation. Got {row}. Pass a smaller "
                "position, or (date, asset)."
            )
        return int(row) % n_rows
    if not isinstance(row, tuple) or len(row) != 2:
        raise PanelError(
            f"'row' must be the position of a row or a tuple (date, asset). Got {row!r}. Pass 0 for the first row."
        )
    index = explanation.index
    if index is None or not {"date", "asset"} <= set(index.names):
        raise PanelError(
            f"A row can be found by (date, asset) only in an explanation with this index. Got {row!r} and an "
            "explanation without it. Pass the position of the row, or explain a DataFrame indexed by (date, asset)."
        )
    date, asset = row
    dates, assets = index.get_level_values("date"), index.get_level_values("asset")
    found = np.flatnonzero((dates == date) & (assets == asset))
    if len(found) != 1:
        raise PanelError(
            f"'row' must be the (date, asset) of one row of the explanation. Got {row!r}, which fits {len(found)} of "
            f"{n_rows} rows. There are {int((dates == date).sum())} rows of this date and "
            f"{int((assets == asset).sum())} of this asset; the rows are {describe_first(list(index))}."
        )
    return int(found[0])


def _title(row: Explanation, position: int) -> str:
    if row.index is None or not {"date", "asset"} <= set(row.index.names):
        return f"Forecast for row {position}"
    date, asset = (row.index.get_level_values(level)[0] for level in ("date", "asset"))
    return f"Forecast for {asset}, {short_date(date)}"
