"""Relevance rules by name, as objects, and layer by layer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from skdrfm._typing import FloatArray
from skdrfm.lrp._layer import Layer
from skdrfm.lrp._stabilizer import Stabilizer

SignalShare: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray | float]
"""Share of the signal in the relevance of a product, from the pre-activations of gate and signal."""


def _proportional(z_gate: FloatArray, z_signal: FloatArray) -> FloatArray:
    total = z_gate + z_signal
    # Where the two cancel, neither has a share: they get half each.
    return np.divide(z_signal, total, out=np.full_like(total, 0.5), where=total != 0)


_PRODUCTS: Mapping[str, SignalShare] = MappingProxyType(
    {
        "lrp-all": lambda z_gate, z_signal: 1.0,
        "lrp-half": lambda z_gate, z_signal: 0.5,
        "lrp-prop": _proportional,
        "lrp-abs": lambda z_gate, z_signal: _proportional(np.abs(z_gate), np.abs(z_signal)),
    }
)
_CLOSED_FORMS = ("arras-decay", "rudder")
GRADIENT = "gradient"

RULES: tuple[str, ...] = (*_PRODUCTS, *_CLOSED_FORMS)
"""Names of the relevance rules. They differ in how a recurrent cell shares relevance."""

SEQUENCES = ("full", "last", "mean")


@dataclass(frozen=True)
class Rule:
    """How relevance passes a layer.

    Parameters
    ----------
    name : str, default="lrp-all"
        What products of a gate and a signal do: "lrp-all" gives all relevance to the signal, "lrp-half" half of it,
        "lrp-prop" and "lrp-abs" share in proportion to the pre-activations or their absolute values (Arras et al.
        2019, 1909.12114). "arras-decay" is the closed form along the cell's memory: what is left of a step is the
        product of the later forget gates, and nothing passes the recurrent weights. "rudder" is the same without
        forget gates (Arjona-Medina et al. 2019, 1806.07857, A8.4.2), exact only for an additive cell.
    epsilon : float, default=1e-6
        Size of the stabilizer; 0 for none.
    epsilon_mode : {"relative", "absolute"}, default="relative"
        Whether epsilon is multiplied by the root mean square, sample by sample, of what it stabilizes over the units
        and time steps of a layer.
    bias_factor : {0, 1}, default=0.0
        Whether biases and stabilizers keep their relevance (0), or hand it down to the inputs in equal parts (1): then
        relevances are no longer inputs times loadings, and add up to the prediction. 1 is for checks.
    sequence : {"full", "last", "mean"}, default="full"
        Relevance of a layer that returns a sequence: as it comes, step by step; that of the last step read alone; or
        its mean over the steps, put on the last. The two reductions lose relevance, which `conservation_gap` shows.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> from skdrfm.lrp import Rule
    >>> Rule("lrp-half", epsilon=0).bias_factor
    0.0
    """

    name: str = "lrp-all"
    epsilon: float = 1e-6
    epsilon_mode: str = "relative"
    bias_factor: float = 0.0
    sequence: str = "full"
    stabilizer: Stabilizer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.name not in (*RULES, GRADIENT):
            raise ValueError(
                f"'rule' must be one of {', '.join(map(repr, RULES))}. Got {self.name!r}. "
                "Choose a name from skdrfm.lrp.RULES, or pass a Rule or a Composite."
            )
        if self.bias_factor not in (0, 1):
            raise ValueError(
                f"'bias_factor' must be 0 or 1. Got {self.bias_factor!r}. 0 gives loadings, 1 checks conservation."
            )
        if self.sequence not in SEQUENCES:
            raise ValueError(
                f"'sequence' must be one of {', '.join(map(repr, SEQUENCES))}. Got {self.sequence!r}. "
                "'full' loses nothing."
            )
        object.__setattr__(self, "stabilizer", Stabilizer(self.epsilon, self.epsilon_mode))

    @property
    def is_gradient(self) -> bool:
        """Whether slopes are true derivatives, instead of a relevance rule."""
        return self.name == GRADIENT

    @property
    def is_closed_form(self) -> bool:
        """Whether relevance stays on the memory of a cell and passes no recurrent weight."""
        return self.name in _CLOSED_FORMS

    @property
    def uses_gates(self) -> bool:
        """Whether gates get a share, so that their pre-activations are needed."""
        return self.name != "lrp-all" and not self.is_closed_form

    def signal_share(self, z_gate: FloatArray, z_signal: FloatArray, shifted_gate: FloatArray) -> FloatArray:
        """Share of the signal in the relevance of a product of gate and signal.

        Parameters
        ----------
        z_gate, z_signal : ndarray of one shape
            Pre-activations.
        shifted_gate : ndarray of the same shape
            Stabilized pre-activation of the gate. Where it is 0 the gate has no parts to share relevance among, and
            the signal takes all.

        Returns
        -------
        ndarray of the same shape
            The shares.
        """
        share = _PRODUCTS[self.name](z_gate, z_signal)
        return np.where(shifted_gate == 0, 1.0, share).astype(z_gate.dtype, copy=False)


@dataclass(frozen=True)
class Composite:
    """Rules layer by layer.

    Parameters
    ----------
    rules : mapping of str to str or Rule
        Name or type of a layer (``"lstm_1"``, ``"Dense"``) to its rule. A name goes before a type.
    default : str or Rule, default="lrp-all"
        Rule of all other layers.

    Examples
    --------
    >>> from skdrfm.lrp import Composite, Rule
    >>> composite = Composite({"LSTM": "lrp-half", "forecast": Rule(epsilon=0)})
    >>> composite.default
    'lrp-all'
    """

    rules: Mapping[str, "str | Rule"]
    default: "str | Rule" = "lrp-all"


RuleLike: TypeAlias = str | Rule | Composite

COMPOSITES: Mapping[str, Composite] = MappingProxyType(
    {"arras-2017": Composite({}, Rule("lrp-all", epsilon=1e-3, epsilon_mode="absolute"))}
)
"""Names of composites: "arras-2017" is signal-take-all with the absolute stabilizer of 0.001 of that paper's code."""


def resolve_rules(
    rule: RuleLike,
    layers: Sequence[Layer],
    *,
    epsilon: float = Rule.epsilon,
    epsilon_mode: str = Rule.epsilon_mode,
    bias_factor: float = Rule.bias_factor,
    sequence: str = Rule.sequence,
) -> list[Rule]:
    """Find the rule of each layer.

    Parameters
    ----------
    rule : str, Rule or Composite
        Name of a rule or of a composite, or an object.
    layers : sequence of Layer
        The layers of a network.
    epsilon, epsilon_mode, bias_factor, sequence : as in Rule
        Options of rules that are given by name.

    Returns
    -------
    list of Rule
        One for each layer.

    Raises
    ------
    ValueError
        If a name is unknown, an option is out of its range or meant for a Rule that has its own, or a composite names
        a layer that the network does not have.
    """
    named = Rule("lrp-all", epsilon, epsilon_mode, bias_factor, sequence)  # checks the options
    if isinstance(rule, str) and rule in COMPOSITES:
        rule = COMPOSITES[rule]
    composite = rule if isinstance(rule, Composite) else Composite({}, rule)
    if isinstance(composite.default, Rule) and named != Rule():
        raise ValueError(
            "Options of a rule must stand in the Rule itself. Got both a Rule and "
            f"{_changed(named)}. Write Rule({composite.default.name!r}, {_changed(named)})."
        )

    def made(item: str | Rule) -> Rule:
        return item if isinstance(item, Rule) else Rule(item, epsilon, epsilon_mode, bias_factor, sequence)

    by_key = {key: made(item) for key, item in composite.rules.items()}
    default = made(composite.default)
    known = {key for layer in layers for key in (layer.name, layer.kind)}
    unknown = [key for key in by_key if key not in known]
    if unknown:
        names = ", ".join(repr(layer.name or layer.kind) for layer in layers)
        raise ValueError(f"A composite must name layers of the network. Got {unknown!r} beside them (layers: {names}).")
    return [by_key.get(layer.name, by_key.get(layer.kind, default)) for layer in layers]


def _changed(rule: Rule) -> str:
    names = ("epsilon", "epsilon_mode", "bias_factor", "sequence")
    plain = Rule()
    return ", ".join(f"{n}={getattr(rule, n)!r}" for n in names if getattr(rule, n) != getattr(plain, n))
