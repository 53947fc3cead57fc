"""Figures: functions of arrays and dates, for forecasts, cross-sections and return series."""

from skdrfm.metrics._cross_section import information_coefficient, rank_information_coefficient
from skdrfm.metrics._forecast import (
    mean_absolute_error_by_date,
    r2_oos,
    root_mean_squared_error_by_date,
)
from skdrfm.metrics._inference import newey_west_t
from skdrfm.metrics._performance import (
    annualised_return,
    annualised_volatility,
    max_drawdown,
    sharpe_ratio,
)

__all__ = [
    "annualised_return",
    "annualised_volatility",
    "information_coefficient",
    "max_drawdown",
    "mean_absolute_error_by_date",
    "newey_west_t",
    "r2_oos",
    "rank_information_coefficient",
    "root_mean_squared_error_by_date",
    "sharpe_ratio",
]
