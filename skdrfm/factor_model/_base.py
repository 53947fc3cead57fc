"""What every factor model shares: the layout of its columns in time, and checks of its input."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from skdrfm._typing import FloatArray
from skdrfm.exceptions import SkdrfmWarning
from skdrfm.explanation import Explanation
from skdrfm.panel import LagLayout, check_aligned, lag_layout
from skdrfm.panel._index import check_panel_index, has_panel_index
from skdrfm.utils.validation import check_finite


class BaseFactorRegressor(RegressorMixin, BaseEstimator):
    """Base of regressors whose columns are descriptors at several lags.

    Two-dimensional input has the columns ``"{descriptor}__lag{k}"`` of `stack_lags`, oldest lag first;
    three-dimensional input of shape (n_samples, n_timesteps, n_features) is flattened to the same layout.
    """

    n_features_in_: int
    n_timesteps_: int
    descriptor_names_: tuple[str, ...]
    lags_: tuple[int, ...]

    def explain(self, X: Any) -> Explanation:
        """Explain predictions; subclasses say how."""
        raise NotImplementedError

    def _fit_input(
        self, X: Any, y: Any, sample_weight: Any, n_timesteps: int | None
    ) -> tuple[FloatArray, FloatArray, FloatArray | None]:
        """Check X and y, and learn the layout of the columns."""
        if has_panel_index(X):
            check_panel_index(X)
            check_aligned(X, y)
        if np.asarray(y).dtype.kind == "f":
            check_finite(np.asarray(y), what="y")
        values, target = validate_data(
            self,
            _flatten(X),
            y,
            dtype=[np.float64, np.float32],
            ensure_all_finite=False,
            ensure_min_samples=2,
            y_numeric=True,
        )
        names = getattr(self, "feature_names_in_", None)
        check_finite(values, what="X", columns=names)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, values, dtype=values.dtype, ensure_non_negative=True)
        if n_timesteps is None and not _has_three_axes(X) and has_panel_index(y) and not has_panel_index(X):
            warnings.warn(
                "X has lost the column names and the index that y still has, so its columns are read as one lag. "
                'Let earlier steps return DataFrames, pipeline.set_output(transform="pandas"), or pass n_timesteps.',
                SkdrfmWarning,
                stacklevel=3,
            )
        self._set_layout(X, values.shape[1], n_timesteps)
        return values, target, sample_weight

    def _predict_input(self, X: Any) -> FloatArray:
        check_is_fitted(self)
        values: FloatArray = validate_data(
            self, _flatten(X), dtype=[np.float64, np.float32], ensure_all_finite=False, reset=False
        )
        check_finite(values, what="X", columns=getattr(self, "feature_names_in_", None))
        return values

    def _set_layout(self, X: Any, n_columns: int, n_timesteps: int | None) -> None:
        names = getattr(self, "feature_names_in_", None)
        layout = None if names is None else lag_layout(list(names))
        implied = layout.n_timesteps if layout is not None else None
        if _has_three_axes(X):
            implied = np.asarray(X).shape[1]
        if n_timesteps is not None and implied is not None and n_timesteps != implied:
            raise ValueError(
                f"The 'n_timesteps' parameter of {type(self).__name__} must agree with X, which has {implied} "
                f"{'lags in its column names' if layout else 'steps on axis 1'}. Got {n_timesteps}. "
                "Leave n_timesteps=None to read it from X."
            )
        steps = n_timesteps or implied or 1
        if n_columns % steps:
            raise ValueError(
                f"The number of columns of X must be a multiple of n_timesteps={steps}. Got {n_columns} columns. "
                "Build X with skdrfm.stack_lags, or correct n_timesteps."
            )
        if layout is None:
            n_features = n_columns // steps
            generic = tuple(str(name) for name in names) if names is not None and steps == 1 else None
            layout = LagLayout(generic or tuple(f"x{j}" for j in range(n_features)), tuple(range(steps - 1, -1, -1)))
        self.n_timesteps_ = layout.n_timesteps
        self.descriptor_names_ = layout.descriptor_names
        self.lags_ = layout.lags

    def _as_sequences(self, values: FloatArray) -> FloatArray:
        """View (n_samples, n_columns) as (n_samples, n_timesteps, n_features), oldest step first."""
        return values.reshape(len(values), self.n_timesteps_, len(self.descriptor_names_))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_timesteps_")


def index_of(X: Any) -> pd.Index | None:
    """Index of X if X is a pandas object."""
    index = getattr(X, "index", None)
    return index if isinstance(index, pd.Index) else None


def _flatten(X: Any) -> Any:
    """Lay a three-dimensional array out as the columns of `stack_lags`; leave anything else as it is."""
    if not _has_three_axes(X):
        return X
    array = np.asarray(X)
    return array.reshape(len(array), -1)


def _has_three_axes(X: Any) -> bool:
    """Tell three-dimensional input from tables, without asking more of X than that it can become an array."""
    if hasattr(X, "shape"):
        return len(X.shape) == 3
    try:
        return np.asarray(X).ndim == 3
    except ValueError:  # rows of unequal length, which scikit-learn's validation names better
        return False
