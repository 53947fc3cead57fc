"""Tables of a report in a Word document: widths that fit the page, and cells."""

from dataclasses import dataclass
from math import ceil
from typing import Any

from skdrfm.report._content import Table
from skdrfm.report._docx_parts import POINT, TEXT_WIDTH, TURNED_WIDTH, add_text, element
from skdrfm.report._docx_styles import TABLE_SIZES, style_id
from skdrfm.report._printable import has_row_names, is_figures, label_text, printable

_SHORT = 16
# Width of a character in sizes of its font: that of a wide font, so that others have room to spare.
_EM = 0.58
_PADDING = 10 * POINT
_HEAD, _RULE = "E8EDF3", "B7C0CA"
# Longest line and longest unbroken part of a text that columns are made for.
_TEXT, _WORD, _UNBROKEN = 34, 16, 10
_BOLD = 1.15


@dataclass(frozen=True)
class Layout:
    """How a table is set.

    Parameters
    ----------
    is_turned : bool
        Whether it needs a page turned sideways.
    size : float
        Size of its font in points.
    parts : tuple of tuple of int
        Positions of the columns of each part; a table that is still too wide comes in parts.
    widths : tuple of int
        Width of each column, that of the names of rows first, in EMU.
    """

    is_turned: bool
    size: float
    parts: tuple[tuple[int, ...], ...]
    widths: tuple[int, ...]


def lay_out(table: Table) -> Layout:
    """Choose the page, the size of the font and the widths of columns of a table.

    Parameters
    ----------
    table : Table
        The table.

    Returns
    -------
    Layout
        The largest font with which the table fits an upright page, else a page turned sideways, else parts of it.
    """
    needs = [_needed(*column) for column in _columns(table)]
    everything = (tuple(range(len(needs) - 1)),)
    for is_turned, room in ((False, TEXT_WIDTH), (True, TURNED_WIDTH)):
        for size in TABLE_SIZES[:-1]:
            least = [_width(need, size) for need, _ in needs]
            if sum(least) <= room:
                return Layout(is_turned, size, everything, _widths(needs, size, room))
    smallest = TABLE_SIZES[-1]
    least = [_width(need, smallest) for need, _ in needs]
    parts: list[list[int]] = []
    used = TURNED_WIDTH + 1
    for position, width in enumerate(least[1:]):
        if used + width > TURNED_WIDTH:
            parts.append([])
            used = least[0]
        parts[-1].append(position)
        used += width
    return Layout(True, smallest, tuple(map(tuple, parts)), tuple(least))


def _columns(table: Table) -> list[tuple[list[str], bool, bool]]:
    """Texts of each column, its name first; whether they are words, and whether one is bold. Names of rows first."""
    texts = table.texts()
    names = [label_text(texts.index.name), *map(label_text, texts.index)] if has_row_names(table.frame) else [""]
    found = [(names, True, False)]
    for position, name in enumerate(texts.columns):
        cells = [label_text(name), *map(printable, texts.iloc[:, position])]
        found.append((cells, not is_figures(table, name), name in table.best))
    return found


def _needed(cells: list[str], is_text: bool, has_best: bool) -> tuple[int, int]:
    """Fewest characters that a column must be wide, and those with which no cell has a second line."""
    name, *others = cells
    # Letters in bold are wider.
    head = ceil(_BOLD * max((min(_length(word), _WORD) for word in _words(name)), default=0))
    whole_head = ceil(_BOLD * min(_length(name), _WORD))
    longest = max((_length(line) for cell in others for line in cell.split("\n")), default=0)
    if not is_text:
        longest = ceil(_BOLD * longest) if has_best else longest
        return max(longest, head), max(longest, whole_head)
    longest = min(longest, 2 * _TEXT)
    inner = max((min(_length(word), _WORD) for cell in others for word in _words(cell)), default=0)
    # Texts may take several lines, but not so many that a row becomes a column.
    least = min(longest, _WORD) if longest <= _TEXT else _TEXT * 2 // 3
    return max(inner, least, head), max(longest, whole_head)


def _length(text: str) -> int:
    """Length in characters of usual width: capitals and per cent signs are wider."""
    return ceil(len(text) + 0.2 * sum(letter.isupper() for letter in text) + 0.7 * text.count("%"))


def _words(text: str) -> list[str]:
    """Parts of a text that stay in one line: dates and short names are not broken at their hyphens."""
    return [part for word in text.split() for part in (word.split("-") if len(word) > _UNBROKEN else [word])]


def _width(characters: int, size: float) -> int:
    return int(characters * size * _EM * POINT) + _PADDING if characters else 0


def _widths(needs: list[tuple[int, int]], size: float, room: int) -> tuple[int, ...]:
    """Share the room: first up to one line for each cell, then some air for all columns."""
    least = [_width(need, size) for need, _ in needs]
    whole = [_width(want, size) for _, want in needs]
    spare = room - sum(least)
    missing = [want - have for want, have in zip(whole, least, strict=True)]
    part = min(1.0, spare / sum(missing)) if sum(missing) else 1.0
    widths = [have + part * lack for have, lack in zip(least, missing, strict=True)]
    air = min(1.45, room / sum(widths)) if sum(widths) else 1.0
    return tuple(int(air * width) for width in widths)


def add_table(document: Any, table: Table, layout: Layout) -> None:
    """Add a table without its caption.

    Parameters
    ----------
    document : docx Document
        Where to add.
    table : Table
        The table.
    layout : Layout
        How to set it.
    """
    for number, part in enumerate(layout.parts):
        if number:
            # Word joins tables that follow each other.
            document.add_paragraph(style="After table")
        _add_part(document, table, layout, part)


def _add_part(document: Any, table: Table, layout: Layout, part: tuple[int, ...]) -> None:
    texts, best = table.texts(), table.best_rows()
    columns = [texts.columns[position] for position in part]
    rights = [is_figures(table, name) for name in columns]
    named = has_row_names(table.frame)
    widths = [layout.widths[0]] * named + [layout.widths[1 + position] for position in part]
    grid = document.add_table(rows=0, cols=0)
    _set_table(grid, widths, printable(table.caption))
    head = [label_text(texts.index.name)] * named + [label_text(name) for name in columns]
    sides = [False] * named + rights
    _add_row(grid, head, widths, sides, [True] * len(head), layout.size, is_head=True, keep=True)
    has_more = bool(table.best or table.note or table.readings)
    for row, label in enumerate(texts.index):
        cells = [label_text(label)] * named + [str(texts.iat[row, position]) for position in part]
        bold = [False] * named + [label in best.get(name, ()) for name in columns]
        # A short table stays on one page, and the last row with what is said below the table.
        keep = has_more if row == len(texts) - 1 else len(texts) <= _SHORT
        _add_row(grid, cells, widths, sides, bold, layout.size, keep=keep)


def _set_table(grid: Any, widths: list[int], caption: str) -> None:
    properties = grid._tbl.tblPr
    for child in list(properties):
        properties.remove(child)
    borders = element("w:tblBorders")
    for side, weight in (("top", 8), ("bottom", 8), ("insideH", 4)):
        borders.append(element(f"w:{side}", val="single", sz=weight, space=0, color=_RULE))
    margins = element("w:tblCellMar")
    for side in ("left", "right"):
        margins.append(element(f"w:{side}", w=80, type="dxa"))
    description = element("w:tblCaption", val=caption)
    properties.extend(
        [
            element("w:tblW", w=_twentieths(sum(widths)), type="dxa"),
            borders,
            element("w:tblLayout", type="fixed"),
            margins,
            element("w:tblLook", val="0420", firstRow=1, noVBand=1),
            description,
        ]
    )
    for width in widths:
        grid._tbl.tblGrid.append(element("w:gridCol", w=_twentieths(width)))


def _add_row(
    grid: Any,
    texts: list[str],
    widths: list[int],
    rights: list[bool],
    bold: list[bool],
    size: float,
    *,
    is_head: bool = False,
    keep: bool = False,
) -> None:
    # Written as XML at once: python-docx looks at the whole table for each cell that it adds.
    from docx.text.paragraph import Paragraph

    row = element("w:tr")
    properties = element("w:trPr")
    properties.append(element("w:cantSplit"))
    if is_head:
        properties.append(element("w:tblHeader"))
    row.append(properties)
    for text, width, right, strong in zip(texts, widths, rights, bold, strict=True):
        cell = element("w:tc")
        about = element("w:tcPr")
        about.append(element("w:tcW", w=_twentieths(width), type="dxa"))
        if is_head:
            about.append(element("w:shd", val="clear", color="auto", fill=_HEAD))
        about.append(element("w:vAlign", val="bottom" if is_head else "top"))
        cell.append(about)
        inner = element("w:p")
        layout = element("w:pPr")
        layout.append(element("w:pStyle", val=style_id(size)))
        if keep:
            layout.append(element("w:keepNext"))
        layout.append(element("w:spacing", before=30, after=30))
        layout.append(element("w:jc", val="right" if right else "left"))
        inner.append(layout)
        cell.append(inner)
        row.append(cell)
        add_text(Paragraph(inner, grid), text, bold=strong)
    grid._tbl.append(row)


def _twentieths(length: int) -> int:
    """Twentieths of a point, the other length unit of these files."""
    return round(length * 20 / POINT)
