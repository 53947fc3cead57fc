"""Networks with the parameters of an untrained one, layer by layer from the output down."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np

from skdrfm import lrp
from skdrfm._typing import FloatArray

# Statistics of the inputs, which no training has set.
_NOT_TRAINED = ("Normalization", "Rescaling")


class Stage(NamedTuple):
    """A network whose upper layers are untrained."""

    n_layers: int
    lowest: str
    network: lrp.Network


def cascade(network: lrp.Network, rng: np.random.Generator) -> list[Stage]:
    """Re-initialise one layer after the other, from the output down (Adebayo et al. 2018, 1810.03292).

    Parameters
    ----------
    network : Network
        The trained network, which stays as it is.
    rng : Generator
        Draws the parameters.

    Returns
    -------
    list of Stage
        One for each layer with parameters: that layer and all above it are untrained, in the last one all. A layer
        that is used twice stays one layer.
    """
    fresh: dict[int, lrp.Layer] = {}
    stages: list[Stage] = []
    for layer in reversed(network.layers):
        if id(layer) in fresh or not has_parameters(layer):
            continue
        fresh[id(layer)] = untrained(layer, rng)
        layers = [fresh.get(id(other), other) for other in network.layers]
        stages.append(Stage(len(stages) + 1, layer.name or layer.kind, replace(network, layers=layers)))
    return stages


def has_parameters(layer: lrp.Layer) -> bool:
    """Tell whether training sets numbers of a layer."""
    return isinstance(layer, lrp.Bidirectional) or (bool(_arrays(layer)) and layer.kind not in _NOT_TRAINED)


def untrained(layer: lrp.Layer, rng: np.random.Generator) -> lrp.Layer:
    """Give a layer the parameters that Keras begins with.

    Input weights are uniform with the limit ``sqrt(6 / (n_in + n_out))`` (Glorot and Bengio 2010), recurrent weights
    are orthogonal, biases and shifts 0 (1 for the forget gate of an LSTM), scales 1.

    Parameters
    ----------
    layer : Layer
        A layer with parameters.
    rng : Generator
        Draws the weights.

    Returns
    -------
    Layer
        A new record.
    """
    if isinstance(layer, lrp.Bidirectional):
        both: Any = {side: untrained(getattr(layer, side), rng) for side in ("forward", "backward")}
        return replace(layer, **both)
    changes: dict[str, Any] = {name: _begin(layer, name, values, rng) for name, values in _arrays(layer).items()}
    return replace(layer, **changes)  # type: ignore[type-var]  # every layer is a dataclass


def _arrays(layer: Any) -> Mapping[str, FloatArray]:
    values = {field.name: getattr(layer, field.name) for field in fields(layer)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def _begin(layer: lrp.Layer, name: str, values: FloatArray, rng: np.random.Generator) -> FloatArray:
    if name == "scale":
        return np.ones_like(values)
    if name in ("bias", "shift"):
        begin = np.zeros_like(values)
        if isinstance(layer, lrp.LSTM):
            begin[layer.n_units : 2 * layer.n_units] = 1
        return begin
    if name == "recurrent_kernel":
        return _orthogonal(values.shape, rng)
    limit = np.sqrt(6 / sum(values.shape))
    return rng.uniform(-limit, limit, size=values.shape)


def _orthogonal(shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    rows, columns = shape
    q, r = np.linalg.qr(rng.normal(size=(max(shape), min(shape))))
    q *= np.sign(np.diagonal(r))  # uniform over all orthogonal matrices
    return q if rows >= columns else q.T
