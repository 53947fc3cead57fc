"""The file of long-short returns of Open Asset Pricing: percent per month, dated by trading days."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.datasets._openap_common import pick_names
from skdrfm.datasets._tables import EXACT_FLOATS, MISSING
from skdrfm.exceptions import PanelFileError
from skdrfm.utils.validation import describe_first

__all__ = ["read_openap_portfolios"]

# The last trading day of a month is at most 3 days before its end (a weekend and a holiday).
_DAYS_BEFORE_END = 5
# The median size of a portfolio's return is 0.5 to 7 % a month, so 0.005 to 0.07 as decimals.
_SMALLEST_PERCENT = 0.1
_ENOUGH_TO_JUDGE = 12


def read_openap_portfolios(path: str | Path, names: Iterable[str] | None = None) -> pd.DataFrame:
    r"""Read monthly long-short returns of Open Asset Pricing, ``PredictorLSretWide.csv``.

    Parameters
    ----------
    path : path
        File ending in .csv, .csv.gz or .zip (with one CSV file inside): a column ``date`` with the last trading day
        of each month (ISO), and a column of returns in percent for each signal, with ``NA`` for a missing one.
    names : iterable of str, default=None
        Signals to read, in the order of the result; None: all of them.

    Returns
    -------
    DataFrame of shape (n_months, n_signals)
        float64, decimal return of each long-short portfolio over the month (0.01 = 1 %), NaN where unknown, indexed
        by month (Period), sorted. These are returns of portfolios, not descriptors of firms.
        ``attrs["read_openap_portfolios"]`` counts ``n_rows``, ``missing`` cells, their share of all cells, and
        ``absent_months`` between the first and the last.

    Raises
    ------
    PanelFileError
        If the file cannot be read or holds no row, a name is unknown (the message lists near ones), a cell is no
        finite number, a date is no ISO date or lies more than 5 days before the end of its month, a month comes
        twice, or a column with at least 12 returns has a median size below 0.1, as decimals would.

    References
    ----------
    Chen and Zimmermann (2022), Open Source Cross-Sectional Asset Pricing, Critical Finance Review 11.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from skdrfm.datasets import read_openap_portfolios
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "PredictorLSretWide.csv"
    ...     _ = file.write_text("date,Beta,BM\n2000-01-31,1.5,NA\n2000-02-29,-0.5,2.0\n")
    ...     read_openap_portfolios(file)
              Beta    BM
    month
    2000-01  0.015   NaN
    2000-02 -0.005  0.02
    """
    path = Path(path)
    table = _read(path)
    if "date" not in table.columns:
        raise PanelFileError(
            f"The file {str(path)!r} must have a column 'date'. Found: {describe_first(list(table.columns), 10)}. "
            "Pass PredictorLSretWide.csv, or rename the column."
        )
    wanted = pick_names(names, [name for name in table.columns if name != "date"], path)
    if table.empty:
        raise PanelFileError(f"The file {str(path)!r} must have a row for each month. Got none. Download it anew.")
    months = _to_months(table["date"], path)
    ordinals = months.asi8
    percent = np.column_stack([_to_numbers(table[name], path) for name in wanted])
    _check_percent(percent, wanted, path)
    out = pd.DataFrame(percent / 100, index=months, columns=wanted).sort_index()
    missing = int(np.isnan(percent).sum())
    out.attrs["read_openap_portfolios"] = {
        "n_rows": len(out),
        "missing": missing,
        "missing_share": missing / percent.size,
        "absent_months": int(ordinals.max() - ordinals.min()) + 1 - len(out),
    }
    return out


def _read(path: Path) -> pd.DataFrame:
    if not path.name.lower().endswith((".csv", ".csv.gz", ".zip")):
        raise PanelFileError(f"Portfolios must be a file ending in .csv, .csv.gz or .zip. Got {str(path)!r}.")
    try:
        options: dict[str, Any] = {"keep_default_na": False, "na_values": MISSING, **EXACT_FLOATS}
        table: pd.DataFrame = pd.read_csv(path, dtype={"date": str}, **options)
        return table
    except Exception as error:
        raise PanelFileError(
            f"The file {str(path)!r} must be a readable CSV file. Got {type(error).__name__}: {error}. "
            "Download it anew."
        ) from error


def _to_months(dates: "pd.Series[Any]", path: Path) -> pd.PeriodIndex:
    try:
        if dates.isna().any():
            raise ValueError(f"{int(dates.isna().sum())} rows without a date")
        days = pd.DatetimeIndex(pd.to_datetime(dates, format="%Y-%m-%d"))
    except ValueError as error:
        raise PanelFileError(f"The dates of {str(path)!r} must be ISO dates (yyyy-mm-dd). Got: {error}.") from error
    early = days.days_in_month - days.day > _DAYS_BEFORE_END
    if early.any():
        first = [str(day.date()) for day in days[early][:4]]
        raise PanelFileError(
            f"The dates of {str(path)!r} must be the last trading days of their months. Got {int(early.sum())} earlier "
            f"ones such as {describe_first(first)}. Date each return by the end of the month that it was earned in."
        )
    months = pd.PeriodIndex(days, freq="M", name="month")
    twice = months.duplicated()
    if twice.any():
        first = [str(month) for month in months[twice][:4]]
        raise PanelFileError(
            f"The file {str(path)!r} must have one row for each month. Got {int(twice.sum())} further rows: "
            f"{describe_first(first)}. Keep one row of each month."
        )
    return months


def _to_numbers(column: "pd.Series[Any]", path: Path) -> Any:
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    faulty = (np.isnan(numbers) & column.notna().to_numpy()) | np.isinf(numbers)
    if faulty.any():
        raise PanelFileError(
            f"The column {column.name!r} of {str(path)!r} must hold finite numbers or NA. Got {int(faulty.sum())} "
            f"others such as {describe_first(list(column[faulty].unique()))}. Mend them, or leave the column out of "
            "'names'."
        )
    return numbers


def _check_percent(percent: Any, names: list[str], path: Path) -> None:
    small = []
    for j, name in enumerate(names):
        known = np.abs(percent[~np.isnan(percent[:, j]), j])
        if len(known) >= _ENOUGH_TO_JUDGE and np.median(known) < _SMALLEST_PERCENT:
            small.append(f"{name!r} ({np.median(known):.3g})")
    if small:
        rest = f" and {len(small) - 3} more" if len(small) > 3 else ""
        raise PanelFileError(
            f"Returns of {str(path)!r} must be in percent per month. Got a median size below {_SMALLEST_PERCENT} in "
            f"{', '.join(small[:3])}{rest}, which looks like decimals. Multiply these columns by 100."
        )
