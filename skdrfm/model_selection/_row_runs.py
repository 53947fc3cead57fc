"""Row numbers of training windows, kept as runs of consecutive rows."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from skdrfm._typing import AnyArray, IntArray


@dataclass(frozen=True, eq=False)
class RowRuns:
    """Row numbers in any order, as runs of consecutive ones.

    A walk keeps the rows of all its training windows at once. Windows overlap, so that 648 windows of 60 months of a
    panel of 3.7 million rows name 200 million rows; in a panel sorted by date each window is a single run, and in one
    sorted by asset one run for each asset.

    Parameters
    ----------
    starts, lengths : ndarray of int of shape (n_runs,)
        First row and number of rows of each run.
    """

    starts: AnyArray
    lengths: AnyArray

    @classmethod
    def of(cls, rows: IntArray) -> Self:
        """Find the runs.

        Parameters
        ----------
        rows : ndarray of int of shape (n_rows,)
            Row numbers.

        Returns
        -------
        RowRuns
            Two numbers for each run.

        Examples
        --------
        >>> import numpy as np
        >>> from skdrfm.model_selection._row_runs import RowRuns
        >>> runs = RowRuns.of(np.array([4, 5, 6, 1, 2]))
        >>> runs.starts.tolist(), runs.lengths.tolist(), runs.rows().tolist()
        ([4, 1], [3, 2], [4, 5, 6, 1, 2])
        """
        begins = np.ones(len(rows), dtype=bool)
        begins[1:] = np.diff(rows) != 1
        first = np.flatnonzero(begins)
        lengths = np.diff(first, append=len(rows))
        largest = rows.max(initial=0)
        # Rows that form no runs cost no more than the numbers themselves.
        dtype = np.int32 if max(largest, len(rows)) <= np.iinfo(np.int32).max else np.int64
        return cls(rows[first].astype(dtype), lengths.astype(dtype))

    def rows(self) -> IntArray:
        """List the row numbers again, in their order."""
        lengths = self.lengths.astype(np.intp)
        before = np.cumsum(lengths) - lengths
        rows: IntArray = np.arange(int(lengths.sum())) + np.repeat(self.starts - before, lengths)
        return rows
