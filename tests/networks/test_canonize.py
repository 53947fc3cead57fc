"""Input and output of Keras models, and which models are taken at all."""

import keras
import numpy as np
import pytest

from skdrfm import lrp, networks
from skdrfm.exceptions import NonFiniteError, UnsupportedLayerError

pytestmark = pytest.mark.usefixtures("float64")
layers = keras.layers
LINKS = ["exponential", "hard_sigmoid", "sigmoid", "softplus"]


def sequential(*parts, shape=(4, 3), **options):
    return keras.Sequential([keras.Input(shape, **options), *parts])


class TestInput:
    def test_one_time_step(self, data, check_agreement):
        model = keras.Sequential(
            [keras.Input((3,), name="descriptors"), layers.Dense(4, "relu"), layers.Dropout(0.2), layers.Dense(1)]
        )
        network = check_agreement(model, data[:, 0])
        assert (network.n_timesteps, network.n_features) == (1, 3)
        assert [layer.kind for layer in network.layers] == ["Reshape", "Dense", "Dropout", "Dense"]
        assert network.layers[0].name == "descriptors"

    def test_flat_lags_reshaped_inside(self, data, check_agreement):
        model = sequential(layers.Reshape((4, 3)), layers.LSTM(2), layers.Dense(1), shape=(12,))
        check_agreement(model, data.reshape(6, 12))

    def test_sequences_of_any_length(self, data, check_agreement):
        model = sequential(layers.LSTM(2, return_sequences=True), layers.LSTM(2), layers.Dense(1), shape=(None, 3))
        for n_timesteps in (2, 4):
            check_agreement(model, data[:, :n_timesteps], n_timesteps=n_timesteps)
        with pytest.raises(UnsupportedLayerError, match=r"must be known. .* \(None, None, 3\). Pass n_timesteps="):
            networks.canonize(model)

    def test_a_known_length_may_be_repeated(self):
        model = sequential(layers.LSTM(1))
        assert networks.canonize(model, n_timesteps=np.int64(4)).n_timesteps == 4
        for wrong in (3, 0, 2.5, True, "4"):
            with pytest.raises(ValueError, match=f"'n_timesteps' must be .* Got {wrong!r}"):
                networks.canonize(model, n_timesteps=wrong)
        with pytest.raises(ValueError, match="'n_timesteps' must be 1"):
            networks.canonize(sequential(layers.Dense(1), shape=(3,)), n_timesteps=4)

    @pytest.mark.parametrize("shape", [(4, 3, 2), (4, None), ()])
    def test_other_shapes(self, shape):
        inputs = keras.Input(shape)
        with pytest.raises(UnsupportedLayerError, match=r"must be floats of shape .* Got float64 of shape \(None"):
            networks.canonize(keras.Model(inputs, layers.Identity()(inputs)))

    def test_whole_numbers(self):
        model = sequential(layers.Rescaling(0.5), layers.LSTM(1), dtype="int32")
        with pytest.raises(UnsupportedLayerError, match="must be floats .* Got int32"):
            networks.canonize(model)

    def test_several_inputs(self):
        inputs = [keras.Input((4, 3), name="prices"), keras.Input((4, 3), name="accounts")]
        model = keras.Model(inputs, layers.LSTM(1)(layers.Concatenate()(inputs)))
        with pytest.raises(UnsupportedLayerError, match="one input. Got 2: prices, accounts. Concatenate them"):
            networks.canonize(model)


class TestOutput:
    @pytest.mark.parametrize("link", LINKS)
    def test_links_of_a_dense_layer(self, link, data, check_agreement):
        network = check_agreement(sequential(layers.LSTM(2), layers.Dense(1, link)), data)
        assert network.output_activation == link
        assert [layer.kind for layer in network.layers] == ["LSTM", "Dense"]
        assert network.layers[-1].activation == "linear"

    @pytest.mark.parametrize("link", LINKS)
    def test_links_that_are_layers(self, link, data, check_agreement):
        network = check_agreement(sequential(layers.LSTM(2), layers.Dense(1), layers.Activation(link)), data)
        assert network.output_activation == link
        assert [layer.kind for layer in network.layers] == ["LSTM", "Dense"]

    def test_links_inside_an_inner_model_at_the_end(self, data, check_agreement):
        head = keras.Sequential([keras.Input((2,)), layers.Dense(1, activation=layers.Activation("sigmoid"))])
        network = check_agreement(sequential(layers.LSTM(2), head), data)
        assert network.output_activation == "sigmoid"

    def test_links_elsewhere(self):
        model = sequential(layers.LSTM(2), layers.Dense(2, "sigmoid", name="gate"), layers.Dense(1))
        with pytest.raises(
            UnsupportedLayerError,
            match=r"'sigmoid' of layer 'gate' \(Dense\) has no relevance rule inside a network, only at its output",
        ):
            networks.canonize(model)
        with pytest.raises(UnsupportedLayerError, match=r"'softplus' of layer 'act' \(Activation\) has no relevance"):
            networks.canonize(
                sequential(layers.LSTM(1), layers.Activation("softplus", name="act"), layers.Dropout(0.1))
            )

    @pytest.mark.parametrize("activation", ["linear", "tanh", "sigmoid"])
    @pytest.mark.parametrize("output", [0, 2])
    def test_one_of_several_units(self, output, activation, data, check_agreement):
        network = check_agreement(sequential(layers.LSTM(2), layers.Dense(3, activation)), data, output=output)
        assert network.layers[-1].name == "output"

    def test_several_units_need_a_choice(self):
        model = sequential(layers.LSTM(2), layers.Dense(3))
        with pytest.raises(UnsupportedLayerError, match=r"must have one unit. Got 3. .* pass output=0..2"):
            networks.canonize(model)
        for wrong in (3, -1, 1.0, True, "0"):
            with pytest.raises(ValueError, match=rf"'output' must be an int in the range \[0, 2\].* Got {wrong!r}"):
                networks.canonize(model, output=wrong)

    def test_the_only_unit_may_be_chosen(self, data, check_agreement):
        network = check_agreement(sequential(layers.LSTM(2), layers.Dense(1, name="out")), data, output=0)
        assert network.layers[-1].name == "out"

    def test_outputs_with_time_steps(self):
        with pytest.raises(
            UnsupportedLayerError, match=r"must end in one output unit. Got an output of shape \(4, 1\)"
        ):
            networks.canonize(sequential(layers.LSTM(1, return_sequences=True)))

    def test_several_outputs(self):
        inputs = keras.Input((4, 3))
        model = keras.Model(inputs, [layers.LSTM(1)(inputs), layers.GRU(1)(inputs)])
        with pytest.raises(UnsupportedLayerError, match=r"Got 2. .* keras.Model\(model.input, model.outputs\[0\]\)"):
            networks.canonize(model)


class TestModels:
    def test_models_whose_layers_are_called_in_code(self):
        class Own(keras.Model):
            """A model of its own code."""

        class Changed(keras.Sequential):
            """A chain with something else in between."""

            def call(self, inputs, training=None, mask=None):
                """Change the inputs."""
                return super().call(2 * inputs, training=training, mask=mask)

        for model in (Own(), Changed([keras.Input((4, 3)), layers.LSTM(1)])):
            with pytest.raises(UnsupportedLayerError, match="must be a Sequential or functional Keras model. Got"):
                networks.canonize(model)

    def test_what_is_no_model(self):
        with pytest.raises(UnsupportedLayerError, match="must be a Sequential or functional Keras model. Got str"):
            networks.canonize("model.keras")

    def test_models_that_are_not_built(self, data):
        model = keras.Sequential([layers.LSTM(1)])
        with pytest.raises(UnsupportedLayerError, match="The model must be built. .* Start it with keras.Input"):
            networks.canonize(model)
        model(data)
        assert networks.canonize(model).n_timesteps == 4

    def test_diverged_weights(self):
        model = sequential(layers.Flatten(), layers.Dense(1, name="out"))
        model.layers[-1].kernel.assign(np.full((12, 1), np.nan))
        with pytest.raises(NonFiniteError, match="kernel of Dense 'out' must hold finite numbers"):
            networks.canonize(model)

    def test_models_in_float32_agree_to_its_precision(self, data):
        model = keras.Sequential(
            [keras.Input((4, 3), dtype="float32"), layers.LSTM(3, dtype="float32"), layers.Dense(1, dtype="float32")]
        )
        expected = np.asarray(model(data.astype(np.float32)))[:, 0]
        np.testing.assert_allclose(lrp.predict(networks.canonize(model), data), expected, rtol=1e-5, atol=1e-6)

    def test_a_model_is_left_as_it_was(self, data, randomize):
        model = randomize(sequential(layers.BatchNormalization(), layers.LSTM(2), layers.Dense(1)))
        before, predictions = model.get_weights(), np.asarray(model(data))
        networks.canonize(model)
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
        np.testing.assert_array_equal(predictions, model(data))
