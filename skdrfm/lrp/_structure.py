"""Layers that move, select or add up units and have no weights: gradient and relevance are the same.

An offset of an output, which belongs to no value, is shared equally among what the output was made of.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from skdrfm._typing import FloatArray
from skdrfm.lrp._layer import Layer, Shape, Share, Signal, Swept, check_sequence, only, title
from skdrfm.lrp._rules import Rule

Key: TypeAlias = tuple[int | slice, ...]


class Structural(Layer):
    """A layer that is its own step."""

    passes: ClassVar[str] = "unchanged"

    @abstractmethod
    def forward(self, inputs: Sequence[Signal], *, keep_gates: bool) -> tuple[tuple[Signal, ...], Any]:
        """Return the outputs, and the trace that the sweep needs."""

    @abstractmethod
    def backward(self, shares: Sequence[Share | None], trace: Any, rule: Rule) -> Swept:
        """Return the shares of the inputs."""

    def step(self, dtype: DTypeLike) -> Self:
        """Lay the layer out for computation."""
        return self


class Merge(Structural):
    """A layer of several inputs, whose padding need not agree."""


def _offsets(share: Share) -> FloatArray | None:
    return None if share.offsets is None else np.broadcast_to(share.offsets, share.loadings.shape)


class _Relaid(Structural):
    """The same numbers in another shape."""

    def forward(self, inputs: Sequence[Signal], *, keep_gates: bool) -> tuple[tuple[Signal, ...], Shape]:
        """Lay the values out anew."""
        ((x, _),) = inputs
        (shape,) = self.output_shapes([x.shape[:-1]])
        return (Signal(x.reshape(*shape, x.shape[-1])),), x.shape

    def backward(self, shares: Sequence[Share | None], trace: Shape, rule: Rule) -> Swept:
        """Lay the share out as the input was."""
        (share,) = shares
        assert share is not None
        offsets = _offsets(share)
        return Swept((Share(share.loadings.reshape(trace), None if offsets is None else offsets.reshape(trace)),))


@dataclass(frozen=True, eq=False)
class Flatten(_Relaid):
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

    def output_shapes(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Shapes of the outputs for one sample."""
        return ((math.prod(only(inputs, self)),),)


@dataclass(frozen=True, eq=False)
class Reshape(_Relaid):
    """The same numbers in a given shape.

    Parameters
    ----------
    shape : tuple of int
        Shape of the output for one sample, (n_timesteps, n_units) or (n_units,).
    name : str, default=""
        Name of the layer in messages.
    """

    shape: Shape
    name: str = ""

    def output_shapes(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Shapes of the outputs for one sample."""
        shape = only(inputs, self)
        if math.prod(shape) != math.prod(self.shape):
            raise ValueError(
                f"{title(self)} must keep the number of values. Got an input of shape {shape} for {self.shape}. "
                "Correct the shape."
            )
        return (self.shape,)


@dataclass(frozen=True, eq=False)
class Take(Structural):
    """Some time steps or units, chosen by an index: ``(-1,)`` is the last time step.

    Parameters
    ----------
    key : tuple of int or slice
        Index of the axes of one sample, as NumPy reads it.
    name : str, default=""
        Name of the layer in messages.
    """

    key: Key
    name: str = ""

    def output_shapes(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Shapes of the outputs for one sample."""
        shape = only(inputs, self)
        try:
            taken: Shape = np.empty(shape)[self.key].shape
        except IndexError as error:
            raise ValueError(f"{title(self)} must index an input of shape {shape}. Got {self.key}.") from error
        if not taken or 0 in taken:
            raise ValueError(f"{title(self)} must leave at least one unit. Got {self.key} for an input of {shape}.")
        return (taken,)

    def forward(self, inputs: Sequence[Signal], *, keep_gates: bool) -> tuple[tuple[Signal, ...], Shape]:
        """Choose the values."""
        ((x, _),) = inputs
        return (Signal(x[self.key]),), x.shape

    def backward(self, shares: Sequence[Share | None], trace: Shape, rule: Rule) -> Swept:
        """Give nothing to what was not chosen."""
        (share,) = shares
        assert share is not None

        def put_back(part: FloatArray) -> FloatArray:
            whole = np.zeros(trace, dtype=part.dtype)
            whole[self.key] = part
            return whole

        offsets = _offsets(share)
        return Swept((Share(put_back(share.loadings), None if offsets is None else put_back(offsets)),))


@dataclass(frozen=True, eq=False)
class MeanOverTime(Structural):
    """Mean of each unit over the time steps that are not padding: GlobalAveragePooling1D.

    Parameters
    ----------
    keepdims : bool, default=False
        Whether the mean stays a sequence of one step.
    name : str, default=""
        Name of the layer in messages.
    """

    keepdims: bool = False
    name: str = ""

    @property
    def kind(self) -> str:
        """Type of the layer, as Keras names it."""
        return "GlobalAveragePooling1D"

    def output_shapes(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Shapes of the outputs for one sample."""
        shape = only(inputs, self)
        check_sequence(self, shape)
        return ((1, shape[1]) if self.keepdims else (shape[1],),)

    def forward(self, inputs: Sequence[Signal], *, keep_gates: bool) -> tuple[tuple[Signal, ...], FloatArray]:
        """Average over time."""
        ((x, mask),) = inputs
        weights = (
            np.ones((len(x), 1, x.shape[2]), dtype=x.dtype) if mask is None else mask[:, np.newaxis].astype(x.dtype)
        )
        # A sample that is padding throughout has a mean of 0.
        weights = weights / np.maximum(weights.sum(axis=0), 1)
        mean = (x * weights).sum(axis=0, keepdims=self.keepdims)
        return (Signal(mean),), weights

    def backward(self, shares: Sequence[Share | None], trace: FloatArray, rule: Rule) -> Swept:
        """Give each step its weight."""
        (share,) = shares
        assert share is not None
        offsets = share.offsets
        if offsets is not None:  # those of a mean over padding alone go to all steps
            offsets = offsets * np.where(trace.any(axis=0), trace, 1 / len(trace))
        return Swept((Share(share.loadings * trace, offsets),))


@dataclass(frozen=True, eq=False)
class Concatenate(Merge):
    """Inputs one after the other.

    Parameters
    ----------
    axis : int, default=-1
        Axis of one sample; -1: side by side as units.
    name : str, default=""
        Name of the layer in messages.
    """

    axis: int = -1
    name: str = ""

    def output_shapes(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Shapes of the outputs for one sample."""
        try:
            return (np.concatenate([np.empty(shape) for shape in inputs], axis=self.axis).shape,)
        except ValueError as error:
            raise ValueError(
                f"The inputs of {title(self)} must agree on all axes but {self.axis}. Got shapes "
                f"{', '.join(map(str, inputs))}. Correct the axis, or the layers before."
            ) from error

    def _position(self, n_axes: int) -> int:
        return self.axis if self.axis >= 0 else self.axis + n_axes

    def forward(self, inputs: Sequence[Signal], *, keep_gates: bool) -> tuple[tuple[Signal, ...], list[int]]:
        """Join the values."""
        axis = self._position(inputs[0].values.ndim - 1)
        ends = np.cumsum([signal.values.shape[axis] for signal in inputs])[:-1]
        return (Signal(np.concatenate([signal.values for signal in inputs], axis=axis)),), list(ends)

    def backward(self, shares: Sequence[Share | None], trace: list[int], rule: Rule) -> Swept:
        """Cut the share where the values were joined."""
        (share,) = shares
        assert share is not None
        axis = self._position(share.loadings.ndim - 1)
        loadings = np.split(share.loadings, trace, axis=axis)
        offsets = _offsets(share)
        cut = [None] * len(loadings) if offsets is None else np.split(offsets, trace, axis=axis)
        return Swept(tuple(Share(a, b) for a, b in zip(loadings, cut, strict=True)))


@dataclass(frozen=True, eq=False)
class Add(Merge):
    """Weighted sum of inputs of one shape.

    Parameters
    ----------
    weights : tuple of float, default=None
        Weight of each input; None: 1 for each.
    name : str, default=""
        Name of the layer in messages.
    """

    weights: tuple[float, ...] | None = None
    name: str = ""

    def output_shapes(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Shapes of the outputs for one sample."""
        if len(set(inputs)) != 1 or (self.weights is not None and len(self.weights) != len(inputs)):
            raise ValueError(
                f"The inputs of {title(self)} must have one shape, and a weight each. Got shapes "
                f"{', '.join(map(str, inputs))} and weights {self.weights}."
            )
        return (inputs[0],)

    def forward(self, inputs: Sequence[Signal], *, keep_gates: bool) -> tuple[tuple[Signal, ...], int]:
        """Add the values up."""
        weights = self.weights or (1.0,) * len(inputs)
        total = inputs[0].values * inputs[0].values.dtype.type(weights[0])
        for weight, (x, _) in zip(weights[1:], inputs[1:], strict=True):
            total += x * x.dtype.type(weight)
        return (Signal(total),), len(inputs)

    def backward(self, shares: Sequence[Share | None], trace: int, rule: Rule) -> Swept:
        """Give each input its weight."""
        (share,) = shares
        assert share is not None
        offsets = None if share.offsets is None else share.offsets / trace
        weights = self.weights or (1.0,) * trace
        return Swept(tuple(Share(share.loadings * share.loadings.dtype.type(w), offsets) for w in weights))
