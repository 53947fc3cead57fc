"""Quantile portfolios that know no favourites among equal scores.

Rank the N names of a date from the lowest score to the highest; each takes one slot, and quantile j of q owns the
slots from (j - 1) N / q to j N / q, so that each quantile has N / q slots whether or not that is an integer. Names
with equal scores form a block and share its slots evenly: the weight of a name is what a random order among equals
gives it on average. The rule depends on scores alone, never on the order of rows.
"""

import warnings
from numbers import Integral
from typing import Any

import numpy as np

from skdrfm._typing import BoolArray, FloatArray
from skdrfm.exceptions import CoverageWarning, PanelError
from skdrfm.metrics._dates import DateGroups
from skdrfm.utils._param_validation import Interval

QUANTILE_CONSTRAINTS: dict[str, list[Any]] = {
    "n_quantiles": [Interval(Integral, 2, None, closed="left")],
    "min_names": [Interval(Integral, 1, None, closed="left"), None],
}


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


def dates_with_portfolio(groups: DateGroups, n_quantiles: int, min_names: int | None) -> BoolArray:
    """Tell which dates have enough names; at least one of them must."""
    needed = n_quantiles if min_names is None else min_names
    formed: BoolArray = groups.counts >= needed
    if not formed.any():
        raise PanelError(
            f"At least one date must have {needed} names for {n_quantiles} quantile portfolios. Got at most "
            f"{int(groups.counts.max())} names on {len(groups.dates)} dates. Use fewer quantiles, a lower "
            "'min_names' or more assets."
        )
    return formed


def warn_about_dates(formed: BoolArray, groups: DateGroups, needed: int, *, stacklevel: int) -> None:
    """Count the dates without a portfolio in one warning, if there are any."""
    if formed.all():
        return
    warnings.warn(
        f"{int((~formed).sum())} of {len(formed)} dates have fewer than {needed} names (least: "
        f"{int(groups.counts.min())}) and no portfolio: their weights and returns are NaN, not 0. Use fewer "
        "quantiles or a lower 'min_names' to form one.",
        CoverageWarning,
        stacklevel=stacklevel,
    )
