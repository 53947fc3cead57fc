"""Dates of tables, made comparable with each other."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm.exceptions import PanelError
from skdrfm.utils.validation import describe_first


def table_dates(table: Any, column: str | None) -> pd.Index:
    """Date of each row of a table."""
    if column is not None:
        own: pd.Index = pd.Index(table[column].array)
        return own
    index: Any = getattr(table, "index", None)
    if isinstance(index, pd.Index):
        if "date" in index.names:
            level: pd.Index = index.get_level_values("date")
            return level
        if "date" in getattr(table, "columns", ()):
            return table_dates(table, "date")
        if isinstance(index, pd.DatetimeIndex | pd.PeriodIndex):
            return index
    raise PanelError(
        "Tables and results must have the date of each row, as an index level, an index or a column named 'date'. Got "
        f"a {type(table).__name__}{'' if index is None else f' with the index {list(index.names)}'}. Name it 'date'."
    )


def comparable(several: list[pd.Index]) -> list[pd.Index]:
    """Dates that can be compared with each other: as they are if all are integers, else as moments."""
    if all(pd.api.types.is_integer_dtype(dates.dtype) for dates in several):
        return several
    return [_moments(dates) for dates in several]


def _moments(dates: pd.Index) -> pd.DatetimeIndex:
    """Moment at which each date is over; a month ends with its last day."""
    try:
        if isinstance(dates, pd.DatetimeIndex):
            return dates
        if isinstance(dates, pd.PeriodIndex):
            return dates.end_time.normalize()
        text = dates.astype(str)
        there = np.asarray(dates.notna())
        lengths = {len(part) for part in text[there]}
        if lengths == {6}:
            return pd.PeriodIndex(pd.to_datetime(text, format="%Y%m"), freq="M").end_time.normalize()
        if lengths == {7}:
            return pd.PeriodIndex(pd.to_datetime(text, format="%Y-%m"), freq="M").end_time.normalize()
        return pd.DatetimeIndex(pd.to_datetime(dates.where(there, None), format="ISO8601"))
    except (ValueError, TypeError) as error:
        raise PanelError(
            "Dates must be datetime64, Period, yyyymm integers or ISO strings that can be compared with each other. "
            f"Got {dates.dtype} values such as {describe_first(list(dates), 2)}. Convert them with pd.to_datetime."
        ) from error


def show_date(date: Any) -> str:
    """Show a date without the time of day."""
    return date.strftime("%Y-%m-%d") if isinstance(date, pd.Timestamp) else str(date)
