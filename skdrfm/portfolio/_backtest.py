"""The returns that predictions or weights would have earned."""

import warnings
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.exceptions import CoverageWarning, PanelError
from skdrfm.metrics._frozen import frozen_frame, frozen_series
from skdrfm.metrics._quantiles import QUANTILE_CONSTRAINTS, dates_with_portfolio, slot_weights
from skdrfm.metrics._validation import validated
from skdrfm.portfolio._alignment import Positions, align_positions
from skdrfm.portfolio._costs import RATE_CONSTRAINTS, Rates, borrow_fees, trades_of, trading_costs
from skdrfm.portfolio._result import BacktestResult
from skdrfm.portfolio._rows import held_dates
from skdrfm.portfolio._simulation import hold
from skdrfm.utils._param_validation import Interval
from skdrfm.utils.validation import check_finite

_SIMULATION_CONSTRAINTS: dict[str, list[Any]] = {
    "cost": RATE_CONSTRAINTS,
    "borrow_fee": RATE_CONSTRAINTS,
    "delay": [Interval(Integral, 0, None, closed="left")],
    "rebalance_every": [Interval(Integral, 1, None, closed="left")],
    "periods_per_year": [Interval(Real, 0, None, closed="neither")],
}


@validated({**QUANTILE_CONSTRAINTS, **_SIMULATION_CONSTRAINTS})
def backtest(
    predictions: "pd.Series[Any]",
    returns: "pd.Series[Any]",
    *,
    n_quantiles: int = 5,
    cost: "float | pd.Series[Any]" = 0.0,
    borrow_fee: "float | pd.Series[Any]" = 0.0,
    delay: int = 0,
    rebalance_every: int = 1,
    min_names: int | None = None,
    periods_per_year: float = 12,
) -> BacktestResult:
    """Sort names by prediction into quantile portfolios and follow their returns.

    The names of a date are sorted into q equal-weighted portfolios; long/short is the highest minus the lowest
    (Nakagawa et al. 2019, "Models": equal weights in quintiles, rebalanced each month). The net return is
    ``gross - cost x turnover - borrow_fee / P x sum |short weights|``. Rows may come in any order, and the result is
    the same to the last bit. What is held between two trades, and when, is said at :func:`backtest_weights`; the
    dates that count are the distinct dates of predictions.

    Parameters
    ----------
    predictions : Series of shape (n_samples,), indexed by (date, asset)
        Scores made at each date, in any unit.
    returns : Series, indexed by (date, asset)
        Decimal forward returns (0.01 = 1 %), over the period after each date. Matched by index; rows that are not
        needed are ignored.
    n_quantiles : int, default=5
        q, at least 2.
    cost : float or Series, default=0.0
        Decimal cost for each unit traded, one side: 0.001 takes 10 basis points of each purchase and each sale. A
        Series by asset or by (date, asset) has a cost for all that is traded.
    borrow_fee : float or Series, default=0.0
        Decimal fee per year on the absolute short position; a Series by asset or by (date, asset) has a fee for all
        that is held short.
    delay : int, default=0
        Weights formed at a date are held from the ``delay``-th date after it.
    rebalance_every : int, default=1
        New weights are formed at each ``rebalance_every``-th date, from the first on.
    min_names : int, default=None
        Names that a date needs for a portfolio; None means ``n_quantiles``. If a date of formation has fewer, the
        old position is closed when its order would be executed, and all dates up to the next execution are NaN.
    periods_per_year : float, default=12
        P, periods in a year, for fees and annualised figures.

    Returns
    -------
    BacktestResult
        Returns, weights and turnover by date; ``summary()`` has the figures. Each quantile portfolio is held with
        the same delay and drift as the long/short one.

    Raises
    ------
    PanelError
        If an index is no panel index, a prediction has no realised return, no date has enough names, no portfolio
        is executed before the end, or a cost or fee that is needed is unknown, negative or infinite.
    NonFiniteError
        If a prediction is NaN or infinite, or a return infinite.

    Warns
    -----
    CoverageWarning
        If some dates have too few names, or some orders could not be executed.

    See Also
    --------
    backtest_weights : The same for weights of any kind.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.portfolio import backtest
    >>> index = pd.MultiIndex.from_product([[1, 2], ["A", "B"]], names=["date", "asset"])
    >>> predictions = pd.Series([0.1, 0.2, 0.3, 0.1], index=index)
    >>> returns = pd.Series([0.01, 0.03, 0.02, 0.01], index=index)
    >>> result = backtest(predictions, returns, n_quantiles=2, cost=0.001)
    >>> result.gross_long_short.round(4).tolist()
    [0.02, 0.01]
    >>> result.long_short.round(4).tolist()
    [0.018, 0.006]
    >>> backtest(predictions, returns, n_quantiles=2, delay=1).gross_long_short.round(4).tolist()
    [nan, -0.01]
    """
    rows = align_positions(predictions, returns, name="predictions", delay=delay)
    check_finite(rows.values, what="predictions")
    orders = rows.every(rebalance_every)
    formed = dates_with_portfolio(orders.groups, n_quantiles, min_names, stacklevel=4)
    by_quantile = slot_weights(orders.values, orders.groups, formed, n_quantiles)
    return _simulate(
        rows,
        orders,
        by_quantile[:, -1] - by_quantile[:, 0],
        by_quantile,
        cost=cost,
        borrow_fee=borrow_fee,
        delay=delay,
        rebalance_every=rebalance_every,
        periods_per_year=periods_per_year,
    )


@validated(_SIMULATION_CONSTRAINTS)
def backtest_weights(
    weights: "pd.Series[Any]",
    returns: "pd.Series[Any]",
    *,
    cost: "float | pd.Series[Any]" = 0.0,
    borrow_fee: "float | pd.Series[Any]" = 0.0,
    delay: int = 0,
    rebalance_every: int = 1,
    periods_per_year: float = 12,
) -> BacktestResult:
    """Follow the returns of weights of any kind: long/short, long only, of one asset.

    The dates that count are the distinct dates of weights. Weights of the first date, and of each
    ``rebalance_every``-th one after it, are executed ``delay`` dates later and held until the next execution; in
    between each leg drifts on its own capital, see :func:`turnover`. So the first ``delay`` dates have no
    portfolio. What becomes of a name depends on its rows:

    * A name without a return at the date of execution is not traded. Its capital stays in cash until the next
      execution; such orders are counted.
    * A name without a return at a later date has left. It counts as sold there, and its capital stays in cash until
      the next execution.
    * A name with a return and without a weight stays held until the next execution, and counts as sold then.

    Cash earns nothing.

    Parameters
    ----------
    weights : Series of shape (n_samples,), indexed by (date, asset)
        Weights in units of capital; short positions are negative. NaN on all names of a date says that no portfolio
        is formed there: the old position is closed when it would be executed, and all dates up to the next
        execution are NaN.
    returns : Series, indexed by (date, asset)
        Decimal forward returns (0.01 = 1 %), over the period after each date. Matched by index; rows that are not
        needed are ignored. Each row of weights needs one, but for the first ``delay`` dates.
    cost : float or Series, default=0.0
        Decimal cost for each unit traded, one side. A Series by asset or by (date, asset) has a cost for all that
        is traded; a name that left and has none at the date of its sale pays that of its last row.
    borrow_fee : float or Series, default=0.0
        Decimal fee per year on the absolute short position, ``fee / P x sum |w-|`` for each period; a Series by
        asset or by (date, asset) has a fee for all that is held short.
    delay : int, default=0
        Dates from the weights to their execution.
    rebalance_every : int, default=1
        Dates from one set of weights to the next; weights of other dates are not used.
    periods_per_year : float, default=12
        P, periods in a year, for fees and annualised figures.

    Returns
    -------
    BacktestResult
        Returns, positions and turnover by date, with the net return of the weights as ``long_short`` and without
        quantile portfolios.

    Raises
    ------
    PanelError
        If an index is no panel index, a weight has no realised return, weights are NaN on part of a date or on all
        dates, no portfolio is executed before the end, or a cost or fee that is needed is unknown, negative or
        infinite.
    NonFiniteError
        If a return is infinite.

    Warns
    -----
    CoverageWarning
        If some orders could not be executed.

    See Also
    --------
    backtest : The same for quantile portfolios of predictions.
    turnover : What is traded if each date has its own weights.

    Examples
    --------
    Two halves that are bought once and held.

    >>> import pandas as pd
    >>> from skdrfm.portfolio import backtest_weights
    >>> index = pd.MultiIndex.from_product([[1, 2, 3], ["A", "B"]], names=["date", "asset"])
    >>> weights = pd.Series(0.5, index=index)
    >>> returns = pd.Series([0.5, 0.0, 0.1, 0.1, 0.0, -0.1], index=index)
    >>> result = backtest_weights(weights, returns, rebalance_every=3, cost=0.001)
    >>> result.positions.round(4).tolist()
    [0.5, 0.5, 0.6, 0.4, 0.6, 0.4]
    >>> result.long_short.round(4).tolist()
    [0.249, 0.1, -0.04]
    """
    rows = align_positions(weights, returns, name="weights", delay=delay)
    held_dates(rows.values, rows.groups)  # NaN on part of a date, and infinity, are refused
    orders = rows.every(rebalance_every)
    return _simulate(
        rows,
        orders,
        orders.values,
        np.empty((len(orders.values), 0)),
        cost=cost,
        borrow_fee=borrow_fee,
        delay=delay,
        rebalance_every=rebalance_every,
        periods_per_year=periods_per_year,
    )


def _simulate(
    rows: Positions,
    orders: Positions,
    weights: FloatArray,
    by_quantile: FloatArray,
    *,
    cost: "float | pd.Series[Any]",
    borrow_fee: "float | pd.Series[Any]",
    delay: int,
    rebalance_every: int,
    periods_per_year: float,
) -> BacktestResult:
    """Follow the weights of the orders, and those of each quantile, shape (n_orders, n_quantiles)."""
    dates = rows.groups.dates
    follow = partial(hold, realised=rows.realised, n_dates=len(dates), delay=delay, rebalance_every=rebalance_every)
    holdings = follow(orders.groups.codes, orders.assets, weights)
    if not holdings.formed.any():
        raise PanelError(
            f"At least one portfolio must be formed and executed within the {len(dates)} dates. Got none with "
            f"delay={delay} and rebalance_every={rebalance_every}. Pass more dates or a shorter delay."
        )
    missed = int(holdings.unexecuted.sum())
    if missed:
        warnings.warn(
            f"{missed} orders on {int((holdings.unexecuted > 0).sum())} of {len(dates)} dates could not be executed: "
            "the names have no return at the date of execution. Their capital stays in cash until the next one.",
            CoverageWarning,
            stacklevel=4,
        )
    quantile_returns = np.empty((len(dates), by_quantile.shape[1]))
    for j, column in enumerate(by_quantile.T):
        held = column != 0
        part = follow(orders.groups.codes[held], orders.assets[held], column[held])
        quantile_returns[:, j] = part.portfolio_returns()

    cost_rates = Rates.read(cost, rows, name="cost")
    fee_rates = Rates.read(borrow_fee, rows, name="borrow_fee")
    trades = trades_of(holdings, n_assets=len(rows.names))
    fees = borrow_fees(holdings, fee_rates, rows, periods_per_year=periods_per_year)
    costs = trading_costs(trades, cost_rates, rows) + fees
    gross = holdings.portfolio_returns()

    def by_date(values: Any, name: str) -> "pd.Series[Any]":
        return frozen_series(values, dates, name=name)

    columns = pd.RangeIndex(1, by_quantile.shape[1] + 1, name="quantile")
    return BacktestResult(
        long_short=by_date(gross - costs, "long_short"),
        gross_long_short=by_date(gross, "gross_long_short"),
        quantile_returns=frozen_frame(quantile_returns, dates, columns),
        weights=frozen_series(weights, rows.pairs(orders.groups.codes * rebalance_every, orders.assets), name="weight"),
        positions=frozen_series(holdings.weights, rows.pairs(holdings.codes, holdings.assets), name="weight"),
        turnover=by_date(trades.by_date(trades.amounts), "turnover"),
        costs=by_date(costs, "costs"),
        borrow_fees=by_date(fees, "borrow_fees"),
        orders_not_executed=by_date(holdings.unexecuted, "orders_not_executed"),
        n_names=by_date(rows.groups.counts, "n_names"),
        cost=cost_rates.number,
        borrow_fee=fee_rates.number,
        delay=int(delay),
        rebalance_every=int(rebalance_every),
        periods_per_year=float(periods_per_year),
    )
