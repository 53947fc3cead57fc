"""Axes of a new figure, colours, and the date axis that every chart of a panel shares."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray, FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.panel._index import calendar_ordinals

# Okabe and Ito's colours that stand out on white and on black, told apart with any colour vision.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F7F7F")

_DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))


def line_style(number: int) -> tuple[str, Any]:
    """Colour and dashes of a line by its number: each colour solid, then each dashed, then each dotted."""
    return PALETTE[number % len(PALETTE)], _DASHES[number // len(PALETTE) % len(_DASHES)]


def legend_beside(ax: Any, *handles_and_names: Any, **options: Any) -> None:
    """Put the legend to the right of the axes, where it covers nothing."""
    ax.legend(*handles_and_names, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, **options)


def new_axes(height: float = 4.5) -> Any:
    """Axes of a new figure of pyplot, which is imported only here."""
    return _new_figure_axes(height)


def new_axes_pair(height: float, ratios: tuple[float, float], *, share_dates: bool) -> tuple[Any, Any]:
    """Two axes of a new figure, one above the other; with the same horizontal axis if they share their dates."""
    upper, lower = _new_figure_axes(height, nrows=2, sharex=share_dates, height_ratios=ratios)
    return upper, lower


def _new_figure_axes(height: float, **options: Any) -> Any:
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(figsize=(8, height), layout="constrained", **options)
    return axes


def check_axes_pair(axes: Any) -> tuple[Any, Any]:
    """Two axes as given, or an error that says what they are for."""
    given = list(np.ravel(np.asarray(axes, dtype=object)))
    if len(given) != 2:
        raise PanelError(
            f"'axes' must be two matplotlib Axes, for the upper and the lower chart. Got {len(given)}. Make them with "
            "plt.subplots(2), or pass None."
        )
    return given[0], given[1]


def time_axis(dates: pd.Index) -> Any:
    """Days for labels that can be read as dates, so that a year is as wide as another; else the labels."""
    try:
        return calendar_ordinals(dates, "D").astype("datetime64[D]")
    except PanelError:
        return dates.to_numpy()


def label_dates(ax: Any, positions: Any) -> None:
    """Label the horizontal axis with a few short dates, where positions are days."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    if np.issubdtype(np.asarray(positions).dtype, np.datetime64) and len(positions) > 1:
        locator = AutoDateLocator(minticks=3, maxticks=7)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def label_all_dates(ax: Any, positions: Any, dates: pd.Index) -> None:
    """Label a few dates, or every one of up to three, around which matplotlib would make up others."""
    if len(dates) > 3:
        label_dates(ax, positions)
    else:
        ax.set_xticks(positions, [short_date(date) for date in dates])


def short_date(date: Any) -> str:
    """Date without its time of day, if that is midnight."""
    if isinstance(date, pd.Timestamp) and date == date.normalize():
        return date.date().isoformat()
    return str(date)


def bar_edges(ax: Any, positions: Any) -> tuple[FloatArray, FloatArray]:
    """Left edges and widths of bars that meet half way between dates, and leave a gap where dates are missing."""
    # The axis turns dates, or labels that are no dates, into its numbers, which can be halved.
    ax.xaxis.update_units(positions)
    centres = np.asarray(ax.convert_xunits(positions), dtype=np.float64)
    if len(centres) == 1:
        return centres - 0.4, np.array([0.8])
    steps = np.diff(centres)
    # Months differ by a tenth; what is much longer than the typical step is a gap.
    steps = np.minimum(steps, 1.25 * np.median(steps))
    left = centres - np.append(steps[0], steps) / 2
    right = centres + np.append(steps, steps[-1]) / 2
    return left, right - left


def percent_axis(axis: Any) -> None:
    """Show the decimals of an axis as percents."""
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(xmax=1))


def count_of_dates(n_dates: int) -> str:
    """Put a number of dates into words."""
    return f"{n_dates} date" if n_dates == 1 else f"{n_dates} dates"


def number(value: float, digits: int) -> str:
    """Write a number with a true minus sign, and no sign where it rounds to 0."""
    return f"{value:z.{digits}f}".replace("-", "−")


def heat_cells(
    ax: Any, values: FloatArray, texts: list[list[str]], *, largest: float, bold: BoolArray | None = None
) -> None:
    """Draw numbers as cells, red below a white 0 and blue above it, each with its text; grey where there is none.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw; the first row is on top.
    values : ndarray of shape (n_rows, n_columns)
        Numbers; NaN for no number.
    texts : list of n_rows lists of n_columns str
        What is written into the cells.
    largest : float
        Size of a number that has the full colour; larger ones have it too.
    bold : ndarray of shape (n_rows, n_columns), default=None
        Cells whose text is bold.
    """
    from matplotlib import colormaps

    n_rows, n_columns = values.shape
    ax.imshow(
        np.ma.masked_invalid(values),
        cmap=colormaps["RdBu"].with_extremes(bad="0.92"),
        vmin=-largest,
        vmax=largest,
        aspect="auto",
        interpolation="nearest",
    )
    for i, j in np.ndindex(n_rows, n_columns):
        # The colours are dark from about seven tenths of their range on.
        dark = abs(values[i, j]) > 0.7 * largest
        weight = "bold" if bold is not None and bold[i, j] else "normal"
        colour = "white" if dark else "black"
        ax.text(j, i, texts[i][j], ha="center", va="center", color=colour, fontsize=8, fontweight=weight)
    bare_cells(ax, n_rows, n_columns, gap=1.0)


def bare_cells(ax: Any, n_rows: int, n_columns: int, *, gap: float) -> None:
    """Take ticks, grid and frame off a chart of cells; thin gaps show where a cell ends, also between those alike."""
    ax.tick_params(which="both", length=0)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    if gap:
        ax.vlines(np.arange(1, n_columns) - 0.5, -0.5, n_rows - 0.5, color="white", linewidth=gap)
        ax.hlines(np.arange(1, n_rows) - 0.5, -0.5, n_columns - 0.5, color="white", linewidth=gap)
