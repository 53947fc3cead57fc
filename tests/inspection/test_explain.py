"""explain follows pipelines and searches to the factor model inside."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Lasso, LinearRegression, PoissonRegressor, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVR

from skdrfm import WalkForwardSplit, explain, make_factor_panel, stack_lags
from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.factor_model import LinearFactorRegressor


@pytest.fixture(scope="module")
def panel():
    return make_factor_panel(n_dates=8, n_assets=6, n_descriptors=3, random_state=0)


@pytest.fixture(scope="module")
def lagged(panel):
    return stack_lags(*panel, lags=(0, 3))


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


class TestLinearModels:
    @pytest.mark.parametrize("model", [LinearRegression(), Ridge(), Lasso(1e-4), SVR(kernel="linear")])
    def test_coefficients_are_the_loadings(self, lagged, model):
        X, y = lagged
        model.fit(X, y)
        explanation = explain(model, X)
        np.testing.assert_allclose(explanation.predictions, model.predict(X), rtol=1e-9)
        np.testing.assert_array_equal(explanation.loadings[0].ravel(), np.ravel(model.coef_))
        assert explanation.descriptor_names == ("60VOL", "BETA", "SKEW")
        assert explanation.lags == (3, 0)
        assert explanation.index.equals(X.index)
        assert explanation.method == "linear"

    def test_a_pipeline_hands_on_names_that_its_steps_drop(self, lagged):
        X, y = lagged
        model = make_pipeline(StandardScaler(), Ridge()).fit(X, y)  # an array between the steps
        explanation = explain(model, X)
        assert explanation.descriptor_names == ("60VOL", "BETA", "SKEW")
        assert explanation.lags == (3, 0)
        raw = explanation.in_raw_units(model[0])
        np.testing.assert_allclose(raw.data.reshape(len(X), -1), X.to_numpy(), atol=1e-12)
        assert np.abs(raw.conservation_gap).max() < 1e-15

    def test_a_step_that_mixes_columns_names_what_it_makes(self, lagged):
        X, y = lagged
        explanation = explain(make_pipeline(PCA(2), Ridge()).fit(X, y), X)
        assert explanation.descriptor_names == ("pca0", "pca1")
        assert explanation.index.equals(X.index)

    def test_a_step_without_names_leaves_plain_numbers(self, lagged):
        X, y = lagged
        steps = make_pipeline(FunctionTransformer(np.asarray), Ridge()).fit(X, y)
        assert explain(steps, X).descriptor_names == tuple(f"x{j}" for j in range(6))

    def test_arrays_are_one_time_step_unless_they_have_three_axes(self, lagged):
        X, y = lagged
        model = Ridge().fit(X.to_numpy(), y)
        assert explain(model, X.to_numpy()).loadings.shape == (len(X), 1, 6)

    def test_all_methods_agree_on_a_linear_model(self, lagged):
        X, y = lagged
        model = Ridge().fit(X, y)
        one, two = explain(model, X), explain(model, X, rule="occlusion")
        np.testing.assert_array_equal(one.values, two.values)

    def test_a_link_function_is_refused(self, lagged):
        X, y = lagged
        with pytest.raises(TypeError, match="must be X @ coef_ \\+ intercept_. Those of PoissonRegressor are not"):
            explain(PoissonRegressor().fit(X, y - y.min()), X)

    def test_several_targets_are_refused(self, lagged):
        X, y = lagged
        with pytest.raises(PanelError, match="one output and one coefficient for each column.*shape \\(2, 6\\) for 6"):
            explain(Ridge().fit(X, np.c_[y, y]), X)

    def test_missing_values_are_counted(self, lagged):
        X, y = lagged
        model = Ridge().fit(X, y)
        broken = X.copy()
        broken.iloc[3, 2] = np.nan
        with pytest.raises(NonFiniteError, match="SKEW__lag3"):
            explain(model, broken)


class TestValidation:
    @pytest.mark.parametrize("model", [SVR(), make_pipeline(RandomForestRegressor(2))])
    def test_other_models_are_refused_by_name(self, panel, model):
        with pytest.raises(TypeError, match="method explain, .* Got (SVR|RandomForestRegressor)"):
            explain(model.fit(*panel), panel[0])

    def test_an_output_is_chosen_of_keras_models_alone(self, panel):
        with pytest.raises(ValueError, match="'output' chooses among the output units.*Got 1 for LinearF"):
            explain(LinearFactorRegressor().fit(*panel), panel[0], output=1)

    def test_an_unknown_method_is_refused_for_linear_models_too(self, panel):
        with pytest.raises(ValueError, match="'rule' must be one of 'lrp-all'.* Got 'lime'"):
            explain(LinearRegression().fit(*panel), panel[0], rule="lime")
