"""Bars beside each other and on top of each other, as drawn charts of a report."""

from typing import Any

import numpy as np

from skdrfm._typing import BoolArray, FloatArray
from skdrfm.panel._plot import bar_edges
from skdrfm.report._chart_figures import figure_texts, numbers
from skdrfm.report._content import Chart
from skdrfm.report._draw_axes import (
    COLOURS,
    HATCHES,
    SMALL,
    add_legend,
    draw_reference,
    format_axis,
    is_calendar,
    label_columns,
    place,
    short,
)

# Up to so many bars, each has its figure written at its end.
_FEW = 12


def draw_bars(figure: Any, chart: Chart) -> None:
    """Draw the bars of each column beside each other; lying ones where their names are long.

    Parameters
    ----------
    figure : matplotlib Figure
        Where to draw.
    chart : Chart
        A chart of kind "bar".
    """
    labels = chart.frame.index
    n_labels, n_series = chart.frame.shape
    if is_calendar(labels) and n_labels > _FEW:
        handles = _upright_bars(figure, chart, dates=True)
    elif sum(len(short(label)) + 2 for label in labels) <= 12.5 * figure.get_figwidth():
        handles = _upright_bars(figure, chart, dates=False)
    else:
        handles = _lying_bars(figure, chart)
    if n_series > 1:
        add_legend(figure, handles, [short(name) for name in chart.frame.columns])


def _upright_bars(figure: Any, chart: Chart, *, dates: bool) -> list[Any]:
    ax = figure.add_subplot()
    values = numbers(chart)
    n_labels, n_series = values.shape
    if dates:
        left, width = bar_edges(ax, place(ax, chart.frame.index))
    else:
        label_columns(ax, chart.frame.index)
        left, width = np.arange(n_labels) - 0.4, np.full(n_labels, 0.8)
    handles = [
        ax.bar(left + width * column / n_series, values[:, column], width / n_series, align="edge", **_look(column))
        for column in range(n_series)
    ]
    if dates and n_series * n_labels > 60:
        _thin(handles)
    if values.size <= _FEW:
        for column, bars in enumerate(handles):
            ax.bar_label(bars, figure_texts(values[:, column], chart.y_format), padding=2, fontsize=SMALL - 0.5)
        ax.margins(y=0.12)
    draw_reference(ax, chart)
    ax.grid(visible=False, axis="x")
    format_axis(ax.yaxis, chart.y_format)
    return handles


def _lying_bars(figure: Any, chart: Chart) -> list[Any]:
    values = numbers(chart)
    n_labels, n_series = values.shape
    height = float(np.clip(n_labels * (0.1 + 0.11 * n_series), 1.0, 7.6))
    figure.set_figheight(height + 0.5)
    ax = figure.add_subplot()
    thick = 0.8 / n_series
    handles = [
        ax.barh(np.arange(n_labels) - 0.4 + (column + 0.5) * thick, values[:, column], height=thick, **_look(column))
        for column in range(n_series)
    ]
    small = height / n_labels < 0.14
    ax.set_yticks(range(n_labels), [short(label) for label in chart.frame.index], fontsize=6.5 if small else SMALL)
    ax.set_ylim(n_labels - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    if values.size <= 2 * _FEW:
        for column, bars in enumerate(handles):
            ax.bar_label(bars, figure_texts(values[:, column], chart.y_format), padding=2, fontsize=6.5)
        ax.margins(x=0.12)
    draw_reference(ax, chart, upright=True)
    ax.grid(visible=False, axis="y")
    format_axis(ax.xaxis, chart.y_format)
    return handles


def draw_stacked(figure: Any, chart: Chart) -> None:
    """Draw the figures of each column on top of those before it, negative ones below 0.

    Where one figure of a label is missing, so is the sum: nothing is drawn there.

    Parameters
    ----------
    figure : matplotlib Figure
        Where to draw.
    chart : Chart
        A chart of kind "stacked".
    """
    ax = figure.add_subplot()
    labels = chart.frame.index
    values = numbers(chart)
    whole: BoolArray = np.asarray(np.isfinite(values).all(axis=1))
    if is_calendar(labels) or len(labels) > _FEW:
        left, width = bar_edges(ax, place(ax, labels))
    else:
        label_columns(ax, labels)
        left, width = np.arange(len(labels)) - 0.35, np.full(len(labels), 0.7)
    up, down = _stack(np.where(whole[:, None], values, 0.0))
    handles = []
    for column in range(values.shape[1]):
        look = _look(column) | {"linewidth": 0.4}
        lower, upper = down[:, column], up[:, column]
        xs, lows, highs = _outline(left, left + width, lower, upper, whole)
        handles.append(ax.fill_between(xs, lows, highs, where=np.isfinite(highs), **look))
    draw_reference(ax, chart)
    ax.margins(x=0)
    if not (values < 0).any():
        ax.set_ylim(bottom=0)
    ax.set_axisbelow(False)
    ax.grid(visible=False, axis="x")
    ax.grid(alpha=0.35, axis="y")
    format_axis(ax.yaxis, chart.y_format)
    add_legend(figure, handles[::-1], [short(name) for name in chart.frame.columns][::-1])


def _stack(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Upper and lower ends of stacked figures, shape (n_points, n_series): positive ones up, negative ones down."""
    positive, negative = np.clip(values, 0.0, None), np.clip(values, None, 0.0)
    tops, bottoms = positive.cumsum(axis=1), negative.cumsum(axis=1)
    is_negative = values < 0
    upper = np.where(is_negative, bottoms - negative, tops)
    lower = np.where(is_negative, bottoms, tops - positive)
    return upper, lower


def _outline(
    left: FloatArray, right: FloatArray, lower: FloatArray, upper: FloatArray, whole: BoolArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Corners of bars that touch, as one outline; NaN between bars that do not touch or that are not there."""
    xs = np.stack([left, right, right], axis=1)
    lows = np.stack([lower, lower, lower], axis=1)
    highs = np.where(whole[:, None], np.stack([upper, upper, upper], axis=1), np.nan)
    keep = np.ones(xs.shape, dtype=bool)
    touches = np.append(np.isclose(left[1:], right[:-1]), False)
    # The third corner is a break, needed only where the next bar does not touch.
    keep[:, 2] = ~touches
    highs[:, 2] = np.nan
    return xs[keep], lows[keep], highs[keep]


def _look(column: int) -> dict[str, Any]:
    return {
        "facecolor": COLOURS[column % len(COLOURS)],
        "edgecolor": "white",
        "hatch": HATCHES[column % len(HATCHES)],
        "linewidth": 0.5,
    }


def _thin(handles: list[Any]) -> None:
    """Leave out the edges of bars that would be covered by them; hatches keep theirs."""
    for bars in handles:
        for bar in bars:
            bar.set(linewidth=0.0)
