"""Residuals of a weighted regression on factors and industries, for many columns at once."""

import numpy as np

from skdrfm._typing import FloatArray, IntArray

__all__ = ["residuals"]

_EPS = float(np.finfo(np.float64).eps)


def residuals(
    targets: FloatArray,
    factors: FloatArray,
    industry: IntArray | None = None,
    weight: FloatArray | None = None,
) -> FloatArray | None:
    """Residuals of weighted least squares on an intercept, or industries, and factors.

    By the theorem of Frisch, Waugh and Lovell the means of the industries are taken out of both sides, which is what a
    dummy for each industry does. What is left is projected off an orthonormal basis of the factors; directions that
    are rounding errors, as those of collinear or constant factors are, are left out. So a deficient rank gives the
    residuals of the least squares solution of minimum norm.

    Parameters
    ----------
    targets : ndarray of shape (n_columns, n_names), float64
        What is explained; finite.
    factors : ndarray of shape (n_factors, n_names), float64
        What explains; finite. There may be none.
    industry : ndarray of shape (n_names,), default=None
        Number of the industry of each name; a single intercept if None.
    weight : ndarray of shape (n_names,), default=None
        Weights above 0; equal if None.

    Returns
    -------
    ndarray of shape (n_columns, n_names) or None
        Residuals, orthogonal to every factor and to the dummy of every industry in the weighted product; exactly 0
        where only rounding errors are left. None where there are not more names than fitted coefficients.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.preprocessing._projection import residuals
    >>> size = np.array([[1.0, 2.0, 3.0, 4.0]])
    >>> residuals(np.array([[1.0, 4.0, 5.0, 8.0]]), size).round(2).tolist()
    [[-0.2, 0.6, -0.6, 0.2]]
    >>> residuals(size[:, :2], size[:, :2]) is None
    True
    """
    n_names = targets.shape[1]
    weights = np.ones(n_names) if weight is None else weight / weight.max()
    root = np.sqrt(weights)
    means = _IndustryMeans(np.zeros(n_names, dtype=np.intp) if industry is None else industry, weights)
    basis = _basis(factors, means, root)
    if n_names <= means.n_industries + len(basis):
        return None
    rest = targets
    for _ in range(2):  # the second time takes out the rounding errors that the first one left
        weighted = means.taken_out_of(rest) * root
        weighted -= (weighted @ basis.T) @ basis
        rest = weighted / root
    largest = np.abs(targets).max(axis=1)
    rest[np.abs(rest).max(axis=1) <= 4 * n_names * _EPS * largest] = 0.0
    rest[:, means.is_single] = 0.0
    return rest


class _IndustryMeans:
    """Weighted means of industries, over rows that stay the same from call to call."""

    def __init__(self, industry: IntArray, weights: FloatArray) -> None:
        _, self.member, sizes = np.unique(industry, return_inverse=True, return_counts=True)
        self.n_industries = len(sizes)
        self.is_single = (sizes == 1)[self.member]
        self.order = np.argsort(self.member, kind="stable")
        self.starts = np.cumsum(sizes) - sizes
        self.sorted_weights = weights[self.order]
        self.totals = np.add.reduceat(self.sorted_weights, self.starts)

    def taken_out_of(self, rows: FloatArray) -> FloatArray:
        """Subtract from each value the mean of its industry; a name alone in its industry is its own mean."""
        sums = np.add.reduceat(rows[:, self.order] * self.sorted_weights, self.starts, axis=1)
        left: FloatArray = rows - (sums / self.totals)[:, self.member]
        left[:, self.is_single] = 0.0
        return left


def _basis(factors: FloatArray, means: _IndustryMeans, root: FloatArray) -> FloatArray:
    """Orthonormal rows that span the factors, times the root of the weights, within industries."""
    largest = np.abs(factors).max(axis=1, keepdims=True, initial=0.0)
    factors = factors / np.where(largest > 0, largest, 1.0)
    within = means.taken_out_of(means.taken_out_of(factors)) * root
    before, after = np.linalg.norm(factors * root, axis=1), np.linalg.norm(within, axis=1)
    # What is left of a factor that is constant within industries is rounding, and no direction.
    n_names = factors.shape[1]
    varies = after > n_names * _EPS * before
    if not varies.any():
        return np.empty((0, n_names))
    before, after = before[varies], after[varies]
    _, singular, directions = np.linalg.svd(within[varies] / after[:, None], full_matrices=False)
    # A large mean, once taken out, leaves rounding errors that are larger by the same factor.
    smallest = n_names * _EPS * float((before / after).max())
    basis: FloatArray = directions[singular > smallest * singular[0]]
    return basis
