"""Keras models are recognised without Keras, and read from files."""

import subprocess
import sys

import keras
import pytest

from skdrfm import networks
from skdrfm.exceptions import UnsupportedLayerError


def small():
    return keras.Sequential([keras.Input((4, 3)), keras.layers.LSTM(1)])


class TestIsKerasModel:
    def test_models_and_other_things(self):
        inputs = keras.Input((3,))
        assert networks.is_keras_model(small())
        assert networks.is_keras_model(keras.Model(inputs, keras.layers.Dense(1)(inputs)))
        for other in (keras.layers.Dense(1), keras.Model, "model.keras", None):
            assert not networks.is_keras_model(other)

    def test_it_loads_no_keras(self):
        code = (
            "import sys; from skdrfm.networks import is_keras_model; print(is_keras_model(1), 'keras' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["False", "False"]


class TestLoadKeras:
    @pytest.mark.parametrize("as_text", [False, True])
    def test_a_saved_model(self, as_text, tmp_path):
        path = tmp_path / "model.keras"
        small().save(path)
        model = networks.load_keras(str(path) if as_text else path)
        assert networks.is_keras_model(model)
        assert not model.compiled

    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="model.keras' must be a file. Got none there"):
            networks.load_keras(tmp_path / "model.keras")

    def test_a_file_of_another_format(self, tmp_path):
        path = tmp_path / "model.onnx"
        path.write_bytes(b"")
        with pytest.raises(ValueError, match=r"the suffix .keras, .h5, .hdf5. Got 'model.onnx'. Save it with"):
            networks.load_keras(path)

    def test_a_file_that_is_no_model(self, tmp_path):
        path = tmp_path / "model.keras"
        path.write_bytes(b"nothing of the kind")
        with pytest.raises(UnsupportedLayerError, match="must be made of what Keras knows"):
            networks.load_keras(path)

    def test_code_in_a_file_is_not_run(self, tmp_path):
        path = tmp_path / "model.keras"
        keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x), keras.layers.Dense(1)]).save(path)
        with pytest.raises(UnsupportedLayerError, match="Load it with keras.saving.load_model and your own classes"):
            networks.load_keras(path)

    def test_classes_of_a_user(self, tmp_path):
        class Own(keras.layers.Dense):
            """A layer that only this test knows."""

        path = tmp_path / "model.keras"
        keras.Sequential([keras.Input((3,)), Own(1)]).save(path)
        with pytest.raises(UnsupportedLayerError, match="Got: Could not locate class 'Own'.* Load it with"):
            networks.load_keras(path)
