"""Outliers drawn in to quantiles of their cross-section."""

from numbers import Real
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from skdrfm.preprocessing._cross_section import INDUSTRY, CrossSectionalTransformer, Outcome, Section, SectionFunction
from skdrfm.preprocessing._statistics import quantiles
from skdrfm.utils._param_validation import Interval, StrOptions


class CrossSectionalWinsorizer(CrossSectionalTransformer):
    r"""Draw outliers of each descriptor in to quantiles of their date.

    With the quantiles :math:`q_l` and :math:`q_u` of the known values of a descriptor on a date,

    .. math:: z = \min(\max(x, q_l), q_u).

    A quantile of level p of n values stands at position (n - 1) p of the sorted values, counted from 0, and is linear
    between neighbours. So with few names on a date little is drawn in, and a single value never.

    Parameters
    ----------
    lower : float, default=0.01
        Level of the lower quantile, from 0 to 1 and below ``upper``; 0 leaves the low side alone.
    upper : float, default=0.99
        Level of the upper quantile; 1 leaves the high side alone.
    industry : Series, default=None
        Industry by asset, or by (date, asset): quantiles are then those of each industry of a date.
        It is looked up by the labels of X, and every row must have one.
    missing : {"keep", "raise"}, default="keep"
        What becomes of NaN. ``"keep"`` leaves it, ``"raise"`` refuses it. There is no ``"zero"``: 0 says nothing
        about a raw descriptor, and :class:`CrossSectionalImputer` fills with what does. Infinity is always refused.

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
    CrossSectionalRankScaler : Ranks, on which outliers have no effect.

    Notes
    -----
    It is stateless: ``fit`` checks X and counts, and ``transform`` gives the same result without
    it. A DataFrame outcome counts the values that were drawn in, column by column, in ``attrs["n_clipped"]``.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.preprocessing import CrossSectionalWinsorizer
    >>> index = pd.MultiIndex.from_product([pd.to_datetime(["2020-01-31"]), list("ABCDE")], names=["date", "asset"])
    >>> X = pd.DataFrame({"PER": [0.04, 0.06, 0.05, 0.07, 9.0]}, index=index)
    >>> clipped = CrossSectionalWinsorizer(lower=0.0, upper=0.75).fit_transform(X)
    >>> clipped["PER"].tolist(), clipped.attrs["n_clipped"]
    ([0.04, 0.06, 0.05, 0.07, 0.07], {'PER': 1})
    """

    def __init__(
        self,
        lower: float = 0.01,
        upper: float = 0.99,
        *,
        industry: "pd.Series[Any] | None" = None,
        missing: str = "keep",
    ) -> None:
        self.lower = lower
        self.upper = upper
        self.industry = industry
        self.missing = missing

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **INDUSTRY,
        "lower": [Interval(Real, 0, 1, closed="both")],
        "upper": [Interval(Real, 0, 1, closed="both")],
        "missing": [StrOptions({"keep", "raise"})],
    }

    def _section_function(self, columns: list[Any]) -> SectionFunction:
        if self.lower >= self.upper:
            raise ValueError(
                "The 'lower' parameter of CrossSectionalWinsorizer must be below 'upper'. "
                f"Got lower={self.lower!r} and upper={self.upper!r}. Pass for example lower=0.01 and upper=0.99."
            )

        def clip(section: Section) -> Outcome:
            values = section.values
            low, high = (bound.astype(values.dtype) for bound in quantiles(values, self.lower, self.upper))
            outside = (values < low) | (values > high)
            return np.clip(values, low, high), {"n_clipped": outside.sum(axis=1)}

        return clip
