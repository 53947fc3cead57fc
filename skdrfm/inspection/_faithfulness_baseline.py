"""What takes the place of an input that is removed: values that were known on the date of the row."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray, FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.inspection._resolve import Inputs
from skdrfm.inspection._training_rows import training_rows
from skdrfm.metrics._dates import group_by
from skdrfm.panel import dates_of

BY_DATE = ("date", "date-mean")
NAMED = (*BY_DATE, "zero")

# Streams of random numbers, so that what is drawn for one purpose does not depend on what the others need.
REPLACEMENTS, SUBSETS, PERTURBATIONS, PERMUTATIONS, NOISE, NETWORKS = range(6)


@dataclass(frozen=True)
class Section:
    """The rows of one date.

    Random numbers belong to a section, so that rows of later dates, or another number of them, change nothing.

    Parameters
    ----------
    number : int
        Place of the date among the dates of the panel, from 0.
    rows : ndarray of shape (n_rows,)
        Positions of the rows, sorted by asset where assets are known.
    seed : int
        Seed of the whole call.
    """

    number: int
    rows: IntArray
    seed: int

    def generator(self, purpose: int) -> np.random.Generator:
        """Return the stream of random numbers of this date for one purpose."""
        return np.random.default_rng([self.seed, self.number, purpose])


def sections(index: pd.Index | None, n_samples: int, seed: int) -> list[Section]:
    """Cut rows into dates, the oldest first; rows without dates are one section."""
    if index is None or "date" not in index.names:
        return [Section(0, np.arange(n_samples, dtype=np.intp), seed)]
    dates = group_by(dates_of(index)).codes  # refuses rows without a date
    assets = np.arange(n_samples)
    if "asset" in index.names:
        assets = pd.factorize(index.get_level_values("asset"), sort=True)[0]
    order = np.lexsort((assets, dates))
    cuts = np.flatnonzero(np.diff(dates[order])) + 1
    return [Section(number, rows, seed) for number, rows in enumerate(np.split(order, cuts))]


@dataclass(frozen=True)
class Baseline:
    """A way to draw replacement values.

    Parameters
    ----------
    kind : {"date", "date-mean", "zero", "rows"}
        Where values come from.
    n_draws : int
        Draws for each row, at most; "date-mean" and "zero" have one.
    pool : ndarray of shape (n_rows, n_cells) or None
        The rows to draw from, for "rows".
    """

    kind: str
    n_draws: int
    pool: FloatArray | None = None

    def draw(self, values: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Draw whole rows of replacement values for the rows of a date.

        Parameters
        ----------
        values : ndarray of shape (n_rows, n_cells)
            The rows of the date.
        rng : Generator
            Stream of the date.

        Returns
        -------
        ndarray of shape (n_rows, n_draws, n_cells)
            Replacements of each row. Rows of the same date are drawn without replacement, and never the row itself.
        """
        n_rows, n_cells = values.shape
        if self.kind == "zero":
            return np.zeros((n_rows, 1, n_cells))
        if self.kind == "date-mean":
            return np.broadcast_to(values.mean(axis=0), (n_rows, 1, n_cells))
        if self.pool is not None:
            n_pool = len(self.pool)
            if n_pool <= self.n_draws:
                return np.broadcast_to(self.pool, (n_rows, n_pool, n_cells))
            return self.pool[rng.integers(n_pool, size=(n_rows, self.n_draws))]
        # In a circle in random order each row is replaced by those a few places on. So each row also replaces others
        # equally often, and the mean over the date has no noise of its own.
        circle = rng.permutation(n_rows)
        steps = 1 + rng.permutation(n_rows - 1)[: self.n_draws]
        partners = np.empty((n_rows, len(steps)), dtype=np.intp)
        partners[circle] = circle[(np.arange(n_rows)[:, np.newaxis] + steps) % n_rows]
        return values[partners]

    def usable(self, parts: list[Section], n_samples: int) -> BoolArray:
        """Mark the rows that can be replaced: a date with one row has no other one."""
        used = np.ones(n_samples, dtype=bool)
        for part in parts:
            if self.kind == "date" and len(part.rows) < 2:
                used[part.rows] = False
        return used


def baseline_of(baseline: Any, model: Any, X: Any, inputs: Inputs, shape: tuple[int, int], n_draws: int) -> Baseline:
    """Check what was given as baseline.

    Parameters
    ----------
    baseline : {"date", "date-mean", "zero"}, DataFrame or ndarray
        As `faithfulness` takes it.
    model : estimator, keras.Model or path
        The model, whose Pipeline transforms rows of training.
    X : DataFrame or ndarray
        The explained rows, as given.
    inputs : Inputs
        The explained rows, as the last step reads them.
    shape : tuple of int
        (n_timesteps, n_features).
    n_draws : int
        Draws for each row.

    Returns
    -------
    Baseline
        The checked baseline.

    Raises
    ------
    PanelError
        If the name is unknown, rows have no dates, or rows of training are not before the explained ones.
    """
    if isinstance(baseline, str) or not np.ndim(baseline):
        if baseline not in NAMED:
            raise PanelError(
                f"'baseline' must be one of {', '.join(map(repr, NAMED))}, or rows of training. Got {baseline!r}. "
                "'date' replaces by other rows of the same date."
            )
        if baseline in BY_DATE and (inputs.index is None or "date" not in inputs.index.names):
            raise PanelError(
                f"baseline={baseline!r} needs the date of every row. Got X without an index level named 'date'. Pass a "
                "DataFrame indexed by (date, asset), rows of training as baseline, or baseline='zero'."
            )
        return Baseline(baseline, n_draws if baseline == "date" else 1)
    if not len(baseline):
        raise PanelError("The rows of 'baseline' must be at least one. Got none. Pass rows of the training window.")
    rows = training_rows(baseline, model, X, name="baseline")
    n_cells = shape[0] * shape[1]
    if rows.shape[1:] not in ((n_cells,), shape):
        raise PanelError(
            f"'baseline' must have shape (n_rows, {shape[0]}, {shape[1]}), or {n_cells} flat columns, oldest lag "
            f"first, as the model reads them. Got {rows.shape}. Pass rows in the layout of X."
        )
    return Baseline("rows", n_draws, rows.reshape(len(rows), n_cells))


def rows_in_turn(n_rows: int, n_copies: int, chunk_size: int) -> Iterator[slice]:
    """Cut rows of which each is predicted n_copies times into slices of at most chunk_size predictions."""
    step = max(1, chunk_size // max(1, n_copies))
    for start in range(0, n_rows, step):
        yield slice(start, start + step)
