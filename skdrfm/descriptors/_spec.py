"""What a descriptor is, and the names and groups of the paper's (Nakagawa et al. 2019, Table 1)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from skdrfm._typing import FloatArray

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Risk": ("60VOL", "BETA", "SKEW"),
        "Quality": ("ROE", "ROA", "ACCRUALS", "LEVERAGE"),
        "Momentum": ("12-1MOM", "1MOM", "60MOM"),
        "Value": ("PSR", "PER", "PBR", "PCFR"),
        "Size": ("CAP", "ILLIQ"),
    }
)
"""The five groups and their descriptors, in the order of the paper. Map groups by name, never by position."""

DESCRIPTORS: tuple[str, ...] = tuple(name for names in GROUPS.values() for name in names)
"""The 16 descriptors in the order of the paper."""


@dataclass(frozen=True)
class DescriptorSpec:
    """A descriptor: what it is, what it needs and how it is computed.

    Parameters
    ----------
    name : str
        Name of its column.
    group : str
        Group for contributions, such as "Value".
    formula : str
        How it is computed, in words or symbols.
    unit : str
        Unit of its values.
    sign : {1, -1}
        1 if high values are expected to earn more in the literature, -1 if less.
    lag : int
        Months from the end of the period that it describes to its first use where the day of publication is not known:
        0 for prices, 3 for reports.
    reference : str
        Where it comes from.
    needs : tuple of str
        What it is computed from: "returns", "market", "close", "dollar_volume", "illiq", "market_value", or items of
        the reports such as "sales".
    compute : callable
        Takes a `DescriptorInputs` and returns an ndarray of shape (n_months, n_assets), NaN where unknown. The value of
        a month may depend on that month and earlier ones only.
    min_periods : int, default=None
        Months that must be known for a value, where that may be chosen.

    Examples
    --------
    >>> from skdrfm.descriptors import descriptor_specs
    >>> spec = descriptor_specs()["PBR"]
    >>> spec.group, spec.unit, spec.sign, spec.needs
    ('Value', 'ratio', 1, ('net_assets', 'market_value'))
    """

    name: str
    group: str
    formula: str
    unit: str
    sign: int
    lag: int
    reference: str
    needs: tuple[str, ...]
    compute: Callable[[Any], FloatArray]
    min_periods: int | None = None
