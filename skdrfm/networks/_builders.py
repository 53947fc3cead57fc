"""Keras models of the paper's networks: recurrent (LSTM rows of Table 3) and dense (DNN rows)."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np

from skdrfm.networks._additive import AdditiveLSTMCell
from skdrfm.networks._records import NetworkMeta

# An unrolled loop traces and runs faster than a while-loop for the short sequences of factor models; beyond this
# length the traced graph grows too large.
_UNROLL_UP_TO = 8


def build_recurrent(
    meta: NetworkMeta,
    *,
    units: Sequence[int],
    bidirectional: bool,
    dense_units: Sequence[int],
    activation: str,
    dropout: float,
    l2: float,
    cell: str = "lstm",
) -> Any:
    """Build stacked, optionally bidirectional recurrent layers, a dense head and one linear output that starts at 0.

    Parameters
    ----------
    meta : NetworkMeta
        Shape of the input, seed and dtype.
    units : sequence of int
        Units of each LSTM layer.
    bidirectional : bool
        Whether each layer reads the sequence in both directions (concatenated).
    dense_units : sequence of int
        Units of the dense layers between the last LSTM layer and the output.
    activation : str
        Activation of cell candidates, cell outputs and dense layers.
    dropout : float
        Share of units dropped after each hidden layer while training.
    l2 : float
        Penalty on squared kernels and recurrent kernels.
    cell : {"lstm", "rudder"}, default="lstm"
        LSTM, or its additive form without forget and output gates.

    Returns
    -------
    keras.Model
        Uncompiled model of one input (n_timesteps, n_features) and one output unit.
    """
    seeds = _seeds(meta.seed)
    inputs = keras.Input((meta.n_timesteps, meta.n_features), dtype=meta.dtype, name="descriptors")
    hidden = inputs
    for depth, size in enumerate(units):
        one_direction = partial(
            _recurrent_layer,
            cell,
            size,
            activation=activation,
            l2=l2,
            return_sequences=depth < len(units) - 1,
            unroll=meta.n_timesteps <= _UNROLL_UP_TO,
            dtype=meta.dtype,
        )
        layer = one_direction(seeds, name=f"{cell}_{depth + 1}")
        if bidirectional:
            layer = keras.layers.Bidirectional(
                layer,
                backward_layer=one_direction(seeds, name=f"{cell}_{depth + 1}_backward", go_backwards=True),
                dtype=meta.dtype,
                name=f"bidirectional_{depth + 1}",
            )
        hidden = _drop(layer(hidden), dropout, seeds, meta.dtype)
    return _head(inputs, hidden, dense_units, activation, dropout, l2, seeds, meta.dtype)


def build_dense(meta: NetworkMeta, *, hidden_units: Sequence[int], activation: str, dropout: float, l2: float) -> Any:
    """Build a multi-layer perceptron on all descriptors of all lags, with one linear output that starts at 0.

    Parameters
    ----------
    meta : NetworkMeta
        Shape of the input, seed and dtype.
    hidden_units : sequence of int
        Units of each hidden layer.
    activation : str
        Activation of the hidden layers.
    dropout : float
        Share of units dropped after each hidden layer while training.
    l2 : float
        Penalty on squared kernels.

    Returns
    -------
    keras.Model
        Uncompiled model of one input (n_timesteps, n_features) and one output unit.
    """
    seeds = _seeds(meta.seed)
    inputs = keras.Input((meta.n_timesteps, meta.n_features), dtype=meta.dtype, name="descriptors")
    flat = keras.layers.Flatten(dtype=meta.dtype, name="flatten")(inputs)
    return _head(inputs, flat, hidden_units, activation, dropout, l2, seeds, meta.dtype)


def _recurrent_layer(
    cell: str, size: int, seeds: Iterator[int], *, activation: str, l2: float, dtype: str, **options: Any
) -> Any:
    weights = {
        "activation": activation,
        "kernel_initializer": keras.initializers.GlorotUniform(next(seeds)),
        "recurrent_initializer": keras.initializers.Orthogonal(seed=next(seeds)),
        "kernel_regularizer": _penalty(l2),
        "recurrent_regularizer": _penalty(l2),
        "dtype": dtype,
    }
    if cell == "lstm":
        return keras.layers.LSTM(size, **weights, **options)
    return keras.layers.RNN(AdditiveLSTMCell(size, **weights), dtype=dtype, **options)


def _head(
    inputs: Any,
    hidden: Any,
    sizes: Sequence[int],
    activation: str,
    dropout: float,
    l2: float,
    seeds: Iterator[int],
    dtype: str,
) -> Any:
    for depth, size in enumerate(sizes):
        dense = keras.layers.Dense(
            size,
            activation=activation,
            kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
            kernel_regularizer=_penalty(l2),
            dtype=dtype,
            name=f"dense_{depth + 1}",
        )
        hidden = _drop(dense(hidden), dropout, seeds, dtype)
    # The forecast starts at 0, which is close to the best forecast of a return: random output weights would start it
    # several times further away than returns are from 0, and ten epochs do not bring it back.
    output = keras.layers.Dense(
        1,
        kernel_initializer="zeros",
        kernel_regularizer=_penalty(l2),
        dtype=dtype,
        name="forecast",
    )
    return keras.Model(inputs, output(hidden))


def _seeds(seed: int) -> Iterator[int]:
    """One explicit seed for each use, so that nothing is drawn from a global generator."""
    sequence = np.random.SeedSequence(seed)
    while True:
        yield int(sequence.spawn(1)[0].generate_state(1)[0] >> 1)


def _penalty(l2: float) -> Any:
    return keras.regularizers.L2(l2) if l2 > 0 else None


def _drop(tensor: Any, dropout: float, seeds: Iterator[int], dtype: str) -> Any:
    if dropout == 0:
        return tensor
    return keras.layers.Dropout(dropout, seed=next(seeds), dtype=dtype)(tensor)
