"""The command ``skdrfm``."""

from skdrfm.cli._main import main

__all__ = ["main"]
