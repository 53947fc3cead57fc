"""Where names, dates and numbers stand in the JSON of plotly.js, and how they are written there."""

import re
from collections.abc import Iterable
from itertools import count
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray
from skdrfm.panel._plot import time_axis
from skdrfm.report._direction import turns
from skdrfm.report._printable import label_text, printable, shorten

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
    if longest is not None:
        text = shorten(text, longest)
    turning = turns(text)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, entity)
    return f"\u2068{text}\u2069" if turning else text


def distinct(names: Iterable[str]) -> list[str]:
    """Add a number to names that are the same, which plotly.js would draw at one place."""
    found: dict[str, None] = {}
    for name in names:
        numbered = (f"{name} ({number})" for number in count(2))
        found[name if name not in found else next(other for other in numbered if other not in found)] = None
    return list(found)


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


def lying_bars(starts: AnyArray, lengths: AnyArray) -> tuple[list[Any], list[Any], Spec]:
    """Write left ends and lengths of bars, moments or numbers, and their axis."""
    if starts.dtype.kind == "M":
        return starts.astype("datetime64[D]").astype(str).tolist(), lengths.astype(int).tolist(), {"type": "date"}
    return starts.tolist(), lengths.tolist(), {"type": "linear"}


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
