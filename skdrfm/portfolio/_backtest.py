"""The returns that predictions would have earned."""

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.metrics import (
    annualised_return,
    annualised_volatility,
    max_drawdown,
    newey_west_t,
    sharpe_ratio,
)
from skdrfm.metrics._performance import compounded_wealth
from skdrfm.metrics._quantiles import QUANTILE_CONSTRAINTS, dates_with_portfolio, slot_weights, warn_about_dates
from skdrfm.metrics._validation import validated
from skdrfm.portfolio._alignment import align_positions, frozen_frame, frozen_series
from skdrfm.portfolio._costs import turnover_by_date
from skdrfm.utils._param_validation import Interval
from skdrfm.utils.validation import check_finite


@dataclass(frozen=True, eq=False, repr=False)
class BacktestResult:
    """Portfolios of each date and what they returned.

    All Series by date are indexed by the date of the prediction t; the return is earned over (t, t+1]. Dates with
    too few names for a portfolio are NaN throughout, never 0.

    Parameters
    ----------
    long_short : Series of shape (n_dates,)
        Decimal return of the highest minus the lowest quantile after costs.
    gross_long_short : Series of shape (n_dates,)
        The same before costs.
    quantile_returns : DataFrame of shape (n_dates, n_quantiles)
        Decimal return of each equal-weighted quantile portfolio before costs; columns 1 to q, q the highest
        predictions.
    weights : Series of shape (n_samples,)
        Long/short weights by (date, asset), sorted.
    turnover : Series of shape (n_dates,)
        Turnover of the long/short weights, see :func:`skdrfm.portfolio.turnover`.
    n_names : Series of shape (n_dates,)
        Names with a prediction.
    cost : float
        Decimal cost for each unit traded that is contained in ``long_short``.
    periods_per_year : float
        Periods in a year, for annualised figures.
    """

    long_short: "pd.Series[Any]"
    gross_long_short: "pd.Series[Any]"
    quantile_returns: pd.DataFrame
    weights: "pd.Series[Any]"
    turnover: "pd.Series[Any]"
    n_names: "pd.Series[Any]"
    cost: float
    periods_per_year: float

    def summary(self) -> "pd.Series[Any]":
        """Figures of the net long/short return, in the convention of the paper.

        ``Return`` = P mean(r), ``Volatility`` = sqrt(P) std(r) with ddof 1 and their quotient ``Sharpe ratio``
        (Nakagawa et al. 2019, Table 4; decimals, not percent), all over the dates with a portfolio.

        Returns
        -------
        Series
            ``Return``, ``Volatility``, ``Sharpe ratio``, ``Max drawdown``, ``Newey-West t`` (of the mean return),
            ``Mean turnover`` (first build-up included), ``Dates`` and ``Dates without portfolio`` (part of
            ``Dates``). Figures that need two dates are NaN for one.

        Examples
        --------
        >>> import pandas as pd
        >>> from skdrfm.portfolio import backtest
        >>> index = pd.MultiIndex.from_product([[1, 2, 3], ["A", "B"]], names=["date", "asset"])
        >>> predictions = pd.Series([0.1, 0.2, 0.3, 0.1, 0.0, 0.1], index=index)
        >>> returns = pd.Series([0.01, 0.03, 0.02, 0.01, 0.02, 0.01], index=index)
        >>> backtest(predictions, returns, n_quantiles=2).summary().round(2)
        Return                     0.08
        Volatility                 0.05
        Sharpe ratio               1.51
        Max drawdown              -0.01
        Newey-West t               0.94
        Mean turnover              3.33
        Dates                      3.00
        Dates without portfolio    0.00
        Name: long_short, dtype: float64
        """
        returns = self.long_short.dropna().to_numpy()
        annual = {"periods_per_year": self.periods_per_year}
        enough = len(returns) > 1
        figures = {
            "Return": annualised_return(returns, **annual),
            "Volatility": annualised_volatility(returns, **annual) if enough else np.nan,
            "Sharpe ratio": sharpe_ratio(returns, **annual) if enough else np.nan,
            "Max drawdown": max_drawdown(returns),
            "Newey-West t": newey_west_t(returns) if enough else np.nan,
            "Mean turnover": float(self.turnover.mean()),
            "Dates": float(len(self.long_short)),
            "Dates without portfolio": float(len(self.long_short) - len(returns)),
        }
        return pd.Series(figures, name="long_short")

    def to_frame(self) -> pd.DataFrame:
        """Everything by date in one table.

        Returns
        -------
        DataFrame of shape (n_dates, n_quantiles + 4)
            Columns ``long_short``, ``gross_long_short``, ``turnover``, ``n_names`` and ``quantile_1`` to
            ``quantile_q``.
        """
        by_date = [self.long_short, self.gross_long_short, self.turnover, self.n_names]
        return pd.concat([*by_date, self.quantile_returns.add_prefix("quantile_")], axis=1)

    def cumulative(self) -> pd.DataFrame:
        """Compounded returns since the first date.

        Returns
        -------
        DataFrame of shape (n_dates, n_quantiles + 1)
            Decimal ``prod(1 + r) - 1`` after each period: ``long_short`` (after costs) and ``quantile_1`` to
            ``quantile_q`` (before costs). Flat over dates without a portfolio; -1 from a loss of everything on.
        """
        returns = pd.concat([self.long_short, self.quantile_returns.add_prefix("quantile_")], axis=1)
        compounded = compounded_wealth(returns.fillna(0.0).to_numpy()) - 1
        return pd.DataFrame(compounded, index=returns.index, columns=returns.columns)

    def __repr__(self) -> str:
        dates = self.long_short.index
        return (
            f"BacktestResult({len(dates)} dates from {dates[0]} to {dates[-1]}, {len(self.weights)} rows, "
            f"{self.quantile_returns.shape[1]} quantiles, cost={self.cost:g})"
        )


@validated(
    {
        **QUANTILE_CONSTRAINTS,
        "cost": [Interval(Real, 0, None, closed="left")],
        "periods_per_year": [Interval(Real, 0, None, closed="neither")],
    }
)
def backtest(
    predictions: "pd.Series[Any]",
    returns: "pd.Series[Any]",
    *,
    n_quantiles: int = 5,
    cost: float = 0.0,
    min_names: int | None = None,
    periods_per_year: float = 12,
) -> BacktestResult:
    """Sort names by prediction into quantile portfolios and follow their returns.

    At each date the names are sorted into q equal-weighted portfolios; long/short is the highest minus the lowest
    (Nakagawa et al. 2019, "Models": equal weights in quintiles, rebalanced each month). The net return is
    ``gross - cost x turnover``. Rows may come in any order, and the result is the same to the last bit.

    Parameters
    ----------
    predictions : Series of shape (n_samples,), indexed by (date, asset)
        Scores made at each date, in any unit.
    returns : Series, indexed by (date, asset)
        Decimal forward returns (0.01 = 1 %), over the period after each date. Matched by index; rows that
        predictions lacks are ignored.
    n_quantiles : int, default=5
        q, at least 2.
    cost : float, default=0.0
        Decimal cost for each unit traded, one side: 0.001 takes 10 basis points of each purchase and each sale.
    min_names : int, default=None
        Names that a date needs for a portfolio; None means ``n_quantiles``.
    periods_per_year : float, default=12
        Periods in a year, for annualised figures.

    Returns
    -------
    BacktestResult
        Returns, weights and turnover by date; ``summary()`` has the figures.

    Raises
    ------
    PanelError
        If an index is no panel index, a prediction has no realised return, or no date has enough names.
    NonFiniteError
        If a prediction is NaN or infinite, or a return infinite.

    Warns
    -----
    CoverageWarning
        If some dates have too few names.

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
    """
    rows = align_positions(predictions, returns, name="predictions")
    check_finite(rows.values, what="predictions")
    groups = rows.groups
    formed = dates_with_portfolio(groups, n_quantiles, min_names)
    warn_about_dates(formed, groups, n_quantiles if min_names is None else min_names, stacklevel=4)

    by_quantile = slot_weights(rows.values, groups, formed, n_quantiles)
    weights = by_quantile[:, -1] - by_quantile[:, 0]
    quantile_returns = np.column_stack([groups.sum(column * rows.returns) for column in by_quantile.T])
    gross = groups.sum(weights * rows.returns)
    trades = turnover_by_date(rows, weights)
    net = gross - cost * trades

    def by_date(values: FloatArray, name: str) -> "pd.Series[Any]":
        return frozen_series(values, groups.dates, name=name)

    columns = pd.RangeIndex(1, n_quantiles + 1, name="quantile")
    return BacktestResult(
        long_short=by_date(net, "long_short"),
        gross_long_short=by_date(gross, "gross_long_short"),
        quantile_returns=frozen_frame(quantile_returns, groups.dates, columns),
        weights=frozen_series(weights, rows.index, name="weight"),
        turnover=by_date(trades, "turnover"),
        n_names=frozen_series(groups.counts, groups.dates, name="n_names"),
        cost=float(cost),
        periods_per_year=float(periods_per_year),
    )
