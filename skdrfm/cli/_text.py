"""Tables for the terminal, narrow enough for 80 columns."""

from collections.abc import Sequence
from typing import Any


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, indent: str = "") -> str:
    r"""Align columns: the first to the left, the others to the right.

    Parameters
    ----------
    header : sequence of str
        Names of the columns; a line break makes a second line.
    rows : sequence of sequence of str
        The cells.
    indent : str, default=""
        What comes before each line.

    Returns
    -------
    str
        Lines without spaces at their ends.

    Examples
    --------
    >>> from skdrfm.cli._text import text_table
    >>> print(text_table(["model", "mean\n[%]"], [["LSTM", "1.25"], ["Linear", "-0.50"]]))
             mean
    model     [%]
    LSTM     1.25
    Linear  -0.50
    """
    heads = [name.split("\n") for name in header]
    height = max(map(len, heads))
    padded = [[""] * (height - len(lines)) + lines for lines in heads]
    lines = [*zip(*padded, strict=True), *rows]
    widths = [max(len(line[j]) for line in lines) for j in range(len(header))]
    return "\n".join(
        (
            indent
            + "  ".join(
                cell.rjust(width) if j else cell.ljust(width)
                for j, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
        ).rstrip()
        for line in lines
    )


def short(text: Any, width: int = 24) -> str:
    """Cut a long name off, so that one name does not break a table."""
    name = str(text)
    return name if len(name) <= width else name[: width - 3] + "..."


def percent(share: float, digits: int) -> str:
    """Write a decimal in percent; a zero has no sign."""
    return f"{100 * share:z.{digits}f}" if share == share else "n/a"
