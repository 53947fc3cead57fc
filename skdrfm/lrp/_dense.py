"""The dense layer: a weighted sum with an activation, at each time step alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from skdrfm._typing import BoolArray, FloatArray
from skdrfm.lrp._activations import ACTIVATIONS, Phi
from skdrfm.lrp._layer import Layer, Shape, Share, Signal, Swept, check_choice, check_width, only, store_array
from skdrfm.lrp._linear import message, multiply, settle
from skdrfm.lrp._rules import Rule


@dataclass(frozen=True, eq=False)
class Dense(Layer):
    """Affine layer with an activation, ``phi(x @ kernel + bias)``; it acts per time step.

    Parameters
    ----------
    kernel : ndarray of shape (n_in, n_units)
        Weights, copied as float64.
    bias : ndarray of shape (n_units,)
        Biases, copied as float64; zeros for a layer without.
    activation : str, default="linear"
        Name of the activation, one of those with phi(0) = 0.
    name : str, default=""
        Name of the layer in messages.

    Raises
    ------
    ValueError
        If the shapes do not agree.
    NonFiniteError
        If a weight is NaN or infinite.
    UnsupportedLayerError
        If the activation has no relevance rule.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.lrp import Dense
    >>> Dense(np.ones((3, 2)), np.zeros(2), "relu", name="hidden").n_units
    2
    """

    passes: ClassVar[str] = "linear"

    kernel: FloatArray
    bias: FloatArray
    activation: str = "linear"
    name: str = ""

    def __post_init__(self) -> None:
        kernel = store_array(self, "kernel", (None, None))
        store_array(self, "bias", (kernel.shape[1],))
        check_choice(self, "activation", ACTIVATIONS)

    @property
    def n_inputs(self) -> int:
        """Number of units that the layer reads."""
        return int(self.kernel.shape[0])

    @property
    def n_units(self) -> int:
        """Number of output units."""
        return int(self.kernel.shape[1])

    def output_shapes(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Shapes of the outputs for one sample."""
        shape = only(inputs, self)
        check_width(self, self.n_inputs, shape)
        return ((*shape[:-1], self.n_units),)

    def step(self, dtype: DTypeLike) -> "_DenseStep":
        """Lay the layer out for computation."""
        return _DenseStep(self, dtype)


class _Trace(NamedTuple):
    z: FloatArray
    output: FloatArray
    mask: BoolArray | None


class _DenseStep:
    def __init__(self, layer: Dense, dtype: DTypeLike) -> None:
        self.kernel: FloatArray = np.ascontiguousarray(layer.kernel, dtype=dtype)
        self.kernel_t: FloatArray = np.ascontiguousarray(layer.kernel.T, dtype=dtype)
        self.bias: FloatArray = layer.bias.astype(dtype)
        self.phi: Phi = ACTIVATIONS[layer.activation]

    def forward(self, inputs: Sequence[Signal], *, keep_gates: bool) -> tuple[tuple[Signal, ...], _Trace]:
        ((x, mask),) = inputs
        z = np.empty((*x.shape[:-2], len(self.kernel_t), x.shape[-1]), dtype=x.dtype)
        multiply(self.kernel_t, x, z)
        z += self.bias[:, np.newaxis]
        output = np.empty_like(z)
        self.phi.function(z, output)
        return (Signal(output, mask),), _Trace(z, output, mask)

    def backward(self, shares: Sequence[Share | None], trace: _Trace, rule: Rule) -> Swept:
        (share,) = shares
        assert share is not None
        if rule.is_gradient:
            slope = self.phi.slope(trace.z, trace.output)
            return Swept((Share(np.matmul(self.kernel, slope * share.loadings)),))
        shift = rule.stabilizer.shift(trace.z, trace.mask)
        sent, lost = message(share, trace.output, trace.z + shift, self.phi.slope_at_zero)
        kept = settle(rule, sent, self.bias, shift, len(self.kernel), lost)
        loadings = np.empty((*sent.shape[:-2], len(self.kernel), sent.shape[-1]), dtype=sent.dtype)
        multiply(self.kernel, sent, loadings)
        return Swept((Share(loadings, kept.offsets),), kept.bias, kept.stabilizer)
