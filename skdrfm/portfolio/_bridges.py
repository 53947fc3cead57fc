"""Bridges: panels and portfolio returns in the shapes that other packages for portfolio analysis read."""

import warnings
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.exceptions import CoverageWarning, PanelError
from skdrfm.metrics._validation import numbers_of
from skdrfm.panel import assets_of, check_panel_index, dates_of
from skdrfm.panel._index import check_is_series
from skdrfm.portfolio._earning_dates import calendar_with_end, period_end_timestamps, returns_by_date
from skdrfm.utils.validation import check_finite, describe_first


def to_alphalens(
    predictions: "pd.Series[Any]", returns: "pd.Series[Any]", *, last_date: Any = None
) -> tuple["pd.Series[Any]", pd.DataFrame]:
    """Turn predictions and forward returns into the factor and the prices that alphalens reads.

    Prices start at 1 and compound the forward returns, ``p(t+1) = p(t) (1 + r(t))``, so that the forward returns over
    one period that alphalens computes from them are the given ones.

    Parameters
    ----------
    predictions : Series of shape (n_samples,), indexed by (date, asset)
        Scores made at each date, in any unit.
    returns : Series, indexed by (date, asset)
        Decimal forward returns (0.01 = 1 %), over the period after each date. NaN where a return is not known.
    last_date : date, default=None
        Date on which the last returns are earned. None continues the spacing of the dates of returns: month ends,
        month starts or business month ends (every 1, 3, 6 or 12 months), weeks, or days; where that is unclear, the
        frequency of Period dates of a week or longer. If it is given, each return ends at the next date of returns.

    Returns
    -------
    factor : Series indexed by (date, asset)
        The predictions, sorted, with dates as timestamps: Period, yyyymm and ISO months are month ends.
    prices : DataFrame of shape (n_periods + 1, n_assets)
        Prices by date and asset, NaN where no return begins or ends. Months, quarters and weeks that returns lack
        have a row of their own, days have not.

    Raises
    ------
    PanelError
        If an index is no panel index, no prediction has a return, a return is below -1 or comes after a total loss, or
        the spacing of the dates is unclear.
    NonFiniteError
        If a prediction is NaN or infinite, or a return infinite.

    Warns
    -----
    CoverageWarning
        If predictions have no known return. They are left out and counted, because alphalens fills prices forward and
        would take their returns for 0.

    Notes
    -----
    Pass ``periods=(1,)`` to alphalens. Over several periods it takes unknown returns, in gaps and after the last
    return of an asset, for 0. Where its figures differ from ours by convention:

    - ``mean_return_by_quantile`` subtracts the mean of each date unless ``demeaned=False``, and then averages over all
      rows unless ``by_date=True``; `quantile_returns` does neither.
    - Quantiles are cut by ``pd.qcut``: equal scores all fall into one quantile, and a date whose borders coincide is
      dropped. Quantile sizes differ where the names are no multiple of the quantiles. Ours share slots.
    - Its t statistics take dates as independent; ours are Newey-West.
    - It annualises with 252 days.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.portfolio import to_alphalens
    >>> index = pd.MultiIndex.from_product([[202401, 202402], ["A", "B"]], names=["date", "asset"])
    >>> factor, prices = to_alphalens(
    ...     pd.Series([1.0, 2.0, 2.0, 1.0], index=index), pd.Series([0.1, 0.2, -0.5, 0.0], index=index)
    ... )
    >>> prices.round(2)
    asset          A    B
    date
    2024-01-31  1.00  1.0
    2024-02-29  1.10  1.2
    2024-03-31  0.55  1.2
    """
    scores, score_index = _panel_values(predictions, "predictions")
    check_finite(scores, what="predictions")
    known, index = _panel_values(returns, "returns", drop_nan=True)
    check_finite(known, what="returns")
    _check_no_less_than_everything(known, index)
    factor = _factor(scores, score_index, index)

    labels = dates_of(index)
    dates = period_end_timestamps(labels)
    calendar = calendar_with_end(dates.unique().sort_values(), last_date, labels=labels)
    columns, assets = pd.factorize(assets_of(index), sort=True)
    growth = np.full((len(calendar), len(assets)), np.nan)
    growth[calendar.get_indexer(dates), columns] = 1 + known
    prices = pd.DataFrame(_compound(growth, assets, calendar), index=calendar, columns=pd.Index(assets, name="asset"))
    return factor, prices.rename_axis(index="date")


def to_returns(returns: "pd.Series[Any]", *, last_date: Any = None) -> "pd.Series[Any]":
    """Move returns from the date of the prediction to the date on which they are earned.

    A forward return is stored at the date t of its prediction and earned over (t, t+1]; quantstats, empyrical and
    others expect it at t+1, with a DatetimeIndex.

    Parameters
    ----------
    returns : Series of shape (n_dates,), indexed by date
        Decimal returns (0.01 = 1 %), for example ``BacktestResult.long_short``.
    last_date : date, default=None
        Date on which the last return is earned. None continues the spacing of the dates: month ends, month starts or
        business month ends (every 1, 3, 6 or 12 months), weeks, or days; where that is unclear, the frequency of
        Period dates of a week or longer. If it is given, each return is earned at the next date.

    Returns
    -------
    Series of shape (n_known,), indexed by timestamps
        The same returns in the order of time, without NaN.

    Raises
    ------
    PanelError
        If returns is no Series with one row for each date, the dates are no dates, or their spacing is unclear.
    NonFiniteError
        If a return is infinite.

    Warns
    -----
    CoverageWarning
        If dates have no return (NaN): they are left out and counted.

    Notes
    -----
    Tell other packages the number of periods, for example ``quantstats.stats.sharpe(..., periods=12)`` and
    ``empyrical.sharpe_ratio(..., annualization=12)``: without it they take returns for daily and annualise with 252.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.portfolio import to_returns
    >>> to_returns(pd.Series([0.01, -0.02, 0.03], index=[202401, 202402, 202403]))
    date
    2024-02-29    0.01
    2024-03-31   -0.02
    2024-04-30    0.03
    dtype: float64
    """
    values = returns_by_date(returns)
    dates = period_end_timestamps(returns.index)
    order = dates.argsort()
    values, dates = values[order], dates[order]
    calendar = calendar_with_end(dates, last_date, labels=returns.index)
    earned = calendar[calendar.get_indexer(dates) + 1].rename("date")
    missing = np.isnan(values)
    if missing.any():
        warnings.warn(
            f"{int(missing.sum())} of {len(values)} dates have no return (NaN) and are left out, the first is "
            f"{dates[missing][0]}. Figures of other packages are over the other dates.",
            CoverageWarning,
            stacklevel=2,
        )
    return pd.Series(values[~missing], index=earned[~missing], name=returns.name)


def _panel_values(series: Any, name: str, *, drop_nan: bool = False) -> tuple[FloatArray, pd.MultiIndex]:
    check_is_series(series, name=name)
    kept = series.dropna() if drop_nan else series
    index = check_panel_index(kept, name=name)
    if not len(kept):
        raise PanelError(
            f"{name} must have at least one {'value' if drop_nan else 'row'}. Got {len(series)} rows"
            f"{' of NaN' if len(series) else ''}. Check how its rows were selected."
        )
    return numbers_of(kept, name=name), index


def _check_no_less_than_everything(known: FloatArray, index: pd.MultiIndex) -> None:
    below = known < -1
    if below.any():
        raise PanelError(
            "returns must be decimals of at least -1, for prices cannot fall below 0. Got "
            f"{int(below.sum())} below: {describe_first(index[below].tolist())}. Divide percent by 100."
        )


def _factor(scores: FloatArray, index: pd.MultiIndex, known: pd.MultiIndex) -> "pd.Series[Any]":
    """Sort the scores that have a known return, and count the others."""
    if list(known.names) != list(index.names):
        known = known.reorder_levels(list(index.names))
    usable = np.asarray(index.isin(known))
    if not usable.any():
        raise PanelError(
            f"predictions must have known returns of the same (date, asset). Got none for {len(index)} rows, such as "
            f"{describe_first(index.tolist())}. Check that both use the same type of dates and assets."
        )
    if not usable.all():
        warnings.warn(
            f"{int((~usable).sum())} of {len(usable)} predictions have no known return and are left out: "
            f"{describe_first(index[~usable].tolist())}.",
            CoverageWarning,
            stacklevel=3,
        )
    moments = period_end_timestamps(dates_of(index))
    pairs = pd.MultiIndex.from_arrays([moments[usable], assets_of(index)[usable]], names=["date", "asset"])
    return pd.Series(scores[usable], index=pairs, name="factor").sort_index()


def _compound(growth: FloatArray, assets: Any, calendar: pd.DatetimeIndex) -> FloatArray:
    """Prices at the beginning of each period; growth is NaN where no return is known."""
    known = ~np.isnan(growth)
    level = np.ones(growth.shape)
    np.cumprod(np.where(known, growth, 1.0)[:-1], axis=0, out=level[1:])
    lost = known & (level == 0)
    if lost.any():
        row, column = np.argwhere(lost)[0]
        raise PanelError(
            f"No return may follow a total loss (-1). Got {int(lost.sum())} such returns, the first of "
            f"{assets[column]!r} at {calendar[row]}. Give the asset that comes after the loss another name."
        )
    # The end of a return has a price also where no other return begins.
    priced = known.copy()
    priced[1:] |= known[:-1]
    prices: FloatArray = np.where(priced, level, np.nan)
    return prices
