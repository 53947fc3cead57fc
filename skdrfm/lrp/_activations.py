"""Activations of units and of gates, written into given arrays, with their slopes.

The activation of a unit must be 0 at 0: the rule divides it by its pre-activation, and only then is the quotient
finite at 0, with the slope there as its limit.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, cast

import numpy as np

from skdrfm._typing import FloatArray


class Phi(NamedTuple):
    """An activation with phi(0) = 0."""

    function: Callable[[FloatArray, FloatArray], object]
    """Function of (z, out)."""
    slope: Callable[[FloatArray, FloatArray], FloatArray]
    """Derivative, function of (z, phi(z))."""
    slope_at_zero: float = 1.0
    """Limit of phi(z) / z; from above where the two sides differ, as 0 counts as positive."""


class Gate(NamedTuple):
    """A function of ``scale * z``, computed in place; the scale is folded into the weights beforehand."""

    squash: Callable[[FloatArray], object]
    slope: Callable[[FloatArray, FloatArray], FloatArray]
    """Derivative in z, function of (z, gate value)."""
    scale: float = 1.0


def leaky_relu(alpha: float) -> Phi:
    """Slope 1 above 0 and alpha below."""

    def function(z: FloatArray, out: FloatArray) -> None:
        np.copyto(out, z)
        np.multiply(z, alpha, out=out, where=z < 0)

    return Phi(function, lambda z, _: np.where(z < 0, z.dtype.type(alpha), z.dtype.type(1)))


def elu(alpha: float, scale: float = 1.0) -> Phi:
    """``scale * z`` above 0 and ``scale * alpha * (exp(z) - 1)`` below."""

    def function(z: FloatArray, out: FloatArray) -> None:
        np.minimum(z, 0, out=out)
        np.expm1(out, out=out)
        out *= alpha
        np.copyto(out, z, where=z > 0)
        out *= scale

    def slope(z: FloatArray, value: FloatArray) -> FloatArray:
        return np.where(z < 0, value + z.dtype.type(scale * alpha), z.dtype.type(scale))

    return Phi(function, slope, scale)


def celu(alpha: float) -> Phi:
    """Value z above 0 and ``alpha * (exp(z / alpha) - 1)`` below."""

    def function(z: FloatArray, out: FloatArray) -> None:
        np.minimum(z, 0, out=out)
        out /= alpha
        np.expm1(out, out=out)
        out *= alpha
        np.copyto(out, z, where=z > 0)

    return Phi(function, lambda z, value: np.where(z < 0, value / z.dtype.type(alpha) + 1, z.dtype.type(1)))


def clipped_relu(maximum: float) -> Phi:
    """``min(max(z, 0), maximum)``."""
    return Phi(
        lambda z, out: np.clip(z, 0, maximum, out=out),
        lambda z, _: ((z >= 0) & (z < maximum)).astype(z.dtype),
    )


def _logistic(z: FloatArray) -> FloatArray:
    # (1 + tanh(z / 2)) / 2 never overflows.
    return cast(FloatArray, 0.5 + 0.5 * np.tanh(0.5 * z))


def _softsign_slope(z: FloatArray, _: FloatArray) -> FloatArray:
    return cast(FloatArray, 1 / (1 + np.abs(z)) ** 2)


def _silu(z: FloatArray, out: FloatArray) -> None:
    np.multiply(z, _logistic(z), out=out)


def _silu_slope(z: FloatArray, value: FloatArray) -> FloatArray:
    gate = _logistic(z)
    return gate + value * (1 - gate)


_erf = np.frompyfunc(math.erf, 1, 1)  # NumPy has none; number by number is slow, but exact


def _normal_distribution(z: FloatArray) -> FloatArray:
    return cast(FloatArray, 0.5 * (1 + _erf(z / math.sqrt(2)).astype(z.dtype)))


def _gelu(z: FloatArray, out: FloatArray) -> None:
    np.multiply(z, _normal_distribution(z), out=out)


def _gelu_slope(z: FloatArray, _: FloatArray) -> FloatArray:
    return _normal_distribution(z) + z * np.exp(-0.5 * z * z) / z.dtype.type(math.sqrt(2 * math.pi))


def _softplus(z: FloatArray) -> FloatArray:
    return cast(FloatArray, np.logaddexp(z, z.dtype.type(0)))


def _mish(z: FloatArray, out: FloatArray) -> None:
    np.multiply(z, np.tanh(_softplus(z)), out=out)


def _mish_slope(z: FloatArray, _: FloatArray) -> FloatArray:
    squashed = np.tanh(_softplus(z))
    slope: FloatArray = squashed + z * (1 - squashed * squashed) * _logistic(z)
    return slope


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946

ACTIVATIONS: Mapping[str, Phi] = MappingProxyType(
    {
        "celu": celu(1.0),
        "elu": elu(1.0),
        "gelu": Phi(_gelu, _gelu_slope, 0.5),
        "hard_tanh": Phi(lambda z, out: np.clip(z, -1, 1, out=out), lambda z, _: ((z > -1) & (z < 1)).astype(z.dtype)),
        "leaky_relu": leaky_relu(0.2),
        "linear": Phi(lambda z, out: np.copyto(out, z), lambda z, _: np.ones_like(z)),
        "mish": Phi(_mish, _mish_slope, math.tanh(math.log(2))),
        "relu": Phi(lambda z, out: np.maximum(z, 0, out=out), lambda z, _: (z >= 0).astype(z.dtype)),
        "relu6": clipped_relu(6.0),
        "selu": elu(_SELU_ALPHA, _SELU_SCALE),
        "silu": Phi(_silu, _silu_slope, 0.5),
        "softsign": Phi(lambda z, out: np.divide(z, 1 + np.abs(z), out=out), _softsign_slope),
        "tanh": Phi(lambda z, out: np.tanh(z, out=out), lambda _, value: 1 - value * value),
    }
)
"""Name -> activation with phi(0) = 0, with the parameters that Keras gives to the name."""

PARAMETRIC: Mapping[str, Callable[[float], Phi]] = MappingProxyType(
    {"celu": celu, "elu": elu, "leaky_relu": leaky_relu, "relu6": clipped_relu}
)
"""Name -> activation of a parameter: alpha, or for relu6 the maximum."""


def _sigmoid(half_z: FloatArray) -> None:
    np.tanh(half_z, out=half_z)  # faster than exp and a division
    half_z *= 0.5
    half_z += 0.5


def _hard_sigmoid(z: FloatArray) -> None:
    z /= 6
    z += 0.5
    np.clip(z, 0, 1, out=z)


def _as_gate(phi: Phi) -> Gate:
    def squash(z: FloatArray) -> None:
        phi.function(z.copy(), z)

    return Gate(squash, phi.slope)


GATES: Mapping[str, Gate] = MappingProxyType(
    {
        **{name: _as_gate(phi) for name, phi in ACTIVATIONS.items()},
        "exponential": Gate(lambda z: np.exp(z, out=z), lambda _, value: value),
        "hard_sigmoid": Gate(_hard_sigmoid, lambda z, _: (np.abs(z) < 3).astype(z.dtype) / 6),
        "sigmoid": Gate(_sigmoid, lambda _, value: value * (1 - value), scale=0.5),
        "softplus": Gate(lambda z: np.copyto(z, _softplus(z)), lambda z, _: _logistic(z)),
    }
)
"""Name -> gate. Gates are held constant, so any function will do. The hard sigmoid is relu6(z + 3) / 6."""

LINKS: Mapping[str, Gate] = MappingProxyType(
    {name: GATES[name] for name in ("exponential", "hard_sigmoid", "sigmoid", "softplus")}
)
"""Name -> function of the output unit that is not 0 at 0: what is explained is its pre-activation."""
