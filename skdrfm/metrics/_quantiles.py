"""Quantile portfolios that know no favourites among equal scores.

Rank the N names of a date from the lowest score to the highest; each takes one slot, and quantile j of q owns the
slots from (j - 1) N / q to j N / q, so that each quantile has N / q slots whether or not that is an integer. Names
with equal scores form a block and share its slots evenly: the weight of a name is what a random order among equals
gives it on average. The rule depends on scores alone, never on the order of rows.

`slot_weights` is the definition. `mean_by_quantile` has the returns of these weights without the weights: it needs
the blocks at the borders of quantiles only.
"""

import warnings
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray, FloatArray, IntArray
from skdrfm.exceptions import CoverageWarning, PanelError
from skdrfm.metrics._dates import DateGroups, as_whole_numbers, date_groups
from skdrfm.metrics._validation import as_aligned_values, validated
from skdrfm.utils._param_validation import Interval

QUANTILE_CONSTRAINTS: dict[str, list[Any]] = {
    "n_quantiles": [Interval(Integral, 2, None, closed="left")],
    "min_names": [Interval(Integral, 1, None, closed="left"), None],
}


@validated(QUANTILE_CONSTRAINTS)
def quantile_returns(
    y_true: Any, scores: Any, *, n_quantiles: int = 5, dates: Any = None, min_names: int | None = None
) -> pd.DataFrame:
    """Return of each equal-weighted quantile portfolio at each date.

    The returns that the weights of :func:`skdrfm.portfolio.quantile_weights` earn: with N names on a date, quantile j
    of q holds the slots from ``(j - 1) N / q`` to ``j N / q`` of the names sorted by score, and names with equal
    scores share their slots evenly. The last column minus the first is the long/short return (Nakagawa et al. 2019,
    "Models": equal weights in quintiles). The order of rows and strictly increasing transforms of the scores change
    nothing, not even the last bit.

    Parameters
    ----------
    y_true : Series or ndarray of shape (n_samples,)
        Realised forward returns, decimal (0.01 = 1 %).
    scores : Series or ndarray of shape (n_samples,)
        Predictions of the same rows, in any unit; only their order within a date matters. Compared by index where
        both are Series.
    n_quantiles : int, default=5
        q, at least 2.
    dates : array-like of shape (n_samples,), default=None
        Date of each row. None takes the index level ``date`` of y_true.
    min_names : int, default=None
        Names that a date needs for a portfolio; None means ``n_quantiles``.

    Returns
    -------
    DataFrame of shape (n_dates, n_quantiles), float64
        Decimal return per period by date, with the columns 1 to q, q being the highest scores. NaN on dates with
        fewer than ``min_names`` names; one warning counts them.

    Raises
    ------
    PanelError
        If rows are not aligned, their dates are not known, or no date has enough names.
    NonFiniteError
        If a value is NaN or infinite.

    Warns
    -----
    CoverageWarning
        If some dates have too few names.

    Examples
    --------
    >>> from skdrfm.metrics import quantile_returns
    >>> quantile_returns([0.01, 0.02, 0.04, 0.03], [5, 7, 7, 9], n_quantiles=2, dates=[1, 1, 1, 1])
    quantile     1     2
    date
    1         0.02  0.03
    """
    returns, values = as_aligned_values(y_true, scores, name="scores")
    groups = date_groups(y_true, dates, name="y_true")
    formed = dates_with_portfolio(groups, n_quantiles, min_names, stacklevel=4)
    columns = pd.RangeIndex(1, n_quantiles + 1, name="quantile")
    return pd.DataFrame(mean_by_quantile(values, returns, groups, formed, n_quantiles), groups.dates, columns)


def slot_weights(values: FloatArray, groups: DateGroups, formed: BoolArray, n_quantiles: int) -> FloatArray:
    """Weight of each row in each quantile, NaN on dates that are not formed.

    Returns
    -------
    ndarray of shape (n_samples, n_quantiles)
        Column j belongs to quantile j + 1.
    """
    below, size = groups.tie_blocks(values)
    n_names = groups.counts[groups.codes]
    # All places are multiplied by q, so that the borders of blocks and quantiles are whole numbers.
    quantile = np.arange(n_quantiles)
    start = np.maximum((below * n_quantiles)[:, None], n_names[:, None] * quantile)
    stop = np.minimum(((below + size) * n_quantiles)[:, None], n_names[:, None] * (quantile + 1))
    overlap = np.maximum(stop - start, 0)
    weights: FloatArray = overlap / (size * n_names)[:, None]
    weights[~formed[groups.codes]] = np.nan
    return weights


def mean_by_quantile(
    scores: FloatArray, returns: FloatArray, groups: DateGroups, formed: BoolArray, n_quantiles: int
) -> FloatArray:
    """Return that `slot_weights` earn in each quantile, NaN on dates that are not formed.

    Returns
    -------
    ndarray of shape (n_dates, n_quantiles)
        Equal to the last bit for any order of the rows. With -scores its columns are reversed, and where all scores
        are equal all columns are, both exactly.
    """
    below, through, sum_below, sum_through, unit = _blocks_at_borders(scores, returns, groups, formed, n_quantiles)
    n_names = groups.counts[:, None]
    border = n_names * np.arange(n_quantiles + 1)
    # A block that only begins at its border is not cut by it.
    cut = below * n_quantiles < border
    through, sum_through = np.where(cut, through, below), np.where(cut, sum_through, sum_below)
    # All places are multiplied by q, as in `slot_weights`.
    size, block = np.maximum(through - below, 1) * n_quantiles, (sum_through - sum_below).astype(np.float64)
    from_left = ((through * n_quantiles - border) / size * block)[:, :-1]
    from_right = ((border - below * n_quantiles) / size * block)[:, 1:]
    inside = (sum_below[:, 1:] - sum_through[:, :-1]).astype(np.float64)
    # One block may fill a whole quantile. Its sum is then not put together from parts, so that equal scores give
    # equal returns to the last bit.
    filled = through[:, :-1] > below[:, 1:]
    sums = np.where(filled, (n_names / size * block)[:, :-1], inside + (from_left + from_right))
    means: FloatArray = sums * n_quantiles / n_names * unit[:, None]
    means[~formed] = np.nan
    return means


def _blocks_at_borders(
    scores: FloatArray, returns: FloatArray, groups: DateGroups, formed: BoolArray, n_quantiles: int
) -> tuple[IntArray, IntArray, IntArray, IntArray, FloatArray]:
    """Find the block of equal scores that holds each border between quantiles, on the dates that are formed.

    Returns
    -------
    below, through : ndarray of shape (n_dates, n_quantiles + 1)
        Names below the block, and those with the block.
    sum_below, sum_through : ndarray of shape (n_dates, n_quantiles + 1)
        The sums of their returns, in units.
    unit : ndarray of shape (n_dates,)
        A power of 2 for each date.
    """
    scores, returns = groups.in_date_order(scores), groups.in_date_order(returns)
    starts, stops = groups.starts.tolist(), (groups.starts + groups.counts).tolist()
    below, through, sum_below, sum_through = (np.zeros((len(starts), n_quantiles + 1), dtype=np.intp) for _ in range(4))
    below[:, -1] = through[:, -1] = groups.counts
    # Border j lies at the slot j N / q: before the name at this place or within its slot.
    place = groups.counts[:, None] * np.arange(1, n_quantiles) // n_quantiles
    unit = np.ones(len(starts))

    # One short sort for each date stays in the processor's cache. Threads gain nothing: the calls are too short.
    for date in np.flatnonzero(formed).tolist():
        rows, inner = slice(starts[date], stops[date]), slice(1, n_quantiles)
        own = scores[rows]
        order = np.argsort(own)
        at_border = own[order[place[date]]]
        below[date, inner] = own.searchsorted(at_border, side="left", sorter=order)
        through[date, inner] = own.searchsorted(at_border, side="right", sorter=order)
        numbers, unit[date] = as_whole_numbers(returns[rows])
        sums = np.zeros(len(own) + 1, dtype=np.int64)
        # No position is out of range; "clip" only spares NumPy a second buffer.
        np.cumsum(numbers.take(order, mode="clip"), out=sums[1:])
        sum_below[date], sum_through[date] = sums[below[date]], sums[through[date]]
    return below, through, sum_below, sum_through, unit


def dates_with_portfolio(
    groups: DateGroups, fewest: int, min_names: int | None, *, by_quantile: bool = True, stacklevel: int
) -> BoolArray:
    """Tell which dates have enough names for a portfolio and count the others in one warning.

    Parameters
    ----------
    groups : DateGroups
        The dates.
    fewest : int
        Names that a date needs if ``min_names`` is None: the number of quantiles, if there are any.
    min_names : int or None
        Names that a date needs.
    by_quantile : bool, default=True
        Whether fewer quantiles would help.
    stacklevel : int
        Frames from this function to the line that the warning names.

    Returns
    -------
    ndarray of shape (n_dates,)
        Whether a date has a portfolio.

    Raises
    ------
    PanelError
        If no date has enough names.
    """
    needed = fewest if min_names is None else min_names
    formed: BoolArray = groups.counts >= needed
    ways_out = ["fewer quantiles"] * by_quantile + ["a lower 'min_names'"]
    if not formed.any():
        raise PanelError(
            f"At least one date must have {needed} names for "
            f"{f'{fewest} quantile portfolios' if by_quantile else 'a portfolio'}. Got at most "
            f"{int(groups.counts.max())} names on {len(groups.dates)} dates. Use {', '.join(ways_out)} or more assets."
        )
    if not formed.all():
        warnings.warn(
            f"{int((~formed).sum())} of {len(formed)} dates have fewer than {needed} names (least: "
            f"{int(groups.counts.min())}) and no portfolio: their weights and returns are NaN, not 0. Use "
            f"{' or '.join(ways_out)} to form one.",
            CoverageWarning,
            stacklevel=stacklevel,
        )
    return formed
