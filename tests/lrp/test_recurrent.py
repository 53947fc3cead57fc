"""Order of reading, two directions, padding, states and reduced sequences."""

from dataclasses import replace

import numpy as np
import pytest

from skdrfm.exceptions import UnsupportedLayerError
from skdrfm.lrp import (
    GRU,
    LSTM,
    Bidirectional,
    Dense,
    Flatten,
    Masking,
    Network,
    SimpleRNN,
    Take,
    predict,
    propagate,
)

CELLS = ["lstm", "gru", "gru-before", "rnn", "additive"]
PARTS = ("predictions", "loadings", "bias", "stabilizer", "state")


def reread(layer, **options):
    """The same layer with other options."""
    return replace(layer, **options)


class TestReferenceValues:
    @pytest.mark.parametrize("merge_mode", ["concat", "sum", "ave"])
    @pytest.mark.parametrize("cell", CELLS)
    def test_bidirectional_equals_two_manual_directions(self, make, cell, merge_mode):
        maker = make(6)
        both = maker.bidirectional(3, 2, merge_mode, cell)
        head = maker.dense(both.n_units, 1)
        X = maker.rng.normal(size=(5, 4, 3))
        found = propagate(Network([both, head], 4, 3), X)
        weight = 0.5 if merge_mode == "ave" else 1.0
        kernels = np.split(head.kernel, 2) if merge_mode == "concat" else [weight * head.kernel] * 2
        loadings = predictions = 0
        # The backward direction is the forward one on reversed samples, put back into time order.
        for layer, kernel, order in ((both.forward, kernels[0], 1), (both.backward, kernels[1], -1)):
            layer = reread(layer, go_backwards=False)
            one = propagate(Network([layer, Dense(kernel, np.zeros(1))], 4, 3), X[:, ::order])
            loadings = loadings + one.loadings[:, ::order]
            predictions = predictions + one.predictions
        np.testing.assert_allclose(found.predictions, predictions + head.bias, rtol=1e-12)
        # The heads differ in their stabilizers by 1e-6.
        np.testing.assert_allclose(found.loadings, loadings, rtol=2e-5, atol=1e-5)

    @pytest.mark.parametrize("cell", CELLS)
    def test_bidirectional_without_a_stabilizer_equals_two_manual_directions(self, make, cell):
        maker = make(6)
        both = maker.bidirectional(3, 2, "concat", cell)
        head = maker.dense(4, 1)
        X = maker.rng.normal(size=(5, 4, 3))
        found = propagate(Network([both, head], 4, 3), X, epsilon=0)
        ahead = Network([both.forward, Dense(head.kernel[:2], np.zeros(1))], 4, 3)
        back = Network([both.backward, Dense(head.kernel[2:], np.zeros(1))], 4, 3)
        loadings = propagate(ahead, X, epsilon=0).loadings + propagate(back, X, epsilon=0).loadings
        np.testing.assert_allclose(found.loadings, loadings, rtol=1e-9, atol=1e-14)

    @pytest.mark.parametrize("cell", CELLS)
    def test_reading_backwards_is_reading_reversed_samples(self, make, cell):
        maker = make(7)
        network = maker.network(4, 2, [f"{cell}/reversed"], options={"return_sequences": True})
        ahead = Network([reread(network.layers[0], go_backwards=False), *network.layers[1:]], 4, 2)
        X = maker.samples(3, network)
        ours, theirs = propagate(network, X), propagate(ahead, X[:, ::-1])
        np.testing.assert_allclose(ours.predictions, theirs.predictions, rtol=1e-14)
        np.testing.assert_allclose(ours.loadings, theirs.loadings[:, ::-1], rtol=1e-12, atol=1e-15)

    @pytest.mark.parametrize("cell", CELLS)
    def test_a_sequence_cut_in_two_with_states_equals_the_whole(self, make, cell):
        maker = make(8)
        layer, head = maker.cell(cell, 2, 2), maker.dense(2, 1)
        whole = Network([layer, head], 4, 2)
        X = maker.samples(3, whole)
        n_states = layer.n_states
        layers = [Take((slice(0, 2),)), reread(layer, return_state=True), Take((slice(2, 4),)), layer, head]
        states = [(1, number) for number in range(1, 1 + n_states)]
        cut = Network(layers, 4, 2, [(-1,), (0,), (-1,), (2, *states), (3,)])
        # Without a stabilizer, whose size depends on what is read together.
        ours, theirs = propagate(cut, X, epsilon=0), propagate(whole, X, epsilon=0)
        np.testing.assert_allclose(ours.predictions, theirs.predictions, rtol=1e-13)
        np.testing.assert_allclose(ours.loadings, theirs.loadings, rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(ours.bias, theirs.bias, rtol=1e-9)

    def test_last_reads_only_the_last_step_of_a_sequence(self, make):
        maker = make(9)
        layer, head = maker.lstm(2, 2, return_sequences=True), maker.dense(6, 1)
        X = maker.rng.normal(size=(3, 3, 2))
        full = Network([layer, Flatten(), head], 3, 2)
        only_last = Network([reread(layer, return_sequences=False), Dense(head.kernel[4:], head.bias)], 3, 2)
        found = propagate(full, X, epsilon=0, sequence="last")
        np.testing.assert_allclose(found.loadings, propagate(only_last, X, epsilon=0).loadings, rtol=1e-12)

    def test_mean_puts_the_mean_relevance_of_the_steps_on_the_last(self, make):
        # A cell that forgets everything explains each step by that step alone.
        maker = make(10)
        bias = np.array([800.0, -800.0, 0.0, 800.0])
        kernel = np.array([[0.0, 0.0, 0.7, 0.0]])
        layer = LSTM(kernel, np.zeros((1, 4)), bias, return_sequences=True)
        head = maker.dense(3, 1)
        network = Network([layer, Flatten(), head], 3, 1)
        X = maker.samples(4, network)
        full = X * propagate(network, X, epsilon=0).loadings
        found = propagate(network, X, epsilon=0, sequence="mean")
        values = X * found.loadings + found.offsets
        np.testing.assert_allclose(values[:, 2, 0], full.mean(axis=(1, 2)), rtol=1e-12)
        np.testing.assert_array_equal(values[:, :2], 0)


class TestProperties:
    @pytest.mark.parametrize("zero_output", [False, True])
    @pytest.mark.parametrize("direction", ["forward", "reversed", "concat", "sum", "ave"])
    @pytest.mark.parametrize("cell", CELLS)
    def test_padding_changes_nothing(self, make, cell, direction, zero_output):
        # A sequence that was read backwards leaves in the order of reading, but its padding, as in Keras, does not.
        for bridge in (None,) if direction == "reversed" else (None, "mean"):
            options = {"zero_output_for_mask": zero_output and bridge == "mean", "return_sequences": bridge == "mean"}
            maker = make(11)
            layer = maker.recurrent(f"{cell}/{direction}", 2, 2, **options)
            n = layer.n_units
            norm, inner, head = maker.below("norm", 2), maker.dense(n, 2, "tanh"), maker.dense(2 if bridge else n, 1)
            between = [inner, maker.network(1, 1, [], bridge="mean").layers[0]] if bridge else []
            X = maker.rng.normal(size=(3, 3, 2)) + 0.1

            layers = [Masking(), norm, layer, *between, head]
            for rule in ("lrp-all", "lrp-half"):
                for mode in ("relative", "absolute"):
                    kept = {"rule": rule, "epsilon": 1e-2, "epsilon_mode": mode}
                    plain = propagate(Network(layers, 3, 2), X, **kept)
                    for left, right in ((2, 0), (0, 2), (1, 3)):
                        padded = np.pad(X, ((0, 0), (left, right), (0, 0)))
                        found = propagate(Network(layers, 3 + left + right, 2), padded, **kept)
                        real = slice(left, left + 3)
                        np.testing.assert_allclose(found.loadings[:, real], plain.loadings, rtol=1e-10, atol=1e-13)
                        for name in ("predictions", "bias", "stabilizer", "state"):
                            ours, theirs = getattr(found, name), getattr(plain, name)
                            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13)
                        beside = np.delete(found.loadings, np.r_[real], axis=1)
                        np.testing.assert_array_equal(beside, 0)

    @pytest.mark.parametrize("cell", CELLS)
    def test_padding_between_real_steps_is_skipped(self, make, cell):
        maker = make(12)
        layer, head = maker.cell(cell, 2, 2), maker.dense(2, 1)
        X = maker.rng.normal(size=(2, 3, 2))
        gapped = np.zeros((2, 5, 2))
        gapped[:, [0, 1, 4]] = X
        plain = propagate(Network([Masking(), layer, head], 3, 2), X)
        found = propagate(Network([Masking(), layer, head], 5, 2), gapped)
        np.testing.assert_allclose(found.loadings[:, [0, 1, 4]], plain.loadings, rtol=1e-12)
        np.testing.assert_array_equal(found.loadings[:, 2:4], 0)

    @pytest.mark.parametrize("rule", ["arras-decay", "rudder"])
    def test_closed_forms_skip_padding_too(self, make, rule):
        maker = make(13)
        layer, head = maker.lstm(2, 2), maker.dense(2, 1)
        X = maker.rng.normal(size=(2, 3, 2))
        padded = np.pad(X, ((0, 0), (1, 2), (0, 0)))
        plain = propagate(Network([Masking(), layer, head], 3, 2), X, rule=rule, epsilon=0.01)
        found = propagate(Network([Masking(), layer, head], 6, 2), padded, rule=rule, epsilon=0.01)
        for name in ("predictions", "bias", "stabilizer"):
            np.testing.assert_allclose(getattr(found, name), getattr(plain, name), rtol=1e-12)
        np.testing.assert_allclose(found.loadings[:, 1:4], plain.loadings, rtol=1e-12)

    def test_a_padded_step_repeats_the_last_output_or_shows_zero(self):
        layer = SimpleRNN([[1.0]], [[0.0]], [0.0], "linear", return_sequences=True)
        head = Dense(np.array([[1.0], [10.0], [100.0], [1000.0]]), [0.0])
        X = [[[0.0], [2.0], [0.0], [3.0]]]
        repeated = Network([Masking(), layer, Flatten(), head], 4, 1)
        hidden = Network([Masking(), reread(layer, zero_output_for_mask=True), Flatten(), head], 4, 1)
        assert predict(repeated, X).item() == 20 + 200 + 3000
        assert predict(hidden, X).item() == 20 + 3000
        np.testing.assert_allclose(propagate(repeated, X, epsilon=0).loadings.ravel(), [0, 110, 0, 1000])
        np.testing.assert_allclose(propagate(hidden, X, epsilon=0).loadings.ravel(), [0, 10, 0, 1000])

    @pytest.mark.parametrize("cell", CELLS)
    def test_what_zero_initial_states_receive_is_kept_apart(self, make, cell, residual):
        maker = make(14)
        network = maker.network(3, 2, [cell])
        X = maker.samples(3, network)
        assert not propagate(network, X).state.any()
        handed_down = propagate(network, X, bias_factor=1)
        assert (np.abs(handed_down.state) > 1e-6).all()
        assert residual(handed_down, X).max() < 1e-12

    @pytest.mark.parametrize("sequence", ["last", "mean"])
    def test_a_reduced_sequence_loses_relevance(self, make, residual, sequence):
        maker = make(15)
        network = maker.network(4, 2, ["lstm"], options={"return_sequences": True})
        X = maker.samples(3, network)
        assert residual(propagate(network, X, sequence=sequence), X).min() > 1e-3

    @pytest.mark.parametrize("sequence", ["last", "mean"])
    def test_the_reduction_is_only_of_layers_that_return_a_sequence(self, make, sequence):
        maker = make(16)
        network = maker.network(4, 2, ["lstm"], ["tanh"])
        X = maker.samples(3, network)
        ours, theirs = propagate(network, X, sequence=sequence), propagate(network, X)
        for name in PARTS:
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


class TestValidation:
    @pytest.fixture
    def lstm(self, make):
        return make(17).lstm(2, 3)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"return_sequences": True}, "must have the same return_sequences. Got False forward and True backward"),
            ({"return_state": True}, "must have the same return_state. Got False forward and True backward"),
        ],
    )
    def test_two_directions_must_fit_each_other(self, lstm, changes, message):
        with pytest.raises(ValueError, match=message):
            Bidirectional(lstm, reread(lstm, **changes))

    def test_two_directions_must_be_of_one_size_and_type(self, make, lstm):
        with pytest.raises(ValueError, match="must have the same n_units. Got 3 forward and 2 backward"):
            Bidirectional(lstm, make(1).lstm(2, 2))
        with pytest.raises(ValueError, match="must have the same n_inputs. Got 2 forward and 1 backward"):
            Bidirectional(lstm, make(1).lstm(1, 3))
        with pytest.raises(ValueError, match="must have the same kind. Got LSTM forward and GRU backward"):
            Bidirectional(lstm, make(1).cell("gru", 2, 3))

    def test_the_forward_layer_must_read_forward(self, lstm):
        with pytest.raises(ValueError, match="'two' must read the oldest step first. Got go_backwards=True. Exchange"):
            Bidirectional(reread(lstm, go_backwards=True), lstm, name="two")

    def test_a_direction_must_be_a_recurrent_record(self, lstm):
        with pytest.raises(UnsupportedLayerError, match="backward layer of Bidirectional must be a recurrent record"):
            Bidirectional(lstm, Dense(np.ones((2, 3)), np.zeros(3)))

    def test_states_must_be_complete_and_fit(self, make, lstm):
        states = Take((0,))
        with pytest.raises(ValueError, match="LSTM must be given all of its 2 initial states, or none. Got 1"):
            Network([states, lstm], 3, 2, [(-1,), (-1, 0)])
        with pytest.raises(ValueError, match=r"initial states of LSTM must have shape \(3,\). Got \[\(2,\), \(2,\)\]"):
            Network([states, lstm], 3, 2, [(-1,), (-1, 0, 0)])
        with pytest.raises(ValueError, match="Bidirectional must be given all of its 4 initial states, or none. Got 2"):
            Network([states, Bidirectional(lstm, lstm)], 3, 2, [(-1,), (-1, 0, 0)])
        with pytest.raises(ValueError, match="LSTM must have an input. Got none"):
            Network([lstm], 3, 2, [()])

    @pytest.mark.parametrize(
        ("build", "message"),
        [
            (lambda: GRU(np.ones((2, 6)), np.ones((2, 6)), np.zeros(6)), r"bias of GRU must have shape \(2, 6\)"),
            (
                lambda: GRU(np.ones((2, 6)), np.ones((2, 6)), np.zeros((2, 6)), reset_after=False),
                r"bias of GRU must have shape \(6,\). Got \(2, 6\)",
            ),
            (
                lambda: GRU(np.ones((2, 8)), np.ones((2, 6)), np.zeros((2, 6))),
                r"kernel of GRU must have shape \(any, 6\)",
            ),
            (
                lambda: SimpleRNN(np.ones((2, 3)), np.ones((2, 3)), np.zeros(3)),
                r"must have shape \(2, 2\). Got \(2, 3\)",
            ),
        ],
    )
    def test_weights_must_fit(self, build, message):
        with pytest.raises(ValueError, match=message):
            build()
