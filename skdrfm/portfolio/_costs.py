"""What trading costs: turnover against weights that have drifted with returns."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.portfolio._alignment import Positions, align_positions


def turnover(weights: "pd.Series[Any]", returns: "pd.Series[Any]") -> "pd.Series[Any]":
    """Sum of absolute trades at each date, against drifted weights.

    ``TO_t = sum_i |w_{i,t} - drifted w_{i,t-1}|`` (the form of Gu, Kelly and Xiu 2020, where
    ``drifted w = w (1 + r) / (1 + portfolio return)``). A long/short portfolio has no net capital to divide by;
    here each leg drifts on its own capital, ``w (1 + r) / (1 + R)`` with R the return of the names of that leg, so
    that each leg keeps its size until it is traded. For a portfolio without short positions both forms are the
    same. A position cannot drift below zero, and a leg that lost everything is bought anew.

    Parameters
    ----------
    weights : Series of shape (n_samples,), indexed by (date, asset)
        Weights set at each date and held until the next date that occurs. NaN on all names of a date says that no
        portfolio was formed there.
    returns : Series, indexed by (date, asset)
        Decimal forward returns, over the period after each date, for at least the rows of weights; compared by
        index.

    Returns
    -------
    Series of shape (n_dates,)
        Trades in units of capital, both sides counted, named ``"turnover"``: 2 replaces all of a long portfolio, 4
        both legs of a long/short portfolio. The first date, and a date after one without portfolio, is the full
        build-up: the sum of absolute weights. Names that disappear count as sold. NaN on dates without portfolio.

    Raises
    ------
    PanelError
        If an index is no panel index, a row has no realised return, or weights are NaN on part of a date.
    NonFiniteError
        If a return is infinite.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.portfolio import turnover
    >>> index = pd.MultiIndex.from_product([[1, 2], ["A", "B"]], names=["date", "asset"])
    >>> weights = pd.Series([0.5, 0.5, 0.5, 0.5], index=index)
    >>> returns = pd.Series([0.5, 0.0, 0.0, 0.0], index=index)
    >>> turnover(weights, returns).round(4).tolist()
    [1.0, 0.2]
    """
    positions = align_positions(weights, returns, name="weights")
    faulty = ~np.isfinite(positions.values)
    share = positions.groups.mean(faulty)
    if np.isinf(positions.values).any() or ((share > 0) & (share < 1)).any():
        raise PanelError(
            f"weights must be finite on a date, or NaN on all its names. Got {int(faulty.sum())} NaN or infinite "
            f"values on {int((share > 0).sum())} dates. Give names that are not held the weight 0."
        )
    return positions.groups.series(turnover_by_date(positions, positions.values), name="turnover")


def turnover_by_date(positions: Positions, weights: FloatArray) -> FloatArray:
    """Turnover of weights that are given in the canonical order of positions, shape (n_dates,)."""
    groups, n_dates = positions.groups, len(positions.groups.dates)
    formed = groups.counts > 0
    formed[groups.codes[np.isnan(weights)]] = False
    held = np.where(np.isnan(weights), 0.0, weights)
    drifted = _drifted(positions, held)

    # One whole number for each (date, asset): the same asset one date later is n_assets further on.
    n_assets = int(positions.assets.max()) + 1
    keys = groups.codes * n_assets + positions.assets
    later = np.minimum(np.searchsorted(keys, keys + n_assets), len(keys) - 1)
    stays = keys[later] == keys + n_assets
    before = np.zeros_like(held)
    before[later[stays]] = drifted[stays]
    trades = groups.sum(np.abs(held - before))

    leaves = ~stays & (groups.codes < n_dates - 1)
    trades += np.bincount(groups.codes[leaves] + 1, weights=np.abs(drifted[leaves]), minlength=n_dates)
    trades[~formed] = np.nan
    return trades


def _drifted(positions: Positions, held: FloatArray) -> FloatArray:
    """Weights at the end of the holding period, each leg with its own capital."""
    codes = positions.groups.codes
    growth = np.maximum(1 + positions.returns, 0)
    drifted = np.zeros_like(held)
    for leg in (np.maximum(held, 0), np.minimum(held, 0)):
        grown = leg * growth
        before, after = positions.groups.sum(leg), positions.groups.sum(grown)
        factor = np.divide(before, after, out=np.zeros_like(before), where=after != 0)
        drifted += grown * factor[codes]
    return drifted
