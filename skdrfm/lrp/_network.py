"""A network: layers, and which output of which layer each of them reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from skdrfm.exceptions import UnsupportedLayerError
from skdrfm.lrp._activations import LINKS
from skdrfm.lrp._bidirectional import Bidirectional
from skdrfm.lrp._dense import Dense
from skdrfm.lrp._elementwise import Elementwise, Masking
from skdrfm.lrp._layer import Layer, Shape, check_choice, is_whole, title
from skdrfm.lrp._recurrent import Recurrent
from skdrfm.lrp._structure import Merge

Source: TypeAlias = tuple[int, int]
"""Position of a layer (-1: the input of the network) and number of its output."""

INPUT = -1


@dataclass(frozen=True, eq=False)
class Network:
    """Layers from (n_timesteps, n_features) to one number.

    Parameters
    ----------
    layers : sequence of Layer
        The layers, each after those that it reads; stored as a tuple. The last one is the output.
    n_timesteps : int
        Number of time steps of the input.
    n_features : int
        Number of descriptors at each step.
    sources : sequence of sequences of int or (int, int), default=None
        For each layer what it reads: positions of layers (-1 is the input of the network), or pairs of a position and
        the number of an output, for layers that also return states. None: each layer reads the one before.
    output_activation : str, default="linear"
        Function of the output unit that is not 0 at 0, such as "sigmoid": predictions have it, explanations are of
        its argument.

    Raises
    ------
    ValueError
        If a layer does not fit what it reads.
    UnsupportedLayerError
        If a layer has no relevance rule, or the network does not end in one output unit.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.lrp import Add, Dense, Flatten, Network
    >>> Network([Flatten(), Dense(np.ones((10, 1)), np.zeros(1))], n_timesteps=5, n_features=2)
    Network(Flatten, Dense(1); n_timesteps=5, n_features=2)
    >>> head = Dense(np.ones((10, 1)), np.zeros(1))
    >>> Network([Flatten(), head, head, Add()], 5, 2, sources=[(-1,), (0,), (0,), (1, 2)])
    Network(Flatten, Dense(1), Dense(1), Add; n_timesteps=5, n_features=2)
    """

    layers: Sequence[Layer]
    n_timesteps: int
    n_features: int
    sources: Sequence[Sequence[int | Source]] | None = None
    output_activation: str = "linear"

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        for field in ("n_timesteps", "n_features"):
            value = getattr(self, field)
            if not is_whole(value, 1):
                raise ValueError(
                    f"'{field}' of a Network must be an integer >= 1. Got {value!r}. "
                    "Pass the shape (n_timesteps, n_features) of one sample."
                )
        check_choice(self, "output_activation", ("linear", *LINKS))
        object.__setattr__(self, "sources", self._resolve_sources())
        self._check_shapes()

    def reads(self, position: int) -> tuple[Source, ...]:
        """Tell what a layer reads."""
        assert self.sources is not None
        return self.sources[position]  # type: ignore[return-value]  # resolved to pairs

    @property
    def n_outputs(self) -> tuple[int, ...]:
        """Number of outputs of each layer."""
        n_outputs: tuple[int, ...] = self._n_outputs  # type: ignore[attr-defined]  # set with the shapes
        return n_outputs

    def _resolve_sources(self) -> tuple[tuple[Source, ...], ...]:
        given = self.sources
        if given is None:
            given = [(position - 1,) for position in range(len(self.layers))]
        if len(given) != len(self.layers):
            raise ValueError(f"'sources' must have one entry for each of {len(self.layers)} layers. Got {len(given)}.")
        resolved = tuple(
            tuple((source, 0) if isinstance(source, int) else (source[0], source[1]) for source in entry)
            for entry in given
        )
        for position, entry in enumerate(resolved):
            for source, _ in entry:
                if not INPUT <= source < position:
                    raise ValueError(
                        f"Layer {position} must read the input (-1) or earlier layers. Got {source}. Sort the layers."
                    )
        return resolved

    def _check_shapes(self) -> None:
        shapes: dict[Source, Shape] = {(INPUT, 0): (self.n_timesteps, self.n_features)}
        padded: set[Source] = set()
        output: Source = (INPUT, 0)
        n_outputs = []
        for position, layer in enumerate(self.layers):
            if not isinstance(layer, Layer):
                raise UnsupportedLayerError(
                    f"Layer {position} ({type(layer).__name__}) has no relevance rule. Supported: the records of "
                    "skdrfm.lrp. Leave out layers that do nothing in prediction."
                )
            reads = self.reads(position)
            missing = [source for source in reads if source not in shapes]
            if missing:
                raise ValueError(f"Layer {position}, {title(layer)}, must read existing outputs. Got {missing}.")
            try:
                outputs = layer.output_shapes([shapes[source] for source in reads])
            except ValueError as error:
                raise ValueError(f"Layer {position}: {error}") from error
            n_outputs.append(len(outputs))
            for number, shape in enumerate(outputs):
                shapes[position, number] = shape
            if isinstance(layer, Merge) and padded.intersection(reads):
                raise UnsupportedLayerError(
                    f"Layer {position}, {title(layer)}, must not merge sequences with padding. Got the output of a "
                    "Masking layer. Merge before Masking, or after the recurrent layers."
                )
            if isinstance(layer, Masking) or (padded.intersection(reads) and keeps_padding(layer)):
                padded.add((position, 0))
            output = (position, 0)
        object.__setattr__(self, "_n_outputs", tuple(n_outputs))
        if shapes[output] != (1,):
            raise UnsupportedLayerError(
                f"A network must end in one output unit. Got an output of shape {shapes[output]} per sample. End with "
                "a layer that leaves time (a recurrent one with return_sequences=False, or Flatten) and a Dense layer "
                "of one unit."
            )

    def __repr__(self) -> str:
        parts = []
        for layer in self.layers:
            size = f"({layer.n_units})" if hasattr(layer, "n_units") else ""
            parts.append(layer.kind + size)
        return f"Network({', '.join(parts)}; n_timesteps={self.n_timesteps}, n_features={self.n_features})"


def keeps_padding(layer: Layer) -> bool:
    """Tell whether the output of a layer has the padding of its input."""
    if isinstance(layer, Recurrent | Bidirectional):
        return layer.return_sequences
    return isinstance(layer, Elementwise | Dense)
