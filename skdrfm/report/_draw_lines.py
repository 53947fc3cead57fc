"""Lines over time, and spans of time, as drawn charts of a report."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray
from skdrfm.panel._plot import label_dates
from skdrfm.report._chart_figures import lone_points, numbers, spans_of
from skdrfm.report._content import Chart
from skdrfm.report._draw_axes import (
    COLOURS,
    DASHES,
    HATCHES,
    INK,
    MARKERS,
    add_legend,
    draw_reference,
    format_axis,
    label_rows,
    place,
    short,
)

_SPAN_COLOURS = (COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[6])


def draw_lines(figure: Any, chart: Chart) -> None:
    """Draw a line for each column; markers at a few points tell lines apart where they cross.

    Parameters
    ----------
    figure : matplotlib Figure
        Where to draw.
    chart : Chart
        A chart of kind "line".
    """
    ax = figure.add_subplot()
    positions = place(ax, chart.frame.index)
    values = numbers(chart)
    n_points, n_series = values.shape
    handles = []
    for column in range(n_series):
        (line,) = ax.plot(positions, values[:, column], **_look(column, n_series, n_points))
        handles.append(line)
        alone = lone_points(values[:, column])
        # A figure between two gaps makes no line.
        ax.plot(
            positions[alone], values[alone, column], linestyle="", marker=MARKERS[column % len(MARKERS)],
            markersize=3.5, color=line.get_color(), zorder=line.get_zorder(),
        )  # fmt: skip
    draw_reference(ax, chart)
    _show_all(ax, positions)
    format_axis(ax.yaxis, chart.y_format)
    if n_series > 1:
        add_legend(figure, handles, [short(name) for name in chart.frame.columns], handle_length=3.6)


def _show_all(ax: Any, positions: AnyArray) -> None:
    """Reach over all labels, also over those at the ends that have no figures."""
    if len(positions) > 1:
        first, last = (float(ax.convert_xunits(end)) for end in (positions[0], positions[-1]))
        ax.set_xlim(first - 0.015 * (last - first), last + 0.015 * (last - first))


def _look(column: int, n_series: int, n_points: int) -> dict[str, Any]:
    look: dict[str, Any] = {
        "color": COLOURS[column % len(COLOURS)],
        "linestyle": DASHES[column % len(DASHES)],
        "linewidth": 1.5 if n_series <= 4 else 1.2,
        # The first series is the one of interest: above the others.
        "zorder": 3 + (n_series - column) / (n_series + 1),
    }
    if n_series > 1:
        every = max(1, n_points // 8)
        look |= {
            "marker": MARKERS[column % len(MARKERS)],
            "markersize": 4.8,
            "markeredgecolor": "white",
            "markeredgewidth": 0.4,
            # Each series has its markers at dates of its own.
            "markevery": (column * every // n_series, every),
        }
    return look


def draw_spans(figure: Any, chart: Chart) -> None:
    """Draw a bar from start to end for each row, the first label of the index on top.

    Parameters
    ----------
    figure : matplotlib Figure
        Where to draw.
    chart : Chart
        A chart of kind "spans".

    Raises
    ------
    PanelError
        If a column is missing, or a start, an end or a kind.
    """
    frame = chart.frame
    starts, lengths = spans_of(chart)
    codes, labels = pd.factorize(frame.index)
    kinds, names = pd.factorize(frame["kind"])
    height = float(np.clip(0.17 * len(labels), 0.9, 4.4))
    figure.set_figheight(height + 0.55)
    ax = figure.add_subplot()
    label_dates(ax, starts)
    handles = []
    for code in range(len(names)):
        shown = kinds == code
        bars = ax.barh(
            codes[shown],
            lengths[shown],
            left=starts[shown],
            height=0.74,
            color=_SPAN_COLOURS[code % len(_SPAN_COLOURS)],
            # Bars that are too thin for hatches and edges differ in lightness.
            edgecolor=INK if len(labels) <= 30 else "none",
            linewidth=0.6 if len(labels) <= 30 else 0.0,
            hatch=HATCHES[code % len(HATCHES)] if len(labels) <= 30 else "",
            zorder=2 + code / len(names),
        )
        handles.append(bars)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.tick_params(axis="y", length=0)
    label_rows(ax, pd.Index(labels), height)
    add_legend(figure, handles, [short(name) for name in names])
