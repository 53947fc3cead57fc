"""Trials of a search as plain data, and the tables of all of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray
from skdrfm.model_selection._search_space import plain_values, resource_of

COMPLETED, FAILED = "completed", "failed"


@dataclass(frozen=True)
class Outcome:
    """What came of a trial, as plain data.

    Parameters
    ----------
    seconds : float
        Of the whole trial, by the clock.
    scores, fit_seconds, score_seconds : tuple of float
        One for each fold; empty if the trial failed.
    returns : tuple of float or None
        Long/short return of each validation date, where these are kept.
    error : str or None
        Why the trial failed.
    """

    seconds: float
    scores: tuple[float, ...] = ()
    fit_seconds: tuple[float, ...] = ()
    score_seconds: tuple[float, ...] = ()
    returns: tuple[float, ...] | None = None
    error: str | None = None

    @property
    def score(self) -> float | None:
        """Mean over the folds; None if the trial failed."""
        return None if self.error is not None else float(np.mean(self.scores))


@dataclass(frozen=True)
class Trial:
    """A candidate and what came of it.

    Parameters
    ----------
    values : mapping of str to Any
        What Keras Tuner proposed, its own notes included.
    parameters : mapping of str to Any
        Parameters of the estimator.
    outcome : Outcome
        Scores or error.
    candidate : estimator or None
        Unfitted; None if it could not be made.
    """

    values: Mapping[str, Any]
    parameters: Mapping[str, Any]
    outcome: Outcome
    candidate: Any = None

    @property
    def identity(self) -> str:
        """Equal for trials of the same candidate, with the same epochs."""
        values = {**plain_values(self.values), "epochs of a bracket": resource_of(self.values)}
        return json.dumps(values, sort_keys=True)


def failure(error: Exception, seconds: float = 0.0) -> Outcome:
    """Say why a trial failed, in one line as Python does."""
    return Outcome(seconds, error=f"{type(error).__name__}: {error}")


def trials_frame(trials: Sequence[Trial], n_splits: int) -> pd.DataFrame:
    """Table of all trials, one row each in the order of time.

    Returns
    -------
    DataFrame of shape (n_trials, n_parameters + n_splits + 5)
        ``param_*``, ``mean_score``, ``std_score`` (ddof 0), ``split*_score``, ``seconds``, ``status`` and ``error``.
    """
    table: dict[str, Any] = {
        f"param_{name}": _objects([trial.parameters.get(name) for trial in trials]) for name in _names(trials)
    }
    scores = _by_fold(trials, "scores", n_splits)
    table |= {"mean_score": scores.mean(axis=1), "std_score": scores.std(axis=1)}
    table |= {f"split{fold}_score": scores[:, fold] for fold in range(n_splits)}
    outcomes = [trial.outcome for trial in trials]
    table["seconds"] = [outcome.seconds for outcome in outcomes]
    table["status"] = [COMPLETED if outcome.error is None else FAILED for outcome in outcomes]
    table["error"] = _objects([outcome.error for outcome in outcomes])
    frame = pd.DataFrame(table, index=pd.RangeIndex(len(trials), name="trial"))
    # Numbers and texts get the type that suits them; None stays where a trial does not have the parameter.
    return frame.infer_objects()


def cv_results(trials: Sequence[Trial], n_splits: int) -> dict[str, Any]:
    """Lay the trials out as ``cv_results_`` of scikit-learn's searches; failed ones have NaN and the last rank."""
    scores = _by_fold(trials, "scores", n_splits)
    results: dict[str, Any] = {}
    for name, attribute in (("fit", "fit_seconds"), ("score", "score_seconds")):
        seconds = _by_fold(trials, attribute, n_splits)
        results |= {f"mean_{name}_time": seconds.mean(axis=1), f"std_{name}_time": seconds.std(axis=1)}
    for name in _names(trials):
        column = _objects([trial.parameters.get(name) for trial in trials])
        results[f"param_{name}"] = np.ma.MaskedArray(column, mask=[name not in trial.parameters for trial in trials])
    results["params"] = [dict(trial.parameters) for trial in trials]
    results |= {f"split{fold}_test_score": scores[:, fold] for fold in range(n_splits)}
    mean = scores.mean(axis=1)
    ranks = pd.Series(mean).rank(ascending=False, method="min", na_option="bottom")
    return results | {
        "mean_test_score": mean,
        "std_test_score": scores.std(axis=1),
        "rank_test_score": ranks.to_numpy().astype(np.int32),
    }


def _names(trials: Sequence[Trial]) -> list[str]:
    return list(dict.fromkeys(name for trial in trials for name in trial.parameters))


def _by_fold(trials: Sequence[Trial], attribute: str, n_splits: int) -> AnyArray:
    """One row for each trial, NaN where it failed."""
    missing = (np.nan,) * n_splits
    return np.array([getattr(trial.outcome, attribute) or missing for trial in trials], dtype=np.float64)


def _objects(items: Sequence[Any]) -> AnyArray:
    """Array of any objects; NumPy would open tuples."""
    column = np.empty(len(items), dtype=object)
    for position, item in enumerate(items):
        column[position] = item
    return column
