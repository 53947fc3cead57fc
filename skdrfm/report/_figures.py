"""Figures of a study as SVG text: the same study gives the same bytes, and no global plot state is touched."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from skdrfm.inspection import ContributionDisplay
from skdrfm.model_selection import WindowPlanDisplay
from skdrfm.panel._plot import PALETTE
from skdrfm.portfolio import CumulativeReturnDisplay
from skdrfm.study import StudyResult

# Colours of text and background; on the page they give way to those of the light or dark theme.
_INK, _PAPER, _GRID = "#1f2328", "#fdfefd", "#d5d9de"
_THEMED = {_INK: "var(--ink)", _PAPER: "var(--paper)", _GRID: "var(--rule)"}

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": _INK,
    "axes.facecolor": _PAPER,
    "axes.grid": True,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "figure.facecolor": _PAPER,
    "savefig.facecolor": _PAPER,
    "font.size": 10,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
    "svg.hashsalt": "skdrfm",
    "text.color": _INK,
    # Names are shown as they are: a dollar sign in one starts no formula.
    "text.parse_math": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


@dataclass(frozen=True)
class Figure:
    """One figure in two widths.

    Parameters
    ----------
    name : str
        Stem of its file.
    wide, narrow : str
        SVG documents for a desk and for a telephone.
    """

    name: str
    wide: str
    narrow: str


def draw_figures(study: StudyResult) -> dict[str, Figure]:
    """Draw the figures of a study.

    Parameters
    ----------
    study : StudyResult
        The finished study.

    Returns
    -------
    dict of str to Figure
        ``"long_short"``, ``"contributions"`` (if a model is explained) and ``"windows"``.
    """
    drawers: dict[str, Callable[[Any, StudyResult, bool], None]] = {"long_short": _draw_long_short}
    if study.contributions:
        drawers["contributions"] = _draw_contributions
    drawers["windows"] = _draw_windows
    return {
        name: Figure(name, wide=_to_svg(drawer, study, wide=True), narrow=_to_svg(drawer, study, wide=False))
        for name, drawer in drawers.items()
    }


def inline_svg(svg: str, prefix: str) -> str:
    """Make an SVG document part of a page: no prolog, names of its own, colours of the page.

    Parameters
    ----------
    svg : str
        The document, as drawn by `draw_figures`.
    prefix : str
        Put before each id, so that figures on one page do not refer to each other's parts.

    Returns
    -------
    str
        One svg element.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = re.sub(r'href="#', f'href="#{prefix}-', body)
    body = body.replace("url(#", f"url(#{prefix}-")
    for colour, variable in _THEMED.items():
        body = body.replace(colour, variable)
    # The width comes from the page; the view box keeps the proportions.
    return re.sub(
        r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", re.sub(r'(<svg [^>]*?)height="[^"]*" ', r"\1", body, count=1)
    )


def _to_svg(drawer: Callable[[Any, StudyResult, bool], None], study: StudyResult, *, wide: bool) -> str:
    with _style() as figure_class:
        figure = figure_class(figsize=(12.0, 4.4) if wide else (5.0, 4.6), layout="constrained")
        drawer(figure, study, wide)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


@contextmanager
def _style() -> Iterator[Any]:
    """Our settings and matplotlib's defaults, whatever the user has set; all as before afterwards."""
    import matplotlib.figure
    import matplotlib.style
    from cycler import cycler

    lines = cycler(linestyle=["-", (0, (4, 1.5))]) * cycler(color=list(PALETTE))
    with matplotlib.style.context(["default", {**_STYLE, "axes.prop_cycle": lines}]):
        yield matplotlib.figure.Figure


def _draw_long_short(figure: Any, study: StudyResult, wide: bool) -> None:
    ax = figure.add_subplot()
    display = CumulativeReturnDisplay.from_backtests(study.backtests).plot(ax)
    last = display.to_frame().ffill().iloc[-1]
    lines = dict(zip(last.index, ax.get_lines(), strict=False))
    if len(display.to_frame()) == 1:
        for line in lines.values():
            line.set_marker("o")  # a single month makes no line
    # Best first, so that the legend reads like the right end of the chart.
    order = list(last.sort_values(ascending=False, kind="stable").index)
    _replace_legend(
        ax, [lines[name] for name in order], [f"{name} ({_signed_percent(last[name])})" for name in order], wide
    )
    ax.set_title("Compounded long/short return after costs")
    ax.margins(x=0.01)
    _readable_dates(ax, wide)


def _signed_percent(value: float) -> str:
    return f"{100 * value:+.0f} %".replace("-", "−")


def _draw_contributions(figure: Any, study: StudyResult, wide: bool) -> None:
    n_models = len(study.contributions)
    figure.set_size_inches(figure.get_figwidth(), (2.5 if wide else 2.6) * n_models + (0.5 if wide else 1.2))
    axes = figure.subplots(n_models, 1, sharex=True, squeeze=False)[:, 0]
    for ax, (name, shares) in zip(axes, study.contributions.items(), strict=True):
        ContributionDisplay(shares).plot(ax, legend=False)
        ax.set(title=str(name), ylabel="Share" if not wide else "Share of contributions")
        ax.grid(visible=False)
        ax.label_outer()
        _readable_dates(ax, wide)
    shares = next(iter(study.contributions.values()))
    handles = axes[0].collections or [container[0] for container in axes[0].containers]
    names = [str(group) for group in shares.columns]
    if wide:
        figure.legend(handles[::-1], names[::-1], loc="outside right upper")
    else:
        figure.legend(handles, names, loc="outside lower center", ncols=3)


def _draw_windows(figure: Any, study: StudyResult, wide: bool) -> None:
    ax = figure.add_subplot()
    figure.set_size_inches(figure.get_figwidth(), 3.6)
    WindowPlanDisplay(study.windows).plot(ax)
    ax.grid(visible=False, axis="y")
    handles, names = ax.get_legend_handles_labels()
    _replace_legend(ax, handles, names, wide)
    _readable_dates(ax, wide)


def _replace_legend(ax: Any, handles: list[Any], names: list[str], wide: bool) -> None:
    ax.get_legend().remove()
    if wide:
        ax.figure.legend(handles, names, loc="outside right upper")
    else:
        ax.figure.legend(handles, names, loc="outside lower center", ncols=2)


def _readable_dates(ax: Any, wide: bool) -> None:
    """Thin the labels of a date axis; labels that are no dates stay as they are."""
    from matplotlib.dates import AutoDateFormatter, AutoDateLocator

    if isinstance(ax.xaxis.get_major_locator(), AutoDateLocator):
        # Labels are at most six months apart until years alone give as many as are asked for at least.
        locator = AutoDateLocator(minticks=4 if wide else 2, maxticks=12 if wide else 5)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(AutoDateFormatter(locator))
