"""From a Keras model to the records that skdrfm.lrp computes with."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from skdrfm._typing import AnyArray
from skdrfm.exceptions import UnsupportedLayerError
from skdrfm.lrp import LSTM, Bidirectional, Dense, Flatten, Network

Record = Dense | LSTM | Bidirectional | Flatten


def canonize(model: Any) -> Network:
    """Turn a Keras model into a network of NumPy records.

    Parameters
    ----------
    model : keras.Model
        Sequential or functional model: one input of shape (n_timesteps, n_features), layers one after the other,
        one output unit. Supported layers: Input, LSTM, Bidirectional(LSTM), Dense, Dropout, Flatten.

    Returns
    -------
    Network
        The same function for NumPy.

    Raises
    ------
    UnsupportedLayerError
        If a layer, an option of a layer or the shape of the graph is not supported. Nothing is ever skipped.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UnsupportedLayerError(
            f"The model must have one input and one output. Got {len(model.inputs)} inputs and "
            f"{len(model.outputs)} outputs. Use a model with one of each."
        )
    shape = model.inputs[0].shape
    if len(shape) != 3 or None in shape[1:]:
        raise UnsupportedLayerError(
            f"The input of the model must have the shape (None, n_timesteps, n_features). Got {tuple(shape)}. "
            "Start the model with keras.Input((n_timesteps, n_features))."
        )
    records: list[Record] = []
    for layer in _chain(model):
        convert = _CONVERTERS.get(type(layer))
        if convert is None:
            raise UnsupportedLayerError(
                f"Layer {layer.name!r} ({type(layer).__name__}) has no relevance rule. "
                f"Supported: {', '.join(sorted(kind.__name__ for kind in _CONVERTERS))}. "
                "Replace the layer, or explain the model with another method."
            )
        record = convert(layer)
        if record is not None:
            records.append(record)
    return Network(tuple(records), n_timesteps=int(shape[1]), n_features=int(shape[2]))


def _chain(model: Any) -> list[Any]:
    """Layers from input to output; raises if they are not one chain that uses each layer once."""
    layers = []
    tensor = model.outputs[0]
    while True:
        layer, node_index, _ = tensor._keras_history
        layers.append(layer)
        parents = layer._inbound_nodes[node_index].input_tensors
        if not parents:
            break
        if len(parents) > 1:
            raise UnsupportedLayerError(
                f"Layer {layer.name!r} ({type(layer).__name__}) must have one input. Got {len(parents)}. "
                "Use a model whose layers follow one another."
            )
        tensor = parents[0]
    return layers[::-1]


def _activation(layer: Any, attribute: str = "activation") -> str:
    return str(keras.activations.serialize(getattr(layer, attribute)))


def _bias(layer: Any, cell: Any, n: int) -> AnyArray:
    return np.asarray(cell.bias) if layer.use_bias else np.zeros(n)


def _dense(layer: Any) -> Dense:
    kernel = np.asarray(layer.kernel)
    return Dense(kernel, _bias(layer, layer, kernel.shape[1]), _activation(layer), name=layer.name)


def _lstm(layer: Any) -> LSTM:
    for option in ("stateful", "return_state"):
        if getattr(layer, option):
            raise UnsupportedLayerError(
                f"Layer {layer.name!r} (LSTM) must have {option}=False. Got {option}=True. Build it without."
            )
    kernel = np.asarray(layer.cell.kernel)
    return LSTM(
        kernel,
        np.asarray(layer.cell.recurrent_kernel),
        _bias(layer, layer.cell, kernel.shape[1]),
        activation=_activation(layer),
        recurrent_activation=_activation(layer, "recurrent_activation"),
        return_sequences=layer.return_sequences,
        go_backwards=layer.go_backwards,
        name=layer.name,
    )


def _bidirectional(layer: Any) -> Bidirectional:
    halves = []
    for half in (layer.forward_layer, layer.backward_layer):
        if type(half) is not keras.layers.LSTM:
            raise UnsupportedLayerError(
                f"Layer {layer.name!r} (Bidirectional) must hold LSTM layers. Got {type(half).__name__}. "
                "Use keras.layers.LSTM inside."
            )
        halves.append(_lstm(half))
    return Bidirectional(halves[0], halves[1], merge_mode=str(layer.merge_mode), name=layer.name)


def _nothing(layer: Any) -> None:
    """Layers that change nothing when predicting."""


_CONVERTERS: dict[type, Callable[[Any], Record | None]] = {
    keras.layers.InputLayer: _nothing,
    keras.layers.Dropout: _nothing,
    keras.layers.Flatten: lambda layer: Flatten(name=layer.name),
    keras.layers.Dense: _dense,
    keras.layers.LSTM: _lstm,
    keras.layers.Bidirectional: _bidirectional,
}
