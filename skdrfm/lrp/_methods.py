"""Other attributions behind the signature of relevance propagation, so that methods can be compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from skdrfm._typing import FloatArray
from skdrfm.lrp._chunks import run_in_chunks
from skdrfm.lrp._coverage import cover
from skdrfm.lrp._layer import is_whole
from skdrfm.lrp._network import Network
from skdrfm.lrp._propagate import (
    DEFAULT_CHUNK_SIZE,
    Relevance,
    Run,
    check_dtype,
    check_samples,
    propagate,
    samples_last,
)
from skdrfm.lrp._rules import COMPOSITES, GRADIENT, RULES, Composite, Rule, RuleLike


@dataclass(frozen=True)
class GradientTimesInput:
    """The gradient as loading: ``R_i = x_i df/dx_i``. It adds up for linear models only."""


@dataclass(frozen=True)
class IntegratedGradients:
    """The mean gradient between an input of zeros and the sample as loading (Sundararajan et al. 2017, 1703.01365).

    The prediction of zeros becomes the bias; the rest adds up, up to the error of the integral.

    Parameters
    ----------
    n_steps : int, default=50
        Points of the midpoint rule.

    Raises
    ------
    ValueError
        If n_steps is no positive integer.
    """

    n_steps: int = 50

    def __post_init__(self) -> None:
        if not is_whole(self.n_steps, 1):
            raise ValueError(f"'n_steps' must be an integer >= 1. Got {self.n_steps!r}. 50 suits smooth networks.")


@dataclass(frozen=True)
class Occlusion:
    """What the prediction loses when one input becomes 0: ``R_i = f(x) - f(x with x_i = 0)`` (Arras et al. 2019).

    The loading is R_i / x_i, and where the input is 0 its limit, the gradient. It adds up for linear models only.
    """


Method: TypeAlias = GradientTimesInput | IntegratedGradients | Occlusion
MethodLike: TypeAlias = RuleLike | Method

_METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "gradient-x-input": GradientTimesInput(),
        "integrated-gradients": IntegratedGradients(),
        "occlusion": Occlusion(),
    }
)

METHODS: tuple[str, ...] = (*RULES, *COMPOSITES, *_METHODS)
"""Names of all methods: the relevance rules, the named composites, and attributions to compare them with."""


def check_method(method: object) -> None:
    """Refuse what is no method.

    Parameters
    ----------
    method : object
        What a caller gave as a rule.

    Raises
    ------
    ValueError
        If it is neither a name in `METHODS`, nor a rule, a composite or a method object.
    """
    known = method in METHODS if isinstance(method, str) else isinstance(method, Rule | Composite | Method)
    if not known:
        raise ValueError(
            f"'rule' must be one of {', '.join(map(repr, METHODS))}. Got {method!r}. Choose a name from "
            "skdrfm.lrp.METHODS, or pass a Rule, a Composite or a method object of skdrfm.lrp."
        )


def method_name(method: MethodLike) -> str:
    """Name of a method, for people.

    Parameters
    ----------
    method : str or object
        As `attribute` takes it.

    Returns
    -------
    str
        The name in `METHODS`, or "composite".
    """
    if isinstance(method, str):
        return method
    if isinstance(method, Rule):
        return method.name
    return next((name for name, known in _METHODS.items() if type(known) is type(method)), "composite")


def attribute(
    network: Network,
    X: ArrayLike,
    *,
    rule: MethodLike = "lrp-all",
    dtype: DTypeLike = np.float64,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
    n_threads: int | None = None,
    **options: Any,
) -> Relevance:
    """Explain predictions by relevance propagation, or by a method to compare it with.

    Parameters
    ----------
    network : Network
        The network.
    X : array-like of shape (n_samples, n_timesteps, n_features)
        Samples, oldest time step first.
    rule : str or object, default="lrp-all"
        One of `METHODS`, a `Rule`, a `Composite`, or `GradientTimesInput()`, `IntegratedGradients(n_steps)` or
        `Occlusion()`.
    dtype, chunk_size, n_threads : as in propagate
        How to compute.
    **options
        Options of a relevance rule: epsilon, epsilon_mode, bias_factor and sequence.

    Returns
    -------
    Relevance
        Predictions and loadings. Methods other than relevance rules need not add up: what is missing is the
        difference between the prediction and the sum of all parts.

    Raises
    ------
    PanelError, NonFiniteError, UnsupportedLayerError
        As in propagate.
    ValueError
        If the method is unknown, or gets options that it does not have.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.lrp import Dense, Flatten, Network, attribute
    >>> square = Network([Flatten(), Dense(np.eye(2), np.zeros(2), "relu"), Dense(np.ones((2, 1)), np.zeros(1))], 1, 2)
    >>> attribute(square, [[[3.0, 4.0]]], rule="occlusion").loadings
    array([[[1., 1.]]])
    """
    check_method(rule)
    method = _METHODS.get(rule, rule) if isinstance(rule, str) else rule
    if not isinstance(method, Method):
        return propagate(network, X, rule=method, dtype=dtype, chunk_size=chunk_size, n_threads=n_threads, **options)
    plain = Rule()
    changed = {name: value for name, value in options.items() if value != getattr(plain, name)}
    if changed:
        raise ValueError(
            f"The method {rule!r} has no options {', '.join(changed)}: they belong to relevance rules. Got {changed}. "
            "Leave them out."
        )
    dtype = check_dtype(dtype)
    X = check_samples(network, X)
    run = Run(network, dtype)
    rules = [Rule(GRADIENT)] * len(network.layers)
    predictions, loadings = np.empty(len(X), dtype=dtype), np.empty(X.shape, dtype=dtype)
    bias, nothing = np.zeros(len(X), dtype=dtype), np.zeros(len(X), dtype=dtype)
    if isinstance(method, IntegratedGradients):
        bias += run.forward(np.zeros((*X.shape[1:], 1), dtype=dtype))

    def gradient(x: FloatArray) -> tuple[FloatArray, FloatArray]:
        prediction, swept = run.explain(x, rules)
        return prediction, swept.inputs[0].loadings

    def work(rows: slice) -> None:
        x = samples_last(X[rows], dtype)
        predictions[rows], loading = _explain(method, x, run.forward, gradient)
        loadings[rows] = loading.transpose(2, 0, 1)

    run_in_chunks(work, len(X), dtype, chunk_size=chunk_size, n_threads=n_threads)
    return Relevance(predictions, loadings, bias, nothing, nothing, coverage=cover(network.layers, rules))


def _explain(
    method: Method,
    x: FloatArray,
    forward: Callable[[FloatArray], FloatArray],
    gradient: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
) -> tuple[FloatArray, FloatArray]:
    """Predictions and loadings of a chunk."""
    if isinstance(method, GradientTimesInput):
        return gradient(x)
    if isinstance(method, IntegratedGradients):
        total = np.zeros_like(x)
        for step in range(method.n_steps):
            total += gradient(x * x.dtype.type((step + 0.5) / method.n_steps))[1]
        return forward(x), total / x.dtype.type(method.n_steps)
    prediction, loading = gradient(x)
    occluded = x.copy()
    for cell in np.ndindex(x.shape[:-1]):
        value = x[cell]
        occluded[cell] = 0
        loss = prediction - forward(occluded)
        np.divide(loss, value, out=loading[cell], where=value != 0)
        occluded[cell] = value
    return prediction, loading
