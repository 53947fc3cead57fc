"""How far predictions are from returns."""

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from skdrfm._typing import FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.metrics._cross_section import correlations, icir, rank_correlations, warn_about_dates_without
from skdrfm.metrics._dates import DateGroups, date_groups, sum_in_any_order
from skdrfm.metrics._inference import newey_west_t
from skdrfm.metrics._validation import as_aligned_values, validated
from skdrfm.utils._param_validation import Interval


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


@validated({"cross_sectional": ["boolean"]})
def r2_oos(y_true: Any, y_pred: Any, *, cross_sectional: bool = False, dates: Any = None) -> float:
    """Out-of-sample R2 against a prediction of zero.

    ``1 - sum (r - rhat)^2 / sum r^2`` over all names and dates together (Gu, Kelly and Xiu 2020,
    equation 19). The denominator is not demeaned: the benchmark is a forecast of zero and not the
    mean return, so this differs from ``sklearn.metrics.r2_score``.

    With ``cross_sectional=True`` the mean over the names of each date is first taken off r and rhat
    alike. That is for models whose predictions order the names of a date and have an arbitrary
    level; the benchmark is then the same prediction for all names of a date.

    Parameters
    ----------
    y_true : Series or ndarray of shape (n_samples,)
        Realised forward returns, decimal (0.01 = 1 %); excess returns in the source.
    y_pred : Series or ndarray of shape (n_samples,)
        Predicted returns of the same rows; compared by index where both are Series.
    cross_sectional : bool, default=False
        Whether r and rhat are taken relative to their mean over the names of the date.
    dates : array-like of shape (n_samples,), default=None
        Date of each row, for ``cross_sectional=True`` only. None takes the index level ``date`` of
        y_true.

    Returns
    -------
    float
        At most 1. 0 is as good as the benchmark, below 0 is worse; 0.004 is a good value for
        monthly returns of single stocks.

    Raises
    ------
    PanelError
        If rows are not aligned, dates are needed and not known, or all returns are zero (all equal
        within each date, if cross-sectional) so that the figure does not exist.
    NonFiniteError
        If a value is NaN or infinite.

    Examples
    --------
    >>> from skdrfm.metrics import r2_oos
    >>> round(r2_oos([0.03, -0.04], [0.01, 0.0]), 4)
    0.2
    >>> r2_oos([0.03, -0.04], [0.0, 0.0])
    0.0
    >>> round(r2_oos([0.05, 0.01], [7.02, 7.0], cross_sectional=True, dates=[1, 1]), 4)
    0.75
    """
    truth, prediction = as_aligned_values(y_true, y_pred)
    if not cross_sectional:
        figure = _r2(truth, prediction)
        fault = f"y_true must hold a return other than 0, or R2_oos does not exist. Got {len(truth)} zeros."
    else:
        groups = date_groups(y_true, dates, name="y_true")
        figure = _r2(_demeaned(truth, groups), _demeaned(prediction, groups))
        fault = (
            "y_true must differ between the names of a date, or the cross-sectional R2_oos does not exist. Got equal "
            f"returns within each of {len(groups.dates)} dates."
        )
    if np.isnan(figure):
        raise PanelError(f"{fault} Check the return column.")
    return figure


@validated({"periods_per_year": [Interval(Real, 0, None, closed="neither")]})
def forecast_summary(y_true: Any, y_pred: Any, *, dates: Any = None, periods_per_year: float) -> "pd.Series[Any]":
    """Figures of forecasts in one table.

    Errors come twice, since papers report either: pooled over all rows, as
    ``sklearn.metrics.mean_absolute_error`` and ``root_mean_squared_error`` compute them from arrays, and as the mean
    of the errors of the dates (Nakagawa et al. 2019, Table 4). The two differ where the number of names changes, and
    the RMSE in any case.

    Parameters
    ----------
    y_true : Series or ndarray of shape (n_samples,)
        Realised forward returns, decimal (0.01 = 1 %).
    y_pred : Series or ndarray of shape (n_samples,)
        Predicted returns of the same rows; compared by index where both are Series.
    dates : array-like of shape (n_samples,), default=None
        Date of each row. None takes the index level ``date`` of y_true.
    periods_per_year : float
        P, for the two ratios: 12 for months, 52 for weeks, 252 for trading days.

    Returns
    -------
    Series of shape (14,), float64
        ``MAE (pooled)``, ``MAE (mean over dates)``, ``RMSE (pooled)`` and ``RMSE (mean over dates)`` in the unit of the
        returns; ``R2_oos (pooled)`` and ``R2_oos (cross-sectional)``, see :func:`r2_oos`; ``Mean IC``,
        ``ICIR (annualised)``, ``Mean rank IC`` and ``Rank ICIR (annualised)``, see :func:`icir`;
        ``Newey-West t of rank IC``; ``Dates``, ``Dates without IC`` (part of ``Dates``) and ``Rows``. Figures that need
        two dates with an IC, or returns that differ within a date, are NaN without them.

    Raises
    ------
    PanelError
        If rows are not aligned, their dates are not known, or all returns are zero.
    NonFiniteError
        If a value is NaN or infinite.

    Warns
    -----
    CoverageWarning
        If some dates have no information coefficient.

    Examples
    --------
    >>> from skdrfm.metrics import forecast_summary
    >>> forecast_summary(
    ...     [0.01, 0.02, 0.03, 0.01, 0.02, 0.03],
    ...     [0.01, 0.02, 0.03, 0.01, 0.03, 0.02],
    ...     dates=[1, 1, 1, 2, 2, 2],
    ...     periods_per_year=12,
    ... ).round(4)
    MAE (pooled)                 0.0033
    MAE (mean over dates)        0.0033
    RMSE (pooled)                0.0058
    RMSE (mean over dates)       0.0041
    R2_oos (pooled)              0.9286
    R2_oos (cross-sectional)     0.5000
    Mean IC                      0.7500
    ICIR (annualised)            7.3485
    Mean rank IC                 0.7500
    Rank ICIR (annualised)       7.3485
    Newey-West t of rank IC      6.0000
    Dates                        2.0000
    Dates without IC             0.0000
    Rows                         6.0000
    Name: forecast, dtype: float64
    """
    truth, prediction = as_aligned_values(y_true, y_pred)
    groups = date_groups(y_true, dates, name="y_true")
    error = truth - prediction
    ic, reasons = correlations(truth, prediction, groups)
    rank_ic, _ = rank_correlations(truth, prediction, groups)
    # Both exist on the same dates, so one warning is enough.
    warn_about_dates_without(ic, reasons, name="The information coefficient", stacklevel=4)
    exists = ~np.isnan(rank_ic)
    enough = int(exists.sum()) > 1
    figures = {
        "MAE (pooled)": mean_absolute_error(truth, prediction),
        "MAE (mean over dates)": groups.mean(np.abs(error)).mean(),
        "RMSE (pooled)": root_mean_squared_error(truth, prediction),
        "RMSE (mean over dates)": np.sqrt(groups.mean(np.square(error))).mean(),
        "R2_oos (pooled)": r2_oos(truth, prediction),
        "R2_oos (cross-sectional)": _r2(_demeaned(truth, groups), _demeaned(prediction, groups)),
        "Mean IC": ic[exists].mean() if exists.any() else np.nan,
        "ICIR (annualised)": icir(ic, periods_per_year=periods_per_year) if enough else np.nan,
        "Mean rank IC": rank_ic[exists].mean() if exists.any() else np.nan,
        "Rank ICIR (annualised)": icir(rank_ic, periods_per_year=periods_per_year) if enough else np.nan,
        "Newey-West t of rank IC": newey_west_t(rank_ic[exists]) if enough else np.nan,
        "Dates": len(groups.dates),
        "Dates without IC": len(groups.dates) - int(exists.sum()),
        "Rows": len(truth),
    }
    return pd.Series(figures, name="forecast", dtype=np.float64)


def _r2(truth: FloatArray, prediction: FloatArray) -> float:
    """``1 - sum (r - rhat)^2 / sum r^2``, NaN if all returns are zero."""
    error, benchmark = np.abs(truth - prediction), np.abs(truth)
    scale, unit = float(benchmark.max()), float(error.max()) or 1.0
    if scale == 0:
        return float("nan")
    # In units of the largest number of each sum no square overflows or vanishes.
    error, benchmark = error / unit, benchmark / scale
    ratio = unit / scale
    return 1 - ratio * ratio * (sum_in_any_order(error * error) / sum_in_any_order(benchmark * benchmark))


def _demeaned(values: FloatArray, groups: DateGroups) -> FloatArray:
    """Deviations from the mean of the date; exactly 0 where all values of a date are equal."""
    deviations = values - groups.mean(values)[groups.codes]
    return np.where(groups.is_constant(values)[groups.codes], 0.0, deviations)
