"""The table that documents each signal of Open Asset Pricing (SignalDoc), as CSV or spreadsheet."""

import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd

from skdrfm.exceptions import PanelFileError
from skdrfm.utils.validation import describe_first

_SHEET = "xl/worksheets/sheet1.xml"
_STRINGS = "xl/sharedStrings.xml"
_NAMESPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_NO_SIGN = ("", "NA", "NaN", "nan")


def read_signs(path: str | Path) -> dict[str, int]:
    r"""Read the sign of each signal from SignalDoc.csv or SignalDoc.xlsx.

    Parameters
    ----------
    path : path
        File with the columns ``Acronym`` and ``Sign``. Of a spreadsheet the first sheet is read.

    Returns
    -------
    dict
        Sign (1 or -1) by the name of the signal. Signals without a sign (placebos) are left out.

    Raises
    ------
    PanelFileError
        If the file cannot be read, a column is missing, a sign is neither 1 nor -1, or a signal comes twice.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from skdrfm.datasets._openap_doc import read_signs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "SignalDoc.csv"
    ...     _ = file.write_text("Acronym,Sign\nBeta,1.0\nAccruals,-1.0\nZScore,NA\n")
    ...     read_signs(file)
    {'Beta': 1, 'Accruals': -1}
    """
    path = Path(path)
    table = _read_table(path)
    absent = [name for name in ("Acronym", "Sign") if name not in table.columns]
    if absent:
        raise PanelFileError(
            f"The file {str(path)!r} must have the columns 'Acronym' and 'Sign'. Missing: {describe_first(absent)}. "
            "Pass SignalDoc of Open Asset Pricing."
        )
    signs: dict[str, int] = {}
    for name, text in zip(table["Acronym"].str.strip(), table["Sign"].str.strip(), strict=True):
        if text in _NO_SIGN:
            continue
        if text not in ("1", "-1", "1.0", "-1.0"):
            raise PanelFileError(f"Column 'Sign' of {str(path)!r} must hold 1 or -1. Got {text!r} for {name!r}.")
        if name in signs:
            raise PanelFileError(f"{str(path)!r} must have one row for each signal. Got {name!r} twice.")
        signs[name] = int(float(text))
    return signs


def _read_table(path: Path) -> pd.DataFrame:
    """Read all cells as text; empty ones are ``""``."""
    try:
        if path.name.lower().endswith(".xlsx"):
            cells = pd.DataFrame.from_records(_read_sheet(path)).fillna("")
            return cells.iloc[1:].set_axis([str(name).strip() for name in cells.iloc[0]], axis=1)
        if path.name.lower().endswith(".csv"):
            return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile, ElementTree.ParseError) as error:
        raise PanelFileError(
            f"The file {str(path)!r} must be a readable SignalDoc. Got {type(error).__name__}: {error}. "
            "Save it as CSV and pass that."
        ) from error
    raise PanelFileError(f"SignalDoc must be a file ending in .csv or .xlsx. Got {str(path)!r}.")


def _read_sheet(path: Path) -> list[dict[str, str]]:
    """Read the cells of the first sheet by column letters; a whole package only for this table is not worth it."""
    with zipfile.ZipFile(path) as archive:
        sheet = ElementTree.fromstring(archive.read(_SHEET))
        strings = ElementTree.fromstring(archive.read(_STRINGS)) if _STRINGS in archive.namelist() else ()
    shared = ["".join(part.text or "" for part in item.iter(f"{_NAMESPACE}t")) for item in strings]
    return [_read_row(row, shared) for row in sheet.iter(f"{_NAMESPACE}row")]


def _read_row(row: ElementTree.Element, shared: list[str]) -> dict[str, str]:
    cells: dict[str, str] = {}
    for cell in row.iter(f"{_NAMESPACE}c"):
        column = re.sub(r"\d", "", cell.attrib["r"])
        value = cell.find(f"{_NAMESPACE}v")
        if value is not None and value.text is not None:
            cells[column] = shared[int(value.text)] if cell.get("t") == "s" else value.text
        else:
            cells[column] = "".join(part.text or "" for part in cell.iter(f"{_NAMESPACE}t"))
    return cells
