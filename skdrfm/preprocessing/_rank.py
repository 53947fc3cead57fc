"""Ranks within each cross-section."""

import numpy as np

from skdrfm._typing import FloatArray, IntArray
from skdrfm.preprocessing._cross_section import CrossSectionalTransformer, ranks_within


class CrossSectionalRankScaler(CrossSectionalTransformer):
    r"""Rank each descriptor within each date and scale the ranks to [-1, 1].

    With n values of a descriptor on a date, ties sharing their average rank,

    .. math:: z = 2 \frac{\mathrm{rank} - 1}{n - 1} - 1,

    so the smallest value gets -1, the median 0 and the largest 1. A descriptor with a single value
    on a date gets 0. It is the scaling of Gu, Kelly and Xiu (2020); Nakagawa et al. (2019) do not say how they scale.
    Only the date itself is used, so nothing leaks from the future and it may be applied to the whole panel before any
    split.

    Parameters
    ----------
    missing : {"keep", "zero", "raise"}, default="keep"
        What becomes of NaN. ``"keep"`` leaves it. ``"zero"`` puts 0, the neutral rank, and counts.
        ``"raise"`` refuses it. Infinity is always refused.

    Attributes
    ----------
    n_missing_ : Series or ndarray of shape (n_features,)
        Missing values of each column of the X given to ``fit``; a Series if X was a DataFrame.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names seen in ``fit``, if they are all strings.

    See Also
    --------
    skdrfm.stack_lags : Puts past cross-sections side by side; scale first, then stack.

    Notes
    -----
    It is stateless: ``fit`` checks X and counts, and ``transform`` gives the same result without
    it. A DataFrame outcome counts the filled values in ``attrs["n_missing_filled"]``.

    References
    ----------
    Gu, Kelly and Xiu (2020). Empirical Asset Pricing via Machine Learning. Review of Financial Studies 33(5).

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skdrfm.preprocessing import CrossSectionalRankScaler
    >>> dates = pd.to_datetime(["2020-01-31", "2020-02-29"])
    >>> index = pd.MultiIndex.from_product([dates, ["A", "B", "C"]], names=["date", "asset"])
    >>> X = pd.DataFrame({"CAP": [5.0, 9.0, 7.0, 4.0, np.nan, 4.0]}, index=index)
    >>> CrossSectionalRankScaler().fit_transform(X)["CAP"].tolist()
    [-1.0, 1.0, 0.0, 0.0, nan, 0.0]
    >>> scaled = CrossSectionalRankScaler(missing="zero").fit_transform(X)
    >>> scaled["CAP"].tolist(), scaled.attrs["n_missing_filled"]
    ([-1.0, 1.0, 0.0, 0.0, 0.0, 0.0], 1)
    """

    def __init__(self, *, missing: str = "keep") -> None:
        self.missing = missing

    def _transform_values(self, values: FloatArray, codes: IntArray, n_dates: int) -> FloatArray:
        scaled: FloatArray = np.empty_like(values)
        for j in range(values.shape[1]):
            ranks, counts = ranks_within(values[:, j], codes, n_dates)
            span = (counts - 1)[codes]
            # The numerator is an exact integer, so opposite ranks are exactly opposite.
            scaled[:, j] = (2 * (ranks - 1) - span) / np.maximum(span, 1)
        return scaled
