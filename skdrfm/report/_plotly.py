"""Charts as plain JSON for plotly.js: no Python package of plotly takes part.

Colours are names of CSS variables, ``{"css": "--ink"}``, which the page looks up, so that charts follow its theme. No
series is told from another by colour alone: lines have marks and dashes, bars have hatches, few cells have numbers.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from skdrfm._typing import FloatArray
from skdrfm.report._chart_figures import figure_texts, lone_points, numbers, spans_of
from skdrfm.report._content import NO_FIGURE, Chart
from skdrfm.report._plotly_axes import (
    LONGEST_NAME,
    MONTHLY,
    Spec,
    css,
    distinct,
    lying_bars,
    number_axis,
    plain_text,
    positions,
)
from skdrfm.report._printable import label_text

_N_COLOURS = 8
# Every second line is unbroken: too many dashes look like missing figures.
_DASHES = ("solid", "9px,3px", "solid", "3px,3px", "solid", "9px,3px,2px,3px")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "triangle-down", "star", "cross")
_HATCHES = ("", "/", "\\", ".", "x", "-", "|", "+")
# Lines with more points than that have marks on a few of them only.
_ALL_MARKED, _MARKS = 40, 12
_MOST_BARS = 24
_LABELLED_CELLS = 150
_NOTHING = {"text": NO_FIGURE, "showarrow": False, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5}
_FONT = 'system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
# An axis of names, the first on top.
_ROWS = {"type": "category", "autorange": "reversed", "showgrid": False, "tickformat": "", "hoverformat": ""}


def chart_spec(chart: Chart) -> Spec:
    """Make the JSON that draws a chart.

    Parameters
    ----------
    chart : Chart
        What is drawn. Rows of a heatmap go from top to bottom, its columns from left to right.

    Returns
    -------
    dict
        ``data`` and ``layout`` as plotly.js wants them, except for colours; ``height`` and ``narrow``, the heights in
        pixels on a wide and on a narrow page.

    Raises
    ------
    PanelError
        If figures to be drawn are not numbers, or spans have no ``start``, ``end`` and ``kind``.
    """
    drawers: dict[str, Callable[[Chart], tuple[list[Spec], Spec]]] = {
        "line": _lines,
        "bar": _bars,
        "stacked": _stacked,
        "heatmap": _heatmap,
        "spans": _spans,
    }
    traces, changes = drawers[chart.kind](chart)
    layout = _layout(chart)
    for key, value in changes.items():
        layout[key] = {**layout[key], **value} if isinstance(layout.get(key), dict) else value
    if not _has_figures(chart):
        layout["annotations"] = [_NOTHING]
    if layout["hovermode"] != "closest":
        layout["xaxis"] |= {"spikethickness": 1, "spikedash": "solid", "spikecolor": css("axis")}
    named = [trace for trace in traces if trace.get("showlegend", True)]
    layout["showlegend"] = len(named) > 1 and chart.kind != "heatmap"
    height = layout.pop("height")
    # Below each other in a narrow legend, two names share a line if they are short.
    lines = sum(len(trace["name"]) for trace in named) // 34 + 1 if layout["showlegend"] else 0
    return {
        "data": traces,
        "layout": layout,
        "height": height + 22 * (lines // 3),
        "narrow": min(height, 720) + 22 * lines,
    }


def _layout(chart: Chart) -> Spec:
    axis = {
        "automargin": True,
        "gridcolor": css("rule"),
        "linecolor": css("axis"),
        "tickcolor": css("axis"),
        "zeroline": False,
    }
    layout: Spec = {
        "height": 400,
        "margin": {"l": 12, "r": 12, "t": 36, "b": 12},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": _FONT, "size": 13, "color": css("ink")},
        "hovermode": "x unified",
        "hoverlabel": {
            "bgcolor": css("paper"),
            "bordercolor": css("axis"),
            "font": {"family": _FONT, "color": css("ink")},
            # Names are short already, and plotly would cut them within an escaped character.
            "namelength": -1,
        },
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": css("soft"), "activecolor": css("accent")},
        "legend": {"orientation": "h", "x": 0, "y": 0, "xref": "container", "yref": "container", "yanchor": "bottom"},
        "uirevision": "kept",
        "xaxis": {
            **axis,
            **{"showgrid": False, "showline": True, "ticks": "outside", "title": _title(chart.x_label)},
        },
        "yaxis": {**axis, "title": _title(chart.y_label), **number_axis(chart.y_format)},
    }
    if chart.reference is not None and chart.kind in ("line", "bar", "stacked"):
        line = {"color": css("axis"), "width": 1.2, "dash": "2px,2px"}
        level = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": chart.reference, "y1": chart.reference}
        layout["shapes"] = [{**level, "line": line, "layer": "below"}]
    return layout


def _lines(chart: Chart) -> tuple[list[Spec], Spec]:
    x, axis = positions(chart.frame.index)
    traces = []
    for i, (name, values) in enumerate(_series(chart)):
        few = len(values) <= _ALL_MARKED or bool(lone_points(values).any())
        colour = _colour(i)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name,
                "x": x,
                "y": _numbers(values),
                "line": {"color": colour, "width": 2, "dash": _DASHES[i % len(_DASHES)]},
                "marker": {
                    "color": colour,
                    "symbol": _SYMBOLS[i % len(_SYMBOLS)],
                    "size": 7,
                    "maxdisplayed": 0 if few else _MARKS,
                },
                "connectgaps": False,
            }
        )
    return traces, {"xaxis": axis}


def _bars(chart: Chart) -> tuple[list[Spec], Spec]:
    x, axis = positions(chart.frame.index, numbers=False)
    several = chart.frame.shape[1] > 1
    # A bar is as wide as its month, though months differ in length.
    months = {"xperiod": "M1", "xperiodalignment": "middle"} if axis.get("hoverformat") == MONTHLY else {}
    traces = [
        {"type": "bar", "name": name, "x": x, "y": _numbers(values), "marker": _fill(i, hatched=several), **months}
        for i, (name, values) in enumerate(_series(chart))
    ]
    return traces, {"xaxis": axis, "barmode": "group", "bargap": 0.25, "bargroupgap": 0.06}


def _stacked(chart: Chart) -> tuple[list[Spec], Spec]:
    # Areas have no gap where there is no figure, and none of them goes below 0: bars have and do.
    values = numbers(chart)
    if len(values) > _MOST_BARS and bool((values >= 0).all()):
        return _areas(chart)
    traces, changes = _bars(chart)
    many = len(values) > _MOST_BARS
    for trace in traces:
        trace["marker"]["line"]["width"] = 0 if many else 0.8
    return traces, {**changes, "barmode": "relative", "bargap": 0 if many else 0.15, "legend": {"traceorder": "normal"}}


def _areas(chart: Chart) -> tuple[list[Spec], Spec]:
    x, axis = positions(chart.frame.index)
    traces: list[Spec] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": x,
            "y": _numbers(values),
            "stackgroup": "all",
            "line": {"color": css("paper"), "width": 0.8},
            "fillcolor": _colour(i),
            "fillpattern": _hatch(i),
        }
        for i, (name, values) in enumerate(_series(chart))
    ]
    return traces, {"xaxis": axis, "legend": {"traceorder": "normal"}}


def _heatmap(chart: Chart) -> tuple[list[Spec], Spec]:
    frame = chart.frame
    values = numbers(chart)
    known = values[np.isfinite(values)]
    middle = chart.reference
    if middle is None and known.size and known.min() < 0 < known.max():
        middle = 0.0
    # Numbers can be read on the softer colours.
    soft = "-soft" if values.size <= _LABELLED_CELLS else ""
    scale: list[list[Any]] = [[0, css("middle")], [1, css(f"high{soft}")]]
    trace: Spec = {"type": "heatmap", "name": "", "hoverongaps": False, "xgap": 1, "ygap": 1}
    if middle is not None:
        reach = float(np.abs(known - middle).max(initial=0)) or 1.0
        trace |= {"zmin": middle - reach, "zmax": middle + reach}
        scale = [[0, css(f"low{soft}")], [0.5, css("middle")], [1, css(f"high{soft}")]]
    elif known.size and known.min() == known.max():
        # Of equal figures plotly would make up a range around them.
        level = float(known[0])
        trace |= {"zmin": min(0.0, level), "zmax": max(0.0, level) if level else 1.0}
    x, x_axis = positions(frame.columns, numbers=False)
    y = distinct(plain_text(label_text(row), LONGEST_NAME) for row in frame.index)
    number = number_axis(chart.y_format)
    trace |= {
        "x": x,
        "y": y,
        "z": [_numbers(row) for row in values],
        "colorscale": scale,
        "colorbar": {"thickness": 12, "outlinewidth": 0, "tickformat": number.get("tickformat", "")},
        "hovertemplate": f"%{{y}}<br>%{{x}}<br>%{{z:{number['hoverformat']}}}<extra></extra>",
    }
    if soft:
        trace["text"] = [figure_texts(row, chart.y_format) for row in values]
        trace |= {"texttemplate": "%{text}", "textfont": {"color": css("ink")}, "showscale": False}
    if len(frame.columns) > 48:
        trace |= {"xgap": 0}
    height = int(np.clip(24 * len(frame) + 130, 260, 900))
    changes = {
        "hovermode": "closest",
        "height": height,
        "yaxis": _ROWS,
        "xaxis": {**x_axis, "ticks": "", "showline": False},
    }
    return [trace], changes


def _spans(chart: Chart) -> tuple[list[Spec], Spec]:
    frame = chart.frame
    starts, lengths, axis = lying_bars(*spans_of(chart))
    lines = [plain_text(label_text(row), LONGEST_NAME) for row in frame.index]
    kinds = frame["kind"].map(label_text).to_numpy()
    n_kinds = len(set(kinds))
    traces = []
    for i, kind in enumerate(dict.fromkeys(kinds)):
        rows = np.flatnonzero(kinds == kind)
        colour = css("ink") if 0 < i == n_kinds - 1 else _colour(i)
        said = [
            [label_text(frame["start"].iloc[row]), label_text(frame["end"].iloc[row]), plain_text(kind)] for row in rows
        ]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": plain_text(kind, LONGEST_NAME),
                "y": [lines[row] for row in rows],
                "base": [starts[row] for row in rows],
                "x": [lengths[row] for row in rows],
                "customdata": said,
                "hovertemplate": "%{y}<br>%{customdata[2]}: %{customdata[0]} to %{customdata[1]}<extra></extra>",
                # Kinds differ in height, and the last, the one to look at, in lightness. An edge keeps in sight what is
                # narrower than a pixel.
                "width": max(0.9 - 0.25 * (n_kinds - 1 - i), 0.3),
                "marker": {"color": colour, "line": {"color": colour, "width": 0.8}},
            }
        )
    n_lines = len(set(lines))
    changes = {
        "hovermode": "closest",
        "barmode": "overlay",
        "height": int(np.clip(16 * n_lines + 120, 240, 640)),
        "yaxis": _ROWS,
        "xaxis": {**axis, "showgrid": True},
    }
    return traces, changes


def _series(chart: Chart) -> Iterable[tuple[str, FloatArray]]:
    names = distinct(plain_text(label_text(name), LONGEST_NAME) for name in chart.frame.columns)
    return zip(names, numbers(chart).T, strict=True)


def _numbers(values: Iterable[float]) -> list[float | None]:
    """JSON has no NaN; six digits are more than a screen shows."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values]


def _has_figures(chart: Chart) -> bool:
    if chart.kind == "spans":
        return len(chart.frame) > 0
    return bool(np.isfinite(numbers(chart)).any())


def _fill(i: int, *, hatched: bool) -> Spec:
    marker: Spec = {"color": _colour(i), "line": {"color": css("paper"), "width": 0.8}}
    if hatched:
        marker["pattern"] = _hatch(i)
    return marker


def _hatch(i: int) -> Spec:
    shape = _HATCHES[i % len(_HATCHES)]
    return {
        "shape": shape,
        "size": 8,
        "solidity": 0.16,
        "fgcolor": css("paper"),
        "bgcolor": _colour(i),
        "fgopacity": 0.75,
    }


def _title(text: str) -> Spec:
    return {"text": plain_text(text), "standoff": 8, "font": {"size": 13, "color": css("soft")}}


def _colour(i: int) -> Spec:
    return css(f"series-{i % _N_COLOURS + 1}")
