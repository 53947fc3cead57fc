"""What all cross-sectional transformers share: dates in, rows kept, DataFrame out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skdrfm._typing import AnyArray, FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.panel import check_panel_index
from skdrfm.utils._param_validation import StrOptions, fit_context
from skdrfm.utils._ties import tie_blocks
from skdrfm.utils.validation import check_finite

__all__ = ["CrossSectionalTransformer", "date_codes", "ranks_within"]

_CHECKS: dict[str, Any] = {"dtype": (np.float64, np.float32), "ensure_all_finite": False}


def date_codes(X: Any, groups: Any = None) -> tuple[IntArray, int]:
    """Give each row the number of its cross-section.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
        The rows. Their dates are the index level ``date`` of a DataFrame.
    groups : array-like of shape (n_samples,), default=None
        Dates that take precedence over the index.

    Returns
    -------
    codes : ndarray of shape (n_samples,)
        Number of the cross-section, from 0. All rows are one cross-section where X carries no
        dates and no groups are given.
    n_dates : int
        Upper bound of the codes; a number that no row has is allowed.

    Raises
    ------
    PanelError
        If groups do not fit X or lack a date, or if the index of X is that of a panel or a time
        series without a level named ``date``.
    """
    n_samples = len(X)
    if groups is not None:
        codes, dates = pd.factorize(_one_dimensional(groups, n_samples))
        absent = int((codes < 0).sum())
        if absent:
            raise PanelError(
                f"'groups' must hold the date of every row. Got {absent} rows without one "
                f"({n_samples} rows in all). Drop them or fill in the date."
            )
        return codes.astype(np.intp), len(dates)
    index = getattr(X, "index", None)
    if isinstance(index, pd.MultiIndex) and "date" in index.names:
        if set(index.names) == {"date", "asset"}:
            check_panel_index(index)
        level = index.names.index("date")
        return np.asarray(index.codes[level], dtype=np.intp), len(index.levels[level])
    if isinstance(index, pd.Index) and index.name == "date":
        return date_codes(X, index)
    if isinstance(index, pd.MultiIndex | pd.DatetimeIndex | pd.PeriodIndex):
        # One cross-section over all dates would rank the past against the future.
        found = ", ".join(repr(name) for name in index.names)
        raise PanelError(
            f"X must have an index level named 'date' (found: {found}). "
            "Rename the level, or pass the dates as groups=dates."
        )
    return np.zeros(n_samples, dtype=np.intp), 1


def _one_dimensional(groups: Any, n_samples: int) -> "pd.Index[Any]":
    if np.ndim(groups) != 1 or len(groups) != n_samples:
        raise PanelError(
            f"'groups' must have one date for each row of X, shape ({n_samples},). "
            f"Got shape {np.shape(groups)}. Pass dates_of(X) for a panel."
        )
    dates: pd.Index[Any] = pd.Index(groups)
    return dates


def ranks_within(values: FloatArray, codes: IntArray, n_dates: int) -> tuple[FloatArray, IntArray]:
    """Rank values within each date, ties sharing their average rank.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        Numbers; NaN is missing and has no rank.
    codes : ndarray of shape (n_samples,)
        Number of the date of each row, from 0 to ``n_dates - 1``.
    n_dates : int
        Number of dates.

    Returns
    -------
    ranks : ndarray of shape (n_samples,), float64
        Rank among the values of the same date, 1 for the smallest; NaN where missing.
    counts : ndarray of shape (n_dates,)
        Number of values that each date has.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.preprocessing._cross_section import ranks_within
    >>> ranks, counts = ranks_within(
    ...     np.array([3.0, 1.0, 1.0, np.nan, 7.0]), np.array([0, 0, 0, 1, 1]), 2
    ... )
    >>> ranks.tolist(), counts.tolist()
    ([3.0, 1.5, 1.5, nan, 1.0], [3, 1])
    """
    ranks = np.full(len(values), np.nan)
    rows = np.flatnonzero(~np.isnan(values))
    counts: IntArray = np.bincount(codes[rows], minlength=n_dates)
    below, size = tie_blocks(values[rows], codes[rows])
    ranks[rows] = below + (size + 1) / 2
    return ranks, counts


class CrossSectionalTransformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator, ABC):
    """Base of the transformers that treat each date's cross-section by itself.

    It keeps every row in its place, learns nothing from the values and counts what is missing.
    A subclass declares ``missing`` in its constructor and writes :meth:`_transform_values`.
    """

    missing: str

    n_features_in_: int
    feature_names_in_: AnyArray
    n_missing_: "pd.Series[int] | IntArray"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "missing": [StrOptions({"keep", "zero", "raise"})],
    }

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, *, groups: Any = None) -> Self:
        """Check X and count its missing values; nothing else is learned.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)
            Descriptors, raw. A DataFrame indexed by (date, asset) carries its dates.
        y : None
            Ignored.
        groups : array-like of shape (n_samples,), default=None
            Date of each row where the index of X does not tell.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        NonFiniteError
            If X holds infinity, or NaN while ``missing="raise"``.
        PanelError
            If the dates cannot be read.
        """
        values: FloatArray = validate_data(self, X, **_CHECKS)
        is_frame = isinstance(X, pd.DataFrame)
        date_codes(X if is_frame else values, groups)
        self._check_values(X, values)
        counts = np.isnan(values).sum(axis=0)
        self.n_missing_ = pd.Series(counts, index=X.columns) if is_frame else counts
        return self

    def transform(self, X: Any, *, groups: Any = None) -> Any:
        """Transform each cross-section by itself.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)
            Descriptors, raw. A DataFrame indexed by (date, asset) carries its dates; an ndarray
            or a DataFrame without dates is one cross-section unless groups are given.
        groups : array-like of shape (n_samples,), default=None
            Date of each row where the index of X does not tell.

        Returns
        -------
        DataFrame or ndarray of shape (n_samples, n_features)
            Rows in the order of X, float32 if X is float32, else float64. A DataFrame keeps index
            and columns, and ``attrs["n_missing_filled"]`` counts the missing values that were
            filled.

        Raises
        ------
        NonFiniteError
            If X holds infinity, or NaN while ``missing="raise"``.
        PanelError
            If the dates cannot be read.
        """
        if hasattr(self, "n_features_in_"):
            values: FloatArray = validate_data(self, X, reset=False, **_CHECKS)
        else:  # stateless: it may be used without fit, and has no names to compare with
            values = check_array(X, **_CHECKS, estimator=self)
        codes, n_dates = date_codes(X if isinstance(X, pd.DataFrame) else values, groups)
        self._check_values(X, values)
        out = self._transform_values(values, codes, n_dates).astype(values.dtype, copy=False)
        missing = np.isnan(out)
        n_filled = 0
        if self.missing == "zero":
            n_filled = int(missing.sum())
            out[missing] = 0.0
        if not isinstance(X, pd.DataFrame):
            return out
        frame = pd.DataFrame(out, index=X.index, columns=X.columns)
        frame.attrs = {**X.attrs, "n_missing_filled": n_filled}
        return frame

    def fit_transform(self, X: Any, y: Any = None, *, groups: Any = None) -> Any:
        """Fit to X, then transform it.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)
            Descriptors, raw.
        y : None
            Ignored.
        groups : array-like of shape (n_samples,), default=None
            Date of each row where the index of X does not tell.

        Returns
        -------
        DataFrame or ndarray of shape (n_samples, n_features)
            As from :meth:`transform`.
        """
        return self.fit(X, y, groups=groups).transform(X, groups=groups)

    @abstractmethod
    def _transform_values(self, values: FloatArray, codes: IntArray, n_dates: int) -> FloatArray:
        """Return a new array of the shape of values, NaN where a value is missing."""

    def _check_values(self, X: Any, values: FloatArray) -> None:
        columns: Sequence[Any] | None = list(X.columns) if isinstance(X, pd.DataFrame) else None
        allow_nan = self.missing != "raise"
        check_finite(values, what="X", columns=columns, allow_nan=allow_nan)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.allow_nan = self.missing != "raise"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
