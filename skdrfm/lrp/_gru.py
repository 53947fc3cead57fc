"""The gated recurrent unit: its forward pass with a trace, and its relevance sweep back through time."""

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
class GRU(Recurrent):
    """GRU layer with the weights as Keras stores them: gate order z, r, candidate.

    ``h_t = z h_{t-1} + (1 - z) phi(z_n)``, where z_n is ``x W + b + r (h_{t-1} U + b_r)`` with reset_after, and
    ``x W + b + (r h_{t-1}) U`` without.

    Parameters
    ----------
    kernel : ndarray of shape (n_in, 3 * n_units)
        Input weights, copied as float64.
    recurrent_kernel : ndarray of shape (n_units, 3 * n_units)
        Recurrent weights, copied as float64.
    bias : ndarray of shape (2, 3 * n_units) or (3 * n_units,)
        With reset_after the biases of the input and of the recurrent part, else one row; zeros for a layer without.
    activation : str, default="tanh"
        Activation of the candidate, with phi(0) = 0.
    recurrent_activation : str, default="sigmoid"
        Activation of the gates.
    reset_after : bool, default=True
        Whether the reset gate acts after the recurrent weights.
    return_sequences, go_backwards, return_state, zero_output_for_mask : bool, default=False
        As in LSTM.
    name : str, default=""
        Name of the layer in messages.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.lrp import GRU
    >>> GRU(np.ones((3, 6)), np.ones((2, 6)), np.zeros((2, 6))).n_units
    2
    """

    n_states: ClassVar[int] = 1
    n_blocks: ClassVar[int] = 3

    kernel: FloatArray
    recurrent_kernel: FloatArray
    bias: FloatArray
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    reset_after: bool = True
    return_sequences: bool = False
    go_backwards: bool = False
    return_state: bool = False
    zero_output_for_mask: bool = False
    name: str = ""

    @property
    def bias_shape(self) -> tuple[int, ...]:
        """Shape that the biases must have."""
        return (2, 3 * self.n_units) if self.reset_after else (3 * self.n_units,)

    def cell(self, dtype: DTypeLike) -> "GRUCell":
        """Lay the cell out for computation."""
        return GRUCell(self, dtype)


class GRUTrace(NamedTuple):
    """What the forward pass leaves for the sweep, each (n_timesteps, n_units, n_samples)."""

    z: FloatArray
    r: FloatArray
    z_n: FloatArray  # pre-activation of the candidate
    n: FloatArray
    q: FloatArray  # what the reset gate multiplies: the recurrent part, or the state before
    h: FloatArray
    h_before: FloatArray
    pre_z: FloatArray  # pre-activations of the gates
    pre_r: FloatArray
    mask: BoolArray | None

    @property
    def final(self) -> tuple[FloatArray, ...]:
        """State after the last step."""
        return (self.h[-1],)


class _Coefficients(NamedTuple):
    """What the sweep multiplies with; m_h is the relevance of the state per unit of h + eps s.

    ``m_n = into_n m_h``, ``m_z = into_z m_h``, ``lambda_q = w_q r m_n`` and ``m_r = into_r times`` m_n (reset after) or
    the loading of the product r h (reset before).
    """

    keep: FloatArray | None  # of h; None: 1
    carry: FloatArray  # of m_h to the state before
    into_n: FloatArray
    into_z: FloatArray | None
    through_r: FloatArray
    into_r: FloatArray | None
    shifts: tuple[FloatArray, ...]  # of h, z_n, z, r
    shares: tuple[FloatArray, FloatArray]  # of the signals h_before and n in their products


class GRUCell:
    """Weights laid out for computation: transposed, one block for each gate."""

    def __init__(self, layer: GRU, dtype: DTypeLike) -> None:
        self.n_units: int = layer.n_units
        self.gate: Gate = GATES[layer.recurrent_activation]
        self.phi: Phi = ACTIVATIONS[layer.activation]
        self.reset_after: bool = layer.reset_after
        bias = layer.bias if layer.reset_after else np.stack([layer.bias, np.zeros_like(layer.bias)])

        def blocks(weights: FloatArray) -> list[FloatArray]:
            return [np.ascontiguousarray(block, dtype=dtype) for block in np.split(weights, 3, axis=-1)]

        self.kernels: list[FloatArray] = blocks(layer.kernel)
        self.recurrents: list[FloatArray] = blocks(layer.recurrent_kernel)
        self.bias: list[FloatArray] = blocks(bias[0])
        self.recurrent_bias: list[FloatArray] = blocks(bias[1])

    def forward(
        self, x: FloatArray, mask: BoolArray | None, states: tuple[FloatArray, ...], *, keep_gates: bool
    ) -> GRUTrace:
        """Run the cell; see Cell."""
        shape = (len(x), self.n_units, x.shape[2])
        z, r, z_n, n, q, h, h_before, pre_z, pre_r = (np.empty(shape, dtype=x.dtype) for _ in range(9))
        from_x = [
            np.matmul(kernel.T, x) + bias[:, np.newaxis] for kernel, bias in zip(self.kernels, self.bias, strict=True)
        ]
        before = states[0] if states else np.zeros(shape[1:], dtype=x.dtype)
        for t in range(len(x)):
            h_before[t] = before
            for k, (pre, gate) in enumerate(((pre_z, z), (pre_r, r))):
                pre[t] = from_x[k][t] + self.recurrents[k].T @ before + self.recurrent_bias[k][:, np.newaxis]
                np.multiply(pre[t], self.gate.scale, out=gate[t])
                self.gate.squash(gate[t])
            if self.reset_after:
                q[t] = self.recurrents[2].T @ before + self.recurrent_bias[2][:, np.newaxis]
                z_n[t] = from_x[2][t] + r[t] * q[t]
            else:
                q[t] = before
                z_n[t] = from_x[2][t] + self.recurrents[2].T @ (r[t] * before)
            self.phi.function(z_n[t], n[t])
            h[t] = z[t] * before + (1 - z[t]) * n[t]
            if mask is not None:  # padding leaves the state as it was
                np.copyto(h[t], before, where=~mask[t])
            before = h[t]
        return GRUTrace(z, r, z_n, n, q, h, h_before, pre_z, pre_r, mask)

    def sweep(self, trace: GRUTrace, arrived: Arrived, rule: Rule) -> CellSwept:
        """Sweep relevance back through time, from the last step to the first.

        With the default rule, where gates get nothing, and s the sign of what it multiplies::

            m_h = h / (h + eps s) lambda_h,    m_n = (1 - z) phi(z_n) / (z_n + eps s) m_h
            lambda_x = W_n m_n,    lambda_h_{t-1} = z m_h + U_n (r m_n)

        Parameters
        ----------
        trace : GRUTrace
            What the forward pass left.
        arrived : Arrived
            Relevance of outputs and final state.
        rule : Rule
            The rule; the closed forms are defined for an LSTM.

        Returns
        -------
        CellSwept
            Shares of the input and of the initial state, and the parts of biases and stabilizers.
        """
        k = self._gradient(trace) if rule.is_gradient else self._coefficients(trace, rule)
        shift_h, shift_n, shift_z, shift_r = k.shifts
        m_h, m_n, m_z, m_r, m_q = (np.zeros_like(trace.h) for _ in range(5))
        state = StateShare.of(arrived.final[0], trace.h[0], arrived, rule)
        offsets_x = np.zeros((len(m_h), 1, m_h.shape[2]), dtype=m_h.dtype)
        lost: FloatArray | float = 0.0
        n_inlets = len(self.kernels[0]) + self.n_units
        for t in range(len(m_h) - 1, -1, -1):
            loading, offset = state.at(t, len(m_h))
            m_h[t] = loading if k.keep is None else k.keep[t] * loading
            through = np.zeros_like(loading)  # offset of each of the two products that make h
            if offset is not None:
                denominator = trace.h[t] + shift_h[t]
                lost = lost + state.count(t, trace.mask, np.where(denominator == 0, offset, 0))
                m_h[t] += divided(offset, denominator)
                if rule.bias_factor:
                    through += (shift_h[t] * m_h[t]).sum(axis=0) / (2 * self.n_units)
            m_n[t] = k.into_n[t] * m_h[t]
            if k.into_z is not None:
                m_z[t] = k.into_z[t] * m_h[t]
            if offset is not None:
                of_h, of_n = (share[t] * through for share in k.shares)
                denominator = trace.z_n[t] + shift_n[t]
                lost = lost + state.count(t, trace.mask, np.where(denominator == 0, of_n, 0))
                m_n[t] += divided(of_n, denominator)
                if k.into_z is not None:
                    m_z[t] += divided(2 * through - of_h - of_n, trace.pre_z[t] + shift_z[t])
            if self.reset_after:
                m_q[t] = k.through_r[t] * m_n[t]
                below = self.recurrents[2] @ m_q[t]
                of_product = m_n[t]
            else:
                of_product = self.recurrents[2] @ m_n[t]
                below = k.through_r[t] * of_product
            if k.into_r is not None:
                m_r[t] = k.into_r[t] * of_product
            below += k.carry[t] * m_h[t] + self.recurrents[0] @ m_z[t] + self.recurrents[1] @ m_r[t]
            below_offset = None
            if offset is not None:
                below_offset = of_h
                if rule.bias_factor:
                    handed = (
                        self._bias_part(m_n[t], m_q[t], m_z[t], m_r[t])
                        + (shift_n[t] * m_n[t]).sum(axis=0)
                        + (shift_z[t] * m_z[t] + shift_r[t] * m_r[t]).sum(axis=0)
                    ) / n_inlets
                    offsets_x[t] = handed if trace.mask is None else handed * trace.mask[t]
                    below_offset = below_offset + handed
            live = None if trace.mask is None else trace.mask[t]
            state.move(below, below_offset, live)
            if live is not None:
                for nothing in (m_h, m_n, m_z, m_r, m_q):
                    np.copyto(nothing[t], 0, where=~live)
        loadings = sum(np.matmul(w, m) for w, m in zip(self.kernels, (m_z, m_r, m_n), strict=True))
        inputs = Share(loadings, offsets_x if state.tracked else None)
        if rule.is_gradient or rule.bias_factor:
            return CellSwept(inputs, (state.share,), 0.0, lost)
        sent = ((shift_h, m_h), (shift_n, m_n), (shift_z, m_z), (shift_r, m_r))
        kept = sum((sum_product(shift, m) for shift, m in sent), start=lost)
        summed = (m.sum(axis=0) for m in (m_n, m_q, m_z, m_r))
        return CellSwept(inputs, (state.share,), self._bias_part(*summed), kept)

    def _bias_part(self, m_n: FloatArray, m_q: FloatArray, m_z: FloatArray, m_r: FloatArray) -> FloatArray:
        b_z, b_r, b_n = self.bias
        c_z, c_r, c_n = self.recurrent_bias
        return b_n @ m_n + c_n @ m_q + (b_z + c_z) @ m_z + (b_r + c_r) @ m_r

    def _coefficients(self, trace: GRUTrace, rule: Rule) -> _Coefficients:
        z, r, z_n, n, q, h, h_before, pre_z, pre_r, mask = trace
        shift_h, shift_n, shift_z, shift_r = (rule.stabilizer.shift(v, mask) for v in (h, z_n, pre_z, pre_r))
        keep = quotient(h, h + shift_h)
        rho = quotient(n, z_n + shift_n, self.phi.slope_at_zero)
        ones = np.ones_like(h)
        shifts = (shift_h, shift_n, shift_z, shift_r)
        if not rule.uses_gates:
            return _Coefficients(keep, z, (1 - z) * rho, None, r, None, shifts, (ones, ones))
        shifted_z, shifted_r = pre_z + shift_z, pre_r + shift_r
        w_h = rule.signal_share(pre_z, h_before, shifted_z)
        # The gate of the candidate is 1 - z; that of a sigmoid has the pre-activation -pre_z.
        w_n = rule.signal_share(-pre_z, z_n, shifted_z)
        w_q = rule.signal_share(pre_r, q, shifted_r)
        into_z = divided((1 - w_h) * z * h_before + (1 - w_n) * (1 - z) * n, shifted_z)
        into_r = divided((1 - w_q) * r * q, shifted_r)
        return _Coefficients(keep, w_h * z, w_n * (1 - z) * rho, into_z, w_q * r, into_r, shifts, (w_h, w_n))

    def _gradient(self, trace: GRUTrace) -> _Coefficients:
        """Coefficients that make the sweep the derivative of the layer."""
        z, r, z_n, n, q, h, h_before, pre_z, pre_r, _ = trace
        nothing = np.zeros_like(h)
        return _Coefficients(
            None,
            z,
            (1 - z) * self.phi.slope(z_n, n),
            self.gate.slope(pre_z, z) * (h_before - n),
            r,
            self.gate.slope(pre_r, r) * q,
            (nothing, nothing, nothing, nothing),
            (nothing, nothing),
        )
