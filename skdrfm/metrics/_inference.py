"""Whether a mean differs from zero."""

from numbers import Integral
from typing import Any

import numpy as np

from skdrfm._typing import FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.metrics._validation import as_return_series, validated
from skdrfm.utils._param_validation import Interval

LAG_CONSTRAINTS: dict[str, list[Any]] = {"n_lags": [Interval(Integral, 0, None, closed="left"), None]}


@validated(LAG_CONSTRAINTS)
def newey_west_t(values: Any, *, n_lags: int | None = None) -> float:
    """T statistic of a mean, with the Newey-West standard error.

    With e = r - mean(r) and ``g_l = (1/T) sum e_t e_{t-l}``, the long-run variance is
    ``g_0 + 2 sum_{l=1..L} (1 - l/(L+1)) g_l`` (Newey and West 1987) and
    ``t = mean(r) / sqrt(variance / T)``.

    Parameters
    ----------
    values : Series or ndarray of shape (n_dates,)
        One number per period in the order of time, at least 2: returns or rank ICs.
    n_lags : int, default=None
        L, below the number of periods. None means ``floor(4 (T/100)^(2/9))``, which is 3 for 96
        months. Forward returns over h periods that overlap need at least h - 1.

    Returns
    -------
    float
        Beyond 2 in absolute value a mean of zero is unlikely. NaN if all values are equal.

    Raises
    ------
    PanelError
        If there are fewer than 2 values, or n_lags is not below their number.
    NonFiniteError
        If a value is NaN or infinite.

    Notes
    -----
    The standard error has no factor for small samples and is a little too small in them: of independent normal
    values with a mean of zero, about 6 in 100 series of 120 months have a t beyond 2, where 4.6 in 100 would have it
    in the limit.

    Examples
    --------
    >>> from skdrfm.metrics import newey_west_t
    >>> round(newey_west_t([0.01, 0.03, 0.02, 0.04], n_lags=0), 4)
    4.4721
    """
    series = as_return_series(values, name="values", at_least=2)
    return float(t_of_means(series[:, None], checked_lags(n_lags, len(series)))[0])


def checked_lags(n_lags: int | None, n_periods: int) -> int:
    """Return the number of lags, ``floor(4 (T/100)^(2/9))`` if it is not given; it must be below T."""
    if n_lags is None:
        return int(4 * (n_periods / 100) ** (2 / 9))
    if n_lags >= n_periods:
        raise PanelError(
            f"'n_lags' must be below the number of periods ({n_periods}). Got {n_lags}. "
            "Pass fewer lags or a longer series."
        )
    return n_lags


def t_of_means(values: FloatArray, n_lags: int) -> FloatArray:
    """Divide the mean of each column by its Newey-West standard error.

    Parameters
    ----------
    values : ndarray of shape (n_periods, n_columns)
        Finite numbers, oldest first.
    n_lags : int
        L, below n_periods.

    Returns
    -------
    ndarray of shape (n_columns,)
        NaN where all values of a column are equal.
    """
    n_periods, n_columns = values.shape
    t = np.full(n_columns, np.nan)
    varying = values.min(axis=0) < values.max(axis=0)
    mean = values[:, varying].mean(axis=0)
    e = values[:, varying] - mean
    # In units of the largest deviation squares neither overflow nor vanish; t has no unit.
    unit = np.abs(e).max(axis=0)
    t[varying] = mean / unit / np.sqrt(long_run_variance(e / unit, n_lags) / n_periods)
    return t


def long_run_variance(e: FloatArray, n_lags: int) -> FloatArray:
    """Sum of autocovariances with Bartlett weights, of columns whose mean is zero.

    The weights make it a sum of squares, so it is positive where a column is not zero throughout.
    """
    variance = np.einsum("tj,tj->j", e, e)
    for lag in range(1, n_lags + 1):
        variance += 2 * (1 - lag / (n_lags + 1)) * np.einsum("tj,tj->j", e[lag:], e[:-lag])
    mean: FloatArray = variance / len(e)
    return mean
