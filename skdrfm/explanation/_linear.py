"""Linear models explain themselves: their coefficients are the loadings of every row."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skdrfm.exceptions import PanelError
from skdrfm.explanation._arrays import check_axes, read_only
from skdrfm.explanation._explanation import Explanation


def linear_explanation(
    data: ArrayLike,
    coefficients: ArrayLike,
    intercept: float = 0.0,
    *,
    index: pd.Index | None = None,
    descriptor_names: Sequence[str] | None = None,
    lags: Sequence[int] | None = None,
) -> Explanation:
    """Explain a linear model: its coefficients are the loadings of every row.

    Parameters
    ----------
    data : array-like of shape (n_samples, n_timesteps, n_features)
        The inputs, oldest lag first.
    coefficients : array-like of shape (n_timesteps, n_features) or (n_timesteps * n_features,)
        Coefficients; flat ones are time-major, like flat columns.
    intercept : float, default=0.0
        Constant of the model. It becomes the bias; stabilizer and state are 0.
    index : Index of length n_samples, default=None
        Rows, usually (date, asset).
    descriptor_names : sequence of str of length n_features, default=None
        Names of the descriptors.
    lags : sequence of int of length n_timesteps, default=None
        Lag of each time step, oldest first.

    Returns
    -------
    Explanation
        Its predictions are those of the model, and its method is ``"linear"``.

    Raises
    ------
    PanelError
        If the shapes do not agree.

    Examples
    --------
    >>> from skdrfm.explanation import linear_explanation
    >>> explanation = linear_explanation([[[1.0, 2.0]], [[0.0, 1.0]]], [0.5, 0.25], 0.1)
    >>> explanation.predictions
    array([1.1 , 0.35])
    >>> explanation.values[:, 0]
    array([[0.5 , 0.5 ],
           [0.  , 0.25]])
    """
    inputs = read_only(data)
    check_axes("data", inputs)
    slopes = np.asarray(coefficients, dtype=np.float64)
    n_samples, n_timesteps, n_features = inputs.shape
    n_columns = n_timesteps * n_features
    if slopes.shape not in ((n_timesteps, n_features), (n_columns,)):
        raise PanelError(
            f"'coefficients' must have shape ({n_timesteps}, {n_features}) or "
            f"({n_columns},), as 'data' has it. Got {slopes.shape}. "
            "Pass one coefficient for each column."
        )
    # A copy of the few coefficients: the caller may go on to change theirs.
    flat = read_only(slopes.flatten(), owned=True)
    nothing = read_only(np.zeros(n_samples), owned=True)
    return Explanation(
        loadings=np.broadcast_to(flat.reshape(1, n_timesteps, n_features), inputs.shape),
        data=inputs,
        predictions=inputs.reshape(n_samples, n_columns) @ flat + intercept,
        bias=np.full(n_samples, float(intercept)),
        stabilizer=nothing,
        state=nothing,
        index=index,
        descriptor_names=descriptor_names,  # type: ignore[arg-type]  # stored as a tuple
        lags=lags,  # type: ignore[arg-type]  # stored as a tuple
        method="linear",
    )
