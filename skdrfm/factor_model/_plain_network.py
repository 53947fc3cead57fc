"""A trained network as JSON values and arrays, and back, without Keras.

The layers for NumPy are written field by field, so that a loaded network predicts and explains with the bits of the
saved one and needs no TensorFlow. The weights for Keras are written once: a field that holds the same numbers names
their array. Keras' own description of the architecture comes along for ``model_``.
"""

import dataclasses
import json
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from skdrfm import lrp
from skdrfm._typing import AnyArray, FloatArray
from skdrfm.exceptions import PersistenceError
from skdrfm.factor_model._keras_config import check_keras_config, without_compilation
from skdrfm.factor_model._plain_values import Plain, as_bool, as_float, as_int, as_list, as_text, check_keys
from skdrfm.lrp._layer import Shape
from skdrfm.lrp._network import INPUT, Source
from skdrfm.lrp._recurrent import Recurrent
from skdrfm.lrp._structure import Key
from skdrfm.networks import TrainedNetwork
from skdrfm.utils.validation import describe_first

LAYERS: Mapping[str, type[lrp.Layer]] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            lrp.Activation,
            lrp.Add,
            lrp.AdditiveLSTM,
            lrp.Bidirectional,
            lrp.Concatenate,
            lrp.Dense,
            lrp.Flatten,
            lrp.GRU,
            lrp.Identity,
            lrp.LSTM,
            lrp.LayerNormalization,
            lrp.Masking,
            lrp.MeanOverTime,
            lrp.Reshape,
            lrp.Scale,
            lrp.SimpleRNN,
            lrp.Take,
        )
    }
)
"""Layers by the name that files know them by."""

MAX_SIGNALS = 1 << 22
"""Most numbers that all layers together may put out for one row, far beyond networks for factor models.

A few bytes can describe layers that each double what the one before gave.
"""


class ArrayStore:
    """Arrays by position."""

    def __init__(self) -> None:
        self.arrays: list[AnyArray] = []
        self._known: dict[tuple[Any, ...], int] = {}

    def add(self, array: AnyArray) -> int:
        """Append an array and return its position."""
        position = len(self.arrays)
        self.arrays.append(array)
        self._known.setdefault(self._key(array), position)
        return position

    def find_or_add(self, array: FloatArray) -> int:
        """Return the position of an array with the same numbers in any precision; append it if there is none."""
        known = self._known.get(self._key(array))
        return self.add(array) if known is None else known

    @staticmethod
    def _key(array: AnyArray) -> tuple[Any, ...]:
        return array.shape, array.astype(np.float64).tobytes()


def network_to_plain(trained: TrainedNetwork, store: ArrayStore) -> dict[str, Plain]:
    """Describe a trained network in JSON values, and put its arrays into a store.

    Parameters
    ----------
    trained : TrainedNetwork
        The network; `TrainedNetwork.network` must be there.
    store : ArrayStore
        Takes the arrays.

    Returns
    -------
    dict of str to JSON value
        The description, with arrays by position.

    Raises
    ------
    PersistenceError
        If a layer has no relevance rule, or belongs to no class on the list.
    """
    network = trained.network
    if network is None:
        raise PersistenceError(
            "A network must have a relevance rule for every layer to be saved, since a file with other layers could "
            f"run code when it is loaded. Got: {trained.unsupported} Keep it with joblib.dump, or its model_ with "
            "model_.save('model.keras')."
        )
    config = without_compilation(json.loads(trained.config))
    check_keras_config(config)
    names = list(trained.history)
    return {
        "keras_config": config,
        "weights": [store.add(weight) for weight in trained.weights],
        "history_names": names,
        "history": store.add(np.array([trained.history[name] for name in names], dtype=np.float64)),
        "layers": [_layer_to_plain(layer, store) for layer in network.layers],
        "sources": [[list(source) for source in network.reads(position)] for position in range(len(network.layers))],
        "output_activation": network.output_activation,
    }


def network_from_plain(
    plain: Mapping[str, Plain], arrays: Sequence[AnyArray], *, n_timesteps: int, n_features: int
) -> TrainedNetwork:
    """Build a trained network from its description, and let it compute one row.

    Parameters
    ----------
    plain : mapping of str to JSON value
        What `network_to_plain` has made, or anything else.
    arrays : sequence of ndarray
        The arrays.
    n_timesteps, n_features : int
        Shape of a row, which the network must read.

    Returns
    -------
    TrainedNetwork
        The network; nothing of Keras is loaded.

    Raises
    ------
    PersistenceError
        If something is missing, of a wrong type or not on a list.
    SkdrfmError, LookupError, TypeError, ValueError
        If layers do not fit each other.
    """
    wanted = ("keras_config", "weights", "history_names", "history", "layers", "sources", "output_activation")
    check_keys("The network", plain, wanted)
    check_keras_config(plain["keras_config"])
    layers = [_layer_from_plain(layer, arrays) for layer in as_list(plain["layers"])]
    sources = [[_source(source) for source in as_list(entry)] for entry in as_list(plain["sources"], len(layers))]
    _check_sizes(layers, sources, (n_timesteps, n_features))
    network = lrp.Network(
        layers,
        n_timesteps=n_timesteps,
        n_features=n_features,
        sources=sources,
        output_activation=plain["output_activation"],
    )
    _check_computes(network)
    names = [as_text(name) for name in as_list(plain["history_names"])]
    losses = _array_at(arrays, plain["history"])
    return TrainedNetwork(
        config=json.dumps(plain["keras_config"]),
        weights=tuple(finite_array_at(arrays, position) for position in as_list(plain["weights"])),
        network=network,
        history={name: [float(loss) for loss in row] for name, row in zip(names, losses, strict=True)},
    )


def _check_sizes(layers: Sequence[lrp.Layer], sources: Sequence[Sequence[Source]], shape: Shape) -> None:
    """Bound what a network computes for one row, before memory is taken for it."""
    shapes: dict[Source, Shape] = {(INPUT, 0): shape}
    total = 0
    for position, (layer, reads) in enumerate(zip(layers, sources, strict=True)):
        if not shapes.keys() >= set(reads):
            raise PersistenceError(
                f"Layer {position} must read outputs of earlier layers. Got {describe_first(reads)}."
            )
        inputs = [shapes[source] for source in reads]
        # A layer that joins its inputs makes as many numbers of them, and finds its shape by doing so.
        joined = sum(map(math.prod, inputs)) if isinstance(layer, lrp.Concatenate) else 0
        outputs = layer.output_shapes(inputs) if joined <= MAX_SIGNALS else ()
        total += max(joined, sum(map(math.prod, outputs)))
        if total > MAX_SIGNALS:
            raise PersistenceError(
                f"All layers together must put out at most {MAX_SIGNALS:,} numbers for a row. Got {total:,} up to "
                f"layer {position} of {len(layers)}. Keep a network of this size with joblib.dump."
            )
        shapes.update({(position, number): output for number, output in enumerate(outputs)})


def _check_computes(network: lrp.Network) -> None:
    """Let a network predict and explain a row of zeros, which finds what shapes alone do not tell."""
    row = np.zeros((1, network.n_timesteps, network.n_features))
    with np.errstate(all="ignore"):
        relevance = lrp.propagate(network, row, n_threads=1)
        predictions = lrp.predict(network, row, n_threads=1)
    if not all(np.isfinite(part).all() for part in (predictions, relevance.predictions, relevance.loadings)):
        raise PersistenceError("The network must give a finite prediction for a row of zeros. Got NaN or infinity.")


def _source(plain: Plain) -> Source:
    position, number = (as_int(part) for part in as_list(plain, 2))
    return position, number


def _layer_to_plain(layer: Any, store: ArrayStore) -> dict[str, Plain]:
    plain: dict[str, Plain] = {"layer": type(layer).__name__}
    for field in dataclasses.fields(layer):
        value = getattr(layer, field.name)
        if field.type is FloatArray:
            plain[field.name] = store.find_or_add(value)
        elif field.type is Recurrent:
            plain[field.name] = _layer_to_plain(value, store)
        else:
            plain[field.name] = _ENCODERS[field.type](value)
    return plain


def _layer_from_plain(plain: Plain, arrays: Sequence[AnyArray], within: str = "") -> Any:
    kind: Any = LAYERS.get(str(plain.get("layer"))) if isinstance(plain, dict) else None
    if kind is None or (within and not issubclass(kind, Recurrent)):
        raise PersistenceError(f"A layer{within} must be one of {', '.join(LAYERS)}. Got {str(plain)[:60]}.")
    fields = dataclasses.fields(kind)
    check_keys(f"The layer {kind.__name__}", plain, ("layer", *(field.name for field in fields)))
    values = {}
    for field in fields:
        value = plain[field.name]
        if field.type is FloatArray:
            values[field.name] = finite_array_at(arrays, value)
        elif field.type is Recurrent:
            values[field.name] = _layer_from_plain(value, arrays, " of a bidirectional one")
        else:
            values[field.name] = _DECODERS[field.type](value)
    return kind(**values)


def finite_array_at(arrays: Sequence[AnyArray], position: Plain) -> AnyArray:
    """Return the array at a position; refuse one with NaN or infinity."""
    array = _array_at(arrays, position)
    if not np.isfinite(array).all():
        raise PersistenceError(f"Weights must be finite. Got NaN or infinity in array {position}.")
    return array


def _array_at(arrays: Sequence[AnyArray], position: Plain) -> AnyArray:
    if not 0 <= as_int(position) < len(arrays):
        raise PersistenceError(f"An array must be one of {len(arrays)}. Got the position {position}.")
    return arrays[position]


def _shape(plain: Plain) -> Shape:
    shape = tuple(as_int(size) for size in as_list(plain))
    if len(shape) not in (1, 2) or min(shape) < 1:
        raise PersistenceError(f"A shape must have one or two sizes from 1 on. Got {list(shape)}.")
    return shape


def _index_to_plain(index: int | slice) -> Plain:
    if isinstance(index, slice):
        return [None if bound is None else operator.index(bound) for bound in (index.start, index.stop, index.step)]
    return operator.index(index)


def _index(plain: Plain) -> int | slice:
    if isinstance(plain, list):
        return slice(*(None if bound is None else as_int(bound) for bound in as_list(plain, 3)))
    return as_int(plain)


_Codec: TypeAlias = Mapping[Any, Callable[[Any], Any]]

_ENCODERS: _Codec = MappingProxyType(
    {
        bool: bool,
        float: float,
        int: operator.index,
        str: str,
        float | None: lambda value: None if value is None else float(value),
        tuple[float, ...] | None: lambda value: None if value is None else [float(number) for number in value],
        Shape: lambda value: [operator.index(size) for size in value],
        Key: lambda value: [_index_to_plain(index) for index in value],
    }
)
"""Type of a field of a layer -> how its value is written."""

_DECODERS: _Codec = MappingProxyType(
    {
        bool: as_bool,
        float: as_float,
        int: as_int,
        str: as_text,
        float | None: lambda plain: None if plain is None else as_float(plain),
        tuple[float, ...] | None: lambda plain: None if plain is None else tuple(map(as_float, as_list(plain))),
        Shape: _shape,
        Key: lambda plain: tuple(map(_index, as_list(plain))),
    }
)
"""Type of a field of a layer -> how its value is read."""
