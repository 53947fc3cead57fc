"""The simple recurrent layer, which has no gates."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from skdrfm._typing import BoolArray, FloatArray
from skdrfm.lrp._activations import ACTIVATIONS, Phi
from skdrfm.lrp._layer import Share
from skdrfm.lrp._linear import message, settle
from skdrfm.lrp._recurrent import Arrived, CellSwept, Recurrent
from skdrfm.lrp._rules import Rule
from skdrfm.lrp._state import StateShare


@dataclass(frozen=True, eq=False)
class SimpleRNN(Recurrent):
    """Recurrent layer without gates, ``h_t = phi(x W + h_{t-1} U + b)``.

    Parameters
    ----------
    kernel : ndarray of shape (n_in, n_units)
        Input weights, copied as float64.
    recurrent_kernel : ndarray of shape (n_units, n_units)
        Recurrent weights, copied as float64.
    bias : ndarray of shape (n_units,)
        Biases, copied as float64; zeros for a layer without.
    activation : str, default="tanh"
        Activation, with phi(0) = 0.
    return_sequences, go_backwards, return_state, zero_output_for_mask : bool, default=False
        As in LSTM.
    name : str, default=""
        Name of the layer in messages.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.lrp import SimpleRNN
    >>> SimpleRNN(np.ones((3, 2)), np.ones((2, 2)), np.zeros(2)).n_units
    2
    """

    passes: ClassVar[str] = "linear"
    n_states: ClassVar[int] = 1
    n_blocks: ClassVar[int] = 1

    kernel: FloatArray
    recurrent_kernel: FloatArray
    bias: FloatArray
    activation: str = "tanh"
    return_sequences: bool = False
    go_backwards: bool = False
    return_state: bool = False
    zero_output_for_mask: bool = False
    name: str = ""

    def cell(self, dtype: DTypeLike) -> "SimpleRNNCell":
        """Lay the cell out for computation."""
        return SimpleRNNCell(self, dtype)


class SimpleRNNTrace(NamedTuple):
    """What the forward pass leaves for the sweep, each (n_timesteps, n_units, n_samples)."""

    z: FloatArray
    phi_z: FloatArray
    h: FloatArray  # phi(z), but the state before where a step is padding
    mask: BoolArray | None

    @property
    def final(self) -> tuple[FloatArray, ...]:
        """State after the last step."""
        return (self.h[-1],)


class SimpleRNNCell:
    """Weights laid out for computation."""

    def __init__(self, layer: SimpleRNN, dtype: DTypeLike) -> None:
        self.kernel: FloatArray = np.ascontiguousarray(layer.kernel, dtype=dtype)
        self.recurrent: FloatArray = np.ascontiguousarray(layer.recurrent_kernel, dtype=dtype)
        self.bias: FloatArray = layer.bias.astype(dtype)
        self.phi: Phi = ACTIVATIONS[layer.activation]

    def forward(
        self, x: FloatArray, mask: BoolArray | None, states: tuple[FloatArray, ...], *, keep_gates: bool
    ) -> SimpleRNNTrace:
        """Run the cell; see Cell."""
        z = np.matmul(self.kernel.T, x)
        z += self.bias[:, np.newaxis]
        phi_z, h = np.empty_like(z), np.empty_like(z)
        before = states[0] if states else np.zeros_like(z[0])
        for t in range(len(x)):
            z[t] += self.recurrent.T @ before
            self.phi.function(z[t], phi_z[t])
            h[t] = phi_z[t] if mask is None else np.where(mask[t], phi_z[t], before)
            before = h[t]
        return SimpleRNNTrace(z, phi_z, h, mask)

    def sweep(self, trace: SimpleRNNTrace, arrived: Arrived, rule: Rule) -> CellSwept:
        """Sweep relevance back through time: ``m = phi(z) / (z + eps s) lambda_h``, ``lambda_h_{t-1} = U m``.

        Parameters
        ----------
        trace : SimpleRNNTrace
            What the forward pass left.
        arrived : Arrived
            Relevance of outputs and final state.
        rule : Rule
            The rule; there is no product to share.

        Returns
        -------
        CellSwept
            Shares of the input and of the initial state, and the parts of biases and stabilizers.
        """
        slope = self.phi.slope(trace.z, trace.phi_z) if rule.is_gradient else None
        shift = rule.stabilizer.shift(trace.z, trace.mask)
        shifted = trace.z + shift
        state = StateShare.of(arrived.final[0], trace.h[0], arrived, rule)
        sent = np.zeros_like(trace.z)
        offsets = np.zeros((len(sent), 1, sent.shape[2]), dtype=sent.dtype)
        lost: FloatArray | float = 0.0
        n_inlets = len(self.kernel) + len(self.bias)
        for t in range(len(sent) - 1, -1, -1):
            share = state.at(t, len(sent))
            live = None if trace.mask is None else trace.mask[t]
            if slope is not None:
                sent[t] = slope[t] * share.loadings
            else:
                values, missed = message(share, trace.phi_z[t], shifted[t], self.phi.slope_at_zero)
                sent[t] = values
                lost = lost + (missed if live is None else missed * live)
            if live is not None:
                np.copyto(sent[t], 0, where=~live)
            if rule.bias_factor:
                handed_down = settle(rule, sent[t], self.bias, shift[t], n_inlets).offsets
                assert handed_down is not None
                offsets[t] = handed_down
            below = offsets[t] + np.zeros_like(sent[t]) if state.tracked else None
            state.move(self.recurrent @ sent[t], below, live)
        inputs = Share(np.matmul(self.kernel, sent), offsets if state.tracked else None)
        if rule.is_gradient:
            return CellSwept(inputs, (state.share,), 0.0, 0.0)
        kept = settle(rule, sent, self.bias, shift, n_inlets, lost)
        return CellSwept(inputs, (state.share,), kept.bias, kept.stabilizer)
