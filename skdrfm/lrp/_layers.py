"""Each record as a step that runs forward and sweeps relevance backward.

Arrays are (n_timesteps, n_units, n_samples); what has no time is a sequence of one step.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import DTypeLike

from skdrfm._typing import FloatArray
from skdrfm.lrp._activations import ACTIVATIONS
from skdrfm.lrp._lstm import LSTMTrace, LSTMWeights, Swept, lstm_forward
from skdrfm.lrp._network import LSTM, Bidirectional, Dense, Layer, Network
from skdrfm.lrp._rules import Rule
from skdrfm.lrp._stabilizer import quotient, sum_product


class Step(Protocol):
    """A layer laid out for computation."""

    def forward(self, x: FloatArray) -> tuple[FloatArray, Any]:
        """Return the output, and the trace that the sweep needs."""

    def backward(self, loadings: FloatArray, trace: Any, rule: Rule) -> Swept:
        """Return the loadings of the input, and what stays in the layer."""


class _DenseTrace(NamedTuple):
    z: FloatArray
    output: FloatArray


class _DenseStep:
    def __init__(self, layer: Dense, dtype: DTypeLike) -> None:
        self.kernel = np.ascontiguousarray(layer.kernel, dtype=dtype)
        self.kernel_t = np.ascontiguousarray(layer.kernel.T, dtype=dtype)
        self.bias = layer.bias.astype(dtype)
        self.phi = ACTIVATIONS[layer.activation]

    def forward(self, x: FloatArray) -> tuple[FloatArray, _DenseTrace]:
        z = np.matmul(self.kernel_t, x)
        z += self.bias[:, np.newaxis]
        output = np.empty_like(z)
        self.phi(z, output)
        return output, _DenseTrace(z, output)

    def backward(self, loadings: FloatArray, trace: _DenseTrace, rule: Rule) -> Swept:
        shift = rule.stabilizer.shift(trace.z)
        message = quotient(trace.output, trace.z + shift)
        message *= loadings
        return Swept(
            np.matmul(self.kernel, message),
            self.bias @ message.sum(axis=0),
            sum_product(shift, message),
        )


class _FlattenStep:
    def forward(self, x: FloatArray) -> tuple[FloatArray, tuple[int, ...]]:
        return x.reshape(1, -1, x.shape[-1]), x.shape

    def backward(self, loadings: FloatArray, trace: tuple[int, ...], rule: Rule) -> Swept:
        nothing = np.zeros(trace[-1], dtype=loadings.dtype)
        return Swept(loadings.reshape(trace), nothing, nothing)


class _LSTMStep:
    def __init__(self, layer: LSTM, dtype: DTypeLike) -> None:
        self.weights = LSTMWeights.of(layer, dtype)
        self.order = slice(None, None, -1 if layer.go_backwards else 1)
        self.returned = slice(None if layer.return_sequences else -1, None)

    def forward(self, x: FloatArray) -> tuple[FloatArray, LSTMTrace]:
        trace = lstm_forward(self.weights, x[self.order])
        return trace.h[self.returned], trace

    def backward(self, loadings: FloatArray, trace: LSTMTrace, rule: Rule) -> Swept:
        swept = rule.lstm_sweep(self.weights, trace, loadings, rule.stabilizer)
        return swept._replace(loadings=swept.loadings[self.order])


class _BidirectionalStep:
    def __init__(self, layer: Bidirectional, dtype: DTypeLike) -> None:
        self.directions = (_LSTMStep(layer.forward, dtype), _LSTMStep(layer.backward, dtype))
        self.merge_mode = layer.merge_mode

    def forward(self, x: FloatArray) -> tuple[FloatArray, tuple[LSTMTrace, LSTMTrace]]:
        (ahead, trace_ahead), (back, trace_back) = (step.forward(x) for step in self.directions)
        back = back[::-1]  # from the order of reading into that of time
        if self.merge_mode == "concat":
            merged = np.concatenate([ahead, back], axis=1)
        else:
            merged = ahead + back
            if self.merge_mode == "ave":
                merged *= 0.5
        return merged, (trace_ahead, trace_back)

    def backward(self, loadings: FloatArray, trace: tuple[LSTMTrace, LSTMTrace], rule: Rule) -> Swept:
        if self.merge_mode == "concat":
            ahead, back = np.split(loadings, 2, axis=1)
        else:
            ahead = back = 0.5 * loadings if self.merge_mode == "ave" else loadings
        one = self.directions[0].backward(ahead, trace[0], rule)
        two = self.directions[1].backward(back[::-1], trace[1], rule)
        return Swept(*(np.add(a, b, out=a) for a, b in zip(one, two, strict=True)))


def build_steps(network: Network, dtype: DTypeLike) -> Sequence[Step]:
    """Lay out the layers of a network for computation.

    Parameters
    ----------
    network : Network
        The records.
    dtype : dtype
        Type of the numbers.

    Returns
    -------
    sequence of Step
        One step for each layer.
    """
    return [_build_step(layer, dtype) for layer in network.layers]


def _build_step(layer: Layer, dtype: DTypeLike) -> Step:
    if isinstance(layer, Dense):
        return _DenseStep(layer, dtype)
    if isinstance(layer, LSTM):
        return _LSTMStep(layer, dtype)
    if isinstance(layer, Bidirectional):
        return _BidirectionalStep(layer, dtype)
    return _FlattenStep()
