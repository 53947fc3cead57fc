"""The report as one HTML page that can be opened, sent and printed by itself."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from skdrfm.report._content import Block, Chart, Content, Table
from skdrfm.report._direction import isolate
from skdrfm.report._plotly import chart_spec
from skdrfm.report._printable import is_figures, label_text, manifest_table, paragraphs, printable

# Rows of the table beside a chart; daily figures of ten years would make the page slow and say no more.
_MOST_ROWS = 400
_ANCHOR = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MINUS = re.compile(r"^-(?=[\d.])")


@dataclass(frozen=True)
class _Cell:
    text: str
    best: bool = False


@dataclass(frozen=True)
class _Grid:
    """A table as the template needs it."""

    id: str
    caption: str
    corner: str
    heads: list[tuple[str, bool]]
    rows: list[tuple[str, list[_Cell]]]
    readings: Mapping[str, str]
    note: str


@dataclass(frozen=True)
class _Figure:
    """A chart as the template needs it."""

    id: str
    caption: str
    reading: str
    height: int
    numbers: _Grid


def render_html(content: Content) -> str:
    """Write a report as one HTML page with all that it needs in it.

    Nothing is fetched when it is opened, and its security policy forbids to. Charts are drawn by plotly.js, which is
    in the page; the numbers of each chart are in a table below it.

    Parameters
    ----------
    content : Content
        What the report says.

    Returns
    -------
    str
        The page, about 5 MB, nearly all of it plotly.js.

    Raises
    ------
    ValueError
        If two sections have the same anchor, or one cannot be the name of a place.

    Examples
    --------
    >>> from skdrfm.report._content import Content, Section, Text
    >>> from skdrfm.report._html import render_html
    >>> section = Section("Costs", "costs", (Text("None were assumed."),))
    >>> page = render_html(Content("A back-test", (Text("Simulated."),), (section,)))
    >>> page.startswith("<!DOCTYPE html>"), "None were assumed." in page
    (True, True)
    """
    from plotly.offline import get_plotlyjs

    _check_anchors(content)
    specs: dict[str, Any] = {}
    sections = [(section, list(_prepare(section.blocks, section.anchor, specs))) for section in content.sections]
    environment = Environment(
        loader=PackageLoader("skdrfm.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"isolate": isolate, "paragraphs": paragraphs, "printable": printable}
    page = environment.get_template("report.html").render(
        content=content,
        sections=sections,
        manifest=_grid(manifest_table(content.manifest), "page_manifest_table") if content.manifest else None,
        charts=script_json(specs),
        plotly=Markup(_inline_script(get_plotlyjs())) if specs else "",
    )
    return page.lstrip()


def script_json(value: Any) -> Markup:
    """Write JSON that can stand in a script element: no text in it ends the element.

    Parameters
    ----------
    value : object
        What JSON can hold; no NaN.

    Returns
    -------
    Markup
        ASCII, with ``<``, ``>`` and ``&`` as their codes.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _prepare(blocks: Iterable[Block], anchor: str, specs: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Name each block's kind and give it an id; collect what charts need."""
    numbers: Counter[str] = Counter()
    for block in blocks:
        if isinstance(block, Table):
            numbers["table"] += 1
            yield "table", _grid(block, f"{anchor}_table_{numbers['table']}")
        elif isinstance(block, Chart):
            numbers["chart"] += 1
            name = f"{anchor}_chart_{numbers['chart']}"
            specs[name] = chart_spec(block)
            yield "chart", _Figure(name, block.caption, block.reading, specs[name]["height"], _numbers(block, name))
        else:
            yield block.kind, block


def _numbers(chart: Chart, name: str) -> _Grid:
    """Put the figures of a chart into a table."""
    frame, note = chart.frame, ""
    if len(frame) > _MOST_ROWS:
        rows = np.linspace(0, len(frame) - 1, _MOST_ROWS).round().astype(np.intp)
        note = f"{_MOST_ROWS} of {len(frame):,} rows, evenly spaced; the chart shows all."
        frame = frame.iloc[rows]
    formats = {} if chart.kind == "spans" else dict.fromkeys(frame.columns, chart.y_format)
    return _grid(Table(f"Numbers: {chart.caption}", frame, formats=formats, note=note), f"{name}_numbers")


def _grid(table: Table, name: str) -> _Grid:
    frame = table.frame
    texts, best = table.texts(), table.best_rows()
    figures = [is_figures(table, column) for column in frame.columns]
    marks = [best.get(column, set()) for column in frame.columns]
    rows = []
    for row, cells in zip(frame.index, texts.itertuples(index=False, name=None), strict=True):
        written = [
            _Cell(_MINUS.sub("−", text) if figure else printable(text), row in mark)
            for text, figure, mark in zip(cells, figures, marks, strict=True)
        ]
        rows.append((label_text(row), written))
    return _Grid(
        id=name,
        caption=table.caption,
        corner=label_text(frame.index.name),
        heads=[(label_text(column), figure) for column, figure in zip(frame.columns, figures, strict=True)],
        rows=rows,
        readings={label_text(column): reading for column, reading in table.readings.items()},
        note=table.note,
    )


def _check_anchors(content: Content) -> None:
    for anchor, count in Counter(section.anchor for section in content.sections).items():
        if count > 1 or not _ANCHOR.fullmatch(anchor):
            raise ValueError(
                "The anchors of sections must be distinct names of lower case letters, digits and hyphens, because "
                f"links point to them. Got {anchor!r}{f' {count} times' if count > 1 else ''}. Rename it."
            )


def _inline_script(source: str) -> str:
    # Only these two can end a script element or hide its end; in JavaScript's texts the backslash says nothing.
    return source.replace("</script", "<\\/script").replace("<!--", "<\\!--")
