"""What is left of a descriptor once named descriptors and industries are taken out of it."""

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray, FloatArray, IntArray
from skdrfm.exceptions import CoverageWarning, PanelError
from skdrfm.preprocessing._cross_section import (
    FILLED,
    INDUSTRY,
    MISSING,
    WEIGHT,
    CrossSectionalTransformer,
    Outcome,
    Section,
    SectionFunction,
    fill_with_zero,
)
from skdrfm.preprocessing._projection import residuals
from skdrfm.utils.validation import describe_first

_TOO_FEW = "n_lost_to_few_names"
_NO_FACTOR = "n_lost_to_missing_factor"


class CrossSectionalNeutralizer(CrossSectionalTransformer):
    r"""Replace descriptors by what factors and industries leave of them, date by date.

    On each date every other descriptor x is regressed on the factor descriptors :math:`f_k` and an intercept, or one
    intercept for each industry, and its residual takes its place:

    .. math:: x_i = a_{\mathrm{ind}(i)} + \sum_k b_k f_{ik} + e_i, \qquad \min \sum_i w_i e_i^2.

    The residuals have a weighted mean of 0, in each industry if industries are given, and no weighted covariance with
    any factor. Only the date itself is used, so nothing leaks from the future.

    Parameters
    ----------
    factors : sequence of column labels, default=()
        Descriptors to be neutral to, such as ``("CAP", "BETA")``; column positions if X is an ndarray.
        They pass through unchanged. Without any, only the mean is taken out, or that of each industry.
    industry : Series, default=None
        Industry by asset, or by (date, asset): each industry of a date then has an intercept of its own. It is
        looked up by the labels of X, and every row must have one.
    weight : Series, default=None
        Weight of each row in the least squares, by asset or by (date, asset), for example the root of the market
        value; finite, above 0 and looked up like the industry.
    columns : sequence of column labels, default=None
        Descriptors to be replaced; all that are no factors if None. Others pass through unchanged.
    missing : {"keep", "zero", "raise"}, default="keep"
        What becomes of residuals that do not exist. ``"keep"`` leaves NaN. ``"zero"`` puts 0, the neutral residual,
        and counts; factors and other columns that pass through keep their NaN. ``"raise"`` refuses NaN in X.
        Infinity is always refused.

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
        Once per call of ``transform`` if a date has not more names than fitted coefficients: there is no residual
        then, only a perfect fit.

    See Also
    --------
    CrossSectionalStandardScaler : Takes out the mean and sets the unit.

    Notes
    -----
    It is stateless: ``fit`` checks X and counts, and ``transform`` gives the same result without it.

    A regression uses the names that have the descriptor and all factors. A name without one of the factors has no
    residual. Factors that are collinear on a date are no fault: the coefficients are then those of minimum norm, and
    the residuals the same as without the factor that adds nothing. Residuals that are smaller than rounding errors
    are exactly 0, so that a later ranking does not order noise; so is the residual of a name alone in its industry.

    A DataFrame outcome counts in its ``attrs``, column by column, the values that have no residual:
    ``"n_lost_to_missing_factor"`` and ``"n_lost_to_few_names"``; and ``"n_missing_filled"``, all values that
    were filled. Arithmetic is in double precision, for float32 too.

    References
    ----------
    Frisch and Waugh (1933). Partial Time Regressions as Compared with Individual Trends. Econometrica 1(4).

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.preprocessing import CrossSectionalNeutralizer
    >>> index = pd.MultiIndex.from_product([pd.to_datetime(["2020-01-31"]), list("ABCD")], names=["date", "asset"])
    >>> X = pd.DataFrame({"CAP": [1.0, 2.0, 3.0, 4.0], "PBR": [1.0, 4.0, 5.0, 8.0]}, index=index)
    >>> neutral = CrossSectionalNeutralizer(factors=("CAP",)).fit_transform(X)
    >>> neutral["PBR"].round(2).tolist(), neutral["CAP"].tolist()
    ([-0.2, 0.6, -0.6, 0.2], [1.0, 2.0, 3.0, 4.0])
    >>> industry = pd.Series({"A": "banks", "B": "banks", "C": "mines", "D": "mines"})
    >>> CrossSectionalNeutralizer(industry=industry).fit_transform(X)["PBR"].tolist()
    [-1.5, 1.5, -1.5, 1.5]
    """

    def __init__(
        self,
        factors: Sequence[Any] = (),
        *,
        industry: "pd.Series[Any] | None" = None,
        weight: "pd.Series[Any] | None" = None,
        columns: Sequence[Any] | None = None,
        missing: str = "keep",
    ) -> None:
        self.factors = factors
        self.industry = industry
        self.weight = weight
        self.columns = columns
        self.missing = missing

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "factors": ["array-like"],
        **INDUSTRY,
        **WEIGHT,
        "columns": ["array-like", None],
        **MISSING,
    }
    _sections_are_industries: ClassVar[bool] = False

    def _section_function(self, columns: list[Any]) -> SectionFunction:
        factors = _positions("factors", self.factors, columns)
        if self.columns is None:
            targets = [j for j in range(len(columns)) if j not in set(factors)]
        else:
            targets = _positions("columns", self.columns, columns)
        both = [columns[j] for j in targets if j in set(factors)]
        if both:
            raise PanelError(
                "The 'columns' of CrossSectionalNeutralizer must not be among its 'factors', which pass through "
                f"unchanged. Got {describe_first(both)} in both. Take them out of one."
            )

        def neutralize(section: Section) -> Outcome:
            return _neutralize(section, factors, targets, fill=self.missing == "zero")

        return neutralize

    def _warn(self, totals: dict[str, IntArray]) -> None:
        lost = totals[_TOO_FEW]
        if lost.any():
            warnings.warn(
                f"CrossSectionalNeutralizer has no residuals for {int(lost.sum())} values in {np.count_nonzero(lost)} "
                f"of {len(lost)} columns: their dates have not more names than fitted coefficients "
                "(intercepts and factors). Drop these dates, or take fewer factors or wider industries.",
                CoverageWarning,
                stacklevel=4,  # transform, and the wrapper that scikit-learn puts around it
            )


def _positions(name: str, labels: Sequence[Any], columns: list[Any]) -> list[int]:
    """Find where the labels stand among the columns of X."""
    faulty = [label for label in labels if label not in columns]
    if faulty:
        raise PanelError(
            f"The '{name}' of CrossSectionalNeutralizer must be columns of X. Got {describe_first(faulty)} "
            f"for an X with the columns {describe_first(columns)}. "
            "Pass labels of a DataFrame, positions of an ndarray."
        )
    return [columns.index(label) for label in dict.fromkeys(labels)]


def _neutralize(section: Section, factors: list[int], targets: list[int], *, fill: bool) -> Outcome:
    """Put residuals in the place of the targets, and count what has none."""
    values = section.values
    n_columns = len(values)
    explaining = values[factors].astype(np.float64)
    explained = values[targets].astype(np.float64)
    given = ~np.isnan(explained)
    known = given & ~np.isnan(explaining).any(axis=0)
    out: FloatArray = np.full_like(explained, np.nan)
    too_few = np.zeros(len(targets), dtype=np.intp)
    for same, names in _equal_rows(known):
        rest = residuals(
            explained[np.ix_(same, names)],
            explaining[:, names],
            None if section.industry is None else section.industry[names],
            None if section.weight is None else section.weight[names],
        )
        if rest is None:
            too_few[same] = len(names)
        else:
            out[np.ix_(same, names)] = rest
    n_filled = np.zeros(n_columns, dtype=np.intp)
    if fill:
        out, filled = fill_with_zero(out)
        n_filled[targets] = filled[FILLED]
    values[targets] = out
    counts = {FILLED: n_filled}
    for name, lost in ((_NO_FACTOR, (given & ~known).sum(axis=1)), (_TOO_FEW, too_few)):
        counts[name] = np.zeros(n_columns, dtype=np.intp)
        counts[name][targets] = lost
    return values, counts


def _equal_rows(known: BoolArray) -> list[tuple[IntArray, IntArray]]:
    """Put rows that know the same names together: (rows, names); they share one regression."""
    rows_by_pattern: dict[bytes, list[int]] = {}
    for row, pattern in enumerate(known):
        rows_by_pattern.setdefault(pattern.tobytes(), []).append(row)
    together = [(np.array(rows), np.flatnonzero(known[rows[0]])) for rows in rows_by_pattern.values()]
    return [(rows, names) for rows, names in together if len(names)]
