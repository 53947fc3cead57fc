"""One compiled program that trains several windows side by side, and is used again for the next ones.

The shapes of a program are fixed: a last batch is filled up with rows of weight 0, and a group of windows with ones
that never take a step, so that nothing is traced or compiled twice in a process. A window's numbers depend on its own
rows, seeds and initial weights alone, not on its neighbours nor on its place.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from skdrfm._typing import AnyArray, FloatArray, IntArray
from skdrfm.networks._chain import Chain, DropoutLayer
from skdrfm.networks._forward import forward, penalty
from skdrfm.networks._records import OPTIMIZERS

# Bytes of the rows that one call takes: large enough to hide the cost of a call, small beside a panel.
_CALL_BYTES = 2**23
_MOST_STEPS = 64

# Keras' own constants of its optimizers.
_BETA_1, _BETA_2, _RHO, _EPSILON = 0.9, 0.999, 0.9, 1e-7


@dataclass(frozen=True)
class ProgramKey:
    """All that a program is compiled for.

    Parameters
    ----------
    chain : tuple of layers
        The architecture.
    n_windows, batch_size, n_timesteps, n_features : int
        Shape of a step.
    dtype : str
        ``"float32"`` or ``"float64"``.
    loss, optimizer : str
        As Keras knows them.
    mode : {"eager", "graph", "compiled"}
        How operations run. Making a graph costs as much as some steps do without it, and compiling it (by XLA) as much
        as some hundreds of steps; results agree to rounding.
    """

    chain: Chain
    n_windows: int
    batch_size: int
    n_timesteps: int
    n_features: int
    dtype: str
    loss: str
    optimizer: str
    mode: str


@dataclass
class State:
    """Weights, slots of the optimizer and steps taken, each with the window as first axis."""

    weights: list[Any]
    slots: list[list[Any]]
    steps: Any


@dataclass(frozen=True)
class Steps:
    """Rows of some steps.

    Parameters
    ----------
    number : int
        Steps to take; a graph expects as many as it takes in a call, and looks at no others.
    x : ndarray of shape (n_steps, n_windows, batch_size, n_timesteps, n_features)
        Inputs.
    y, weight : ndarray of shape (n_steps, n_windows, batch_size)
        Targets and weights, 0 for rows that only fill up.
    counts : ndarray of shape (n_steps, n_windows)
        Rows in the batch; 0 where a window takes no step.
    """

    number: int
    x: FloatArray
    y: FloatArray
    weight: FloatArray
    counts: FloatArray


class Program:
    """Functions that train and evaluate the windows of a key."""

    def __init__(self, key: ProgramKey) -> None:
        self.key = key
        self.n_dropouts = sum(isinstance(layer, DropoutLayer) for layer in key.chain)
        row = key.n_timesteps * key.n_features * np.dtype(key.dtype).itemsize
        self.steps_per_call = max(1, min(_MOST_STEPS, _CALL_BYTES // (row * key.n_windows * key.batch_size)))
        self._loss: Callable[[Any, Any], Any] = keras.losses.get(key.loss)
        made: Any = _as_it_is if key.mode == "eager" else tf.function(jit_compile=key.mode == "compiled")
        self._train: Any = made(self._train_steps)
        self._evaluate: Any = made(self._evaluate_batch)

    def start(self, weights: Sequence[AnyArray]) -> State:
        """State before the first step, of initial weights of shape (n_windows, ...)."""
        tensors = [tf.constant(weight, dtype=self.key.dtype) for weight in weights]
        slots = [[tf.zeros_like(tensor) for tensor in tensors] for _ in range(OPTIMIZERS[self.key.optimizer])]
        return State(tensors, slots, tf.zeros(self.key.n_windows, dtype=tf.int32))

    def train(self, state: State, steps: Steps, seeds: IntArray, learning_rate: float) -> tuple[State, FloatArray]:
        """Take the steps.

        Returns
        -------
        state : State
            Weights after them.
        losses : ndarray of shape (n_windows,)
            Sum over the steps of loss times rows, penalties included.
        """
        n_steps = tf.constant(steps.number, dtype=tf.int32)
        arrays = [tf.constant(part) for part in (steps.x, steps.y, steps.weight, steps.counts)]
        rate = tf.constant(learning_rate, dtype=self.key.dtype)
        keys = tf.constant(seeds, dtype=tf.int32)
        weights, slots, taken, losses = self._train(
            n_steps, *arrays, keys, rate, state.weights, state.slots, state.steps
        )
        return State(list(weights), [list(slot) for slot in slots], taken), losses.numpy()

    def evaluate(self, state: State, x: Any, y: Any, weight: Any) -> FloatArray:
        """Sum of weighted losses of a batch of tensors without dropout, shape (n_windows,)."""
        losses: FloatArray = self._evaluate(x, y, weight, state.weights).numpy()
        return losses

    def penalties(self, state: State) -> FloatArray:
        """L2 penalty of each window."""
        total = penalty(self.key.chain, state.weights)
        return np.zeros(self.key.n_windows) if total is None else np.asarray(total.numpy(), dtype=np.float64)

    def _train_steps(
        self,
        n_steps: Any,
        x: Any,
        y: Any,
        weight: Any,
        counts: Any,
        seeds: Any,
        rate: Any,
        weights: Any,
        slots: Any,
        taken: Any,
    ) -> Any:
        def one_step(k: Any, weights: Any, slots: Any, taken: Any, losses: Any) -> Any:
            count = counts[k]
            active = count > 0
            with tf.GradientTape() as tape:
                tape.watch(weights)
                batch = self._batch_loss(x[k], y[k], weight[k], count, weights, self._step_seeds(seeds, taken))
                total = tf.reduce_sum(batch)
            gradients = tape.gradient(total, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            taken = taken + tf.cast(active, tf.int32)
            updated, new_slots = self._update(weights, gradients, slots, taken, rate)
            weights = [_where(active, new, old) for new, old in zip(updated, weights, strict=True)]
            slots = [
                [_where(active, new, old) for new, old in zip(*pair, strict=True)]
                for pair in zip(new_slots, slots, strict=True)
            ]
            losses = losses + tf.where(active, batch * count, tf.zeros_like(batch))
            return k + 1, weights, slots, taken, losses

        state = (tf.constant(0), weights, slots, taken, tf.zeros(self.key.n_windows, dtype=self.key.dtype))
        if self.key.mode == "eager":
            for _ in range(int(n_steps)):
                state = one_step(*state)
            return state[1:]
        return tf.while_loop(lambda k, *_: k < n_steps, one_step, state)[1:]

    def _batch_loss(self, x: Any, y: Any, weight: Any, count: Any, weights: Any, seeds: Any) -> Any:
        """Mean weighted loss of the rows of each window's batch, and its penalty."""
        losses = tf.reduce_sum(self._losses(x, y, weights, seeds) * weight, axis=1)
        mean = losses / tf.maximum(count, tf.ones_like(count))
        total = penalty(self.key.chain, weights)
        return mean if total is None else mean + total

    def _losses(self, x: Any, y: Any, weights: Any, seeds: Any) -> Any:
        predictions = forward(self.key.chain, weights, x, seeds=seeds)
        return self._loss(y[..., None], predictions[..., None])

    def _evaluate_batch(self, x: Any, y: Any, weight: Any, weights: Any) -> Any:
        return tf.reduce_sum(self._losses(x, y, weights, None) * weight, axis=1)

    def _step_seeds(self, seeds: Any, taken: Any) -> Any:
        """Seed of each dropout layer and window at this step: the seed of the layer and the number of the step."""
        if not self.n_dropouts:
            return None
        return tf.stack([seeds, tf.broadcast_to(taken, seeds.shape)], axis=-1)

    def _update(self, weights: Any, gradients: Any, slots: Any, taken: Any, rate: Any) -> tuple[Any, Any]:
        """One step of the optimizer for all windows, by the formulas that Keras uses."""
        pairs = list(zip(weights, gradients, strict=True))
        if self.key.optimizer == "sgd":
            return [w - rate * g for w, g in pairs], slots
        if self.key.optimizer == "rmsprop":
            squares = [_RHO * v + (1 - _RHO) * tf.square(g) for v, g in zip(slots[0], gradients, strict=True)]
            updated = [w - rate * g / tf.sqrt(v + _EPSILON) for (w, g), v in zip(pairs, squares, strict=True)]
            return updated, [squares]
        number = tf.cast(tf.maximum(taken, 1), self.key.dtype)
        scale = rate * tf.sqrt(1 - tf.pow(tf.constant(_BETA_2, self.key.dtype), number))
        scale = scale / (1 - tf.pow(tf.constant(_BETA_1, self.key.dtype), number))
        means = [m + (g - m) * (1 - _BETA_1) for m, g in zip(slots[0], gradients, strict=True)]
        squares = [v + (tf.square(g) - v) * (1 - _BETA_2) for v, g in zip(slots[1], gradients, strict=True)]
        updated = [
            w - _along(scale, w) * m / (tf.sqrt(v) + _EPSILON) for w, m, v in zip(weights, means, squares, strict=True)
        ]
        return updated, [means, squares]


@lru_cache(maxsize=32)
def program(key: ProgramKey) -> Program:
    """Return the program of a key, made once in a process."""
    return Program(key)


def _as_it_is(function: Any) -> Any:
    return function


def _along(values: Any, like: Any) -> Any:
    """One value for each window, in a shape that goes with a weight."""
    return tf.reshape(values, (-1, *[1] * (len(like.shape) - 1)))


def _where(active: Any, new: Any, old: Any) -> Any:
    return tf.where(_along(active, new), new, old)
