"""Panels to work with: simulated ones, and readers of files in known formats."""

from skdrfm.datasets._bar_report import bar_report
from skdrfm.datasets._bars import read_bars
from skdrfm.datasets._factor_panel import FactorPanelTruth, make_factor_panel
from skdrfm.datasets._fama_french import read_fama_french
from skdrfm.datasets._fundamentals import read_fundamentals
from skdrfm.datasets._openap_mapping import OPENAP_TO_PAPER, OpenAPMatch, openap_to_paper
from skdrfm.datasets._openap_portfolios import read_openap_portfolios
from skdrfm.datasets._openap_signals import read_openap_signals
from skdrfm.datasets._panel_file import read_panel
from skdrfm.datasets._yahoo import fetch_yahoo

__all__ = [
    "OPENAP_TO_PAPER",
    "FactorPanelTruth",
    "OpenAPMatch",
    "bar_report",
    "fetch_yahoo",
    "make_factor_panel",
    "openap_to_paper",
    "read_bars",
    "read_fama_french",
    "read_fundamentals",
    "read_openap_portfolios",
    "read_openap_signals",
    "read_panel",
]
