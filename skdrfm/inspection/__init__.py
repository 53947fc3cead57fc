"""Explanations of fitted models, and drawings of them."""

from skdrfm.inspection._explain import explain
from skdrfm.inspection._memory import LagMemory, lag_memory
from skdrfm.inspection._plot import ContributionDisplay
from skdrfm.inspection._plot_heatmap import RelevanceHeatmapDisplay
from skdrfm.inspection._plot_loadings import LoadingDisplay
from skdrfm.inspection._plot_waterfall import WaterfallDisplay

__all__ = [
    "ContributionDisplay",
    "LagMemory",
    "LoadingDisplay",
    "RelevanceHeatmapDisplay",
    "WaterfallDisplay",
    "explain",
    "lag_memory",
]
