"""What all readers of tables share: files, names of columns, chunks, dates and numbers."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray, FloatArray
from skdrfm.exceptions import PanelFileError
from skdrfm.utils._optional import import_optional
from skdrfm.utils.validation import describe_first

# What counts as missing in numbers; never applied to assets, whose tickers may be "NA", "TRUE" or "ON".
MISSING = ["", "NA", "NaN", "nan", "null", "None", "N/A", "#N/A"]

# Before pandas 3.1 reading a number back to its last bit had to be asked for.
_PANDAS = tuple(int(part) for part in pd.__version__.split(".")[:2])
EXACT_FLOATS: dict[str, Any] = {} if _PANDAS >= (3, 1) else {"float_precision": "round_trip"}

_SUFFIXES = (".csv", ".csv.gz", ".parquet")

# ISO 8601 alone means the same everywhere: 01/02/2000 is in January or in February.
_DATE_FORMATS = (
    (r"\d{4}-\d{2}-\d{2}(?:[T ].*)?", "%Y-%m-%d", 10),
    (r"\d{8}", "%Y%m%d", 8),
    (r"\d{4}-\d{2}", "%Y-%m", 7),
    (r"\d{6}", "%Y%m", 6),
)


def list_files(path: str | Path | Sequence[str | Path]) -> list[Path]:
    """List the table files that a path, a folder or a list of paths stands for.

    Parameters
    ----------
    path : path or sequence of paths
        Files whose names end in .csv, .csv.gz or .parquet, or a folder whose files of these kinds are taken in the
        order of their names.

    Returns
    -------
    list of Path
        At least one file.

    Raises
    ------
    PanelFileError
        If a path does not exist, a file is of another kind, or there is no file.
    """
    given = [path] if isinstance(path, str | Path) else list(path)
    files: list[Path] = []
    for one in map(Path, given):
        if one.is_dir():
            found = sorted(file for file in one.iterdir() if file.name.lower().endswith(_SUFFIXES))
            if not found:
                raise PanelFileError(f"The folder {str(one)!r} must hold files ending in {', '.join(_SUFFIXES)}.")
            files += found
        elif not one.exists():
            raise PanelFileError(f"The file {str(one)!r} must exist. Check the path.")
        elif not one.name.lower().endswith(_SUFFIXES):
            raise PanelFileError(f"The table must be a file ending in {', '.join(_SUFFIXES)}. Got {str(one)!r}.")
        else:
            files.append(one)
    if not files:
        raise PanelFileError("At least one file must be given. Got an empty list.")
    return files


def describe_path(path: Any) -> str:
    """Name a file or folder in a message, or count the files of a list."""
    return repr(str(path)) if isinstance(path, str | Path) else f"{len(path)} files"


def stem_of(path: Path) -> str:
    """Return the name of a file without its ending, also of two parts (.csv.gz)."""
    name = path.name
    suffix = next(s for s in sorted(_SUFFIXES, key=len, reverse=True) if name.lower().endswith(s))
    return name[: -len(suffix)]


def header_of(path: Path) -> list[str]:
    """Read the names of the columns alone."""
    try:
        if path.name.lower().endswith(".parquet"):
            parquet = import_optional("pyarrow.parquet", extra="parquet", purpose="read Parquet files")
            return [str(name) for name in parquet.read_schema(path).names]
        return [str(name) for name in pd.read_csv(path, nrows=0).columns]
    except ImportError:
        raise
    except Exception as error:
        raise _unreadable(path, error) from error


def find_columns(
    found: Sequence[str],
    names: Mapping[str, Sequence[str]],
    given: Mapping[str, str | None] | None,
    path: Path,
    *,
    first: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Find out which column of a file is which.

    Parameters
    ----------
    found : sequence of str
        The columns of the file.
    names : mapping of str to sequence of str
        Canonical name to the other names that are recognised. Case, and spaces, hyphens or underscores between
        words, make no difference.
    given : mapping of str to str or None
        Canonical name to the name in the file, which goes before recognition; None leaves the column out.
    path : Path
        The file, for messages.
    first : mapping of str to str, default=None
        Canonical name to the one that is taken where a file has several.

    Returns
    -------
    dict of str to str
        Canonical name to the name in the file, in the order of ``names``.

    Raises
    ------
    PanelFileError
        If ``given`` has an unknown name or a column that the file lacks, or two columns could be the same one.
    """
    given = dict(given or {})
    unknown = [name for name in given if name not in names]
    if unknown:
        raise PanelFileError(
            f"The keys of 'columns' must be among {', '.join(map(repr, names))}. "
            f"Got {', '.join(map(repr, unknown))}. Write columns={{canonical name: name in the file}}."
        )
    absent = [name for name in given.values() if name is not None and name not in found]
    if absent:
        raise PanelFileError(
            f"The file {str(path)!r} must have the columns that 'columns' names. Missing: "
            f"{', '.join(map(repr, absent))}. Found: {describe_first(list(found), 30)}."
        )
    taken = set(given.values())
    result: dict[str, str] = {}
    for name, others in names.items():
        chosen = given.get(name)
        if name not in given:
            accepted = {_plain(other) for other in (name, *others)}
            candidates = [column for column in found if column not in taken and _plain(column) in accepted]
            better = [column for column in candidates if _plain(column) == _plain((first or {}).get(name, ""))]
            candidates = better or candidates
            if len(candidates) > 1:
                raise PanelFileError(
                    f"The file {str(path)!r} has several columns for {name!r}: {', '.join(map(repr, candidates))}. "
                    f"Choose one: columns={{{name!r}: {candidates[0]!r}}}."
                )
            chosen = candidates[0] if candidates else None
        if chosen is not None:
            result[name] = chosen
    return result


def _plain(name: str) -> str:
    return "_".join(name.lower().replace("-", " ").replace("_", " ").split())


def read_chunks(path: Path, columns: Sequence[str], *, text: Sequence[str], chunk_size: int) -> Iterator[pd.DataFrame]:
    """Read some columns of a file in pieces, so that files larger than memory can be filtered.

    Parameters
    ----------
    path : Path
        A CSV or Parquet file.
    columns : sequence of str
        The columns to read; no other is decoded.
    text : sequence of str
        Those that are never read as numbers, and in which no text stands for a missing value.
    chunk_size : int
        Largest number of rows of a piece.

    Yields
    ------
    DataFrame
        The next rows, with the columns in the order asked for.

    Raises
    ------
    PanelFileError
        If the file cannot be read.
    """
    columns = list(dict.fromkeys(columns))  # one column may stand for two items
    try:
        if path.name.lower().endswith(".parquet"):
            parquet = import_optional("pyarrow.parquet", extra="parquet", purpose="read Parquet files")
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=chunk_size, columns=columns):
                    yield batch.to_pandas()[columns]
            return
        missing = {column: MISSING for column in columns if column not in text}
        with pd.read_csv(
            path,
            usecols=columns,
            dtype=dict.fromkeys(text, str),
            keep_default_na=False,
            na_values=missing,
            chunksize=chunk_size,
            **EXACT_FLOATS,
        ) as reader:
            for chunk in reader:
                yield chunk[columns]
    except (ImportError, PanelFileError):
        raise
    except Exception as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> PanelFileError:
    return PanelFileError(
        f"The file {str(path)!r} must be a readable CSV or Parquet file. Got {type(error).__name__}: {error}"
    )


def to_days(column: "pd.Series[Any]") -> tuple["pd.Series[Any]", BoolArray]:
    """Read the calendar days of a column.

    Parameters
    ----------
    column : Series of length n_samples
        ISO dates (a time of day and its zone are cut off, so that the day is the one written), yyyymmdd, or months
        as yyyy-mm or yyyymm, which stand for their last day. Text, integers, datetime64 or Period.

    Returns
    -------
    days : Series of datetime64 of length n_samples
        Midnight of each day; NaT where there is none or it cannot be read.
    is_missing : ndarray of shape (n_samples,)
        Whether there is none, as opposed to one that cannot be read.
    """
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp(how="end")
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            column = column.dt.tz_localize(None)
        return column.dt.normalize(), column.isna().to_numpy()
    if pd.api.types.is_float_dtype(column.dtype) and bool((column.dropna() % 1 == 0).all()):
        column = column.astype("Int64")
    codes, distinct = pd.factorize(column)  # few days, many rows
    texts = pd.Series(distinct).astype(str).str.strip()
    days = pd.Series(pd.NaT, index=texts.index).astype(_day_dtype())
    for pattern, form, length in _DATE_FORMATS:
        fits = texts.str.fullmatch(pattern)
        if fits.any():
            read = pd.to_datetime(texts[fits].str[:length], format=form, errors="coerce")
            days[fits] = read if "%d" in form else read + pd.offsets.MonthEnd(0)
    # Position -1 (missing) takes the NaT at the end.
    known = np.append(days.to_numpy(), np.datetime64("NaT"))
    absent = np.append(texts.isin(MISSING).to_numpy(), True)
    return pd.Series(known[codes], index=column.index), absent[codes]


def _day_dtype() -> Any:
    # The resolution that this pandas gives to dates read from text, so that indexes compare equal.
    return pd.to_datetime(pd.Series(["2000-01-31"])).dtype


def to_floats(column: "pd.Series[Any]") -> tuple[FloatArray, BoolArray]:
    """Read the numbers of a column.

    Parameters
    ----------
    column : Series of length n_samples
        Numbers, or text that holds them.

    Returns
    -------
    numbers : ndarray of float64 of shape (n_samples,)
        NaN where missing or no number.
    is_faulty : ndarray of shape (n_samples,)
        Whether there is something that is no number.
    """
    if pd.api.types.is_bool_dtype(column.dtype):
        return np.full(len(column), np.nan), np.ones(len(column), dtype=bool)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan), np.zeros(len(column), dtype=bool)
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    is_missing = (column.isna() | column.astype(str).str.strip().isin(MISSING)).to_numpy()
    return numbers, np.isnan(numbers) & ~is_missing


def to_names(column: "pd.Series[Any]") -> tuple["pd.Series[str]", BoolArray]:
    """Read the assets of a column as text.

    Parameters
    ----------
    column : Series of length n_samples
        Text or integers; only the empty text and null are missing.

    Returns
    -------
    names : Series of object of length n_samples
        The text.
    is_missing : ndarray of shape (n_samples,)
        Whether there is none.
    """
    if pd.api.types.is_float_dtype(column.dtype) and bool((column.dropna() % 1 == 0).all()):
        column = column.astype("Int64")  # 10001.0 is the asset 10001
    is_missing = column.isna().to_numpy()
    names = column.astype(object).where(~is_missing, "").astype(str)
    return names, is_missing | (names == "").to_numpy()


def to_bound(value: Any, name: str, *, last: bool) -> pd.Timestamp | None:
    """Read the first or last day of a range; a year or a month stands for all of its days.

    Parameters
    ----------
    value : str, date, Timestamp, Period or None
        For example ``"2005"``, ``"2005-03"`` or ``"2005-03-31"``.
    name : str
        Name of the parameter in messages.
    last : bool
        Whether the last day is wanted.

    Returns
    -------
    Timestamp or None
        Midnight of the day.

    Raises
    ------
    PanelFileError
        If it is no date.
    """
    if value is None:
        return None
    try:
        if isinstance(value, date):
            return pd.Timestamp(value).normalize().tz_localize(None)
        period = pd.Period(value)
        moment = period.end_time if last else period.start_time
        return pd.Timestamp(moment).normalize()
    except (ValueError, TypeError) as error:
        raise PanelFileError(f"'{name}' must be a date such as '2005-03-31' or '2005-03'. Got {value!r}.") from error
