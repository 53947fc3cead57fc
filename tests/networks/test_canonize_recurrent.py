"""Recurrent Keras layers and their records compute the same, with and without padding."""

import keras
import numpy as np
import pytest

from skdrfm import networks
from skdrfm.exceptions import UnsupportedLayerError
from skdrfm.lrp._activations import ACTIVATIONS, GATES

pytestmark = pytest.mark.usefixtures("float64")
layers = keras.layers
# TensorFlow has constants such as the square root of 2 in float32, whatever the type of the numbers.
IN_FLOAT32 = {"gelu": 1e-6, "leaky_relu": 1e-6}
KINDS = [layers.LSTM, layers.GRU, layers.SimpleRNN]


def sequential(*parts, shape=(4, 3)):
    return keras.Sequential([keras.Input(shape), *parts])


def on_padding(layer, sequences):
    """A model that reads a padded sequence, and with sequences every step of what comes out, padding too."""
    inputs = keras.Input((4, 3))
    hidden = layer(layers.Masking()(inputs))
    if sequences:
        hidden = layers.Flatten()(hidden[:, :, :])  # the slice has no mask, which Flatten would warn of
    return keras.Model(inputs, layers.Dense(1)(hidden))


def ending(sequences):
    """Layers that turn what a recurrent layer returns into one number."""
    return [layers.Flatten(), layers.Dense(1)] if sequences else [layers.Dense(1)]


class TestReferenceValues:
    @pytest.mark.parametrize("sequences", [False, True])
    @pytest.mark.parametrize("go_backwards", [False, True])
    @pytest.mark.parametrize("kind", KINDS)
    def test_order_of_reading_and_sequences(self, kind, go_backwards, sequences, data, check_agreement):
        layer = kind(2, go_backwards=go_backwards, return_sequences=sequences)
        check_agreement(sequential(layer, *ending(sequences)), data)

    @pytest.mark.parametrize("kind", KINDS)
    def test_layers_without_biases(self, kind, data, check_agreement):
        check_agreement(sequential(kind(2, use_bias=False), layers.Dense(1, use_bias=False)), data)

    @pytest.mark.parametrize("use_bias", [False, True])
    def test_a_reset_gate_before_the_recurrent_weights(self, use_bias, data, check_agreement):
        check_agreement(sequential(layers.GRU(2, reset_after=False, use_bias=use_bias), layers.Dense(1)), data)

    @pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS) & set(dir(keras.activations))))
    def test_every_activation(self, activation, data, check_agreement):
        model = sequential(layers.SimpleRNN(2, activation), layers.Dense(1))
        check_agreement(model, data, tolerance=IN_FLOAT32.get(activation, 1e-10))

    @pytest.mark.parametrize("gate", sorted(set(GATES) & set(dir(keras.activations))))
    def test_every_gate(self, gate, data, check_agreement):
        model = sequential(layers.LSTM(2, "softsign", gate), layers.Dense(1))
        check_agreement(model, 0.1 * data, tolerance=IN_FLOAT32.get(gate, 1e-10))

    @pytest.mark.parametrize("kind", KINDS)
    def test_final_states_as_outputs_and_as_initial_states(self, kind, data, check_agreement):
        inputs = keras.Input((4, 3))
        _, *states = kind(2, return_state=True)(inputs)
        decoded, *final = kind(2, return_sequences=True, return_state=True)(inputs, initial_state=states)
        merged = layers.Concatenate()([*states, *final, layers.Flatten()(decoded)])
        check_agreement(keras.Model(inputs, layers.Dense(1)(merged)), data)

    def test_initial_states_as_a_second_argument(self, data, check_agreement):
        inputs = keras.Input((4, 3))
        _, *states = layers.LSTM(2, return_state=True)(inputs)
        check_agreement(keras.Model(inputs, layers.Dense(1)(layers.LSTM(2)(inputs, states))), data)

    @pytest.mark.parametrize("cell", [layers.LSTMCell, layers.GRUCell, layers.SimpleRNNCell, networks.AdditiveLSTMCell])
    def test_cells_in_a_general_layer(self, cell, data, check_agreement):
        model = sequential(layers.RNN(cell(2), return_sequences=True, go_backwards=True), *ending(True))
        check_agreement(model, data)

    @pytest.mark.parametrize("sequences", [False, True])
    @pytest.mark.parametrize("merge_mode", ["concat", "sum", "ave"])
    @pytest.mark.parametrize("kind", KINDS)
    def test_two_directions(self, kind, merge_mode, sequences, data, check_agreement):
        layer = layers.Bidirectional(kind(2, return_sequences=sequences), merge_mode=merge_mode)
        check_agreement(sequential(layer, *ending(sequences)), data)

    def test_a_backward_layer_of_its_own_settings(self, data, check_agreement):
        layer = layers.Bidirectional(
            layers.LSTM(2), backward_layer=layers.LSTM(2, "elu", "hard_sigmoid", use_bias=False, go_backwards=True)
        )
        check_agreement(sequential(layer, layers.Dense(1)), data)

    def test_states_of_two_directions(self, data, check_agreement):
        inputs = keras.Input((4, 3))
        merged, *states = layers.Bidirectional(layers.LSTM(2, return_state=True))(inputs)
        decoded = layers.Bidirectional(layers.LSTM(2))(inputs, initial_state=states)
        output = layers.Dense(1)(layers.Concatenate()([merged, *states, decoded]))
        check_agreement(keras.Model(inputs, output), data)

    def test_stacked_layers(self, data, check_agreement):
        model = sequential(
            layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
            layers.Dropout(0.5),
            layers.GRU(2, return_sequences=True, dropout=0.3),
            layers.SimpleRNN(2, recurrent_dropout=0.2),
            layers.Dense(1),
        )
        network = check_agreement(model, data)
        assert [layer.kind for layer in network.layers] == ["Bidirectional", "Dropout", "GRU", "SimpleRNN", "Dense"]


class TestPadding:
    @pytest.mark.parametrize("hides", [False, True])
    @pytest.mark.parametrize("sequences", [False, True])
    @pytest.mark.parametrize("go_backwards", [False, True])
    @pytest.mark.parametrize("kind", KINDS)
    def test_one_direction(self, kind, go_backwards, sequences, hides, padded, check_agreement):
        layer = kind(2, go_backwards=go_backwards, return_sequences=sequences, zero_output_for_mask=hides)
        check_agreement(on_padding(layer, sequences), padded)

    @pytest.mark.parametrize("unroll", [False, True])
    @pytest.mark.parametrize("sequences", [False, True])
    def test_two_directions(self, sequences, unroll, padded, check_agreement):
        layer = layers.Bidirectional(layers.LSTM(2, return_sequences=sequences, unroll=unroll and not sequences))
        check_agreement(on_padding(layer, sequences), padded)

    @pytest.mark.parametrize("go_backwards", [False, True])
    def test_padding_passes_from_layer_to_layer(self, go_backwards, padded, check_agreement):
        model = sequential(
            layers.Masking(),
            layers.Dense(3, "tanh"),
            layers.LSTM(2, return_sequences=True, go_backwards=go_backwards),
            layers.LayerNormalization(),
            layers.TimeDistributed(layers.Dense(2)),
            layers.Bidirectional(layers.GRU(2, return_sequences=True)),
            layers.GlobalAveragePooling1D(),
            layers.Dense(1),
        )
        check_agreement(model, padded)

    def test_the_unrolled_loop_forwards(self, padded, check_agreement):
        layer = layers.LSTM(2, unroll=True, return_sequences=True, zero_output_for_mask=True)
        check_agreement(on_padding(layer, True), padded)

    @pytest.mark.parametrize("both", [False, True])
    def test_the_unrolled_loop_backwards_hides_other_steps_than_the_rolled_one(self, both, padded, randomize):
        def build(unroll):
            options = {"return_sequences": True, "unroll": unroll}
            if both:
                layer = layers.Bidirectional(layers.LSTM(2, **options), name="reader")
            else:
                layer = layers.LSTM(2, go_backwards=True, zero_output_for_mask=True, name="reader", **options)
            return randomize(on_padding(layer, True))

        unrolled = build(True)
        assert not np.allclose(unrolled(padded), build(False)(padded))
        with pytest.raises(UnsupportedLayerError, match=r"'reader' .* must not be unrolled backwards over padding"):
            networks.canonize(unrolled)

    def test_keras_ignores_padding_beside_initial_states(self, padded, randomize):
        inputs = keras.Input((4, 3))
        masked = layers.Masking()(inputs)
        _, *states = layers.LSTM(2, return_state=True)(masked)
        shared = layers.LSTM(2, name="decoder")
        ignoring = randomize(keras.Model(inputs, layers.Dense(1)(shared(masked, initial_state=states))))
        np.testing.assert_allclose(
            keras.Model(inputs, shared(inputs, initial_state=states))(padded),
            keras.Model(inputs, shared(masked, initial_state=states))(padded),
        )
        with pytest.raises(UnsupportedLayerError, match="'decoder' .LSTM. must read no padding beside initial states"):
            networks.canonize(ignoring)


class TestValidation:
    def cases(self):
        yield "'a' .LSTM. must have stateful=False. Got stateful=True", layers.LSTM(2, stateful=True, name="a")
        yield (
            "'b' .Bidirectional. must have a merge_mode of 'ave', 'concat', 'sum'. Got 'mul'",
            layers.Bidirectional(layers.LSTM(2), merge_mode="mul", name="b"),
        )
        yield (
            "'b/backward_x' .GRU. must have stateful",
            layers.Bidirectional(
                layers.GRU(2, name="forward_x"),
                backward_layer=layers.GRU(2, go_backwards=True, name="backward_x", stateful=False),
                name="b",
            ),
        )
        yield (
            "'c' .Bidirectional. must read forward first",
            layers.Bidirectional(layers.LSTM(2, go_backwards=True), backward_layer=layers.LSTM(2), name="c"),
        )
        yield (
            r"'d' .Bidirectional. .* Got LSTM.2. and GRU.2.",
            layers.Bidirectional(layers.LSTM(2), backward_layer=layers.GRU(2, go_backwards=True), name="d"),
        )
        yield (
            r"'e' .Bidirectional. .* Got LSTM.2. and LSTM.3.",
            layers.Bidirectional(layers.LSTM(2), backward_layer=layers.LSTM(3, go_backwards=True), name="e"),
        )
        yield (
            "'f' .RNN. must have a cell of type LSTMCell, .* Got cell StackedRNNCells",
            layers.RNN([layers.LSTMCell(2), layers.LSTMCell(2)], name="f"),
        )
        yield (
            "'g/forward_own' .Own. must have a cell of type LSTMCell, .* Got Own",
            layers.Bidirectional(Own(2, name="own"), name="g"),
        )
        yield (
            "activation 'sigmoid' of layer 'h' .LSTM. has no relevance rule. Supported: 'celu'",
            layers.LSTM(2, activation="sigmoid", name="h"),
        )
        yield (
            "recurrent_activation 'softmax' of layer 'i' .GRU. has no relevance rule. Supported: 'celu'",
            layers.GRU(2, recurrent_activation="softmax", name="i"),
        )

    def test_what_has_no_rule_is_named(self):
        seen = 0
        for message, layer in self.cases():
            if "backward_x" in message:
                layer.backward_layer.stateful = True
            model = keras.Sequential([keras.Input(batch_shape=(2, 4, 3)), layer, layers.Dense(1)])
            with pytest.raises(UnsupportedLayerError, match=message):
                networks.canonize(model)
            seen += 1
        assert seen == 10

    def test_two_directions_that_are_not_merged(self):
        inputs = keras.Input((4, 3))
        both = layers.Bidirectional(layers.LSTM(2), merge_mode=None, name="pair")(inputs)
        model = keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(both)))
        with pytest.raises(UnsupportedLayerError, match="'pair' .* must have a merge_mode .* Got None"):
            networks.canonize(model)


@keras.saving.register_keras_serializable(package="tests")
class Own(layers.LSTM):
    """A layer that may compute anything."""
