"""Ranks within each cross-section."""

from typing import Any, ClassVar

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray, FloatArray, IntArray
from skdrfm.preprocessing._cross_section import (
    INDUSTRY,
    MISSING,
    CrossSectionalTransformer,
    Outcome,
    Section,
    SectionFunction,
    fill_with_zero,
)

# Columns are ranked a few at a time, so that what is at work stays in a core's cache.
_CELLS_AT_ONCE = 32_768
_MAGNITUDE = np.int64(np.iinfo(np.int64).max)


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
    industry : Series, default=None
        Industry by asset, or by (date, asset): ranks are then taken within each industry of a date.
        It is looked up by the labels of X, and every row must have one.

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

    def __init__(self, *, missing: str = "keep", industry: "pd.Series[Any] | None" = None) -> None:
        self.missing = missing
        self.industry = industry

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {**MISSING, **INDUSTRY}

    def _section_function(self, columns: list[Any]) -> SectionFunction:
        return _rank_and_fill if self.missing == "zero" else _rank


def _rank(section: Section) -> Outcome:
    values = section.values
    step = max(1, _CELLS_AT_ONCE // values.shape[1])
    for start in range(0, len(values), step):
        values[start : start + step] = scaled_ranks(values[start : start + step])
    return values, {}


def _rank_and_fill(section: Section) -> Outcome:
    scaled, _ = _rank(section)
    return fill_with_zero(scaled)


def scaled_ranks(values: FloatArray) -> FloatArray:
    """Rank the values of each row and scale the ranks to [-1, 1].

    Parameters
    ----------
    values : ndarray of shape (n_columns, n_names)
        Finite numbers; NaN is missing.

    Returns
    -------
    ndarray of shape (n_columns, n_names)
        Scaled ranks, ties at their average; 0 for a single value, NaN where missing.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.preprocessing._rank import scaled_ranks
    >>> scaled_ranks(np.array([[3.0, 1.0, 1.0, np.nan, 7.0]])).round(3).tolist()
    [[0.333, -0.667, -0.667, nan, 1.0]]
    """
    n_names = values.shape[1]
    missing = np.isnan(values)
    order, ascending = _sorted_rows(values, missing)
    n_known = n_names - missing.sum(axis=1, keepdims=True)
    span = n_known - 1.0
    places = np.arange(n_names)
    # 2 (rank - 1) - (n - 1) is an exact integer, so opposite ranks are exactly opposite.
    numerators = 2.0 * places - span
    _average_ties(numerators, ascending)
    np.copyto(numerators, np.nan, where=places >= n_known)
    numerators /= np.maximum(span, 1.0)
    scaled = np.empty(values.size, dtype=values.dtype)
    scaled[order.ravel()] = numerators.ravel()
    return scaled.reshape(values.shape)


def _sorted_rows(values: FloatArray, missing: BoolArray) -> tuple[IntArray, FloatArray]:
    """Sort each row, missing values last: flat positions of the sorted values, and the values.

    Whole numbers are sorted several times faster than positions are sorted by the values they point to. So a double
    is read as the integer of the same order, its lowest bits make way for the position, and one sort brings both.
    Where two values differ in those bits alone, their order may be wrong: such rows are sorted the slow way.
    """
    n_columns, n_names = values.shape
    keys = values.astype(np.float64).view(np.int64)
    # Negative doubles grow with their magnitude bits turned round.
    keys ^= (keys >> 63) & _MAGNITUDE
    np.copyto(keys, _MAGNITUDE, where=missing)
    position_bits = np.int64((1 << max(1, (n_names - 1).bit_length())) - 1)
    keys &= ~position_bits
    keys |= np.arange(n_names)
    keys.sort(axis=1)
    keys &= position_bits
    row_starts = np.arange(0, n_columns * n_names, n_names)[:, None]
    order: IntArray = keys
    order += row_starts
    ascending = values.ravel()[order]
    unsorted = np.flatnonzero((ascending[:, 1:] < ascending[:, :-1]).any(axis=1))
    if len(unsorted):
        order[unsorted] = np.argsort(values[unsorted], axis=1) + row_starts[unsorted]
        ascending[unsorted] = values.ravel()[order[unsorted]]
    return order, ascending


def _average_ties(numerators: FloatArray, ascending: FloatArray) -> None:
    """Give equal values the average of their numerators, in place; all rows are sorted."""
    # Column i tells whether value i equals the one before it: False at both ends, for missing values too.
    equal = np.zeros((len(ascending), ascending.shape[1] + 1), dtype=bool)
    np.equal(ascending[:, 1:], ascending[:, :-1], out=equal[:, 1:-1])
    if not equal.any():
        return
    like_previous, like_next = equal[:, :-1], equal[:, 1:]
    first, last = np.flatnonzero(~like_previous & like_next), np.flatnonzero(like_previous & ~like_next)
    flat = numerators.ravel()
    flat[np.flatnonzero(like_previous | like_next)] = np.repeat((flat[first] + flat[last]) / 2, last - first + 1)
