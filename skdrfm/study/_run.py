"""The whole comparison as one call."""

import platform
import time
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import pandas as pd

from skdrfm.exceptions import SplitError
from skdrfm.model_selection import WalkForwardResult, walk_forward_predict
from skdrfm.model_selection._members import random_parameters
from skdrfm.panel import check_aligned, check_panel_index
from skdrfm.panel._index import check_is_series
from skdrfm.panel._lags import PAPER_LAGS
from skdrfm.portfolio import backtest
from skdrfm.study._evidence import Evidence, gather_evidence
from skdrfm.study._figures import coverage_of, table_of, top_quantile
from skdrfm.study._prepare import check_enough_assets, limit_months, prepare, resolve_groups, resolve_models
from skdrfm.study._result import StudyResult
from skdrfm.utils._fingerprint import data_fingerprint, package_versions
from skdrfm.utils._param_validation import Interval
from skdrfm.utils.validation import check_whole

# Most wanted first.
EXPLAINED = ("LSTM+LRP", "DNN+LRP", "Linear")
_COSTS = Interval(Real, 0, None, closed="left")


def run_study(
    X: pd.DataFrame,
    y: "pd.Series[Any]",
    *,
    models: Mapping[str, Any] | Sequence[str] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    universe: "pd.Series[bool] | None" = None,
    lags: Sequence[int] = PAPER_LAGS,
    train_size: int = 60,
    start: str | None = None,
    end: str | None = None,
    n_quantiles: int = 5,
    cost: float = 0.0,
    random_state: int = 0,
    n_jobs: int | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    refit_every: int = 1,
    n_seeds: int = 1,
    evidence: bool = False,
) -> StudyResult:
    """Walk the models of the paper forward over a monthly panel and compare forecasts and portfolios.

    Each cross-section is ranked to [-1, 1] (missing values enter as the neutral rank 0 and are counted), the lags
    are stacked, and each model is fitted on the last train_size months and predicts the next one.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_descriptors), indexed by (date, asset)
        Raw descriptors known at the end of each month.
    y : Series of shape (n_samples,)
        Return over the month after each date, decimal. Rows without one are dropped and counted.
    models : mapping of str to estimator, or sequence of str, default=None
        Models to compare, or names among those of `paper_models`; None: all seven.
    groups : mapping of str to sequence of str, default=None
        Descriptor groups of the contributions. None: the paper's `GROUPS`; other descriptors form "Other".
    universe : Series of bool of shape (n_samples,), default=None
        Rows to train and test on; the others only take part in ranks and lags. None: all rows.
    lags : sequence of int, default=(0, 3, 6, 9, 12)
        Months before the date.
    train_size : int, default=60
        Months in a training window.
    start, end : str, default=None
        First and last test month, such as "2009-01": the months in which the predicted returns are earned. None:
        as early and as late as the panel allows.
    n_quantiles : int, default=5
        Number of portfolios; the long/short portfolio buys the highest and sells the lowest.
    cost : float, default=0.0
        Cost of one unit traded, decimal.
    random_state : int, default=0
        Seed of the networks and the random forest.
    n_jobs : int, default=None
        Windows computed at the same time; the result does not depend on it.
    checkpoint : path, default=None
        Folder for finished windows; an interrupted study goes on from there.
    progress : bool, default=True
        Whether to show a progress bar.
    refit_every : int, default=1
        Months from one fit to the next; the months between are predicted by the model that was fitted last.
    n_seeds : int, default=1
        Members of an ensemble: each model with a random state is fitted so many times and its forecasts are the means.
        The others are fitted once.
    evidence : bool, default=False
        Whether to also compare explainers and audit the panel for leaks; it takes about one more fit and some seconds
        to minutes. The model "LSTM+LRP", else the first explained one, else the first that can be explained, is
        fitted to the training rows of the last window as in the walk (member 0 of an ensemble), and at most 100 rows
        of the last cross-section are explained by five explainers, SHAP with 50 training rows as background. The
        audit looks at the raw panel up to the last test date, and at a linear model on its ranks.

    Returns
    -------
    StudyResult
        Table, predictions, portfolios, contributions, windows and manifest, and evidence if it was asked for.

    Raises
    ------
    PanelError
        If the panel is not indexed or aligned as it must be, the universe has other values than True and False, a
        descriptor has no value at all or is in several groups, or there are fewer assets than quantiles on every date.
    SplitError
        If the months do not suffice.
    ValueError
        If a model name is unknown, refit_every or n_seeds is no positive integer, n_quantiles no integer of at least
        2, or the cost no number of at least 0.
    TypeError, UnsupportedLayerError
        If evidence is asked for and the model that it needs cannot be explained by all five explainers.

    Examples
    --------
    >>> from skdrfm import make_factor_panel, run_study
    >>> X, y = make_factor_panel(n_dates=30, n_assets=20, random_state=0)
    >>> study = run_study(X, y, models=["Linear"], lags=(0, 3), train_size=24, progress=False)
    >>> study.table.shape
    (1, 7)
    """
    began = time.perf_counter()
    check_whole(n_seeds, "n_seeds", owner="run_study")
    check_whole(refit_every, "refit_every", owner="run_study")
    check_whole(train_size, "train_size", owner="run_study", error=SplitError)
    # Portfolios are made after hours of fitting: what they cannot be made with is refused before.
    check_whole(n_quantiles, "n_quantiles", owner="run_study", least=2)
    if not _COSTS.is_satisfied_by(cost):
        raise ValueError(
            f"The 'cost' parameter of run_study must be {_COSTS}. Got {cost!r} instead. For costs "
            "that differ by asset pass the predictions of the study to backtest."
        )
    check_panel_index(X)
    check_is_series(y, name="y")
    check_aligned(X, y)
    chosen = resolve_models(models, random_state)
    grouping = resolve_groups(list(X.columns), groups)
    lagged, target, rows, missing = prepare(X, y, universe, lags)
    lagged, target, cv = limit_months(lagged, target, train_size, start, end)
    check_enough_assets(lagged, n_quantiles)
    # Before the walk: what cannot be explained is found out before hours of fitting.
    beside = Evidence()
    if evidence:
        beside = gather_evidence(
            chosen, EXPLAINED, X, y, lagged, target, cv=cv, refit_every=refit_every, random_state=random_state
        )
    random = [name for name, model in chosen.items() if n_seeds != 1 and random_parameters(model)]
    found: dict[str, WalkForwardResult] = {}
    for seeds, names in ((1, [name for name in chosen if name not in random]), (n_seeds, random)):
        if names:
            found |= walk_forward_predict(
                {name: chosen[name] for name in names},
                lagged,
                target,
                cv=cv,
                n_jobs=n_jobs,
                explain=[name for name in EXPLAINED if name in names and hasattr(chosen[name], "explain")],
                checkpoint=checkpoint,
                progress=progress,
                refit_every=refit_every,
                n_seeds=seeds,
            )
    results = {name: found[name] for name in chosen}
    first = next(iter(results.values()))
    realised = target.loc[first.predictions.index]
    backtests = {
        name: backtest(result.predictions, realised, n_quantiles=n_quantiles, cost=cost)
        for name, result in results.items()
    }
    contributions, signed, by_lag = top_quantile(results, grouping, n_quantiles)
    manifest = {
        "title": "Comparison of factor models, walked forward",
        "dates": {
            "first_formation": str(first.windows["test_start"].iloc[0]),
            "last_formation": str(first.windows["test_end"].iloc[-1]),
            "n_test_months": len(first.windows),
        },
        "options": {
            "train_size": train_size,
            "lags": list(lags),
            "n_quantiles": n_quantiles,
            "cost": cost,
            "refit_every": refit_every,
            "n_seeds": {name: n_seeds if name in random else 1 for name in chosen},
            "models": list(chosen),
            "groups": {group: list(names) for group, names in grouping.items()},
        },
        "random_state": random_state,
        "data_sha256": data_fingerprint(X, y),
        "rows": rows | {"walked": len(lagged), "predicted": len(realised)},
        "missing_cells_ranked_neutral": missing,
        "versions": {"python": platform.python_version(), **package_versions()},
        "seconds": {
            "wall": round(time.perf_counter() - began, 1),
            "fit": {name: round(float(result.windows["fit_seconds"].sum()), 1) for name, result in results.items()},
        },
    }
    if evidence:
        manifest["evidence"] = dict(beside.manifest)
    return StudyResult(
        table=table_of(results, backtests, realised),
        results=results,
        backtests=backtests,
        contributions=contributions,
        signed_contributions=signed,
        windows=first.windows.drop(columns=["fit_seconds", "fitted_in"]),
        realised=realised,
        manifest=manifest,
        relevance_by_lag=by_lag,
        coverage=coverage_of(X),
        agreement=beside.agreement,
        explainer_costs=beside.explainer_costs,
        findings=beside.findings,
    )
