"""Share of the one state of a cell, on its way back through time."""

import numpy as np

from skdrfm._typing import BoolArray, FloatArray
from skdrfm.lrp._layer import Share
from skdrfm.lrp._recurrent import Arrived, added
from skdrfm.lrp._rules import Rule


class StateShare:
    """Share of the one state of a cell, on its way from the last step to the first.

    Parameters
    ----------
    share : Share
        Of the final state.
    arrived : Arrived
        Relevance of the outputs.
    tracked : bool
        Whether there are offsets, or will be.
    """

    def __init__(self, share: Share, arrived: Arrived, tracked: bool) -> None:
        self.share, self.arrived, self.tracked = share, arrived, tracked

    @classmethod
    def of(cls, final: Share | None, like: FloatArray, arrived: Arrived, rule: Rule) -> "StateShare":
        """Start from the share of the final state, zeros where nothing reads it."""
        tracked = not rule.is_gradient and (arrived.has_offsets or bool(rule.bias_factor))
        loadings = np.zeros_like(like) if final is None else final.loadings
        offsets = np.zeros_like(like) if tracked else None
        if offsets is not None and final is not None and final.offsets is not None:
            offsets = offsets + final.offsets
        return cls(Share(loadings, offsets), arrived, tracked)

    def at(self, t: int, n_steps: int) -> Share:
        """Return the share at a step, with what arrives there."""
        loadings, offsets, _ = self.arrived
        if loadings is not None and t >= n_steps - len(loadings):
            position = t - (n_steps - len(loadings))
            arriving = Share(loadings[position], None if offsets is None else offsets[position])
            self.share = added(self.share, arriving)
        return self.share

    def move(self, loadings: FloatArray, offsets: FloatArray | None, live: BoolArray | None) -> None:
        """Go on to the step before; padding hands its share on as it came."""
        before = self.share
        if live is not None:
            loadings = np.where(live, loadings, before.loadings)
            if offsets is not None and before.offsets is not None:
                offsets = np.where(live, offsets, before.offsets)
        self.share = Share(loadings, offsets)

    @staticmethod
    def count(t: int, mask: BoolArray | None, lost: FloatArray) -> FloatArray:
        """Sum over units of what was lost at a step, padding left out."""
        total: FloatArray = lost.sum(axis=0)
        return total if mask is None else total * mask[t]
