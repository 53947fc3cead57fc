"""Relevance on its way back through an LSTM that does not scale with what it belongs to."""

import numpy as np

from skdrfm._typing import FloatArray
from skdrfm.lrp._lstm_trace import JoinedTrace, LSTMCoefficients
from skdrfm.lrp._recurrent import Arrived
from skdrfm.lrp._rules import Rule
from skdrfm.lrp._stabilizer import divided

INPUT, FORGET, OUTPUT = range(3)
"""Positions of the gates."""


class LSTMOffsets:
    """Relevance on its way back through time that does not scale with what it belongs to; see Share.

    It enters a cell and is divided by it like any relevance. With a bias factor of 1 each sum then hands the relevance
    of its bias and stabilizer down in equal parts: a cell to 2 n_units products, a pre-activation to n_in + n_units.
    """

    def __init__(
        self, bias: FloatArray, n_inlets: int, trace: JoinedTrace, k: LSTMCoefficients, arrived: Arrived, rule: Rule
    ) -> None:
        self.n, dtype = k.out.shape[1], k.out.dtype
        self.bias, self.n_inlets, self.hands_down = bias, n_inlets, bool(rule.bias_factor)
        self.arrived, self.k, self.mask = arrived.offsets, k, trace.mask
        self.shifted_c = trace.c + k.shift_c
        z = [*trace.z_gates, trace.z_g] if rule.uses_gates else [trace.z_g]
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
    def of(
        cls, bias: FloatArray, n_inlets: int, trace: JoinedTrace, k: LSTMCoefficients, arrived: Arrived, rule: Rule
    ) -> "LSTMOffsets | None":
        """Return offsets to track, None where there are none."""
        if rule.is_gradient or not (arrived.has_offsets or rule.bias_factor):
            return None
        return cls(bias, n_inlets, trace, k, arrived, rule)

    def enter(self, t: int, position: int) -> FloatArray:
        """Return what the offsets of h and c add to u."""
        if self.arrived is not None and position >= 0:
            self.h = self.h + self.arrived[position]
        self.before = (self.h, self.c)
        into_c = self.c + (self.k.w[OUTPUT][t] * self.h if self.k.w else self.h)
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
