"""Figures of one return series.

Conventions of Nakagawa et al. (2019), Table 4, with P periods in a year: AR = P mean(r),
VOL = sqrt(P) std(r) with ddof 1, SR = AR / VOL. No risk-free rate is taken off: a long/short return
costs nothing to hold.
"""

from numbers import Real
from typing import Any

import numpy as np

from skdrfm._typing import FloatArray
from skdrfm.metrics._validation import as_return_series, validated
from skdrfm.utils._param_validation import Interval

_PERIODS = {"periods_per_year": [Interval(Real, 0, None, closed="neither")]}


@validated(_PERIODS)
def annualised_return(returns: Any, *, periods_per_year: float) -> float:
    """Arithmetic annualised return, ``P mean(r)``.

    Parameters
    ----------
    returns : Series or ndarray of shape (n_dates,)
        Decimal return per period (0.01 = 1 %).
    periods_per_year : float
        P: 12 for months, 52 for weeks, 252 for trading days.

    Returns
    -------
    float
        Decimal return per year, not compounded.

    Raises
    ------
    PanelError
        If there is no return.
    NonFiniteError
        If a return is NaN or infinite.

    Examples
    --------
    >>> from skdrfm.metrics import annualised_return
    >>> round(annualised_return([0.01, 0.03], periods_per_year=12), 4)
    0.24
    """
    return float(periods_per_year * np.mean(as_return_series(returns)))


@validated(_PERIODS)
def annualised_volatility(returns: Any, *, periods_per_year: float) -> float:
    """Annualised standard deviation, ``sqrt(P) std(r)`` with ddof 1.

    Parameters
    ----------
    returns : Series or ndarray of shape (n_dates,)
        Decimal return per period (0.01 = 1 %), at least 2 of them.
    periods_per_year : float
        P: 12 for months, 52 for weeks, 252 for trading days.

    Returns
    -------
    float
        Decimal volatility per year, exactly 0 if all returns are equal.

    Raises
    ------
    PanelError
        If there are fewer than 2 returns.
    NonFiniteError
        If a return is NaN or infinite.

    Examples
    --------
    >>> from skdrfm.metrics import annualised_volatility
    >>> round(annualised_volatility([0.01, 0.03], periods_per_year=12), 4)
    0.049
    """
    values = as_return_series(returns, at_least=2)
    if values.min() == values.max():
        return 0.0  # the rounded mean of equal numbers may differ from them
    return float(np.sqrt(periods_per_year) * np.std(values, ddof=1))


@validated(_PERIODS)
def sharpe_ratio(returns: Any, *, periods_per_year: float) -> float:
    """Annualised return divided by annualised volatility.

    Parameters
    ----------
    returns : Series or ndarray of shape (n_dates,)
        Decimal return per period (0.01 = 1 %), at least 2 of them; excess returns, or returns of a
        portfolio that costs nothing to hold.
    periods_per_year : float
        P: 12 for months, 52 for weeks, 252 for trading days.

    Returns
    -------
    float
        Sharpe ratio per year. NaN if all returns are equal: without volatility there is no ratio.

    Raises
    ------
    PanelError
        If there are fewer than 2 returns.
    NonFiniteError
        If a return is NaN or infinite.

    Examples
    --------
    >>> from skdrfm.metrics import sharpe_ratio
    >>> round(sharpe_ratio([0.01, 0.03], periods_per_year=12), 4)
    4.899
    """
    volatility = annualised_volatility(returns, periods_per_year=periods_per_year)
    if volatility == 0:
        return float("nan")
    return annualised_return(returns, periods_per_year=periods_per_year) / volatility


def max_drawdown(returns: Any) -> float:
    """Largest loss from an earlier peak of compounded wealth.

    ``min over t of V_t / max(V_0, ..., V_t) - 1`` with ``V_0 = 1`` and ``V_t = V_{t-1} (1 + r_t)``.
    The start value belongs to the maximum, so a loss in the first period counts. A return of -1 or
    below, which a long/short return can reach, ends in ruin: wealth is 0 from then on.

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
        If there is no return.
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
    wealth = compounded_wealth(as_return_series(returns))
    peak = np.maximum(np.maximum.accumulate(wealth), 1.0)
    return float(min(np.min(wealth / peak - 1), 0.0))


def compounded_wealth(returns: FloatArray) -> FloatArray:
    """Wealth after each period from a start of 1; after ruin it stays 0."""
    wealth: FloatArray = np.multiply.accumulate(np.maximum(1 + returns, 0))
    return wealth
