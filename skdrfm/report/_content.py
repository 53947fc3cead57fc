"""What a report says, before it is known in which format: sections of text, tables and charts.

Builders turn results into sections; writers turn sections into HTML, Word or Markdown. So each format has the same
numbers, and no number is typed in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from skdrfm.panel._plot import short_date

NO_FIGURE = "n/a"


@dataclass(frozen=True, eq=False)
class Text:
    """A paragraph of plain text.

    Parameters
    ----------
    text : str
        The paragraph; formats escape it.
    kind : {"plain", "caution"}, default="plain"
        Cautions are set apart from the rest.
    """

    text: str
    kind: Literal["plain", "caution"] = "plain"


@dataclass(frozen=True, eq=False)
class Table:
    """Figures in rows and columns.

    Parameters
    ----------
    caption : str
        What the table shows, with units.
    frame : DataFrame of shape (n_rows, n_columns)
        Raw figures or text; one level of index and of columns.
    formats : mapping of str to str, default={}
        Column to its format specification, as in ``".2f"`` or ``".1%"``. Other columns are written as text.
    best : mapping of str to {"max", "min"}, default={}
        Columns whose best figure is marked, and which end is best.
    readings : mapping of str to str, default={}
        Column to one sentence that says how to read it.
    note : str, default=""
        A remark below the table.
    """

    caption: str
    frame: pd.DataFrame
    formats: Mapping[str, str] = field(default_factory=dict)
    best: Mapping[str, Literal["max", "min"]] = field(default_factory=dict)
    readings: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def __post_init__(self) -> None:
        _keep(self)

    def texts(self) -> pd.DataFrame:
        """Write each cell as it should be read.

        Returns
        -------
        DataFrame of str of the shape of frame
            ``"n/a"`` where there is no figure; no negative zeros.
        """
        columns = {
            name: [format_figure(value, self.formats.get(name, "")) for value in self.frame[name]]
            for name in self.frame.columns
        }
        return pd.DataFrame(columns, index=self.frame.index, dtype=object)

    def best_rows(self) -> dict[str, set[Any]]:
        """Find the rows with the best figure of each column in `best`; none where fewer than two rows have one.

        Returns
        -------
        dict of str to set
            Labels of rows whose text is that of the best, so that what reads the same is marked the same.
        """
        texts = self.texts()
        found: dict[str, set[Any]] = {}
        for name, end in self.best.items():
            known = self.frame[name].dropna()
            if len(known) > 1:
                first: Any = known.idxmax() if end == "max" else known.idxmin()
                found[name] = set(texts.index[texts[name] == texts.loc[first, name]])
        return found


@dataclass(frozen=True, eq=False)
class Chart:
    """Figures to be drawn.

    Parameters
    ----------
    caption : str
        What the chart shows; it stands for the drawing where the drawing cannot be seen.
    frame : DataFrame of shape (n_points, n_series)
        "line", "stacked": a series in each column over the index; "bar": bars of each column beside each other at
        each label of the index; "heatmap": one cell for each row and column; "spans": columns ``start``, ``end`` and
        ``kind``, a bar from start to end for each row, rows with the same label of the index in one line.
    kind : {"line", "bar", "stacked", "heatmap", "spans"}, default="line"
        How to draw.
    x_label, y_label : str, default=""
        Names of the axes, with units.
    y_format : str, default=".2f"
        Format specification of the drawn figures, such as ``".1%"``.
    reference : float, default=None
        A level to draw a thin line at, such as 0 for returns or 1 for wealth.
    reading : str, default=""
        One sentence that says how to read it.
    """

    caption: str
    frame: pd.DataFrame
    kind: Literal["line", "bar", "stacked", "heatmap", "spans"] = "line"
    x_label: str = ""
    y_label: str = ""
    y_format: str = ".2f"
    reference: float | None = None
    reading: str = ""

    def __post_init__(self) -> None:
        _keep(self)


Block: TypeAlias = Text | Table | Chart


@dataclass(frozen=True, eq=False)
class Section:
    """Blocks under a heading.

    Parameters
    ----------
    title : str
        Heading.
    anchor : str
        Name of the place, for links: lower case letters and hyphens.
    blocks : tuple of Text, Table or Chart
        In reading order.
    """

    title: str
    anchor: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, eq=False)
class Content:
    """All that a report says.

    Parameters
    ----------
    title : str
        Title of the report.
    summary : tuple of Text
        What comes below the title: what was tested, on what, when.
    sections : tuple of Section
        In reading order.
    manifest : mapping
        What is needed to make it again: versions, seed, hash of the data, options.
    """

    title: str
    summary: tuple[Text, ...]
    sections: tuple[Section, ...]
    manifest: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "manifest", MappingProxyType(dict(self.manifest)))


def format_figure(value: Any, spec: str) -> str:
    """Write one figure.

    Parameters
    ----------
    value : object
        Number or text.
    spec : str
        Format specification; empty for text.

    Returns
    -------
    str
        ``"n/a"`` for a missing or infinite number; a zero has no sign, and a date no time of day if it is midnight.
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return NO_FIGURE
    if isinstance(value, float | np.floating) and not np.isfinite(value):
        return NO_FIGURE
    if not spec or isinstance(value, str):
        return short_date(value)
    text = format(value, spec)
    return text.lstrip("-") if not any(digit in text for digit in "123456789") else text


def _keep(block: Table | Chart) -> None:
    object.__setattr__(block, "frame", block.frame.copy())
    for name in ("formats", "best", "readings"):
        if hasattr(block, name):
            object.__setattr__(block, name, MappingProxyType(dict(getattr(block, name))))
