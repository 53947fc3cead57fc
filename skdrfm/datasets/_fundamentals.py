"""Accounts of firms in files: wide tables of vendors, and rows of reports with the day of publication."""

from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray
from skdrfm.datasets._report_versions import (
    check_published_after_end,
    drop_late_copies,
    drop_same_day_copies,
    resolve_contradictions,
)
from skdrfm.datasets._sec_reports import cash_flow_covers_quarter, months_of_reports
from skdrfm.datasets._tables import (
    describe_path,
    find_columns,
    header_of,
    list_files,
    read_chunks,
    to_days,
    to_floats,
    to_names,
)
from skdrfm.descriptors._items import DURATIONS, ITEMS
from skdrfm.exceptions import PanelFileError
from skdrfm.utils._param_validation import Interval, StrOptions, validate_params
from skdrfm.utils.validation import describe_first

__all__ = ["read_fundamentals"]

# Canonical name to the other names that are recognised: of vendors' wide tables, and of report rows.
_NAMES: dict[str, tuple[str, ...]] = {
    "asset": ("ticker", "symbol", "permno"),
    "period_end": ("quarter end", "end_date", "datadate"),
    "available": ("archive_date", "filing_date", "publication_date"),
    "months": (),
    "cash_flow_months": (),
    "sales": ("revenue", "revenues"),
    "operating_profit": ("op_income", "operating_income"),
    "net_income": ("earnings",),
    "operating_cash_flow": ("cash from operating activities", "cash_flow_op"),
    "total_assets": ("assets",),
    "total_liabilities": ("liabilities",),
    "net_assets": ("shareholders equity", "equity"),
    "shares": ("shares split adjusted",),
}
# Beside unadjusted shares: prices in files are adjusted for splits as well.
_FIRST = {"shares": "shares split adjusted"}
_REPORT_NAMES: dict[str, tuple[str, ...]] = {
    "period_focus": (),
    "doc_type": (),
    "amend": ("amended",),
    "cash": (),
    "investing_cash_flow": ("cash_flow_inv",),
    "financing_cash_flow": ("cash_flow_fin",),
}
_TEXT = ("asset", "period_end", "available", "period_focus", "doc_type", "amend")
_CASH_ITEMS = ("cash", "operating_cash_flow", "investing_cash_flow", "financing_cash_flow")


@validate_params(
    {
        "path": [str, Path, "array-like"],
        "layout": [StrOptions({"auto", "wide", "reports"})],
        "columns": [Mapping, None],
        "zero_is_missing": [bool, "array-like"],
        "ambiguous": [StrOptions({"raise", "drop_period", "drop_asset"})],
        "assets": [str, "array-like", None],
        "months": [Interval(Integral, 3, 12, closed="both")],
        "cash_flow": [StrOptions({"auto", "year_to_date", "quarter"})],
        "chunk_size": [Interval(Integral, 1, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def read_fundamentals(
    path: str | Path | Sequence[str | Path],
    *,
    layout: Literal["auto", "wide", "reports"] = "auto",
    columns: Mapping[str, str | None] | None = None,
    zero_is_missing: bool | Sequence[str] = (),
    ambiguous: Literal["raise", "drop_period", "drop_asset"] = "raise",
    assets: str | Sequence[str] | None = None,
    months: int = 3,
    cash_flow: Literal["auto", "year_to_date", "quarter"] = "auto",
    chunk_size: int = 1_000_000,
) -> pd.DataFrame:
    r"""Read the accounts of firms from CSV or Parquet files.

    Two layouts are known. ``"wide"`` has one row for each firm and period, as vendors' tables do; where it lacks the
    day of publication, ``available`` is unknown (NaT) and a publication lag has to stand in for it later.
    ``"reports"`` has one row for each document filed, with its day of publication (archive_date), fiscal quarter
    (period_focus) and type (doc_type).

    Parameters
    ----------
    path : path or sequence of paths
        Files that end in .csv, .csv.gz or .parquet, or a folder of them.
    layout : {"auto", "wide", "reports"}, default="auto"
        ``"auto"`` takes files with a column ``period_focus`` for reports.
    columns : mapping of str to str or None, default=None
        Canonical name (see Returns) to the name in the file, where it is not recognised; None leaves the column out.
        Recognised, in any case: asset (ticker, symbol, permno), period_end ("Quarter end", end_date, datadate),
        available (archive_date, filing_date, publication_date), sales (Revenue, revenues), operating_profit
        (op_income, operating_income), net_income (Earnings), operating_cash_flow ("Cash from operating activities",
        cash_flow_op), total_assets (Assets), total_liabilities (Liabilities), net_assets ("Shareholders equity",
        equity), shares ("Shares split adjusted", which goes before "Shares"), and for reports also period_focus,
        doc_type, amend, cash, investing_cash_flow (cash_flow_inv) and financing_cash_flow (cash_flow_fin).
        An operating profit is never put together from other items: a table without one has no such column.
    zero_is_missing : bool or sequence of str, default=()
        Items in which 0 means that nothing was reported; True for all.
    ambiguous : {"raise", "drop_period", "drop_asset"}, default="raise"
        What to do where rows of one asset, period and day of publication contradict each other, as two firms under
        one ticker do: raise an error that names them, or leave out these periods, or all periods of these assets.
        Dropping periods leaves those in which just one of two firms reported.
    assets : str or sequence of str, default=None
        Assets to keep; None keeps all.
    months : {3, 6, 9, 12}, default=3
        Months that flows of wide rows cover, where no column ``months`` says so.
    cash_flow : {"auto", "year_to_date", "quarter"}, default="auto"
        Months that cash flows of quarterly reports cover. By rule they run from the start of the fiscal year, but
        some firms give those of the quarter. ``"auto"`` believes so where they add up to the change of cash since
        the quarter before and not to that since the fiscal year end; without the columns cash, investing_cash_flow
        and financing_cash_flow it follows the rule.
    chunk_size : int, default=1_000_000
        Number of rows that are in memory before other assets are left out.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        One row for each version of each report, sorted by asset, period_end and available, which are unique together:

        - asset : str.
        - period_end : datetime64, last day of the period.
        - available : datetime64, day of publication; NaT where unknown.
        - months, cash_flow_months : int, months that income flows and cash flows cover.
        - sales, operating_profit, net_income, operating_cash_flow : float64, flows over these months, in the currency
          unit of the file (never rescaled).
        - total_assets, total_liabilities, net_assets : float64, in the same unit, at period_end. Where the file has
          no liabilities, they are total_assets less net_assets, and so include minority interests.
        - shares : float64, number of shares as in the file. Where it is adjusted for splits, it is on the split basis
          of the file's download, which need not be that of the prices.

        Only columns that the file has are there. A later version stands for the whole report or for parts of it: an
        item that it leaves out is NaN. ``attrs["read_fundamentals"]`` counts: ``layout``, ``n_files``, ``n_rows``
        (read), ``n_filtered`` (other assets), ``n_kept``, ``n_empty`` (no item known), ``n_identical_copies``,
        ``n_late_copies`` (the same report published again later), ``n_replaced_by_amendment`` (same day),
        ``n_ambiguous`` (rows dropped) and ``ambiguous_assets``, ``zeros_as_missing`` (by item),
        ``n_negative_net_assets`` (kept), ``n_quarterly_cash_flows`` (found by ``cash_flow="auto"``),
        ``n_cash_flows_of_unknown_length`` (10-Q of the fiscal year; the cash flow is NaN),
        ``liabilities_derived``, ``assets_without_reports`` and ``columns``.

    Raises
    ------
    PanelFileError
        If a file cannot be read, a column is absent, dates or numbers cannot be read, a report was published before
        its period ended, or rows contradict each other and ``ambiguous="raise"``.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from skdrfm.datasets import read_fundamentals
    >>> text = "ticker,Quarter end,Revenue,Earnings,Assets\nTRUE,2015-03-31,8,1,50\nTRUE,2015-06-30,9,None,52\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "accounts.csv"
    ...     _ = file.write_text(text)
    ...     accounts = read_fundamentals(file)
    >>> accounts[["asset", "period_end", "available", "months", "sales", "net_income"]]
      asset period_end available  months  sales  net_income
    0  TRUE 2015-03-31       NaT       3    8.0         1.0
    1  TRUE 2015-06-30       NaT       3    9.0         NaN
    """
    if months not in DURATIONS:
        raise PanelFileError(f"'months' must be 3, 6, 9 or 12. Got {months}.")
    wanted = None if assets is None else {str(one) for one in ([assets] if isinstance(assets, str) else assets)}
    counts: dict[str, Any] = {"layout": layout}
    table, found, report_rows = _read_tables(path, layout, columns, wanted, chunk_size, counts)
    items = [item for item in ITEMS if item in table]
    counts["zeros_as_missing"] = _blank_zeros(table, zero_is_missing, items)
    counts["liabilities_derived"] = (
        "total_liabilities" not in table and "total_assets" in table and "net_assets" in table
    )
    if counts["liabilities_derived"]:
        table["total_liabilities"] = table["total_assets"] - table["net_assets"]
        items = [item for item in ITEMS if item in table]
    _set_months(table, months, report_rows, counts, path)

    is_empty = table[items].isna().all(axis=1)
    counts["n_empty"] = int(is_empty.sum())
    table = table[~is_empty]
    table = check_published_after_end(table, path)
    table = drop_same_day_copies(table, items, counts)
    table = resolve_contradictions(table, ambiguous, path, counts)
    table = drop_late_copies(table, items, counts)
    counts["n_quarterly_cash_flows"] = 0
    if report_rows and "operating_cash_flow" in table:
        is_quarter = _quarterly_cash_flows(table, cash_flow)
        counts["n_quarterly_cash_flows"] = int(is_quarter.sum()) if cash_flow == "auto" else 0
        table["cash_flow_months"] = table["cash_flow_months"].mask(is_quarter, 3)
    if table.empty:
        raise PanelFileError(
            f"At least one report must be left of {describe_path(path)}. Got {counts['n_rows']} rows, of which "
            f"{counts['n_filtered']} are of other assets, {counts['n_empty']} hold no item and "
            f"{counts['n_ambiguous']} contradict each other. Check assets and ambiguous."
        )
    counts["n_negative_net_assets"] = int((table["net_assets"] < 0).sum()) if "net_assets" in table else 0
    counts["n_kept"] = len(table)
    counts["assets_without_reports"] = sorted((wanted or set()) - set(table["asset"]))
    counts["columns"] = found
    keys = ["asset", "period_end", "available", "months", "cash_flow_months"]
    result = table[[*keys, *items]].reset_index(drop=True)
    result.attrs["read_fundamentals"] = counts
    return result


def _read_tables(
    path: Any,
    layout: str,
    columns: Mapping[str, str | None] | None,
    wanted: set[str] | None,
    chunk_size: int,
    counts: dict[str, Any],
) -> tuple[pd.DataFrame, dict[str, str], bool]:
    """Read all files under canonical names, with text, days and numbers told apart."""
    files = list_files(path)
    pieces: list[pd.DataFrame] = []
    first: dict[str, str] = {}
    n_rows = n_filtered = 0
    report_rows = layout == "reports"
    for file in files:
        header = header_of(file)
        if not first and layout == "auto":
            report_rows = bool(find_columns(header, {"period_focus": ()}, None, file)) or "period_focus" in (
                columns or {}
            )
        found = find_columns(header, _NAMES | _REPORT_NAMES if report_rows else _NAMES, columns, file, first=_FIRST)
        required = ["asset", "period_end", *(["available", "period_focus"] if report_rows else [])]
        absent = [name for name in required if name not in found]
        if absent or not any(item in found for item in ITEMS):
            raise PanelFileError(
                f"The file {str(file)!r} must have columns for {', '.join(required)} and at least one of "
                f"{', '.join(ITEMS)}. Missing: {', '.join(absent) or 'all items'}. Found: "
                f"{describe_first(header, 30)}. Name them: columns={{'{(absent or ['sales'])[0]}': ...}}."
            )
        if first and set(first) != set(found):
            raise PanelFileError(
                f"All files must have the same columns. {str(file)!r} has {sorted(found)}, {str(files[0])!r} has "
                f"{sorted(first)}. Read them one by one."
            )
        first = first or found
        text = [found[name] for name in _TEXT if name in found]
        for chunk in read_chunks(file, list(found.values()), text=text, chunk_size=chunk_size):
            names, no_asset = to_names(chunk[found["asset"]])
            if no_asset.any():
                raise PanelFileError(
                    f"Every row of {str(file)!r} must have an asset. Got {int(no_asset.sum())} rows without one. "
                    "Drop them or fill in the asset."
                )
            n_rows += len(chunk)
            is_wanted = np.ones(len(chunk), dtype=bool) if wanted is None else names.isin(wanted).to_numpy()
            n_filtered += int((~is_wanted).sum())
            pieces.append(_canonical(chunk[is_wanted], found, names[is_wanted], file))
    counts |= {"layout": "reports" if report_rows else "wide", "n_files": len(files)}
    counts |= {"n_rows": n_rows, "n_filtered": n_filtered}
    if not n_rows:
        raise PanelFileError(f"{describe_path(path)} must hold at least one row. Got none.")
    return pd.concat(pieces, ignore_index=True), first, report_rows


def _canonical(chunk: pd.DataFrame, found: Mapping[str, str], names: Any, file: Path) -> pd.DataFrame:
    result: dict[str, Any] = {"asset": names}
    for name, column in found.items():
        if name in ("period_end", "available"):
            days, is_missing = to_days(chunk[column])
            is_faulty = days.isna().to_numpy() & ~(is_missing & (name == "available"))
            kind, values = "ISO dates, yyyymmdd or yyyymm", days
        elif name in _TEXT:
            if name != "asset":
                result[name] = chunk[column].astype(str)
            continue
        else:
            numbers, is_faulty = to_floats(chunk[column])
            is_faulty = is_faulty | np.isinf(numbers)
            kind, values = "finite numbers", pd.Series(numbers, index=chunk.index)
        if is_faulty.any():
            raise PanelFileError(
                f"The column {column!r} of {str(file)!r} must hold {kind}. Got {int(is_faulty.sum())} other values "
                f"such as {describe_first(list(chunk[column][is_faulty].unique()))} of "
                f"{describe_first(list(names[is_faulty].unique()))}. Mend these rows, or leave a column of numbers "
                f"out: columns={{{name!r}: None}}."
            )
        result[name] = values
    return pd.DataFrame(result)


def _blank_zeros(table: pd.DataFrame, zero_is_missing: bool | Sequence[str], items: list[str]) -> dict[str, int]:
    if isinstance(zero_is_missing, bool):
        chosen = items if zero_is_missing else []
    else:
        chosen = [zero_is_missing] if isinstance(zero_is_missing, str) else list(zero_is_missing)
    unknown = [item for item in chosen if item not in items]
    if unknown:
        raise PanelFileError(
            f"'zero_is_missing' must name items of the file: {', '.join(items)}. Got {', '.join(map(repr, unknown))}."
        )
    zeros: dict[str, int] = {}
    for item in chosen:
        is_zero = table[item] == 0
        zeros[item] = int(is_zero.sum())
        table[item] = table[item].mask(is_zero)
    return zeros


def _set_months(table: pd.DataFrame, months: int, report_rows: bool, counts: dict[str, Any], path: Any) -> None:
    counts["n_cash_flows_of_unknown_length"] = 0
    if report_rows:
        income, cash = months_of_reports(table["period_focus"], table.get("doc_type"), path)
        is_unknown = cash == 0
        if "operating_cash_flow" in table:
            counts["n_cash_flows_of_unknown_length"] = int((is_unknown & table["operating_cash_flow"].notna()).sum())
            table["operating_cash_flow"] = table["operating_cash_flow"].mask(is_unknown)
        # The cash flow is gone, so that its months say nothing any more.
        table["months"], table["cash_flow_months"] = income, np.where(is_unknown, 3, cash)
        return
    for name, default in (("months", months), ("cash_flow_months", None)):
        if name not in table:
            table[name] = table["months"] if default is None else default
        is_other = ~table[name].isin(DURATIONS)
        if is_other.any():
            raise PanelFileError(
                f"The column {name!r} of {describe_path(path)} must hold 3, 6, 9 or 12. Got {int(is_other.sum())} "
                f"other values such as {describe_first(list(table[name][is_other].unique()))}. Mend these rows."
            )
        table[name] = table[name].astype("int64")


def _quarterly_cash_flows(table: pd.DataFrame, cash_flow: str) -> BoolArray:
    if cash_flow == "quarter":
        return table["cash_flow_months"].isin((6, 9)).to_numpy()
    if cash_flow == "year_to_date" or any(name not in table for name in _CASH_ITEMS):
        return np.zeros(len(table), dtype=bool)
    return cash_flow_covers_quarter(table)
