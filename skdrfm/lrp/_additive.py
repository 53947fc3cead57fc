"""The additive LSTM: a memory that only adds, so that its contributions add up over time by construction."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from skdrfm._typing import BoolArray, FloatArray
from skdrfm.lrp._activations import ACTIVATIONS, GATES, Gate, Phi
from skdrfm.lrp._layer import Share
from skdrfm.lrp._recurrent import Arrived, CellSwept, Recurrent
from skdrfm.lrp._rules import Rule
from skdrfm.lrp._stabilizer import divided, quotient, sum_product
from skdrfm.lrp._state import StateShare


@dataclass(frozen=True, eq=False)
class AdditiveLSTM(Recurrent):
    """LSTM without forget gate, output gate and squashed output: ``c_t = c_{t-1} + i_t phi(x_t W)``, ``h_t = c_t``.

    The input gate reads the memory alone, ``i_t = gate(c_{t-1} U + b)``, and the cell input reads the input alone, as
    in RUDDER (Arjona-Medina et al. 2019, 1806.07857, A8.4.2). The contribution of step t to a linear output w is
    ``w i_t phi(x_t W)``: no rule is needed to find it.

    Parameters
    ----------
    kernel : ndarray of shape (n_in, n_units)
        Weights of the cell input, copied as float64.
    recurrent_kernel : ndarray of shape (n_units, n_units)
        Weights of the input gate, copied as float64.
    bias : ndarray of shape (n_units,)
        Biases of the input gate, copied as float64. The cell input has none, so that an input of 0 adds nothing.
    activation : str, default="tanh"
        Activation of the cell input, with phi(0) = 0.
    recurrent_activation : str, default="sigmoid"
        Activation of the input gate.
    return_sequences, go_backwards, return_state, zero_output_for_mask : bool, default=False
        As in LSTM.
    name : str, default=""
        Name of the layer in messages.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.lrp import AdditiveLSTM
    >>> AdditiveLSTM(np.ones((3, 2)), np.ones((2, 2)), np.zeros(2)).n_units
    2
    """

    n_states: ClassVar[int] = 1
    n_blocks: ClassVar[int] = 1

    kernel: FloatArray
    recurrent_kernel: FloatArray
    bias: FloatArray
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    return_sequences: bool = False
    go_backwards: bool = False
    return_state: bool = False
    zero_output_for_mask: bool = False
    name: str = ""

    def cell(self, dtype: DTypeLike) -> "AdditiveCell":
        """Lay the cell out for computation."""
        return AdditiveCell(self, dtype)


class AdditiveTrace(NamedTuple):
    """What the forward pass leaves for the sweep, each (n_timesteps, n_units, n_samples)."""

    i: FloatArray
    z_i: FloatArray
    z_g: FloatArray
    g: FloatArray
    h: FloatArray  # the memory
    mask: BoolArray | None

    @property
    def final(self) -> tuple[FloatArray, ...]:
        """Memory after the last step."""
        return (self.h[-1],)


class AdditiveCell:
    """Weights laid out for computation."""

    def __init__(self, layer: AdditiveLSTM, dtype: DTypeLike) -> None:
        self.kernel: FloatArray = np.ascontiguousarray(layer.kernel, dtype=dtype)
        self.recurrent: FloatArray = np.ascontiguousarray(layer.recurrent_kernel, dtype=dtype)
        self.bias: FloatArray = layer.bias.astype(dtype)
        self.phi: Phi = ACTIVATIONS[layer.activation]
        self.gate: Gate = GATES[layer.recurrent_activation]

    def forward(
        self, x: FloatArray, mask: BoolArray | None, states: tuple[FloatArray, ...], *, keep_gates: bool
    ) -> AdditiveTrace:
        """Run the cell; see Cell."""
        z_g = np.matmul(self.kernel.T, x)
        i, z_i, g, h = (np.empty_like(z_g) for _ in range(4))
        self.phi.function(z_g, g)
        before = states[0] if states else np.zeros_like(z_g[0])
        for t in range(len(x)):
            z_i[t] = self.recurrent.T @ before + self.bias[:, np.newaxis]
            np.multiply(z_i[t], self.gate.scale, out=i[t])
            self.gate.squash(i[t])
            if mask is not None:  # padding adds nothing
                i[t] *= mask[t]
            h[t] = before + i[t] * g[t]
            before = h[t]
        return AdditiveTrace(i, z_i, z_g, g, h, mask)

    def sweep(self, trace: AdditiveTrace, arrived: Arrived, rule: Rule) -> CellSwept:
        """Sweep relevance back through time.

        The memory is a sum, which relevance passes as it is: u_t, the loading of the memory, is that of the output plus
        u_{t+1}, and ``lambda_x_t = W (i_t phi(z_t) / (z_t + eps s) u_t)``. Rules that give gates a share add what
        passes the gate's weights.

        Parameters
        ----------
        trace : AdditiveTrace
            What the forward pass left.
        arrived : Arrived
            Relevance of outputs and final state.
        rule : Rule
            The rule.

        Returns
        -------
        CellSwept
            Shares of the input and of the initial state, and the parts of biases and stabilizers.
        """
        i, z_i, z_g, g, h, mask = trace
        shift_g, shift_i = (rule.stabilizer.shift(z, mask) for z in (z_g, z_i))
        shifted_g, shifted_i = z_g + shift_g, z_i + shift_i
        into_i, w = np.zeros_like(i), np.ones_like(i)
        if rule.is_gradient:
            into_g, into_i = i * self.phi.slope(z_g, g), self.gate.slope(z_i, i) * g
        else:
            into_g = i * quotient(g, shifted_g, self.phi.slope_at_zero)
            if rule.uses_gates:
                w = rule.signal_share(z_i, z_g, shifted_i)
                into_g, into_i = w * into_g, divided((1 - w) * i * g, shifted_i)
        state = StateShare.of(arrived.final[0], h[0], arrived, rule)
        m_g, m_i = np.zeros_like(i), np.zeros_like(i)
        offsets = np.zeros((len(i), 1, i.shape[2]), dtype=i.dtype)
        lost: FloatArray | float = 0.0
        n_in, n = self.kernel.shape
        for t in range(len(i) - 1, -1, -1):
            u, offset = state.at(t, len(i))
            live = None if mask is None else mask[t]
            m_g[t], m_i[t] = into_g[t] * u, into_i[t] * u
            below = None
            if offset is not None:
                half = 0.5 * offset  # the product, and the memory before
                lost = lost + state.count(t, mask, np.where(shifted_g[t] == 0, w[t] * half, 0))
                m_g[t] += divided(w[t] * half, shifted_g[t])
                m_i[t] += divided((1 - w[t]) * half, shifted_i[t])
                below = half
            if live is not None:
                for sent in (m_g, m_i):
                    np.copyto(sent[t], 0, where=~live)
            if below is not None and rule.bias_factor:
                offsets[t] = (shift_g[t] * m_g[t]).sum(axis=0) / n_in
                below = below + ((self.bias[:, np.newaxis] + shift_i[t]) * m_i[t]).sum(axis=0) / n
            state.move(u + self.recurrent @ m_i[t], below, live)
        inputs = Share(np.matmul(self.kernel, m_g), offsets if state.tracked else None)
        if rule.is_gradient or rule.bias_factor:
            return CellSwept(inputs, (state.share,), 0.0, lost)
        kept = sum_product(shift_g, m_g) + sum_product(shift_i, m_i) + lost
        return CellSwept(inputs, (state.share,), self.bias @ m_i.sum(axis=0), kept)
