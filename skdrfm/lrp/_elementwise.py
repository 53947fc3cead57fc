"""Layers that act on each unit, or each time step, by itself: relevance passes them without a stabilizer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike

from skdrfm._typing import FloatArray
from skdrfm.lrp._activations import ACTIVATIONS, PARAMETRIC, Phi
from skdrfm.lrp._layer import Layer, Shape, Share, Signal, Swept, check_choice, check_width, only, store_array
from skdrfm.lrp._rules import Rule
from skdrfm.lrp._stabilizer import quotient


class Elementwise(Layer):
    """A layer whose output has the shape of its input."""

    passes: ClassVar[str] = "exactly"

    def output_shapes(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Shapes of the outputs for one sample."""
        return (only(inputs, self),)


@dataclass(frozen=True, eq=False)
class Identity(Elementwise):
    """A layer that changes nothing when a network predicts, such as dropout.

    Parameters
    ----------
    layer_kind : str, default="Identity"
        Type of the layer that it stands for.
    name : str, default=""
        Name of the layer.
    """

    passes: ClassVar[str] = "unchanged"

    layer_kind: str = "Identity"
    name: str = ""

    @property
    def kind(self) -> str:
        """Type of the layer that it stands for."""
        return self.layer_kind

    def step(self, dtype: DTypeLike) -> Self:
        """Lay the layer out for computation."""
        return self

    def forward(self, inputs: Sequence[Signal], *, keep_gates: bool) -> tuple[tuple[Signal, ...], None]:
        """Hand the signal on."""
        return tuple(inputs), None

    def backward(self, shares: Sequence[Share | None], trace: None, rule: Rule) -> Swept:
        """Hand the share down."""
        (share,) = shares
        assert share is not None
        return Swept((share,))


@dataclass(frozen=True, eq=False)
class Activation(Elementwise):
    """An activation as a layer of its own.

    The relevance of phi(z) is that of z, whatever its size: ``lambda_z = phi(z) / z lambda``, with the slope at 0 as
    the limit. A dense layer followed by it is explained like a dense layer with this activation.

    Parameters
    ----------
    activation : str
        Name of the activation, one of those with phi(0) = 0.
    parameter : float, default=None
        Alpha of a leaky relu, elu or celu, maximum of a relu6; None for Keras' default.
    name : str, default=""
        Name of the layer in messages.
    """

    activation: str = "linear"
    parameter: float | None = None
    name: str = ""

    def __post_init__(self) -> None:
        check_choice(self, "activation", ACTIVATIONS if self.parameter is None else PARAMETRIC)

    @property
    def phi(self) -> Phi:
        """The activation, with its slope."""
        if self.parameter is None:
            return ACTIVATIONS[self.activation]
        return PARAMETRIC[self.activation](self.parameter)

    def step(self, dtype: DTypeLike) -> "_ActivationStep":
        """Lay the layer out for computation."""
        return _ActivationStep(self.phi)


class _ActivationTrace(NamedTuple):
    z: FloatArray
    output: FloatArray


class _ActivationStep:
    def __init__(self, phi: Phi) -> None:
        self.phi = phi

    def forward(self, inputs: Sequence[Signal], *, keep_gates: bool) -> tuple[tuple[Signal, ...], _ActivationTrace]:
        ((z, mask),) = inputs
        output = np.empty_like(z)
        self.phi.function(z, output)
        return (Signal(output, mask),), _ActivationTrace(z, output)

    def backward(self, shares: Sequence[Share | None], trace: _ActivationTrace, rule: Rule) -> Swept:
        (share,) = shares
        assert share is not None
        if rule.is_gradient:
            slope = self.phi.slope(trace.z, trace.output)
        else:
            slope = quotient(trace.output, trace.z, self.phi.slope_at_zero)
        return Swept((Share(slope * share.loadings, share.offsets),))


class _ScaleAndShift(Elementwise):
    """A layer with a scale and a shift for each unit."""

    scale: FloatArray
    shift: FloatArray

    def __post_init__(self) -> None:
        store_array(self, "shift", store_array(self, "scale", (None,)).shape)

    def output_shapes(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Shapes of the outputs for one sample."""
        shape = only(inputs, self)
        check_width(self, len(self.scale), shape)
        return (shape,)


@dataclass(frozen=True, eq=False)
class Scale(_ScaleAndShift):
    """A scale and a shift for each unit, ``x * scale + shift``: batch normalization when predicting.

    Parameters
    ----------
    scale, shift : ndarray of shape (n_units,)
        Of each unit, copied as float64.
    layer_kind : str, default="Scale"
        Type of the layer that it stands for.
    name : str, default=""
        Name of the layer in messages.
    """

    scale: FloatArray
    shift: FloatArray
    layer_kind: str = "Scale"
    name: str = ""

    @property
    def kind(self) -> str:
        """Type of the layer that it stands for."""
        return self.layer_kind

    def step(self, dtype: DTypeLike) -> "_ScaleStep":
        """Lay the layer out for computation."""
        return _ScaleStep(self, dtype)


class _ScaleStep:
    def __init__(self, layer: Scale, dtype: DTypeLike) -> None:
        self.scale: FloatArray = layer.scale.astype(dtype)[:, np.newaxis]
        self.shift: FloatArray = layer.shift.astype(dtype)[:, np.newaxis]

    def forward(self, inputs: Sequence[Signal], *, keep_gates: bool) -> tuple[tuple[Signal, ...], None]:
        ((x, mask),) = inputs
        return (Signal(x * self.scale + self.shift, mask),), None

    def backward(self, shares: Sequence[Share | None], trace: None, rule: Rule) -> Swept:
        (share,) = shares
        assert share is not None
        return _keep_shift(rule, share, self.scale * share.loadings, self.shift)


@dataclass(frozen=True, eq=False)
class LayerNormalization(_ScaleAndShift):
    """Units less their mean, divided by their standard deviation, times scale, plus shift.

    The standard deviation of a sample is held constant, so that the layer is linear; the gradient differentiates it.

    Parameters
    ----------
    scale, shift : ndarray of shape (n_units,)
        Of each unit, copied as float64.
    epsilon : float, default=1e-3
        Added to the variance.
    name : str, default=""
        Name of the layer in messages.
    """

    scale: FloatArray
    shift: FloatArray
    epsilon: float = 1e-3
    name: str = ""

    def step(self, dtype: DTypeLike) -> "_NormalizationStep":
        """Lay the layer out for computation."""
        return _NormalizationStep(self, dtype)


class _NormalizationTrace(NamedTuple):
    normalized: FloatArray
    deviation: FloatArray  # standard deviation, (..., 1, n_samples)


class _NormalizationStep:
    def __init__(self, layer: LayerNormalization, dtype: DTypeLike) -> None:
        self.scale: FloatArray = layer.scale.astype(dtype)[:, np.newaxis]
        self.shift: FloatArray = layer.shift.astype(dtype)[:, np.newaxis]
        self.epsilon: float = layer.epsilon

    def forward(self, inputs: Sequence[Signal], *, keep_gates: bool) -> tuple[tuple[Signal, ...], _NormalizationTrace]:
        ((x, mask),) = inputs
        centred = x - x.mean(axis=-2, keepdims=True)
        deviation = np.sqrt((centred * centred).mean(axis=-2, keepdims=True) + x.dtype.type(self.epsilon))
        normalized = centred / deviation
        return (Signal(normalized * self.scale + self.shift, mask),), _NormalizationTrace(normalized, deviation)

    def backward(self, shares: Sequence[Share | None], trace: _NormalizationTrace, rule: Rule) -> Swept:
        (share,) = shares
        assert share is not None
        loadings = self.scale * share.loadings
        if rule.is_gradient:
            through_deviation = (loadings * trace.normalized).mean(axis=-2, keepdims=True)
            loadings = loadings - loadings.mean(axis=-2, keepdims=True) - trace.normalized * through_deviation
        else:
            loadings = loadings - loadings.mean(axis=-2, keepdims=True)
        return _keep_shift(rule, share, loadings / trace.deviation, self.shift)


def _keep_shift(rule: Rule, share: Share, loadings: FloatArray, shift: FloatArray) -> Swept:
    """Account for a shift: the layer keeps its relevance, or, with a bias factor of 1, each unit gets its own."""
    of_shift = shift * share.loadings
    if rule.is_gradient:
        return Swept((Share(loadings),))
    if rule.bias_factor:
        offsets = of_shift if share.offsets is None else of_shift + share.offsets
        return Swept((Share(loadings, offsets),))
    kept: Any = of_shift.reshape(-1, of_shift.shape[-1]).sum(axis=0)
    return Swept((Share(loadings, share.offsets),), bias=kept)


@dataclass(frozen=True, eq=False)
class Masking(Elementwise):
    """Time steps at which all descriptors have one value are padding, which later layers skip.

    Parameters
    ----------
    mask_value : float, default=0.0
        The value.
    name : str, default=""
        Name of the layer in messages.
    """

    mask_value: float = 0.0
    name: str = ""

    def step(self, dtype: DTypeLike) -> Self:
        """Lay the layer out for computation."""
        return self

    def forward(self, inputs: Sequence[Signal], *, keep_gates: bool) -> tuple[tuple[Signal, ...], FloatArray]:
        """Mark the padding, and set it to 0."""
        ((x, _),) = inputs
        # Keras compares in float32, which rounds values such as 0.1, whatever the type of the samples.
        value = np.float32(self.mask_value)
        differs = x != self.mask_value if float(value) == self.mask_value else x.astype(np.float32) != value
        mask = differs.any(axis=-2)
        live = mask[..., np.newaxis, :].astype(x.dtype)
        return (Signal(x * live, mask),), live

    def backward(self, shares: Sequence[Share | None], trace: FloatArray, rule: Rule) -> Swept:
        """Give no loading to padding."""
        (share,) = shares
        assert share is not None
        return Swept((Share(share.loadings * trace, share.offsets),))
