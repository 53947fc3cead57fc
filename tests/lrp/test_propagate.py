import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.lrp import LSTM, Bidirectional, Dense, Flatten, Network, Relevance, predict, propagate

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)
EPSILONS = st.sampled_from([(0.0, "relative"), (1e-6, "relative"), (1e-3, "absolute")])
KINDS = ["lstm", "reversed", "concat", "sum", "ave"]

STRUCTURES = st.fixed_dictionaries(
    {
        "n_timesteps": st.integers(1, 6),
        "n_features": st.integers(1, 4),
        "recurrent": st.lists(st.sampled_from(KINDS), max_size=2),
        "dense": st.lists(st.sampled_from(["linear", "relu", "tanh", "elu"]), max_size=2),
        "lstm_options": st.fixed_dictionaries(
            {
                "activation": st.sampled_from(["tanh", "tanh", "linear", "relu", "elu"]),
                "recurrent_activation": st.sampled_from(["sigmoid", "hard_sigmoid"]),
            },
            optional={"return_sequences": st.just(True)},
        ),
    }
)


def residual(relevance, X):
    """Identity gap relative to the size of what is added up."""
    values = X * relevance.loadings
    parts = [relevance.bias, relevance.stabilizer, relevance.state]
    gap = relevance.predictions - values.sum((1, 2)) - sum(parts)
    size = np.abs(values).sum((1, 2)) + sum(np.abs(part) for part in parts)
    return np.abs(gap) / np.maximum(size, 1e-300)


def gates_of(n_units, n_features, *, i, f, o):
    """Kernel and bias of an LSTM with constant gates i, f, o and an open candidate part."""
    kernel = np.zeros((n_features, 4 * n_units))
    bias = np.zeros(4 * n_units)
    for position, value in ((0, i), (1, f), (3, o)):
        with np.errstate(divide="ignore"):
            logit = np.log(value) - np.log1p(-value)
        bias[position * n_units : (position + 1) * n_units] = np.clip(logit, -800, 800)
    return kernel, bias


class TestReferenceValues:
    @QUICK
    @given(seed=SEEDS, structure=STRUCTURES, epsilon=EPSILONS, zeros=st.sampled_from([0.0, 0.3]))
    def test_relevances_equal_the_literal_oracle(self, make, explain_literally, seed, structure, epsilon, zeros):
        maker = make(seed)
        network = maker.network(**structure)
        X = maker.samples(2, network, zeros=zeros)
        size, mode = epsilon
        found = propagate(network, X, epsilon=size, epsilon_mode=mode)
        predictions, values, bias, stabilizer = explain_literally(network, X, size, mode)
        scale = 1 + np.abs(values).sum() + np.abs(bias).sum() + np.abs(stabilizer).sum()
        for ours, theirs in (
            (found.predictions, predictions),
            (X * found.loadings, values),
            (found.bias, bias),
            (found.stabilizer, stabilizer),
        ):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10 * scale)
        np.testing.assert_allclose(predict(network, X), predictions, rtol=1e-10, atol=1e-12)

    def test_time_distributed_dense_between_recurrent_layers_equals_the_oracle(self, make, explain_literally):
        maker = make(3)
        layers = [
            maker.dense(3, 2, "tanh"),
            maker.bidirectional(2, 2, return_sequences=True),
            maker.dense(4, 3, "relu"),
            Flatten(),
            maker.dense(12, 2, "elu"),
            Flatten(),
            maker.dense(2, 1, "tanh"),
        ]
        network = Network(layers, n_timesteps=4, n_features=3)
        X = maker.samples(3, network)
        found = propagate(network, X, epsilon=0.05)
        predictions, values, bias, stabilizer = explain_literally(network, X, 0.05, "relative")
        np.testing.assert_allclose(found.predictions, predictions, rtol=1e-12)
        np.testing.assert_allclose(X * found.loadings, values, rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(found.bias, bias, rtol=1e-9)
        np.testing.assert_allclose(found.stabilizer, stabilizer, rtol=1e-9)

    def test_constant_gates_and_linear_candidate_give_the_product_of_forget_gates(self):
        # One feature opens the forget gate differently at each step; loadings of the other are
        # W_g * i * (f_{t+1} ... f_T) * o * w: a step's own forget gate never appears.
        kernel, bias = gates_of(2, 2, i=0.8, f=0.5, o=0.6)
        kernel[1, 2:4] = 1.0  # forget gates of both units read the second feature
        kernel[0, 4:6] = [1.5, -2.0]
        head = np.array([[3.0], [0.5]])
        network = Network(
            [LSTM(kernel, np.zeros((2, 8)), bias, activation="linear"), Dense(head, np.zeros(1))],
            n_timesteps=4,
            n_features=2,
        )
        X = np.random.default_rng(0).normal(size=(3, 4, 2))
        f = 1 / (1 + np.exp(-X[:, :, 1]))
        later = np.stack([f[:, t + 1 :].prod(axis=1) for t in range(4)], axis=1)
        found = propagate(network, X, epsilon=0)
        expected = later * 0.8 * 0.6 * (1.5 * 3.0 - 2.0 * 0.5)
        np.testing.assert_allclose(found.loadings[:, :, 0], expected, rtol=1e-12)
        np.testing.assert_array_equal(found.loadings[:, :, 1], 0)

    @pytest.mark.parametrize(("go_backwards", "position"), [(False, -1), (True, 0)])
    def test_a_cell_that_forgets_explains_only_the_step_that_it_read_last(self, go_backwards, position):
        kernel, bias = gates_of(1, 2, i=1.0, f=0.0, o=1.0)
        kernel[:, 2] = [0.7, -0.4]
        lstm = LSTM(kernel, np.zeros((1, 4)), bias, go_backwards=go_backwards)
        network = Network([lstm, Dense(np.ones((1, 1)), np.zeros(1))], 5, 2)
        X = np.random.default_rng(1).normal(size=(4, 5, 2))
        loadings = propagate(network, X, epsilon=0).loadings.copy()
        assert (np.abs(loadings[:, position]) > 0.01).all()
        loadings[:, position] = 0
        np.testing.assert_array_equal(loadings, 0)

    def test_a_cell_that_opens_once_explains_only_the_oldest_step(self):
        # The second feature is a clock that is 1 at the oldest step and 0 later.
        kernel, bias = gates_of(1, 2, i=0.0, f=1.0, o=1.0)
        kernel[1, 0] = 1600.0  # opens the input gate, from -800 to +800
        kernel[0, 2] = 2.0
        lstm = LSTM(kernel, np.zeros((1, 4)), bias)
        network = Network([lstm, Dense(np.ones((1, 1)), np.zeros(1))], 5, 2)
        X = np.random.default_rng(2).normal(size=(4, 5, 2))
        X[:, :, 1] = [1, 0, 0, 0, 0]
        found = propagate(network, X, epsilon=0)
        np.testing.assert_array_equal(found.loadings[:, 1:], 0)
        np.testing.assert_allclose(X[:, 0, 0] * found.loadings[:, 0, 0], found.predictions)

    def test_dense_layers_of_relus_give_the_gradient(self, make):
        maker = make(4)
        network = maker.network(3, 2, dense=["relu", "relu"])
        X = maker.samples(5, network)
        found = propagate(network, X, epsilon=0)
        step = 1e-6
        for t in range(3):
            for d in range(2):
                up, down = X.copy(), X.copy()
                up[:, t, d] += step
                down[:, t, d] -= step
                slope = (predict(network, up) - predict(network, down)) / (2 * step)
                np.testing.assert_allclose(found.loadings[:, t, d], slope, atol=1e-7)

    def test_loadings_are_the_slopes_of_the_network_with_frozen_gates(self, make):
        maker = make(5)
        lstm, head = maker.lstm(3, 4), maker.dense(4, 1)
        network = Network([lstm, head], n_timesteps=4, n_features=3)
        X = maker.samples(1, network)
        n = lstm.n_units

        def run(x, frozen=None):
            """Forward pass; with gates and quotients of another pass it is linear in x."""
            h, c, kept = np.zeros(n), np.zeros(n), []
            for t, xt in enumerate(x):
                z = xt @ lstm.kernel + h @ lstm.recurrent_kernel + lstm.bias
                zg = z[2 * n : 3 * n]
                if frozen is None:
                    i, f, _, o = (1 / (1 + np.exp(-z[k * n : (k + 1) * n])) for k in range(4))
                    rho = np.tanh(zg) / zg
                    c = f * c + i * rho * zg
                    kept.append((i, f, o, rho, np.tanh(c) / c))
                else:
                    i, f, _, rho, _ = frozen[t]
                    c = f * c + i * rho * zg
                _, _, o, _, rho_c = (kept if frozen is None else frozen)[t]
                h = o * rho_c * c
            return (h @ head.kernel + head.bias).item(), kept

        prediction, frozen = run(X[0])
        found = propagate(network, X, epsilon=0)
        assert prediction == pytest.approx(found.predictions.item(), rel=1e-12)
        for t in range(4):
            for d in range(3):
                moved = X[0].copy()
                moved[t, d] += 1.0
                slope = run(moved, frozen)[0] - prediction
                assert slope == pytest.approx(found.loadings[0, t, d], rel=1e-10, abs=1e-13)

    @pytest.mark.parametrize("merge_mode", ["concat", "sum", "ave"])
    def test_bidirectional_equals_two_manual_directions(self, make, merge_mode):
        maker = make(6)
        both = maker.bidirectional(3, 2, merge_mode)
        head = maker.dense(both.n_units, 1)
        X = maker.rng.normal(size=(5, 4, 3))
        found = propagate(Network([both, head], 4, 3), X)
        weight = 0.5 if merge_mode == "ave" else 1.0
        kernels = np.split(head.kernel, 2) if merge_mode == "concat" else [weight * head.kernel] * 2
        loadings = predictions = 0
        for lstm, kernel in zip((both.forward, both.backward), kernels, strict=True):
            # A linear head shrinks every message by the same z / (z + eps s), so it is left out.
            one = propagate(Network([lstm, Dense(kernel, np.zeros(1))], 4, 3), X, epsilon=1e-6)
            loadings = loadings + one.loadings
            predictions = predictions + one.predictions
        np.testing.assert_allclose(found.predictions, predictions + head.bias, rtol=1e-12)
        np.testing.assert_allclose(found.loadings, loadings, rtol=1e-9, atol=1e-14)

    def test_float32_agrees_with_float64(self, make):
        maker = make(7)
        network = maker.network(5, 4, ["concat", "lstm"], ["tanh"])
        X = maker.samples(20, network)
        single, double = propagate(network, X, dtype="float32"), propagate(network, X)
        assert single.loadings.dtype == single.predictions.dtype == single.bias.dtype == np.float32
        np.testing.assert_allclose(single.predictions, double.predictions, atol=1e-5)
        np.testing.assert_allclose(single.loadings, double.loadings, atol=1e-4)
        assert predict(network, X, dtype=np.float32).dtype == np.float32


class TestProperties:
    @QUICK
    @given(seed=SEEDS, structure=STRUCTURES, epsilon=EPSILONS)
    def test_the_parts_add_up_to_the_prediction(self, make, seed, structure, epsilon):
        maker = make(seed)
        network = maker.network(**structure)
        X = maker.samples(6, network, zeros=0.2)
        found = propagate(network, X, epsilon=epsilon[0], epsilon_mode=epsilon[1])
        assert residual(found, X).max() < 1e-12

    @QUICK
    @given(seed=SEEDS, structure=STRUCTURES)
    def test_without_biases_and_stabilizer_relevances_sum_to_the_prediction(self, make, seed, structure):
        maker = make(seed, biases=False)
        network = maker.network(**structure)
        X = maker.samples(4, network)
        found = propagate(network, X, epsilon=0)
        values = X * found.loadings
        gap = np.abs(values.sum((1, 2)) - found.predictions)
        assert (gap <= 1e-12 * (np.abs(values).sum((1, 2)) + 1e-300)).all()
        for part in (found.bias, found.stabilizer, found.state):
            np.testing.assert_array_equal(part, 0)

    @pytest.mark.parametrize("epsilon", [0.0, 1e-6, 0.1])
    @pytest.mark.parametrize("biases", [False, True])
    def test_zero_input_is_finite_and_conserved(self, make, epsilon, biases):
        maker = make(8, biases=biases)
        network = maker.network(4, 3, ["concat", "lstm"], ["relu", "elu", "tanh"])
        X = np.zeros((2, 4, 3))
        X[1, 2, 1] = 1.0
        found = propagate(network, X, epsilon=epsilon)
        assert np.isfinite(found.loadings).all()
        np.testing.assert_allclose(
            found.bias + found.stabilizer + (X * found.loadings).sum((1, 2)),
            found.predictions,
            rtol=1e-12,
        )

    @pytest.mark.parametrize("epsilon", [0.0, 1e-6])
    def test_where_every_z_is_zero_each_quotient_takes_its_limit(self, make, epsilon):
        network = make(16, biases=False).network(4, 3, ["concat", "lstm"], ["tanh", "elu"])
        zero, tiny = np.zeros((1, 4, 3)), np.full((1, 4, 3), 1e-9)
        at_zero = propagate(network, zero, epsilon=epsilon)
        assert at_zero.predictions == at_zero.bias == at_zero.stabilizer == 0
        assert np.abs(at_zero.loadings).min() > 1e-6
        near = propagate(network, tiny, epsilon=0).loadings
        np.testing.assert_allclose(at_zero.loadings, near, rtol=1e-6)

    def test_loading_of_a_zero_input_is_the_limit_of_small_inputs(self, make):
        maker = make(9)
        network = maker.network(4, 3, ["concat"], ["tanh"])
        X = maker.samples(3, network)
        X[:, 1, 2] = 0.0
        near = X.copy()
        near[:, 1, 2] = 1e-10
        at_zero, close = propagate(network, X).loadings, propagate(network, near).loadings
        assert (np.abs(at_zero[:, 1, 2]) > 1e-4).all()
        np.testing.assert_allclose(at_zero, close, rtol=1e-7)

    @pytest.mark.parametrize("mode", ["relative", "absolute"])
    def test_an_explanation_does_not_depend_on_its_neighbours(self, make, mode):
        maker = make(10)
        network = maker.network(5, 3, ["concat", "lstm"], ["relu"])
        X = maker.samples(7, network) * np.logspace(-3, 3, 7)[:, np.newaxis, np.newaxis]
        together = propagate(network, X, epsilon=0.01, epsilon_mode=mode)
        for row in range(7):
            alone = propagate(network, X[[row]], epsilon=0.01, epsilon_mode=mode)
            for name in ("predictions", "loadings", "bias", "stabilizer"):
                np.testing.assert_allclose(
                    getattr(alone, name)[0], getattr(together, name)[row], rtol=1e-11, atol=1e-14
                )

    def test_threads_change_nothing_and_chunks_only_rounding(self, make):
        maker = make(11)
        network = maker.network(3, 4, ["concat"], ["tanh"])
        X = maker.samples(103, network)
        whole = propagate(network, X, chunk_size=1000, n_threads=1)
        one = propagate(network, X, chunk_size=10, n_threads=1)
        four = propagate(network, X, chunk_size=10, n_threads=4)
        for name in ("predictions", "loadings", "bias", "stabilizer", "state"):
            np.testing.assert_array_equal(getattr(one, name), getattr(four, name))
            np.testing.assert_allclose(getattr(one, name), getattr(whole, name), rtol=1e-12, atol=1e-15)
        np.testing.assert_array_equal(predict(network, X, chunk_size=10), one.predictions)

    def test_relative_stabilizer_follows_the_scale_of_the_output(self, make):
        # Returns of 0.01 must not be eaten where returns of 1 are not.
        maker = make(12, biases=False)
        network = maker.network(3, 2, dense=["relu"])
        X = maker.samples(5, network)
        small = propagate(network, X * 1e-4, epsilon=0.1).loadings
        np.testing.assert_allclose(small, propagate(network, X, epsilon=0.1).loadings, rtol=1e-10)

    def test_a_larger_stabilizer_keeps_more(self, make):
        maker = make(13, biases=False)
        network = maker.network(3, 2, ["lstm"])
        X = maker.samples(20, network)
        kept = [
            np.abs(propagate(network, X, epsilon=epsilon).stabilizer / predict(network, X)).mean()
            for epsilon in (0, 1e-6, 1e-3, 1e-1)
        ]
        assert kept[0] == 0
        assert kept == sorted(kept)
        assert kept[1] < 1e-5 < 1e-2 < kept[3]

    def test_input_is_not_modified_and_results_are_read_only(self, make):
        maker = make(14)
        network = maker.network(3, 2, ["lstm"])
        X = maker.samples(4, network)
        before = X.copy()
        found = propagate(network, X)
        np.testing.assert_array_equal(X, before)
        assert isinstance(found, Relevance)
        for name in ("predictions", "loadings", "bias", "stabilizer", "state"):
            assert not getattr(found, name).flags.writeable

    def test_integers_are_read_as_floats_and_no_samples_give_empty_results(self, make):
        network = make(15).network(2, 2, ["lstm"])
        X = np.arange(8).reshape(2, 2, 2)
        np.testing.assert_array_equal(predict(network, X), predict(network, X.astype(float)))
        nothing = propagate(network, np.empty((0, 2, 2)))
        assert nothing.loadings.shape == (0, 2, 2)
        assert nothing.predictions.shape == (0,)

    def test_gates_far_out_do_not_overflow(self, make):
        kernel = np.full((1, 4), 1e4)
        lstm = Bidirectional(LSTM(kernel, np.zeros((1, 4)), np.zeros(4)), LSTM(-kernel, np.zeros((1, 4)), np.zeros(4)))
        network = Network([lstm, Dense(np.ones((2, 1)), np.zeros(1))], 3, 1)
        found = propagate(network, np.array([[[1.0], [-1.0], [2.0]]]))
        assert np.isfinite(found.loadings).all()


class TestValidation:
    @pytest.fixture
    def network(self):
        return Network([Flatten(), Dense(np.ones((4, 1)), np.zeros(1))], 2, 2)

    @pytest.mark.parametrize("function", [predict, propagate])
    @pytest.mark.parametrize("shape", [(3, 4), (3, 2, 3), (3, 1, 2), (2, 2)])
    def test_misshapen_samples_are_refused(self, network, function, shape):
        with pytest.raises(PanelError, match=r"X must have shape \(n_samples, 2, 2\).*reshape"):
            function(network, np.zeros(shape))

    @pytest.mark.parametrize("function", [predict, propagate])
    def test_missing_values_are_refused_and_counted(self, network, function):
        X = np.zeros((3, 2, 2))
        X[1, 0], X[2, 1, 1] = np.nan, np.inf
        with pytest.raises(NonFiniteError, match="Got 3 NaN or infinite values in 2 of 3 samples"):
            function(network, X)

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"dtype": "int64"}, "'dtype' must be float32 or float64. Got int64"),
            ({"dtype": "float16"}, "'dtype' must be float32 or float64. Got float16"),
            ({"chunk_size": 0}, "'chunk_size' must be an integer >= 1. Got 0"),
            ({"chunk_size": 2.5}, "'chunk_size' must be an integer >= 1. Got 2.5"),
            ({"n_threads": -1}, "'n_threads' must be an integer >= 1. Got -1. None uses all"),
            ({"n_threads": True}, "'n_threads' must be an integer >= 1. Got True"),
        ],
    )
    @pytest.mark.parametrize("function", [predict, propagate])
    def test_parameters_out_of_range_are_refused(self, network, function, parameters, message):
        with pytest.raises(ValueError, match=message):
            function(network, np.zeros((1, 2, 2)), **parameters)

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"rule": "lrp-some"}, "'rule' must be one of 'lrp-all'. Got 'lrp-some'"),
            ({"epsilon": -1e-6}, "'epsilon' must be a finite number >= 0. Got -1e-06"),
            ({"epsilon": np.nan}, "'epsilon' must be a finite number >= 0. Got nan"),
            ({"epsilon": np.inf}, "'epsilon' must be a finite number >= 0. Got inf"),
            ({"epsilon": "small"}, "'epsilon' must be a finite number >= 0. Got 'small'"),
            (
                {"epsilon_mode": "batch"},
                "'epsilon_mode' must be one of 'absolute', 'relative'. Got 'batch'",
            ),
        ],
    )
    def test_rules_out_of_range_are_refused(self, network, parameters, message):
        with pytest.raises(ValueError, match=message):
            propagate(network, np.zeros((1, 2, 2)), **parameters)
