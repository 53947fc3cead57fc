"""Quantile portfolios and their difference, by the slots of `skdrfm.metrics._quantiles`."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.metrics._dates import DateGroups, date_groups
from skdrfm.metrics._quantiles import QUANTILE_CONSTRAINTS, dates_with_portfolio, slot_weights
from skdrfm.metrics._validation import as_values, validated
from skdrfm.portfolio._rows import index_of, ordered_sum, sections_of, sector_codes, sizes_of


@validated(QUANTILE_CONSTRAINTS)
def quantile_weights(
    scores: Any,
    *,
    n_quantiles: int = 5,
    dates: Any = None,
    min_names: int | None = None,
    size: Any = None,
    sectors: Any = None,
) -> pd.DataFrame:
    """Quantile portfolios of each date: equal-weighted or value-weighted, over all names or within sectors.

    With N names on a date, B of them below a name and g equal to it (itself included), quantile j of q gives the
    name the share ``s = overlap([B, B + g], [(j - 1) N / q, j N / q]) / g`` of a slot. The overlap is counted in
    whole numbers, so equal scores get equal shares to the last bit. The weight is ``s / sum(s)``, or
    ``s m / sum(s m)`` with market values m.

    Within sectors, N, B and g count the names of the sector alone. Each sector then enters every quantile with the
    same total weight, its share of the names of the date, or of their market value. So the difference of two
    quantiles has no net position in any sector, up to rounding. A sector with fewer names than quantiles needs no
    exception: its slots are fractions, and a name alone in its sector is held by all quantiles alike.

    Parameters
    ----------
    scores : Series or ndarray of shape (n_samples,)
        Predictions, in any unit; only their order within a date matters.
    n_quantiles : int, default=5
        q, at least 2.
    dates : array-like of shape (n_samples,), default=None
        Date of each row. None takes the index level ``date`` of scores.
    min_names : int, default=None
        Names that a date needs for a portfolio; None means ``n_quantiles``. Sectors need no number of their own.
    size : Series or ndarray of shape (n_samples,), default=None
        Market values above 0, in any unit, for value-weighted portfolios. None: equal-weighted. A Series is matched
        by index where scores are a Series by (date, asset); it may have more rows, or be indexed by asset.
    sectors : Series or array-like of shape (n_samples,), default=None
        Sector label of each row, matched like size. None: one sector for all.

    Returns
    -------
    DataFrame of shape (n_samples, n_quantiles)
        Weights, with the rows of scores and the columns 1 to q, q being the highest scores. On each date each
        column sums to 1. NaN on dates with fewer than ``min_names`` names; one warning counts them.

    Raises
    ------
    PanelError
        If dates are not known, a (date, asset) pair occurs twice, no date has enough names, or a row has no sector
        or no market value above 0.
    NonFiniteError
        If a score is NaN or infinite (a forecast for each row is asked for, and none is made up), or a market value.

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

    The largest name of the upper half has most of it:

    >>> quantile_weights([0.1, 0.2, 0.3, 0.4], n_quantiles=2, dates=[1, 1, 1, 1], size=[10, 30, 75, 25])[2].tolist()
    [0.0, 0.0, 0.75, 0.25]

    Both sectors are split, although all banks are below all mines:

    >>> sectors = ["banks", "banks", "mines", "mines"]
    >>> quantile_weights([0.1, 0.2, 0.3, 0.4], n_quantiles=2, dates=[1, 1, 1, 1], sectors=sectors)[2].tolist()
    [0.0, 0.5, 0.0, 0.5]
    """
    weights = _checked_weights(scores, n_quantiles, dates, min_names, size, sectors)
    return pd.DataFrame(weights, index=index_of(scores), columns=pd.RangeIndex(1, n_quantiles + 1, name="quantile"))


@validated(QUANTILE_CONSTRAINTS)
def long_short_weights(
    scores: Any,
    *,
    n_quantiles: int = 5,
    dates: Any = None,
    min_names: int | None = None,
    size: Any = None,
    sectors: Any = None,
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
    size : Series or ndarray of shape (n_samples,), default=None
        Market values above 0 for value-weighted legs, see :func:`quantile_weights`.
    sectors : Series or array-like of shape (n_samples,), default=None
        Sector labels for legs that are neutral in each sector, see :func:`quantile_weights`.

    Returns
    -------
    Series of shape (n_samples,)
        Column q minus column 1 of :func:`quantile_weights`, named ``"weight"``, with the rows of scores. On each
        date the long leg sums to 1 and the short leg to -1. A name that has slots in both (equal scores that reach
        from one into the other, the middle one of an odd number of names in two halves, a name alone in its sector)
        holds the difference, and both legs are smaller by what cancels; if all scores are equal every weight is
        exactly 0. NaN on dates with fewer than ``min_names`` names; one warning counts them.

    Raises
    ------
    PanelError
        If dates are not known, a (date, asset) pair occurs twice, no date has enough names, or a row has no sector
        or no market value above 0.
    NonFiniteError
        If a score or a market value is NaN or infinite.

    Warns
    -----
    CoverageWarning
        If some dates have too few names.

    See Also
    --------
    rank_weights : Holds every name, in proportion to its rank.

    Examples
    --------
    >>> from skdrfm.portfolio import long_short_weights
    >>> long_short_weights([0.1, 0.2, 0.2, 0.4], n_quantiles=2, dates=[1, 1, 1, 1]).tolist()
    [-0.5, 0.0, 0.0, 0.5]
    >>> sectors = ["banks", "banks", "mines", "mines"]
    >>> long_short_weights([0.1, 0.2, 0.3, 0.4], n_quantiles=2, dates=[1, 1, 1, 1], sectors=sectors).tolist()
    [-0.5, 0.5, -0.5, 0.5]
    """
    weights = _checked_weights(scores, n_quantiles, dates, min_names, size, sectors)
    return pd.Series(weights[:, -1] - weights[:, 0], index=index_of(scores), name="weight")


def _checked_weights(
    scores: Any, n_quantiles: int, dates: Any, min_names: int | None, size: Any, sectors: Any
) -> FloatArray:
    values = as_values(scores, name="scores")
    groups = date_groups(scores, dates, name="scores")
    sizes = None if size is None else sizes_of(size, scores, rows_name="scores")
    codes = None if sectors is None else sector_codes(sectors, scores, rows_name="scores")
    formed = dates_with_portfolio(groups, n_quantiles, min_names, stacklevel=5)
    if codes is None:
        weights = slot_weights(values, groups, formed, n_quantiles)
        return weights if sizes is None else _by_size(weights, sizes, groups)

    sections, date = sections_of(groups, codes)
    weights = slot_weights(values, sections, formed[date], n_quantiles)
    if sizes is None:
        share = sections.counts / groups.counts[date]
    else:
        weights = _by_size(weights, sizes, sections)
        share = ordered_sum(sections, sizes) / ordered_sum(groups, sizes)[date]
    return weights * share[sections.codes][:, None]


def _by_size(slots: FloatArray, sizes: FloatArray, groups: DateGroups) -> FloatArray:
    """Weight slots by market value, so that each column sums to 1 in each group."""
    # In units of the largest market value of the group no product overflows.
    held = slots * (sizes / groups.maximum(sizes)[groups.codes])[:, None]
    # Each column has an order of its own: one for all would not let opposite scores give exactly opposite weights.
    totals = np.column_stack([ordered_sum(groups, column) for column in held.T])
    weights: FloatArray = held / totals[groups.codes]
    return weights
