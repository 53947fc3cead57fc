"""Deep recurrent factor models, explained exactly, inside scikit-learn.

The package root holds the names that a user needs most; each is imported when it is first used, so that
``import skdrfm`` loads neither TensorFlow nor pandas and has no other effect.

References
----------
Nakagawa, Ito, Abe and Izumi (2019). Deep Recurrent Factor Model: Interpretable Non-Linear and Time-Varying
Multi-Factor Model. https://arxiv.org/abs/1901.11493
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0.dev0"

# name -> module that defines it
_EXPORTS = {
    "DeepFactorRegressor": "skdrfm.factor_model",
    "DeepRecurrentFactorRegressor": "skdrfm.factor_model",
    "Explanation": "skdrfm.explanation",
    "StudyResult": "skdrfm.study",
    "WalkForwardSplit": "skdrfm.model_selection",
    "backtest": "skdrfm.portfolio",
    "explain": "skdrfm.inspection",
    "make_factor_panel": "skdrfm.datasets",
    "make_quantile_scorer": "skdrfm.scoring",
    "paper_models": "skdrfm.factor_model",
    "run_study": "skdrfm.study",
    "stack_lags": "skdrfm.panel",
    "walk_forward_predict": "skdrfm.model_selection",
}

__all__ = [
    *sorted(_EXPORTS),
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'skdrfm' has no attribute {name!r}")
    value = getattr(import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
