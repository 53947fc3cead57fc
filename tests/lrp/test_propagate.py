import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.lrp import Dense, Flatten, Network, Relevance, predict, propagate

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)
PARTS = ("predictions", "loadings", "bias", "stabilizer", "state")
CELLS = ("lstm", "gru", "gru-before", "rnn", "additive")
DIRECTIONS = ("forward", "reversed", "concat", "sum", "ave")
KINDS = ("normal", "constant", "large", "zero", "padding")
EPSILONS = ((0.0, "relative"), (1e-6, "relative"), (1e-2, "relative"), (1e-3, "absolute"), (1e-2, "absolute"))
BELOW = ((), ("mask",), ("scale",), ("norm",), ("tanh",), ("activation/relu",), ("mask", "elu", "norm"))


def any_network(make, seed, *, biases=True):
    """A small network, samples, and options, all from one number."""
    maker = make(seed, biases=biases, gate_bias=(1.0, 30.0)[seed % 2])
    pick = maker.rng.integers
    recurrent = [f"{CELLS[pick(5)]}/{DIRECTIONS[pick(5)]}" for _ in range(pick(3))]
    dense = [("linear", "relu", "tanh", "elu")[pick(4)] for _ in range(pick(2))]
    options = {"return_sequences": True} if pick(2) else {}
    bridge, below = ("flatten", "last", "mean")[pick(3)], BELOW[pick(len(BELOW))]
    if seed % 10 == 0:
        network = maker.graph(maker.graphs[pick(len(maker.graphs))])
    else:
        network = maker.network(int(pick(1, 5)), int(pick(1, 4)), recurrent, dense, options, below, bridge)
    X = maker.samples(2, network, (0.0, 0.3)[pick(2)], KINDS[pick(5)])
    epsilon, mode = EPSILONS[pick(5)]
    return network, X, {"epsilon": epsilon, "epsilon_mode": mode}


class TestReferenceValues:
    def test_dense_layers_of_relus_give_the_gradient(self, make):
        maker = make(4)
        network = maker.network(3, 2, dense=["relu", "relu"])
        X = maker.samples(5, network)
        found = propagate(network, X, epsilon=0)
        step = 1e-6
        for t, d in np.ndindex(3, 2):
            up, down = X.copy(), X.copy()
            up[:, t, d] += step
            down[:, t, d] -= step
            slope = (predict(network, up) - predict(network, down)) / (2 * step)
            np.testing.assert_allclose(found.loadings[:, t, d], slope, atol=1e-7)

    def test_time_distributed_dense_between_recurrent_layers_equals_the_oracle(self, make, check_against_the_oracle):
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
        check_against_the_oracle(network, maker.samples(3, network), epsilon=0.05)

    def test_random_networks_equal_the_literal_oracle(self, make, check_against_the_oracle):
        for seed in range(1, 120):
            network, X, options = any_network(make, seed)
            if not np.isclose(np.abs(X), 0).all() and np.abs(X).max() < 20:  # see the tests of the cells
                check_against_the_oracle(network, X, "lrp-half" if seed % 3 else "lrp-all", **options)

    @pytest.mark.parametrize(("dtype", "loading_gap"), [("float32", 1e-4), (np.float32, 1e-4)])
    @pytest.mark.parametrize("cell", CELLS)
    def test_float32_agrees_with_float64(self, make, cell, dtype, loading_gap):
        maker = make(7)
        network = maker.network(5, 4, [f"{cell}/concat", cell], ["tanh"])
        X = maker.samples(20, network)
        single, double = propagate(network, X, dtype=dtype), propagate(network, X)
        for name in PARTS:
            assert getattr(single, name).dtype == np.float32
            assert getattr(double, name).dtype == np.float64
            np.testing.assert_allclose(getattr(single, name), getattr(double, name), atol=loading_gap)
        np.testing.assert_allclose(single.predictions, double.predictions, atol=1e-5)
        assert predict(network, X, dtype=dtype).dtype == np.float32


class TestProperties:
    @pytest.mark.parametrize("rule", ["lrp-all", "lrp-half", "lrp-abs"])
    def test_the_parts_add_up_to_the_prediction_in_more_than_a_thousand_networks(self, make, residual, rule):
        offset = {"lrp-all": 0, "lrp-half": 400, "lrp-abs": 800}[rule]
        for seed in range(offset, offset + 400):
            network, X, options = any_network(make, seed)
            found = propagate(network, X, rule=rule, n_threads=1, **options)
            assert residual(found, X).max() <= 1e-12, f"seed {seed}: {network}"
            assert found.offsets is None

    def test_the_shares_of_the_proportional_rule_add_up_where_none_is_large(self, make, residual):
        checked = 0
        for seed in range(200):
            network, X, options = any_network(make, seed)
            found = propagate(network, X, rule="lrp-prop", n_threads=1, **options)
            moderate = np.abs(found.loadings).max() < 1e3
            if moderate:
                checked += 1
                assert residual(found, X).max() <= 1e-11, f"seed {seed}: {network}"
        assert checked > 150

    @pytest.mark.parametrize("rule", ["lrp-all", "lrp-half", "lrp-abs"])
    def test_a_bias_factor_of_one_hands_everything_to_inputs_and_states(self, make, residual, rule):
        for seed in range(150):
            network, X, options = any_network(make, seed)
            found = propagate(network, X, rule=rule, bias_factor=1, n_threads=1, **options)
            assert residual(found, X).max() <= 1e-10, f"seed {seed}: {network}"
            np.testing.assert_array_equal(found.bias, 0)

    def test_without_biases_and_stabilizer_relevances_sum_to_the_prediction(self, make):
        for seed in range(150):
            network, X, _ = any_network(make, seed, biases=False)
            found = propagate(network, X, epsilon=0, n_threads=1)
            values = X * found.loadings
            gap = np.abs(values.sum((1, 2)) - found.predictions)
            assert (gap <= 1e-12 * (np.abs(values).sum((1, 2)) + 1e-290)).all(), f"seed {seed}: {network}"
            for part in (found.bias, found.stabilizer, found.state):
                np.testing.assert_array_equal(part, 0)

    @QUICK
    @given(seed=SEEDS)
    def test_explaining_and_predicting_agree(self, make, seed):
        network, X, options = any_network(make, seed)
        np.testing.assert_array_equal(propagate(network, X, **options).predictions, predict(network, X))

    @pytest.mark.parametrize("epsilon", [0.0, 1e-6, 0.1])
    @pytest.mark.parametrize("biases", [False, True])
    def test_zero_input_is_finite_and_conserved(self, make, epsilon, biases):
        maker = make(8, biases=biases)
        for cell in CELLS:
            network = maker.network(4, 3, [f"{cell}/concat", cell], ["relu", "elu", "tanh"])
            X = np.zeros((2, 4, 3))
            X[1, 2, 1] = 1.0
            found = propagate(network, X, epsilon=epsilon)
            assert np.isfinite(found.loadings).all()
            parts = found.bias + found.stabilizer + (X * found.loadings).sum((1, 2))
            np.testing.assert_allclose(parts, found.predictions, rtol=1e-12, atol=1e-15)

    @pytest.mark.parametrize("epsilon", [0.0, 1e-6])
    @pytest.mark.parametrize("cell", CELLS)
    def test_where_every_z_is_zero_each_quotient_takes_its_limit(self, make, epsilon, cell):
        network = make(16, biases=False).network(4, 3, [f"{cell}/concat", cell], ["tanh", "elu"])
        zero, tiny = np.zeros((1, 4, 3)), np.full((1, 4, 3), 1e-9)
        at_zero = propagate(network, zero, epsilon=epsilon)
        assert at_zero.predictions == at_zero.bias == at_zero.stabilizer == 0
        assert np.abs(at_zero.loadings).min() > 1e-8
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

    @pytest.mark.parametrize("rule", ["lrp-all", "lrp-half", "arras-decay", "rudder"])
    @pytest.mark.parametrize("mode", ["relative", "absolute"])
    def test_an_explanation_does_not_depend_on_its_neighbours(self, make, mode, rule):
        maker = make(10)
        network = maker.network(5, 3, ["concat", "additive"], ["relu"], below=["mask"])
        X = maker.samples(7, network, kind="padding") * np.logspace(-3, 3, 7)[:, np.newaxis, np.newaxis]
        together = propagate(network, X, rule=rule, epsilon=0.01, epsilon_mode=mode)
        for row in range(7):
            alone = propagate(network, X[[row]], rule=rule, epsilon=0.01, epsilon_mode=mode)
            for name in PARTS:
                ours, theirs = getattr(alone, name)[0], getattr(together, name)[row]
                np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-14)

    @pytest.mark.parametrize("rule", ["lrp-all", "lrp-abs"])
    @pytest.mark.parametrize("cell", CELLS)
    def test_threads_change_nothing_and_chunks_only_rounding(self, make, cell, rule):
        maker = make(11)
        network = maker.network(3, 4, [f"{cell}/concat"], ["tanh"], below=["mask"])
        X = maker.samples(103, network, kind="padding")
        for options in ({}, {"bias_factor": 1}):
            whole = propagate(network, X, rule=rule, chunk_size=1000, n_threads=1, **options)
            one = propagate(network, X, rule=rule, chunk_size=10, n_threads=1, **options)
            four = propagate(network, X, rule=rule, chunk_size=10, n_threads=4, **options)
            for name in (*PARTS, *["offsets"] * len(options)):
                np.testing.assert_array_equal(getattr(one, name), getattr(four, name))
                np.testing.assert_allclose(getattr(one, name), getattr(whole, name), rtol=1e-9, atol=1e-13)
            np.testing.assert_array_equal(predict(network, X, chunk_size=10), one.predictions)

    def test_relative_stabilizer_follows_the_scale_of_the_output(self, make):
        # Returns of 0.01 must not be eaten where returns of 1 are not.
        maker = make(12, biases=False)
        network = maker.network(3, 2, dense=["relu"])
        X = maker.samples(5, network)
        small = propagate(network, X * 1e-4, epsilon=0.1).loadings
        np.testing.assert_allclose(small, propagate(network, X, epsilon=0.1).loadings, rtol=1e-10)

    @pytest.mark.parametrize("cell", CELLS)
    def test_a_larger_stabilizer_keeps_more(self, make, cell):
        maker = make(13, biases=False)
        network = maker.network(3, 2, [cell])
        X = maker.samples(20, network)
        kept = [
            np.median(np.abs(propagate(network, X, epsilon=epsilon).stabilizer / predict(network, X)))
            for epsilon in (0, 1e-6, 1e-3, 1e-1)
        ]
        assert kept[0] == 0
        assert kept == sorted(kept)
        assert kept[1] < 1e-4 < 1e-3 < kept[3]

    def test_input_is_not_modified_and_results_are_read_only(self, make):
        maker = make(14)
        network = maker.network(3, 2, ["lstm"], below=["mask"])
        X = maker.samples(4, network, kind="padding")
        before = X.copy()
        found = propagate(network, X, rule="lrp-half", bias_factor=1)
        np.testing.assert_array_equal(X, before)
        assert isinstance(found, Relevance)
        for name in (*PARTS, "offsets"):
            assert not getattr(found, name).flags.writeable

    def test_integers_are_read_as_floats_and_no_samples_give_empty_results(self, make):
        network = make(15).network(2, 2, ["lstm"])
        X = np.arange(8).reshape(2, 2, 2)
        np.testing.assert_array_equal(predict(network, X), predict(network, X.astype(float)))
        nothing = propagate(network, np.empty((0, 2, 2)))
        assert nothing.loadings.shape == (0, 2, 2)
        assert nothing.predictions.shape == (0,)


class TestValidation:
    @pytest.fixture
    def network(self):
        return Network([Flatten(), Dense(np.ones((4, 1)), np.zeros(1))], 2, 2)

    @pytest.mark.parametrize("function", [predict, propagate])
    @pytest.mark.parametrize("shape", [(3, 4), (3, 2, 3), (3, 1, 2), (2, 2)])
    def test_misshapen_samples_are_refused(self, network, function, shape):
        with pytest.raises(PanelError, match=r"X must have shape \(n_samples, 2, 2\).*[Rr]eshape"):
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
            ({"n_threads": -1}, "'n_threads' must be an integer >= 1. Got -1. None uses the usable"),
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
            ({"rule": "lrp-some"}, "'rule' must be one of 'lrp-all', .* Got 'lrp-some'"),
            ({"epsilon": -1e-6}, "'epsilon' must be a finite number >= 0. Got -1e-06"),
            ({"epsilon": np.nan}, "'epsilon' must be a finite number >= 0. Got nan"),
            ({"epsilon_mode": "batch"}, "'epsilon_mode' must be one of 'absolute', 'relative'. Got 'batch'"),
            ({"bias_factor": 2}, "'bias_factor' must be 0 or 1. Got 2"),
            ({"sequence": "all"}, "'sequence' must be one of 'full', 'last', 'mean'. Got 'all'"),
        ],
    )
    def test_rules_out_of_range_are_refused(self, network, parameters, message):
        with pytest.raises(ValueError, match=message):
            propagate(network, np.zeros((1, 2, 2)), **parameters)
