"""
Portfolios: costs, risk and luck
================================

Forecasts become portfolios, portfolios cost money to turn over, and a good Sharpe ratio over eight years may still be
luck. This page goes through these steps with a linear model.
"""

# %%
# What quantiles earn
# -------------------
# The top fifth less the bottom fifth of the forecasts, before and after 10 basis points for each unit traded.
import matplotlib.pyplot as plt
import numpy as np

import skdrfm
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.metrics import bootstrap_interval, deflated_sharpe_ratio, sharpe_ratio
from skdrfm.portfolio import BacktestDisplay, CostSensitivityDisplay, MonthlyReturnDisplay
from skdrfm.preprocessing import CrossSectionalRankScaler

X, y = skdrfm.make_factor_panel(n_dates=156, n_assets=100, random_state=1)
X = CrossSectionalRankScaler().fit_transform(X)
cv = skdrfm.WalkForwardSplit(train_size=60, test_size=12)
walk = skdrfm.walk_forward_predict(LinearFactorRegressor(), X, y, cv=cv, progress=False)
result = skdrfm.backtest(walk.predictions, y, cost=0.001)
BacktestDisplay.from_backtest(result).plot()

# %%
# All figures at once.
result.summary().round(3)

# %%
# How much may trading cost?
# --------------------------
# The break-even cost is where the net return is zero. Weights that change every third month trade less.
CostSensitivityDisplay.from_backtest(result).plot()

# %%
slow = skdrfm.backtest(walk.predictions, y, cost=0.001, rebalance_every=3)
for name, strategy in (("every month", result), ("every third month", slow)):
    figures = strategy.summary()
    print(f"{name}: turnover {figures['Mean turnover']:.2f}, Sharpe ratio {figures['Sharpe ratio']:.2f}")

# %%
# Month by month
# --------------
# Returns are shown in the month in which they are earned, one after the date of the forecast.
MonthlyReturnDisplay.from_returns(result).plot()

# %%
# Is it luck?
# -----------
# The interval resamples blocks of months. The deflated Sharpe ratio asks for more if this was the best of 20 trials:
# 0.95 is the usual bar.
interval = bootstrap_interval(result.long_short, "sharpe_ratio", periods_per_year=12, random_state=0)
chosen = sharpe_ratio(result.long_short, periods_per_year=12)
others = chosen - np.abs(np.random.default_rng(0).normal(0, 0.5, 19))  # what 19 other trials might have shown
deflated = deflated_sharpe_ratio(result.long_short, trial_sharpe_ratios=[chosen, *others], periods_per_year=12)
print(f"Sharpe ratio {chosen:.2f}, 95 % interval {interval.low:.2f} to {interval.high:.2f}, deflated {deflated:.2f}")
plt.show()
