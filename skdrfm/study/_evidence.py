"""Evidence beside the figures of a study: explainers of one cross-section side by side, and an audit for leaks."""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline

from skdrfm._typing import IntArray
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.factor_model._network import draw_seed
from skdrfm.factor_model._together import fit_together, windows_at_once
from skdrfm.inspection import ExplainerComparison, LeakageReport, audit_leakage, compare_explainers
from skdrfm.model_selection import WalkForwardSplit
from skdrfm.model_selection._members import member
from skdrfm.model_selection._threads import single_threaded_algebra
from skdrfm.panel import LaggedPanel, dates_of, lag_layout
from skdrfm.preprocessing import CrossSectionalRankScaler

EXPLAINERS = ("lrp-all", "gradient-x-input", "integrated-gradients", "occlusion", "shap-permutation")
# SHAP asks the model for some hundred times n_background predictions of each row.
_MAX_ROWS, _MAX_BACKGROUND = 100, 50


@dataclass(frozen=True, eq=False)
class Evidence:
    """What was found beside the figures.

    Parameters
    ----------
    agreement : DataFrame or None
        Rank correlations of explainers.
    explainer_costs : DataFrame or None
        Their cost and additivity.
    findings : DataFrame or None
        Findings of the audit; None if nothing was looked for.
    manifest : mapping
        What was explained and audited; empty if nothing was.
    """

    agreement: pd.DataFrame | None = None
    explainer_costs: pd.DataFrame | None = None
    findings: pd.DataFrame | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)


def gather_evidence(
    models: Mapping[str, Any],
    preferred: Iterable[str],
    X: pd.DataFrame,
    y: "pd.Series[Any]",
    lagged: LaggedPanel,
    target: "pd.Series[Any]",
    *,
    cv: WalkForwardSplit,
    refit_every: int,
    random_state: Any,
) -> Evidence:
    """Explain the last cross-section of a walk by several explainers, and audit the panel.

    Nothing later than the last test date is looked at.

    Parameters
    ----------
    models : mapping of str to estimator
        Models of the study.
    preferred : iterable of str
        Names of those to explain, the most wanted first. Where none of them is among the models, the first model
        that can be explained is taken.
    X, y : DataFrame of shape (n_samples, n_descriptors), Series of shape (n_samples,)
        Raw panel, and its forward returns.
    lagged, target : LaggedPanel of shape (n_walked, n_columns), Series of shape (n_walked,)
        What is walked over.
    cv : WalkForwardSplit
        Windows of the walk.
    refit_every : int
        Windows from one fit to the next.
    random_state : int, RandomState instance or None
        Seed of the rows that are drawn; not advanced.

    Returns
    -------
    Evidence
        Frames and what belongs into the manifest.
    """
    splits = list(cv.split(lagged, target))
    train = splits[(len(splits) - 1) // refit_every * refit_every][0]
    test = splits[-1][1]
    dates = dates_of(lagged)
    seed = draw_seed(copy.deepcopy(random_state))
    names = [*(name for name in preferred if name in models), *models]
    name = next((name for name in names if hasattr(models[name], "explain")), None)
    agreement = costs = None
    explained: dict[str, Any] = {}
    if name is not None:
        rng = np.random.default_rng(seed)
        rows, background = _some(test, _MAX_ROWS, rng), _some(train, _MAX_BACKGROUND, rng)
        comparison = _compare(models[name], lagged, target, train, rows, background, seed)
        agreement = comparison.agreement(by="descriptor") if len(_layout(lagged).descriptor_names) > 1 else None
        costs = comparison.summary()
        explained = {
            "model": name,
            "explainers": list(EXPLAINERS),
            "date": str(dates[test].max()),
            "rows_of_date": len(test),
            "rows_explained": len(rows),
            "rows_of_background": len(background),
        }
    report = _audit(X, y, train_size=cv.train_size, first=dates[splits[0][1]].min(), last=dates[test].max(), seed=seed)
    audited = {
        "model": "LinearFactorRegressor on the ranks of the raw descriptors",
        "checks": dict(report.checked),
        "rows_without_forward_return": report.n_missing_targets,
    }
    return Evidence(agreement, costs, report.to_frame(), {"explanations": explained or None, "audit": audited})


def _compare(
    model: Any,
    X: LaggedPanel,
    y: "pd.Series[Any]",
    train: IntArray,
    rows: IntArray,
    background: IntArray,
    seed: int,
) -> ExplainerComparison:
    """Fit the model of the last window as the walk does, to the last bit, since a walk keeps no fitted models."""
    training = (X.iloc[train], y.iloc[train])
    width = windows_at_once(model, _layout(X).n_timesteps)
    with single_threaded_algebra():
        (fitted,) = fit_together([member(model, 0)], [training], width=width)
    found: ExplainerComparison = compare_explainers(
        fitted, X.iloc[rows], X.iloc[background], methods=EXPLAINERS, random_state=seed
    )
    return found


def _audit(X: pd.DataFrame, y: "pd.Series[Any]", *, train_size: int, first: Any, last: Any, seed: int) -> LeakageReport:
    """Audit what was given, with a model that costs little and sees the descriptors as those of the study do."""
    known = np.asarray(dates_of(X) <= last)
    return audit_leakage(
        make_pipeline(CrossSectionalRankScaler(missing="zero"), LinearFactorRegressor()),
        X[known],
        y[known],
        cv=WalkForwardSplit(train_size, first_test_date=first),
        random_state=seed % 2**32,
    )


def _some(rows: IntArray, most: int, rng: np.random.Generator) -> IntArray:
    """Draw rows where there are more than needed; they keep their order."""
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))


def _layout(X: LaggedPanel) -> Any:
    return lag_layout(list(X.columns))
