"""Walk-forward splits of a panel by distinct dates."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator

from skdrfm._typing import IntArray
from skdrfm.exceptions import SplitError
from skdrfm.panel._index import LEVELS
from skdrfm.utils.validation import describe_first


@dataclass(frozen=True)
class Window:
    """Positions of a window among the sorted distinct dates; each range is half open."""

    train_start: int
    train_stop: int
    test_start: int
    test_stop: int


class WalkForwardSplit(BaseCrossValidator):
    """Train on a window of past dates, test on the dates that follow, move on.

    The unit is a distinct date, never a row: a date is never cut between training and test, rows may come in any
    order and the number of assets may change. A forward return over one period stored at its first date is known
    one period later, so training up to date t - 1 and testing at t looks at nothing that is unknown at t; a target
    over h periods needs ``gap=h - 1``.

    Parameters
    ----------
    train_size : int, default=60
        Dates in a training window; the least number of them if expanding.
    test_size : int, default=1
        Dates in a test window.
    step : int, default=None
        Dates from one test window to the next. None: test_size, so that each date is tested once.
    gap : int, default=0
        Dates left out between training and test because their targets overlap the test dates.
    embargo : int, default=0
        Further dates left out after the gap, against serial correlation.
    expanding : bool, default=False
        Whether every training window starts at the first date.
    n_splits : int, default=None
        Number of windows: the latest ones, or the first ones from first_test_date if that is given. None: all.
    first_test_date : date, default=None
        Earliest date to test, of the type of the panel's dates or a string. None: the first date that has a full
        training window before it.

    Examples
    --------
    >>> from skdrfm import WalkForwardSplit, make_factor_panel
    >>> X, y = make_factor_panel(n_dates=72, n_assets=10, random_state=0)
    >>> cv = WalkForwardSplit(train_size=60, test_size=1)
    >>> cv.get_n_splits(X)
    12
    >>> train, test = next(cv.split(X))
    >>> len(train), len(test)
    (600, 10)
    """

    # Groups, when passed, are the dates; with metadata routing they arrive without being asked for.
    __metadata_request__split: ClassVar[dict[str, bool]] = {"groups": True}

    def __init__(
        self,
        train_size: int = 60,
        test_size: int = 1,
        *,
        step: int | None = None,
        gap: int = 0,
        embargo: int = 0,
        expanding: bool = False,
        n_splits: int | None = None,
        first_test_date: Any = None,
    ) -> None:
        self.train_size = train_size
        self.test_size = test_size
        self.step = step
        self.gap = gap
        self.embargo = embargo
        self.expanding = expanding
        self.n_splits = n_splits
        self.first_test_date = first_test_date

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[IntArray, IntArray]]:
        """Yield the row positions of each training and test window.

        Parameters
        ----------
        X : DataFrame or array-like of n_samples rows
            With an index level ``date``, unless y has one or groups are given.
        y : Series or array-like of shape (n_samples,), default=None
            Only its index is used, where X has no dates.
        groups : array-like of shape (n_samples,), default=None
            Date of each row: datetime64, Period, yyyymm integers or ISO strings.

        Yields
        ------
        train, test : ndarray of int
            Row positions in the order of the rows.

        Raises
        ------
        SplitError
            If there are no dates, or too few for one window.
        """
        distinct, codes = self._dates(X, y, groups)
        # Rows sorted by date once; a window is then a slice of this order.
        order = np.argsort(codes, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(distinct)))])
        for window in self._windows(distinct):
            train = order[starts[window.train_start] : starts[window.train_stop]]
            test = order[starts[window.test_start] : starts[window.test_stop]]
            yield np.sort(train), np.sort(test)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Count the windows that `split` yields for the same arguments.

        Parameters
        ----------
        X, y, groups
            As in `split`; one of them must carry the dates.

        Returns
        -------
        int
            Number of windows.

        Raises
        ------
        SplitError
            If there are no dates, or too few for one window.
        """
        return len(self._windows(self._dates(X, y, groups)[0]))

    def summary(self, X: Any, y: Any = None, groups: Any = None) -> pd.DataFrame:
        """List the windows: first and last dates, number of dates and rows.

        Parameters
        ----------
        X, y, groups
            As in `split`.

        Returns
        -------
        DataFrame of shape (n_windows, 8)
            One row for each window.
        """
        distinct, codes = self._dates(X, y, groups)
        return describe_windows(distinct.take(codes), self.split(X, y, groups))

    def _dates(self, X: Any, y: Any, groups: Any) -> tuple[pd.Index, IntArray]:
        """Distinct dates in ascending order, and for each row the position of its date among them."""
        if groups is not None:
            dates = pd.Index(np.asarray(groups)) if not isinstance(groups, pd.Index) else groups
            n_rows = len(X) if X is not None else len(dates)
            if len(dates) != n_rows:
                raise SplitError(
                    f"groups must hold one date for each row of X ({n_rows}). Got {len(dates)}. "
                    "Pass the dates of the same rows."
                )
        else:
            for data in (X, y):
                dates = _index_dates(data)
                if dates is not None:
                    break
            else:
                raise SplitError(
                    "WalkForwardSplit needs the date of each row. Got data without an index level 'date' and no "
                    "groups. Index X or y by (date, asset), or pass groups=dates (with metadata routing: "
                    "params={'groups': dates})."
                )
        n_missing = int(np.asarray(dates.isna()).sum())
        if n_missing:
            raise SplitError(f"Each row must have a date. Got {n_missing} rows without. Drop them.")
        try:
            codes, distinct = pd.factorize(dates, sort=True)
            ordered = distinct.is_monotonic_increasing
        except TypeError:
            ordered = False
        if not ordered:
            kinds = sorted({type(date).__name__ for date in dates})
            raise SplitError(
                f"Dates must all be of one type that can be ordered. Got {', '.join(kinds)}. "
                "Convert them, for example with pd.to_datetime."
            )
        return pd.Index(distinct), codes.astype(np.intp)

    def _windows(self, distinct: pd.Index) -> list[Window]:
        """Compute the borders of all windows, for splits and counts alike."""
        self._check_parameters()
        step = self.step or self.test_size
        left_out = self.gap + self.embargo
        first = self.train_size + left_out
        if self.first_test_date is not None:
            asked = int(distinct.searchsorted(_like(self.first_test_date, distinct)))
            if asked < first:
                raise SplitError(
                    f"The first test date must have {first} dates before it (train_size={self.train_size}"
                    f"{f' + gap and embargo {left_out}' if left_out else ''}). Got first_test_date="
                    f"{self.first_test_date} with {asked} dates before it. "
                    + (
                        f"The earliest possible one is {distinct[first]}."
                        if first < len(distinct)
                        else "The panel is too short."
                    )
                )
            first = asked
        windows = []
        for test_start in range(first, len(distinct) - self.test_size + 1, step):
            train_stop = test_start - left_out
            train_start = 0 if self.expanding else train_stop - self.train_size
            windows.append(Window(train_start, train_stop, test_start, test_start + self.test_size))
        needed = self.n_splits or 1
        if len(windows) < needed:
            raise SplitError(
                f"{needed} window{'s' if needed > 1 else ''} of {self.train_size} training and {self.test_size} test "
                f"dates{f' with {left_out} dates between' if left_out else ''} must fit. Got {len(distinct)} distinct "
                f"dates{_span(distinct)}, enough for {len(windows)}. Use a longer panel or a smaller train_size."
            )
        if self.n_splits is None:
            return windows
        return windows[: self.n_splits] if self.first_test_date is not None else windows[-self.n_splits :]

    def _check_parameters(self) -> None:
        for name, least, optional in (
            ("train_size", 1, False),
            ("test_size", 1, False),
            ("step", 1, True),
            ("gap", 0, False),
            ("embargo", 0, False),
            ("n_splits", 1, True),
        ):
            value: Any = getattr(self, name)
            if optional and value is None:
                continue
            if type(value) is bool or not isinstance(value, Integral) or int(value) < least:
                raise SplitError(
                    f"The {name!r} parameter of WalkForwardSplit must be an int in the range [{least}, inf)"
                    f"{' or None' if optional else ''}. Got {value!r} instead."
                )


def describe_windows(dates: pd.Index, splits: Iterable[tuple[IntArray, IntArray]]) -> pd.DataFrame:
    """List training and test windows: first and last dates, number of dates and rows."""
    rows = []
    for split in splits:
        row: dict[str, Any] = {}
        for part, positions in zip(("train", "test"), split, strict=True):
            own = dates.take(positions)
            row |= {
                f"{part}_start": own.min(),
                f"{part}_end": own.max(),
                f"{part}_dates": own.nunique(),
                f"{part}_rows": len(own),
            }
        rows.append(row)
    return pd.DataFrame(rows).rename_axis("window")


def _index_dates(data: Any) -> pd.Index | None:
    index = getattr(data, "index", None)
    if not isinstance(index, pd.Index) or LEVELS[0] not in index.names:
        return None
    return index.get_level_values(LEVELS[0])


def _like(date: Any, distinct: pd.Index) -> Any:
    """Read a date in the type of the panel's dates."""
    try:
        if isinstance(distinct, pd.DatetimeIndex):
            return pd.Timestamp(date)
        if isinstance(distinct, pd.PeriodIndex):
            return pd.Period(date, freq=str(distinct.freqstr))
        if pd.api.types.is_integer_dtype(distinct.dtype):
            return int(str(date).replace("-", ""))
        return type(distinct[0])(date)
    except (ValueError, TypeError) as error:
        raise SplitError(
            f"'first_test_date' must be a date like those of the panel ({describe_first(list(distinct), 2)}). "
            f"Got {date!r}."
        ) from error


def _span(distinct: pd.Index) -> str:
    return f" from {distinct[0]} to {distinct[-1]}" if len(distinct) else ""
