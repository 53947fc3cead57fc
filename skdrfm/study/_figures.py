"""Figures of a study: the table of models, what forecasts rest on, and which descriptors have values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.metrics import (
    mean_absolute_error_by_date,
    r2_oos,
    rank_information_coefficient,
    root_mean_squared_error_by_date,
)
from skdrfm.model_selection import WalkForwardResult
from skdrfm.panel import dates_of
from skdrfm.portfolio import BacktestResult, quantile_weights
from skdrfm.study._result import TABLE_COLUMNS


def table_of(
    results: Mapping[str, WalkForwardResult],
    backtests: Mapping[str, BacktestResult],
    realised: "pd.Series[float]",
) -> pd.DataFrame:
    """Figures of the models in the layout of Table 4."""
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


def top_quantile(
    results: Mapping[str, WalkForwardResult], groups: Mapping[str, Sequence[str]], n_quantiles: int
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Say what the forecasts of the top quantile of each date rest on.

    Parameters
    ----------
    results : mapping of str to WalkForwardResult
        Walked models; those without explanations are left out.
    groups : mapping of str to sequence of str
        Group to names of its descriptors.
    n_quantiles : int
        Number of portfolios.

    Returns
    -------
    shares, signed, by_lag : dict of str to DataFrame
        Weighted means over the top quantile: share of each group in the absolute contributions, contribution of each
        group in units of the forecast, and share of each lag, all of shape (n_dates, n_groups or n_lags).
    """
    shares: dict[str, pd.DataFrame] = {}
    signed: dict[str, pd.DataFrame] = {}
    by_lag: dict[str, pd.DataFrame] = {}
    for name, result in results.items():
        if result.explanation is None:
            continue
        weights = quantile_weights(result.predictions, n_quantiles=n_quantiles)[n_quantiles]
        sizes = result.explanation.by_lag().abs()
        for store, frame in (
            (shares, result.explanation.share(groups)),
            (signed, result.explanation.by_group(groups)),
            (by_lag, sizes.div(sizes.sum(axis=1), axis=0)),
        ):
            store[name] = frame.mul(weights, axis=0).groupby(level="date").sum(min_count=1)
    return shares, signed, by_lag


def coverage_of(X: pd.DataFrame) -> pd.DataFrame:
    """Share of the assets of each date that have a value.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_descriptors), indexed by (date, asset)
        Raw descriptors.

    Returns
    -------
    DataFrame of shape (n_dates, n_descriptors)
        Fractions from 0 to 1, by ascending date.
    """
    codes, dates = dates_of(X).factorize(sort=True)
    counts = np.bincount(codes)
    # Column by column: a table of flags and one of their means would take the memory of X again.
    shares: dict[str, Any] = {
        str(name): np.bincount(codes, weights=column.notna()) / counts for name, column in X.items()
    }
    return pd.DataFrame(shares, index=pd.Index(dates, name="date")).rename_axis(columns="descriptor")
