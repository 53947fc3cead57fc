"""One ticker from yfinance: the request, its repetitions, and the layouts of the answer."""

import re
import time
import warnings
from dataclasses import dataclass
from datetime import date, timedelta
from types import ModuleType
from typing import Any

import pandas as pd

from skdrfm.exceptions import PanelFileError
from skdrfm.utils.validation import describe_first

COLUMNS = {
    "open": "Open",
    "high": "High",
    "low": "Low",
    "close": "Close",
    "adj_close": "Adj Close",
    "volume": "Volume",
}
"""Columns of bars and their names at Yahoo."""

_REFUSED = re.compile(r"too many requests|rate limit|\b429\b|timed? ?out|connection", re.IGNORECASE)

# yfinance says the same of an unknown symbol and of a lost connection, so it is worth another try.
_UNCLEAR = "YFTzMissingError"

# All dates have the resolution that pandas gives to dates that it reads, from the cache or from Yahoo.
_UNIT = pd.DatetimeIndex(["2000-01-01"]).unit

# Tests put a clock of their own here.
_sleep = time.sleep


@dataclass(frozen=True)
class Reply:
    """Bars of a ticker, or None and the reason."""

    bars: pd.DataFrame | None
    reason: str = ""


def ask(yfinance: ModuleType, ticker: str, first: date, last: date, *, retries: int, wait: float) -> Reply:
    """Ask for one ticker, again after 1, 2, 4, ... times ``wait`` seconds where Yahoo refuses for now.

    Parameters
    ----------
    yfinance : module
        The package, or one that behaves alike.
    ticker : str
        Symbol of Yahoo.
    first, last : date
        First and last day, both included.
    retries : int
        How often to repeat.
    wait : float
        Seconds before the first repetition.

    Returns
    -------
    Reply
        The bars by day, or the reason why there is none. An unknown symbol is asked for again too: yfinance does not
        tell it from a lost connection.

    Raises
    ------
    PanelFileError
        If all repetitions fail, or the answer is not what bars must be.
    """
    attempt = 0
    while True:
        try:
            frame, reason = _request(yfinance, ticker, first, last)
            return Reply(None, reason) if frame is None else Reply(_to_bars(frame, ticker, first, last))
        except PanelFileError:
            raise
        except Exception as error:
            if not _may_pass(error):
                raise PanelFileError(
                    f"yfinance must answer with bars of {ticker!r}. Got {type(error).__name__}: {error}. "
                    "Upgrade it with: pip install -U 'skdrfm[yahoo]'"
                ) from error
            if attempt == retries and type(error).__name__ == _UNCLEAR:
                return Reply(None, f"{_UNCLEAR}: {error}; yfinance also says so where there is no connection")
            if attempt == retries:
                raise PanelFileError(
                    f"Yahoo must answer within {retries + 1} requests. Got for {ticker!r}: {type(error).__name__}: "
                    f"{error}. Try later, or with more 'retries'; with a 'cache' the tickers before it are kept."
                ) from error
            _sleep(wait * 2**attempt)
            attempt += 1


def _request(yfinance: ModuleType, ticker: str, first: date, last: date) -> tuple[Any, str]:
    """Request the bars; where there is none, find out why."""
    options: dict[str, Any] = {
        "start": first.isoformat(),
        "end": (last + timedelta(days=1)).isoformat(),  # yfinance leaves its end out
        "auto_adjust": False,
        "actions": False,
    }
    frame = yfinance.download([ticker], threads=False, progress=False, **options)
    if not _is_empty(frame):
        return frame, ""
    # download hides every error behind an empty table; history of one ticker can be made to raise it.
    if not hasattr(yfinance, "Ticker"):
        return None, "an empty answer"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            frame = yfinance.Ticker(ticker).history(raise_errors=True, **options)
    except Exception as error:
        if _may_pass(error):
            raise
        return None, f"{type(error).__name__}: {error}"
    return (None, "an empty answer") if _is_empty(frame) else (frame, "")


def _is_empty(frame: Any) -> bool:
    return frame is None or len(frame) == 0 or bool(frame.isna().all(axis=None))


def _may_pass(error: Exception) -> bool:
    """Tell whether the same request may succeed later; Yahoo also refuses with pages that are no JSON."""
    kind = type(error).__name__
    if kind == _UNCLEAR:
        return True
    status = getattr(error, "code", None)
    if kind.endswith("MissingError") or (isinstance(status, int) and 400 <= status < 500 and status != 429):
        return False
    if isinstance(error, OSError) or kind in ("YFRateLimitError", "JSONDecodeError"):
        return True
    return _REFUSED.search(str(error)) is not None


def _to_bars(frame: pd.DataFrame, ticker: str, first: date, last: date) -> pd.DataFrame:
    table = _columns_of(frame, ticker)
    absent = [name for name in COLUMNS.values() if name not in table.columns]
    if absent:
        why = " Its prices are adjusted in place (auto_adjust)." if absent == ["Adj Close"] else ""
        raise PanelFileError(
            f"Bars of {ticker!r} must have the columns {', '.join(COLUMNS.values())}. Missing: "
            f"{describe_first(absent)}.{why} Install a yfinance that knows auto_adjust=False: "
            "pip install -U 'skdrfm[yahoo]'"
        )
    bars = pd.DataFrame({name: table[theirs].astype("float64") for name, theirs in COLUMNS.items()})
    days = pd.DatetimeIndex(bars.index)
    # The wall clock of the exchange: converting to UTC first would move Asian bars to the day before.
    days = days.tz_localize(None) if days.tz is not None else days
    bars.index = check_days(days, repr(ticker), first, last)
    return bars.sort_index()


def _columns_of(frame: pd.DataFrame, ticker: str) -> pd.DataFrame:
    """Reduce both layouts, prices by name alone and by (name, ticker) in either order, to the first."""
    columns = frame.columns
    if not isinstance(columns, pd.MultiIndex):
        return frame
    for level in range(columns.nlevels):
        others = [other for other in range(columns.nlevels) if other != level]
        if columns.nlevels == 2 and "Close" in columns.get_level_values(level):
            symbols = columns.get_level_values(others[0])
            mine = symbols.str.upper() == ticker.upper()
            chosen = frame.loc[:, mine] if mine.any() else frame
            if chosen.columns.get_level_values(others[0]).nunique() == 1:
                return chosen.droplevel(others[0], axis=1)
    raise PanelFileError(
        f"The answer for {ticker!r} must have columns of prices, or of prices and one ticker. Got "
        f"{describe_first(list(columns))}. Upgrade yfinance: pip install -U 'skdrfm[yahoo]'"
    )


def check_days(days: pd.DatetimeIndex, what: str, first: date, last: date) -> pd.DatetimeIndex:
    """Check that the dates of bars are distinct days within a range.

    Parameters
    ----------
    days : DatetimeIndex
        Dates of the bars.
    what : str
        Name of the bars in the message.
    first, last : date
        First and last day, both included.

    Returns
    -------
    DatetimeIndex
        The dates, named ``date``.

    Raises
    ------
    PanelFileError
        If a date has a time of day, comes twice, or lies outside.
    """
    index = days.as_unit(_UNIT).rename("date")
    if index.hasnans or (index != index.normalize()).any():
        got = "a bar without a date" if index.hasnans else f"{index[index != index.normalize()][0]}"
        raise PanelFileError(f"Bars of {what} must be dated by days. Got {got}. Ask for daily bars.")
    if index.has_duplicates:
        twice = [str(day.date()) for day in index[index.duplicated()][:4]]
        raise PanelFileError(f"Bars of {what} must have one row for each day. Got twice: {describe_first(twice)}.")
    outside = (index < pd.Timestamp(first)) | (index > pd.Timestamp(last))
    if outside.any():
        far = [str(day.date()) for day in index[outside][:4]]
        raise PanelFileError(
            f"Bars of {what} must lie between {first} and {last}. Got {int(outside.sum())} others: "
            f"{describe_first(far)}."
        )
    return index
