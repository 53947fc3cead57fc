import numpy as np
import pytest

from skdrfm.lrp import (
    GRU,
    LSTM,
    METHODS,
    Activation,
    Add,
    AdditiveLSTM,
    Bidirectional,
    Composite,
    Concatenate,
    Dense,
    Flatten,
    GradientTimesInput,
    IntegratedGradients,
    LayerNormalization,
    Masking,
    MeanOverTime,
    Network,
    Occlusion,
    Rule,
    Scale,
    SimpleRNN,
    Take,
    attribute,
    method_name,
    predict,
)
from skdrfm.lrp._activations import ACTIVATIONS, GATES

STEPS, FEATURES = 4, 3


class Weights:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def __call__(self, *shape):
        return 0.6 * self.rng.normal(size=shape)

    def recurrent(self, kind, n_in, n, **options):
        if kind == "lstm":
            return LSTM(self(n_in, 4 * n), self(n, 4 * n), self(4 * n), **options)
        if kind == "gru":
            return GRU(self(n_in, 3 * n), self(n, 3 * n), self(2, 3 * n), **options)
        if kind == "gru, reset before":
            return GRU(self(n_in, 3 * n), self(n, 3 * n), self(3 * n), reset_after=False, **options)
        if kind == "rnn":
            return SimpleRNN(self(n_in, n), self(n, n), self(n), **options)
        return AdditiveLSTM(self(n_in, n), self(n, n), self(n), **options)


def numerical_gradient(network, X, step=1e-6):
    gradient = np.empty_like(X)
    for cell in np.ndindex(X.shape):
        up, down = X.copy(), X.copy()
        up[cell] += step
        down[cell] -= step
        gradient[cell] = (predict(network, up) - predict(network, down))[cell[0]] / (2 * step)
    return gradient


KINDS = ("lstm", "gru", "gru, reset before", "rnn", "additive")


class TestGradient:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("masked", [False, True])
    def test_it_is_the_derivative_of_the_prediction(self, kind, masked):
        w = Weights(KINDS.index(kind))
        layers = [
            Bidirectional(*(w.recurrent(kind, 3, 2, return_sequences=True) for _ in range(2))),
            Scale(w(4), w(4)),
            LayerNormalization(w(4), w(4)),
            w.recurrent(kind, 4, 3, go_backwards=True),
            Activation("silu"),
            Dense(w(3, 3), w(3), "elu"),
            Dense(w(3, 1), w(1)),
        ]
        X = w(3, STEPS, FEATURES)
        if masked:
            layers.insert(0, Masking())
            X[0, 0], X[1, 2], X[2, 3] = 0, 0, 0
        network = Network(layers, STEPS, FEATURES)
        loadings = attribute(network, X, rule="gradient-x-input").loadings
        real = np.broadcast_to((X != 0).any(axis=2, keepdims=True), X.shape) if masked else np.ones(X.shape, dtype=bool)
        np.testing.assert_allclose(loadings[real], numerical_gradient(network, X)[real], atol=2e-9)
        assert not loadings[~real].any()

    def test_it_is_the_derivative_through_branches_states_and_shared_layers(self):
        w = Weights(8)
        encoder = LSTM(w(3, 8), w(2, 8), w(8), return_sequences=True, return_state=True)
        decoder = LSTM(w(2, 8), w(2, 8), w(8))
        shared = Dense(w(2, 2), w(2), "tanh")
        layers = [encoder, decoder, MeanOverTime(), shared, shared, Add((1.0, -2.0)), Take((-1,)), Concatenate()]
        sources = [(-1,), ((0, 0), (0, 1), (0, 2)), (0,), (1,), (2,), (3, 4), (0,), (5, 6)]
        head = Dense(w(4, 1), w(1))
        network = Network([*layers, head], STEPS, FEATURES, sources=[*sources, (7,)])
        X = w(3, STEPS, FEATURES)
        loadings = attribute(network, X, rule=GradientTimesInput()).loadings
        np.testing.assert_allclose(loadings, numerical_gradient(network, X), atol=2e-9)

    @pytest.mark.parametrize("name", sorted(ACTIVATIONS))
    def test_slopes_of_activations_are_derivatives(self, name):
        z = np.array([-7.0, -2.0, -0.3, 0.4, 0.9, 2.5, 7.0])
        phi = ACTIVATIONS[name]

        def value(z):
            out = np.empty_like(z)
            phi.function(z, out)
            return out

        np.testing.assert_allclose(
            phi.slope(z, value(z)), (value(z + 1e-6) - value(z - 1e-6)) / 2e-6, rtol=1e-8, atol=1e-9
        )
        assert value(np.zeros(1)) == 0
        assert phi.slope_at_zero == pytest.approx(value(np.array([1e-8]))[0] / 1e-8, rel=1e-6)

    @pytest.mark.parametrize("name", sorted(GATES))
    def test_slopes_of_gates_are_derivatives(self, name):
        z = np.array([-7.0, -2.0, -0.3, 0.4, 0.9, 2.5, 7.0])
        gate = GATES[name]

        def value(z):
            out = z * gate.scale
            gate.squash(out)
            return out

        np.testing.assert_allclose(
            gate.slope(z, value(z)), (value(z + 1e-6) - value(z - 1e-6)) / 2e-6, rtol=1e-8, atol=1e-9
        )


class TestOtherMethods:
    def network(self):
        w = Weights(3)
        return Network([w.recurrent("lstm", 3, 4), Dense(w(4, 1), w(1))], STEPS, FEATURES), w(5, STEPS, FEATURES)

    def test_integrated_gradients_add_up_to_the_difference_from_an_input_of_zeros(self):
        network, X = self.network()
        relevance = attribute(network, X, rule=IntegratedGradients(400))
        np.testing.assert_allclose(relevance.bias, predict(network, np.zeros((5, STEPS, FEATURES))), rtol=1e-12)
        np.testing.assert_allclose(
            (X * relevance.loadings).sum(axis=(1, 2)) + relevance.bias, relevance.predictions, atol=1e-6
        )
        coarse = attribute(network, X, rule=IntegratedGradients(2))
        gap = np.abs((X * coarse.loadings).sum(axis=(1, 2)) + coarse.bias - relevance.predictions)
        assert gap.max() > 1e-5

    def test_integrated_gradients_of_one_step_are_the_gradient_at_the_midpoint(self):
        network, X = self.network()
        middle = attribute(network, X / 2, rule="gradient-x-input").loadings
        np.testing.assert_allclose(attribute(network, X, rule=IntegratedGradients(1)).loadings, middle, rtol=1e-13)

    def test_occlusion_is_what_the_prediction_loses_without_an_input(self):
        network, X = self.network()
        X[0, 1, 2] = 0
        relevance = attribute(network, X, rule="occlusion")
        for cell in np.ndindex(STEPS, FEATURES):
            without = X.copy()
            without[:, cell[0], cell[1]] = 0
            lost = predict(network, X) - predict(network, without)
            np.testing.assert_allclose((X * relevance.loadings)[:, cell[0], cell[1]], lost, atol=1e-15)
        # Where nothing is there to take away, the loading is the limit, the gradient.
        gradient = attribute(network, X, rule="gradient-x-input").loadings
        assert relevance.loadings[0, 1, 2] == gradient[0, 1, 2]

    @pytest.mark.parametrize("rule", METHODS)
    def test_every_method_finds_the_coefficients_of_a_linear_model(self, rule):
        w = Weights(1)
        coefficients = w(STEPS * FEATURES, 1)
        network = Network([Flatten(), Dense(coefficients, w(1))], STEPS, FEATURES)
        X = w(6, STEPS, FEATURES)
        relevance = attribute(network, X, rule=rule)
        expected = np.broadcast_to(coefficients.reshape(STEPS, FEATURES), X.shape)
        size = np.abs(relevance.predictions)[:, np.newaxis, np.newaxis]
        shrunk = size / (size + 1e-3) if rule == "arras-2017" else 1.0  # its stabilizer is absolute
        np.testing.assert_allclose(relevance.loadings, expected * shrunk, rtol=3e-6)

    @pytest.mark.parametrize("rule", ["gradient-x-input", "integrated-gradients", "occlusion"])
    def test_chunks_threads_and_float32_change_nothing_of_weight(self, rule):
        network, X = self.network()
        whole = attribute(network, X, rule=rule)
        cut = attribute(network, X, rule=rule, chunk_size=2, n_threads=2)
        np.testing.assert_allclose(cut.loadings, whole.loadings, rtol=1e-12, atol=1e-15)
        single = attribute(network, X, rule=rule, dtype=np.float32)
        assert single.loadings.dtype == np.float32
        np.testing.assert_allclose(single.loadings, whole.loadings, atol=1e-4)

    def test_coverage_names_the_gradient(self):
        network, X = self.network()
        assert [layer.rule for layer in attribute(network, X, rule="occlusion").coverage] == ["gradient", "gradient"]

    def test_methods_have_names(self):
        assert method_name("lrp-half") == "lrp-half"
        assert method_name(Rule("lrp-abs")) == "lrp-abs"
        assert method_name(Composite({})) == "composite"
        assert method_name(IntegratedGradients(7)) == "integrated-gradients"
        assert method_name(Occlusion()) == "occlusion"


class TestValidation:
    @pytest.mark.parametrize(
        ("rule", "options", "message"),
        [
            ("lime", {}, "'rule' must be one of 'lrp-all', 'lrp-half', .*'occlusion'. Got 'lime'"),
            ("occlusion", {"epsilon": 0.1}, "The method 'occlusion' has no options epsilon.*Leave them out"),
            ("gradient-x-input", {"bias_factor": 1}, "has no options bias_factor"),
        ],
    )
    def test_unknown_methods_and_options_are_refused(self, rule, options, message):
        network, X = TestOtherMethods().network()
        with pytest.raises(ValueError, match=message):
            attribute(network, X, rule=rule, **options)

    @pytest.mark.parametrize("n_steps", [0, -1, 1.5, True, "many"])
    def test_integrated_gradients_need_a_positive_number_of_steps(self, n_steps):
        with pytest.raises(ValueError, match=f"'n_steps' must be an integer >= 1. Got {n_steps!r}"):
            IntegratedGradients(n_steps)
