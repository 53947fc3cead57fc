"""Versions of one report: days of publication, copies, amendments and contradictions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray
from skdrfm.datasets._tables import describe_path
from skdrfm.exceptions import PanelFileError
from skdrfm.utils.validation import describe_first

__all__ = ["check_published_after_end", "drop_late_copies", "drop_same_day_copies", "resolve_contradictions"]

_KEYS = ["asset", "period_end", "available"]


def check_published_after_end(table: pd.DataFrame, path: object) -> pd.DataFrame:
    """Refuse reports that were published before their period ended.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        Reports, with a column ``available`` if days of publication are known.
    path : path
        The file, for messages.

    Returns
    -------
    DataFrame
        The table, with ``available`` NaT where there was no such column.

    Raises
    ------
    PanelFileError
        If there is such a report.
    """
    if "available" not in table:
        return table.assign(available=pd.Series(pd.NaT, index=table.index).astype(table["period_end"].dtype))
    early = table[table["available"] < table["period_end"]]
    if len(early):
        named = [f"{asset} {end:%Y-%m-%d}" for asset, end in zip(early["asset"], early["period_end"], strict=True)]
        raise PanelFileError(
            f"No report of {describe_path(path)} may be published before its period ended. Got {len(early)} that are: "
            f"{describe_first(named)}. Mend or drop these rows; perhaps columns of dates are mixed up."
        )
    return table


def drop_same_day_copies(table: pd.DataFrame, items: Sequence[str], counts: dict[str, Any]) -> pd.DataFrame:
    """Keep one of the rows that say the same on the same day, and amendments in place of what they amend.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        Reports, with a column ``amend`` of true or false if that is known.
    items : sequence of str
        The columns that are compared beside asset, period, day and months.
    counts : dict
        Gets ``n_identical_copies`` and ``n_replaced_by_amendment``.

    Returns
    -------
    DataFrame
        The rows that stay, sorted by asset, period_end and available.
    """
    n_rows = len(table)
    is_amended = _flags(table)
    # Amendments come first, so that of two equal rows the amendment stays.
    order = np.argsort(~is_amended, kind="stable")
    table, is_amended = table.iloc[order], is_amended[order]
    is_copy = table.duplicated([*_KEYS, "months", "cash_flow_months", *items]).to_numpy()
    table, is_amended = table[~is_copy], is_amended[~is_copy]
    counts["n_identical_copies"] = n_rows - len(table)
    has_amendment = pd.Series(is_amended, index=table.index).groupby([table[key] for key in _KEYS], dropna=False)
    is_replaced = has_amendment.transform("any").to_numpy() & ~is_amended
    counts["n_replaced_by_amendment"] = int(is_replaced.sum())
    kept: pd.DataFrame = table[~is_replaced].sort_values(_KEYS, kind="stable")
    return kept


def _flags(table: pd.DataFrame) -> BoolArray:
    if "amend" not in table:
        return np.zeros(len(table), dtype=bool)
    texts = table["amend"].str.strip().str.lower()
    is_other = ~texts.isin(["true", "false", "1", "0", ""])
    if is_other.any():
        raise PanelFileError(
            f"The column 'amend' must hold true or false. Got {int(is_other.sum())} other values such as "
            f"{describe_first(list(table['amend'][is_other].unique()))}. Mend them, or leave the column out: "
            "columns={'amend': None}."
        )
    return texts.isin(["true", "1"]).to_numpy()


def resolve_contradictions(table: pd.DataFrame, ambiguous: str, path: object, counts: dict[str, Any]) -> pd.DataFrame:
    """Raise or leave out rows that say different things about one period on one day.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        Reports without copies.
    ambiguous : {"raise", "drop_period", "drop_asset"}
        What to do.
    path : path
        The file, for messages.
    counts : dict
        Gets ``n_ambiguous`` (rows left out) and ``ambiguous_assets`` (asset to periods).

    Returns
    -------
    DataFrame
        The rows that stay.

    Raises
    ------
    PanelFileError
        If there are such rows and ``ambiguous`` is ``"raise"``.
    """
    rows = table[table.duplicated(_KEYS, keep=False)]
    periods = rows.drop_duplicates(["asset", "period_end"])
    by_asset = {str(asset): int(n) for asset, n in periods["asset"].value_counts().sort_index().items()}
    counts["ambiguous_assets"] = by_asset
    counts["n_ambiguous"] = 0
    if rows.empty:
        return table
    if ambiguous == "raise":
        named = ", ".join(f"{asset} ({n} periods)" for asset, n in list(by_asset.items())[:10])
        rest = f" and {len(by_asset) - 10} more assets" if len(by_asset) > 10 else ""
        raise PanelFileError(
            f"{describe_path(path)} must have one row for each asset, period and day of publication. Got "
            f"{len(periods)} periods with rows that contradict each other: {named}{rest}. Two firms may share a "
            "ticker. Leave them out by ambiguous='drop_asset' (all periods of these assets) or "
            "ambiguous='drop_period' (these periods)."
        )
    if ambiguous == "drop_asset":
        is_dropped = table["asset"].isin(periods["asset"])
    else:
        keys = ["asset", "period_end"]
        is_dropped = pd.Series(table.set_index(keys).index.isin(periods.set_index(keys).index), index=table.index)
    counts["n_ambiguous"] = int(is_dropped.sum())
    return table[~is_dropped]


def drop_late_copies(table: pd.DataFrame, items: Sequence[str], counts: dict[str, Any]) -> pd.DataFrame:
    """Leave out a version that repeats the one before it: nothing new was known on its day.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        Reports sorted by asset, period_end and available.
    items : sequence of str
        The columns that are compared beside asset, period and months.
    counts : dict
        Gets ``n_late_copies``.

    Returns
    -------
    DataFrame
        The rows that stay.
    """
    same = ["asset", "period_end", "months", "cash_flow_months", *items]
    now, before = table[same], table[same].shift()
    is_copy = ((now == before) | (now.isna() & before.isna())).all(axis=1)
    counts["n_late_copies"] = int(is_copy.sum())
    return table[~is_copy].copy()
