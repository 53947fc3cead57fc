"""Layer-wise relevance propagation on the weights of a network, in NumPy.

A trained model becomes a `Network` of records; `predict` runs it, and `propagate` writes each
prediction as a linear model of its inputs whose parts add up. Nothing here needs Keras.
"""

from skdrfm.lrp._network import LSTM, Bidirectional, Dense, Flatten, Network
from skdrfm.lrp._propagate import Relevance, predict, propagate
from skdrfm.lrp._rules import RULES

__all__ = [
    "LSTM",
    "RULES",
    "Bidirectional",
    "Dense",
    "Flatten",
    "Network",
    "Relevance",
    "predict",
    "propagate",
]
