"""How well predictions order the names of a date."""

import warnings
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.exceptions import CoverageWarning
from skdrfm.metrics._dates import DateGroups, date_groups
from skdrfm.metrics._validation import as_aligned_values

# A correlation of two points is always 1 or -1 and says nothing.
MIN_NAMES = 3


def information_coefficient(y_true: Any, y_pred: Any, *, dates: Any = None) -> "pd.Series[Any]":
    """Pearson correlation of predictions and returns over the names of each date.

    Parameters
    ----------
    y_true : Series or ndarray of shape (n_samples,)
        Realised forward returns, decimal (0.01 = 1 %).
    y_pred : Series or ndarray of shape (n_samples,)
        Predictions of the same rows, in any unit; compared by index where both are Series.
    dates : array-like of shape (n_samples,), default=None
        Date of each row. None takes the index level ``date`` of y_true.

    Returns
    -------
    Series of shape (n_dates,)
        Correlation in [-1, 1] for each date, named ``"information_coefficient"``. NaN on dates with
        fewer than 3 names or with constant predictions or returns; one warning counts them.

    Raises
    ------
    PanelError
        If rows are not aligned or their dates are not known.
    NonFiniteError
        If a value is NaN or infinite.

    Warns
    -----
    CoverageWarning
        If the figure does not exist on some dates.

    Examples
    --------
    >>> from skdrfm.metrics import information_coefficient
    >>> information_coefficient(
    ...     [0.01, 0.02, 0.03, 0.01, 0.02, 0.03], [1, 2, 3, 1, 3, 2], dates=[1, 1, 1, 2, 2, 2]
    ... )
    date
    1    1.0
    2    0.5
    Name: information_coefficient, dtype: float64
    """
    truth, prediction = as_aligned_values(y_true, y_pred)
    groups = date_groups(y_true, dates, name="y_true")
    return _correlation_by_date(truth, prediction, groups, name="information_coefficient")


def rank_information_coefficient(y_true: Any, y_pred: Any, *, dates: Any = None) -> "pd.Series[Any]":
    """Spearman correlation of predictions and returns over the names of each date.

    The Pearson correlation of ranks, equal values sharing their average rank.

    Parameters
    ----------
    y_true : Series or ndarray of shape (n_samples,)
        Realised forward returns, decimal (0.01 = 1 %).
    y_pred : Series or ndarray of shape (n_samples,)
        Predictions of the same rows, in any unit; compared by index where both are Series.
    dates : array-like of shape (n_samples,), default=None
        Date of each row. None takes the index level ``date`` of y_true.

    Returns
    -------
    Series of shape (n_dates,)
        Correlation in [-1, 1] for each date, named ``"rank_information_coefficient"``. 0 means no
        skill; a mean of 0.03 to 0.05 is useful for monthly returns. NaN on dates with fewer than 3
        names or with constant predictions or returns; one warning counts them.

    Raises
    ------
    PanelError
        If rows are not aligned or their dates are not known.
    NonFiniteError
        If a value is NaN or infinite.

    Warns
    -----
    CoverageWarning
        If the figure does not exist on some dates.

    Examples
    --------
    >>> from skdrfm.metrics import rank_information_coefficient
    >>> rank_information_coefficient(
    ...     [0.01, 0.02, 0.03, 0.01, 0.02, 0.03], [1, 2, 30, 1, 3, 2], dates=[1, 1, 1, 2, 2, 2]
    ... )
    date
    1    1.0
    2    0.5
    Name: rank_information_coefficient, dtype: float64
    """
    truth, prediction = as_aligned_values(y_true, y_pred)
    groups = date_groups(y_true, dates, name="y_true")
    return _correlation_by_date(
        _average_ranks(truth, groups),
        _average_ranks(prediction, groups),
        groups,
        name="rank_information_coefficient",
    )


def _average_ranks(values: FloatArray, groups: DateGroups) -> FloatArray:
    """Rank within each date from 1, equal values sharing the average of their places."""
    below, size = groups.tie_blocks(values)
    ranks: FloatArray = below + (size + 1) / 2
    return ranks


def _correlation_by_date(
    truth: FloatArray, prediction: FloatArray, groups: DateGroups, *, name: str
) -> "pd.Series[Any]":
    few = groups.counts < MIN_NAMES
    flat_prediction = groups.is_constant(prediction) & ~few
    flat_truth = groups.is_constant(truth) & ~few & ~flat_prediction
    exists = ~(few | flat_prediction | flat_truth)
    x, y = _centred(truth, groups), _centred(prediction, groups)
    figure = np.full(len(groups.dates), np.nan)
    squares = np.sqrt(groups.sum(x * x)[exists]) * np.sqrt(groups.sum(y * y)[exists])
    # Rounding can lead past the bounds of a correlation by one unit in the last place.
    figure[exists] = np.clip(groups.sum(x * y)[exists] / squares, -1, 1)
    if not exists.all():
        reasons = {
            f"with fewer than {MIN_NAMES} names": few,
            "with constant predictions": flat_prediction,
            "with constant returns": flat_truth,
        }
        listed = ", ".join(f"{int(why.sum())} {text}" for text, why in reasons.items() if why.any())
        warnings.warn(
            f"{name} does not exist on {int((~exists).sum())} of {len(exists)} dates and is NaN "
            f"there: {listed}. Means over dates leave these dates out.",
            CoverageWarning,
            stacklevel=3,
        )
    return groups.series(figure, name=name)


def _centred(values: FloatArray, groups: DateGroups) -> FloatArray:
    """Deviations from the mean of the date, in units of the largest of them.

    The unit keeps squares of very large or very small numbers within floating-point range and
    leaves a correlation as it is.
    """
    deviations = values - groups.mean(values)[groups.codes]
    largest = groups.maximum(np.abs(deviations))
    unit = np.where(largest > 0, largest, 1.0)
    centred: FloatArray = deviations / unit[groups.codes]
    return centred
