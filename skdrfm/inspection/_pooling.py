"""Cells of an explanation, one for each lag and descriptor, summed by group, by lag or by both."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.explanation import Explanation
from skdrfm.explanation._aggregation import check_groups

POOLS = ("group", "lag", "group_and_lag")


def pooled(
    explanation: Explanation, cells: FloatArray, by: str, groups: Mapping[str, Sequence[str]] | None
) -> tuple[FloatArray, pd.Index]:
    """Sum numbers of cells.

    Parameters
    ----------
    explanation : Explanation
        Names the descriptors and lags.
    cells : ndarray of shape (n_rows, n_timesteps, n_features)
        The numbers.
    by : {"group", "lag", "group_and_lag"}
        What each sum belongs to.
    groups : mapping of str to sequence of str or None
        Descriptors of each group; None: each descriptor is a group of its own.

    Returns
    -------
    sums : ndarray of shape (n_rows, n_sums)
        The sums.
    labels : Index of length n_sums
        Named ``group``, ``descriptor`` or ``lag``; a MultiIndex (group or descriptor, lag) for both.

    Raises
    ------
    PanelError
        If the groups do not hold each descriptor once.
    """
    lags = pd.Index(explanation.lags, name="lag")
    if by == "lag":
        return cells.sum(axis=2), lags
    if groups is None:
        grouped, names = cells, pd.Index(explanation.descriptor_names, name="descriptor")
    else:
        check_groups(groups, explanation.descriptor_names)
        place = {name: j for j, name in enumerate(explanation.descriptor_names)}
        parts = [cells[:, :, [place[name] for name in members]].sum(axis=2) for members in groups.values()]
        grouped, names = np.stack(parts, axis=2), pd.Index(list(groups), name="group")
    if by == "group":
        return grouped.sum(axis=1), names
    # Group by group, and within a group the oldest lag first.
    return grouped.transpose(0, 2, 1).reshape(len(grouped), -1), pd.MultiIndex.from_product([names, lags])
