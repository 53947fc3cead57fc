"""Rows of reports to the US regulator: how many months their flows cover."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray, BoolArray, FloatArray, IntArray
from skdrfm.descriptors._items import report_months
from skdrfm.exceptions import PanelFileError
from skdrfm.utils.validation import describe_first

__all__ = ["cash_flow_covers_quarter", "months_of_reports"]

_QUARTERS = {"Q1": 3, "Q2": 6, "Q3": 9, "FY": 12}
_ANNUAL, _QUARTERLY = "10-K", "10-Q"

# Flows of cash close exactly in a cash flow statement, but for exchange rates and rounding.
_EXACT = 1e-4
_CLOSE = 1e-2


def months_of_reports(
    period_focus: "pd.Series[Any]", doc_type: "pd.Series[Any] | None", path: object
) -> tuple[IntArray, IntArray]:
    """Tell how many months the flows of each report cover.

    Income of a 10-Q covers three months, that of a 10-K the year. Cash flows run from the start of the fiscal year.

    Parameters
    ----------
    period_focus : Series of length n_rows
        Q1, Q2, Q3 or FY.
    doc_type : Series of length n_rows, or None
        10-Q or 10-K, perhaps with an ending /A for an amendment. Where it contradicts the focus, it counts: the
        fiscal quarter of a 10-Q of focus FY is then unknown.
    path : path
        The file, for messages.

    Returns
    -------
    months : ndarray of shape (n_rows,)
        Months of the income flows: 3 or 12.
    cash_flow_months : ndarray of shape (n_rows,)
        Months of the cash flows: 3, 6, 9 or 12, and 0 where unknown.

    Raises
    ------
    PanelFileError
        If there is another focus or type of document.
    """
    focus = period_focus.astype(str).str.strip().str.upper()
    _check_known(focus, list(_QUARTERS), "period_focus", path)
    covered = focus.map(_QUARTERS).to_numpy().astype(np.intp)
    if doc_type is None:
        return np.where(covered == 12, 12, 3), covered
    document = doc_type.astype(str).str.strip().str.upper().str.removesuffix("/A")
    _check_known(document, [_ANNUAL, _QUARTERLY], "doc_type", path)
    is_annual = (document == _ANNUAL).to_numpy()
    cash_flow_months = np.where(is_annual, 12, np.where(covered == 12, 0, covered))
    return np.where(is_annual, 12, 3), cash_flow_months


def _check_known(column: "pd.Series[Any]", known: list[str], name: str, path: object) -> None:
    other = ~column.isin(known)
    if other.any():
        raise PanelFileError(
            f"The column {name!r} of {str(path)!r} must hold {', '.join(known)}. Got {int(other.sum())} other values "
            f"such as {describe_first(list(column[other].unique()))}. Drop these rows: the months that their flows "
            "cover are not known."
        )


def cash_flow_covers_quarter(reports: pd.DataFrame) -> BoolArray:
    """Find reports whose cash flows are of the quarter alone, though they should run from the start of the year.

    The three cash flows add up to the change of cash over the months that they cover. A report of the second or third
    quarter covers the quarter if they equal the change of cash since the quarter before, and do not equal the change
    since the last fiscal year end. Equal means: to 0.01 % of the sum of the absolute flows; or to 1 %, which leaves
    room for exchange rates, if the change since the year end is known and misses by at least ten times as much.
    Without this evidence a report follows the rule of the regulator: year to date.

    Only cash that was public when the report came out is compared, so that no report changes its meaning later.

    Parameters
    ----------
    reports : DataFrame of shape (n_rows, n_columns)
        Columns asset, period_end, available, cash_flow_months, cash, operating_cash_flow, investing_cash_flow and
        financing_cash_flow; sorted by availability within a period.

    Returns
    -------
    ndarray of shape (n_rows,)
        Whether the cash flows cover the quarter. False for reports of the first quarter and of the year.
    """
    month = report_months(pd.DatetimeIndex(reports["period_end"]))
    flows = reports[["operating_cash_flow", "investing_cash_flow", "financing_cash_flow"]].to_numpy(dtype=np.float64)
    total, gross = flows.sum(axis=1), np.abs(flows).sum(axis=1)
    covered = reports["cash_flow_months"].to_numpy()
    cash = reports["cash"].to_numpy(dtype=np.float64)

    known = reports.assign(month=month).dropna(subset=["cash", "available"])
    first = known.drop_duplicates(["asset", "month"]).set_index(["asset", "month"])

    def residual(months_back: AnyArray) -> FloatArray:
        earlier = first.reindex(pd.MultiIndex.from_arrays([reports["asset"], month - months_back]))
        was_public = earlier["available"].to_numpy() <= reports["available"].to_numpy()
        change = cash - np.where(was_public, earlier["cash"].to_numpy(dtype=np.float64), np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            missed: FloatArray = np.abs(change - total) / gross
        return missed

    of_quarter, of_year = residual(np.full(len(reports), 3)), residual(covered)
    is_exact = (of_quarter <= _EXACT) & ~(of_year <= _EXACT)
    is_closer = (of_quarter <= _CLOSE) & (of_year >= 10 * np.maximum(of_quarter, _EXACT * 10))
    covers: BoolArray = np.isin(covered, (6, 9)) & (is_exact | is_closer)
    return covers
