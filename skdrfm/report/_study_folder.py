"""The folder of a study, read with suspicion: each file must be the one that was written with the manifest."""

import csv
import hashlib
import io
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from skdrfm.datasets._tables import EXACT_FLOATS
from skdrfm.exceptions import PanelFileError

# Raised when files change in a way that older readers would misunderstand.
FORMAT = 1
MANIFEST, FOLDER = "manifest.json", "folder"
_AGAIN = "Run the study again into this folder: with its checkpoint it only writes the files anew."
# What reading a table of the wrong content may raise.
_FAULTS = (ValueError, TypeError, KeyError, IndexError, StopIteration, csv.Error, AttributeError)


def digest_of(content: bytes) -> str:
    """Give 64 hexadecimal digits (SHA-256) that tell one file from another."""
    return hashlib.sha256(content).hexdigest()


class Cells(NamedTuple):
    """A file of a table: names of the columns, and columns by number, text as str and all others as float64."""

    header: list[str]
    columns: pd.DataFrame


@dataclass(frozen=True, eq=False)
class StudyFolder:
    """A folder that `write_study` wrote.

    Parameters
    ----------
    path : Path
        The folder.
    manifest : mapping
        What the study is; without what describes the folder.
    labels : mapping
        Types of dates and assets, and the name and type of the realised returns.
    files : mapping of str to str
        File to its digest.
    """

    path: Path
    manifest: Mapping[str, Any]
    labels: Mapping[str, Any]
    files: Mapping[str, str]

    @classmethod
    def open(cls, path: Path) -> "StudyFolder":
        """Read the manifest.

        Parameters
        ----------
        path : Path
            The folder.

        Returns
        -------
        StudyFolder
            Its tables are read when they are asked for.

        Raises
        ------
        PanelFileError
            If there is no such folder, or its manifest is missing, damaged or of something else.
        """
        if not path.is_dir():
            found = "a file" if path.exists() else "nothing there"
            raise PanelFileError(
                f"A study must be a folder that write_study has made. Got {str(path)!r}, {found}. Name the folder "
                "that holds manifest.json and index.html."
            )
        file = path / MANIFEST
        if not file.is_file():
            raise PanelFileError(
                f"The folder {str(path)!r} must hold {MANIFEST!r}, as write_study makes it. It has none. Name the "
                "folder of a study."
            )
        try:
            manifest = json.loads(file.read_bytes())
        except ValueError as error:
            raise PanelFileError(f"The file {str(file)!r} must be JSON. Got {error}. {_AGAIN}") from error
        about = manifest.pop(FOLDER, None) if isinstance(manifest, dict) else None
        if not isinstance(about, dict) or not isinstance(about.get("files"), dict):
            raise PanelFileError(
                f"The file {str(file)!r} must describe its folder under {FOLDER!r}. It does not: it is of something "
                f"else, or of an older version of skdrfm. If it is of a study: {_AGAIN[0].lower()}{_AGAIN[1:]}"
            )
        if about.get("format") != FORMAT:
            raise PanelFileError(
                f"The file {str(file)!r} must be of format {FORMAT}. Got {about.get('format')!r}. Read it with the "
                "version of skdrfm that wrote it."
            )
        return cls(path, manifest, about.get("labels") or {}, about["files"])

    def cells(self, name: str, texts: Collection[int]) -> Cells:
        """Read the file of a table.

        Parameters
        ----------
        name : str
            Stem of its name.
        texts : collection of int
            Numbers of the columns that hold text, in which nothing stands for a missing value.

        Returns
        -------
        Cells
            What is in it.

        Raises
        ------
        PanelFileError
            If the file is missing, is not the one that was written, or is no such table.
        """
        file = self.path / f"{name}.csv"
        if not file.is_file():
            raise PanelFileError(f"The folder of a study must hold {file.name!r}. {str(file)!r} is missing. {_AGAIN}")
        content = file.read_bytes()
        if digest_of(content) != self.files.get(file.name):
            raise PanelFileError(
                f"The file {str(file)!r} must be the one that was written with {MANIFEST!r}. It is another one: it was "
                f"changed, saved by another program or cut off, or a later study broke off while writing. {_AGAIN}"
            )
        with self.reading(name):
            header = next(csv.reader(io.StringIO(content.decode(), newline="")))
            numbers = [j for j in range(len(header)) if j not in texts]
            options: dict[str, Any] = {
                # Numbers for names, since names of models may be equal to those of other columns.
                "names": list(range(len(header))),
                "dtype": {**dict.fromkeys(texts, str), **dict.fromkeys(numbers, "float64")},
                "na_values": {j: [""] for j in numbers},
                **EXACT_FLOATS,
            }
            columns = pd.read_csv(io.BytesIO(content), header=0, index_col=False, keep_default_na=False, **options)
        return Cells(header, columns)

    def has(self, name: str) -> bool:
        """Tell whether the study has a table, which not every study has."""
        return f"{name}.csv" in self.files

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Say which file it is whose content makes no sense."""
        try:
            yield
        except PanelFileError:
            raise
        except _FAULTS as error:
            file = self.path / (name if name == MANIFEST else f"{name}.csv")
            raise PanelFileError(
                f"The file {str(file)!r} must be as write_study makes it. Got {type(error).__name__}: {error}. {_AGAIN}"
            ) from error
