"""The facts of a panel file, also of one that a study would refuse."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray, FloatArray
from skdrfm.cli._panel import PanelTable
from skdrfm.exceptions import PanelFileError
from skdrfm.utils._words import plural
from skdrfm.utils.validation import describe_first


def panel_facts(panel: PanelTable) -> dict[str, Any]:
    """Describe a panel.

    Parameters
    ----------
    panel : PanelTable
        The file.

    Returns
    -------
    dict
        Numbers, names and dates under ``rows``, ``dates``, ``assets``, ``gaps``, ``duplicates``, ``universe``,
        ``descriptors``, ``returns``, and ``faults``: sentences on what a study refuses.

    Raises
    ------
    PanelFileError
        If there is no row with a date and an asset.
    """
    dates, assets = (panel.index.get_level_values(level) for level in ("date", "asset"))
    known: BoolArray = np.asarray(dates.notna()) & np.asarray(assets.notna())
    if not known.any():
        raise PanelFileError(f"The file {str(panel.path)!r} must have a row with a date and an asset. It has none.")
    faults: list[str] = []
    if not known.all():
        faults.append(f"{plural(int((~known).sum()), 'row has', 'rows have')} no date or no asset.")
    keys = panel.index[known]
    repeated = keys.duplicated()
    if repeated.any():
        first = describe_first([(f"{date:%Y-%m-%d}", asset) for date, asset in keys[repeated].unique()])
        faults.append(
            f"{plural(int(repeated.sum()), 'row repeats', 'rows repeat')} the date and asset of another: {first}. "
            "Keep one of each."
        )
    per_date = pd.Series(1, index=dates[known]).groupby(level=0).size()
    months = pd.DatetimeIndex(dates[known]).to_period("M")
    _find_two_in_a_month(months, assets[known], repeated, faults)
    universe = panel.universe()
    return {
        "rows": len(panel.index),
        "dates": {"first": per_date.index[0], "last": per_date.index[-1], "count": len(per_date)},
        "assets": {
            "count": int(assets[known].nunique()),
            "per_date": {"min": per_date.min(), "median": per_date.median(), "max": per_date.max()},
        },
        "gaps": _gaps(months, assets[known]),
        "duplicates": {"rows": int(repeated.sum()), "keys": int(keys[repeated].nunique())},
        "universe": None
        if universe is None
        else {"column": panel.options["universe_column"], "share": universe.mean()},
        "descriptors": [_descriptor(panel, name, faults) for name in _named(panel, faults)],
        "returns": _returns(panel, faults),
        "faults": faults,
    }


def _named(panel: PanelTable, faults: list[str]) -> list[str]:
    names = panel.descriptors
    if not names:
        faults.append("There is no descriptor column.")
    return names


def _find_two_in_a_month(months: pd.PeriodIndex, assets: pd.Index, repeated: Any, faults: list[str]) -> None:
    again = pd.MultiIndex.from_arrays([months, assets])[~repeated].duplicated()
    if again.any():
        faults.append(
            f"{plural(int(again.sum()), 'row is', 'rows are')} a second row of an asset in a month. A study needs one "
            "for each month: keep the last."
        )


def _gaps(months: pd.PeriodIndex, assets: pd.Index) -> dict[str, Any]:
    """Find months without any row, and rows that are missing between the first and the last of an asset."""
    every = pd.period_range(months.min(), months.max(), freq="M")
    missing = every.difference(months.unique())
    numbers = pd.DataFrame({"month": np.asarray(months.asi8), "asset": np.asarray(assets)}).drop_duplicates()
    of_asset = numbers.groupby("asset")["month"].agg(["min", "max", "count"])
    holes = of_asset["max"] - of_asset["min"] + 1 - of_asset["count"]
    return {
        "missing_months": [str(month) for month in missing],
        "assets": int((holes > 0).sum()),
        "rows": int(holes.sum()),
    }


def _numbers(panel: PanelTable, name: str, what: str, way_out: str, faults: list[str]) -> FloatArray:
    """Read a column as `read_panel` does, and note what a study refuses; true and false are 1 and 0."""
    column = panel.table[name]
    numbers = pd.to_numeric(column, errors="coerce")
    faulty = numbers.isna() & column.notna()
    if faulty.any():
        faults.append(
            f"The {what} {name!r} holds {plural(int(faulty.sum()), 'value')} that are no numbers, such as "
            f"{describe_first(list(column[faulty].unique()))}. {way_out}, or mend it."
        )
    elif numbers.isna().all():
        faults.append(f"The {what} {name!r} has no value. {way_out}.")
    values: FloatArray = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    if np.isinf(values).any():
        faults.append(f"The {what} {name!r} has {plural(int(np.isinf(values).sum()), 'infinite value')}.")
    return values


def _descriptor(panel: PanelTable, name: str, faults: list[str]) -> dict[str, Any]:
    values = _numbers(panel, name, "descriptor", "Leave it out with --descriptors", faults)
    dates = panel.index.get_level_values("date")
    by_date = pd.Series(~np.isnan(values), index=dates).groupby(level=0).mean()
    there = by_date.index[by_date > 0]
    return {
        "name": name,
        "coverage": float((~np.isnan(values)).mean()),
        "lowest_coverage": by_date.min(),
        "lowest_date": by_date.idxmin() if len(by_date) else None,
        "first": there[0] if len(there) else None,
        "last": there[-1] if len(there) else None,
    }


def _returns(panel: PanelTable, faults: list[str]) -> dict[str, Any] | None:
    name = panel.returns_column
    if name is None:
        faults.append(
            f"There is no return column {panel.options['return_column']!r}, which a study needs. Name it with "
            "--return-column."
        )
        return None
    values = _numbers(panel, name, "return column", "Name another with --return-column", faults)
    if (values < -1).any():
        faults.append(
            f"The return column {name!r} has {plural(int((values < -1).sum()), 'value')} below -1 (-100 %). Returns "
            "must be decimals, 0.01 for 1 %."
        )
    # Of no value at all, pandas makes each of these figures NaN.
    found = pd.Series(values[np.isfinite(values)])
    return {
        "column": name,
        "forward": panel.options["returns_are_forward"],
        "count": len(found),
        "missing": int(np.isnan(values).sum()),
        "mean": found.mean(),
        "std": found.std(),
        "min": found.min(),
        "q01": found.quantile(0.01),
        "median": found.median(),
        "q99": found.quantile(0.99),
        "max": found.max(),
    }
