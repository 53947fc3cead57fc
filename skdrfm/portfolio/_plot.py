"""Drawings of backtests."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from skdrfm.exceptions import PanelError
from skdrfm.panel._plot import label_all_dates, new_axes, percent_axis, time_axis
from skdrfm.portfolio._result import BacktestResult


class CumulativeReturnDisplay:
    """Compounded long/short returns of several models over time.

    Parameters
    ----------
    cumulative : DataFrame of shape (n_dates, n_models)
        Decimal compounded return since the first date, one column for each model.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on, after :meth:`plot`.
    figure_ : matplotlib Figure
        Their figure, after :meth:`plot`.

    See Also
    --------
    CumulativeReturnDisplay.from_backtests : Make the display from backtests.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.portfolio import CumulativeReturnDisplay, backtest
    >>> index = pd.MultiIndex.from_product([[202001, 202002], ["A", "B"]], names=["date", "asset"])
    >>> predictions = pd.Series([0.1, 0.2, 0.3, 0.1], index=index)
    >>> returns = pd.Series([0.01, 0.03, 0.02, 0.01], index=index)
    >>> result = backtest(predictions, returns, n_quantiles=2)
    >>> CumulativeReturnDisplay.from_backtests({"LSTM": result}).to_frame().round(4)
              LSTM
    date
    202001  0.0200
    202002  0.0302
    """

    ax_: Any
    figure_: Any

    def __init__(self, cumulative: pd.DataFrame) -> None:
        self.cumulative = cumulative

    @classmethod
    def from_backtests(cls, backtests: Mapping[str, BacktestResult]) -> "CumulativeReturnDisplay":
        """Collect the net long/short returns of several backtests.

        Parameters
        ----------
        backtests : mapping of str to BacktestResult
            Name of each model and its backtest. A model is blank on dates that only others have.

        Returns
        -------
        CumulativeReturnDisplay
            The display, not drawn yet.

        Raises
        ------
        PanelError
            If there is no backtest.
        """
        if not backtests:
            raise PanelError("'backtests' must hold at least one backtest. Got none. Pass {name: backtest(...)}.")
        lines = {name: result.cumulative()["long_short"] for name, result in backtests.items()}
        return cls(pd.DataFrame(lines).sort_index())

    def plot(self, ax: Any = None) -> "CumulativeReturnDisplay":
        """Draw one line for each model.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        CumulativeReturnDisplay
            The display itself, with ``ax_`` and ``figure_`` set.
        """
        ax = new_axes() if ax is None else ax
        dates = self.cumulative.index
        positions = time_axis(dates)
        for name, line in self.cumulative.items():
            marker = "o" if line.count() == 1 else None  # a single date makes no line
            ax.plot(positions, line.to_numpy(), marker=marker, label=str(name))
        label_all_dates(ax, positions, dates)
        ax.axhline(0, color="0.6", linewidth=0.8, zorder=0)
        percent_axis(ax.yaxis)
        ax.set(title="Cumulative long/short return", xlabel="Start of the holding period", ylabel="Compounded return")
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the lines, as a copy.

        Returns
        -------
        DataFrame of shape (n_dates, n_models)
            Decimal compounded returns.
        """
        return self.cumulative.copy()
