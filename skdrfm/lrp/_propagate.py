"""Predictions of a network, and their relevances by one backward pass."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from skdrfm._typing import FloatArray
from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.lrp._chunks import run_in_chunks
from skdrfm.lrp._layers import build_steps
from skdrfm.lrp._network import Network
from skdrfm.lrp._rules import resolve_rule

# The working set of a chunk stays in the cache, and its products are too small for BLAS to start
# threads of its own beside ours.
DEFAULT_CHUNK_SIZE = 512


@dataclass(frozen=True, eq=False)
class Relevance:
    """Predictions as linear models of their inputs, one for each sample.

    ``predictions = (X * loadings).sum((1, 2)) + bias + stabilizer + state`` up to rounding; each
    term is accumulated on its own during the sweep. Arrays are read-only.

    Parameters
    ----------
    predictions : ndarray of shape (n_samples,)
        Predictions of the network.
    loadings : ndarray of shape (n_samples, n_timesteps, n_features)
        Relevance per unit of input, also where the input is 0; oldest time step first.
    bias : ndarray of shape (n_samples,)
        Part of the prediction that the biases keep.
    stabilizer : ndarray of shape (n_samples,)
        Part that the stabilizer keeps.
    state : ndarray of shape (n_samples,)
        Part that initial states keep; 0, as every layer starts from zero states.
    """

    predictions: FloatArray
    loadings: FloatArray
    bias: FloatArray
    stabilizer: FloatArray
    state: FloatArray

    def __post_init__(self) -> None:
        for field in fields(self):
            getattr(self, field.name).setflags(write=False)


def predict(
    network: Network,
    X: ArrayLike,
    *,
    dtype: DTypeLike = np.float64,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
    n_threads: int | None = None,
) -> FloatArray:
    """Predict with a network.

    Parameters
    ----------
    network : Network
        The network.
    X : array-like of shape (n_samples, n_timesteps, n_features)
        Samples, oldest time step first.
    dtype : {float32, float64}, default=float64
        Type of the computation and of the result.
    chunk_size : int, default=512
        Samples that are computed at once.
    n_threads : int, default=None
        Number of threads; None for the cores that this process may use.

    Returns
    -------
    ndarray of shape (n_samples,)
        Predictions, in the units of the network's target.

    Raises
    ------
    PanelError
        If X does not have the shape that the network reads.
    NonFiniteError
        If X holds NaN or infinity.
    ValueError
        If another parameter is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.lrp import Dense, Flatten, Network, predict
    >>> mean = Dense(np.full((4, 1), 0.25), np.zeros(1))
    >>> network = Network([Flatten(), mean], n_timesteps=2, n_features=2)
    >>> predict(network, np.arange(8.0).reshape(2, 2, 2))
    array([1.5, 5.5])
    """
    dtype = _check_dtype(dtype)
    X = _check_samples(network, X)
    steps = build_steps(network, dtype)
    predictions = np.empty(len(X), dtype=dtype)

    def work(rows: slice) -> None:
        signal = _samples_last(X[rows], dtype)
        for step in steps:
            signal, _ = step.forward(signal)
        predictions[rows] = signal[0, 0]

    run_in_chunks(work, len(X), chunk_size=chunk_size, n_threads=n_threads)
    return predictions


def propagate(
    network: Network,
    X: ArrayLike,
    *,
    rule: str = "lrp-all",
    epsilon: float = 1e-6,
    epsilon_mode: str = "relative",
    dtype: DTypeLike = np.float64,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
    n_threads: int | None = None,
) -> Relevance:
    """Explain predictions by layer-wise relevance propagation, in one backward pass.

    The relevance of an input is its value times its loading. Loadings come from back-propagation
    with each slope phi'(z) replaced by phi(z) / (z + eps s), s the sign of z, and with the gates
    held constant (Bach et al. 2015; Arras et al. 2017; Ancona et al. 2018).

    Parameters
    ----------
    network : Network
        The network.
    X : array-like of shape (n_samples, n_timesteps, n_features)
        Samples, oldest time step first.
    rule : {"lrp-all"}, default="lrp-all"
        How a product of gate and signal shares relevance: "lrp-all" gives all to the signal.
    epsilon : float, default=1e-6
        Size of the stabilizer; 0 for none.
    epsilon_mode : {"relative", "absolute"}, default="relative"
        Whether epsilon is multiplied by the root mean square, sample by sample, of what it
        stabilizes over the units and time steps of a layer.
    dtype : {float32, float64}, default=float64
        Type of the computation and of the result.
    chunk_size : int, default=512
        Samples that are computed at once.
    n_threads : int, default=None
        Number of threads; None for the cores that this process may use.

    Returns
    -------
    Relevance
        Predictions, loadings, and what biases, stabilizer and initial states keep. The explanation
        of a sample does not depend on the other samples.

    Raises
    ------
    PanelError
        If X does not have the shape that the network reads.
    NonFiniteError
        If X holds NaN or infinity.
    ValueError
        If another parameter is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.lrp import Dense, Flatten, Network, propagate
    >>> linear = Dense(np.array([[1.0], [2.0]]), np.array([0.5]))
    >>> network = Network([Flatten(), linear], n_timesteps=2, n_features=1)
    >>> relevance = propagate(network, [[[3.0], [4.0]]], epsilon=0)
    >>> relevance.predictions, relevance.loadings, relevance.bias
    (array([11.5]), array([[[1.], [2.]]]), array([0.5]))
    """
    how = resolve_rule(rule, epsilon, epsilon_mode)
    dtype = _check_dtype(dtype)
    X = _check_samples(network, X)
    steps = build_steps(network, dtype)
    predictions, bias, stabilizer = (np.empty(len(X), dtype=dtype) for _ in range(3))
    loadings = np.empty(X.shape, dtype=dtype)

    def work(rows: slice) -> None:
        signal = _samples_last(X[rows], dtype)
        traces = []
        for step in steps:
            signal, trace = step.forward(signal)
            traces.append(trace)
        predictions[rows] = signal[0, 0]
        loading = np.ones_like(signal)
        kept_by_bias = np.zeros(signal.shape[-1], dtype=dtype)
        kept_by_stabilizer = np.zeros_like(kept_by_bias)
        for step in reversed(steps):
            swept = step.backward(loading, traces.pop(), how)
            loading = swept.loadings
            kept_by_bias += swept.bias
            kept_by_stabilizer += swept.stabilizer
        loadings[rows] = loading.transpose(2, 0, 1)
        bias[rows] = kept_by_bias
        stabilizer[rows] = kept_by_stabilizer

    run_in_chunks(work, len(X), chunk_size=chunk_size, n_threads=n_threads)
    return Relevance(predictions, loadings, bias, stabilizer, state=np.zeros(len(X), dtype=dtype))


def _samples_last(X: FloatArray, dtype: DTypeLike) -> FloatArray:
    """Lay a chunk out as (n_timesteps, n_features, n_samples)."""
    return np.ascontiguousarray(X.transpose(1, 2, 0), dtype=dtype)


def _check_dtype(dtype: DTypeLike) -> "np.dtype[Any]":
    resolved: np.dtype[Any] = np.dtype(dtype)
    if resolved not in (np.float32, np.float64):
        raise ValueError(
            f"'dtype' must be float32 or float64. Got {resolved}. float64 explains to rounding; "
            "float32 takes half the time."
        )
    return resolved


def _check_samples(network: Network, X: ArrayLike) -> FloatArray:
    samples = np.asarray(X)
    if samples.dtype.kind != "f":
        samples = samples.astype(np.float64)
    shape = (network.n_timesteps, network.n_features)
    if samples.ndim != 3 or samples.shape[1:] != shape:
        raise PanelError(
            f"X must have shape (n_samples, {shape[0]}, {shape[1]}), as the network reads "
            f"{shape[0]} time steps of {shape[1]} descriptors. Got {samples.shape}. "
            f"Reshape flat columns, oldest lag first: X.reshape(-1, {shape[0]}, {shape[1]})."
        )
    finite = np.isfinite(samples)
    if not finite.all():
        faulty = int((~finite.all(axis=(1, 2))).sum())
        raise NonFiniteError(
            f"X must hold finite numbers. Got {int((~finite).sum())} NaN or infinite values in "
            f"{faulty} of {len(samples)} samples. Fill or drop them first."
        )
    return samples
