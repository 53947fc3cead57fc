"""Factor models: scikit-learn regressors from lagged descriptors to forward returns."""

from skdrfm.factor_model._baselines import paper_models
from skdrfm.factor_model._deep import DeepFactorRegressor
from skdrfm.factor_model._linear import LinearFactorRegressor
from skdrfm.factor_model._persistence import load, save
from skdrfm.factor_model._recurrent import DeepRecurrentFactorRegressor

__all__ = [
    "DeepFactorRegressor",
    "DeepRecurrentFactorRegressor",
    "LinearFactorRegressor",
    "load",
    "paper_models",
    "save",
]
