"""What every figure asks of its input, checked in one place."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.panel import check_aligned
from skdrfm.utils._param_validation import validate_params
from skdrfm.utils.validation import check_finite

_Function = TypeVar("_Function", bound=Callable[..., Any])


def validated(constraints: dict[str, list[Any]]) -> Callable[[_Function], _Function]:
    """Declare the values that parameters may take, keeping the signature for type checkers."""
    decorator = validate_params(constraints, prefer_skip_nested_validation=True)
    return cast("Callable[[_Function], _Function]", decorator)


def as_values(values: Any, *, name: str) -> FloatArray:
    """Read one number per row, all of them finite.

    Parameters
    ----------
    values : array-like of shape (n_samples,)
        Numbers; a Series, array or list.
    name : str
        Name of the values in messages.

    Returns
    -------
    ndarray of shape (n_samples,), float64
        The numbers, not to be written to: they may share memory with ``values``.

    Raises
    ------
    PanelError
        If the values are no numbers, not one-dimensional or empty.
    NonFiniteError
        If a value is NaN or infinite.
    """
    array = as_float_vector(values, name=name)
    check_finite(array, what=name)
    return array


def as_return_series(returns: Any, *, name: str = "returns", at_least: int = 1) -> FloatArray:
    """Read one return per period, all of them finite and enough of them."""
    array = as_float_vector(returns, name=name, allow_empty=True)
    faults = int((~np.isfinite(array)).sum())
    if faults:
        raise NonFiniteError(
            f"{name} must hold finite numbers. Got {faults} NaN or infinite of {len(array)} values. "
            f"Leave these periods out on purpose, for example with {name}.dropna()."
        )
    if len(array) < at_least:
        periods = "one period" if at_least == 1 else f"{at_least} periods"
        raise PanelError(
            f"{name} must hold at least {periods} for this figure. Got {len(array)}. Pass a longer series."
        )
    return array


def as_aligned_values(y_true: Any, y_pred: Any, *, name: str = "y_pred") -> tuple[FloatArray, FloatArray]:
    """Read returns and predictions of the same rows.

    Rows are compared by index where both are Series, and by number alone otherwise.
    """
    if isinstance(y_true, pd.Series) and isinstance(y_pred, pd.Series):
        check_aligned(y_true, y_pred, x_name="y_true", y_name=name)
        if not y_true.index.equals(y_pred.index):
            raise PanelError(
                f"{name} must have the index of y_true, row by row. Got another index. "
                f"Align them: {name} = {name}.reindex(y_true.index)."
            )
    truth = as_values(y_true, name="y_true")
    prediction = as_values(y_pred, name=name)
    check_aligned(truth, prediction, x_name="y_true", y_name=name)
    return truth, prediction


def as_float_vector(values: Any, *, name: str, allow_empty: bool = False) -> FloatArray:
    """Read one number per row; NaN and infinity pass."""
    array = numbers_of(values, name=name)
    if array.ndim != 1:
        raise PanelError(
            f"{name} must be one-dimensional with one number for each row. Got shape {array.shape}. "
            "Pass a Series or a 1-D array."
        )
    if not (len(array) or allow_empty):
        raise PanelError(f"{name} must have at least one row. Got none. Check how the rows were selected.")
    return array


def numbers_of(values: Any, *, name: str) -> FloatArray:
    """Read numbers of any shape as float64; missing ones become NaN, which is left to the caller."""
    try:
        if isinstance(values, pd.Series | pd.DataFrame | pd.Index | pd.api.extensions.ExtensionArray):
            numbers: FloatArray = values.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PanelError(
            f"{name} must hold numbers. Got {type(values).__name__} that cannot be read as float64. "
            "Convert it, for example with pd.to_numeric, or labels with pd.get_dummies."
        ) from error
    return numbers
