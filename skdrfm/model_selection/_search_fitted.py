"""What a search can do once it is fitted: predict with the best candidate, and judge its luck."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils import RegressorTags, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skdrfm._typing import FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation
from skdrfm.metrics import deflated_sharpe_ratio, sharpe_ratio
from skdrfm.model_selection._search_space import is_builder
from skdrfm.panel import LaggedPanel


def as_table(X: Any) -> Any:
    """Gather the rows of a lagged panel, which scikit-learn's estimators cannot read; other data stay as they are."""
    return X.to_frame() if isinstance(X, LaggedPanel) else X


def _can_explain(search: "FittedSearch") -> bool:
    # A function has built nothing before fit.
    return hasattr(getattr(search, "best_estimator_", search.estimator), "explain")


class FittedSearch(MetaEstimatorMixin, BaseEstimator):
    """Base of a search: the methods that need its results alone.

    Subclasses set ``best_estimator_``, ``scorer_``, ``best_index_``, ``n_trials_`` and ``trial_returns_`` in ``fit``.
    """

    estimator: Any
    best_estimator_: Any
    best_index_: int
    n_trials_: int
    scorer_: Any
    trial_returns_: pd.DataFrame

    def predict(self, X: Any) -> FloatArray:
        """Predict with the best candidate.

        Parameters
        ----------
        X : data as in ``fit``
            Descriptors.

        Returns
        -------
        ndarray of shape (n_samples,)
            Predictions in units of y.
        """
        predictions: FloatArray = self._best().predict(as_table(X))
        return predictions

    def score(self, X: Any, y: Any) -> float:
        """Score the best candidate with the scorer of the search.

        Parameters
        ----------
        X : data as in ``fit``
            Descriptors.
        y : Series or array-like of shape (n_samples,)
            Forward returns, decimal.

        Returns
        -------
        float
            Higher is better.
        """
        return float(self.scorer_(self._best(), as_table(X), y))

    @available_if(_can_explain)
    def explain(self, X: Any, **options: Any) -> Explanation:
        """Explain the predictions of the best candidate, if it can be explained.

        Parameters
        ----------
        X : data as in ``fit``
            Descriptors.
        **options : Any
            Handed to its ``explain``.

        Returns
        -------
        Explanation
            One for each row of X. For Pipelines use :func:`skdrfm.explain`, which takes the search itself.
        """
        explanation: Explanation = self._best().explain(as_table(X), **options)
        return explanation

    def deflated_sharpe_ratio(self, *, periods_per_year: float, n_trials: float | None = None) -> float:
        """Probability that the best candidate's Sharpe ratio is above what luck would give the best of all trials.

        :func:`skdrfm.metrics.deflated_sharpe_ratio` of ``trial_returns_[best_index_]``: the long/short returns of the
        best candidate on the validation dates, against the Sharpe ratios of all completed trials on the same dates.

        Parameters
        ----------
        periods_per_year : float
            P: 12 for months, 52 for weeks, 252 for trading days.
        n_trials : float, default=None
            N, the number of independent trials. None: ``n_trials_``. Pass more if there were other searches on the same
            dates.

        Returns
        -------
        float
            In [0, 1]; 0.95 and above is the usual bar for skill.

        Raises
        ------
        PanelError
            If returns were not kept, fewer than 2 trials have a score, or a date had too few names for a portfolio.
        """
        check_is_fitted(self)
        if not hasattr(self, "trial_returns_"):
            raise PanelError(
                "The search must keep the returns of its trials. Got n_quantiles=None. Pass n_quantiles=5, for "
                "quintile portfolios."
            )
        returns = self.trial_returns_
        missing = int(returns.isna().any(axis=1).sum())
        if missing:
            raise PanelError(
                f"Each validation date must have a portfolio. Got {missing} of {len(returns)} dates with fewer names "
                "than n_quantiles. Use fewer quantiles, or the function deflated_sharpe_ratio on the other dates of "
                "trial_returns_."
            )
        if self.n_trials_ < 2:
            raise PanelError(
                f"At least 2 different candidates must have a score. Got {self.n_trials_}. Use "
                "probabilistic_sharpe_ratio for one alone."
            )
        ratios = [
            sharpe_ratio(returns[trial].to_numpy(), periods_per_year=periods_per_year) for trial in returns.columns
        ]
        return float(
            deflated_sharpe_ratio(
                returns[self.best_index_].to_numpy(),
                trial_sharpe_ratios=np.array(ratios),
                periods_per_year=periods_per_year,
                n_trials=self.n_trials_ if n_trials is None else n_trials,
            )
        )

    def _best(self) -> Any:
        check_is_fitted(self)
        if not hasattr(self, "best_estimator_"):
            raise NotFittedError(
                f"{type(self).__name__} must have fitted the best candidate on all rows. Got refit=False. Pass "
                "refit=True, or fit an estimator with best_params_ yourself."
            )
        return self.best_estimator_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "best_index_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if is_builder(self.estimator):
            tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
            return tags
        inner = get_tags(self.estimator)
        for name in ("estimator_type", "regressor_tags", "classifier_tags", "target_tags", "input_tags"):
            setattr(tags, name, getattr(inner, name))
        return tags
