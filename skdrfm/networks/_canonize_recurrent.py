"""From recurrent Keras layers to records."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from skdrfm import lrp
from skdrfm._typing import FloatArray
from skdrfm.lrp._activations import ACTIVATIONS, GATES
from skdrfm.lrp._bidirectional import MERGE_MODES
from skdrfm.lrp._layer import Shape
from skdrfm.lrp._recurrent import Recurrent
from skdrfm.networks._additive import AdditiveLSTMCell
from skdrfm.networks._canonize_common import REPLACE, Record, activation_name, check_numbers, refuse, to_array


def recurrent(layer: Any, name: str, shapes: Sequence[Shape]) -> list[Record]:
    """Convert a layer of one direction."""
    return [_one_direction(layer, name)]


def bidirectional(layer: Any, name: str, shapes: Sequence[Shape]) -> list[Record]:
    """Convert a layer of two directions."""
    if layer.merge_mode not in MERGE_MODES:
        modes = ", ".join(map(repr, MERGE_MODES))
        refuse(layer, name, f"have a merge_mode of {modes}", repr(layer.merge_mode), "Train it with one of them.")
    forward, backward = (
        _one_direction(half, f"{name}/{half.name}") for half in (layer.forward_layer, layer.backward_layer)
    )
    if forward.go_backwards:
        refuse(layer, name, "read forward first", "go_backwards=True in the first layer", "Exchange the two layers.")
    if (forward.kind, forward.n_units) != (backward.kind, backward.n_units):
        got = f"{forward.kind}({forward.n_units}) and {backward.kind}({backward.n_units})"
        refuse(layer, name, "have two layers of one type and size", got, "Use two layers joined by Concatenate.")
    return [lrp.Bidirectional(forward, backward, merge_mode=layer.merge_mode, name=name)]


def _one_direction(layer: Any, name: str) -> Recurrent:
    cell: Any = getattr(layer, "cell", None)
    convert = _CELLS.get(type(cell))
    if type(layer) not in RECURRENT or convert is None:
        got = type(layer).__name__ if type(layer) not in RECURRENT else f"cell {type(cell).__name__}"
        ours = ", ".join(kind.__name__ for kind in _CELLS)
        refuse(layer, name, f"have a cell of type {ours}", got, REPLACE)
    check_numbers(layer, name)
    if layer.stateful:
        refuse(layer, name, "have stateful=False", "stateful=True", "Build it without.")
    options = {
        "return_sequences": bool(layer.return_sequences),
        "return_state": bool(layer.return_state),
        "go_backwards": bool(layer.go_backwards),
        "zero_output_for_mask": bool(getattr(layer, "zero_output_for_mask", False)),
        "activation": activation_name(cell.activation, layer, name, "activation", ACTIVATIONS),
        "name": name,
    }
    if hasattr(cell, "recurrent_activation"):
        gate = activation_name(cell.recurrent_activation, layer, name, "recurrent_activation", GATES)
        options["recurrent_activation"] = gate
    return convert(cell, options)


def _weights(cell: Any, n_rows: int = 0) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Kernel, recurrent kernel and bias, which has rows if n_rows is not 0."""
    kernel = to_array(cell.kernel)
    shape = (n_rows, kernel.shape[1]) if n_rows else (kernel.shape[1],)
    bias = np.zeros(shape) if cell.bias is None else to_array(cell.bias)
    return kernel, to_array(cell.recurrent_kernel), bias


def _gru(cell: Any, options: dict[str, Any]) -> Recurrent:
    after = bool(cell.reset_after)
    return lrp.GRU(*_weights(cell, 2 if after else 0), reset_after=after, **options)


RECURRENT = frozenset({keras.layers.GRU, keras.layers.LSTM, keras.layers.RNN, keras.layers.SimpleRNN})
"""Types of layers that run one cell in one direction."""

_CELLS: dict[type, Callable[[Any, dict[str, Any]], Recurrent]] = {
    keras.layers.LSTMCell: lambda cell, options: lrp.LSTM(*_weights(cell), **options),
    keras.layers.GRUCell: _gru,
    keras.layers.SimpleRNNCell: lambda cell, options: lrp.SimpleRNN(*_weights(cell), **options),
    AdditiveLSTMCell: lambda cell, options: lrp.AdditiveLSTM(*_weights(cell), **options),
}
"""Type of a cell -> function of the cell and the options of its layer."""
