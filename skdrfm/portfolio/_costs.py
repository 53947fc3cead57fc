"""What trading and lending cost: turnover against weights that have drifted with returns, and its price."""

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.metrics._validation import numbers_of
from skdrfm.panel import check_panel_index
from skdrfm.portfolio._alignment import PairTable, Positions, align_positions
from skdrfm.portfolio._rows import held_dates
from skdrfm.portfolio._simulation import Holdings, hold
from skdrfm.utils._param_validation import Interval
from skdrfm.utils.validation import describe_first

RATE_CONSTRAINTS: list[Any] = [Interval(Real, 0, None, closed="left"), pd.Series]


def turnover(weights: "pd.Series[Any]", returns: "pd.Series[Any]") -> "pd.Series[Any]":
    """Sum of absolute trades at each date, against drifted weights.

    ``TO_t = sum_i |w_{i,t} - drifted w_{i,t-1}|`` (the form of Gu, Kelly and Xiu 2020, where
    ``drifted w = w (1 + r) / (1 + portfolio return)``). A long/short portfolio has no net capital to divide by;
    here each leg drifts on its own capital, ``w (1 + r) / (1 + R)`` with R the return of the names of that leg, so
    that each leg keeps its size until it is traded. For a portfolio without short positions both forms are the
    same. A position cannot drift below zero, and a leg that lost everything is bought anew.

    Parameters
    ----------
    weights : Series of shape (n_samples,), indexed by (date, asset)
        Weights set at each date and held until the next date that occurs. NaN on all names of a date says that no
        portfolio was formed there.
    returns : Series, indexed by (date, asset)
        Decimal forward returns, over the period after each date, for at least the rows of weights; compared by
        index.

    Returns
    -------
    Series of shape (n_dates,)
        Trades in units of capital, both sides counted, named ``"turnover"``: 2 replaces all of a long portfolio, 4
        both legs of a long/short portfolio. The first date, and a date after one without portfolio, is the full
        build-up: the sum of absolute weights. Names that disappear count as sold. NaN on dates without portfolio.

    Raises
    ------
    PanelError
        If an index is no panel index, a row has no realised return, or weights are NaN on part of a date.
    NonFiniteError
        If a return is infinite.

    See Also
    --------
    skdrfm.portfolio.backtest_weights : Turnover with delay and rarer rebalancing, costs and returns.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.portfolio import turnover
    >>> index = pd.MultiIndex.from_product([[1, 2], ["A", "B"]], names=["date", "asset"])
    >>> weights = pd.Series([0.5, 0.5, 0.5, 0.5], index=index)
    >>> returns = pd.Series([0.5, 0.0, 0.0, 0.0], index=index)
    >>> turnover(weights, returns).round(4).tolist()
    [1.0, 0.2]
    """
    positions = align_positions(weights, returns, name="weights")
    held_dates(positions.values, positions.groups)  # NaN on part of a date, and infinity, are refused
    groups = positions.groups
    holdings = hold(
        groups.codes, positions.assets, positions.values, realised=positions.realised, n_dates=len(groups.dates)
    )
    trades = trades_of(holdings, n_assets=len(positions.names))
    return groups.series(trades.by_date(trades.amounts), name="turnover")


@dataclass(frozen=True, eq=False)
class Trades:
    """Purchases and sales in units of capital, both positive.

    Parameters
    ----------
    codes, assets : ndarray of shape (n_trades,)
        Positions of date and asset.
    amounts : ndarray of shape (n_trades,)
        Absolute change of the weight; 0 where nothing is traded.
    holdings : Holdings
        What is held after the trades.
    """

    codes: IntArray
    assets: IntArray
    amounts: FloatArray
    holdings: Holdings

    def by_date(self, values: FloatArray) -> FloatArray:
        """Sum of one value for each trade by date, NaN on dates without portfolio."""
        return self.holdings.sums(self.codes, values)


def trades_of(holdings: Holdings, *, n_assets: int) -> Trades:
    """Compare what is held at each date with what the date before left over."""
    codes, assets, drifted = holdings.codes, holdings.assets, holdings.drifted
    held = np.where(np.isnan(holdings.weights), 0.0, holdings.weights)
    # One whole number for each (date, asset): the same asset one date later is n_assets further on.
    keys = codes * n_assets + assets
    later = np.minimum(np.searchsorted(keys, keys + n_assets), max(len(keys) - 1, 0))
    stays = keys[later] == keys + n_assets
    before = np.zeros_like(held)
    before[later[stays]] = drifted[stays]
    leaves = ~stays & (codes < len(holdings.formed) - 1)
    return Trades(
        codes=np.concatenate([codes, codes[leaves] + 1]),
        assets=np.concatenate([assets, assets[leaves]]),
        amounts=np.abs(np.concatenate([held - before, drifted[leaves]])),
        holdings=holdings,
    )


@dataclass(frozen=True, eq=False)
class Rates:
    """A decimal rate of each pair, from one number, a number by asset or a number by (date, asset).

    Parameters
    ----------
    name : str
        Name of the parameter in messages.
    number : float
        The one number; NaN if there are several.
    by_asset : ndarray of shape (n_assets,), default=None
        Rate of each asset, NaN where unknown.
    by_pair : PairTable, default=None
        Rate of each pair.
    """

    name: str
    number: float
    by_asset: FloatArray | None = None
    by_pair: PairTable | None = None

    @classmethod
    def read(cls, rate: Any, positions: Positions, *, name: str) -> "Rates":
        """Read a rate and check that it is nowhere negative or infinite."""
        values = np.atleast_1d(numbers_of(rate, name=name))
        faulty = (values < 0) | np.isinf(values)
        if faulty.any():
            raise PanelError(
                f"'{name}' must hold finite decimals of at least 0. Got {int(faulty.sum())} others of {len(values)}, "
                f"such as {values[faulty][0]:g}. A cost of 10 basis points is 0.001."
            )
        if not isinstance(rate, pd.Series):
            return cls(name, float(rate))
        if isinstance(rate.index, pd.MultiIndex):
            return cls(name, np.nan, by_pair=positions.table(check_panel_index(rate, name=name), values))
        if not rate.index.is_unique:
            repeated = rate.index[rate.index.duplicated()].unique()
            raise PanelError(
                f"'{name}' must have one number for each asset. Got {len(repeated)} assets more than once: "
                f"{describe_first(list(repeated))}. Keep one, or index it by (date, asset)."
            )
        return cls(name, np.nan, by_asset=np.append(values, np.nan)[rate.index.get_indexer(positions.names)])

    def at(self, codes: IntArray, assets: IntArray) -> FloatArray:
        """Rates of pairs, NaN where unknown."""
        if self.by_pair is not None:
            return self.by_pair.at(codes, assets)
        return np.full(len(codes), self.number) if self.by_asset is None else self.by_asset[assets]

    def latest(self, codes: IntArray, assets: IntArray) -> FloatArray:
        """Rates of the last date, up to the one given, for which the asset has one."""
        if self.by_pair is None:
            return self.at(codes, assets)
        known = ~np.isnan(self.by_pair.values)
        dates, owners = np.divmod(self.by_pair.keys[known], self.by_pair.n_assets)
        n_dates = int(max(dates.max(initial=0), codes.max(initial=0))) + 1
        order = np.argsort(owners * n_dates + dates)
        places = np.searchsorted((owners * n_dates + dates)[order], assets * n_dates + codes, side="right") - 1
        # Place -1, and the last place of another asset, say that there is no earlier rate.
        owner = np.append(owners[order], -1)[places]
        return np.where(owner == assets, np.append(self.by_pair.values[known][order], np.nan)[places], np.nan)


def trading_costs(trades: Trades, rates: Rates, positions: Positions) -> FloatArray:
    """Decimal cost of the trades of each date; a name without a row any more pays the rate of its last one."""
    if not np.isnan(rates.number):
        return rates.number * trades.by_date(trades.amounts)
    paid = np.array(rates.at(trades.codes, trades.assets))
    left = np.isnan(paid) & np.isnan(positions.realised.at(trades.codes, trades.assets))
    paid[left] = rates.latest(trades.codes[left], trades.assets[left])
    # What is closed at a date without portfolio is no part of any return, and its rate is not needed.
    amounts = np.where(trades.holdings.formed[trades.codes], trades.amounts, 0.0)
    _check_known(paid, amounts, trades.codes, trades.assets, positions, name=rates.name, verb="traded")
    return trades.by_date(np.where(amounts > 0, paid, 0.0) * amounts)


def borrow_fees(holdings: Holdings, rates: Rates, positions: Positions, *, periods_per_year: float) -> FloatArray:
    """Decimal fee of each date for the absolute short positions over the period after it."""
    short = np.maximum(-np.where(np.isnan(holdings.weights), 0.0, holdings.weights), 0.0)
    if not np.isnan(rates.number):
        return rates.number / periods_per_year * holdings.sums(holdings.codes, short)
    paid = rates.at(holdings.codes, holdings.assets)
    _check_known(paid, short, holdings.codes, holdings.assets, positions, name=rates.name, verb="held short")
    return holdings.sums(holdings.codes, np.where(short > 0, paid, 0.0) * short) / periods_per_year


def _check_known(
    paid: FloatArray,
    amounts: FloatArray,
    codes: IntArray,
    assets: IntArray,
    positions: Positions,
    *,
    name: str,
    verb: str,
) -> None:
    unknown = np.isnan(paid) & (amounts > 0)
    if unknown.any():
        pairs = positions.pairs(codes[unknown], assets[unknown]).tolist()
        raise PanelError(
            f"'{name}' must have a number for each asset at each date at which it is {verb}. Got {len(pairs)} pairs "
            f"without one: {describe_first(pairs)}. Add them, or pass one number for all."
        )
