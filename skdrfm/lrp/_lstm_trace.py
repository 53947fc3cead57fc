"""What the forward pass of an LSTM leaves, and what its sweep multiplies with."""

from typing import NamedTuple

import numpy as np

from skdrfm._typing import BoolArray, FloatArray
from skdrfm.lrp._activations import Phi
from skdrfm.lrp._blocks import Blocks


class LSTMTrace(NamedTuple):
    """What the forward pass leaves for the sweep: arrays (n_timesteps, n_blocks, n_units, n_in_block)."""

    i: FloatArray
    f: FloatArray
    o: FloatArray
    z_g: FloatArray  # pre-activation of the candidate: input, recurrent and bias together
    p: FloatArray  # i g, what enters the cell
    c: FloatArray
    outputs: FloatArray  # h
    z_gates: tuple[FloatArray, ...]  # pre-activations of i, f, o, or nothing
    mask: BoolArray | None  # (n_timesteps, n_samples)
    states: tuple[FloatArray, ...]  # initial h and c, (n_units, n_samples), or nothing for zeros
    blocks: Blocks

    @property
    def h(self) -> FloatArray:
        """Outputs of every step, (n_timesteps, n_units, n_samples)."""
        return self.blocks.join(self.outputs)

    @property
    def final(self) -> tuple[FloatArray, ...]:
        """States after the last step, each (n_units, n_samples)."""
        return self.blocks.join(self.outputs[-1]), self.blocks.join(self.c[-1])

    def joined(self, phi: Phi) -> "JoinedTrace":
        """Return the same in arrays of shape (n_timesteps, n_units, n_samples), and the activations anew."""
        arrays = (self.i, self.f, self.o, self.z_g, self.p, self.c)
        i, f, o, z_g, p, c = map(self.blocks.join, arrays)
        g, phi_c = np.empty_like(z_g), np.empty_like(c)
        phi.function(z_g, g)
        phi.function(c, phi_c)
        return JoinedTrace(
            i, f, o, z_g, g, p, c, phi_c, tuple(map(self.blocks.join, self.z_gates)), self.mask, self.states
        )


class JoinedTrace(NamedTuple):
    """What the sweeps of rules other than the default need, each (n_timesteps, n_units, n_samples)."""

    i: FloatArray
    f: FloatArray
    o: FloatArray
    z_g: FloatArray
    g: FloatArray
    p: FloatArray
    c: FloatArray
    phi_c: FloatArray
    z_gates: tuple[FloatArray, ...]
    mask: BoolArray | None
    states: tuple[FloatArray, ...]


class LSTMCoefficients(NamedTuple):
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
