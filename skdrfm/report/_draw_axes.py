"""What the drawn charts of a report share: text that can be drawn, positions and labels of axes, legends."""

import re
from collections.abc import Sequence
from functools import cache
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray
from skdrfm.exceptions import PanelError
from skdrfm.panel._index import calendar_ordinals
from skdrfm.panel._plot import PALETTE, label_dates, time_axis
from skdrfm.report._chart_figures import write_figure
from skdrfm.report._content import Chart
from skdrfm.report._printable import label_text, printable, shorten

INK = "#1f2328"
SMALL = 8.0
"""Size of labels in points; readable on paper when the figure is as wide as it was drawn."""

# One of each for a series; dashes and markers repeat later than colours, so that no two lines look the same.
COLOURS = PALETTE
DASHES: tuple[Any, ...] = ("-", (0, (6, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5)), (0, (10, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----", "++++", "||||", "oooo")

# For names in scripts that the first font lacks, where one of these is installed.
_FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Yu Gothic",
    "Hiragino Sans",
    "Microsoft YaHei",
    "PingFang SC",
    "Malgun Gothic",
    "Arial Unicode MS",
)
_LONGEST = 44
_FIXED = re.compile(r"([,+]?)\.(\d+)([f%])")


@cache
def _fonts() -> tuple[tuple[str, Any], ...]:
    from matplotlib.font_manager import findfont, fontManager, get_font

    installed = {entry.name for entry in fontManager.ttflist}
    return tuple((name, get_font(findfont(name))) for name in _FONTS if name in installed)


def families(chart: Chart) -> list[str]:
    """Choose the fonts for the names of a chart: the first one alone unless a name needs more."""
    frame = chart.frame
    texts = [*map(str, frame.columns), *map(str, frame.index), chart.x_label, chart.y_label]
    letters = {ord(letter) for text in texts for letter in text}
    if chart.kind == "spans":
        letters |= {ord(letter) for kind in frame.get("kind", ()) for letter in str(kind)}
    (first, font), *others = _fonts()
    lacking = {letter for letter in letters if not font.get_char_index(letter)}
    return [first, *(name for name, other in others if any(other.get_char_index(letter) for letter in lacking))]


def drawable(text: object) -> str:
    """Write what no installed font can draw as its code, instead of an empty box that fits any letter."""
    return "".join(letter if _is_drawable(letter) else f"\\u{ord(letter):04x}" for letter in printable(text))


def _is_drawable(letter: str) -> bool:
    return letter in "\n\t" or any(font.get_char_index(ord(letter)) for _, font in _fonts())


def short(label: object, width: int = _LONGEST) -> str:
    """Write a name for an axis or a legend; the middle of a long one is left out."""
    return shorten(" ".join(drawable(label_text(label)).split()), width)


def is_calendar(labels: pd.Index) -> bool:
    """Tell whether labels are dates in the order of time."""
    try:
        return bool((np.diff(calendar_ordinals(labels, "D")) > 0).all())
    except PanelError:
        return False


def short_dates(labels: pd.Index) -> list[str]:
    """Labels as text; of dates with at most one in a month, the months."""
    if is_calendar(labels):
        months = calendar_ordinals(labels, "M")
        if len(np.unique(months)) == len(months):
            return [str(pd.Period(ordinal=int(month), freq="M")) for month in months]
    return [short(label, 28) for label in labels]


def place(ax: Any, labels: pd.Index) -> AnyArray:
    """Put labels on the horizontal axis and return their positions: dates, growing numbers, or one after another."""
    if is_calendar(labels):
        positions: AnyArray = time_axis(labels)
        ax.xaxis.update_units(positions)
        if len(labels) > 6:
            label_dates(ax, positions)
        else:
            ax.set_xticks(positions, short_dates(labels))
        return positions
    is_number = pd.api.types.is_numeric_dtype(labels.dtype) and not pd.api.types.is_bool_dtype(labels.dtype)
    if is_number and labels.is_monotonic_increasing and labels.is_unique and len(labels) > 1:
        from matplotlib.ticker import MaxNLocator

        whole = pd.api.types.is_integer_dtype(labels.dtype)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=whole, steps=[1, 2, 5, 10]))
        return labels.to_numpy(dtype=np.float64)
    label_columns(ax, labels)
    return np.arange(len(labels))


def label_columns(ax: Any, labels: pd.Index) -> None:
    """Name the positions 0, 1, 2 and so on of the horizontal axis; turned, smaller or fewer where room is short."""
    texts = short_dates(labels)
    room = 12.5 * ax.figure.get_figwidth()
    longest = max(map(len, texts))
    n = len(texts)
    if n * (longest + 2) <= room:
        ax.set_xticks(range(n), texts)
    elif is_calendar(labels) or n > room / 1.6:
        shown = range(0, n, int(np.ceil(n * (longest + 3) / room)))
        ax.set_xticks(list(shown), [texts[i] for i in shown])
    else:
        size = SMALL if n <= room / 2.2 else 6.5
        ax.set_xticks(range(n), texts, rotation=90 if n > 14 else 40, fontsize=size)
        if n <= 14:
            for label in ax.get_xticklabels():
                label.set(ha="right", rotation_mode="anchor")


def label_rows(ax: Any, labels: pd.Index, height: float) -> None:
    """Name the positions 0, 1, 2 and so on of the vertical axis; fewer where `height` inches are too few for all."""
    texts = short_dates(labels)
    step = 1
    if len(texts) * 0.115 > height:
        # Rounded up to what people count by.
        needed = len(texts) * 0.19 / height
        step = next((steps for steps in (2, 3, 6, 12, 24, 60) if steps >= needed), int(np.ceil(needed)))
    shown = range(0, len(texts), step)
    small = len(texts) / step * 0.14 > height
    ax.set_yticks(list(shown), [texts[i] for i in shown], fontsize=6.5 if small else SMALL)


def format_axis(axis: Any, spec: str) -> None:
    """Write the ticks of an axis by a specification, with as many digits as tell them apart and no more."""
    from matplotlib.ticker import Formatter

    class Ticks(Formatter):
        def __call__(self, value: float, position: int | None = None) -> str:
            return write_figure(value, spec)

        def format_ticks(self, values: Sequence[float]) -> list[str]:
            return tick_texts([float(value) for value in values], spec)

    axis.set_major_formatter(Ticks())


def tick_texts(values: list[float], spec: str) -> list[str]:
    """Write evenly spaced figures with as few digits as show each exactly.

    Parameters
    ----------
    values : list of float
        Figures at the ticks of an axis.
    spec : str
        Format specification; digits change only of those like ``".2f"`` and ``".1%"``.

    Returns
    -------
    list of str
        Texts of the figures.
    """
    found = _FIXED.fullmatch(spec)
    if found is None or len(values) < 2:
        return [write_figure(value, spec) for value in values]
    sign, _, kind = found.groups()
    step = float(np.abs(np.diff(values)).min())
    for digits in range(10):
        shift = digits + (2 if kind == "%" else 0)
        if np.abs(np.round(values, shift) - values).max() <= 1e-3 * step:
            break
    return [write_figure(value, f"{sign}.{digits}{kind}") for value in values]


def draw_reference(ax: Any, chart: Chart, *, upright: bool = False) -> None:
    """Draw the thin line of a level that figures are compared with."""
    if chart.reference is not None:
        line = ax.axvline if upright else ax.axhline
        line(chart.reference, color="0.35", linewidth=0.8, zorder=1.5)


def add_legend(figure: Any, handles: list[Any], labels: list[str], *, handle_length: float = 2.2) -> None:
    """Name series below the axes, in as many columns as the names leave room for."""
    texts = ["\n".join(wrap(text, 30)) or " " for text in labels]
    longest = max(len(line) for text in texts for line in text.split("\n"))
    columns = max(1, min(len(texts), int(13.0 * figure.get_figwidth() / (longest + 2 * handle_length + 3))))
    # As many rows as needed, with columns of about the same length.
    rows = int(np.ceil(len(texts) / columns))
    columns = int(np.ceil(len(texts) / rows))
    figure.set_figheight(figure.get_figheight() + 0.15 * rows * max(text.count("\n") + 1 for text in texts) + 0.05)
    figure.legend(
        handles, texts, loc="outside lower center", ncols=columns, handlelength=handle_length, columnspacing=1.4
    )
