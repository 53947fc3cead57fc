"""
Explanations: from one stock's forecast to the whole market
===========================================================

A recurrent factor model gives a forecast for each stock and month; relevance propagation writes each of them as
loadings times descriptors plus an intercept. This page reads the same explanation from several distances.
"""

# %%
# Which descriptor, at which lag?
# -------------------------------
# Each cell of the picture is one descriptor at one lag: the mean size of its contribution to the forecasts, in units
# of the return.
import matplotlib.pyplot as plt
import shap

import skdrfm
from skdrfm.descriptors import GROUPS
from skdrfm.inspection import (
    ContributionDisplay,
    LoadingDisplay,
    RelevanceHeatmapDisplay,
    WaterfallDisplay,
    lag_memory,
)
from skdrfm.preprocessing import CrossSectionalRankScaler

X, y = skdrfm.make_factor_panel(n_dates=120, n_assets=60, regimes=1, random_state=0)
X = CrossSectionalRankScaler().fit_transform(X)
X, y = skdrfm.stack_lags(X, y, lags=(0, 3, 6, 9, 12))
model = skdrfm.DeepRecurrentFactorRegressor(learning_rate=0.01, random_state=0).fit(X, y)
explanation = model.explain(X)
RelevanceHeatmapDisplay.from_explanation(explanation, groups=GROUPS).plot()

# %%
# The parts add up
# ----------------
# The largest difference between a forecast and the sum of its contributions and intercept is rounding.
abs(explanation.conservation_gap).max()

# %%
# One stock
# ---------
# From the intercept, through the descriptors that matter most, to the forecast.
date, asset = X.index[-1]
WaterfallDisplay.from_explanation(explanation, (date, asset), max_rows=8).plot()

# %%
# Two stocks
# ----------
# Differences of forecasts are differences of contributions, exactly, because contributions add up.
first, second = X.index.get_level_values("asset").unique()[:2]
difference = explanation.difference(first, second)
difference.by_group(GROUPS).tail(3).round(4)

# %%
# All stocks over time
# --------------------
# Signed contributions of the groups, averaged over the stocks of a month, and the loadings of the descriptors that
# matter most, with the band that holds 80 % of the stocks.
fig, (above, below) = plt.subplots(2, 1, figsize=(9, 8), layout="constrained")
ContributionDisplay.from_explanation(explanation, GROUPS, kind="signed").plot(above)
LoadingDisplay.from_explanation(explanation, n_descriptors=3).plot(below)

# %%
# How long does it remember?
# --------------------------
# The product of the later forget gates says what is left of a lag in each unit. The area under that curve is the
# memory in months; lags reach back 12 months here.
lag_memory(model, X).over_time().T.groupby(level="direction").mean().T.tail(3).round(2)

# %%
# Which method?
# -------------
# Other rules, and gradients, stand behind the same signature. Rules that conserve relevance have no gap.
for rule in ("lrp-all", "lrp-half", "arras-decay", "gradient-x-input", "integrated-gradients"):
    other = skdrfm.explain(model, X.tail(60), rule=rule)
    print(f"{rule:22s} largest gap {abs(other.conservation_gap).max():.1e}")

# %%
# shap's pictures
# ---------------
# Every plot of shap takes the explanation, here with the lags of a descriptor added up.
plt.figure()
shap.plots.beeswarm(explanation[-600:].to_shap(by="descriptor"), show=False)
plt.show()
