"""Reading a Keras model as a chain of layers that can be computed for many windows at once.

A chain is plain data without weights or seeds: two models of the same architecture have equal chains, which is what
compiled programs are kept by.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras.src.models.functional import Functional

from skdrfm.networks._canonize_common import name_of


class NotBatchable(Exception):
    """Why a model cannot be trained by our own program; its text completes "the model ... "."""


@dataclass(frozen=True)
class LSTMLayer:
    """One LSTM, or two that read the sequence in both directions and are concatenated.

    Parameters
    ----------
    units : int
        Units of each direction.
    activation, gate_activation : str
        Activation of cell candidates and outputs, and of the gates.
    use_bias : bool
        Whether each direction has a bias.
    directions : tuple of bool
        For each direction in the order of its weights whether it reads the last step first.
    sequences : bool
        Whether the output has a time axis.
    penalties : tuple of float
        L2 penalties of kernel and recurrent kernel of each direction.
    """

    units: int
    activation: str
    gate_activation: str
    use_bias: bool
    directions: tuple[bool, ...]
    sequences: bool
    penalties: tuple[float, ...]


@dataclass(frozen=True)
class DenseLayer:
    """A dense layer: units, name of its activation, whether it has a bias, L2 penalty of its kernel."""

    units: int
    activation: str
    use_bias: bool
    penalty: float


@dataclass(frozen=True)
class DropoutLayer:
    """Dropout at a rate; its seed is no part of the chain."""

    rate: float


@dataclass(frozen=True)
class FlattenLayer:
    """All time steps side by side."""


@dataclass(frozen=True)
class ActivationLayer:
    """An activation by name."""

    activation: str


Layer = LSTMLayer | DenseLayer | DropoutLayer | FlattenLayer | ActivationLayer
Chain = tuple[Layer, ...]

# Elementwise ones, by the names that Keras gives them.
_ACTIVATIONS = frozenset(
    {
        "elu",
        "exponential",
        "gelu",
        "hard_sigmoid",
        "leaky_relu",
        "linear",
        "relu",
        "selu",
        "sigmoid",
        "silu",
        "softplus",
    }
    | {"softsign", "tanh"}
)
_UNSUPPORTED_IF_SET = (
    "bias_regularizer",
    "activity_regularizer",
    "kernel_constraint",
    "recurrent_constraint",
    "bias_constraint",
    "dropout",
    "recurrent_dropout",
    "stateful",
    "return_state",
    "quantization_config",
    "lora_rank",
)


def read_chain(model: Any) -> tuple[Chain, tuple[int | None, ...]]:
    """Read a model whose layers follow one another.

    Parameters
    ----------
    model : keras.Model
        A Sequential or functional model of one input (n_timesteps, n_features) and one output unit.

    Returns
    -------
    chain : tuple of layers
        The layers in the order of computation; their weights are those of ``model.get_weights()`` in this order.
    seeds : tuple of int or None
        The seed of each dropout layer.

    Raises
    ------
    NotBatchable
        If a layer, an option or the shape of the graph is not supported.
    """
    # A subclass may compute its loss or take its steps in its own way.
    if type(model) not in (Functional, keras.Sequential):
        raise NotBatchable(f"is a {type(model).__name__}, which is neither Sequential nor functional")
    if not model.built:
        raise NotBatchable("does not say the shape of its input")
    if model.compiled:
        raise NotBatchable("comes compiled from its builder, with a loss and an optimizer of its own")
    chain: list[Layer] = []
    seeds: list[int | None] = []
    for layer in _layers_in_order(model):
        read = _READERS.get(type(layer))
        if read is None:
            raise NotBatchable(f"has a layer {layer.name!r} ({type(layer).__name__})")
        if str(layer.dtype_policy.name) not in ("float32", "float64"):
            raise NotBatchable(f"has a layer {layer.name!r} of dtype policy {layer.dtype_policy.name!r}")
        chain.append(read(layer))
        if isinstance(layer, keras.layers.Dropout):
            seeds.append(layer.seed)
    last = chain[-1] if chain else None
    if not isinstance(last, DenseLayer) or last.units != 1:
        raise NotBatchable("does not end in a dense layer of one unit")
    return tuple(chain), tuple(seeds)


def _layers_in_order(model: Any) -> Iterator[Any]:
    """Layers from the input to the output, if each reads the one before and nothing else."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise NotBatchable("has several inputs or outputs")
    layers = []
    tensor = model.outputs[0]
    while tensor is not model.inputs[0]:
        layer, node_index, _ = tensor._keras_history
        nodes = layer._inbound_nodes
        if not isinstance(layer, keras.layers.Layer) or len(nodes) != 1 or node_index != 0:
            raise NotBatchable(f"uses {layer.name!r} more than once or is no chain of layers")
        options = [value for value in nodes[0].arguments.kwargs.values() if value is not None and value is not False]
        if len(nodes[0].input_tensors) != 1 or options:
            raise NotBatchable(f"has a layer {layer.name!r} of several inputs or with options of its call")
        layers.append(layer)
        tensor = nodes[0].input_tensors[0]
        if isinstance(layer, keras.layers.InputLayer):
            raise NotBatchable("is part of another model")
    if len(tensor.shape) != 3 or None in tensor.shape[1:]:
        raise NotBatchable(f"has an input of shape {tuple(tensor.shape)}")
    counted = sum(len(layer.weights) for layer in layers)
    if counted != len(model.weights):
        raise NotBatchable("has weights outside of its chain of layers")
    if len(model.trainable_weights) != len(model.weights):
        raise NotBatchable("has weights that are not trained")
    yield from reversed(layers)


def _read_lstm(layer: Any) -> LSTMLayer:
    if layer.go_backwards and layer.return_sequences:
        raise NotBatchable(f"has a layer {layer.name!r} that returns sequences backwards")
    return _lstm(layer, directions=(bool(layer.go_backwards),), sequences=bool(layer.return_sequences))


def _read_bidirectional(layer: Any) -> LSTMLayer:
    parts = (layer.forward_layer, layer.backward_layer)
    if any(type(part) is not keras.layers.LSTM for part in parts) or layer.merge_mode != "concat":
        raise NotBatchable(f"has a layer {layer.name!r} that does not concatenate two LSTM layers")
    one, two = (
        _lstm(part, directions=(bool(part.go_backwards),), sequences=bool(part.return_sequences)) for part in parts
    )
    # Keras turns the output of the second layer round, whichever way the first one reads.
    if one.directions != (False,):
        raise NotBatchable(f"has a layer {layer.name!r} whose first direction reads the last step first")
    if replace(two, directions=one.directions, penalties=one.penalties) != one:
        raise NotBatchable(f"has a layer {layer.name!r} whose directions differ in more than their direction")
    return replace(one, directions=one.directions + two.directions, penalties=one.penalties + two.penalties)


def _lstm(layer: Any, *, directions: tuple[bool, ...], sequences: bool) -> LSTMLayer:
    config = _plain_config(layer)
    return LSTMLayer(
        units=int(config["units"]),
        activation=_activation(layer, layer.cell.activation),
        gate_activation=_activation(layer, layer.cell.recurrent_activation),
        use_bias=bool(config["use_bias"]),
        directions=directions,
        sequences=sequences,
        penalties=(_l2(layer, "kernel_regularizer"), _l2(layer, "recurrent_regularizer")),
    )


def _read_dense(layer: Any) -> DenseLayer:
    config = _plain_config(layer)
    return DenseLayer(
        int(config["units"]),
        _activation(layer, layer.activation),
        bool(config["use_bias"]),
        _l2(layer, "kernel_regularizer"),
    )


def _read_flatten(layer: Any) -> FlattenLayer:
    if layer.data_format != "channels_last":
        raise NotBatchable(f"has a layer {layer.name!r} with data_format={layer.data_format!r}")
    return FlattenLayer()


def _read_dropout(layer: Any) -> DropoutLayer:
    if layer.noise_shape is not None:
        raise NotBatchable(f"has a layer {layer.name!r} with noise_shape={layer.noise_shape!r}")
    return DropoutLayer(float(layer.rate))


def _plain_config(layer: Any) -> Mapping[str, Any]:
    config: Mapping[str, Any] = layer.get_config()
    for name in _UNSUPPORTED_IF_SET:
        if config.get(name):
            raise NotBatchable(f"has a layer {layer.name!r} with {name}={config[name]!r}")
    return config


def _activation(layer: Any, function: Any) -> str:
    known = name_of(function)
    if known is None or known not in _ACTIVATIONS:
        named = function if hasattr(function, "__name__") else type(function)
        raise NotBatchable(f"has a layer {layer.name!r} with the activation {named.__name__!r} of {named.__module__}")
    return known


def _l2(layer: Any, name: str) -> float:
    part = layer.cell if isinstance(layer, keras.layers.LSTM) else layer
    penalty = getattr(part, name)
    if penalty is None:
        return 0.0
    if type(penalty) is not keras.regularizers.L2:
        raise NotBatchable(f"has a layer {layer.name!r} with {name} of type {type(penalty).__name__}")
    return float(penalty.l2)


_READERS: Mapping[type, Any] = {
    keras.layers.LSTM: _read_lstm,
    keras.layers.Bidirectional: _read_bidirectional,
    keras.layers.Dense: _read_dense,
    keras.layers.Dropout: _read_dropout,
    keras.layers.Flatten: _read_flatten,
    keras.layers.Activation: lambda layer: ActivationLayer(_activation(layer, layer.activation)),
}
