"""One function that explains any of our models, alone or inside a Pipeline or a search."""

from dataclasses import replace
from typing import Any

from sklearn.pipeline import Pipeline

from skdrfm.explanation import Explanation


def explain(model: Any, X: Any, **options: Any) -> Explanation:
    """Explain predictions as linear factor models.

    Parameters
    ----------
    model : estimator
        Fitted factor model, a Pipeline that ends in one, or a fitted search around either. A Pipeline's earlier
        steps transform X first, so that the explanation is in units of the transformed descriptors.
    X : DataFrame or ndarray
        Rows to explain, as the model predicts them.
    **options
        Keywords of the model's ``explain``, such as rule and epsilon.

    Returns
    -------
    Explanation
        Loadings, relevances and intercept of each row.

    Raises
    ------
    TypeError
        If the model, or the last step of the Pipeline, cannot be explained.

    Examples
    --------
    >>> import skdrfm
    >>> from skdrfm.factor_model import LinearFactorRegressor
    >>> X, y = skdrfm.make_factor_panel(n_dates=30, n_assets=20, random_state=0)
    >>> len(skdrfm.explain(LinearFactorRegressor().fit(X, y), X))
    600
    """
    while hasattr(model, "best_estimator_"):
        model = model.best_estimator_
    if isinstance(model, Pipeline):
        transformed = model[:-1].transform(X) if len(model.steps) > 1 else X
        explanation = explain(model[-1], transformed, **options)
        # A transformer that returns arrays loses the index; rows are still those of X.
        return explanation if explanation.index is not None else replace(explanation, index=getattr(X, "index", None))
    if not hasattr(model, "explain"):
        raise TypeError(
            f"The model must be a factor model with a method explain, a Pipeline that ends in one or a search around "
            f"it. Got {type(model).__name__}. Use DeepRecurrentFactorRegressor, DeepFactorRegressor or "
            "LinearFactorRegressor."
        )
    explained: Explanation = model.explain(X, **options)
    return explained
