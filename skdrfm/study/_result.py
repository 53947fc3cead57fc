"""What a study found out, and the figures that the paper published."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from skdrfm.model_selection import WalkForwardResult
from skdrfm.portfolio import BacktestResult

TABLE_COLUMNS = ("Return [%]", "Volatility [%]", "Sharpe ratio", "MAE", "RMSE", "Rank IC", "R2_oos [%]")

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
        Versions, seed, hash of the data, dates, rows dropped and why, missing cells filled, times; of a study with
        evidence also what was explained and each check of the audit. A study that `skdrfm.report.read_study` has read
        also has the key ``"data"``: the source of the panel, and whether it is simulated.
    relevance_by_lag : mapping of str to DataFrame of shape (n_dates, n_lags)
        Share of each lag in the absolute contributions to the forecasts of the top quantile, by date; rows sum to 1.
        Columns are lags in months, the oldest first.
    coverage : DataFrame of shape (n_dates, n_descriptors)
        Share of the assets of each date that have a value of each raw descriptor, before it is ranked; all dates of
        the panel, also those that no window has.
    agreement : DataFrame of shape (n_explainers, n_explainers), or None
        Rank correlation of explainers of the last cross-section, each prediction put down to descriptors; mean over
        rows (`ExplainerComparison.agreement`). None without evidence, without a model to explain, or with a single
        descriptor.
    explainer_costs : DataFrame of shape (n_explainers, 5), or None
        Cost and additivity of these explainers (`ExplainerComparison.summary`). None without evidence, or without a
        model to explain.
    findings : DataFrame of shape (n_findings, 5), or None
        What the audit for leaks found (`LeakageReport.to_frame`); no rows if it found nothing. None without evidence.
    """

    table: pd.DataFrame
    results: Mapping[str, WalkForwardResult]
    backtests: Mapping[str, BacktestResult]
    contributions: Mapping[str, pd.DataFrame]
    signed_contributions: Mapping[str, pd.DataFrame]
    windows: pd.DataFrame
    realised: "pd.Series[float]"
    manifest: Mapping[str, Any]
    relevance_by_lag: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    coverage: pd.DataFrame = field(default_factory=pd.DataFrame)
    agreement: pd.DataFrame | None = None
    explainer_costs: pd.DataFrame | None = None
    findings: pd.DataFrame | None = None

    def to_frame(self) -> pd.DataFrame:
        """Table of the models.

        Returns
        -------
        DataFrame of shape (n_models, 7)
            The attribute table.
        """
        return self.table

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        # A study that was pickled before these fields existed lacks them.
        self.__dict__.update({"relevance_by_lag": {}, "coverage": pd.DataFrame(), **state})
