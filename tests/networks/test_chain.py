"""Models are read as what they compute, or not at all."""

import keras
import pytest

from skdrfm.networks._chain import NotBatchable, read_chain


def sequential(*layers):
    return keras.Sequential([keras.Input((3, 4)), *layers, keras.layers.Dense(1)])


def why_not(model):
    with pytest.raises(NotBatchable) as caught:
        read_chain(model)
    return str(caught.value)


def relu(x):
    """Not the one of Keras, whatever its name says."""
    return keras.ops.relu(x) ** 2


class TestActivations:
    @pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "linear", None, "hard_sigmoid"])
    def test_names_and_functions_of_keras_are_read_alike(self, name):
        known = name or "linear"
        for given in (name, keras.activations.get(name)):
            chain, _ = read_chain(
                sequential(
                    keras.layers.LSTM(2, activation=given, recurrent_activation="tanh"),
                    keras.layers.Dense(2, activation=given),
                    keras.layers.Activation(given or "linear"),
                )
            )
            memory, dense, alone, _ = chain
            assert (memory.activation, memory.gate_activation) == (known, "tanh")
            assert dense.activation == alone.activation == known

    @pytest.mark.parametrize(
        "layer",
        [
            keras.layers.LSTM(2, activation=relu),
            keras.layers.LSTM(2, recurrent_activation=relu),
            keras.layers.Dense(2, activation=relu),
            keras.layers.Activation(relu),
        ],
        ids=["LSTM", "gate", "Dense", "Activation"],
    )
    def test_a_function_of_the_user_may_have_any_name(self, layer):
        ending = [] if isinstance(layer, keras.layers.LSTM) else [keras.layers.Flatten()]
        assert "with the activation 'relu' of " in why_not(sequential(layer, *ending))

    @pytest.mark.parametrize("function", [keras.ops.gelu, keras.layers.ReLU(), "softmax"])
    def test_others_are_refused(self, function):
        assert "with the activation" in why_not(
            sequential(keras.layers.Flatten(), keras.layers.Dense(2, activation=function))
        )


def two_directions(first, second, **options):
    return sequential(
        keras.layers.Bidirectional(keras.layers.LSTM(**first), backward_layer=keras.layers.LSTM(**second), **options)
    )


class TestRefused:
    @pytest.mark.parametrize(
        ("layers", "reason"),
        [
            ([keras.layers.GRU(2, name="memory")], "has a layer 'memory' (GRU)"),
            ([keras.layers.LSTM(2, dropout=0.1)], "with dropout=0.1"),
            ([keras.layers.LSTM(2, go_backwards=True, return_sequences=True), keras.layers.Flatten()], "backwards"),
            ([keras.layers.LSTM(2, kernel_regularizer="l1")], "kernel_regularizer of type L1"),
            ([keras.layers.Bidirectional(keras.layers.LSTM(2), merge_mode="sum")], "does not concatenate"),
            ([keras.layers.LSTM(2, activation="softmax")], "the activation 'softmax'"),
            ([keras.layers.Flatten(data_format="channels_first")], "with data_format='channels_first'"),
        ],
    )
    def test_layers(self, layers, reason):
        assert reason in why_not(sequential(*layers))

    def test_branches(self):
        inputs = keras.Input((3, 4))
        flat = keras.layers.Flatten()(inputs)
        both = keras.layers.Concatenate()([keras.layers.Dense(2)(flat), flat])
        assert "of several inputs" in why_not(keras.Model(inputs, keras.layers.Dense(1)(both)))

    def test_a_model_of_another_class_may_train_in_its_own_way(self):
        class Own(keras.Model):
            def train_step(self, data):
                return {"loss": 0.0}

        class OwnLoss(keras.Sequential):
            def compute_loss(self, *args, **options):
                return 0.0

        inputs = keras.Input((3, 4))
        assert why_not(Own(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(inputs)))).startswith("is a Own,")
        assert why_not(OwnLoss([inputs, keras.layers.Flatten(), keras.layers.Dense(1)])).startswith("is a OwnLoss,")

    def test_a_model_without_a_shape_of_its_input(self):
        assert "shape of its input" in why_not(keras.Sequential([keras.layers.LSTM(2), keras.layers.Dense(1)]))

    @pytest.mark.parametrize("sequences", [False, True])
    def test_two_directions_of_which_the_first_reads_backwards(self, sequences):
        layer = keras.layers.Bidirectional(
            keras.layers.LSTM(2, go_backwards=True, return_sequences=sequences),
            backward_layer=keras.layers.LSTM(2, return_sequences=sequences),
        )
        assert "whose first direction reads the last step first" in why_not(sequential(layer, keras.layers.Flatten()))

    @pytest.mark.parametrize(
        "change", [{"units": 3}, {"activation": "relu"}, {"recurrent_activation": "tanh"}, {"use_bias": False}]
    )
    def test_two_directions_that_differ(self, change):
        model = two_directions({"units": 2}, {"units": 2, "go_backwards": True, **change})
        assert "differ in more than their direction" in why_not(model)

    def test_directions_may_differ_in_their_penalties(self):
        model = two_directions({"units": 2}, {"units": 2, "go_backwards": True, "kernel_regularizer": "l2"})
        layer = read_chain(model)[0][0]
        assert layer.directions == (False, True)
        assert layer.penalties == (0.0, 0.0, pytest.approx(0.01), 0.0)

    def test_parts_that_are_not_trained(self):
        whole, part = (sequential(keras.layers.Bidirectional(keras.layers.LSTM(2))) for _ in range(2))
        whole.layers[0].trainable = False
        part.layers[0].backward_layer.trainable = False
        for model in (whole, part):
            assert "weights that are not trained" in why_not(model)
