"""Keras Tuner asked for one proposal after the other; this module alone knows it, and imports it late."""

import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skdrfm.model_selection._search_space import SearchSpace, resource_of
from skdrfm.model_selection._threads import single_threaded_algebra
from skdrfm.utils._optional import import_optional

TUNERS = ("random", "hyperband", "bayesian")
_DEFAULT_TRIALS = 10

_OBJECTIVE = "score"

Propose: TypeAlias = Callable[[], tuple[dict[str, Any], Any]]
RunTrial: TypeAlias = Callable[[int, Mapping[str, Any], Propose], "float | None"]


@dataclass(frozen=True)
class TunerPlan:
    """How Keras Tuner proposes trials.

    Parameters
    ----------
    tuner : {"random", "hyperband", "bayesian"}
        Its algorithm.
    max_trials : int or None
        Trials at most. None: 10, or all that the brackets of Hyperband have.
    max_resource : int or None
        Most epochs of a trial of Hyperband.
    factor : int
        Hyperband keeps one of so many trials of a round, for so many times the epochs.
    iterations : int
        Times that Hyperband goes through its brackets.
    seed : int
        Any non-negative integer.
    """

    tuner: str
    max_trials: int | None
    max_resource: int | None
    factor: int
    iterations: int
    seed: int

    @property
    def most_trials(self) -> int | None:
        """Trials at most, None where Hyperband decides."""
        return _DEFAULT_TRIALS if self.max_trials is None and self.tuner != "hyperband" else self.max_trials

    @property
    def oracle_seed(self) -> int:
        """A seed for Keras Tuner, which takes 0 for none and the numbers that follow a seed for its next draws."""
        return int(np.random.SeedSequence(self.seed).generate_state(1)[0] >> 1) + 1


def load_keras_tuner() -> ModuleType:
    """Import Keras Tuner, and Keras with it, or say how to install it."""
    return import_optional("keras_tuner", extra="tuning", purpose="search with Keras Tuner")


def run_trials(space: SearchSpace, run_trial: RunTrial, plan: TunerPlan) -> None:
    """Have all trials of a search proposed, and run each of them.

    What is proposed follows from the space, the seed and the scores, so that a search which is given the same scores
    again proposes the same trials. What Keras Tuner writes goes into a temporary folder.

    Parameters
    ----------
    space : SearchSpace
        What may be tried.
    run_trial : callable
        ``run_trial(number, values, propose) -> float or None`` scores a candidate, higher is better; None is a
        failure. ``values`` are those of Keras Tuner; ``propose()`` makes parameters and unfitted estimator of them.
    plan : TunerPlan
        How to propose.

    Raises
    ------
    MissingDependencyError
        If Keras Tuner is not installed.
    ValueError
        If the space has nothing to vary.
    """
    kt: Any = load_keras_tuner()
    failed: set[str] = set()
    base: Any = kt.engine.base_tuner.BaseTuner

    class SearchTuner(base):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
            values = dict(trial.hyperparameters.values)
            try:
                score = run_trial(
                    len(self.oracle.trials) - 1,
                    values,
                    lambda: space.propose(trial.hyperparameters, resource_of(values)),
                )
            except Exception as error:
                # Keras Tuner would take any other error for a failed trial and go on.
                raise kt.errors.FatalError from error
            if score is None:
                # Keras Tuner prints what is raised and warns of NaN: it gets a number here, and hears the truth below.
                failed.add(trial.trial_id)
                return {_OBJECTIVE: 0.0}
            return {_OBJECTIVE: score}

        def on_trial_end(self, trial: Any) -> None:
            if trial.trial_id in failed:
                trial.status = kt.engine.trial.TrialStatus.FAILED
            super().on_trial_end(trial)

    with tempfile.TemporaryDirectory(prefix="skdrfm-search-") as folder:
        tuner = SearchTuner(_oracle(kt, plan), hypermodel=space.build, directory=folder, project_name="trials")
        if not tuner.oracle.get_space().space:
            raise ValueError(
                "The space must have something to vary. Got a function that declares no hyperparameter. Use "
                "hp.Choice, hp.Int, hp.Float or hp.Boolean in it."
            )
        try:
            with warnings.catch_warnings():
                # It calls interfaces of Python that newer versions deprecate.
                warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"keras_tuner\.")
                tuner.search(verbose=0)
        except kt.errors.FatalError as error:
            raise (error.__cause__ or error) from None


def _oracle(kt: Any, plan: TunerPlan) -> Any:
    """Make the part of Keras Tuner that proposes."""

    class BayesianOracle(kt.oracles.BayesianOptimizationOracle):
        def populate_space(self, trial_id: str) -> Any:
            # The fit of its Gaussian process says nothing about the user's model. With one thread it has the same
            # bits on any machine load, so that a search that goes on finds its trials again.
            with warnings.catch_warnings(), single_threaded_algebra():
                warnings.simplefilter("ignore", ConvergenceWarning)
                return super().populate_space(trial_id)

    options: dict[str, Any] = {
        "objective": kt.Objective(_OBJECTIVE, "max"),
        "seed": plan.oracle_seed,
        "max_retries_per_trial": 0,
        # Trials that fail are reported at the end; Keras Tuner would stop at the third in a row.
        "max_consecutive_failed_trials": sys.maxsize,
    }
    if plan.tuner == "hyperband":
        oracle = kt.oracles.HyperbandOracle(
            max_epochs=plan.max_resource, factor=plan.factor, hyperband_iterations=plan.iterations, **options
        )
        oracle.max_trials = plan.most_trials
        return oracle
    oracles = {"random": kt.oracles.RandomSearchOracle, "bayesian": BayesianOracle}
    return oracles[plan.tuner](max_trials=plan.most_trials, **options)
