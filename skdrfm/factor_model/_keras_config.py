"""Which of Keras' descriptions of an architecture are let through.

Keras builds a model from JSON that names modules, classes and functions, and would import and call what a changed file
names. Only classes on a list pass here: the layers that have a relevance rule, and what they are made of. They run no
code of the file and read no other files.
"""

from collections.abc import Mapping
from types import MappingProxyType

from skdrfm.exceptions import PersistenceError
from skdrfm.factor_model._plain_values import Plain

_KERAS_LAYERS = """Activation ActivityRegularization Add AlphaDropout Average BatchNormalization Bidirectional
    Concatenate Dense Dropout ELU Flatten GRU GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D Identity
    InputLayer LSTM LSTMCell LayerNormalization LeakyReLU Masking Normalization RNN ReLU Rescaling Reshape SimpleRNN
    SimpleRNNCell SpatialDropout1D Subtract TimeDistributed"""
_KERAS_INITIALIZERS = """Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform Ones
    Orthogonal RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros"""

KERAS_CLASSES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "keras": frozenset({"DTypePolicy", "Sequential"}),
        "keras.constraints": frozenset({"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"}),
        "keras.initializers": frozenset(_KERAS_INITIALIZERS.split()),
        "keras.layers": frozenset(_KERAS_LAYERS.split()),
        "keras.models": frozenset({"Sequential"}),
        "keras.regularizers": frozenset({"L1", "L1L2", "L2", "OrthogonalRegularizer"}),
        "keras.src.models.functional": frozenset({"Functional"}),
        "keras.src.models.sequential": frozenset({"Sequential"}),
        "keras.src.ops.numpy": frozenset({"Add", "Any", "GetItem", "NotEqual", "Subtract"}),
        "skdrfm.networks._additive": frozenset({"AdditiveLSTMCell"}),
    }
)
"""Module -> classes that a description of an architecture may name."""

_KERAS_VALUES = frozenset({"__ellipsis__", "__keras_tensor__", "__slice__"})
# Optimizer, loss and metrics of the training, which a trained network no longer needs.
_LEFT_OUT = "compile_config"


def without_compilation(config: dict[str, Plain]) -> dict[str, Plain]:
    """Leave out what only training needs.

    Parameters
    ----------
    config : dict of str to JSON value
        What Keras wrote with ``to_json``.

    Returns
    -------
    dict of str to JSON value
        The same without optimizer, loss and metrics, those of inner models included.
    """
    kept: dict[str, Plain] = _without(config)
    return kept


def _without(item: Plain) -> Plain:
    # A model inside a model has a description, and may have a training, of its own.
    if isinstance(item, dict):
        return {key: _without(value) for key, value in item.items() if key != _LEFT_OUT}
    return [_without(value) for value in item] if isinstance(item, list) else item


def check_keras_config(config: Plain) -> None:
    """Refuse a description of an architecture that names more than known classes of layers and their parts.

    Parameters
    ----------
    config : JSON value
        What Keras wrote with ``to_json``.

    Raises
    ------
    PersistenceError
        If it names another class, or a function.
    """
    if not isinstance(config, dict) or config.get("class_name") not in ("Functional", "Sequential"):
        raise PersistenceError(
            "Keras' description of a network must be of a Functional or Sequential model. Got "
            f"{config.get('class_name') if isinstance(config, dict) else type(config).__name__}."
        )
    waiting: list[Plain] = [config]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            _check_keras_object(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _check_keras_object(item: dict[str, Plain]) -> None:
    named = {key: item[key] for key in ("module", "class_name", "registered_name", _LEFT_OUT) if key in item}
    if not named or (len(named) == 1 and named.get("class_name") in _KERAS_VALUES):
        return
    module, kind, registered = (named.get(key) for key in ("module", "class_name", "registered_name"))
    known = isinstance(module, str) and isinstance(kind, str) and kind in KERAS_CLASSES.get(module, ())
    if not known or _LEFT_OUT in named or registered not in (None, kind, f"skdrfm>{kind}"):
        raise PersistenceError(
            "Keras' description of a network must name only layers with a relevance rule, and their initializers, "
            f"regularizers and constraints. Got {str(named)[:200]}. Keep such a network with joblib.dump."
        )
