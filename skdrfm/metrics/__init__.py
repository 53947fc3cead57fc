"""Figures: functions of arrays and dates, for forecasts, cross-sections and return series."""

from skdrfm.metrics._bootstrap import BootstrapInterval, bootstrap_interval
from skdrfm.metrics._cross_section import (
    factor_rank_autocorrelation,
    icir,
    information_coefficient,
    rank_information_coefficient,
)
from skdrfm.metrics._diebold_mariano import DieboldMarianoResult, diebold_mariano
from skdrfm.metrics._drawdown import calmar_ratio, drawdown_periods, drawdown_series, max_drawdown
from skdrfm.metrics._forecast import (
    forecast_summary,
    mean_absolute_error_by_date,
    r2_oos,
    root_mean_squared_error_by_date,
)
from skdrfm.metrics._inference import newey_west_t
from skdrfm.metrics._overfitting import BacktestOverfitting, probability_of_backtest_overfitting
from skdrfm.metrics._performance import (
    annualised_return,
    annualised_volatility,
    break_even_cost,
    sharpe_ratio,
    sharpe_standard_error,
    sortino_ratio,
)
from skdrfm.metrics._plot import InformationCoefficientDisplay
from skdrfm.metrics._plot_calibration import ForecastCalibrationDisplay
from skdrfm.metrics._plot_diebold_mariano import DieboldMarianoDisplay
from skdrfm.metrics._quantiles import quantile_returns
from skdrfm.metrics._regression import AlphaBeta, alpha_beta
from skdrfm.metrics._risk import conditional_value_at_risk, hit_rate, kurtosis, skewness, value_at_risk
from skdrfm.metrics._sharpe_inference import (
    deflated_sharpe_ratio,
    minimum_track_record_length,
    probabilistic_sharpe_ratio,
)
from skdrfm.metrics._summary import performance_summary

__all__ = [
    "AlphaBeta",
    "BacktestOverfitting",
    "BootstrapInterval",
    "DieboldMarianoDisplay",
    "DieboldMarianoResult",
    "ForecastCalibrationDisplay",
    "InformationCoefficientDisplay",
    "alpha_beta",
    "annualised_return",
    "annualised_volatility",
    "bootstrap_interval",
    "break_even_cost",
    "calmar_ratio",
    "conditional_value_at_risk",
    "deflated_sharpe_ratio",
    "diebold_mariano",
    "drawdown_periods",
    "drawdown_series",
    "factor_rank_autocorrelation",
    "forecast_summary",
    "hit_rate",
    "icir",
    "information_coefficient",
    "kurtosis",
    "max_drawdown",
    "mean_absolute_error_by_date",
    "minimum_track_record_length",
    "newey_west_t",
    "performance_summary",
    "probabilistic_sharpe_ratio",
    "probability_of_backtest_overfitting",
    "quantile_returns",
    "r2_oos",
    "rank_information_coefficient",
    "root_mean_squared_error_by_date",
    "sharpe_ratio",
    "sharpe_standard_error",
    "skewness",
    "sortino_ratio",
    "value_at_risk",
]
