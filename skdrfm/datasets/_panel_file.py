"""Panels in files: one row for each date and asset, one column for each descriptor and one for returns."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from skdrfm.datasets._tables import EXACT_FLOATS, MISSING
from skdrfm.exceptions import PanelFileError
from skdrfm.panel import check_panel_index, forward_returns
from skdrfm.utils._optional import import_optional
from skdrfm.utils.validation import describe_first


def read_panel(
    path: str | Path,
    *,
    date: str = "date",
    asset: str = "asset",
    returns: str = "return",
    returns_are_forward: bool = False,
    descriptors: Sequence[str] | None = None,
    universe: str | None = None,
) -> tuple[pd.DataFrame, "pd.Series[float]", "pd.Series[bool] | None"]:
    r"""Read a monthly panel from a CSV or Parquet file.

    Parameters
    ----------
    path : path
        File whose name ends in .csv, .csv.gz or .parquet.
    date, asset, returns : str
        Names of the columns with the date (end of a month), the asset and the return.
    returns_are_forward : bool, default=False
        False: the return of a row is that of the month that ENDS at its date, and the forward return is looked up
        one calendar month later. True: the column already holds the return over the month after the date.
    descriptors : sequence of str, default=None
        Columns to use as descriptors; None: all numeric columns that have no other role.
    universe : str, default=None
        Name of a column of 0/1 or true/false that marks the rows to train and test on.

    Returns
    -------
    X : DataFrame of shape (n_samples, n_descriptors), indexed by (date, asset)
        Descriptors in float64.
    y : Series of shape (n_samples,)
        Forward return, decimal; NaN where the next month is unknown.
    universe : Series of bool of shape (n_samples,), or None
        The universe column.

    Raises
    ------
    PanelFileError
        If the file cannot be read, columns are missing or not numeric, or dates cannot be read.
    PanelError
        If a (date, asset) pair occurs twice, or returns are below -1.

    Examples
    --------
    >>> import io, tempfile, pathlib
    >>> from skdrfm.datasets import read_panel
    >>> text = "date,asset,CAP,return\n2020-01-31,TRUE,1.5,0.01\n2020-02-29,TRUE,1.6,0.02\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "panel.csv"
    ...     _ = file.write_text(text)
    ...     X, y, _ = read_panel(file)
    >>> y.tolist()
    [0.02, nan]
    """
    roles = [date, asset, returns, *([universe] if universe is not None else [])]
    table = read_table(Path(path), asset)
    wanted = [*roles, *(descriptors or ())]
    absent = [name for name in wanted if name not in table.columns]
    if absent:
        raise PanelFileError(
            f"The file {str(path)!r} must have the columns {', '.join(map(repr, wanted))}. Missing: "
            f"{', '.join(map(repr, absent))}. Found: {describe_first(list(table.columns), 30)}. "
            "Name the columns by options."
        )
    if descriptors is None:
        descriptors = [name for name in table.columns if name not in roles]
    if not len(descriptors):
        raise PanelFileError(f"The file {str(path)!r} must have at least one descriptor column beside {roles}.")
    if returns_are_forward and returns in descriptors:
        raise PanelFileError(
            f"The descriptors must be known at their date. Got {returns!r} among them, which holds the returns after "
            "it. Leave it out, or pass returns_are_forward=False if it holds the return of the month that ends there."
        )
    dates = to_dates(table[date], path)
    index = pd.MultiIndex.from_arrays([dates, to_assets(table[asset])], names=["date", "asset"])
    check_panel_index(index, name=f"The file {str(path)!r}")
    X = pd.DataFrame({name: to_numbers(table[name], name, path) for name in descriptors}).set_index(index)
    given = pd.Series(to_numbers(table[returns], returns, path).to_numpy(), index=index, name="forward_return")
    y = given if returns_are_forward else forward_returns(given)
    mask = None
    if universe is not None:
        mask = pd.Series(to_flags(table[universe], universe, path), index=index, name="universe")
    return X, y, mask


def read_table(path: Path, asset: str) -> pd.DataFrame:
    """Read a file as it is; assets stay text."""
    name = path.name.lower()
    try:
        if name.endswith(".parquet"):
            import_optional("pyarrow", extra="parquet", purpose="read Parquet files")
            return pd.read_parquet(path)
        if name.endswith((".csv", ".csv.gz")):
            header = pd.read_csv(path, nrows=0).columns
            # A stock may be called "NA"; no stock has an empty name.
            missing = {column: [""] if column == asset else MISSING for column in header}
            options = {"dtype": {asset: str}, "keep_default_na": False, "na_values": missing, **EXACT_FLOATS}
            table: pd.DataFrame = pd.read_csv(path, **options)
            return table
    except ImportError:
        raise
    except Exception as error:
        raise PanelFileError(
            f"The file {str(path)!r} must be a readable CSV or Parquet file. Got {type(error).__name__}: {error}"
        ) from error
    raise PanelFileError(f"The panel must be a file ending in .csv, .csv.gz or .parquet. Got {str(path)!r}.")


def to_dates(column: "pd.Series[Any]", path: str | Path) -> "pd.Series[Any]":
    """Read dates, ISO text, yyyymm or yyyymmdd."""
    try:
        if pd.api.types.is_integer_dtype(column.dtype):
            lengths = set(column.astype(str).str.len())
            # yyyymm stands for the end of the month, when its descriptors are known.
            if lengths == {6}:
                return pd.to_datetime(column.astype(str), format="%Y%m") + pd.offsets.MonthEnd(0)
            return pd.to_datetime(column.astype(str), format="%Y%m%d")
        if pd.api.types.is_datetime64_any_dtype(column.dtype):
            return column
        return pd.to_datetime(column, format="ISO8601")
    except (ValueError, TypeError) as error:
        raise PanelFileError(
            f"The date column of {str(path)!r} must hold ISO dates or yyyymm integers. Got values such as "
            f"{describe_first(list(column.unique()), 3)}."
        ) from error


def to_assets(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Read names of assets as text; missing ones stay missing."""
    return column.astype(str).where(column.notna())


def to_numbers(column: "pd.Series[Any]", name: str, path: str | Path) -> "pd.Series[float]":
    """Read numbers; other text is an error."""
    numbers = pd.to_numeric(column, errors="coerce")
    faulty = numbers.isna() & column.notna()
    if faulty.any():
        raise PanelFileError(
            f"The column {name!r} of {str(path)!r} must hold numbers. Got {int(faulty.sum())} other values such as "
            f"{describe_first(list(column[faulty].unique()))}. Leave it out with the descriptors option, or mend it."
        )
    return numbers.astype("float64")


def to_flags(column: "pd.Series[Any]", name: str, path: str | Path) -> Any:
    """Read a column of 0/1 or true/false."""
    texts = column.astype(str).str.lower().str.removesuffix(".0")
    flags = texts.map({"true": True, "false": False, "1": True, "0": False})
    if flags.isna().any():
        raise PanelFileError(
            f"The universe column {name!r} of {str(path)!r} must hold 0/1 or true/false. Got "
            f"{describe_first(list(column[flags.isna()].unique()))}."
        )
    return flags.to_numpy(dtype=bool)
