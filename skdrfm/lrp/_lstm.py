"""The LSTM: its forward pass with a trace, and its relevance sweep back through time.

A time step, a gate and a row of units are each one contiguous block of (n_timesteps, n_units, n_samples); steps are
in the order in which the layer reads them.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from skdrfm._typing import BoolArray, FloatArray
from skdrfm.lrp._activations import ACTIVATIONS, GATES, Gate, Phi
from skdrfm.lrp._blocks import Blocks
from skdrfm.lrp._layer import Share
from skdrfm.lrp._linear import multiply
from skdrfm.lrp._lstm_fast import sweep_signal_takes_all
from skdrfm.lrp._lstm_offsets import FORGET, INPUT, OUTPUT, LSTMOffsets
from skdrfm.lrp._lstm_trace import JoinedTrace, LSTMCoefficients, LSTMTrace
from skdrfm.lrp._recurrent import Arrived, CellSwept, Recurrent
from skdrfm.lrp._rules import Rule
from skdrfm.lrp._stabilizer import divided, quotient, sum_product


@dataclass(frozen=True, eq=False)
class LSTM(Recurrent):
    """LSTM layer with the weights as Keras stores them: gate order i, f, c, o.

    ``c_t = f c_{t-1} + i phi(z_g)``, ``h_t = o phi(c_t)``, from initial states of 0 unless they are inputs.

    Parameters
    ----------
    kernel : ndarray of shape (n_in, 4 * n_units)
        Input weights, copied as float64.
    recurrent_kernel : ndarray of shape (n_units, 4 * n_units)
        Recurrent weights, copied as float64.
    bias : ndarray of shape (4 * n_units,)
        Biases, copied as float64; zeros for a layer without.
    activation : str, default="tanh"
        Activation of the candidate and of the cell's output, with phi(0) = 0.
    recurrent_activation : str, default="sigmoid"
        Activation of the three gates; the hard sigmoid is relu6(z + 3) / 6.
    return_sequences : bool, default=False
        Whether the output is the state after every step, in the order of reading, or the last.
    go_backwards : bool, default=False
        Whether the newest step is read first.
    return_state : bool, default=False
        Whether the last h and c are outputs as well.
    zero_output_for_mask : bool, default=False
        Whether the output at padding is 0 instead of the last one.
    name : str, default=""
        Name of the layer in messages.

    Raises
    ------
    ValueError
        If the shapes do not agree.
    NonFiniteError
        If a weight is NaN or infinite.
    UnsupportedLayerError
        If an activation has no relevance rule.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.lrp import LSTM
    >>> LSTM(np.ones((3, 8)), np.ones((2, 8)), np.zeros(8)).n_units
    2
    """

    n_states: ClassVar[int] = 2
    n_blocks: ClassVar[int] = 4

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

    def cell(self, dtype: DTypeLike) -> "LSTMCell":
        """Lay the cell out for computation."""
        return LSTMCell(self, dtype)


class LSTMCell:
    """Weights in the layout of the computation: transposed, and the gates in the order i, f, o, g.

    The three gates lie together, so that one call squashes them all; the scale of their argument is folded in.
    """

    def __init__(self, layer: LSTM, dtype: DTypeLike) -> None:
        self.n_units: int = layer.n_units
        n = self.n_units
        self.gate: Gate = GATES[layer.recurrent_activation]
        self.phi: Phi = ACTIVATIONS[layer.activation]
        i, f, g, o = (np.arange(k * n, (k + 1) * n) for k in range(4))
        order = np.concatenate([i, f, o, g])
        scale = np.repeat([self.gate.scale, 1.0], [3 * n, n])

        # One product for input, bias and state before: what is multiplied is (x_t, 1, h_{t-1}), without the state
        # where it is 0.
        self.n_inputs: int = layer.n_inputs
        n_in = self.n_inputs
        stacked = np.concatenate([layer.kernel, layer.bias[np.newaxis], layer.recurrent_kernel])
        self.up: FloatArray = np.ascontiguousarray((stacked[:, order] * scale).T, dtype=dtype)
        self.up_first: FloatArray = np.ascontiguousarray(self.up[:, : n_in + 1])
        self.down_all: FloatArray = np.ascontiguousarray(stacked[:, g], dtype=dtype)
        stacked = np.delete(stacked, n_in, axis=0)
        # For the sweep, without and with the gates: weights of (x_t, h_{t-1}), and biases.
        self.down: dict[bool, tuple[FloatArray, FloatArray]] = {
            uses_gates: (
                np.ascontiguousarray(stacked[:, columns], dtype=dtype),
                layer.bias[columns].astype(dtype),
            )
            for uses_gates, columns in ((False, g), (True, order))
        }

    def forward(
        self, x: FloatArray, mask: BoolArray | None, states: tuple[FloatArray, ...], *, keep_gates: bool
    ) -> LSTMTrace:
        """Run the cell; see Cell."""
        n, (n_steps, n_in, n_samples) = self.n_units, x.shape
        blocks = Blocks.of(n_samples, self.up.size)
        shape = (n_steps, blocks.n_blocks, n, blocks.n_in_block)
        z = np.empty((*shape[:2], 4 * n, shape[3]), dtype=x.dtype)
        i, f, o, z_g = (z[:, :, k * n : (k + 1) * n] for k in range(4))
        z_gates = np.empty((*shape[:2], 3 * n, shape[3]), dtype=x.dtype) if keep_gates else None
        p, c = (np.empty(shape, dtype=x.dtype) for _ in range(2))
        value = np.empty(shape[1:], dtype=x.dtype)  # of an activation, at one step
        read = np.empty((n_steps + 1, shape[1], n_in + n + 1, shape[3]), dtype=x.dtype)
        blocks.cut(x, read[:-1, :, :n_in])
        read[:, :, n_in] = 1
        before, h = read[:-1, :, n_in + 1 :], read[1:, :, n_in + 1 :]  # states before and after each step
        before[0], c_before = map(blocks.cut_new, states) if states else (0, None)
        padded = None if mask is None else ~blocks.cut_new(mask[:, np.newaxis])
        for t in range(n_steps):
            if t > 0 or states:
                np.matmul(self.up, read[t], out=z[t])
            else:
                np.matmul(self.up_first, read[0, :, : n_in + 1], out=z[0])
            gates = z[t, :, : 3 * n]
            if z_gates is not None:
                np.divide(gates, self.gate.scale, out=z_gates[t])
            self.gate.squash(gates)
            self.phi.function(z_g[t], value)
            np.multiply(i[t], value, out=p[t])
            if c_before is None:
                c[t] = p[t]
            else:
                np.multiply(f[t], c_before, out=c[t])
                c[t] += p[t]
            self.phi.function(c[t], value)
            np.multiply(o[t], value, out=h[t])
            if padded is not None:  # padding leaves the states as they were
                np.copyto(c[t], 0 if c_before is None else c_before, where=padded[t])
                np.copyto(h[t], before[t], where=padded[t])
            c_before = c[t]
        per_gate = () if z_gates is None else tuple(z_gates[:, :, k * n : (k + 1) * n] for k in range(3))
        return LSTMTrace(i, f, o, z_g, p, c, h, per_gate, mask, states, blocks)

    def sweep(self, trace: LSTMTrace, arrived: Arrived, rule: Rule) -> CellSwept:
        """Sweep relevance back through time, from the last step to the first.

        With the default rule, where gates get nothing, and s the sign of what it multiplies::

            u_t = o_t phi(c_t) / (c_t + eps s) lambda_h_t  +  c_t / (c_t + eps s) f_{t+1} u_{t+1}
            v_t = i_t phi(zg_t) / (zg_t + eps s) u_t
            lambda_x_t = W_g v_t,    lambda_h_{t-1} += U_g v_t

        It is back-propagation with the gates held constant and each slope phi'(z) replaced by the quotient
        phi(z) / (z + eps s) (Arras et al. 2017, 1706.07206, in the form of Ancona et al. 2018 with delta = 0). Other
        rules change the coefficients, and give gates a share, which passes their own weights.

        Parameters
        ----------
        trace : LSTMTrace
            What the forward pass left.
        arrived : Arrived
            Relevance of outputs and final states.
        rule : Rule
            The rule.

        Returns
        -------
        CellSwept
            Shares of the input and of the initial states, and the parts of biases and stabilizers.
        """
        if rule.name == "lrp-all" and not rule.bias_factor and trace.mask is None and not arrived.has_offsets:
            sizes = [_size_in_blocks(rule, z) for z in (trace.c, trace.z_g)]
            if all(size.all() for size in sizes):
                return sweep_signal_takes_all(self.down_all, self.n_inputs, trace, arrived, *sizes)
        return self._sweep(trace.joined(self.phi), arrived, rule)

    def _sweep(self, trace: JoinedTrace, arrived: Arrived, rule: Rule) -> CellSwept:
        k = self._gradient(trace) if rule.is_gradient else self._coefficients(trace, rule)
        n, uses_gates = self.n_units, rule.uses_gates
        n_in, (down, bias) = self.n_inputs, self.down[uses_gates]
        (n_steps, _, n_samples), dtype = k.out.shape, k.out.dtype
        u, sent = np.empty_like(k.out), np.empty((n_steps, len(bias), n_samples), dtype=dtype)
        below = np.empty((n_steps, len(down), n_samples), dtype=dtype)  # loadings of (x_t, h_{t-1})
        v = sent[:, -n:]
        injected = np.empty_like(u) if rule.is_closed_form else None
        final_h, final_c = arrived.final
        lambda_h = np.zeros_like(u[0]) if final_h is None else final_h.loadings.copy()
        carry = np.zeros_like(u[0]) if final_c is None else final_c.loadings.copy()
        track = LSTMOffsets.of(bias, len(down), trace, k, arrived, rule)
        first_loaded = len(u) - (0 if arrived.loadings is None else len(arrived.loadings))
        for t in range(len(u) - 1, -1, -1):
            if arrived.loadings is not None and t >= first_loaded:
                lambda_h += arrived.loadings[t - first_loaded]
            before = None if trace.mask is None else (lambda_h.copy(), carry.copy(), ~trace.mask[t])
            np.multiply(k.out[t], lambda_h, out=u[t])
            if k.keep is not None:
                carry *= k.keep[t]
            if track is not None:
                u[t] += track.enter(t, t - first_loaded)
            if injected is not None:
                injected[t] = u[t]
            u[t] += carry
            np.multiply(k.into_g[t], u[t], out=v[t])
            for gate, into in enumerate(k.into_gates):
                np.multiply(into[t], lambda_h if gate == OUTPUT else u[t], out=sent[t, gate * n : (gate + 1) * n])
            if k.forget is None:
                carry = u[t].copy()
            else:
                np.multiply(k.forget[t], u[t], out=carry)
            if track is not None:
                track.send(t, u[t], sent[t])
            if before is not None:  # padding keeps nothing
                for nothing in (u[t], sent[t]) if injected is None else (u[t], sent[t], injected[t]):
                    np.copyto(nothing, 0, where=before[2])
            multiply(down, sent[t], below[t])
            lambda_h = below[t, n_in:]
            if rule.is_closed_form:
                lambda_h[:] = 0
            if track is not None:
                track.leave(t, sent[t])
            if before is not None:  # and hands relevance on as it came
                np.copyto(lambda_h, before[0], where=before[2])
                np.copyto(carry, before[1], where=before[2])
        states = (Share(lambda_h, None if track is None else track.h), Share(carry, None if track is None else track.c))
        inputs = Share(below[:, :n_in], None if track is None else track.x)
        if rule.is_gradient:
            return CellSwept(inputs, states, 0.0, 0.0)
        lost = 0.0 if track is None else track.lost
        if rule.bias_factor:
            return CellSwept(inputs, states, 0.0, lost)
        kept = sum_product(k.shift_c, u if injected is None else injected) + sum_product(k.shift_sent, sent) + lost
        return CellSwept(inputs, states, bias @ sent.sum(axis=0), kept)

    def _coefficients(self, trace: JoinedTrace, rule: Rule) -> LSTMCoefficients:
        shift = rule.stabilizer.shift
        shift_c = shift(trace.c, trace.mask)
        shifted_c = trace.c + shift_c
        at_zero = self.phi.slope_at_zero
        out = quotient(trace.phi_c, shifted_c, at_zero)
        out *= trace.o
        # The closed forms divide by the cell once, where relevance enters; then nothing shrinks.
        keep = None if rule.is_closed_form else quotient(trace.c, shifted_c)
        forget = None if rule.name == "rudder" else trace.f
        shift_g = shift(trace.z_g, trace.mask)
        into_g = quotient(trace.g, np.add(trace.z_g, shift_g, out=shifted_c), at_zero)
        into_g *= trace.i
        if not rule.uses_gates:
            return LSTMCoefficients(out, keep, forget, into_g, shift_c, shift_g)
        shifts = [shift(z, trace.mask) for z in trace.z_gates]
        shifted = [z + s for z, s in zip(trace.z_gates, shifts, strict=True)]
        c_before = _before(trace.c, trace.states[1:])
        signals = (trace.z_g, c_before, trace.c)
        w = tuple(map(rule.signal_share, trace.z_gates, signals, shifted))
        products = (trace.p, trace.f * c_before, trace.o * trace.phi_c)
        into_gates = tuple((1 - w) * divided(p, z) for w, p, z in zip(w, products, shifted, strict=True))
        shift_sent = np.concatenate([*shifts, shift_g], axis=1)
        return LSTMCoefficients(
            out * w[OUTPUT], keep, trace.f * w[FORGET], into_g * w[INPUT], shift_c, shift_sent, into_gates, w
        )

    def _gradient(self, trace: JoinedTrace) -> LSTMCoefficients:
        """Coefficients that make the sweep the derivative of the layer."""
        gate, phi = self.gate.slope, self.phi.slope
        z_i, z_f, z_o = trace.z_gates
        into_gates = (
            gate(z_i, trace.i) * trace.g,
            gate(z_f, trace.f) * _before(trace.c, trace.states[1:]),
            gate(z_o, trace.o) * trace.phi_c,
        )
        nothing = np.empty(0)
        into_g = phi(trace.z_g, trace.g) * trace.i
        return LSTMCoefficients(
            phi(trace.c, trace.phi_c) * trace.o, None, trace.f, into_g, nothing, nothing, into_gates
        )


def _size_in_blocks(rule: Rule, z: FloatArray) -> FloatArray:
    """Size of the stabilizer of arrays in blocks, (n_blocks, 1, n_in_block) or one for all."""
    if rule.stabilizer.mode == "absolute":
        return rule.stabilizer.size(z)
    mean_square = np.einsum("tbun,tbun->bn", z, z)[:, np.newaxis] / (z.shape[0] * z.shape[2])
    return rule.stabilizer.relative_size(mean_square)


def _before(c: FloatArray, initial: tuple[FloatArray, ...]) -> FloatArray:
    """Cells as each step finds them."""
    first = initial[0] if initial else np.zeros_like(c[0])
    return np.concatenate([first[np.newaxis], c[:-1]])
