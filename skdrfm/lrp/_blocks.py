"""Samples in blocks: (..., n_units, n_samples) as (..., n_blocks, n_units, n_in_block).

A block is small enough for one thread of BLAS and for the cache, while one call still works on all blocks of a chunk.
"""

from typing import NamedTuple

import numpy as np

from skdrfm._typing import AnyArray, FloatArray
from skdrfm.lrp._linear import largest_block


class Blocks(NamedTuple):
    """How the samples of a chunk are cut; the last sample is repeated to fill the last block."""

    n_samples: int
    n_blocks: int
    n_in_block: int

    @classmethod
    def of(cls, n_samples: int, n_weights: int) -> "Blocks":
        """Choose blocks for a product with so many weights, as equal as they can be."""
        n_blocks = max(-(-n_samples // largest_block(n_weights)), 1)
        return cls(n_samples, n_blocks, -(-n_samples // n_blocks))

    def cut(self, whole: AnyArray, out: AnyArray) -> None:
        """Cut an array of shape (..., n_units, n_samples) into `out`, (..., n_blocks, n_units, n_in_block)."""
        for block in range(self.n_blocks):
            start = block * self.n_in_block
            part = whole[..., start : start + self.n_in_block]
            filled = part.shape[-1]
            out[..., block, :, :filled] = part
            if filled < self.n_in_block:
                out[..., block, :, filled:] = whole[..., -1:]

    def cut_new(self, whole: AnyArray) -> AnyArray:
        """Cut an array into a new one."""
        *leading, n_units, _ = whole.shape
        out = np.empty((*leading, self.n_blocks, n_units, self.n_in_block), dtype=whole.dtype)
        self.cut(whole, out)
        return out

    def join(self, blocks: FloatArray) -> FloatArray:
        """Join an array of shape (..., n_blocks, n_units, n_in_block) to (..., n_units, n_samples)."""
        if self.n_blocks == 1:
            return blocks[..., 0, :, : self.n_samples]
        *leading, n_blocks, n_units, n_in_block = blocks.shape
        joined: FloatArray = np.moveaxis(blocks, -3, -2).reshape(*leading, n_units, n_blocks * n_in_block)
        return joined[..., : self.n_samples]
