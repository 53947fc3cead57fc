"""The work of one task of a walk: fit the models of some training windows, and predict their test windows."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray, IntArray
from skdrfm.explanation import Explanation
from skdrfm.explanation._rows import array_names
from skdrfm.factor_model._together import fit_together
from skdrfm.model_selection._checkpoint import Checkpoint
from skdrfm.model_selection._members import mean_explanation, member
from skdrfm.model_selection._row_runs import RowRuns
from skdrfm.model_selection._threads import bounded_threads
from skdrfm.panel import LaggedPanel

WindowKey = tuple[str, int]

EXPLANATION_LABELS = ("lags", "descriptor_names", "method", "coverage")


@dataclass(frozen=True, eq=False)
class PanelData:
    """The whole panel as a worker receives it; each task cuts its own windows out.

    All tasks of a walk hold the same object, so that the engines of joblib move it once: loky maps its arrays into
    the memory of the workers, Ray puts it into its object store, threads share it.

    Parameters
    ----------
    X : DataFrame or LaggedPanel of shape (n_samples, n_columns)
        Descriptors.
    y : Series of shape (n_samples,)
        Forward returns.
    """

    X: "pd.DataFrame | LaggedPanel"
    y: "pd.Series[Any]"

    @classmethod
    def of(cls, X: "pd.DataFrame | LaggedPanel", y: "pd.Series[Any]") -> Self:
        """Hold the panel without what workers do not need: one index for both, and no source of a lagged panel."""
        if isinstance(X, LaggedPanel):
            X = X.without_source()
        return cls(X, y.set_axis(X.index))

    def rows(self, rows: IntArray) -> "tuple[pd.DataFrame, pd.Series[Any]]":
        """Cut rows out, as X and y."""
        return self.X.iloc[rows], self.y.iloc[rows]

    def __sizeof__(self) -> int:
        # Ray asks for the size of an argument to see whether it is worth to be sent once.
        values = self.X.nbytes if isinstance(self.X, LaggedPanel) else self.X.memory_usage(index=False).sum()
        return int(values) + int(self.y.nbytes)


@dataclass(frozen=True, eq=False)
class Fit:
    """A training window, and the test windows that the model fitted on it predicts.

    Parameters
    ----------
    window : int
        Number of the window.
    train : RowRuns
        Training rows.
    tests : tuple of (int, ndarray of int)
        Numbers and rows of the test windows.
    """

    window: int
    train: RowRuns
    tests: tuple[tuple[int, IntArray], ...]


@dataclass(frozen=True, eq=False)
class GroupWork:
    """What is to be done in each window for a group of models that share a fit.

    Parameters
    ----------
    group : str
        Name of the group.
    models : mapping of str to estimator
        Its models; they differ in ``linearized`` alone.
    explained : sequence of str
        Names of those to explain.
    groups : mapping of str to sequence of str or None
        Groups of descriptors whose contributions are kept in place of whole explanations.
    n_seeds : int
        Members of an ensemble of each model.
    per_program : int
        Models that are fitted at once.
    checkpoint : Checkpoint or None
        Where finished windows are put.
    n_workers : int
        Tasks at work at the same time.
    home : tuple of (str, int)
        The process that asked for the walk.
    """

    group: str
    models: Mapping[str, Any]
    explained: Sequence[str]
    groups: Mapping[str, Sequence[str]] | None
    n_seeds: int
    per_program: int
    checkpoint: Checkpoint | None
    n_workers: int
    home: tuple[str, int]


def run_block(work: GroupWork, data: PanelData, fits: Sequence[Fit]) -> list[tuple[WindowKey, dict[str, AnyArray]]]:
    """Fit the models of a block of windows side by side, then predict, explain and save window by window.

    Parameters
    ----------
    work : GroupWork
        What to do.
    data : PanelData
        The panel.
    fits : sequence of Fit
        The windows of the block that are not done yet.

    Returns
    -------
    list of ((str, int), dict of str to ndarray)
        Group and number of each test window, and its read-only arrays.
    """
    done = []
    with bounded_threads(work.n_workers, work.home):
        ensembles, seconds = _fit_ensembles(work, data, fits)
        for fit, ensemble in zip(fits, ensembles, strict=True):
            for window, test in fit.tests:
                # A window that takes over the model of an earlier one costs no fit.
                spent = seconds if window == fit.window else 0.0
                arrays = {"test_rows": test, "fit_seconds": np.array(spent)}
                arrays |= _predict(work, ensemble, data.rows(test)[0])
                for array in arrays.values():
                    array.setflags(write=False)
                if work.checkpoint is not None:
                    work.checkpoint.save(work.group, window, arrays)
                done.append(((work.group, window), arrays))
    return done


def _fit_ensembles(work: GroupWork, data: PanelData, fits: Sequence[Fit]) -> tuple[list[list[Any]], float]:
    """Fitted members of each window, and the seconds that a window took."""
    start = time.perf_counter()
    model = next(iter(work.models.values()))
    training = [data.rows(fit.train.rows()) for fit in fits]
    estimators = [member(model, number) for _ in fits for number in range(work.n_seeds)]
    datasets = [dataset for dataset in training for _ in range(work.n_seeds)]
    fitted = fit_together(estimators, datasets, width=work.per_program)
    ensembles = [fitted[first : first + work.n_seeds] for first in range(0, len(fitted), work.n_seeds)]
    return ensembles, (time.perf_counter() - start) / len(fits)


def _predict(work: GroupWork, ensemble: Sequence[Any], X: pd.DataFrame) -> dict[str, AnyArray]:
    """Predictions, and explanations, of each model of the group."""
    arrays: dict[str, AnyArray] = {}
    for position, (name, model) in enumerate(work.models.items()):
        if len(work.models) > 1:
            for fitted in ensemble:
                fitted.set_params(linearized=model.get_params(deep=False)["linearized"])
        by_seed = np.column_stack([np.asarray(fitted.predict(X), dtype=np.float64) for fitted in ensemble])
        arrays[f"{position}/predictions"] = by_seed.mean(axis=1)
        if work.n_seeds > 1:
            arrays[f"{position}/seed_predictions"] = by_seed
        if name in work.explained:
            explanation = mean_explanation([fitted.explain(X) for fitted in ensemble])
            kept = _whole(explanation) if work.groups is None else _by_group(explanation, work.groups)
            arrays |= {f"{position}/{part}": array for part, array in kept.items()}
    return arrays


def _whole(explanation: Explanation) -> dict[str, AnyArray]:
    """Everything that an explanation holds, as arrays."""
    names = (*array_names(explanation), *EXPLANATION_LABELS)
    return {f"explanation/{name}": np.asarray(getattr(explanation, name)) for name in names}


def _by_group(explanation: Explanation, groups: Mapping[str, Sequence[str]]) -> dict[str, AnyArray]:
    """Contributions of the groups, and the intercept as the last column."""
    sums = explanation.by_group(groups).to_numpy(dtype=np.float64)
    return {"contributions": np.column_stack([sums, explanation.intercept])}
