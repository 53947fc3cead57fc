"""Positions and the returns that they earn, brought together by index and never by place."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray, FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.metrics._dates import DateGroups, group_by
from skdrfm.panel import assets_of, check_panel_index, dates_of
from skdrfm.utils.validation import check_finite, describe_first


@dataclass(frozen=True, eq=False)
class PairTable:
    """Numbers of (date, asset) pairs, found by the positions of date and asset.

    Parameters
    ----------
    keys : ndarray of shape (n_pairs,)
        Position of the date x n_assets + position of the asset, increasing.
    values : ndarray of shape (n_pairs,)
        The number of each pair; NaN stands for an absent pair.
    n_assets : int
        Number of assets.
    """

    keys: IntArray
    values: FloatArray
    n_assets: int

    def at(self, codes: IntArray, assets: IntArray) -> FloatArray:
        """Numbers of pairs, NaN where the table has none."""
        keys = codes * self.n_assets + assets
        if np.array_equal(keys, self.keys):
            return self.values
        if not len(self.keys):
            return np.full(len(keys), np.nan)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, self.values[places], np.nan)


@dataclass(frozen=True, eq=False)
class Positions:
    """Rows in one canonical order, by date and then by asset, with the forward return of each.

    Sums over the rows of a date are taken in this order, so that no result depends on the order of the input, not
    even in the last bit.

    Parameters
    ----------
    groups : DateGroups
        The dates of the rows.
    names : Index of length n_assets
        The distinct assets, sorted.
    assets : ndarray of shape (n_samples,)
        Position of the asset of each row in ``names``.
    values : ndarray of shape (n_samples,)
        Scores or weights.
    returns : ndarray of shape (n_samples,)
        Decimal forward return of each row.
    realised : PairTable
        All forward returns of these dates and assets, also of pairs that are no row.
    """

    groups: DateGroups
    names: pd.Index
    assets: IntArray
    values: FloatArray
    returns: FloatArray
    realised: PairTable

    @property
    def index(self) -> pd.MultiIndex:
        """The (date, asset) pairs of the rows, sorted."""
        return self.pairs(self.groups.codes, self.assets)

    def pairs(self, codes: IntArray, assets: IntArray) -> pd.MultiIndex:
        """Labels of positions of dates and assets."""
        levels: list[Any] = [self.groups.dates, self.names]
        places: list[Any] = [codes, assets]
        return pd.MultiIndex(levels=levels, codes=places, names=["date", "asset"])

    def table(self, series: "pd.Series[Any]", *, name: str) -> PairTable:
        """Read numbers by (date, asset); pairs of other dates or assets are left out."""
        return _pair_table(series, self.groups.dates, self.names, name=name)

    def every(self, n_dates: int) -> "Positions":
        """Rows of each n-th date from the first on."""
        if n_dates == 1:
            return self
        kept = self.groups.codes % n_dates == 0
        groups = DateGroups(self.groups.codes[kept] // n_dates, self.groups.dates[::n_dates])
        return Positions(groups, self.names, self.assets[kept], self.values[kept], self.returns[kept], self.realised)


def align_positions(values: Any, returns: Any, *, name: str, delay: int = 0) -> Positions:
    """Sort rows by date and asset and look up their forward returns.

    Parameters
    ----------
    values : Series of shape (n_samples,), indexed by (date, asset)
        Scores or weights; NaN is left to the caller.
    returns : Series, indexed by (date, asset)
        Decimal forward returns; those of other dates or assets than values has are ignored.
    name : str
        Name of values in messages.
    delay : int, default=0
        Number of first dates on which nothing is held yet, so that their returns are not needed.

    Returns
    -------
    Positions
        The rows in canonical order.

    Raises
    ------
    PanelError
        If one of the two is no Series with a panel index, or a pair has no realised return.
    NonFiniteError
        If a return that is needed is infinite.
    """
    for series, label in ((values, name), (returns, "returns")):
        if not isinstance(series, pd.Series):
            raise PanelError(
                f"{label} must be a Series indexed by (date, asset). Got {type(series).__name__}. "
                f"Build one: pd.Series({label}, index=X.index)."
            )
    index = check_panel_index(values, name=name)
    if not len(index):
        raise PanelError(f"{name} must have at least one row. Got none. Check how its rows were selected.")
    groups = group_by(dates_of(index))
    assets, distinct = pd.factorize(assets_of(index), sort=True)
    names = pd.Index(distinct).rename("asset")
    order = _sorting(groups.codes * len(names) + assets)
    sorted_groups = DateGroups(groups.codes[order], groups.dates)
    sorted_assets = assets.astype(np.intp)[order]
    numbers = as_floats(values, name=name)[order]

    realised = _pair_table(returns, groups.dates, names, name="returns")
    earned = realised.at(sorted_groups.codes, sorted_assets)
    positions = Positions(sorted_groups, names, sorted_assets, numbers, earned, realised)
    _check_realised(positions, sorted_groups.codes >= delay, name=name)
    return positions


def check_weights(positions: Positions) -> None:
    """Refuse weights that are missing on a part of a date."""
    faulty = ~np.isfinite(positions.values)
    share = positions.groups.mean(faulty)
    if np.isinf(positions.values).any() or ((share > 0) & (share < 1)).any():
        raise PanelError(
            f"weights must be finite on a date, or NaN on all its names. Got {int(faulty.sum())} NaN or infinite "
            f"values on {int((share > 0).sum())} dates. Give names that are not held the weight 0."
        )


def _check_realised(positions: Positions, needed: BoolArray, *, name: str) -> None:
    absent = needed & np.isnan(positions.returns)
    if absent.any():
        pairs = positions.index[absent].tolist()
        hint = " Check that both use the same type of dates and assets." if not len(positions.realised.keys) else ""
        raise PanelError(
            f"Each row of {name} must have a realised return of the same (date, asset). Got "
            f"{len(pairs)} of {len(needed)} rows without one: {describe_first(pairs)}.{hint} "
            f"Leave out dates whose return is not known yet: {name} = "
            f"{name}[{name}.index.isin(returns.dropna().index)]."
        )
    check_finite(positions.returns[needed], what="returns")


def _pair_table(series: "pd.Series[Any]", dates: pd.Index, names: pd.Index, *, name: str) -> PairTable:
    index = check_panel_index(series, name=name)
    numbers = as_floats(series, name=name)
    # Labels are compared once for each distinct date and asset, not once for each row.
    at = [index.names.index(level) for level in ("date", "asset")]
    codes, assets = (
        axis.get_indexer(index.levels[level])[index.codes[level]]
        for axis, level in zip((dates, names), at, strict=True)
    )
    known = (codes >= 0) & (assets >= 0)
    keys = (codes * len(names) + assets)[known].astype(np.intp)
    order = _sorting(keys)
    return PairTable(keys[order], numbers[known][order], len(names))


def _sorting(keys: IntArray) -> "IntArray | slice":
    """Find the order of distinct keys; nothing is moved where they are sorted."""
    if (keys[1:] > keys[:-1]).all():
        return slice(None)
    return np.argsort(keys)


def as_floats(series: "pd.Series[Any]", *, name: str) -> FloatArray:
    try:
        values: FloatArray = series.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise PanelError(
            f"{name} must hold numbers. Got dtype {series.dtype}. Convert it, for example with pd.to_numeric."
        ) from error
    return values
