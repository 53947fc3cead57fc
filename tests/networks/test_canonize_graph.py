"""Graphs of Keras models: branches, shared layers, models inside models, and how layers are called."""

import keras
import numpy as np
import pytest

from skdrfm import lrp, networks
from skdrfm.exceptions import UnsupportedLayerError
from skdrfm.networks import _canonize_layers

pytestmark = pytest.mark.usefixtures("float64")
layers = keras.layers
MASK_WARNING = "ignore:Layer '.*' .of type .*. was passed an input with a mask"


def inner_model(name="inner"):
    inputs = keras.Input((4, 3))
    sequence = layers.LSTM(3, return_sequences=True, name="reader")(inputs)
    mean = layers.GlobalAveragePooling1D(name="mean")(sequence)
    return keras.Model(inputs, [sequence, mean, layers.Dense(2, name="unused")(mean)], name=name)


def names(network):
    return [layer.name for layer in network.layers]


class TestReferenceValues:
    def test_branches_and_skips(self, data, check_agreement):
        inputs = keras.Input((4, 3))
        long = layers.LSTM(2, name="long")(inputs)
        short = layers.Dense(2, "tanh", name="short")(inputs[:, -1])
        skip = layers.Flatten(name="skip")(inputs)
        joined = layers.Concatenate(name="join")([layers.Add(name="sum")([long, short]), skip, short])
        network = check_agreement(keras.Model(inputs, layers.Dense(1, name="out")(joined)), data)
        assert {"long", "short", "skip", "sum", "join", "out"} < set(names(network))

    def test_a_shared_layer_is_one_record(self, data, check_agreement):
        inputs = keras.Input((4, 3))
        shared = layers.Dense(3, "tanh", name="shared")
        output = layers.Dense(1)(layers.Flatten()(shared(shared(inputs)) + inputs))
        network = check_agreement(keras.Model(inputs, output), data)
        first, second = (layer for layer in network.layers if layer.name == "shared")
        assert first is second

    def test_a_shared_layer_may_read_several_shapes(self, data, check_agreement):
        inputs = keras.Input((4, 3))
        row = layers.Reshape((1, -1))
        both = layers.Concatenate()([row(inputs), row(inputs[:, 1:])])
        check_agreement(keras.Model(inputs, layers.Dense(1)(layers.Flatten()(both))), data)

    def test_only_paths_to_the_output_count(self, data, check_agreement):
        inputs = keras.Input((4, 3))
        hidden = layers.LSTM(2, name="hidden")(inputs)
        two = keras.Model(inputs, [layers.Dense(1, name="out")(hidden), layers.Softmax(name="other")(hidden)])
        network = check_agreement(keras.Model(two.input, two.outputs[0]), data)
        assert names(network) == ["hidden", "out"]

    def test_models_inside_models_are_inlined(self, data, check_agreement):
        inputs = keras.Input((4, 3))
        inner = inner_model()
        sequence, mean, _ = inner(inputs)
        again = inner(sequence)[1]
        output = layers.Dense(1, name="out")(layers.Concatenate(name="join")([mean, again]))
        network = check_agreement(keras.Model(inputs, output), data)
        assert names(network) == ["inner/reader", "inner/mean", "inner/reader", "inner/mean", "join", "out"]
        assert network.layers[0] is network.layers[2]

    def test_models_of_models_of_several_inputs(self, data, check_agreement):
        left, right = keras.Input((4, 3)), keras.Input((2,))
        inner = keras.Model([left, right], layers.Concatenate(name="join")([layers.Flatten()(left), right]), name="b")
        inputs = keras.Input((4, 3))
        outer = keras.Model(inputs, inner([inputs, layers.LSTM(2)(inputs)]), name="a")
        network = check_agreement(keras.Sequential([keras.Input((4, 3)), outer, layers.Dense(1)]), data)
        assert "a/b/join" in names(network)

    def test_a_model_that_ends_in_a_final_state(self, data, check_agreement):
        inputs = keras.Input((4, 3))
        _, _, cell = layers.LSTM(1, return_sequences=True, return_state=True, name="reader")(inputs)
        assert names(check_agreement(keras.Model(inputs, cell), data)) == ["reader", "output"]

    def test_subclasses_that_keep_the_graph(self, data, check_agreement):
        class Trainer(keras.Model):
            """A functional model with a training step of its own."""

            def train_step(self, data):
                """Train in another way."""
                return {}

        inputs = keras.Input((4, 3))
        check_agreement(Trainer(inputs, layers.Dense(1)(layers.LSTM(2)(inputs))), data)

    def test_models_cut_out_of_others(self, data, check_agreement):
        inputs = keras.Input((5, 2))
        sequence = layers.LSTM(3, return_sequences=True)(layers.Reshape((4, 3))(layers.Dense(12)(inputs[:, 0])))
        check_agreement(keras.Model(sequence, layers.Dense(1)(layers.LSTM(2)(sequence))), data)

    def test_a_file_of_a_user(self, padded, randomize, tmp_path):
        inputs = keras.Input((4, 3))
        masked = layers.Masking()(inputs)
        sequence, *states = layers.GRU(2, return_sequences=True, return_state=True, dropout=0.1)(masked)
        sequence = layers.Bidirectional(layers.LSTM(2, return_sequences=True))(sequence)
        mean = layers.GlobalAveragePooling1D()(sequence)
        decoded = layers.GRU(2)(inputs, initial_state=states)
        hidden = layers.Concatenate()([mean, sequence[:, -1, :], layers.BatchNormalization()(decoded)])
        hidden = layers.Dense(3, activation=layers.LeakyReLU(0.25))(hidden)
        model = randomize(keras.Model(inputs, layers.Dense(1, "sigmoid")(hidden)))
        model.save(tmp_path / "model.keras")
        network = networks.canonize(networks.load_keras(tmp_path / "model.keras"))
        np.testing.assert_allclose(lrp.predict(network, padded), np.asarray(model(padded))[:, 0], rtol=1e-6)

    def test_weights_are_copied(self, data, check_agreement):
        dense = layers.Dense(1)
        network = check_agreement(keras.Sequential([keras.Input((4, 3)), layers.Flatten(), dense]), data)
        before = lrp.predict(network, data)
        dense.kernel.assign(2 * dense.kernel)
        np.testing.assert_array_equal(lrp.predict(network, data), before)
        assert network.layers[-1].kernel.dtype == np.float64


@pytest.mark.filterwarnings(MASK_WARNING)
class TestPadding:
    def test_padding_passes_into_and_out_of_inner_models(self, padded, check_agreement):
        inputs = keras.Input((4, 3))
        inner = keras.Sequential([keras.Input((4, 3)), layers.LSTM(2, return_sequences=True), layers.Dense(3)])
        hidden = inner(inner(layers.Masking()(inputs)))
        check_agreement(keras.Model(inputs, layers.Dense(1)(layers.LSTM(2)(hidden))), padded)

    def test_padding_made_in_an_inner_model(self, padded, check_agreement):
        inner = keras.Sequential([keras.Input((4, 3)), layers.Masking(), layers.Dense(3, "tanh")])
        model = keras.Sequential([keras.Input((4, 3)), inner, layers.GRU(2), layers.Dense(1)])
        check_agreement(model, padded)

    def test_flatten_and_slices_end_padding(self, padded, check_agreement):
        inputs = keras.Input((4, 3))
        masked = layers.Masking()(inputs)
        sequence = layers.Reshape((6, 2))(masked)
        both = [layers.LSTM(2)(sequence), layers.LSTM(2)(masked[:, 1:]), layers.LSTM(2)(masked)]
        check_agreement(keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(both))), padded)

    def test_a_second_masking_replaces_the_first(self, padded, check_agreement):
        padded[5, 2:] = 7
        model = keras.Sequential(
            [keras.Input((4, 3)), layers.Masking(), layers.Masking(7.0), layers.LSTM(2), layers.Dense(1)]
        )
        check_agreement(model, padded)

    def test_the_mask_of_a_call_may_be_given_if_it_is_that_of_the_input(self, padded, check_agreement):
        inputs = keras.Input((4, 3))
        masking = layers.Masking(name="m")
        masked = masking(inputs)
        _, *states = layers.LSTM(2, return_state=True)(masked)
        given = layers.LSTM(2)(masked, initial_state=states, mask=masking.compute_mask(inputs))
        check_agreement(keras.Model(inputs, layers.Dense(1)(given)), padded)

    @pytest.mark.parametrize(
        "mask",
        [
            lambda x: keras.ops.any(keras.ops.not_equal(x, 1.0), axis=-1),
            lambda x: keras.ops.any(keras.ops.not_equal(x[:, ::-1], 0.0), axis=-1),
            lambda x: keras.ops.any(keras.ops.greater(x, 0.0), axis=-1),
            lambda x: keras.ops.any(keras.ops.not_equal(x, 0.0), axis=-1, keepdims=True),
            lambda x: keras.ops.all(keras.ops.not_equal(x, 0.0), axis=-1),
            lambda x: np.ones((6, 4), dtype=bool),
        ],
    )
    def test_masks_of_other_origin_are_refused(self, mask):
        inputs = keras.Input((4, 3))
        sequence = layers.LSTM(2, name="reader")(layers.Masking()(inputs), mask=mask(inputs))
        with pytest.raises(UnsupportedLayerError, match="'reader' .LSTM. must have the mask of its input"):
            networks.canonize(keras.Model(inputs, layers.Dense(1)(sequence)))

    def test_a_mask_without_masking_is_refused(self):
        inputs = keras.Input((4, 3))
        mask = keras.ops.any(keras.ops.not_equal(inputs, 0.0), axis=-1)
        with pytest.raises(UnsupportedLayerError, match="'reader' .LSTM. must have the mask of its input"):
            networks.canonize(keras.Model(inputs, layers.Dense(1)(layers.LSTM(2, name="reader")(inputs, mask=mask))))

    def test_merging_padded_sequences_is_refused(self):
        inputs = keras.Input((4, 3))
        masked = layers.Masking()(inputs)
        merged = layers.Add(name="sum")([masked, layers.Dense(3)(masked)])
        with pytest.raises(UnsupportedLayerError, match="'sum' .Add. must not merge sequences with padding"):
            networks.canonize(keras.Model(inputs, layers.Dense(1)(layers.LSTM(2)(merged))))


class Subclassed(keras.Model):
    """A model whose layers are called in its own code."""

    def __init__(self):
        super().__init__(name="own")
        self.dense = layers.Dense(1)

    def call(self, inputs):
        """Call the layer."""
        return self.dense(inputs[:, -1])


class TestValidation:
    def refuse(self, message, output, inputs):
        with pytest.raises(UnsupportedLayerError, match=message):
            networks.canonize(keras.Model(inputs, output))

    def test_layers_called_for_training(self):
        inputs = keras.Input((4, 3))
        hidden = layers.Dropout(0.5, name="always")(layers.LSTM(2)(inputs), training=True)
        self.refuse("'always' .Dropout. must be called for prediction", layers.Dense(1)(hidden), inputs)

    def test_models_inside_models_that_cannot_be_followed(self):
        inputs = keras.Input((4, 3))
        self.refuse(
            "inner model 'own' must be a Sequential or functional .* Got Subclassed", Subclassed()(inputs), inputs
        )

    def test_layers_of_several_arguments(self):
        inputs = keras.Input((4, 3))
        attention = layers.MultiHeadAttention(1, 2, name="look")(inputs, inputs)
        self.refuse("'look' .MultiHeadAttention. has no relevance rule", attention, inputs)

    def test_arguments_that_no_record_knows(self, monkeypatch):
        class Weighted(layers.Dense):
            """A layer as a later Keras may have it."""

            def call(self, inputs, weights=None):
                """Weigh the inputs."""
                return super().call(inputs if weights is None else inputs * weights)

        monkeypatch.setitem(_canonize_layers._CONVERTERS, Weighted, _canonize_layers._dense)
        inputs = keras.Input((4, 3))
        dense = Weighted(1, name="d")
        networks.canonize(keras.Model(inputs, dense(inputs[:, -1])))
        output = dense(inputs[:, -1], weights=inputs[:, 0])
        self.refuse("'d' .Weighted. must be called with its inputs alone. Got the argument 'weights'", output, inputs)

    def test_constant_initial_states(self):
        inputs = keras.Input((4, 3))
        hidden = layers.GRU(2, name="g")(inputs, initial_state=np.ones((6, 2)))
        self.refuse("'g' .GRU. must read outputs of other layers. Got a constant", layers.Dense(1)(hidden), inputs)

    def test_inner_models_that_are_called_with_a_dict(self):
        left, right = keras.Input((4, 3), name="x"), keras.Input((4, 3), name="y")
        inner = keras.Model({"x": left, "y": right}, layers.Subtract()([left, right]), name="inner")
        inputs = keras.Input((4, 3))
        hidden = inner({"x": inputs, "y": layers.Dense(3)(inputs)})
        self.refuse("'inner' .Functional. must be called with the list .* Got a dict", layers.LSTM(1)(hidden), inputs)

    def test_inner_models_to_which_keras_adds_an_axis(self):
        inner = keras.Sequential([keras.Input((4, 3, 1)), layers.Flatten(), layers.Dense(1)], name="inner")
        inputs = keras.Input((4, 3))
        self.refuse(r"'inner' .Sequential. must be called .* inputs with \[3\] axes for \[4\]", inner(inputs), inputs)
