"""Statistics of trailing windows over months, for all assets at once and in time linear in the months.

A window that ends at t is the end of one block of months joined to the start of the next; both are accumulated once.
Nothing is ever subtracted from a running sum, so a huge return leaves no rounding behind when it leaves the window.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skdrfm._typing import BoolArray, FloatArray

# Assets are taken in blocks whose running sums stay in the cache of the processor.
_ASSETS = 512


@dataclass(frozen=True)
class Moments:
    """Sums of a trailing window that ends at each month, over the months with a known return.

    Parameters
    ----------
    count : ndarray of shape (n_months, n_assets)
        Known returns.
    squares, cubes : ndarray of shape (n_months, n_assets)
        Sums of powers 2 and 3 of the deviations from the mean of the window.
    market_squares, products : ndarray of shape (n_months, n_assets), or None
        Sum of squared deviations of the market over the same months, and of the products of both deviations.
    """

    count: FloatArray
    squares: FloatArray
    cubes: FloatArray
    market_squares: FloatArray | None = None
    products: FloatArray | None = None


def rolling_moments(returns: FloatArray, window: int, market: FloatArray | None = None) -> Moments:
    """Central sums of the last ``window`` months, by the pairwise update of Chan, Golub and LeVeque (1983).

    Parameters
    ----------
    returns : ndarray of shape (n_months, n_assets)
        Decimal returns, NaN where unknown.
    window : int
        Months in the window, the month itself included; the first windows are shorter.
    market : ndarray of shape (n_months,), default=None
        Decimal market returns, all known.

    Returns
    -------
    Moments
        Their arrays are new.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.descriptors._rolling import rolling_moments
    >>> moments = rolling_moments(np.array([[1.0], [3.0], [np.nan], [5.0]]), window=3)
    >>> moments.count.ravel().tolist(), moments.squares.ravel().tolist()
    ([1.0, 2.0, 2.0, 2.0], [0.0, 2.0, 2.0, 2.0])
    """
    n_months, n_assets = returns.shape
    n_sums = 3 if market is None else 5
    out = np.empty((n_sums, n_months, n_assets))
    for first in range(0, n_assets, _ASSETS):
        columns = slice(first, first + _ASSETS)
        blocks = _in_blocks(returns[:, columns], window)
        x = None if market is None else _in_blocks(market[:, np.newaxis], window, padding=0.0)
        start = _accumulate(blocks, x)
        end = _accumulate(blocks[:, ::-1], None if x is None else x[:, ::-1])[:, :, ::-1]
        joined = _join(_ends_before(end), start)
        for target, row in zip(out, _CENTRAL, strict=False):
            target[:, columns] = joined[row].reshape(-1, blocks.shape[2])[window - 1 : window - 1 + n_months]
    return Moments(*out)


def _in_blocks(values: FloatArray, window: int, padding: float = np.nan) -> FloatArray:
    """Blocks of ``window`` months, shape (n_blocks, window, n_assets), after ``window - 1`` months of padding."""
    n_months, n_assets = values.shape
    n_blocks = -(-(n_months + window - 1) // window)
    padded = np.full((n_blocks * window, n_assets), padding)
    padded[window - 1 : window - 1 + n_months] = values
    return padded.reshape(n_blocks, window, n_assets)


def _ends_before(end: FloatArray) -> FloatArray:
    """For the window that ends at each place of a block, what it takes from the end of the block before.

    ``end[..., b, j, :]`` holds the months j and later of block b; the window that ends at place j of block b + 1 starts
    at place j + 1 of block b, and takes nothing where j is the last place.
    """
    before = np.zeros_like(end)
    before[:, 1:, :-1] = end[:, :-1, 1:]
    return before


# Rows of the arrays of running sums: count, mean, squares, cubes, mean of the market, its squares, products. Those that
# are no means are what a window gives.
_CENTRAL = (0, 2, 3, 5, 6)


def _accumulate(blocks: FloatArray, market: FloatArray | None) -> FloatArray:
    """Accumulate sums from the first place of each block, shape (4 or 7, n_blocks, window, n_assets)."""
    n_blocks, window, n_assets = blocks.shape
    sums = np.zeros((4 if market is None else 7, n_blocks, window, n_assets))
    state = np.zeros((len(sums), n_blocks, n_assets))
    for j in range(window):
        known: BoolArray = ~np.isnan(blocks[:, j])
        count, mean, squares, cubes = state[:4]
        before = count.copy()
        count += known
        # With an unknown return the deviation is 0, which leaves every sum as it is.
        deviation = np.where(known, blocks[:, j] - mean, 0.0)
        n = np.maximum(count, 1.0)
        step = deviation / n
        growth = deviation * step * before
        cubes += growth * step * (n - 2) - 3 * step * squares
        squares += growth
        mean += step
        if market is not None:
            market_mean, market_squares, products = state[4:]
            market_deviation = np.where(known, market[:, j] - market_mean, 0.0)
            market_mean += market_deviation / n
            rest = np.where(known, market[:, j] - market_mean, 0.0)
            market_squares += market_deviation * rest
            products += deviation * rest
        sums[:, :, j] = state
    return sums


def _join(first: FloatArray, second: FloatArray) -> FloatArray:
    """Join the sums of two parts of a window, into ``second``."""
    n1, mean1, squares1, cubes1 = first[:4]
    n2, mean2, squares2, cubes2 = second[:4]
    n = np.maximum(n1 + n2, 1.0)
    gap = mean2 - mean1
    weight = n1 * n2 / n  # 0 where a part knows nothing, and the gap to its mean counts for nothing
    cubes2 += cubes1 + gap**3 * weight * (n1 - n2) / n + 3 * gap * (n1 * squares2 - n2 * squares1) / n
    squares2 += squares1 + gap * gap * weight
    if len(first) > 4:
        market_gap = second[4] - first[4]
        second[5] += first[5] + market_gap * market_gap * weight
        second[6] += first[6] + gap * market_gap * weight
    n2 += n1
    return second


def rolling_reduce(values: FloatArray, window: int, ufunc: Any) -> FloatArray:
    """Sum or product over the last ``window`` months.

    Parameters
    ----------
    values : ndarray of shape (n_months, n_assets)
        Numbers; NaN makes every window that holds it NaN.
    window : int
        Months in the window, the month itself included.
    ufunc : ufunc
        ``np.add`` or ``np.multiply``.

    Returns
    -------
    ndarray of shape (n_months, n_assets)
        The first ``window - 1`` windows run over the months that there are.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.descriptors._rolling import rolling_reduce
    >>> rolling_reduce(np.array([[1.0], [2.0], [3.0], [4.0], [5.0]]), 3, np.multiply).ravel().tolist()
    [1.0, 2.0, 6.0, 24.0, 60.0]
    """
    n_months, n_assets = values.shape
    out = np.empty((n_months, n_assets))
    for first in range(0, n_assets, _ASSETS):
        columns = slice(first, first + _ASSETS)
        blocks = _in_blocks(values[:, columns], window, padding=float(ufunc.identity))
        start = ufunc.accumulate(blocks, axis=1)
        end = ufunc.accumulate(blocks[:, ::-1], axis=1)[:, ::-1]
        start[1:, :-1] = ufunc(end[:-1, 1:], start[1:, :-1])
        out[:, columns] = start.reshape(-1, blocks.shape[2])[window - 1 : window - 1 + n_months]
    return out


def shift(values: FloatArray, months: int) -> FloatArray:
    """Values that many months earlier, NaN before the first month."""
    shifted = np.full_like(values, np.nan)
    if months < len(values):
        shifted[months:] = values[: len(values) - months]
    return shifted


def compound(returns: FloatArray, months: int) -> FloatArray:
    """Return over the last ``months`` months, NaN unless all of them are known."""
    total = rolling_reduce(1 + returns, months, np.multiply) - 1
    total[: months - 1] = np.nan
    return total


def rolling_mean_of_known(values: FloatArray, window: int, minimum: int) -> FloatArray:
    """Mean of the known values among the last ``window`` months, NaN with fewer than ``minimum`` of them."""
    known = ~np.isnan(values)
    count = rolling_reduce(known.astype(np.float64), window, np.add)
    total = rolling_reduce(np.where(known, values, 0.0), window, np.add)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count >= max(minimum, 1))
