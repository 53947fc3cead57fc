"""Frozen records of a network: what the relevance engine needs to know of a trained model."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from skdrfm._typing import FloatArray
from skdrfm.exceptions import NonFiniteError, UnsupportedLayerError
from skdrfm.lrp._activations import ACTIVATIONS, GATES

MERGE_MODES = ("ave", "concat", "sum")


@dataclass(frozen=True, eq=False)
class Dense:
    """Affine layer with an activation, ``phi(x @ kernel + bias)``; it acts per time step.

    Parameters
    ----------
    kernel : ndarray of shape (n_in, n_units)
        Weights, copied as float64.
    bias : ndarray of shape (n_units,)
        Biases, copied as float64; zeros for a layer without.
    activation : {"elu", "linear", "relu", "tanh"}, default="linear"
        Activation; the elu has alpha = 1.
    name : str, default=""
        Name of the layer in messages.

    Raises
    ------
    ValueError
        If the shapes do not agree.
    NonFiniteError
        If a weight is NaN or infinite.
    UnsupportedLayerError
        If the activation has no relevance rule.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.lrp import Dense
    >>> Dense(np.ones((3, 2)), np.zeros(2), "relu", name="hidden").n_units
    2
    """

    kernel: FloatArray
    bias: FloatArray
    activation: str = "linear"
    name: str = ""

    def __post_init__(self) -> None:
        kernel = _store(self, "kernel", (None, None))
        _store(self, "bias", (kernel.shape[1],))
        _check_choice(self, "activation", ACTIVATIONS)

    @property
    def n_inputs(self) -> int:
        """Number of units that the layer reads."""
        return int(self.kernel.shape[0])

    @property
    def n_units(self) -> int:
        """Number of output units."""
        return int(self.kernel.shape[1])


@dataclass(frozen=True, eq=False)
class LSTM:
    """LSTM layer with the weights as Keras stores them: gate order i, f, c, o.

    ``c_t = f c_{t-1} + i phi(z_g)``, ``h_t = o phi(c_t)``, from initial states of 0.

    Parameters
    ----------
    kernel : ndarray of shape (n_in, 4 * n_units)
        Input weights, copied as float64.
    recurrent_kernel : ndarray of shape (n_units, 4 * n_units)
        Recurrent weights, copied as float64.
    bias : ndarray of shape (4 * n_units,)
        Biases, copied as float64; zeros for a layer without.
    activation : {"elu", "linear", "relu", "tanh"}, default="tanh"
        Activation of the candidate and of the cell's output.
    recurrent_activation : {"hard_sigmoid", "sigmoid"}, default="sigmoid"
        Activation of the three gates; the hard sigmoid is relu6(z + 3) / 6.
    return_sequences : bool, default=False
        Whether the output is the state after every step, in the order of reading, or the last.
    go_backwards : bool, default=False
        Whether the newest step is read first.
    name : str, default=""
        Name of the layer in messages.

    Raises
    ------
    ValueError
        If the shapes do not agree.
    NonFiniteError
        If a weight is NaN or infinite.
    UnsupportedLayerError
        If an activation has no relevance rule.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.lrp import LSTM
    >>> LSTM(np.ones((3, 8)), np.ones((2, 8)), np.zeros(8)).n_units
    2
    """

    kernel: FloatArray
    recurrent_kernel: FloatArray
    bias: FloatArray
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    return_sequences: bool = False
    go_backwards: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        n_units = _store(self, "recurrent_kernel", (None, None)).shape[0]
        _store(self, "recurrent_kernel", (n_units, 4 * n_units))
        _store(self, "kernel", (None, 4 * n_units))
        _store(self, "bias", (4 * n_units,))
        _check_choice(self, "activation", ACTIVATIONS)
        _check_choice(self, "recurrent_activation", GATES)

    @property
    def n_inputs(self) -> int:
        """Number of units that the layer reads at each step."""
        return int(self.kernel.shape[0])

    @property
    def n_units(self) -> int:
        """Number of output units."""
        return int(self.recurrent_kernel.shape[0])


@dataclass(frozen=True, eq=False)
class Bidirectional:
    """Two LSTM layers over the same input, one in time order and one in reversed time.

    Where sequences are returned, the backward output is put back into time order before the two
    are merged; otherwise each direction gives the state after its last step, which for the
    backward one is the oldest.

    Parameters
    ----------
    forward : LSTM
        The layer that reads the oldest step first.
    backward : LSTM
        The layer that reads the newest step first; it is stored with ``go_backwards=True``.
    merge_mode : {"ave", "concat", "sum"}, default="concat"
        How the two outputs become one.
    name : str, default=""
        Name of the layer in messages.

    Raises
    ------
    ValueError
        If the two layers do not fit each other.
    UnsupportedLayerError
        If a direction is no LSTM, or the merge mode has no relevance rule.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.lrp import LSTM, Bidirectional
    >>> one = LSTM(np.ones((3, 8)), np.ones((2, 8)), np.zeros(8))
    >>> Bidirectional(one, one).n_units
    4
    """

    forward: LSTM
    backward: LSTM
    merge_mode: str = "concat"
    name: str = ""

    def __post_init__(self) -> None:
        for direction in ("forward", "backward"):
            layer = getattr(self, direction)
            if not isinstance(layer, LSTM):
                raise UnsupportedLayerError(
                    f"The {direction} layer of {_title(self)} must be an LSTM record. "
                    f"Got {type(layer).__name__}. No other recurrent layer has a relevance rule."
                )
        _check_choice(self, "merge_mode", MERGE_MODES)
        if self.forward.go_backwards:
            raise ValueError(
                f"The forward layer of {_title(self)} must read the oldest step first. "
                "Got go_backwards=True. Exchange the two layers."
            )
        for field in ("n_inputs", "n_units", "return_sequences"):
            ours, theirs = getattr(self.forward, field), getattr(self.backward, field)
            if ours != theirs:
                raise ValueError(
                    f"The two directions of {_title(self)} must have the same {field}. "
                    f"Got {ours} forward and {theirs} backward. Build both from the same settings."
                )
        object.__setattr__(self, "backward", replace(self.backward, go_backwards=True))

    @property
    def n_inputs(self) -> int:
        """Number of units that the layer reads at each step."""
        return self.forward.n_inputs

    @property
    def n_units(self) -> int:
        """Number of output units, of both directions together."""
        return self.forward.n_units * (2 if self.merge_mode == "concat" else 1)

    @property
    def return_sequences(self) -> bool:
        """Whether the output has time steps."""
        return self.forward.return_sequences


@dataclass(frozen=True, eq=False)
class Flatten:
    """All time steps side by side, the oldest first: (n_timesteps, n_in) to n_timesteps * n_in.

    Parameters
    ----------
    name : str, default=""
        Name of the layer in messages.

    Examples
    --------
    >>> from skdrfm.lrp import Flatten
    >>> Flatten(name="flatten")
    Flatten(name='flatten')
    """

    name: str = ""


Layer: TypeAlias = Dense | LSTM | Bidirectional | Flatten
SUPPORTED = tuple(kind.__name__ for kind in (Bidirectional, Dense, Flatten, LSTM))


@dataclass(frozen=True, eq=False)
class Network:
    """A chain of layers from (n_timesteps, n_features) to one number.

    Layers that do nothing when a network predicts, such as dropout, are left out.

    Parameters
    ----------
    layers : sequence of Dense, LSTM, Bidirectional or Flatten
        The layers, first to last; stored as a tuple.
    n_timesteps : int
        Number of time steps of the input.
    n_features : int
        Number of descriptors at each step.

    Raises
    ------
    ValueError
        If a layer does not fit the one before.
    UnsupportedLayerError
        If a layer has no relevance rule, or the network does not end in one output unit.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.lrp import Dense, Flatten, Network
    >>> Network([Flatten(), Dense(np.ones((10, 1)), np.zeros(1))], n_timesteps=5, n_features=2)
    Network(Flatten, Dense(1); n_timesteps=5, n_features=2)
    """

    layers: Sequence[Layer]
    n_timesteps: int
    n_features: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        for field in ("n_timesteps", "n_features"):
            value = getattr(self, field)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
                raise ValueError(
                    f"'{field}' of a Network must be an integer >= 1. Got {value!r}. "
                    "Pass the shape (n_timesteps, n_features) of one sample."
                )
        n_steps: int | None = self.n_timesteps  # None once time is gone
        n_units = self.n_features
        for position, layer in enumerate(self.layers):
            n_steps, n_units = _shape_after(layer, position, n_steps, n_units)
        if n_steps is not None or n_units != 1:
            shape = f"({n_units},)" if n_steps is None else f"({n_steps}, {n_units})"
            raise UnsupportedLayerError(
                f"A network must end in one output unit. Got an output of shape {shape} per "
                "sample. End with a layer that leaves time (an LSTM with "
                "return_sequences=False, or Flatten) and a Dense layer of one unit."
            )

    def __repr__(self) -> str:
        parts = []
        for layer in self.layers:
            size = "" if isinstance(layer, Flatten) else f"({layer.n_units})"
            parts.append(type(layer).__name__ + size)
        return f"Network({', '.join(parts)}; n_timesteps={self.n_timesteps}, n_features={self.n_features})"


def _shape_after(layer: Layer, position: int, n_steps: int | None, n_units: int) -> tuple[int | None, int]:
    """Time steps (None once time is gone) and units after a layer, or the error of a misfit."""
    if not isinstance(layer, Layer):
        raise UnsupportedLayerError(
            f"Layer {position} ({type(layer).__name__}) has no relevance rule. "
            f"Supported: {', '.join(SUPPORTED)}. Leave out layers that do nothing in prediction."
        )
    if isinstance(layer, Flatten):
        return None, n_units * (n_steps or 1)
    if layer.n_inputs != n_units:
        raise ValueError(
            f"Layer {position}, {_title(layer)}, must read as many units as it is given. It reads "
            f"{layer.n_inputs} and gets {n_units}. Check the order of the layers."
        )
    if isinstance(layer, Dense):
        return n_steps, layer.n_units
    if n_steps is None:
        raise ValueError(
            f"Layer {position}, {_title(layer)}, must read a sequence. Got an output without time "
            "steps. Set return_sequences=True in the recurrent layer below it."
        )
    return (n_steps if layer.return_sequences else None), layer.n_units


def _title(layer: object) -> str:
    kind, name = type(layer).__name__, getattr(layer, "name", "")
    return f"{kind} {name!r}" if name else kind


def _store(layer: object, field: str, shape: tuple[int | None, ...]) -> FloatArray:
    """Replace a field of a frozen record by a checked, read-only copy in float64."""
    values = np.array(getattr(layer, field), dtype=np.float64)
    fits = len(shape) == values.ndim and all(
        size >= 1 and size == (wanted or size) for size, wanted in zip(values.shape, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(
            f"The {field} of {_title(layer)} must have shape ({wanted}{',' * (len(shape) == 1)}). "
            f"Got {values.shape}. Pass the arrays as Keras' get_weights() orders them."
        )
    faults = int(values.size - np.isfinite(values).sum())
    if faults:
        raise NonFiniteError(
            f"The {field} of {_title(layer)} must hold finite numbers. Got {faults} NaN or "
            f"infinite of {values.size}. The training diverged: lower the learning rate."
        )
    values.setflags(write=False)
    object.__setattr__(layer, field, values)
    return values


def _check_choice(layer: object, field: str, choices: Iterable[str]) -> None:
    value = getattr(layer, field)
    if value not in tuple(choices):
        raise UnsupportedLayerError(
            f"The {field} {value!r} of {_title(layer)} has no relevance rule. "
            f"Supported: {', '.join(map(repr, choices))}."
        )
