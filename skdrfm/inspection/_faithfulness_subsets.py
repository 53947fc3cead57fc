"""Sensitivity-n and infidelity: what random subsets of inputs do to the prediction, and what the explanation says."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from skdrfm._typing import BoolArray, FloatArray
from skdrfm.inspection._faithfulness_curves import Units

# Spreads below this fraction of the size are rounding, not variation.
_ROUNDING = 1e-10


def subset_sizes(sizes: Sequence[Any], n_units: int) -> dict[str, int]:
    """Turn numbers and shares of units into numbers, by the names of their figures.

    Examples
    --------
    >>> from skdrfm.inspection._faithfulness_subsets import subset_sizes
    >>> subset_sizes((1, 0.1, 0.5), 80)
    {'sensitivity_1': 1, 'sensitivity_10%': 8, 'sensitivity_50%': 40}
    """
    found: dict[str, int] = {}
    for size in sizes:
        if isinstance(size, float):
            found[f"sensitivity_{100 * size:g}%"] = max(1, math.floor(size * n_units + 0.5))
        else:
            found[f"sensitivity_{size}"] = int(size)
    return found


def draw_subsets(n: int, n_units: int, n_subsets: int, rng: np.random.Generator) -> BoolArray:
    """Draw subsets of n units; all there are, if they are no more than asked for.

    Returns
    -------
    ndarray of shape (n_drawn, n_units), bool
        True for the members. Subsets of one unit never repeat.
    """
    if math.comb(n_units, n) <= n_subsets:
        members = np.asarray(list(itertools.combinations(range(n_units), n)))
    elif n == 1:
        members = rng.permutation(n_units)[:n_subsets, np.newaxis]
    else:
        members = rng.random((n_subsets, n_units)).argsort(axis=1)[:, :n]
    marks = np.zeros((len(members), n_units), dtype=bool)
    np.put_along_axis(marks, members, values=True, axis=1)
    return marks


def draw_perturbations(n_units: int, n_subsets: int, rng: np.random.Generator) -> BoolArray:
    """Draw subsets of random size, each size from 1 to all alike, of shape (n_subsets, n_units)."""
    sizes = rng.integers(1, n_units + 1, size=n_subsets)
    places = rng.random((n_subsets, n_units)).argsort(axis=1).argsort(axis=1)
    marks: BoolArray = places < sizes[:, np.newaxis]
    return marks


def row_correlations(relevances: FloatArray, changes: FloatArray) -> FloatArray:
    """Correlate relevances with changes of the prediction, row by row.

    Parameters
    ----------
    relevances, changes : ndarray of shape (n_rows, n_subsets)
        What each subset is said to matter, and what its removal changes.

    Returns
    -------
    ndarray of shape (n_rows,)
        0 where relevances are all equal, which explain no difference; NaN where changes are, which leave nothing to
        explain.
    """
    centred = [part - part.mean(axis=1, keepdims=True) for part in (relevances, changes)]
    spreads = [np.sqrt((part**2).mean(axis=1)) for part in centred]
    flat = [
        spread <= _ROUNDING * np.abs(part).max(axis=1)
        for spread, part in zip(spreads, (relevances, changes), strict=True)
    ]
    covariances = (centred[0] * centred[1]).mean(axis=1)
    size = np.where(flat[0] | flat[1], 1.0, spreads[0] * spreads[1])
    correlations = np.where(flat[0], 0.0, covariances / size)
    return np.where(flat[1], np.nan, correlations)


def sensitivity_changes(
    predictions: FloatArray, subsets: BoolArray, units: Units, evaluate: Callable[..., FloatArray]
) -> FloatArray:
    """Change of the prediction when each subset is removed, the mean over draws, of shape (n_rows, n_subsets)."""
    without = evaluate(units.cells(subsets)[np.newaxis]).mean(axis=2)
    changes: FloatArray = predictions[:, np.newaxis] - without
    return changes


class Perturbed(NamedTuple):
    """Random perturbations I of the rows and what they change."""

    steps: FloatArray  # x less its replacement, (n_rows, n_draws, n_cells)
    cells: BoolArray  # which cells a perturbation touches, (n_subsets, n_cells)
    changes: FloatArray  # f(x) - f(x - I), (n_rows, n_subsets)


def infidelity_moments(perturbed: Perturbed, loadings: FloatArray) -> dict[str, FloatArray]:
    """Second moments of what loadings say and of what happens (Yeh et al. 2019, 1901.09392, definition 2.1).

    With I = mask * (x - replacement) infidelity is ``E[(<I, loadings> - (f(x) - f(x - I)))^2]``; the first three
    moments give it for any scale of the loadings.

    Parameters
    ----------
    perturbed : Perturbed
        The perturbations; the one of subset j has the draw ``j % n_draws``.
    loadings : ndarray of shape (n_rows, n_cells)
        The loadings.

    Returns
    -------
    dict of str to ndarray of shape (n_rows,)
        ``said_said``, ``said_done``, ``done_done`` and ``error``, the infidelity itself: means over perturbations.
    """
    n_draws, n_subsets = perturbed.steps.shape[1], len(perturbed.cells)
    products = perturbed.steps * loadings[:, np.newaxis]
    said = np.empty_like(perturbed.changes)
    for draw in range(min(n_draws, n_subsets)):
        said[:, draw::n_draws] = products[:, draw] @ perturbed.cells[draw::n_draws].T.astype(products.dtype)
    done = perturbed.changes
    return {
        "said_said": (said * said).mean(axis=1),
        "said_done": (said * done).mean(axis=1),
        "done_done": (done * done).mean(axis=1),
        "error": ((said - done) ** 2).mean(axis=1),
    }
