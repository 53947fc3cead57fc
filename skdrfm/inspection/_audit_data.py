"""Checks of X and y by themselves: keys, full-sample scaling, and targets that stand among the columns."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray, IntArray
from skdrfm.inspection._audit_panel import AuditPanel, mean_by
from skdrfm.inspection._audit_report import Finding, NotApplicableError
from skdrfm.utils.validation import describe_first

# No single characteristic comes near: rank correlations with next month's return are below 0.1 in size
# (Gu, Kelly and Xiu 2020; Chen and Zimmermann 2022).
_TARGET_CORRELATION = 0.5
_SAME = 0.95
_MAX_DATES = 60
_MIN_ASSETS = 5
_MAX_VALUES = 2000


def find_duplicate_keys(panel: AuditPanel) -> Iterator[Finding]:
    """Find (date, asset) pairs that occur more than once."""
    repeated = panel.X.index.duplicated()
    if repeated.any():
        pairs = [tuple(map(str, pair)) for pair in panel.X.index[repeated].unique()[:4]]
        yield Finding(
            "duplicate_keys",
            "error",
            "Rows have the same date and asset.",
            f"{int(repeated.sum())} of {len(repeated)} rows repeat a pair, such as {describe_first(pairs)}.",
            "Find out which report or source is doubled and keep one row of each pair, the one known first.",
        )


def find_full_sample_scaling(panel: AuditPanel) -> Iterator[Finding]:
    """Find columns whose statistics over all dates are those that a scaler leaves behind."""
    if panel.n_dates < 2:
        raise NotApplicableError("one date is a cross-section")
    found: dict[str, list[str]] = {}
    for j, name in enumerate(panel.X.columns):
        coarse = panel.X.dtypes.iloc[j] == np.float32
        traces = _scaling_traces(panel.column(j), panel.codes, panel.n_dates, 1e-5 if coarse else 1e-6)
        if traces:
            found.setdefault(traces, []).append(str(name))
    for traces, names in found.items():
        yield Finding(
            "full_sample_scaling",
            "error",
            "X was scaled with statistics of all dates, test dates included.",
            f"{len(names)} of {panel.X.shape[1]} columns ({describe_first(names)}) have {traces} over all dates "
            "together, and single dates do not.",
            "Put the scaler into the Pipeline, where it is fitted to each training window, or scale each date by "
            "itself, for example with CrossSectionalRankScaler.",
        )


def find_scaled_target(panel: AuditPanel) -> Iterator[Finding]:
    """Find a y that was scaled with statistics of all dates."""
    if panel.n_dates < 2:
        raise NotApplicableError("one date is a cross-section")
    traces = _scaling_traces(panel.target, panel.codes, panel.n_dates, 1e-6)
    if traces:
        yield Finding(
            "scaled_target",
            "error",
            "y was scaled with statistics of all dates, test dates included.",
            f"y has {traces} over all dates together, and single dates do not.",
            "Pass decimal returns as they are. Where a model needs scaled targets, use TransformedTargetRegressor, "
            "which is fitted to each training window.",
        )


def _scaling_traces(values: FloatArray, codes: IntArray, n_dates: int, tolerance: float) -> str:
    """Name the exact statistics that a scaler over all rows leaves; empty if there are none.

    Data that nobody scaled has them by chance with a probability below 1e-6 for a column: two statistics would have
    to be within 1e-6 of round numbers at the same time, or both ends of the range to be met on a few dates only.
    """
    there = np.isfinite(values)
    values, codes = values[there], codes[there]
    if len(values) < 2 or len(distinct := np.unique(values[:1000])) < 3:
        return ""
    low, high = float(values.min()), float(values.max())
    by_date = mean_by(codes, values, n_dates)
    by_date = by_date[~np.isnan(by_date)]
    if np.abs(values.mean()) < tolerance and np.abs(by_date).max() > 100 * tolerance:
        deviations = [float(values.std(ddof=ddof)) for ddof in (0, 1)]
        if min(abs(deviation - 1) for deviation in deviations) < tolerance:
            return "mean 0 and standard deviation 1"
    if abs(high - 1) < tolerance and min(abs(low), abs(low + 1)) < tolerance and len(distinct) > 10:
        # Ranks and other scores by date reach their ends on most dates, and natural bounds are met often.
        at_ends = (values < low + tolerance, values > high - tolerance)
        if all(len(np.unique(codes[at_end])) <= max(1, 0.25 * len(by_date)) for at_end in at_ends):
            return f"minimum {round(low)} and maximum 1"
    lower, median, upper = np.percentile(values, [25, 50, 75])
    if abs(median) < tolerance and abs(upper - lower - 1) < tolerance:
        medians = pd.Series(values).groupby(pd.Series(codes)).median()
        if medians.abs().max() > 100 * tolerance:
            return "median 0 and interquartile range 1"
    return ""


def find_target_in_features(panel: AuditPanel) -> Iterator[Finding]:
    """Find columns that order the assets of a date as their return after the date does."""
    rows = _some_dates(panel)
    correlations, chance = _rank_correlations(panel, rows)
    bound = max(_TARGET_CORRELATION, 5 * chance)
    wrong = [j for j, value in enumerate(correlations) if abs(value) > bound]
    if wrong:
        wrong.sort(key=lambda j: -abs(correlations[j]))
        listed = ", ".join(f"{str(panel.X.columns[j])!r} {correlations[j]:.3f}" for j in wrong[:3])
        rest = f" and {len(wrong) - 3} more columns" if len(wrong) > 3 else ""
        same = abs(correlations[wrong[0]]) > _SAME
        yield Finding(
            "target_in_features",
            "error",
            "A column is the target itself." if same else "A column holds much of the target.",
            f"Mean rank correlation with y within dates: {listed}{rest} (no known characteristic exceeds 0.1 in size).",
            "Drop the column if it is the return after the date. If it is the return up to the date, y is shifted "
            "wrongly: y at a date is the return after it, as forward_returns stores it.",
        )


def _some_dates(panel: AuditPanel) -> IntArray:
    """Rows with a target on some dates with enough assets, evenly spaced."""
    rows = np.flatnonzero(panel.has_target)
    counts = np.bincount(panel.codes[rows], minlength=panel.n_dates)
    enough = np.flatnonzero(counts >= _MIN_ASSETS)
    if not len(enough):
        raise NotApplicableError(f"no date has {_MIN_ASSETS} assets with a target")
    chosen = enough[np.unique(np.linspace(0, len(enough) - 1, _MAX_DATES).round().astype(np.intp))]
    taken: IntArray = rows[np.isin(panel.codes[rows], chosen)]
    return taken


def _rank_correlations(panel: AuditPanel, rows: IntArray) -> tuple[FloatArray, float]:
    """Mean over dates of the rank correlation of each column with y, and its standard deviation by chance."""
    codes = panel.codes[rows]
    key = pd.Series(codes)
    x: FloatArray = panel.X.iloc[rows].reset_index(drop=True).groupby(key).rank().to_numpy(dtype=np.float64)
    y: FloatArray = pd.Series(panel.target[rows]).groupby(key).rank().to_numpy(dtype=np.float64)
    out = np.zeros(x.shape[1])
    for j in range(x.shape[1]):
        there = ~np.isnan(x[:, j])
        own = codes[there]
        a = x[there, j] - mean_by(own, x[there, j], panel.n_dates)[own]
        b = y[there] - mean_by(own, y[there], panel.n_dates)[own]
        ab, aa, bb = (np.bincount(own, weights=w, minlength=panel.n_dates) for w in (a * b, a * a, b * b))
        dates = (aa > 0) & (bb > 0) & (np.bincount(own, minlength=panel.n_dates) >= _MIN_ASSETS)
        out[j] = float(np.mean(ab[dates] / np.sqrt(aa[dates] * bb[dates]))) if dates.any() else 0.0
    counts = np.bincount(codes)
    counts = counts[counts > 1]
    # The variance of a rank correlation over random orders of n names is 1 / (n - 1), exactly.
    return out, float(np.sqrt((1 / (counts - 1)).sum()) / len(counts))


def find_misaligned_target(panel: AuditPanel) -> Iterator[Finding]:
    """Find a y whose values are known returns of X, but of another asset or of the wrong date."""
    values = panel.target
    once = _rows_of_single_values(np.where(values == 0, np.nan, values))
    if len(once) < 10:
        raise NotApplicableError("y has too few distinct values to be looked up")
    once = once[np.unique(np.linspace(0, len(once) - 1, _MAX_VALUES).round().astype(np.intp))]
    n_candidates = 0
    for j, name in enumerate(panel.X.columns):
        if "__lag" in str(name) and not str(name).endswith("__lag0"):
            continue
        n_candidates += 1
        column = panel.column(j)
        source = _rows_of_single_values(column)
        if not len(source):
            continue
        keys = np.round(column[source], 12)
        order = np.argsort(keys, kind="stable")
        wanted = np.round(values[once], 12)
        place = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
        found = keys[order][place] == wanted
        if found.mean() < 0.5:
            continue
        at, origin = once[found], source[order][place[found]]
        shift = panel.codes[origin] - panel.codes[at]
        same = panel.assets[origin] == panel.assets[at]
        right = float(np.mean(same & (shift == 1)))
        in_place = float(np.mean(same & (shift == 0)))
        if right < 0.5 and in_place < 0.5:
            yield Finding(
                "misaligned_target",
                "error",
                "y holds returns of other assets or of other dates.",
                f"{int(found.sum())} of {len(once)} values of y occur in {str(name)!r}; {right:.0%} of them one date "
                f"later for the same asset, where the return after the date belongs, {float(np.mean(~same)):.0%} for "
                f"another asset, {float(np.mean(same & (shift != 1))):.0%} for the same asset at another distance "
                f"(most often {int(np.median(shift[same])) if same.any() else 0} dates).",
                "Join y by (date, asset) and never by row number, and make it with forward_returns.",
            )
            return
    if not n_candidates:
        raise NotApplicableError("no column has lag 0")


def _rows_of_single_values(values: FloatArray) -> IntArray:
    """Rows whose value occurs once, missing ones left out."""
    rows = np.flatnonzero(np.isfinite(values))
    _, first, counts = np.unique(np.round(values[rows], 12), return_index=True, return_counts=True)
    single: IntArray = np.sort(rows[first[counts == 1]])
    return single
