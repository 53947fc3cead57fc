"""Explanations of fitted models, drawings of them, and audits for leaks of the future."""

from skdrfm.inspection._audit import LEAKAGE_CHECKS, audit_leakage
from skdrfm.inspection._audit_report import Finding, LeakageReport
from skdrfm.inspection._explain import explain
from skdrfm.inspection._memory import LagMemory, lag_memory
from skdrfm.inspection._plot import ContributionDisplay
from skdrfm.inspection._plot_heatmap import RelevanceHeatmapDisplay
from skdrfm.inspection._plot_loadings import LoadingDisplay
from skdrfm.inspection._plot_waterfall import WaterfallDisplay
from skdrfm.inspection._point_in_time import check_point_in_time

__all__ = [
    "LEAKAGE_CHECKS",
    "ContributionDisplay",
    "Finding",
    "LagMemory",
    "LeakageReport",
    "LoadingDisplay",
    "RelevanceHeatmapDisplay",
    "WaterfallDisplay",
    "audit_leakage",
    "check_point_in_time",
    "explain",
    "lag_memory",
]
