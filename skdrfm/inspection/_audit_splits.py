"""Checks of the windows: which rows train, which rows test, and when their targets become known."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import check_cv

from skdrfm._typing import FloatArray, IntArray
from skdrfm.exceptions import SplitError
from skdrfm.inspection._audit_panel import AuditPanel, Splits, mean_by
from skdrfm.inspection._audit_report import Finding, NotApplicableError
from skdrfm.panel import dates_of
from skdrfm.panel._history import History

# Returns that share none of their periods are nearly uncorrelated in time (a few hundredths for single stocks);
# overlapping ones have a correlation of one half or more.
_OVERLAP_CORRELATION = 0.3

_TITLES = {
    "test_in_training": "Rows are trained and tested in the same window.",
    "training_after_test": "Training rows are later than test rows.",
    "date_cut": "A date is cut: some of its rows train, others test.",
    "label_overlap": "The targets of the last training rows are not yet known at the first test date.",
}
_REMEDIES = {
    "test_in_training": "Make training and test rows disjoint, for example with WalkForwardSplit.",
    "training_after_test": "Train on the past only, with WalkForwardSplit: no shuffled and no ordinary K-fold.",
    "date_cut": "Split by distinct dates and never by rows, with WalkForwardSplit.",
    "label_overlap": "Leave out horizon - 1 dates between training and test: WalkForwardSplit(..., gap=horizon - 1).",
}


def list_splits(cv: Any, X: pd.DataFrame, y: "pd.Series[Any]") -> Splits:
    """List the training and test rows of a splitter, an iterable of them or a number of folds."""
    splitter = check_cv(cv)
    try:
        splits = list(splitter.split(X, y))
    except SplitError:
        raise
    except ValueError:
        # A splitter by groups asks for them; the groups of a panel are its dates.
        splits = list(splitter.split(X, y, dates_of(X)))
    pairs = [(np.asarray(train, dtype=np.intp), np.asarray(test, dtype=np.intp)) for train, test in splits]
    pairs = [(train, test) for train, test in pairs if len(train) and len(test)]
    if not pairs:
        raise SplitError("The splitter must yield at least one window with training and test rows. Got none.")
    return pairs


def find_split_faults(
    panel: AuditPanel, splits: Splits, horizon: int, *, severity: str = "error", place: str = ""
) -> Iterator[Finding]:
    """Report each window under its gravest fault, windows with the same fault together."""
    faulty: dict[str, list[str]] = {}
    for train, test in splits:
        code, evidence = _gravest_fault(panel, train, test, horizon)
        if code:
            faulty.setdefault(code, []).append(evidence)
    for code, found in faulty.items():
        yield Finding(
            code,
            severity,
            _TITLES[code],
            f"{len(found)} of {len(splits)} windows{place}, first: {found[0]}",
            _REMEDIES[code],
        )


def _gravest_fault(panel: AuditPanel, train: IntArray, test: IntArray, horizon: int) -> tuple[str, str]:
    shared = np.intersect1d(train, test)
    last_train, first_test = int(panel.codes[train].max()), int(panel.codes[test].min())
    if len(shared):
        return "test_in_training", f"{len(shared)} of {len(test)} test rows train, such as {_row(panel, shared[0])}."
    if last_train > first_test:
        n_later = int((panel.codes[train] > first_test).sum())
        return "training_after_test", (
            f"{n_later} of {len(train)} training rows are later than the first test date {panel.date(first_test)}, "
            f"up to {panel.date(last_train)}."
        )
    if last_train == first_test:
        parts = [int((panel.codes[part] == first_test).sum()) for part in (train, test)]
        return "date_cut", f"of {panel.date(first_test)}, {parts[0]} rows train and {parts[1]} rows test."
    if first_test - last_train < horizon:
        return "label_overlap", (
            f"training ends at {panel.date(last_train)} with targets over {horizon} dates, and the test starts at "
            f"{panel.date(first_test)}, {first_test - last_train} later."
        )
    return "", ""


def _row(panel: AuditPanel, position: int) -> str:
    return f"({panel.date(int(panel.codes[position]))}, {panel.X.index[position][panel.X.index.names.index('asset')]})"


def find_overlapping_target(panel: AuditPanel, splits: Splits) -> Iterator[Finding]:
    """Find targets of training and test rows that share periods, whatever horizon was declared."""
    distances = [int(panel.codes[test].min() - panel.codes[train].max()) for train, test in splits]
    ahead = [distance for distance in distances if distance >= 1]
    if not ahead:
        raise NotApplicableError("no window tests after its training")
    if not panel.X.index.is_unique:
        raise NotApplicableError("rows with duplicate keys have no past that is theirs")
    distance = min(ahead)
    y: FloatArray = panel.target - mean_by(panel.codes, panel.target, panel.n_dates)[panel.codes]
    later = History(panel.assets, panel.codes).shifted(distance)
    before, now = y[later >= 0], y[later[later >= 0]]
    both = np.isfinite(now) & np.isfinite(before)
    now, before = now[both], before[both]
    scale = np.sqrt((now @ now) * (before @ before))
    if not scale > 0:
        raise NotApplicableError(f"no asset has two targets {distance} dates apart, or y is constant")
    correlation = float(now @ before / scale)
    if correlation > max(_OVERLAP_CORRELATION, 5 / np.sqrt(len(now))):
        yield Finding(
            "overlapping_target",
            "warning",
            "The targets of training and test rows move together, as returns over common periods do.",
            f"In the windows training ends {distance} date{'s' if distance > 1 else ''} before the test; returns of an "
            f"asset so far apart have a correlation of {correlation:.2f} within dates ({len(now)} pairs; about 0 for "
            "returns that share no period).",
            "Pass the number of periods in y as 'horizon' and leave out gap=horizon - 1 dates before each test.",
        )


def find_inner_split_faults(estimator: Any, panel: AuditPanel, train: IntArray, horizon: int) -> Iterator[Finding]:
    """Find the same faults in the folds that a search or a model with its own validation makes of a training window."""
    inside = AuditPanel.of(panel.X.iloc[train], panel.y.iloc[train])
    for owner, cv in _inner_splitters(estimator):
        splits = list_splits(cv, inside.X, inside.y)
        place = f" inside {type(owner).__name__}"
        yield from find_split_faults(inside, splits, horizon, severity="warning", place=place)


def _inner_splitters(estimator: Any) -> Iterator[tuple[Any, Any]]:
    for name, value, owner in owned_parameters(estimator):
        # Without alphas to compare by folds, RidgeCV leaves out one row after the other in closed form.
        if name == "cv" and value is not None:
            yield owner, value
        elif name == "cv" and hasattr(owner, "estimator") and hasattr(owner, "refit"):
            yield owner, 5  # what scikit-learn's searches take for None


def owned_parameters(estimator: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, value and owner of all parameters, those of parts included."""
    parameters = estimator.get_params(deep=True)
    for key, value in parameters.items():
        prefix, _, name = key.rpartition("__")
        owner = parameters.get(prefix) if prefix else estimator
        if owner is not None:
            yield name, value, owner


def find_random_validation(estimator: Any, panel: AuditPanel, splits: Splits) -> Iterator[Finding]:
    """Find parts that stop early by rows drawn at random from the training window."""
    n_train = min(len(train) for train, _ in splits)
    for name, value, owner in owned_parameters(estimator):
        if not type(owner).__module__.startswith("sklearn."):
            continue
        by_size = name == "early_stopping" and value == "auto" and n_train > 10_000
        by_count = name == "n_iter_no_change" and value is not None and not hasattr(owner, "early_stopping")
        if (name == "early_stopping" and value is True) or by_size or by_count:
            yield Finding(
                "random_validation",
                "warning",
                "Early stopping looks at rows drawn at random, whose dates also train.",
                f"{type(owner).__name__} has {name}={value!r} and takes its validation rows from all "
                f"{panel.n_dates} dates of a window.",
                "Stop by the latest dates of the window, as skdrfm's networks do, or choose the number of steps by a "
                "search with WalkForwardSplit.",
            )
