import hashlib
import io
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest

from skdrfm.exceptions import MissingDependencyError
from skdrfm.report._content import Chart, Content, Section, Table, Text
from skdrfm.report._docx import render_docx
from skdrfm.report._docx_parts import TEXT_WIDTH, TURNED_WIDTH
from skdrfm.report._docx_tables import lay_out

docx = pytest.importorskip("docx", reason="python-docx is not installed")

HOSTILE = ["LSTM", "<script>alert(1)</script>", "קרן א", "bell \x07 & <b>", "a|b\nc"]
MONTHS = pd.date_range("2007-04-30", periods=12, freq="ME")


def figures(n_rows, n_columns, **options):
    values = np.random.default_rng(n_rows).normal(0, 1, (n_rows, n_columns))
    names = [f"Figure of column {i}" for i in range(n_columns)]
    frame = pd.DataFrame(values, pd.Index([f"Row {i}" for i in range(n_rows)], name="Model"), names)
    return Table("Figures.", frame, dict.fromkeys(names, ".4f"), **options)


@pytest.fixture(scope="module")
def content():
    frame = pd.DataFrame(
        {"Rank IC": [0.031, 0.052, np.nan, -0.0001, 0.0519], "Verdict": HOSTILE},
        index=pd.Index(HOSTILE, name="Model"),
    )
    skill = Table(
        "Skill of קרן & <b>.", frame, {"Rank IC": ".2f"}, {"Rank IC": "max"}, {"Rank IC": "0: none."}, "Note."
    )
    wealth = pd.DataFrame({"LSTM": np.linspace(1, 2, 12)}, index=MONTHS)
    cells = pd.DataFrame([[1.0, 0.5], [0.5, np.nan]], ["LRP", "SHAP"], ["LRP", "SHAP"])
    return Content(
        "Back-test of <b> קרן \x07",
        (Text("Twelve months."), Text("Too good.\n\nFor real stocks.", "caution")),
        (
            Section("Summary", "summary", (skill, Chart("Wealth & <b> \x01.", wealth, reading="Above 1 is a gain."))),
            Section("All figures", "all", (figures(30, 13), Text("Between."), figures(2, 70))),
            Section("Rest", "rest", (Chart("Agreement.", cells, "heatmap"), figures(60, 3))),
        ),
        {"skdrfm": "0.2.0", "data": {"sha256": "ab" * 32, "rows": 5}, "lags": [3, 0]},
    )


@pytest.fixture(scope="module")
def packed(content):
    return render_docx(content)


@pytest.fixture(scope="module")
def document(packed):
    return docx.Document(io.BytesIO(packed))


def tables_of(content):
    return [block for section in content.sections for block in section.blocks if isinstance(block, Table)]


def charts_of(content):
    return [block for section in content.sections for block in section.blocks if isinstance(block, Chart)]


def written(text):
    return str(text).replace("\x07", "\\x07").replace("\x01", "\\x01")


def captions(document, kind):
    styled = [paragraph for paragraph in document.paragraphs if paragraph.style.name == "Caption"]
    return [paragraph for paragraph in styled if paragraph.text.startswith(kind)]


def grids_by_caption(document):
    """Tables with the number of their caption; parts of one table have the same."""
    found, number = [], 0
    for block in document.iter_inner_content():
        if isinstance(block, docx.table.Table):
            found.append((number, block))
        elif block.style.name == "Caption" and block.text.startswith("Table"):
            number += 1
    return found


def test_every_text_of_every_table_is_in_the_document_in_order(content, document):
    grids = grids_by_caption(document)
    for number, table in enumerate(tables_of(content), start=1):
        texts = table.texts()
        parts = [[[cell.text for cell in row.cells] for row in grid.rows] for n, grid in grids if n == number]
        assert [name for part in parts for name in part[0][1:]] == list(texts.columns)
        for position, label in enumerate(texts.index):
            assert all(part[1 + position][0] == written(label) for part in parts)
            row = [text for part in parts for text in part[1 + position][1:]]
            assert row == [written(text) for text in texts.iloc[position]]


def test_captions_are_numbered_by_fields_of_word(content, document):
    for kind, blocks in (("Table", tables_of(content)), ("Figure", charts_of(content))):
        found = captions(document, kind)
        wanted = [written(block.caption) for block in blocks]
        wanted += ["What is needed to make this report again."] * (kind == "Table")
        assert [paragraph.text for paragraph in found] == [
            f"{kind} {number}. {text}" for number, text in enumerate(wanted, start=1)
        ]
        for number, paragraph in enumerate(found, start=1):
            assert paragraph._p.xpath("string(.//w:instrText)").split() == ["SEQ", kind, "\\*", "ARABIC"]
            types = paragraph._p.xpath(".//w:fldChar/@w:fldCharType")
            assert types == ["begin", "separate", "end"]
            shown = paragraph._p.xpath(
                ".//w:r[preceding-sibling::w:r/w:fldChar[@w:fldCharType='separate']]"
                "[following-sibling::w:r/w:fldChar[@w:fldCharType='end']]/w:t/text()"
            )
            assert shown == [str(number)]


def test_captions_of_tables_are_above_and_stay_with_them(document):
    blocks = list(document.iter_inner_content())
    for caption in captions(document, "Table"):
        place = next(i for i, block in enumerate(blocks) if getattr(block, "_p", None) is caption._p)
        assert isinstance(blocks[place + 1], docx.table.Table)
        assert caption.paragraph_format.keep_with_next


def test_pictures_are_charts_with_their_caption_as_alternative_text(content, document, packed):
    inlines = document.inline_shapes
    assert len(inlines) == 2
    for number, (shape, chart) in enumerate(zip(inlines, charts_of(content), strict=True), start=1):
        properties = shape._inline.docPr
        assert properties.get("descr") == written(chart.caption)
        assert properties.get("name") == f"Figure {number}"
        assert shape.width == TEXT_WIDTH
        paragraph = shape._inline.getparent().getparent().getparent()
        assert docx.text.paragraph.Paragraph(paragraph, document).style.paragraph_format.keep_with_next
        below = docx.text.paragraph.Paragraph(paragraph.getnext(), document)
        assert below.text == f"Figure {number}. {written(chart.caption)}"
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        pictures = [archive.read(name) for name in archive.namelist() if name.endswith(".png")]
    assert [picture[:4] for picture in pictures] == [b"\x89PNG"] * 2


def test_heads_of_tables_repeat_and_rows_do_not_break(document):
    for grid in document.tables:
        rows = grid._tbl.tr_lst
        assert [bool(row.xpath("./w:trPr/w:tblHeader")) for row in rows] == [True] + [False] * (len(rows) - 1)
        assert all(row.xpath("./w:trPr/w:cantSplit") for row in rows)


def test_figures_are_at_the_right_and_names_at_the_left(document):
    sides = document.tables[0]._tbl.xpath("./w:tr/w:tc/w:p/w:pPr/w:jc/@w:val")
    assert sides == ["left", "right", "left"] * 6


def test_the_best_figures_are_bold_and_said_to_be(document):
    column = [row.cells[1].paragraphs[0].runs for row in document.tables[0].rows]
    assert [any(run.bold for run in runs) for runs in column] == [True, False, True, False, False, True]
    notes = [paragraph.text for paragraph in document.paragraphs if paragraph.style.name == "Table note"]
    assert notes == ["Bold: the best figure of its column.", "Note.", "Rank IC: 0: none."]


def test_every_table_is_as_wide_as_its_page_allows(document):
    """Walk through the body: tables before the end of a section belong to its page."""
    waiting, sizes, n_turned = [], set(), 0
    for block in document.element.body:
        kind = block.tag.rpartition("}")[2]
        if kind == "tbl":
            waiting.append(block)
        for section in [block] if kind == "sectPr" else block.xpath("./w:pPr/w:sectPr"):
            (page,) = section.xpath("./w:pgSz")
            width, height = (int(page.xpath(f"string(@w:{side})")) for side in ("w", "h"))
            room = width - sum(int(section.xpath(f"string(./w:pgMar/@w:{side})")) for side in ("left", "right"))
            assert sorted((width, height)) == [11906, 16838]  # A4 in twentieths of a point
            n_turned += width > height
            for table in waiting:
                widths = [int(value) for value in table.xpath("./w:tblGrid/w:gridCol/@w:w")]
                assert sum(widths) <= room + len(widths)
                assert table.xpath("string(./w:tblPr/w:tblLayout/@w:type)") == "fixed"
                assert {len(row.xpath("./w:tc")) for row in table.xpath("./w:tr")} == {len(widths)}
            sizes.update(table.xpath("string(.//w:pStyle/@w:val)") for table in waiting)
            waiting = []
    assert not waiting
    assert n_turned == 2
    assert sizes > {"Tabletext9", "Tabletext6.5"}


def test_a_heading_turns_with_the_wide_table_below_it(document):
    names = [paragraph.text for paragraph in document.paragraphs if paragraph.style.name == "Heading 1"]
    assert names == ["Summary", "All figures", "Rest", "Appendix: manifest"]
    (heading,) = [paragraph for paragraph in document.paragraphs if paragraph.text == "All figures"][-1:]
    ends = heading._p.xpath("./preceding-sibling::w:p/w:pPr/w:sectPr")
    next_ends = heading._p.xpath("./following-sibling::w:p/w:pPr/w:sectPr/w:pgSz/@w:orient")
    assert len(ends) == 1
    assert next_ends[0] == "landscape"


def test_sections_end_without_an_empty_paragraph(document):
    for end in document.element.body.xpath("./w:p[w:pPr/w:sectPr]"):
        assert end.xpath("./w:pPr/w:pStyle | ./w:r")  # a paragraph of ours, not one that was made for the break


@pytest.mark.parametrize(
    ("n_columns", "is_turned", "is_parted"),
    [(3, False, False), (8, False, False), (13, True, False), (70, True, True)],
)
def test_wide_tables_are_set_smaller_then_turned_then_parted(n_columns, is_turned, is_parted):
    layout = lay_out(figures(2, n_columns))
    assert layout.is_turned is is_turned
    assert [position for part in layout.parts for position in part] == list(range(n_columns))
    assert (len(layout.parts) > 1) == is_parted
    for part in layout.parts:
        width = layout.widths[0] + sum(layout.widths[1 + position] for position in part)
        assert width <= (TURNED_WIDTH if is_turned else TEXT_WIDTH)


def test_columns_have_room_for_their_figures_in_a_wide_font():
    """Advance widths of DejaVu Sans in parts of the font size: digits 0.636, full stop 0.318, per cent sign 0.95."""
    frame = pd.DataFrame(np.full((3, 5), 0.0176), list("abc"), list("12345"))
    layout = lay_out(Table("caption", frame, dict.fromkeys("12345", ".2%")))
    needed = (3 * 0.636 + 0.318 + 0.95) * layout.size + 8  # 1.76% and the margins of a cell, in points
    assert min(layout.widths[1:]) / 12_700 >= needed


def test_a_single_column_of_endless_words_still_fits():
    frame = pd.DataFrame({"x" * 500: ["y" * 500]}, index=["z" * 500])
    layout = lay_out(Table("caption", frame))
    assert sum(layout.widths) <= TEXT_WIDTH
    assert not layout.is_turned


def test_names_are_text_in_their_own_direction(document):
    names = [row.cells[0] for row in document.tables[0].rows][1:]
    assert [cell.text for cell in names] == [written(name) for name in HOSTILE]
    runs = [(run.text, bool(run.font.rtl)) for run in names[2].paragraphs[0].runs]
    assert runs == [("קרן א", True)]
    mixed = [(run.text, bool(run.font.rtl)) for run in captions(document, "Table")[0].runs if run.text]
    assert mixed[-3:] == [("Skill of ", False), ("קרן", True), (" & <b>.", False)]


def test_cautions_are_set_apart_and_named(document):
    cautions = [paragraph for paragraph in document.paragraphs if paragraph.style.name == "Caution"]
    assert [paragraph.text for paragraph in cautions] == ["Caution: Too good.", "For real stocks."]
    style = document.styles["Caution"].element
    assert style.xpath("./w:pPr/w:pBdr/w:left")
    assert style.xpath("./w:pPr/w:shd/@w:fill")
    order = [child.tag.rpartition("}")[2] for child in style.xpath("./w:pPr")[0]]
    assert order == ["keepLines", "pBdr", "shd", "spacing", "ind"]  # as the schema of Word wants it


def test_the_contents_are_links_to_the_headings(document):
    body = document.element.body
    links = body.xpath(".//w:hyperlink")
    assert [link.xpath("string(.)") for link in links] == ["Summary", "All figures", "Rest", "Appendix: manifest"]
    headings = [paragraph._p for paragraph in document.paragraphs if paragraph.style.name == "Heading 1"]
    targets = [heading.xpath("string(./w:bookmarkStart/@w:name)") for heading in headings]
    assert [link.xpath("string(@w:anchor)") for link in links] == targets
    assert len(set(targets)) == 4
    kinds = body.xpath(".//w:fldChar/@w:fldCharType")
    assert kinds.count("begin") == kinds.count("separate") == kinds.count("end")
    assert any(code.startswith(" TOC ") for code in body.xpath(".//w:instrText/text()"))


def test_pages_are_numbered_and_named_but_for_the_name_on_the_first(document):
    first = document.sections[0]
    assert first.different_first_page_header_footer
    for footer in (first.footer, first.first_page_footer):
        assert footer._element.xpath(".//w:instrText/text()") == [" PAGE ", " NUMPAGES "]
    assert first.header.paragraphs[0].text == "Back-test of <b> קרן \\x07"
    assert not first.first_page_header.paragraphs[0].text
    assert all(section.footer.is_linked_to_previous for section in list(document.sections)[1:])


def test_the_manifest_is_an_appendix(document):
    rows = [[cell.text for cell in row.cells] for row in document.tables[-1].rows]
    assert rows == [
        ["Entry", "Value"],
        ["skdrfm", "0.2.0"],
        ["data.sha256", "ab" * 32],
        ["data.rows", "5"],
        ["lags", "3, 0"],
    ]


def test_properties_name_the_report_and_no_time(document, packed):
    properties = document.core_properties
    assert properties.title == "Back-test of <b> קרן \\x07"
    assert properties.author == "skdrfm"
    assert properties.created is None
    assert properties.modified is None
    assert not properties.comments
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert not any("thumbnail" in name for name in archive.namelist())


def test_the_same_content_gives_the_same_bytes_and_another_one_others(content, packed):
    assert hashlib.sha256(render_docx(content)).hexdigest() == hashlib.sha256(packed).hexdigest()
    other = Content(content.title, content.summary, content.sections, {**content.manifest, "skdrfm": "0.2.1"})
    assert render_docx(other) != packed


def test_small_reports_have_no_contents_and_no_appendix():
    small = docx.Document(io.BytesIO(render_docx(Content("Report", (), (Section("One", "one", ()),)))))
    assert [(paragraph.style.name, paragraph.text) for paragraph in small.paragraphs] == [
        ("Title", "Report"),
        ("Heading 1", "One"),
    ]


def test_very_long_titles_are_cut_where_word_has_a_limit():
    title = "a long title " * 40
    document = docx.Document(io.BytesIO(render_docx(Content(title, (), ()))))
    assert document.paragraphs[0].text == title
    assert len(document.core_properties.title) == 255
    assert len(document.sections[0].header.paragraphs[0].text) == 90


def test_without_python_docx_the_error_names_the_extra(monkeypatch, content):
    monkeypatch.setitem(sys.modules, "docx", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'skdrfm\[report\]'"):
        render_docx(content)
