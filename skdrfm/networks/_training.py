"""Training by our own program or through scikeras, and back from plain data to a Keras model."""

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import keras
import numpy as np
from scikeras.utils.random_state import tensorflow_random_state
from scikeras.wrappers import KerasRegressor
from tensorflow.python.eager import context as tensorflow_context
from tensorflow.python.framework.config import is_op_determinism_enabled

from skdrfm._typing import FloatArray
from skdrfm.exceptions import NonFiniteError, SkdrfmWarning, UnsupportedLayerError
from skdrfm.networks._builders import build_dense, build_recurrent
from skdrfm.networks._canonize import canonize
from skdrfm.networks._chain import Chain, NotBatchable, read_chain
from skdrfm.networks._records import Builder, NetworkMeta, TrainedNetwork, TrainingJob, TrainingOptions
from skdrfm.networks._together import EAGER_UP_TO, Fitted, Start, run_together

# Seeds and the default float are states of the whole process while Keras builds or trains a model, and templates are
# shared: threads take turns there. Our own program has no such state, and threads run it at the same time.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class _Template:
    """A built model that our own program can train: trained networks are made of it by setting its weights."""

    model: Any
    config: str
    weights: tuple[FloatArray, ...]
    chain: Chain
    seeds: tuple[int, ...]


def train_many(jobs: Sequence[TrainingJob], *, width: int = 1) -> list[TrainedNetwork]:
    """Build and train networks and return them as plain data.

    A result depends on its job alone: weights, dropout and the shuffling of rows are drawn from ``meta.seed``, and
    the random states of Python, NumPy and TensorFlow are left as they were. Networks whose layers, loss and optimizer
    our own program knows are trained by it, those of the same architecture side by side; all others through scikeras,
    one after the other.

    Parameters
    ----------
    jobs : sequence of TrainingJob
        What to train.
    width : int, default=1
        Networks trained side by side in one program. Results agree for any width up to rounding, and to the last bit
        for any number of jobs of the same width.

    Returns
    -------
    list of TrainedNetwork
        Architecture, weights, NumPy network and loss history of each job.

    Raises
    ------
    NonFiniteError
        If training diverged, that is, a weight became NaN or infinite.

    Warns
    -----
    SkdrfmWarning
        If networks that should train side by side cannot.
    """
    templates = {n: _template(job.builder, job.meta) for n, job in enumerate(jobs) if job.options.known_to_program}
    ours = {n: template for n, template in templates.items() if isinstance(template, _Template)}
    if width > 1 and len(ours) < len(jobs):
        reasons = {template for template in templates.values() if isinstance(template, str)}
        _tell_what_is_alone(jobs, reasons, n_alone=len(jobs) - len(ours))
    starts = [Start(jobs[n], template.chain, list(template.weights), template.seeds) for n, template in ours.items()]
    fitted = dict(zip(ours, run_together(starts, width=width), strict=True))
    trained = []
    for n, job in enumerate(jobs):
        if n in ours:
            model, config, result = ours[n].model, ours[n].config, fitted[n]
        else:
            model, result = _train_with_keras(job)
            config = _config(model)
        trained.append(_as_plain_data(model, config, result, job.options))
    return trained


def _tell_what_is_alone(jobs: Sequence[TrainingJob], reasons: set[str], *, n_alone: int) -> None:
    """Say that networks that should train side by side train one after the other, and why."""
    if not all(job.options.known_to_program for job in jobs):
        reasons = {*reasons, "has callbacks, a loss or an optimizer that only Keras knows"}
    warnings.warn(
        f"{n_alone} of {len(jobs)} networks are trained one after the other by Keras, not side by side: the model "
        f"{', '.join(sorted(reasons))}. The results are as good; pass windows_per_program=1 if this is meant.",
        SkdrfmWarning,
        stacklevel=2,
    )


def _template(builder: Builder, meta: NetworkMeta) -> _Template | str:
    """Build a model; those of our own builders are kept, since many windows begin with the same one.

    Returns
    -------
    _Template or str
        The model, or why our own program cannot train it: completes "the model ... ".
    """
    if isinstance(builder, partial) and builder.func in (build_recurrent, build_dense) and not builder.args:
        keywords = tuple(sorted(builder.keywords.items()))
        if _is_hashable(keywords):  # a list of units is not
            return _kept_template(builder.func, keywords, meta)
    return _new_template(builder, meta)


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


@lru_cache(maxsize=32)
def _kept_template(builder: Any, keywords: tuple[tuple[str, Any], ...], meta: NetworkMeta) -> _Template | str:
    return _new_template(partial(builder, **dict(keywords)), meta)


def _new_template(builder: Builder, meta: NetworkMeta) -> _Template | str:
    with _ONE_AT_A_TIME, _tensorflow_state_kept(), _default_float(meta.dtype), tensorflow_random_state(meta.seed):
        model = builder(meta)
    try:
        chain, own_seeds = read_chain(model)
    except NotBatchable as reason:
        return str(reason)
    others = np.random.SeedSequence([meta.seed, 2]).generate_state(len(own_seeds))
    seeds = tuple(int(other if seed is None else seed) for seed, other in zip(own_seeds, others, strict=True))
    weights = tuple(np.asarray(weight) for weight in model.get_weights())
    return _Template(model, _config(model), weights, chain, seeds)


def _config(model: Any) -> str:
    """Architecture as JSON, without loss and optimizer: those may be functions, which JSON does not hold."""
    model.compiled = False
    return str(model.to_json())


def _as_plain_data(model: Any, config: str, fitted: Fitted, options: TrainingOptions) -> TrainedNetwork:
    if not all(np.isfinite(weight).all() for weight in fitted.weights):
        raise NonFiniteError(
            "The weights of a trained network must be finite. Training diverged after "
            f"{len(fitted.history['loss'])} epochs. Lower learning_rate (got {options.learning_rate:g}) or rescale "
            "X and y."
        )
    with _ONE_AT_A_TIME:
        model.set_weights(fitted.weights)
        try:
            network, unsupported = canonize(model), ""
        except UnsupportedLayerError as error:
            network, unsupported = None, str(error)
    return TrainedNetwork(
        config=config,
        weights=tuple(fitted.weights),
        network=network,
        unsupported=unsupported,
        history=fitted.history,
    )


def _train_with_keras(job: TrainingJob) -> tuple[Any, Fitted]:
    """Train through scikeras: callbacks, losses, optimizers and layers as Keras knows them; also return the model."""
    options = job.options
    keras_options: dict[str, Any] = {}
    if isinstance(options.optimizer, str):
        keras_options["optimizer__learning_rate"] = options.learning_rate
    if job.validation is not None:
        keras_options["fit__validation_data"] = job.validation
        keras_options["fit__validation_batch_size"] = options.batch_size
    wrapper = KerasRegressor(
        model=_build,
        model__builder=job.builder,
        model__network_meta=job.meta,
        loss=options.loss,
        optimizer=options.optimizer,
        epochs=options.epochs,
        batch_size=options.batch_size,
        callbacks=[*options.callbacks, *_early_stopping(options, job.validation is not None)],
        verbose=options.verbose,
        random_state=job.meta.seed,
        run_eagerly=options.epochs * -(-len(job.X) // options.batch_size) <= EAGER_UP_TO,
        **keras_options,
    )
    with _ONE_AT_A_TIME, _tensorflow_state_kept(), _default_float(job.meta.dtype):
        wrapper.fit(job.X, job.y, sample_weight=job.sample_weight)
    weights = [np.asarray(weight) for weight in wrapper.model_.get_weights()]
    history = {key: [float(value) for value in values] for key, values in wrapper.history_.items()}
    return wrapper.model_, Fitted(weights, history)


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
    """Leave TensorFlow's operation seeds, and whether operations are deterministic, as they were.

    scikeras puts the global seed back, but setting a seed restarts TensorFlow's sequence of operation seeds: a
    caller's next random number would repeat an earlier one. And TensorFlow reads the variable TF_DETERMINISTIC_OPS at
    the first question for determinism: asked after scikeras has set it, it would take determinism for the caller's
    wish, and keep it.
    """
    is_op_determinism_enabled()
    context = tensorflow_context.context()
    generator = getattr(context, "_rng", None)
    state = None if generator is None else generator.getstate()
    try:
        yield
    finally:
        restored = getattr(context, "_rng", None)
        if state is not None and restored is not None:
            restored.setstate(state)
