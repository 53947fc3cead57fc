"""Equal-weighted quantile portfolios and their difference, by the slots of `skdrfm.metrics._quantiles`."""

from typing import Any

import pandas as pd

from skdrfm.metrics._dates import date_groups
from skdrfm.metrics._quantiles import QUANTILE_CONSTRAINTS, dates_with_portfolio, slot_weights, warn_about_dates
from skdrfm.metrics._validation import as_values, validated


@validated(QUANTILE_CONSTRAINTS)
def quantile_weights(
    scores: Any, *, n_quantiles: int = 5, dates: Any = None, min_names: int | None = None
) -> pd.DataFrame:
    """Equal-weighted quantile portfolios of each date.

    With N names on a date, B of them below a name and g equal to it (itself included), quantile j of q gives the
    name the weight ``overlap([B, B + g], [(j - 1) N / q, j N / q]) / (g N / q)``. The overlap is counted in whole
    numbers, so equal scores get equal weights to the last bit.

    Parameters
    ----------
    scores : Series or ndarray of shape (n_samples,)
        Predictions, in any unit; only their order within a date matters.
    n_quantiles : int, default=5
        q, at least 2.
    dates : array-like of shape (n_samples,), default=None
        Date of each row. None takes the index level ``date`` of scores.
    min_names : int, default=None
        Names that a date needs for a portfolio; None means ``n_quantiles``.

    Returns
    -------
    DataFrame of shape (n_samples, n_quantiles)
        Weights, with the rows of scores and the columns 1 to q, q being the highest scores. On each date each
        column sums to 1. NaN on dates with fewer than ``min_names`` names; one warning counts them.

    Raises
    ------
    PanelError
        If dates are not known, a (date, asset) pair occurs twice, or no date has enough names.
    NonFiniteError
        If a score is NaN or infinite: a forecast for each row is asked for, and none is made up.

    Warns
    -----
    CoverageWarning
        If some dates have too few names.

    Examples
    --------
    >>> from skdrfm.portfolio import quantile_weights
    >>> quantile_weights([0.1, 0.2, 0.2, 0.4], n_quantiles=2, dates=[1, 1, 1, 1])
    quantile     1     2
    0         0.50  0.00
    1         0.25  0.25
    2         0.25  0.25
    3         0.00  0.50
    """
    values = as_values(scores, name="scores")
    groups = date_groups(scores, dates, name="scores")
    formed = dates_with_portfolio(groups, n_quantiles, min_names)
    warn_about_dates(formed, groups, n_quantiles if min_names is None else min_names, stacklevel=4)
    weights = slot_weights(values, groups, formed, n_quantiles)
    columns = pd.RangeIndex(1, n_quantiles + 1, name="quantile")
    return pd.DataFrame(weights, index=_index_of(scores), columns=columns)


@validated(QUANTILE_CONSTRAINTS)
def long_short_weights(
    scores: Any, *, n_quantiles: int = 5, dates: Any = None, min_names: int | None = None
) -> "pd.Series[Any]":
    """Highest quantile minus lowest quantile of each date.

    Parameters
    ----------
    scores : Series or ndarray of shape (n_samples,)
        Predictions, in any unit; only their order within a date matters.
    n_quantiles : int, default=5
        q, at least 2; each leg holds 1/q of the names.
    dates : array-like of shape (n_samples,), default=None
        Date of each row. None takes the index level ``date`` of scores.
    min_names : int, default=None
        Names that a date needs for a portfolio; None means ``n_quantiles``.

    Returns
    -------
    Series of shape (n_samples,)
        Column q minus column 1 of :func:`quantile_weights`, named ``"weight"``, with the rows of scores. On each
        date the long leg sums to 1 and the short leg to -1. A name that has slots in both (equal scores that reach
        from one into the other, the middle one of an odd number of names in two halves) holds the difference; if
        all scores are equal every weight is exactly 0. NaN on dates with fewer than ``min_names`` names; one
        warning counts them.

    Raises
    ------
    PanelError
        If dates are not known, a (date, asset) pair occurs twice, or no date has enough names.
    NonFiniteError
        If a score is NaN or infinite.

    Warns
    -----
    CoverageWarning
        If some dates have too few names.

    Examples
    --------
    >>> from skdrfm.portfolio import long_short_weights
    >>> long_short_weights([0.1, 0.2, 0.2, 0.4], n_quantiles=2, dates=[1, 1, 1, 1]).tolist()
    [-0.5, 0.0, 0.0, 0.5]
    """
    values = as_values(scores, name="scores")
    groups = date_groups(scores, dates, name="scores")
    formed = dates_with_portfolio(groups, n_quantiles, min_names)
    warn_about_dates(formed, groups, n_quantiles if min_names is None else min_names, stacklevel=4)
    weights = slot_weights(values, groups, formed, n_quantiles)
    return pd.Series(weights[:, -1] - weights[:, 0], index=_index_of(scores), name="weight")


def _index_of(scores: Any) -> pd.Index | None:
    return scores.index if isinstance(scores, pd.Series) else None
