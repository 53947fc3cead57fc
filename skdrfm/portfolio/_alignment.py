"""Positions and the returns that they earn, brought together by index and never by place."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray, FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.metrics._dates import DateGroups, group_by_index
from skdrfm.metrics._validation import numbers_of
from skdrfm.panel import assets_of, check_panel_index
from skdrfm.panel._index import check_is_series
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

    def table(self, index: pd.MultiIndex, numbers: FloatArray) -> PairTable:
        """Table of numbers by (date, asset); pairs of other dates or assets are left out."""
        return _pair_table(index, numbers, self.groups.dates, self.names)

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
        check_is_series(series, name=label)
    index = check_panel_index(values, name=name)
    if not len(index):
        raise PanelError(f"{name} must have at least one row. Got none. Check how its rows were selected.")
    groups = group_by_index(index)
    assets, distinct = pd.factorize(assets_of(index), sort=True)
    names = pd.Index(distinct).rename("asset")
    order = _sorting(groups.codes * len(names) + assets)
    sorted_groups = DateGroups(groups.codes[order], groups.dates)
    sorted_assets = assets.astype(np.intp)[order]
    numbers = numbers_of(values, name=name)[order]

    earning_index = check_panel_index(returns, name="returns")
    realised = _pair_table(earning_index, numbers_of(returns, name="returns"), groups.dates, names)
    earned = realised.at(sorted_groups.codes, sorted_assets)
    positions = Positions(sorted_groups, names, sorted_assets, numbers, earned, realised)
    _check_realised(positions, sorted_groups.codes >= delay, name=name)
    return positions


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


def _pair_table(index: pd.MultiIndex, numbers: FloatArray, dates: pd.Index, names: pd.Index) -> PairTable:
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
