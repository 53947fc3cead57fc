import pickle

import numpy as np
import pytest

from skdrfm.exceptions import NonFiniteError, UnsupportedLayerError
from skdrfm.lrp import GRU, LSTM, Activation, Add, Bidirectional, Concatenate, Dense, Flatten, Masking, Network, predict


def dense(n_in, n_units, activation="linear", name=""):
    return Dense(np.ones((n_in, n_units)), np.zeros(n_units), activation, name)


def lstm(n_in, n_units, **options):
    return LSTM(np.ones((n_in, 4 * n_units)), np.ones((n_units, 4 * n_units)), np.zeros(4 * n_units), **options)


class TestReferenceValues:
    def test_one_lstm_step_follows_the_gate_order_of_keras(self):
        i, f, g, o = 0.3, -0.2, 0.7, 1.1
        layer = LSTM(np.zeros((1, 4)), np.zeros((1, 4)), np.array([i, f, g, o]))
        network = Network([layer, dense(1, 1)], n_timesteps=2, n_features=1)

        def sigmoid(z):
            return 1 / (1 + np.exp(-z))

        c = sigmoid(i) * np.tanh(g)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        expected = sigmoid(o) * np.tanh(c)
        assert predict(network, np.zeros((1, 2, 1))).item() == pytest.approx(expected, rel=1e-14)

    def test_hard_sigmoid_is_that_of_keras_3(self):
        bias = np.array([100.0, 0.0, 1.0, 1.5])
        layer = LSTM(np.zeros((1, 4)), np.zeros((1, 4)), bias, "linear", recurrent_activation="hard_sigmoid")
        network = Network([layer, dense(1, 1)], n_timesteps=1, n_features=1)
        assert predict(network, np.zeros((1, 1, 1))).item() == pytest.approx(0.75, rel=1e-14)

    def test_flatten_puts_the_oldest_step_first(self):
        network = Network([Flatten(), Dense([[1.0], [10.0], [100.0], [1000.0]], [0.0])], 2, 2)
        assert predict(network, [[[1, 2], [3, 4]]]).item() == 4321

    def test_units_of_a_merged_layer(self):
        one = lstm(3, 2)
        assert Bidirectional(one, one).n_units == 4
        assert Bidirectional(one, one, "sum").n_units == Bidirectional(one, one, "ave").n_units == 2

    def test_sources_are_positions_or_pairs_of_a_position_and_an_output(self):
        layers = [lstm(3, 2, return_state=True), lstm(3, 2), dense(2, 1)]
        network = Network(layers, 4, 3, sources=[(-1,), (-1, (0, 1), [0, 2]), (1,)])
        assert network.sources == (((-1, 0),), ((-1, 0), (0, 1), (0, 2)), ((1, 0),))
        assert network.reads(1) == network.sources[1]
        assert network.n_outputs == (3, 1, 1)

    def test_a_chain_reads_the_layer_before(self):
        network = Network([Flatten(), dense(6, 2), dense(2, 1)], 2, 3)
        assert network.sources == (((-1, 0),), ((0, 0),), ((1, 0),))


class TestProperties:
    def test_weights_are_read_only_copies_in_double_precision(self):
        kernel = np.ones((2, 3), dtype=np.float32)
        layer = Dense(kernel, np.zeros(3, dtype=np.float32))
        kernel[:] = 7
        assert layer.kernel.dtype == layer.bias.dtype == np.float64
        assert (layer.kernel == 1).all()
        with pytest.raises(ValueError, match="read-only"):
            layer.kernel[0, 0] = 2.0

    def test_the_backward_layer_always_reads_in_reversed_time(self):
        one = lstm(3, 2)
        assert Bidirectional(one, one).backward.go_backwards
        assert not one.go_backwards
        assert Bidirectional(one, lstm(3, 2, go_backwards=True)).backward.go_backwards

    def test_a_network_survives_pickling_and_shows_its_layers(self):
        network = Network([lstm(2, 3), dense(3, 1)], n_timesteps=4, n_features=2)
        again = pickle.loads(pickle.dumps(network))
        X = np.random.default_rng(0).normal(size=(3, 4, 2))
        np.testing.assert_array_equal(predict(again, X), predict(network, X))
        assert repr(again) == "Network(LSTM(3), Dense(1); n_timesteps=4, n_features=2)"


class TestValidation:
    @pytest.mark.parametrize(
        ("build", "message"),
        [
            (
                lambda: Dense(np.ones(3), np.zeros(3), name="head"),
                r"The kernel of Dense 'head' must have shape \(any, any\). Got \(3,\)",
            ),
            (
                lambda: Dense(np.ones((3, 2)), np.zeros(3)),
                r"The bias of Dense must have shape \(2,\). Got \(3,\).*get_weights",
            ),
            (
                lambda: Dense(np.ones((0, 2)), np.zeros(2)),
                r"The kernel of Dense must have shape \(any, any\). Got \(0, 2\)",
            ),
            (
                lambda: LSTM(np.ones((3, 8)), np.ones((2, 6)), np.zeros(8), name="cell"),
                r"recurrent_kernel of LSTM 'cell' must have shape \(2, 8\). Got \(2, 6\)",
            ),
            (
                lambda: LSTM(np.ones((3, 6)), np.ones((2, 8)), np.zeros(8)),
                r"The kernel of LSTM must have shape \(any, 8\). Got \(3, 6\)",
            ),
            (
                lambda: LSTM(np.ones((3, 8)), np.ones((2, 8)), np.zeros(4)),
                r"The bias of LSTM must have shape \(8,\). Got \(4,\)",
            ),
            (
                lambda: Bidirectional(lstm(3, 2), lstm(3, 1), name="both"),
                "two directions of Bidirectional 'both' must have the same n_units. Got 2 forward and 1",
            ),
            (
                lambda: Bidirectional(lstm(3, 2), lstm(4, 2)),
                "must have the same n_inputs. Got 3 forward and 4 backward",
            ),
            (
                lambda: Bidirectional(lstm(3, 2), lstm(3, 2, return_sequences=True)),
                "must have the same return_sequences. Got False forward and True",
            ),
            (
                lambda: Bidirectional(lstm(3, 2, go_backwards=True), lstm(3, 2)),
                "must read the oldest step first. Got go_backwards=True. Exchange",
            ),
            (
                lambda: Network([dense(3, 1)], 0, 3),
                "'n_timesteps' of a Network must be an integer >= 1. Got 0",
            ),
            (
                lambda: Network([dense(3, 1)], 2, 3.0),
                "'n_features' of a Network must be an integer >= 1. Got 3.0",
            ),
            (
                lambda: Network([Flatten(), dense(5, 1, name="head")], 2, 3),
                "Layer 1: Dense 'head' must read as many units as it is given. It reads 5 and gets an input",
            ),
            (
                lambda: Network([lstm(3, 2), lstm(2, 1)], 2, 3),
                "Layer 1: LSTM must read a sequence.*return_sequences=True",
            ),
        ],
    )
    def test_shapes_that_do_not_fit_are_refused(self, build, message):
        with pytest.raises(ValueError, match=message):
            build()

    @pytest.mark.parametrize(
        ("build", "message"),
        [
            (
                lambda: dense(3, 1, "sigmoid", name="head"),
                "activation 'sigmoid' of Dense 'head' has no relevance rule. Supported: 'celu', 'elu'",
            ),
            (
                lambda: lstm(3, 1, activation="softplus"),
                "activation 'softplus' of LSTM has no relevance rule",
            ),
            (
                lambda: lstm(3, 1, recurrent_activation="softmax"),
                "recurrent_activation 'softmax' of LSTM.*Supported: .*'sigmoid', 'softplus'",
            ),
            (
                lambda: Bidirectional(lstm(3, 1), lstm(3, 1), "mul"),
                "merge_mode 'mul' of Bidirectional has no relevance rule. Supported: 'ave', 'concat'",
            ),
            (
                lambda: Bidirectional(lstm(3, 1), dense(3, 1)),
                "backward layer of Bidirectional must be a recurrent record. Got Dense",
            ),
            (
                lambda: Network([object()], 2, 3),
                r"Layer 0 \(object\) has no relevance rule. Supported: the records of skdrfm.lrp",
            ),
            (
                lambda: Network([dense(3, 1)], 2, 3),
                r"must end in one output unit. Got an output of shape \(2, 1\) per sample",
            ),
            (
                lambda: Network([Flatten(), dense(6, 2)], 2, 3),
                r"must end in one output unit. Got an output of shape \(2,\) per sample",
            ),
            (
                lambda: Network([], 2, 3),
                r"must end in one output unit. Got an output of shape \(2, 3\) per sample",
            ),
            (
                lambda: Network([Flatten(), dense(6, 1)], 2, 3, output_activation="softmax"),
                "output_activation 'softmax' of Network has no relevance rule. Supported: 'linear', 'exponential'",
            ),
        ],
    )
    def test_layers_without_a_rule_are_refused(self, build, message):
        with pytest.raises(UnsupportedLayerError, match=message):
            build()

    @pytest.mark.parametrize(
        ("layers", "sources", "message"),
        [
            ([Flatten(), dense(6, 1)], [(-1,)], "'sources' must have one entry for each of 2 layers. Got 1"),
            (
                [Flatten(), dense(6, 1)],
                [(-1,), (1,)],
                r"Layer 1 must read the input \(-1\) or earlier layers. Got 1. Sort",
            ),
            ([Flatten(), dense(6, 1)], [(-1,), (-2,)], "must read the input.*Got -2"),
            (
                [lstm(3, 2, name="encoder"), lstm(3, 2, name="decoder")],
                [(-1,), (-1, (0, 1), (0, 2))],
                r"Layer 1, LSTM 'decoder', must read existing outputs. Got \[\(0, 1\), \(0, 2\)\]",
            ),
        ],
    )
    def test_sources_that_do_not_exist_are_refused(self, layers, sources, message):
        with pytest.raises(ValueError, match=message):
            Network(layers, 2, 3, sources)

    @pytest.mark.parametrize("merge", [Add(name="join"), Concatenate(name="join")])
    @pytest.mark.parametrize(
        "between",
        [
            [],
            [dense(2, 2)],
            [Activation("tanh"), dense(2, 2)],
            [lstm(2, 2, return_sequences=True)],
            [Bidirectional(*[lstm(2, 2, return_sequences=True)] * 2, "sum")],
        ],
    )
    def test_sequences_with_padding_are_not_merged(self, merge, between):
        layers = [Masking(), *between, merge]
        sources = [(position - 1,) for position in range(len(layers) - 1)] + [(-1, len(layers) - 2)]
        with pytest.raises(UnsupportedLayerError, match=f"{merge.kind} 'join', must not merge sequences with padding"):
            Network(layers, 3, 2, sources)

    @pytest.mark.parametrize("bridge", [lstm(2, 2), Flatten()])
    def test_padding_may_be_merged_once_time_is_gone(self, bridge):
        size = 2 if isinstance(bridge, LSTM) else 6
        layers = [Masking(), bridge, Concatenate(), dense(2 * size, 1)]
        assert Network(layers, 3, 2, [(-1,), (0,), (1, 1), (2,)]).n_outputs == (1, 1, 1, 1)

    def test_weights_that_diverged_are_refused_and_counted(self):
        kernel = np.ones((3, 1))
        kernel[1:] = np.nan
        with pytest.raises(NonFiniteError, match=r"kernel of Dense 'head'.*Got 2 NaN or infinite of 3"):
            Dense(kernel, np.zeros(1), name="head")
        recurrent = np.zeros((2, 6))
        recurrent[0, 0] = np.inf
        with pytest.raises(
            NonFiniteError, match="recurrent_kernel of GRU must hold finite numbers. Got 1 NaN or infinite"
        ):
            GRU(np.zeros((1, 6)), recurrent, np.zeros((2, 6)))
