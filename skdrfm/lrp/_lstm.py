"""The LSTM: its forward pass with a trace, and its relevance sweep back through time.

A time step, a gate and a row of units are each one contiguous block of (n_timesteps, n_units, n_samples); steps are
in the order in which the layer reads them.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from skdrfm._typing import BoolArray, FloatArray
from skdrfm.lrp._activations import ACTIVATIONS, GATES
from skdrfm.lrp._layer import Share, check_choice, store_array
from skdrfm.lrp._recurrent import Arrived, CellSwept, Recurrent
from skdrfm.lrp._rules import Rule
from skdrfm.lrp._stabilizer import divided, quotient, sum_product

_I, _F, _O = range(3)


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

    def __post_init__(self) -> None:
        n_units = store_array(self, "recurrent_kernel", (None, None)).shape[0]
        store_array(self, "recurrent_kernel", (n_units, 4 * n_units))
        store_array(self, "kernel", (None, 4 * n_units))
        store_array(self, "bias", (4 * n_units,))
        check_choice(self, "activation", ACTIVATIONS)
        check_choice(self, "recurrent_activation", GATES)

    def cell(self, dtype: DTypeLike) -> "LSTMCell":
        """Lay the cell out for computation."""
        return LSTMCell(self, dtype)


class LSTMTrace(NamedTuple):
    """What the forward pass leaves for the sweep, each (n_timesteps, n_units, n_samples)."""

    i: FloatArray
    f: FloatArray
    o: FloatArray
    z_g: FloatArray  # pre-activation of the candidate: input, recurrent and bias together
    g: FloatArray
    c: FloatArray
    phi_c: FloatArray
    h: FloatArray
    z_gates: tuple[FloatArray, ...] | None  # pre-activations of i, f, o
    mask: BoolArray | None
    states: tuple[FloatArray, ...]  # initial h and c, or nothing for zeros

    @property
    def final(self) -> tuple[FloatArray, ...]:
        """States after the last step."""
        return self.h[-1], self.c[-1]


class _Coefficients(NamedTuple):
    """What the sweep multiplies with, each (n_timesteps, n_units, n_samples).

    With u = R_c / (c + eps s) the relevance per unit of a cell and w the signal's share in a product::

        u_t   = out_t lambda_h_t + keep_t carry_{t+1},     carry_t = forget_t u_t
        m_g_t = into_g_t u_t,  m_i_t = into_i_t u_t,  m_f_t = into_f_t u_t,  m_o_t = into_o_t lambda_h_t
    """

    out: FloatArray
    keep: FloatArray | None  # None: 1
    forget: FloatArray | None  # None: 1
    into_g: FloatArray
    shift_c: FloatArray
    shift_sent: FloatArray  # stabilizers of the messages: g alone, or i, f, o, g
    into_gates: tuple[FloatArray, ...] = ()  # i, f, o
    w: tuple[FloatArray, ...] = ()  # of the products with i, f, o


class LSTMCell:
    """Weights in the layout of the computation: transposed, and the gates in the order i, f, o, g.

    The three gates lie together, so that one call squashes them all; the scale of their argument is folded in.
    """

    def __init__(self, layer: LSTM, dtype: DTypeLike) -> None:
        n = self.n_units = layer.n_units
        self.gate = GATES[layer.recurrent_activation]
        self.phi = ACTIVATIONS[layer.activation]
        i, f, g, o = (np.arange(k * n, (k + 1) * n) for k in range(4))
        order = np.concatenate([i, f, o, g])
        scale = np.repeat([self.gate.scale, 1.0], [3 * n, n])

        def laid_out(weights: FloatArray) -> FloatArray:
            return np.ascontiguousarray((weights[..., order] * scale).T, dtype=dtype)

        self.kernel = laid_out(layer.kernel)
        self.recurrent = laid_out(layer.recurrent_kernel)
        self.bias = laid_out(layer.bias)[:, np.newaxis]
        # Without and with the gates, for the sweep.
        self.down = {
            uses_gates: tuple(
                np.ascontiguousarray(weights[..., columns], dtype=dtype)
                for weights in (layer.kernel, layer.recurrent_kernel, layer.bias)
            )
            for uses_gates, columns in ((False, g), (True, order))
        }

    def forward(
        self, x: FloatArray, mask: BoolArray | None, states: tuple[FloatArray, ...], *, keep_gates: bool
    ) -> LSTMTrace:
        """Run the cell; see Cell."""
        n = self.n_units
        z = np.matmul(self.kernel, x)
        z += self.bias
        i, f, o, z_g = (z[:, k * n : (k + 1) * n] for k in range(4))
        z_gates = np.empty((len(x), 3 * n, x.shape[2]), dtype=z.dtype) if keep_gates else None
        g, c, phi_c, h = (np.empty((len(x), n, x.shape[2]), dtype=z.dtype) for _ in range(4))
        kept = np.empty(c.shape[1:], dtype=z.dtype)
        h_before, c_before = states if states else (None, None)
        for t in range(len(x)):
            if h_before is not None:
                z[t] += self.recurrent @ h_before
            if z_gates is not None:
                np.divide(z[t, : 3 * n], self.gate.scale, out=z_gates[t])
            self.gate.squash(z[t, : 3 * n])
            self.phi.function(z_g[t], g[t])
            np.multiply(i[t], g[t], out=c[t])
            if c_before is not None:
                c[t] += np.multiply(f[t], c_before, out=kept)
            self.phi.function(c[t], phi_c[t])
            np.multiply(o[t], phi_c[t], out=h[t])
            if mask is not None:  # padding leaves the states as they were
                np.copyto(c[t], 0 if c_before is None else c_before, where=~mask[t])
                np.copyto(h[t], 0 if h_before is None else h_before, where=~mask[t])
            h_before, c_before = h[t], c[t]
        per_gate = None if z_gates is None else tuple(z_gates[:, k * n : (k + 1) * n] for k in range(3))
        return LSTMTrace(i, f, o, z_g, g, c, phi_c, h, per_gate, mask, states)

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
        k = self._gradient(trace) if rule.is_gradient else self._coefficients(trace, rule)
        n, uses_gates = self.n_units, rule.uses_gates
        kernel, recurrent, bias = self.down[uses_gates]
        u, sent = np.empty_like(k.out), np.empty((len(k.out), len(bias), k.out.shape[2]), dtype=k.out.dtype)
        v = sent[:, -n:]
        injected = np.empty_like(u) if rule.is_closed_form else None
        final_h, final_c = arrived.final
        lambda_h = np.zeros_like(u[0]) if final_h is None else final_h.loadings.copy()
        carry = np.zeros_like(u[0]) if final_c is None else final_c.loadings.copy()
        track = _Offsets.of(self, trace, k, arrived, rule)
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
                np.multiply(into[t], lambda_h if gate == _O else u[t], out=sent[t, gate * n : (gate + 1) * n])
            if k.forget is None:
                carry = u[t].copy()
            else:
                np.multiply(k.forget[t], u[t], out=carry)
            if track is not None:
                track.send(t, u[t], sent[t])
            if rule.is_closed_form:
                lambda_h[:] = 0
            else:
                np.matmul(recurrent, sent[t], out=lambda_h)
            if track is not None:
                track.leave(t, sent[t])
            if before is not None:  # padding hands relevance on as it came
                padded = before[2]
                np.copyto(lambda_h, before[0], where=padded)
                np.copyto(carry, before[1], where=padded)
                for nothing in (u[t], sent[t]) if injected is None else (u[t], sent[t], injected[t]):
                    np.copyto(nothing, 0, where=padded)
        states = (Share(lambda_h, None if track is None else track.h), Share(carry, None if track is None else track.c))
        inputs = Share(np.matmul(kernel, sent), None if track is None else track.x)
        if rule.is_gradient:
            return CellSwept(inputs, states, 0.0, 0.0)
        lost = 0.0 if track is None else track.lost
        if rule.bias_factor:
            return CellSwept(inputs, states, 0.0, lost)
        kept = sum_product(k.shift_c, u if injected is None else injected) + sum_product(k.shift_sent, sent) + lost
        return CellSwept(inputs, states, bias @ sent.sum(axis=0), kept)

    def _coefficients(self, trace: LSTMTrace, rule: Rule) -> _Coefficients:
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
            return _Coefficients(out, keep, forget, into_g, shift_c, shift_g)
        assert trace.z_gates is not None
        shifts = [shift(z, trace.mask) for z in trace.z_gates]
        shifted = [z + s for z, s in zip(trace.z_gates, shifts, strict=True)]
        c_before = _before(trace.c, trace.states[1:])
        signals = (trace.z_g, c_before, trace.c)
        w = tuple(map(rule.signal_share, trace.z_gates, signals, shifted))
        products = (trace.i * trace.g, trace.f * c_before, trace.o * trace.phi_c)
        into_gates = tuple((1 - w) * divided(p, z) for w, p, z in zip(w, products, shifted, strict=True))
        shift_sent = np.concatenate([*shifts, shift_g], axis=1)
        return _Coefficients(out * w[_O], keep, trace.f * w[_F], into_g * w[_I], shift_c, shift_sent, into_gates, w)

    def _gradient(self, trace: LSTMTrace) -> _Coefficients:
        """Coefficients that make the sweep the derivative of the layer."""
        assert trace.z_gates is not None
        gate, phi = self.gate.slope, self.phi.slope
        z_i, z_f, z_o = trace.z_gates
        into_gates = (
            gate(z_i, trace.i) * trace.g,
            gate(z_f, trace.f) * _before(trace.c, trace.states[1:]),
            gate(z_o, trace.o) * trace.phi_c,
        )
        nothing = np.empty(0)
        into_g = phi(trace.z_g, trace.g) * trace.i
        return _Coefficients(phi(trace.c, trace.phi_c) * trace.o, None, trace.f, into_g, nothing, nothing, into_gates)


def _before(c: FloatArray, initial: tuple[FloatArray, ...]) -> FloatArray:
    """Cells as each step finds them."""
    first = initial[0] if initial else np.zeros_like(c[0])
    return np.concatenate([first[np.newaxis], c[:-1]])


class _Offsets:
    """Relevance on its way back through time that does not scale with what it belongs to; see Share.

    It enters a cell and is divided by it like any relevance. With a bias factor of 1 each sum then hands the relevance
    of its bias and stabilizer down in equal parts: a cell to 2 n_units products, a pre-activation to n_in + n_units.
    """

    def __init__(self, cell: LSTMCell, trace: LSTMTrace, k: _Coefficients, arrived: Arrived, rule: Rule) -> None:
        n, dtype = cell.n_units, k.out.dtype
        kernel, _, self.bias = cell.down[rule.uses_gates]
        self.n, self.n_inlets, self.hands_down = n, len(kernel) + n, bool(rule.bias_factor)
        self.arrived, self.k, self.mask = arrived.offsets, k, trace.mask
        self.shifted_c = trace.c + k.shift_c
        z = [trace.z_g] if trace.z_gates is None or not rule.uses_gates else [*trace.z_gates, trace.z_g]
        self.shifted_sent = np.concatenate(z, axis=1) + k.shift_sent
        shape = k.out.shape[1:]
        self.h, self.c = (
            np.zeros(shape, dtype=dtype)
            if share is None or share.offsets is None
            else share.offsets + np.zeros(shape, dtype=dtype)
            for share in arrived.final
        )
        self.x = np.zeros((len(k.out), 1, shape[1]), dtype=dtype)
        self.lost = np.zeros(shape[1], dtype=dtype)

    @classmethod
    def of(cls, cell: LSTMCell, trace: LSTMTrace, k: _Coefficients, arrived: Arrived, rule: Rule) -> "_Offsets | None":
        """Return offsets to track, None where there are none."""
        none_came = arrived.offsets is None and all(s is None or s.offsets is None for s in arrived.final)
        if rule.is_gradient or (none_came and not rule.bias_factor):
            return None
        return cls(cell, trace, k, arrived, rule)

    def enter(self, t: int, position: int) -> FloatArray:
        """Return what the offsets of h and c add to u."""
        if self.arrived is not None and position >= 0:
            self.h = self.h + self.arrived[position]
        self.before = (self.h, self.c)
        into_c = self.c + (self.k.w[_O][t] * self.h if self.k.w else self.h)
        self._lose(t, into_c, self.shifted_c[t])
        return divided(into_c, self.shifted_c[t])

    def send(self, t: int, u: FloatArray, sent: FloatArray) -> None:
        """Add the offsets of the products to the messages, and carry on with those of the cell before."""
        n = self.n
        product = np.zeros_like(u)
        if self.hands_down:
            product += (self.k.shift_c[t] * u).sum(axis=0) / (2 * n)
        parts = [product]
        self.c = product
        if self.k.w:
            w_i, w_f, w_o = (w[t] for w in self.k.w)
            parts = [(1 - w_i) * product, (1 - w_f) * product, (1 - w_o) * self.h, w_i * product]
            self.c = w_f * product
        offsets = np.concatenate(parts)
        self._lose(t, offsets, self.shifted_sent[t])
        sent += divided(offsets, self.shifted_sent[t])

    def leave(self, t: int, sent: FloatArray) -> None:
        """Hand the relevance of biases and stabilizers down to the input and the state before."""
        self.h = np.zeros_like(self.h)
        if self.hands_down:
            self.x[t] = ((self.bias[:, np.newaxis] + self.k.shift_sent[t]) * sent).sum(axis=0) / self.n_inlets
            self.h = self.h + self.x[t]
        if self.mask is not None:
            live = self.mask[t]
            self.x[t] *= live
            self.h, self.c = (
                np.where(live, now, then) for now, then in zip((self.h, self.c), self.before, strict=True)
            )

    def _lose(self, t: int, offsets: FloatArray, denominator: FloatArray) -> None:
        """Count relevance of sums that are exactly 0, which have no parts to take it."""
        lost = np.where(denominator == 0, offsets, 0).sum(axis=0)
        self.lost += lost if self.mask is None else lost * self.mask[t]
