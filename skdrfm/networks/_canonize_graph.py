"""From the graph of a Keras model to records in order of computation, and what each of them reads."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras.src.models.functional import Functional

from skdrfm import lrp
from skdrfm.exceptions import UnsupportedLayerError
from skdrfm.lrp._layer import Shape
from skdrfm.lrp._network import INPUT, Source, keeps_padding
from skdrfm.lrp._structure import Merge
from skdrfm.networks._canonize_common import Link, Record, refuse
from skdrfm.networks._canonize_layers import convert_layer, convert_operation, find_converter


class _Padding(NamedTuple):
    """Where a sequence got its padding: steps at which all units of a source have a value."""

    source: Source
    value: float


class _Call(NamedTuple):
    """One call of a layer, model or operation."""

    operation: Any
    tensors: list[Any]  # that it reads: inputs, then initial states
    outputs: list[Any]
    arguments: Mapping[str, Any]


class Graph:
    """Records of a model, grown layer by layer.

    Parameters
    ----------
    n_timesteps, n_features : int
        Shape of the input for one sample.
    """

    def __init__(self, n_timesteps: int, n_features: int) -> None:
        self.records: list[Record] = []
        self.reads: list[tuple[Source, ...]] = []
        self.shapes: dict[Source, Shape] = {(INPUT, 0): (n_timesteps, n_features)}
        self._padding: dict[Source, _Padding] = {}
        self._converted: dict[tuple[int, tuple[Shape, ...]], tuple[Record, ...]] = {}

    def add(self, record: Record, reads: Sequence[Source]) -> int:
        """Add a record and return its position."""
        shapes = [self.shapes[source] for source in reads]
        if isinstance(record, Link):
            outputs: Sequence[Shape] = shapes
        else:
            try:
                outputs = record.output_shapes(shapes)
            except ValueError as error:
                raise UnsupportedLayerError(str(error)) from error
        if isinstance(record, Merge) and any(source in self._padding for source in reads):
            raise UnsupportedLayerError(
                f"Layer {record.name!r} ({record.kind}) must not merge sequences with padding. Got the output of a "
                "Masking layer. Merge before Masking, or after the recurrent layers."
            )
        self.records.append(record)
        self.reads.append(tuple(reads))
        position = len(self.records) - 1
        for number, shape in enumerate(outputs):
            self.shapes[position, number] = shape
        if isinstance(record, lrp.Masking):
            self._padding[position, 0] = _Padding(reads[0], record.mask_value)
        elif reads[0] in self._padding and (isinstance(record, Link) or keeps_padding(record)):
            self._padding[position, 0] = self._padding[reads[0]]
        return position

    def follow(
        self, inputs: Sequence[Any], outputs: Sequence[Any], sources: Sequence[Source], prefix: str = ""
    ) -> list[Source]:
        """Add the records on all paths to the outputs of a model.

        Parameters
        ----------
        inputs, outputs : sequence of keras.KerasTensor
            Of the model.
        sources : sequence of tuples (int, int)
            Where its inputs come from.
        prefix : str, default=""
            Names of the models around its layers.

        Returns
        -------
        list of tuples (int, int)
            Where its outputs come from.

        Raises
        ------
        UnsupportedLayerError
            If a layer, or the way in which it is called, has no relevance rule.
        """
        known = {id(tensor): source for tensor, source in zip(inputs, sources, strict=True)}
        calls = _in_order(known, outputs, prefix)
        wanted = {id(tensor) for call in calls for tensor in call.tensors} | {id(tensor) for tensor in outputs}
        for call in calls:
            reads = [known[id(tensor)] for tensor in call.tensors]
            name = prefix + call.operation.name
            self._check_mask(call, name, reads, known)
            if isinstance(call.operation, keras.Model):
                used = [number for number, tensor in enumerate(call.outputs) if id(tensor) in wanted]
                inner = [call.operation.outputs[number] for number in used]
                found = self.follow(call.operation.inputs, inner, reads, f"{name}/")
            else:
                used = list(range(len(call.outputs)))
                found = self._convert(call, name, reads)
            for number, source in zip(used, found, strict=True):
                known[id(call.outputs[number])] = source
        return [known[id(tensor)] for tensor in outputs]

    def _convert(self, call: _Call, name: str, reads: Sequence[Source]) -> list[Source]:
        shapes = tuple(self.shapes[source] for source in reads)
        if isinstance(call.operation, keras.layers.Layer):
            # A layer that is called twice stays one record, unless the calls differ in shape.
            key = (id(call.operation), shapes)
            if key not in self._converted:
                self._converted[key] = convert_layer(call.operation, name, shapes)
            records = self._converted[key]
        else:
            records = (convert_operation(call.operation, name, shapes, call.arguments),)
        for record in records:
            position = self.add(record, reads)
            reads = [(position, 0)]
        return [(position, number) for number in range(len(call.outputs))]

    def _check_mask(self, call: _Call, name: str, reads: Sequence[Source], known: Mapping[int, Source]) -> None:
        """Refuse padding that Keras treats in another way than the records do."""
        layer, mask = call.operation, call.arguments.get("mask")
        masks = mask if isinstance(mask, list | tuple) else [mask]
        for one, source in zip(masks, reads, strict=False):
            if one is not None and not _is_mask(one, self._padding.get(source), known):
                refuse(layer, name, "have the mask of its input", "a mask of its own", "Use a Masking layer.")
        padding = self._padding.get(reads[0])
        if padding is None:
            return
        if len(reads) > 1 and mask is None and call.arguments.get("initial_state") is not None:
            got = "an input with padding"
            refuse(layer, name, "read no padding beside initial states, as Keras ignores it", got, "Leave out Masking.")
        halves = [getattr(layer, half, None) for half in ("forward_layer", "backward_layer")]
        for one in (layer, *halves):
            if all(getattr(one, option, False) for option in _WRONG_MASK):
                got = f"{', '.join(f'{option}=True' for option in _WRONG_MASK)} and padding"
                way_out = "Keras hides the wrong steps then: build it with unroll=False."
                refuse(layer, name, "not be unrolled backwards over padding", got, way_out)


# The unrolled loop applies the mask to outputs in the order of reading as if they were in that of time.
_WRONG_MASK = ("unroll", "go_backwards", "return_sequences", "zero_output_for_mask")


def _is_mask(mask: Any, padding: _Padding | None, known: Mapping[int, Source]) -> bool:
    """Whether a tensor is the mask that Keras makes of a padding: ``any(x != value, axis=-1)``."""
    if padding is None or not isinstance(mask, keras.KerasTensor):
        return False
    outer, node, _ = mask._keras_history
    if type(outer).__name__ != "Any" or list(outer.axis or ()) != [-1] or outer.keepdims:
        return False
    (differs,) = outer._inbound_nodes[node].input_tensors
    inner, node, _ = differs._keras_history
    if type(inner).__name__ != "NotEqual":
        return False
    arguments = _arguments(inner, inner._inbound_nodes[node])
    return (known.get(id(arguments["x1"])), arguments["x2"]) == padding


def _in_order(known: Mapping[int, Source], outputs: Sequence[Any], prefix: str) -> list[_Call]:
    """Return the calls between known tensors and the outputs, each after those that it reads."""
    ordered: list[_Call] = []
    calls: dict[int, _Call] = {}
    done: set[int] = set()
    for output in outputs:
        stack = [output]
        while stack:
            tensor = stack[-1]
            if id(tensor) in known or id(tensor) in done:
                stack.pop()
                continue
            operation, index, _ = tensor._keras_history
            node = operation._inbound_nodes[index]
            if id(node) not in calls:
                calls[id(node)] = _read(operation, node, prefix + operation.name)
            call = calls[id(node)]
            waiting = [one for one in call.tensors if id(one) not in known and id(one) not in done]
            if waiting:
                stack.extend(reversed(waiting))
                continue
            stack.pop()
            ordered.append(call)
            done.update(id(one) for one in call.outputs)
    return ordered


def _arguments(operation: Any, node: Any) -> dict[str, Any]:
    keywords = {key: value for key, value in node.arguments.kwargs.items() if key != "training"}
    return dict(inspect.signature(operation.call).bind(*node.arguments.args, **keywords).arguments)


def _read(operation: Any, node: Any, name: str) -> _Call:
    """Take a call apart; raises if it does something that records do not."""
    if isinstance(operation, keras.Model):
        check_graph(operation, f"The inner model {name!r}")
    elif isinstance(operation, keras.layers.Layer):
        find_converter(operation, name)
    training = node.arguments.kwargs.get("training")
    if training is not None and training is not False:
        refuse(operation, name, "be called for prediction", "training=True in its call", "Build the model without.")
    arguments = _arguments(operation, node)
    if not isinstance(operation, keras.layers.Layer):
        tensors = [value for value in keras.tree.flatten(list(arguments.values())) if _is_tensor(value)]
        return _Call(operation, tensors, node.outputs, arguments)
    first, *others = arguments
    for option in others:
        if option not in ("mask", "initial_state") and arguments[option] is not None:
            refuse(operation, name, "be called with its inputs alone", f"the argument {option!r}", "Leave it out.")
    tensors = keras.tree.flatten(arguments[first])
    if isinstance(operation, keras.Model):
        _check_inputs(operation, name, arguments[first], tensors)
    states = arguments.get("initial_state")
    tensors += [] if states is None else keras.tree.flatten(states)
    if not all(map(_is_tensor, tensors)):
        refuse(operation, name, "read outputs of other layers", "a constant", "Leave the constant out of the call.")
    return _Call(operation, tensors, node.outputs, arguments)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, keras.KerasTensor)


def _check_inputs(model: Any, name: str, given: Any, tensors: Sequence[Any]) -> None:
    ours = [len(tensor.shape) for tensor in model.inputs]
    theirs = [len(tensor.shape) for tensor in tensors if _is_tensor(tensor)]
    # Keras sorts the inputs of a dict by name, and adds or drops axes to make an input fit.
    if isinstance(given, dict) or isinstance(model.input, dict) or ours != theirs:
        got = f"inputs with {theirs} axes for {ours}" if ours != theirs else "a dict"
        refuse(model, name, "be called with the list of its inputs", got, "Call it with model([x, ...]).")


def check_graph(model: Any, what: str = "The model") -> None:
    """Refuse models whose layers are called in code of their own, and models that are not built."""
    kind = type(model)
    if getattr(kind, "call", None) not in (Functional.call, keras.Sequential.call):
        raise UnsupportedLayerError(
            f"{what} must be a Sequential or functional Keras model. Got {kind.__name__}, whose layers are called in "
            "code that cannot be followed. Build the same layers with keras.Sequential or keras.Model(inputs, outputs)."
        )
    if kind.call is keras.Sequential.call and model._functional is None:
        raise UnsupportedLayerError(
            f"{what} must be built. Got a Sequential without a shape of the input. Start it with "
            "keras.Input((n_timesteps, n_features)), or call it once."
        )
