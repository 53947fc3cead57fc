"""What explainers are compared on: rows, a fast prediction of any rows like them, and an honest background."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skdrfm import networks
from skdrfm._typing import AnyArray, FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation
from skdrfm.inspection._explain import explain
from skdrfm.inspection._forward import Forward, forward_of
from skdrfm.inspection._training_rows import training_rows
from skdrfm.utils.validation import describe_first


@dataclass(frozen=True, eq=False)
class Subject:
    """A model, the rows whose predictions are explained, and what explainers ask of them.

    Parameters
    ----------
    model : estimator or keras.Model
        The whole model, as `skdrfm.explain` takes it.
    X : DataFrame or ndarray of n_samples rows
        The rows, as the whole model reads them.
    rows : Explanation
        An explanation of them, for the inputs of the last step, their names, index and predictions.
    forward : Forward
        The last step, as a function of flat inputs.
    output : int or None
        Which output unit of a Keras model is explained.
    dtype : {"float64", "float32"}
        Precision in which networks are computed.
    """

    model: Any
    X: Any
    rows: Explanation
    forward: Forward
    output: int | None = None
    dtype: str = "float64"

    @property
    def data(self) -> FloatArray:
        """Flat inputs of the last step in float64, of shape (n_samples, n_timesteps * n_features)."""
        return np.asarray(self.rows.data, dtype=np.float64).reshape(len(self.rows), -1)

    def background(self, background: Any) -> FloatArray:
        """Check a background, and lay it out as the last step reads it.

        Parameters
        ----------
        background : DataFrame or ndarray of n_background rows
            Rows as X has them.

        Returns
        -------
        ndarray of shape (n_background, n_timesteps * n_features)
            The rows after the earlier steps of a Pipeline, in float64.

        Raises
        ------
        PanelError
            If there are no rows, they are not laid out like X, one of them is a row of X, or their dates are not
            all before the first date of X.
        NonFiniteError
            If a value is NaN or infinite.
        """
        _check_layout(background, self.X)
        _check_rows_apart(background, self.X)
        rows = training_rows(background, self.model, self.X, name="background")
        return rows.reshape(len(rows), -1)


def subject_of(model: Any, X: Any, output: int | None = None, dtype: str = "float64") -> Subject:
    """Resolve a model and its rows once, as `skdrfm.explain` does.

    Parameters
    ----------
    model : estimator, keras.Model or path
        As `skdrfm.explain` takes it.
    X : DataFrame or ndarray
        Rows to explain.
    output : int, default=None
        Which output unit of a Keras model to explain.
    dtype : {"float64", "float32"}, default="float64"
        Precision in which networks are computed.

    Returns
    -------
    Subject
        The model with its rows.

    Raises
    ------
    PanelError
        If there are no rows.
    TypeError, UnsupportedLayerError
        If the model cannot be explained.
    """
    if isinstance(model, str | os.PathLike):
        model = networks.load_keras(model)
    forward, _ = forward_of(model, X, output=output, dtype=dtype)
    return Subject(model, X, explain(model, X, output=output, dtype=dtype), forward, output, dtype)


def _check_layout(background: Any, X: Any) -> None:
    shape, expected = np.shape(background), np.shape(X)
    if len(shape) != len(expected) or shape[1:] != expected[1:] or not shape[0]:
        raise PanelError(
            f"'background' must have rows like X, of shape (n_background, {', '.join(map(str, expected[1:]))}), at "
            f"least one. Got {shape}. Take rows of the training window: X_train.sample(100, random_state=0)."
        )


def _check_rows_apart(background: Any, X: Any) -> None:
    """Refuse rows that are explained: by their labels where these identify them, by their values elsewhere."""
    labels, explained = (getattr(rows, "index", None) for rows in (background, X))
    if isinstance(labels, pd.Index) and isinstance(explained, pd.Index):
        # Two tables that were numbered by themselves share labels without sharing rows.
        numbered = isinstance(labels, pd.RangeIndex) or isinstance(explained, pd.RangeIndex)
        if not numbered and labels.nlevels == explained.nlevels:
            shared = labels[labels.isin(explained)]
            if len(shared):
                raise PanelError(
                    f"'background' must hold no row that is explained. Got {len(shared)} rows of X: "
                    f"{describe_first(list(shared))}. Take rows of the training window alone."
                )
        if "date" in labels.names and "date" in explained.names:
            return  # labels and dates say which rows these are; two rows with the same values may be different ones
    known = set(_row_keys(X))
    n_same = sum(key in known for key in _row_keys(background))
    if n_same:
        raise PanelError(
            f"'background' must hold no row that is explained. Got {n_same} rows with the values of a row of X. Take "
            "rows of the training window alone."
        )


def _row_keys(rows: Any) -> list[bytes]:
    values: AnyArray = np.asarray(rows, dtype=np.float64) + 0.0  # no negative zeros
    flat = np.ascontiguousarray(values.reshape(len(values), -1))
    return [row.tobytes() for row in flat]
