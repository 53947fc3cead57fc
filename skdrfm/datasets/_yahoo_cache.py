"""Bars of Yahoo on disk: one CSV file for each ticker and range."""

from datetime import date
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from skdrfm.datasets._tables import EXACT_FLOATS
from skdrfm.datasets._yahoo_request import COLUMNS, check_days
from skdrfm.exceptions import PanelFileError
from skdrfm.utils._files import replacing


def cache_file(folder: Path, ticker: str, first: date, last: date) -> Path:
    """Name the file of a ticker and a range; characters that file names may not have are quoted."""
    return folder / f"{quote(ticker.upper(), safe='')}_{first}_{last}.csv"


def read_cached(path: Path, first: date, last: date) -> pd.DataFrame:
    """Read the bars of one file, which must be as this package wrote them."""
    try:
        table: pd.DataFrame = pd.read_csv(
            path, index_col="date", dtype=dict.fromkeys(COLUMNS, "float64"), **EXACT_FLOATS
        )
        if list(table.columns) != list(COLUMNS) or table.empty:
            raise ValueError(f"{len(table)} rows with the columns {list(table.columns)}")
        days = pd.DatetimeIndex(pd.to_datetime(table.index, format="%Y-%m-%d"))
        table.index = check_days(days, path.name, first, last)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PanelFileError(
            f"The cached file {str(path)!r} must hold bars that fetch_yahoo wrote. Got {type(error).__name__}: "
            f"{error}. Delete it to fetch it anew."
        ) from error
    return table


def write_cached(path: Path, bars: pd.DataFrame) -> None:
    """Write the bars whole or not at all; every bit of a float comes back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as stream:
        bars.to_csv(stream, date_format="%Y-%m-%d")
