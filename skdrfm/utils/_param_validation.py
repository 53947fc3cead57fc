"""The only door to scikit-learn's private parameter validation."""

from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import (
    HasMethods,
    Hidden,
    Interval,
    StrOptions,
    validate_params,
)

__all__ = ["HasMethods", "Hidden", "Interval", "StrOptions", "fit_context", "validate_params"]
