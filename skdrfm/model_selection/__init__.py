"""Walk-forward splits, predictions and searches: a date is never cut and the future never trains."""

from skdrfm.model_selection._plot import WindowPlanDisplay
from skdrfm.model_selection._search import KerasTunerSearchCV, keras_tuner_search
from skdrfm.model_selection._validation import WalkForwardResult, walk_forward_predict
from skdrfm.model_selection._walk_forward import WalkForwardSplit

__all__ = [
    "KerasTunerSearchCV",
    "WalkForwardResult",
    "WalkForwardSplit",
    "WindowPlanDisplay",
    "keras_tuner_search",
    "walk_forward_predict",
]
