"""Relevance rules by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from skdrfm._typing import FloatArray
from skdrfm.lrp._lstm import LSTMTrace, LSTMWeights, Swept, signal_takes_all
from skdrfm.lrp._stabilizer import Stabilizer

LSTMSweep: TypeAlias = Callable[[LSTMWeights, LSTMTrace, FloatArray, Stabilizer], Swept]

_LSTM_SWEEPS: Mapping[str, LSTMSweep] = MappingProxyType({"lrp-all": signal_takes_all})

RULES: tuple[str, ...] = tuple(sorted(_LSTM_SWEEPS))
"""Names of the relevance rules. They differ in how an LSTM cell shares relevance."""


@dataclass(frozen=True)
class Rule:
    """How relevance is shared: by a product of gate and signal, and by a sum near 0."""

    lstm_sweep: LSTMSweep
    stabilizer: Stabilizer


def resolve_rule(rule: str, epsilon: float, epsilon_mode: str) -> Rule:
    """Find a rule by its name.

    Parameters
    ----------
    rule : str
        One of `RULES`.
    epsilon : float
        Size of the stabilizer, at least 0.
    epsilon_mode : {"absolute", "relative"}
        Whether epsilon is multiplied by the size of what it stabilizes.

    Returns
    -------
    Rule
        The rule with its stabilizer.

    Raises
    ------
    ValueError
        If the rule or the mode is unknown, or epsilon is negative or not finite.
    """
    if rule not in RULES:
        raise ValueError(
            f"'rule' must be one of {', '.join(map(repr, RULES))}. Got {rule!r}. Choose a name from skdrfm.lrp.RULES."
        )
    return Rule(_LSTM_SWEEPS[rule], Stabilizer(epsilon, epsilon_mode))
