"""Training through scikeras, and back from plain data to a Keras model."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from scikeras.wrappers import KerasRegressor
from tensorflow.python.eager import context as tensorflow_context

from skdrfm._typing import FloatArray
from skdrfm.exceptions import NonFiniteError, UnsupportedLayerError
from skdrfm.networks._canonize import canonize
from skdrfm.networks._records import Builder, NetworkMeta, TrainedNetwork, TrainingOptions

# Seeds and the default float are states of the whole process while a network trains: threads take turns.
_ONE_AT_A_TIME = threading.Lock()

# Tracing a training step costs as much as running this many of them as they are; the results agree to rounding.
_EAGER_UP_TO = 16


def train(
    builder: Builder,
    meta: NetworkMeta,
    options: TrainingOptions,
    X: FloatArray,
    y: FloatArray,
    *,
    sample_weight: FloatArray | None = None,
    validation: tuple[FloatArray, ...] | None = None,
) -> TrainedNetwork:
    """Build and train a network and return it as plain data.

    The result depends on the arguments alone: weights, dropout and the shuffling of rows are drawn from
    ``meta.seed``, and the random states of Python, NumPy and TensorFlow are left as they were.

    Parameters
    ----------
    builder : callable
        ``builder(meta)`` returns an uncompiled (or compiled) Keras model with one output unit.
    meta : NetworkMeta
        Shape of the input, seed and dtype.
    options : TrainingOptions
        How to train.
    X : ndarray of shape (n_samples, n_timesteps, n_features)
        Training rows.
    y : ndarray of shape (n_samples,)
        Targets.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the training rows.
    validation : tuple (X, y) or (X, y, sample_weight), default=None
        Rows whose loss chooses the epoch; never trained on.

    Returns
    -------
    TrainedNetwork
        Architecture, weights, NumPy network and loss history.

    Raises
    ------
    NonFiniteError
        If training diverged, that is, a weight became NaN or infinite.
    """
    keras_options: dict[str, Any] = {}
    if isinstance(options.optimizer, str):
        keras_options["optimizer__learning_rate"] = options.learning_rate
    if validation is not None:
        keras_options["fit__validation_data"] = validation
        keras_options["fit__validation_batch_size"] = options.batch_size
    wrapper = KerasRegressor(
        model=_build,
        model__builder=builder,
        model__network_meta=meta,
        loss=options.loss,
        optimizer=options.optimizer,
        epochs=options.epochs,
        batch_size=options.batch_size,
        callbacks=[*options.callbacks, *_early_stopping(options, validation is not None)],
        verbose=options.verbose,
        random_state=meta.seed,
        run_eagerly=options.epochs * -(-len(X) // options.batch_size) <= _EAGER_UP_TO,
        **keras_options,
    )
    with _ONE_AT_A_TIME, _tensorflow_state_kept(), _default_float(meta.dtype):
        wrapper.fit(X, y, sample_weight=sample_weight)
    model = wrapper.model_
    weights = tuple(np.asarray(weight) for weight in model.get_weights())
    if not all(np.isfinite(weight).all() for weight in weights):
        raise NonFiniteError(
            "The weights of a trained network must be finite. Training diverged after "
            f"{len(wrapper.history_['loss'])} epochs. Lower learning_rate (got {options.learning_rate:g}) or rescale "
            "X and y."
        )
    try:
        network, unsupported = canonize(model), ""
    except UnsupportedLayerError as error:
        network, unsupported = None, str(error)
    return TrainedNetwork(
        config=model.to_json(),
        weights=weights,
        network=network,
        unsupported=unsupported,
        history={key: [float(value) for value in values] for key, values in wrapper.history_.items()},
    )


def rebuild(trained: TrainedNetwork) -> Any:
    """Build the Keras model of a trained network.

    Parameters
    ----------
    trained : TrainedNetwork
        Architecture and weights.

    Returns
    -------
    keras.Model
        Model with the trained weights, not compiled.
    """
    model = keras.models.model_from_json(trained.config)
    model.set_weights(list(trained.weights))
    return model


def keras_predict(trained: TrainedNetwork, X: FloatArray, *, batch_size: int = 4096) -> FloatArray:
    """Predict with Keras, for networks that the NumPy forward pass does not know.

    Parameters
    ----------
    trained : TrainedNetwork
        Architecture and weights.
    X : ndarray of shape (n_samples, n_timesteps, n_features)
        Rows to predict.
    batch_size : int, default=4096
        Rows in a step.

    Returns
    -------
    ndarray of shape (n_samples,)
        Predictions in float64.
    """
    predictions = rebuild(trained).predict(X, batch_size=batch_size, verbose=0)
    return np.asarray(predictions, dtype=np.float64).reshape(len(X))


def _build(builder: Builder, network_meta: NetworkMeta) -> Any:
    # scikeras refuses bound methods and partials as a model; this function hands on to any builder.
    return builder(network_meta)


def _early_stopping(options: TrainingOptions, has_validation: bool) -> list[Any]:
    if not has_validation:
        return []
    patience = options.epochs if options.patience is None else options.patience
    return [keras.callbacks.EarlyStopping(monitor="val_loss", patience=patience, restore_best_weights=True)]


@contextmanager
def _default_float(dtype: str) -> Iterator[None]:
    """Let losses, and layers of user builders, compute in the dtype of the network, and put Keras' default back."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)  # set from floatx when first asked for, and then kept
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


@contextmanager
def _tensorflow_state_kept() -> Iterator[None]:
    """Leave TensorFlow's operation seeds as they were.

    scikeras puts the global seed back, but setting a seed restarts TensorFlow's sequence of operation seeds: a
    caller's next random number would repeat an earlier one.
    """
    context = tensorflow_context.context()
    generator = getattr(context, "_rng", None)
    state = None if generator is None else generator.getstate()
    try:
        yield
    finally:
        restored = getattr(context, "_rng", None)
        if state is not None and restored is not None:
            restored.setstate(state)
