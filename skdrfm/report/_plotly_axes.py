"""Where names, dates and numbers stand in the JSON of plotly.js, and how they are written there."""

import re
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from skdrfm.panel._plot import time_axis
from skdrfm.report._direction import turns
from skdrfm.report._printable import label_text, printable

Spec: TypeAlias = dict[str, Any]

LONGEST_NAME = 36
# On an axis of fewer dates plotly would write hours.
_FEWEST_DATES = 4
MONTHLY, _DAY, _MOMENT = "%b %Y", "%d %b %Y", "%d %b %Y, %H:%M"
# Formats that Python and d3, the number format of plotly, read alike.
_SHARED_FORMAT = re.compile(r"[+ ]?,?(\.\d+)?[%fge]")


def css(name: str) -> Spec:
    """Name a CSS variable whose colour the page puts in."""
    return {"css": f"--{name}"}


def plain_text(text: str, longest: int | None = None) -> str:
    """Write a name so that plotly.js, which reads some HTML, shows it letter by letter.

    Parameters
    ----------
    text : str
        The name.
    longest : int, default=None
        Characters to show at most; longer names lose their middle.

    Returns
    -------
    str
        With HTML escaped; set apart from its neighbours where parts run from right to left.
    """
    text = printable(text)
    if longest is not None and len(text) > longest:
        text = f"{text[: longest * 2 // 3]}…{text[-(longest // 3 - 1) :]}"
    turning = turns(text)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, entity)
    return f"\u2068{text}\u2069" if turning else text


def distinct(names: Iterable[str]) -> list[str]:
    """Add a number to names that are the same, which plotly.js would draw at one place."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def positions(index: pd.Index, *, numbers: bool = True) -> tuple[list[Any], Spec]:
    """Put labels on an axis: dates by their time, numbers by their size if asked for, else one after another."""
    stamps = _stamps(index)
    if stamps is not None and len(stamps) >= _FEWEST_DATES:
        pattern = _date_format(stamps)
        written = [stamp.isoformat() for stamp in stamps] if pattern == _MOMENT else stamps.strftime("%Y-%m-%d")
        return list(written), {"type": "date", "hoverformat": pattern}
    if stamps is None and numbers and pd.api.types.is_numeric_dtype(index.dtype):
        values = index.to_list()
        return values, {"type": "linear", **({"tickvals": values} if len(values) <= 16 else {})}
    return distinct(plain_text(label_text(name), LONGEST_NAME) for name in index), {"type": "category"}


def borders(starts: pd.Series, ends: pd.Series) -> tuple[list[Any], list[Any], Spec]:
    """Find left ends and lengths of bars; the last period belongs to its bar, so one of a single date has a length."""
    both = pd.Index(pd.concat([starts, ends], ignore_index=True))
    places = time_axis(both)
    if np.issubdtype(np.asarray(places).dtype, np.datetime64):
        left, last = pd.DatetimeIndex(places[: len(starts)]), pd.DatetimeIndex(places[len(starts) :])
        days = pd.DatetimeIndex(places).day
        # Dates that keep to the start or to the end of their months stand for months.
        monthly = bool((days == 1).all() or (days >= 25).all())
        right = last + (pd.DateOffset(months=1) if monthly else pd.Timedelta(days=1))
        lengths = (right - left) // pd.Timedelta(milliseconds=1)
        return list(left.strftime("%Y-%m-%d")), lengths.tolist(), {"type": "date"}
    # Labels that cannot be read as dates are drawn by their order.
    numbers = both.to_numpy() if pd.api.types.is_numeric_dtype(both.dtype) else pd.factorize(both, sort=True)[0]
    left, right = numbers[: len(starts)], numbers[len(starts) :] + 1
    return left.tolist(), (right - left).tolist(), {"type": "linear"}


def _stamps(index: pd.Index) -> pd.DatetimeIndex | None:
    if isinstance(index, pd.DatetimeIndex):
        return index.tz_localize(None)
    places = time_axis(index)
    return pd.DatetimeIndex(places) if np.issubdtype(np.asarray(places).dtype, np.datetime64) else None


def _date_format(dates: pd.DatetimeIndex) -> str:
    if bool((dates != dates.normalize()).any()):
        return _MOMENT
    return MONTHLY if dates.to_period("M").is_unique else _DAY


def number_axis(spec: str) -> Spec:
    """Turn a format of Python into those of an axis: for the label of a point, and for ticks where they need one."""
    shown = spec if _SHARED_FORMAT.fullmatch(spec) else ".4g"
    # Ticks have the decimals that they need; only percents and thousands must be asked for.
    ticks = {"tickformat": ".2~%"} if shown.endswith("%") else {"tickformat": ",~r"} if "," in shown else {}
    return {"hoverformat": shown, **ticks}
