"""What all cross-sectional transformers share: dates in, rows kept, DataFrame out."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skdrfm._typing import AnyArray, FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.preprocessing._labels import industry_codes, row_weights
from skdrfm.preprocessing._sections import CrossSections, date_codes, gather
from skdrfm.utils._param_validation import StrOptions, fit_context
from skdrfm.utils.validation import check_finite, describe_first

__all__ = [
    "FILLED",
    "INDUSTRY",
    "MISSING",
    "WEIGHT",
    "CrossSectionalTransformer",
    "Outcome",
    "Section",
    "SectionFunction",
    "fill_with_zero",
]

# Constraints of parameters that several transformers have.
MISSING: dict[str, list[Any]] = {"missing": [StrOptions({"keep", "zero", "raise"})]}
INDUSTRY: dict[str, list[Any]] = {"industry": [pd.Series, None]}
WEIGHT: dict[str, list[Any]] = {"weight": [pd.Series, None]}

_CHECKS: dict[str, Any] = {"dtype": (np.float64, np.float32), "ensure_all_finite": False}
_ROWS_AT_ONCE = 16_384
# Count of filled values, which every outcome reports.
FILLED = "n_missing_filled"


@dataclass(frozen=True, eq=False)
class Section:
    """One cross-section: a copy of its values, and what is known of its rows.

    Parameters
    ----------
    values : ndarray of shape (n_columns, n_names)
        Descriptors; NaN is missing.
    industry : ndarray of shape (n_names,) or None
        Number of the industry of each name, where the transformer wants whole dates.
    weight : ndarray of shape (n_names,) or None
        Weights above 0.
    """

    values: FloatArray
    industry: IntArray | None
    weight: FloatArray | None


# New values of a section, shape (n_columns, n_names), and counts of cells, each of shape (n_columns,).
Outcome: TypeAlias = tuple[FloatArray, dict[str, IntArray]]
SectionFunction: TypeAlias = Callable[[Section], Outcome]


def fill_with_zero(values: FloatArray) -> Outcome:
    """Put 0 where a value is missing, in place, and count."""
    missing = np.isnan(values)
    np.copyto(values, 0.0, where=missing)
    return values, {FILLED: missing.sum(axis=1)}


class CrossSectionalTransformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator, ABC):
    """Base of the transformers that treat each date's cross-section by itself.

    It keeps every row in its place, learns nothing from the values and counts what is missing.
    A subclass writes :meth:`_section_function`; of ``missing``, ``industry`` and ``weight`` it
    declares those that it has.
    """

    missing: str = "keep"
    industry: "pd.Series[Any] | None" = None
    weight: "pd.Series[Any] | None" = None

    n_features_in_: int
    feature_names_in_: AnyArray
    n_missing_: "pd.Series[int] | IntArray"

    _parameter_constraints: ClassVar[dict[str, list[Any]]]
    # Whether an industry is a cross-section of its own, or the whole date is handed over with its industries.
    _sections_are_industries: ClassVar[bool] = True

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
            If the dates cannot be read, two columns have one name, or a row has no industry or weight.
        """
        _check_unique_columns(X)
        values: FloatArray = validate_data(self, X, **_CHECKS)
        self._section_function(_columns(X, values))
        self._row_labels(X, values, groups)
        self._check_values(X, values)
        counts = sum(np.isnan(part).sum(axis=0) for part in _parts(values))
        self.n_missing_ = pd.Series(counts, index=X.columns) if isinstance(X, pd.DataFrame) else counts
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
            If the dates cannot be read, two columns have one name, or a row has no industry or weight.
        """
        _check_unique_columns(X)
        if hasattr(self, "n_features_in_"):
            values: FloatArray = validate_data(self, X, reset=False, **_CHECKS)
        else:  # stateless: it may be used without fit, and has no names to compare with
            self._validate_params()
            values = check_array(X, **_CHECKS, estimator=self)
        columns = _columns(X, values)
        transform_section = self._section_function(columns)
        sections, industry, weight = self._row_labels(X, values, groups)
        self._check_values(X, values)
        out: FloatArray = np.empty_like(values)
        totals: dict[str, IntArray] = {}
        for rows in sections:
            section = Section(
                gather(values, rows),
                None if industry is None else industry[rows],
                None if weight is None else weight[rows],
            )
            new, counts = transform_section(section)
            out[rows] = new.T
            totals = {name: totals.get(name, 0) + count for name, count in counts.items()}
        self._warn(totals)
        if not isinstance(X, pd.DataFrame):
            return out
        frame = pd.DataFrame(out, index=X.index, columns=X.columns, copy=False)
        n_filled = int(np.sum(totals.pop(FILLED, 0)))
        by_column: dict[Hashable, Any] = {
            name: dict(zip(columns, count.tolist(), strict=True)) for name, count in totals.items()
        }
        frame.attrs = {**X.attrs, FILLED: n_filled, **by_column}
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
    def _section_function(self, columns: list[Any]) -> SectionFunction:
        """Check what parameters ask of each other and of the columns; return what treats one section."""

    def _warn(self, totals: dict[str, IntArray]) -> None:
        """Warn of cells that could not be served; most transformers have none."""

    def _row_labels(
        self, X: Any, values: FloatArray, groups: Any
    ) -> tuple[CrossSections, IntArray | None, FloatArray | None]:
        """Find the sections, and industry and weight of each row where a section needs them."""
        dates = date_codes(X if isinstance(X, pd.DataFrame) else values, groups)
        industry = None if self.industry is None else industry_codes(self.industry, X)
        weight = None if self.weight is None else row_weights(self.weight, X)
        if industry is None or not self._sections_are_industries:
            return CrossSections.from_codes(dates), industry, weight
        return CrossSections.from_codes(dates, industry), None, weight

    def _check_values(self, X: Any, values: FloatArray) -> None:
        allow_nan = self.missing != "raise"
        # A mask of the whole panel would weigh a quarter of it; only an error, which names columns, is worth that.
        fault = np.isinf if allow_nan else _is_not_finite
        if any(fault(part).any() for part in _parts(values)):
            names = list(X.columns) if isinstance(X, pd.DataFrame) else None
            check_finite(values, what="X", columns=names, allow_nan=allow_nan)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.allow_nan = self.missing != "raise"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _check_unique_columns(X: Any) -> None:
    if isinstance(X, pd.DataFrame) and not X.columns.is_unique:
        twice = X.columns[X.columns.duplicated()].unique()
        raise PanelError(
            f"X must have one column of each name. Got more of {describe_first(list(twice))}. Rename or drop them."
        )


def _is_not_finite(values: FloatArray) -> AnyArray:
    return ~np.isfinite(values)


def _parts(values: FloatArray) -> list[FloatArray]:
    """Cut the panel into views of some rows each."""
    return [values[start : start + _ROWS_AT_ONCE] for start in range(0, len(values), _ROWS_AT_ONCE)]


def _columns(X: Any, values: FloatArray) -> list[Any]:
    """Labels of the columns; positions for an ndarray."""
    return list(X.columns) if isinstance(X, pd.DataFrame) else list(range(values.shape[1]))
