"""Training of several networks at once, where they have the same architecture and options."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from skdrfm._typing import BoolArray, FloatArray, IntArray
from skdrfm.networks._chain import Chain
from skdrfm.networks._program import Program, ProgramKey, Steps, program
from skdrfm.networks._records import TrainingJob

# Up to these numbers of steps a training is faster without a graph, and without compiling it; the second is that of all
# windows of a program together.
EAGER_UP_TO, GRAPH_UP_TO = 16, 600


@dataclass(frozen=True)
class Start:
    """A job with what its own builder made of it.

    Parameters
    ----------
    job : TrainingJob
        Data and options.
    chain : tuple of layers
        The architecture.
    weights : list of ndarray
        Initial weights.
    seeds : tuple of int
        Seeds of the dropout layers.
    """

    job: TrainingJob
    chain: Chain
    weights: list[FloatArray]
    seeds: tuple[int, ...]

    def key(self, width: int) -> ProgramKey:
        """Program that trains this job beside others; it does not depend on what they are."""
        job = self.job
        n_rows = len(job.X)
        n_steps = job.options.epochs * -(-n_rows // job.options.batch_size)
        mode = "eager" if n_steps <= EAGER_UP_TO else "graph" if n_steps * width <= GRAPH_UP_TO else "compiled"
        # A batch is filled up to its size: beyond the rows that there are, to the next power of two, so that windows of
        # about as many rows share a program. Without a graph nothing is shared, and nothing needs to be filled up.
        return ProgramKey(
            chain=self.chain,
            n_windows=1 if mode == "eager" else width,
            batch_size=min(job.options.batch_size, n_rows if mode == "eager" else 1 << (n_rows - 1).bit_length()),
            n_timesteps=job.meta.n_timesteps,
            n_features=job.meta.n_features,
            dtype=job.meta.dtype,
            loss=job.options.loss,
            optimizer=job.options.optimizer.lower(),
            mode=mode,
        )


@dataclass(frozen=True)
class Fitted:
    """Weights and loss history of one window, in the layout of Keras."""

    weights: list[FloatArray]
    history: dict[str, list[float]]


def run_together(starts: Sequence[Start], *, width: int) -> list[Fitted]:
    """Train jobs, those of the same program side by side.

    Parameters
    ----------
    starts : sequence of Start
        The jobs.
    width : int
        Windows in a program. Fewer jobs leave places empty, so that a result does not depend on how many there are.

    Returns
    -------
    list of Fitted
        Results in the order of the jobs.
    """
    by_key: dict[Any, list[int]] = {}
    for number, start in enumerate(starts):
        options = start.job.options
        key = (start.key(width), options.epochs, options.learning_rate, options.patience)
        by_key.setdefault(key, []).append(number)
    fitted: dict[int, Fitted] = {}
    for (key, *_), numbers in by_key.items():
        for begin in range(0, len(numbers), key.n_windows):
            part = numbers[begin : begin + key.n_windows]
            results = _Windows(program(key), [starts[number] for number in part]).run()
            fitted.update(zip(part, results, strict=True))
    return [fitted[number] for number in range(len(starts))]


class _Windows:
    """The windows of one program from the first epoch to the last."""

    def __init__(self, compiled: Program, starts: Sequence[Start]) -> None:
        self.program = compiled
        self.jobs = [replace(start.job, X=np.asarray(start.job.X, dtype=compiled.key.dtype)) for start in starts]
        self.options = self.jobs[0].options
        n_empty = compiled.key.n_windows - len(starts)
        places = [*starts, *[starts[0]] * n_empty]
        self.state = compiled.start([np.stack(parts) for parts in zip(*(p.weights for p in places), strict=True)])
        n_dropouts = compiled.n_dropouts
        self.seeds = np.array([p.seeds for p in places], dtype=np.int64).reshape(len(places), n_dropouts).T % 2**31
        self.shuffles = [np.random.default_rng([job.meta.seed, 1]) for job in self.jobs]
        self.training: BoolArray = np.ones(len(starts), dtype=bool)

    def run(self) -> list[Fitted]:
        n_windows = len(self.jobs)
        patience = self.options.epochs if self.options.patience is None else self.options.patience
        histories: list[dict[str, list[float]]] = [{"loss": []} for _ in self.jobs]
        best: list[tuple[float, list[FloatArray] | None]] = [(np.inf, None)] * n_windows
        waited = np.zeros(n_windows, dtype=np.intp)
        for epoch in range(self.options.epochs):
            trained = np.flatnonzero(self.training).tolist()
            losses = self._train_epoch()
            for window in trained:
                histories[window]["loss"].append(float(losses[window]))
            checked = [window for window in trained if self.jobs[window].validation is not None]
            if checked:
                validation = self._validate(checked)
                for window in checked:
                    histories[window].setdefault("val_loss", []).append(validation[window])
                    waited[window] += 1
                    # The first epoch is kept in any case, as Keras does, also when its loss is no number.
                    if best[window][1] is None or validation[window] < best[window][0]:
                        best[window] = (validation[window], self._weights_of(window))
                        waited[window] = 0
                    elif waited[window] >= patience and epoch > 0:
                        self.training[window] = False
            self._tell(epoch, histories)
            if not self.training.any():
                break
        last = [self._weights_of(window) if best[window][1] is None else best[window][1] for window in range(n_windows)]
        return [Fitted(weights or [], history) for weights, history in zip(last, histories, strict=True)]

    def _train_epoch(self) -> FloatArray:
        """Mean loss of each window over its steps, weighted by rows."""
        key = self.program.key
        orders = [
            shuffle.permutation(len(job.X)) if trains else np.empty(0, dtype=np.intp)
            for job, shuffle, trains in zip(self.jobs, self.shuffles, self.training, strict=True)
        ]
        total = np.zeros(key.n_windows)
        for steps in self._steps(orders):
            self.state, losses = self.program.train(self.state, steps, self.seeds, self.options.learning_rate)
            total += losses
        rows = np.array([max(len(order), 1) for order in orders])
        means: FloatArray = total[: len(rows)] / rows
        return means

    def _steps(self, orders: Sequence[IntArray]) -> Iterator[Steps]:
        """Rows in their order, some steps at a time; windows that have fewer take no further steps."""
        key = self.program.key
        n_steps = -(-max(len(order) for order in orders) // key.batch_size)
        at_once = self.program.steps_per_call
        for first in range(0, n_steps, at_once):
            number = min(at_once, n_steps - first)
            shape = (number if key.mode == "eager" else at_once, key.n_windows, key.batch_size)
            x = np.zeros((*shape, key.n_timesteps, key.n_features), dtype=key.dtype)
            y, weight = np.zeros(shape, dtype=key.dtype), np.zeros(shape, dtype=key.dtype)
            counts = np.zeros(shape[:2], dtype=key.dtype)
            for window, (job, order) in enumerate(zip(self.jobs, orders, strict=True)):
                rows = order[first * key.batch_size : (first + number) * key.batch_size]
                for step in range(-(-len(rows) // key.batch_size)):
                    batch = rows[step * key.batch_size : (step + 1) * key.batch_size]
                    place = (step, window, slice(len(batch)))
                    np.take(job.X, batch, axis=0, out=x[place], mode="clip")  # other modes copy
                    y[place] = job.y[batch]
                    weight[place] = 1 if job.sample_weight is None else job.sample_weight[batch]
                    counts[step, window] = len(batch)
            yield Steps(number, x, y, weight, counts)

    def _validate(self, windows: Sequence[int]) -> dict[int, float]:
        """Weighted mean loss over the validation rows of each window, penalties included."""
        total = np.zeros(self.program.key.n_windows)
        for batch in self._validation_batches:
            total += self.program.evaluate(self.state, *batch)
        penalties = self.program.penalties(self.state)
        return {window: float(total[window] / self._n_validation(window) + penalties[window]) for window in windows}

    @cached_property
    def _validation_batches(self) -> list[tuple[Any, Any, Any]]:
        """Validation rows of all windows as tensors, filled up with rows of weight 0; the same in each epoch."""
        key = self.program.key
        batches = []
        for first in range(0, max(map(self._n_validation, range(len(self.jobs)))), key.batch_size):
            x = np.zeros((key.n_windows, key.batch_size, key.n_timesteps, key.n_features), dtype=key.dtype)
            y, weight = (np.zeros((key.n_windows, key.batch_size), dtype=key.dtype) for _ in range(2))
            for window, job in enumerate(self.jobs):
                part = [rows[first : first + key.batch_size] for rows in job.validation or ()]
                if part:
                    n_rows = len(part[1])
                    x[window, :n_rows], y[window, :n_rows] = part[0], part[1]
                    weight[window, :n_rows] = part[2] if len(part) > 2 else 1
            batches.append((tf.constant(x), tf.constant(y), tf.constant(weight)))
        return batches

    def _n_validation(self, window: int) -> int:
        validation = self.jobs[window].validation
        return 0 if validation is None else len(validation[0])

    def _weights_of(self, window: int) -> list[FloatArray]:
        return [np.array(weight[window]) for weight in self.state.weights]

    def _tell(self, epoch: int, histories: Sequence[dict[str, list[float]]]) -> None:
        """Say how far the training is, where that was asked for."""
        if not self.options.verbose:
            return
        number = epoch + 1
        for window, history in enumerate(histories):
            if len(history["loss"]) == number:
                figures = ", ".join(f"{name}: {values[-1]:.6g}" for name, values in history.items())
                which = f" of network {window + 1}" if len(histories) > 1 else ""
                sys.stdout.write(f"Epoch {number}/{self.options.epochs}{which} - {figures}\n")
