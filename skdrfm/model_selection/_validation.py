"""Walk-forward predictions: every test row predicted once, by a model that was trained on the past."""

import time
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import joblib
import numpy as np
import pandas as pd
from sklearn.base import clone
from tqdm.auto import tqdm

from skdrfm._typing import AnyArray, FloatArray, IntArray
from skdrfm.exceptions import SplitError
from skdrfm.explanation import Explanation
from skdrfm.lrp import LayerCoverage
from skdrfm.model_selection._checkpoint import Checkpoint, run_fingerprints
from skdrfm.model_selection._row_runs import RowRuns
from skdrfm.model_selection._walk_forward import describe_windows
from skdrfm.panel import LaggedPanel, check_aligned, check_panel_index, dates_of


@dataclass(frozen=True)
class WalkForwardResult:
    """Out-of-sample predictions of one model.

    Parameters
    ----------
    predictions : Series of shape (n_predictions,), indexed by (date, asset)
        Forecast of the forward return stored at each date, in units of y. Every test row occurs once.
    windows : DataFrame of shape (n_windows, 9)
        First and last dates, numbers of dates and rows of the training and test windows, and ``fit_seconds``.
    explanation : Explanation or None
        Explanations of the predictions, in their order, if they were asked for.
    """

    predictions: "pd.Series[float]"
    windows: pd.DataFrame
    explanation: Explanation | None = None

    def to_frame(self) -> pd.DataFrame:
        """Predictions as a table.

        Returns
        -------
        DataFrame of shape (n_predictions, 1)
            Column ``prediction``, indexed by (date, asset).
        """
        return self.predictions.to_frame()


@overload
def walk_forward_predict(
    estimator: Mapping[str, Any],
    X: "pd.DataFrame | LaggedPanel",
    y: "pd.Series[Any]",
    *,
    cv: Any,
    n_jobs: int | None = None,
    explain: bool | Collection[str] = False,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> dict[str, WalkForwardResult]: ...
@overload
def walk_forward_predict(
    estimator: Any,
    X: "pd.DataFrame | LaggedPanel",
    y: "pd.Series[Any]",
    *,
    cv: Any,
    n_jobs: int | None = None,
    explain: bool | Collection[str] = False,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> WalkForwardResult: ...


def walk_forward_predict(
    estimator: Any,
    X: "pd.DataFrame | LaggedPanel",
    y: "pd.Series[Any]",
    *,
    cv: Any,
    n_jobs: int | None = None,
    explain: bool | Collection[str] = False,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> Any:
    """Fit on each training window and predict its test window.

    scikit-learn's ``cross_val_predict`` needs every row to be tested and therefore refuses walk-forward windows.

    Parameters
    ----------
    estimator : estimator, or mapping of str to estimator
        Cloned and fitted for each window. Of several models, those that differ in ``linearized`` alone share one
        fit.
    X : DataFrame or LaggedPanel of shape (n_samples, n_columns), indexed by (date, asset)
        Descriptors known at each date. Of a `LaggedPanel` the rows of a window are gathered when its turn comes; the
        result is the same, bit for bit.
    y : Series of shape (n_samples,)
        Forward returns with the index of X. Missing values are allowed where rows are only tested.
    cv : splitter
        Yields training and test rows, for example `WalkForwardSplit`.
    n_jobs : int, default=None
        Windows computed at the same time, through joblib. The result does not depend on it.
    explain : bool or collection of str, default=False
        Whether to explain the predictions; for several models the names of those to explain.
    checkpoint : path, default=None
        Folder that receives one file for each finished window; a later call with the same data and windows computes
        only what is missing, also when models were added.
    progress : bool, default=True
        Whether to show a progress bar.

    Returns
    -------
    WalkForwardResult, or dict of str to WalkForwardResult
        One result, or one for each name.

    Raises
    ------
    PanelError
        If X has no (date, asset) index or y is not aligned to it.
    SplitError
        If a row is tested more than once, or no window fits.
    CheckpointError
        If the folder belongs to another run.
    TypeError
        If a model that shall be explained has no ``explain``.

    Examples
    --------
    >>> from skdrfm import WalkForwardSplit, make_factor_panel, walk_forward_predict
    >>> from skdrfm.factor_model import LinearFactorRegressor
    >>> X, y = make_factor_panel(n_dates=26, n_assets=10, random_state=0)
    >>> result = walk_forward_predict(LinearFactorRegressor(), X, y, cv=WalkForwardSplit(24), progress=False)
    >>> result.predictions.shape
    (20,)
    """
    check_panel_index(X)
    check_aligned(X, y)
    several = isinstance(estimator, Mapping)
    models: dict[str, Any] = dict(estimator) if several else {"model": estimator}
    explained = _names_to_explain(models, explain)
    splits = [(RowRuns.of(train), test) for train, test in cv.split(X, y)]
    _check_tested_once(splits, len(X))
    groups = _groups_sharing_a_fit(models)
    folder = None
    if checkpoint is not None:
        folder = Checkpoint(checkpoint, run_fingerprints(groups, models, cv, X, y, explained))
    arrays = _run(groups, models, X, y, splits, explained, folder, n_jobs, progress)
    windows = describe_windows(dates_of(X), ((train.rows(), test) for train, test in splits))
    results = {
        name: _assemble(position, [arrays[group, window] for window in range(len(splits))], X.index, windows)
        for group, names in groups.items()
        for position, name in enumerate(names)
    }
    return {name: results[name] for name in models} if several else results["model"]


def _names_to_explain(models: Mapping[str, Any], explain: bool | Collection[str]) -> list[str]:
    names = list(models) if explain is True else list(explain or ())
    for name in names:
        if name not in models:
            raise ValueError(f"'explain' must name some of the models {list(models)}. Got {name!r}.")
        if not hasattr(models[name], "explain"):
            raise TypeError(
                f"A model to explain must have a method explain. Got {type(models[name]).__name__} for {name!r}. "
                "Pass explain=False, or the names of the models to explain."
            )
    return names


def _check_tested_once(splits: list[tuple[RowRuns, IntArray]], n_rows: int) -> None:
    if not splits:
        raise SplitError("The splitter must yield at least one window. Got none.")
    counts = np.bincount(np.concatenate([test for _, test in splits]), minlength=n_rows)
    if counts.max() > 1:
        raise SplitError(
            f"Every row must be tested at most once. Got {int((counts > 1).sum())} rows tested more often. "
            "Use a step that is not smaller than test_size."
        )


def _groups_sharing_a_fit(models: Mapping[str, Any]) -> dict[str, list[str]]:
    """Name the groups of models that differ in ``linearized`` alone, which changes predictions and not the fit."""
    by_key: dict[Any, list[str]] = {}
    for name, model in models.items():
        key: Any = name
        parameters = model.get_params(deep=False)
        if "linearized" in parameters:
            del parameters["linearized"]
            key = (type(model), joblib.hash(parameters))
        by_key.setdefault(key, []).append(name)
    return {" & ".join(names): names for names in by_key.values()}


def _run(
    groups: Mapping[str, list[str]],
    models: Mapping[str, Any],
    X: "pd.DataFrame | LaggedPanel",
    y: "pd.Series[Any]",
    splits: list[tuple[RowRuns, IntArray]],
    explained: list[str],
    checkpoint: Checkpoint | None,
    n_jobs: int | None,
    progress: bool,
) -> dict[tuple[str, int], dict[str, AnyArray]]:
    """Arrays of every group and window, from the checkpoint or computed."""
    done: dict[tuple[str, int], dict[str, AnyArray]] = {}
    todo = []
    for window in range(len(splits)):
        for group in groups:
            arrays = checkpoint.load(group, window) if checkpoint is not None else None
            if arrays is None or not np.array_equal(arrays["test_rows"], splits[window][1]):
                todo.append((group, window))
            else:
                done[group, window] = arrays

    def tasks() -> Iterator[Any]:
        # Rows are cut out here, one task at a time, so that a worker receives its window and not the panel.
        for group, window in todo:
            runs, test = splits[window]
            train = runs.rows()
            yield joblib.delayed(_fit_window)(
                group,
                window,
                {name: models[name] for name in groups[group]},
                X.iloc[train],
                y.iloc[train],
                X.iloc[test],
                test,
                [name for name in explained if name in groups[group]],
                checkpoint,
            )

    parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered", pre_dispatch="n_jobs")
    bar = tqdm(total=len(todo) + len(done), initial=len(done), disable=not progress, unit="fit", desc="Walk forward")
    with bar, warnings.catch_warnings():
        # joblib restarts a worker whose memory has grown; results are not affected.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs", category=UserWarning)
        for key, arrays in parallel(tasks()):
            done[key] = arrays
            bar.update()
    return done


def _fit_window(
    group: str,
    window: int,
    models: Mapping[str, Any],
    X_train: pd.DataFrame,
    y_train: "pd.Series[Any]",
    X_test: pd.DataFrame,
    test_rows: IntArray,
    explained: list[str],
    checkpoint: Checkpoint | None,
) -> tuple[tuple[str, int], dict[str, AnyArray]]:
    """Fit once, predict (and explain) for each model of the group, and put the window on disk."""
    start = time.perf_counter()
    fitted = clone(next(iter(models.values()))).fit(X_train, y_train)
    arrays: dict[str, AnyArray] = {
        "test_rows": test_rows,
        "fit_seconds": np.array(time.perf_counter() - start),
    }
    for position, (name, model) in enumerate(models.items()):
        if len(models) > 1:
            fitted.set_params(linearized=model.get_params(deep=False)["linearized"])
        arrays[f"{position}/predictions"] = np.asarray(fitted.predict(X_test), dtype=np.float64)
        if name in explained:
            explanation = fitted.explain(X_test)
            for part in (*_EXPLANATION_ARRAYS, "offsets"):
                if getattr(explanation, part) is not None:
                    arrays[f"{position}/explanation/{part}"] = getattr(explanation, part)
            for part in _EXPLANATION_LABELS:
                arrays[f"{position}/explanation/{part}"] = np.array(getattr(explanation, part))
    for array in arrays.values():
        array.setflags(write=False)
    if checkpoint is not None:
        checkpoint.save(group, window, arrays)
    return (group, window), arrays


_EXPLANATION_ARRAYS = ("loadings", "data", "predictions", "bias", "stabilizer", "state")
_EXPLANATION_LABELS = ("lags", "descriptor_names", "method", "coverage")


def _assemble(
    position: int, parts: list[dict[str, AnyArray]], index: pd.Index, windows: pd.DataFrame
) -> WalkForwardResult:
    """Put the windows of one model together, in the order of the windows."""
    prefix = f"{position}/"
    predictions: FloatArray = np.concatenate([part[f"{prefix}predictions"] for part in parts])
    rows = np.concatenate([part["test_rows"] for part in parts])
    explanation = None
    if f"{prefix}explanation/loadings" in parts[0]:
        prefix += "explanation/"
        explanation = Explanation.concatenate([_explanation(part, prefix, index) for part in parts])
    return WalkForwardResult(
        predictions=pd.Series(predictions, index=index[rows], name="prediction"),
        windows=windows.assign(fit_seconds=[float(part["fit_seconds"]) for part in parts]),
        explanation=explanation,
    )


def _explanation(part: dict[str, AnyArray], prefix: str, index: pd.Index) -> Explanation:
    """Rebuild the explanation of a window from its arrays."""
    arrays: dict[str, Any] = {name: part[prefix + name] for name in _EXPLANATION_ARRAYS}
    return Explanation(
        **arrays,
        offsets=part.get(f"{prefix}offsets"),
        index=index[part["test_rows"]],
        descriptor_names=tuple(str(name) for name in part[f"{prefix}descriptor_names"]),
        lags=tuple(int(lag) for lag in part[f"{prefix}lags"]),
        # Checkpoints of before these were kept have the default method.
        method=str(part.get(f"{prefix}method", "lrp-all")),
        coverage=tuple(LayerCoverage(*map(str, row)) for row in part.get(f"{prefix}coverage", ())),
    )
