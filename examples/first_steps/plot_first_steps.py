"""
First steps: from a panel to an explained forecast
==================================================

A simulated market of 60 stocks goes through the whole chain: rank each cross-section, put lags side by side, predict
next month's returns month by month with a recurrent factor model that never sees the future, trade the forecasts on
paper, and ask the model why.
"""

# %%
# Predict and trade
# -----------------
# Rows of a panel are a date and a stock, columns are descriptors; ``y`` is the return of the month after. Each
# window trains on 36 months and predicts the next 12. The model is tiny, so that this page takes seconds.
import matplotlib.pyplot as plt
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skdrfm
from skdrfm.descriptors import GROUPS
from skdrfm.preprocessing import CrossSectionalRankScaler

X, y = skdrfm.make_factor_panel(n_dates=84, n_assets=60, random_state=0)
X = CrossSectionalRankScaler().fit_transform(X)
X, y = skdrfm.stack_lags(X, y, lags=(0, 3, 6, 9, 12))
cv = skdrfm.WalkForwardSplit(train_size=36, test_size=12)
model = skdrfm.DeepRecurrentFactorRegressor(units=4, epochs=5, random_state=0)
result = skdrfm.walk_forward_predict(model, X, y, cv=cv, progress=False)
trades = skdrfm.backtest(result.predictions, y, n_quantiles=5, cost=0.001)

fig, ax = plt.subplots()
((1 + trades.long_short).cumprod() - 1).plot(ax=ax)
ax.set(title="Long the top fifth, short the bottom fifth", ylabel="Cumulative return (0.1 = 10 %)")
plt.show()

# %%
# How good is it?
# ---------------
# Figures of the long/short portfolio after costs. On twelve times as many months a Sharpe ratio would start to mean
# something. This simulated market has a planted signal: real stocks give less.
trades.summary()

# %%
# The same model inside scikit-learn
# ----------------------------------
# The splitter and the scorers work in any scikit-learn search, and the model in any pipeline. Each fold's score is the
# mean long/short return per month: 0 means no skill.
pipeline = make_pipeline(StandardScaler(), model).set_output(transform="pandas")  # keeps dates and names
scores = cross_validate(pipeline, X, y, cv=cv, scoring={"long_short": skdrfm.make_quantile_scorer()})
scores["test_long_short"].round(4)

# %%
# Why this forecast?
# ------------------
# Each prediction is a sum of contributions of the descriptors at each lag, plus an intercept; nothing is lost on the
# way, as the conservation gap shows. Groups collect descriptors as in the paper.
explanation = model.fit(X, y).explain(X.tail(200))
abs(explanation.conservation_gap).max()

# %%
explanation.by_group(GROUPS).plot()
plt.show()
