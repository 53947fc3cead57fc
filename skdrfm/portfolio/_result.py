"""What a backtest found, by date and in sum."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.metrics import break_even_cost, newey_west_t, performance_summary, sharpe_ratio
from skdrfm.metrics._performance import compounded_wealth


@dataclass(frozen=True, eq=False, repr=False)
class BacktestResult:
    """Portfolios of each date and what they returned.

    All Series by date are indexed by the date t from which a position is held; the return is earned over (t, t+1].
    Without delay that is the date of the prediction. Dates without a portfolio (too few names, or before the first
    execution) are NaN throughout, never 0.

    Parameters
    ----------
    long_short : Series of shape (n_dates,)
        Decimal return after costs of the highest minus the lowest quantile, or of the weights that were given.
    gross_long_short : Series of shape (n_dates,)
        The same before costs.
    quantile_returns : DataFrame of shape (n_dates, n_quantiles)
        Decimal return of each equal-weighted quantile portfolio before costs; columns 1 to q, q the highest
        predictions. No columns where weights were given.
    weights : Series of shape (n_orders,)
        Weights by (date, asset) as they were formed, sorted, at each date of formation.
    positions : Series of shape (n_positions,)
        Weights by (date, asset) held over (t, t+1], after delay and drift, sorted; names of the last formation that
        have a return, those of weight 0 included. Equal to ``weights`` if each date is traded without delay.
    turnover : Series of shape (n_dates,)
        Sum of absolute trades, see :func:`skdrfm.portfolio.turnover`.
    costs : Series of shape (n_dates,)
        Decimal costs that are contained in ``long_short``: of trading and of borrowing.
    borrow_fees : Series of shape (n_dates,)
        The part of ``costs`` that is paid for short positions.
    orders_not_executed : Series of shape (n_dates,)
        Names with a weight other than 0 that had no return at the date of execution; their capital stays in cash.
    n_names : Series of shape (n_dates,)
        Names with a prediction, or with a weight that was given.
    cost : float
        Decimal cost for each unit traded; NaN if it differs by asset.
    borrow_fee : float
        Decimal fee per year on the absolute short position; NaN if it differs by asset.
    delay : int
        Dates from the formation of weights to their execution.
    rebalance_every : int
        Dates from one formation to the next.
    periods_per_year : float
        Periods in a year, for annualised figures.
    """

    long_short: "pd.Series[Any]"
    gross_long_short: "pd.Series[Any]"
    quantile_returns: pd.DataFrame
    weights: "pd.Series[Any]"
    positions: "pd.Series[Any]"
    turnover: "pd.Series[Any]"
    costs: "pd.Series[Any]"
    borrow_fees: "pd.Series[Any]"
    orders_not_executed: "pd.Series[Any]"
    n_names: "pd.Series[Any]"
    cost: float
    borrow_fee: float
    delay: int
    rebalance_every: int
    periods_per_year: float

    def summary(self) -> "pd.Series[Any]":
        """Figures of the net return, in the convention of the paper.

        ``Return`` = P mean(r), ``Volatility`` = sqrt(P) std(r) with ddof 1 and their quotient ``Sharpe ratio``
        (Nakagawa et al. 2019, Table 4; decimals, not percent), all over the dates with a portfolio.

        Returns
        -------
        Series
            The figures of :func:`skdrfm.metrics.performance_summary` of ``long_short``, then ``Mean turnover``
            (first build-up included), ``Break-even cost`` (the cost for each unit traded at which the mean return
            after borrow fees would be 0), ``Mean cost`` (decimal per period), ``Dates``, ``Dates without portfolio``
            (part of ``Dates``) and ``Orders not executed``. Figures that need more dates than there are are NaN.

        Examples
        --------
        >>> import pandas as pd
        >>> from skdrfm.portfolio import backtest
        >>> index = pd.MultiIndex.from_product([[1, 2, 3], ["A", "B"]], names=["date", "asset"])
        >>> predictions = pd.Series([0.1, 0.2, 0.3, 0.1, 0.0, 0.1], index=index)
        >>> returns = pd.Series([0.01, 0.03, 0.02, 0.01, 0.02, 0.01], index=index)
        >>> summary = backtest(predictions, returns, n_quantiles=2, cost=0.001).summary()
        >>> summary[["Return", "Volatility", "Sharpe ratio", "Max drawdown"]].round(3)
        Return          0.040
        Volatility      0.056
        Sharpe ratio    0.714
        Max drawdown   -0.014
        Name: long_short, dtype: float64
        >>> summary["Mean turnover":].round(4)
        Mean turnover              3.3333
        Break-even cost            0.0020
        Mean cost                  0.0033
        Dates                      3.0000
        Dates without portfolio    0.0000
        Orders not executed        0.0000
        Name: long_short, dtype: float64
        """
        formed = self.long_short.notna()
        returns = self.long_short[formed]
        figures = performance_summary(returns, periods_per_year=self.periods_per_year)
        trading = {
            "Mean turnover": float(self.turnover.mean()),
            "Break-even cost": break_even_cost(
                (self.gross_long_short - self.borrow_fees)[formed], self.turnover[formed]
            ),
            "Mean cost": float(self.costs.mean()),
            "Dates": float(len(self.long_short)),
            "Dates without portfolio": float(len(self.long_short) - len(returns)),
            "Orders not executed": float(self.orders_not_executed.sum()),
        }
        table: pd.Series[Any] = pd.concat([figures, pd.Series(trading)])
        return table.rename("long_short")

    def quantile_summary(self) -> pd.DataFrame:
        """Mean return of each quantile portfolio and of their spread, before costs.

        Returns
        -------
        DataFrame of shape (n_quantiles + 1, 4)
            Rows ``quantile_1`` to ``quantile_q`` and ``gross_long_short``. ``Mean return`` is a decimal per period,
            ``Standard error`` = std(r) / sqrt(T) with ddof 1, ``Newey-West t`` that of the mean, ``Sharpe ratio``
            annualised. All but the mean are NaN for one date. Means that rise from one quantile to the next are the
            sign of a forecast that sorts the whole cross-section.

        Examples
        --------
        >>> import pandas as pd
        >>> from skdrfm.portfolio import backtest
        >>> index = pd.MultiIndex.from_product([[1, 2, 3], ["A", "B"]], names=["date", "asset"])
        >>> predictions = pd.Series([0.1, 0.2, 0.3, 0.1, 0.0, 0.1], index=index)
        >>> returns = pd.Series([0.01, 0.03, 0.02, 0.01, 0.02, 0.01], index=index)
        >>> backtest(predictions, returns, n_quantiles=2).quantile_summary().iloc[:, :2].round(4)
                          Mean return  Standard error
        quantile_1             0.0133          0.0033
        quantile_2             0.0200          0.0058
        gross_long_short       0.0067          0.0088
        """
        portfolios = self.quantile_returns.add_prefix("quantile_").assign(gross_long_short=self.gross_long_short)
        figures = {}
        for name, column in portfolios.items():
            returns = column.dropna()
            enough = len(returns) > 1
            figures[name] = {
                "Mean return": float(returns.to_numpy().mean()),
                "Standard error": float(returns.to_numpy().std(ddof=1) / np.sqrt(len(returns))) if enough else np.nan,
                "Newey-West t": newey_west_t(returns) if enough else np.nan,
                "Sharpe ratio": sharpe_ratio(returns, periods_per_year=self.periods_per_year) if enough else np.nan,
            }
        return pd.DataFrame.from_dict(figures, orient="index")

    def to_frame(self) -> pd.DataFrame:
        """Everything by date in one table.

        Returns
        -------
        DataFrame of shape (n_dates, n_quantiles + 7)
            Columns ``long_short``, ``gross_long_short``, ``turnover``, ``costs``, ``borrow_fees``,
            ``orders_not_executed``, ``n_names`` and ``quantile_1`` to ``quantile_q``.
        """
        by_date = [
            self.long_short,
            self.gross_long_short,
            self.turnover,
            self.costs,
            self.borrow_fees,
            self.orders_not_executed,
            self.n_names,
        ]
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
        n_quantiles = self.quantile_returns.shape[1]
        parts = [
            f"{len(dates)} dates from {dates[0]} to {dates[-1]}",
            f"{len(self.weights)} rows",
            f"{n_quantiles} quantiles" if n_quantiles else "given weights",
            f"cost={_rate(self.cost)}",
        ]
        if self.borrow_fee != 0:
            parts.append(f"borrow_fee={_rate(self.borrow_fee)}")
        if self.delay:
            parts.append(f"delay={self.delay}")
        if self.rebalance_every > 1:
            parts.append(f"rebalance_every={self.rebalance_every}")
        return f"BacktestResult({', '.join(parts)})"


def _rate(rate: float) -> str:
    return "by asset" if np.isnan(rate) else f"{rate:g}"
