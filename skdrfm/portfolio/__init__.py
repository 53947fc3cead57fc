"""From predictions to weights, and from weights to returns after costs."""

from skdrfm.portfolio._backtest import BacktestResult, backtest
from skdrfm.portfolio._construction import long_short_weights, quantile_weights
from skdrfm.portfolio._costs import turnover
from skdrfm.portfolio._plot import CumulativeReturnDisplay

__all__ = [
    "BacktestResult",
    "CumulativeReturnDisplay",
    "backtest",
    "long_short_weights",
    "quantile_weights",
    "turnover",
]
