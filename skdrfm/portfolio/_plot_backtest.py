"""Drawings of one backtest: its quantile portfolios, and the loss from the peak beneath."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm.exceptions import PanelError
from skdrfm.metrics import drawdown_series
from skdrfm.panel._plot import (
    PALETTE,
    check_axes_pair,
    label_all_dates,
    legend_beside,
    new_axes,
    new_axes_pair,
    percent_axis,
    time_axis,
)
from skdrfm.portfolio._result import BacktestResult

_LONG_SHORT = PALETTE[5]
_PREFIX = "quantile_"


class BacktestDisplay:
    """Compounded returns of the quantile portfolios and of the long/short portfolio, and its drawdown beneath.

    The quantiles are before costs and the long/short portfolio is after costs, as in
    :class:`skdrfm.portfolio.BacktestResult`. A return is drawn at the date t from which its portfolio is held, and is
    earned over (t, t+1].

    Parameters
    ----------
    cumulative : DataFrame of shape (n_dates, n_quantiles + 2)
        Decimal numbers by date: ``long_short``, the compounded return; ``drawdown``, its loss from the highest wealth
        so far, in [-1, 0]; and ``quantile_1`` to ``quantile_q``, compounded returns. Without quantiles only the
        first two are needed.

    Attributes
    ----------
    axes_ : tuple of two matplotlib Axes
        The axes drawn on, the upper one first, after :meth:`plot`.
    figure_ : matplotlib Figure
        Their figure, after :meth:`plot`.

    See Also
    --------
    BacktestDisplay.from_backtest : Make the display from a backtest.
    CumulativeReturnDisplay : Compare the long/short returns of several models.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.portfolio import BacktestDisplay, backtest
    >>> index = pd.MultiIndex.from_product([[202001, 202002], ["A", "B"]], names=["date", "asset"])
    >>> predictions = pd.Series([0.1, 0.2, 0.3, 0.1], index=index)
    >>> returns = pd.Series([0.01, 0.03, -0.02, 0.03], index=index)
    >>> result = backtest(predictions, returns, n_quantiles=2)
    >>> BacktestDisplay.from_backtest(result).to_frame().round(4)
            long_short  drawdown  quantile_1  quantile_2
    date
    202001       0.020      0.00      0.0100      0.0300
    202002      -0.031     -0.05      0.0403      0.0094
    """

    axes_: Any
    figure_: Any

    def __init__(self, cumulative: pd.DataFrame) -> None:
        self.cumulative = cumulative

    @classmethod
    def from_backtest(cls, result: BacktestResult) -> "BacktestDisplay":
        """Compound the returns of a backtest.

        Parameters
        ----------
        result : BacktestResult
            The backtest. Dates without a portfolio are flat.

        Returns
        -------
        BacktestDisplay
            The display, not drawn yet.
        """
        cumulative = result.cumulative()
        cumulative.insert(1, "drawdown", drawdown_series(result.long_short.fillna(0.0)))
        return cls(cumulative)

    def plot(self, axes: Any = None) -> "BacktestDisplay":
        """Draw one line for each portfolio, and the drawdown as an area.

        Parameters
        ----------
        axes : pair of matplotlib Axes, default=None
            Where to draw: compounded returns on the first, drawdown on the second. None makes a new figure.

        Returns
        -------
        BacktestDisplay
            The display itself, with ``axes_`` and ``figure_`` set.

        Raises
        ------
        PanelError
            If there are no dates, a column is missing, or `axes` are not two.
        """
        self._check()
        pair = new_axes_pair(5.5, (3, 1), share_dates=True) if axes is None else check_axes_pair(axes)
        upper, lower = pair
        dates = self.cumulative.index
        positions = time_axis(dates)
        marker = "o" if len(dates) == 1 else None  # a single date makes no line
        names = self._quantiles()
        net = "Long/short, after costs" if names else "Portfolio, after costs"
        upper.plot(
            positions,
            self.cumulative["long_short"].to_numpy(),
            color=_LONG_SHORT,
            linewidth=2.2,
            marker=marker,
            zorder=3,
            label=net,
        )
        for name, colour in zip(reversed(names), _shades(len(names)), strict=True):
            values = self.cumulative[name].to_numpy()
            upper.plot(positions, values, color=colour, linewidth=1.4, marker=marker, label=_label(name, names))
        upper.axhline(0, color="0.6", linewidth=0.8, zorder=0)
        percent_axis(upper.yaxis)
        upper.set(title="Cumulative returns by quantile of the prediction" if names else "Cumulative return")
        upper.set_ylabel("Compounded return")
        if names:
            columns = 1 + len(names) // 14
            legend_beside(upper, fontsize="small", ncols=columns)
        else:
            upper.legend(loc="best", frameon=False)

        drawdown = self.cumulative["drawdown"].to_numpy(dtype=np.float64)
        lower.fill_between(positions, drawdown, 0.0, color=_LONG_SHORT, alpha=0.35, linewidth=0)
        lower.plot(positions, drawdown, color=_LONG_SHORT, linewidth=1.0, marker=marker)
        lower.set_ylim(min(1.05 * float(np.nanmin(drawdown)), -0.01), 0.0)
        percent_axis(lower.yaxis)
        lower.set(xlabel="Start of the holding period", ylabel="Drawdown")
        for ax in pair:
            label_all_dates(ax, positions, dates)
        if upper.get_shared_x_axes().joined(upper, lower):
            upper.tick_params(labelbottom=False)
            upper.xaxis.get_offset_text().set_visible(False)
        self.axes_, self.figure_ = pair, upper.figure
        return self

    def _quantiles(self) -> list[str]:
        return [name for name in self.cumulative.columns if name.startswith(_PREFIX)]

    def _check(self) -> None:
        absent = [name for name in ("long_short", "drawdown") if name not in self.cumulative.columns]
        if absent or not len(self.cumulative):
            raise PanelError(
                "'cumulative' must have at least one date and the columns long_short and drawdown. Got "
                f"{len(self.cumulative)} dates, missing: {', '.join(absent) or 'none'}. Use "
                "BacktestDisplay.from_backtest(result)."
            )

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the lines, as a copy.

        Returns
        -------
        DataFrame of shape (n_dates, n_quantiles + 2)
            Decimal compounded returns and drawdown.
        """
        return self.cumulative.copy()


class QuantileMeanDisplay:
    """Mean return of each quantile portfolio and of their spread, before costs, with standard errors.

    A forecast that orders the names well gives means that rise from the lowest to the highest quantile. The standard
    error is ``std(r) / sqrt(T)`` with ddof 1 over the T dates with a portfolio, as if these were independent. The
    quantiles move together with the market; the spread is free of it, so its error is not the sum of theirs.

    Parameters
    ----------
    means : DataFrame of shape (n_quantiles + 1, n_columns)
        Rows ``quantile_1`` to ``quantile_q`` and ``gross_long_short``, with the columns ``Mean return`` (decimal per
        period) and ``Standard error`` (same unit), as made by `BacktestResult.quantile_summary`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on, after :meth:`plot`.
    figure_ : matplotlib Figure
        Their figure, after :meth:`plot`.

    See Also
    --------
    QuantileMeanDisplay.from_backtest : Make the display from a backtest.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.portfolio import QuantileMeanDisplay, backtest
    >>> index = pd.MultiIndex.from_product([[202001, 202002], ["A", "B"]], names=["date", "asset"])
    >>> predictions = pd.Series([0.1, 0.2, 0.3, 0.1], index=index)
    >>> returns = pd.Series([0.01, 0.03, 0.05, 0.01], index=index)
    >>> result = backtest(predictions, returns, n_quantiles=2)
    >>> QuantileMeanDisplay.from_backtest(result).to_frame()[["Mean return", "Standard error"]].round(4)
                      Mean return  Standard error
    quantile_1               0.01            0.00
    quantile_2               0.04            0.01
    gross_long_short         0.03            0.01
    """

    ax_: Any
    figure_: Any

    def __init__(self, means: pd.DataFrame) -> None:
        self.means = means

    @classmethod
    def from_backtest(cls, result: BacktestResult) -> "QuantileMeanDisplay":
        """Average the returns of a backtest over its dates.

        Parameters
        ----------
        result : BacktestResult
            The backtest. Dates without a portfolio are left out; for one date there is no standard error.

        Returns
        -------
        QuantileMeanDisplay
            The display, not drawn yet.

        Raises
        ------
        PanelError
            If the backtest has no quantile portfolios.
        """
        if not result.quantile_returns.shape[1]:
            raise PanelError(
                "The backtest must have quantile portfolios. Got one of given weights. Use backtest(predictions, "
                "returns)."
            )
        return cls(result.quantile_summary())

    def plot(self, ax: Any = None) -> "QuantileMeanDisplay":
        """Draw one bar for each portfolio, with one standard error up and down.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        QuantileMeanDisplay
            The display itself, with ``ax_`` and ``figure_`` set.

        Raises
        ------
        PanelError
            If there is no portfolio, or a column is missing.
        """
        self._check()
        ax = new_axes() if ax is None else ax
        names = [str(name) for name in self.means.index]
        quantiles = [name for name in names if name.startswith(_PREFIX)]
        # A gap sets the spread apart from the quantiles.
        places = np.array([i if name in quantiles else i + 0.5 for i, name in enumerate(names)])
        ax.bar(
            places,
            self.means["Mean return"].to_numpy(),
            width=0.75,
            color=[PALETTE[0] if name in quantiles else _LONG_SHORT for name in names],
            yerr=self.means["Standard error"].to_numpy(),
            error_kw={"ecolor": "0.25", "elinewidth": 1.2, "capsize": 3},
        )
        ax.axhline(0, color="0.3", linewidth=0.8)
        ax.set_xticks(places, [_tick(name, quantiles) for name in names])
        percent_axis(ax.yaxis)
        ax.set_title("Mean return by quantile of the prediction, before costs")
        ax.set_xlabel("Quantile portfolio")
        ax.set_ylabel("Mean return per period\n(lines: ± 1 standard error)")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _check(self) -> None:
        columns = ("Mean return", "Standard error")
        absent = [name for name in columns if name not in self.means.columns]
        if absent or not len(self.means):
            raise PanelError(
                f"'means' must have at least one row and the columns {', '.join(columns)}. Got {len(self.means)} rows, "
                f"missing: {', '.join(absent) or 'none'}. Use QuantileMeanDisplay.from_backtest(result)."
            )

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the bars, as a copy.

        Returns
        -------
        DataFrame of shape (n_quantiles + 1, n_columns)
            Mean returns and standard errors, and what else came with them.
        """
        return self.means.copy()


def _shades(count: int) -> list[Any]:
    """Shades of one scale, dark for the highest quantile, told apart with any colour vision."""
    from matplotlib import colormaps

    return list(colormaps["cividis"](np.linspace(0.2, 0.85, count)))


def _label(name: str, names: list[str]) -> str:
    end = {names[0]: " (lowest)", names[-1]: " (highest)"}.get(name, "")
    return f"Quantile {name.removeprefix(_PREFIX)}{end}"


def _tick(name: str, quantiles: list[str]) -> str:
    if name not in quantiles:
        return "Highest\n− lowest"
    end = {quantiles[0]: "\n(lowest)", quantiles[-1]: "\n(highest)"}.get(name, "")
    return name.removeprefix(_PREFIX) + end
