"""Forward returns: the target of every model."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.panel._index import check_panel_index
from skdrfm.panel._lags import _source_rows
from skdrfm.utils.validation import check_finite


def forward_returns(
    data: "pd.Series[Any]", horizon: int = 1, *, kind: str = "returns", frequency: str = "M"
) -> "pd.Series[float]":
    """Return over the periods after each date, stored at that date.

    The value at date t is the return over (t, t + horizon], so it is not known at t: it is a target, never a
    descriptor. Periods are calendar periods of each asset, so that a gap in its history never
    stretches a return: the value is NaN where the return of one of the periods, or the price at the
    last one, is missing.

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

    Returns
    -------
    Series of shape (n_samples,)
        Decimal forward return named ``"forward_return"``, with the index of data. NaN where unknown.

    Raises
    ------
    PanelError
        If data has no panel index, horizon is no positive integer, kind is unknown, a return is below -1 or a
        price is not positive.
    NonFiniteError
        If data holds infinity. NaN may stand for a missing value.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.panel import forward_returns
    >>> index = pd.MultiIndex.from_product(
    ...     [pd.to_datetime(["2020-01-31", "2020-02-29", "2020-03-31"]), ["A"]], names=["date", "asset"]
    ... )
    >>> forward_returns(pd.Series([100.0, 110.0, 99.0], index=index), kind="prices").round(4).tolist()
    [0.1, -0.1, nan]
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
    forward: FloatArray
    if kind == "prices":
        forward = _ahead(values, index, horizon, frequency) / values - 1
    else:
        forward = np.zeros_like(values)
        for step in range(1, horizon + 1):
            # (1 + f)(1 + r) - 1 without the rounding of 1 + r: one period is returned bit for bit.
            ahead = _ahead(values, index, step, frequency)
            forward = forward + ahead + forward * ahead
    return pd.Series(forward, index=data.index, name="forward_return")


def _check_arguments(data: Any, horizon: Any, kind: str) -> None:
    if not isinstance(data, pd.Series):
        raise PanelError(f"'data' must be a Series of {kind}. Got a {type(data).__name__}. Pass one column of it.")
    if not (isinstance(horizon, int | np.integer) and horizon >= 1):
        raise PanelError(f"'horizon' must be an integer >= 1. Got {horizon!r}.")
    if kind not in ("returns", "prices"):
        raise PanelError(f"'kind' must be 'returns' or 'prices'. Got {kind!r}.")


def _ahead(values: FloatArray, index: pd.MultiIndex, step: int, frequency: str) -> FloatArray:
    """Value of the same asset ``step`` periods later, NaN where there is none."""
    rows, found = _source_rows(index, [step], frequency)
    ahead = np.full(len(values), np.nan)
    # Row i finds its value ``step`` periods earlier in rows[i]; the earlier row therefore looks ahead to i.
    ahead[rows[found, 0]] = values[found]
    return ahead
