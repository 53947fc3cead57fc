"""Explanations of fitted models."""

from skdrfm.inspection._explain import explain
from skdrfm.inspection._plot import ContributionDisplay

__all__ = ["ContributionDisplay", "explain"]
