"""Results as documents that can be handed on."""

from skdrfm.report._read import read_study
from skdrfm.report._report import BacktestReport
from skdrfm.report._write import write_study

__all__ = ["BacktestReport", "read_study", "write_study"]
