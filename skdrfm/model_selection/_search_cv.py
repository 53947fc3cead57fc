"""A search with Keras Tuner as a scikit-learn estimator."""

import time
import warnings
from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils import indexable
from tqdm.auto import tqdm

from skdrfm.exceptions import SkdrfmWarning
from skdrfm.factor_model._network import draw_seed
from skdrfm.model_selection._search_fitted import FittedSearch, as_table
from skdrfm.model_selection._search_folder import SearchFolder, search_parts
from skdrfm.model_selection._search_space import SearchSpace, is_builder, plain_values
from skdrfm.model_selection._search_trials import Trial, cv_results, failure, trials_frame
from skdrfm.model_selection._search_tuner import TUNERS, Propose, TunerPlan, load_keras_tuner, run_trials
from skdrfm.model_selection._search_validation import Validation
from skdrfm.utils._param_validation import Interval, StrOptions, fit_context

# What an estimator of scikit-learn notes of the columns that it was fitted on.
_COLUMNS_READ = ("n_features_in_", "feature_names_in_")


class KerasTunerSearchCV(FittedSearch):
    """Search with Keras Tuner, as a scikit-learn estimator like ``GridSearchCV``.

    Keras Tuner proposes parameters; each proposal is cloned, fitted and scored on every window of ``cv``, and the mean
    score is reported back. ``fit`` sees nothing but its own rows: handed to `walk_forward_predict`, each window has a
    search of its own on its training dates.

    Parameters
    ----------
    estimator : estimator or callable
        Any scikit-learn regressor or Pipeline, or ``build(hp)`` that returns one.
    space : dict or callable, default=None
        Values to choose from by parameter name (a list of anything, or a range of integers), or ``space(hp)`` that
        returns a dict of parameters and declares intervals and conditions with the methods of
        ``keras_tuner.HyperParameters``. None if ``estimator`` is a function.
    tuner : {"random", "hyperband", "bayesian"}, default="random"
        Algorithm of Keras Tuner: RandomSearch, Hyperband (Li et al. 2018) or BayesianOptimization.
    max_trials : int, default=None
        Trials at most. None: 10; for Hyperband all trials of its brackets. Small spaces may end earlier, when Keras
        Tuner finds nothing new.
    max_epochs : int, default=None
        Most epochs of a trial of Hyperband. None: those of the estimator.
    factor : int, default=3
        Hyperband goes on with about one of ``factor`` trials, for ``factor`` times the epochs.
    hyperband_iterations : int, default=1
        Times that Hyperband goes through all of its brackets.
    resource : str, default="epochs"
        Parameter of the estimator that Hyperband sets to the epochs of a bracket, such as
        ``"deepfactorregressor__epochs"`` of a Pipeline. Other tuners leave it alone.
    cv : splitter or iterable of (train, test), default=None
        Windows. None: of the dates of X the half trains, and the last three windows of a sixth each are tested, by
        `WalkForwardSplit`. A target over h periods needs a splitter with ``gap=h - 1``.
    scoring : str or callable, default=None
        A scorer of `skdrfm.scoring` or scikit-learn; higher is better. None: the estimator's own score.
    n_quantiles : int, default=None
        Keep, for each trial, the long/short return between the highest and the lowest of so many quantiles on every
        validation date. None keeps nothing.
    refit : bool, default=True
        Whether to fit the best candidate on all rows, to predict.
    n_jobs : int, default=None
        Folds of a trial that are computed at the same time, through joblib.
    random_state : int, RandomState instance or None, default=None
        Draws the proposals. The estimator has a random state of its own.
    directory : path, default=None
        Folder that keeps finished trials; the same search on the same data goes on there, and another one gets
        another folder in it. Nothing is overwritten. None keeps nothing.
    progress : bool, default=False
        Whether to show a progress bar of the trials.

    Attributes
    ----------
    best_estimator_ : estimator
        The best candidate fitted on all rows, with ``refit=True``.
    best_params_ : dict
        Its parameters; of a function ``build(hp)`` the values of ``hp``.
    best_score_ : float
        Its mean score over the folds.
    best_index_ : int
        Its trial; of equally good ones the first.
    cv_results_ : dict
        As of ``GridSearchCV``; a failed trial has NaN.
    trials_ : DataFrame of shape (n_trials, n_columns)
        One row for each trial in the order of time: ``param_*``, ``mean_score``, ``std_score`` (over folds, ddof 0),
        ``split*_score``, ``seconds``, ``status`` ("completed" or "failed") and ``error``.
    trial_returns_ : DataFrame of shape (n_dates, n_completed)
        With ``n_quantiles``: decimal long/short return by validation date, one column for each completed trial.
    n_trials_ : int
        Different candidates that have a score: N of the deflated Sharpe ratio.
    n_splits_ : int
        Folds.
    scorer_ : callable
        The scorer.
    refit_time_ : float
        Seconds of the last fit, with ``refit=True``.

    See Also
    --------
    keras_tuner_search : The same as one call.
    walk_forward_predict : Takes the search as its estimator, for nested tuning.

    Notes
    -----
    Keras Tuner goes on training where an earlier round of Hyperband stopped. Here each trial starts afresh with its
    number of epochs, as scikit-learn's estimators do, so that a trial can be repeated by itself.

    BayesianOptimization draws at random until it has 3 trials for each hyperparameter.

    References
    ----------
    Li, Jamieson, DeSalvo, Rostamizadeh and Talwalkar (2018), Hyperband. https://arxiv.org/abs/1603.06560

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from skdrfm import WalkForwardSplit, make_factor_panel
    >>> from skdrfm.model_selection import KerasTunerSearchCV
    >>> from skdrfm.scoring import rank_ic_scorer
    >>> X, y = make_factor_panel(n_dates=36, n_assets=20, random_state=0)
    >>> space = {"alpha": [0.1, 10.0, 1000.0]}
    >>> cv = WalkForwardSplit(24, 6)
    >>> search = KerasTunerSearchCV(Ridge(), space, cv=cv, scoring=rank_ic_scorer, max_trials=2, random_state=0)
    >>> search.fit(X, y).trials_[["status", "split0_score", "split1_score"]].shape
    (2, 3)
    >>> search.predict(X).shape
    (720,)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "tuner": [StrOptions(set(TUNERS))],
        "max_trials": [Interval(Integral, 1, None, closed="left"), None],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "factor": [Interval(Integral, 2, None, closed="left")],
        "hyperband_iterations": [Interval(Integral, 1, None, closed="left")],
        "resource": [str],
        "scoring": [str, callable, None],
        "n_quantiles": [Interval(Integral, 2, None, closed="left"), None],
        "refit": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "directory": [str, Path, None],
        "progress": ["boolean"],
    }

    best_params_: dict[str, Any]
    best_score_: float
    cv_results_: dict[str, Any]
    trials_: pd.DataFrame
    n_splits_: int
    refit_time_: float

    def __init__(
        self,
        estimator: Any,
        space: Any = None,
        *,
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
    ) -> None:
        self.estimator = estimator
        self.space = space
        self.tuner = tuner
        self.max_trials = max_trials
        self.max_epochs = max_epochs
        self.factor = factor
        self.hyperband_iterations = hyperband_iterations
        self.resource = resource
        self.cv = cv
        self.scoring = scoring
        self.n_quantiles = n_quantiles
        self.refit = refit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.directory = directory
        self.progress = progress

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, groups: Any = None, sample_weight: Any = None) -> Self:
        """Run all trials, and fit the best candidate on all rows.

        Parameters
        ----------
        X : DataFrame, LaggedPanel or array-like of n_samples rows
            Descriptors.
        y : Series or array-like of shape (n_samples,)
            Forward returns, decimal.
        groups : array-like of shape (n_samples,), default=None
            Date of each row for the splitter, where no index has it.
        sample_weight : array-like of shape (n_samples,), default=None
            Handed to the fit of every candidate; scores are not weighted.

        Returns
        -------
        self
            The fitted search.

        Raises
        ------
        MissingDependencyError
            If Keras Tuner is not installed.
        SplitError
            If the windows do not fit the dates.
        ValueError
            If a parameter is out of its range, or every trial failed.
        CheckpointError
            If the directory holds other trials than those that are proposed.

        Warns
        -----
        SkdrfmWarning
            If some trials failed.
        """
        space = SearchSpace(self.estimator, self.space, self.resource if self.tuner == "hyperband" else None)
        X, y, groups, sample_weight = indexable(X, y, groups, sample_weight)
        validation = Validation.of(
            X,
            y,
            groups,
            sample_weight,
            cv=self.cv,
            scoring=self.scoring,
            n_jobs=self.n_jobs,
            n_quantiles=self.n_quantiles,
        )
        load_keras_tuner()  # what is missing is said before anything is written
        seed, folder = draw_seed(self.random_state), None
        if self.directory is not None:
            folder = SearchFolder(self.directory, search_parts(self, X, y, groups, sample_weight), seed)
            seed = folder.seed
        plan = TunerPlan(self.tuner, self.max_trials, self._most_epochs(), self.factor, self.hyperband_iterations, seed)
        trials = self._run(space, validation, plan, folder)
        self._set_results(trials, validation)
        if self.refit:
            self._refit(trials[self.best_index_].candidate, X, y, validation.fit_params)
        return self

    def _most_epochs(self) -> int | None:
        if self.tuner != "hyperband" or self.max_epochs is not None:
            return self.max_epochs
        if is_builder(self.estimator):
            raise ValueError(
                "'max_epochs' must be given to Hyperband where 'estimator' is a function. Got None. Pass the most "
                "epochs that a trial may take."
            )
        most = self.estimator.get_params()[self.resource]
        if not isinstance(most, Integral) or most < 1:
            raise ValueError(
                f"'max_epochs' must be given to Hyperband where the estimator's own {self.resource!r} is no whole "
                f"number from 1. Got None, and {self.resource}={most!r}. Pass the most epochs that a trial may take."
            )
        return int(most)

    def _run(
        self, space: SearchSpace, validation: Validation, plan: TunerPlan, folder: SearchFolder | None
    ) -> list[Trial]:
        trials: list[Trial] = []
        bar = tqdm(total=plan.most_trials, disable=not self.progress, unit="trial", desc="Search")

        def run_trial(number: int, values: Mapping[str, Any], propose: Propose) -> float | None:
            parameters, candidate, outcome = plain_values(values), None, None
            try:
                parameters, candidate = propose()
            except Exception as error:  # code of the user, which may dislike some values
                outcome = failure(error)
            if outcome is None and folder is not None:
                outcome = folder.load(number, values)
            if outcome is None:
                outcome = validation.evaluate(candidate)
                if folder is not None:
                    folder.save(number, values, outcome)
            trials.append(Trial(values, parameters, outcome, candidate))
            bar.update()
            return outcome.score

        with bar:
            run_trials(space, run_trial, plan)
        return trials

    def _set_results(self, trials: list[Trial], validation: Validation) -> None:
        self.n_splits_, self.scorer_ = len(validation.splits), validation.scorer
        self.trials_ = trials_frame(trials, self.n_splits_)
        failed = [number for number, trial in enumerate(trials) if trial.outcome.error is not None]
        if failed:
            first = trials[failed[0]].outcome.error
            if len(failed) == len(trials):
                raise ValueError(
                    f"At least one trial must have a score. Got {len(failed)} failed trials of {len(trials)}, the "
                    f"first with {first}. Fit the estimator by itself on these rows, or correct the space."
                )
            warnings.warn(
                f"{len(failed)} of {len(trials)} trials failed and cannot be chosen, see trials_['error']. The first "
                f"with {first}",
                SkdrfmWarning,
                stacklevel=4,
            )
        done = [number for number in range(len(trials)) if number not in set(failed)]
        self.cv_results_ = cv_results(trials, self.n_splits_)
        self.best_index_ = int(np.nanargmax(self.cv_results_["mean_test_score"]))
        self.best_score_ = float(self.cv_results_["mean_test_score"][self.best_index_])
        self.best_params_ = dict(trials[self.best_index_].parameters)
        self.n_trials_ = len({trials[number].identity for number in done})
        for name in ("trial_returns_", "best_estimator_", "refit_time_", *_COLUMNS_READ):
            self.__dict__.pop(name, None)  # of an earlier fit with other parameters
        if validation.dates is not None:
            returns = {number: trials[number].outcome.returns for number in done}
            self.trial_returns_ = pd.DataFrame(returns, index=validation.tested_dates).rename_axis(columns="trial")

    def _refit(self, candidate: Any, X: Any, y: Any, fit_params: Mapping[str, Any]) -> None:
        begin = time.perf_counter()
        self.best_estimator_ = clone(candidate).fit(as_table(X), y, **fit_params)
        self.refit_time_ = time.perf_counter() - begin
        for name in _COLUMNS_READ:
            if hasattr(self.best_estimator_, name):
                setattr(self, name, getattr(self.best_estimator_, name))
