"""Parts of a Word document that python-docx has no words for: fields, captions, contents and page set-up."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from skdrfm.report._printable import is_right_to_left, printable

_CM, POINT = 360_000, 12_700  # EMU, the length unit of these files
PAGE_WIDTH, PAGE_HEIGHT = 21 * _CM, int(29.7 * _CM)
"""A4."""

_MARGIN = int(2.25 * _CM)
TEXT_WIDTH = PAGE_WIDTH - 2 * _MARGIN
"""Width between the margins of an upright page: 6.5 inches, for which charts are drawn."""

TURNED_WIDTH = PAGE_HEIGHT - 2 * _MARGIN


def element(tag: str, **attributes: object) -> Any:
    """Make an element of WordprocessingML.

    Parameters
    ----------
    tag : str
        Its name with prefix, such as ``"w:jc"``.
    **attributes : object
        Attributes in the same name space.

    Returns
    -------
    lxml element
        The element, without a place yet.
    """
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    made = OxmlElement(tag)
    for name, value in attributes.items():
        made.set(qn(f"w:{name}"), str(value))
    return made


def add_text(paragraph: Any, text: str, *, bold: bool = False) -> None:
    """Add text to a paragraph, with its parts that run from right to left marked as such.

    Parameters
    ----------
    paragraph : docx Paragraph
        Where to add.
    text : str
        Any text.
    bold : bool, default=False
        Whether it is bold.
    """
    for part, turns in _directions(printable(text)):
        run = paragraph.add_run(part)
        if bold:
            run.bold = True
        if turns:
            run.font.rtl = True
            if bold:
                run.font.cs_bold = True


def _directions(text: str) -> list[tuple[str, bool]]:
    """Cut a text where its direction of writing changes; blanks and signs between letters go with both of them."""
    marks = [is_right_to_left(character) for character in text]
    if True not in marks:
        return [(text, False)] if text else []
    parts, start, position = [], 0, 0
    while position < len(text):
        if not marks[position]:
            position += 1
            continue
        end = position + 1
        ahead = end
        # Up to the last letter from right to left before the next other letter or digit.
        while ahead < len(text) and (marks[ahead] or not text[ahead].isalnum()):
            ahead += 1
            end = ahead if marks[ahead - 1] else end
        parts += [(text[start:position], False), (text[position:end], True)]
        start = position = end
    return [(part, turns) for part, turns in [*parts, (text[start:], False)] if part]


def add_field(paragraph: Any, instruction: str, shown: str) -> None:
    """Add a field of Word that shows a text until it is worked out anew.

    Parameters
    ----------
    paragraph : docx Paragraph
        Where to add.
    instruction : str
        Such as ``"PAGE"``.
    shown : str
        What it shows at first.
    """
    _start_field(paragraph, instruction)
    paragraph.add_run(shown)
    paragraph.add_run()._r.append(element("w:fldChar", fldCharType="end"))


def _start_field(paragraph: Any, instruction: str) -> None:
    from docx.oxml.ns import qn

    paragraph.add_run()._r.append(element("w:fldChar", fldCharType="begin"))
    code = element("w:instrText")
    code.set(qn("xml:space"), "preserve")
    code.text = f" {instruction} "
    paragraph.add_run()._r.append(code)
    paragraph.add_run()._r.append(element("w:fldChar", fldCharType="separate"))


def add_caption(paragraph: Any, kind: str, number: int, text: str) -> None:
    """Write a caption that Word numbers.

    Parameters
    ----------
    paragraph : docx Paragraph
        An empty paragraph.
    kind : {"Table", "Figure"}
        What is counted.
    number : int
        Its number at first.
    text : str
        The caption.
    """
    paragraph.add_run(f"{kind} ")
    add_field(paragraph, f"SEQ {kind} \\* ARABIC", str(number))
    paragraph.add_run(". ")
    add_text(paragraph, text)


@contextmanager
def add_bookmark(paragraph: Any, number: int) -> Iterator[None]:
    """Put what is added to a paragraph meanwhile into the bookmark of a heading.

    Parameters
    ----------
    paragraph : docx Paragraph
        The heading.
    number : int
        Number of the heading, from 1.

    Yields
    ------
    None
        Add the text of the heading now.
    """
    paragraph._p.append(element("w:bookmarkStart", id=number, name=_bookmark(number)))
    yield
    paragraph._p.append(element("w:bookmarkEnd", id=number))


def _bookmark(number: int) -> str:
    return f"_Toc{number:08d}"


def add_contents(document: Any, titles: list[str]) -> None:
    """List the headings as links; Word can work the list out anew.

    Page numbers are left out: they are known only to the program that sets the pages.

    Parameters
    ----------
    document : docx Document
        Where to add.
    titles : list of str
        The headings, in the order of their bookmarks.
    """
    head = document.add_paragraph(style="Contents entry")
    head.add_run("Contents").bold = True
    head.paragraph_format.space_before = 8 * POINT
    for number, title in enumerate(titles, start=1):
        paragraph = document.add_paragraph(style="Contents entry")
        if number == 1:
            _start_field(paragraph, 'TOC \\o "1-1" \\n \\h \\z')
        link = element("w:hyperlink", anchor=_bookmark(number), history=1)
        before = len(paragraph._p)
        add_text(paragraph, title)
        for run in list(paragraph._p)[before:]:
            link.append(run)
        paragraph._p.append(link)
        if number == len(titles):
            paragraph.add_run()._r.append(element("w:fldChar", fldCharType="end"))


def add_page_numbers(document: Any, title: str) -> None:
    """Write the page number and the number of pages at the foot of each page, and the title at the head of all but one.

    Parameters
    ----------
    document : docx Document
        A document with one section.
    title : str
        Title of the report.
    """
    section = document.sections[0]
    section.different_first_page_header_footer = True
    short = title if len(title) <= 90 else f"{title[:89]}…"
    add_text(section.header.paragraphs[0], " ".join(short.split()))
    for footer in (section.footer, section.first_page_footer):
        paragraph = footer.paragraphs[0]
        paragraph.style = document.styles["Footer"]
        paragraph.add_run("Page ")
        add_field(paragraph, "PAGE", "1")
        paragraph.add_run(" of ")
        add_field(paragraph, "NUMPAGES", "1")


def set_page(document: Any) -> None:
    """Set the paper to A4 with margins for 6.5 inches of text.

    Parameters
    ----------
    document : docx Document
        A document with one section.
    """
    section = document.sections[0]
    section.page_width, section.page_height = PAGE_WIDTH, PAGE_HEIGHT
    section.left_margin = section.right_margin = _MARGIN
    section.top_margin = section.bottom_margin = int(2.2 * _CM)
    section.header_distance = section.footer_distance = int(1.1 * _CM)


def turn_page(document: Any, is_turned: bool) -> None:
    """Start a page of the other orientation.

    Parameters
    ----------
    document : docx Document
        The document.
    is_turned : bool
        Whether the longer side of the new page is its width.
    """
    from docx.enum.section import WD_ORIENT, WD_SECTION

    section = document.add_section(WD_SECTION.NEW_PAGE)
    _end_in_last_paragraph(document)
    section.orientation = WD_ORIENT.LANDSCAPE if is_turned else WD_ORIENT.PORTRAIT
    short, long = PAGE_WIDTH, PAGE_HEIGHT
    section.page_width, section.page_height = (long, short) if is_turned else (short, long)
    # The title is at the head of these pages too.
    section.different_first_page_header_footer = False


def _end_in_last_paragraph(document: Any) -> None:
    """Let a section end in its last paragraph instead of an empty one, which could need a page of its own."""
    (added,) = document.element.body.xpath("./w:p[w:pPr/w:sectPr][last()]")[-1:]
    last = added.getprevious()
    if last is not None and last.tag == added.tag and not last.xpath("./w:pPr/w:sectPr"):
        last.get_or_add_pPr().append(added.xpath("./w:pPr/w:sectPr")[0])
        added.getparent().remove(added)
