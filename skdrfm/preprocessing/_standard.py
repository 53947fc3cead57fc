"""Standard scores within each cross-section."""

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from skdrfm.preprocessing._cross_section import (
    INDUSTRY,
    MISSING,
    WEIGHT,
    CrossSectionalTransformer,
    Outcome,
    Section,
    SectionFunction,
    fill_with_zero,
)
from skdrfm.preprocessing._statistics import centred, means
from skdrfm.utils._param_validation import Interval


class CrossSectionalStandardScaler(CrossSectionalTransformer):
    r"""Scale each descriptor to standard scores within each date.

    With weights w and n known values of a descriptor on a date,

    .. math:: z_i = \frac{x_i - \sum_j w_j x_j / \sum_j w_j}{s}, \qquad
              s^2 = \frac{1}{n - \mathrm{ddof}} \sum_j (x_j - \bar x)^2.

    A constant descriptor, or one with a single value on a date, gets 0. Only the date itself is used, so nothing leaks
    from the future. Outliers have an effect on mean and deviation: put :class:`CrossSectionalWinsorizer` before it.

    Parameters
    ----------
    missing : {"keep", "zero", "raise"}, default="keep"
        What becomes of NaN. ``"keep"`` leaves it. ``"zero"`` puts 0, the score of the mean, and counts.
        ``"raise"`` refuses it. Infinity is always refused.
    industry : Series, default=None
        Industry by asset, or by (date, asset): scores are then taken within each industry of a date.
        It is looked up by the labels of X, and every row must have one.
    weight : Series, default=None
        Weight by asset, or by (date, asset), for example the market value; finite, above 0 and looked up like
        the industry. It weights the mean alone. The standard deviation s stays that of equal weights about the
        plain mean :math:`\bar x`, as in the risk models of Barra: the market portfolio then has the score 0,
        and a few large companies do not set the unit for all others.
    ddof : {0, 1}, default=1
        Delta degrees of freedom of the standard deviation: 1 as in pandas, 0 as in
        :class:`sklearn.preprocessing.StandardScaler`.

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
    CrossSectionalRankScaler : Ranks instead of scores; outliers have no effect.

    Notes
    -----
    It is stateless: ``fit`` checks X and counts, and ``transform`` gives the same result without
    it. A DataFrame outcome counts the filled values in ``attrs["n_missing_filled"]``. Statistics are taken in
    double precision, for float32 too.

    References
    ----------
    Menchero, Orr and Wang (2011). The Barra US Equity Model (USE4), Methodology Notes. MSCI. Section 2.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skdrfm.preprocessing import CrossSectionalStandardScaler
    >>> dates = pd.to_datetime(["2020-01-31", "2020-02-29"])
    >>> index = pd.MultiIndex.from_product([dates, ["A", "B", "C"]], names=["date", "asset"])
    >>> X = pd.DataFrame({"CAP": [5.0, 9.0, 7.0, 4.0, np.nan, 4.0]}, index=index)
    >>> CrossSectionalStandardScaler().fit_transform(X)["CAP"].tolist()
    [-1.0, 1.0, 0.0, 0.0, nan, 0.0]
    >>> weight = pd.Series({"A": 2.0, "B": 1.0, "C": 1.0})
    >>> CrossSectionalStandardScaler(weight=weight).fit_transform(X)["CAP"].tolist()
    [-0.75, 1.25, 0.25, 0.0, nan, 0.0]
    """

    def __init__(
        self,
        *,
        missing: str = "keep",
        industry: "pd.Series[Any] | None" = None,
        weight: "pd.Series[Any] | None" = None,
        ddof: int = 1,
    ) -> None:
        self.missing = missing
        self.industry = industry
        self.weight = weight
        self.ddof = ddof

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MISSING,
        **INDUSTRY,
        **WEIGHT,
        "ddof": [Interval(Integral, 0, 1, closed="both")],
    }

    def _section_function(self, columns: list[Any]) -> SectionFunction:
        def scale(section: Section) -> Outcome:
            scores = _scores(section, self.ddof).astype(section.values.dtype, copy=False)
            return fill_with_zero(scores) if self.missing == "zero" else (scores, {})

        return scale


def _scores(section: Section, ddof: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    values = section.values.astype(np.float64, copy=False)
    known = ~np.isnan(values)
    scores = centred(values, known)
    # In units of the largest deviation, squares stay within floating-point range.
    unit = np.abs(scores).max(axis=1, keepdims=True)
    unit[unit == 0] = 1.0
    scores /= unit
    freedom = np.maximum(known.sum(axis=1, keepdims=True) - ddof, 1)
    deviation = np.sqrt((scores * scores).sum(axis=1, keepdims=True) / freedom)
    deviation[deviation == 0] = 1.0
    if section.weight is not None:
        scores -= means(scores, known, section.weight)
    scores /= deviation
    return np.where(known, scores, np.nan)
