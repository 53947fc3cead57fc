"""Each check passes a sound estimator and catches one that is broken in just its way."""

import random
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression

from skdrfm.utils import estimator_checks
from skdrfm.utils.estimator_checks import check_panel_estimator, iter_panel_checks


class SoundTransformer(TransformerMixin, BaseEstimator):
    """Demeans each date."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        if not isinstance(X, pd.DataFrame):
            return X - X.mean(axis=0)
        return X - X.groupby(level="date").transform(np.mean)


class WritesIntoFrames(SoundTransformer):
    def transform(self, X):
        if isinstance(X, pd.DataFrame):
            X.iloc[0, 0] = 0.0
        return super().transform(X)


class WritesIntoArrays(SoundTransformer):
    def transform(self, X):
        if isinstance(X, np.ndarray):
            X -= 1.0
        return super().transform(X)


class ForgetsAttributes(SoundTransformer):
    def fit(self, X, y=None):
        if isinstance(X, pd.DataFrame):
            X.attrs.clear()
        return self


class DropsRows(SoundTransformer):
    def transform(self, X):
        return super().transform(X)[1:]


class SortsRows(SoundTransformer):
    def transform(self, X):
        out = super().transform(X)
        return out.sort_index() if isinstance(X, pd.DataFrame) else out


class LosesTheIndex(SoundTransformer):
    def transform(self, X):
        return np.asarray(super().transform(X))


class LooksAtPositions(SoundTransformer):
    def transform(self, X):
        return super().transform(X) + 1e-3 * np.arange(len(X))[:, None]


class StandardisesByFit(SoundTransformer):
    """Moments of all dates: the past learns of the future."""

    def fit(self, X, y=None):
        self.mean_ = np.nanmean(np.asarray(X), axis=0)
        return self

    def transform(self, X):
        return X - self.mean_


class ExpandingMean(SoundTransformer):
    """Looks at the past only, so it has no look-ahead; yet it depends on other dates."""

    def transform(self, X):
        if not isinstance(X, pd.DataFrame):
            return X - X.mean(axis=0)
        by_date = X.groupby(level="date")
        past = by_date.sum().cumsum() / by_date.size().cumsum().to_numpy()[:, None]
        return X - past.reindex(X.index.get_level_values("date")).to_numpy()


TRANSFORMERS = [
    (WritesIntoFrames, "check_transformer_input_not_modified", "changed the DataFrame"),
    (WritesIntoArrays, "check_transformer_input_not_modified", "changed the ndarray"),
    (ForgetsAttributes, "check_transformer_input_not_modified", "changed the DataFrame"),
    (DropsRows, "check_rows_preserved", r"Got \d+ rows for \d+\."),
    (SortsRows, "check_rows_preserved", "in another order"),
    (LosesTheIndex, "check_rows_preserved", "Got ndarray"),
    (LooksAtPositions, "check_transform_row_order", "another order"),
    (StandardisesByFit, "check_no_look_ahead", "look-ahead"),
    (ExpandingMean, "check_date_independence", "other dates have an effect"),
]


class SoundRegressor(RegressorMixin, BaseEstimator):
    """Ridge on the columns as they come, with exact relevances."""

    def __init__(self, n_timesteps=None, linearized=False, random_state=None):
        self.n_timesteps = n_timesteps
        self.linearized = linearized
        self.random_state = random_state

    def fit(self, X, y):
        self.n_timesteps_ = self.n_timesteps or (X.shape[1] if np.ndim(X) == 3 else 2)
        flat = self.flat(X)
        penalty = np.eye(flat.shape[1])
        self.coef_ = np.linalg.solve(flat.T @ flat + penalty, flat.T @ np.asarray(y))
        return self

    def flat(self, X):
        return np.asarray(X, dtype=float).reshape(len(X), -1)

    def predict(self, X):
        return self.flat(X) @ self.coef_ + (0.0 if self.linearized else 0.01)

    def explain(self, X):
        flat = self.flat(X)
        return SimpleNamespace(
            values=(flat * self.coef_).reshape(len(X), self.n_timesteps_, -1),
            intercept=np.full(len(X), 0.01),
            predictions=flat @ self.coef_ + 0.01,
            index=getattr(X, "index", None),
        )


class WritesIntoX(SoundRegressor):
    def fit(self, X, y):
        if isinstance(X, pd.DataFrame):
            X.iloc[:, 0] = 0.0
        return super().fit(X, y)


class WritesIntoY(SoundRegressor):
    def fit(self, X, y):
        if isinstance(y, pd.Series):
            y.name = "renamed"
            y.iloc[0] += 1e-9
        return super().fit(X, y)


class PredictsColumns(SoundRegressor):
    def predict(self, X):
        return super().predict(X)[:, None]


class PredictsIntegers(SoundRegressor):
    def predict(self, X):
        return np.zeros(len(X), dtype=int)


class PredictsNaN(SoundRegressor):
    def predict(self, X):
        return np.full(len(X), np.nan)


class PredictsInSortedOrder(SoundRegressor):
    def predict(self, X):
        return super().predict(X.sort_index() if isinstance(X, pd.DataFrame) else X)


class SeedsNumpy(SoundRegressor):
    def fit(self, X, y):
        np.random.seed(self.random_state)  # noqa: NPY002
        return super().fit(X, y)


class DrawsFromPython(SoundRegressor):
    def fit(self, X, y):
        random.random()
        return super().fit(X, y)


class IgnoresTheSeed(SoundRegressor):
    def fit(self, X, y):
        super().fit(X, y)
        self.coef_ = self.coef_ + 1e-3 * np.random.default_rng().standard_normal(self.coef_.shape)
        return self


class ReadsTimeBackwardsInPredict(SoundRegressor):
    def predict(self, X):
        return super().predict(X[:, ::-1] if np.ndim(X) == 3 else X)


class ReadsTimeBackwardsInFitToo(SoundRegressor):
    """3-D predictions agree with 2-D ones of the same fit, but fit of 3-D learns other things."""

    def fit(self, X, y):
        super().fit(X, y)
        if np.ndim(X) == 3:
            self.coef_ = self.coef_[::-1].copy()
        return self


class LosesAShare(SoundRegressor):
    def explain(self, X):
        explanation = super().explain(X)
        explanation.values = explanation.values * (1 - 1e-8)
        return explanation


class ExplainsFlat(SoundRegressor):
    def explain(self, X):
        explanation = super().explain(X)
        explanation.values = explanation.values.reshape(len(X), -1)
        return explanation


class ExplainsAnotherModel(SoundRegressor):
    def explain(self, X):
        explanation = super().explain(X)
        explanation.intercept = explanation.intercept + 0.001
        explanation.predictions = explanation.predictions + 0.001
        return explanation


class ForgetsTheIndex(SoundRegressor):
    def explain(self, X):
        explanation = super().explain(X)
        explanation.index = None
        return explanation


class ExplainsInSortedOrder(SoundRegressor):
    """The index is right, the rows below it are not."""

    def explain(self, X):
        explanation = super().explain(X.sort_index())
        explanation.index = X.index
        return explanation


class LinearizedInNameOnly(SoundRegressor):
    def __init__(self, n_timesteps=None, linearized=True, random_state=None):
        super().__init__(n_timesteps, linearized, random_state)

    def predict(self, X):
        return self.flat(X) @ self.coef_ + 0.01


REGRESSORS = [
    (WritesIntoX, "check_regressor_input_not_modified", "changed X"),
    (WritesIntoY, "check_regressor_input_not_modified", "changed y"),
    (PredictsColumns, "check_predict_one_float_per_row", "of shape"),
    (PredictsIntegers, "check_predict_one_float_per_row", "Got int64"),
    (PredictsNaN, "check_predict_one_float_per_row", "finite floats"),
    (PredictsInSortedOrder, "check_predict_row_order", "another order"),
    (SeedsNumpy, "check_global_random_state_unchanged", "state of numpy.random"),
    (DrawsFromPython, "check_global_random_state_unchanged", "state of random"),
    (IgnoresTheSeed, "check_same_seed_same_predictions", "same random_state"),
    (ReadsTimeBackwardsInPredict, "check_2d_and_3d_agree", "predict must give the same"),
    (ReadsTimeBackwardsInFitToo, "check_2d_and_3d_agree", "fit must learn the same"),
    (LosesAShare, "check_explanation_adds_up", "relative gap of"),
    (ExplainsFlat, "check_explanation_adds_up", "must have shape"),
    (ExplainsAnotherModel, "check_explanation_matches_predict", "the predictions of the"),
    (LinearizedInNameOnly, "check_explanation_matches_predict", "the sum of relevances of"),
    (ForgetsTheIndex, "check_explanation_row_order", "must be that of X"),
    (ExplainsInSortedOrder, "check_explanation_row_order", "do not follow the rows"),
]


@pytest.mark.parametrize(
    "estimator",
    [
        SoundTransformer(),
        SoundRegressor(),
        SoundRegressor(n_timesteps=4),
        SoundRegressor(linearized=True),
        LinearRegression(),
    ],
    ids=str,
)
def test_sound_estimators_pass_every_check(estimator):
    check_panel_estimator(estimator)


@pytest.mark.parametrize(("broken", "check", "message"), TRANSFORMERS + REGRESSORS)
def test_a_broken_estimator_is_caught(broken, check, message):
    checks = dict(iter_panel_checks(broken()))
    with pytest.raises(AssertionError, match=f"^{broken.__name__}: .*{message}"):
        checks[check](broken())


@pytest.mark.parametrize("broken", [DropsRows, StandardisesByFit, PredictsNaN, LosesAShare])
def test_running_all_checks_reaches_the_one_that_fails(broken):
    with pytest.raises(AssertionError, match=f"^{broken.__name__}: "):
        check_panel_estimator(broken())


def test_every_check_has_an_estimator_that_it_catches():
    offered = {name for e in (SoundTransformer(), SoundRegressor()) for name, _ in iter_panel_checks(e)}
    assert offered == {check for _, check, _ in TRANSFORMERS + REGRESSORS}
    assert offered | {"check_panel_estimator", "iter_panel_checks"} == set(estimator_checks.__all__)


def test_checks_follow_what_the_estimator_has():
    names = [name for name, _ in iter_panel_checks(LinearRegression())]
    assert "check_predict_row_order" in names
    assert not [name for name in names if "3d" in name or "explanation" in name]


def test_an_estimator_that_is_neither_is_refused():
    with pytest.raises(TypeError, match="Got BaseEstimator"):
        check_panel_estimator(BaseEstimator())
    assert "check_rows_preserved" in dict(iter_panel_checks(KMeans()))


def test_global_random_state_is_restored_after_a_check_that_fails():
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    for broken in (SeedsNumpy, DrawsFromPython):
        with pytest.raises(AssertionError):
            estimator_checks.check_global_random_state_unchanged(broken())
    np.testing.assert_array_equal(numpy_state[1], np.random.get_state()[1])  # noqa: NPY002
    assert python_state == random.getstate()


def test_date_independence_and_look_ahead_are_told_apart():
    estimator_checks.check_no_look_ahead(ExpandingMean())
    estimator_checks.check_date_independence(StandardisesByFit())
