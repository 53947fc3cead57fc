"""Items of reports, and the month that a period stands for."""

import numpy as np
import pandas as pd

from skdrfm._typing import IntArray

INCOME = ("sales", "operating_profit", "net_income")
CASH_FLOW = ("operating_cash_flow",)
FLOWS = (*INCOME, *CASH_FLOW)
BALANCES = ("total_assets", "total_liabilities", "net_assets", "shares")
ITEMS = (*FLOWS, *BALANCES)

# Months that a flow may cover.
DURATIONS = (3, 6, 9, 12)

# A quarter of 52 or 53 weeks may end on the first days of the next month; half a month back lies its own.
_HALF_A_MONTH = np.timedelta64(15, "D")


def month_ordinals(dates: pd.DatetimeIndex) -> IntArray:
    """Count the calendar months from January 1970 to each date."""
    months: IntArray = dates.to_numpy().astype("datetime64[M]").astype(np.int64)
    return months


def report_months(period_end: pd.DatetimeIndex) -> IntArray:
    """Count the calendar months to that which each period stands for; the quarter before is three less."""
    return month_ordinals(pd.DatetimeIndex(period_end - _HALF_A_MONTH))
