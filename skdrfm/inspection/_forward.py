"""The function that a model is, from sequences to predictions, without Keras where there is a network of records."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from skdrfm import lrp
from skdrfm._typing import FloatArray
from skdrfm.inspection._explain import explain
from skdrfm.inspection._resolve import Inputs, as_network, last_step
from skdrfm.networks import is_keras_model


@dataclass(frozen=True)
class Forward:
    """What there is to explain of a model: the last step as a function, and the network where it is one.

    Parameters
    ----------
    predict : callable
        From inputs (n_samples, n_timesteps, n_features) to predictions (n_samples,), before an output activation.
    network : Network or None
        The network whose predictions these are; None for other models.
    """

    predict: Callable[[FloatArray], FloatArray]
    network: lrp.Network | None = None


def forward_of(model: Any, X: Any, *, dtype: str = "float64") -> tuple[Forward, Inputs]:
    """Make the function that predicts, and the rows as it reads them.

    Parameters
    ----------
    model : estimator, keras.Model or path
        As for `explain`; also any estimator with ``predict``, which gets the rows with their column names.
    X : DataFrame or ndarray
        Rows, as the model predicts them.
    dtype : {"float64", "float32"}, default="float64"
        Precision of a network's predictions.

    Returns
    -------
    tuple of Forward and Inputs
        The function, and X after the earlier steps of a Pipeline.

    Raises
    ------
    TypeError
        If the model cannot predict.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from skdrfm.inspection._forward import forward_of
    >>> model = LinearRegression().fit([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [1.0, 2.0, 4.0])
    >>> forward, _ = forward_of(model, np.zeros((1, 2)))
    >>> forward.predict(np.array([[[1.0, 1.0]]])).round(9)
    array([5.])
    """
    model, inputs = last_step(model, Inputs.of(X))
    if is_keras_model(model):
        return _of_network(as_network(model, inputs), dtype), inputs
    if hasattr(model, "network_"):
        return _of_network(model.network_, dtype), inputs
    if hasattr(model, "coef_") and hasattr(model, "intercept_"):
        explanation = explain(model, inputs.X)  # refuses links and several targets
        return _linear(explanation.loadings[0].ravel(), float(explanation.bias[0])), inputs
    if hasattr(model, "predict"):
        return _of_estimator(model, inputs.names), inputs
    raise TypeError(
        f"The model must be one that explain takes, or an estimator with a method predict. Got {type(model).__name__}. "
        "Use DeepRecurrentFactorRegressor, DeepFactorRegressor or LinearFactorRegressor."
    )


def _of_network(network: lrp.Network, dtype: str) -> Forward:
    # Explained is what an output activation is applied to.
    explained = replace(network, output_activation="linear")
    return Forward(lambda x: lrp.predict(explained, x, dtype=np.dtype(dtype)), explained)


def _linear(coefficients: FloatArray, intercept: float) -> Forward:
    return Forward(lambda x: x.reshape(len(x), -1) @ coefficients + intercept)


def _of_estimator(model: Any, names: tuple[str, ...] | None) -> Forward:
    def predict(x: FloatArray) -> FloatArray:
        flat: Any = x.reshape(len(x), -1)
        if names is not None:
            flat = pd.DataFrame(flat, columns=list(names))
        return np.ravel(model.predict(flat))

    return Forward(predict)
