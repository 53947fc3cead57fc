"""The function that a model is, from flat inputs to predictions, without Keras where there is a network of records."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from skdrfm import lrp
from skdrfm._typing import FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.inspection._explain import explain
from skdrfm.inspection._resolve import Inputs, as_network, last_step
from skdrfm.networks import is_keras_model

Predict: TypeAlias = Callable[[FloatArray], FloatArray]
"""From flat inputs (n_samples, n_timesteps * n_features), oldest lag first, to predictions (n_samples,) in float64."""


@dataclass(frozen=True)
class Forward:
    """What there is to explain of a model: the last step as a function, and the network where it is one.

    Parameters
    ----------
    step : estimator or keras.Model
        The last step of the model, which predicts.
    predict : callable
        From flat inputs to predictions, before an output activation. Networks are computed without Keras.
    network : Network or None
        The network whose predictions these are, without its output activation; None for other models.
    output_activation : str, default="linear"
        The output activation that was left out.
    """

    step: Any
    predict: Predict
    network: lrp.Network | None = None
    output_activation: str = "linear"


def forward_of(model: Any, X: Any, *, output: int | None = None, dtype: str = "float64") -> tuple[Forward, Inputs]:
    """Make the function that predicts, and the rows as it reads them.

    Parameters
    ----------
    model : estimator, keras.Model or path
        As for `explain`; also any estimator with ``predict``, which gets rows in the layout of X, with its columns.
    X : DataFrame or ndarray
        Rows, as the model predicts them.
    output : int, default=None
        Which output unit of a Keras model is meant, where it has several.
    dtype : {"float64", "float32"}, default="float64"
        Precision in which networks are computed.

    Returns
    -------
    tuple of Forward and Inputs
        The function, and X after the earlier steps of a Pipeline.

    Raises
    ------
    PanelError
        If there are no rows.
    TypeError
        If the model cannot predict.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from skdrfm.inspection._forward import forward_of
    >>> model = LinearRegression().fit([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [1.0, 2.0, 4.0])
    >>> forward, _ = forward_of(model, np.zeros((1, 2)))
    >>> forward.predict(np.array([[1.0, 1.0]])).round(9)
    array([5.])
    """
    if np.shape(X)[:1] == (0,):
        raise PanelError("X must have at least one row to explain. Got none. Explain some rows.")
    step, inputs = last_step(model, Inputs.of(X))
    if is_keras_model(step):
        return _of_network(step, as_network(step, inputs, output), dtype), inputs
    if hasattr(step, "network_"):
        return _of_network(step, step.network_, dtype), inputs
    if hasattr(step, "coef_") and hasattr(step, "intercept_"):
        explanation = explain(step, inputs.X)  # refuses links and several targets
        coefficients, intercept = explanation.loadings[0].ravel(), float(explanation.bias[0])
        return Forward(step, lambda flat: flat @ coefficients + intercept), inputs
    if hasattr(step, "predict"):
        return _of_estimator(step, inputs), inputs
    raise TypeError(
        f"The model must be one that explain takes, or an estimator with a method predict. Got {type(step).__name__}. "
        "Use DeepRecurrentFactorRegressor, DeepFactorRegressor or LinearFactorRegressor."
    )


def _of_network(step: Any, network: lrp.Network, dtype: str) -> Forward:
    # Explained is what an output activation is applied to.
    explained = replace(network, output_activation="linear")

    def predict(flat: FloatArray) -> FloatArray:
        data = flat.reshape(len(flat), network.n_timesteps, network.n_features)
        predictions = lrp.predict(explained, data, dtype=np.dtype(dtype))
        return predictions.astype(np.float64, copy=False)  # else shap would compile for another type

    return Forward(step, predict, explained, network.output_activation)


def _of_estimator(step: Any, inputs: Inputs) -> Forward:
    # Columns are those of the rows themselves: behind a step that gives arrays the model was fitted without names.
    columns, shape = getattr(inputs.X, "columns", None), np.shape(inputs.X)[1:]

    def predict(flat: FloatArray) -> FloatArray:
        rows = flat.reshape(len(flat), *shape) if columns is None else pd.DataFrame(flat, columns=columns, copy=False)
        return np.ravel(np.asarray(step.predict(rows), dtype=np.float64))

    return Forward(step, predict)
