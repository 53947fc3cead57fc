"""Predictions of a network, and their relevances by one backward pass."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from skdrfm._typing import FloatArray
from skdrfm.exceptions import NonFiniteError, PanelError, UnsupportedLayerError
from skdrfm.lrp._activations import LINKS
from skdrfm.lrp._additive import AdditiveLSTM
from skdrfm.lrp._bidirectional import Bidirectional
from skdrfm.lrp._chunks import run_in_chunks
from skdrfm.lrp._coverage import LayerCoverage, cover
from skdrfm.lrp._layer import Share, Signal, Step, Swept, title
from skdrfm.lrp._lstm import LSTM
from skdrfm.lrp._network import INPUT, Network, Source
from skdrfm.lrp._recurrent import Recurrent, added
from skdrfm.lrp._rules import Rule, RuleLike, resolve_rules

# Large enough that threads seldom wait for each other at the interpreter, small enough for the cache.
DEFAULT_CHUNK_SIZE = 2048


@dataclass(frozen=True, eq=False)
class Relevance:
    """Predictions as linear models of their inputs, one for each sample.

    ``predictions = (X * loadings + offsets).sum((1, 2)) + bias + stabilizer + state`` up to rounding, for rules that
    conserve relevance; each term is accumulated on its own during the sweep. Arrays are read-only.

    Parameters
    ----------
    predictions : ndarray of shape (n_samples,)
        Predictions of the network; before its output activation, if it has one.
    loadings : ndarray of shape (n_samples, n_timesteps, n_features)
        Relevance per unit of input, also where the input is 0; oldest time step first.
    bias : ndarray of shape (n_samples,)
        Part of the prediction that the biases keep.
    stabilizer : ndarray of shape (n_samples,)
        Part that the stabilizer keeps.
    state : ndarray of shape (n_samples,)
        Part that initial states keep: 0 for zero states, unless the bias factor is 1.
    offsets : ndarray of shape (n_samples, n_timesteps, n_features) or None
        Relevance that inputs get whatever their value: with a bias factor of 1, or ``sequence="mean"``.
    coverage : tuple of LayerCoverage
        Which rule each layer used.
    """

    predictions: FloatArray
    loadings: FloatArray
    bias: FloatArray
    stabilizer: FloatArray
    state: FloatArray
    offsets: FloatArray | None = None
    coverage: tuple[LayerCoverage, ...] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)


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
    chunk_size : int, default=2048
        Samples that are computed at once in float64; twice as many in float32.
    n_threads : int, default=None
        Number of threads; None for the cores that this process may use, at most ``OMP_NUM_THREADS`` if that is set.

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
    dtype = check_dtype(dtype)
    X = check_samples(network, X)
    run = Run(network, dtype)
    predictions = np.empty(len(X), dtype=dtype)

    def work(rows: slice) -> None:
        predictions[rows] = run.forward(samples_last(X[rows], dtype))

    run_in_chunks(work, len(X), dtype, chunk_size=chunk_size, n_threads=n_threads)
    if network.output_activation != "linear":
        link = LINKS[network.output_activation]
        predictions *= link.scale
        link.squash(predictions)
    return predictions


def propagate(
    network: Network,
    X: ArrayLike,
    *,
    rule: RuleLike = "lrp-all",
    epsilon: float = Rule.epsilon,
    epsilon_mode: str = Rule.epsilon_mode,
    bias_factor: float = Rule.bias_factor,
    sequence: str = Rule.sequence,
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
    rule : str, Rule or Composite, default="lrp-all"
        How a product of gate and signal shares relevance, one of `RULES`: "lrp-all" gives all to the signal; see
        `Rule`. A `Composite` has a rule for each layer.
    epsilon : float, default=1e-6
        Size of the stabilizer; 0 for none.
    epsilon_mode : {"relative", "absolute"}, default="relative"
        Whether epsilon is multiplied by the root mean square, sample by sample, of what it
        stabilizes over the units and time steps of a layer.
    bias_factor : {0, 1}, default=0.0
        Whether biases and stabilizers hand their relevance down to the inputs in equal parts; see `Rule`.
    sequence : {"full", "last", "mean"}, default="full"
        What becomes of the relevance of a layer that returns a sequence; see `Rule`.
    dtype : {float32, float64}, default=float64
        Type of the computation and of the result.
    chunk_size : int, default=2048
        Samples that are computed at once in float64; twice as many in float32.
    n_threads : int, default=None
        Number of threads; None for the cores that this process may use, at most ``OMP_NUM_THREADS`` if that is set.

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
    UnsupportedLayerError
        If a rule is not defined for a layer.
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
    rules = resolve_rules(
        rule, network.layers, epsilon=epsilon, epsilon_mode=epsilon_mode, bias_factor=bias_factor, sequence=sequence
    )
    _check_rules(network, rules)
    dtype = check_dtype(dtype)
    X = check_samples(network, X)
    run = Run(network, dtype)
    predictions, bias, stabilizer, state = (np.empty(len(X), dtype=dtype) for _ in range(4))
    loadings = np.empty(X.shape, dtype=dtype)
    has_offsets = any(rule.bias_factor or rule.sequence == "mean" for rule in rules)
    offsets = np.zeros(X.shape, dtype=dtype) if has_offsets else None

    def work(rows: slice) -> None:
        predictions[rows], swept = run.explain(samples_last(X[rows], dtype), rules)
        (share,) = swept.inputs
        loadings[rows] = share.loadings.transpose(2, 0, 1)
        if offsets is not None and share.offsets is not None:
            offsets[rows] = np.broadcast_to(share.offsets, share.loadings.shape).transpose(2, 0, 1)
        bias[rows], stabilizer[rows], state[rows] = swept.bias, swept.stabilizer, swept.state

    run_in_chunks(work, len(X), dtype, chunk_size=chunk_size, n_threads=n_threads)
    return Relevance(predictions, loadings, bias, stabilizer, state, offsets, cover(network.layers, rules))


class Run:
    """A network laid out for computation on samples (n_timesteps, n_features, n_samples).

    Parameters
    ----------
    network : Network
        The network.
    dtype : dtype
        Type of the numbers.
    """

    def __init__(self, network: Network, dtype: DTypeLike) -> None:
        self.network = network
        self.n_outputs = network.n_outputs
        laid_out: dict[int, Step] = {}  # a layer that is used twice is laid out once
        self.steps = [laid_out.setdefault(id(layer), layer.step(dtype)) for layer in network.layers]

    def forward(self, x: FloatArray, *, traces: list[Any] | None = None, keep_gates: Sequence[bool] = ()) -> FloatArray:
        """Predict, and fill a list with the traces of the layers if there is one."""
        signals: dict[Source, Signal] = {(INPUT, 0): Signal(x)}
        output = signals[INPUT, 0]
        for position, step in enumerate(self.steps):
            inputs = [signals[source] for source in self.network.reads(position)]
            outputs, trace = step.forward(inputs, keep_gates=bool(keep_gates) and keep_gates[position])
            if traces is not None:
                traces.append(trace)
            for number, signal in enumerate(outputs):
                signals[position, number] = signal
            output = outputs[0]
        prediction: FloatArray = output.values[0]
        return prediction

    def explain(self, x: FloatArray, rules: Sequence[Rule]) -> tuple[FloatArray, Swept]:
        """Predict, and sweep relevance back from the prediction to the input."""
        traces: list[Any] = []
        keep_gates = [rule.uses_gates for rule in rules]
        prediction = self.forward(x, traces=traces, keep_gates=keep_gates)
        last = len(self.steps) - 1
        shares: dict[Source, Share] = {(last, 0): Share(np.ones_like(prediction)[np.newaxis])}
        kept: list[Any] = [np.zeros_like(prediction) for _ in range(3)]
        for position in range(last, -1, -1):
            arrived = [shares.pop((position, number), None) for number in range(self.n_outputs[position])]
            trace = traces.pop()
            if all(share is None for share in arrived):
                continue  # no path to the output passes here
            swept = self.steps[position].backward(arrived, trace, rules[position])
            for source, share in zip(self.network.reads(position), swept.inputs, strict=False):
                shares[source] = added(shares[source], share) if source in shares else share
            for part, value in zip(kept, swept[1:], strict=True):
                part += value
        return prediction, Swept((shares[INPUT, 0],), *kept)


def _check_rules(network: Network, rules: Sequence[Rule]) -> None:
    for layer, rule in zip(network.layers, rules, strict=True):
        cell = layer.forward if isinstance(layer, Bidirectional) else layer
        if rule.is_closed_form and isinstance(cell, Recurrent) and not isinstance(cell, LSTM | AdditiveLSTM):
            raise UnsupportedLayerError(
                f"The rule {rule.name!r} is defined for LSTM layers. Got {title(layer)} ({cell.kind}). Give this layer "
                f"another one: Composite({{{layer.name or layer.kind!r}: 'lrp-all'}}, {rule.name!r})."
            )


def samples_last(X: FloatArray, dtype: DTypeLike) -> FloatArray:
    """Lay a chunk out as (n_timesteps, n_features, n_samples)."""
    return np.ascontiguousarray(X.transpose(1, 2, 0), dtype=dtype)


def check_dtype(dtype: DTypeLike) -> "np.dtype[Any]":
    resolved: np.dtype[Any] = np.dtype(dtype)
    if resolved not in (np.float32, np.float64):
        raise ValueError(
            f"'dtype' must be float32 or float64. Got {resolved}. float64 explains to rounding; "
            "float32 takes half the time."
        )
    return resolved


def check_samples(network: Network, X: ArrayLike) -> FloatArray:
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
    with np.errstate(over="ignore", invalid="ignore"):
        total = samples.sum()  # finite only if every value is, and quicker than looking at each
    finite = np.isfinite(total if np.isfinite(total) else samples)
    if not finite.all():
        faulty = int((~finite.all(axis=(1, 2))).sum())
        raise NonFiniteError(
            f"X must hold finite numbers. Got {int((~finite).sum())} NaN or infinite values in "
            f"{faulty} of {len(samples)} samples. Fill or drop them first."
        )
    return samples
