"""Forward returns: the target of every model."""

import logging
import warnings
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray, FloatArray, IntArray
from skdrfm.exceptions import CoverageWarning, PanelError
from skdrfm.panel._delisting import NONE_GIVEN, Delistings, place_delistings
from skdrfm.panel._history import History
from skdrfm.panel._index import assets_of, check_panel_index
from skdrfm.utils.validation import check_finite, describe_first

logger = logging.getLogger(__name__)


def forward_returns(
    data: "pd.Series[Any]",
    horizon: int = 1,
    *,
    kind: str = "returns",
    frequency: str = "M",
    delisting: "float | pd.Series[Any] | None" = None,
) -> "pd.Series[float]":
    """Return over the periods after each date, stored at that date.

    The value at date t is the return over (t, t + horizon], so it is not known at t: it is a target, never a
    descriptor. Periods are calendar periods of each asset, so that a gap in its history never
    stretches a return: the value is NaN where the return of one of the periods, or the price at the
    last one, is missing.

    An asset that leaves the panel would leave its last date without a target, and the worst returns out of the
    sample. With ``delisting`` that target is known: the delisting return d counts in the period of the delisting,
    compounded with the return r of a part of that period if there is a row with one, (1 + r)(1 + d) - 1, and the
    proceeds stay in cash, at return 0, for the rest of the horizon. A row at or after the delisting is treated as any
    other, so that an asset may come back. Horizons that end after the last period of the panel stay NaN, as for every
    asset.

    Parameters
    ----------
    data : Series of shape (n_samples,), indexed by (date, asset)
        Decimal return of the period that ends at the row's date (0.01 = 1 %), or the price at that date.
    horizon : int, default=1
        Number of periods, compounded.
    kind : {"returns", "prices"}, default="returns"
        What data holds.
    frequency : {"M", "Q", "Y", "W", "D", "date"}, default="M"
        Length of a period. ``"date"`` counts the distinct dates of the panel, as for trading days.
    delisting : float or Series, default=None
        Delisting returns, decimal. A float is the return of every asset whose rows end before the last period, in
        the period after its last row; Shumway (1997) finds about -0.3 for delistings for poor performance. A Series
        indexed by (date, asset) holds the returns at the delisting dates (as ``dlret`` of CRSP); with
        ``frequency="date"`` a delisting between two dates of data counts at the later one. None: the last row of
        each asset has no forward return.

    Returns
    -------
    Series of shape (n_samples,)
        Decimal forward return named ``"forward_return"``, with the index of data. NaN where unknown. With
        ``delisting``, ``attrs["forward_returns"]`` counts ``n_delistings_used``, the delisting returns that entered
        at least one value, and ``n_delistings_unused``, those that entered none: of an asset or a period that data
        does not have, after the end of the panel or horizon, or without a row or a price in the period before.

    Raises
    ------
    PanelError
        If data has no panel index, horizon is no positive integer, kind is unknown, a return is below -1, a price
        is not positive, or an asset has two rows or two delisting returns in one period.
    NonFiniteError
        If data holds infinity; NaN may stand for a missing value. If a delisting return is missing or infinite.

    Warns
    -----
    CoverageWarning
        If delisting is a Series and none of its returns entered a value.

    References
    ----------
    Shumway (1997). The Delisting Bias in CRSP Data. Journal of Finance 52(1).

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.panel import forward_returns
    >>> index = pd.MultiIndex.from_product(
    ...     [pd.to_datetime(["2020-01-31", "2020-02-29", "2020-03-31"]), ["A"]], names=["date", "asset"]
    ... )
    >>> forward_returns(pd.Series([100.0, 110.0, 99.0], index=index), kind="prices").round(4).tolist()
    [0.1, -0.1, nan]

    An asset without a row in March is gone:

    >>> index = pd.MultiIndex.from_tuples(
    ...     [("2020-01", "A"), ("2020-01", "B"), ("2020-02", "A"), ("2020-02", "B"), ("2020-03", "A")],
    ...     names=["date", "asset"],
    ... )
    >>> returns = pd.Series([0.0, 0.0, 0.01, 0.02, 0.03], index=index)
    >>> forward = forward_returns(returns, delisting=-0.3)
    >>> forward.tolist(), forward.attrs["forward_returns"]
    ([0.01, 0.02, 0.03, -0.3, nan], {'n_delistings_used': 1, 'n_delistings_unused': 0})
    """
    index = check_panel_index(data, name="data")
    _check_arguments(data, horizon, kind)
    values: FloatArray = data.to_numpy(dtype=np.float64)
    check_finite(values, what="data", allow_nan=True)
    faulty = (values < -1) if kind == "returns" else (values <= 0)
    if faulty.any():
        bound = "at least -1 (decimals: 0.01 = 1 %)" if kind == "returns" else "positive"
        raise PanelError(
            f"The {kind} in 'data' must be {bound}. Got {int(faulty.sum())} that are not, first "
            f"{values[faulty][0]:g} at {index[faulty][0]}. Mend or drop these rows."
        )
    history = History.of_panel(index, frequency)
    placed = NONE_GIVEN if delisting is None else place_delistings(delisting, index, frequency)
    forward, n_used = _look_ahead(values, history, placed, horizon, kind)
    outcome = pd.Series(forward, index=data.index, name="forward_return")
    if delisting is not None:
        counts = {"n_delistings_used": n_used, "n_delistings_unused": placed.n_given - n_used}
        logger.info("delisting returns: used %(n_delistings_used)d, not %(n_delistings_unused)d", counts)
        outcome.attrs = {"forward_returns": counts}
        if isinstance(delisting, pd.Series) and placed.n_given and not n_used:
            names = [describe_first(list(assets_of(panel)[:2])) for panel in (data, delisting)]
            warnings.warn(
                f"At least one delisting return should belong to a row of data. Got none among {placed.n_given}. "
                f"Name dates and assets alike (assets of data: {names[0]}; of delisting: {names[1]}).",
                CoverageWarning,
                stacklevel=2,
            )
    return outcome


def _check_arguments(data: Any, horizon: Any, kind: str) -> None:
    if not isinstance(data, pd.Series):
        raise PanelError(f"'data' must be a Series of {kind}. Got a {type(data).__name__}. Pass one column of it.")
    if not (isinstance(horizon, int | np.integer) and horizon >= 1):
        raise PanelError(f"'horizon' must be an integer >= 1. Got {horizon!r}.")
    if kind not in ("returns", "prices"):
        raise PanelError(f"'kind' must be 'returns' or 'prices'. Got {kind!r}.")


def _look_ahead(
    values: FloatArray, history: History, placed: Delistings, horizon: int, kind: str
) -> tuple[FloatArray, int]:
    """Walk each row through the periods of its horizon; also count the delisting returns that were met."""
    n_rows = len(values)
    outcomes, event, longer = _with_delistings(values, history, placed, kind)
    forward: FloatArray = np.zeros(n_rows)
    worth: FloatArray = np.full(n_rows, np.nan)
    met = np.full(n_rows, -1)  # the first delisting on the way: from there on the proceeds are cash
    for step in range(1, horizon + 1):
        ahead = longer.shifted(step)[:n_rows]
        there = _at(outcomes, ahead)
        in_cash = met >= 0
        if kind == "prices":
            worth = np.where(in_cash, worth, there)
        else:
            # (1 + f)(1 + r) - 1 without the rounding of 1 + r: one period is returned bit for bit.
            gained = np.where(in_cash, 0.0, there)
            forward = forward + gained + forward * gained
        met = np.where(in_cash | (ahead < 0), met, event[ahead])
    if kind == "prices":
        forward = worth / values - 1
    # Beyond the end of the panel only the delisted would have a return: a sample of nothing but losers.
    forward[history.periods + horizon > history.periods.max(initial=0)] = np.nan
    return forward, len(np.unique(met[(met >= 0) & np.isfinite(forward)]))


def _with_delistings(
    values: FloatArray, history: History, placed: Delistings, kind: str
) -> tuple[FloatArray, IntArray, History]:
    """Join rows and delistings, as they meet those who hold the asset from an earlier period.

    Returns the return of the period or the price at its end, the number of the delisting (-1: none), and the rows
    sorted; delistings without a row come after the rows of data.
    """
    own = history.find(placed.assets, placed.periods)
    last = _at(values, own)
    known = np.isfinite(last)
    if kind == "prices":
        last = np.where(known, last, _at(values, history.find(placed.assets, placed.periods - 1)))
        ends = last * (1 + placed.returns)
    else:
        last = np.where(known, last, 0.0)
        ends = last + placed.returns + last * placed.returns
    added = own < 0
    rows = np.where(added, len(values) - 1 + np.cumsum(added), own)
    outcomes = np.concatenate([values, np.full(int(added.sum()), np.nan)])
    event = np.full(len(outcomes), -1)
    outcomes[rows] = ends
    event[rows] = np.arange(len(rows))
    assets = np.concatenate([history.assets, placed.assets[added]])
    periods = np.concatenate([history.periods, placed.periods[added]])
    return outcomes, event, History(assets, periods)


def _at(values: FloatArray, rows: AnyArray) -> FloatArray:
    """Values of rows, NaN for the row -1."""
    found: FloatArray = np.append(values, np.nan)[rows]
    return found
