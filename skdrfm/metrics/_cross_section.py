"""How well predictions order the names of a date."""

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray, FloatArray, IntArray
from skdrfm.exceptions import CoverageWarning, PanelError
from skdrfm.metrics._dates import DateGroups, date_groups, group_by_index
from skdrfm.metrics._performance import sharpe_ratio
from skdrfm.metrics._validation import as_aligned_values, as_return_series, as_values, validated
from skdrfm.panel import assets_of, check_panel_index
from skdrfm.panel._index import check_is_series
from skdrfm.utils._param_validation import Interval

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
    figure, reasons = correlations(truth, prediction, groups)
    warn_about_dates_without(figure, reasons, name="information_coefficient", stacklevel=3)
    return groups.series(figure, name="information_coefficient")


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
    figure, reasons = rank_correlations(truth, prediction, groups)
    warn_about_dates_without(figure, reasons, name="rank_information_coefficient", stacklevel=3)
    return groups.series(figure, name="rank_information_coefficient")


@validated({"periods_per_year": [Interval(Real, 0, None, closed="neither")]})
def icir(ic: Any, *, periods_per_year: float) -> float:
    """Mean of information coefficients over their standard deviation, annualised.

    ``sqrt(P) mean(IC) / std(IC)`` with ddof 1. ``periods_per_year=1`` gives the plain ratio that qlib calls ICIR and
    alphalens the risk-adjusted IC.

    Parameters
    ----------
    ic : Series or ndarray of shape (n_dates,)
        Information coefficients or rank ICs, one for each date; NaN stands for a date without one and is left out.
    periods_per_year : float
        P: 12 for months, 52 for weeks, 252 for trading days, 1 for the plain ratio.

    Returns
    -------
    float
        Ratio per year; times the root of the number of years it is the t statistic of the mean IC. NaN if all ICs
        are equal.

    Raises
    ------
    PanelError
        If there are fewer than 2 numbers.
    NonFiniteError
        If an IC is infinite.

    Examples
    --------
    >>> from skdrfm.metrics import icir
    >>> round(icir([0.02, 0.06, float("nan")], periods_per_year=12), 4)
    4.899
    >>> round(icir([0.02, 0.06], periods_per_year=1), 4)
    1.4142
    """
    values = as_return_series(pd.Series(ic).dropna(), name="ic", at_least=2)
    return sharpe_ratio(values, periods_per_year=periods_per_year)


@validated({"lag": [Interval(Integral, 1, None, closed="left")]})
def factor_rank_autocorrelation(scores: "pd.Series[Any]", *, lag: int = 1) -> "pd.Series[Any]":
    """Spearman correlation of the scores of each date with those of an earlier date.

    Near 1 the order of names hardly changes and a portfolio sorted on the scores trades little. Ranks are taken among
    the names with a score at both dates. alphalens ranks all names of each date and correlates these ranks over the
    common names; the two agree where both dates have the same names.

    Parameters
    ----------
    scores : Series of shape (n_samples,), indexed by (date, asset)
        Predictions or a descriptor, in any unit.
    lag : int, default=1
        Number of dates to go back, counted in the distinct dates of the panel.

    Returns
    -------
    Series of shape (n_dates,)
        Correlation in [-1, 1] for each date, named ``"factor_rank_autocorrelation"``. NaN at the first ``lag`` dates;
        NaN also on dates with fewer than 3 common names or with constant scores, which one warning counts.

    Raises
    ------
    PanelError
        If scores are no Series indexed by unique (date, asset) pairs, or the panel has no more than ``lag`` dates.
    NonFiniteError
        If a score is NaN or infinite.

    Warns
    -----
    CoverageWarning
        If the figure does not exist on some dates after the first ones.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.metrics import factor_rank_autocorrelation
    >>> index = pd.MultiIndex.from_product([[1, 2], ["A", "B", "C"]], names=["date", "asset"])
    >>> factor_rank_autocorrelation(pd.Series([1, 2, 3, 10, 30, 20], index=index))
    date
    1    NaN
    2    0.5
    Name: factor_rank_autocorrelation, dtype: float64
    """
    check_is_series(scores, name="scores")
    index = check_panel_index(scores, name="scores")
    values = as_values(scores, name="scores")
    groups = group_by_index(index)
    n_dates = len(groups.dates)
    if n_dates <= lag:
        raise PanelError(
            f"scores must have more dates than 'lag' ({lag}). Got {n_dates}. Pass a longer panel or a smaller lag."
        )
    now, before = _rows_of_common_names(groups, assets_of(scores), lag)
    pairs = DateGroups(groups.codes[now] - lag, groups.dates[lag:])
    figure, reasons = rank_correlations(values[before], values[now], pairs)
    name = "factor_rank_autocorrelation"
    warn_about_dates_without(
        figure,
        reasons,
        name=name,
        names="common names",
        prediction="scores",
        truth="earlier scores",
        stacklevel=4,
    )
    return groups.series(np.concatenate([np.full(lag, np.nan), figure]), name=name)


def _rows_of_common_names(groups: DateGroups, assets: "pd.Index[Any]", lag: int) -> tuple[IntArray, IntArray]:
    """Rows whose name also has a row ``lag`` dates before, and these earlier rows."""
    names, distinct = pd.factorize(assets)
    cell = groups.codes * len(distinct) + names
    order = np.argsort(cell)
    earlier = cell - lag * len(distinct)
    place = np.minimum(np.searchsorted(cell, earlier, sorter=order), len(cell) - 1)
    before = order[place]
    now = np.flatnonzero(cell[before] == earlier)
    return now, before[now]


def correlations(truth: FloatArray, prediction: FloatArray, groups: DateGroups) -> tuple[FloatArray, list[BoolArray]]:
    """Pearson correlation on each date, NaN where it does not exist, and why it does not."""
    reasons = _reasons_against(groups, groups.is_constant(prediction), groups.is_constant(truth))
    x, y = _centred(truth, groups), _centred(prediction, groups)
    return _correlation(groups.sum(x * y), groups.sum(x * x), groups.sum(y * y), reasons), reasons


def rank_correlations(
    truth: FloatArray, prediction: FloatArray, groups: DateGroups
) -> tuple[FloatArray, list[BoolArray]]:
    """Spearman correlation on each date, NaN where it does not exist, and why it does not."""
    x, y = groups.centred_ranks(truth), groups.centred_ranks(prediction)
    xx, yy = groups.sum(x * x), groups.sum(y * y)
    reasons = _reasons_against(groups, yy == 0, xx == 0)
    return _correlation(groups.sum(x * y), xx, yy, reasons), reasons


def _reasons_against(groups: DateGroups, flat_prediction: BoolArray, flat_truth: BoolArray) -> list[BoolArray]:
    """Dates without a correlation by reason; a date with several reasons is counted once."""
    few = groups.counts < MIN_NAMES
    return [few, flat_prediction & ~few, flat_truth & ~few & ~flat_prediction]


def _correlation(xy: FloatArray, xx: FloatArray, yy: FloatArray, reasons: list[BoolArray]) -> FloatArray:
    exists = ~np.logical_or.reduce(reasons)
    figure = np.full(len(exists), np.nan)
    # Rounding can lead past the bounds of a correlation by one unit in the last place.
    figure[exists] = np.clip(xy[exists] / (np.sqrt(xx[exists]) * np.sqrt(yy[exists])), -1, 1)
    return figure


def warn_about_dates_without(
    figure: FloatArray,
    reasons: list[BoolArray],
    *,
    name: str,
    names: str = "names",
    prediction: str = "predictions",
    truth: str = "returns",
    stacklevel: int,
) -> None:
    """Count the dates without a correlation in one warning, if there are any."""
    missing = int(np.isnan(figure).sum())
    if not missing:
        return
    texts = (f"with fewer than {MIN_NAMES} {names}", f"with constant {prediction}", f"with constant {truth}")
    listed = ", ".join(f"{int(why.sum())} {text}" for why, text in zip(reasons, texts, strict=True) if why.any())
    warnings.warn(
        f"{name} does not exist on {missing} of {len(figure)} dates and is NaN there: {listed}. Means over dates "
        "leave these dates out.",
        CoverageWarning,
        stacklevel=stacklevel,
    )


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
