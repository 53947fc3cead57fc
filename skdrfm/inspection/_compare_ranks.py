"""Rank correlations within rows, of many rows at once."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from skdrfm._typing import FloatArray


def mean_rank_correlations(values: Sequence[FloatArray]) -> tuple[FloatArray, list[int]]:
    """Mean over rows of Spearman's rank correlation between several tables.

    Parameters
    ----------
    values : sequence of ndarray of shape (n_samples, n_units)
        Tables of the same shape.

    Returns
    -------
    correlations : ndarray of shape (n_tables, n_tables)
        Mean over the rows that have an order in both tables; NaN where there is none.
    n_without : list of int
        Rows of each table whose numbers are all the same, which have no order.
    """
    scores = np.stack([_standardised_ranks(table) for table in values])  # NaN rows have no order
    n_without = [int(np.isnan(table[:, 0]).sum()) for table in scores]
    correlations = np.ones((len(scores), len(scores)))
    for i, first in enumerate(scores):
        for j in range(i + 1):
            products = (first * scores[j]).sum(axis=1)
            ordered = ~np.isnan(products)
            mean = products[ordered].mean() if ordered.any() else np.nan
            # A table agrees with itself up to the rounding of the mean.
            correlations[i, j] = correlations[j, i] = 1.0 if i == j and ordered.any() else mean
    return correlations, n_without


def _standardised_ranks(table: FloatArray) -> FloatArray:
    """Ranks of each row with mean 0 and sum of squares 1; NaN for rows that are constant."""
    ranks = rankdata(table, axis=1)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    norms = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    standardised: FloatArray = np.divide(centred, norms, out=np.full_like(centred, np.nan), where=norms > 0)
    return standardised
