"""Drawing of what trading costs a portfolio."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.metrics import annualised_return, break_even_cost, sharpe_ratio
from skdrfm.panel._plot import (
    PALETTE,
    check_axes_pair,
    label_all_dates,
    new_axes_pair,
    number,
    percent_axis,
    time_axis,
)
from skdrfm.portfolio._result import BacktestResult

# Beyond this cost a chart says nothing more: few names cost 5 % to trade.
_HIGHEST_COST = 0.05
_N_COSTS = 41


class CostSensitivityDisplay:
    """Turnover over time, and beneath the annual net return and Sharpe ratio for each cost of trading.

    The net return at cost c, the same for all assets, is ``gross_t - c x turnover_t``, exactly, since the positions do
    not depend on costs; borrow fees that the backtest contains are taken off first. The mean net return is 0 at the
    break-even cost ``mean(gross) / mean(turnover)``.

    Parameters
    ----------
    sensitivity : DataFrame of shape (n_costs, 2)
        ``Return`` (decimal per year, ``P mean(r)``) and ``Sharpe ratio`` (per year, NaN where there is none), indexed
        by the decimal cost for each unit traded, one side, in increasing order.
    turnover : Series of shape (n_dates,)
        Trades at each date in units of capital; NaN without a portfolio.
    break_even : float
        Decimal cost at which the mean net return is 0; negative if the gross return is, NaN without trades.
    cost : float, default=nan
        Decimal cost that the backtest contains, to be marked; NaN marks none.

    Attributes
    ----------
    axes_ : tuple of two matplotlib Axes
        The axes drawn on, the upper one first, after :meth:`plot`.
    sharpe_ax_ : matplotlib Axes or None
        The twin of the lower axes that holds the Sharpe ratio, after :meth:`plot`; None if there is no Sharpe ratio.
    figure_ : matplotlib Figure
        Their figure, after :meth:`plot`.

    See Also
    --------
    CostSensitivityDisplay.from_backtest : Make the display from a backtest.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.portfolio import CostSensitivityDisplay, backtest
    >>> index = pd.MultiIndex.from_product([[202001, 202002], ["A", "B"]], names=["date", "asset"])
    >>> predictions = pd.Series([0.1, 0.2, 0.3, 0.1], index=index)
    >>> returns = pd.Series([0.01, 0.03, 0.06, 0.01], index=index)
    >>> result = backtest(predictions, returns, n_quantiles=2)
    >>> display = CostSensitivityDisplay.from_backtest(result, costs=[0.0, 0.005])
    >>> display.to_frame().round(4)
           Return  Sharpe ratio
    cost
    0.000    0.42        5.7155
    0.005    0.24        4.8990
    >>> round(display.break_even, 4)
    0.0117
    """

    axes_: Any
    sharpe_ax_: Any
    figure_: Any

    def __init__(
        self,
        sensitivity: pd.DataFrame,
        turnover: "pd.Series[Any]",
        *,
        break_even: float,
        cost: float = float("nan"),
    ) -> None:
        self.sensitivity = sensitivity
        self.turnover = turnover
        self.break_even = break_even
        self.cost = cost

    @classmethod
    def from_backtest(cls, result: BacktestResult, costs: Any = None) -> "CostSensitivityDisplay":
        """Charge a backtest with one cost after the other.

        Parameters
        ----------
        result : BacktestResult
            The backtest, with any costs of its own; one cost for all assets is marked.
        costs : array-like of shape (n_costs,), default=None
            Decimal costs for each unit traded, one side, at least 0; 0.001 is 10 basis points. None: 41 costs from 0
            to 1.5 times the break-even cost, at most to 0.05.

        Returns
        -------
        CostSensitivityDisplay
            The display, not drawn yet.

        Raises
        ------
        PanelError
            If a cost is no number of at least 0, or there is none.
        """
        held = result.long_short.notna()
        turnover = result.turnover[held].to_numpy(dtype=np.float64)
        gross = (result.gross_long_short - result.borrow_fees)[held].to_numpy(dtype=np.float64)
        break_even = break_even_cost(gross, turnover)
        cost = float(result.cost)
        grid = _default_costs(break_even, cost) if costs is None else _checked(costs)
        per_year = result.periods_per_year
        net = [gross - c * turnover for c in grid]
        sensitivity = pd.DataFrame(
            {
                "Return": [annualised_return(r, periods_per_year=per_year) for r in net],
                "Sharpe ratio": [sharpe_ratio(r, periods_per_year=per_year) if len(r) > 1 else np.nan for r in net],
            },
            index=pd.Index(grid, name="cost"),
        )
        return cls(sensitivity, result.turnover, break_even=break_even, cost=cost)

    def plot(self, axes: Any = None) -> "CostSensitivityDisplay":
        """Draw turnover by date on the first axes, and net return and Sharpe ratio by cost on the second.

        Parameters
        ----------
        axes : pair of matplotlib Axes, default=None
            Where to draw; None makes a new figure. The Sharpe ratio has its scale at the right of the second, with
            its 0 at the same height.

        Returns
        -------
        CostSensitivityDisplay
            The display itself, with ``axes_``, ``sharpe_ax_`` and ``figure_`` set.

        Raises
        ------
        PanelError
            If there are no costs or no dates, or `axes` are not two.
        """
        self._check()
        pair = new_axes_pair(6.0, (2, 3), share_dates=False) if axes is None else check_axes_pair(axes)
        self._draw_turnover(pair[0])
        self._draw_returns(pair[1])
        self.axes_, self.figure_ = pair, pair[0].figure
        return self

    def _draw_turnover(self, ax: Any) -> None:
        positions = time_axis(self.turnover.index)
        ax.plot(
            positions,
            self.turnover.to_numpy(),
            color=PALETTE[0],
            linewidth=1.4,
            marker="o" if len(positions) < 4 else None,
        )
        mean = float(self.turnover.mean())
        ax.axhline(mean, color="0.35", linewidth=1.2, linestyle="--")
        label_all_dates(ax, positions, self.turnover.index)
        ax.set_ylim(0, 1.08 * float(self.turnover.max()) or 1.0)
        ax.set(title=f"Turnover (mean {mean:.2f} per period)", xlabel="Date of the trade")
        ax.set_ylabel("Units of capital traded")

    def _draw_returns(self, ax: Any) -> None:
        costs = self.sensitivity.index.to_numpy(dtype=np.float64)
        values = self.sensitivity["Return"].to_numpy(dtype=np.float64)
        marker = "o" if len(costs) == 1 else None
        handles = ax.plot(costs, values, color=PALETTE[0], linewidth=2.0, marker=marker, label="Return (left)")
        low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
        room = 0.08 * (high - low) or 0.01
        ax.set_ylim(low - room, high + room)
        handles += self._draw_sharpe(ax, costs, float(np.abs(values).max()))
        ax.axhline(0, color="0.6", linewidth=0.8, zorder=0)
        if costs[0] <= self.break_even <= costs[-1]:
            style = {"color": "0.2", "linewidth": 1.2, "linestyle": ":"}
            handles.append(ax.axvline(self.break_even, label="Break-even cost", **style))
        if self.cost > 0:
            label = f"Cost of the backtest: {number(100 * self.cost, 3)} %"
            handles.append(ax.axvline(self.cost, color="0.55", linewidth=1.2, linestyle="-.", label=label))
        percent_axis(ax.xaxis)
        percent_axis(ax.yaxis)
        known = np.isfinite(self.break_even)
        ax.set_title(
            "Net return by cost of trading" + (f" (break-even {number(100 * self.break_even, 3)} %)" if known else "")
        )
        ax.set(xlabel="Cost for each unit traded, one side")
        ax.set_ylabel("Net return per year", color=PALETTE[0])
        # Lines fall: the corner beneath them is free where they stay above 0, else the one above them.
        corner = "lower left" if values[-1] > 0 else "upper right"
        names = [handle.get_label() for handle in handles]
        (self.sharpe_ax_ or ax).legend(handles, names, loc=corner, fontsize="small")

    def _draw_sharpe(self, ax: Any, costs: FloatArray, largest: float) -> list[Any]:
        """Draw the Sharpe ratio, if there is one, with its 0 at that of the return and at two thirds of its height."""
        ratios = self.sensitivity["Sharpe ratio"].to_numpy(dtype=np.float64)
        highest = float(np.nanmax(np.abs(ratios), initial=0.0))
        self.sharpe_ax_ = None
        if highest == 0 or largest == 0:
            return []
        twin = ax.twinx()
        low, high = ax.get_ylim()
        scale = 1.5 * highest / largest
        twin.set_ylim(scale * low, scale * high)
        twin.set_ylabel("Sharpe ratio per year", color=PALETTE[5])
        twin.grid(visible=False)
        self.sharpe_ax_ = twin
        style = {"color": PALETTE[5], "linewidth": 1.6, "linestyle": "--", "marker": "o" if len(costs) == 1 else None}
        return list(twin.plot(costs, ratios, label="Sharpe ratio (right)", **style))

    def _check(self) -> None:
        if not len(self.sensitivity) or self.turnover.isna().all():
            raise PanelError(
                "'sensitivity' must hold at least one cost, and 'turnover' a number. Got "
                f"{len(self.sensitivity)} costs and {int(self.turnover.notna().sum())} dates. Use "
                "CostSensitivityDisplay.from_backtest(result)."
            )

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the lower lines, as a copy.

        Returns
        -------
        DataFrame of shape (n_costs, 2)
            Annual net return (decimal) and Sharpe ratio by decimal cost.
        """
        return self.sensitivity.copy()


def _default_costs(break_even: float, cost: float) -> FloatArray:
    wanted = [1.5 * value for value in (break_even, cost) if np.isfinite(value) and value > 0]
    return np.linspace(0, min(max(wanted, default=0.01), _HIGHEST_COST), _N_COSTS)


def _checked(costs: Any) -> FloatArray:
    try:
        grid = np.asarray(costs, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PanelError(f"'costs' must be numbers. Got {costs!r}. Pass decimals such as [0, 0.001, 0.002].") from error
    if grid.ndim != 1 or not len(grid) or not np.isfinite(grid).all() or (grid < 0).any():
        raise PanelError(
            f"'costs' must be a list of finite numbers of at least 0, at least one. Got {costs!r}. Pass decimals such "
            "as [0, 0.001, 0.002]."
        )
    return np.unique(grid)
