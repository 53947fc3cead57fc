"""The explainers of shap behind the signature of `skdrfm.explain`, on the NumPy forward of the network."""

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from skdrfm._typing import FloatArray
from skdrfm.exceptions import NonFiniteError
from skdrfm.explanation import Explanation
from skdrfm.explanation._shap import _import_shap
from skdrfm.inspection._compare_subject import Subject
from skdrfm.inspection._forward import Predict
from skdrfm.networks import is_keras_model

# Where an input is its background mean to one part in a million, a quotient by the difference is noise.
_AT_THE_MEAN = 1e-6


class Shapley(NamedTuple):
    """What an explainer of shap finds, and what it costs."""

    values: FloatArray  # (n_samples, n_timesteps * n_features)
    base: float
    evaluations: float  # for each explained row
    seconds: float


class Counted:
    """A prediction that counts the rows that it is asked for.

    Parameters
    ----------
    predict : callable
        Function of flat inputs.
    """

    def __init__(self, predict: Predict) -> None:
        self.predict = predict
        self.n_rows = 0

    def __call__(self, flat: Any) -> FloatArray:
        """Predict flat rows."""
        self.n_rows += len(flat)
        return self.predict(np.asarray(flat, dtype=np.float64))


def shap_explanation(
    method: str, subject: Subject, background: FloatArray, max_evals: int | None, seed: int
) -> tuple[Explanation, Shapley]:
    """Explain rows by an explainer of shap.

    The relevance is the SHAP value, the bias the mean prediction of the background. The loading is the value over what
    the input has beyond its mean in the background, ``phi / (x - mean)``, which for a linear model is its coefficient;
    an offset holds the rest, so that values are those of shap. An input at this mean has the loading 0.

    Parameters
    ----------
    method : str
        A key of `EXPLAINERS`.
    subject : Subject
        Model and rows.
    background : ndarray of shape (n_background, n_timesteps * n_features)
        Checked background.
    max_evals : int or None
        Budget for each row; None: the default of shap, or the least that the explainer can do with.
    seed : int
        Seed of its draws.

    Returns
    -------
    tuple of Explanation and Shapley
        The explanation, and the cost.

    Raises
    ------
    ValueError
        If the budget is too small.
    TypeError
        If "shap-gradient" is asked for without a Keras model.
    NonFiniteError
        If the explainer returns NaN.
    """
    shap = _import_shap()
    with _borrowed_generator(seed):
        found = EXPLAINERS[method](shap, subject, background, max_evals, seed)
    if not np.isfinite(found.values).all():
        raise NonFiniteError(
            f"{method!r} must find finite values. Got {int((~np.isfinite(found.values)).sum())} NaN or infinite ones "
            f"from shap for a background of {len(background)} rows. Pass more rows, or use 'shap-permutation'."
        )
    data, mean = subject.data, background.mean(axis=0)
    beyond = data - mean
    apart = np.abs(beyond) > _AT_THE_MEAN * np.maximum(np.abs(data), np.abs(mean))
    loadings = np.divide(found.values, beyond, out=np.zeros_like(data), where=apart)
    shape = subject.rows.loadings.shape
    nothing = np.zeros(len(data))
    explanation = replace(
        subject.rows,
        loadings=loadings.reshape(shape),
        data=data.reshape(shape),
        bias=np.full(len(data), found.base),
        stabilizer=nothing,
        state=nothing,
        offsets=(found.values - data * loadings).reshape(shape),
        coverage=(),
        method=method,
    )
    return explanation, found


@contextmanager
def _borrowed_generator(seed: int) -> Iterator[None]:
    """Seed the global generator of NumPy, from which shap draws, and give it back as it was."""
    state = np.random.get_state()  # noqa: NPY002  # shap knows no other
    logger = logging.getLogger("shap")
    level = logger.level
    try:
        np.random.seed(seed % 2**32)  # noqa: NPY002
        logger.setLevel(logging.ERROR)  # it would advise a smaller background
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
        logger.setLevel(level)


def _permutation(shap: Any, subject: Subject, background: FloatArray, max_evals: int | None, seed: int) -> Shapley:
    predict, n_cells = Counted(subject.forward.predict), background.shape[1]
    budget = _budget("shap-permutation", max_evals, default=500, least=2 * n_cells + 1)
    _compile(shap)
    # shap would draw 100 rows of a larger background by itself.
    masker = shap.maskers.Independent(background, max_samples=len(background))
    start = time.perf_counter()
    found = shap.PermutationExplainer(predict, masker, seed=seed % 2**32)(subject.data, max_evals=budget, silent=True)
    return _done(found.values, float(np.ravel(found.base_values)[0]), predict, start)


def _kernel(shap: Any, subject: Subject, background: FloatArray, max_evals: int | None, seed: int) -> Shapley:
    predict, n_cells = Counted(subject.forward.predict), background.shape[1]
    budget = _budget("shap-kernel", max_evals, default=2 * n_cells + 2048, least=2 * n_cells)
    start = time.perf_counter()
    explainer = shap.KernelExplainer(predict, background)
    # Without the choice of ten columns that shap makes by default, which would set the others to 0.
    values = explainer.shap_values(subject.data, nsamples=budget, l1_reg=False, silent=True)
    return _done(values, float(explainer.expected_value), predict, start)


def _sampling(shap: Any, subject: Subject, background: FloatArray, max_evals: int | None, seed: int) -> Shapley:
    predict, n_cells = Counted(subject.forward.predict), background.shape[1]
    # Each cell needs some draws for the variances by which shap shares out the rest.
    budget = _budget("shap-sampling", max_evals, default=2000, least=4 * n_cells)
    start = time.perf_counter()
    explainer = shap.SamplingExplainer(predict, background)
    values = explainer.shap_values(subject.data, nsamples=budget, silent=True)
    return _done(values, float(explainer.expected_value), predict, start)


def _gradient(shap: Any, subject: Subject, background: FloatArray, max_evals: int | None, seed: int) -> Shapley:
    model, shape = _keras_model(subject)
    budget = _budget("shap-gradient", max_evals, default=200, least=1)
    rows = subject.data.reshape(-1, *shape)
    with warnings.catch_warnings():
        # shap hands the inputs over in a list, which Keras takes and remarks on.
        warnings.filterwarnings("ignore", "The structure of `inputs` doesn't match", UserWarning)
        explainer = shap.GradientExplainer(model, background.reshape(-1, *shape))
        explainer.shap_values(rows[:1], nsamples=budget, rseed=0)  # TensorFlow traces here
        start = time.perf_counter()
        values = explainer.shap_values(rows, nsamples=budget, rseed=seed % 2**32)
        seconds = time.perf_counter() - start
    if values.ndim > rows.ndim:
        values = values[..., subject.output or 0]
    base = float(subject.forward.predict(background).mean())
    return Shapley(np.asarray(values, dtype=np.float64).reshape(len(rows), -1), base, float(budget), seconds)


def _keras_model(subject: Subject) -> tuple[Any, tuple[int, ...]]:
    step, activation = subject.forward.step, subject.forward.output_activation
    model: Any = step if is_keras_model(step) else getattr(step, "model_", None)
    if not is_keras_model(model):
        raise TypeError(
            f"'shap-gradient' differentiates a Keras model. Got {type(step).__name__}, which has none. Leave it out, "
            "or use 'shap-permutation'."
        )
    if activation != "linear":
        raise TypeError(
            f"'shap-gradient' explains the output of the Keras model after its activation {activation!r}; all other "
            "methods explain what it is applied to. Use 'shap-permutation', or a model with a linear output."
        )
    shape = tuple(model.inputs[0].shape[1:])
    if None in shape:
        raise TypeError(
            f"'shap-gradient' needs a Keras model whose number of time steps is fixed. Got an input of shape {shape}. "
            "Use 'shap-permutation', or build the model with keras.Input((n_timesteps, n_features))."
        )
    return model, shape


def _budget(method: str, max_evals: int | None, *, default: int, least: int) -> int:
    if max_evals is None:
        return max(default, least)
    if max_evals < least:
        raise ValueError(
            f"'max_evals' must be at least {least} for {method!r} on these columns. Got {max_evals}. Pass more, or "
            "None for its default."
        )
    return int(max_evals)


def _compile(shap: Any) -> None:
    """Let numba compile what shap calls: it takes seconds, once in a process, and is no cost of an explanation."""
    masker = shap.maskers.Independent(np.zeros((2, 2)))
    shap.PermutationExplainer(lambda rows: rows.sum(axis=1), masker, seed=0)(np.ones((1, 2)), silent=True)


def _done(values: Any, base: float, predict: Counted, start: float) -> Shapley:
    seconds = time.perf_counter() - start
    found = np.asarray(values, dtype=np.float64)
    return Shapley(found, base, predict.n_rows / len(found), seconds)


EXPLAINERS: Mapping[str, Callable[[Any, Subject, FloatArray, int | None, int], Shapley]] = MappingProxyType(
    {
        "shap-permutation": _permutation,
        "shap-kernel": _kernel,
        "shap-sampling": _sampling,
        "shap-gradient": _gradient,
    }
)
"""Explainers of shap by name."""
