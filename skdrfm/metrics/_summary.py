"""The figures of one return series in one table."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.metrics._drawdown import calmar_ratio, max_drawdown
from skdrfm.metrics._inference import newey_west_t
from skdrfm.metrics._performance import (
    PERIODS_CONSTRAINT,
    annualised_return,
    annualised_volatility,
    sharpe_ratio,
    sharpe_standard_error,
    sortino_ratio,
)
from skdrfm.metrics._risk import conditional_value_at_risk, hit_rate, kurtosis, skewness, value_at_risk
from skdrfm.metrics._validation import as_return_series, validated


@validated(PERIODS_CONSTRAINT)
def performance_summary(returns: Any, *, periods_per_year: float) -> "pd.Series[Any]":
    """Collect performance and risk of one return series.

    Parameters
    ----------
    returns : Series or ndarray of shape (n_dates,)
        Decimal return per period (0.01 = 1 %), in the order of time.
    periods_per_year : float
        P: 12 for months, 52 for weeks, 252 for trading days.

    Returns
    -------
    Series of shape (14,)
        Decimals, not percent, under the name of returns if they are a Series. NaN where the figure does not exist for
        this series or needs more periods.

        - ``Return``, ``Volatility``, ``Sharpe ratio``: AR = P mean(r), VOL = sqrt(P) std(r) with ddof 1 and their
          quotient (Nakagawa et al. 2019, Table 4). ``Return (geometric)`` compounds.
        - ``Sharpe standard error`` (of normal returns), ``Newey-West t`` (of the mean return), ``Sortino ratio``
          (target 0), ``Calmar ratio``, ``Max drawdown`` (in [-1, 0]).
        - ``VaR 95 %``, ``CVaR 95 %``: historical, per period, positive is a loss.
        - ``Hit rate``, ``Skewness``, ``Kurtosis``: share of periods above 0, and the moments corrected for bias, the
          kurtosis as excess over normal.

    Raises
    ------
    PanelError
        If there is no return, or dates do not increase.
    NonFiniteError
        If a return is NaN or infinite.

    Examples
    --------
    >>> from skdrfm.metrics import performance_summary
    >>> performance_summary([0.03, -0.02, 0.01, 0.04, -0.01, 0.02], periods_per_year=12).round(2)
    Return                   0.14
    Return (geometric)       0.15
    Volatility               0.08
    Sharpe ratio             1.74
    Sharpe standard error    1.50
    Newey-West t             3.41
    Sortino ratio            4.43
    Calmar ratio             7.32
    Max drawdown            -0.02
    VaR 95 %                 0.02
    CVaR 95 %                0.02
    Hit rate                 0.67
    Skewness                -0.30
    Kurtosis                -1.42
    dtype: float64
    """
    n_periods = len(as_return_series(returns))
    annual: dict[str, Any] = {"periods_per_year": periods_per_year}

    def if_enough(figure: Callable[..., float], at_least: int, **parameters: Any) -> float:
        return figure(returns, **parameters) if n_periods >= at_least else np.nan

    figures = {
        "Return": annualised_return(returns, **annual),
        "Return (geometric)": annualised_return(returns, compounding="geometric", **annual),
        "Volatility": if_enough(annualised_volatility, 2, **annual),
        "Sharpe ratio": if_enough(sharpe_ratio, 2, **annual),
        "Sharpe standard error": if_enough(sharpe_standard_error, 2, **annual),
        "Newey-West t": if_enough(newey_west_t, 2),
        "Sortino ratio": if_enough(sortino_ratio, 2, **annual),
        "Calmar ratio": calmar_ratio(returns, **annual),
        "Max drawdown": max_drawdown(returns),
        "VaR 95 %": value_at_risk(returns, level=0.95),
        "CVaR 95 %": conditional_value_at_risk(returns, level=0.95),
        "Hit rate": hit_rate(returns),
        "Skewness": if_enough(skewness, 3),
        "Kurtosis": if_enough(kurtosis, 4),
    }
    return pd.Series(figures, name=returns.name if isinstance(returns, pd.Series) else None)
