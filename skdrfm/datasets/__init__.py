"""Panels to work with: simulated ones, and readers of files in known formats."""

from skdrfm.datasets._factor_panel import FactorPanelTruth, make_factor_panel
from skdrfm.datasets._panel_file import read_panel

__all__ = ["FactorPanelTruth", "make_factor_panel", "read_panel"]
