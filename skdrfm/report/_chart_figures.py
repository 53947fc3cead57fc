"""The figures of a chart as every format draws and writes them."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray, BoolArray, FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.panel._plot import time_axis
from skdrfm.report._content import Chart, format_figure

_SPAN_COLUMNS = ("start", "end", "kind")


def numbers(chart: Chart) -> FloatArray:
    """Figures of a chart, shape (n_points, n_series); NaN where there is none."""
    try:
        values = chart.frame.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        types = ", ".join(sorted({str(kind) for kind in chart.frame.dtypes}))
        raise PanelError(
            f"The frame of a chart must hold numbers. Got columns of {types} in the chart {chart.caption!r}. Put text "
            "into a Table."
        ) from error
    return np.where(np.isfinite(values), values, np.nan)


def lone_points(values: FloatArray) -> BoolArray:
    """Tell which figures stand between two gaps, where they make no line."""
    known = np.isfinite(values)
    before, after = np.append(False, known[:-1]), np.append(known[1:], False)
    alone: BoolArray = known & ~before & ~after
    return alone


def write_figure(value: float, spec: str) -> str:
    """Write a figure with a true minus sign."""
    try:
        return format_figure(value, spec).replace("-", "−")
    except ValueError:
        # Specifications for whole numbers, such as "d".
        return format_figure(round(value), spec).replace("-", "−")


def figure_texts(values: Iterable[float], spec: str) -> list[str]:
    """Write figures onto bars or cells; nothing where there is none."""
    return [write_figure(value, spec) if np.isfinite(value) else "" for value in values]


def spans_of(chart: Chart) -> tuple[AnyArray, AnyArray]:
    """Put spans on an axis: dates by their time, numbers as they are, other labels by their order.

    Parameters
    ----------
    chart : Chart
        A chart of kind "spans".

    Returns
    -------
    starts, lengths : ndarray of shape (n_spans,)
        Of dates, moments and lengths in milliseconds. A span lasts until its end; one of periods until the last day of
        its last period is over. What is too short to be seen is as long as a line is wide.

    Raises
    ------
    PanelError
        If a column is missing, or a start, an end or a kind.
    """
    _check_spans(chart)
    frame = chart.frame
    if all(isinstance(frame[name].dtype, pd.PeriodDtype) for name in ("start", "end")):
        days = frame["start"].dt.start_time, frame["end"].dt.end_time.dt.ceil("D")
        starts, ends = (day.to_numpy().astype("datetime64[ms]") for day in days)
        return starts, _seen(starts, ends)
    both = pd.Index(pd.concat([frame["start"], frame["end"]], ignore_index=True))
    positions = time_axis(both)
    if positions.dtype.kind == "M":
        positions = positions.astype("datetime64[ms]")
    elif positions.dtype.kind not in "iuf":
        positions = pd.factorize(both, sort=True)[0]
    return positions[: len(frame)], _seen(positions[: len(frame)], positions[len(frame) :])


def _seen(starts: AnyArray, ends: AnyArray) -> AnyArray:
    lengths: AnyArray = ends - starts
    if not len(lengths):
        return lengths
    whole = ends.max() - starts.min()
    one = np.timedelta64(1, "D") if lengths.dtype.kind == "m" else 1
    seen: AnyArray = np.maximum(lengths, whole / 130 if whole else one)
    return seen


def _check_spans(chart: Chart) -> None:
    absent = [name for name in _SPAN_COLUMNS if name not in chart.frame.columns]
    if absent:
        raise PanelError(
            f"The frame of a chart of spans must have the columns {', '.join(_SPAN_COLUMNS)}. Missing in the chart "
            f"{chart.caption!r}: {', '.join(absent)}."
        )
    unknown = int(chart.frame[list(_SPAN_COLUMNS)].isna().any(axis=1).sum())
    if unknown:
        raise PanelError(
            f"Each span must have a start, an end and a kind. Got {unknown} rows without one in the chart "
            f"{chart.caption!r}. Leave them out."
        )
