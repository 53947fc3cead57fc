"""
Explainers side by side: relevance, gradients and SHAP
======================================================

Several methods explain the same forecasts of the same network. Do they agree, does each add up, and what does each
cost?
"""

# %%
# Agreement and cost
# ------------------
# The background of SHAP comes from the training window; rows of the explained dates are refused. The picture shows the
# rank correlation of the relevances of single cells, and the time that one row takes.
import skdrfm
from skdrfm.inspection import ExplainerComparisonDisplay, FaithfulnessDisplay, compare_explainers, faithfulness
from skdrfm.preprocessing import CrossSectionalRankScaler

X, y = skdrfm.make_factor_panel(n_dates=60, n_assets=40, n_descriptors=6, regimes=1, random_state=0)
X, y = skdrfm.stack_lags(CrossSectionalRankScaler().fit_transform(X), y, lags=(0, 3, 6))
dates = X.index.get_level_values("date")
train, test = X[dates < dates[-40]], X[dates == dates[-1]]
model = skdrfm.DeepRecurrentFactorRegressor(units=4, learning_rate=0.01, random_state=0).fit(train, y[train.index])
background = train.sample(30, random_state=0)
methods = ["lrp-all", "gradient-x-input", "integrated-gradients", "occlusion", "shap-kernel"]
comparison = compare_explainers(model, test, background, methods=methods, max_evals=500, random_state=0)
ExplainerComparisonDisplay.from_comparison(comparison).plot()

# %%
# The figures
# -----------
# The additivity gap is what is missing between a forecast and the sum of its parts.
comparison.summary()

# %%
# By descriptor
# -------------
# The same correlations with the lags of a descriptor added up.
comparison.agreement(by="descriptor").round(2)

# %%
# Which of them is right?
# -----------------------
# Descriptors are replaced, the most relevant first, by those of other stocks of the same date. The faster the forecast
# moves, the better the method knew what it rests on. The grey lines belong to a random attribution; dashed lines
# replace the least relevant descriptors first.
report = faithfulness(comparison.explanations, model, test, by="descriptor", random_state=0)
FaithfulnessDisplay.from_report(report).plot()

# %%
# All figures
# -----------
# They say how well a method describes the network, not whether the network is right. :doc:`/arithmetic_tasks` compares
# methods where the true contributions are known.
report.table.round(3).transpose()
