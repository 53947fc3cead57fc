"""The planted truth of simulated panels: which characteristics pay, how much and when."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skdrfm._typing import FloatArray, IntArray
from skdrfm.descriptors import DESCRIPTORS

__all__ = ["N_LAGS_BACK", "PERSISTENCE", "PlantedCell", "planted_cells", "true_loadings"]

# First-order autocorrelation per month. Prices of the last month are forgotten at once, size and
# leverage hardly change; flows of the accounts lie between.
PERSISTENCE = {
    "60VOL": 0.97,
    "BETA": 0.97,
    "SKEW": 0.95,
    "ROE": 0.92,
    "ROA": 0.92,
    "ACCRUALS": 0.88,
    "LEVERAGE": 0.985,
    "12-1MOM": 0.80,
    "1MOM": 0.05,
    "60MOM": 0.97,
    "PSR": 0.95,
    "PER": 0.90,
    "PBR": 0.96,
    "PCFR": 0.90,
    "CAP": 0.99,
    "ILLIQ": 0.97,
}
OTHER_PERSISTENCE = 0.90
N_LAGS_BACK = 12

# Root mean square of the premia together, decimal per month; they are scaled to it whatever the
# number of planted cells, so that small panels have a signal of similar strength.
_PREMIA = 0.0125
_REGIME_RANGE = (1.5, -0.5)
# 1 / E[x tanh(x)] of a standard normal x: the regression of s tanh(x) on x then has slope 1.
_SATURATION_SLOPE = 1.65


@dataclass(frozen=True)
class PlantedCell:
    """One characteristic at one lag that the expected return depends on.

    Parameters
    ----------
    column : int
        Position of the descriptor.
    lag : int
        Months before the date of the row.
    base : float
        Premium relative to those of the other cells, without non-linearity, before regimes.
    shape : {"interaction", "gate", "saturation"}
        How the loading depends on the modulator.
    modulator : int
        Position of the descriptor, at the same lag, that the loading depends on.
    switching : {-1, 0, 1}
        Whether the loading falls (1) or rises (-1) from the first regime to the last, or stays (0).
    """

    column: int
    lag: int
    base: float
    shape: str
    modulator: int
    switching: int


_PLAN: tuple[tuple[str, int, float, str, str, int], ...] = (
    ("60VOL", 0, -0.9, "saturation", "60VOL", 0),
    ("60VOL", 3, -0.6, "gate", "BETA", 1),
    ("ROE", 0, 0.9, "gate", "LEVERAGE", -1),
    ("ROE", 12, -0.8, "interaction", "BETA", 0),
    ("12-1MOM", 0, 1.2, "interaction", "60VOL", 1),
    ("12-1MOM", 3, 1.0, "gate", "CAP", 1),
    ("1MOM", 0, -1.2, "gate", "ILLIQ", 0),
    ("PBR", 0, 1.1, "interaction", "ROE", -1),
    ("PER", 12, 0.9, "saturation", "PER", 0),
    ("CAP", 0, -0.7, "interaction", "ILLIQ", -1),
)


def planted_cells(names: Sequence[str]) -> tuple[PlantedCell, ...]:
    """Choose the planted cells for the descriptors that a panel has.

    Parameters
    ----------
    names : sequence of str
        Names of the descriptors, the paper's first.

    Returns
    -------
    tuple of PlantedCell
        At least one at lag 0 and one at lag 3 or 12. A modulator that the panel lacks is replaced
        by the next descriptor.
    """
    cells = []
    for name, lag, base, shape, modulator, switching in _PLAN:
        if name not in names:
            continue
        column = names.index(name)
        other = names.index(modulator) if modulator in names else (column + 1) % len(names)
        cells.append(PlantedCell(column, lag, base, shape, other, switching))
    return tuple(cells)


def true_loadings(
    lagged: FloatArray,
    modulators: FloatArray,
    regimes_by_row: IntArray,
    cells: Sequence[PlantedCell],
    *,
    nonlinearity: float,
    n_regimes: int,
) -> FloatArray:
    """Compute the loading of every row on every planted cell, in return per unit of the characteristic.

    Parameters
    ----------
    lagged : ndarray of shape (n_samples, n_cells)
        Characteristic of each cell at its lag.
    modulators : ndarray of shape (n_samples, n_cells)
        Modulator of each cell at the same lag.
    regimes_by_row : ndarray of shape (n_samples,)
        Regime at the date of each row.
    cells : sequence of PlantedCell of length n_cells
        The planted cells.
    nonlinearity : float
        Weight of the non-linear part; with 0 loadings are constant within a regime.
    n_regimes : int
        Number of regimes.

    Returns
    -------
    ndarray of shape (n_samples, n_cells)
        Decimal expected return per month for one unit of the characteristic.
    """
    loadings: FloatArray = np.empty_like(lagged)
    levels = np.linspace(*_REGIME_RANGE, n_regimes) if n_regimes > 1 else np.ones(1)
    unit = _PREMIA / np.sqrt(sum(cell.base**2 for cell in cells))
    for j, cell in enumerate(cells):
        by_regime = {1: levels, -1: levels[::-1], 0: np.ones(n_regimes)}[cell.switching]
        bent = _bend(cell.shape, lagged[:, j], modulators[:, j])
        factor = (1 - nonlinearity) + nonlinearity * bent
        loadings[:, j] = unit * cell.base * by_regime[regimes_by_row] * factor
    return loadings


def _bend(shape: str, own: FloatArray, modulator: FloatArray) -> FloatArray:
    """Return the loading relative to a linear one; about 1 on average."""
    if shape == "interaction":
        bent = 1 + 1.5 * np.tanh(modulator)  # may reverse the sign
    elif shape == "gate":
        bent = 1 + np.tanh(modulator)  # 2 sigmoid(2 m): off at the low end, double at the high end
    else:
        safe = np.where(own == 0, 1.0, own)
        bent = _SATURATION_SLOPE * np.where(own == 0, 1.0, np.tanh(safe) / safe)
    return np.asarray(bent, dtype=np.float64)


def persistence_of(names: Sequence[str]) -> FloatArray:
    """First-order autocorrelation per month of each descriptor.

    Parameters
    ----------
    names : sequence of str of length n_descriptors
        Names of the descriptors.

    Returns
    -------
    ndarray of shape (n_descriptors,)
        Autocorrelations.
    """
    return np.array([PERSISTENCE.get(name, OTHER_PERSISTENCE) for name in names])


def descriptor_names(n_descriptors: int) -> tuple[str, ...]:
    """Name the descriptors of a simulated panel: the paper's, then ``"X17"`` and on.

    Parameters
    ----------
    n_descriptors : int
        How many there are.

    Returns
    -------
    tuple of str of length n_descriptors
        The names.
    """
    extra = tuple(f"X{j}" for j in range(len(DESCRIPTORS) + 1, n_descriptors + 1))
    return DESCRIPTORS[:n_descriptors] + extra
