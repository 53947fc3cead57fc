"""The look of a Word report: built-in styles, and those that only reports have."""

import re
from typing import Any

from skdrfm.report._docx_parts import element

FONT = "Calibri"
TABLE_SIZES = (9.0, 8.5, 8.0, 7.5, 7.0, 6.5)
"""Font sizes of tables in points, from the one that is liked best."""

_ACCENT, _GREY, _SHADE, _WARN = "1F3A5F", "57606A", "FFF6E0", "C77700"


def set_styles(document: Any) -> None:
    """Give the built-in styles one look, and make those that only reports have.

    Parameters
    ----------
    document : docx Document
        A new document.
    """
    styles = document.styles
    _style(styles["Normal"], size=10.5, after=6, line=1.12)
    _style(styles["Title"], size=22, colour=_ACCENT, bold=True, after=10)
    _style(styles["Heading 1"], size=15, colour=_ACCENT, bold=True, before=18, after=6)
    _style(styles["Caption"], size=9, colour=_ACCENT, bold=True, before=4, after=4)
    _style(styles["Header"], size=8.5, colour=_GREY)
    _style(styles["Footer"], size=8.5, colour=_GREY, centred=True)
    looks: dict[str, dict[str, Any]] = {
        "Caution": {"size": 10, "before": 4, "after": 8},
        "Table note": {"size": 8.5, "colour": _GREY, "after": 1},
        "Figure note": {"size": 8.5, "colour": _GREY, "after": 14},
        "After table": {"size": 6, "after": 4},
        "Picture": {"size": 10, "before": 8, "after": 2, "line": 1.0},
        **{_table_style(size): {"size": size, "line": 1.0} for size in TABLE_SIZES},
        "Contents entry": {"size": 10, "colour": _ACCENT, "after": 1},
    }
    for name, look in looks.items():
        style = styles.add_style(name, 1)  # a style of paragraphs
        style.base_style = styles["Normal"]
        _style(style, **look)
    styles["Picture"].paragraph_format.keep_with_next = True
    styles["Table note"].paragraph_format.keep_together = True
    _frame(styles["Caution"])
    # The title of the template has a line below it.
    for border in styles["Title"].element.xpath("./w:pPr/w:pBdr"):
        border.getparent().remove(border)
    for setting in document.settings.element.xpath('.//w:compatSetting[@w:name="compatibilityMode"]'):
        # 15 is the layout of Word 2013 and later; without it Word opens files in a mode for older ones.
        setting.attrib[next(key for key in setting.attrib if key.endswith("}val"))] = "15"


def style_id(size: float) -> str:
    """Name the style of the text of tables within the file.

    Parameters
    ----------
    size : float
        One of `TABLE_SIZES`.

    Returns
    -------
    str
        The name without blanks.
    """
    return _table_style(size).replace(" ", "")


def _table_style(size: float) -> str:
    return f"Table text {size:g}"


def _style(
    style: Any,
    *,
    size: float,
    colour: str | None = None,
    bold: bool | None = None,
    before: float = 0,
    after: float = 0,
    line: float | None = None,
    centred: bool = False,
) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.oxml.ns import qn
    from docx.shared import Pt, RGBColor

    font, layout = style.font, style.paragraph_format
    font.name, font.size = FONT, Pt(size)
    fonts = style.element.rPr.rFonts
    for key in list(fonts.attrib):
        # Fonts of a theme go before those that are named.
        if re.search("[tT]heme$", key):
            del fonts.attrib[key]
    fonts.set(qn("w:cs"), "Arial")
    # The size of letters from right to left is a figure of its own.
    for old in style.element.rPr.xpath("./w:szCs"):
        old.getparent().remove(old)
    style.element.rPr.xpath("./w:sz")[0].addnext(element("w:szCs", val=round(2 * size)))
    if bold is not None:
        font.bold = font.cs_bold = bold
    if colour is not None:
        font.color.rgb = RGBColor.from_string(colour)
    layout.space_before, layout.space_after = Pt(before), Pt(after)
    if line is not None:
        layout.line_spacing = line
    if centred:
        layout.alignment = WD_ALIGN_PARAGRAPH.CENTER


def _frame(style: Any) -> None:
    """Set a style apart by a bar at its left and a shade, on paper and on a screen."""
    from docx.shared import Pt

    properties = style.element.get_or_add_pPr()
    borders = element("w:pBdr")
    borders.append(element("w:left", val="single", sz=24, space=8, color=_WARN))
    # Word insists on an order: borders and shade come before spacing.
    spacing = properties.find(properties.tag.replace("}pPr", "}spacing"))
    spacing.addprevious(borders)
    spacing.addprevious(element("w:shd", val="clear", color="auto", fill=_SHADE))
    style.paragraph_format.left_indent = Pt(12)
    style.paragraph_format.keep_together = True
