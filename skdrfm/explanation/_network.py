"""Explanations of networks."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skdrfm import lrp
from skdrfm._typing import FloatArray
from skdrfm.exceptions import SkdrfmWarning
from skdrfm.explanation._explanation import Explanation


def network_explanation(
    network: lrp.Network,
    data: FloatArray,
    *,
    rule: Any = "lrp-all",
    dtype: Any = "float64",
    index: pd.Index | None = None,
    descriptor_names: Sequence[str] | None = None,
    lags: Sequence[int] | None = None,
    **options: Any,
) -> Explanation:
    """Explain the predictions of a network.

    Parameters
    ----------
    network : skdrfm.lrp.Network
        The network.
    data : ndarray of shape (n_samples, n_timesteps, n_features)
        The inputs, oldest lag first.
    rule : str or object, default="lrp-all"
        One of `skdrfm.lrp.METHODS`, a `Rule`, a `Composite` or another method of `skdrfm.lrp`.
    dtype : {"float64", "float32"}, default="float64"
        Precision of the computation.
    index : Index of length n_samples, default=None
        Rows, usually (date, asset).
    descriptor_names : sequence of str of length n_features, default=None
        Names of the descriptors.
    lags : sequence of int of length n_timesteps, default=None
        Lag of each time step, oldest first.
    **options
        epsilon, epsilon_mode, bias_factor, sequence and chunk_size, as in `skdrfm.lrp.propagate`.

    Returns
    -------
    Explanation
        Its predictions are those of the network, before an output activation such as a sigmoid.

    Warns
    -----
    SkdrfmWarning
        If the network has such an output activation.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.explanation import network_explanation
    >>> from skdrfm.lrp import Dense, Flatten, Network
    >>> network = Network([Flatten(), Dense(np.ones((4, 1)), np.zeros(1))], n_timesteps=2, n_features=2)
    >>> network_explanation(network, np.ones((3, 2, 2)))
    Explanation(n_samples=3, n_timesteps=2, n_features=2, method='lrp-all')
    """
    if network.output_activation != "linear":
        warnings.warn(
            f"The output has the activation {network.output_activation!r}, which is not 0 at 0. Explained is what it "
            "is applied to; the predictions of the explanation are without it.",
            SkdrfmWarning,
            stacklevel=2,
        )
    relevance = lrp.attribute(network, data, rule=rule, dtype=np.dtype(dtype), **options)
    return Explanation(
        loadings=relevance.loadings,
        data=data,
        predictions=relevance.predictions,
        bias=relevance.bias,
        stabilizer=relevance.stabilizer,
        state=relevance.state,
        offsets=relevance.offsets,
        index=index,
        descriptor_names=descriptor_names,  # type: ignore[arg-type]  # stored as a tuple
        lags=lags,  # type: ignore[arg-type]  # stored as a tuple
        coverage=relevance.coverage,
        method=lrp.method_name(rule),
    )
