"""Losses from earlier peaks of compounded wealth.

Wealth starts at ``V_0 = 1`` and follows ``V_t = V_{t-1} (1 + r_t)``. The start value belongs to the peaks, so a loss in
the first period counts. A return of -1 or below, which a long/short return can reach, ends in ruin: wealth is 0 from
then on, and so are all later gains.
"""

import math
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.metrics._performance import PERIODS_CONSTRAINT, annualised_return, log_growth
from skdrfm.metrics._validation import as_return_series, validated

# A recovery to the old peak by products of rounded numbers may miss it by some units in the last place.
ROUNDING = 1e-12


def max_drawdown(returns: Any) -> float:
    """Largest loss from an earlier peak of compounded wealth.

    ``min over t of V_t / max(V_0, ..., V_t) - 1`` with ``V_0 = 1`` and ``V_t = V_{t-1} (1 + r_t)``. The start value
    belongs to the maximum, so a loss in the first period counts. A return of -1 or below, which a long/short return
    can reach, ends in ruin: wealth is 0 from then on.

    Parameters
    ----------
    returns : Series or ndarray of shape (n_dates,)
        Decimal return per period (0.01 = 1 %), in the order of time.

    Returns
    -------
    float
        Decimal in [-1, 0]: -0.25 is a loss of a quarter, 0 means that wealth never fell.

    Raises
    ------
    PanelError
        If there is no return, or dates do not increase.
    NonFiniteError
        If a return is NaN or infinite.

    Examples
    --------
    >>> from skdrfm.metrics import max_drawdown
    >>> round(max_drawdown([0.10, -0.20, -0.10, 0.50]), 4)
    -0.28
    >>> round(max_drawdown([-0.10, 0.05]), 4)
    -0.1
    """
    return float(_drawdowns(returns).min())


def drawdown_series(returns: Any) -> Any:
    """Loss from the highest wealth so far, at the end of each period.

    ``V_t / max(V_0, ..., V_t) - 1``; its minimum is :func:`max_drawdown`.

    Parameters
    ----------
    returns : Series or ndarray of shape (n_dates,)
        Decimal return per period (0.01 = 1 %), in the order of time.

    Returns
    -------
    Series or ndarray of shape (n_dates,)
        Decimals in [-1, 0], 0 at each peak and -1 from ruin on; a Series named ``"drawdown"`` with the index of
        returns if they are a Series.

    Raises
    ------
    PanelError
        If there is no return, or dates do not increase.
    NonFiniteError
        If a return is NaN or infinite.

    Examples
    --------
    >>> from skdrfm.metrics import drawdown_series
    >>> drawdown_series([0.10, -0.20, -0.10, 0.50]).round(4).tolist()
    [0.0, -0.2, -0.28, 0.0]
    """
    drawdowns = _drawdowns(returns)
    if isinstance(returns, pd.Series):
        return pd.Series(drawdowns, index=returns.index, name="drawdown")
    return drawdowns


def drawdown_periods(returns: Any) -> pd.DataFrame:
    """Each episode below an earlier peak of wealth, the deepest first.

    Parameters
    ----------
    returns : Series or ndarray of shape (n_dates,)
        Decimal return per period (0.01 = 1 %), in the order of time.

    Returns
    -------
    DataFrame of shape (n_episodes, 5)
        One row for each episode, equal depths in the order of time; no row if wealth never fell. Labels are those of
        the index of a Series, else positions from 0; whole numbers are of type ``Int64``, which can be missing.

        - ``depth``: lowest drawdown of the episode, a decimal in [-1, 0).
        - ``start``: last period at the peak, missing if the peak is the start value before the first period.
        - ``trough``: first period with the lowest wealth.
        - ``recovery``: first period back at the peak or above, missing if that has not happened. Wealth within one
          part in 10^12 of the peak has recovered, because products of returns are rounded.
        - ``n_periods``: periods from the peak to the recovery, or to the last period without one.

    Raises
    ------
    PanelError
        If there is no return, or dates do not increase.
    NonFiniteError
        If a return is NaN or infinite.

    Examples
    --------
    >>> from skdrfm.metrics import drawdown_periods
    >>> drawdown_periods([-0.05, 0.10, -0.20, -0.10, 0.50, -0.10]).round(4)
       depth  start  trough  recovery  n_periods
    0  -0.28      1       3         4          3
    1  -0.10      4       5      <NA>          1
    2  -0.05   <NA>       0         1          2
    """
    drawdowns = _drawdowns(returns)
    below = np.concatenate(([False], drawdowns < -ROUNDING, [False]))
    first = np.flatnonzero(~below[:-1] & below[1:])
    after = np.flatnonzero(below[:-1] & ~below[1:])  # may be one past the end
    trough = np.array([i + int(np.argmin(drawdowns[i:j])) for i, j in zip(first, after, strict=True)], dtype=np.intp)

    n_dates = len(drawdowns)
    labels = _labels(returns, n_dates)
    episodes = pd.DataFrame(
        {
            "depth": drawdowns[trough],
            "start": _taken(labels, first - 1),
            "trough": _taken(labels, trough),
            "recovery": _taken(labels, np.where(after < n_dates, after, -1)),
            # The peak is one before the first period below it.
            "n_periods": np.minimum(after, n_dates - 1) - first + 1,
        }
    )
    return episodes.sort_values("depth", kind="stable", ignore_index=True)


@validated(PERIODS_CONSTRAINT)
def calmar_ratio(returns: Any, *, periods_per_year: float) -> float:
    """Geometric annualised return divided by the size of the largest drawdown.

    Taken over all periods of the series (Young 1991 used the last 36 months), so ratios of series of different length
    do not compare: the largest drawdown grows with the length.

    Parameters
    ----------
    returns : Series or ndarray of shape (n_dates,)
        Decimal return per period (0.01 = 1 %), in the order of time.
    periods_per_year : float
        P: 12 for months, 52 for weeks, 252 for trading days.

    Returns
    -------
    float
        Return per year for each unit of drawdown: 0.5 earns in two years what was once lost. -1 after ruin. NaN if
        wealth never fell.

    Raises
    ------
    PanelError
        If there is no return, or dates do not increase.
    NonFiniteError
        If a return is NaN or infinite.

    Examples
    --------
    >>> from skdrfm.metrics import calmar_ratio
    >>> round(calmar_ratio([0.10, -0.20, 0.40], periods_per_year=3), 4)
    1.16
    """
    worst = max_drawdown(returns)
    if worst == 0:
        return math.nan
    return annualised_return(returns, periods_per_year=periods_per_year, compounding="geometric") / -worst


def _drawdowns(returns: Any) -> FloatArray:
    values = as_return_series(returns)
    if isinstance(returns, pd.Series):
        _check_order(returns.index)
    # In logarithms long series cannot leave the range of float64, and a flat period is exactly flat.
    wealth = np.cumsum(log_growth(values))
    drawdowns: FloatArray = np.expm1(wealth - np.maximum(np.maximum.accumulate(wealth), 0.0))
    return drawdowns


def _check_order(index: pd.Index) -> None:
    """Wealth compounds from the top down, so dates must increase; other labels say nothing about time."""
    if "date" in index.names:
        index = index.get_level_values("date")
    elif not isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex)):
        return
    if not (index.is_monotonic_increasing and index.is_unique):
        raise PanelError(
            "returns must have one value for each date, dates increasing: wealth is compounded in their order. Got "
            "dates that repeat or go back. Sort them with returns.sort_index(), one series at a time."
        )


def _labels(returns: Any, n_dates: int) -> "pd.Series[Any]":
    index = returns.index if isinstance(returns, pd.Series) else pd.RangeIndex(n_dates)
    labels = index.to_series(index=pd.RangeIndex(n_dates))
    return labels.astype("Int64") if pd.api.types.is_integer_dtype(labels.dtype) else labels


def _taken(labels: "pd.Series[Any]", positions: IntArray) -> "pd.Series[Any]":
    """Labels at positions, missing at -1."""
    return labels.reindex(positions).reset_index(drop=True)
