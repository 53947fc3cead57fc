"""The rule for a weighted sum: what it makes of incoming shares, and what it keeps."""

from typing import NamedTuple

import numpy as np

from skdrfm._typing import FloatArray
from skdrfm.lrp._layer import Share
from skdrfm.lrp._rules import Rule
from skdrfm.lrp._stabilizer import divided, quotient, sum_product

# From about this many multiplications on, BLAS starts threads of its own, which get in the way of ours.
_LARGEST_PRODUCT = 1_000_000


def largest_block(n_weights: int) -> int:
    """Return how many samples a product with so many weights may take at once, a multiple of 64."""
    return max(_LARGEST_PRODUCT // n_weights // 64, 1) * 64


def multiply(weights: FloatArray, x: FloatArray, out: FloatArray) -> None:
    """Multiply weights and samples in blocks of samples that one thread of BLAS computes alone.

    Parameters
    ----------
    weights : ndarray of shape (n_out, n_in)
        The weights.
    x : ndarray of shape (..., n_in, n_samples)
        What is multiplied.
    out : ndarray of shape (..., n_out, n_samples)
        Where the product goes.
    """
    n_samples = x.shape[-1]
    block = largest_block(weights.size)
    for start in range(0, n_samples, block):
        samples = slice(start, start + block)
        np.matmul(weights, x[..., samples], out=out[..., samples])


class Message(NamedTuple):
    """Relevance of each unit per unit of its stabilized pre-activation, and what could not be shared."""

    values: FloatArray  # (..., n_units, n_samples)
    lost: FloatArray | float = 0.0  # (n_samples,)


def message(share: Share, phi_z: FloatArray, denominator: FloatArray, slope_at_zero: float) -> Message:
    """Divide relevance by the stabilized pre-activation: ``m_j = R_j / (z_j + eps s_j)``.

    With ``R_j = phi(z_j) lambda_j`` it is lambda_j times phi(z_j) / (z_j + eps s_j), finite also where z_j is 0.

    Parameters
    ----------
    share : Share
        Of the outputs phi(z).
    phi_z : ndarray of shape (..., n_units, n_samples)
        The outputs.
    denominator : ndarray of the same shape
        z + eps s.
    slope_at_zero : float
        Slope of phi at 0.

    Returns
    -------
    Message
        The messages; an offset of a unit whose denominator is 0 is lost to the stabilizer.
    """
    values = quotient(phi_z, denominator, slope_at_zero)
    values *= share.loadings
    if share.offsets is None:
        return Message(values)
    values += divided(share.offsets, denominator)
    lost = np.where(denominator == 0, share.offsets, 0)
    return Message(values, lost.reshape(-1, lost.shape[-1]).sum(axis=0))


class Settled(NamedTuple):
    """What the biases and the stabilizer of a weighted sum keep, or hand down to its inputs in equal parts."""

    bias: FloatArray | float
    stabilizer: FloatArray | float
    offsets: FloatArray | None  # (..., 1, n_samples), for each of the inputs


def settle(
    rule: Rule, sent: FloatArray, bias: FloatArray, shift: FloatArray, n_inlets: int, lost: FloatArray | float = 0.0
) -> Settled:
    """Account for biases and stabilizer: ``delta (b_j + eps s_j) / N`` to each inlet, the rest is kept.

    Parameters
    ----------
    rule : Rule
        Says whether the bias factor delta is 0 or 1.
    sent : ndarray of shape (..., n_units, n_samples)
        Messages.
    bias : ndarray of shape (n_units,)
        Biases b.
    shift : ndarray of the shape of sent
        Stabilizers eps s.
    n_inlets : int
        Number N of lower units that feed each unit.
    lost : ndarray of shape (n_samples,), default=0.0
        Relevance that `message` could not share.

    Returns
    -------
    Settled
        Kept parts, and offsets of the inputs (None for delta = 0).
    """
    if rule.bias_factor == 0:
        summed = sent.sum(axis=tuple(range(sent.ndim - 2))) if sent.ndim > 2 else sent
        return Settled(bias @ summed, sum_product(shift, sent) + lost, None)
    handed_down = ((bias[:, np.newaxis] + shift) * sent).sum(axis=-2, keepdims=True) / n_inlets
    return Settled(0.0, lost, handed_down)
