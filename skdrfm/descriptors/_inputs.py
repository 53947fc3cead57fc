"""What a descriptor may be computed from: past and present months as wide arrays."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.descriptors._bars import MonthlyBars
from skdrfm.descriptors._items import BALANCES, FLOWS
from skdrfm.descriptors._reports import Reports
from skdrfm.descriptors._rolling import Moments, rolling_moments
from skdrfm.exceptions import PanelError
from skdrfm.panel._index import calendar_ordinals
from skdrfm.utils.validation import check_finite, describe_first

LONG_WINDOW = 60
# Market returns in decimals are about 0.03 in size, in percent about 3.
_LOOKS_LIKE_PERCENT = 0.5


class DescriptorInputs:
    """Wide arrays of shape (n_months, n_assets), one row for each calendar month, oldest first; NaN is unknown.

    It is handed to the ``compute`` of a `DescriptorSpec`. Arrays must not be changed.

    Parameters
    ----------
    bars : MonthlyBars
        Aggregated bars.
    reports : Reports or None
        What was known of reports.
    market : Series or None
        Decimal market excess return by month.
    min_periods : mapping of str to int
        Months that must be known, by descriptor.
    """

    def __init__(
        self,
        bars: MonthlyBars,
        reports: Reports | None,
        market: "pd.Series[Any] | None",
        min_periods: Mapping[str, int],
    ) -> None:
        self._bars, self._reports = bars, reports
        self._market = None if market is None else _check_market(market)
        self.min_periods = min_periods
        self._cache: dict[str, FloatArray] = {}

    @property
    def months(self) -> pd.PeriodIndex:
        """Calendar months, of length n_months."""
        return pd.PeriodIndex(self._bars.months.astype("datetime64[M]"), freq="M")

    @property
    def assets(self) -> "pd.Index[Any]":
        """Assets, of length n_assets."""
        return self._bars.assets

    @property
    def returns(self) -> FloatArray:
        """Decimal total return over the calendar month."""
        return self._bars.returns

    @cached_property
    def market(self) -> FloatArray:
        """Decimal market excess return of each month, shape (n_months,)."""
        if self._market is None:
            return self._given(None, "market")
        aligned: FloatArray = self._market.reindex(self._bars.months).to_numpy(dtype=np.float64)
        absent = self.months[np.isnan(aligned)]
        if len(absent):
            raise PanelError(
                f"'market' must have the return of every month from {self.months[0]} to {self.months[-1]}. Got none "
                f"for {len(absent)} months: {describe_first([str(month) for month in absent])}. Use a longer series or "
                "shorter bars."
            )
        return aligned

    @cached_property
    def moments(self) -> Moments:
        """Central sums of the returns of the last 60 months, with those of the market where it was given."""
        return rolling_moments(self.returns, LONG_WINDOW, None if self._market is None else self.market)

    @property
    def close(self) -> FloatArray:
        """Price at the last bar of the month; its level is not comparable over time where bars are adjusted."""
        return self._given(self._bars.last.get("close"), "close")

    @property
    def dollar_volume(self) -> FloatArray:
        """Traded value of the month, in units of currency."""
        return self._given(self._bars.dollar_volume, "dollar_volume")

    @property
    def illiq(self) -> FloatArray:
        """Mean of absolute return / dollar volume over the bars of the month, in 1 / currency."""
        return self._given(self._bars.illiq, "illiq")

    @cached_property
    def market_value(self) -> FloatArray:
        """Price times shares at the end of the month, in units of currency; NaN where it is not positive."""
        last = self._bars.last
        if "market_value" in last:
            value = last["market_value"]
        elif "shares" in last:
            value = last["shares"] * self.close
        else:
            value = self.latest("shares") * self.close
        return np.where(value > 0, value, np.nan)

    def latest(self, item: str) -> FloatArray:
        """Balance-sheet item in the newest report known at the end of each month.

        Parameters
        ----------
        item : {"total_assets", "total_liabilities", "net_assets", "shares"}
            The item.

        Returns
        -------
        ndarray of shape (n_months, n_assets)
            NaN where that report lacks the item or is too old.
        """
        return self._of_reports(item, BALANCES, "latest")

    def trailing(self, item: str) -> FloatArray:
        """Flow over the twelve months up to the newest report known at the end of each month.

        Parameters
        ----------
        item : {"sales", "operating_profit", "net_income", "operating_cash_flow"}
            The item.

        Returns
        -------
        ndarray of shape (n_months, n_assets)
            NaN where one of the four quarters is not known.
        """
        return self._of_reports(item, FLOWS, "trailing")

    def available(self) -> set[str]:
        """Names of the inputs that were given."""
        last = self._bars.last
        items = set() if self._reports is None else set(self._reports.items)
        is_given = {
            "returns": True,
            "market": self._market is not None,
            "close": "close" in last,
            "dollar_volume": self._bars.dollar_volume is not None,
            "illiq": self._bars.illiq is not None,
            "market_value": "market_value" in last or ("close" in last and "shares" in {*last, *items}),
        }
        return items | {name for name, given in is_given.items() if given}

    def _of_reports(self, item: str, allowed: tuple[str, ...], method: str) -> FloatArray:
        if item not in allowed:
            raise PanelError(f"{method!r} must name one of {', '.join(allowed)}. Got {item!r}.")
        if self._reports is None or item not in self._reports.items:
            return self._given(None, item)
        if item not in self._cache:
            self._cache[item] = getattr(self._reports, method)(item)
        return self._cache[item]

    def _given(self, value: FloatArray | None, name: str) -> FloatArray:
        if value is None:
            raise PanelError(
                f"The input {name!r} must be given for this descriptor. Got only "
                f"{', '.join(sorted(self.available()))}. Name it in 'needs' of the "
                "DescriptorSpec, and pass it in the bars, the fundamentals or as market."
            )
        return value


def _check_market(market: Any) -> "pd.Series[float]":
    """Decimal returns indexed by the ordinals of their months."""
    if not isinstance(market, pd.Series):
        raise PanelError(
            "'market' must be a Series of decimal monthly market excess returns indexed by month. Got a "
            f"{type(market).__name__}. Pass one column of it, such as factors['Mkt-RF']."
        )
    values = market.to_numpy(dtype=np.float64)
    check_finite(values, what="market", allow_nan=True)
    known = np.abs(values[~np.isnan(values)])
    if len(known) and np.median(known) > _LOOKS_LIKE_PERCENT:
        raise PanelError(
            f"'market' must hold decimals (0.01 = 1 %). Got a median size of {np.median(known):g}, which looks like "
            "percent. Divide it by 100."
        )
    months = calendar_ordinals(market.index, "M")
    series = pd.Series(values, index=months)
    if not series.index.is_unique:
        raise PanelError(
            f"'market' must have one return for each month. Got {int(series.index.duplicated().sum())} further rows. "
            "Compound daily returns to months first."
        )
    return series
