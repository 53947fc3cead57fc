"""Keras networks: the only room that imports Keras, TensorFlow and scikeras, and only when one is needed."""

from importlib import import_module
from typing import Any

from skdrfm.networks._models import is_keras_model, load_keras
from skdrfm.networks._records import NetworkMeta, TrainedNetwork, TrainingJob, TrainingOptions

_LAZY = {
    "AdditiveLSTMCell": "skdrfm.networks._additive",
    "build_dense": "skdrfm.networks._builders",
    "build_recurrent": "skdrfm.networks._builders",
    "canonize": "skdrfm.networks._canonize",
    "keras_predict": "skdrfm.networks._training",
    "rebuild": "skdrfm.networks._training",
    "train_many": "skdrfm.networks._training",
}

__all__ = ["NetworkMeta", "TrainedNetwork", "TrainingJob", "TrainingOptions", "is_keras_model", "load_keras", *_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'skdrfm.networks' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
