"""Which rule each layer of a network used."""

from collections.abc import Sequence
from typing import NamedTuple

from skdrfm.lrp._layer import Layer
from skdrfm.lrp._rules import Rule


class LayerCoverage(NamedTuple):
    """How relevance passed one layer.

    Parameters
    ----------
    name : str
        Name of the layer.
    kind : str
        Its type, as Keras names it.
    rule : str
        The rule in words; a layer that only hands relevance on says so.
    """

    name: str
    kind: str
    rule: str


def cover(layers: Sequence[Layer], rules: Sequence[Rule]) -> tuple[LayerCoverage, ...]:
    """Say which rule each layer used.

    Parameters
    ----------
    layers : sequence of Layer
        The layers of a network.
    rules : sequence of Rule
        Their rules.

    Returns
    -------
    tuple of LayerCoverage
        One entry for each layer.
    """
    return tuple(
        LayerCoverage(layer.name, layer.kind, _say(layer, rule)) for layer, rule in zip(layers, rules, strict=True)
    )


def _say(layer: Layer, rule: Rule) -> str:
    if layer.passes == "unchanged":
        return "handed on unchanged"
    if rule.is_gradient:
        return "gradient"
    if layer.passes == "exactly":
        return "exact, without a stabilizer"
    words = [rule.name] if layer.passes == "product" else []
    words.append(f"epsilon {rule.epsilon:g} ({rule.epsilon_mode})")
    if rule.bias_factor:
        words.append("biases handed down")
    if rule.sequence != "full" and getattr(layer, "return_sequences", False):
        words.append(f"sequence reduced to its {rule.sequence}")
    return ", ".join(words)
