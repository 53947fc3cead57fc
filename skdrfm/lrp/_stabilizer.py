"""The stabilizer: a small number, of the sign of z, that keeps a division by z bounded."""

from dataclasses import dataclass

import numpy as np

from skdrfm._typing import FloatArray

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

    def shift(self, z: FloatArray) -> FloatArray:
        """Signed shift of every z: epsilon times the sign of z.

        Parameters
        ----------
        z : ndarray of shape (n_timesteps, n_units, n_samples)
            Denominators of one layer. In the relative mode epsilon is multiplied by their root
            mean square over time steps and units, sample by sample.

        Returns
        -------
        ndarray of the shape of z
            The shift; where z is 0 its sign does not matter, as nothing is divided there.
        """
        if self.mode == "absolute":
            return np.copysign(z.dtype.type(self.epsilon), z)
        mean_square = sum_product(z, z)
        mean_square /= z.shape[0] * z.shape[1]
        size = np.sqrt(mean_square, out=mean_square)
        size *= self.epsilon
        return np.copysign(size, z)


def sum_product(a: FloatArray, b: FloatArray) -> FloatArray:
    """Sum of a * b over time steps and units, sample by sample.

    Parameters
    ----------
    a, b : ndarray of shape (n_timesteps, n_units, n_samples)
        The factors.

    Returns
    -------
    ndarray of shape (n_samples,)
        The sums.
    """
    total: FloatArray = np.einsum("tun,tun->n", a, b)
    return total


def quotient(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Divide, with 0 / 0 = 1.

    A denominator ``z + shift`` is 0 only where z and the shift are; numerators are phi(z) with
    phi(0) = 0 and slope 1 there, so that 1 is the limit.

    Parameters
    ----------
    numerator, denominator : ndarray of one shape
        The terms.

    Returns
    -------
    ndarray of the same shape
        The quotients, finite everywhere.
    """
    zero = denominator == 0
    if not zero.any():
        return numerator / denominator
    return np.divide(numerator, denominator, out=np.ones_like(denominator), where=~zero)
