"""Daily or monthly bars as wide tables: one row for each calendar month, one column for each asset."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray, FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.panel import check_panel_index
from skdrfm.panel._index import calendar_ordinals
from skdrfm.utils.validation import check_finite

# What a column must be, and the test that finds values that are not so.
_BOUNDS: dict[str, tuple[str, Any]] = {
    "adj_close": ("positive", lambda values: values <= 0),
    "close": ("positive", lambda values: values <= 0),
    "return": ("at least -1 (decimals: 0.01 = 1 %)", lambda values: values < -1),
    "volume": ("at least 0", lambda values: values < 0),
    "dollar_volume": ("at least 0", lambda values: values < 0),
    "market_value": ("at least 0", lambda values: values < 0),
    "shares": ("at least 0", lambda values: values < 0),
    "illiq": ("at least 0", lambda values: values < 0),
}
COLUMNS = tuple(_BOUNDS)
# Bars are aggregated in blocks of assets of about this many bars, which bounds the memory of 60 years of daily bars.
_BARS = 4_000_000


@dataclass(frozen=True)
class MonthlyBars:
    """Bars by calendar month, all arrays of shape (n_months, n_assets).

    Parameters
    ----------
    months : ndarray of shape (n_months,)
        Ordinals of all calendar months from the first to the last bar.
    assets : Index of shape (n_assets,)
        Assets, sorted.
    present : ndarray of bool
        Whether the asset has a bar in the month.
    returns : ndarray
        Decimal total return over the calendar month.
    last : mapping of str to ndarray
        Value of ``close``, ``market_value`` and ``shares`` at the last bar of the month, as far as they were given.
    dollar_volume, illiq : ndarray or None
        Traded value of the month in units of currency; mean of absolute return / dollar volume over its bars.
    zero_volume_bars : int
        Bars without trade, which are left out of ``illiq``.
    """

    months: IntArray
    assets: "pd.Index[Any]"
    present: BoolArray
    returns: FloatArray
    last: dict[str, FloatArray]
    dollar_volume: FloatArray | None
    illiq: FloatArray | None
    zero_volume_bars: int


def to_monthly(bars: "pd.DataFrame | pd.Series[Any]") -> MonthlyBars:
    """Aggregate bars by calendar month.

    Parameters
    ----------
    bars : DataFrame or Series indexed by (date, asset)
        Daily or monthly bars in any order; a Series holds decimal returns.

    Returns
    -------
    MonthlyBars
        Wide arrays.

    Raises
    ------
    PanelError
        If there is no way to returns, or a price is not positive, a return below -1, a volume negative.
    NonFiniteError
        If a column holds infinity.
    """
    table = _as_table(bars)
    index = check_panel_index(table, name="bars")
    columns = {name: _checked(table[name], name, index) for name in COLUMNS if name in table.columns}
    date_level, asset_level = index.names.index("date"), index.names.index("asset")
    dates, date_codes = index.levels[date_level], index.codes[date_level]
    month_of_date = calendar_ordinals(dates, "M")
    used = np.unique(date_codes)
    first, last = int(month_of_date[used].min()), int(month_of_date[used].max())
    n_months = last - first + 1
    assets, asset = _sorted_assets(index.levels[asset_level], np.asarray(index.codes[asset_level]))
    month = month_of_date[date_codes] - first
    wide = _Wide(n_months, len(assets))
    if wide.mark_present(month * len(assets) + asset):
        wide.take_over(columns, month * len(assets) + asset)
    else:
        day = _place_of_dates(dates)[date_codes]
        for rows in _blocks_of_assets(_by_asset_and_day(asset, day, len(assets), int(day.max()) + 1), asset):
            wide.add({name: values[rows] for name, values in columns.items()}, month[rows], asset[rows])
    return wide.finish(np.arange(first, last + 1), assets)


def _as_table(bars: Any) -> pd.DataFrame:
    if isinstance(bars, pd.Series):
        bars = bars.to_frame("return")
    if not isinstance(bars, pd.DataFrame):
        raise PanelError(
            f"'bars' must be a DataFrame of bars or a Series of returns indexed by (date, asset). Got a "
            f"{type(bars).__name__}."
        )
    if not len(bars):
        raise PanelError("'bars' must have at least one row. Got none.")
    if not {"return", "adj_close"} & set(bars.columns):
        raise PanelError(
            "'bars' must have a column 'return' (decimal total returns) or 'adj_close' (prices adjusted for splits and "
            f"dividends). Got the columns {', '.join(map(repr, bars.columns))}. If 'close' is adjusted for both, pass "
            "bars.assign(adj_close=bars['close'])."
        )
    return bars


def _checked(column: "pd.Series[Any]", name: str, index: pd.MultiIndex) -> FloatArray:
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise PanelError(f"The column {name!r} of 'bars' must hold numbers. Got {column.dtype}. Read it as float64.")
    values: FloatArray = column.to_numpy(dtype=np.float64)
    check_finite(values, what=f"bars[{name!r}]", allow_nan=True)
    bound, is_faulty = _BOUNDS[name]
    faulty: BoolArray = is_faulty(values)
    if faulty.any():
        raise PanelError(
            f"The column {name!r} of 'bars' must be {bound}. Got {int(faulty.sum())} values that are not, first "
            f"{values[faulty][0]:g} at {index[faulty][0]}. Mend or drop these rows."
        )
    return values


def _sorted_assets(level: "pd.Index[Any]", codes: IntArray) -> tuple["pd.Index[Any]", IntArray]:
    """Assets that occur, sorted, and the place of each row's asset among them."""
    occurs = np.bincount(codes, minlength=len(level)) > 0
    kept = np.flatnonzero(occurs)
    kept = kept[np.asarray(level[kept].argsort())]
    place = np.empty(len(level), dtype=np.intp)
    place[kept] = np.arange(len(kept))
    return level[kept], place[codes]


def _place_of_dates(dates: "pd.Index[Any]") -> IntArray:
    """Place of each date in time; of two bars of one day the earlier label comes first."""
    by_label = np.empty(len(dates), dtype=np.intp)
    by_label[np.asarray(dates.argsort())] = np.arange(len(dates))
    place = np.empty(len(dates), dtype=np.intp)
    place[np.lexsort((by_label, calendar_ordinals(dates, "D")))] = np.arange(len(dates))
    return place


def _by_asset_and_day(asset: IntArray, day: IntArray, n_assets: int, n_days: int) -> IntArray:
    """Rows sorted by asset, then day, in time linear in the rows where the panel is not very sparse."""
    key = asset.astype(np.int64) * n_days + day
    if n_assets * n_days > 8 * len(key) + 1_000_000:
        return np.argsort(key, kind="stable")
    row_at = np.full(n_assets * n_days, -1, dtype=np.intp)
    row_at[key] = np.arange(len(key))
    return row_at[row_at >= 0]


def _blocks_of_assets(order: IntArray, asset: IntArray) -> Iterator[IntArray]:
    """Cut the sorted rows where one asset ends and the next begins."""
    ends = np.cumsum(np.bincount(asset))
    first = 0
    while first < len(order):
        last = int(ends[np.searchsorted(ends, min(first + _BARS, len(order)))])
        yield order[first:last]
        first = last


class _Wide:
    """Collects the months of block after block of assets."""

    def __init__(self, n_months: int, n_assets: int) -> None:
        self.shape = (n_months, n_assets)
        self.present: BoolArray = np.zeros(self.shape, dtype=bool)
        self.tables: dict[str, FloatArray] = {}
        self.zero_volume_bars = 0

    def mark_present(self, place: IntArray) -> bool:
        """Mark the months that have a bar, and tell whether none has two."""
        self.present.reshape(-1)[place] = True
        return int(self.present.sum()) == len(place)

    def put(self, name: str, place: IntArray, values: FloatArray) -> None:
        if name not in self.tables:
            self.tables[name] = np.full(self.shape, np.nan)
        self.tables[name].reshape(-1)[place] = values

    def take_over(self, bars: dict[str, FloatArray], place: IntArray) -> None:
        """Take monthly bars as they are; the return of a bar is then that of its month, bit for bit."""
        traded = self._traded_value(bars)
        for name in ("adj_close", "close", "market_value", "shares", "return", "illiq"):
            if name in bars:
                self.put(name, place, bars[name])
        if traded is not None:
            self.put("dollar_volume", place, traded)

    def _traded_value(self, bars: dict[str, FloatArray]) -> FloatArray | None:
        traded = bars.get("dollar_volume")
        if traded is None and {"close", "volume"} <= set(bars):
            traded = bars["close"] * bars["volume"]
        if traded is not None:
            self.zero_volume_bars += int((traded == 0).sum())
        return traded

    def add(self, bars: dict[str, FloatArray], month: IntArray, asset: IntArray) -> None:
        """Aggregate bars that are sorted by asset and day."""
        new_cell: BoolArray = np.ones(len(month), dtype=bool)
        new_cell[1:] = (month[1:] != month[:-1]) | (asset[1:] != asset[:-1])
        starts = np.flatnonzero(new_cell)
        ends = np.append(starts[1:], len(month)) - 1
        place = month[starts] * self.shape[1] + asset[starts]
        for name in ("adj_close", "close", "market_value", "shares"):
            if name in bars:
                self.put(name, place, bars[name][ends])
        if "return" in bars:
            # A month of one bar keeps its return bit for bit.
            compounded = np.multiply.reduceat(1 + bars["return"], starts) - 1
            self.put("return", place, np.where(starts == ends, bars["return"][starts], compounded))
        traded = self._traded_value(bars)
        if traded is not None:
            self.put("dollar_volume", place, _sum_of_known(traded, starts))
        if "illiq" in bars:
            self.put("illiq", place, _mean_of_known(bars["illiq"], starts))
        elif traded is not None:
            moves = bars["return"] if "return" in bars else _returns_of_bars(bars["adj_close"], month, asset)
            self.put("illiq", place, _mean_of_known(_amihud(moves, traded), starts))

    def finish(self, months: IntArray, assets: "pd.Index[Any]") -> MonthlyBars:
        tables = self.tables
        if "return" in tables:
            returns = tables["return"]
        else:
            # Where this month or the month before has no bar there is no return, never one over two months.
            returns = np.full(self.shape, np.nan)
            np.divide(tables["adj_close"][1:], tables["adj_close"][:-1], out=returns[1:])
            returns -= 1
        if "illiq" not in tables and "dollar_volume" in tables:  # one bar a month
            tables["illiq"] = _amihud(returns, tables["dollar_volume"])
        return MonthlyBars(
            months=months,
            assets=assets,
            present=self.present,
            returns=returns,
            last={name: tables[name] for name in ("close", "market_value", "shares") if name in tables},
            dollar_volume=tables.get("dollar_volume"),
            illiq=tables.get("illiq"),
            zero_volume_bars=self.zero_volume_bars,
        )


def _returns_of_bars(prices: FloatArray, month: IntArray, asset: IntArray) -> FloatArray:
    """Return of each bar since the bar before, if that is of the same asset and the same or the previous month."""
    returns = np.full_like(prices, np.nan)
    near: BoolArray = (asset[1:] == asset[:-1]) & (month[1:] - month[:-1] <= 1)
    returns[1:][near] = prices[1:][near] / prices[:-1][near] - 1
    return returns


def _amihud(returns: FloatArray, traded: FloatArray) -> FloatArray:
    """Absolute return over traded value, unknown where nothing was traded."""
    return np.divide(np.abs(returns), traded, out=np.full_like(traded, np.nan), where=traded > 0)


def _sum_of_known(values: FloatArray, starts: IntArray) -> FloatArray:
    known = ~np.isnan(values)
    total: FloatArray = np.add.reduceat(np.where(known, values, 0.0), starts)
    total[~np.logical_or.reduceat(known, starts)] = np.nan
    return total


def _mean_of_known(values: FloatArray, starts: IntArray) -> FloatArray:
    known = ~np.isnan(values)
    count = np.add.reduceat(known.astype(np.float64), starts)
    total = np.add.reduceat(np.where(known, values, 0.0), starts)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
