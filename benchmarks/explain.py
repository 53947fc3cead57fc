"""Time and memory of an explanation as ratios to its peers, in one run: medians of rounds taken in turn.

Explained are rows of 5 lags x 16 descriptors through a bidirectional LSTM of 16 units. Peers: Keras' own prediction,
gradient x input by TensorFlow, and shap's GradientExplainer and PermutationExplainer on a few rows each.
"""

import argparse
import os
import statistics
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable

# The benchmark of shap beside this script must not be taken for the package.
sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != os.path.dirname(os.path.abspath(__file__))]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402

import skdrfm  # noqa: E402

N_TIMESTEPS, N_FEATURES, UNITS = 5, 16, 16
BARS = {"LRP, float32": 0.7, "LRP, float64": 1.6}


def build_model():
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((N_TIMESTEPS, N_FEATURES))
    hidden = keras.layers.Bidirectional(keras.layers.LSTM(UNITS, bias_initializer="glorot_uniform"))(inputs)
    return keras.Model(inputs, keras.layers.Dense(1)(hidden))


def build_gradient(model) -> Callable[[np.ndarray], np.ndarray]:
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            prediction = model(x, training=False)
        return x * tape.gradient(prediction, x)

    def explain(X: np.ndarray) -> np.ndarray:
        return np.concatenate([gradient(tf.constant(X[start : start + 4096])) for start in range(0, len(X), 4096)])

    return explain


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turn(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each work; a first round, which compiles and fills caches, is not counted."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            spent = seconds(work)
            if turn:
                times[name].append(spent)
    return {name: statistics.median(spent) for name, spent in times.items()}


def shap_seconds(model, X: np.ndarray, rounds: int) -> dict[str, float]:
    """Seconds for a row of shap's explainers, with 100 background rows and their default numbers of samples."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap
    background, few, one = X[:100], X[100:120], X[100:102].reshape(2, -1)
    gradient = shap.GradientExplainer(model, background)

    def flat_predict(flat: np.ndarray) -> np.ndarray:
        return model.predict(flat.reshape(-1, N_TIMESTEPS, N_FEATURES), batch_size=4096, verbose=0)[:, 0]

    permutation = shap.PermutationExplainer(flat_predict, background.reshape(100, -1), seed=0)
    spent = in_turn(
        {
            "shap GradientExplainer": lambda: gradient.shap_values(few),
            "shap PermutationExplainer": lambda: permutation(one, silent=True),
        },
        rounds,
    )
    return {
        "shap GradientExplainer": spent["shap GradientExplainer"] / len(few),
        "shap PermutationExplainer": spent["shap PermutationExplainer"] / len(one),
    }


def peak_beyond(model, n_samples: int) -> float:
    """Peak of what NumPy and Python allocate while explaining, beyond input and output, in MiB."""
    X = np.random.default_rng(0).standard_normal((n_samples, N_TIMESTEPS, N_FEATURES))
    X.setflags(write=False)  # an explanation keeps the data, as a copy where they could still be changed
    tracemalloc.start()
    explanation = skdrfm.explain(model, X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (peak - explanation.loadings.nbytes - 4 * explanation.predictions.nbytes) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    X = rng.standard_normal((arguments.samples, N_TIMESTEPS, N_FEATURES))
    X32 = X.astype(np.float32)
    model = build_model()
    gradient = build_gradient(model)
    works = {
        "model.predict(batch_size=4096)": lambda: model.predict(X32, batch_size=4096, verbose=0),
        "LRP, float32": lambda: skdrfm.explain(model, X32, dtype="float32"),
        "LRP, float64": lambda: skdrfm.explain(model, X),
        "gradient x input, TensorFlow": lambda: gradient(X32),
        "gradient x input, skdrfm float64": lambda: skdrfm.explain(model, X, rule="gradient-x-input"),
        "LRP, float64, half the rows": lambda: skdrfm.explain(model, X[: len(X) // 2]),
    }
    spent = in_turn(works, arguments.rounds)
    predict = spent["model.predict(batch_size=4096)"]
    print(f"{arguments.samples:,} rows of {N_TIMESTEPS} x {N_FEATURES}, bidirectional LSTM of {UNITS} units,")
    print(f"{len(os.sched_getaffinity(0))} cores, medians of {arguments.rounds} rounds\n")
    print(f"{'':34s}{'seconds':>9s}{'x predict':>11s}{'bar':>6s}")
    for name, value in spent.items():
        print(f"{name:34s}{value:9.3f}{value / predict:11.2f}{BARS.get(name, ''):>6}")
    whole, half = spent["LRP, float64"], spent["LRP, float64, half the rows"]
    print(f"\nCost of twice the rows: {whole / half:.2f} x (linear: 2)")
    per_row = whole / arguments.samples
    print("\nFor one row, as a ratio to LRP in float64:")
    for name, value in shap_seconds(model, X32, 3).items():
        print(f"{name:34s}{1000 * value:9.2f} ms{value / per_row:14,.0f} x")
    print("\nPeak memory beyond input and output:")
    for n_samples in (100_000, 1_000_000):
        print(f"{n_samples:>12,} rows x {N_TIMESTEPS * N_FEATURES} {peak_beyond(model, n_samples):10.0f} MiB")


if __name__ == "__main__":
    main()
