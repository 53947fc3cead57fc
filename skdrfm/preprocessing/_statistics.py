"""Means and quantiles of the known values of each column of a cross-section."""

import numpy as np

from skdrfm._typing import BoolArray, FloatArray

__all__ = ["centred", "means", "quantiles"]

# A sum of very large numbers overflows where their mean does not; a power of two changes no other bit.
_ROOM = 2.0**-32


def means(values: FloatArray, known: BoolArray, weight: FloatArray | None = None) -> FloatArray:
    """Mean of the known values of each row.

    Parameters
    ----------
    values : ndarray of shape (n_columns, n_names), float64
        Numbers.
    known : ndarray of shape (n_columns, n_names), bool
        Values that count.
    weight : ndarray of shape (n_names,), default=None
        Weights above 0; equal if None.

    Returns
    -------
    ndarray of shape (n_columns, 1)
        Means; NaN where no value is known.
    """
    weights = known.astype(np.float64) if weight is None else np.where(known, weight / weight.max(), 0.0)
    products = np.where(known, values * _ROOM, 0.0)
    products *= weights
    with np.errstate(invalid="ignore"):
        mean: FloatArray = products.sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)
    mean /= _ROOM
    return mean


def centred(values: FloatArray, known: BoolArray) -> FloatArray:
    """Deviations of the known values of each row from their mean.

    Parameters
    ----------
    values : ndarray of shape (n_columns, n_names), float64
        Numbers.
    known : ndarray of shape (n_columns, n_names), bool
        Values that count.

    Returns
    -------
    ndarray of shape (n_columns, n_names)
        Deviations; 0 where not known, and exactly 0 in a row whose known values are all equal.
    """
    deviations = np.where(known, values - means(values, known), 0.0)
    smallest = np.where(known, values, np.inf).min(axis=1)
    largest = np.where(known, values, -np.inf).max(axis=1)
    # The mean of equal numbers may differ from them in the last place: that is no deviation.
    deviations[smallest == largest] = 0.0
    return deviations


def quantiles(values: FloatArray, *levels: float) -> list[FloatArray]:
    """Quantiles of the known values of each row, linear between neighbours.

    The quantile of level q of n sorted values stands at position ``(n - 1) q``, counted from 0.

    Parameters
    ----------
    values : ndarray of shape (n_columns, n_names)
        Numbers; NaN is missing.
    *levels : float
        Levels from 0 to 1.

    Returns
    -------
    list of ndarray of shape (n_columns, 1), float64
        One array for each level; NaN where no value is known.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.preprocessing._statistics import quantiles
    >>> median, largest = quantiles(np.array([[4.0, np.nan, 1.0], [np.nan, np.nan, np.nan]]), 0.5, 1.0)
    >>> median.ravel().tolist(), largest.ravel().tolist()
    ([2.5, nan], [4.0, nan])
    """
    ascending = np.sort(values, axis=1).astype(np.float64, copy=False)  # NaN last
    last = values.shape[1] - np.isnan(values).sum(axis=1, keepdims=True) - 1
    found = []
    for level in levels:
        position = np.maximum(last, 0) * level
        below = np.floor(position).astype(np.intp)
        above = np.minimum(below + 1, np.maximum(last, 0))
        low = np.take_along_axis(ascending, below, axis=1)
        high = np.take_along_axis(ascending, above, axis=1)
        # Half of it, then doubled, for the distance of two numbers may overflow. Equal neighbours give their value.
        half = low / 2 + (high / 2 - low / 2) * (position - below)
        found.append(2 * half)
    return found
