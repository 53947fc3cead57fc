"""Several models fitted at once, where that is faster than one after the other."""

from collections.abc import Sequence
from typing import Any


def fit_together(estimators: Sequence[Any], datasets: Sequence[tuple[Any, Any]]) -> list[Any]:
    """Fit each estimator on its own data.

    Parameters
    ----------
    estimators : sequence of estimators
        Unfitted estimators, each an object of its own.
    datasets : sequence of (X, y)
        Training data of each estimator.

    Returns
    -------
    list of estimators
        The estimators, fitted, in their order.
    """
    return [estimator.fit(X, y) for estimator, (X, y) in zip(estimators, datasets, strict=True)]
