"""Heat maps as drawn charts of a report."""

from typing import Any

import numpy as np

from skdrfm._typing import AnyArray, FloatArray
from skdrfm.panel._plot import bare_cells
from skdrfm.report._chart_figures import numbers, write_figure
from skdrfm.report._content import NO_FIGURE, Chart
from skdrfm.report._draw_axes import SMALL, format_axis, label_columns, label_rows, short

_MISSING = "#e4e6e9"


def draw_heatmap(figure: Any, chart: Chart) -> None:
    """Draw a cell for each row and column, the first row on top.

    Figures of one sign go from white to dark. With figures below 0 (or below the reference), blue is above, red is
    below, and red cells carry a dash; hatched grey is a missing figure. Few cells have their figures written in them.

    Parameters
    ----------
    figure : matplotlib Figure
        Where to draw.
    chart : Chart
        A chart of kind "heatmap".
    """
    frame = chart.frame
    values = numbers(chart)
    n_rows, n_columns = values.shape
    height = float(np.clip((0.24 if n_columns <= 20 else 0.155) * n_rows, 0.8, 7.6))
    names = max(len(short(label, 28)) for label in frame.columns)
    figure.set_figheight(height + 0.7 + (0.04 * names if n_columns > 8 else 0.0))
    ax = figure.add_subplot()
    centre = chart.reference if chart.reference is not None else 0.0
    is_signed = chart.reference is not None or bool((values < 0).any())
    image = _paint(ax, values, centre, is_signed)
    label_columns(ax, frame.columns)
    label_rows(ax, frame.index, height)
    texts = [[write_figure(value, chart.y_format) for value in row] for row in values]
    longest = max(len(text) for row in texts for text in row)
    # Names of rows take their part of the width.
    room = figure.get_figwidth() - 0.065 * max(len(short(label, 28)) for label in frame.index) - 0.9
    size = min(SMALL, 72 * room / n_columns / (longest + 1) / 0.62, 72 * height / n_rows / 1.25)
    has_texts = size >= 5.5
    if has_texts:
        _write_cells(ax, image, values, texts, size)
    bar = figure.colorbar(image, ax=ax, pad=0.02, fraction=0.05, aspect=max(8, 3.5 * height))
    bar.outline.set_visible(False)
    format_axis(bar.ax.yaxis, chart.y_format)
    below = is_signed and not has_texts and bool((values < centre).any())
    if below:
        rows, columns = np.nonzero(values < centre)
        points = min(72 * room / n_columns, 72 * height / n_rows)
        ax.scatter(columns, rows, marker="_", s=(0.5 * points) ** 2, linewidths=0.6, color="black")
    _explain(ax, below, write_figure(centre, "g"), bool(np.isnan(values).any()) and not has_texts)


def _paint(ax: Any, values: FloatArray, centre: float, is_signed: bool) -> Any:
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    known = values[np.isfinite(values)]
    if is_signed:
        largest = float(np.abs(known - centre).max(initial=0.0)) or 1.0
        norm = Normalize(centre - largest, centre + largest)
    else:
        norm = Normalize(*_range(known))
    ax.set_facecolor(_MISSING)
    # Behind the cells, so that it is seen where there is none.
    ax.patch.set(hatch="//////", edgecolor="#b4b9bf", linewidth=0.0)
    image = ax.imshow(
        np.ma.masked_invalid(values),
        cmap=colormaps["RdBu" if is_signed else "Blues"],
        norm=norm,
        aspect="auto",
        interpolation="nearest",
    )
    longer = max(values.shape)
    bare_cells(ax, *values.shape, gap=0.8 if longer <= 40 else 0.4 if longer <= 120 else 0.0)
    return image


def _range(known: AnyArray) -> tuple[float, float]:
    """Find the ends of the colours; those of shares and correlations that are all high do not start at 0."""
    if not len(known):
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    if low > 0.5 * high:
        low -= 0.25 * (high - low)
    else:
        low = 0.0
    return (low, high) if high > low else (min(0.0, low), high or 1.0)


def _write_cells(ax: Any, image: Any, values: FloatArray, texts: list[list[str]], size: float) -> None:
    colours = image.cmap(image.norm(values))
    # Weights of red, green and blue in the lightness that an eye sees.
    lightness = colours[..., :3] @ np.array([0.299, 0.587, 0.114])
    for i, j in np.ndindex(*values.shape):
        is_dark = np.isfinite(values[i, j]) and lightness[i, j] < 0.52
        text = texts[i][j] if np.isfinite(values[i, j]) else NO_FIGURE
        ax.text(j, i, text, ha="center", va="center", fontsize=size, color="white" if is_dark else "black")


def _explain(ax: Any, below: bool, centre: str, missing: bool) -> None:
    said = [f"dash: below {centre}"] * below + ["hatched: no figure"] * missing
    if said:
        ax.set_title("; ".join(said).capitalize(), loc="right", fontsize=6.5, pad=3)
