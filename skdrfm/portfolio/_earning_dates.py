"""When returns are earned: returns and their dates as timestamps, and the date that ends each period."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.offsets import BDay, BMonthBegin, BMonthEnd, MonthBegin, MonthEnd, QuarterEnd, Week, YearEnd

from skdrfm._typing import AnyArray, FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.metrics._validation import numbers_of
from skdrfm.panel._index import _to_periods
from skdrfm.utils.validation import check_finite, describe_first

# Period of dates that name more than a day, by the number of their characters.
_COARSE = {4: "Y", 6: "M", 7: "M"}

# The calendar is asked first: month ends that happen to be business days are month ends.
_MONTHLY = (MonthEnd, BMonthEnd, MonthBegin, BMonthBegin)

# Offsets that pandas has as frequencies of Periods.
_LONGER_THAN_A_DAY = (Week, MonthEnd, QuarterEnd, YearEnd)


def returns_by_date(returns: Any) -> FloatArray:
    """Read one return for each date; NaN is one without a portfolio."""
    if not isinstance(returns, pd.Series) or isinstance(returns.index, pd.MultiIndex) or not len(returns):
        found = (
            "a Series indexed by pairs" if isinstance(returns, pd.Series) and len(returns) else type(returns).__name__
        )
        raise PanelError(
            "returns must be a Series with one return for each date, at least one. Got "
            f"{found if np.size(returns) else f'an empty {found}'}. "
            "Pass the returns of a portfolio, for example backtest(...).long_short."
        )
    dates = returns.index
    missing, repeated = int(np.asarray(dates.isna()).sum()), int(dates.duplicated().sum())
    if missing or repeated:
        raise PanelError(
            f"Each return must have a date of its own. Got {missing} without a date and {repeated} with a date that "
            "occurs before. Keep one return for each date."
        )
    values = numbers_of(returns, name="returns")
    check_finite(values, what="returns", allow_nan=True)
    return values


def period_end_timestamps(dates: pd.Index) -> pd.DatetimeIndex:
    """Read dates as timestamps; one that names a month, a quarter or a year is its last day.

    Parameters
    ----------
    dates : Index
        datetime64 (left as they are), Period, yyyymm or yyyymmdd integers, or ISO strings.

    Returns
    -------
    DatetimeIndex
        Timestamps in the order of the dates.

    Raises
    ------
    PanelError
        If the dates cannot be read as dates, or two of them become one timestamp.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.portfolio._earning_dates import period_end_timestamps
    >>> period_end_timestamps(pd.Index([202401, 202402])).strftime("%Y-%m-%d").tolist()
    ['2024-01-31', '2024-02-29']
    """
    codes, distinct = pd.factorize(dates)
    distinct = pd.Index(distinct)
    if isinstance(distinct, pd.DatetimeIndex):
        moments = distinct
    elif isinstance(distinct, pd.PeriodIndex):
        moments = distinct.to_timestamp(how="end").normalize()
    else:
        lengths = {len(str(date)) for date in distinct}
        length = lengths.pop() if len(lengths) == 1 else None
        periods = _to_periods(distinct, _COARSE.get(length or 0, "D"))
        moments = periods.to_timestamp(how="end").normalize()
    if not moments.is_unique:
        raise PanelError(
            f"Each date must be a timestamp of its own. Got {len(moments) - moments.nunique()} dates that share one, "
            f"such as {describe_first(list(distinct[moments.duplicated(keep=False)]))}. Pass datetime64 dates."
        )
    return _without_freq(moments.take(codes))


def calendar_with_end(dates: pd.DatetimeIndex, last_date: Any, *, labels: pd.Index) -> pd.DatetimeIndex:
    """List the periods of dates from the first to the last, and the end of the last one.

    Without a last_date the spacing of the dates says which date comes next; where it does not, the frequency of labels
    that are Periods of a week or longer. Months, quarters, years and weeks that the dates lack are listed too, so that
    the date after each is the end of its period. Trading days are taken as they come: a day without a date is a
    holiday.

    Parameters
    ----------
    dates : DatetimeIndex
        Distinct dates in ascending order.
    last_date : date or None
        End of the last period. If it is given, the dates are taken as they come.
    labels : Index
        The dates as they were before they became timestamps, in any order.

    Returns
    -------
    DatetimeIndex
        All dates, the periods that are missing between them, and one date more.

    Raises
    ------
    PanelError
        If last_date is not after the dates, or the spacing does not say what comes next.
    """
    if last_date is not None:
        return _extended(dates, _read_end(last_date, dates[-1]))
    for calendar in chain(_calendars(dates), _calendar_of_periods(labels)):
        if dates.isin(calendar).all():
            return _without_freq(calendar)
    raise PanelError(
        "The spacing of the dates must say when the last return ends: month ends, month starts or business month "
        "ends (every 1, 3, 6 or 12 months), one day of the week, or days. Got "
        f"{describe_first([str(date) for date in dates])} of {len(dates)} dates. Pass last_date=..., the date on which "
        "the last return is earned."
    )


def _read_end(last_date: Any, last: pd.Timestamp) -> pd.Timestamp:
    labels = pd.Index([last_date])
    end: pd.Timestamp = period_end_timestamps(labels)[0]
    if last.tz is not None and end.tz is None:
        end = end.tz_localize(last.tz)
    if not end > last:
        raise PanelError(
            f"'last_date' must be after the last date, {last}, because the last return ends there. Got {last_date!r}. "
            "Leave it out to continue the spacing of the dates."
        )
    return end


def _calendars(dates: pd.DatetimeIndex) -> Iterator[pd.DatetimeIndex]:
    """Calendars that the spacing of the dates suggests, the coarsest first."""
    if len(dates) < 2:
        return
    months: AnyArray = np.diff(dates.year.to_numpy() * 12 + dates.month.to_numpy())
    step = int(np.gcd.reduce(months))
    # Two dates three months apart are quarters, or months of which two are missing.
    if step == 1 or (step in (3, 6, 12) and len(dates) > 2):
        for offset in _MONTHLY:
            if _is_usual(months == step) and all(offset().is_on_offset(date) for date in dates):
                yield pd.date_range(dates[0], periods=int(months.sum()) // step + 2, freq=offset(step))
    days: AnyArray = np.diff(dates.tz_localize(None).normalize().to_numpy().astype("datetime64[D]")).astype(np.intp)
    step = int(np.gcd.reduce(days))
    if step in (7, 14) and _is_usual(days == step):
        yield pd.date_range(dates[0], periods=int(days.sum()) // step + 2, freq=pd.DateOffset(days=step))
    if (dates.day_of_week < 5).all():
        following = [date + BDay() for date in dates]
        if _is_usual(dates[1:].normalize() == pd.DatetimeIndex(following[:-1]).normalize()):
            yield _extended(dates, following[-1])
    elif _is_usual(days == 1):
        yield _extended(dates, dates[-1] + pd.DateOffset(days=1))


def _calendar_of_periods(labels: pd.Index) -> Iterator[pd.DatetimeIndex]:
    """Calendar of the frequency of Periods; days leave open which of them are holidays."""
    if isinstance(labels, pd.PeriodIndex) and isinstance(labels.freq, _LONGER_THAN_A_DAY):
        yield pd.period_range(labels.min(), labels.max() + 1).to_timestamp(how="end").normalize()


def _is_usual(steps: AnyArray) -> bool:
    return bool(steps.mean() >= 0.5)


def _extended(dates: pd.DatetimeIndex, end: pd.Timestamp) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(dates.append(pd.DatetimeIndex([end])))


def _without_freq(dates: pd.Index) -> pd.DatetimeIndex:
    """Forget a frequency, which other packages would take for one of trading days."""
    plain = pd.DatetimeIndex(dates).copy()
    plain.freq = None  # type: ignore[misc]  # the stubs miss the setter
    return plain
