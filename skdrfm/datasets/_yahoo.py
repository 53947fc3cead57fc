"""Daily bars from Yahoo Finance, one request for each ticker, kept on disk."""

import warnings
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from skdrfm.datasets._yahoo_cache import cache_file, read_cached, write_cached
from skdrfm.datasets._yahoo_request import Reply, ask
from skdrfm.exceptions import CoverageWarning, PanelFileError
from skdrfm.utils._optional import import_optional
from skdrfm.utils.validation import describe_first

__all__ = ["fetch_yahoo"]


def fetch_yahoo(
    tickers: Sequence[str],
    start: str | date,
    end: str | date | None = None,
    *,
    cache: str | Path | None = None,
    retries: int = 5,
    wait: float = 1.0,
    missing: Literal["raise", "skip"] = "raise",
) -> pd.DataFrame:
    """Fetch daily bars from Yahoo Finance.

    Needs the optional package yfinance (``pip install 'skdrfm[yahoo]'``) and the network.

    Parameters
    ----------
    tickers : sequence of str
        Symbols of Yahoo, for example ``["AAPL", "7203.T"]``.
    start, end : str (ISO) or date
        First and last day, both included. ``end=None`` stands for yesterday (UTC), the last day that has ended
        everywhere; today's bar still changes and is refused.
    cache : path, default=None
        Folder with one CSV file for each ticker and range. What is there is not asked for again, so an
        interrupted fetch goes on where it stopped. Delete a file to fetch it anew: Yahoo rewrites old prices after
        each split, and adjusted prices after each dividend.
    retries : int, default=5
        How often a request is repeated that Yahoo refused for now (too many requests, no connection).
    wait : float, default=1.0
        Seconds before the first repetition; each further wait is twice as long.
    missing : {"raise", "skip"}, default="raise"
        Tickers for which Yahoo has no bar: an error that names all of them, after the others were fetched and
        kept; or leave them out, with a warning.

    Returns
    -------
    DataFrame of shape (n_bars, 6), float64, indexed by (date, asset)
        ``open``, ``high``, ``low``, ``close`` (on today's split basis), ``adj_close`` (also less dividends) and
        ``volume`` (shares), sorted by date, then asset. ``date`` is the day of the exchange, without a time zone.
        ``attrs["fetch_yahoo"]`` counts ``n_rows``, ``empty_bars`` (without any price, left out), tickers ``fetched``
        and ``from_cache``, and has the reason for each ticker in ``missing``.

    Raises
    ------
    MissingDependencyError
        If yfinance is needed and not installed.
    PanelFileError
        If a parameter is out of its range, Yahoo keeps refusing, a ticker has no bar (``missing="raise"``, or all of
        them), or an answer lacks a column, has dates outside the range, a time of day, or a date twice.

    Warns
    -----
    CoverageWarning
        If tickers are left out.

    Notes
    -----
    Survivorship: Yahoo has no bars of companies that were delisted, and gives their tickers to others. A panel of
    Yahoo tickers is a panel of survivors, whose returns are too high. Use it to learn and to test, not to judge
    a strategy. Prices carry later splits in their level: use ratios only.

    Yahoo does not permit to pass its data on.

    Examples
    --------
    >>> from skdrfm.datasets import fetch_yahoo
    >>> fetch_yahoo(["AAPL"], "2020-02-30")
    Traceback (most recent call last):
        ...
    skdrfm.exceptions.PanelFileError: 'start' must be a day such as '2020-01-31'. Got '2020-02-30'.
    """
    names = _check_tickers(tickers)
    first, last = _check_range(start, end)
    _check_numbers(retries, wait, missing)
    bars: dict[str, pd.DataFrame] = {}
    empty: dict[str, str] = {}
    from_cache = 0
    for name in names:
        file = None if cache is None else cache_file(Path(cache), name, first, last)
        if file is not None and file.exists():
            bars[name] = read_cached(file, first, last)
            from_cache += 1
            continue
        reply = _fetch(name, first, last, retries, wait)
        if reply.bars is None:
            empty[name] = reply.reason
            continue
        bars[name] = reply.bars
        if file is not None:
            write_cached(file, reply.bars)
    if empty and (missing == "raise" or not bars):
        raise PanelFileError(
            f"Yahoo must have bars of each ticker from {first} to {last}. Got none for {len(empty)} of {len(names)}: "
            f"{_reasons(empty)}. Check the symbols and the range, or pass missing='skip' to leave them out."
        )
    if empty:
        warnings.warn(
            f"{len(empty)} of {len(names)} tickers are left out, since Yahoo has no bars of them: {_reasons(empty)}.",
            CoverageWarning,
            stacklevel=2,
        )
    out = pd.concat(bars, names=["asset", "date"]).swaplevel().sort_index()
    no_price = out.drop(columns="volume").isna().all(axis=1)
    out = out[~no_price]
    out.attrs["fetch_yahoo"] = {
        "n_rows": len(out),
        "empty_bars": int(no_price.sum()),
        "fetched": len(bars) - from_cache,
        "from_cache": from_cache,
        "missing": empty,
    }
    return out


def _fetch(ticker: str, first: date, last: date, retries: int, wait: float) -> Reply:
    yfinance = import_optional("yfinance", extra="yahoo", purpose="fetch bars from Yahoo Finance")
    return ask(yfinance, ticker, first, last, retries=retries, wait=wait)


def _check_tickers(tickers: Sequence[str]) -> list[str]:
    if isinstance(tickers, str):
        raise PanelFileError(f"'tickers' must be a list of symbols. Got the text {tickers!r}. Pass [{tickers!r}].")
    names = list(tickers)
    faulty = [name for name in names if not _is_symbol(name)]
    if faulty or not names:
        raise PanelFileError(
            f"'tickers' must be symbols without blanks and commas. Got {describe_first(faulty) or 'none'}."
        )
    if len({name.upper() for name in names}) < len(names):
        twice = sorted({name for name in names if [one.upper() for one in names].count(name.upper()) > 1})
        raise PanelFileError(f"'tickers' must be distinct. Got twice: {describe_first(twice)}. Name each ticker once.")
    return names


def _is_symbol(name: Any) -> bool:
    return isinstance(name, str) and bool(name) and not set(name) & set(" ,\t\n")


def _check_range(start: str | date, end: str | date | None) -> tuple[date, date]:
    yesterday = _today() - timedelta(days=1)
    first = _to_day(start, "start")
    last = yesterday if end is None else _to_day(end, "end")
    if last > yesterday:
        raise PanelFileError(
            f"'end' must be a day that has ended, at most {yesterday} (UTC). Got {last}. Leave it out to fetch all."
        )
    if first > last:
        raise PanelFileError(f"'start' must not be after the last day {last}. Got {first}. Choose an earlier start.")
    return first, last


def _to_day(value: Any, what: str) -> date:
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else value
        if not isinstance(day, date) or pd.isna(day):
            raise TypeError("no date")
        # A Timestamp and a datetime are dates too, with a time of day.
        return date(day.year, day.month, day.day)
    except (ValueError, TypeError) as error:
        raise PanelFileError(f"'{what}' must be a day such as '2020-01-31'. Got {value!r}.") from error


def _today() -> date:
    return datetime.now(UTC).date()


def _check_numbers(retries: Any, wait: Any, missing: Any) -> None:
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise PanelFileError(f"'retries' must be an int of at least 0. Got {retries!r}.")
    if isinstance(wait, bool) or not isinstance(wait, int | float) or not 0 <= wait < np.inf:
        raise PanelFileError(f"'wait' must be a number of seconds of at least 0. Got {wait!r}.")
    if missing not in ("raise", "skip"):
        raise PanelFileError(f"'missing' must be 'raise' or 'skip'. Got {missing!r}.")


def _reasons(empty: dict[str, str]) -> str:
    listed = "; ".join(f"{name!r} ({reason})" for name, reason in list(empty.items())[:10])
    return listed if len(empty) <= 10 else f"{listed}; and {len(empty) - 10} more"
