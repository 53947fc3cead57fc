"""What the readers of Open Asset Pricing files share: months, names of signals, and the trace of a sign."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.exceptions import PanelFileError
from skdrfm.utils.validation import describe_first

NOT_SHIPPED = ("Price", "Size", "STreversal")
"""Signals that the licence of CRSP keeps out of the file of all signals."""

POSITIVE_RAW = ("BookLeverage", "IdioRisk", "IdioVol3F", "IdioVolAHT", "RealizedVol", "Size")
"""Signals of sign -1 whose raw value is positive for most firms, so a signed file has most of them below 0."""


def pick_names(names: Iterable[str] | None, known: Sequence[str], path: str | Path) -> list[str]:
    """Check the names that were asked for, in their order; None stands for all.

    Parameters
    ----------
    names : iterable of str, or None
        Signals to read.
    known : sequence of str
        Signals of the file.
    path : path
        The file, for the message.

    Returns
    -------
    list of str
        The names.

    Raises
    ------
    PanelFileError
        If a name is unknown (the message lists near ones) or comes twice, or there is none.
    """
    if isinstance(names, str):
        names = [names]
    wanted = list(known) if names is None else list(names)
    if not wanted:
        raise PanelFileError(f"At least one signal of {str(path)!r} must be read. Got none. Name signals by 'names'.")
    if len(set(wanted)) < len(wanted):
        twice = sorted({name for name in wanted if wanted.count(name) > 1})
        raise PanelFileError(f"'names' must be distinct. Got twice: {describe_first(twice)}. Name each signal once.")
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise PanelFileError(
            f"'names' must be signals of {str(path)!r}, which has {len(known)}. Unknown: "
            f"{'; '.join(_near(name, known) for name in unknown[:10])}."
        )
    return wanted


def _near(name: str, known: Sequence[str]) -> str:
    if name in NOT_SHIPPED:
        return f"{name!r} (not in the public file, which CRSP's licence forbids: add it from returns and market values)"
    lowered = {one.lower(): one for one in known}
    near = [lowered[one] for one in get_close_matches(str(name).lower(), list(lowered), n=3)]
    return f"{name!r} (near: {', '.join(map(repr, near))})" if near else f"{name!r} (nothing near)"


def to_month(value: Any, what: str) -> pd.Period:
    """Read a month from a Period, date, ISO text or yyyymm.

    Parameters
    ----------
    value : Period, date, str or int
        For example ``"2000-01"`` or ``200001``.
    what : str
        Name of the parameter in the message.

    Returns
    -------
    Period
        The month.

    Raises
    ------
    PanelFileError
        If it is no month.

    Examples
    --------
    >>> from skdrfm.datasets._openap_common import to_month
    >>> to_month(200012, "start"), to_month("2000-12-31", "start")
    (Period('2000-12', 'M'), Period('2000-12', 'M'))
    """
    text = str(value)
    try:
        if text.isdigit() and len(text) == 6:
            text = f"{text[:4]}-{text[4:]}"
        elif text.isdigit():
            raise ValueError("neither yyyymm nor an ISO date")
        month = value if isinstance(value, pd.Period) else pd.Period(text, freq="M")
        if not isinstance(month, pd.Period):
            raise ValueError("no date")
        return month.asfreq("M")
    except (ValueError, TypeError) as error:
        raise PanelFileError(f"'{what}' must be a month such as '2000-01' or 200001. Got {value!r}.") from error


def unsigned_fault(columns: Mapping[str, Any], what: str) -> str | None:
    """Tell whether signals lack their sign, by those that are positive before it and negative after it.

    Parameters
    ----------
    columns : mapping of array-like
        Values by the name of their signal.
    what : str
        Name of the data in the message.

    Returns
    -------
    str or None
        The message of an error if more than half of the values of one such signal are positive.

    Examples
    --------
    >>> from skdrfm.datasets._openap_common import unsigned_fault
    >>> unsigned_fault({"BookLeverage": [-2.0, -1.4]}, "The file") is None
    True
    >>> unsigned_fault({"BookLeverage": [2.0, 1.4]}, "The file")
    "The file must be signed..."
    """
    for name in POSITIVE_RAW:
        if name not in columns:
            continue
        values = np.asarray(columns[name], dtype=np.float64)
        values = values[~np.isnan(values)]
        share = float((values > 0).mean()) if len(values) else 0.0
        if share > 0.5:
            return (
                f"{what} must be signed: multiplied by column Sign of SignalDoc, so that {name!r} is negative for most "
                f"firms. Got {share:.0%} positive values. Read signed_predictors_dl_wide.csv, or multiply each signal "
                "by its Sign (the package openassetpricing gives signals without it)."
            )
    return None
