"""Each Keras layer, with each of its options, computes what its record computes."""

import keras
import numpy as np
import pytest

from skdrfm import lrp, networks
from skdrfm.exceptions import UnsupportedLayerError
from skdrfm.lrp._activations import ACTIVATIONS
from skdrfm.networks import _canonize_layers

pytestmark = pytest.mark.usefixtures("float64")
layers = keras.layers
# TensorFlow has constants such as the square root of 2 in float32, whatever the type of the numbers.
IN_FLOAT32 = {"gelu": 1e-6, "leaky_relu": 1e-6}

UNCHANGED = {
    "Dropout": lambda: layers.Dropout(0.5),
    "SpatialDropout1D": lambda: layers.SpatialDropout1D(0.5),
    "GaussianDropout": lambda: layers.GaussianDropout(0.5),
    "GaussianNoise": lambda: layers.GaussianNoise(0.5),
    "AlphaDropout": lambda: layers.AlphaDropout(0.5),
    "ActivityRegularization": lambda: layers.ActivityRegularization(l2=0.1),
    "Identity": lambda: layers.Identity(),
}

# With layers that keep the shape (4, 3), and the tolerance.
ELEMENTWISE = {
    "relu": (lambda: layers.ReLU(), 1e-10),
    "relu_max": (lambda: layers.ReLU(max_value=0.5), 1e-10),
    "relu_slope": (lambda: layers.ReLU(negative_slope=0.15), 1e-6),
    "leaky_relu": (lambda: layers.LeakyReLU(), 1e-6),
    "leaky_relu_slope": (lambda: layers.LeakyReLU(0.07), 1e-6),
    "elu": (lambda: layers.ELU(0.6), 1e-10),
    "batch": (lambda: layers.BatchNormalization(epsilon=0.01), 1e-10),
    "batch_unscaled": (lambda: layers.BatchNormalization(center=False, scale=False), 1e-10),
    "batch_axis": (lambda: layers.BatchNormalization(axis=2, scale=False), 1e-10),
    "layer": (lambda: layers.LayerNormalization(epsilon=0.01), 1e-10),
    "layer_unscaled": (lambda: layers.LayerNormalization(center=False, scale=False), 1e-10),
    "layer_axis": (lambda: layers.LayerNormalization(axis=[2], center=False), 1e-10),
    "rescaling": (lambda: layers.Rescaling(2.5, offset=-0.25), 1e-10),
    "rescaling_units": (lambda: layers.Rescaling([2.5, 1.0, -0.5]), 1e-10),
    "normalization": (lambda: layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 4.0]), 1e-10),
    "normalization_shared": (lambda: layers.Normalization(axis=None, mean=0.1, variance=2.0), 1e-10),
    "normalization_back": (lambda: layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1, 2, 4], invert=True), 1e-10),
    "distributed": (lambda: layers.TimeDistributed(layers.Dense(3, "tanh")), 1e-10),
    "distributed_elementwise": (lambda: layers.TimeDistributed(layers.Activation("tanh")), 1e-10),
    "distributed_batch": (lambda: layers.TimeDistributed(layers.BatchNormalization()), 1e-10),
    "distributed_layer": (lambda: layers.TimeDistributed(layers.LayerNormalization()), 1e-10),
}


def flat(*parts, shape=(4, 3)):
    return keras.Sequential([keras.Input(shape), *parts, layers.Flatten(), layers.Dense(1)])


def functional(build, shape=(4, 3)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, layers.Dense(1)(layers.Flatten()(build(inputs))))


class TestReferenceValues:
    @pytest.mark.parametrize("name", UNCHANGED)
    def test_what_changes_nothing_is_listed_all_the_same(self, name, data, check_agreement):
        network = check_agreement(flat(UNCHANGED[name]()), data)
        assert [layer.kind for layer in network.layers] == [name, "Flatten", "Dense"]

    @pytest.mark.parametrize("case", ELEMENTWISE)
    def test_layers_that_keep_the_shape(self, case, data, check_agreement):
        build, tolerance = ELEMENTWISE[case]
        check_agreement(flat(build()), data, tolerance=tolerance)

    @pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS) & set(dir(keras.activations))))
    @pytest.mark.parametrize("as_layer", [False, True])
    def test_every_activation(self, as_layer, activation, data, check_agreement):
        parts = [layers.Dense(2), layers.Activation(activation)] if as_layer else [layers.Dense(2, activation)]
        network = check_agreement(flat(*parts), data, tolerance=IN_FLOAT32.get(activation, 1e-10))
        assert len(network.layers) == len(parts) + 2

    @pytest.mark.parametrize("build", [lambda: layers.ELU(0.4), lambda: layers.Activation("tanh")])
    def test_an_activation_that_is_a_layer(self, build, data, check_agreement):
        activation = build()
        network = check_agreement(flat(layers.Dense(2, activation=activation, name="hidden")), data)
        assert [layer.name for layer in network.layers][:2] == ["hidden", f"hidden/{activation.name}"]
        check_agreement(flat(layers.Activation(build())), data)

    def test_dense_layers_without_bias(self, data, check_agreement):
        check_agreement(flat(layers.Dense(2, use_bias=False)), data)

    def test_low_rank_updates_of_a_dense_layer(self, data, check_agreement):
        dense = layers.Dense(4)
        model = flat(dense)
        dense.enable_lora(2)
        check_agreement(model, data)

    def test_an_adapted_normalization(self, data, check_agreement):
        layer = layers.Normalization()
        layer.adapt(3 * data + 1)
        model = flat(layer)
        before = np.asarray(layer.mean)
        # The adapted statistics are copies of the weights, which stay as they are.
        check_agreement(model, data)
        np.testing.assert_array_equal(layer.mean, before)

    @pytest.mark.parametrize("shape", [(2, 6), (-1, 2), (12,), (-1,), (1, -1)])
    def test_reshape(self, shape, data, check_agreement):
        check_agreement(flat(layers.Reshape(shape), layers.Dense(2, "tanh")), data)

    @pytest.mark.parametrize(
        "key",
        [
            np.s_[:, -1, :],
            np.s_[:, -1],
            np.s_[:, 1:3],
            np.s_[:, ::-1, 0:2],
            np.s_[:, ::2, -1],
            np.s_[..., 1:],
            np.s_[:, ..., 1],
            np.s_[:, 2, ...],
            np.s_[:, 1],
            np.s_[:, :, :, ...],
        ],
        ids=str,
    )
    def test_slices_of_tensors(self, key, data, check_agreement):
        check_agreement(functional(lambda x: layers.Dense(3, "tanh")(x)[key]), data)

    @pytest.mark.parametrize("keepdims", [False, True])
    def test_mean_over_time(self, keepdims, data, check_agreement):
        check_agreement(flat(layers.GlobalAveragePooling1D(keepdims=keepdims), layers.Dense(2, "tanh")), data)

    def test_mean_over_real_steps(self, padded, check_agreement):
        model = keras.Sequential([keras.Input((4, 3)), layers.Masking(), layers.GlobalAveragePooling1D()])
        model.add(layers.Dense(1))
        check_agreement(model, padded)

    @pytest.mark.parametrize("axis", [-1, 1, 2, -2])
    def test_concatenate(self, axis, data, check_agreement):
        check_agreement(functional(lambda x: layers.Concatenate(axis=axis)([x, layers.Dense(3, "tanh")(x), x])), data)

    @pytest.mark.parametrize(
        "merge",
        [
            lambda x, y: layers.Add()([x, y, x]),
            lambda x, y: layers.Subtract()([x, y]),
            lambda x, y: layers.Average()([x, y, y]),
            lambda x, y: x + y,
            lambda x, y: y - x,
            lambda x, y: keras.ops.add(x, y),
        ],
    )
    def test_sums(self, merge, data, check_agreement):
        check_agreement(functional(lambda x: merge(x, layers.Dense(3, "tanh")(x))), data)

    def test_masking_with_another_value(self, data, check_agreement):
        data[0, :2] = data[3, 3:] = -99.5
        model = keras.Sequential([keras.Input((4, 3)), layers.Masking(-99.5), layers.LSTM(2), layers.Dense(1)])
        check_agreement(model, data)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_masking_with_a_value_that_float32_rounds(self, dtype, data, randomize):
        inputs = keras.Input((4, 3), dtype="float32")
        sequence = layers.LSTM(2, dtype="float32")(layers.Masking(0.1, dtype="float32")(inputs))
        model = randomize(keras.Model(inputs, layers.Dense(1, dtype="float32")(sequence)))
        data[0, :2] = data[3, 3:] = 0.1
        expected = np.asarray(model(data.astype(np.float32)))[:, 0]
        predictions = lrp.predict(networks.canonize(model), data.astype(dtype))
        np.testing.assert_allclose(predictions, expected, rtol=1e-4, atol=1e-5)


@keras.saving.register_keras_serializable(package="tests")
class Doubling(layers.Dense):
    """A subclass computes what it likes."""

    def call(self, inputs):
        """Double the inputs."""
        return super().call(2 * inputs)


def tanh(x):
    return keras.ops.exp(x)


def refused():
    """Message -> model."""
    return {
        r"'c' \(Conv1D\) has no relevance rule. Supported: Activation, .* LSTM, .* Replace the layer": flat(
            layers.Conv1D(2, 2, name="c")
        ),
        r"'d' \(Doubling\) has no relevance rule": flat(Doubling(2, name="d")),
        r"'l' \(Lambda\) has no relevance rule": flat(layers.Lambda(lambda x: x, name="l")),
        r"'s' \(Softmax\) has no relevance rule": flat(layers.Softmax(name="s")),
        r"activation 'softmax' of layer 'a' \(Dense\) has no relevance rule. Supported: 'celu'.* Train the model": flat(
            layers.Dense(2, "softmax", name="a")
        ),
        r"activation 'tanh' of layer 'own' \(Activation\) has no relevance rule": flat(
            layers.Activation(tanh, name="own")
        ),
        r"'hidden/p' \(PReLU\) has no relevance rule": flat(
            layers.Dense(2, activation=layers.PReLU(name="p"), name="hidden")
        ),
        r"'f' \(Dense\) must have an elementwise activation. Got Flatten": flat(
            layers.Dense(2, activation=layers.Flatten(), name="f"), shape=(3,)
        ),
        r"'r' \(ReLU\) must have threshold=0. Got threshold=0.5": flat(layers.ReLU(threshold=0.5, name="r")),
        r"'r' \(ReLU\) must have a max_value or a negative_slope. Got max_value=2 and negative_slope=0.1": flat(
            layers.ReLU(2.0, 0.1, name="r")
        ),
        r"'b' \(BatchNormalization\) must normalize along the last axis. Got axis=1. Build it with axis=-1": flat(
            layers.BatchNormalization(axis=1, name="b")
        ),
        r"'n' \(LayerNormalization\) must normalize along the last axis. Got axis=\[1, 2\]": flat(
            layers.LayerNormalization(axis=[1, 2], name="n")
        ),
        r"'n' \(Normalization\) must normalize along the last axis. Got axis=\(1,\)": flat(
            layers.Normalization(axis=1, name="n")
        ),
        r"'r' \(Rescaling\) must have one scale and offset, or one for each unit. Got shapes \(4, 1\)": flat(
            layers.Rescaling(np.ones((4, 1)), name="r")
        ),
        r"'t' \(TimeDistributed\) must hold a Dense or an elementwise layer. Got LSTM": flat(
            layers.Reshape((2, 2, 3)), layers.TimeDistributed(layers.LSTM(2), name="t")
        ),
        r"'t' \(TimeDistributed\) must hold a Dense or an elementwise layer. Got Conv1D": flat(
            layers.Reshape((2, 2, 3)), layers.TimeDistributed(layers.Conv1D(2, 1), name="t")
        ),
        r"'f' \(Flatten\) must have data_format='channels_last'. Got 'channels_first'": flat(
            layers.Flatten("channels_first", name="f")
        ),
        r"'g' \(GlobalAveragePooling1D\) must have data_format='channels_last'": flat(
            layers.GlobalAveragePooling1D("channels_first", name="g")
        ),
        r"'m' \(Masking\) must read a sequence. Got an input of shape \(12,\)": keras.Sequential(
            [keras.Input((4, 3)), layers.Flatten(), layers.Masking(name="m")]
        ),
        r"'i' \(Identity\) must compute in floats. Got dtype 'int32'": flat(layers.Identity(dtype="int32", name="i")),
        r"'add.*' \(Add\) must have two tensors. Got a number. Use keras.layers.Rescaling": functional(
            lambda x: x + 1.0
        ),
        r"'multiply.*' \(Multiply\) has no relevance rule. Supported: slices of tensors, and sums": functional(
            lambda x: x * 2.0
        ),
        r"'concatenate.*' \(Concatenate\) has no relevance rule. .* layers instead: .* Concatenate": functional(
            lambda x: keras.ops.concatenate([x, x], axis=1)
        ),
        r"must keep all samples. Got the key .* Start the key with a colon": functional(lambda x: x[:1, -1]),
        r"must have a key of whole numbers and slices. .* Use Reshape for new axes": functional(
            lambda x: x[:, None, -1]
        ),
        r"The inputs of Add 'wide' must have one shape": functional(
            lambda x: layers.Add(name="wide")([x, layers.Dense(1)(x)])
        ),
    }


class TestValidation:
    def test_what_has_no_rule_is_named(self):
        for message, model in refused().items():
            with pytest.raises(UnsupportedLayerError, match=message):
                networks.canonize(model)

    def test_concatenation_of_samples(self):
        with pytest.raises(UnsupportedLayerError, match="'c' .Concatenate. must keep samples apart. Got axis=0"):
            networks.canonize(functional(lambda x: layers.Concatenate(axis=0, name="c")([x, x])))

    def test_the_deprecated_scaling_of_layer_normalization(self):
        with pytest.warns(UserWarning, match="rms_scaling"):
            layer = layers.LayerNormalization(rms_scaling=True, name="n")
        with pytest.raises(UnsupportedLayerError, match="must have rms_scaling=False"):
            networks.canonize(flat(layer))

    def test_quantized_weights(self):
        dense = layers.Dense(4, name="small")
        model = flat(dense)
        dense.quantize("int8")
        with pytest.raises(UnsupportedLayerError, match="'small' .* must have plain weights. Got int8 weights"):
            networks.canonize(model)

    def test_the_list_of_supported_layers_is_that_of_keras_names(self):
        names = _canonize_layers.supported()
        assert names == sorted(set(names))
        assert {"InputLayer", "LSTM", "Add", "Masking"} < set(names) <= set(dir(keras.layers))
