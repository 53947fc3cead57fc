"""From a Keras model to the network of records that skdrfm.lrp computes with."""

from typing import Any

from skdrfm import lrp
from skdrfm.exceptions import UnsupportedLayerError
from skdrfm.lrp._activations import ACTIVATIONS
from skdrfm.lrp._layer import Shape, is_whole
from skdrfm.lrp._network import INPUT, Source
from skdrfm.networks._canonize_common import Link
from skdrfm.networks._canonize_graph import Graph, check_graph


def canonize(model: Any, *, output: int | None = None, n_timesteps: int | None = None) -> lrp.Network:
    """Turn a Keras model into a network of NumPy records.

    Every layer on a path to the output becomes a record of the same name, in the order of computation; the names of
    layers inside inner models are joined with a slash. The weights are copied as float64.

    Parameters
    ----------
    model : keras.Model
        A built Sequential or functional model, with branches, shared layers and inner models as it likes. It has one
        input, of shape (n_timesteps, n_features), or (n_features,) for one time step, and one output.
    output : int, default=None
        Which unit of the output to explain; needed if there are several.
    n_timesteps : int, default=None
        Length of the sequences, for a model that takes any.

    Returns
    -------
    Network
        The same function for NumPy. A sigmoid, softplus, exponential or hard sigmoid at the output becomes its
        ``output_activation``.

    Raises
    ------
    UnsupportedLayerError
        If a layer, an option of a layer, or the shape of the graph has no relevance rule. Nothing is ever skipped.
    ValueError
        If output or n_timesteps does not fit the model.

    Examples
    --------
    >>> import keras
    >>> from skdrfm.networks import canonize
    >>> layers = [keras.layers.LSTM(4), keras.layers.Dropout(0.1), keras.layers.Dense(1)]
    >>> canonize(keras.Sequential([keras.Input((5, 3)), *layers]))
    Network(LSTM(4), Dropout, Dense(1); n_timesteps=5, n_features=3)
    """
    check_graph(model)
    if len(model.inputs) != 1:
        raise UnsupportedLayerError(
            f"The model must have one input. Got {len(model.inputs)}: {', '.join(t.name for t in model.inputs)}. "
            "Concatenate them to one array, and cut it inside the model: x[:, :, :k] and x[:, :, k:]."
        )
    if len(model.outputs) != 1:
        raise UnsupportedLayerError(
            f"The model must have one output. Got {len(model.outputs)}. "
            "Choose one: keras.Model(model.input, model.outputs[0])."
        )
    steps, n_features, is_flat = _input_shape(model.inputs[0], n_timesteps)
    graph = Graph(steps, n_features)
    source: Source = (INPUT, 0)
    if is_flat:
        source = (graph.add(lrp.Reshape((n_features,), name=model.inputs[0].name), [source]), 0)
    (result,) = graph.follow(model.inputs, model.outputs, [source])
    output_activation = "linear"
    if result[0] != INPUT and isinstance(link := graph.records[result[0]], Link):
        output_activation = link.activation
        # Nothing reads the output, which was added last.
        graph.records.pop()
        (result,) = graph.reads.pop()
    _check_links(graph)
    result = _choose_unit(graph, result, output)
    return lrp.Network(
        graph.records,  # type: ignore[arg-type]  # no links are left
        n_timesteps=steps,
        n_features=n_features,
        sources=graph.reads,
        output_activation=output_activation,
    )


def _input_shape(tensor: Any, n_timesteps: int | None) -> tuple[int, int, bool]:
    """Return n_timesteps, n_features, and whether the model itself has no time steps."""
    shape = tuple(tensor.shape)
    if len(shape) not in (2, 3) or shape[-1] is None or "float" not in str(tensor.dtype):
        raise UnsupportedLayerError(
            "The input of the model must be floats of shape (None, n_timesteps, n_features) or (None, n_features). "
            f"Got {tensor.dtype} of shape {shape}. Start the model with keras.Input((n_timesteps, n_features))."
        )
    if n_timesteps is not None and not is_whole(n_timesteps, 1):
        raise ValueError(
            f"'n_timesteps' must be an int in the range [1, inf). Got {n_timesteps!r}. It is the length of a sequence."
        )
    fixed = 1 if len(shape) == 2 else shape[1]
    if fixed is None and n_timesteps is None:
        raise UnsupportedLayerError(
            f"The number of time steps must be known. Got a model that takes any: {shape}. Pass n_timesteps=..., the "
            "length of the sequences to explain."
        )
    if None not in (fixed, n_timesteps) and fixed != n_timesteps:
        raise ValueError(
            f"'n_timesteps' must be {fixed}, as the model has it. Got {n_timesteps}. It is for models that take "
            "sequences of any length: leave it out."
        )
    steps = fixed or n_timesteps
    assert steps is not None
    return int(steps), int(shape[-1]), len(shape) == 2


def _check_links(graph: Graph) -> None:
    for record in graph.records:
        if isinstance(record, Link):
            raise UnsupportedLayerError(
                f"The activation {record.activation!r} of layer {record.name!r} ({record.kind}) has no relevance rule "
                "inside a network, only at its output: it is not 0 at 0. "
                f"Supported: {', '.join(map(repr, ACTIVATIONS))}. Train the model with one of them."
            )


def _choose_unit(graph: Graph, result: Source, output: int | None) -> Source:
    """Let the network end in the chosen unit of its output."""
    shape: Shape = graph.shapes[result]
    n_units = shape[-1] if len(shape) == 1 else 1  # a network refuses outputs with time steps
    if output is None and n_units > 1:
        raise UnsupportedLayerError(
            f"The output of the model must have one unit. Got {n_units}. "
            f"Say which one to explain: pass output=0..{n_units - 1}."
        )
    if output is not None and not (is_whole(output, 0) and output < n_units):
        raise ValueError(
            f"'output' must be an int in the range [0, {n_units - 1}], a unit of the model's output. Got {output!r}."
        )
    if n_units > 1:
        assert output is not None
        return graph.add(lrp.Take((slice(int(output), int(output) + 1),), name="output"), [result]), 0
    if graph.records and result != (len(graph.records) - 1, 0):  # such as a final state
        return graph.add(lrp.Take((slice(None),), name="output"), [result]), 0
    return result
