"""What was known of a company's reports at the end of each month."""

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray, FloatArray, IntArray
from skdrfm.descriptors._bars import MonthlyBars
from skdrfm.descriptors._items import CASH_FLOW, DURATIONS, INCOME, ITEMS, month_ordinals, report_months
from skdrfm.exceptions import PanelError
from skdrfm.utils.validation import check_finite, describe_first


class Reports:
    """Versions of reports, looked up by asset, report month and the month in which they are asked for.

    An event is a month in which an asset published something. All that was known is worked out at the events and
    carried forward from there, so the cost grows with the number of reports and not with the number of months.

    Parameters
    ----------
    fundamentals : DataFrame
        Canonical fundamentals, one row for each version of a report.
    bars : MonthlyBars
        The months and assets that matter.
    publication_lag : int, Timedelta or DateOffset
        From the end of the period to the publication where its date is not known; an int counts months.
    max_report_age : int
        Months from the end of a period after which its report no longer counts.
    """

    def __init__(self, fundamentals: Any, bars: MonthlyBars, publication_lag: Any, max_report_age: int) -> None:
        table = _check_table(fundamentals)
        self._bars, self._max_report_age = bars, max_report_age
        self.items: tuple[str, ...] = tuple(item for item in ITEMS if item in table.columns)
        period_end, available = _dates(table, publication_lag)
        asset = bars.assets.get_indexer(pd.Index(table["asset"]))
        known_asset: BoolArray = asset >= 0
        if len(table) and not known_asset.any():
            raise PanelError(
                "'fundamentals' must have reports of the assets in 'bars'. Got none: reports are of "
                f"{describe_first(list(table['asset'].unique()))}, bars of {describe_first(list(bars.assets))}. Use "
                "the same labels in both."
            )
        self.n_without_bars: int = int((~known_asset).sum())
        report_month = report_months(period_end)
        published = np.maximum(month_ordinals(available) - bars.months[0], 0)
        # Rows in the order in which versions replace each other; a later label of the same quarter counts as later.
        order = np.lexsort((period_end.asi8, available.asi8, published, report_month, asset))
        order = order[known_asset[order] & (published[order] < len(bars.months))]
        self._asset, self._month, self._published = asset[order], report_month[order], published[order]
        self._first = int(self._month.min()) - 24 if len(order) else 0  # earlier months are asked for, in vain
        self._values = {item: table[item].to_numpy(dtype=np.float64, na_value=np.nan)[order] for item in self.items}
        months = _durations(table, "months")[order]
        cash_flow_months = _durations(table, "cash_flow_months")[order] if "cash_flow_months" in table else months
        self._durations = dict.fromkeys(INCOME, months) | dict.fromkeys(CASH_FLOW, cash_flow_months)
        self._kinds: dict[Any, tuple[Any, BoolArray]] = {}
        self._keys: dict[Any, tuple[IntArray, IntArray]] = {}
        self._found: dict[Any, IntArray] = {}
        self._set_events()

    def _set_events(self) -> None:
        """One event for each asset and month with a publication, and the newest report month known there."""
        order = np.lexsort((self._published, self._asset))
        asset, published = self._asset[order], self._published[order]
        is_last = np.ones(len(order), dtype=bool)
        is_last[:-1] = (asset[1:] != asset[:-1]) | (published[1:] != published[:-1])
        # A running maximum that starts anew at each asset: later assets are lifted above all earlier ones.
        lift = asset * np.int64(100_000)
        newest = np.maximum.accumulate(self._month[order] + lift) - lift if len(order) else self._month
        self._event_asset, self._event_at = asset[is_last], published[is_last]
        self._newest = newest[is_last]

    @cached_property
    def _grid(self) -> tuple[IntArray, BoolArray]:
        """Event that each month and asset looks back to, and whether its newest report is recent enough."""
        n_months, n_assets = len(self._bars.months), len(self._bars.assets)
        event = np.full((n_months, n_assets), -1, dtype=np.intp)
        event[self._event_at, self._event_asset] = np.arange(len(self._event_at))
        np.maximum.accumulate(event, axis=0, out=event)
        if not len(self._event_at):
            return event, np.zeros(event.shape, dtype=bool)
        age = self._bars.months[:, np.newaxis] - self._newest[event]
        return event, (event >= 0) & (age <= self._max_report_age)

    def count_too_old(self, present: BoolArray) -> int:
        """Rows whose newest report is older than ``max_report_age``."""
        event, recent = self._grid
        return int((present & (event >= 0) & ~recent).sum())

    def latest(self, item: str) -> FloatArray:
        """Balance-sheet item of the newest report known at each month, shape (n_months, n_assets)."""
        return self._carry_forward(self._known(item, 0))

    def trailing(self, item: str) -> FloatArray:
        """Flow over the twelve months up to the newest report known, shape (n_months, n_assets)."""
        quarters = [self._single_quarter(item, shift) for shift in (0, 3, 6, 9)]
        summed = quarters[0] + quarters[1] + quarters[2] + quarters[3]
        bridged = [
            self._known(item, 0, months) + self._known(item, months, 12) - self._known(item, 12, months)
            for months in (6, 9)
            if self._has(item, months, 12)
        ]
        return self._carry_forward(_first_known([self._known(item, 0, 12), summed, *bridged]))

    def _carry_forward(self, at_events: FloatArray) -> FloatArray:
        event, recent = self._grid
        return np.append(at_events, np.nan)[np.where(recent, event, -1)]

    def _single_quarter(self, item: str, shift: int) -> FloatArray:
        """Flow of the quarter that ended ``shift`` months before the newest report."""
        parts = self._quarter_or_difference(item, shift)
        if self._has(item, 12):
            before = [_first_known(self._quarter_or_difference(item, shift + back)) for back in (3, 6, 9)]
            parts.append(self._known(item, shift, 12) - (before[0] + before[1] + before[2]))
        return _first_known(parts)

    def _quarter_or_difference(self, item: str, shift: int) -> list[FloatArray]:
        """Give the flow as reported for the quarter, and as the difference of two year-to-date figures."""
        differences = [
            self._known(item, shift, months) - self._known(item, shift + 3, months - 3)
            for months in (6, 9, 12)
            if self._has(item, months, months - 3)
        ]
        return [self._known(item, shift, 3), *differences]

    def _has(self, item: str, *durations: int) -> bool:
        """Whether any row holds the item for each of these durations."""
        return all(len(self._rows_with(item, months)[0]) for months in durations)

    def _known(self, item: str, shift: int, months: int | None = None) -> FloatArray:
        """Item of the report month ``shift`` months before the newest, in the last version known at each event."""
        values = self._values[item]
        row = self._find(item, shift, months)
        out = np.full(len(row), np.nan)
        out[row >= 0] = values[row[row >= 0]]
        return out

    def _find(self, item: str, shift: int, months: int | None) -> IntArray:
        """Row of that version among those that hold the item, -1 where there is none."""
        kind = self._kind(item, months)[0]
        if (kind, shift) not in self._found:
            keys, rows = self._rows_with(item, months)
            found = np.full(len(self._newest), -1, dtype=np.intp)
            if len(keys):
                asked = self._newest - shift
                position = np.searchsorted(keys, self._key(self._event_asset, asked, self._event_at), side="right") - 1
                row = rows[np.maximum(position, 0)]
                same = (self._asset[row] == self._event_asset) & (self._month[row] == asked) & (position >= 0)
                found[same] = row[same]
            self._found[kind, shift] = found
        return self._found[kind, shift]

    def _kind(self, item: str, months: int | None) -> tuple[Any, BoolArray]:
        """Rows that hold the item (for that many months), under a name that items with the same rows share."""
        if (item, months) not in self._kinds:
            mask: BoolArray = ~np.isnan(self._values[item])
            if months is not None:
                mask &= self._durations[item] == months
            self._kinds[item, months] = "all" if mask.all() else np.packbits(mask).tobytes(), mask
        return self._kinds[item, months]

    def _rows_with(self, item: str, months: int | None) -> tuple[IntArray, IntArray]:
        """Sorted keys of the rows that hold the item (for that many months), and the rows."""
        kind, mask = self._kind(item, months)
        if kind not in self._keys:
            rows = np.flatnonzero(mask)
            self._keys[kind] = self._key(self._asset[rows], self._month[rows], self._published[rows]), rows
        return self._keys[kind]

    def _key(self, asset: IntArray, month: IntArray, published: IntArray) -> IntArray:
        span = len(self._bars.months) + 1
        n_report_months = 100_000
        key: IntArray = (asset.astype(np.int64) * n_report_months + (month - self._first)) * span + published
        return key


def _first_known(parts: Iterable[FloatArray]) -> FloatArray:
    """Of each place, the first value that is not NaN."""
    first, *others = parts
    for other in others:
        first = np.where(np.isnan(first), other, first)
    return first


def _check_table(table: Any) -> pd.DataFrame:
    needed = ("asset", "period_end")
    if not isinstance(table, pd.DataFrame) or not set(needed) <= set(table.columns):
        found = ", ".join(map(repr, table.columns)) if isinstance(table, pd.DataFrame) else type(table).__name__
        raise PanelError(
            "'fundamentals' must be a DataFrame with the columns 'asset' and 'period_end', one row for each version of "
            f"a report. Got {found}. Read it with skdrfm.datasets.read_fundamentals."
        )
    if not set(ITEMS) & set(table.columns):
        raise PanelError(f"'fundamentals' must have some of the items {', '.join(ITEMS)}. Got none.")
    for name in needed:
        if table[name].isna().any():
            raise PanelError(
                f"The column {name!r} of 'fundamentals' must be known in every row. Got "
                f"{int(table[name].isna().sum())} rows without. Drop them."
            )
    for item in ITEMS:
        if item not in table.columns:
            continue
        if not pd.api.types.is_numeric_dtype(table[item].dtype):
            raise PanelError(
                f"The column {item!r} of 'fundamentals' must hold numbers. Got {table[item].dtype}. Read it as float64."
            )
        values = table[item].to_numpy(dtype=np.float64, na_value=np.nan)
        check_finite(values, what=f"fundamentals[{item!r}]", allow_nan=True)
    return table


def _dates(table: pd.DataFrame, publication_lag: Any) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex]:
    """End of the period and day of publication of each row, the latter by the lag where it is not known."""
    period_end = _datetimes(table, "period_end")
    lag = publication_lag
    if isinstance(lag, int | np.integer) and not isinstance(lag, bool):
        lag = pd.DateOffset(months=int(lag))
    try:
        by_lag = pd.DatetimeIndex(period_end + lag)
        faulty = bool((by_lag < period_end).any())
    except TypeError:
        faulty = True
    if faulty:
        raise PanelError(
            f"'publication_lag' must be a number of months >= 0, a Timedelta or a DateOffset. Got {publication_lag!r}."
        )
    if "available" not in table.columns:
        _check_one_version(table, by_lag)
        return period_end, by_lag
    available = _datetimes(table, "available")
    early: BoolArray = np.asarray(available < period_end)
    if early.any():
        first = table.loc[early, ["asset", "period_end", "available"]].iloc[0]
        raise PanelError(
            "A report must become available after the end of its period. Got "
            f"{int(early.sum())} rows with 'available' before 'period_end', first {first['asset']} "
            f"{first['period_end']:%Y-%m-%d}, available {first['available']:%Y-%m-%d}. Mend these dates."
        )
    resolved = pd.DatetimeIndex(np.where(available.isna(), by_lag, available))
    _check_one_version(table, available)
    return period_end, resolved


def _datetimes(table: pd.DataFrame, name: str) -> pd.DatetimeIndex:
    if not pd.api.types.is_datetime64_dtype(table[name].dtype):
        raise PanelError(
            f"The column {name!r} of 'fundamentals' must hold datetime64 without a time zone. Got "
            f"{table[name].dtype}. Convert it with pd.to_datetime and dt.tz_localize(None)."
        )
    return pd.DatetimeIndex(table[name]).as_unit("ns")


def _check_one_version(table: pd.DataFrame, available: pd.DatetimeIndex) -> None:
    twice = pd.DataFrame(
        {"asset": table["asset"].to_numpy(), "period_end": table["period_end"].to_numpy(), "available": available}
    ).duplicated()
    if twice.any():
        pairs = table.loc[twice.to_numpy(), ["asset", "period_end"]]
        first = [f"{asset} {date:%Y-%m-%d}" for asset, date in pairs.head(4).itertuples(index=False)]
        raise PanelError(
            "'fundamentals' must have one row for each asset, period_end and available. Got "
            f"{int(twice.sum())} further rows: {describe_first(first)}. Keep one of each, or give the day on which "
            "each became available."
        )


def _durations(table: pd.DataFrame, name: str) -> IntArray:
    if name not in table.columns:
        return np.full(len(table), 3, dtype=np.int64)
    months = table[name].to_numpy(dtype=np.float64, na_value=np.nan)
    faulty = ~np.isin(months, DURATIONS)
    if faulty.any():
        raise PanelError(
            f"The column {name!r} of 'fundamentals' must be 3, 6, 9 or 12, the months that its flows cover. Got "
            f"{int(faulty.sum())} other values such as {months[faulty][0]:g}."
        )
    durations: IntArray = months.astype(np.int64)
    return durations
