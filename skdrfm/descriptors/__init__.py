"""Firm characteristics: the 16 descriptors of Nakagawa et al. (2019), Table 1, their five groups, and your own."""

from skdrfm.descriptors._catalogue import descriptor_specs, groups_of, register_descriptor, unregister_descriptor
from skdrfm.descriptors._compute import compute_descriptors
from skdrfm.descriptors._inputs import DescriptorInputs
from skdrfm.descriptors._spec import DESCRIPTORS, GROUPS, DescriptorSpec

__all__ = [
    "DESCRIPTORS",
    "GROUPS",
    "DescriptorInputs",
    "DescriptorSpec",
    "compute_descriptors",
    "descriptor_specs",
    "groups_of",
    "register_descriptor",
    "unregister_descriptor",
]
