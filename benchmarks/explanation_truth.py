"""Loadings of each explainer against planted ones, over seeds: correlation, and precision of finding planted cells.

The panel has ten planted cells out of 80 (16 descriptors at 5 lags) with loadings that bend and switch. An LSTM is
trained on its first 80 months of prediction and explained on random rows of the later ones. For each explainer,
``loadings`` is the correlation of its loadings with the planted ones over all rows and planted cells; ``within`` the
same after each cell's mean is taken off, so that only bending and switching counts; ``contributions`` the correlation
of its relevances with planted loading times descriptor, which is what SHAP values are of (their loadings are a
quotient whose denominator comes near 0); ``AUPRC`` the average precision of mean absolute relevance as a score of
planted cells (chance: 0.125). A linear model is the bar that a network has to pass.
"""

import argparse
import os
import sys

# The benchmark of shap beside this script must not be taken for the package.
sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != os.path.dirname(os.path.abspath(__file__))]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from sklearn.metrics import average_precision_score  # noqa: E402

from skdrfm import DeepRecurrentFactorRegressor, explain, make_factor_panel, stack_lags  # noqa: E402
from skdrfm.factor_model import LinearFactorRegressor  # noqa: E402
from skdrfm.inspection import compare_explainers  # noqa: E402

LAGS = (0, 3, 6, 9, 12)
METHODS = (
    "lrp-all",
    "lrp-half",
    "lrp-abs",
    "gradient-x-input",
    "integrated-gradients",
    "occlusion",
    "shap-permutation",
    "shap-gradient",
)
TRAIN_MONTHS = 80


def figures_of(explanation, truth: pd.DataFrame, columns: list[str]) -> dict[str, float]:
    loadings = pd.DataFrame(explanation.loadings.reshape(len(truth), -1), columns=columns, index=truth.index)
    own, planted = loadings[truth.columns].to_numpy(), truth.to_numpy()
    relevance = np.abs(explanation.values).mean(axis=0).ravel()
    at = [columns.index(name) for name in truth.columns]
    inputs = explanation.data.reshape(len(truth), -1)[:, at]
    contributions = explanation.values.reshape(len(truth), -1)[:, at]
    return {
        "loadings": np.corrcoef(own.ravel(), planted.ravel())[0, 1],
        "within": np.corrcoef((own - own.mean(axis=0)).ravel(), (planted - planted.mean(axis=0)).ravel())[0, 1],
        "contributions": np.corrcoef(contributions.ravel(), (planted * inputs).ravel())[0, 1],
        "AUPRC": average_precision_score(np.isin(columns, truth.columns), relevance),
    }


def one_seed(seed: int, n_assets: int, n_rows: int, n_background: int) -> pd.DataFrame:
    X, y, truth = make_factor_panel(n_dates=120, n_assets=n_assets, random_state=seed, return_truth=True)
    X, y = stack_lags(X, y, lags=LAGS)
    dates = X.index.get_level_values("date")
    train = dates < dates.unique()[TRAIN_MONTHS]
    network = DeepRecurrentFactorRegressor(learning_rate=0.005, epochs=20, random_state=seed).fit(X[train], y[train])
    linear = LinearFactorRegressor().fit(X[train], y[train])
    later = X[~train].sample(n_rows, random_state=seed)
    background = X[train].sample(n_background, random_state=seed)
    planted = truth.loadings.loc[later.index]
    options = {"methods": METHODS, "dtype": "float32", "random_state": seed}
    explanations = compare_explainers(network, later, background, **options).explanations
    found = {name: figures_of(explanations[name], planted, list(X.columns)) for name in METHODS}
    found["linear model"] = figures_of(explain(linear, later), planted, list(X.columns))
    return pd.DataFrame(found).T.rename_axis("explainer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--assets", type=int, default=300)
    parser.add_argument("--rows", type=int, default=500, help="Rows explained for each seed.")
    parser.add_argument("--background", type=int, default=25, help="Rows of the training months for SHAP.")
    arguments = parser.parse_args()
    sizes = (arguments.assets, arguments.rows, arguments.background)
    tables = pd.concat({seed: one_seed(seed, *sizes) for seed in range(arguments.seeds)}, names=["seed"])
    by_explainer = tables.groupby(level="explainer", sort=False)
    mean, spread = by_explainer.mean(), by_explainer.std()
    print(f"Means over {arguments.seeds} seeds (standard deviation)\n")
    cells = {column: mean[column].map("{:.3f}".format) + spread[column].map(" ({:.3f})".format) for column in mean}
    print(pd.DataFrame(cells).to_string())


if __name__ == "__main__":
    main()
