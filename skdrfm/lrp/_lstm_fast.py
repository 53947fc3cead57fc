"""The sweep of an LSTM by the default rule, without anything special, in as few passes as it takes."""

import numpy as np

from skdrfm._typing import FloatArray
from skdrfm.lrp._layer import Share
from skdrfm.lrp._lstm_trace import LSTMTrace
from skdrfm.lrp._recurrent import Arrived, CellSwept
from skdrfm.lrp._stabilizer import SIGN_BITS


def sweep_signal_takes_all(
    down: FloatArray, n_in: int, trace: LSTMTrace, arrived: Arrived, size_c: FloatArray, size_g: FloatArray
) -> CellSwept:
    """Sweep relevance back through time where gates get none of it, no step is padding and no denominator is 0.

    It is the sweep of `LSTMCell` with the factors of a step multiplied together as they are needed, so that a step
    stays in the cache: ``u = (h lambda_h + c carry) / (c + eps s)`` and ``v = i g u / (z_g + eps s)``.

    Parameters
    ----------
    down : ndarray of shape (n_in + 1 + n_units, n_units)
        Candidate's weights of input, bias and state before.
    n_in : int
        Number of inputs.
    trace : LSTMTrace
        What the forward pass left.
    arrived : Arrived
        Relevance of outputs and final states, without offsets.
    size_c, size_g : ndarray of shape (n_blocks, 1, n_in_block) or (1,)
        Sizes of the stabilizers of cells and candidates, > 0.

    Returns
    -------
    CellSwept
        Shares of the input and of the initial states, and the parts of biases and stabilizers.
    """
    blocks, c, z_g, h = trace.blocks, trace.c, trace.z_g, trace.outputs
    n_steps, n_blocks, _, n_in_block = c.shape
    # Loadings of x_t, the part of the bias, and loadings of h_{t-1}.
    below = np.empty((n_steps, n_blocks, len(down), n_in_block), dtype=c.dtype)
    lambda_h, carry = (None if share is None else blocks.cut_new(share.loadings) for share in arrived.final)
    loaded = () if arrived.loadings is None else blocks.cut_new(arrived.loadings)
    u, v, shift, shifted = (np.empty_like(c[0]) for _ in range(4))
    bits, sign = SIGN_BITS[c.dtype]
    c_bits, g_bits, shift_bits, size_c_bits, size_g_bits = (a.view(bits) for a in (c, z_g, shift, size_c, size_g))
    stabilizer = np.zeros((n_blocks, 1, n_in_block), dtype=c.dtype)
    first_loaded = n_steps - len(loaded)
    for t in range(n_steps - 1, -1, -1):
        if t >= first_loaded:
            if lambda_h is None:
                lambda_h = loaded[t - first_loaded]
            else:
                lambda_h += loaded[t - first_loaded]
        np.bitwise_and(c_bits[t], sign, out=shift_bits)  # the sign of c with the size of the stabilizer
        np.bitwise_or(shift_bits, size_c_bits, out=shift_bits)
        np.add(c[t], shift, out=shifted)
        if lambda_h is None:
            u[:] = 0
        else:
            np.multiply(h[t], lambda_h, out=u)
        if carry is None:
            carry = np.empty_like(u)
        else:
            carry *= c[t]
            u += carry
        u /= shifted
        stabilizer[:, 0] += np.einsum("bun,bun->bn", shift, u)
        np.bitwise_and(g_bits[t], sign, out=shift_bits)
        np.bitwise_or(shift_bits, size_g_bits, out=shift_bits)
        np.add(z_g[t], shift, out=shifted)
        np.multiply(trace.p[t], u, out=v)
        v /= shifted
        stabilizer[:, 0] += np.einsum("bun,bun->bn", shift, v)
        if t > 0 or trace.states:
            np.multiply(trace.f[t], u, out=carry)
            np.matmul(down, v, out=below[t])
            lambda_h = below[t, :, n_in + 1 :]
        else:  # nothing reads the loading of a state of 0
            np.matmul(down[: n_in + 1], v, out=below[0, :, : n_in + 1])
    join = blocks.join
    states: tuple[Share, ...] = ()
    if trace.states and lambda_h is not None and carry is not None:
        states = (Share(join(lambda_h)), Share(join(carry)))
    return CellSwept(
        Share(join(below[:, :, :n_in])), states, join(below[:, :, n_in : n_in + 1].sum(axis=0))[0], join(stabilizer)[0]
    )
