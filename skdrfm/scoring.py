"""Finance figures as scores for ``cross_validate`` and ``GridSearchCV``.

A scorer of this module is called ``scorer(estimator, X, y, *, dates=None)`` and needs the date of each test row. It
takes them from

1. ``dates``, which scikit-learn brings as metadata after ``sklearn.set_config(enable_metadata_routing=True)``:
   ``cross_validate(..., params={"dates": dates})`` or ``GridSearchCV(...).fit(X, y, dates=dates)``. Scorers ask for
   ``dates`` without further ado; ``set_score_request`` changes the name or turns it off.
2. the index level ``date`` of y, else of X, which plain scikit-learn keeps when it cuts a fold from pandas data.

A fold without a score is an error, so ``error_score`` of ``cross_validate`` and ``GridSearchCV`` decides what becomes
of it: NaN with a warning that holds the reason (the default), a number of your choice, or the error itself.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.metadata_routing import MetadataRequest

from skdrfm._typing import FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.metrics import (
    annualised_return,
    r2_oos,
    rank_information_coefficient,
    sharpe_ratio,
)
from skdrfm.metrics._dates import date_groups
from skdrfm.metrics._validation import as_values, validated
from skdrfm.portfolio import long_short_weights
from skdrfm.utils._param_validation import Interval, StrOptions

__all__ = ["make_quantile_scorer", "r2_oos_scorer", "rank_ic_scorer"]

STATISTICS = ("mean_return", "annualised_return", "sharpe_ratio")


@dataclass(frozen=True)
class _PanelScorer(ABC):
    """A scorer whose figure needs the dates of the rows.

    Plain data and module-level code: it pickles, clones and compares like its parameters. scikit-learn asks
    ``get_metadata_routing`` which metadata it wants and then calls it as any other callable.

    Parameters
    ----------
    dates_request : bool, str or None, default=True
        The metadata request for ``dates``, see ``set_score_request``.
    """

    dates_request: bool | str | None = field(default=True, kw_only=True)

    def __call__(self, estimator: Any, X: Any, y: Any, *, dates: Any = None) -> float:
        """Score the predictions of a fitted estimator; higher is better."""
        truth = as_values(y, name="y")
        prediction = as_values(estimator.predict(X), name="The predictions")
        if len(prediction) != len(truth):
            raise PanelError(
                f"The estimator must predict one value for each row of y ({len(truth)}). Got {len(prediction)}. "
                "Check that X and y have the same rows."
            )
        return self._figure(truth, prediction, X=X, y=y, dates=dates)

    @abstractmethod
    def _figure(self, truth: FloatArray, prediction: FloatArray, *, X: Any, y: Any, dates: Any) -> float:
        """Compute the score."""

    def set_score_request(self, *, dates: bool | str | None) -> "_PanelScorer":
        """Return a scorer with another metadata request.

        The scorer itself stays as it is, since ready scorers are shared; use the one returned.

        Parameters
        ----------
        dates : bool, str or None
            True takes metadata named ``dates``; a str takes it from metadata of that name; False takes none; None
            makes passing ``dates`` an error.

        Returns
        -------
        scorer
            A copy with this request.
        """
        return replace(self, dates_request=dates)

    def get_metadata_routing(self) -> Any:
        """Tell scikit-learn which metadata the scorer wants.

        Returns
        -------
        MetadataRequest
            The request of the method ``score``.
        """
        request = MetadataRequest(owner=repr(self))
        request.score.add_request(param="dates", alias=self.dates_request)
        return request

    def _accept_sample_weight(self) -> bool:
        """Say no when a search with several scorers asks who takes sample weights."""
        return False


@dataclass(frozen=True, repr=False)
class _QuantileScorer(_PanelScorer):
    statistic: str
    n_quantiles: int
    periods_per_year: float

    def _figure(self, truth: FloatArray, prediction: FloatArray, *, X: Any, y: Any, dates: Any) -> float:
        groups = date_groups(prediction, _dates_of_rows(X, y, dates), name="y")
        row_dates = groups.dates[groups.codes]
        weights = long_short_weights(prediction, n_quantiles=self.n_quantiles, dates=row_dates).to_numpy()
        by_date = groups.sum(weights * truth)
        returns = by_date[~np.isnan(by_date)]
        if self.statistic == "mean_return":
            return float(returns.mean())
        if self.statistic == "annualised_return":
            return annualised_return(returns, periods_per_year=self.periods_per_year)
        return self._sharpe_ratio(returns)

    def _sharpe_ratio(self, returns: FloatArray) -> float:
        if len(returns) < 2:
            raise PanelError(
                f"The statistic 'sharpe_ratio' must have at least 2 dates with a portfolio in each fold. Got "
                f"{len(returns)}. Use longer test windows (WalkForwardSplit(test_size=12)), the statistic "
                "'mean_return', or pool the predictions of all folds with walk_forward_predict and score them once "
                "with backtest."
            )
        ratio = sharpe_ratio(returns, periods_per_year=self.periods_per_year)
        if np.isnan(ratio):
            raise PanelError(
                f"The long/short return must differ between dates for a Sharpe ratio. Got {returns[0]:g} on all "
                f"{len(returns)} dates. The predictions may be constant; look at them, or use 'mean_return'."
            )
        return ratio

    def __repr__(self) -> str:
        years = f", periods_per_year={self.periods_per_year:g}" if self.statistic != "mean_return" else ""
        return f"make_quantile_scorer({self.statistic!r}, n_quantiles={self.n_quantiles}{years})"


@dataclass(frozen=True, repr=False)
class _RankICScorer(_PanelScorer):
    def _figure(self, truth: FloatArray, prediction: FloatArray, *, X: Any, y: Any, dates: Any) -> float:
        row_dates = _dates_of_rows(X, y, dates)
        by_date = rank_information_coefficient(truth, prediction, dates=row_dates).dropna()
        if not len(by_date):
            raise PanelError(
                "At least one date of a fold must have 3 names whose predictions and returns differ, or it has no "
                "rank IC. Got none. The predictions may be constant; look at them, or use larger cross-sections."
            )
        return float(by_date.mean())

    def __repr__(self) -> str:
        return "rank_ic_scorer"


@dataclass(frozen=True, repr=False)
class _R2Scorer(_PanelScorer):
    def _figure(self, truth: FloatArray, prediction: FloatArray, *, X: Any, y: Any, dates: Any) -> float:
        return r2_oos(truth, prediction)

    def __repr__(self) -> str:
        return "r2_oos_scorer"


@validated(
    {
        "statistic": [StrOptions(set(STATISTICS))],
        "n_quantiles": [Interval(Integral, 2, None, closed="left")],
        "periods_per_year": [Interval(Real, 0, None, closed="neither")],
    }
)
def make_quantile_scorer(
    statistic: str = "mean_return", *, n_quantiles: int = 5, periods_per_year: float = 12
) -> _PanelScorer:
    """Make a scorer from the long/short return of quantile portfolios.

    The predictions of a test fold are sorted at each date into equal-weighted quantile portfolios; the score is a
    statistic of the highest minus the lowest, before costs. Folds of one date, as in the paper's walk-forward, have
    no Sharpe ratio: use ``"mean_return"`` there, whose mean over folds is the mean over dates. The mean of the Sharpe
    ratios of folds is not the Sharpe ratio of all dates; for that, pool the predictions with
    ``walk_forward_predict`` and pass them to ``backtest``.

    Parameters
    ----------
    statistic : {"mean_return", "annualised_return", "sharpe_ratio"}, default="mean_return"
        Mean long/short return per period, that times ``periods_per_year``, or the annualised Sharpe ratio.
    n_quantiles : int, default=5
        Number of quantiles, at least 2. Dates with fewer names have no portfolio; they are left out and counted in
        a warning.
    periods_per_year : float, default=12
        Periods in a year, for annualised statistics.

    Returns
    -------
    scorer
        Callable ``scorer(estimator, X, y, *, dates=None) -> float``, higher is better. Where the dates come from is
        said in :mod:`skdrfm.scoring`.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LinearRegression
    >>> from skdrfm.scoring import make_quantile_scorer
    >>> index = pd.MultiIndex.from_product([[1, 2], ["A", "B"]], names=["date", "asset"])
    >>> X = pd.DataFrame({"CAP": [1.0, 2.0, 2.0, 1.0]}, index=index)
    >>> y = pd.Series([0.01, 0.03, 0.02, 0.01], index=index)
    >>> scorer = make_quantile_scorer(n_quantiles=2)
    >>> scorer
    make_quantile_scorer('mean_return', n_quantiles=2)
    >>> round(scorer(LinearRegression().fit(X, y), X, y), 4)
    0.015
    """
    return _QuantileScorer(statistic, n_quantiles, periods_per_year)


rank_ic_scorer: _PanelScorer = _RankICScorer()
"""Mean rank IC over the dates of a fold (see :func:`skdrfm.metrics.rank_information_coefficient`).

Dates with fewer than 3 names or constant values are left out and counted in a warning; a fold without any other date
has no score and is an error.
"""

r2_oos_scorer: _PanelScorer = _R2Scorer()
"""Out-of-sample R2 against a prediction of zero over all rows of a fold (see :func:`skdrfm.metrics.r2_oos`).

It needs no dates and leaves them alone when they are passed, so that all scorers can be called alike.
"""


def _dates_of_rows(X: Any, y: Any, dates: Any) -> Any:
    """Date of each row: as passed, else from the index of y, else from the index of X."""
    if dates is not None:
        return dates
    for data in (y, X):
        index = getattr(data, "index", None)
        if isinstance(index, pd.Index) and "date" in index.names:
            return index.get_level_values("date")
    raise PanelError(
        "The date of each row must be known to score cross-sections. Got no 'dates' and no index level named 'date' "
        "in y or X. Index X and y by (date, asset); or call sklearn.set_config(enable_metadata_routing=True) and "
        "pass params={'dates': dates} to cross_validate, or dates=dates to GridSearchCV.fit; or call "
        "scorer(estimator, X, y, dates=dates)."
    )
