"""A panel as the audit reads it: X, y, and the numbers of their dates and assets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray, BoolArray, FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.inspection._audit_dates import show_date
from skdrfm.panel import assets_of, check_aligned, check_panel_index, dates_of
from skdrfm.utils.validation import check_finite, describe_first

Splits = Sequence[tuple[IntArray, IntArray]]


@dataclass(frozen=True, eq=False)
class AuditPanel:
    """Rows with the numbers of their dates and assets; duplicate rows are allowed, as they are to be found.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_columns)
        Descriptors.
    y : Series of shape (n_samples,)
        Forward returns.
    target : ndarray of shape (n_samples,)
        Values of y, NaN where missing.
    codes : ndarray of shape (n_samples,)
        Number of each row's date among ``dates``.
    dates : Index of length n_dates
        Distinct dates in ascending order.
    assets : ndarray of shape (n_samples,)
        Number of each row's asset.
    """

    X: pd.DataFrame
    y: "pd.Series[Any]"
    target: FloatArray
    codes: IntArray
    dates: pd.Index
    assets: IntArray

    @classmethod
    def of(cls, X: Any, y: Any) -> Self:
        """Read X and y, and raise where they are no panel."""
        if not isinstance(X, pd.DataFrame):
            raise PanelError(
                f"X must be a DataFrame indexed by (date, asset). Got a {type(X).__name__}. The audit needs the date "
                "and the asset of each row: pass the panel that the array was made from."
            )
        if not isinstance(y, pd.Series):
            raise PanelError(
                f"y must be a Series with the index of X. Got a {type(y).__name__}. Values joined by row number "
                "cannot be checked: index y by (date, asset)."
            )
        # A duplicate key is a finding and no reason to stop; everything else about the index must be right.
        check_panel_index(X.index.drop_duplicates() if isinstance(X.index, pd.MultiIndex) else X)
        check_aligned(X, y)
        wrong = [name for name, dtype in X.dtypes.items() if not pd.api.types.is_numeric_dtype(dtype)]
        if wrong or not X.shape[1] or not pd.api.types.is_numeric_dtype(y.dtype):
            raise PanelError(
                "X must have at least one column, and X and y must hold numbers. Got "
                + (f"the columns {describe_first(wrong)}" if wrong else f"{X.shape[1]} columns and y of {y.dtype}")
                + ". Encode or drop what is no number."
            )
        target = y.to_numpy(dtype=np.float64, na_value=np.nan)
        check_finite(X.to_numpy(dtype=np.float64), what="X", columns=list(X.columns), allow_nan=True)
        check_finite(target, what="y", allow_nan=True)
        if not np.isfinite(target).any():
            raise PanelError(f"y must have a value in some rows. Got {len(y)} rows, all missing. Pass the target.")
        codes, dates = pd.factorize(dates_of(X), sort=True)
        assets, _ = pd.factorize(assets_of(X))
        return cls(X, y, target, codes.astype(np.intp), pd.Index(dates), assets.astype(np.intp))

    @property
    def n_dates(self) -> int:
        """Number of distinct dates."""
        return len(self.dates)

    @property
    def has_target(self) -> BoolArray:
        """Rows whose y is there."""
        present: BoolArray = np.isfinite(self.target)
        return present

    def column(self, position: int) -> FloatArray:
        """Values of a column of X, NaN where missing."""
        values: FloatArray = self.X.iloc[:, position].to_numpy(dtype=np.float64, na_value=np.nan)
        return values

    def date(self, code: int) -> str:
        """Date of a number, for messages."""
        return show_date(self.dates[code])

    def mean_by_date(self, values: AnyArray) -> FloatArray:
        """Mean over the rows of each date that have a value, shape (n_dates,); NaN where there is none."""
        return mean_by(self.codes, values, self.n_dates)

    def shuffled(self, rng: np.random.Generator) -> "pd.Series[Any]":
        """Deviations of y from the mean of their date, permuted among its assets; missing values stay missing.

        Without the deviation from the mean a model could still learn the returns that all assets share.
        """
        rows = np.flatnonzero(self.has_target)
        by_date = rows[np.argsort(self.codes[rows], kind="stable")]
        at_random = rows[np.lexsort((rng.random(len(rows)), self.codes[rows]))]
        deviations: FloatArray = self.target - self.mean_by_date(self.target)[self.codes]
        values = deviations.copy()
        values[by_date] = deviations[at_random]
        return pd.Series(values, index=self.y.index, name=self.y.name)


def mean_by(codes: IntArray, values: AnyArray, n_groups: int) -> FloatArray:
    """Mean of the values that are no NaN in each group, NaN where there is none."""
    there = ~np.isnan(values)
    counts = np.bincount(codes[there], minlength=n_groups)
    sums = np.bincount(codes[there], weights=values[there], minlength=n_groups)
    means: FloatArray = np.full(n_groups, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means
