"""A report as a Word document."""

import io
import zipfile
from typing import Any

from skdrfm.report._content import Block, Chart, Content, Table, Text
from skdrfm.report._docx_parts import (
    TEXT_WIDTH,
    add_bookmark,
    add_caption,
    add_contents,
    add_page_numbers,
    add_text,
    set_page,
    turn_page,
)
from skdrfm.report._docx_styles import set_styles
from skdrfm.report._docx_tables import Layout, add_table, lay_out
from skdrfm.report._draw import draw_png
from skdrfm.report._printable import MANIFEST_TITLE, manifest_table, notes_of, paragraphs, printable
from skdrfm.utils._optional import import_optional


def render_docx(content: Content) -> bytes:
    """Write a report as a Word document.

    Headings, captions (numbered fields "Table 1", "Figure 1"), the list of contents and page numbers are those of
    Word, so that its navigation pane and its lists of tables and figures know them. Heads of tables repeat on each
    page and rows stay whole; tables too wide for the page are set smaller, then on a page turned sideways, then in
    parts. Pictures have their caption as alternative text. Names are text in their own direction of writing;
    characters that a Word file cannot hold are written as their code.

    Parameters
    ----------
    content : Content
        What the report says.

    Returns
    -------
    bytes
        A .docx file on A4 paper. The same content gives the same bytes with the same versions of packages: there is no
        time in it.

    Raises
    ------
    MissingDependencyError
        If the package python-docx is not installed.

    Examples
    --------
    >>> from skdrfm.report._content import Content, Section, Text
    >>> from skdrfm.report._docx import render_docx
    >>> section = Section("Costs", "costs", (Text("None were assumed."),))
    >>> render_docx(Content("A back-test", (Text("Simulated."),), (section,)))[:2]
    b'PK'
    """
    docx = import_optional("docx", extra="report", purpose="write the report as a Word document")
    document = docx.Document()
    set_styles(document)
    set_page(document)
    add_page_numbers(document, printable(content.title))
    _set_properties(document, content)
    _Writer(document).write(content)
    buffer = io.BytesIO()
    document.save(buffer)
    return _without_times(buffer.getvalue())


class _Writer:
    """Content as paragraphs, with tables and figures counted and the page turned where a table needs it."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._counts = {"Table": 0, "Figure": 0}
        self._is_turned = False
        self._n_headings = 0

    def write(self, content: Content) -> None:
        add_text(self._document.add_paragraph(style="Title"), content.title)
        for text in content.summary:
            self._text(text)
        titles = [section.title for section in content.sections] + [MANIFEST_TITLE] * bool(content.manifest)
        if len(titles) > 2:
            add_contents(self._document, titles)
        for section in content.sections:
            self._section(section.title, section.blocks)
        if content.manifest:
            self._section(MANIFEST_TITLE, (manifest_table(content.manifest),))

    def _section(self, title: str, blocks: tuple[Block, ...]) -> None:
        layouts = [lay_out(block) if isinstance(block, Table) else None for block in blocks]
        # The heading goes with what comes first, also onto a turned page.
        self._turn(bool(layouts and layouts[0] and layouts[0].is_turned))
        self._heading(title)
        for block, layout in zip(blocks, layouts, strict=True):
            if isinstance(block, Table):
                assert layout is not None  # made above for each table
                self._table(block, layout)
            else:
                self._turn(False)
                self._chart(block) if isinstance(block, Chart) else self._text(block)

    def _heading(self, title: str) -> None:
        paragraph = self._document.add_paragraph(style="Heading 1")
        self._n_headings += 1
        with add_bookmark(paragraph, self._n_headings):
            add_text(paragraph, title)

    def _turn(self, is_turned: bool) -> None:
        if is_turned != self._is_turned:
            turn_page(self._document, is_turned)
            self._is_turned = is_turned

    def _text(self, text: Text) -> None:
        for number, part in enumerate(paragraphs(text)):
            paragraph = self._document.add_paragraph(style="Caution" if text.kind == "caution" else "Normal")
            if text.kind == "caution" and not number:
                paragraph.add_run("Caution: ").bold = True
            add_text(paragraph, part)

    def _caption(self, kind: str, text: str, *, style: str = "Caption") -> Any:
        self._counts[kind] += 1
        paragraph = self._document.add_paragraph(style=style)
        add_caption(paragraph, kind, self._counts[kind], text)
        return paragraph

    def _table(self, table: Table, layout: Layout) -> None:
        self._turn(layout.is_turned)
        self._caption("Table", table.caption).paragraph_format.keep_with_next = True
        add_table(self._document, table, layout)
        for text in notes_of(table):
            add_text(self._document.add_paragraph(style="Table note"), text)
        for name, reading in table.readings.items():
            paragraph = self._document.add_paragraph(style="Table note")
            add_text(paragraph, str(name), bold=True)
            add_text(paragraph, f": {reading}")
        # Word joins tables that follow each other; this keeps them apart, and gives room below.
        self._document.add_paragraph(style="After table")

    def _chart(self, chart: Chart) -> None:
        from docx.shared import Emu

        paragraph = self._document.add_paragraph(style="Picture")
        picture = paragraph.add_run().add_picture(io.BytesIO(draw_png(chart)), width=Emu(TEXT_WIDTH))
        number = self._counts["Figure"] + 1
        name, alternative = f"Figure {number}", printable(chart.caption)
        drawing = picture._inline
        for side in "TBLR":
            # Without these, some programs leave room beside the picture and so move it over the margin.
            drawing.set(f"dist{side}", "0")
        for properties in (drawing.docPr, drawing.graphic.graphicData.pic.nvPicPr.cNvPr):
            properties.set("name", name)
            properties.set("descr", alternative)
        caption = self._caption("Figure", chart.caption)
        if chart.reading:
            caption.paragraph_format.keep_with_next = True
            add_text(self._document.add_paragraph(style="Figure note"), chart.reading)


def _set_properties(document: Any, content: Content) -> None:
    properties = document.core_properties
    # Word's own limit for each.
    properties.title = printable(content.title)[:255]
    properties.subject = "Back-test report"
    properties.author = "skdrfm"
    properties.comments = ""
    properties.language = "en-US"
    # Who wrote the template, and when; a file of the same content is the same whenever it is written.
    for element in list(properties._element):
        if element.tag.rpartition("}")[2] in ("created", "modified", "lastModifiedBy", "keywords"):
            properties._element.remove(element)
    package = document.part.package
    for key, relationship in list(package.rels.items()):
        if relationship.reltype.endswith(("/thumbnail", "/extended-properties")):
            # A picture of the template and the counts of its pages.
            del package.rels[key]


def _without_times(packed: bytes) -> bytes:
    """Pack the members of an archive again with the first moment that an archive can have."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(packed)) as given, zipfile.ZipFile(buffer, "w") as archive:
        for name in given.namelist():
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 0
            archive.writestr(member, given.read(name))
    return buffer.getvalue()
