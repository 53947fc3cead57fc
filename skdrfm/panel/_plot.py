"""Axes of a new figure, and the date axis that every chart of a panel shares."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm.exceptions import PanelError
from skdrfm.panel._index import calendar_ordinals


def new_axes(height: float = 4.5) -> Any:
    """Axes of a new figure of pyplot, which is imported only here."""
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=(8, height), layout="constrained")
    return ax


def time_axis(dates: pd.Index) -> Any:
    """Days for labels that can be read as dates, so that a year is as wide as another; else the labels."""
    try:
        return calendar_ordinals(dates, "D").astype("datetime64[D]")
    except PanelError:
        return dates.to_numpy()


def label_dates(ax: Any, positions: Any) -> None:
    """Label the horizontal axis with a few short dates, where positions are days."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    if np.issubdtype(np.asarray(positions).dtype, np.datetime64) and len(positions) > 1:
        locator = AutoDateLocator(minticks=3, maxticks=7)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
