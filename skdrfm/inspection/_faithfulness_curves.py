"""Signed deletion and insertion curves: units of inputs taken away from the highest relevance down, and from below."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skdrfm._typing import BoolArray, FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation
from skdrfm.inspection._faithfulness_baseline import rows_in_turn
from skdrfm.inspection._forward import Predict

UNITS = ("cell", "lag", "descriptor")


@dataclass(frozen=True)
class Units:
    """What is removed together.

    Parameters
    ----------
    kind : {"cell", "lag", "descriptor", "group"}
        What a unit is; descriptors and groups have all lags.
    of_cell : ndarray of shape (n_cells,)
        Number of the unit of each cell, cells in the order of flat columns.
    n_units : int
        Number of units.
    """

    kind: str
    of_cell: IntArray
    n_units: int

    def totals(self, values: FloatArray) -> FloatArray:
        """Sum relevances (n_samples, n_cells) within units, to (n_samples, n_units)."""
        if self.n_units == len(self.of_cell):
            return values
        members = self.of_cell[:, np.newaxis] == np.arange(self.n_units)
        totals: FloatArray = values @ members.astype(values.dtype)
        return totals

    def cells(self, units: BoolArray) -> BoolArray:
        """Spread marks of units, on the last axis, over their cells."""
        marks: BoolArray = units[..., self.of_cell]
        return marks


def units_of(by: Any, explanation: Explanation) -> Units:
    """Resolve what units are, by name or as groups of descriptors."""
    _, n_timesteps, n_features = explanation.loadings.shape
    steps, features = np.divmod(np.arange(n_timesteps * n_features), n_features)
    if not isinstance(by, Mapping):
        if by not in UNITS:
            raise PanelError(
                f"'by' must be one of {', '.join(map(repr, UNITS))}, or a mapping of groups to descriptors. "
                f"Got {by!r}. Pass skdrfm.descriptors.GROUPS for the five groups."
            )
        of_cell = {"cell": np.arange(len(steps)), "lag": steps, "descriptor": features}[by]
        return Units(by, of_cell, int(of_cell.max()) + 1)
    explanation[:0].by_group(by)  # refuses groups that do not hold each descriptor once
    number = {name: position for position, names in enumerate(by.values()) for name in names}
    of_feature = np.asarray([number[name] for name in explanation.descriptor_names])
    distinct, of_cell = np.unique(of_feature[features], return_inverse=True)
    return Units("group", of_cell, len(distinct))


def step_counts(n_units: int, n_steps: int) -> IntArray:
    """Numbers of removed units, from 0 to all, such that what is left at one step is what is removed at another.

    Parameters
    ----------
    n_units : int
        Number of units.
    n_steps : int
        Steps at most. There are never more than units, and one less where an even number of steps would cut an odd
        number of units in the middle.

    Returns
    -------
    ndarray of shape (n_steps + 1,)
        Increasing counts.

    Examples
    --------
    >>> from skdrfm.inspection._faithfulness_curves import step_counts
    >>> step_counts(10, 4).tolist(), step_counts(5, 4).tolist()
    ([0, 2, 5, 8, 10], [0, 2, 3, 5])
    """
    n_steps = min(n_steps, n_units)
    if n_steps % 2 == 0 and n_units % 2 == 1:
        n_steps -= 1
    counts = np.rint(np.linspace(0, n_units, n_steps + 1)).astype(np.intp)
    late = np.arange(n_steps + 1) > n_steps / 2
    counts[late] = n_units - counts[::-1][late]
    return counts


def mixed_predictions(
    predict: Predict,
    values: FloatArray,
    draws: FloatArray,
    removed: BoolArray,
    *,
    chunk_size: int,
    paired: bool = False,
) -> FloatArray:
    """Predict rows of which some cells have replacement values.

    Parameters
    ----------
    predict : callable
        From flat inputs (n_samples, n_cells) to (n_samples,).
    values : ndarray of shape (n_rows, n_cells)
        The rows.
    draws : ndarray of shape (n_rows, n_draws, n_cells)
        Replacement values of each row.
    removed : ndarray of shape (n_rows or 1, n_subsets, n_cells)
        Which cells are replaced; one entry on the first axis serves all rows.
    chunk_size : int
        Predictions at a time, at most, unless a single row needs more.
    paired : bool, default=False
        Whether each subset has one draw, subset j the draw ``j % n_draws``, instead of all.

    Returns
    -------
    ndarray of shape (n_rows, n_subsets, n_draws), or (n_rows, n_subsets, 1) if paired
        The predictions.
    """
    n_rows, n_subsets = len(values), removed.shape[1]
    which = np.arange(n_subsets) % draws.shape[1] if paired else None
    n_draws = 1 if paired else draws.shape[1]
    predictions = np.empty((n_rows, n_subsets, n_draws))
    for rows in rows_in_turn(n_rows, n_subsets * n_draws, chunk_size):
        mask = (removed if len(removed) == 1 else removed[rows])[:, :, np.newaxis]
        new = draws[rows, np.newaxis] if which is None else draws[rows][:, which, np.newaxis]
        mixed = np.where(mask, new, values[rows, np.newaxis, np.newaxis])
        predictions[rows] = predict(mixed.reshape(-1, values.shape[1])).reshape(len(mixed), n_subsets, n_draws)
    return predictions


class Curves(NamedTuple):
    """Mean predictions over draws, each of shape (n_rows, n_steps + 1), as units are removed."""

    highest_first: FloatArray
    lowest_first: FloatArray

    @property
    def insertion(self) -> FloatArray:
        """Predictions as units are put back, the highest first: removal of the lowest, read from its end."""
        return self.lowest_first[:, ::-1]


def deletion_curves(
    relevances: FloatArray, units: Units, counts: IntArray, predictions: FloatArray, evaluate: Callable[..., FloatArray]
) -> Curves:
    """Remove units by descending, and by ascending signed relevance (Samek et al. 2017).

    Parameters
    ----------
    relevances : ndarray of shape (n_rows, n_units)
        Signed relevance of each unit. Equal ones keep the order of the units in both curves, so that an attribution
        that tells nothing apart has two equal curves.
    units : Units
        What is removed together.
    counts : ndarray of shape (n_steps + 1,)
        Units that are removed at each step, from 0.
    predictions : ndarray of shape (n_rows,)
        Predictions of the whole rows.
    evaluate : callable
        From marks of cells (n_rows, n_subsets, n_cells) to predictions (n_rows, n_subsets, n_draws).

    Returns
    -------
    Curves
        Both curves.
    """
    removed = np.concatenate([_first(sign * relevances, counts[1:]) for sign in (-1, 1)], axis=1)
    means = evaluate(units.cells(removed)).mean(axis=2)
    start, n_steps = predictions[:, np.newaxis], len(counts) - 1
    return Curves(*(np.concatenate([start, part], axis=1) for part in (means[:, :n_steps], means[:, n_steps:])))


def _first(keys: FloatArray, counts: IntArray) -> BoolArray:
    """Mark the units with the smallest keys, as many as each count says."""
    order = np.argsort(keys, axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.broadcast_to(np.arange(keys.shape[1]), order.shape), axis=1)
    marks: BoolArray = places[:, np.newaxis] < counts[:, np.newaxis]
    return marks


def areas(curves: Curves) -> dict[str, FloatArray]:
    """Areas of each row in units of the prediction.

    Parameters
    ----------
    curves : Curves
        Predictions f_MoRF(k), highest relevance removed first, and f_LeRF(k), lowest first, k = 0, ..., K.

    Returns
    -------
    dict of str to ndarray of shape (n_rows,)
        ``aopc``: mean over k of f(x) - f_MoRF(k). ``insertion``: mean over k of f_LeRF(k) - f_MoRF(K), which is what
        putting units back, the highest first, adds to the prediction without any. ``abpc``: mean over k of
        f_LeRF(k) - f_MoRF(k).
    """
    high, low = curves
    return {
        "aopc": (high[:, :1] - high).mean(axis=1),
        "insertion": (low - high[:, -1:]).mean(axis=1),
        "abpc": (low - high).mean(axis=1),
    }
