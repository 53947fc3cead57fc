"""The comparison of models of Nakagawa et al. (2019) as one job on any monthly panel."""

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.descriptors import GROUPS
from skdrfm.exceptions import PanelError, SplitError
from skdrfm.factor_model import paper_models
from skdrfm.metrics import (
    mean_absolute_error_by_date,
    r2_oos,
    rank_information_coefficient,
    root_mean_squared_error_by_date,
)
from skdrfm.model_selection import WalkForwardResult, WalkForwardSplit, walk_forward_predict
from skdrfm.model_selection._members import random_parameters
from skdrfm.panel import LaggedPanel, check_aligned, check_panel_index, dates_of
from skdrfm.panel._index import calendar_ordinals
from skdrfm.panel._lags import PAPER_LAGS
from skdrfm.portfolio import BacktestResult, backtest, quantile_weights
from skdrfm.preprocessing import CrossSectionalRankScaler
from skdrfm.utils._fingerprint import data_fingerprint, package_versions
from skdrfm.utils.validation import check_whole

__all__ = ["PUBLISHED", "StudyResult", "run_study"]

TABLE_COLUMNS = ("Return [%]", "Volatility [%]", "Sharpe ratio", "MAE", "RMSE", "Rank IC", "R2_oos [%]")
EXPLAINED = ("LSTM+LRP", "DNN+LRP", "Linear")

PUBLISHED = pd.DataFrame(
    {
        "LSTM": (13.20, 15.01, 0.88, 0.07492, 0.09830),
        "LSTM+LRP": (15.18, 11.60, 1.31, 0.07654, 0.09912),
        "DNN": (11.23, 14.90, 0.75, 0.07570, 0.09914),
        "DNN+LRP": (11.33, 14.77, 0.77, 0.07671, 0.09999),
        "Linear": (6.02, 13.31, 0.45, 0.08033, 0.10533),
        "SVR": (6.63, 17.52, 0.38, 0.08497, 0.10911),
        "Random forest": (5.44, 11.69, 0.47, 0.08231, 0.10791),
    },
    index=list(TABLE_COLUMNS[:5]),
).T.rename_axis("model")
"""Table 4 of Nakagawa et al. (2019) as published: TOPIX 500 stocks, April 2007 to March 2015. Not computed here."""


@dataclass(frozen=True)
class StudyResult:
    """Everything that a comparison of models found out.

    Parameters
    ----------
    table : DataFrame of shape (n_models, 7)
        Figures in the layout of Table 4: annualised return and volatility of the long/short portfolio in percent,
        Sharpe ratio, MAE and RMSE averaged over months, mean rank IC, and out-of-sample R2 in percent.
    results : mapping of str to WalkForwardResult
        Out-of-sample predictions, and explanations where the model has them.
    backtests : mapping of str to BacktestResult
        Quantile and long/short portfolios.
    contributions : mapping of str to DataFrame of shape (n_dates, n_groups)
        Share of each descriptor group in the absolute contributions to the forecasts of the top quantile, by date;
        rows sum to 1 (Figure 2 of the paper as a time series).
    signed_contributions : mapping of str to DataFrame of shape (n_dates, n_groups)
        Mean contribution of each group to the forecasts of the top quantile, in units of the forecast.
    windows : DataFrame of shape (n_windows, 8)
        First and last dates, numbers of dates and rows of the training and test windows.
    realised : Series of shape (n_predictions,)
        Forward returns of the predicted rows, decimal.
    manifest : mapping
        Versions, seed, hash of the data, dates, rows dropped and why, missing cells filled, times.
    """

    table: pd.DataFrame
    results: Mapping[str, WalkForwardResult]
    backtests: Mapping[str, BacktestResult]
    contributions: Mapping[str, pd.DataFrame]
    signed_contributions: Mapping[str, pd.DataFrame]
    windows: pd.DataFrame
    realised: "pd.Series[float]"
    manifest: Mapping[str, Any]

    def to_frame(self) -> pd.DataFrame:
        """Table of the models.

        Returns
        -------
        DataFrame of shape (n_models, 7)
            The attribute table.
        """
        return self.table


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

    Returns
    -------
    StudyResult
        Table, predictions, portfolios, contributions, windows and manifest.

    Raises
    ------
    PanelError
        If the panel is not indexed or aligned as it must be, a descriptor has no value at all, or there are fewer
        assets than quantiles on every date.
    SplitError
        If the months do not suffice.
    ValueError
        If a model name is unknown, or refit_every or n_seeds is no positive integer.

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
    check_panel_index(X)
    check_aligned(X, y)
    chosen = resolve_models(models, random_state)
    grouping = resolve_groups(list(X.columns), groups)
    lagged, target, rows, missing = _prepare(X, y, universe, lags)
    lagged, target, cv = _limit(lagged, target, train_size, start, end)
    _check_enough_assets(lagged, n_quantiles)
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
    contributions, signed = _contributions(results, grouping, n_quantiles)
    manifest = {
        "title": "Comparison of factor models, walked forward",
        "dates": {
            "first_formation": str(first.predictions.index.get_level_values("date").min()),
            "last_formation": str(first.predictions.index.get_level_values("date").max()),
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
    return StudyResult(
        table=_table(results, backtests, realised),
        results=results,
        backtests=backtests,
        contributions=contributions,
        signed_contributions=signed,
        windows=first.windows.drop(columns=["fit_seconds", "fitted_in"]),
        realised=realised,
        manifest=manifest,
    )


def resolve_models(models: Mapping[str, Any] | Sequence[str] | None, random_state: int) -> dict[str, Any]:
    """Turn names into the paper's models; a mapping of estimators is taken as it is."""
    if isinstance(models, Mapping):
        return dict(models)
    known = paper_models(random_state)
    names = list(known) if models is None else list(models)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ValueError(f"'models' must name some of {', '.join(known)}. Got {', '.join(unknown) or 'none'}.")
    return {name: known[name] for name in names}


def resolve_groups(
    descriptors: Sequence[str], groups: Mapping[str, Sequence[str]] | None
) -> dict[str, tuple[str, ...]]:
    """Group the descriptors at hand, the rest as "Other"."""
    given = GROUPS if groups is None else groups
    grouping = {group: tuple(name for name in names if name in descriptors) for group, names in given.items()}
    grouped = {name for names in grouping.values() for name in names}
    other = tuple(name for name in descriptors if name not in grouped)
    return {group: names for group, names in {**grouping, "Other": other}.items() if names}


def _prepare(
    X: pd.DataFrame, y: "pd.Series[Any]", universe: "pd.Series[bool] | None", lags: Sequence[int]
) -> tuple[LaggedPanel, "pd.Series[Any]", dict[str, int], dict[str, int]]:
    """Rank, stack, and keep the rows of the universe whose forward return is known; count what is left out."""
    empty = [str(name) for name in X.columns if X[name].isna().all()]
    if empty:
        raise PanelError(
            f"Each descriptor must have a value in some row. Got none in {', '.join(map(repr, empty))}. "
            "Leave these columns out."
        )
    if universe is not None:
        check_aligned(X, universe, y_name="universe")
    scaler = CrossSectionalRankScaler(missing="zero")
    lagged = LaggedPanel(scaler.fit_transform(X), lags=lags)
    target = lagged.align(y)
    rows = {"given": len(X), "dropped_without_full_history": len(X) - len(lagged)}
    keep = np.ones(len(lagged), dtype=bool)
    if universe is not None:
        keep = lagged.align(universe).to_numpy(dtype=bool)
    rows["dropped_outside_universe"] = int((~keep).sum())
    known = target.notna().to_numpy()
    rows["dropped_without_forward_return"] = int((keep & ~known).sum())
    keep = keep & known
    if not keep.any():
        raise PanelError(
            f"Some rows must have full history, be in the universe and have a forward return. Got none of {len(X)}: "
            f"{rows}. Check the lags, the universe and the return column."
        )
    missing = {str(name): int(count) for name, count in zip(X.columns, scaler.n_missing_, strict=True) if count}
    return lagged[keep], target[keep], rows, missing


def _limit(
    X: LaggedPanel, y: "pd.Series[Any]", train_size: int, start: str | None, end: str | None
) -> tuple[LaggedPanel, "pd.Series[Any]", WalkForwardSplit]:
    """Leave out what lies outside the test months and the training windows before them."""
    dates = dates_of(X)
    # The return predicted at the end of one month is earned in the next.
    earned = calendar_ordinals(dates, "M") + 1
    keep = np.ones(len(X), dtype=bool)
    if end is not None:
        keep &= earned <= _month(end, "end")
    first_test_date = None
    if start is not None:
        tested = dates[keep & (earned >= _month(start, "start"))]
        if not len(tested):
            raise SplitError(
                f"Some predicted months must lie between start={start} and end={end}. Got months from "
                f"{pd.Period(ordinal=int(earned.min()), freq='M')} to {pd.Period(ordinal=int(earned.max()), freq='M')}."
            )
        first_test_date = tested.min()
        formation = np.sort(dates[keep].unique())
        position = int(np.searchsorted(formation, np.asarray([first_test_date], dtype=formation.dtype)[0]))
        keep &= np.asarray(dates >= formation[max(0, position - train_size)])
    return X[keep], y[keep], WalkForwardSplit(train_size, first_test_date=first_test_date)


def _month(text: str, name: str) -> int:
    try:
        return int(pd.Period(text, freq="M").ordinal)
    except ValueError as error:
        raise SplitError(f"{name!r} must be a month such as '2009-01'. Got {text!r}.") from error


def _check_enough_assets(X: LaggedPanel, n_quantiles: int) -> None:
    most = int(dates_of(X).value_counts().max())
    if most < n_quantiles:
        raise PanelError(
            f"There must be at least as many assets on a date as quantiles ({n_quantiles}). Got {most} assets at "
            "most. Use fewer quantiles or a larger universe."
        )


def _table(
    results: Mapping[str, WalkForwardResult],
    backtests: Mapping[str, BacktestResult],
    realised: "pd.Series[float]",
) -> pd.DataFrame:
    rows = {}
    for name, result in results.items():
        summary = backtests[name].summary()
        rows[name] = (
            100 * summary["Return"],
            100 * summary["Volatility"],
            summary["Sharpe ratio"],
            mean_absolute_error_by_date(realised, result.predictions).mean(),
            root_mean_squared_error_by_date(realised, result.predictions).mean(),
            rank_information_coefficient(realised, result.predictions).mean(),
            100 * r2_oos(realised, result.predictions),
        )
    return pd.DataFrame(rows, index=list(TABLE_COLUMNS)).T.rename_axis("model")


def _contributions(
    results: Mapping[str, WalkForwardResult], groups: Mapping[str, Sequence[str]], n_quantiles: int
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Weighted means over the top quantile of each date: shares of absolute contributions, and signed ones."""
    shares: dict[str, pd.DataFrame] = {}
    signed: dict[str, pd.DataFrame] = {}
    for name, result in results.items():
        if result.explanation is None:
            continue
        weights = quantile_weights(result.predictions, n_quantiles=n_quantiles)[n_quantiles]
        for store, frame in (
            (shares, result.explanation.share(groups)),
            (signed, result.explanation.by_group(groups)),
        ):
            store[name] = frame.mul(weights, axis=0).groupby(level="date").sum(min_count=1)
    return shares, signed
