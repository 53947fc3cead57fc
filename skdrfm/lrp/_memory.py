"""How much of what a recurrent cell stored at each step is left at the end."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from skdrfm._typing import FloatArray
from skdrfm.exceptions import UnsupportedLayerError
from skdrfm.lrp._additive import AdditiveTrace
from skdrfm.lrp._bidirectional import Bidirectional
from skdrfm.lrp._chunks import run_in_chunks
from skdrfm.lrp._gru import GRUTrace
from skdrfm.lrp._layer import Layer
from skdrfm.lrp._lstm_trace import LSTMTrace
from skdrfm.lrp._network import Network
from skdrfm.lrp._propagate import DEFAULT_CHUNK_SIZE, Run, check_dtype, check_samples, samples_last
from skdrfm.lrp._recurrent import Recurrent
from skdrfm.lrp._simple_rnn import SimpleRNN


class Survival(NamedTuple):
    """What is left of the memory of one layer, read in one direction.

    Parameters
    ----------
    layer : str
        Name of the layer.
    direction : {"forward", "backward"}
        Whether it reads the oldest step first, or the newest.
    values : ndarray of shape (n_samples, n_timesteps, n_units)
        Share of what a cell held after a time step that is left after the last step read, oldest step first: the
        product of the forget gates of all steps read later. 1 for the last step read.
    """

    layer: str
    direction: str
    values: FloatArray


def survival(
    network: Network,
    X: ArrayLike,
    *,
    dtype: DTypeLike = np.float64,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
    n_threads: int | None = None,
) -> tuple[Survival, ...]:
    """Multiply the forget gates of each recurrent layer over time (Arras et al. 2019, 1909.12114).

    A GRU forgets by its update gate, an additive LSTM not at all; a simple RNN has no gate and is left out.

    Parameters
    ----------
    network : Network
        The network.
    X : array-like of shape (n_samples, n_timesteps, n_features)
        Samples, oldest time step first.
    dtype, chunk_size, n_threads : as in propagate
        How to compute.

    Returns
    -------
    tuple of Survival
        One for each recurrent layer and direction.

    Raises
    ------
    UnsupportedLayerError
        If no layer has a memory with gates.
    PanelError, NonFiniteError
        If X is not what the network reads.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.lrp import LSTM, Dense, Network, survival
    >>> lstm = LSTM(np.zeros((1, 4)), np.zeros((1, 4)), np.zeros(4), name="lstm")  # all gates are 1 / 2
    >>> network = Network([lstm, Dense(np.ones((1, 1)), np.zeros(1))], n_timesteps=3, n_features=1)
    >>> survival(network, np.zeros((1, 3, 1)))[0].values.ravel()
    array([0.25, 0.5 , 1.  ])
    """
    cells = [
        (position, direction, cell)
        for position, layer in enumerate(network.layers)
        for direction, cell in enumerate(_cells(layer))
    ]
    if not cells:
        raise UnsupportedLayerError(
            f"A memory profile needs an LSTM or a GRU. Got {network!r}. Explain the network with relevance instead."
        )
    dtype = check_dtype(dtype)
    X = check_samples(network, X)
    run = Run(network, dtype)
    profiles = []
    for position, _, cell in cells:
        layer = network.layers[position]
        direction = "backward" if cell.go_backwards else "forward"
        shape = (len(X), network.n_timesteps, cell.n_units)
        profiles.append(Survival(layer.name, direction, np.empty(shape, dtype=dtype)))

    def work(rows: slice) -> None:
        traces: list[Any] = []
        run.forward(samples_last(X[rows], dtype), traces=traces)
        for (position, direction, cell), profile in zip(cells, profiles, strict=True):
            trace = traces[position]
            trace = trace[direction].cell if isinstance(network.layers[position], Bidirectional) else trace.cell
            left = _left(trace)
            profile.values[rows] = (left[::-1] if cell.go_backwards else left).transpose(2, 0, 1)

    run_in_chunks(work, len(X), dtype, chunk_size=chunk_size, n_threads=n_threads)
    for profile in profiles:
        profile.values.setflags(write=False)
    return tuple(profiles)


def _cells(layer: Layer) -> list[Recurrent]:
    cells = [layer.forward, layer.backward] if isinstance(layer, Bidirectional) else [layer]
    return [cell for cell in cells if isinstance(cell, Recurrent) and not isinstance(cell, SimpleRNN)]


def _left(trace: LSTMTrace | GRUTrace | AdditiveTrace) -> FloatArray:
    """Product of the gates of all later steps, in the order of reading."""
    if isinstance(trace, AdditiveTrace):
        return np.ones_like(trace.h)
    kept = trace.blocks.join(trace.f) if isinstance(trace, LSTMTrace) else trace.z
    if trace.mask is not None:  # padding keeps everything
        kept = np.where(trace.mask[:, np.newaxis], kept, 1)
    left = np.ones_like(kept)
    for t in range(len(kept) - 2, -1, -1):
        np.multiply(left[t + 1], kept[t + 1], out=left[t])
    return left
