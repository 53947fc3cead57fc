"""How far predictions are from returns."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm.exceptions import PanelError
from skdrfm.metrics._dates import date_groups
from skdrfm.metrics._validation import as_aligned_values


def mean_absolute_error_by_date(y_true: Any, y_pred: Any, *, dates: Any = None) -> "pd.Series[Any]":
    """Mean absolute error over the names of each date.

    The mean of the result is the paper's MAE (Nakagawa et al. 2019, Table 4: the average over the
    months of the prediction period); it differs from the pooled error where the number of names
    changes.

    Parameters
    ----------
    y_true : Series or ndarray of shape (n_samples,)
        Realised forward returns, decimal (0.01 = 1 %).
    y_pred : Series or ndarray of shape (n_samples,)
        Predicted returns of the same rows; compared by index where both are Series.
    dates : array-like of shape (n_samples,), default=None
        Date of each row. None takes the index level ``date`` of y_true.

    Returns
    -------
    Series of shape (n_dates,)
        Error for each date in the unit of the returns, named ``"mean_absolute_error"``.

    Raises
    ------
    PanelError
        If rows are not aligned or their dates are not known.
    NonFiniteError
        If a value is NaN or infinite.

    Examples
    --------
    >>> from skdrfm.metrics import mean_absolute_error_by_date
    >>> mean_absolute_error_by_date(
    ...     [0.02, -0.02, 0.01], [0.01, -0.05, 0.01], dates=[202001, 202001, 202002]
    ... )
    date
    202001    0.02
    202002    0.00
    Name: mean_absolute_error, dtype: float64
    """
    truth, prediction = as_aligned_values(y_true, y_pred)
    groups = date_groups(y_true, dates, name="y_true")
    return groups.series(groups.mean(np.abs(truth - prediction)), name="mean_absolute_error")


def root_mean_squared_error_by_date(y_true: Any, y_pred: Any, *, dates: Any = None) -> "pd.Series[Any]":
    """Root mean squared error over the names of each date.

    The mean of the result is the paper's RMSE (Nakagawa et al. 2019, Table 4), the root being taken
    within each month.

    Parameters
    ----------
    y_true : Series or ndarray of shape (n_samples,)
        Realised forward returns, decimal (0.01 = 1 %).
    y_pred : Series or ndarray of shape (n_samples,)
        Predicted returns of the same rows; compared by index where both are Series.
    dates : array-like of shape (n_samples,), default=None
        Date of each row. None takes the index level ``date`` of y_true.

    Returns
    -------
    Series of shape (n_dates,)
        Error for each date in the unit of the returns, named ``"root_mean_squared_error"``.

    Raises
    ------
    PanelError
        If rows are not aligned or their dates are not known.
    NonFiniteError
        If a value is NaN or infinite.

    Examples
    --------
    >>> from skdrfm.metrics import root_mean_squared_error_by_date
    >>> root_mean_squared_error_by_date(
    ...     [0.03, -0.04, 0.01], [0.0, 0.0, 0.01], dates=[202001, 202001, 202002]
    ... ).round(4)
    date
    202001    0.0354
    202002    0.0000
    Name: root_mean_squared_error, dtype: float64
    """
    truth, prediction = as_aligned_values(y_true, y_pred)
    groups = date_groups(y_true, dates, name="y_true")
    squared = groups.mean(np.square(truth - prediction))
    return groups.series(np.sqrt(squared), name="root_mean_squared_error")


def r2_oos(y_true: Any, y_pred: Any) -> float:
    """Out-of-sample R2 against a prediction of zero.

    ``1 - sum (r - rhat)^2 / sum r^2`` over all names and dates together (Gu, Kelly and Xiu 2020,
    equation 19). The denominator is not demeaned: the benchmark is a forecast of zero and not the
    mean return, so this differs from ``sklearn.metrics.r2_score``.

    Parameters
    ----------
    y_true : Series or ndarray of shape (n_samples,)
        Realised forward returns, decimal (0.01 = 1 %); excess returns in the source.
    y_pred : Series or ndarray of shape (n_samples,)
        Predicted returns of the same rows; compared by index where both are Series.

    Returns
    -------
    float
        At most 1. 0 is as good as predicting zero everywhere, below 0 is worse; 0.004 is a good
        value for monthly returns of single stocks.

    Raises
    ------
    PanelError
        If rows are not aligned, or all returns are zero so that the figure does not exist.
    NonFiniteError
        If a value is NaN or infinite.

    Examples
    --------
    >>> from skdrfm.metrics import r2_oos
    >>> round(r2_oos([0.03, -0.04], [0.01, 0.0]), 4)
    0.2
    >>> r2_oos([0.03, -0.04], [0.0, 0.0])
    0.0
    """
    truth, prediction = as_aligned_values(y_true, y_pred)
    scale = np.abs(truth).max()
    if scale == 0:
        raise PanelError(
            f"y_true must hold a return other than 0, or R2_oos does not exist. Got {len(truth)} "
            "zeros. Check the return column."
        )
    # In units of the largest return no square overflows or vanishes.
    error, benchmark = (truth - prediction) / scale, truth / scale
    return float(1 - np.sum(error * error) / np.sum(benchmark * benchmark))
