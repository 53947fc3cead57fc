"""The explanation of predictions: each a linear factor model of its descriptors that adds up."""

from skdrfm.explanation._difference import ExplanationDifference
from skdrfm.explanation._explanation import Explanation
from skdrfm.explanation._linear import linear_explanation
from skdrfm.explanation._network import network_explanation

__all__ = ["Explanation", "ExplanationDifference", "linear_explanation", "network_explanation"]
