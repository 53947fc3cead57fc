"""SHAP values through the NumPy forward against the same explainer on `keras.Model.predict`, in one run.

All are shap's PermutationExplainer with the same rows, background, budget and seed; only the function that predicts
differs. Keras predicts in float32, as it comes in batches of 32 rows; a large batch is timed beside. Rows are of 5
lags x 16 descriptors through a bidirectional LSTM of 16 units; medians of rounds taken in turn.
"""

import argparse
import os
import statistics
import sys
import time
import warnings

# Python looks for modules beside a script first, and would take this file for the package of its name.
sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != os.path.dirname(os.path.abspath(__file__))]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402

from skdrfm.inspection import compare_explainers  # noqa: E402

N_TIMESTEPS, N_FEATURES, UNITS = 5, 16, 16
BAR = 10.0
PEER, OURS = "keras.Model.predict, as it comes", "NumPy forward, float32"


def build_model():
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((N_TIMESTEPS, N_FEATURES))
    hidden = keras.layers.Bidirectional(keras.layers.LSTM(UNITS, bias_initializer="glorot_uniform"))(inputs)
    return keras.Model(inputs, keras.layers.Dense(1)(hidden))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2)
    parser.add_argument("--background", type=int, default=50)
    parser.add_argument("--max-evals", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap
    rng = np.random.default_rng(0)
    n_rows, n_background = arguments.rows, arguments.background
    X = rng.standard_normal((n_rows + n_background, N_TIMESTEPS, N_FEATURES))
    rows, background = X[:n_rows], X[n_rows:]
    flat_rows, flat_background = rows.reshape(n_rows, -1), background.reshape(n_background, -1)
    model = build_model()

    def through_keras(batch_size: int) -> tuple[np.ndarray, float]:
        def predict(flat: np.ndarray) -> np.ndarray:
            sequences = flat.reshape(-1, N_TIMESTEPS, N_FEATURES)
            return model.predict(sequences, batch_size=batch_size, verbose=0)[:, 0]

        masker = shap.maskers.Independent(flat_background, max_samples=n_background)
        start = time.perf_counter()
        explainer = shap.PermutationExplainer(predict, masker, seed=0)
        found = explainer(flat_rows, max_evals=arguments.max_evals, silent=True)
        return found.values, time.perf_counter() - start

    def through_numpy(dtype: str) -> tuple[np.ndarray, float]:
        options = {"max_evals": arguments.max_evals, "random_state": 0, "dtype": dtype}
        comparison = compare_explainers(model, rows, background, methods="shap-permutation", **options)
        values = comparison.explanations["shap-permutation"].values.reshape(n_rows, -1)
        return values, comparison.seconds["shap-permutation"]

    works = {
        PEER: lambda: through_keras(32),
        "keras.Model.predict(batch_size=4096)": lambda: through_keras(4096),
        OURS: lambda: through_numpy("float32"),
        "NumPy forward, float64": lambda: through_numpy("float64"),
    }
    spent: dict[str, list[float]] = {name: [] for name in works}
    values = {}
    for turn in range(arguments.rounds + 1):  # a first round, which compiles and fills caches, is not counted
        for name, work in works.items():
            values[name], seconds = work()
            if turn:
                spent[name].append(seconds)
    print(f"shap.PermutationExplainer, {n_rows} rows of {N_TIMESTEPS} x {N_FEATURES}, {n_background} background rows,")
    print(f"max_evals {arguments.max_evals}, bidirectional LSTM of {UNITS} units,")
    print(f"{len(os.sched_getaffinity(0))} cores, medians of {arguments.rounds} rounds\n")
    medians = {name: statistics.median(seconds) for name, seconds in spent.items()}
    print(f"{'':38s}{'ms per row':>11s}{'x ours':>9s}{'difference of values':>23s}")
    for name, seconds in medians.items():
        difference = np.abs(values[name] - values["NumPy forward, float64"]).max()
        print(f"{name:38s}{1000 * seconds / n_rows:11.1f}{seconds / medians[OURS]:9.2f}{difference:23.1e}")
    ratio = medians[PEER] / medians[OURS]
    print(f"\n{PEER} over {OURS}, both float32: {ratio:.1f} x (bar: {BAR:.0f} x)")


if __name__ == "__main__":
    main()
