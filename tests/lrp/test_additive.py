import numpy as np
import pytest

from skdrfm.lrp import AdditiveLSTM, Dense, Flatten, Network, Rule, predict, propagate


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def contributions(layer, head, x):
    """w i_t tanh(x_t W) of each step of one sample, from the definition of the cell."""
    c, parts = np.zeros(layer.n_units), []
    for xt in x:
        part = sigmoid(c @ layer.recurrent_kernel + layer.bias) * np.tanh(xt @ layer.kernel)
        c = c + part
        parts.append(part @ head.kernel[:, 0])
    return np.array(parts)


@pytest.fixture
def network(make):
    maker = make(1)
    return Network([maker.cell("additive", 3, 4), maker.dense(4, 1)], 5, 3)


@pytest.fixture
def X(make, network):
    return make(2).samples(4, network, zeros=0.2)


class TestReferenceValues:
    @pytest.mark.parametrize("rule", ["rudder", "arras-decay", "lrp-all"])
    @pytest.mark.parametrize("epsilon", [0.0, 1e-9])
    def test_contributions_of_the_steps_are_exact(self, network, X, rule, epsilon):
        layer, head = network.layers
        found = propagate(network, X, rule=rule, epsilon=epsilon)
        expected = np.array([contributions(layer, head, x) for x in X])
        np.testing.assert_allclose(
            (X * found.loadings).sum(axis=2), expected, rtol=1e-6 if epsilon else 1e-12, atol=1e-14
        )
        np.testing.assert_allclose(found.predictions, expected.sum(axis=1) + head.bias, rtol=1e-12)

    def test_only_the_cell_input_and_the_head_have_a_stabilizer(self, network, X):
        # The memory adds up without one: a step loses the same share of its contribution whatever follows it.
        longer = Network(network.layers, 6, 3)
        step = Rule("rudder", epsilon=0.01, epsilon_mode="absolute")
        followed = np.concatenate([X, np.zeros((4, 1, 3))], axis=1)  # an input of 0 adds nothing
        ours, theirs = propagate(longer, followed, rule=step), propagate(network, X, rule=step)
        np.testing.assert_allclose(ours.loadings[:, :5], theirs.loadings, rtol=1e-12)

    def test_an_input_of_zero_adds_nothing(self, network):
        head = network.layers[1]
        np.testing.assert_allclose(predict(network, np.zeros((1, 5, 3))), head.bias, rtol=1e-15)

    def test_a_linear_cell_input_is_a_factor_model_with_gated_loadings(self, make):
        maker = make(3)
        layer = maker.cell("additive", 2, 3, activation="linear")
        head = maker.dense(3, 1)
        X = maker.rng.normal(size=(1, 4, 2))
        found = propagate(Network([layer, head], 4, 2), X, rule="rudder", epsilon=0)
        c = np.zeros(3)
        for t, xt in enumerate(X[0]):
            i = sigmoid(c @ layer.recurrent_kernel + layer.bias)
            np.testing.assert_allclose(found.loadings[0, t], layer.kernel @ (i * head.kernel[:, 0]), rtol=1e-12)
            c = c + i * (xt @ layer.kernel)


class TestProperties:
    def test_nothing_is_lost_and_nothing_is_kept_but_the_bias_of_the_head(self, network, X, residual):
        found = propagate(network, X, rule="rudder", epsilon=0)
        assert residual(found, X).max() < 1e-14
        np.testing.assert_allclose(found.bias, network.layers[1].bias[0], rtol=1e-12)
        np.testing.assert_array_equal(found.stabilizer, 0)

    def test_a_returned_sequence_adds_up_as_well(self, make, residual):
        maker = make(4)
        layer = maker.cell("additive", 2, 2, return_sequences=True)
        network = Network([layer, Flatten(), maker.dense(6, 1)], 3, 2)
        X = maker.samples(5, network)
        assert residual(propagate(network, X, rule="rudder", epsilon=1e-3), X).max() < 1e-12

    @pytest.mark.parametrize("rule", ["lrp-all", "lrp-half", "lrp-abs"])
    def test_a_bias_factor_of_one_hands_everything_down(self, make, residual, rule):
        for seed in range(10):
            maker = make(seed)
            network = maker.network(3, 2, ["additive"], ["tanh"])
            X = maker.samples(2, network)
            assert residual(propagate(network, X, rule=rule, epsilon=1e-3, bias_factor=1), X).max() < 1e-10


class TestValidation:
    def test_weights_must_fit(self):
        with pytest.raises(ValueError, match=r"recurrent_kernel of AdditiveLSTM 'memory' must have shape \(2, 2\)"):
            AdditiveLSTM(np.ones((3, 2)), np.ones((2, 8)), np.zeros(2), name="memory")
        with pytest.raises(ValueError, match=r"bias of AdditiveLSTM must have shape \(2,\). Got \(8,\)"):
            AdditiveLSTM(np.ones((3, 2)), np.ones((2, 2)), np.zeros(8))
        with pytest.raises(ValueError, match="It reads 3 and gets an input of shape"):
            Network([AdditiveLSTM(np.ones((3, 2)), np.ones((2, 2)), np.zeros(2)), Dense([[1.0]] * 2, [0.0])], 3, 2)
