"""Rows of the training window that stand for what is not known: laid out like the explained rows, and before them."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.inspection._resolve import Inputs, last_step
from skdrfm.panel import dates_of
from skdrfm.panel._text_dates import check_text_dates
from skdrfm.utils.validation import check_finite, describe_first


def training_rows(rows: Any, model: Any, X: Any, *, name: str) -> FloatArray:
    """Check rows of the training window, and transform them to what the last step of the model reads.

    Parameters
    ----------
    rows : DataFrame or ndarray of n_rows rows
        Rows as X has them, at least one.
    model : estimator, keras.Model or path
        The model, whose Pipeline transforms them.
    X : DataFrame or ndarray
        The explained rows.
    name : str
        What the rows are called in messages.

    Returns
    -------
    ndarray of shape (n_rows, n_columns) or (n_rows, n_timesteps, n_features)
        The rows after the earlier steps of a Pipeline, in float64.

    Raises
    ------
    PanelError
        If the columns are not those of X or, where both have dates, one is not before the first date of X.
    NonFiniteError
        If a value is NaN or infinite.
    """
    _check_columns(rows, X, name)
    _check_dates_before(rows, X, name)
    _, inputs = last_step(model, Inputs.of(rows))
    values = np.asarray(inputs.X, dtype=np.float64)
    check_finite(values.reshape(len(values), -1), what=name, columns=inputs.names)
    return values


def _check_columns(rows: Any, X: Any, name: str) -> None:
    given, expected = (getattr(part, "columns", None) for part in (rows, X))
    if given is None or expected is None or list(given) == list(expected):
        return
    found = f"{len(given)} columns instead of {len(expected)}"
    if len(given) == len(expected):
        place = next(j for j in range(len(given)) if given[j] != expected[j])
        found = f"{given[place]!r} instead of {expected[place]!r} in column {place}"
    raise PanelError(
        f"{name!r} must have the columns of X in the same order. Got {found}. Select them: {name}[X.columns]."
    )


def _check_dates_before(rows: Any, X: Any, name: str) -> None:
    indexes = [getattr(part, "index", None) for part in (rows, X)]
    dated = [dates_of(index) for index in indexes if isinstance(index, pd.Index) and "date" in index.names]
    if len(dated) < 2:
        return
    missing = sum(int(np.count_nonzero(dates.isna())) for dates in dated)
    if missing:
        raise PanelError(f"The rows of {name!r} and X must have a date. Got {missing} rows without one. Drop them.")
    given, explained = (dates.unique() for dates in dated)
    try:
        # Together, since pandas would read text as dates where it compares the two.
        together = given.append(explained).unique().sort_values()
    except (TypeError, ValueError) as error:
        raise PanelError(
            f"The dates of {name!r} and X must be of one type. Got {given.dtype} and {explained.dtype}. Convert "
            "them, for example with pd.to_datetime."
        ) from error
    if isinstance(together[0], str):
        check_text_dates(together)
    first = explained.min()
    late = given[np.asarray(given >= first)].sort_values()
    if len(late):
        raise PanelError(
            f"{name!r} must come from dates before the first date of X, {first}. Got {len(late)} dates that do "
            f"not: {describe_first(list(map(str, late)))}. Take rows of the training window: "
            f"{name}[{name}.index.get_level_values('date') < first_date]."
        )
