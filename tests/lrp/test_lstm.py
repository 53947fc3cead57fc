import numpy as np
import pytest

from skdrfm.exceptions import UnsupportedLayerError
from skdrfm.lrp import GRU, LSTM, Dense, Network, predict, propagate


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def gates_of(n_units, n_features, *, i, f, o):
    """Kernel and bias of an LSTM with constant gates i, f, o and an open candidate part."""
    kernel = np.zeros((n_features, 4 * n_units))
    bias = np.zeros(4 * n_units)
    for position, value in ((0, i), (1, f), (3, o)):
        with np.errstate(divide="ignore"):
            logit = np.log(value) - np.log1p(-value)
        bias[position * n_units : (position + 1) * n_units] = np.clip(logit, -800, 800)
    return kernel, bias


class Unrolled:
    """Gates, cells and candidates of one unit at every step, for one sample."""

    def __init__(self, lstm, x):
        n = lstm.n_units
        h, c = np.zeros(n), np.zeros(n)
        self.i, self.f, self.z_g, self.g, self.o, self.c = [], [], [], [], [], []
        for xt in x:
            z = xt @ lstm.kernel + h @ lstm.recurrent_kernel + lstm.bias
            i, f, z_g, o = np.split(z, 4)
            i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(z_g)
            c = f * c + i * g
            h = o * np.tanh(c)
            for name, value in (("i", i), ("f", f), ("z_g", z_g), ("g", g), ("o", o), ("c", c)):
                getattr(self, name).append(value)
        self.h = h


class TestReferenceValues:
    def test_constant_gates_and_linear_candidate_give_the_product_of_forget_gates(self):
        # One feature opens the forget gate differently at each step; loadings of the other are
        # W_g * i * (f_{t+1} ... f_T) * o * w: a step's own forget gate never appears.
        kernel, bias = gates_of(2, 2, i=0.8, f=0.5, o=0.6)
        kernel[1, 2:4] = 1.0  # forget gates of both units read the second feature
        kernel[0, 4:6] = [1.5, -2.0]
        head = np.array([[3.0], [0.5]])
        layers = [LSTM(kernel, np.zeros((2, 8)), bias, activation="linear"), Dense(head, np.zeros(1))]
        network = Network(layers, n_timesteps=4, n_features=2)
        X = np.random.default_rng(0).normal(size=(3, 4, 2))
        f = sigmoid(X[:, :, 1])
        later = np.stack([f[:, t + 1 :].prod(axis=1) for t in range(4)], axis=1)
        expected = later * 0.8 * 0.6 * (1.5 * 3.0 - 2.0 * 0.5)
        for rule in ("lrp-all", "arras-decay"):
            found = propagate(network, X, rule=rule, epsilon=0)
            np.testing.assert_allclose(found.loadings[:, :, 0], expected, rtol=1e-12)
            np.testing.assert_array_equal(found.loadings[:, :, 1], 0)

    def test_saturated_gates_and_a_linear_candidate_give_a_plain_sum(self):
        # With i = f = o = 1, h = sum over t of x_t W_g: every lag has the loading W_g w.
        kernel, bias = gates_of(2, 3, i=1.0, f=1.0, o=1.0)
        kernel[:, 4:6] = [[1.0, -0.5], [0.3, 0.2], [0.0, 2.0]]
        head = np.array([[2.0], [-1.0]])
        network = Network([LSTM(kernel, np.zeros((2, 8)), bias, "linear"), Dense(head, [0.25])], 5, 3)
        X = np.random.default_rng(1).normal(size=(4, 5, 3))
        for rule in ("lrp-all", "arras-decay", "rudder"):
            found = propagate(network, X, rule=rule, epsilon=0)
            np.testing.assert_allclose(found.loadings, np.broadcast_to((kernel[:, 4:6] @ head).T, X.shape), rtol=1e-12)
            np.testing.assert_allclose(found.bias, 0.25, rtol=1e-13)

    @pytest.mark.parametrize("rule", ["lrp-all", "arras-decay"])
    @pytest.mark.parametrize(("go_backwards", "position"), [(False, -1), (True, 0)])
    def test_a_cell_that_forgets_explains_only_the_step_that_it_read_last(self, go_backwards, position, rule):
        kernel, bias = gates_of(1, 2, i=1.0, f=0.0, o=1.0)
        kernel[:, 2] = [0.7, -0.4]
        lstm = LSTM(kernel, np.zeros((1, 4)), bias, go_backwards=go_backwards)
        network = Network([lstm, Dense(np.ones((1, 1)), np.zeros(1))], 5, 2)
        X = np.random.default_rng(1).normal(size=(4, 5, 2))
        loadings = propagate(network, X, rule=rule, epsilon=0).loadings.copy()
        assert (np.abs(loadings[:, position]) > 0.01).all()
        loadings[:, position] = 0
        np.testing.assert_array_equal(loadings, 0)

    def test_a_cell_that_opens_once_explains_only_the_oldest_step(self):
        # The second feature is a clock that is 1 at the oldest step and 0 later.
        kernel, bias = gates_of(1, 2, i=0.0, f=1.0, o=1.0)
        kernel[1, 0] = 1600.0  # opens the input gate, from -800 to +800
        kernel[0, 2] = 2.0
        network = Network([LSTM(kernel, np.zeros((1, 4)), bias), Dense(np.ones((1, 1)), np.zeros(1))], 5, 2)
        X = np.random.default_rng(2).normal(size=(4, 5, 2))
        X[:, :, 1] = [1, 0, 0, 0, 0]
        found = propagate(network, X, epsilon=0)
        np.testing.assert_array_equal(found.loadings[:, 1:], 0)
        np.testing.assert_allclose(X[:, 0, 0] * found.loadings[:, 0, 0], found.predictions)

    def test_loadings_are_the_slopes_of_the_network_with_frozen_gates(self, make):
        maker = make(5)
        lstm, head = maker.lstm(3, 4), maker.dense(4, 1)
        network = Network([lstm, head], n_timesteps=4, n_features=3)
        X = maker.samples(1, network)
        held = Unrolled(lstm, X[0])
        n = lstm.n_units

        def linear(x):
            """Forward pass with the gates and the quotients tanh(z) / z of the sample: linear in x."""
            h, c = np.zeros(n), np.zeros(n)
            for t, xt in enumerate(x):
                z_g = (xt @ lstm.kernel + h @ lstm.recurrent_kernel + lstm.bias)[2 * n : 3 * n]
                c = held.f[t] * c + held.i[t] * held.g[t] / held.z_g[t] * z_g
                h = held.o[t] * np.tanh(held.c[t]) / held.c[t] * c
            return (h @ head.kernel + head.bias).item()

        found = propagate(network, X, epsilon=0)
        prediction = linear(X[0])
        assert prediction == pytest.approx(found.predictions.item(), rel=1e-12)
        for t, d in np.ndindex(4, 3):
            moved = X[0].copy()
            moved[t, d] += 1.0
            assert linear(moved) - prediction == pytest.approx(found.loadings[0, t, d], rel=1e-10, abs=1e-13)

    def test_loadings_are_finite_differences_where_activations_are_linear(self, make):
        # Gates that see nothing but their biases are constant, so that the whole network is linear.
        maker = make(6)
        lstm = maker.lstm(2, 3, activation="linear")
        kernel, recurrent = lstm.kernel.copy(), lstm.recurrent_kernel.copy()
        for gate in (0, 1, 3):
            kernel[:, gate * 3 : gate * 3 + 3] = recurrent[:, gate * 3 : gate * 3 + 3] = 0
        network = Network([LSTM(kernel, recurrent, lstm.bias, "linear"), maker.dense(3, 1)], 4, 2)
        X = maker.samples(3, network)
        found = propagate(network, X, epsilon=0)
        for t, d in np.ndindex(4, 2):
            moved = X.copy()
            moved[:, t, d] += 1.0
            slope = predict(network, moved) - predict(network, X)
            np.testing.assert_allclose(found.loadings[:, t, d], slope, rtol=1e-10, atol=1e-13)

    @pytest.mark.parametrize("rule", ["arras-decay", "rudder"])
    def test_a_closed_form_follows_its_formula(self, make, rule):
        # R_g,t = i_t g_t (f_{t+1} ... f_T) R_cT / c_T, without the product for rudder; then x_t W_g / z_g of it.
        maker = make(7)
        lstm, head = maker.lstm(2, 3), maker.dense(3, 1)
        X = maker.rng.normal(size=(1, 4, 2))
        cell = Unrolled(lstm, X[0])
        relevance = cell.h * head.kernel[:, 0]
        found = propagate(Network([lstm, head], 4, 2), X, rule=rule, epsilon=0)
        for t in range(4):
            decay = np.prod(cell.f[t + 1 :], axis=0) if rule == "arras-decay" else 1.0
            R_g = cell.i[t] * cell.g[t] * decay * relevance / cell.c[-1]
            for d in range(2):
                expected = (lstm.kernel[d, 6:9] / cell.z_g[t] * R_g).sum()
                assert found.loadings[0, t, d] == pytest.approx(expected, rel=1e-11)

    def test_the_gap_of_rudder_is_what_forget_gates_took(self, make):
        # Without recurrent weights and biases nothing but the missing forget gates is lost:
        # prediction - sum R = sum over units of w h (1 - sum_t i_t g_t / c_T).
        maker = make(8, biases=False)
        lstm, head = maker.lstm(2, 3), maker.dense(3, 1)
        lstm = LSTM(lstm.kernel, np.zeros((3, 12)), lstm.bias)
        X = maker.rng.normal(size=(1, 4, 2))
        found = propagate(Network([lstm, head], 4, 2), X, rule="rudder", epsilon=0)
        cell = Unrolled(lstm, X[0])
        share = np.sum([i * g for i, g in zip(cell.i, cell.g, strict=True)], axis=0) / cell.c[-1]
        gap = found.predictions.item() - (X * found.loadings).sum()
        assert gap == pytest.approx((cell.h * head.kernel[:, 0] * (1 - share)).sum(), rel=1e-10)
        assert abs(gap) > 1e-3

    def test_the_gap_of_the_decay_is_what_recurrent_weights_took(self, make):
        # R_g,t h_{t-1} U_g / z_g is dropped at each step.
        maker = make(9)
        lstm, head = maker.lstm(2, 3), maker.dense(3, 1)
        X = maker.rng.normal(size=(1, 4, 2))
        found = propagate(Network([lstm, head], 4, 2), X, rule="arras-decay", epsilon=0)
        cell = Unrolled(lstm, X[0])
        dropped = 0.0
        for t in range(1, 4):
            R_g = cell.i[t] * cell.g[t] * np.prod(cell.f[t + 1 :], axis=0) * cell.h * head.kernel[:, 0] / cell.c[-1]
            before = Unrolled(lstm, X[0, :t]).h
            dropped += (before @ lstm.recurrent_kernel[:, 6:9] / cell.z_g[t] * R_g).sum()
        gap = found.predictions.item() - (X * found.loadings).sum() - found.bias.item()
        assert gap == pytest.approx(dropped, rel=1e-10)
        assert abs(gap) > 1e-3


class TestProperties:
    def test_the_decay_equals_signal_take_all_without_recurrent_candidate_weights(self, make):
        maker = make(10)
        for direction in ("forward", "reversed", "concat"):
            network = maker.network(5, 3, [direction], ["tanh"])
            layer = network.layers[0]
            for lstm in (layer.forward, layer.backward) if direction == "concat" else (layer,):
                n = lstm.n_units
                recurrent = lstm.recurrent_kernel.copy()
                recurrent[:, 2 * n : 3 * n] = 0
                object.__setattr__(lstm, "recurrent_kernel", recurrent)
            X = maker.samples(4, network)
            ours = propagate(network, X, rule="arras-decay", epsilon=0)
            theirs = propagate(network, X, rule="lrp-all", epsilon=0)
            np.testing.assert_allclose(ours.loadings, theirs.loadings, rtol=1e-11)
            np.testing.assert_allclose(ours.bias, theirs.bias, rtol=1e-11)

    @pytest.mark.parametrize("rule", ["lrp-all", "lrp-half", "lrp-abs", "lrp-prop", "arras-decay", "rudder"])
    def test_a_planted_last_lag_lands_on_the_last_lag(self, rule):
        # The input gate opens on a clock that is 1 at the newest step alone.
        kernel, bias = gates_of(1, 2, i=0.0, f=0.9, o=1.0)
        kernel[1, 0], kernel[0, 2] = 1600.0, 0.8
        network = Network([LSTM(kernel, np.zeros((1, 4)), bias), Dense([[2.0]], [0.0])], 5, 2)
        X = np.random.default_rng(3).normal(size=(6, 5, 2))
        X[:, :, 1] = [0, 0, 0, 0, 1]
        values = X * propagate(network, X, rule=rule, epsilon=0).loadings
        np.testing.assert_array_equal(values[:, :-1], 0)
        assert (np.abs(values[:, -1]).sum(axis=1) > 1e-9).all()

    def test_gates_far_out_do_not_overflow(self):
        kernel = np.full((1, 4), 1e4)
        network = Network([LSTM(kernel, np.zeros((1, 4)), np.zeros(4)), Dense([[1.0]], [0.0])], 3, 1)
        for rule in ("lrp-all", "lrp-half", "lrp-abs", "arras-decay", "rudder"):
            found = propagate(network, np.array([[[1.0], [-1.0], [2.0]]]), rule=rule)
            assert np.isfinite(found.loadings).all()


class TestValidation:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (
                {"activation": "softplus"},
                "activation 'softplus' of LSTM 'cell' has no relevance rule. Supported: 'celu'",
            ),
            (
                {"recurrent_activation": "softmax"},
                "recurrent_activation 'softmax' of LSTM 'cell' has no relevance rule",
            ),
        ],
    )
    def test_activations_without_a_rule_are_refused(self, options, message):
        with pytest.raises(UnsupportedLayerError, match=message):
            LSTM(np.ones((3, 8)), np.ones((2, 8)), np.zeros(8), name="cell", **options)
        with pytest.raises(UnsupportedLayerError, match="of GRU has no relevance rule"):
            GRU(np.ones((3, 6)), np.ones((2, 6)), np.zeros((2, 6)), **options)
