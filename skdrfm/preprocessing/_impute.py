"""Missing values filled from their own cross-section."""

import warnings
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray, IntArray
from skdrfm.exceptions import CoverageWarning
from skdrfm.preprocessing._cross_section import (
    FILLED,
    INDUSTRY,
    CrossSectionalTransformer,
    Outcome,
    Section,
    SectionFunction,
)
from skdrfm.preprocessing._statistics import means, quantiles
from skdrfm.utils._param_validation import StrOptions


class CrossSectionalImputer(CrossSectionalTransformer):
    """Fill missing values of each descriptor with a statistic of their date.

    Only the date itself is used, so nothing leaks from the future, as it would with the mean of all dates, and nothing
    old is carried forward.

    Parameters
    ----------
    strategy : {"median", "mean", "zero"}, default="median"
        What is put: the median or the mean of the known values of the descriptor on the date, or 0. Zero is neutral
        for descriptors that are scaled already, and for them alone.
    industry : Series, default=None
        Industry by asset, or by (date, asset): the statistic is then that of the industry on the date. Where no
        name of an industry has a value, the statistic of the whole date is put instead. It is looked up by the labels
        of X, and every row must have one. With ``strategy="zero"`` it has no effect.

    Attributes
    ----------
    n_missing_ : Series or ndarray of shape (n_features,)
        Missing values of each column of the X given to ``fit``; a Series if X was a DataFrame.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names seen in ``fit``, if they are all strings.

    Warns
    -----
    CoverageWarning
        Once per call of ``transform`` if a descriptor has no value at all on a date. Its values stay NaN there,
        whatever the industry, except with ``strategy="zero"``.

    See Also
    --------
    CrossSectionalRankScaler : Fills with the neutral rank after ranking (``missing="zero"``).

    Notes
    -----
    It is stateless: ``fit`` checks X and counts, and ``transform`` gives the same result without it. A DataFrame
    outcome counts in its ``attrs``: ``"n_missing_filled"``, all values that were filled; and column by column
    ``"n_missing_filled_by_column"``, ``"n_filled_from_date"`` (of these, values whose industry had none) and
    ``"n_missing_left"`` (values that stay NaN).

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skdrfm.preprocessing import CrossSectionalImputer
    >>> dates = pd.to_datetime(["2020-01-31", "2020-02-29"])
    >>> index = pd.MultiIndex.from_product([dates, ["A", "B", "C"]], names=["date", "asset"])
    >>> X = pd.DataFrame({"ROE": [0.1, np.nan, 0.3, 0.5, 0.5, np.nan]}, index=index)
    >>> filled = CrossSectionalImputer().fit_transform(X)
    >>> filled["ROE"].tolist(), filled.attrs["n_missing_filled_by_column"]
    ([0.1, 0.2, 0.3, 0.5, 0.5, 0.5], {'ROE': 2})
    >>> industry = pd.Series({"A": "banks", "B": "banks", "C": "mines"})
    >>> CrossSectionalImputer(industry=industry).fit_transform(X)["ROE"].tolist()
    [0.1, 0.1, 0.3, 0.5, 0.5, 0.5]
    """

    def __init__(self, strategy: str = "median", *, industry: "pd.Series[Any] | None" = None) -> None:
        self.strategy = strategy
        self.industry = industry

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "strategy": [StrOptions({"median", "mean", "zero"})],
        **INDUSTRY,
    }
    _sections_are_industries: ClassVar[bool] = False

    def _section_function(self, columns: list[Any]) -> SectionFunction:
        def fill(section: Section) -> Outcome:
            values, industry = section.values, section.industry
            missing = np.isnan(values)
            filling = np.broadcast_to(self._statistic(values), values.shape)
            from_date = np.zeros_like(missing)
            if industry is not None and self.strategy != "zero":
                of_industry = np.full(values.shape, np.nan)
                for code in np.unique(industry):
                    members = industry == code
                    of_industry[:, members] = self._statistic(values[:, members])
                from_date = missing & np.isnan(of_industry) & ~np.isnan(filling)
                filling = np.where(np.isnan(of_industry), filling, of_industry)
            np.copyto(values, filling, where=missing, casting="same_kind")
            left = np.isnan(values).sum(axis=1)
            filled = missing.sum(axis=1) - left
            return values, {
                FILLED: filled,
                "n_missing_filled_by_column": filled,
                "n_filled_from_date": from_date.sum(axis=1),
                "n_missing_left": left,
                _EMPTY: (left > 0).astype(np.intp),
            }

        return fill

    def _statistic(self, values: FloatArray) -> FloatArray:
        """Statistic of the known values of each column, shape (n_columns, 1); NaN where there is none."""
        if self.strategy == "zero":
            return np.zeros((len(values), 1))
        if self.strategy == "median":
            return quantiles(values, 0.5)[0]
        values = values.astype(np.float64, copy=False)
        return means(values, ~np.isnan(values))

    def _warn(self, totals: dict[str, IntArray]) -> None:
        n_empty, n_left = totals.pop(_EMPTY), totals["n_missing_left"]
        if n_left.any():
            warnings.warn(
                f"CrossSectionalImputer leaves {int(n_left.sum())} values NaN in {np.count_nonzero(n_left)} of "
                f"{len(n_left)} columns: on {int(n_empty.sum())} (date, column) pairs no asset has a value. "
                "Drop these dates or columns, or fill with strategy='zero' after scaling.",
                CoverageWarning,
                stacklevel=4,  # transform, and the wrapper that scikit-learn puts around it
            )


# Counted for the warning only: (date, column) pairs without any value.
_EMPTY = "n_empty_cross_sections"
