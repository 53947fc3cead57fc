"""Panels: rows are a date and an asset, columns are descriptors."""

from skdrfm.panel._index import assets_of, check_aligned, check_panel_index, dates_of
from skdrfm.panel._lags import LagLayout, lag_layout, stack_lags
from skdrfm.panel._returns import forward_returns

__all__ = [
    "LagLayout",
    "assets_of",
    "check_aligned",
    "check_panel_index",
    "dates_of",
    "forward_returns",
    "lag_layout",
    "stack_lags",
]
