"""Files of Kenneth French's data library: several tables of percent under a preamble."""

import gzip
import re
import zipfile
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.datasets._tables import EXACT_FLOATS
from skdrfm.exceptions import PanelFileError
from skdrfm.utils.validation import describe_first

__all__ = ["read_fama_french"]

_SENTINELS = (-99.99, -999.0)
_DATE = re.compile(r"\d{4}(-?\d{2}(-?\d{2})?)?")
_LIKE_A_DATE = re.compile(r"[\d./-]+")
_DATE_HEADERS = ("", "date", "month", "year", "yyyymm", "yyyymmdd")
_RETURNS = re.compile(r"return|factor|^vw$|^ew$", re.IGNORECASE)
_FREQUENCIES = {4: "annual", 6: "monthly", 8: "daily"}
_FORMATS = {"annual": "%Y", "monthly": "%Y%m", "daily": "%Y%m%d"}
_INDEX_NAMES = {"annual": "year", "monthly": "month", "daily": "date"}

# Median size of a return: about 3 % a month, 0.5 % a day, 15 % a year. Each bound lies between that number in
# percent and the same number as a decimal.
_SMALLEST_PERCENT = {"annual": 1.0, "monthly": 0.1, "daily": 0.05}
_ENOUGH_TO_JUDGE = 6


@dataclass(frozen=True)
class _Table:
    """One table of a file: its title, the names of its columns (None: it has none) and its lines as text."""

    title: str
    header: list[str] | None
    rows: list[str]
    line: int


def read_fama_french(path: str | Path, *, table: int | str = 0) -> pd.DataFrame:
    r"""Read one table of returns from a file of Kenneth French's data library.

    Two layouts are known: the file as the library gives it (preamble, tables under titles, copyright line, also
    inside its .zip), and a plain CSV file whose first column is ``month`` or ``date``, where a second column
    ``table`` may name several tables.

    Parameters
    ----------
    path : path
        File whose name ends in .csv, .csv.gz or .zip (with one CSV file inside).
    table : int or str, default=0
        Which table: its position from 0, its title, or a part of its title (in any case) that no other title has,
        for example ``"Equal Weighted Returns -- Monthly"``, ``"Annual Factors"`` or ``"ew"``.

    Returns
    -------
    DataFrame of shape (n_periods, n_columns)
        float64, decimal returns (0.01 = 1 %) where the table holds returns or factors; counts of firms, sizes and
        ratios as they are in the file. Indexed by month or year (Period), or by day (datetime64).
        ``attrs["read_fama_french"]`` tells the title, the frequency, the unit (``"decimal"`` or ``"as in the file"``),
        the number of rows, of cells that the file marks as missing (``masked``: -99.99 or -999, here NaN) and of
        months or years between the first and the last that have no row (``absent_periods``).

    Raises
    ------
    PanelFileError
        If the file cannot be read or holds no table, ``table`` names none or several, a row or a date is faulty,
        dates do not increase, a cell is no number, or returns seem to be decimals already: the median size of
        the market's return (of all columns but RF where there is no market) is below 0.1 a month, 0.05 a day or 1 a
        year. Fewer than 6 returns are not judged.

    Notes
    -----
    Missing values are masked before the division by 100; afterwards -99.99 would be a return of almost -100 %.
    ``Mkt-RF`` of a monthly file is what ``compute_descriptors`` takes as ``market``. The index of a market in total
    returns is ``Mkt-RF`` plus ``RF``.

    References
    ----------
    Fama and French (1993), Common risk factors in the returns on stocks and bonds, Journal of Financial
    Economics 33. Fama and French (2015), A five-factor asset pricing model, Journal of Financial Economics 116.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from skdrfm.datasets import read_fama_french
    >>> text = (
    ...     "This file was created from a database.\r\n\r\n,Mkt-RF,RF\r\n192607,    2.96,    0.22\r\n"
    ...     "192608,  -99.99,    0.25\r\n\r\n  Annual Factors: January-December\r\n"
    ...     ",Mkt-RF,RF\r\n  1927,   29.47,    3.12\r\n"
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "F-F_Research_Data_Factors.CSV"
    ...     _ = file.write_text(text)
    ...     factors = read_fama_french(file)
    >>> factors
             Mkt-RF      RF
    month
    1926-07  0.0296  0.0022
    1926-08     NaN  0.0025
    >>> factors.attrs["read_fama_french"]["masked"]
    1
    """
    path = Path(path)
    chosen = _choose(_find_tables(_read_lines(path), path), table, path)
    frequency = _frequency_of(chosen.rows[0])
    raw = _to_numbers(chosen, path)
    index = _to_index([line.split(",", 1)[0] for line in chosen.rows], frequency, path)
    missing = np.isin(raw, _SENTINELS)
    values = np.where(missing, np.nan, raw)
    are_returns = not chosen.title or _RETURNS.search(chosen.title) is not None
    header = chosen.header or []
    if are_returns:
        _check_percent(values, header[1:], frequency, path)
        values = values / 100
    out = pd.DataFrame(values, index=index, columns=header[1:])
    span = 0 if frequency == "daily" else index.asi8[-1] - index.asi8[0] + 1
    out.attrs["read_fama_french"] = {
        "table": chosen.title,
        "frequency": frequency,
        "unit": "decimal" if are_returns else "as in the file",
        "n_rows": len(out),
        "masked": int(missing.sum()),
        "absent_periods": max(int(span) - len(out), 0),
    }
    return out


def _read_lines(path: Path) -> list[str]:
    name = path.name.lower()
    if not name.endswith((".csv", ".csv.gz", ".zip")):
        raise PanelFileError(f"A Fama-French file must end in .csv, .csv.gz or .zip. Got {str(path)!r}.")
    try:
        if name.endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                inside = [member for member in archive.namelist() if member.lower().endswith(".csv")]
                if len(inside) != 1:
                    raise PanelFileError(
                        f"The archive {str(path)!r} must hold one CSV file. Got {len(inside)}: "
                        f"{describe_first(inside)}. Unpack it and pass the file."
                    )
                content = archive.read(inside[0])
        else:
            content = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise PanelFileError(
            f"The file {str(path)!r} must be a readable Fama-French file. Got {type(error).__name__}: {error}. "
            "Download it anew."
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.splitlines()


def _find_tables(lines: list[str], path: Path) -> list[_Table]:
    """Cut the file into its tables; a table ends at the first line that does not begin with a date."""
    tables: list[_Table] = []
    rows: list[str] = []
    header: list[str] | None = None
    words: list[str] = []  # of the paragraph that stands above the next header
    paragraph_ended = False

    def close() -> None:
        nonlocal header, words
        if rows:
            tables.append(_Table(" ".join(words), header, rows.copy(), number - len(rows)))
            rows.clear()
            header, words = None, []

    number = 0
    for number, line in enumerate([*lines, ""], start=1):
        cells = [cell.strip() for cell in line.split(",")]
        if not any(cells):
            close()
            paragraph_ended = True
        elif len(cells) > 1 and _DATE.fullmatch(cells[0]):
            if rows and _frequency_of(rows[0]) != _frequency_of(line):
                close()
            rows.append(line)
        elif len(cells) > 1 and _LIKE_A_DATE.fullmatch(cells[0]):
            raise PanelFileError(
                f"Line {number} of {str(path)!r} must begin with yyyymm, yyyymmdd or yyyy (hyphens allowed). "
                f"Got {line.strip()[:40]!r}. Mend the line."
            )
        elif len(cells) > 1 and cells[0].lower() in _DATE_HEADERS:
            close()
            header = cells
            # The preamble is no title: a first table after a blank line has none.
            if paragraph_ended and not tables:
                words = []
        else:
            close()
            if paragraph_ended:
                words = []
            words.append(line.strip())
            paragraph_ended = False
    _check_whole(tables, path)
    return [part for whole in tables for part in _split_by_name(whole)]


def _check_whole(tables: list[_Table], path: Path) -> None:
    if not tables:
        raise PanelFileError(
            f"The file {str(path)!r} must hold rows that begin with a date (yyyymm, yyyymmdd or yyyy) under a header. "
            "Got none. Pass the CSV file of the data library, not its text version."
        )
    for before, after in pairwise(tables):
        same_length = _frequency_of(before.rows[0]) == _frequency_of(after.rows[0])
        if after.header is None and not after.title and same_length:
            raise PanelFileError(
                f"The rows of a table of {str(path)!r} must follow each other. Got a break before line {after.line}. "
                "Remove the lines between them, or download the file anew."
            )


def _split_by_name(table: _Table) -> list[_Table]:
    """Cut a plain file with a column ``table`` into one table for each name."""
    if table.header is None or len(table.header) < 3 or table.header[1].lower() != "table":
        return [table]
    groups: dict[str, list[str]] = {}
    for line in table.rows:
        date, name, *rest = line.split(",", 2)
        groups.setdefault(name.strip(), []).append(",".join([date, *rest]))
    header = [table.header[0], *table.header[2:]]
    return [_Table(name, header, rows, table.line) for name, rows in groups.items()]


def _choose(tables: list[_Table], table: Any, path: Path) -> _Table:
    titles = [one.title or "(no title)" for one in tables]
    found: list[_Table] = []
    if isinstance(table, str):
        exact = [one for one in tables if one.title.lower() == table.lower()]
        found = exact or [one for one in tables if table.lower() in one.title.lower()]
    elif not isinstance(table, bool) and isinstance(table, Integral) and 0 <= int(table) < len(tables):
        found = [tables[int(table)]]
    if len(found) != 1:
        got = "which several titles have" if found else "which names no table"
        raise PanelFileError(
            f"The 'table' parameter must be the position or a part of the title of one table of {str(path)!r}. "
            f"Got {table!r}, {got}. Tables: {describe_first(titles, 20)}."
        )
    if found[0].header is None:
        raise PanelFileError(
            f"A table must have a header with the names of its columns. Table {table!r} of {str(path)!r} has none "
            f"above line {found[0].line} (breakpoints have none). Write one above it."
        )
    return found[0]


def _to_numbers(table: _Table, path: Path) -> Any:
    header = table.header or []
    names = header[1:]
    faulty = [line for line in table.rows if line.count(",") != len(names)]
    if faulty:
        raise PanelFileError(
            f"Every row of {str(path)!r} must have the {len(header)} cells of its header. Got {len(faulty)} others "
            f"such as {faulty[0].strip()[:60]!r}. Mend these lines, or download the file anew."
        )
    if len(set(names)) < len(names) or "" in names:
        raise PanelFileError(
            f"The columns of {str(path)!r} must have distinct names. Got {describe_first(names, 30)}. Rename them."
        )
    # Missing values have numbers of their own here, so an empty or other cell is a fault.
    text = pd.read_csv(
        StringIO("\n".join(table.rows)),
        header=None,
        skipinitialspace=True,
        keep_default_na=False,
        dtype={0: str},
        **EXACT_FLOATS,
    ).iloc[:, 1:]
    numbers = text.apply(pd.to_numeric, errors="coerce")
    unknown = ~np.isfinite(numbers.to_numpy(dtype=np.float64))
    if unknown.any():
        cells = [str(cell) for cell in text.to_numpy()[unknown]]
        raise PanelFileError(
            f"The table must hold finite numbers, with -99.99 or -999 for a missing one. Got {len(cells)} other cells "
            f"in {str(path)!r} such as {describe_first(cells)}. Mend them, or name a table of numbers by 'table'."
        )
    return numbers.to_numpy(dtype=np.float64)


def _frequency_of(row: str) -> str:
    return _FREQUENCIES[len(row.split(",", 1)[0].strip().replace("-", ""))]


def _to_index(dates: list[str], frequency: str, path: Path) -> Any:
    plain = [date.strip().replace("-", "") for date in dates]
    try:
        days = pd.to_datetime(pd.Index(plain), format=_FORMATS[frequency])
    except ValueError as error:
        raise PanelFileError(f"The dates of {str(path)!r} must be days of the calendar. Got: {error}") from error
    if not days.is_monotonic_increasing or not days.is_unique:
        at = int(np.flatnonzero(np.diff(days.asi8) <= 0)[0])
        raise PanelFileError(
            f"The dates of a table of {str(path)!r} must increase from row to row. Got {plain[at + 1]} after "
            f"{plain[at]}. Sort the rows and keep one row for each date."
        )
    name = _INDEX_NAMES[frequency]
    if frequency == "daily":
        return pd.DatetimeIndex(days, name=name)
    return pd.PeriodIndex(days, freq="M" if frequency == "monthly" else "Y", name=name)


def _check_percent(values: Any, names: list[str], frequency: str, path: Path) -> None:
    market = [name for name in names if name.upper() in ("MKT-RF", "MKT_RF", "MKT")]
    judged = market[:1] or [name for name in names if name.upper() != "RF"]
    sizes = np.abs(values[:, [names.index(name) for name in judged]])
    sizes = sizes[~np.isnan(sizes)]
    if len(sizes) < _ENOUGH_TO_JUDGE:
        return
    median = float(np.median(sizes))
    if median < _SMALLEST_PERCENT[frequency]:
        raise PanelFileError(
            f"Returns of {str(path)!r} must be in percent, as in the data library. Got a median size of {median:.3g} "
            f"per period ({frequency}), which looks like decimals. Multiply them by 100, or read the file with pandas."
        )
