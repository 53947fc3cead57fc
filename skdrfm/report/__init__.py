"""Results as documents that can be handed on."""

from skdrfm.report._write import write_study

__all__ = ["write_study"]
