"""Where the figures come from: windows, coverage, and what became of the rows."""

from itertools import pairwise

import numpy as np
import pandas as pd

from skdrfm.panel._plot import short_date
from skdrfm.report._content import Block, Chart, Section, Table, Text
from skdrfm.report._sections_subject import Absent, Part, Subject, as_rows, chart_dates
from skdrfm.report._tables import row_counts
from skdrfm.utils._words import plural

_NO_STUDY = "backtests do not say what their forecasts were made from"
_BORDERS = {
    "train_start": "First training date",
    "train_end": "Last training date",
    "test_start": "First test date",
    "test_end": "Last test date",
}
_SIZES = {
    "train_dates": "Training dates",
    "train_rows": "Training rows",
    "test_dates": "Test dates",
    "test_rows": "Test rows",
}


def windows_part(subject: Subject) -> Part:
    """Training and test windows."""
    if subject.study is None:
        return Part(None, (Absent("the fold plan", _NO_STUDY),))
    windows = subject.study.windows
    ends = sorted({0, len(windows) - 1})
    shown = windows.iloc[ends]
    borders = shown[list(_BORDERS)].map(short_date).rename(columns=_BORDERS)
    sizes = shown[[name for name in _SIZES if name in windows]].rename(columns=_SIZES)
    # Numbers from 1, as people count.
    numbers = [str(i + 1) for i in ends]
    table = pd.concat([borders, sizes], axis=1).set_axis(numbers, axis=0).rename_axis("Window")
    blocks = (
        Chart(
            caption=f"Fold plan: {plural(len(windows), 'window')}",
            frame=_spans(windows),
            kind="spans",
            x_label="Date",
            y_label="Window",
            reading="Models learn from the training dates and forecast the test dates of the same line. A bar ends "
            "when its last return is known, so no test bar may begin before its training bar ends.",
        ),
        Table(
            caption="First and last window" if len(ends) > 1 else "The window",
            frame=table,
            formats=dict.fromkeys(sizes.columns, ",d"),
        ),
    )
    return Part(Section("Fold plan", "fold-plan", blocks))


def _spans(windows: pd.DataFrame) -> pd.DataFrame:
    """Two bars for each window; each ends where the period after its last date ends."""
    borders = pd.concat([windows[name] for name in _BORDERS], ignore_index=True)
    dates = chart_dates(pd.Index(borders))
    starts_and_ends = pd.DataFrame(np.asarray(dates, dtype=object).reshape(4, -1).T, columns=list(_BORDERS))
    known = pd.Index(sorted(set(dates)))
    following = dict(pairwise(known))
    # The plan does not know the date after the last test date: monthly studies end a month later.
    following[known[-1]] = known[-1] + pd.DateOffset(months=1) if isinstance(dates, pd.DatetimeIndex) else known[-1] + 1
    parts = [
        pd.DataFrame(
            {
                "start": starts_and_ends[f"{part}_start"].to_list(),
                "end": [following[date] for date in starts_and_ends[f"{part}_end"]],
                "kind": kind,
            },
            index=pd.RangeIndex(1, len(windows) + 1, name="Window"),
        )
        for part, kind in (("train", "Training"), ("test", "Test"))
    ]
    # Training comes first in each line.
    return pd.concat(parts).sort_index(kind="stable")


def coverage_part(subject: Subject) -> Part:
    """Share of assets with a value of each descriptor."""
    if subject.study is None or subject.study.coverage.empty:
        because = _NO_STUDY if subject.study is None else "the study does not say which values were missing"
        return Part(None, (Absent("data coverage", because),))
    coverage = subject.study.coverage
    lowest = pd.DataFrame(
        {
            "Mean": coverage.mean(),
            "Lowest": coverage.min(),
            "Date of the lowest": coverage.idxmin().map(short_date),
        }
    )
    blocks = (
        Table(
            caption="Coverage: share of the assets of a date that have a value of the descriptor, before ranking",
            frame=lowest.set_axis([str(name) for name in lowest.index], axis=0).rename_axis("Descriptor"),
            formats={"Mean": ".1%", "Lowest": ".1%"},
            readings={"Date of the lowest": "The first such date."},
        ),
        Chart(
            caption="Coverage by date",
            frame=as_rows(coverage),
            kind="heatmap",
            x_label="Date",
            y_label="Descriptor",
            y_format=".0%",
            reading="All dates of the panel that was given. A row whose colour changes at one date says that a source "
            "begins or ends there.",
        ),
    )
    return Part(Section("Data coverage", "coverage", blocks))


def rows_part(subject: Subject) -> Part:
    """Rows given and dropped, and values that were filled."""
    study = subject.study
    if study is None:
        return Part(None, (Absent("rows given and dropped", _NO_STUDY),))
    counts = pd.DataFrame(row_counts(study), columns=["Rows", "Number"]).set_index("Rows")
    blocks: list[Block] = [
        Table(
            caption="What became of the rows of the panel (one row is one asset in one month)",
            frame=counts,
            formats={"Number": ",d"},
        )
    ]
    missing = study.manifest["missing_cells_ranked_neutral"]
    if missing:
        blocks.append(
            Table(
                caption="Missing values by descriptor",
                frame=pd.DataFrame({"Number": missing}).rename_axis("Descriptor"),
                formats={"Number": ",d"},
                note="They entered as the neutral rank 0.",
            )
        )
    else:
        blocks.append(Text("No descriptor had a missing value."))
    return Part(Section("Rows of the panel", "rows", tuple(blocks)))
