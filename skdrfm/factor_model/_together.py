"""Several models fitted at once, where that is faster than one after the other."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from skdrfm import networks
from skdrfm.factor_model._network import BaseNetworkRegressor

# Small steps wait for each other's operations, and large ones leave the cache (L2) of a core; two windows keep two
# cores at work. The number must not depend on the machine, because results depend on it in the last digits.
_SMALL, _LARGE = 4, 2
_CACHE_BYTES = 2**20


def windows_at_once(estimator: Any, n_timesteps: int = 1) -> int:
    """Say how many windows of an estimator are best trained in one program.

    Parameters
    ----------
    estimator : estimator
        Unfitted.
    n_timesteps : int, default=1
        Lags in the columns of X.

    Returns
    -------
    int
        1 for estimators that are fitted one after the other: those without a network, and those whose own parameters
        leave training to Keras (the additive cell, callbacks, other optimizers and losses).
    """
    if not isinstance(estimator, BaseNetworkRegressor):
        return 1
    estimator._validate_params()
    if not estimator._shares_program():
        return 1
    step = estimator.batch_size * estimator._numbers_per_row(n_timesteps) * np.dtype(estimator.dtype).itemsize
    return _SMALL if _SMALL * step <= _CACHE_BYTES else _LARGE


def fit_together(estimators: Sequence[Any], datasets: Sequence[tuple[Any, Any]], *, width: int) -> list[Any]:
    """Fit each estimator on its own data, factor networks side by side in one program.

    Parameters
    ----------
    estimators : sequence of estimators
        Unfitted estimators, each an object of its own.
    datasets : sequence of (X, y)
        Training data of each estimator.
    width : int
        Networks in a program. Results agree for any width up to rounding, and to the last bit for any number of
        estimators of the same width.

    Returns
    -------
    list of estimators
        The estimators, fitted, in their order.
    """
    if width == 1 or not all(isinstance(estimator, BaseNetworkRegressor) for estimator in estimators):
        return [estimator.fit(X, y) for estimator, (X, y) in zip(estimators, datasets, strict=True)]
    for estimator in estimators:
        estimator._validate_params()
    fitted: list[Any] = []
    # As many at a time as a program holds: the training rows of each are a copy.
    for first in range(0, len(estimators), width):
        fitted += _fit_program(estimators[first : first + width], datasets[first : first + width], width)
    return fitted


def _fit_program(estimators: Sequence[Any], datasets: Sequence[tuple[Any, Any]], width: int) -> list[Any]:
    jobs = [estimator._jobs(X, y) for estimator, (X, y) in zip(estimators, datasets, strict=True)]
    trained = iter(networks.train_many([job for own in jobs for job in own], width=width))
    return [estimator._finish([next(trained) for _ in own]) for estimator, own in zip(estimators, jobs, strict=True)]
