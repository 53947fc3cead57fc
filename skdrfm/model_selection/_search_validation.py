"""How the trials of a search are judged: all on the same windows, by the same scorer."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.metrics import get_scorer
from sklearn.model_selection import check_cv, cross_validate

from skdrfm._typing import IntArray
from skdrfm.exceptions import NonFiniteError, SplitError
from skdrfm.metrics import quantile_returns
from skdrfm.model_selection._calendar import rows_by_date
from skdrfm.model_selection._search_trials import Outcome, failure
from skdrfm.model_selection._walk_forward import WalkForwardSplit


@dataclass(frozen=True, eq=False)
class Validation:
    """The data and windows that all trials are scored on.

    Parameters
    ----------
    X, y : data of n_samples rows
        As handed to ``fit``.
    splits : sequence of (ndarray of int, ndarray of int)
        Training and test rows of each fold.
    scorer : callable
        Higher is better.
    n_jobs : int or None
        Folds computed at the same time.
    fit_params : mapping of str to Any
        Handed to the fit of each candidate, cut to its rows.
    n_quantiles : int or None
        Quantiles of the portfolio whose returns are kept; None keeps none.
    dates : Index of length n_samples or None
        Date of each row, where returns are kept.
    """

    X: Any
    y: Any
    splits: Sequence[tuple[IntArray, IntArray]]
    scorer: Any
    n_jobs: int | None = None
    fit_params: Mapping[str, Any] = field(default_factory=dict)
    n_quantiles: int | None = None
    dates: pd.Index | None = None

    @classmethod
    def of(
        cls,
        X: Any,
        y: Any,
        groups: Any,
        sample_weight: Any,
        *,
        cv: Any,
        scoring: Any,
        n_jobs: int | None,
        n_quantiles: int | None,
    ) -> Self:
        """Read the parameters of a search.

        Parameters
        ----------
        X, y, groups, sample_weight
            As handed to ``fit``.
        cv, scoring, n_jobs, n_quantiles
            As of the search.

        Returns
        -------
        Validation
            With the windows of these rows.

        Raises
        ------
        SplitError
            If the windows are no windows, or test rows again whose returns shall be kept.
        ValueError
            If there is no such scorer.
        """
        if isinstance(cv, Integral):
            raise SplitError(
                f"'cv' must be a splitter or an iterable of (train, test). Got {cv!r}, which scikit-learn takes for "
                "folds that mix past and future. Pass WalkForwardSplit(...)."
            )
        dated = rows_by_date(X, y, groups) if cv is None or n_quantiles is not None else None
        if cv is None and dated is not None:
            cv = _default_windows(len(dated.dates))
        splits = list(check_cv(cv).split(X, y, groups))
        if not splits:
            raise SplitError("The splitter must yield at least one window. Got none.")
        if n_quantiles is not None:
            _check_tested_once(splits)
        return cls(
            X,
            y,
            splits,
            scorer=_scorer(scoring),
            n_jobs=n_jobs,
            fit_params={} if sample_weight is None else {"sample_weight": sample_weight},
            n_quantiles=n_quantiles,
            dates=None if dated is None or n_quantiles is None else dated.dates[dated.codes],
        )

    @property
    def tested_dates(self) -> pd.Index:
        """The validation dates in the order of time, where returns are kept."""
        assert self.dates is not None
        tested = self.dates[np.concatenate([test for _, test in self.splits])]
        return tested.unique().sort_values().rename("date")

    def evaluate(self, candidate: Any) -> Outcome:
        """Fit and score a candidate on each fold.

        Parameters
        ----------
        candidate : estimator
            Unfitted.

        Returns
        -------
        Outcome
            A trial fails with its first fold that has an error, or no finite score.
        """
        begin = time.perf_counter()
        try:
            folds = cross_validate(
                candidate,
                self.X,
                self.y,
                cv=self.splits,
                scoring=self.scorer,
                n_jobs=self.n_jobs,
                params=dict(self.fit_params) or None,
                return_estimator=self.n_quantiles is not None,
                error_score="raise",
            )
            if "test_score" not in folds:
                raise TypeError("The scorer must return one number. Got several scores. Pass one scorer.")
            scores = folds["test_score"]
            if not np.isfinite(scores).all():
                fold = int(np.flatnonzero(~np.isfinite(scores))[0])
                raise NonFiniteError(
                    f"The score of each fold must be a finite number. Got {scores[fold]} in fold {fold}. Look at the "
                    "predictions, or use another scorer."
                )
            returns = None if self.n_quantiles is None else self._returns(folds["estimator"], self.n_quantiles)
        except Exception as error:  # a model may fail in any way, and the search goes on
            return failure(error, time.perf_counter() - begin)
        return Outcome(
            time.perf_counter() - begin,
            tuple(scores.tolist()),
            tuple(folds["fit_time"].tolist()),
            tuple(folds["score_time"].tolist()),
            returns,
        )

    def _returns(self, models: Sequence[Any], n_quantiles: int) -> tuple[float, ...]:
        """Long/short return of the pooled predictions on each validation date."""
        assert self.dates is not None
        tests = [test for _, test in self.splits]
        predictions = [
            np.asarray(model.predict(_rows(self.X, test)), dtype=np.float64)
            for model, test in zip(models, tests, strict=True)
        ]
        rows = np.concatenate(tests)
        by_quantile = quantile_returns(
            np.asarray(_rows(self.y, rows)),
            np.concatenate(predictions),
            n_quantiles=n_quantiles,
            dates=self.dates[rows],
        )
        return tuple((by_quantile[n_quantiles] - by_quantile[1]).tolist())


def _default_windows(n_dates: int) -> WalkForwardSplit:
    """Half of the dates for training, and three test windows of a sixth each, the latest ones."""
    return WalkForwardSplit(max(1, n_dates // 2), max(1, n_dates // 6), n_splits=3)


def _check_tested_once(splits: Sequence[tuple[IntArray, IntArray]]) -> None:
    tested = np.concatenate([test for _, test in splits])
    again = len(tested) - len(np.unique(tested))
    if again:
        raise SplitError(
            f"With n_quantiles every row must be tested at most once, so that each date has one return. Got {again} "
            "rows that are tested again. Use a step that is not smaller than test_size."
        )


def _scorer(scoring: Any) -> Any:
    if scoring is None:
        return _own_score
    return scoring if callable(scoring) else get_scorer(scoring)


def _own_score(estimator: Any, X: Any, y: Any) -> float:
    return float(estimator.score(X, y))


def _rows(data: Any, rows: IntArray) -> Any:
    return data.iloc[rows] if hasattr(data, "iloc") else np.asarray(data)[rows]
