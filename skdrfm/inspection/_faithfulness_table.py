"""From figures of rows to the table: means over rows, ratios, and standard errors over dates."""

from collections.abc import Mapping, Sequence

import numpy as np

from skdrfm._typing import FloatArray, IntArray

AREAS = ("aopc", "insertion", "abpc")
INFIDELITY = ("infidelity", "infidelity_scaled", "scale")
CHECKS = ("randomisation", "stability")
_MOMENTS = ("said_said", "said_done", "done_done", "error")
_FIRST = 3 + len(_MOMENTS)
# Spreads of predictions below this fraction of their size are rounding.
_ROUNDING = 1e-12


def figure_names(sensitivities: Sequence[str]) -> list[str]:
    """Names of the figures, in the order of the table."""
    return [*AREAS, *sensitivities, *INFIDELITY, *CHECKS]


def spread_of(predictions: FloatArray) -> float:
    """Return the standard deviation of predictions; NaN if there is none but rounding."""
    spread = float(predictions.std())
    return spread if spread > _ROUNDING * float(np.abs(predictions).max()) else np.nan


def pooled_figures(
    rows: Mapping[str, FloatArray], predictions: FloatArray, clusters: IntArray, sensitivities: Sequence[str]
) -> tuple[FloatArray, FloatArray]:
    """Pool figures of rows.

    Parameters
    ----------
    rows : mapping of str to ndarray of shape (n_rows,)
        Areas, sensitivities and checks of each row, NaN where a row has none, and moments of the infidelity.
    predictions : ndarray of shape (n_rows,)
        Predictions, for their standard deviation.
    clusters : ndarray of shape (n_rows,)
        Number of the date of each row, from 0; of the row itself where there are no dates.
    sensitivities : sequence of str
        Names of the sensitivities.

    Returns
    -------
    tuple of ndarray of shape (n_figures,) and ndarray of shape (n_clusters, n_figures)
        The figures, and the figures without each date.
    """
    means = [*AREAS, *sensitivities, *CHECKS]
    centred = predictions - predictions.mean()
    columns = [np.ones(len(predictions)), centred, centred**2, *(rows[name] for name in _MOMENTS)]
    for name in means:
        known = ~np.isnan(rows[name])
        columns += [np.where(known, rows[name], 0.0), known.astype(np.float64)]
    n_clusters = int(clusters.max()) + 1
    sums = np.stack([np.bincount(clusters, column, minlength=n_clusters) for column in columns], axis=1)
    total = sums.sum(axis=0)
    # Where the predictions do not vary there is no unit for the areas.
    varies = not np.isnan(spread_of(predictions))
    return _figures(total[np.newaxis], means, sensitivities, varies)[0], _figures(
        total - sums, means, sensitivities, varies
    )


def _figures(sums: FloatArray, means: Sequence[str], sensitivities: Sequence[str], varies: bool) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        n, f, ff, said_said, said_done, done_done, error = sums[:, :_FIRST].T
        # A model that does not answer to its inputs leaves nothing to explain.
        done_done = np.where(done_done > 0, done_done, np.nan)
        found = {name: sums[:, _FIRST + 2 * i] / sums[:, _FIRST + 2 * i + 1] for i, name in enumerate(means)}
        spread = np.sqrt(np.maximum(ff / n - (f / n) ** 2, 0)) if varies else np.nan
        for name in AREAS:
            found[name] = found[name] / spread
        scale = said_done / said_said
        found["infidelity"] = error / done_done
        # Loadings of 0 have no scale, and explain nothing whatever it is.
        explained = np.where(said_said > 0, scale * said_done, 0.0)
        found["infidelity_scaled"] = np.maximum(done_done - explained, 0) / done_done
        found["scale"] = scale
    return np.stack([found[name] for name in figure_names(sensitivities)], axis=1)


def jackknife_error(without: FloatArray) -> FloatArray:
    """Turn figures without each date into ``sqrt((G - 1) / G sum (figure - mean)^2)``; NaN for a single date."""
    n_clusters = len(without)
    if n_clusters < 2:
        return np.full(without.shape[1], np.nan)
    deviations = without - without.mean(axis=0)
    errors: FloatArray = np.sqrt((n_clusters - 1) / n_clusters * (deviations**2).sum(axis=0))
    return errors
