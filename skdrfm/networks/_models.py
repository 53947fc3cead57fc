"""Keras models from outside: recognise one without loading Keras, and read one from a file."""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from skdrfm.exceptions import UnsupportedLayerError

_SUFFIXES = (".keras", ".h5", ".hdf5")


def is_keras_model(obj: object) -> bool:
    """Say whether an object is a Keras model, without loading Keras.

    Parameters
    ----------
    obj : object
        Anything.

    Returns
    -------
    bool
        True for a keras.Model. Who has one has loaded Keras, so that nothing is one before.

    Examples
    --------
    >>> from skdrfm.networks import is_keras_model
    >>> is_keras_model("a string")
    False
    """
    kind = getattr(sys.modules.get("keras"), "Model", None)
    return isinstance(kind, type) and isinstance(obj, kind)


def load_keras(path: str | os.PathLike[str]) -> Any:
    """Read a Keras model from a file, as saved by ``model.save(path)``.

    Parameters
    ----------
    path : str or path-like
        A ``.keras`` file, or ``.h5`` of older Keras.

    Returns
    -------
    keras.Model
        The model, not compiled.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not of a known format.
    UnsupportedLayerError
        If the model cannot be rebuilt, such as one with classes or code that Keras does not know.

    Examples
    --------
    >>> import keras, os, tempfile
    >>> from skdrfm.networks import load_keras
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.keras")
    ...     keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(1)]).save(path)
    ...     load_keras(path).input_shape
    (None, 5, 3)
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"The Keras model {str(file)!r} must be a file. Got none there. Correct the path.")
    if file.suffix not in _SUFFIXES:
        raise ValueError(
            f"A Keras model must be a file with the suffix {', '.join(_SUFFIXES)}. Got {file.name!r}. "
            "Save it with model.save('model.keras')."
        )
    import keras  # takes seconds, and only this function needs it

    import_module("skdrfm.networks._additive")  # so that Keras knows our cell

    try:
        return keras.saving.load_model(file, compile=False)
    except (TypeError, ValueError) as error:
        # Keras puts the configuration of the whole model around the cause.
        cause = str(error).split("Exception encountered: ")[-1].split(" Full object config")[0]
        raise UnsupportedLayerError(
            f"The Keras model {str(file)!r} must be made of what Keras knows. Got: {cause} "
            "Load it with keras.saving.load_model and your own classes, and pass the model itself."
        ) from error
