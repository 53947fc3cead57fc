"""Long/short weights in proportion to the rank."""

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.metrics._dates import date_groups
from skdrfm.metrics._quantiles import dates_with_portfolio
from skdrfm.metrics._validation import as_values, validated
from skdrfm.portfolio._rows import index_of, sections_of, sector_codes
from skdrfm.utils._param_validation import Interval

_FEWEST = 2  # one name has nobody to be ranked against


@validated({"min_names": [Interval(Integral, 1, None, closed="left"), None]})
def rank_weights(
    scores: Any, *, dates: Any = None, min_names: int | None = None, sectors: Any = None
) -> "pd.Series[Any]":
    """Weights in proportion to the centred rank of each date: every name is held, the extremes most.

    With average ranks ``rho`` from 1 to N the weight is ``(rho - (N + 1) / 2) / P``, where P is the sum of the
    positive centred ranks. Twice the centred rank is a whole number, so that the sums are exact: the weights depend
    neither on the order of rows nor on increasing transforms of the scores, and opposite scores give exactly
    opposite weights.

    Within sectors the ranks are those of the sector, each leg of a sector has the sector's share of the names, and
    no sector has a net position. Sectors whose names cannot be told apart (one name, or equal scores) hold nothing,
    and the shares are those of the names in the other sectors.

    Parameters
    ----------
    scores : Series or ndarray of shape (n_samples,)
        Predictions, in any unit; only their order within a date matters.
    dates : array-like of shape (n_samples,), default=None
        Date of each row. None takes the index level ``date`` of scores.
    min_names : int, default=None
        Names that a date needs for a portfolio; None means 2.
    sectors : Series or array-like of shape (n_samples,), default=None
        Sector label of each row. A Series is matched by index where scores are a Series by (date, asset); it may
        have more rows, or be indexed by asset. None: one sector for all.

    Returns
    -------
    Series of shape (n_samples,)
        Weights, named ``"weight"``, with the rows of scores. On each date the long leg sums to 1 and the short leg
        to -1; if all scores are equal every weight is exactly 0. NaN on dates with fewer than ``min_names`` names;
        one warning counts them.

    Raises
    ------
    PanelError
        If dates are not known, a (date, asset) pair occurs twice, no date has enough names, or a row has no sector.
    NonFiniteError
        If a score is NaN or infinite.

    Warns
    -----
    CoverageWarning
        If some dates have too few names.

    See Also
    --------
    long_short_weights : Holds the highest and the lowest quantile alone.

    Examples
    --------
    >>> from skdrfm.portfolio import rank_weights
    >>> rank_weights([0.1, 0.2, 0.2, 0.4], dates=[1, 1, 1, 1]).tolist()
    [-1.0, 0.0, 0.0, 1.0]
    >>> rank_weights([0.1, 0.2, 0.3, 0.4], dates=[1, 1, 1, 1]).tolist()
    [-0.75, -0.25, 0.25, 0.75]
    >>> rank_weights([0.1, 0.2, 0.3, 0.4], dates=[1, 1, 1, 1], sectors=["banks", "banks", "mines", "mines"]).tolist()
    [-0.5, 0.5, -0.5, 0.5]
    """
    values = as_values(scores, name="scores")
    groups = date_groups(scores, dates, name="scores")
    codes = None if sectors is None else sector_codes(sectors, scores, rows_name="scores")
    formed = dates_with_portfolio(groups, _FEWEST, min_names, by_quantile=False, stacklevel=4)

    sections, date = (groups, np.arange(len(groups.dates))) if codes is None else sections_of(groups, codes)
    doubled = sections.centred_ranks(values)
    leg = sections.sum(np.maximum(doubled, 0))
    ranked = leg > 0
    n_ranked = np.bincount(date[ranked], weights=sections.counts[ranked], minlength=len(groups.dates))
    # All four are whole numbers, so that only the division rounds.
    parts = doubled * sections.counts[sections.codes]
    whole = (leg * n_ranked[date])[sections.codes]
    weights: FloatArray = np.divide(parts, whole, out=np.zeros(len(parts)), where=whole > 0)
    weights[~formed[groups.codes]] = np.nan
    return pd.Series(weights, index=index_of(scores), name="weight")
