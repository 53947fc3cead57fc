"""
Arithmetic tasks with a known answer
====================================

Which share of a forecast belongs to which input? On real data nobody knows. Here the answer is known by construction:
a sequence holds two marked numbers, the target is their sum or their difference, and a network with a single LSTM unit
learns it almost without error. A good explanation gives each marked number its own value (with its sign in the
target), and nothing to the rest of the sequence. The idea is that of Arras et al. (2019, 1909.12114, their
experiments on arithmetic); the set-up below is our own and its figures are not those of that paper.

Run it with::

    python examples/arithmetic_tasks.py --restarts 6 --out runs/arithmetic_tasks
    python examples/arithmetic_tasks.py --restarts 6 --out runs/arithmetic_flags --coding flags

Each takes four to six minutes on one slow core, and writes ``figures.csv`` (one row for each task, restart and method),
``restarts.csv`` (one row for each restart, also those that did not learn the task) and ``tables.md``.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from skdrfm.lrp import METHODS, Network, attribute

SIGNS = {"addition": 1.0, "subtraction": -1.0}
"""Sign of the second marked number in the target of each task."""

CODINGS = ("columns", "flags")
"""How a sequence marks its numbers."""

N_TIMESTEPS, N_FEATURES = 8, 3
N_TEST, N_VALIDATION = 2000, 4096
BATCH_SIZE, BATCHES_PER_EPOCH, MAX_EPOCHS = 128, 128, 100
LEARNING_RATE, LAST_LEARNING_RATE = 0.05, 0.001
MSE_TO_REACH = 1e-4
FIGURES = ("correlation a", "correlation b", "marked share", "conservation", "number a", "number b")
SHOWN = {"columns": FIGURES[:4], "flags": FIGURES}
"""Figures in the tables. With columns, the relevance of a number is that of its step."""


# %%
# Sequences
# ---------
# Each step holds one number. With the coding "columns" its column tells what it is: 0 for a number without a mark, 1
# for the first marked number a, 2 for the second marked number b; the other columns of the step are 0. With the coding
# "flags" every number is in column 0, and a 1 in column 1 or 2 marks a or b: then one weight serves all numbers, so
# that the gates must do the selecting, and in a difference also the change of sign. Numbers are uniform on [-1, 1],
# also close to 0: with a gap around 0 a method would reach a high correlation by the sign alone.


class Sequences(NamedTuple):
    """Sequences, their targets, and what the marked numbers truly contribute.

    Attributes
    ----------
    X : ndarray of shape (n_samples, 8, 3)
        The sequences, first step first.
    y : ndarray of shape (n_samples,)
        Targets.
    positions : ndarray of int of shape (n_samples, 2)
        Steps of a and b; a comes first.
    contributions : ndarray of shape (n_samples, 2)
        What a and b add to the target; the rows sum to y.
    number_columns : tuple of two int
        Columns of a and b.
    """

    X: np.ndarray
    y: np.ndarray
    positions: np.ndarray
    contributions: np.ndarray
    number_columns: tuple[int, int]


def make_sequences(n_samples: int, sign: float, rng: np.random.Generator, coding: str = "columns") -> Sequences:
    """Draw sequences with two marked numbers.

    Parameters
    ----------
    n_samples : int
        Number of sequences.
    sign : float
        1 for the sum of the marked numbers as target, -1 for their difference.
    rng : numpy.random.Generator
        Source of all random numbers.
    coding : {"columns", "flags"}, default="columns"
        Whether the column of a number is its mark, or a 1 in another column.

    Returns
    -------
    Sequences
        The sequences; every pair of steps is equally likely to be marked.
    """
    numbers = rng.uniform(-1, 1, (n_samples, N_TIMESTEPS))
    positions = np.sort(rng.random((n_samples, N_TIMESTEPS)).argsort(axis=1)[:, :2], axis=1)
    X = np.zeros((n_samples, N_TIMESTEPS, N_FEATURES))
    X[:, :, 0] = numbers
    for mark in (1, 2):
        marked = np.arange(n_samples), positions[:, mark - 1]
        X[*marked, mark] = numbers[marked] if coding == "columns" else 1.0
        if coding == "columns":
            X[*marked, 0] = 0.0
    contributions = np.take_along_axis(numbers, positions, axis=1) * [1.0, sign]
    return Sequences(X, contributions.sum(axis=1), positions, contributions, (1, 2) if coding == "columns" else (0, 0))


# %%
# Training
# --------
# Every epoch draws new sequences, so there is nothing to shuffle and no seed outside the initializers: the global
# generators stay as they are. Training stops at the first epoch with a mean squared error below 0.0001 on validation
# sequences. A restart that does not get there in its epochs is counted, and has no figures.


class Restart(NamedTuple):
    """A trained network and how far training came."""

    model: Any
    mse: float
    epochs: int

    @property
    def converged(self) -> bool:
        """Whether the network has learned the task."""
        return self.mse < MSE_TO_REACH


def build_model(seed: int) -> Any:
    """Build one LSTM unit and a linear readout, with initial weights that depend on the seed alone."""
    import keras

    draw = keras.initializers
    kernel, recurrent, readout = (int(number) for number in np.random.SeedSequence(seed).generate_state(3))
    lstm = keras.layers.LSTM(
        1,
        kernel_initializer=draw.GlorotUniform(kernel),
        recurrent_initializer=draw.Orthogonal(seed=recurrent),
        unroll=True,
    )
    dense = keras.layers.Dense(1, kernel_initializer=draw.GlorotUniform(readout))
    return keras.Sequential([keras.Input((N_TIMESTEPS, N_FEATURES)), lstm, dense])


def train(sign: float, seed: int, coding: str = "columns", max_epochs: int = MAX_EPOCHS) -> Restart:
    """Train a network from new initial weights.

    Parameters
    ----------
    sign : float
        As in `make_sequences`.
    seed : int
        Seed of the initial weights and of the sequences.
    coding : {"columns", "flags"}, default="columns"
        As in `make_sequences`.
    max_epochs : int, default=100
        Epochs of 16,384 new sequences each, over which the learning rate falls along a cosine from 0.05 to 0.001.

    Returns
    -------
    Restart
        The network at its first epoch below the error to reach, or at its last epoch.
    """
    import keras

    validation = make_sequences(N_VALIDATION, sign, np.random.default_rng([seed, 0]), coding)
    rng = np.random.default_rng([seed, 1])
    rate = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE, max_epochs * BATCHES_PER_EPOCH, alpha=LAST_LEARNING_RATE / LEARNING_RATE
    )
    model = build_model(seed)
    model.compile(keras.optimizers.Adam(rate), "mse", steps_per_execution=BATCHES_PER_EPOCH)
    epoch, mse = 0, np.inf
    while epoch < max_epochs and not mse < MSE_TO_REACH:
        epoch += 1
        drawn = make_sequences(BATCH_SIZE * BATCHES_PER_EPOCH, sign, rng, coding)
        model.fit(drawn.X, drawn.y, batch_size=BATCH_SIZE, shuffle=False, verbose=0)
        predictions = np.ravel(model.predict_on_batch(validation.X))
        mse = float(np.mean((predictions - validation.y) ** 2))
    return Restart(model, mse, epoch)


# %%
# Figures
# -------
# Relevance of a step is the sum over its columns, so that a number and its flag count together.


def figures(network: Network, test: Sequences, method: str) -> dict[str, float]:
    """Compare an attribution with the true contributions.

    Parameters
    ----------
    network : Network
        The trained network.
    test : Sequences
        Sequences that training has not seen.
    method : str
        One of `skdrfm.lrp.METHODS`.

    Returns
    -------
    dict of str to float
        "correlation a" and "correlation b": Pearson correlation over the sequences of the relevance of the marked
        step with the true contribution (1 is right; for b in a difference the contribution is -b). "marked share":
        mean share of the two marked steps in the sum of absolute relevances (1 is right; 0.25 if all 8 steps get the
        same). "conservation": median of the sum of relevances over the prediction (1 if no part is lost; a median,
        because predictions come close to 0). "number a" and "number b": the correlations of the relevance of the
        number alone, without that of its flag.
    """
    explained = attribute(network, test.X, rule=method)
    relevance = test.X * explained.loadings
    by_step = relevance.sum(axis=2)
    marked = np.take_along_axis(by_step, test.positions, axis=1)
    numbers = relevance[np.arange(len(test.X))[:, np.newaxis], test.positions, test.number_columns]
    values = (
        *_correlations(marked, test.contributions),
        np.mean(np.abs(marked).sum(axis=1) / np.abs(by_step).sum(axis=1)),
        np.median(by_step.sum(axis=1) / explained.predictions),
        *_correlations(numbers, test.contributions),
    )
    return dict(zip(FIGURES, map(float, values), strict=True))


def _correlations(relevance: np.ndarray, contributions: np.ndarray) -> list[float]:
    """Pearson correlation of each column with the same column."""
    return [np.corrcoef(r, c)[0, 1] for r, c in zip(relevance.T, contributions.T, strict=True)]


def run_task(task: str, n_restarts: int, coding: str = "columns") -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Train all restarts of a task and compute the figures of all methods on those that have learned it.

    Parameters
    ----------
    task : str
        "addition" or "subtraction".
    n_restarts : int
        Number of restarts; their seeds are 0, 1, 2, ...
    coding : {"columns", "flags"}, default="columns"
        As in `make_sequences`.

    Returns
    -------
    restarts, rows : list of dict
        One for each restart; and one for each restart that has learned the task and each method.
    """
    sign = SIGNS[task]
    restarts: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for seed in range(n_restarts):
        restart = train(sign, seed, coding)
        which = {"task": task, "coding": coding, "seed": seed}
        restarts.append({**which, "epochs": restart.epochs, "mse": restart.mse, "converged": restart.converged})
        print(f"{task}, seed {seed}: mean squared error {restart.mse:.2e} after {restart.epochs} epochs", flush=True)
        if restart.converged:
            from skdrfm.networks import canonize

            network = canonize(restart.model)
            test = make_sequences(N_TEST, sign, np.random.default_rng([seed, 2]), coding)
            rows += [{**which, "method": method, **figures(network, test, method)} for method in METHODS]
    return restarts, rows


# %%
# Tables
# ------


def summarise(rows: pd.DataFrame, names: Sequence[str] = FIGURES) -> pd.DataFrame:
    """Return the mean over the restarts and, in brackets, the minimum, as text, one row for each method."""
    by_method = rows.groupby("method", sort=False)[list(names)]
    mean, minimum = by_method.mean(), by_method.min()
    return pd.DataFrame(
        {name: [f"{m:.4f} ({low:.4f})" for m, low in zip(mean[name], minimum[name], strict=True)] for name in names},
        index=mean.index,
    )


def to_markdown(table: pd.DataFrame) -> str:
    """Write a table of text as Markdown."""
    lines = [[table.index.name, *table.columns], ["---"] * (1 + table.shape[1])]
    lines += [[str(name), *cells] for name, cells in zip(table.index, table.to_numpy().tolist(), strict=True)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restarts", type=int, default=6, help="restarts of each task (default: 6)")
    parser.add_argument("--out", type=Path, default=Path("runs/arithmetic_tasks"), help="folder for the results")
    parser.add_argument("--coding", choices=CODINGS, default="columns", help="how marks are coded (default: columns)")
    options = parser.parse_args(argv)
    if options.restarts < 1:
        parser.error(f"--restarts must be at least 1. Got {options.restarts}. 6 give a mean and a minimum.")

    results = {task: run_task(task, options.restarts, options.coding) for task in SIGNS}
    restarts = pd.DataFrame([restart for task in SIGNS for restart in results[task][0]])
    columns = ["task", "coding", "seed", "method", *FIGURES]
    rows = pd.DataFrame([row for task in SIGNS for row in results[task][1]], columns=columns)
    sections = []
    for task in SIGNS:
        learned = int(restarts.loc[restarts["task"] == task, "converged"].sum())
        title = f"{task.capitalize()}: {learned} of {options.restarts} restarts have learned the task."
        table = summarise(rows[rows["task"] == task], SHOWN[options.coding])
        sections.append(f"{title}\n\n{to_markdown(table)}" if learned else title)
    report = "\n\n".join([*sections, "Mean over these restarts (minimum in brackets).", ""])
    options.out.mkdir(parents=True, exist_ok=True)
    restarts.to_csv(options.out / "restarts.csv", index=False)
    rows.to_csv(options.out / "figures.csv", index=False)
    (options.out / "tables.md").write_text(report, encoding="utf-8")
    print(f"\n{report}")


if __name__ == "__main__":
    main()
