"""The file of all firm signals of Open Asset Pricing: gigabytes, read by columns and chunks."""

import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from datetime import date
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray
from skdrfm.datasets._openap_cache import SignalCache, SignalRows
from skdrfm.datasets._openap_common import pick_names, to_month, unsigned_fault
from skdrfm.datasets._openap_doc import read_signs
from skdrfm.datasets._tables import MISSING, header_of, read_chunks
from skdrfm.exceptions import CoverageWarning, PanelFileError
from skdrfm.utils.validation import describe_first

__all__ = ["read_openap_signals"]

_KEYS = ["permno", "yyyymm"]
_FIRST_YEAR, _LAST_YEAR = 1900, 2100
_UNREADABLE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)


def read_openap_signals(
    path: str | Path,
    names: Iterable[str] | None = None,
    *,
    start: str | int | date | pd.Period | None = None,
    end: str | int | date | pd.Period | None = None,
    assets: Iterable[str | int] | None = None,
    signed: bool = True,
    signal_doc: str | Path | None = None,
    release_end: str | int | date | pd.Period | None = None,
    cache: str | Path | None = None,
    chunk_size: int = 200_000,
) -> pd.DataFrame:
    r"""Read firm signals of Open Asset Pricing, ``signed_predictors_dl_wide.csv``.

    The file has the columns ``permno``, ``yyyymm`` and about 209 signals, each multiplied by its sign, so that a
    higher value stands for a higher expected return. It is read in chunks, and only rows and columns that were
    asked for stay in memory: 4 bytes for each cell of the result, and as much again for a moment.

    Parameters
    ----------
    path : path
        File ending in .csv, .csv.gz, .zip (with one CSV file inside) or .parquet.
    names : iterable of str, default=None
        Signals to read, in the order of the result; None: all of them.
    start, end : month, default=None
        First and last month, both included, such as ``"2000-01"`` or ``200001``. None: no bound.
    assets : iterable of str or int, default=None
        The permnos to read; None: all of them.
    signed : bool, default=True
        True: values as in the file. False: raw signals, multiplied by their sign once more, which needs
        ``signal_doc``.
    signal_doc : path, default=None
        SignalDoc.csv or SignalDoc.xlsx, with the columns ``Acronym`` and ``Sign``.
    release_end : month, default=None
        Last month of the release. The file is an outer join of its signals, so slow accounting signals run on for
        months in which prices have ended; such rows are left out and counted.
    cache : path, default=None
        Folder, or file ending in .parquet, where the selection is kept. The next call with the same arguments and an
        unchanged file (place, size, time of change) reads it from there. Needs pyarrow.
    chunk_size : int, default=200_000
        Rows that are parsed at a time.

    Returns
    -------
    DataFrame of shape (n_rows, n_signals), float32, indexed by (date, asset)
        ``date`` is the last calendar day of the month, when the signals can be used for the return of the month
        after it; ``asset`` is the permno as text. Sorted by date, then asset; NaN where unknown.
        ``attrs["read_openap_signals"]`` counts ``rows_read``, ``rows_outside`` (of months and assets that were not
        asked for), ``rows_past_release_end``, ``rows_without_value``, ``infinite`` cells (NaN in the result, with a
        warning) and ``assets_not_found``, and tells whether the values are ``signed``.

    Raises
    ------
    PanelFileError
        If the file cannot be read, has no ``permno`` or ``yyyymm``, holds a faulty key or a cell that is no number,
        if a (permno, yyyymm) pair comes twice, a name is unknown (the message lists near ones), no row is left, a
        sign is unknown, or signals that a sign of -1 makes negative are positive: then the file is not signed.

    Warns
    -----
    CoverageWarning
        If cells are infinite.

    Notes
    -----
    ``Price``, ``Size`` and ``STreversal`` are not in the public file. Whether the assets of a month are those that
    were listed then depends on the release, so note its name beside results.

    References
    ----------
    Chen and Zimmermann (2022), Open Source Cross-Sectional Asset Pricing, Critical Finance Review 11.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from skdrfm.datasets import read_openap_signals
    >>> text = "permno,yyyymm,Beta,BookLeverage\n10001,202001,1.1,-2.0\n10001,202002,1.2,\n10002,202001,0.7,-1.5\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "signed_predictors_dl_wide.csv"
    ...     _ = file.write_text(text)
    ...     signals = read_openap_signals(file, ["Beta"], end="2020-01")
    >>> signals
                      Beta
    date       asset
    2020-01-31 10001   1.1
               10002   0.7
    """
    path = Path(path)
    _check_chunk_size(chunk_size)
    wanted = pick_names(names, _signals_of(path), path)
    bounds = {
        what: None if value is None else to_month(value, what)
        for what, value in (("start", start), ("end", end), ("release_end", release_end))
    }
    permnos = None if assets is None else _to_permnos(assets)
    signs = _signs_to_undo(wanted, signed, signal_doc)

    arguments = {
        "names": wanted,
        "bounds": {what: None if month is None else str(month) for what, month in bounds.items()},
        "assets": None if permnos is None else permnos.tolist(),
    }
    kept = SignalCache(cache, path, arguments) if cache is not None else None
    rows = kept.load(wanted) if kept is not None else None
    if rows is None:
        rows = _scan(path, wanted, bounds, permnos, chunk_size)
        if kept is not None:
            kept.save(wanted, rows)
    fault = unsigned_fault(dict(zip(wanted, rows.values, strict=True)), f"The file {str(path)!r}")
    if fault:
        raise PanelFileError(fault)
    if rows.counts["infinite"]:
        warnings.warn(
            f"{rows.counts['infinite']} cells of {str(path)!r} are infinite and count as missing.",
            CoverageWarning,
            stacklevel=2,
        )
    for j, sign in enumerate(signs):
        if sign < 0:
            np.subtract(0, rows.values[j], out=rows.values[j])
    out = pd.DataFrame(rows.values.T, index=_to_index(rows), columns=wanted, copy=False)
    out.attrs["read_openap_signals"] = {
        **rows.counts,
        "rows_without_value": int(np.isnan(rows.values).all(axis=0).sum()),
        "assets_not_found": 0 if permnos is None else int((~np.isin(permnos, rows.permno)).sum()),
        "signed": signed,
    }
    return out


def _check_chunk_size(value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
        raise PanelFileError(f"'chunk_size' must be an int of at least 1. Got {value!r}.")


def _signals_of(path: Path) -> list[str]:
    if not path.name.lower().endswith((".csv", ".csv.gz", ".zip", ".parquet")):
        raise PanelFileError(f"Signals must be a file ending in .csv, .csv.gz, .zip or .parquet. Got {str(path)!r}.")
    columns = header_of(path)
    absent = [key for key in _KEYS if key not in columns]
    if absent:
        raise PanelFileError(
            f"The file {str(path)!r} must have the columns 'permno' and 'yyyymm'. Missing: {describe_first(absent)}. "
            f"Found: {describe_first(columns, 10)}. Pass signed_predictors_dl_wide.csv, or rename its columns."
        )
    return [name for name in columns if name not in _KEYS]


def _unreadable(path: Path, error: Exception) -> PanelFileError:
    return PanelFileError(
        f"The file {str(path)!r} must be a readable table of numbers. Got {type(error).__name__}: {error}. "
        "Download it anew, or leave the faulty column out of 'names'."
    )


def _to_permnos(assets: Iterable[str | int]) -> AnyArray:
    given = [assets] if isinstance(assets, str | int) else list(assets)
    faulty = [one for one in given if isinstance(one, bool) or not str(one).isdigit()]
    if faulty or not given:
        raise PanelFileError(f"'assets' must be permnos such as '10001'. Got {describe_first(faulty) or 'none'}.")
    return np.unique(np.array([int(one) for one in given], dtype=np.int64))


def _signs_to_undo(names: list[str], signed: bool, signal_doc: str | Path | None) -> list[int]:
    if signed:
        if signal_doc is not None:
            raise PanelFileError("'signal_doc' must come with signed=False only. Got signed=True. Leave it out.")
        return [1] * len(names)
    if signal_doc is None:
        raise PanelFileError("signed=False needs the sign of each signal. Got no 'signal_doc'. Pass SignalDoc.csv.")
    signs = read_signs(signal_doc)
    absent = [name for name in names if name not in signs]
    if absent:
        raise PanelFileError(
            f"{str(signal_doc)!r} must have a sign for each signal that is read. Missing: {describe_first(absent)}. "
            "Pass the SignalDoc of the same release, or leave these signals out."
        )
    return [signs[name] for name in names]


def _chunks(path: Path, names: list[str], chunk_size: int) -> Iterator[pd.DataFrame]:
    columns = [*_KEYS, *names]
    if path.name.lower().endswith(".parquet"):
        yield from read_chunks(path, columns, text=(), chunk_size=chunk_size)
        return
    with pd.read_csv(
        path,
        usecols=columns,
        dtype=dict.fromkeys(names, np.float32),
        keep_default_na=False,
        na_values=MISSING,
        chunksize=chunk_size,
    ) as reader:
        yield from reader


def _scan(
    path: Path, names: list[str], bounds: dict[str, Any], permnos: AnyArray | None, chunk_size: int
) -> SignalRows:
    """Read the whole file once and keep the rows that were asked for."""
    counts = {"rows_read": 0, "rows_outside": 0, "rows_past_release_end": 0, "infinite": 0}
    limits = {"start": 0, "end": 999_999, "release_end": 999_999}
    limits |= {what: month.year * 100 + month.month for what, month in bounds.items() if month is not None}
    keys: list[AnyArray] = []
    parts: list[AnyArray] = []
    try:
        # A number too large for float32 becomes infinite, and is counted as such.
        with np.errstate(over="ignore"):
            for chunk in _chunks(path, names, chunk_size):
                permno, month = _keys_of(chunk, path)
                past = month > limits["release_end"]
                asked = (month >= limits["start"]) & (month <= limits["end"])
                if permnos is not None:
                    asked &= np.isin(permno, permnos)
                inside = asked & ~past
                counts["rows_read"] += len(chunk)
                counts["rows_past_release_end"] += int(past.sum())
                counts["rows_outside"] += int((~asked & ~past).sum())
                keys.append(np.stack([month[inside], permno[inside]]))
                values = np.stack([chunk[name].to_numpy(dtype=np.float32)[inside] for name in names])
                infinite = np.isinf(values)
                counts["infinite"] += int(infinite.sum())
                values[infinite] = np.nan
                parts.append(values)
    except (PanelFileError, ImportError):
        raise
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    month, permno = np.concatenate([*keys, np.empty((2, 0), dtype=np.int64)], axis=1)
    if not len(month):
        raise PanelFileError(
            f"The file {str(path)!r} must have rows of the months and assets asked for. Got none among "
            f"{counts['rows_read']} rows. Widen start, end, release_end or assets."
        )
    order = np.lexsort((_text_rank(permno), month))
    month, permno = month[order], permno[order]
    _check_unique(month, permno, path)
    values = np.empty((len(names), len(order)), dtype=np.float32)
    for j in range(len(names)):
        values[j] = np.concatenate([part[j] for part in parts])[order]
    return SignalRows(permno, month, values, counts)


def _keys_of(chunk: pd.DataFrame, path: Path) -> tuple[AnyArray, AnyArray]:
    whole: dict[str, AnyArray] = {}
    for key in _KEYS:
        numbers = pd.to_numeric(chunk[key], errors="coerce").to_numpy(dtype=np.float64)
        faulty = ~(np.isfinite(numbers) & (numbers > 0) & (numbers == np.floor(numbers)))
        if key == "yyyymm":
            year, month = np.divmod(numbers, 100)
            faulty |= ~((year >= _FIRST_YEAR) & (year <= _LAST_YEAR) & (month >= 1) & (month <= 12))
        if faulty.any():
            must = "months as yyyymm" if key == "yyyymm" else "whole positive numbers"
            raise PanelFileError(
                f"The column {key!r} of {str(path)!r} must hold {must}. Got {int(faulty.sum())} others such as "
                f"{describe_first(list(chunk[key][faulty].unique()))} in a chunk of {len(chunk)} rows. Mend these rows."
            )
        whole[key] = numbers.astype(np.int64)
    return whole["permno"], whole["yyyymm"]


def _text_rank(permno: AnyArray) -> AnyArray:
    """Rank of each permno among all of them as text, the order of the index."""
    distinct, codes = np.unique(permno, return_inverse=True)
    rank = np.empty(len(distinct), dtype=np.int64)
    rank[np.argsort(distinct.astype(str), kind="stable")] = np.arange(len(distinct))
    return rank[codes]


def _check_unique(month: AnyArray, permno: AnyArray, path: Path) -> None:
    twice = (np.diff(month) == 0) & (np.diff(permno) == 0)
    if twice.any():
        pairs = [(int(permno[i]), int(month[i])) for i in np.flatnonzero(twice)[:4]]
        raise PanelFileError(
            f"The file {str(path)!r} must have one row for each (permno, yyyymm). Got {int(twice.sum())} further rows: "
            f"{describe_first(pairs)}. Keep one row of each pair."
        )


def _to_index(rows: SignalRows) -> pd.MultiIndex:
    months, date_codes = np.unique(rows.month, return_inverse=True)
    dates = pd.to_datetime(pd.Index(months.astype(str)), format="%Y%m") + pd.offsets.MonthEnd(0)
    distinct = np.unique(rows.permno).astype(str)
    distinct.sort()
    codes: Any = [date_codes, _text_rank(rows.permno)]
    return pd.MultiIndex(levels=[dates, pd.Index(distinct)], codes=codes, names=["date", "asset"])
