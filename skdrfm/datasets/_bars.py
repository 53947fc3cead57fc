"""Bars in files: prices and volumes of assets per day or month, read in chunks and checked."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from numbers import Integral
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray, BoolArray, FloatArray, IntArray
from skdrfm.datasets._bar_faults import FAULTS, bar_faults
from skdrfm.datasets._tables import (
    describe_path,
    find_columns,
    header_of,
    list_files,
    read_chunks,
    stem_of,
    to_bound,
    to_days,
    to_floats,
    to_names,
)
from skdrfm.exceptions import PanelFileError
from skdrfm.utils._param_validation import Interval, StrOptions, validate_params
from skdrfm.utils.validation import describe_first

__all__ = ["read_bars"]

# Canonical name to the other names that vendors give it.
_NAMES: dict[str, tuple[str, ...]] = {
    "date": ("datadate", "month"),
    "asset": ("ticker", "symbol", "permno"),
    "open": (),
    "high": (),
    "low": (),
    "close": (),
    "adj_close": ("adjclose",),
    "volume": (),
    "return": ("ret",),
    "dollar_volume": (),
    "market_value": (),
    "shares": (),
    "illiq": (),
}
_KEYS = ("date", "asset")


@validate_params(
    {
        "path": [str, Path, "array-like"],
        "columns": [Mapping, None],
        "assets": [str, "array-like", None],
        "start": [str, date, pd.Period, None],
        "end": [str, date, pd.Period, None],
        "faulty": [StrOptions({"raise", "drop"})],
        "dtype": [StrOptions({"float64", "float32"})],
        "chunk_size": [Interval(Integral, 1, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def read_bars(
    path: str | Path | Sequence[str | Path],
    *,
    columns: Mapping[str, str | None] | None = None,
    assets: str | Sequence[str] | None = None,
    start: str | date | pd.Period | None = None,
    end: str | date | pd.Period | None = None,
    faulty: Literal["raise", "drop"] = "raise",
    dtype: Literal["float64", "float32"] = "float64",
    chunk_size: int = 1_000_000,
) -> pd.DataFrame:
    r"""Read daily or monthly bars from CSV or Parquet files.

    Files are read in pieces and only in the columns that are known, and other assets and dates are left out on the
    way, so that a file may be larger than memory. Assets are text: tickers such as ``"TRUE"``, ``"NA"`` or ``"007"``
    stay what they are. In numbers an empty cell, NA, NaN, null, None and N/A are missing values.

    Prices that a vendor adjusts for splits and dividends are on the basis of the day of download: their levels, and
    the ratio of ``adj_close`` to ``close``, hold the splits and dividends of later years. Only ratios of one column
    over time (returns), and ``close * volume``, are free of the future; no level may become a descriptor.

    Parameters
    ----------
    path : path or sequence of paths
        Files that end in .csv, .csv.gz or .parquet, or a folder of them, all with the same kind of columns. A file
        without a column of assets holds one asset, named as the file without its ending.
    columns : mapping of str to str or None, default=None
        Canonical name to the name in the file, where it is not recognised; None leaves the column out. Recognised,
        in any case: date (datadate, month), asset (ticker, symbol, permno), open, high, low, close, adj_close
        ("Adj Close"), volume, return (ret), dollar_volume, market_value, shares, illiq.
    assets : str or sequence of str, default=None
        Assets to keep; None keeps all.
    start, end : str, date or Period, default=None
        First and last day to keep. A year or month such as ``"2005-03"`` stands for all of its days.
    faulty : {"raise", "drop"}, default="raise"
        Whether faulty bars raise one error that counts them, or are dropped and counted. Faults: date or asset
        missing or unreadable, text for a number, infinity, no value at all, close or adj_close of 0 or less, negative
        volume or market value, a return below -1, low or high that do not hold open and close between them (beyond a
        relative rounding of 1e-6), and further rows with the same date and asset. Of identical rows one is kept, of
        contradicting ones none.
    dtype : {"float64", "float32"}, default="float64"
        Type of the numbers of the result. Faults are looked for in float64.
    chunk_size : int, default=1_000_000
        Number of rows that are in memory before assets and dates are left out.

    Returns
    -------
    DataFrame of shape (n_bars, n_columns), indexed by (date, asset)
        The known columns under their canonical names, sorted by date, then asset. Dates are days; months given as
        yyyy-mm or yyyymm become their last day. Prices are in the currency of the file, ``return`` is decimal
        (0.01 = 1 %), ``illiq`` is 1/currency, ``volume`` and ``shares`` are counts as in the file. NaN where unknown.

        ``attrs["read_bars"]`` counts: ``n_files``, ``n_rows`` (read), ``n_filtered`` (other assets and dates),
        ``n_kept``, ``n_dropped``, ``dropped`` (fault to rows; a row may have several), ``assets`` (fault to asset to
        rows), ``zero_volume_bars`` (kept), ``assets_without_bars`` (asked for, not found) and ``columns`` (canonical
        name to the name in the first file).

    Raises
    ------
    PanelFileError
        If a file cannot be read, a column is absent or could be two, bars are faulty and ``faulty="raise"``, or no
        bar is left.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from skdrfm.datasets import read_bars
    >>> text = "Date,Ticker,Close,Adj Close,Volume\n2020-01-02,TRUE,10,9.5,100\n2020-01-03,TRUE,11,10.45,0\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "prices.csv"
    ...     _ = file.write_text(text + "2020-01-03,NA,-4,null,10\n")
    ...     bars = read_bars(file, faulty="drop")
    >>> bars
                      close  adj_close  volume
    date       asset
    2020-01-02 TRUE    10.0       9.50   100.0
    2020-01-03 TRUE    11.0      10.45     0.0
    >>> bars.attrs["read_bars"]["dropped"]
    {'negative close': 1}
    """
    wanted = None if assets is None else {str(one) for one in ([assets] if isinstance(assets, str) else assets)}
    first, last = to_bound(start, "start", last=False), to_bound(end, "end", last=True)
    files = list_files(path)
    pieces = _Pieces(dtype)
    recognised: dict[str, str] = {}
    for file in files:
        found = _columns_of(file, columns)
        if recognised and set(found) - {"asset"} != set(recognised) - {"asset"}:
            raise PanelFileError(
                f"All files must have the same columns. {str(file)!r} has {sorted(found)}, {str(files[0])!r} has "
                f"{sorted(recognised)}. Read them one by one, or leave columns out: columns={{'volume': None}}."
            )
        recognised = recognised or found
        text = [found[key] for key in _KEYS if key in found]
        for chunk in read_chunks(file, list(found.values()), text=text, chunk_size=chunk_size):
            pieces.add(chunk, found, stem_of(file), wanted, first, last)
    bars, counts = pieces.join()
    if counts["dropped"] and faulty == "raise":
        raise PanelFileError(_fault_table(path, counts, pieces.examples))
    if bars.empty:
        raise PanelFileError(
            f"At least one bar must be left of {describe_path(path)}. Got {counts['n_rows']} rows, of which "
            f"{counts['n_filtered']} are of other assets or dates and {counts['n_dropped']} are faulty "
            f"({counts['dropped'] or 'no faults'}). Check assets, start and end."
        )
    present = set(bars.index.unique("asset"))
    bars.attrs["read_bars"] = {
        "n_files": len(files),
        **counts,
        "zero_volume_bars": int((bars["volume"] == 0).sum()) if "volume" in bars else 0,
        "assets_without_bars": sorted((wanted or set()) - present),
        "columns": recognised,
    }
    return bars


def _columns_of(file: Path, columns: Mapping[str, str | None] | None) -> dict[str, str]:
    header = header_of(file)
    found = find_columns(header, _NAMES, columns, file)
    if "date" not in found or len(found) - len(_KEYS) + ("asset" not in found) < 1:
        raise PanelFileError(
            f"The file {str(file)!r} must have a column of dates and at least one of prices, returns or volumes. "
            f"Found: {describe_first(header, 30)}. Name them: columns={{'date': ..., 'close': ...}}."
        )
    return found


@dataclass
class _Pieces:
    """Rows that passed, as codes and numbers, and the counts of those that did not."""

    dtype: str
    codes: dict[str, int] = field(default_factory=dict)
    assets: list[IntArray] = field(default_factory=list)
    days: list[AnyArray] = field(default_factory=list)
    values: dict[str, list[FloatArray]] = field(default_factory=dict)
    n_rows: int = 0
    n_filtered: int = 0
    n_dropped: int = 0
    faults: dict[str, Counter[str]] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def add(
        self,
        chunk: pd.DataFrame,
        columns: Mapping[str, str],
        stem: str,
        wanted: set[str] | None,
        first: pd.Timestamp | None,
        last: pd.Timestamp | None,
    ) -> None:
        self.n_rows += len(chunk)
        if "asset" in columns:
            names, no_asset = to_names(chunk[columns["asset"]])
            codes, distinct = pd.factorize(names)
        else:
            no_asset = np.zeros(len(chunk), dtype=bool)
            codes, distinct = np.zeros(len(chunk), dtype=np.intp), pd.Index([stem])
        days, no_date = to_days(chunk[columns["date"]])
        is_wanted = np.ones(len(chunk), dtype=bool)
        # A row without a date or an asset is a fault of the file, whatever was asked for.
        if wanted is not None:
            is_wanted &= np.isin(codes, np.flatnonzero(distinct.isin(list(wanted)))) | no_asset
        if first is not None:
            is_wanted &= ~(days < first).to_numpy()
        if last is not None:
            is_wanted &= ~(days > last).to_numpy()
        self.n_filtered += int((~is_wanted).sum())
        chunk, codes = chunk[is_wanted], codes[is_wanted]
        days, no_date, no_asset = days[is_wanted], no_date[is_wanted], no_asset[is_wanted]

        faults = {
            "missing date": no_date,
            "unreadable date": days.isna().to_numpy() & ~no_date,
            "missing asset": no_asset,
            "no number": np.zeros(len(chunk), dtype=bool),
        }
        numbers: dict[str, FloatArray] = {}
        for name, column in columns.items():
            if name in _KEYS:
                continue
            numbers[name], is_text = to_floats(chunk[column])
            faults["no number"] |= is_text
            self._remember("no number", chunk[column], is_text)
        self._remember("unreadable date", chunk[columns["date"]], faults["unreadable date"])
        faults |= bar_faults(numbers)
        is_faulty = np.logical_or.reduce(list(faults.values()))
        for fault, has in faults.items():
            self._count(fault, distinct.take(codes[has]))
        self.n_dropped += int(is_faulty.sum())

        passed = ~is_faulty
        own = np.array([self.codes.setdefault(name, len(self.codes)) for name in distinct], dtype=np.intp)
        self.assets.append(own[codes[passed]].astype(np.int32))
        self.days.append(days.to_numpy()[passed])
        for name, column_values in numbers.items():
            self.values.setdefault(name, []).append(column_values[passed].astype(self.dtype))

    def join(self) -> tuple[pd.DataFrame, dict[str, Any]]:
        """Put the pieces together, sorted, without repeated (date, asset) pairs."""
        names = np.array(list(self.codes), dtype=object)
        alphabetical = np.argsort(names)
        rank = np.empty(len(names), dtype=np.int32)
        rank[alphabetical] = np.arange(len(names), dtype=np.int32)
        assets: AnyArray = rank[np.concatenate(self.assets)] if self.assets else np.empty(0, dtype=np.int32)
        days = pd.DatetimeIndex(np.concatenate(self.days) if self.days else [])
        day_codes, distinct_days = pd.factorize(days, sort=True)
        order = np.lexsort((assets, day_codes))
        assets, day_codes = assets[order], day_codes[order]
        values = {name: np.concatenate(self.values.pop(name))[order] for name in list(self.values)}
        keep = self._drop_copies(assets, day_codes, values, names[alphabetical])
        if not keep.all():
            assets, day_codes = assets[keep], day_codes[keep]
            values = {name: column[keep] for name, column in values.items()}
        # Levels stay in order and hold what occurs, so that slices of the result work.
        used_days, day_codes = np.unique(day_codes, return_inverse=True)
        used_assets, assets = np.unique(assets, return_inverse=True)
        levels: list[Any] = [
            pd.DatetimeIndex(distinct_days)[used_days],
            pd.Index(names[alphabetical][used_assets].tolist(), dtype="str"),
        ]
        codes: list[Any] = [day_codes, assets]
        index = pd.MultiIndex(levels=levels, codes=codes, names=list(_KEYS))
        counts = {
            "n_rows": self.n_rows,
            "n_filtered": self.n_filtered,
            "n_kept": len(index),
            "n_dropped": self.n_dropped,
            "dropped": {fault: self.faults[fault].total() for fault in FAULTS if fault in self.faults},
            "assets": {fault: dict(sorted(self.faults[fault].items())) for fault in FAULTS if fault in self.faults},
        }
        return pd.DataFrame(values, index=index, copy=False), counts

    def _drop_copies(
        self, assets: AnyArray, days: AnyArray, values: Mapping[str, FloatArray], names: AnyArray
    ) -> BoolArray:
        """Tell which of the sorted rows stay."""
        keep = np.ones(len(assets), dtype=bool)
        again = (assets[1:] == assets[:-1]) & (days[1:] == days[:-1])
        if not again.any():
            return keep
        starts = np.flatnonzero(np.append(True, ~again))
        group = np.cumsum(np.append(True, ~again)) - 1
        differs = np.zeros(len(assets), dtype=bool)
        for column in values.values():
            of_first = column[starts][group]
            differs |= (column != of_first) & ~(np.isnan(column) & np.isnan(of_first))
        contradicts = (np.bincount(group, weights=differs) > 0)[group]
        is_copy = np.append(False, again)
        self._count("identical copy", names[assets[is_copy & ~contradicts]])
        self._count("contradicting copies", names[assets[contradicts]])
        keep &= ~(is_copy | contradicts)
        self.n_dropped += int((~keep).sum())
        return keep

    def _count(self, fault: str, names: Any) -> None:
        if len(names):
            distinct, numbers = np.unique(np.asarray(names, dtype=object), return_counts=True)
            counter = self.faults.setdefault(fault, Counter())
            counter.update(dict(zip(map(str, distinct), map(int, numbers), strict=True)))

    def _remember(self, fault: str, column: "pd.Series[Any]", has: BoolArray) -> None:
        if fault not in self.examples and has.any():
            self.examples[fault] = describe_first(list(column[has].unique()))


def _fault_table(path: Any, counts: Mapping[str, Any], examples: Mapping[str, str]) -> str:
    width = max(len(fault) for fault in counts["dropped"])
    lines = [f"  {'fault':<{width}}  {'rows':>9}  assets"]
    for fault, n in counts["dropped"].items():
        note = f"{FAULTS[fault]}{f' Got {examples[fault]}.' if fault in examples else ''}"
        lines.append(f"  {fault:<{width}}  {n:>9}  {describe_first(list(counts['assets'][fault]))}. {note}".rstrip())
    return (
        f"The bars of {describe_path(path)} must be free of faults. Got {counts['n_dropped']} faulty rows of "
        f"{counts['n_rows'] - counts['n_filtered']} (a row may have several faults):\n" + "\n".join(lines) + "\n"
        "Mend the file, choose others by assets, start and end, or drop and count these rows: faulty='drop'."
    )
