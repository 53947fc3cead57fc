"""Firm characteristics: the 16 descriptors of Nakagawa et al. (2019), Table 1, and their five groups."""

from skdrfm.descriptors._spec import DESCRIPTORS, GROUPS

__all__ = ["DESCRIPTORS", "GROUPS"]
