"""From predictions to weights, and from weights to returns after costs."""

from skdrfm.portfolio._attribution import GroupAttribution, group_attribution
from skdrfm.portfolio._backtest import backtest, backtest_weights
from skdrfm.portfolio._bridges import to_alphalens, to_returns
from skdrfm.portfolio._caps import cap_weights
from skdrfm.portfolio._construction import long_short_weights, quantile_weights
from skdrfm.portfolio._costs import turnover
from skdrfm.portfolio._neutral import neutral_weights
from skdrfm.portfolio._plot import CumulativeReturnDisplay
from skdrfm.portfolio._plot_backtest import BacktestDisplay, QuantileMeanDisplay
from skdrfm.portfolio._plot_costs import CostSensitivityDisplay
from skdrfm.portfolio._plot_months import MonthlyReturnDisplay
from skdrfm.portfolio._ranks import rank_weights
from skdrfm.portfolio._result import BacktestResult
from skdrfm.portfolio._timing import timing_weights

__all__ = [
    "BacktestDisplay",
    "BacktestResult",
    "CostSensitivityDisplay",
    "CumulativeReturnDisplay",
    "GroupAttribution",
    "MonthlyReturnDisplay",
    "QuantileMeanDisplay",
    "backtest",
    "backtest_weights",
    "cap_weights",
    "group_attribution",
    "long_short_weights",
    "neutral_weights",
    "quantile_weights",
    "rank_weights",
    "timing_weights",
    "to_alphalens",
    "to_returns",
    "turnover",
]
