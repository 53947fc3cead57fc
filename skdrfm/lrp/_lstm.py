"""The LSTM: its forward pass with a trace, and its relevance sweep back through time.

Arrays are (n_timesteps, n_units, n_samples): a time step, a gate and a row of units are each one
contiguous block, and the samples, of which there are most, run fastest. Steps are in the order in
which the layer reads them.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike

from skdrfm._typing import FloatArray
from skdrfm.lrp._activations import ACTIVATIONS, GATES, Activation, Gate
from skdrfm.lrp._network import LSTM
from skdrfm.lrp._stabilizer import Stabilizer, quotient, sum_product


class Swept(NamedTuple):
    """What a layer hands down, and what it keeps of the prediction for itself."""

    loadings: FloatArray  # of the layer's inputs, (n_timesteps, n_units, n_samples)
    bias: FloatArray  # (n_samples,)
    stabilizer: FloatArray  # (n_samples,)


@dataclass(frozen=True)
class LSTMWeights:
    """Weights in the layout of the computation: transposed, and the gates in the order i, f, o, g.

    The three gates lie together, so that one call squashes them all; the scale of their argument
    is folded in.
    """

    n_units: int
    gate: Gate
    phi: Activation
    kernel: FloatArray  # (4 * n_units, n_in)
    recurrent: FloatArray  # (4 * n_units, n_units)
    bias: FloatArray  # (4 * n_units, 1)
    kernel_g: FloatArray  # (n_in, n_units)
    recurrent_g: FloatArray  # (n_units, n_units)
    bias_g: FloatArray  # (n_units,)

    @classmethod
    def of(cls, layer: LSTM, dtype: DTypeLike) -> Self:
        """Lay out the weights of a record."""
        n = layer.n_units
        gate = GATES[layer.recurrent_activation]
        i, f, g, o = (np.arange(k * n, (k + 1) * n) for k in range(4))
        order = np.concatenate([i, f, o, g])
        scale = np.repeat([gate.scale, 1.0], [3 * n, n])

        def laid_out(weights: FloatArray) -> FloatArray:
            return np.ascontiguousarray((weights[..., order] * scale).T, dtype=dtype)

        return cls(
            n_units=n,
            gate=gate,
            phi=ACTIVATIONS[layer.activation],
            kernel=laid_out(layer.kernel),
            recurrent=laid_out(layer.recurrent_kernel),
            bias=laid_out(layer.bias)[:, np.newaxis],
            kernel_g=np.ascontiguousarray(layer.kernel[:, g], dtype=dtype),
            recurrent_g=np.ascontiguousarray(layer.recurrent_kernel[:, g], dtype=dtype),
            bias_g=layer.bias[g].astype(dtype),
        )


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


def lstm_forward(weights: LSTMWeights, x: FloatArray) -> LSTMTrace:
    """Run an LSTM from zero states.

    Parameters
    ----------
    weights : LSTMWeights
        The layer.
    x : ndarray of shape (n_timesteps, n_in, n_samples)
        Input, in the order of reading.

    Returns
    -------
    LSTMTrace
        Gates, candidates and states of every step; ``h`` is the output.
    """
    n = weights.n_units
    z = np.matmul(weights.kernel, x)
    z += weights.bias
    i, f, o, z_g = (z[:, k * n : (k + 1) * n] for k in range(4))
    shape = (len(x), n, x.shape[2])
    g, c, phi_c, h = (np.empty(shape, dtype=z.dtype) for _ in range(4))
    kept = np.empty(shape[1:], dtype=z.dtype)
    for t in range(len(x)):
        if t > 0:
            z[t] += weights.recurrent @ h[t - 1]
        weights.gate.squash(z[t, : 3 * n])
        weights.phi(z_g[t], g[t])
        np.multiply(i[t], g[t], out=c[t])
        if t > 0:
            c[t] += np.multiply(f[t], c[t - 1], out=kept)
        weights.phi(c[t], phi_c[t])
        np.multiply(o[t], phi_c[t], out=h[t])
    return LSTMTrace(i, f, o, z_g, g, c, phi_c, h)


def signal_takes_all(weights: LSTMWeights, trace: LSTMTrace, loadings_h: FloatArray, stabilizer: Stabilizer) -> Swept:
    """Sweep relevance back through time where gates get none of it (rule "lrp-all").

    With ``lambda_h`` the loading of the output and s the sign of what it multiplies::

        u_t = o_t phi(c_t) / (c_t + eps s) lambda_h_t  +  c_t / (c_t + eps s) f_{t+1} u_{t+1}
        v_t = i_t phi(zg_t) / (zg_t + eps s) u_t
        lambda_x_t = W_g v_t,    lambda_h_{t-1} += U_g v_t

    It is back-propagation with the gates held constant and each slope phi'(z) replaced by the
    quotient phi(z) / (z + eps s) (Arras et al. 2017, 1706.07206, in the form of Ancona et al.
    2018 with delta = 0).

    Parameters
    ----------
    weights : LSTMWeights
        The layer.
    trace : LSTMTrace
        What its forward pass left.
    loadings_h : ndarray of shape (n_timesteps, n_units, n_samples) or (1, n_units, n_samples)
        Loadings of the outputs: of every step, or of the last alone.
    stabilizer : Stabilizer
        Shift of the denominators.

    Returns
    -------
    Swept
        Loadings of the input (in the order of reading), and the parts of the biases and of the
        stabilizer. Initial states are 0 and have no part.
    """
    shift_c = stabilizer.shift(trace.c)
    denominator = trace.c + shift_c
    rho_c = quotient(trace.phi_c, denominator)
    rho_c *= trace.o
    keep_c = quotient(trace.c, denominator)
    shift_g = stabilizer.shift(trace.z_g)
    rho_g = quotient(trace.g, np.add(trace.z_g, shift_g, out=denominator))
    rho_g *= trace.i

    u, v = np.empty_like(rho_c), np.empty_like(rho_g)
    last = len(u) - 1
    first_loaded = last + 1 - len(loadings_h)
    lambda_h, carry = np.zeros_like(u[0]), np.zeros_like(u[0])
    for t in range(last, -1, -1):
        if t >= first_loaded:
            lambda_h += loadings_h[t - first_loaded]
        np.multiply(rho_c[t], lambda_h, out=u[t])
        carry *= keep_c[t]
        u[t] += carry
        np.multiply(trace.f[t], u[t], out=carry)
        np.multiply(rho_g[t], u[t], out=v[t])
        np.matmul(weights.recurrent_g, v[t], out=lambda_h)
    kept_by_bias = weights.bias_g @ v.sum(axis=0)
    kept_by_stabilizer = sum_product(shift_c, u) + sum_product(shift_g, v)
    return Swept(np.matmul(weights.kernel_g, v), kept_by_bias, kept_by_stabilizer)
