"""Names of activations belong to functions, whatever these are called."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from skdrfm.lrp._activations import ACTIVATIONS, GATES
from skdrfm.networks._canonize_common import _names, name_of


def test_every_known_function_computes_what_skdrfm_computes_under_its_name():
    z = np.linspace(-4, 4, 33)
    for function, name in _names().items():
        ours = z * GATES[name].scale
        GATES[name].squash(ours)
        np.testing.assert_allclose(np.asarray(function(tf.constant(z))), ours, rtol=1e-6, atol=1e-7, err_msg=name)


def test_every_activation_of_keras_is_known():
    missing = {name for name in GATES if name_of(getattr(keras.activations, name, None)) != name}
    assert missing == set()
    assert set(ACTIVATIONS) < set(GATES)


@pytest.mark.parametrize("function", [tf.nn.relu, keras.ops.relu, keras.activations.get("relu")])
def test_functions_of_other_modules_are_known(function):
    assert name_of(function) == "relu"


def test_aliases_are_known():
    assert name_of(keras.activations.get("swish")) == "silu"
    assert name_of(keras.activations.get(None)) == "linear"


def test_the_approximation_of_gelu_is_another_function():
    assert name_of(keras.ops.gelu) is None


def test_functions_of_a_user_are_not_known_by_their_name():
    def relu(x):
        return x

    class Unhashable(list):
        def __call__(self, x):
            return x

    for function in (relu, functools.partial(keras.activations.leaky_relu, negative_slope=0.5), Unhashable(), None):
        assert name_of(function) is None
