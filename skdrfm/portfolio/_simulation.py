"""What is held at each date when weights are set now and then and drift with returns in between.

A span is what follows from one set of weights: the dates from its execution to the date before the next one. Spans
do not depend on each other, so that step s of all spans is taken at once and the only loop is over the steps.
"""

from dataclasses import dataclass

import numpy as np

from skdrfm._typing import AnyArray, BoolArray, FloatArray, IntArray
from skdrfm.portfolio._alignment import PairTable
from skdrfm.utils.validation import check_finite


@dataclass(frozen=True, eq=False)
class Holdings:
    """Names held at each date, by date and then by asset.

    Parameters
    ----------
    codes, assets : ndarray of shape (n_rows,)
        Positions of date and asset.
    weights : ndarray of shape (n_rows,)
        Weights over the period after the date; NaN if that span has no portfolio.
    drifted : ndarray of shape (n_rows,)
        Weights at the end of that period, 0 without portfolio.
    returns : ndarray of shape (n_rows,)
        Decimal forward returns.
    formed : ndarray of shape (n_dates,)
        Whether the date has a portfolio, be it all in cash.
    unexecuted : ndarray of shape (n_dates,)
        Names that should have been traded at the date and have no return there.
    """

    codes: IntArray
    assets: IntArray
    weights: FloatArray
    drifted: FloatArray
    returns: FloatArray
    formed: BoolArray
    unexecuted: IntArray

    def sums(self, codes: IntArray, values: FloatArray) -> FloatArray:
        """Sum the values of each date, given by its position, shape (n_dates,); NaN where there is no portfolio."""
        sums = np.bincount(codes, weights=values, minlength=len(self.formed))
        return np.where(self.formed, sums, np.nan)

    def portfolio_returns(self) -> FloatArray:
        """Decimal return of each date before costs, shape (n_dates,); cash earns nothing."""
        return self.sums(self.codes, self.weights * self.returns)


def hold(
    spans: IntArray,
    assets: IntArray,
    weights: FloatArray,
    *,
    realised: PairTable,
    n_dates: int,
    delay: int = 0,
    rebalance_every: int = 1,
) -> Holdings:
    """Follow each set of weights until the next one replaces it.

    Parameters
    ----------
    spans : ndarray of shape (n_orders,)
        Number of the span that a weight belongs to: that of its date divided by ``rebalance_every``. Sorted, and by
        asset within a span.
    assets, weights : ndarray of shape (n_orders,)
        Asset and weight; NaN on all names of a span without portfolio.
    realised : PairTable
        Decimal forward returns.
    n_dates : int
        Number of dates.
    delay : int, default=0
        Dates from the weights to their execution.
    rebalance_every : int, default=1
        Dates from one set of weights to the next.

    Returns
    -------
    Holdings
        The names held.

    Raises
    ------
    NonFiniteError
        If the return of a name that is held is infinite.
    """
    # A longer delay or span than there are dates changes nothing.
    delay, rebalance_every = min(delay, n_dates), min(rebalance_every, n_dates)
    n_spans = -(-n_dates // rebalance_every)
    formed = np.ones(n_spans, dtype=bool)
    formed[spans[np.isnan(weights)]] = False
    held: FloatArray = np.where(np.isnan(weights), 0.0, weights)
    legs: IntArray = 2 * spans + (held < 0)
    capital: FloatArray = np.bincount(legs, weights=held, minlength=2 * n_spans).astype(np.float64)
    cash: FloatArray = np.zeros(2 * n_spans)
    unexecuted: IntArray = np.zeros(n_dates, dtype=np.intp)

    steps: list[tuple[AnyArray, ...]] = []
    for step in range(rebalance_every):
        codes = legs // 2 * rebalance_every + delay + step
        returns = realised.at(codes, assets)
        # The table ends with the last date, so that spans which reach beyond it lose all their names there.
        stays = ~np.isnan(returns)
        if not stays.all():
            cash = cash + np.bincount(legs[~stays], weights=held[~stays], minlength=2 * n_spans)
            if step == 0:
                unexecuted = np.bincount(codes[~stays & (held != 0) & (codes < n_dates)], minlength=n_dates)
            codes, legs, assets = codes[stays], legs[stays], assets[stays]
            held, returns = held[stays], returns[stays]
        # A name that is listed and not held may return anything.
        returns = np.where(held != 0, returns, 0.0)
        check_finite(returns, what="returns")
        drifted, cash = _drift(held, returns, legs, capital, cash)
        steps.append((codes, assets, np.where(formed[legs // 2], held, np.nan), drifted, returns))
        held = drifted

    codes, assets, held, drifted, returns = (np.concatenate(rows) for rows in zip(*steps, strict=True))
    # All rows of a date come from one step, in the order of assets already.
    order = np.argsort(codes, kind="stable") if rebalance_every > 1 else slice(None)
    span_of_date = (np.arange(n_dates) - delay) // rebalance_every
    return Holdings(
        codes=codes[order],
        assets=assets[order],
        weights=held[order],
        drifted=drifted[order],
        returns=returns[order],
        formed=(span_of_date >= 0) & formed[np.maximum(span_of_date, 0)],
        unexecuted=unexecuted,
    )


def _drift(
    held: FloatArray, returns: FloatArray, legs: IntArray, capital: FloatArray, cash: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Weights and cash at the end of a period, each leg scaled back to the capital that it started with."""
    grown = held * np.maximum(1 + returns, 0)
    after = np.bincount(legs, weights=grown, minlength=len(capital)) + cash
    factor = np.divide(capital, after, out=np.zeros_like(capital), where=after != 0)
    return grown * factor[legs], cash * factor
