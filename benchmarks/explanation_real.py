"""Agreement, faithfulness and cost of explainers on a panel of real stocks, over a set of windows.

The paper's LSTM is trained on the 60 months before each of some months, and explained on that month's cross-section.
SHAP's background is drawn from the window's training rows. Faithfulness replaces what it removes by the values of
other stocks of the same month, cell by cell. Figures are means over windows; ``+-`` is their standard error over
windows, which overlap in their training months where they are less than five years apart.

The panel is the one that ``examples/us_fundamental_panel.py`` writes, or any other that ``skdrfm study --data`` reads.
"""

import argparse
import os
import sys

# The benchmark of shap beside this script must not be taken for the package.
sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != os.path.dirname(os.path.abspath(__file__))]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from skdrfm import paper_models, stack_lags  # noqa: E402
from skdrfm.datasets import read_panel  # noqa: E402
from skdrfm.descriptors import GROUPS  # noqa: E402
from skdrfm.inspection import compare_explainers, faithfulness  # noqa: E402
from skdrfm.preprocessing import CrossSectionalRankScaler  # noqa: E402

LAGS = (0, 3, 6, 9, 12)
TRAIN_MONTHS = 60
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


def one_window(X, y, month, seed: int, n_background: int) -> dict[str, pd.DataFrame]:
    dates = X.index.get_level_values("date")
    before = dates.unique()[dates.unique() < month][-TRAIN_MONTHS:]
    known = np.asarray(dates.isin(before)) & y.notna().to_numpy()
    model = paper_models(seed)["LSTM"].fit(X[known], y[known])
    rows = X[dates == month]
    background = X[known].sample(n_background, random_state=seed)
    options = {"methods": METHODS, "groups": GROUPS, "random_state": seed}
    comparison = compare_explainers(model, rows, background, **options)
    report = faithfulness(comparison.explanations, model, rows, random_state=seed)
    agreements = {f"agreement by {by}": comparison.agreement(by) for by in ("descriptor", "lag", "group")}
    return {"cost and additivity": comparison.summary(), **agreements, "faithfulness": report.table}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="runs/us_fundamental_panel.parquet")
    parser.add_argument("--months", nargs="+", default=[f"{year}-12" for year in range(2008, 2016)])
    parser.add_argument("--background", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    X, y, _ = read_panel(arguments.data)
    X, y = stack_lags(CrossSectionalRankScaler(missing="zero").fit_transform(X), y, lags=LAGS)
    stored = X.index.get_level_values("date").unique()
    months = [stored[stored.to_period("M") == month][0] for month in arguments.months]
    found = [one_window(X, y, month, arguments.seed, arguments.background) for month in months]
    sizes = [int((X.index.get_level_values("date") == month).sum()) for month in months]
    print(f"{len(months)} windows, {min(sizes)} to {max(sizes)} stocks explained in each; means over windows\n")
    for name in found[0]:
        stacked = pd.concat([tables[name] for tables in found], keys=range(len(found)))
        by_method = stacked.groupby(level=1, sort=False)
        mean, error = by_method.mean(), by_method.std() / np.sqrt(len(found))
        with_error = name in ("faithfulness", "cost and additivity")
        shown = mean.map("{:.3g}".format) + (error.map(" +- {:.2g}".format) if with_error else "")
        print(f"{name}\n{shown.to_string()}\n")


if __name__ == "__main__":
    main()
