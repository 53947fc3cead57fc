"""A report as a file of text in GitHub's Markdown."""

import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.report._chart_figures import numbers
from skdrfm.report._content import NO_FIGURE, Block, Chart, Content, Table, Text, format_figure
from skdrfm.report._printable import (
    MANIFEST_TITLE,
    has_row_names,
    is_figures,
    label_text,
    manifest_table,
    notes_of,
    paragraphs,
    printable,
)

# Up to so many rows and columns, the figures of bars and cells are written as they are.
_FEW = 12
_SIGNS = re.compile(r"[\\`*\[\]|~$]")
# Within a word an underscore is a letter like others: long_short stays readable.
_OUTER_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_START_OF_BLOCK = re.compile(r"^(\s*)(?:([#+=-])|(\d+)([.)]))")


def render_markdown(content: Content) -> str:
    r"""Write a report as text.

    Tables are tables of GitHub; a chart is its caption with the first, the last, the lowest and the highest figure of
    each series, since a file of text has no pictures. Names are text: signs of Markdown and HTML in them mean nothing.

    Parameters
    ----------
    content : Content
        What the report says.

    Returns
    -------
    str
        The text, which ends with a line end. The same content gives the same text.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.report._content import Content, Section, Table
    >>> from skdrfm.report._markdown import render_markdown
    >>> frame = pd.DataFrame({"Rank IC": [0.031]}, index=pd.Index(["A|B"], name="Model"))
    >>> table = Table("Skill of the forecasts.", frame, formats={"Rank IC": ".2f"})
    >>> print(render_markdown(Content("Report", (), (Section("Skill", "skill", (table,)),))))
    # Report
    <BLANKLINE>
    ## Skill
    <BLANKLINE>
    **Table 1.** Skill of the forecasts.
    <BLANKLINE>
    | Model | Rank IC |
    | :--- | ---: |
    | A\|B | 0.03 |
    <BLANKLINE>
    """
    writer = _Writer()
    parts = [f"# {_line(content.title)}", *(writer.block(text) for text in content.summary)]
    for section in content.sections:
        parts += [f"## {_line(section.title)}", *(writer.block(block) for block in section.blocks)]
    if content.manifest:
        parts += [f"## {MANIFEST_TITLE}", writer.block(manifest_table(content.manifest))]
    return "\n\n".join(part for part in parts if part) + "\n"


class _Writer:
    """Blocks as text, with tables and figures counted."""

    def __init__(self) -> None:
        self._counts = {"Table": 0, "Figure": 0}

    def _caption(self, kind: str, text: str) -> str:
        self._counts[kind] += 1
        return f"**{kind} {self._counts[kind]}.** {_line(text)}"

    def block(self, block: Block) -> str:
        if isinstance(block, Text):
            return _paragraph(block)
        return self._table(block) if isinstance(block, Table) else self._chart(block)

    def _table(self, table: Table) -> str:
        parts = [self._caption("Table", table.caption), _table_grid(table)]
        parts += [_start_safe(_line(note)) for note in notes_of(table)]
        readings = [f"- {_line(name)}: {_line(text)}" for name, text in table.readings.items()]
        return "\n\n".join([*parts, "\n".join(readings)] if readings else parts)

    def _chart(self, chart: Chart) -> str:
        parts = [self._caption("Figure", chart.caption)]
        if chart.reading:
            parts.append(_start_safe(_line(chart.reading)))
        return "\n\n".join([*parts, _chart_grid(chart)])


def _paragraph(text: Text) -> str:
    lines = [_start_safe(_line(part)) for part in paragraphs(text)]
    if text.kind == "caution":
        return "\n>\n".join(f"> {line}" for line in [f"**Caution.** {lines[0]}", *lines[1:]])
    return "\n\n".join(lines)


def _table_grid(table: Table) -> str:
    texts, best = table.texts(), table.best_rows()
    names = list(texts.columns)
    rows = []
    for position, label in enumerate(texts.index):
        cells = [_cell(text) for text in texts.iloc[position]]
        cells = [
            f"**{cell}**" if label in best.get(name, ()) else cell for name, cell in zip(names, cells, strict=True)
        ]
        rows.append((_cell(label_text(label)), *cells))
    # Figures line up at the right.
    sides = ["right" if is_figures(table, name) else "left" for name in names]
    header = [label_text(texts.index.name), *(label_text(name) for name in names)]
    if not has_row_names(table.frame):
        return _grid(header[1:], [row[1:] for row in rows], sides, ready=True)
    return _grid(header, rows, ["left", *sides], ready=True)


def _chart_grid(chart: Chart) -> str:
    frame = chart.frame
    if chart.kind == "spans":
        return _spans_grid(frame)
    if frame.empty:
        return "No figures."
    if chart.kind in ("bar", "heatmap") and max(frame.shape) <= _FEW:
        rows = [
            (label_text(label), *(format_figure(value, chart.y_format) for value in frame.iloc[position]))
            for position, label in enumerate(frame.index)
        ]
        header = (label_text(frame.index.name), *(label_text(name) for name in frame.columns))
        return _grid(header, rows, ["left"] + ["right"] * frame.shape[1])
    # Of a heat map, the series are what there is less of: descriptors rather than months.
    series, values = frame, numbers(chart)
    if chart.kind == "heatmap" and len(frame) < frame.shape[1]:
        series, values = frame.T, values.T
    rows = [
        (label_text(name), *_ends(series.iloc[:, column], values[:, column], chart.y_format))
        for column, name in enumerate(series.columns)
    ]
    return _grid(("Series", "First", "Last", "Minimum", "Maximum"), rows, ["left"] + ["right"] * 4)


def _ends(series: "pd.Series[float]", values: FloatArray, spec: str) -> tuple[str, str, str, str]:
    """First and last figure, lowest and highest, each with its label; gaps are passed over."""
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return NO_FIGURE, NO_FIGURE, NO_FIGURE, NO_FIGURE
    places = known[0], known[-1], known[values[known].argmin()], known[values[known].argmax()]
    first, last, lowest, highest = (
        f"{format_figure(series.iloc[place], spec)} ({label_text(series.index[place])})" for place in places
    )
    return first, last, lowest, highest


def _spans_grid(frame: pd.DataFrame) -> str:
    rows = [
        (label_text(kind), str(len(spans)), label_text(spans["start"].min()), label_text(spans["end"].max()))
        for kind, spans in frame.groupby("kind", sort=False)
    ]
    if not rows:
        return "No spans."
    return _grid(("Kind", "Spans", "First start", "Last end"), rows, ("left", "right", "right", "right"))


def _grid(header: Sequence[str], rows: Iterable[Sequence[str]], sides: Sequence[str], *, ready: bool = False) -> str:
    marks = {"left": ":---", "right": "---:"}
    lines = [[_cell(name) for name in header], [marks[side] for side in sides]]
    lines += [list(row) if ready else [_cell(text) for text in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escape(text: object) -> str:
    safe = _SIGNS.sub(r"\\\g<0>", printable(text))
    safe = _OUTER_UNDERSCORE.sub(r"\\_", safe)
    return safe.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\t", " ")


def _cell(text: object) -> str:
    return _escape(text).strip().replace("\n", "<br>")


def _line(text: object) -> str:
    """Text in one line, so that it cannot end the block that it stands in."""
    return " ".join(_escape(text).split())


def _start_safe(line: str) -> str:
    """Keep a paragraph from starting like a heading or a list."""
    return _START_OF_BLOCK.sub(lambda found: f"{found[1]}{found[3] or ''}\\{found[2] or found[4]}", line)
