"""Whether a mean differs from zero."""

from numbers import Integral
from typing import Any

import numpy as np

from skdrfm.exceptions import PanelError
from skdrfm.metrics._validation import as_return_series, validated
from skdrfm.utils._param_validation import Interval


@validated({"n_lags": [Interval(Integral, 0, None, closed="left"), None]})
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

    Examples
    --------
    >>> from skdrfm.metrics import newey_west_t
    >>> round(newey_west_t([0.01, 0.03, 0.02, 0.04], n_lags=0), 4)
    4.4721
    """
    series = as_return_series(values, name="values", at_least=2)
    n_periods = len(series)
    if n_lags is None:
        n_lags = int(4 * (n_periods / 100) ** (2 / 9))
    if n_lags >= n_periods:
        raise PanelError(
            f"'n_lags' must be below the number of periods ({n_periods}). Got {n_lags}. "
            "Pass fewer lags or a longer series."
        )
    if series.min() == series.max():
        return float("nan")
    # In units of the largest deviation squares neither overflow nor vanish; t has no unit. The Bartlett
    # weights make the variance a sum of squares, so it is positive.
    unit = np.abs(series - series.mean()).max()
    mean, e = series.mean() / unit, (series - series.mean()) / unit
    variance = e @ e / n_periods
    for lag in range(1, n_lags + 1):
        variance += 2 * (1 - lag / (n_lags + 1)) * (e[lag:] @ e[:-lag]) / n_periods
    return float(mean / np.sqrt(variance / n_periods))
