"""Text of others, such as the names of assets, made fit for documents: every character can be written and read."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import pandas as pd

from skdrfm.panel._plot import short_date
from skdrfm.report._content import Table, Text

MANIFEST_TITLE = "Appendix: manifest"

# Line ends of Unicode, and the two overrides that would turn round what is written after a name.
_AS_CODE = "\u2028\u2029\u202d\u202e"
RIGHT_TO_LEFT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff"
"""Letters of scripts from right to left, as ranges of a regular expression."""

_RIGHT_TO_LEFT = re.compile(f"[{RIGHT_TO_LEFT}]")
_BLANK_LINE = re.compile(r"\n\s*\n")


def printable(text: object) -> str:
    r"""Write what no document may hold as its code.

    XML forbids most control characters, and files of text hold no halves of surrogate pairs. Letters of any script,
    from left to right or from right to left, stay as they are.

    Parameters
    ----------
    text : object
        A name or a text; other objects are turned into text.

    Returns
    -------
    str
        The text with ``"\n"`` at the ends of lines, and with codes such as ``\x07``.

    Examples
    --------
    >>> from skdrfm.report._printable import printable
    >>> print(printable("bell \x07"))
    bell \x07
    """
    lines = str(text).replace("\r\n", "\n").replace("\r", "\n")
    return "".join(character if _is_plain(character) else _code(character) for character in lines)


def label_text(label: object) -> str:
    """Write the label of a row or a column: a date without its time of day if that is midnight.

    Parameters
    ----------
    label : object
        The label; None is an empty text.

    Returns
    -------
    str
        Printable text.
    """
    return "" if label is None else printable(short_date(label))


def shorten(text: str, longest: int) -> str:
    """Leave out the middle of a long name; names often differ at their ends.

    Parameters
    ----------
    text : str
        The name.
    longest : int
        Characters to keep at most.

    Returns
    -------
    str
        The name, or its first two thirds, an ellipsis and its end.
    """
    head = longest * 2 // 3
    return text if len(text) <= longest else f"{text[:head]}…{text[head + 1 - longest :]}"


def paragraphs(text: Text) -> list[str]:
    """Cut a text at its blank lines.

    Parameters
    ----------
    text : Text
        The text.

    Returns
    -------
    list of str
        Printable paragraphs, at least one.
    """
    return _BLANK_LINE.split(printable(text.text))


def notes_of(table: Table) -> list[str]:
    """Say what stands below a table that is read without colours.

    Parameters
    ----------
    table : Table
        The table.

    Returns
    -------
    list of str
        What bold figures are, where there are any, and the note of the table.
    """
    has_best = any(table.best_rows().values())
    return ["Bold: the best figure of its column."] * has_best + [table.note] * bool(table.note)


def manifest_table(manifest: Mapping[str, Any]) -> Table:
    """Put a manifest into a table.

    Parameters
    ----------
    manifest : mapping
        The manifest, not empty.

    Returns
    -------
    Table
        A row for each entry of `flat_manifest`.
    """
    names, values = zip(*flat_manifest(manifest), strict=True)
    frame = pd.DataFrame({"Value": values}, index=pd.Index(names, name="Entry"), dtype=object)
    return Table("What is needed to make this report again.", frame)


def flat_manifest(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List the entries of a manifest, those of mappings within it under names such as ``"rows.given"``.

    Parameters
    ----------
    manifest : mapping
        The manifest, with mappings and lists within it.

    Returns
    -------
    list of (str, str)
        Printable names and values, in the order given.
    """
    found: list[tuple[str, str]] = []
    for key, value in manifest.items():
        if isinstance(value, Mapping) and value:
            found += [(f"{printable(key)}.{inner}", text) for inner, text in flat_manifest(value)]
        elif isinstance(value, list | tuple) and not any(isinstance(item, Mapping) for item in value):
            found.append((printable(key), ", ".join(label_text(item) for item in value) or "none"))
        else:
            found.append((printable(key), "none" if value is None else label_text(value)))
    return found


def has_row_names(frame: pd.DataFrame) -> bool:
    """Tell whether the index of a frame says something, other than 0, 1, 2 and so on without a name.

    Parameters
    ----------
    frame : DataFrame
        Any frame.

    Returns
    -------
    bool
        Whether its index should be written.
    """
    return frame.index.name is not None or not frame.index.equals(pd.RangeIndex(len(frame)))


def is_figures(table: Table, name: object) -> bool:
    """Tell whether a column of a table holds figures, which line up at the right.

    Parameters
    ----------
    table : Table
        The table.
    name : object
        A column of its frame.

    Returns
    -------
    bool
        True for columns with a format and for columns of numbers.
    """
    return name in table.formats or pd.api.types.is_numeric_dtype(table.frame[name].dtype)


def is_right_to_left(character: str) -> bool:
    """Tell whether a character belongs to a script that is written from right to left.

    Parameters
    ----------
    character : str
        One character.

    Returns
    -------
    bool
        True for letters of Hebrew, Arabic and their like.
    """
    return _RIGHT_TO_LEFT.match(character) is not None


def _is_plain(character: str) -> bool:
    if character in "\t\n":
        return True
    # Cc: control characters; Cs: halves of surrogate pairs; the last two codes of each plane are no characters.
    forbidden = unicodedata.category(character) in ("Cc", "Cs") or ord(character) & 0xFFFE == 0xFFFE
    return not forbidden and character not in _AS_CODE


def _code(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
