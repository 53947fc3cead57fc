"""Layer-wise relevance propagation on the weights of a network, in NumPy.

A trained model becomes a `Network` of records; `predict` runs it, and `propagate` writes each
prediction as a linear model of its inputs whose parts add up. Nothing here needs Keras.
"""

from skdrfm.lrp._additive import AdditiveLSTM
from skdrfm.lrp._bidirectional import Bidirectional
from skdrfm.lrp._coverage import LayerCoverage
from skdrfm.lrp._dense import Dense
from skdrfm.lrp._elementwise import Activation, Identity, LayerNormalization, Masking, Scale
from skdrfm.lrp._gru import GRU
from skdrfm.lrp._layer import Layer
from skdrfm.lrp._lstm import LSTM
from skdrfm.lrp._memory import Survival, survival
from skdrfm.lrp._methods import (
    METHODS,
    GradientTimesInput,
    IntegratedGradients,
    MethodLike,
    Occlusion,
    attribute,
    check_method,
    method_name,
)
from skdrfm.lrp._network import Network
from skdrfm.lrp._propagate import Relevance, predict, propagate
from skdrfm.lrp._rules import COMPOSITES, RULES, Composite, Rule
from skdrfm.lrp._simple_rnn import SimpleRNN
from skdrfm.lrp._structure import Add, Concatenate, Flatten, MeanOverTime, Reshape, Take

__all__ = [
    "COMPOSITES",
    "GRU",
    "LSTM",
    "METHODS",
    "RULES",
    "Activation",
    "Add",
    "AdditiveLSTM",
    "Bidirectional",
    "Composite",
    "Concatenate",
    "Dense",
    "Flatten",
    "GradientTimesInput",
    "Identity",
    "IntegratedGradients",
    "Layer",
    "LayerCoverage",
    "LayerNormalization",
    "Masking",
    "MeanOverTime",
    "MethodLike",
    "Network",
    "Occlusion",
    "Relevance",
    "Reshape",
    "Rule",
    "Scale",
    "SimpleRNN",
    "Survival",
    "Take",
    "attribute",
    "check_method",
    "method_name",
    "predict",
    "propagate",
    "survival",
]
