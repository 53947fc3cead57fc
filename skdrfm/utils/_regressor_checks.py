"""Checks of panel regressors and of their explanations."""

import random
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.utils._check_panels import (
    as_array,
    is_close,
    is_unchanged,
    n_timesteps_of,
    regressor_panel,
    require,
    seeded,
)


def check_regressor_input_not_modified(estimator: Any) -> None:
    """Check that ``fit``, ``predict`` and ``explain`` leave X and y as they were.

    Parameters
    ----------
    estimator : regressor
        Regressor to check.

    Raises
    ------
    AssertionError
        If values, index or attributes change.
    """
    X, y = regressor_panel(estimator)
    before = X.copy(), y.copy()
    fitted = seeded(estimator).fit(X, y)
    fitted.predict(X)
    if hasattr(fitted, "explain"):
        fitted.explain(X)
    require(is_unchanged(before[0], X), estimator, "fit, predict or explain changed X.")
    require(is_unchanged(before[1], y), estimator, "fit, predict or explain changed y.")


def check_predict_one_float_per_row(estimator: Any) -> None:
    """Check that ``predict`` gives one finite float for each row.

    Parameters
    ----------
    estimator : regressor
        Regressor to check.

    Raises
    ------
    AssertionError
        If shape or dtype differ, or a prediction is not finite.
    """
    X, y = regressor_panel(estimator)
    fitted = seeded(estimator).fit(X, y)
    for rows in (X, X.iloc[:1]):
        predicted = as_array(fitted.predict(rows))
        fits = predicted.shape == (len(rows),) and np.issubdtype(predicted.dtype, np.floating)
        require(
            fits and bool(np.isfinite(predicted).all()),
            estimator,
            f"predict must give finite floats of shape ({len(rows)},). "
            f"Got {predicted.dtype} of shape {predicted.shape}.",
        )


def check_predict_row_order(estimator: Any) -> None:
    """Check that the prediction of a row does not depend on where it stands in X.

    Parameters
    ----------
    estimator : regressor
        Regressor to check.

    Raises
    ------
    AssertionError
        If rows in another order get other predictions.
    """
    X, y = regressor_panel(estimator)
    fitted = seeded(estimator).fit(X, y)
    order = np.random.default_rng(1).permutation(len(X))
    require(
        is_close(fitted.predict(X.iloc[order]), as_array(fitted.predict(X))[order], rtol=1e-5),
        estimator,
        "the same rows in another order must get the same predictions.",
    )


def check_global_random_state_unchanged(estimator: Any) -> None:
    """Check that the caller's global random generators are where they were.

    Parameters
    ----------
    estimator : regressor
        Regressor to check.

    Raises
    ------
    AssertionError
        If ``fit`` or ``predict`` draw from, or seed, the generators of NumPy or Python.
    """
    X, y = regressor_panel(estimator)
    # The legacy interface is the only one that shows the global state.
    numpy_before, python_before = np.random.get_state(legacy=True), random.getstate()  # noqa: NPY002
    try:
        seeded(estimator).fit(X, y).predict(X)
        numpy_after, python_after = np.random.get_state(legacy=True), random.getstate()  # noqa: NPY002
    finally:
        np.random.set_state(numpy_before)  # noqa: NPY002
        random.setstate(python_before)
    pairs = zip(numpy_before, numpy_after, strict=True)
    numpy_same = all(as_array(a).tolist() == as_array(b).tolist() for a, b in pairs)
    for module, same in (("numpy.random", numpy_same), ("random", python_before == python_after)):
        require(same, estimator, f"fit or predict changed the global state of {module}.")


def check_same_seed_same_predictions(estimator: Any) -> None:
    """Check that the same ``random_state`` gives the same predictions.

    Parameters
    ----------
    estimator : regressor
        Regressor to check.

    Raises
    ------
    AssertionError
        If two fits on the same data differ.
    """
    X, y = regressor_panel(estimator)
    first, second = (seeded(estimator).fit(X, y).predict(X) for _ in range(2))
    require(
        is_close(first, second, rtol=1e-6),
        estimator,
        "two fits with the same random_state on the same data must predict the same.",
    )


def check_2d_and_3d_agree(estimator: Any) -> None:
    """Check that 3-D input means the same as its 2-D layout, oldest lag first.

    Parameters
    ----------
    estimator : regressor
        Regressor with a parameter ``n_timesteps``.

    Raises
    ------
    AssertionError
        If predictions differ between input of shape (n_samples, n_timesteps, n_features) and of
        shape (n_samples, n_timesteps * n_features), in ``fit`` or in ``predict``.
    """
    X, y = regressor_panel(estimator)
    n_timesteps = n_timesteps_of(estimator)
    flat, target = X.to_numpy(), y.to_numpy()
    cube = flat.reshape(len(flat), n_timesteps, -1)
    from_flat = seeded(estimator).set_params(n_timesteps=n_timesteps).fit(flat, target)
    from_cube = seeded(estimator).fit(cube, target)
    expected = from_flat.predict(flat)
    require(
        is_close(from_flat.predict(cube), expected, rtol=1e-6),
        estimator,
        "predict must give the same for 3-D input as for its 2-D layout.",
    )
    require(
        is_close(from_cube.predict(cube), expected, rtol=1e-5),
        estimator,
        "fit must learn the same from 3-D input as from its 2-D layout.",
    )


def _explained(estimator: Any) -> tuple[Any, Any, pd.DataFrame]:
    X, y = regressor_panel(estimator)
    fitted = seeded(estimator).fit(X, y)
    return fitted, fitted.explain(X), X


def _relevance(explanation: Any) -> FloatArray:
    total: FloatArray = as_array(explanation.values).sum(axis=(1, 2))
    return total


def check_explanation_adds_up(estimator: Any) -> None:
    """Check that predictions are the sum of relevances and intercept, to 1e-10 relative.

    Parameters
    ----------
    estimator : regressor
        Regressor with a method ``explain``.

    Raises
    ------
    AssertionError
        If ``values.sum((1, 2)) + intercept`` differs from ``predictions``.
    """
    _, explanation, X = _explained(estimator)
    values, intercept = as_array(explanation.values), as_array(explanation.intercept)
    require(
        values.ndim == 3 and len(values) == len(X),
        estimator,
        f"explanation values must have shape ({len(X)}, n_timesteps, n_features). Got {values.shape}.",
    )
    predictions = as_array(explanation.predictions)
    gap = np.abs(predictions - (_relevance(explanation) + intercept))
    # Rounding grows with the terms that are added, which may be larger than their sum.
    scale = np.maximum(np.abs(predictions), np.abs(values).sum(axis=(1, 2)) + np.abs(intercept))
    worst = float(np.max(gap / np.where(scale == 0, 1.0, scale)))
    require(
        worst <= 1e-10,
        estimator,
        f"predictions must equal values.sum((1, 2)) + intercept. Got a relative gap of {worst:.2g}.",
    )


def check_explanation_matches_predict(estimator: Any) -> None:
    """Check that an explanation explains what ``predict`` predicts, to 1e-5 relative.

    A regressor with ``linearized=True`` predicts the sum of relevances, and is compared with that.

    Parameters
    ----------
    estimator : regressor
        Regressor with a method ``explain``.

    Raises
    ------
    AssertionError
        If the predictions differ.
    """
    fitted, explanation, X = _explained(estimator)
    linearized = bool(estimator.get_params().get("linearized", False))
    expected = _relevance(explanation) if linearized else explanation.predictions
    require(
        is_close(fitted.predict(X), expected, rtol=1e-5),
        estimator,
        f"predict must give the {'sum of relevances' if linearized else 'predictions'} of the explanation.",
    )


def check_explanation_row_order(estimator: Any) -> None:
    """Check that row i of an explanation belongs to row i of X.

    Parameters
    ----------
    estimator : regressor
        Regressor with a method ``explain``.

    Raises
    ------
    AssertionError
        If the index differs from that of X, or rows in another order get other explanations.
    """
    fitted, explanation, X = _explained(estimator)
    index = getattr(explanation, "index", None)
    require(
        index is not None and bool(X.index.equals(index)),
        estimator,
        "the index of an explanation must be that of X, in its order.",
    )
    order = np.random.default_rng(1).permutation(len(X))
    shuffled = fitted.explain(X.iloc[order])
    for name in ("values", "intercept", "predictions"):
        expected = as_array(getattr(explanation, name))[order]
        require(
            is_close(getattr(shuffled, name), expected, rtol=1e-6),
            estimator,
            f"row i of the explanation must belong to row i of X: {name!r} do not follow the rows.",
        )
