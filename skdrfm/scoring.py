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
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.metadata_routing import MetadataRequest

from skdrfm._typing import FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.metrics import annualised_return, newey_west_t, r2_oos, sharpe_ratio
from skdrfm.metrics._cross_section import rank_correlations, warn_about_dates_without
from skdrfm.metrics._dates import DateGroups, date_groups, group_by_index
from skdrfm.metrics._quantiles import dates_with_portfolio, mean_by_quantile
from skdrfm.metrics._validation import as_values, validated
from skdrfm.utils._param_validation import Interval, StrOptions

__all__ = ["make_quantile_scorer", "r2_oos_scorer", "rank_ic_scorer"]

STATISTICS = ("mean_return", "annualised_return", "sharpe_ratio", "newey_west_t")


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
    statistic: str | Callable[[FloatArray], float]
    n_quantiles: int
    periods_per_year: float

    def _figure(self, truth: FloatArray, prediction: FloatArray, *, X: Any, y: Any, dates: Any) -> float:
        groups = _groups_of_rows(truth, X=X, y=y, dates=dates)
        formed = dates_with_portfolio(groups, self.n_quantiles, None, stacklevel=4)
        by_quantile = mean_by_quantile(prediction, truth, groups, formed, self.n_quantiles)
        returns = (by_quantile[:, -1] - by_quantile[:, 0])[formed]
        if callable(self.statistic):
            return self._called(self.statistic, returns)
        if self.statistic == "mean_return":
            return float(returns.mean())
        if self.statistic == "annualised_return":
            return annualised_return(returns, periods_per_year=self.periods_per_year)
        return self._of_several_dates(returns)

    def _of_several_dates(self, returns: FloatArray) -> float:
        if len(returns) < 2:
            raise PanelError(
                f"The statistic {self.statistic!r} must have at least 2 dates with a portfolio in each fold. Got "
                f"{len(returns)}. Use longer test windows (WalkForwardSplit(test_size=12)), the statistic "
                "'mean_return', or pool the predictions of all folds with walk_forward_predict and score them once "
                "with backtest."
            )
        if self.statistic == "newey_west_t":
            figure = newey_west_t(returns)
        else:
            figure = sharpe_ratio(returns, periods_per_year=self.periods_per_year)
        if np.isnan(figure):
            raise PanelError(
                f"The long/short return must differ between dates for the statistic {self.statistic!r}. Got "
                f"{returns[0]:g} on all {len(returns)} dates. The predictions may be constant; look at them, or use "
                "'mean_return'."
            )
        return figure

    def _called(self, statistic: Callable[[FloatArray], float], returns: FloatArray) -> float:
        figure: Any = statistic(returns)
        if not isinstance(figure, Real) or not np.isfinite(float(figure)):
            raise PanelError(
                f"The statistic {_name_of(statistic)} must return a finite number. Got {figure!r} for "
                f"{len(returns)} long/short returns. Raise an error that says what is missing, or return a number."
            )
        return float(figure)

    def __repr__(self) -> str:
        statistic = _name_of(self.statistic) if callable(self.statistic) else repr(self.statistic)
        annual = self.statistic in ("annualised_return", "sharpe_ratio")
        years = f", periods_per_year={self.periods_per_year:g}" if annual else ""
        return f"make_quantile_scorer({statistic}, n_quantiles={self.n_quantiles}{years})"


@dataclass(frozen=True, repr=False)
class _RankICScorer(_PanelScorer):
    def _figure(self, truth: FloatArray, prediction: FloatArray, *, X: Any, y: Any, dates: Any) -> float:
        groups = _groups_of_rows(truth, X=X, y=y, dates=dates)
        by_date, reasons = rank_correlations(truth, prediction, groups)
        warn_about_dates_without(by_date, reasons, name="rank_information_coefficient", stacklevel=4)
        existing = by_date[~np.isnan(by_date)]
        if not len(existing):
            raise PanelError(
                "At least one date of a fold must have 3 names whose predictions and returns differ, or it has no "
                "rank IC. Got none. The predictions may be constant; look at them, or use larger cross-sections."
            )
        return float(existing.mean())

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
        "statistic": [StrOptions(set(STATISTICS)), callable],
        "n_quantiles": [Interval(Integral, 2, None, closed="left")],
        "periods_per_year": [Interval(Real, 0, None, closed="neither")],
    }
)
def make_quantile_scorer(
    statistic: str | Callable[[FloatArray], float] = "mean_return",
    *,
    n_quantiles: int = 5,
    periods_per_year: float = 12,
) -> _PanelScorer:
    """Make a scorer from the long/short return of quantile portfolios.

    The predictions of a test fold are sorted at each date into equal-weighted quantile portfolios; the score is a
    statistic of the highest minus the lowest, before costs. The order of rows changes no score, not even in the last
    bit. Folds of one date, as in the paper's walk-forward, have neither a Sharpe ratio nor a t statistic, and asking
    for one is an error: use ``"mean_return"`` there, whose mean over folds is the mean over dates. The mean of the
    Sharpe ratios of folds is not the Sharpe ratio of all dates; for that, pool the predictions with
    ``walk_forward_predict`` and pass them to ``backtest``.

    Parameters
    ----------
    statistic : {"mean_return", "annualised_return", "sharpe_ratio", "newey_west_t"} or callable, default="mean_return"
        Mean long/short return per period, that times ``periods_per_year``, the annualised Sharpe ratio, or the t
        statistic of the mean return (see :func:`skdrfm.metrics.newey_west_t`). A callable
        ``statistic(returns) -> float`` gets the long/short returns of a fold, an ndarray of shape (n_dates,) in the
        order of time; higher must be better. Define it in a module, so that the scorer can be pickled.
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


def _groups_of_rows(truth: FloatArray, *, X: Any, y: Any, dates: Any) -> DateGroups:
    """Rows by date: as passed, else by the index of y, else by the index of X."""
    if dates is not None:
        return date_groups(truth, dates, name="y")
    for data in (y, X):
        index = getattr(data, "index", None)
        if isinstance(index, pd.Index) and "date" in index.names:
            return group_by_index(index)
    raise PanelError(
        "The date of each row must be known to score cross-sections. Got no 'dates' and no index level named 'date' "
        "in y or X. Index X and y by (date, asset); or call sklearn.set_config(enable_metadata_routing=True) and "
        "pass params={'dates': dates} to cross_validate, or dates=dates to GridSearchCV.fit; or call "
        "scorer(estimator, X, y, dates=dates)."
    )


def _name_of(statistic: Callable[[FloatArray], float]) -> str:
    return getattr(statistic, "__name__", None) or repr(statistic)
