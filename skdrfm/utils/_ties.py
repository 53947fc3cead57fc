"""Places in a ranking within groups, equal values together."""

import numpy as np

from skdrfm._typing import BoolArray, FloatArray, IntArray


def tie_blocks(values: FloatArray, codes: IntArray) -> tuple[IntArray, IntArray]:
    """Place each row in the ranking of its group, equal values together.

    The average rank of a row, from 1, is ``below + (size + 1) / 2``.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        Numbers without NaN.
    codes : ndarray of shape (n_samples,)
        Number of the group of each row, from 0.

    Returns
    -------
    below : ndarray of shape (n_samples,)
        Rows of the same group with a smaller value.
    size : ndarray of shape (n_samples,)
        Rows of the same group with an equal value, the row itself included.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.utils._ties import tie_blocks
    >>> below, size = tie_blocks(np.array([3.0, 1.0, 1.0, 7.0]), np.array([0, 0, 0, 1]))
    >>> below.tolist(), size.tolist()
    ([2, 0, 0, 0], [1, 2, 2, 1])
    """
    counts = np.bincount(codes)
    starts = np.cumsum(counts) - counts
    order = _order_by_group_and_value(values, codes, starts, counts)
    sorted_codes, sorted_values = codes[order], values[order]
    new_block: BoolArray = np.ones(len(order), dtype=bool)
    new_block[1:] = (sorted_codes[1:] != sorted_codes[:-1]) | (sorted_values[1:] != sorted_values[:-1])
    block = np.cumsum(new_block) - 1
    first = np.flatnonzero(new_block)
    sizes = np.diff(first, append=len(order))
    below = np.empty(len(order), dtype=np.intp)
    size = np.empty(len(order), dtype=np.intp)
    below[order] = first[block] - starts[sorted_codes]
    size[order] = sizes[block]
    return below, size


def sorting_order(codes: IntArray) -> IntArray:
    """Positions that sort small whole numbers from 0, equal ones in the order of the rows.

    NumPy sorts 16-bit numbers by their digits, in a sixth of the time that it takes for wider ones.
    """
    narrow = codes.astype(np.uint16) if len(codes) and codes.max() < 2**16 else codes
    return np.argsort(narrow, kind="stable")


# Below so many rows in a group, on average, a sort for each group costs more than one of all rows by two keys.
_FEW_ROWS = 16


def _order_by_group_and_value(values: FloatArray, codes: IntArray, starts: IntArray, counts: IntArray) -> IntArray:
    """Positions of the rows by group and then by value; equal values of a group in any order."""
    if len(values) < _FEW_ROWS * len(counts):
        return np.lexsort((values, codes))
    order = sorting_order(codes)
    grouped = values[order]
    # One short sort for each group beats a sort of all rows by two keys, since it stays in the processor's cache.
    for start, stop in zip(starts.tolist(), (starts + counts).tolist(), strict=True):
        order[start:stop] = order[start:stop][np.argsort(grouped[start:stop])]
    return order
