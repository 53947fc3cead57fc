"""Charts of a report as matplotlib figures: for paper, told apart without colour, and without global plot state."""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from textwrap import wrap
from typing import Any

import numpy as np

from skdrfm.report._chart_figures import numbers
from skdrfm.report._content import Chart
from skdrfm.report._draw_axes import INK, SMALL, drawable, families
from skdrfm.report._draw_bars import draw_bars, draw_stacked
from skdrfm.report._draw_cells import draw_heatmap
from skdrfm.report._draw_lines import draw_lines, draw_spans

_DRAWERS: dict[str, Callable[[Any, Chart], None]] = {
    "line": draw_lines,
    "bar": draw_bars,
    "stacked": draw_stacked,
    "heatmap": draw_heatmap,
    "spans": draw_spans,
}

# Names of axes of up to so many characters fit beside the lowest charts.
_SHORT_LABEL = 16

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": SMALL + 0.5,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": SMALL + 0.5,
    "grid.color": "#d9dde2",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.5,
    "legend.borderaxespad": 0.0,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "text.color": INK,
    # Names are shown as they are: a dollar sign in one starts no formula.
    "text.parse_math": False,
    "xtick.color": INK,
    "xtick.labelsize": SMALL,
    "ytick.color": INK,
    "ytick.labelsize": SMALL,
}


def draw_chart(chart: Chart, *, width: float = 6.5) -> Any:
    """Draw a chart of a report.

    Series differ in colour (of a palette for any colour vision) and in dashes, markers or hatches; a missing figure
    leaves a gap. The caption is not drawn: it stands below the figure in the document.

    Parameters
    ----------
    chart : Chart
        What to draw.
    width : float, default=6.5
        Width in inches; the text is for this size on paper. The height comes from what there is to draw.

    Returns
    -------
    matplotlib.figure.Figure
        A figure that belongs to no window and not to pyplot.

    Raises
    ------
    PanelError
        If figures to be drawn are not numbers, or spans have no ``start``, ``end`` and ``kind``.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.report._content import Chart
    >>> from skdrfm.report._draw import draw_chart
    >>> wealth = pd.DataFrame({"LSTM": [1.0, 1.1]}, index=pd.PeriodIndex(["2020-01", "2020-02"], freq="M"))
    >>> figure = draw_chart(Chart("Compounded wealth", wealth, y_label="Wealth"))
    >>> figure.axes[0].get_ylabel()
    'Wealth'
    """
    with _style(chart):
        figure = _draw(chart, width)
        # Ticks are made when they are first needed: now, while our settings hold.
        figure.draw_without_rendering()
    return figure


def draw_png(chart: Chart, *, width: float = 6.5, dpi: int = 200) -> bytes:
    """Draw a chart of a report as a picture.

    Parameters
    ----------
    chart : Chart
        What to draw.
    width : float, default=6.5
        Width in inches.
    dpi : int, default=200
        Pixels per inch.

    Returns
    -------
    bytes
        A PNG file; the same chart gives the same bytes.
    """
    with _style(chart):
        buffer = io.BytesIO()
        # Without the version of matplotlib and the time in it.
        _draw(chart, width).savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def _draw(chart: Chart, width: float) -> Any:
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(width, 0.37 * width), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)
    if chart.frame.empty or (chart.kind != "spans" and np.isnan(numbers(chart)).all()):
        ax = figure.add_subplot()
        ax.axis("off")
        ax.text(0.5, 0.5, "No figures", ha="center", va="center")
        figure.set_figheight(0.15 * width)
    else:
        _DRAWERS[chart.kind](figure, chart)
        ax = figure.axes[0]
        ax.set(xlabel=drawable(chart.x_label), ylabel=drawable(chart.y_label))
        if len(chart.y_label) > _SHORT_LABEL:
            # How high the axes are is known once they are laid out.
            figure.draw_without_rendering()
            room = ax.get_window_extent().height / figure.dpi
            ax.set_ylabel("\n".join(wrap(drawable(chart.y_label), max(10, int(room / 0.08)))))
    return figure


@contextmanager
def _style(chart: Chart) -> Iterator[None]:
    """Our settings and matplotlib's defaults, whatever the user has set; all as before afterwards."""
    import matplotlib.style

    with matplotlib.style.context(["default", {**_STYLE, "font.family": families(chart)}]), warnings.catch_warnings():
        # Data that is flat or a single point makes an axis without length, which matplotlib widens and reports.
        warnings.filterwarnings("ignore", message="Attempting to set identical", category=UserWarning)
        yield
