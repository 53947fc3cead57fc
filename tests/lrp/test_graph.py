"""Networks that are no chains: branches, shared layers, states, sums, and what is not read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdrfm.lrp import RULES, Add, Concatenate, Dense, Flatten, Network, Rule, Take, predict, propagate

QUICK = settings(max_examples=25, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)
EPSILONS = st.sampled_from([(0.0, "relative"), (1e-3, "relative"), (1e-2, "absolute")])
PRODUCT_RULES = [rule for rule in RULES if rule not in ("arras-decay", "rudder")]
GRAPHS = [
    "branches",
    "shared",
    "states",
    "gru_states",
    "two_way_states",
    "residual",
    "longer",
    "reshaped",
    "skip",
    "unread",
]
OF_LSTM = ["shared", "states", "two_way_states", "unread"]
WITHOUT_SUMS = [name for name in GRAPHS if name not in ("residual", "skip")]


class TestReferenceValues:
    @pytest.mark.parametrize("name", GRAPHS)
    @QUICK
    @given(seed=SEEDS, epsilon=EPSILONS, rule=st.sampled_from(PRODUCT_RULES))
    def test_a_graph_equals_the_literal_oracle(self, make, check_against_the_oracle, name, seed, epsilon, rule):
        maker = make(seed)
        network = maker.graph(name)
        size, mode = epsilon
        check_against_the_oracle(network, maker.samples(2, network, 0.2), rule, epsilon=size, epsilon_mode=mode)

    @pytest.mark.parametrize("name", OF_LSTM)
    @QUICK
    @given(seed=SEEDS, epsilon=EPSILONS, rule=st.sampled_from(["arras-decay", "rudder"]))
    def test_closed_forms_reach_given_states(self, make, check_against_the_oracle, name, seed, epsilon, rule):
        maker = make(seed)
        network = maker.graph(name)
        size, mode = epsilon
        check_against_the_oracle(network, maker.samples(2, network, 0.2), rule, epsilon=size, epsilon_mode=mode)

    @pytest.mark.parametrize("name", WITHOUT_SUMS)
    @QUICK
    @given(seed=SEEDS, epsilon=EPSILONS, rule=st.sampled_from(["lrp-all", "lrp-half", "lrp-abs"]))
    def test_a_bias_factor_of_one_equals_the_literal_oracle(
        self, make, check_against_the_oracle, residual, name, seed, epsilon, rule
    ):
        maker = make(seed)
        network = maker.graph(name)
        X = maker.samples(2, network, 0.2)
        size, mode = epsilon
        found = check_against_the_oracle(network, X, rule, epsilon=size, epsilon_mode=mode, bias_factor=1)
        assert residual(found, X).max() < 1e-10

    def test_two_readers_of_one_output_add_their_loadings(self):
        flat, one, two = Flatten(), Dense([[1.0], [2.0]], [0.0]), Dense([[10.0], [20.0]], [0.0])
        network = Network([flat, one, two, Add((1.0, -2.0))], 2, 1, [(-1,), (0,), (0,), (1, 2)])
        found = propagate(network, [[[3.0], [4.0]]], epsilon=0)
        assert found.predictions.item() == 11 - 2 * 110
        np.testing.assert_allclose(found.loadings.ravel(), [1 - 2 * 10, 2 - 2 * 20], rtol=1e-15)

    def test_the_input_itself_may_be_read_by_several_layers(self):
        network = Network([Take((0,)), Take((1,)), Add(), Dense([[2.0]], [1.0])], 2, 1, [(-1,), (-1,), (0, 1), (2,)])
        found = propagate(network, [[[3.0], [4.0]]], epsilon=0)
        assert (found.predictions.item(), found.bias.item()) == (15.0, 1.0)
        np.testing.assert_allclose(found.loadings.ravel(), [2.0, 2.0], rtol=1e-15)


class TestProperties:
    @pytest.mark.parametrize("name", GRAPHS)
    @pytest.mark.parametrize("rule", ["lrp-all", "lrp-half"])
    def test_a_bias_factor_of_one_hands_everything_down(self, make, residual, name, rule):
        for seed in range(5):
            maker = make(seed)
            network = maker.graph(name)
            X = maker.samples(3, network, 0.2)
            found = propagate(network, X, rule=rule, epsilon=1e-2, bias_factor=1)
            assert residual(found, X).max() < 1e-10
            np.testing.assert_array_equal(found.bias, 0)
            if rule == "lrp-all":
                np.testing.assert_array_equal(found.stabilizer, 0)

    @pytest.mark.parametrize("name", GRAPHS)
    def test_the_gradient_is_the_slope_of_the_prediction(self, make, name):
        maker = make(6)
        network = maker.graph(name)
        X, step = maker.samples(2, network), 1e-6
        loadings = propagate(network, X, rule=Rule("gradient")).loadings
        for t, d in np.ndindex(3, 2):
            up, down = X.copy(), X.copy()
            up[:, t, d] += step
            down[:, t, d] -= step
            slope = (predict(network, up) - predict(network, down)) / (2 * step)
            np.testing.assert_allclose(loadings[:, t, d], slope, rtol=1e-5, atol=1e-8)

    def test_a_layer_that_nothing_reads_keeps_nothing(self, make):
        maker = make(7)
        network = maker.graph("unread")
        read, _, head = network.layers
        X = maker.samples(3, network)
        ours, theirs = propagate(network, X), propagate(Network([read, head], 3, 2), X)
        for name in ("predictions", "loadings", "bias", "stabilizer", "state"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))

    def test_a_shared_layer_equals_two_layers_of_the_same_weights(self, make):
        network = make(8).graph("shared")
        scale, shared, _, join, head = network.layers
        from_copy = type(shared)(shared.kernel, shared.recurrent_kernel, shared.bias)
        twice = Network([scale, shared, from_copy, join, head], 3, 2, network.sources)
        X = make(9).samples(3, network)
        np.testing.assert_array_equal(propagate(network, X).loadings, propagate(twice, X).loadings)

    def test_an_encoder_that_never_matters_gets_no_relevance(self, make):
        maker = make(10)
        lstm, still = maker.lstm(2, 2, return_state=True), maker.dense(4, 1)
        kernel = still.kernel.copy()
        kernel[:2] = 0
        plain = Network(
            [lstm, maker.lstm(2, 2), Concatenate(), Dense(kernel, still.bias)], 3, 2, [(-1,), (-1,), (0, 1), (2,)]
        )
        X = maker.samples(3, plain)
        alone = Network([plain.layers[1], Dense(kernel[2:], still.bias)], 3, 2)
        np.testing.assert_allclose(propagate(plain, X).loadings, propagate(alone, X).loadings, rtol=1e-12, atol=1e-15)
