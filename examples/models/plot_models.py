"""
Models: recurrent, additive and linear over the same windows
============================================================

Three models see the same 80 columns in the same windows: least squares, an LSTM, and a recurrent cell whose memory only
adds. Their forecasts are compared date by date, since two separate figures say little about a difference.
"""

# %%
# One walk for all models
# -----------------------
# Each window trains on 36 months and forecasts the next 12. All models share the windows and the lags.
import matplotlib.pyplot as plt
import pandas as pd

import skdrfm
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.metrics import DieboldMarianoDisplay, forecast_summary
from skdrfm.model_selection import WindowPlanDisplay
from skdrfm.portfolio import CumulativeReturnDisplay
from skdrfm.preprocessing import CrossSectionalRankScaler

X, y = skdrfm.make_factor_panel(n_dates=96, n_assets=50, random_state=0)
X, y = skdrfm.stack_lags(CrossSectionalRankScaler().fit_transform(X), y, lags=(0, 3, 6, 9, 12))
lstm = skdrfm.DeepRecurrentFactorRegressor(units=4, epochs=5, batch_size=512, learning_rate=0.01, random_state=0)
models = {
    "linear": LinearFactorRegressor(),
    "LSTM": lstm,
    "additive": skdrfm.DeepRecurrentFactorRegressor(
        units=4, cell="rudder", epochs=5, batch_size=512, learning_rate=0.01, random_state=0
    ),
}
cv = skdrfm.WalkForwardSplit(train_size=36, test_size=12)
walks = skdrfm.walk_forward_predict(models, X, y, cv=cv, progress=False)
backtests = {name: skdrfm.backtest(walk.predictions, y, cost=0.001) for name, walk in walks.items()}
CumulativeReturnDisplay.from_backtests(backtests).plot()

# %%
# The windows
# -----------
# A date is never cut, and no window is trained on a date that it forecasts or on a later one.
WindowPlanDisplay.from_splitter(cv, X).plot()

# %%
# How good are the forecasts?
# ---------------------------
# A rank IC of 0.03 to 0.05 is useful for monthly returns of real stocks; the planted signal here is stronger.
realised = y.loc[walks["LSTM"].predictions.index]
figures = {name: forecast_summary(realised, walk.predictions, periods_per_year=12) for name, walk in walks.items()}
pd.DataFrame(figures).loc[["R2_oos (pooled)", "Mean rank IC", "Newey-West t of rank IC"]].round(3)

# %%
# Is the difference luck?
# -----------------------
# The Diebold-Mariano test compares losses on the same dates; a positive statistic says that the column's model
# forecasts better than the row's.
forecasts = {name: walk.predictions for name, walk in walks.items()}
DieboldMarianoDisplay.from_predictions(realised, forecasts).plot()

# %%
# What training did
# -----------------
# The epoch with the smallest loss on the latest month of the training window is the one that is kept.
train, _ = next(cv.split(X))
lstm.fit(X.iloc[train], y.iloc[train]).history_.plot(xlabel="Epoch", ylabel="Mean squared error")
plt.show()
