"""Names and groups of the paper's descriptors (Nakagawa et al. 2019, Table 1)."""

from collections.abc import Mapping
from types import MappingProxyType

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
