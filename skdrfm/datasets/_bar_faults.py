"""Faults of single bars: what no price of a traded asset can be."""

from collections.abc import Mapping

import numpy as np

from skdrfm._typing import BoolArray, FloatArray

__all__ = ["FAULTS", "bar_faults"]

# Prices in files are rounded, often to a few digits after an adjustment for splits.
_ROUNDING = 1e-6

# Every fault that bars can have, in the order of messages, and what to do about it.
FAULTS = {
    "missing date": "",
    "unreadable date": "Dates must be ISO dates, yyyymmdd or yyyymm.",
    "missing asset": "",
    "no number": "Text stands where a number is expected.",
    "infinite value": "",
    "empty bar": "All values are missing.",
    "negative close": "CRSP marks the mean of bid and ask by a minus sign: take the absolute value there.",
    "zero close": "",
    "negative adj_close": "Dividends were adjusted for more than the price.",
    "zero adj_close": "",
    "negative volume": "",
    "negative market value": "Of market_value or shares.",
    "return below -1": "Returns are decimals, 0.01 for 1 %.",
    "prices outside low and high": "",
    "identical copy": "The same date, asset and values.",
    "contradicting copies": "The same date and asset with other values: none of them is kept.",
}


def bar_faults(values: Mapping[str, FloatArray]) -> dict[str, BoolArray]:
    """Find the bars whose values cannot be right.

    Parameters
    ----------
    values : mapping of str to ndarray of shape (n_samples,)
        Columns of bars by canonical name; NaN where unknown.

    Returns
    -------
    dict of str to ndarray of shape (n_samples,)
        Fault to whether the bar has it, faults in the order of ``FAULTS``. A bar may have several.
    """
    columns = list(values.values())
    n_samples = len(columns[0])
    nothing: FloatArray = np.full(n_samples, np.nan)

    def column(name: str) -> FloatArray:
        return values.get(name, nothing)

    low, high = column("low"), column("high")
    outside = _above(low, high)
    for price in (column("open"), column("close")):
        outside |= _above(low, price) | _above(price, high)
    return {
        "infinite value": np.logical_or.reduce([np.isinf(one) for one in columns]),
        "empty bar": np.logical_and.reduce([np.isnan(one) for one in columns]),
        "negative close": column("close") < 0,
        "zero close": column("close") == 0,
        "negative adj_close": column("adj_close") < 0,
        "zero adj_close": column("adj_close") == 0,
        "negative volume": (column("volume") < 0) | (column("dollar_volume") < 0),
        "negative market value": (column("market_value") < 0) | (column("shares") < 0),
        "return below -1": column("return") < -1,
        "prices outside low and high": outside,
    }


def _above(smaller: FloatArray, larger: FloatArray) -> BoolArray:
    """Tell where the first exceeds the second by more than rounding; never where one is unknown."""
    with np.errstate(invalid="ignore"):  # infinity less infinity
        exceeds: BoolArray = smaller - larger > _ROUNDING * np.abs(larger)
    return exceeds
