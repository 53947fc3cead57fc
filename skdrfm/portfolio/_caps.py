"""Weights of which none is too large."""

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.metrics._dates import date_groups
from skdrfm.metrics._validation import as_float_vector, validated
from skdrfm.portfolio._rows import held_dates, index_of
from skdrfm.utils._param_validation import Interval
from skdrfm.utils.validation import describe_first

_ROUNDING = 8 * float(np.finfo(np.float64).eps)


@validated({"max_weight": [Interval(Real, 0, None, closed="neither")]})
def cap_weights(weights: Any, max_weight: float, *, dates: Any = None) -> "pd.Series[Any]":
    """Cut weights at a largest size and give the excess to the other names of the same leg.

    In each leg of each date, long and short, the new weight is ``min(f |w|, max_weight)`` with the one factor f >= 1
    for which the leg keeps its sum. That is what giving the excess to the other names in proportion to their
    weights, and cutting again, comes to in the end. It is found in one pass: with the weights in decreasing order
    and the first m of them cut, ``f = (sum - m max_weight) / (sum of the others)``, for the smallest m for which
    no other weight exceeds the cap.

    Parameters
    ----------
    weights : Series or ndarray of shape (n_samples,)
        Weights of any construction, of one sign or both. NaN on all names of a date says that no portfolio was
        formed there; it stays NaN.
    max_weight : float
        Largest absolute weight, above 0: 0.05 for 5 % of the capital of a leg that sums to 1.
    dates : array-like of shape (n_samples,), default=None
        Date of each row. None takes the index level ``date`` of weights.

    Returns
    -------
    Series of shape (n_samples,)
        Weights, named ``"weight"``, with the rows of weights; none is larger than the cap, each leg has the sum that
        it had, and names that are not held are not held. Weights within the cap are returned to the last bit.

    Raises
    ------
    PanelError
        If dates are not known, a (date, asset) pair occurs twice, weights are NaN on part of a date or infinite, or
        a leg has too few names for its sum. Then the message has the first such date and the smallest cap that all
        dates allow.

    Examples
    --------
    The excess of 0.2 goes to the other two names of the leg in the proportion of 3 to 1:

    >>> from skdrfm.portfolio import cap_weights
    >>> cap_weights([0.6, 0.3, 0.1, -0.5, -0.5], 0.5, dates=[1, 1, 1, 1, 1]).round(4).tolist()
    [0.5, 0.375, 0.125, -0.5, -0.5]
    """
    given = as_float_vector(weights, name="weights")
    groups = date_groups(weights, dates, name="weights")
    held_dates(given, groups)  # NaN on part of a date, and infinity, are refused

    capped = given.copy()
    infeasible: dict[int, float] = {}
    for rows, date in _legs(given, groups.codes):
        sizes = np.abs(given[rows])
        total = float(sizes[::-1].cumsum()[-1])
        if total > len(rows) * max_weight * (1 + len(rows) * _ROUNDING):
            infeasible[date] = max(infeasible.get(date, 0.0), total / len(rows))
        elif sizes[0] > max_weight:
            capped[rows] = np.copysign(_filled(sizes, max_weight), given[rows])
    if infeasible:
        first = min(infeasible)
        raise PanelError(
            f"'max_weight' must leave room for the sum of each leg. Got {max_weight:g} on {len(infeasible)} of "
            f"{len(groups.dates)} dates that need more, the first {describe_first([groups.dates[first]])}. Pass "
            f"{max(infeasible.values())!r} or more, which all dates allow, or hold more names."
        )
    return pd.Series(capped, index=index_of(weights), name="weight")


def _legs(weights: FloatArray, codes: IntArray) -> list[tuple[IntArray, int]]:
    """Rows of each leg of each date, the largest weight first, and the position of the date."""
    held = np.flatnonzero((weights != 0) & ~np.isnan(weights))
    leg = 2 * codes[held] + (weights[held] < 0)
    order = np.lexsort((-np.abs(weights[held]), leg))
    rows, leg = held[order], leg[order]
    starts = np.flatnonzero(np.diff(leg, prepend=-1))
    return [(rows_of_leg, int(codes[rows_of_leg[0]])) for rows_of_leg in np.split(rows, starts[1:]) if len(rows_of_leg)]


def _filled(sizes: FloatArray, cap: float) -> FloatArray:
    """Cut sizes, which decrease, and raise the others by one factor, so that their sum stays."""
    n_names = len(sizes)
    others = sizes[::-1].cumsum()[::-1]  # sum of the sizes from this one on
    factor = np.maximum((others[0] - np.arange(n_names) * cap) / others, 1.0)
    fits = factor * sizes <= cap
    if not fits.any():
        return np.full(n_names, cap)
    n_cut = int(fits.argmax())
    filled: FloatArray = np.minimum(factor[n_cut] * sizes, cap)
    filled[:n_cut] = cap
    return filled
