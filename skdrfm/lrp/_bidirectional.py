"""Two recurrent layers over the same input, one for each direction of time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from skdrfm.exceptions import UnsupportedLayerError
from skdrfm.lrp._layer import Layer, Shape, Share, Signal, Swept, check_choice, title
from skdrfm.lrp._recurrent import Recurrent, RecurrentStep, RecurrentTrace, added, check_inputs
from skdrfm.lrp._rules import Rule

MERGE_MODES = ("ave", "concat", "sum")


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
        check_inputs(self, inputs, n_states)
        output = (inputs[0][0], self.n_units) if self.return_sequences else (self.n_units,)
        return (output, *[(self.forward.n_units,)] * (n_states * self.forward.return_state))

    def step(self, dtype: DTypeLike) -> "_BidirectionalStep":
        """Lay the layer out for computation."""
        return _BidirectionalStep(self, dtype)


class _BidirectionalStep:
    def __init__(self, layer: Bidirectional, dtype: DTypeLike) -> None:
        self.layer = layer
        self.directions: tuple[RecurrentStep, RecurrentStep] = (
            RecurrentStep(layer.forward, dtype),
            RecurrentStep(layer.backward, dtype),
        )
        # The order of reading becomes that of time.
        self.order: slice = slice(None, None, -1 if layer.return_sequences else 1)

    def forward(
        self, inputs: Sequence[Signal], *, keep_gates: bool
    ) -> tuple[tuple[Signal, ...], tuple[RecurrentTrace, RecurrentTrace]]:
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

    def backward(
        self, shares: Sequence[Share | None], trace: tuple[RecurrentTrace, RecurrentTrace], rule: Rule
    ) -> Swept:
        output, *final = shares
        half = len(final) // 2
        ahead, back = (None, None) if output is None else self._cut(output)
        one = self.directions[0].backward([ahead, *final[:half]], trace[0], rule)
        two = self.directions[1].backward([back, *final[half:]], trace[1], rule)
        # The loadings of a direction are new, so they can take the sum.
        return Swept(
            (added(one.inputs[0], two.inputs[0], out=one.inputs[0].loadings), *one.inputs[1:], *two.inputs[1:]),
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
