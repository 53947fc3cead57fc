"""Weights without exposure to named descriptors."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray, FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.metrics._dates import DateGroups, date_groups
from skdrfm.metrics._validation import as_float_vector, numbers_of
from skdrfm.portfolio._rows import held_dates, index_of, rows_in, warn_about_lost_dates
from skdrfm.preprocessing._projection import residuals
from skdrfm.utils.validation import check_finite, describe_first


def neutral_weights(weights: Any, exposures: Any, *, dates: Any = None) -> "pd.Series[Any]":
    """Long/short weights without exposure to descriptors, as close to the given ones as can be.

    On each date the weights are regressed on a constant and the exposures D over all names of the date, held or
    not; the residual e has ``sum(e) = 0`` and ``D' e = 0``. It is divided by ``sum(|e|) / 2``, so that the long leg
    sums to 1 and the short leg to -1. Names that are not held get a small weight where that takes exposure away.

    Parameters
    ----------
    weights : Series or ndarray of shape (n_samples,)
        Weights of any construction. NaN on all names of a date says that no portfolio was formed there.
    exposures : DataFrame, Series or ndarray of shape (n_samples, n_exposures) or (n_samples,)
        Descriptors that the weights shall be neutral to, such as beta, the log market value or dummies of sectors,
        in any units. pandas data are matched by index where weights are a Series by (date, asset). Collinear and
        constant columns change nothing.
    dates : array-like of shape (n_samples,), default=None
        Date of each row. None takes the index level ``date`` of weights.

    Returns
    -------
    Series of shape (n_samples,)
        Weights, named ``"weight"``, with the rows of weights. Dates on which all weights are 0 keep them. NaN where
        no portfolio was formed, and on dates on which nothing remains: there are not more names than fitted
        coefficients, or the exposures explain the weights wholly. One warning counts the latter two.

    Raises
    ------
    PanelError
        If dates are not known, a (date, asset) pair occurs twice, weights are NaN on part of a date or infinite, a
        row has no exposures, or exposures are no numbers.
    NonFiniteError
        If an exposure is NaN or infinite.

    Warns
    -----
    CoverageWarning
        If nothing remains on some dates.

    See Also
    --------
    skdrfm.preprocessing.CrossSectionalNeutralizer : Neutralises scores, before portfolios are formed.
    long_short_weights : With ``sectors``, neutral in sectors without weights on further names.

    Examples
    --------
    Two names of high beta against two of low beta:

    >>> import numpy as np
    >>> from skdrfm.portfolio import neutral_weights
    >>> beta = np.array([0.8, 1.0, 1.2, 1.2])
    >>> weights = neutral_weights([-0.5, -0.5, 0.5, 0.5], beta, dates=[1, 1, 1, 1])
    >>> weights.round(4).tolist()
    [0.5, -1.0, 0.25, 0.25]
    >>> bool(abs(weights @ beta) < 1e-12)
    True
    """
    given = as_float_vector(weights, name="weights")
    groups = date_groups(weights, dates, name="weights")
    formed = held_dates(given, groups)
    factors = _exposures(exposures, weights)

    neutral: FloatArray = np.full(len(given), np.nan)
    lost: BoolArray = np.zeros(len(groups.dates), dtype=bool)
    for date, rows in enumerate(_rows_by_date(groups, given, factors)):
        if formed[date]:
            weights_of_date = _neutralised(given[rows], factors[rows])
            lost[date] = weights_of_date is None
            neutral[rows] = np.nan if weights_of_date is None else weights_of_date
    warn_about_lost_dates(
        lost,
        "have no weights that are neutral to the exposures: there are not more names than fitted coefficients, or "
        "the exposures explain the weights wholly. Their weights are NaN, not 0. Use fewer exposures or more assets.",
        stacklevel=3,
    )
    return pd.Series(neutral, index=index_of(weights), name="weight")


def _exposures(exposures: Any, weights: Any) -> FloatArray:
    """Read the exposures of each row, shape (n_samples, n_exposures)."""
    values = numbers_of(exposures, name="exposures")
    if values.ndim not in (1, 2):
        raise PanelError(
            f"exposures must have shape (n_samples,) or (n_samples, n_exposures). Got {values.shape}. "
            "Pass one row of descriptors for each weight."
        )
    where = rows_in(exposures, weights, name="exposures", rows_name="weights")
    absent = where < 0
    if absent.any():
        raise PanelError(
            f"exposures must have a row for every row of weights. Got {int(absent.sum())} of {len(where)} rows "
            f"without one: {describe_first(weights.index[absent].tolist())}. Add them, or drop these rows of weights."
        )
    if values.ndim == 1:
        values = values[:, None]
    factors: FloatArray = values[where]
    columns = list(pd.DataFrame(exposures).columns)
    check_finite(factors, what="exposures", columns=columns)
    return factors


def _rows_by_date(groups: DateGroups, weights: FloatArray, factors: FloatArray) -> list[Any]:
    """Rows of each date in an order that follows from their numbers alone, so that no sum depends on another."""
    order = np.lexsort((weights, *factors.T[::-1], groups.codes))
    return np.split(order, groups.starts[1:])


def _neutralised(weights: FloatArray, factors: FloatArray) -> FloatArray | None:
    """Scale the residual of the weights of one date; None if nothing remains."""
    if not weights.any():
        return weights
    rest = residuals(weights[None, :], np.ascontiguousarray(factors.T))
    if rest is None or not rest.any():
        return None
    leg = np.abs(rest[0]).sum() / 2
    neutral: FloatArray = rest[0] / leg
    return neutral
