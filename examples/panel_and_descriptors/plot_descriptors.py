"""
Descriptors: from daily bars to a panel
=======================================

Twelve years of simulated daily bars become descriptors at the end of each month. Each of them looks back, and a check
proves it: the future is changed, and the past must not move by a single bit.
"""

# %%
# What is known at the end of each month
# --------------------------------------
# A descriptor over 60 months needs 24 of them before it says anything, momentum over a year needs twelve, and the share
# of stocks that have one grows accordingly.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skdrfm.descriptors import compute_descriptors, descriptor_specs
from skdrfm.inspection import check_point_in_time
from skdrfm.panel import forward_returns
from skdrfm.preprocessing import CrossSectionalRankScaler

rng = np.random.default_rng(0)
days, names = pd.bdate_range("2004-01-01", "2015-12-31", name="date"), pd.Index(range(60), name="asset")
shared = 0.006 * rng.standard_normal((len(days), 1)) * rng.uniform(0.5, 1.5, 60)
steps = shared + 0.015 * rng.standard_normal((len(days), 60))
prices = pd.DataFrame(30 * np.exp(np.cumsum(steps, axis=0)), days, names)
market = prices.resample("ME").last().pct_change().mean(axis=1).dropna()
listed = np.arange(len(days))[:, None] >= rng.integers(0, 1500, 60)  # stocks come one by one
bars = prices.where(listed).stack().dropna().to_frame("adj_close")
bars = bars.assign(close=bars["adj_close"], volume=1e5 * rng.lognormal(size=len(bars)))
chosen = ["60VOL", "BETA", "12-1MOM", "1MOM", "ILLIQ"]
X = compute_descriptors(bars, market=market, names=chosen)
X.notna().groupby("date").mean().plot(title="Share of stocks that have a value", ylabel="Share")

# %%
# What a descriptor is
# --------------------
# Each comes with its formula, its unit, the sign that the literature expects, and its source.
specs = descriptor_specs()
pd.DataFrame([[specs[name].formula, specs[name].unit, specs[name].sign] for name in chosen], index=chosen).set_axis(
    ["formula", "unit", "sign"], axis=1
)

# %%
# Proof that it looks back
# ------------------------
# Bars after a date are changed and removed, and everything up to the date comes out the same, bit for bit. A window
# that is centred on its month instead is found at once.
check_point_in_time(lambda table: compute_descriptors(table, names=["12-1MOM", "1MOM"]), bars[["adj_close"]])


# %%
def centred(table):
    return table.groupby("asset")["1MOM"].transform(lambda r: r.rolling(3, center=True, min_periods=1).mean())


findings = check_point_in_time(centred, X)
print(findings[0].title, "|", findings[0].evidence)

# %%
# The target, and ranks
# ---------------------
# The return of the month after is stored at the date; the last month of the panel has none. Ranks within each date
# take outliers and units away.
y = forward_returns(X["1MOM"])
ranked = CrossSectionalRankScaler(missing="zero").fit_transform(X)
fig, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
X["ILLIQ"].xs("2015-11-30").plot.hist(ax=axes[0], bins=20, title="ILLIQ on one date")
ranked["ILLIQ"].xs("2015-11-30").plot.hist(ax=axes[1], bins=20, title="The same, ranked")
print(f"{y.notna().mean():.1%} of the rows have a forward return")
