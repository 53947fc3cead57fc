"""What every layer is: a frozen record, and a step that runs forward and sweeps relevance backward.

Arrays of a step carry the samples on their last axis: (n_timesteps, n_units, n_samples), or (n_units, n_samples)
once time is gone. The samples, of which there are most, so run fastest.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from skdrfm._typing import BoolArray, FloatArray
from skdrfm.exceptions import NonFiniteError, UnsupportedLayerError

if TYPE_CHECKING:
    from skdrfm.lrp._rules import Rule

Shape: TypeAlias = tuple[int, ...]
"""Shape of a signal for one sample: (n_timesteps, n_units) or (n_units,)."""


class Signal(NamedTuple):
    """What flows forward."""

    values: FloatArray  # (..., n_samples)
    mask: BoolArray | None = None  # (n_timesteps, n_samples), False for padding


class Share(NamedTuple):
    """What flows backward: the relevance of a signal is ``values * loadings + offsets``.

    Offsets are relevance that does not scale with the signal: what biases hand down with a bias factor of 1, and what
    the reduction ``sequence="mean"`` moves. They are None where there is none.
    """

    loadings: FloatArray  # of the shape of the signal's values
    offsets: FloatArray | None = None


class Swept(NamedTuple):
    """What a layer hands down, and what it keeps of the prediction for itself, sample by sample."""

    inputs: tuple[Share, ...]
    bias: FloatArray | float = 0.0
    stabilizer: FloatArray | float = 0.0
    state: FloatArray | float = 0.0


class Step(Protocol):
    """A layer laid out for computation."""

    def forward(self, inputs: Sequence[Signal], *, keep_gates: bool) -> tuple[tuple[Signal, ...], Any]:
        """Return the outputs, and the trace that the sweep needs; gates cost time, so they are kept on demand."""

    def backward(self, shares: Sequence[Share | None], trace: Any, rule: "Rule") -> Swept:
        """Return the shares of the inputs, given those of the outputs (None for an output that nothing reads)."""


class Layer(ABC):
    """A layer as a frozen record of weights and options."""

    passes: ClassVar[str]
    """How relevance passes: "product" (rules for gates), "linear" (epsilon rule), "exactly" or "unchanged"."""

    name: str

    @property
    def kind(self) -> str:
        """Type of the layer, as Keras names it."""
        return type(self).__name__

    @abstractmethod
    def output_shapes(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Shapes of the outputs for one sample; raises ValueError where an input does not fit."""

    @abstractmethod
    def step(self, dtype: DTypeLike) -> Step:
        """Lay the layer out for computation."""


def title(layer: object) -> str:
    """Type and name of a layer, for messages."""
    kind, name = getattr(layer, "kind", type(layer).__name__), getattr(layer, "name", "")
    return f"{kind} {name!r}" if name else kind


def store_array(layer: object, field: str, shape: tuple[int | None, ...]) -> FloatArray:
    """Replace a field of a frozen record by a checked, read-only copy in float64; None in a shape is any size."""
    values = np.array(getattr(layer, field), dtype=np.float64)
    fits = len(shape) == values.ndim and all(
        size >= 1 and size == (wanted or size) for size, wanted in zip(values.shape, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(
            f"The {field} of {title(layer)} must have shape ({wanted}{',' * (len(shape) == 1)}). "
            f"Got {values.shape}. Pass the arrays as Keras' get_weights() orders them."
        )
    faults = int(values.size - np.isfinite(values).sum())
    if faults:
        raise NonFiniteError(
            f"The {field} of {title(layer)} must hold finite numbers. Got {faults} NaN or "
            f"infinite of {values.size}. The training diverged: lower the learning rate."
        )
    values.setflags(write=False)
    object.__setattr__(layer, field, values)
    return values


def check_choice(layer: object, field: str, choices: Iterable[str]) -> None:
    """Refuse an option that has no relevance rule."""
    value = getattr(layer, field)
    if value not in tuple(choices):
        raise UnsupportedLayerError(
            f"The {field} {value!r} of {title(layer)} has no relevance rule. "
            f"Supported: {', '.join(map(repr, choices))}."
        )


def check_width(layer: object, n_inputs: int, shape: Shape) -> None:
    """Refuse an input whose last axis the weights do not read."""
    if not shape or shape[-1] != n_inputs:
        raise ValueError(
            f"{title(layer)} must read as many units as it is given. It reads {n_inputs} and gets an input of shape "
            f"{shape}. Check the order of the layers."
        )


def check_sequence(layer: object, shape: Shape) -> None:
    """Refuse an input without time steps."""
    if len(shape) != 2:
        raise ValueError(
            f"{title(layer)} must read a sequence (n_timesteps, n_units). Got an input of shape {shape}. "
            "Set return_sequences=True in the recurrent layer below it."
        )


def is_whole(value: object, minimum: int) -> bool:
    """Tell whole numbers from a minimum on from anything else that callers may pass; True is none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= minimum)


def only(inputs: Sequence[Any], layer: object) -> Any:
    """Return the single input of a layer."""
    if len(inputs) != 1:
        raise ValueError(f"{title(layer)} must have one input. Got {len(inputs)}. Merge them with Add or Concatenate.")
    return inputs[0]
