"""Look up rows of the same asset in other periods, by calendar period and never by position."""

from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skdrfm._typing import AnyArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.panel._index import calendar_ordinals
from skdrfm.utils.validation import describe_first


class History:
    """Rows sorted by asset and period, each pair at most once.

    Parameters
    ----------
    assets, periods : ndarray of int of shape (n_rows,)
        Number of the asset and of the period of each row, both >= 0.
    """

    def __init__(self, assets: IntArray, periods: IntArray) -> None:
        self.assets = assets
        self.periods = periods
        self._span = int(periods.max(initial=0)) + 1
        keys = self._key(assets, periods)
        order = np.argsort(keys, kind="stable")
        self.dtype = row_dtype(len(keys))
        self._keys = keys[order]
        self._order = order.astype(self.dtype)

    def _key(self, assets: IntArray, periods: IntArray) -> "NDArray[np.int64]":
        return assets.astype(np.int64) * self._span + periods

    @classmethod
    def of_panel(cls, index: pd.MultiIndex, frequency: str) -> Self:
        """Sort the rows of a panel.

        Raises
        ------
        PanelError
            If an asset has two rows in one period.
        """
        history = cls(asset_codes(index), from_first(calendar_ordinals(index.get_level_values("date"), frequency)))
        repeated = history.repeated_rows()
        if len(repeated):
            raise PanelError(
                f"Each asset must have at most one row in a period of frequency {frequency!r}. Got "
                f"{len(repeated)} further rows: {describe_first(list(index[repeated]))}. "
                "Keep one row for each period, or pass another 'frequency'."
            )
        return history

    def repeated_rows(self) -> AnyArray:
        """Rows whose asset has an earlier row in the same period."""
        repeated: AnyArray = self._order[1:][self._keys[1:] == self._keys[:-1]]
        return repeated

    def find(self, assets: IntArray, periods: IntArray) -> AnyArray:
        """Row of each asset in each period; -1 where there is none."""
        keys = self._key(assets, periods)
        inside = (periods >= 0) & (periods < self._span)  # else the key is that of another asset
        if not len(self._keys):
            return np.full(len(keys), -1, dtype=self.dtype)
        position = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        found = inside & (self._keys[position] == keys)
        rows: AnyArray = np.where(found, self._order[position], self.dtype.type(-1))
        return rows

    def shifted(self, by: int) -> AnyArray:
        """Row of the same asset so many periods after each row (before it, if negative); -1 where there is none."""
        rows: AnyArray = np.empty(len(self._keys), dtype=self.dtype)
        # Asked in the order of the keys, the search walks through memory: ten times as quick for millions of rows.
        rows[self._order] = self.find(self.assets[self._order], self.periods[self._order] + by)
        return rows


def row_dtype(n_rows: int) -> "np.dtype[np.signedinteger]":
    """Smallest type that holds the numbers of so many rows: half of the memory for up to two billion."""
    return np.dtype(np.int32 if n_rows <= np.iinfo(np.int32).max else np.int64)


def asset_codes(index: pd.MultiIndex) -> IntArray:
    """Position of each row's asset among the levels of the index."""
    codes: IntArray = np.asarray(index.codes[index.names.index("asset")]).astype(np.intp)
    return codes


def from_first(periods: IntArray) -> IntArray:
    """Count periods from the first one that occurs."""
    return periods - periods.min() if len(periods) else periods
