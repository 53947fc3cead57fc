"""Keras models with random weights, to compare with their records."""

import keras
import numpy as np
import pytest

from skdrfm import lrp, networks


@pytest.fixture
def float64():
    """Let Keras compute in float64, so that agreement is not a matter of rounding, and put its default back."""
    policy, default = keras.config.dtype_policy(), keras.config.floatx()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(default)
    keras.config.set_dtype_policy(policy)


@pytest.fixture
def data():
    """Samples of 4 time steps and 3 descriptors."""
    return np.random.default_rng(3).normal(size=(6, 4, 3))


@pytest.fixture
def padded(data):
    """Samples with padding before, after and between real steps, two of one kind beside each other, and without."""
    data[0, :1] = data[1, :3] = data[2, -2:] = data[3, 1] = 0
    data[4, [0, 2]] = 0
    return data


def _randomize(model):
    rng = np.random.default_rng(5)
    for variable in model.weights:
        values = rng.normal(scale=0.7, size=variable.shape)
        variable.assign(np.abs(values) + 0.1 if "variance" in variable.path else values)
    return model


@pytest.fixture
def randomize():
    """Function that gives all weights of a model, biases and moving statistics too, random values."""
    return _randomize


@pytest.fixture
def check_agreement():
    """Function that compares the predictions of a model and of its network, and returns the network."""

    def check(model, X, *, tolerance=1e-10, output=None, **options):
        _randomize(model)
        network = networks.canonize(model, output=output, **options)
        expected = np.asarray(model(X))
        assert expected.std() > 1e-3, "the model has to depend on its input for the comparison to mean anything"
        samples = X[:, np.newaxis, :] if X.ndim == 2 else X
        np.testing.assert_allclose(
            lrp.predict(network, samples), expected[:, output or 0], rtol=tolerance, atol=tolerance
        )
        return network

    return check
