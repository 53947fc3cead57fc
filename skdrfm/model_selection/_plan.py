"""The plan of a walk: which models share a fit, which window is fitted when, and what belongs into one task."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import joblib
import numpy as np
import pandas as pd

from skdrfm._typing import IntArray
from skdrfm.exceptions import SplitError
from skdrfm.model_selection._row_runs import RowRuns
from skdrfm.model_selection._walk_forward import describe_windows
from skdrfm.model_selection._windows import Fit, GroupWork

Split = tuple[RowRuns, IntArray]


def groups_sharing_a_fit(models: Mapping[str, Any]) -> dict[str, list[str]]:
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


def check_tested_once(splits: Sequence[Split], n_rows: int) -> None:
    """Check that there are windows, and that no row is tested twice."""
    if not splits:
        raise SplitError("The splitter must yield at least one window. Got none.")
    counts = np.bincount(np.concatenate([test for _, test in splits]), minlength=n_rows)
    if counts.max() > 1:
        raise SplitError(
            f"Every row must be tested at most once. Got {int((counts > 1).sum())} rows tested more often. "
            "Use a step that is not smaller than test_size."
        )


def plan_windows(dates: pd.Index, splits: Sequence[Split], refit_every: int) -> pd.DataFrame:
    """List the windows, with the training window whose model predicts each of them.

    Parameters
    ----------
    dates : Index of length n_samples
        Date of each row.
    splits : sequence of (RowRuns, ndarray of int)
        Training and test rows of each window.
    refit_every : int
        Windows from one fit to the next.

    Returns
    -------
    DataFrame of shape (n_windows, 9)
        As from `WalkForwardSplit.summary`, with the training columns of the fit and its number ``fitted_in``.

    Raises
    ------
    SplitError
        If a model would predict dates that are not later than all dates that it was trained on.
    """
    windows = describe_windows(dates, ((train.rows(), test) for train, test in splits))
    if refit_every == 1:
        return windows.assign(fitted_in=np.arange(len(windows)))
    fitted_in = np.arange(len(windows)) // refit_every * refit_every
    training = windows.columns[windows.columns.str.startswith("train_")]
    windows[training] = windows[training].take(fitted_in).set_axis(windows.index)
    windows = windows.assign(fitted_in=fitted_in)
    early = windows[(windows["fitted_in"] != windows.index) & ~(windows["train_end"] < windows["test_start"])]
    if len(early):
        first = early.iloc[0]
        raise SplitError(
            "With refit_every each window must be tested on later dates than the window fitted before it was trained "
            f"on. Got window {early.index[0]} tested from {first['test_start']} with the model of window "
            f"{first['fitted_in']}, trained up to {first['train_end']}. Pass refit_every=1, or a splitter whose "
            "windows come in the order of time."
        )
    return windows


def blocks_to_run(
    work: GroupWork, splits: Sequence[Split], fitted_in: Sequence[int], missing: Sequence[int]
) -> Iterator[list[Fit]]:
    """Put the windows that are not done yet into the tasks of a group.

    The borders of blocks follow from the numbers of the windows, whatever is done already: models fitted side by side
    so have the same neighbours in every run that starts afresh, and a run that goes on computes only what is missing.

    Parameters
    ----------
    work : GroupWork
        What is done in each window.
    splits : sequence of (RowRuns, ndarray of int)
        Training and test rows of each window.
    fitted_in : sequence of int
        For each window the one whose model predicts it.
    missing : sequence of int
        Windows that are not done yet, in ascending order.

    Yields
    ------
    list of Fit
        The work of one task.
    """
    tests: dict[int, list[int]] = {}
    for window in missing:
        tests.setdefault(fitted_in[window], []).append(window)
    # Members of an ensemble fill a program as windows do.
    per_block = max(1, work.per_program // work.n_seeds)
    ordinal = {window: number for number, window in enumerate(dict.fromkeys(fitted_in))}
    blocks: dict[int, list[Fit]] = {}
    for window, own in tests.items():
        fit = Fit(window, splits[window][0], tuple((number, splits[number][1]) for number in own))
        blocks.setdefault(ordinal[window] // per_block, []).append(fit)
    yield from blocks.values()
