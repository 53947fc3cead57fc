"""A chain of layers as TensorFlow operations on many windows at once: each array has the window as its first axis."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from skdrfm.networks._chain import Chain, DenseLayer, DropoutLayer, FlattenLayer, Layer, LSTMLayer


def forward(chain: Chain, weights: Sequence[Any], x: Any, *, seeds: Any = None) -> Any:
    """Compute the output of each row.

    Parameters
    ----------
    chain : tuple of layers
        The architecture.
    weights : sequence of tensors of shape (n_windows, ...)
        Weights in the order of Keras.
    x : tensor of shape (n_windows, n_rows, n_timesteps, n_features)
        Input.
    seeds : tensor of int of shape (n_dropouts, n_windows, 2), default=None
        Seeds of the dropout layers at this step; None predicts without dropout.

    Returns
    -------
    tensor of shape (n_windows, n_rows)
        Output of the one unit.
    """
    left = iter(weights)
    n_dropped = 0
    for layer in chain:
        if isinstance(layer, LSTMLayer):
            x = _lstm(layer, left, x)
        elif isinstance(layer, DenseLayer):
            x = _dense(layer, left, x)
        elif isinstance(layer, DropoutLayer):
            if seeds is not None:
                x = _drop(x, layer.rate, seeds[n_dropped])
            n_dropped += 1
        elif isinstance(layer, FlattenLayer):
            x = tf.reshape(x, (x.shape[0], x.shape[1], -1))
        else:
            x = _activate(layer.activation, x)
    return x[..., 0]


def penalty(chain: Chain, weights: Sequence[Any]) -> Any:
    """L2 penalty of each window, shape (n_windows,); None where no layer has one."""
    total = None
    for layer, parts in weights_of_layers(chain, weights):
        for share, weight in zip(_penalties(layer), parts, strict=True):
            if share:
                one = share * tf.reduce_sum(tf.square(weight), axis=tuple(range(1, len(weight.shape))))
                total = one if total is None else total + one
    return total


def weights_of_layers(chain: Chain, weights: Sequence[Any]) -> Iterator[tuple[Layer, list[Any]]]:
    """Each layer with its own weights."""
    left = iter(weights)
    for layer in chain:
        yield layer, [next(left) for _ in _penalties(layer)]


def _penalties(layer: Layer) -> list[float]:
    """Penalty of each weight of a layer, in the order of its weights."""
    if isinstance(layer, DenseLayer):
        return [layer.penalty] + [0.0] * layer.use_bias
    if isinstance(layer, LSTMLayer):
        pairs = zip(layer.penalties[::2], layer.penalties[1::2], strict=True)
        return [share for pair in pairs for share in (*pair, *[0.0] * layer.use_bias)]
    return []


def _lstm(layer: LSTMLayer, weights: Iterator[Any], x: Any) -> Any:
    """Directions one after the other, step by step, with one product of input and state together in each.

    The input of all steps in one product would save nothing: it is cut into steps again, in another order in memory,
    which takes longer than the product (a step of the optimizer then takes a third longer on a processor).
    """
    n_steps = x.shape[2]
    outputs = []
    for backwards in layer.directions:
        kernel, recurrent = next(weights), next(weights)
        both = tf.concat([kernel, recurrent], axis=1)
        bias = next(weights)[:, None, :] if layer.use_bias else 0
        h, c = None, None
        by_step: list[Any] = [None] * n_steps
        for t in reversed(range(n_steps)) if backwards else range(n_steps):
            row = x[:, :, t]
            z = tf.matmul(row, kernel) if h is None else tf.matmul(tf.concat([row, h], axis=-1), both)
            i, f, g, o = _gates(layer, z + bias)
            c = i * g if c is None else f * c + i * g
            h = o * _activate(layer.activation, c)
            by_step[t] = h
        outputs.append(tf.stack(by_step, axis=2) if layer.sequences else h)
    return outputs[0] if len(outputs) == 1 else tf.concat(outputs, axis=-1)


def _gates(layer: LSTMLayer, z: Any) -> Any:
    """Input gate, forget gate, cell input and output gate, in the order of Keras."""
    if (layer.activation, layer.gate_activation) == ("tanh", "sigmoid"):
        # sigmoid(z) = (1 + tanh(z / 2)) / 2: one tanh over all four is faster than two kinds of activation.
        half = np.repeat([0.5, 0.5, 1.0, 0.5], layer.units).astype(z.dtype.as_numpy_dtype)
        return tf.split(tf.tanh(z * half) * half + (1 - half), 4, axis=-1)
    i, f, g, o = tf.split(z, 4, axis=-1)
    i, f, o = (_activate(layer.gate_activation, gate) for gate in (i, f, o))
    return i, f, _activate(layer.activation, g), o


def _dense(layer: DenseLayer, weights: Iterator[Any], x: Any) -> Any:
    kernel = next(weights)
    rows = tf.reshape(x, (x.shape[0], -1, x.shape[-1]))
    z = tf.matmul(rows, kernel)
    if layer.use_bias:
        z = z + next(weights)[:, None, :]
    return _activate(layer.activation, tf.reshape(z, (*x.shape[:-1], layer.units)))


def _drop(x: Any, rate: float, seeds: Any) -> Any:
    """Drop units with a mask of each window that depends on its own seed alone."""
    masks = [
        tf.random.stateless_uniform(x.shape[1:], seeds[window], dtype=x.dtype) >= rate for window in range(x.shape[0])
    ]
    return tf.where(tf.stack(masks), x / (1 - rate), tf.zeros_like(x))


def _activate(name: str, x: Any) -> Any:
    return x if name == "linear" else keras.activations.get(name)(x)
