"""
Tuning: a search inside the walk, and several seeds
===================================================

A search that looks at the test dates finds what suits them. Inside the walk each window searches on its own training
dates, with any search of scikit-learn.
"""

# %%
# What each window chooses
# ------------------------
# Ridge regressions with other penalties are tried in every window, on the last year of its 60 training months, by their
# rank IC. The picture shows the penalty that won.
import matplotlib.pyplot as plt
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV

import skdrfm
from skdrfm.metrics import rank_information_coefficient
from skdrfm.preprocessing import CrossSectionalRankScaler
from skdrfm.scoring import rank_ic_scorer

X, y = skdrfm.make_factor_panel(n_dates=120, n_assets=60, random_state=2)
X, y = skdrfm.stack_lags(CrossSectionalRankScaler().fit_transform(X), y, lags=(0, 3, 6, 9, 12))
search = GridSearchCV(Ridge(), {"alpha": [1.0, 100.0, 1e4]}, cv=skdrfm.WalkForwardSplit(36, 12), scoring=rank_ic_scorer)
outer = skdrfm.WalkForwardSplit(train_size=60, test_size=12)
chosen = {
    X.index[test[0]][0]: search.fit(X.iloc[train], y.iloc[train]).best_params_["alpha"]
    for train, test in outer.split(X)
}
pd.Series(chosen).plot(
    style="o-", logy=True, title="Penalty chosen in each window", xlabel="First test month", ylabel="alpha"
)

# %%
# The walk with the search inside
# -------------------------------
# ``walk_forward_predict`` takes the search as it takes any estimator. Its rank IC is that of a procedure which never
# saw a test date.
models = {"searched": search, "alpha = 1": Ridge(1.0), "alpha = 10,000": Ridge(1e4)}
walks = skdrfm.walk_forward_predict(models, X, y, cv=outer, progress=False)
for name, walk in walks.items():
    ic = rank_information_coefficient(y.loc[walk.predictions.index], walk.predictions)
    print(f"{name:15s} mean rank IC {ic.mean():.3f}")

# %%
# Several seeds
# -------------
# A network starts at random. With several seeds the forecast is the mean of the members, and their spread says how much
# of it is the draw.
model = skdrfm.DeepRecurrentFactorRegressor(units=4, epochs=5, learning_rate=0.01, random_state=0)
cv = skdrfm.WalkForwardSplit(train_size=60, test_size=12, n_splits=2)
ensemble = skdrfm.walk_forward_predict(model, X, y, cv=cv, n_seeds=5, progress=False)
members = ensemble.seed_predictions.apply(
    lambda member: rank_information_coefficient(y.loc[member.index], member).mean()
)
whole = rank_information_coefficient(y.loc[ensemble.predictions.index], ensemble.predictions).mean()
fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
ax.bar([*map(str, members.index), "mean of all"], [*members, whole], color=["tab:blue"] * len(members) + ["tab:orange"])
ax.set(title="Rank IC of five seeds and of their mean forecast", ylabel="Mean rank IC", xlabel="Seed")
plt.show()

# %%
# Going on after a stop
# ---------------------
# With ``checkpoint="runs/lstm"`` every finished window is a file, and the same call goes on where it stopped; with
# ``n_jobs=2`` windows are shared out over processes. Both leave the forecasts as they are, bit for bit:
# :doc:`/scale`.
ensemble.windows.head()
