"""The figures of the rows of one date: all attributions face the same replacements and the same subsets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from skdrfm._typing import BoolArray, FloatArray, IntArray
from skdrfm.inspection._faithfulness_baseline import (
    PERMUTATIONS,
    PERTURBATIONS,
    REPLACEMENTS,
    SUBSETS,
    Baseline,
    Section,
)
from skdrfm.inspection._faithfulness_curves import Curves, Units, areas, deletion_curves, mixed_predictions
from skdrfm.inspection._faithfulness_subsets import (
    Perturbed,
    draw_perturbations,
    draw_subsets,
    infidelity_moments,
    row_correlations,
    sensitivity_changes,
)
from skdrfm.inspection._forward import Predict


@dataclass(frozen=True)
class Setting:
    """What is the same for all dates.

    Parameters
    ----------
    predict : callable
        From flat inputs (n_samples, n_cells) to (n_samples,).
    units : Units
        What is removed together.
    counts : ndarray of shape (n_steps + 1,)
        Removed units at each step of the curves.
    sizes : mapping of str to int
        Subset sizes by names of their figures.
    n_subsets : int
        Random subsets of each size, and perturbations.
    baseline : Baseline
        Replacement values.
    chunk_size : int
        Predictions at a time.
    """

    predict: Predict
    units: Units
    counts: IntArray
    sizes: Mapping[str, int]
    n_subsets: int
    baseline: Baseline
    chunk_size: int


class Attribution(NamedTuple):
    """Relevances and loadings, each of shape (n_rows, n_cells)."""

    values: FloatArray
    loadings: FloatArray


class Measured(NamedTuple):
    """Figures of the rows, each of shape (n_rows,), and their curves."""

    rows: dict[str, FloatArray]
    curves: Curves


def permuted(attribution: Attribution, part: Section, n_repeats: int) -> list[Attribution]:
    """Exchange the cells of each row at random, relevance and loading together, n_repeats times."""
    rng = part.generator(PERMUTATIONS)
    drawn = []
    for _ in range(n_repeats):
        order = rng.random(attribution.values.shape).argsort(axis=1)
        drawn.append(Attribution(*(np.take_along_axis(array, order, axis=1) for array in attribution)))
    return drawn


def measure(
    setting: Setting, part: Section, values: FloatArray, predictions: FloatArray, attributions: Sequence[Attribution]
) -> list[Measured]:
    """Measure attributions of the rows of one date.

    Parameters
    ----------
    setting : Setting
        What is the same for all dates.
    part : Section
        The date.
    values : ndarray of shape (n_rows, n_cells)
        Inputs of its rows.
    predictions : ndarray of shape (n_rows,)
        Their predictions.
    attributions : sequence of Attribution
        What is measured.

    Returns
    -------
    list of Measured
        One for each attribution.
    """
    draws = setting.baseline.draw(values, part.generator(REPLACEMENTS))
    evaluate = partial(mixed_predictions, setting.predict, values, draws, chunk_size=setting.chunk_size)
    subsets, changes = _removed(setting, part, predictions, evaluate)
    perturbed = _perturbed(setting, part, values, draws, predictions, evaluate)
    found = []
    for attribution in attributions:
        totals = setting.units.totals(attribution.values)
        curves = deletion_curves(totals, setting.units, setting.counts, predictions, evaluate)
        rows = areas(curves)
        for name, n in setting.sizes.items():
            rows[name] = row_correlations(totals @ subsets[n].T.astype(totals.dtype), changes[n])
        rows |= infidelity_moments(perturbed, attribution.loadings)
        found.append(Measured(rows, curves))
    return found


def _removed(
    setting: Setting, part: Section, predictions: FloatArray, evaluate: Callable[..., FloatArray]
) -> tuple[dict[int, BoolArray], dict[int, FloatArray]]:
    """Subsets by size, and the changes of the predictions without them."""
    rng, n_units = part.generator(SUBSETS), setting.units.n_units
    subsets = {n: draw_subsets(n, n_units, setting.n_subsets, rng) for n in sorted(set(setting.sizes.values()))}
    changes = {n: sensitivity_changes(predictions, marks, setting.units, evaluate) for n, marks in subsets.items()}
    return subsets, changes


def _perturbed(
    setting: Setting,
    part: Section,
    values: FloatArray,
    draws: FloatArray,
    predictions: FloatArray,
    evaluate: Callable[..., FloatArray],
) -> Perturbed:
    marks = draw_perturbations(setting.units.n_units, setting.n_subsets, part.generator(PERTURBATIONS))
    cells = setting.units.cells(marks)
    without = evaluate(cells[np.newaxis], paired=True)[:, :, 0]
    return Perturbed(values[:, np.newaxis] - draws, cells, predictions[:, np.newaxis] - without)
