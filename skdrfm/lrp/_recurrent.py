"""What recurrent layers share: the order of reading, the outputs and padding."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import DTypeLike

from skdrfm._typing import BoolArray, FloatArray
from skdrfm.lrp._activations import ACTIVATIONS, GATES
from skdrfm.lrp._layer import (
    Layer,
    Shape,
    Share,
    Signal,
    Swept,
    check_choice,
    check_sequence,
    check_width,
    store_array,
    title,
)
from skdrfm.lrp._rules import Rule


class Arrived(NamedTuple):
    """Relevance that reaches a cell: of its outputs at the last steps (first axis), and of its final states."""

    loadings: FloatArray | None  # (1 to n_timesteps, n_units, n_samples)
    offsets: FloatArray | None
    final: tuple[Share | None, ...]

    @property
    def has_offsets(self) -> bool:
        """Whether some of the relevance does not scale with what it belongs to."""
        return self.offsets is not None or any(s is not None and s.offsets is not None for s in self.final)


class CellSwept(NamedTuple):
    """What a cell hands down, in the order of reading."""

    inputs: Share
    states: tuple[Share, ...]  # of the initial states
    bias: FloatArray | float
    stabilizer: FloatArray | float


class CellTrace(Protocol):
    """What the forward pass of a cell leaves."""

    @property
    def h(self) -> FloatArray:
        """Outputs of every step, (n_timesteps, n_units, n_samples)."""

    @property
    def final(self) -> tuple[FloatArray, ...]:
        """States after the last step, each (n_units, n_samples)."""


class Cell(Protocol):
    """A recurrent cell laid out for computation; steps are in the order of reading."""

    def forward(
        self, x: FloatArray, mask: BoolArray | None, states: tuple[FloatArray, ...], *, keep_gates: bool
    ) -> Any:
        """Run the cell from its initial states (none: zeros)."""

    def sweep(self, trace: Any, arrived: Arrived, rule: Rule) -> CellSwept:
        """Sweep relevance back through time."""


class Recurrent(Layer):
    """A recurrent layer of one direction."""

    passes: ClassVar[str] = "product"
    n_states: ClassVar[int]
    """Number of states that a cell carries from step to step."""
    n_blocks: ClassVar[int]
    """Number of gates and candidates, whose weights lie side by side."""

    return_sequences: bool
    return_state: bool
    go_backwards: bool
    zero_output_for_mask: bool
    kernel: FloatArray
    recurrent_kernel: FloatArray
    bias: FloatArray

    def __post_init__(self) -> None:
        width = self.n_blocks * store_array(self, "recurrent_kernel", (None, None)).shape[0]
        store_array(self, "recurrent_kernel", (self.n_units, width))
        store_array(self, "kernel", (None, width))
        store_array(self, "bias", self.bias_shape)
        check_choice(self, "activation", ACTIVATIONS)
        if hasattr(self, "recurrent_activation"):
            check_choice(self, "recurrent_activation", GATES)

    @property
    def bias_shape(self) -> tuple[int, ...]:
        """Shape that the biases must have."""
        return (self.n_blocks * self.n_units,)

    @property
    def n_inputs(self) -> int:
        """Number of units that the layer reads at each step."""
        return int(self.kernel.shape[0])

    @property
    def n_units(self) -> int:
        """Number of output units."""
        return int(self.recurrent_kernel.shape[0])

    def cell(self, dtype: DTypeLike) -> Cell:
        """Lay the cell out for computation."""
        raise NotImplementedError

    def output_shapes(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Shapes of the outputs for one sample: the output, and with return_state the final states."""
        check_inputs(self, inputs, self.n_states)
        state = (self.n_units,)
        output = (inputs[0][0], self.n_units) if self.return_sequences else state
        return (output, *[state] * (self.n_states * self.return_state))

    def step(self, dtype: DTypeLike) -> "RecurrentStep":
        """Lay the layer out for computation."""
        return RecurrentStep(self, dtype)


def check_inputs(layer: Any, inputs: Sequence[Shape], n_states: int) -> None:
    if not inputs:
        raise ValueError(f"{title(layer)} must have an input. Got none.")
    check_sequence(layer, inputs[0])
    check_width(layer, layer.n_inputs, inputs[0])
    if len(inputs) not in (1, 1 + n_states):
        raise ValueError(
            f"{title(layer)} must be given all of its {n_states} initial states, or none. Got {len(inputs) - 1}."
        )
    wanted = (layer.n_units,) if isinstance(layer, Recurrent) else (layer.forward.n_units,)
    if any(shape != wanted for shape in inputs[1:]):
        raise ValueError(f"The initial states of {title(layer)} must have shape {wanted}. Got {list(inputs[1:])}.")


class RecurrentTrace(NamedTuple):
    cell: Any
    shown: FloatArray | None  # 1 where the output is the state and 0 where padding hides it
    given_states: bool


class RecurrentStep:
    """A recurrent layer laid out for computation."""

    def __init__(self, layer: Recurrent, dtype: DTypeLike) -> None:
        self.layer = layer
        self.cell: Cell = layer.cell(dtype)
        self.order: slice = slice(None, None, -1 if layer.go_backwards else 1)

    def forward(self, inputs: Sequence[Signal], *, keep_gates: bool) -> tuple[tuple[Signal, ...], RecurrentTrace]:
        """Run the cell over the sequence."""
        (x, mask), *states = inputs
        read = None if mask is None else mask[self.order]
        trace = self.cell.forward(x[self.order], read, tuple(state.values for state in states), keep_gates=keep_gates)
        shown = None
        if read is not None:
            # A padded step repeats the last output; before the first real step there is none.
            visible = read if self.layer.zero_output_for_mask else np.logical_or.accumulate(read, axis=0)
            shown = visible[:, np.newaxis].astype(x.dtype)
        output = trace.h if self.layer.return_sequences else trace.final[0]
        if shown is not None:
            output = output * (shown if self.layer.return_sequences else shown[-1])
        final = tuple(Signal(state) for state in trace.final) if self.layer.return_state else ()
        return (Signal(output, mask if self.layer.return_sequences else None), *final), RecurrentTrace(
            trace, shown, bool(states)
        )

    def backward(self, shares: Sequence[Share | None], trace: RecurrentTrace, rule: Rule) -> Swept:
        """Sweep relevance back through time."""
        output, *final = shares
        final = final or [None] * self.layer.n_states
        loadings = offsets = None
        if output is not None:
            loadings = output.loadings
            if trace.shown is not None:
                loadings = loadings * (trace.shown if self.layer.return_sequences else trace.shown[-1])
            offsets = None if output.offsets is None else np.broadcast_to(output.offsets, loadings.shape)
            if not self.layer.return_sequences:
                loadings = loadings[np.newaxis]
                offsets = None if offsets is None else offsets[np.newaxis]
            elif rule.sequence != "full" and not rule.is_gradient:
                loadings, offsets = _reduce(loadings, offsets, trace.cell.h, rule.sequence)
        swept = self.cell.sweep(trace.cell, Arrived(loadings, offsets, tuple(final)), rule)
        below = swept.inputs
        offsets = None if below.offsets is None else below.offsets[self.order]
        # Zero states have no value, but a bias factor of 1 hands them relevance all the same.
        state: FloatArray | float = 0.0
        for share in swept.states:
            if share.offsets is not None and not trace.given_states:
                state = state + np.broadcast_to(share.offsets, share.loadings.shape).sum(axis=0)
        return Swept((Share(below.loadings[self.order], offsets), *swept.states), swept.bias, swept.stabilizer, state)


def _reduce(
    loadings: FloatArray, offsets: FloatArray | None, h: FloatArray, how: str
) -> tuple[FloatArray, FloatArray | None]:
    """Reduce the relevance of a sequence to its last step."""
    if how == "last":
        return loadings[-1:], None if offsets is None else offsets[-1:]
    relevance = loadings * h
    if offsets is not None:
        relevance = relevance + offsets
    return np.zeros_like(loadings[-1:]), relevance.mean(axis=0, keepdims=True)


def added(one: Share, two: Share, out: FloatArray | None = None) -> Share:
    """Share of a signal that is read twice; `out` takes the loadings."""
    offsets = two.offsets if one.offsets is None else one.offsets
    if one.offsets is not None and two.offsets is not None:
        offsets = one.offsets + two.offsets
    return Share(np.add(one.loadings, two.loadings, out=out), offsets)
