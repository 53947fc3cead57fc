"""Walk-forward splits of a panel by distinct dates."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator

from skdrfm._typing import IntArray
from skdrfm.exceptions import SplitError
from skdrfm.model_selection._calendar import DateRows, calendar_slots, rows_by_date, slot_of
from skdrfm.utils.validation import check_whole


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
        Earliest date to test: of the type of the panel's dates, or text or an int such as ``"2007-04-30"``,
        ``"2007-04"`` or 200704; with a freq, the period that contains it. None: the first date that has a full
        training window before it.
    freq : {"M", "Q", "Y", "W", "D"}, default=None
        Calendar period to count instead of distinct dates, from the first date of the panel to its last. A period
        without a date takes its place in windows, gap, embargo and steps; several dates in one period stay together;
        a window whose training or test periods have no date at all is not yielded. None counts the distinct dates, as
        for trading days, so that a month that the panel lacks shortens a gap.

    See Also
    --------
    walk_forward_predict : Predictions of all test windows.

    Notes
    -----
    The splitter goes wherever scikit-learn takes ``cv``: ``cross_validate``, ``GridSearchCV``,
    ``HalvingGridSearchCV``, ``validation_curve`` and others. ``cross_val_predict`` alone refuses it ("only works for
    partitions"), because it must return a prediction for every row and the first training window is never tested.
    `walk_forward_predict` returns the predictions of the rows that are tested, with their index.

    ``learning_curve`` trains on the first rows of each window, so that it cuts dates and, in rows in date order, keeps
    the oldest. Vary ``train_size`` instead.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> from skdrfm import WalkForwardSplit, make_factor_panel, walk_forward_predict
    >>> X, y = make_factor_panel(n_dates=72, n_assets=10, random_state=0)
    >>> cv = WalkForwardSplit(train_size=60, test_size=1)
    >>> cv.get_n_splits(X)
    12
    >>> train, test = next(cv.split(X))
    >>> len(train), len(test)
    (600, 10)

    Predictions of the 12 dates that are tested, where ``cross_val_predict`` would raise:

    >>> result = walk_forward_predict(LinearRegression(), X, y, cv=cv, progress=False)
    >>> len(X), len(result.predictions)
    (720, 120)
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
        freq: str | None = None,
    ) -> None:
        self.train_size = train_size
        self.test_size = test_size
        self.step = step
        self.gap = gap
        self.embargo = embargo
        self.expanding = expanding
        self.n_splits = n_splits
        self.first_test_date = first_test_date
        self.freq = freq

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
            Row positions in ascending order, read-only. Of rows that come in date order they are views of one array,
            whatever the number of windows.

        Raises
        ------
        SplitError
            If there are no dates, or too few for one window.
        """
        return self._split(rows_by_date(X, y, groups))

    def _split(self, rows: DateRows) -> Iterator[tuple[IntArray, IntArray]]:
        for window in self._windows(rows.dates):
            yield (
                rows.between(window.train_start, window.train_stop),
                rows.between(window.test_start, window.test_stop),
            )

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
        return len(self._windows(rows_by_date(X, y, groups).dates))

    def summary(self, X: Any, y: Any = None, groups: Any = None) -> pd.DataFrame:
        """List the windows: first and last dates, number of dates and rows.

        Parameters
        ----------
        X, y, groups
            As in `split`.

        Returns
        -------
        DataFrame of shape (n_windows, 8)
            One row for each window that `split` yields: ``train_start``, ``train_end`` (first and last date with
            rows), ``train_dates`` (distinct dates), ``train_rows``, and the same four of ``test``.

        Raises
        ------
        SplitError
            If there are no dates, or too few for one window.

        Examples
        --------
        >>> from skdrfm import WalkForwardSplit
        >>> months = [202110, 202111, 202112, 202202, 202203]
        >>> WalkForwardSplit(2, 1, freq="M").summary(None, groups=months)[["train_start", "train_end", "test_start"]]
                train_start  train_end  test_start
        window
        0            202110     202111      202112
        1            202112     202112      202202
        2            202202     202202      202203
        """
        rows = rows_by_date(X, y, groups)
        return _describe(rows, self._split(rows))

    def _windows(self, distinct: pd.Index) -> list[Window]:
        """Compute the borders of all windows, for splits and counts alike."""
        self._check_parameters()
        slots = calendar_slots(distinct, self.freq)
        n_slots = int(slots[-1]) + 1 if len(slots) else 0
        left_out = self.gap + self.embargo
        first = self.train_size + left_out
        if self.first_test_date is not None:
            asked = slot_of(self.first_test_date, distinct, self.freq)
            if asked < first:
                raise SplitError(self._too_early(asked, first, distinct, slots))
            first = asked
        windows = []
        for test_start in range(first, n_slots - self.test_size + 1, self.step or self.test_size):
            train_stop = test_start - left_out
            train_start = 0 if self.expanding else train_stop - self.train_size
            borders = (train_start, train_stop, test_start, test_start + self.test_size)
            window = Window(*map(int, np.searchsorted(slots, borders)))
            # A calendar may have periods without a date, and a window may be made of them.
            if window.train_start < window.train_stop and window.test_start < window.test_stop:
                windows.append(window)
        needed = self.n_splits or 1
        if len(windows) < needed:
            span = f" from {distinct[0]} to {distinct[-1]}" if len(distinct) else ""
            if self.freq is not None:
                span += f" ({n_slots} periods)"
            raise SplitError(
                f"{needed} window{'s' if needed > 1 else ''} of {self.train_size} training and {self.test_size} test "
                f"{self._unit}{f' with {left_out} {self._unit} between' if left_out else ''} must fit. Got "
                f"{len(distinct)} distinct dates{span}, "
                f"enough for {len(windows)}. Use a longer panel or a smaller train_size."
            )
        if self.n_splits is None:
            return windows
        return windows[: self.n_splits] if self.first_test_date is not None else windows[-self.n_splits :]

    @property
    def _unit(self) -> str:
        return "dates" if self.freq is None else f"periods ({self.freq!r})"

    def _too_early(self, asked: int, first: int, distinct: pd.Index, slots: IntArray) -> str:
        left_out = first - self.train_size
        possible = distinct[slots >= first]
        return (
            f"The first test date must have {first} {self._unit} before it (train_size={self.train_size}"
            f"{f' + gap and embargo {left_out}' if left_out else ''}). Got first_test_date={self.first_test_date} "
            f"with {max(asked, 0)} before it. "
            + (f"The earliest possible one is {possible[0]}." if len(possible) else "The panel is too short.")
        )

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
            other = "or None" if optional else ""
            check_whole(value, name, owner="WalkForwardSplit", least=least, other=other, error=SplitError)


def describe_windows(dates: pd.Index, splits: Iterable[tuple[IntArray, IntArray]]) -> pd.DataFrame:
    """List training and test windows: first and last dates, number of dates and rows."""
    return _describe(rows_by_date(None, None, dates), splits)


def _describe(rows: DateRows, splits: Iterable[tuple[IntArray, IntArray]]) -> pd.DataFrame:
    described = []
    for split in splits:
        line: dict[str, Any] = {}
        for part, positions in zip(("train", "test"), split, strict=True):
            used = np.zeros(len(rows.dates), dtype=bool)
            used[rows.codes[positions]] = True
            own = rows.dates[used]
            line |= {
                f"{part}_start": own.min(),
                f"{part}_end": own.max(),
                f"{part}_dates": len(own),
                f"{part}_rows": len(positions),
            }
        described.append(line)
    return pd.DataFrame(described).rename_axis("window")
