"""What the converters of Keras layers share: messages, weights, and the names of activations."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple, NoReturn, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from skdrfm import lrp
from skdrfm._typing import FloatArray
from skdrfm.exceptions import UnsupportedLayerError
from skdrfm.lrp._activations import GATES
from skdrfm.lrp._layer import Shape

REPLACE = "Replace the layer, or explain the model with another method."


class Link(NamedTuple):
    """An activation that is not 0 at 0: part of a network only as the function of its output."""

    activation: str
    name: str
    kind: str


Record: TypeAlias = lrp.Layer | Link
Converter: TypeAlias = Callable[[Any, str, Sequence[Shape]], Sequence[Record]]
"""Function of the layer, its full name, and the shapes of its inputs for one sample."""


def title(layer: Any, name: str) -> str:
    """Name and type of a layer, for messages."""
    return f"{name!r} ({type(layer).__name__})"


def refuse(layer: Any, name: str, must: str, got: str, way_out: str) -> NoReturn:
    """Refuse an option of a layer."""
    raise UnsupportedLayerError(f"Layer {title(layer, name)} must {must}. Got {got}. {way_out}")


def check_numbers(layer: Any, name: str) -> None:
    """Refuse layers whose weights or results are not plain floats."""
    if getattr(layer, "quantization_mode", None):
        refuse(layer, name, "have plain weights", f"{layer.quantization_mode} weights", "Explain it before quantizing.")
    if "float" not in str(layer.compute_dtype):
        refuse(layer, name, "compute in floats", f"dtype {layer.compute_dtype!r}", "Build it with dtype='float32'.")


def to_array(variable: Any) -> FloatArray:
    """Copy a weight in float64."""
    return np.asarray(variable).astype(np.float64)


@cache
def _names() -> dict[Any, str]:
    names: dict[Any, str] = {}
    for module in (tf.nn, keras.ops, keras.activations):
        for name in GATES:
            # The gelu of keras.ops is an approximation unless it is told otherwise.
            if hasattr(module, name) and not (name == "gelu" and module is keras.ops):
                names[getattr(module, name)] = name
    return names


def name_of(function: Any) -> str | None:
    """Name under which skdrfm.lrp knows a function; None for others.

    A function of a user may carry any name, so that functions are compared and not their names.
    """
    try:
        return _names().get(function)
    except TypeError:  # what cannot be a key is none of them
        return None


def activation_name(function: Any, layer: Any, name: str, option: str, choices: Iterable[str]) -> str:
    """Name of the activation or gate of a layer; raises if it is none of the choices."""
    known = name_of(function)
    if known is None or known not in choices:
        shown = known or getattr(function, "__name__", type(function).__name__)
        raise UnsupportedLayerError(
            f"The {option} {shown!r} of layer {title(layer, name)} has no relevance rule. "
            f"Supported: {', '.join(map(repr, sorted(choices)))}. Train the model with one of them."
        )
    return known
