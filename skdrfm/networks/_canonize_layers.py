"""From one Keras layer, or one operation on tensors, to the records that compute the same."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import keras
import numpy as np
from keras.src.ops import numpy as operations

from skdrfm import lrp
from skdrfm._typing import FloatArray
from skdrfm.exceptions import UnsupportedLayerError
from skdrfm.lrp._activations import ACTIVATIONS, LINKS
from skdrfm.lrp._elementwise import Elementwise
from skdrfm.lrp._layer import Shape
from skdrfm.networks._canonize_common import (
    REPLACE,
    Converter,
    Link,
    Record,
    activation_name,
    check_numbers,
    name_of,
    refuse,
    title,
    to_array,
)
from skdrfm.networks._canonize_recurrent import RECURRENT, bidirectional, recurrent


def convert_layer(layer: Any, name: str, shapes: Sequence[Shape]) -> tuple[Record, ...]:
    """Turn a Keras layer into records, which follow one another.

    Parameters
    ----------
    layer : keras.layers.Layer
        A built layer.
    name : str
        Its name, with those of the models around it.
    shapes : sequence of tuples of int
        Shapes of its inputs for one sample.

    Returns
    -------
    tuple of Record
        One record, or more for a layer with an activation that is a layer of its own.

    Raises
    ------
    UnsupportedLayerError
        If the layer, or one of its options, has no relevance rule.
    """
    converter = find_converter(layer, name)
    check_numbers(layer, name)
    return tuple(converter(layer, name, shapes))


def find_converter(layer: Any, name: str) -> Converter:
    """Find the function that converts a layer; raises if its type has no relevance rule."""
    # A subclass may compute something else: only the class itself counts.
    converter = _CONVERTERS.get(type(layer))
    if converter is None:
        raise UnsupportedLayerError(
            f"Layer {title(layer, name)} has no relevance rule. Supported: {', '.join(supported())}; models inside "
            f"models, slices of tensors, and their sums and differences. {REPLACE}"
        )
    return converter


def convert_operation(operation: Any, name: str, shapes: Sequence[Shape], arguments: Mapping[str, Any]) -> lrp.Layer:
    """Turn an operation on tensors, such as ``x[:, -1, :]`` or ``x + y``, into a record.

    Parameters
    ----------
    operation : keras.Operation
        The operation.
    name : str
        Its name.
    shapes : sequence of tuples of int
        Shapes of the tensors that it reads, for one sample.
    arguments : mapping of str to object
        Arguments of its call.

    Returns
    -------
    Layer
        The record.

    Raises
    ------
    UnsupportedLayerError
        If the operation has no relevance rule.
    """
    if type(operation) is operations.GetItem:
        return lrp.Take(_key(operation, name, arguments["key"], len(shapes[0])), name=name)
    weights = _SUMS.get(type(operation))
    if weights is None:
        raise UnsupportedLayerError(
            f"Operation {title(operation, name)} has no relevance rule. Supported: slices of tensors, and sums and "
            f"differences of two. Use one of these layers instead: {', '.join(supported())}."
        )
    if len(shapes) != 2:
        refuse(operation, name, "have two tensors", "a number", "Use keras.layers.Rescaling for constants.")
    return lrp.Add(weights, name=name)


def supported() -> list[str]:
    """Return the types of layers that have a relevance rule."""
    return sorted(kind.__name__ for kind in (*_CONVERTERS, keras.layers.InputLayer))


def _activation_of(layer: Any, name: str, shape: Shape) -> tuple[str, tuple[Record, ...]]:
    """Activation of a layer: the name of one that is 0 at 0, or "linear" and the records of another."""
    function = layer.activation
    if isinstance(function, keras.layers.Layer):
        records = convert_layer(function, f"{name}/{function.name}", [shape])
        if not all(isinstance(record, Elementwise | Link) for record in records):
            refuse(layer, name, "have an elementwise activation", type(function).__name__, REPLACE)
        return "linear", records
    known = name_of(function)
    if known in LINKS:
        return "linear", (Link(str(known), name, type(layer).__name__),)
    return activation_name(function, layer, name, "activation", ACTIVATIONS), ()


def _dense(layer: Any, name: str, shapes: Sequence[Shape]) -> list[Record]:
    kernel = to_array(layer.kernel)
    bias = np.zeros(kernel.shape[1]) if layer.bias is None else to_array(layer.bias)
    activation, records = _activation_of(layer, name, (*shapes[0][:-1], kernel.shape[1]))
    return [lrp.Dense(kernel, bias, activation, name=name), *records]


def _activation(layer: Any, name: str, shapes: Sequence[Shape]) -> Sequence[Record]:
    activation, records = _activation_of(layer, name, shapes[0])
    return records or [lrp.Activation(activation, name=name)]


def _relu(layer: Any, name: str, shapes: Sequence[Shape]) -> list[Record]:
    maximum, slope = layer.max_value, float(layer.negative_slope)
    if layer.threshold:
        refuse(layer, name, "have threshold=0", f"threshold={layer.threshold:g}", REPLACE)
    if maximum is not None and slope:
        got = f"max_value={maximum:g} and negative_slope={slope:g}"
        refuse(layer, name, "have a max_value or a negative_slope", got, "Use one of the two.")
    if maximum is not None:
        return [lrp.Activation("relu6", float(maximum), name=name)]
    return [lrp.Activation("leaky_relu", slope, name=name) if slope else lrp.Activation("relu", name=name)]


def _leaky_relu(layer: Any, name: str, shapes: Sequence[Shape]) -> list[Record]:
    return [lrp.Activation("leaky_relu", float(layer.negative_slope), name=name)]


def _elu(layer: Any, name: str, shapes: Sequence[Shape]) -> list[Record]:
    return [lrp.Activation("elu", float(layer.alpha), name=name)]


def _nothing(layer: Any, name: str, shapes: Sequence[Shape]) -> list[Record]:
    """Layers that change nothing when predicting."""
    return [lrp.Identity(type(layer).__name__, name=name)]


def _time_distributed(layer: Any, name: str, shapes: Sequence[Shape]) -> list[Record]:
    inner = layer.layer
    records = convert_layer(inner, name, [shapes[0][1:]]) if type(inner) in _CONVERTERS else ()
    fits = all(isinstance(record, Elementwise | lrp.Dense | Link) for record in records)
    if not records or not fits:
        refuse(layer, name, "hold a Dense or an elementwise layer", type(inner).__name__, REPLACE)
    return list(records)


def _is_last_axis(axis: Any, shape: Shape) -> bool:
    axes = axis if isinstance(axis, list | tuple) else [axis]
    return [int(one) % (len(shape) + 1) for one in axes] == [len(shape)]


def _check_last_axis(layer: Any, name: str, shape: Shape) -> None:
    if not _is_last_axis(layer.axis, shape):
        refuse(layer, name, "normalize along the last axis", f"axis={layer.axis}", "Build it with axis=-1.")


def _gamma_and_beta(layer: Any, n_units: int) -> tuple[FloatArray, FloatArray]:
    scale = np.ones(n_units) if layer.gamma is None else to_array(layer.gamma)
    shift = np.zeros(n_units) if layer.beta is None else to_array(layer.beta)
    return scale, shift


def _batch_normalization(layer: Any, name: str, shapes: Sequence[Shape]) -> list[Record]:
    _check_last_axis(layer, name, shapes[0])
    scale, shift = _gamma_and_beta(layer, shapes[0][-1])
    scale = scale / np.sqrt(to_array(layer.moving_variance) + layer.epsilon)
    shift = shift - to_array(layer.moving_mean) * scale
    return [lrp.Scale(scale, shift, type(layer).__name__, name=name)]


def _layer_normalization(layer: Any, name: str, shapes: Sequence[Shape]) -> list[Record]:
    _check_last_axis(layer, name, shapes[0])
    if getattr(layer, "rms_scaling", False):
        refuse(layer, name, "have rms_scaling=False", "rms_scaling=True", "Build it without.")
    return [lrp.LayerNormalization(*_gamma_and_beta(layer, shapes[0][-1]), float(layer.epsilon), name=name)]


def _rescaling(layer: Any, name: str, shapes: Sequence[Shape]) -> list[Record]:
    scale, shift = to_array(layer.scale), to_array(layer.offset)
    wanted = ((), (1,), shapes[0][-1:])
    if scale.shape not in wanted or shift.shape not in wanted:
        got = f"shapes {scale.shape} and {shift.shape}"
        refuse(layer, name, "have one scale and offset, or one for each unit", got, "Use numbers.")
    scale, shift = (np.broadcast_to(array, shapes[0][-1:]) for array in (scale, shift))
    return [lrp.Scale(scale, shift, type(layer).__name__, name=name)]


def _normalization(layer: Any, name: str, shapes: Sequence[Shape]) -> list[Record]:
    if layer.axis:  # without an axis, all units share one mean
        _check_last_axis(layer, name, shapes[0])
    mean, variance = (
        np.broadcast_to(to_array(array).ravel(), shapes[0][-1:]) for array in (layer.mean, layer.variance)
    )
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    scale, shift = (deviation, mean) if layer.invert else (1 / deviation, -mean / deviation)
    return [lrp.Scale(scale, shift, type(layer).__name__, name=name)]


def _masking(layer: Any, name: str, shapes: Sequence[Shape]) -> list[Record]:
    if len(shapes[0]) != 2:
        refuse(layer, name, "read a sequence", f"an input of shape {shapes[0]}", "Leave it out.")
    return [lrp.Masking(float(layer.mask_value), name=name)]


def _check_channels_last(layer: Any, name: str) -> None:
    if layer.data_format != "channels_last":
        refuse(layer, name, "have data_format='channels_last'", repr(layer.data_format), "Build it with this one.")


def _flatten(layer: Any, name: str, shapes: Sequence[Shape]) -> list[Record]:
    _check_channels_last(layer, name)
    return [lrp.Flatten(name=name)]


def _mean_over_time(layer: Any, name: str, shapes: Sequence[Shape]) -> list[Record]:
    _check_channels_last(layer, name)
    return [lrp.MeanOverTime(bool(layer.keepdims), name=name)]


def _reshape(layer: Any, name: str, shapes: Sequence[Shape]) -> list[Record]:
    target = tuple(map(int, layer.target_shape))
    rest = prod(shapes[0]) // prod(size for size in target if size != -1)
    return [lrp.Reshape(tuple(rest if size == -1 else size for size in target), name=name)]


def _concatenate(layer: Any, name: str, shapes: Sequence[Shape]) -> list[Record]:
    axis = int(layer.axis) % (len(shapes[0]) + 1)
    if axis == 0:
        refuse(layer, name, "keep samples apart", f"axis={layer.axis}", "Use axis=-1.")
    return [lrp.Concatenate(axis - 1, name=name)]


def _add(layer: Any, name: str, shapes: Sequence[Shape]) -> list[Record]:
    return [lrp.Add((1.0,) * len(shapes), name=name)]


def _average(layer: Any, name: str, shapes: Sequence[Shape]) -> list[Record]:
    return [lrp.Add((1 / len(shapes),) * len(shapes), name=name)]


def _subtract(layer: Any, name: str, shapes: Sequence[Shape]) -> list[Record]:
    return [lrp.Add((1.0, -1.0), name=name)]


def _key(operation: Any, name: str, key: Any, n_axes: int) -> tuple[int | slice, ...]:
    """Index of the axes of one sample that a slice of a tensor stands for."""
    parts = list(key) if isinstance(key, list | tuple) else [key]
    dots = [position for position, part in enumerate(parts) if part is Ellipsis]
    if dots:
        parts[dots[0] : dots[0] + 1] = [slice(None)] * (n_axes + 2 - len(parts))
    if not all(isinstance(part, int | slice) for part in parts):
        refuse(operation, name, "have a key of whole numbers and slices", f"{key}", "Use Reshape for new axes.")
    if not isinstance(parts[0], slice) or parts[0] != slice(None):
        refuse(operation, name, "keep all samples", f"the key {key}", "Start the key with a colon: x[:, -1].")
    return tuple(parts[1:]) or (slice(None),)


_SUMS: dict[type, tuple[float, float]] = {operations.Add: (1.0, 1.0), operations.Subtract: (1.0, -1.0)}

_layers = keras.layers

_CONVERTERS: dict[type, Converter] = {
    _layers.Activation: _activation,
    _layers.ActivityRegularization: _nothing,
    _layers.Add: _add,
    _layers.AlphaDropout: _nothing,
    _layers.Average: _average,
    _layers.BatchNormalization: _batch_normalization,
    _layers.Bidirectional: bidirectional,
    _layers.Concatenate: _concatenate,
    _layers.Dense: _dense,
    _layers.Dropout: _nothing,
    _layers.ELU: _elu,
    _layers.Flatten: _flatten,
    _layers.GaussianDropout: _nothing,
    _layers.GaussianNoise: _nothing,
    _layers.GlobalAveragePooling1D: _mean_over_time,
    _layers.Identity: _nothing,
    _layers.LayerNormalization: _layer_normalization,
    _layers.LeakyReLU: _leaky_relu,
    _layers.Masking: _masking,
    _layers.Normalization: _normalization,
    _layers.ReLU: _relu,
    _layers.Rescaling: _rescaling,
    _layers.Reshape: _reshape,
    _layers.SpatialDropout1D: _nothing,
    _layers.Subtract: _subtract,
    _layers.TimeDistributed: _time_distributed,
    **dict.fromkeys(RECURRENT, recurrent),
}
