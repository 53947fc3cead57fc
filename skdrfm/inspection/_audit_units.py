"""Checks of X and y by themselves: units, missing returns that became 0, and assets that never leave."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from skdrfm._typing import IntArray
from skdrfm.exceptions import PanelError
from skdrfm.inspection._audit_panel import AuditPanel, mean_by
from skdrfm.inspection._audit_report import Finding, NotApplicableError
from skdrfm.panel._index import calendar_ordinals
from skdrfm.utils.validation import describe_first

# The median size of a monthly stock return is about 0.06, of a yearly one about 0.25.
_PLAUSIBLE_MEDIAN = 0.5
_ZERO_SHARE = 0.05
# Names leave real universes at more than 5 % a year (listed US firms: 7 to 10 %, takeovers included).
_EXIT_RATE = 0.05
_SURVIVAL_DATES = 36
# A jump by 100, with room for what the cross-section itself does in one period: decades.
_JUMP = (1.6, 2.4)
_MIN_ASSETS = 5
_MAX_ASSETS = 300


def find_percent_target(panel: AuditPanel) -> Iterator[Finding]:
    """Find a y that is in percent."""
    values = panel.target[panel.has_target]
    median = float(np.median(np.abs(values)))
    means = mean_by(panel.codes, panel.target, panel.n_dates)
    if np.nanmax(np.abs(means)) < 1e-6 and float(np.max(np.abs(values))) > 0:
        raise NotApplicableError("y has mean 0 on each date and is a score, not a return")
    if np.abs(values.mean()) < 1e-6 and abs(values.std() - 1) < 1e-3:
        raise NotApplicableError("y is scaled over all dates and has no unit")
    if median > _PLAUSIBLE_MEDIAN:
        yield Finding(
            "percent_target",
            "error",
            "y is not in decimals.",
            f"Half of the returns are larger than {median:.3g} in size, which would be {median:.0%}; "
            f"{float(np.mean(values < -1)):.0%} are below -1, a loss of more than everything.",
            "Divide by 100: returns are decimals (0.01 = 1 %).",
        )


def find_scale_jump(panel: AuditPanel) -> Iterator[Finding]:
    """Find columns, or y, whose size in the cross-section changes by about 100 from one date to the next."""
    rows = _some_rows_of_each_date(panel)
    codes = panel.codes[rows]
    table = panel.X.iloc[rows].astype(np.float64).reset_index(drop=True)
    names = [*(str(name) for name in panel.X.columns), "y"]
    table = table.set_axis(pd.RangeIndex(table.shape[1]), axis=1)
    table[table.shape[1]] = panel.target[rows]
    sizes = table.abs().where(table != 0)
    grouped = sizes.groupby(pd.Series(codes))
    enough = (grouped.count() >= _MIN_ASSETS) & (grouped.nunique() > 1)
    levels = [grouped.quantile(q).apply(np.log10).where(enough) for q in (0.5, 0.75)]
    if len(levels[0]) < 2:
        raise NotApplicableError("one date cannot be compared with another")
    # The middle and the upper quartile must jump together: a median near 0 alone jumps by chance.
    steps = [level.diff().to_numpy() for level in levels]
    with np.errstate(invalid="ignore"):
        jumps = np.all([(np.abs(step) > _JUMP[0]) & (np.abs(step) < _JUMP[1]) for step in steps], axis=0)
        jumps &= np.sign(steps[0]) == np.sign(steps[1])
    wrong = np.flatnonzero(jumps.any(axis=0))
    if len(wrong):
        parts = []
        for j in wrong[:3]:
            at = np.flatnonzero(jumps[:, j])
            listed = describe_first([panel.date(int(code)) for code in levels[0].index.to_numpy()[at]], 2)
            size = 10 ** levels[0].iloc[[at[0] - 1, at[0]], j].to_numpy()
            parts.append(f"{names[j]!r} at {listed} (median size {size[0]:.3g}, then {size[1]:.3g})")
        rest = f" and {len(wrong) - 3} more columns" if len(wrong) > 3 else ""
        yield Finding(
            "scale_jump",
            "error",
            "The unit changes from one date to the next, as from decimals to percent.",
            "; ".join(parts) + rest + ".",
            "Bring all dates to one unit before they are put together; look where two sources meet.",
        )


def _some_rows_of_each_date(panel: AuditPanel) -> IntArray:
    """Rows of at most some hundred assets of each date, in ascending order: enough for a median."""
    order = np.argsort(panel.codes, kind="stable")
    counts = np.bincount(panel.codes, minlength=panel.n_dates)
    starts = np.cumsum(counts) - counts
    place = np.arange(len(order)) - starts[panel.codes[order]]
    every = np.maximum(1, -(-counts // _MAX_ASSETS))[panel.codes[order]]
    rows: IntArray = np.sort(order[place % every == 0])
    return rows


def find_survivorship(panel: AuditPanel) -> Iterator[Finding]:
    """Find a universe from which nothing ever leaves."""
    if panel.n_dates < _SURVIVAL_DATES:
        raise NotApplicableError(f"{panel.n_dates} dates are fewer than {_SURVIVAL_DATES}")
    years = _years(panel)
    n_assets = int(panel.assets.max()) + 1
    expected = _EXIT_RATE * years * len(panel.codes) / panel.n_dates
    # With that many exits expected, seeing none has a probability below exp(-7), about 0.001.
    if expected < 7:
        raise NotApplicableError(f"only {expected:.1f} exits would be expected in so small a panel")
    first, last = np.full(n_assets, panel.n_dates), np.zeros(n_assets, dtype=np.intp)
    np.minimum.at(first, panel.assets, panel.codes)
    np.maximum.at(last, panel.assets, panel.codes)
    n_leave, n_enter = int((last < panel.n_dates - 1).sum()), int((first > 0).sum())
    if not n_leave:
        yield Finding(
            "survivorship",
            "warning",
            "No asset ever leaves: the universe looks like that of the survivors.",
            f"In {years:.1f} years none of {n_assets} assets leaves and {n_enter} enter; at 5 % a year about "
            f"{expected:.0f} would have left.",
            "Use the members of each date, with delisted names and their last returns. For a fixed set, such as "
            "portfolios or indices, leave this check out.",
        )


def _years(panel: AuditPanel) -> float:
    try:
        months = calendar_ordinals(panel.dates, "M")
    except PanelError as error:
        raise NotApplicableError("the dates are no calendar dates") from error
    return float(months.max() - months.min() + 1) / 12


def find_delisting_returns(panel: AuditPanel) -> Iterator[Finding]:
    """Find a y that is missing just where assets leave."""
    order = np.lexsort((panel.codes, panel.assets))
    is_last = np.ones(len(order), dtype=bool)
    is_last[:-1] = panel.assets[order][1:] != panel.assets[order][:-1]
    ends = order[is_last]
    ends = ends[panel.codes[ends] < panel.n_dates - 1]
    if len(ends) < _MIN_ASSETS:
        raise NotApplicableError(f"only {len(ends)} assets leave")
    others = np.setdiff1d(np.flatnonzero(panel.codes < panel.n_dates - 1), ends)
    missing = ~panel.has_target
    at_end, elsewhere = float(missing[ends].mean()), float(missing[others].mean())
    if at_end > 0.5 and elsewhere < 0.1:
        yield Finding(
            "delisting_returns",
            "warning",
            "The returns of assets that leave are missing, and losses with them.",
            f"y is missing in the last row of {at_end:.0%} of {len(ends)} assets that leave, and in {elsewhere:.1%} of "
            "the other rows.",
            "Add delisting returns; where they are unknown, Shumway (1997) and Shumway and Warther (1999) suggest "
            "-30 % (NYSE, AMEX) and -55 % (Nasdaq) for delistings for performance.",
        )


def find_zero_filled_target(panel: AuditPanel) -> Iterator[Finding]:
    """Find a y whose missing values were replaced with 0."""
    values = panel.target[panel.has_target]
    share = float(np.mean(values == 0))
    if share in (0.0, 1.0) or len(np.unique(values)) < 3:
        return
    if share > _ZERO_SHARE:
        zeros = panel.X[panel.target == 0]
        in_x = float((zeros == 0).to_numpy().mean())
        yield Finding(
            "zero_filled_target",
            "warning",
            "Many returns are exactly 0, as if missing ones had been filled.",
            f"{share:.1%} of the returns are exactly 0 ({in_x:.1%} of the values of X in these rows are).",
            "Leave missing returns missing and drop these rows from training. If the assets really did not trade, "
            "leave this check out.",
        )


def find_constant_target(panel: AuditPanel) -> Iterator[Finding]:
    """Find a y that does not differ between the assets of a date."""
    values = pd.Series(panel.target)
    grouped = values.groupby(pd.Series(panel.codes))
    counted = grouped.count() >= _MIN_ASSETS
    if not counted.any():
        raise NotApplicableError(f"no date has {_MIN_ASSETS} assets with a target")
    constant = (grouped.nunique() == 1)[counted]
    if constant.mean() > 0.1:
        first = int(constant[constant].index[0])
        yield Finding(
            "constant_target",
            "error",
            "All assets of a date have the same target.",
            f"{int(constant.sum())} of {len(constant)} dates, first {panel.date(first)} with "
            f"{panel.target[(panel.codes == first) & panel.has_target][0]:.6g}.",
            "Look at how y was joined: a value for each date was spread over its assets, or missing ones were filled.",
        )
