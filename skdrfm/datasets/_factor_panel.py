"""Simulated stocks with a planted, non-linear and time-varying factor model."""

from dataclasses import dataclass
from datetime import date
from numbers import Integral, Real
from typing import Any, Literal, overload

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from skdrfm._typing import BoolArray, FloatArray, IntArray
from skdrfm.datasets._planted import (
    N_LAGS_BACK,
    PlantedCell,
    descriptor_names,
    persistence_of,
    planted_cells,
    true_loadings,
)
from skdrfm.exceptions import PanelError
from skdrfm.utils._param_validation import Interval, validate_params

__all__ = ["FactorPanelTruth", "make_factor_panel"]

_MARKET_MEAN = 0.005
_MARKET_STD = 0.045
_REGIME_STAYS = 0.96
_SHORTEST_LIFE = 24


@dataclass(frozen=True)
class FactorPanelTruth:
    """What a simulated panel was made from.

    ``expected_return`` is the sum over columns of ``loadings * lagged``, in every row. The forward
    return is ``(1 + expected_return) (1 + market) (1 + shock) - 1`` with shocks of mean 0 that
    nothing predicts, so ``expected_return`` is the best forecast of the cross-section.

    Parameters
    ----------
    loadings : DataFrame of shape (n_samples, n_cells), rows of X
        True loading of each row on the planted cells, columns ``"{descriptor}__lag{k}"``: decimal
        return per unit of the characteristic. All other cells have loading 0.
    lagged : DataFrame of shape (n_samples, n_cells), rows and columns of ``loadings``
        True characteristic of the row's asset k months before the row's date, also where that is
        before the first date of X or the entry of the asset.
    characteristics : DataFrame of shape (n_samples, n_descriptors), rows and columns of X
        X before any value went missing.
    expected_return : Series of shape (n_samples,), rows of X
        Decimal expected return of the month after the date, in excess of the market.
    regime : Series of shape (n_dates,), by date
        Number of the regime, from 0.
    market : Series of shape (n_dates,), by date
        Decimal return that all assets share in the month after the date.
    """

    loadings: pd.DataFrame
    lagged: pd.DataFrame
    characteristics: pd.DataFrame
    expected_return: "pd.Series[float]"
    regime: "pd.Series[int]"
    market: "pd.Series[float]"


@overload
def make_factor_panel(
    n_dates: int = ...,
    n_assets: int = ...,
    *,
    n_descriptors: int = ...,
    nonlinearity: float = ...,
    regimes: int = ...,
    missing: float = ...,
    entry_exit: float = ...,
    noise: float = ...,
    start: str | date | pd.Period = ...,
    random_state: int | np.random.RandomState | None = ...,
    return_truth: Literal[False] = ...,
) -> tuple[pd.DataFrame, "pd.Series[float]"]: ...
@overload
def make_factor_panel(
    n_dates: int = ...,
    n_assets: int = ...,
    *,
    n_descriptors: int = ...,
    nonlinearity: float = ...,
    regimes: int = ...,
    missing: float = ...,
    entry_exit: float = ...,
    noise: float = ...,
    start: str | date | pd.Period = ...,
    random_state: int | np.random.RandomState | None = ...,
    return_truth: Literal[True],
) -> tuple[pd.DataFrame, "pd.Series[float]", FactorPanelTruth]: ...


@validate_params(
    {
        "n_dates": [Interval(Integral, 1, None, closed="left")],
        "n_assets": [Interval(Integral, 1, None, closed="left")],
        "n_descriptors": [Interval(Integral, 1, None, closed="left")],
        "nonlinearity": [Interval(Real, 0, 1, closed="both")],
        "regimes": [Interval(Integral, 1, None, closed="left")],
        "missing": [Interval(Real, 0, 1, closed="left")],
        "entry_exit": [Interval(Real, 0, 1, closed="both")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "start": [str, date, pd.Period],
        "random_state": ["random_state"],
        "return_truth": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_factor_panel(
    n_dates: int = 120,
    n_assets: int = 100,
    *,
    n_descriptors: int = 16,
    nonlinearity: float = 0.5,
    regimes: int = 2,
    missing: float = 0.0,
    entry_exit: float = 0.0,
    noise: float = 0.09,
    start: str | date | pd.Period = "2000-01",
    random_state: int | np.random.RandomState | None = None,
    return_truth: bool = False,
) -> tuple[pd.DataFrame, "pd.Series[float]"] | tuple[pd.DataFrame, "pd.Series[float]", FactorPanelTruth]:
    """Simulate monthly stocks whose expected returns follow a known factor model.

    Characteristics are independent autoregressions of order one per asset, standard normal in each
    cross-section, with a persistence of their own: reversal and momentum are quick, size and
    leverage slow. Ten cells (a characteristic at lag 0, 3 or 12) carry a premium; loadings bend
    with the asset's other characteristics and switch with a hidden persistent regime.

    With the default noise the rank correlation of the true expected return with the forward return
    is about 0.15 per date, far above what real stocks allow, so that short tests can find it.

    Parameters
    ----------
    n_dates : int, default=120
        Number of months.
    n_assets : int, default=100
        Number of assets that ever live.
    n_descriptors : int, default=16
        Number of columns: the first of the paper's descriptors, then ``"X17"`` and on. Premia of
        descriptors that the panel lacks are left out and the others are raised instead.
    nonlinearity : float in [0, 1], default=0.5
        Weight of interactions, gates and saturation in the loadings. With 0 the expected return is
        linear in the lagged characteristics within each regime.
    regimes : int, default=2
        Number of regimes of a Markov chain that stays with probability 0.96 per month; they change
        half of the loadings, some in sign. With 1 the model is constant in time.
    missing : float in [0, 1), default=0.0
        Probability that a cell of X is NaN. Returns come from the true characteristics.
    entry_exit : float in [0, 1], default=0.0
        Share of the assets that enter late or leave early, in turns. Each lives at least 24 months
        without a gap (all months if the panel has no more), and at least one asset lives through.
    noise : float, default=0.09
        Standard deviation of the idiosyncratic log return per month.
    start : str, date or Period, default="2000-01"
        First month.
    random_state : int, RandomState instance or None, default=None
        Seed. None takes fresh entropy; the global generators are never used.
    return_truth : bool, default=False
        Whether to return the planted truth as well.

    Returns
    -------
    X : DataFrame of shape (n_samples, n_descriptors), indexed by (date, asset)
        Characteristics known at the date, a month end. Rows are ordered by date, then asset.
    y : Series of shape (n_samples,)
        ``"forward_return"``: decimal return of the month after the date (0.01 = 1 %), above -1.
    truth : FactorPanelTruth
        Only if ``return_truth``.

    Raises
    ------
    ValueError
        If a parameter is out of its range.
    PanelError
        If ``start`` is no month.

    Notes
    -----
    Characteristics are drawn, not computed from the simulated returns: ``"1MOM"`` is not last
    month's return of the asset.

    Without entry and exit, the first dates of a longer panel from the same seed are the shorter
    panel. With ``entry_exit`` lives depend on ``n_dates``, so the rows differ, though the values
    of the rows that both have are equal.

    Examples
    --------
    >>> from skdrfm.datasets import make_factor_panel
    >>> X, y, truth = make_factor_panel(
    ...     n_dates=36, n_assets=50, random_state=0, return_truth=True
    ... )
    >>> X.shape, y.name, list(X.columns[:3])
    ((1800, 16), 'forward_return', ['60VOL', 'BETA', 'SKEW'])
    >>> explained = (truth.loadings * truth.lagged).sum(axis=1)
    >>> bool((abs(explained - truth.expected_return) < 1e-15).all())
    True
    """
    names = descriptor_names(n_descriptors)
    dates = _month_ends(start, n_dates)
    characters, chain, returns, lives, gaps = _generators(random_state)
    history = _autoregressions(characters, n_dates + N_LAGS_BACK, n_assets, persistence_of(names))
    regime = _markov_chain(chain, n_dates, regimes)
    cells = planted_cells(names)
    lagged, loadings = _truth_arrays(history, regime, cells, nonlinearity, regimes)
    expected = (loadings * lagged).sum(axis=1)
    market, shock = _shocks(returns, n_dates, n_assets, noise)
    realised = (1 + expected) * np.repeat(1 + market, n_assets) * (1 + shock) - 1

    alive = _lives(lives, n_dates, n_assets, entry_exit).ravel()
    width = len(str(n_assets))
    assets = [f"A{i:0{width}d}" for i in range(1, n_assets + 1)]
    index = pd.MultiIndex.from_product([dates, assets], names=["date", "asset"])[alive]
    values = history[N_LAGS_BACK:].reshape(-1, n_descriptors)[alive]
    is_missing = gaps.random((n_dates * n_assets, n_descriptors))[alive] < missing
    X = pd.DataFrame(np.where(is_missing, np.nan, values), index=index, columns=list(names))
    y = pd.Series(realised[alive], index=index, name="forward_return")
    if not return_truth:
        return X, y
    columns = [f"{names[cell.column]}__lag{cell.lag}" for cell in cells]
    truth = FactorPanelTruth(
        loadings=_frame(loadings[alive], index, columns),
        lagged=_frame(lagged[alive], index, columns),
        characteristics=_frame(values, index, list(names)),
        expected_return=_series(expected[alive], index, "expected_return"),
        regime=_series(regime, dates, "regime"),
        market=_series(market, dates, "market"),
    )
    return X, y, truth


def _generators(random_state: Any) -> list[np.random.Generator]:
    """One generator for each part, so that no part's draws depend on the size of another."""
    if random_state is None:
        sequence = np.random.SeedSequence()
    else:
        sequence = np.random.SeedSequence(check_random_state(random_state).randint(2**31 - 1))
    return [np.random.default_rng(child) for child in sequence.spawn(5)]


def _month_ends(start: Any, n_dates: int) -> pd.DatetimeIndex:
    try:
        first = pd.Period(start, freq="M")
        months = pd.period_range(first, periods=n_dates, freq="M")
        ends: pd.DatetimeIndex = months.to_timestamp(how="end").normalize()
    except (ValueError, TypeError, OverflowError) as error:
        raise PanelError(
            f"'start' must be a month such as '2000-01' from which {n_dates} months follow. Got {start!r}."
        ) from error
    return ends.rename("date")


def _autoregressions(rng: np.random.Generator, n_steps: int, n_assets: int, persistence: FloatArray) -> FloatArray:
    """Stationary AR(1) paths of variance 1, shape (n_steps, n_assets, n_descriptors)."""
    paths: FloatArray = rng.standard_normal((n_steps, n_assets, len(persistence)))
    paths[1:] *= np.sqrt(1 - persistence**2)
    for t in range(1, n_steps):
        paths[t] += persistence * paths[t - 1]
    return paths


def _markov_chain(rng: np.random.Generator, n_dates: int, n_regimes: int) -> IntArray:
    chain: IntArray = np.zeros(n_dates, dtype=np.intp)
    chain[0] = rng.integers(n_regimes)
    # Two draws a date, used or not, so that a longer chain begins as the shorter one.
    for t in range(1, n_dates):
        leaves = rng.random() >= _REGIME_STAYS
        step = 1 + int(rng.random() * (n_regimes - 1))
        chain[t] = (chain[t - 1] + step) % n_regimes if leaves and n_regimes > 1 else chain[t - 1]
    return chain


def _truth_arrays(
    history: FloatArray,
    regime: IntArray,
    cells: tuple[PlantedCell, ...],
    nonlinearity: float,
    n_regimes: int,
) -> tuple[FloatArray, FloatArray]:
    """Lagged characteristics and loadings of all cells, each (n_dates * n_assets, n_cells)."""
    n_dates, n_assets = len(regime), history.shape[1]

    def at_lag(column: int, lag: int) -> FloatArray:
        first = N_LAGS_BACK - lag
        return history[first : first + n_dates, :, column].ravel()

    lagged = np.column_stack([at_lag(cell.column, cell.lag) for cell in cells])
    modulators = np.column_stack([at_lag(cell.modulator, cell.lag) for cell in cells])
    loadings = true_loadings(
        lagged,
        modulators,
        np.repeat(regime, n_assets),
        cells,
        nonlinearity=nonlinearity,
        n_regimes=n_regimes,
    )
    return lagged, loadings


def _shocks(rng: np.random.Generator, n_dates: int, n_assets: int, noise: float) -> tuple[FloatArray, FloatArray]:
    """Market return per date and idiosyncratic shock per row, log-normal and so above -1."""
    draws = rng.standard_normal((n_dates, n_assets + 1))
    market = np.exp(_MARKET_STD * draws[:, 0] - _MARKET_STD**2 / 2) * (1 + _MARKET_MEAN) - 1
    shock = np.exp(noise * draws[:, 1:] - noise**2 / 2) - 1  # mean 0
    return market, shock.ravel()


def _lives(rng: np.random.Generator, n_dates: int, n_assets: int, share: float) -> BoolArray:
    """Which asset lives on which date, shape (n_dates, n_assets)."""
    alive = np.ones((n_dates, n_assets), dtype=bool)
    latest_entry = n_dates - _SHORTEST_LIFE
    if latest_entry < 1:
        return alive
    n_changing = min(round(share * n_assets), n_assets - 1)
    for k, i in enumerate(rng.permutation(n_assets)[:n_changing]):
        away = int(rng.integers(1, latest_entry + 1))
        if k % 2:
            alive[-away:, i] = False
        else:
            alive[:away, i] = False
    return alive


def _frame(values: FloatArray, index: pd.Index, columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(_frozen(values), index=index, columns=columns, copy=False)


def _series(values: Any, index: pd.Index, name: str) -> "pd.Series[Any]":
    return pd.Series(_frozen(values), index=index, name=name, copy=False)


def _frozen(values: Any) -> Any:
    values.setflags(write=False)
    return values
