"""Several models fitted at once, where that is faster than one after the other."""

from collections.abc import Sequence
from typing import Any

from skdrfm import networks
from skdrfm.factor_model._network import BaseNetworkRegressor

# Windows side by side beyond these save nothing on a processor; a graphics card has room for more.
_ON_PROCESSOR = 4


def windows_at_once(estimator: Any) -> int:
    """Say how many windows of an estimator are best trained in one program.

    Parameters
    ----------
    estimator : estimator
        Unfitted.

    Returns
    -------
    int
        1 for estimators that are fitted one after the other.
    """
    return _ON_PROCESSOR if isinstance(estimator, BaseNetworkRegressor) else 1


def fit_together(
    estimators: Sequence[Any], datasets: Sequence[tuple[Any, Any]], *, width: int | None = None
) -> list[Any]:
    """Fit each estimator on its own data, factor networks side by side in one program.

    Parameters
    ----------
    estimators : sequence of estimators
        Unfitted estimators, each an object of its own.
    datasets : sequence of (X, y)
        Training data of each estimator.
    width : int, default=None
        Networks in a program; None: as many as there are estimators. Results agree for any width up to rounding,
        and to the last bit for any number of estimators of the same width.

    Returns
    -------
    list of estimators
        The estimators, fitted, in their order.
    """
    width = len(estimators) if width is None else width
    if width == 1 or not all(isinstance(estimator, BaseNetworkRegressor) for estimator in estimators):
        return [estimator.fit(X, y) for estimator, (X, y) in zip(estimators, datasets, strict=True)]
    for estimator in estimators:
        estimator._validate_params()
    jobs = [estimator._jobs(X, y) for estimator, (X, y) in zip(estimators, datasets, strict=True)]
    trained = iter(networks.train_many([job for own in jobs for job in own], width=width))
    return [estimator._finish([next(trained) for _ in own]) for estimator, own in zip(estimators, jobs, strict=True)]
