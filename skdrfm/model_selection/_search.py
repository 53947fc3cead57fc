"""Search with Keras Tuner for the best parameters, on walk-forward windows and by any scorer."""

from pathlib import Path
from typing import Any

from skdrfm.model_selection._search_cv import KerasTunerSearchCV

__all__ = ["KerasTunerSearchCV", "keras_tuner_search"]


def keras_tuner_search(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    space: Any = None,
    tuner: str = "random",
    max_trials: int | None = None,
    max_epochs: int | None = None,
    factor: int = 3,
    hyperband_iterations: int = 1,
    resource: str = "epochs",
    cv: Any = None,
    scoring: Any = None,
    n_quantiles: int | None = None,
    refit: bool = True,
    n_jobs: int | None = None,
    random_state: Any = None,
    directory: str | Path | None = None,
    progress: bool = False,
    groups: Any = None,
    sample_weight: Any = None,
) -> KerasTunerSearchCV:
    """Search with Keras Tuner for the best parameters, on walk-forward windows and by any scorer.

    Parameters
    ----------
    estimator : estimator or callable
        Any scikit-learn regressor or Pipeline, or ``build(hp)`` that returns one.
    X : DataFrame, LaggedPanel or array-like of n_samples rows
        Descriptors.
    y : Series or array-like of shape (n_samples,)
        Forward returns, decimal.
    space, tuner, max_trials, max_epochs, factor, hyperband_iterations, resource
        What is tried, as in `KerasTunerSearchCV`.
    cv, scoring, n_quantiles, refit, n_jobs, random_state, directory, progress
        How it is judged, as in `KerasTunerSearchCV`.
    groups, sample_weight
        As in its ``fit``.

    Returns
    -------
    KerasTunerSearchCV
        Fitted: ``predict``, ``best_params_``, and the table ``trials_``.

    Raises
    ------
    MissingDependencyError
        If Keras Tuner is not installed: ``pip install 'skdrfm[tuning]'``.
    SplitError
        If the windows do not fit the dates.
    ValueError
        If a parameter is out of its range, or every trial failed.
    CheckpointError
        If the directory holds other trials than those that are proposed.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from skdrfm import WalkForwardSplit, make_factor_panel
    >>> from skdrfm.model_selection import keras_tuner_search
    >>> from skdrfm.scoring import rank_ic_scorer
    >>> X, y = make_factor_panel(n_dates=36, n_assets=20, random_state=0)
    >>> def space(hp):
    ...     return {"alpha": hp.Float("alpha", 1e-2, 1e4, sampling="log")}
    >>> search = keras_tuner_search(
    ...     Ridge(), X, y, space=space, max_trials=3, cv=WalkForwardSplit(24, 6), scoring=rank_ic_scorer, random_state=0
    ... )
    >>> len(search.trials_), search.n_trials_, search.best_estimator_.alpha == search.best_params_["alpha"]
    (3, 3, True)
    """
    search = KerasTunerSearchCV(
        estimator,
        space,
        tuner=tuner,
        max_trials=max_trials,
        max_epochs=max_epochs,
        factor=factor,
        hyperband_iterations=hyperband_iterations,
        resource=resource,
        cv=cv,
        scoring=scoring,
        n_quantiles=n_quantiles,
        refit=refit,
        n_jobs=n_jobs,
        random_state=random_state,
        directory=directory,
        progress=progress,
    )
    search.fit(X, y, groups=groups, sample_weight=sample_weight)
    return search
