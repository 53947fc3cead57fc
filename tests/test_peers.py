"""Our regressors as the predictor of skfolio's alpha model."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from skdrfm import DeepFactorRegressor
from skdrfm.factor_model import LinearFactorRegressor


@pytest.fixture(scope="module")
def characteristics():
    """Eighty days of thirty assets, some of them not there all the time, with residual returns and variances."""
    datasets = pytest.importorskip("skfolio.datasets", reason="skfolio is an optional peer")
    X = datasets.make_synthetic_characteristics(n_assets=30, n_observations=80, n_industries=3, random_state=0)
    rng = np.random.default_rng(0)
    for name, values in (
        ("idio_returns", rng.normal(scale=0.02, size=(X.n_observations, X.n_assets))),
        ("idio_variances", rng.uniform(0.01, 0.05, size=(X.n_observations, X.n_assets))),
    ):
        values[~X.active_mask] = np.nan
        X[name] = values
    return X


def fitted(predictor, X, **options):
    from skfolio.alpha import PredictorAlpha
    from skfolio.descriptor import BookToPrice, Passthrough

    descriptors = [("book_to_price", BookToPrice()), ("eps_ntm", Passthrough("eps_ntm"))]
    return PredictorAlpha(predictor=predictor, descriptors=descriptors, **options).fit(X)


class TestPredictorAlpha:
    @pytest.mark.parametrize("calibrate", [True, False])
    def test_our_linear_model_gives_the_alpha_of_least_squares(self, characteristics, calibrate):
        ours, theirs = (
            fitted(predictor, characteristics, calibrate_to_return_units=calibrate)
            for predictor in (LinearFactorRegressor(), LinearRegression())
        )
        assert ours.alpha_.shape == (30,)
        assert np.isfinite(ours.alpha_).any()
        np.testing.assert_allclose(ours.alpha_, theirs.alpha_, rtol=1e-8, atol=1e-14)

    def test_its_fitted_predictor_explains_the_alpha(self, characteristics):
        model = fitted(LinearFactorRegressor(), characteristics, calibrate_to_return_units=False)
        explanation = model.predictor_.explain(np.array([[1.0, 0.0], [0.0, 1.0]]))
        np.testing.assert_allclose(explanation.values.sum((1, 2)), model.predictor_.coef_, rtol=1e-12)

    def test_our_network_gives_an_alpha_where_the_linear_model_does(self, characteristics):
        network = DeepFactorRegressor(hidden_units=(4,), epochs=1, random_state=0)
        alpha, linear = (
            fitted(predictor, characteristics, calibrate_to_return_units=False).alpha_
            for predictor in (network, LinearFactorRegressor())
        )
        np.testing.assert_array_equal(np.isfinite(alpha), np.isfinite(linear))
        assert np.nanstd(alpha) > 0

    def test_updates_need_a_predictor_that_can_be_updated(self, characteristics):
        model = fitted(LinearFactorRegressor(), characteristics[:-5])
        with pytest.raises(TypeError, match="LinearFactorRegressor does not support partial_fit"):
            model.partial_fit(characteristics[-5:])
