"""Checks of panel transformers."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from skdrfm.utils._check_panels import (
    as_array,
    is_close,
    is_unchanged,
    require,
    same_bits,
    transformer_panel,
)


def check_transformer_input_not_modified(estimator: Any) -> None:
    """Check that ``fit``, ``transform`` and ``fit_transform`` leave X as it was.

    Parameters
    ----------
    estimator : transformer
        Transformer to check.

    Raises
    ------
    AssertionError
        If values, index or attributes of X change.
    """
    for form in ("DataFrame", "ndarray"):
        frame = transformer_panel(estimator)
        frame.attrs["note"] = "kept"
        X: Any = frame if form == "DataFrame" else frame.to_numpy(copy=True)
        before = X.copy()
        fitted = clone(estimator).fit(X)
        fitted.transform(X)
        clone(estimator).fit_transform(X)
        same = is_unchanged(before, X) if form == "DataFrame" else same_bits(before, X)
        require(same, estimator, f"fit or transform changed the {form} that was passed in.")


def check_rows_preserved(estimator: Any) -> None:
    """Check that the outcome has the rows of X, in its order, with its index.

    Parameters
    ----------
    estimator : transformer
        Transformer to check.

    Raises
    ------
    AssertionError
        If rows are lost, added or moved, or a DataFrame does not stay one.
    """
    X = transformer_panel(estimator)
    out = clone(estimator).fit_transform(X)
    require(
        isinstance(out, pd.DataFrame),
        estimator,
        f"a DataFrame must stay a DataFrame, whose index carries the dates. Got {type(out).__name__}.",
    )
    require(
        out.index.equals(X.index),
        estimator,
        f"transform must keep the rows of X in their order. Got {len(out)} rows for {len(X)}"
        f"{', in another order' if len(out) == len(X) else ''}.",
    )


def check_transform_row_order(estimator: Any) -> None:
    """Check that the outcome of a row does not depend on where it stands in X.

    Parameters
    ----------
    estimator : transformer
        Transformer to check.

    Raises
    ------
    AssertionError
        If rows in another order are transformed to other values.
    """
    X = transformer_panel(estimator)
    order = np.random.default_rng(1).permutation(len(X))
    expected = as_array(clone(estimator).fit_transform(X))[order]
    got = clone(estimator).fit_transform(X.iloc[order])
    require(
        is_close(got, expected, rtol=1e-12),
        estimator,
        "the same rows in another order must be transformed to the same values.",
    )


def check_date_independence(estimator: Any) -> None:
    """Check that each date is transformed from its own rows alone.

    Parameters
    ----------
    estimator : transformer
        Transformer to check.

    Raises
    ------
    AssertionError
        If the cross-section of one date alone is transformed to other values than within the panel.
    """
    X = transformer_panel(estimator)
    fitted = clone(estimator).fit(X)
    whole = as_array(fitted.transform(X))
    dates = X.index.get_level_values("date")
    for date in dates.unique():
        rows = as_array(dates == date)
        require(
            same_bits(fitted.transform(X[rows]), whole[rows]),
            estimator,
            f"date {date:%Y-%m} alone must be transformed as within the panel, bit for bit: "
            "other dates have an effect on it.",
        )


def check_no_look_ahead(estimator: Any) -> None:
    """Check that nothing after a date has an effect on it, through ``fit`` included.

    Parameters
    ----------
    estimator : transformer
        Transformer to check.

    Raises
    ------
    AssertionError
        If outcomes change, in any bit, when later rows are changed or removed.
    """
    X = transformer_panel(estimator)
    whole = as_array(clone(estimator).fit_transform(X))
    dates = X.index.get_level_values("date")
    rng = np.random.default_rng(2)
    for date in dates.unique().sort_values()[:-1]:
        past = as_array(dates <= date)
        changed = X.copy()
        changed[~past] = 1e6 * rng.standard_normal((int((~past).sum()), X.shape[1]))
        for label, other in (("changed", changed), ("removed", X[past])):
            out = as_array(clone(estimator).fit_transform(other))
            out = out[past] if label == "changed" else out
            require(
                same_bits(out, whole[past]),
                estimator,
                f"outcomes up to {date:%Y-%m} differ when later rows are {label}: look-ahead.",
            )
