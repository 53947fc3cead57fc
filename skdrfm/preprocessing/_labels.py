"""Industry and weight of each row, looked up by label and never by position."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray, FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.panel._index import positions_of_rows
from skdrfm.utils.validation import describe_first

__all__ = ["industry_codes", "row_weights"]


def industry_codes(industry: "pd.Series[Any]", X: Any) -> IntArray:
    """Give each row the number of its industry.

    Parameters
    ----------
    industry : Series
        Industry by asset, or by (date, asset).
    X : DataFrame of shape (n_samples, n_features)
        Rows whose index has a level ``asset``.

    Returns
    -------
    ndarray of shape (n_samples,)
        Number of the industry, from 0.

    Raises
    ------
    PanelError
        If X or the Series carries no such labels, a label occurs twice, or a row has no industry.
    """
    rows = _positions(industry, X, "industry")
    codes = np.append(pd.factorize(industry)[0], -1)[rows]  # -1, no such label, reads the last one
    absent = codes < 0
    if absent.any():
        raise PanelError(
            f"'industry' must hold the industry of every row of X. Got {_faults(absent, X)}. "
            f"{_way_out('industry', industry)}"
        )
    return codes.astype(np.intp)


def row_weights(weight: "pd.Series[Any]", X: Any) -> FloatArray:
    """Read the weight of each row.

    Parameters
    ----------
    weight : Series
        Weight by asset, or by (date, asset); finite and above 0, in any unit.
    X : DataFrame of shape (n_samples, n_features)
        Rows whose index has a level ``asset``.

    Returns
    -------
    ndarray of shape (n_samples,), float64
        Weights.

    Raises
    ------
    PanelError
        If X or the Series carries no such labels, a label occurs twice, or a row has no weight
        that is finite and above 0.
    """
    rows = _positions(weight, X, "weight")
    if not pd.api.types.is_numeric_dtype(weight.dtype):
        raise PanelError(f"'weight' must hold numbers. Got dtype {weight.dtype}. Convert it with pd.to_numeric.")
    weights = np.append(weight.to_numpy(dtype=np.float64, na_value=np.nan), np.nan)[rows]
    absent = np.isnan(weights)
    if absent.any():
        raise PanelError(
            f"'weight' must hold the weight of every row of X. Got {_faults(absent, X)}. "
            "Drop these rows of X, or give them a weight."
        )
    useless = ~((weights > 0) & np.isfinite(weights))
    if useless.any():
        first = describe_first(list(weights[useless]))
        raise PanelError(
            f"'weight' must be finite and above 0. Got {int(useless.sum())} rows with another one: {first}. "
            "Drop these rows of X, or give them a small weight."
        )
    return weights


def _positions(series: "pd.Series[Any]", X: Any, name: str) -> IntArray:
    """Find where the label of each row of X stands in the Series; -1 where it is not there."""
    index = getattr(X, "index", None)
    if not isinstance(index, pd.Index) or "asset" not in index.names:
        found = f"a {type(X).__name__}"
        if isinstance(index, pd.Index):
            found += " with the levels " + ", ".join(repr(level) for level in index.names)
        raise PanelError(
            f"'{name}' is looked up by the labels of X, which must be a DataFrame with an index level named 'asset'. "
            f"Got {found}. Pass the panel, in a pipeline after set_output(transform='pandas'), or leave out '{name}'."
        )
    return positions_of_rows(series, index, name=name, rows_name="X")


def _faults(absent: BoolArray, X: pd.DataFrame) -> str:
    """Count the rows without a value and name their first assets."""
    assets = X.index.get_level_values("asset")[absent].unique()
    return f"{int(absent.sum())} of {len(X)} rows without one, of assets {describe_first(list(assets))}"


def _way_out(name: str, series: "pd.Series[Any]") -> str:
    labels = "X.index" if series.index.nlevels > 1 else "X.index.unique('asset')"
    return f"Fill in: {name}.reindex({labels}).fillna('unknown')."
