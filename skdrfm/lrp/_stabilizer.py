"""The stabilizer: a small number, of the sign of z, that keeps a division by z bounded."""

from dataclasses import dataclass

import numpy as np

from skdrfm._typing import BoolArray, FloatArray

EPSILON_MODES = ("absolute", "relative")


@dataclass(frozen=True)
class Stabilizer:
    """Shift of a denominator z away from 0 by epsilon, or by epsilon times the size of z."""

    epsilon: float
    mode: str

    def __post_init__(self) -> None:
        if self.mode not in EPSILON_MODES:
            raise ValueError(
                f"'epsilon_mode' must be one of {', '.join(map(repr, EPSILON_MODES))}. "
                f"Got {self.mode!r}. 'relative' suits outputs of any scale."
            )
        number = isinstance(self.epsilon, (int, float, np.integer, np.floating))  # callers may pass anything
        if not (number and 0 <= self.epsilon < np.inf):
            raise ValueError(
                f"'epsilon' must be a finite number >= 0. Got {self.epsilon!r}. "
                "1e-6 suits the relative mode, 0 leaves the rule without a stabilizer."
            )

    def shift(self, z: FloatArray, mask: BoolArray | None = None) -> FloatArray:
        """Signed shift of every z: epsilon times the sign of z.

        Parameters
        ----------
        z : ndarray of shape (..., n_samples)
            Denominators of one layer. In the relative mode epsilon is multiplied by their root
            mean square over time steps and units, sample by sample.
        mask : ndarray of shape (n_timesteps, n_samples), bool, default=None
            False for steps that are padding, which do not count.

        Returns
        -------
        ndarray of the shape of z
            The shift; where z is 0 it has the sign of the zero, as nothing is divided there.
        """
        return with_sign(self.size(z, mask), z, np.empty_like(z))

    def size(self, z: FloatArray, mask: BoolArray | None = None) -> FloatArray:
        """Size of the shift, sample by sample.

        Parameters
        ----------
        z, mask : as in shift
            Denominators of one layer, and its padding.

        Returns
        -------
        ndarray of shape (n_samples,) or (1,)
            Sizes >= 0; one for all samples in the absolute mode.
        """
        if self.mode == "absolute":
            return np.array([self.epsilon], dtype=z.dtype)
        if mask is None:
            mean_square = sum_product(z, z)
            mean_square /= z[..., 0].size
        else:
            mean_square = np.einsum("tun,tun,tn->n", z, z, mask)
            mean_square /= np.maximum(mask.sum(axis=0), 1) * z.shape[1]
        return self.relative_size(mean_square)

    def relative_size(self, mean_square: FloatArray) -> FloatArray:
        """Size of the shift from the mean square of what it stabilizes, computed in place."""
        size = np.sqrt(mean_square, out=mean_square)
        size *= self.epsilon
        return size


SIGN_BITS = {
    np.dtype(kind): (bits, np.array(np.iinfo(bits).min, dtype=bits))
    for kind, bits in ((np.float32, np.int32), (np.float64, np.int64))
}


def with_sign(size: FloatArray, z: FloatArray, out: FloatArray) -> FloatArray:
    """Give a size >= 0 the sign of z, as np.copysign does at up to four times the cost.

    Parameters
    ----------
    size : ndarray that broadcasts against z
        Sizes, of the dtype of z.
    z : ndarray of shape (..., n_samples)
        Numbers whose sign is taken.
    out : ndarray of the shape of z
        Where the result goes.

    Returns
    -------
    ndarray of the shape of z
        The array `out`.
    """
    bits, sign = SIGN_BITS[z.dtype]
    signed = out.view(bits)
    np.bitwise_and(z.view(bits), sign, out=signed)
    np.bitwise_or(signed, size.view(bits), out=signed)
    return out


def sum_product(a: FloatArray, b: FloatArray) -> FloatArray:
    """Sum of a * b over all axes but the last, sample by sample.

    Parameters
    ----------
    a, b : ndarray of shape (..., n_samples)
        The factors.

    Returns
    -------
    ndarray of shape (n_samples,)
        The sums.
    """
    axes = "abcdefgh"[: a.ndim - 1] + "n"
    total: FloatArray = np.einsum(f"{axes},{axes}->n", a, b)
    return total


def quotient(numerator: FloatArray, denominator: FloatArray, at_zero: float = 1.0) -> FloatArray:
    """Divide, with a given value for 0 / 0.

    A denominator ``z + shift`` is 0 only where z and the shift are; numerators are phi(z) with phi(0) = 0, so that
    the slope of phi at 0 is the limit.

    Parameters
    ----------
    numerator, denominator : ndarray of one shape
        The terms.
    at_zero : float, default=1.0
        The quotient where the denominator is 0.

    Returns
    -------
    ndarray of the same shape
        The quotients, finite everywhere.
    """
    zero = denominator == 0
    if not zero.any():
        return numerator / denominator
    return np.divide(numerator, denominator, out=np.full_like(denominator, at_zero), where=~zero)


def divided(relevance: FloatArray, denominator: FloatArray) -> FloatArray:
    """Relevance per unit of a denominator, 0 where the denominator is 0.

    Unlike `quotient` it has no limit there: a sum that is exactly 0 has no parts to share relevance among.
    """
    zero = denominator == 0
    if not zero.any():
        return relevance / denominator
    out = np.zeros(np.broadcast(relevance, denominator).shape, dtype=denominator.dtype)
    return np.divide(relevance, denominator, out=out, where=~zero)
