"""One function that explains a model: ours, a Keras model or a linear one, alone or inside a Pipeline or a search."""

from dataclasses import replace
from typing import Any

import numpy as np

from skdrfm import lrp
from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation, linear_explanation, network_explanation
from skdrfm.inspection._resolve import Inputs, as_network, last_step
from skdrfm.networks import is_keras_model


def explain(
    model: Any,
    X: Any,
    *,
    rule: lrp.MethodLike = "lrp-all",
    epsilon: float = 1e-6,
    epsilon_mode: str = "relative",
    bias_factor: float = 0.0,
    sequence: str = "full",
    dtype: str = "float64",
    chunk_size: int = 2048,
    output: int | None = None,
) -> Explanation:
    """Explain predictions as linear factor models.

    Parameters
    ----------
    model : estimator, keras.Model or path
        Fitted factor model; a fitted linear model of scikit-learn; a Keras model of supported layers, or the path of
        its ``.keras`` file; a Pipeline that ends in one of them, or a fitted search around it. A Pipeline's earlier
        steps transform X first, so that the explanation is in units of the transformed descriptors.
    X : DataFrame or ndarray of shape (n_samples, n_columns) or (n_samples, n_timesteps, n_features)
        Rows to explain, as the model predicts them; flat columns are oldest lag first, as `stack_lags` makes them.
    rule : str or object, default="lrp-all"
        One of `skdrfm.lrp.METHODS`: a relevance rule, "gradient-x-input", "integrated-gradients" or "occlusion"; a
        `skdrfm.lrp.Rule`, or a `skdrfm.lrp.Composite` with a rule for each layer. A linear model has the same
        explanation under all of them.
    epsilon, epsilon_mode, bias_factor, sequence : as in `skdrfm.lrp.Rule`
        Options of a relevance rule given by name.
    dtype : {"float64", "float32"}, default="float64"
        Precision of the computation.
    chunk_size : int, default=2048
        Rows computed at a time in float64; twice as many in float32.
    output : int, default=None
        Which output unit of a Keras model to explain, where it has several.

    Returns
    -------
    Explanation
        Loadings, relevances and intercept of each row, in the order of X.

    Raises
    ------
    TypeError
        If the model, or the last step of the Pipeline, cannot be explained.
    UnsupportedLayerError
        If a layer of a network has no relevance rule.
    PanelError
        If X does not have the columns that the model reads.
    ValueError
        If an option is out of its range.

    Examples
    --------
    >>> import skdrfm
    >>> from skdrfm.factor_model import LinearFactorRegressor
    >>> X, y = skdrfm.make_factor_panel(n_dates=30, n_assets=20, random_state=0)
    >>> len(skdrfm.explain(LinearFactorRegressor().fit(X, y), X))
    600
    >>> from sklearn.linear_model import Ridge
    >>> skdrfm.explain(Ridge().fit(X, y), X).descriptor_names[:2]
    ('60VOL', 'BETA')
    """
    options = {
        "rule": rule,
        "epsilon": epsilon,
        "epsilon_mode": epsilon_mode,
        "bias_factor": bias_factor,
        "sequence": sequence,
        "dtype": dtype,
        "chunk_size": chunk_size,
    }
    lrp.check_method(rule)
    model, inputs = last_step(model, Inputs.of(X))
    if is_keras_model(model):
        network = as_network(model, inputs, output)
        data, names, lags = inputs.sequences(network.n_timesteps, network.n_features)
        return network_explanation(network, data, index=inputs.index, descriptor_names=names, lags=lags, **options)
    if output is not None:
        raise ValueError(
            f"'output' chooses among the output units of a Keras model. Got {output!r} for {type(model).__name__}, "
            "which has one. Leave it out."
        )
    if hasattr(model, "explain"):
        takes_options = hasattr(model, "network_")
        explanation: Explanation = model.explain(inputs.X, **(options if takes_options else {}))
        return _relabel(explanation, inputs)
    if hasattr(model, "coef_") and hasattr(model, "intercept_"):
        return _explain_linear(model, inputs)
    raise TypeError(
        f"The model must be a factor model with a method explain, a linear model with coef_ and intercept_, a Keras "
        f"model, a Pipeline that ends in one or a search around it. Got {type(model).__name__}. Use "
        "DeepRecurrentFactorRegressor, DeepFactorRegressor or LinearFactorRegressor."
    )


def _relabel(explanation: Explanation, inputs: Inputs) -> Explanation:
    """Put back the names and the index that an array on its way through a Pipeline has lost."""
    changes: dict[str, Any] = {}
    if explanation.index is None and inputs.index is not None:
        changes["index"] = inputs.index
    if inputs.names is not None and not hasattr(inputs.X, "columns"):
        _, n_timesteps, n_features = explanation.loadings.shape
        _, names, lags = inputs.sequences(n_timesteps, n_features)
        changes |= {"descriptor_names": names, "lags": lags}
    return replace(explanation, **changes) if changes else explanation


def _explain_linear(model: Any, inputs: Inputs) -> Explanation:
    coefficients, intercept = np.ravel(model.coef_), np.ravel(model.intercept_)
    data, names, lags = inputs.sequences(None, None)
    flat = data.reshape(len(data), -1)
    if coefficients.size != flat.shape[1] or intercept.size != 1:
        raise PanelError(
            f"The linear model must have one output and one coefficient for each column of X. Got coefficients of "
            f"shape {np.shape(model.coef_)} for {flat.shape[1]} columns. Fit one model for each target."
        )
    predictions = np.ravel(model.predict(inputs.X))
    if not np.allclose(
        flat @ coefficients + intercept, predictions, rtol=1e-6, atol=1e-9 * np.abs(predictions).max(initial=1)
    ):
        raise TypeError(
            f"The predictions of the model must be X @ coef_ + intercept_. Those of {type(model).__name__} are not. "
            "Use a linear regression, without a link function or a transformed target."
        )
    return linear_explanation(
        data, coefficients, float(intercept[0]), index=inputs.index, descriptor_names=names, lags=lags
    )
