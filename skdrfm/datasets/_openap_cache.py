"""Selected signals kept as Parquet, so that a file of gigabytes is parsed once."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skdrfm._typing import AnyArray
from skdrfm.exceptions import PanelFileError
from skdrfm.utils._files import replacing
from skdrfm.utils._optional import import_optional

# Raised whenever the same file and arguments give other rows than before.
_VERSION = 1
_METADATA = b"skdrfm.read_openap_signals"
_ROW_GROUP = 100_000


@dataclass(frozen=True)
class SignalRows:
    """Rows of signals, sorted by month and asset.

    Parameters
    ----------
    permno : ndarray of shape (n_rows,), int64
        Asset of each row.
    month : ndarray of shape (n_rows,), int64
        Month of each row as yyyymm.
    values : ndarray of shape (n_signals, n_rows), float32
        One row for each signal.
    counts : dict
        What was read and what was left out.
    """

    permno: AnyArray
    month: AnyArray
    values: AnyArray
    counts: Mapping[str, int]


def identity(path: Path) -> list[Any]:
    """Describe a file by its place, size and time of change, which a changed file does not share."""
    state = path.stat()
    return [str(path.resolve()), state.st_size, state.st_mtime_ns]


class SignalCache:
    """One Parquet file that holds the rows of one call.

    Parameters
    ----------
    place : path
        A file ending in .parquet, which then serves the last call only, or a folder for the files of many calls.
    source : path
        The file that the rows come from.
    arguments : dict
        Everything else that the rows depend on.
    """

    def __init__(self, place: str | Path, source: Path, arguments: Mapping[str, Any]) -> None:
        self._pa = import_optional("pyarrow", extra="parquet", purpose="keep signals in a Parquet cache")
        self._pq = import_optional("pyarrow.parquet", extra="parquet", purpose="keep signals in a Parquet cache")
        described = {"version": _VERSION, "file": identity(source), **arguments}
        self._key = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
        place = Path(place)
        self._is_file = place.name.lower().endswith(".parquet")
        self._path = place if self._is_file else place / f"{source.name.split('.')[0]}-{self._key[:16]}.parquet"

    def load(self, names: list[str]) -> SignalRows | None:
        """Give back the rows of an earlier call with the same file and arguments, None if there is none."""
        if not self._path.exists():
            return None
        try:
            stored = self._pq.read_schema(self._path).metadata or {}
            if _METADATA not in stored:
                raise ValueError("it was not written by read_openap_signals")
            about = json.loads(stored[_METADATA])
            if about["key"] != self._key:
                return None
            table = self._pq.read_table(self._path)
            values = np.empty((len(names), table.num_rows), dtype=np.float32)
            for j, name in enumerate(names):
                values[j] = table.column(name).to_numpy()
            return SignalRows(
                table.column("permno").to_numpy(), table.column("yyyymm").to_numpy(), values, about["counts"]
            )
        except (OSError, ValueError, KeyError) as error:
            raise PanelFileError(
                f"The cache {str(self._path)!r} must be a Parquet file of this reader. Got {type(error).__name__}: "
                f"{error}. Delete it, or pass another 'cache'."
            ) from error

    def save(self, names: list[str], rows: SignalRows) -> None:
        """Write the rows; a reader sees the old file or the whole new one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        columns = {"permno": rows.permno, "yyyymm": rows.month, **dict(zip(names, rows.values, strict=True))}
        about = {"key": self._key, "counts": dict(rows.counts)}
        table = self._pa.table(columns).replace_schema_metadata({_METADATA: json.dumps(about).encode()})
        with replacing(self._path) as stream:
            self._pq.write_table(table, stream, row_group_size=_ROW_GROUP)
