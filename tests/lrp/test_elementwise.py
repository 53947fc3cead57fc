import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdrfm.exceptions import NonFiniteError, UnsupportedLayerError
from skdrfm.lrp import (
    Activation,
    Dense,
    Flatten,
    Identity,
    LayerNormalization,
    Masking,
    Network,
    Rule,
    Scale,
    predict,
    propagate,
)

QUICK = settings(max_examples=40, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)
EPSILONS = st.sampled_from([(0.0, "relative"), (1e-3, "relative"), (1e-2, "absolute")])
LAYERS = ["scale", "norm", "relu", "tanh", "activation/tanh", "activation/relu", "activation/linear"]


def headed(*layers, n_in=2, n_timesteps=2, n_features=2):
    """Layers below a sum of all their outputs."""
    return Network([*layers, Flatten(), Dense(np.ones((n_timesteps * n_in, 1)), [0.0])], n_timesteps, n_features)


class TestReferenceValues:
    @QUICK
    @given(seed=SEEDS, below=st.lists(st.sampled_from(LAYERS), min_size=1, max_size=3), epsilon=EPSILONS)
    def test_layers_without_memory_equal_the_literal_oracle(self, make, check_against_the_oracle, seed, below, epsilon):
        maker = make(seed)
        size, mode = epsilon
        for recurrent in ([], ["lstm"]):
            network = maker.network(3, 2, recurrent, ["tanh"], below=below)
            check_against_the_oracle(network, maker.samples(2, network, 0.2), epsilon=size, epsilon_mode=mode)

    @QUICK
    @given(seed=SEEDS, below=st.lists(st.sampled_from(["mask", "scale", "relu", "activation/tanh"]), max_size=3))
    def test_a_bias_factor_of_one_equals_the_literal_oracle(self, make, check_against_the_oracle, seed, below):
        maker = make(seed)
        network = maker.network(3, 2, ["gru"], ["tanh"], below=below)
        X = maker.samples(2, network, kind="padding")
        check_against_the_oracle(network, X, epsilon=1e-3, bias_factor=1)

    def test_a_scale_has_its_factor_as_loading_and_its_shift_as_bias(self):
        network = headed(Scale([2.0, -3.0], [0.5, 0.25]))
        found = propagate(network, np.arange(4.0).reshape(1, 2, 2), epsilon=0)
        np.testing.assert_allclose(found.loadings[0], [[2, -3], [2, -3]], rtol=1e-15)
        assert found.bias.item() == pytest.approx(1.5, rel=1e-15)

    def test_a_scale_with_a_bias_factor_of_one_gives_each_unit_its_own_shift(self):
        network = headed(Scale([2.0, -3.0], [0.5, 0.25]))
        found = propagate(network, np.arange(4.0).reshape(1, 2, 2), epsilon=0, bias_factor=1)
        np.testing.assert_allclose(found.offsets[0], [[0.5, 0.25]] * 2, rtol=1e-15)

    def test_normalization_is_linear_with_the_standard_deviation_held(self, make):
        maker = make(1)
        layer = maker.below("norm", 3)
        head = maker.dense(6, 1)
        network = Network([layer, Flatten(), head], 2, 3)
        X = maker.samples(1, network)
        std = np.sqrt(X.var(axis=-1, keepdims=True) + layer.epsilon)

        def held(x):
            return (
                ((x - x.mean(-1, keepdims=True)) / std * layer.scale + layer.shift).reshape(1, -1) @ head.kernel
            ).item()

        found = propagate(network, X, epsilon=0)
        assert found.predictions.item() == pytest.approx(held(X) + head.bias.item(), rel=1e-14)
        for t, d in np.ndindex(2, 3):
            moved = X.copy()
            moved[0, t, d] += 1.0
            assert found.loadings[0, t, d] == pytest.approx(held(moved) - held(X), rel=1e-11, abs=1e-14)

    @pytest.mark.parametrize(
        ("layer", "z", "value"),
        [
            (Activation("leaky_relu", 0.3), -2.0, -0.6),
            (Activation("leaky_relu"), -2.0, -0.4),
            (Activation("elu", 0.5), -1.0, 0.5 * np.expm1(-1)),
            (Activation("celu"), -1.0, np.expm1(-1)),
            (Activation("relu6", 4.0), 5.0, 4.0),
            (Activation("relu6"), 7.0, 6.0),
        ],
    )
    def test_an_activation_has_the_parameter_that_is_given(self, layer, z, value):
        network = headed(layer, n_in=1, n_timesteps=1, n_features=1)
        found = propagate(network, [[[z]]], epsilon=0)
        assert found.predictions.item() == pytest.approx(value, rel=1e-14)
        assert found.loadings.item() == pytest.approx(value / z, rel=1e-14)

    def test_a_dense_layer_and_an_activation_equal_a_dense_layer_with_it(self, make):
        maker = make(2)
        one, head = maker.dense(2, 3, "tanh"), maker.dense(9, 1)
        two = Dense(one.kernel, one.bias)
        X = maker.rng.normal(size=(4, 3, 2))
        joint = propagate(Network([one, Flatten(), head], 3, 2), X, epsilon=0)
        apart = propagate(Network([two, Activation("tanh"), Flatten(), head], 3, 2), X, epsilon=0)
        np.testing.assert_allclose(apart.loadings, joint.loadings, rtol=1e-12)
        np.testing.assert_allclose(apart.bias, joint.bias, rtol=1e-12)

    def test_padding_is_where_all_descriptors_have_the_mask_value(self):
        network = headed(Masking(-1.0), Scale([1.0, 1.0], [0.0, 0.0]), n_timesteps=3)
        X = np.array([[[-1.0, -1.0], [-1.0, 5.0], [2.0, 3.0]]])
        found = propagate(network, X, epsilon=0)
        assert found.predictions.item() == 9.0
        np.testing.assert_array_equal(found.loadings[0], [[0, 0], [1, 1], [1, 1]])

    @pytest.mark.parametrize("layer", [Scale([1.5, -0.5], [0.3, 0.2]), LayerNormalization([1.5, -0.5], [0.3, 0.2])])
    def test_the_gradient_is_the_slope_of_the_prediction(self, make, layer):
        maker = make(3)
        for activation in ("tanh", "relu", "elu"):
            network = Network([layer, Activation(activation), Flatten(), maker.dense(4, 1)], 2, 2)
            X = maker.samples(2, network)
            loadings = propagate(network, X, rule=Rule("gradient")).loadings
            for t, d in np.ndindex(2, 2):
                up, down = X.copy(), X.copy()
                up[:, t, d] += 1e-6
                down[:, t, d] -= 1e-6
                slope = (predict(network, up) - predict(network, down)) / 2e-6
                np.testing.assert_allclose(loadings[:, t, d], slope, rtol=1e-5, atol=1e-6)


class TestProperties:
    def test_an_identity_changes_nothing(self, make):
        maker = make(4)
        head = maker.dense(4, 1, "tanh")
        X = maker.rng.normal(size=(3, 2, 2))
        plain = propagate(Network([Flatten(), head], 2, 2), X)
        with_it = propagate(Network([Identity("Dropout", "drop"), Flatten(), head], 2, 2), X)
        np.testing.assert_array_equal(with_it.loadings, plain.loadings)
        assert with_it.coverage[0] == ("drop", "Dropout", "handed on unchanged")

    def test_a_constant_input_is_normalized_to_its_shift(self):
        network = headed(LayerNormalization([1.0, 1.0], [0.5, 0.25]))
        found = propagate(network, np.full((1, 2, 2), 3.0), epsilon=0)
        assert found.predictions.item() == found.bias.item() == pytest.approx(1.5)
        assert np.isfinite(found.loadings).all()

    def test_a_scale_may_stand_for_another_layer(self):
        layer = Scale([1.0], [0.0], layer_kind="BatchNormalization", name="bn")
        assert layer.kind == "BatchNormalization"
        assert Identity(layer_kind="SpatialDropout1D").kind == "SpatialDropout1D"


class TestValidation:
    @pytest.mark.parametrize("record", [Scale, LayerNormalization])
    def test_records_are_checked(self, record):
        with pytest.raises(ValueError, match=r"The shift of \w+ 'n' must have shape \(2,\). Got \(3,\)"):
            record([1.0, 2.0], [1.0, 2.0, 3.0], name="n")
        with pytest.raises(ValueError, match=r"The scale of \w+ must have shape \(any,\). Got \(1, 2\)"):
            record([[1.0, 2.0]], [1.0, 2.0])
        with pytest.raises(NonFiniteError, match=r"scale of \w+ must hold finite numbers. Got 1 NaN"):
            record([np.nan, 2.0], [1.0, 2.0])
        with pytest.raises(ValueError, match="It reads 3 and gets an input of shape"):
            headed(record(np.ones(3), np.zeros(3)))

    @pytest.mark.parametrize(
        ("build", "message"),
        [
            (
                lambda: Activation("softmax"),
                "activation 'softmax' of Activation has no relevance rule. Supported: 'celu'",
            ),
            (lambda: Activation("tanh", 0.5), "activation 'tanh'.*Supported: 'celu', 'elu', 'leaky_relu', 'relu6'"),
        ],
    )
    def test_activations_without_a_rule_are_refused(self, build, message):
        with pytest.raises(UnsupportedLayerError, match=message):
            build()
