"""What recurrent layers share: the order of reading, the outputs, padding, and the two directions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import DTypeLike

from skdrfm._typing import BoolArray, FloatArray
from skdrfm.exceptions import UnsupportedLayerError
from skdrfm.lrp._layer import Layer, Shape, Share, Signal, Swept, check_choice, check_sequence, check_width, title
from skdrfm.lrp._rules import Rule

MERGE_MODES = ("ave", "concat", "sum")


class Arrived(NamedTuple):
    """Relevance that reaches a cell: of its outputs at the last steps (first axis), and of its final states."""

    loadings: FloatArray | None  # (1 to n_timesteps, n_units, n_samples)
    offsets: FloatArray | None
    final: tuple[Share | None, ...]


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

    return_sequences: bool
    return_state: bool
    go_backwards: bool
    zero_output_for_mask: bool
    kernel: FloatArray
    recurrent_kernel: FloatArray

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
        _check_inputs(self, inputs, self.n_states)
        state = (self.n_units,)
        output = (inputs[0][0], self.n_units) if self.return_sequences else state
        return (output, *[state] * (self.n_states * self.return_state))

    def step(self, dtype: DTypeLike) -> "RecurrentStep":
        """Lay the layer out for computation."""
        return RecurrentStep(self, dtype)


def _check_inputs(layer: Any, inputs: Sequence[Shape], n_states: int) -> None:
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


class _Trace(NamedTuple):
    cell: Any
    shown: FloatArray | None  # 1 where the output is the state and 0 where padding hides it
    given_states: bool


class RecurrentStep:
    """A recurrent layer laid out for computation."""

    def __init__(self, layer: Recurrent, dtype: DTypeLike) -> None:
        self.layer = layer
        self.cell = layer.cell(dtype)
        self.order = slice(None, None, -1 if layer.go_backwards else 1)

    def forward(self, inputs: Sequence[Signal], *, keep_gates: bool) -> tuple[tuple[Signal, ...], _Trace]:
        """Run the cell over the sequence."""
        (x, mask), *states = inputs
        read = None if mask is None else mask[self.order]
        trace = self.cell.forward(x[self.order], read, tuple(state.values for state in states), keep_gates=keep_gates)
        shown = None
        if read is not None:
            # A padded step repeats the last output; before the first real step there is none.
            visible = read if self.layer.zero_output_for_mask else np.logical_or.accumulate(read, axis=0)
            shown = visible[:, np.newaxis].astype(x.dtype)
        output = trace.h if self.layer.return_sequences else trace.h[-1]
        if shown is not None:
            output = output * (shown if self.layer.return_sequences else shown[-1])
        final = tuple(Signal(state) for state in trace.final) if self.layer.return_state else ()
        return (Signal(output, mask if self.layer.return_sequences else None), *final), _Trace(
            trace, shown, bool(states)
        )

    def backward(self, shares: Sequence[Share | None], trace: _Trace, rule: Rule) -> Swept:
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


@dataclass(frozen=True, eq=False)
class Bidirectional(Layer):
    """Two recurrent layers over the same input, one in time order and one in reversed time.

    Where sequences are returned, the backward output is put back into time order before the two
    are merged; otherwise each direction gives the state after its last step, which for the
    backward one is the oldest.

    Parameters
    ----------
    forward : LSTM, GRU, SimpleRNN or AdditiveLSTM
        The layer that reads the oldest step first.
    backward : of the type of forward
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
        If a direction is no recurrent layer, or the merge mode has no relevance rule.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.lrp import LSTM, Bidirectional
    >>> one = LSTM(np.ones((3, 8)), np.ones((2, 8)), np.zeros(8))
    >>> Bidirectional(one, one).n_units
    4
    """

    passes: ClassVar[str] = "product"

    forward: Recurrent
    backward: Recurrent
    merge_mode: str = "concat"
    name: str = ""

    def __post_init__(self) -> None:
        for direction in ("forward", "backward"):
            layer = getattr(self, direction)
            if not isinstance(layer, Recurrent):
                raise UnsupportedLayerError(
                    f"The {direction} layer of {title(self)} must be a recurrent record. Got {type(layer).__name__}. "
                    "Use LSTM, GRU, SimpleRNN or AdditiveLSTM."
                )
        check_choice(self, "merge_mode", MERGE_MODES)
        if self.forward.go_backwards:
            raise ValueError(
                f"The forward layer of {title(self)} must read the oldest step first. "
                "Got go_backwards=True. Exchange the two layers."
            )
        for field in ("kind", "n_inputs", "n_units", "return_sequences", "return_state"):
            ours, theirs = getattr(self.forward, field), getattr(self.backward, field)
            if ours != theirs:
                raise ValueError(
                    f"The two directions of {title(self)} must have the same {field}. "
                    f"Got {ours} forward and {theirs} backward. Build both from the same settings."
                )
        backward: Any = self.backward
        object.__setattr__(self, "backward", replace(backward, go_backwards=True))

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

    def output_shapes(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Shapes of the outputs for one sample."""
        n_states = 2 * self.forward.n_states
        _check_inputs(self, inputs, n_states)
        output = (inputs[0][0], self.n_units) if self.return_sequences else (self.n_units,)
        return (output, *[(self.forward.n_units,)] * (n_states * self.forward.return_state))

    def step(self, dtype: DTypeLike) -> "_BidirectionalStep":
        """Lay the layer out for computation."""
        return _BidirectionalStep(self, dtype)


class _BidirectionalStep:
    def __init__(self, layer: Bidirectional, dtype: DTypeLike) -> None:
        self.layer = layer
        self.directions = (RecurrentStep(layer.forward, dtype), RecurrentStep(layer.backward, dtype))
        # The order of reading becomes that of time.
        self.order = slice(None, None, -1 if layer.return_sequences else 1)

    def forward(
        self, inputs: Sequence[Signal], *, keep_gates: bool
    ) -> tuple[tuple[Signal, ...], tuple[_Trace, _Trace]]:
        x, *states = inputs
        half = len(states) // 2
        halves = ([x, *states[:half]], [x, *states[half:]])
        (one, one_trace), (two, two_trace) = (
            step.forward(part, keep_gates=keep_gates) for step, part in zip(self.directions, halves, strict=True)
        )
        ahead, back = one[0].values, two[0].values[self.order]
        if self.layer.merge_mode == "concat":
            merged = np.concatenate([ahead, back], axis=-2)
        else:
            merged = ahead + back
            if self.layer.merge_mode == "ave":
                merged *= 0.5
        return (Signal(merged, one[0].mask), *one[1:], *two[1:]), (one_trace, two_trace)

    def backward(self, shares: Sequence[Share | None], trace: tuple[_Trace, _Trace], rule: Rule) -> Swept:
        output, *final = shares
        half = len(final) // 2
        ahead, back = (None, None) if output is None else self._cut(output)
        one = self.directions[0].backward([ahead, *final[:half]], trace[0], rule)
        two = self.directions[1].backward([back, *final[half:]], trace[1], rule)
        return Swept(
            (added(one.inputs[0], two.inputs[0]), *one.inputs[1:], *two.inputs[1:]),
            one.bias + two.bias,
            one.stabilizer + two.stabilizer,
            one.state + two.state,
        )

    def _cut(self, share: Share) -> tuple[Share, Share]:
        """Cut the share of the merged output into those of the directions, the second in its order of reading."""
        offsets = None if share.offsets is None else np.broadcast_to(share.offsets, share.loadings.shape)
        if self.layer.merge_mode == "concat":
            n = self.layer.forward.n_units
            parts = [
                Share(share.loadings[..., rows, :], None if offsets is None else offsets[..., rows, :])
                for rows in (slice(None, n), slice(n, None))
            ]
        else:
            weight = 0.5 if self.layer.merge_mode == "ave" else 1.0
            part = Share(weight * share.loadings, None if offsets is None else 0.5 * offsets)
            parts = [part, part]
        back = parts[1]
        return parts[0], Share(back.loadings[self.order], None if back.offsets is None else back.offsets[self.order])


def added(one: Share, two: Share) -> Share:
    """Share of a signal that is read twice."""
    offsets = two.offsets if one.offsets is None else one.offsets
    if one.offsets is not None and two.offsets is not None:
        offsets = one.offsets + two.offsets
    return Share(one.loadings + two.loadings, offsets)


class StateShare:
    """Share of the one state of a cell, on its way from the last step to the first.

    Parameters
    ----------
    share : Share
        Of the final state.
    arrived : Arrived
        Relevance of the outputs.
    tracked : bool
        Whether there are offsets, or will be.
    """

    def __init__(self, share: Share, arrived: Arrived, tracked: bool) -> None:
        self.share, self.arrived, self.tracked = share, arrived, tracked

    @classmethod
    def of(cls, final: Share | None, like: FloatArray, arrived: Arrived, rule: Rule) -> "StateShare":
        """Start from the share of the final state, zeros where nothing reads it."""
        came = arrived.offsets is not None or (final is not None and final.offsets is not None)
        tracked = not rule.is_gradient and (came or bool(rule.bias_factor))
        loadings = np.zeros_like(like) if final is None else final.loadings
        offsets = np.zeros_like(like) if tracked else None
        if offsets is not None and final is not None and final.offsets is not None:
            offsets = offsets + final.offsets
        return cls(Share(loadings, offsets), arrived, tracked)

    def at(self, t: int, n_steps: int) -> Share:
        """Return the share at a step, with what arrives there."""
        loadings, offsets, _ = self.arrived
        if loadings is not None and t >= n_steps - len(loadings):
            position = t - (n_steps - len(loadings))
            arriving = Share(loadings[position], None if offsets is None else offsets[position])
            self.share = added(self.share, arriving)
        return self.share

    def move(self, loadings: FloatArray, offsets: FloatArray | None, live: BoolArray | None) -> None:
        """Go on to the step before; padding hands its share on as it came."""
        before = self.share
        if live is not None:
            loadings = np.where(live, loadings, before.loadings)
            if offsets is not None and before.offsets is not None:
                offsets = np.where(live, offsets, before.offsets)
        self.share = Share(loadings, offsets)

    @staticmethod
    def count(t: int, mask: BoolArray | None, lost: FloatArray) -> FloatArray:
        """Sum over units of what was lost at a step, padding left out."""
        total: FloatArray = lost.sum(axis=0)
        return total if mask is None else total * mask[t]
