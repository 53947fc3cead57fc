"""Positions in one asset from its forecasts."""

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.metrics._validation import as_values, validated
from skdrfm.portfolio._rows import index_of
from skdrfm.utils._param_validation import Interval


@validated({"threshold": [Interval(Real, 0, None, closed="left")], "short": ["boolean"]})
def timing_weights(forecasts: Any, *, threshold: float = 0.0, short: bool = True) -> "pd.Series[Any]":
    """Hold one asset long, flat or short by the sign of its forecast.

    The weight is 1 where the forecast is above the threshold, -1 where it is below minus the threshold, and 0 in
    between and at both. Each row is decided on its own, without a look at other dates or assets, so forecasts of
    several assets give one such strategy for each.

    Parameters
    ----------
    forecasts : Series or ndarray of shape (n_samples,)
        Forecasts of the return over the next period, decimal (0.01 = 1 %).
    threshold : float, default=0.0
        Least forecast that is worth a position, in the unit of the forecasts; not negative. The cost of a trade is
        a natural choice.
    short : bool, default=True
        Whether low forecasts are sold short; False holds nothing then.

    Returns
    -------
    Series of shape (n_samples,)
        Weights 1, 0 and -1, named ``"weight"``, with the rows of forecasts.

    Raises
    ------
    NonFiniteError
        If a forecast is NaN or infinite.
    PanelError
        If forecasts are no numbers, not one-dimensional or empty.
    ValueError
        If the threshold is negative.

    Examples
    --------
    >>> from skdrfm.portfolio import timing_weights
    >>> forecasts = [0.012, 0.001, -0.004, 0.0]
    >>> timing_weights(forecasts).tolist()
    [1.0, 1.0, -1.0, 0.0]
    >>> timing_weights(forecasts, threshold=0.002, short=False).tolist()
    [1.0, 0.0, 0.0, 0.0]
    """
    values = as_values(forecasts, name="forecasts")
    weights = (values > threshold).astype(np.float64)
    if short:
        weights -= values < -threshold
    return pd.Series(weights, index=index_of(forecasts), name="weight")
