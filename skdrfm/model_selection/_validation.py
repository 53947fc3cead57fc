"""Walk-forward predictions: every test row predicted once, by a model that was trained on the past."""

import json
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import joblib
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from skdrfm._typing import AnyArray
from skdrfm.explanation._aggregation import check_groups
from skdrfm.factor_model._together import windows_at_once
from skdrfm.model_selection._assemble import INTERCEPT, WalkForwardResult, assemble
from skdrfm.model_selection._checkpoint import Checkpoint
from skdrfm.model_selection._members import check_random_states
from skdrfm.model_selection._plan import Split, blocks_to_run, check_tested_once, groups_sharing_a_fit, plan_windows
from skdrfm.model_selection._row_runs import RowRuns
from skdrfm.model_selection._run_file import run_fingerprints
from skdrfm.model_selection._threads import single_threaded_algebra, this_process
from skdrfm.model_selection._windows import GroupWork, PanelData, WindowKey, run_block
from skdrfm.panel import LaggedPanel, check_aligned, check_panel_index, dates_of, lag_layout
from skdrfm.panel._index import check_is_series
from skdrfm.utils.validation import check_whole

__all__ = ["WalkForwardResult", "walk_forward_predict"]

# Arrays of at least this size reach worker processes as files that are mapped into their memory.
_MAPPED_FROM = "100K"


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
    refit_every: int = 1,
    n_seeds: int = 1,
    windows_per_program: int | Literal["auto"] = "auto",
    groups: Mapping[str, Sequence[str]] | None = None,
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
    refit_every: int = 1,
    n_seeds: int = 1,
    windows_per_program: int | Literal["auto"] = "auto",
    groups: Mapping[str, Sequence[str]] | None = None,
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
    refit_every: int = 1,
    n_seeds: int = 1,
    windows_per_program: int | Literal["auto"] = "auto",
    groups: Mapping[str, Sequence[str]] | None = None,
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
        Tasks computed at the same time, through joblib: under ``joblib.parallel_config(backend="dask")`` or
        ``"ray"`` on a cluster. The result does not depend on it, bit for bit. Worker processes share the cores, and
        the panel is moved to them once.
    explain : bool or collection of str, default=False
        Whether to explain the predictions; for several models the names of those to explain.
    checkpoint : path, default=None
        Folder that receives one file for each finished window; a later call with the same data and windows computes
        only what is missing, also when models were added.
    progress : bool, default=True
        Whether to show a progress bar with the windows that are done and the time that is left.
    refit_every : int, default=1
        Windows from one fit to the next. The windows between are predicted by the model of the last one that was
        fitted, which saw earlier dates alone.
    n_seeds : int, default=1
        Members of an ensemble: each model is fitted so many times with other random states, which follow from its
        own, and the result is the mean. Member 0 is the model itself.
    windows_per_program : int or "auto", default="auto"
        Models, one for each window and seed, that are fitted side by side in one task, where the estimator can do so.
        "auto" takes what suits the estimator; those that are fitted one after the other go window by window whatever
        is asked. The result does not depend on it beyond rounding.
    groups : mapping of str to sequence of str, default=None
        Groups of descriptors. The result then has the contribution of each group to each prediction in place of whole
        explanations, which takes a small part of the memory and disk. Needs explain.

    Returns
    -------
    WalkForwardResult, or dict of str to WalkForwardResult
        One result, or one for each name.

    Raises
    ------
    PanelError
        If X has no (date, asset) index, y is not aligned to it, or the groups do not hold each descriptor once.
    SplitError
        If a row is tested more than once, no window fits, or a model would be asked for dates that are not later than
        those of its training.
    CheckpointError
        If the folder belongs to another run.
    TypeError
        If a model that shall be explained has no ``explain``.
    ValueError
        If a count is below 1, groups come without anything to explain, or a model without ``random_state`` shall be
        fitted with several seeds.

    Examples
    --------
    >>> from skdrfm import WalkForwardSplit, make_factor_panel, walk_forward_predict
    >>> from skdrfm.factor_model import LinearFactorRegressor
    >>> X, y = make_factor_panel(n_dates=26, n_assets=10, random_state=0)
    >>> result = walk_forward_predict(LinearFactorRegressor(), X, y, cv=WalkForwardSplit(24), progress=False)
    >>> result.predictions.shape
    (20,)

    Ensembles of three random forests, fitted in every second window:

    >>> from sklearn.ensemble import RandomForestRegressor
    >>> forest = RandomForestRegressor(5, random_state=0)
    >>> cv = WalkForwardSplit(22)
    >>> result = walk_forward_predict(forest, X, y, cv=cv, refit_every=2, n_seeds=3, progress=False)
    >>> result.windows["fitted_in"].tolist(), result.seed_predictions.shape, result.spread.shape
    ([0, 0, 2, 2], (40, 3), (40,))
    """
    check_panel_index(X)
    check_is_series(y, name="y")
    check_aligned(X, y)
    several = isinstance(estimator, Mapping)
    models: dict[str, Any] = dict(estimator) if several else {"model": estimator}
    explained = _names_to_explain(models, explain)
    check_whole(refit_every, "refit_every", owner="walk_forward_predict")
    check_whole(n_seeds, "n_seeds", owner="walk_forward_predict")
    if windows_per_program != "auto":
        check_whole(windows_per_program, "windows_per_program", owner="walk_forward_predict", other="or 'auto'")
    if n_seeds > 1:
        check_random_states(models)
    _check_group_names(groups, explained, X)
    splits = [(RowRuns.of(train), test) for train, test in cv.split(X, y)]
    check_tested_once(splits, len(X))
    windows = plan_windows(dates_of(X), splits, refit_every)
    sharing = groups_sharing_a_fit(models)
    folder = None
    if checkpoint is not None:
        kept = "None" if groups is None else json.dumps({group: list(names) for group, names in groups.items()})
        options = {"refit_every": str(int(refit_every)), "n_seeds": str(int(n_seeds)), "contributions": kept}
        folder = Checkpoint(checkpoint, run_fingerprints(sharing, models, cv, X, y, explained, **options))
    n_workers = joblib.effective_n_jobs(n_jobs)  # type: ignore[arg-type]  # None is what it takes by default
    works = [
        GroupWork(
            group=group,
            models={name: models[name] for name in names},
            explained=[name for name in explained if name in names],
            groups=groups,
            n_seeds=n_seeds,
            per_program=_models_per_program(models[names[0]], windows_per_program, X),
            checkpoint=folder,
            n_workers=n_workers,
            home=this_process(),
        )
        for group, names in sharing.items()
    ]
    arrays = _run(works, PanelData.of(X, y), splits, windows["fitted_in"].tolist(), folder, n_jobs, progress)
    results = {
        name: assemble(position, [arrays[group, window] for window in range(len(splits))], X.index, windows, groups)
        for group, names in sharing.items()
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


def _check_group_names(groups: Mapping[str, Sequence[str]] | None, explained: list[str], X: Any) -> None:
    """Find what is wrong with the groups before hours of fitting, as far as the names of the columns tell."""
    if groups is None:
        return
    if not explained:
        raise ValueError(
            "'groups' must come with models to explain. Got explain=False. Pass explain=True, or groups=None."
        )
    if INTERCEPT in groups:
        raise ValueError(
            f"No group must have the name {INTERCEPT!r}, which is a column of the contributions. Rename this group."
        )
    layout = lag_layout(list(X.columns))
    if layout is not None:
        check_groups(groups, layout.descriptor_names)


def _models_per_program(model: Any, asked: int | Literal["auto"], X: Any) -> int:
    """Models in a task: a larger one would only hold more rows, and save later, where they are fitted one by one."""
    layout = lag_layout(list(X.columns))
    at_once = windows_at_once(model, 1 if layout is None else layout.n_timesteps)
    return at_once if asked == "auto" or at_once == 1 else asked


def _run(
    works: Sequence[GroupWork],
    data: PanelData,
    splits: Sequence[Split],
    fitted_in: Sequence[int],
    checkpoint: Checkpoint | None,
    n_jobs: int | None,
    progress: bool,
) -> dict[WindowKey, dict[str, AnyArray]]:
    """Arrays of every group and window, from the checkpoint or computed."""
    done: dict[WindowKey, dict[str, AnyArray]] = {}
    rejected: set[WindowKey] = set()
    if checkpoint is not None:
        for key in ((work.group, window) for work in works for window in range(len(splits))):
            found = checkpoint.load(*key)
            if found is not None and np.array_equal(found["test_rows"], splits[key[1]][1]):
                done[key] = found
            elif checkpoint.path(*key).exists():
                rejected.add(key)
    n_done = len(done)
    tasks = [
        (work, fits)
        for work in works
        for fits in blocks_to_run(
            work, splits, fitted_in, [window for window in range(len(splits)) if (work.group, window) not in done]
        )
    ]
    # In the order of time, all models of the first windows before the later windows.
    tasks.sort(key=lambda task: task[1][0].window)
    backend, _ = joblib.parallel.get_active_backend()
    # Some engines, Ray among them, hand all results over at the end.
    streams = isinstance(backend, joblib.parallel.SequentialBackend) or backend.supports_return_generator
    return_as = "generator_unordered" if streams else "list"
    parallel = joblib.Parallel(n_jobs=n_jobs, return_as=return_as, max_nbytes=_MAPPED_FROM)
    bar = tqdm(
        total=len(works) * len(splits),
        initial=n_done,
        disable=not progress,
        unit="window",
        desc="Walk forward",
        smoothing=0,  # windows come in blocks: the mean speed tells more than that of the last block
    )
    with bar, single_threaded_algebra(), warnings.catch_warnings():
        # joblib restarts a worker whose memory has grown; results are not affected.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs", category=UserWarning)
        sent = _shared(data, backend) if tasks else data
        for block in parallel(joblib.delayed(run_block)(work, sent, fits) for work, fits in tasks):
            for (group, window), arrays in block:
                done[group, window] = arrays
                # Workers on machines with disks of their own have written elsewhere.
                if checkpoint is not None and (
                    (group, window) in rejected or not checkpoint.path(group, window).exists()
                ):
                    checkpoint.save(group, window, arrays)
            bar.update(len(block))
    return done


def _shared(data: PanelData, backend: Any) -> Any:
    """Give each worker of a dask cluster the panel.

    joblib alone would hand it to a single worker, and the walk would be lost with this worker.
    """
    client = getattr(backend, "client", None)
    return data if client is None else client.scatter(data, broadcast=True, hash=False)
