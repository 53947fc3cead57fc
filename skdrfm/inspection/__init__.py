"""Explanations of fitted models, evidence for them, drawings of them, and audits for leaks of the future."""

from skdrfm.inspection._audit import LEAKAGE_CHECKS, audit_leakage
from skdrfm.inspection._audit_report import Finding, LeakageReport
from skdrfm.inspection._compare import EXPLAINER_METHODS, compare_explainers
from skdrfm.inspection._compare_result import ExplainerComparison
from skdrfm.inspection._explain import explain
from skdrfm.inspection._faithfulness import faithfulness
from skdrfm.inspection._faithfulness_checks import seed_stability
from skdrfm.inspection._faithfulness_report import FaithfulnessReport
from skdrfm.inspection._memory import LagMemory, lag_memory
from skdrfm.inspection._necessity import NonlinearityIndex, nonlinearity_index
from skdrfm.inspection._plot import ContributionDisplay
from skdrfm.inspection._plot_compare import ExplainerComparisonDisplay
from skdrfm.inspection._plot_faithfulness import FaithfulnessDisplay
from skdrfm.inspection._plot_heatmap import RelevanceHeatmapDisplay
from skdrfm.inspection._plot_loadings import LoadingDisplay
from skdrfm.inspection._plot_necessity import NonlinearityDisplay
from skdrfm.inspection._plot_removal import RemovalDisplay
from skdrfm.inspection._plot_uncertainty import ContributionStatisticsDisplay
from skdrfm.inspection._plot_waterfall import WaterfallDisplay
from skdrfm.inspection._point_in_time import check_point_in_time
from skdrfm.inspection._removal import removal_check
from skdrfm.inspection._removal_result import RemovalCheck
from skdrfm.inspection._shapley import GroupShapley, group_shapley
from skdrfm.inspection._uncertainty import contribution_statistics
from skdrfm.inspection._uncertainty_result import ContributionStatistics

__all__ = [
    "EXPLAINER_METHODS",
    "LEAKAGE_CHECKS",
    "ContributionDisplay",
    "ContributionStatistics",
    "ContributionStatisticsDisplay",
    "ExplainerComparison",
    "ExplainerComparisonDisplay",
    "FaithfulnessDisplay",
    "FaithfulnessReport",
    "Finding",
    "GroupShapley",
    "LagMemory",
    "LeakageReport",
    "LoadingDisplay",
    "NonlinearityDisplay",
    "NonlinearityIndex",
    "RelevanceHeatmapDisplay",
    "RemovalCheck",
    "RemovalDisplay",
    "WaterfallDisplay",
    "audit_leakage",
    "check_point_in_time",
    "compare_explainers",
    "contribution_statistics",
    "explain",
    "faithfulness",
    "group_shapley",
    "lag_memory",
    "nonlinearity_index",
    "removal_check",
    "seed_stability",
]
