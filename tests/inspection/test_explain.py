"""explain follows pipelines and searches to the factor model inside."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdrfm import WalkForwardSplit, explain, make_factor_panel
from skdrfm.factor_model import LinearFactorRegressor


@pytest.fixture(scope="module")
def panel():
    return make_factor_panel(n_dates=8, n_assets=6, n_descriptors=3, random_state=0)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: model,
        lambda model: make_pipeline(model),
        lambda model: make_pipeline(StandardScaler(), model),
        lambda model: GridSearchCV(model, {"fit_intercept": [True]}, cv=WalkForwardSplit(4)),
        lambda model: GridSearchCV(
            make_pipeline(StandardScaler(), model), {"standardscaler__with_mean": [True]}, cv=WalkForwardSplit(4)
        ),
    ],
    ids=["model", "pipeline of one", "pipeline", "search", "search of pipelines"],
)
def test_the_explanation_is_that_of_the_prediction(panel, wrap):
    X, y = panel
    fitted = wrap(LinearFactorRegressor(n_timesteps=1)).fit(X, y)
    explanation = explain(fitted, X)
    np.testing.assert_allclose(explanation.predictions, fitted.predict(X), rtol=1e-10)
    assert np.abs(explanation.conservation_gap).max() < 1e-12
    assert explanation.index.equals(X.index)


@pytest.mark.parametrize("model", [LinearRegression(), make_pipeline(LinearRegression())])
def test_other_models_are_refused_by_name(panel, model):
    with pytest.raises(TypeError, match="method explain, .* Got LinearRegression"):
        explain(model.fit(*panel), panel[0])
