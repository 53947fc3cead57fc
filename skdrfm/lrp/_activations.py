"""Activations of units and of gates, written into given arrays.

The activation of a unit must be 0 at 0 with slope 1 there: the rule divides it by its
pre-activation, and only then is the quotient finite at 0, with the limit 1.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np

from skdrfm._typing import FloatArray

Activation: TypeAlias = Callable[[FloatArray, FloatArray], object]


class Gate(NamedTuple):
    """A squashing function of ``scale * z``; the scale is folded into the weights beforehand."""

    scale: float
    squash: Callable[[FloatArray], object]


def _linear(z: FloatArray, out: FloatArray) -> None:
    np.copyto(out, z)


def _relu(z: FloatArray, out: FloatArray) -> None:
    np.maximum(z, 0, out=out)


def _tanh(z: FloatArray, out: FloatArray) -> None:
    np.tanh(z, out=out)


def _elu(z: FloatArray, out: FloatArray) -> None:
    np.minimum(z, 0, out=out)
    np.expm1(out, out=out)
    np.copyto(out, z, where=z > 0)


def _sigmoid(half_z: FloatArray) -> None:
    # (1 + tanh(z / 2)) / 2 never overflows, and tanh is faster than exp and a division.
    np.tanh(half_z, out=half_z)
    half_z *= 0.5
    half_z += 0.5


def _hard_sigmoid(sixth_z: FloatArray) -> None:
    sixth_z += 0.5
    np.clip(sixth_z, 0, 1, out=sixth_z)


ACTIVATIONS: Mapping[str, Activation] = MappingProxyType({"elu": _elu, "linear": _linear, "relu": _relu, "tanh": _tanh})
"""Name -> function of (z, out). The elu has alpha = 1."""

GATES: Mapping[str, Gate] = MappingProxyType(
    {"hard_sigmoid": Gate(1 / 6, _hard_sigmoid), "sigmoid": Gate(0.5, _sigmoid)}
)
"""Name -> gate. The hard sigmoid is Keras 3's, relu6(z + 3) / 6."""
