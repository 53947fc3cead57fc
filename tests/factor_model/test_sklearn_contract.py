"""scikit-learn's own estimator checks on every factor model, transformer and our own panel checks."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdrfm.factor_model import DeepFactorRegressor, DeepRecurrentFactorRegressor, LinearFactorRegressor
from skdrfm.utils.estimator_checks import iter_panel_checks

# Short trainings: the contract does not depend on how well a network is trained.
MODELS = (
    DeepRecurrentFactorRegressor(units=4, epochs=2, random_state=0),
    DeepFactorRegressor(hidden_units=(8,), epochs=2, random_state=0),
    LinearFactorRegressor(),
)

_BATCHES = (
    "a weight of two is two steps of one gradient only in expectation: repeating or dropping rows changes which rows "
    "meet in a batch and which are held out for validation"
)


def expected_failures(estimator):
    if isinstance(estimator, LinearFactorRegressor):
        return {}
    return {
        "check_sample_weight_equivalence_on_dense_data": _BATCHES,
        "check_sample_weight_equivalence_on_sparse_data": _BATCHES,
    }


@parametrize_with_checks(list(MODELS), expected_failed_checks=expected_failures)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("model", "check"),
    [
        pytest.param(model, check, id=f"{type(model).__name__}-{name}")
        for model in MODELS
        for name, check in iter_panel_checks(model)
    ],
)
def test_panel_contract(model, check):
    check(model)
