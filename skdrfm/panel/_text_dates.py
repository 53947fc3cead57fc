"""Dates that are text: whether their order as text is their order in time."""

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.exceptions import PanelError
from skdrfm.utils.validation import describe_first

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_NAME = re.compile(
    r"(?<![a-z])(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)(?![a-z])"
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_YEAR = re.compile(r"(?:1[89]|20)\d\d")
# 01/02/2000, 31-Jan-2000; 012000 and 31012000, which are no yyyymm and no yyyymmdd; 1Q00, Q1-00.
_YEAR_LAST = (
    r"\d{1,2}[./ -]|(?:0[1-9]|1[0-2])(?:1[89]|20)\d\d$|[0-3]\d[0-3]\d(?:1[89]|20)\d\d$|(?:[1-4][Qq]|[Qq][1-4])\D*\d\d"
)
# Years of two digits below this one are of this century.
_CENTURY_FROM = 70


def check_text_dates(labels: "pd.Index[str]", *, error: type[Exception] = PanelError) -> None:
    """Check that dates that are text come in the order of time when they are sorted as text.

    Read are ISO 8601 with and without leading zeros, names of months in English, and labels that differ in their
    numbers alone (``"2007M2"``, ``"t10"``). Any other labels are taken as they are.

    Parameters
    ----------
    labels : Index of str of length n_dates
        The distinct dates, sorted.
    error : type of exception, default=PanelError
        What is raised.

    Raises
    ------
    PanelError, or the error that was asked for
        If text has the day, the month or the quarter first, or its order is not that of time.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.panel._text_dates import check_text_dates
    >>> check_text_dates(pd.Index(["2007-02", "2007-10"]))
    >>> check_text_dates(pd.Index(["2007-10", "2007-2"]))
    Traceback (most recent call last):
        ...
    skdrfm.exceptions.PanelError: Dates that are text must be ISO 8601, the year first and numbers with leading zeros
    (2007-02 or 2007-02-28), so that their order is that of time. Got '2007-10' sorted before '2007-2'...
    """
    wrong = labels[labels.str.match(_YEAR_LAST)]
    if len(wrong):
        found = describe_first(list(wrong))
    else:
        earlier = np.flatnonzero(_goes_back(labels))
        if not len(earlier):
            return
        first = earlier[0]
        found = f"{labels[first]!r} sorted before {labels[first + 1]!r}"
    raise error(
        "Dates that are text must be ISO 8601, the year first and numbers with leading zeros (2007-02 or 2007-02-28), "
        f"so that their order is that of time. Got {found}. "
        "Convert them with pd.to_datetime and its 'format', or write them so."
    )


def _goes_back(labels: "pd.Index[str]") -> list[bool]:
    """Tell for each label but the last whether it is later than the next one."""
    times: list[Any]
    try:
        # With utc=True, text with several offsets is compared too.
        times = list(pd.to_datetime(labels, format="ISO8601", utc=True))
    except ValueError:
        times = _by_months(labels) or _by_numbers(labels)
    return [now > later for now, later in pairwise(times)]


def _by_months(labels: "pd.Index[str]") -> list[tuple[float, ...]]:
    """Year, month and what follows of labels with names of months; nothing if there is one without."""
    times: list[tuple[float, ...]] = []
    for label in labels:
        name = _MONTH_NAME.search(label.lower())
        if name is None:
            return []
        numbers = re.findall(r"\d+", label)
        place = next((place for place, number in enumerate(numbers) if len(number) == 4), len(numbers) - 1)
        year = numbers.pop(place) if numbers else "0"
        century = 0 if len(year) != 2 else 2000 if int(year) < _CENTURY_FROM else 1900
        times.append((century + int(year), _MONTHS.index(name[1][:3]) + 1, *map(int, numbers)))
    return times


def _by_numbers(labels: "pd.Index[str]") -> list[tuple[float, ...]]:
    """Numbers of labels that differ in these alone, years first; nothing for other labels."""
    if len({_NUMBER.sub("0", label) for label in labels}) != 1:
        return []
    found = [_NUMBER.findall(label) for label in labels]
    years = next(
        (place for place, column in enumerate(zip(*found, strict=True)) if all(map(_YEAR.fullmatch, column))), 0
    )
    return [tuple(float(number) for number in (*numbers[years : years + 1], *numbers)) for numbers in found]
