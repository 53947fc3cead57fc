"""Reward of one return series, alone and against its risk.

Conventions of Nakagawa et al. (2019), Table 4, with P periods in a year: AR = P mean(r),
VOL = sqrt(P) std(r) with ddof 1, SR = AR / VOL. No risk-free rate is taken off: a long/short return
costs nothing to hold.
"""

import math
import warnings
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.metrics._risk import sharpe_variance, standardised_moments
from skdrfm.metrics._validation import as_float_vector, as_return_series, validated
from skdrfm.utils._param_validation import Interval, StrOptions

PERIODS_CONSTRAINT = {"periods_per_year": [Interval(Real, 0, None, closed="neither")]}


@validated({**PERIODS_CONSTRAINT, "compounding": [StrOptions({"arithmetic", "geometric"})]})
def annualised_return(returns: Any, *, periods_per_year: float, compounding: str = "arithmetic") -> float:
    """Annualised return: ``P mean(r)``, or the constant yearly rate that ends at the same wealth.

    The arithmetic figure is AR of the paper and belongs to the Sharpe ratio; the geometric one,
    ``(prod(1 + r))^(P/T) - 1``, is what capital grows by and is lower by about half the variance.

    Parameters
    ----------
    returns : Series or ndarray of shape (n_dates,)
        Decimal return per period (0.01 = 1 %).
    periods_per_year : float
        P: 12 for months, 52 for weeks, 252 for trading days.
    compounding : {"arithmetic", "geometric"}, default="arithmetic"
        ``"arithmetic"`` multiplies the mean, ``"geometric"`` compounds.

    Returns
    -------
    float
        Decimal return per year. Geometric: -1 if a return of -1 or below, which a long/short return can reach, ends
        in ruin; infinity if the rate is beyond the range of float64.

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
    >>> round(annualised_return([0.01, 0.03], periods_per_year=12, compounding="geometric"), 4)
    0.2675
    """
    values = as_return_series(returns)
    if compounding == "arithmetic":
        return float(periods_per_year * np.mean(values))
    with np.errstate(over="ignore"):
        return float(np.expm1(periods_per_year * np.mean(log_growth(values))))


@validated(PERIODS_CONSTRAINT)
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


@validated(PERIODS_CONSTRAINT)
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


@validated({**PERIODS_CONSTRAINT, "method": [StrOptions({"normal", "non_normal"})]})
def sharpe_standard_error(returns: Any, *, periods_per_year: float, method: str = "normal") -> float:
    """Estimate the standard error of the annualised Sharpe ratio, for returns without autocorrelation.

    With SR per period and T periods, ``sqrt(P V / T)``. For normal returns ``V = 1 + SR^2 / 2`` (Lo 2002); in general
    ``V = 1 - g3 SR + (g4 - 1) / 4 SR^2`` with the population skewness g3 and raw kurtosis g4 (Mertens 2002), which is
    the same for g3 = 0 and g4 = 3. Both divide by T, the asymptotic form; the probabilistic Sharpe ratio of Bailey and
    Lopez de Prado (2012) takes T - 1.

    Parameters
    ----------
    returns : Series or ndarray of shape (n_dates,)
        Decimal return per period (0.01 = 1 %), at least 2 of them.
    periods_per_year : float
        P: 12 for months, 52 for weeks, 252 for trading days.
    method : {"normal", "non_normal"}, default="normal"
        Whether skewness and kurtosis of the returns enter. Negative skewness and fat tails make the error of a
        positive Sharpe ratio larger.

    Returns
    -------
    float
        In the unit of :func:`sharpe_ratio`: about two thirds of all samples give a ratio within one standard error of
        the true one. NaN if all returns are equal.

    Raises
    ------
    PanelError
        If there are fewer than 2 returns.
    NonFiniteError
        If a return is NaN or infinite.

    Examples
    --------
    >>> from skdrfm.metrics import sharpe_standard_error
    >>> returns = [0.01, 0.03, -0.02, 0.04]
    >>> round(sharpe_standard_error(returns, periods_per_year=12), 4)
    1.8661
    >>> round(sharpe_standard_error(returns, periods_per_year=12, method="non_normal"), 4)
    2.008
    """
    values = as_return_series(returns, at_least=2)
    sr = sharpe_ratio(values, periods_per_year=1)
    if math.isnan(sr):
        return math.nan
    g3, g4 = standardised_moments(values) if method == "non_normal" else (0.0, 3.0)
    return math.sqrt(periods_per_year * sharpe_variance(sr, g3, g4) / len(values))


@validated({**PERIODS_CONSTRAINT, "target": [Interval(Real, None, None, closed="neither")]})
def sortino_ratio(returns: Any, *, target: float = 0.0, periods_per_year: float) -> float:
    """Annualised return above a target, divided by the annualised downside deviation.

    ``sqrt(P) (mean(r) - target) / sqrt(mean(min(r - target, 0)^2))`` (Sortino and Price 1994). The mean of the squares
    runs over all periods, those above the target counting as 0.

    Parameters
    ----------
    returns : Series or ndarray of shape (n_dates,)
        Decimal return per period (0.01 = 1 %), at least 2 of them.
    target : float, default=0.0
        Decimal return per period that is asked for; not per year.
    periods_per_year : float
        P: 12 for months, 52 for weeks, 252 for trading days.

    Returns
    -------
    float
        Sortino ratio per year. NaN if no return is below the target: without downside there is no ratio. Infinity if
        the ratio is beyond the range of float64.

    Raises
    ------
    PanelError
        If there are fewer than 2 returns.
    NonFiniteError
        If a return is NaN or infinite.

    Examples
    --------
    >>> from skdrfm.metrics import sortino_ratio
    >>> round(sortino_ratio([0.03, -0.01, 0.02, 0.0], periods_per_year=12), 4)
    6.9282
    """
    beyond = as_return_series(returns, at_least=2) - target
    shortfall = np.minimum(beyond, 0)
    unit = np.abs(shortfall).max()  # squares of small numbers would vanish
    if unit == 0:
        return math.nan
    with np.errstate(over="ignore"):
        ratio = np.mean(beyond / unit) / np.sqrt(np.mean((shortfall / unit) ** 2))
        return float(np.sqrt(periods_per_year) * ratio)


def break_even_cost(gross_returns: Any, turnover: Any) -> float:
    """Cost for each unit traded at which nothing is left of the mean return.

    ``mean(gross return) / mean(turnover)``: with this cost the mean of ``gross - cost x turnover`` is 0.

    Parameters
    ----------
    gross_returns : Series or ndarray of shape (n_dates,)
        Decimal return per period before costs (0.01 = 1 %).
    turnover : Series or ndarray of shape (n_dates,)
        Trades of the same periods in units of capital, 0 or more, such as :func:`skdrfm.portfolio.turnover`; compared
        by index where both are Series. What it counts decides what the cost is: with purchases and sales in it, the
        cost is for one side.

    Returns
    -------
    float
        Decimal cost, 0.002 = 20 basis points of each unit traded; higher is better, and a negative one says that
        returns are negative before any cost. NaN if nothing was traded.

    Raises
    ------
    PanelError
        If the two do not belong to the same periods, none is left, or a turnover is negative.
    NonFiniteError
        If a value is infinite, or NaN in one of the two alone.

    Warns
    -----
    CoverageWarning
        If periods are left out because both values are NaN: no portfolio was formed there.

    Examples
    --------
    >>> from skdrfm.metrics import break_even_cost
    >>> round(break_even_cost([0.01, 0.02, 0.03], [4.0, 2.0, 2.0]), 4)
    0.0075
    """
    if (
        isinstance(gross_returns, pd.Series)
        and isinstance(turnover, pd.Series)
        and not gross_returns.index.equals(turnover.index)
    ):
        raise PanelError(
            "turnover must have the index of gross_returns, period by period. Got another index. "
            "Align them: turnover = turnover.reindex(gross_returns.index)."
        )
    gross, trades = as_float_vector(gross_returns, name="gross_returns"), as_float_vector(turnover, name="turnover")
    if len(gross) != len(trades):
        raise PanelError(
            f"turnover must have one value for each of gross_returns ({len(gross)}). Got {len(trades)}. "
            "Pass both for the same periods."
        )
    missing = np.isnan(gross) & np.isnan(trades)
    gross, trades = gross[~missing], trades[~missing]
    faults = int((~np.isfinite(gross) | ~np.isfinite(trades)).sum())
    if faults:
        raise NonFiniteError(
            f"gross_returns and turnover must be finite, or NaN together where no portfolio was formed. Got {faults} "
            f"other of {len(missing)} periods. Leave these periods out of both on purpose."
        )
    if not len(gross):
        raise PanelError(
            f"At least one period must have a return and a turnover. Got NaN on all {len(missing)}. "
            "Pass the periods with a portfolio."
        )
    if trades.min() < 0:
        raise PanelError(
            f"turnover must be 0 or more. Got {int((trades < 0).sum())} negative values, the least {trades.min():g}. "
            "Pass the sum of absolute trades."
        )
    if missing.any():
        warnings.warn(
            f"{int(missing.sum())} of {len(missing)} periods have neither a return nor a turnover and are left out of "
            "the break-even cost.",
            CoverageWarning,
            stacklevel=2,
        )
    return float(np.mean(gross) / np.mean(trades)) if trades.any() else math.nan


def log_growth(values: FloatArray) -> FloatArray:
    """Logarithm of the growth of wealth in each period; minus infinity where all is lost."""
    with np.errstate(divide="ignore"):
        growth: FloatArray = np.log1p(np.maximum(values, -1))
    return growth


def compounded_wealth(returns: FloatArray) -> FloatArray:
    """Wealth after each period from a start of 1; after ruin it stays 0."""
    wealth: FloatArray = np.multiply.accumulate(np.maximum(1 + returns, 0))
    return wealth
