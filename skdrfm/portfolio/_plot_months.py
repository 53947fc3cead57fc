"""Drawing of returns by year and month."""

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.exceptions import PanelError
from skdrfm.metrics._validation import validated
from skdrfm.panel._index import calendar_ordinals
from skdrfm.panel._plot import heat_cells, new_axes, number
from skdrfm.portfolio._earning_dates import returns_by_date
from skdrfm.portfolio._result import BacktestResult
from skdrfm.utils._param_validation import Interval

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class MonthlyReturnDisplay:
    """Returns as a heat map of years and months, with the numbers in the cells.

    A cell shows the month in which its return is **earned**. A backtest stores a return at the date of its
    prediction, the end of the month before: the return stored at 31 December 2019 is that of January 2020.

    Parameters
    ----------
    table : DataFrame of shape (n_years, 12)
        Decimal return per month (0.01 = 1 %): years from top to bottom, months from ``"Jan"`` to ``"Dec"``. NaN where
        there is none.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on, after :meth:`plot`.
    figure_ : matplotlib Figure
        Their figure, after :meth:`plot`.

    See Also
    --------
    MonthlyReturnDisplay.from_returns : Make the display from returns or from a backtest.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.portfolio import MonthlyReturnDisplay
    >>> returns = pd.Series([0.01, 0.03, -0.02], index=pd.to_datetime(["2019-11-30", "2019-12-31", "2020-01-31"]))
    >>> table = MonthlyReturnDisplay.from_returns(returns).to_frame()
    >>> table[["Jan", "Feb", "Dec", "Year"]]
           Jan   Feb   Dec    Year
    year
    2019   NaN   NaN  0.01  0.0100
    2020  0.03 -0.02   NaN  0.0094
    """

    ax_: Any
    figure_: Any

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    @validated({"months_ahead": [Interval(Integral, 0, None, closed="left")]})
    def from_returns(
        cls, returns: "pd.Series[Any] | BacktestResult", *, months_ahead: int = 1
    ) -> "MonthlyReturnDisplay":
        """Place each return in the month in which it is earned.

        Parameters
        ----------
        returns : Series of shape (n_dates,) or BacktestResult
            Decimal return per month, indexed by date: datetime64, Period, yyyymm integers or ISO strings; of a
            backtest its long/short return after costs. NaN, a month without portfolio, stays blank.
        months_ahead : int, default=1
            Months from the date of a return to the month in which it is earned. 1: forward returns, stored at the
            end of the month before. 0: returns stored in their own month, such as those of an index.

        Returns
        -------
        MonthlyReturnDisplay
            The display, not drawn yet.

        Raises
        ------
        PanelError
            If there is no return, returns are no numbers, the index holds no calendar dates, or the returns are not
            monthly.
        NonFiniteError
            If a return is infinite.
        """
        series: Any = returns.long_short if isinstance(returns, BacktestResult) else returns
        values = returns_by_date(series)
        months = calendar_ordinals(series.index, "M") + int(months_ahead)
        _check_monthly(months)
        # Month numbers count from January 1970.
        years, places = np.divmod(months, 12)
        cells = np.full((int(years.max() - years.min()) + 1, 12), np.nan)
        cells[years - years.min(), places] = values
        index = pd.RangeIndex(1970 + years.min(), 1971 + years.max(), name="year")
        return cls(pd.DataFrame(cells, index=index, columns=list(_MONTHS)))

    def plot(self, ax: Any = None) -> "MonthlyReturnDisplay":
        """Draw one cell for each month, and the compounded return of each year beside.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        MonthlyReturnDisplay
            The display itself, with ``ax_`` and ``figure_`` set.

        Raises
        ------
        PanelError
            If there is no return to draw, or the columns are not the twelve months.
        """
        self._check()
        values = self.table.to_numpy(dtype=np.float64)
        n_years = len(values)
        ax = new_axes(max(2.4, 1.3 + 0.3 * n_years)) if ax is None else ax
        heat_cells(
            ax,
            values,
            [[_number(value) for value in row] for row in values],
            largest=float(np.nanmax(np.abs(values))) or 1.0,
        )
        for i, total in enumerate(self.to_frame()["Year"]):
            ax.text(12.2, i, _number(total), ha="center", va="center", fontsize=8, fontweight="bold")
        ax.set_xlim(-0.5, 12.7)
        ax.set_xticks([*range(12), 12.2], [*_MONTHS, "Year"])
        ax.set_yticks(range(n_years), [str(year) for year in self.table.index])
        ax.set(title="Return by month [%]", xlabel="Month in which the return is earned", ylabel="Year")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _check(self) -> None:
        if list(self.table.columns) != list(_MONTHS) or self.table.isna().to_numpy().all():
            raise PanelError(
                f"'table' must hold a return and the columns {', '.join(_MONTHS)}. Got shape {self.table.shape} with "
                f"{int(self.table.notna().to_numpy().sum())} returns. Use MonthlyReturnDisplay.from_returns(returns)."
            )

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers in the cells, as a copy.

        Returns
        -------
        DataFrame of shape (n_years, 13)
            Decimal returns of the months, and ``Year``: those that there are, compounded; NaN for a year without
            any. A return of -1 or below ends in -1.
        """
        growth = (1 + self.table).clip(lower=0)
        return self.table.assign(Year=growth.prod(axis=1, min_count=1) - 1)


def _check_monthly(months: Any) -> None:
    steps = np.diff(np.sort(months))
    if (steps == 0).any():
        raise PanelError(
            f"returns must have one return for each month. Got {len(months)} dates in {len(np.unique(months))} months. "
            "Compound them by month first, for example ((1 + returns).resample('ME').prod() - 1) of datetime64 dates."
        )
    if len(steps) > 1 and steps.min() > 1:
        raise PanelError(
            f"returns must be monthly. Got dates at least {int(steps.min())} months apart. Draw returns of longer "
            "periods with CumulativeReturnDisplay."
        )


def _number(value: float) -> str:
    return "" if np.isnan(value) else number(100 * value, 1)
