"""Panels: rows are a date and an asset, columns are descriptors."""

from skdrfm.panel._index import assets_of, check_aligned, check_panel_index, dates_of
from skdrfm.panel._lagged import LaggedPanel
from skdrfm.panel._lags import LagLayout, lag_layout
from skdrfm.panel._returns import forward_returns
from skdrfm.panel._stack import stack_lags

__all__ = [
    "LagLayout",
    "LaggedPanel",
    "assets_of",
    "check_aligned",
    "check_panel_index",
    "dates_of",
    "forward_returns",
    "lag_layout",
    "stack_lags",
]
