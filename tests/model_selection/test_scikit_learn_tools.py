"""WalkForwardSplit inside scikit-learn's own tools, and the one tool that refuses it."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  makes HalvingGridSearchCV importable
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    check_cv,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
    validation_curve,
)

from skdrfm import DeepFactorRegressor, DeepRecurrentFactorRegressor, walk_forward_predict
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.model_selection import WalkForwardSplit
from skdrfm.scoring import make_quantile_scorer, r2_oos_scorer, rank_ic_scorer

CV = WalkForwardSplit(8, 2)


@pytest.fixture(scope="module")
def panel():
    """14 months of 3 to 5 assets, rows in no order."""
    rng = np.random.default_rng(0)
    dates = pd.date_range("2010-01-31", periods=14, freq="ME")
    index = pd.MultiIndex.from_product([dates, list("ABCDE")], names=["date", "asset"])
    keep = rng.random(len(index)) < 0.8
    keep[::5] = True
    X = pd.DataFrame(rng.normal(size=(keep.sum(), 2)), index=index[keep], columns=["a", "b"])
    X = X.sample(frac=1, random_state=1)
    return X, X["a"] - X["b"] + rng.normal(size=len(X))


@pytest.fixture(params=["pandas", "numpy with groups"])
def data(request, panel):
    X, y = panel
    if request.param == "pandas":
        return X, y, {}
    return X.to_numpy(), y.to_numpy(), {"groups": X.index.get_level_values("date")}


@pytest.fixture(params=[False, True], ids=["routing off", "routing on"])
def routing(request):
    with sklearn.config_context(enable_metadata_routing=request.param):
        yield request.param


def literal_scores(panel, model):
    X, y = panel
    dates = X.index.get_level_values("date")
    distinct = sorted(set(dates))
    scores = []
    for start in range(8, 13, 2):
        train, test = dates.isin(distinct[start - 8 : start]), dates.isin(distinct[start : start + 2])
        scores.append(clone(model).fit(X[train], y[train]).score(X[test], y[test]))
    return scores


class RowCountRegressor(RegressorMixin, BaseEstimator):
    """Predicts the number of rows that it was trained on."""

    def fit(self, X, y):
        self.n_rows_ = len(X)
        return self

    def predict(self, X):
        return np.full(len(X), float(self.n_rows_))


class TestTools:
    def test_cross_validate(self, panel, data, routing):
        X, y, groups = data
        dates = {"params": groups} if routing else groups
        scores = cross_validate(LinearRegression(), X, y, cv=CV, return_indices=True, **dates)
        np.testing.assert_allclose(scores["test_score"], literal_scores(panel, LinearRegression()), rtol=1e-12)
        assert len(scores["indices"]["train"]) == 3
        np.testing.assert_array_equal(cross_val_score(LinearRegression(), X, y, cv=CV, **dates), scores["test_score"])

    def test_grid_search(self, panel, data, routing):
        X, y, groups = data
        search = GridSearchCV(Ridge(), {"alpha": [0.1, 1000.0]}, cv=CV).fit(X, y, **groups)
        assert search.n_splits_ == 3
        assert search.best_params_ == {"alpha": 0.1}
        np.testing.assert_allclose(search.best_score_, np.mean(literal_scores(panel, Ridge(alpha=0.1))), rtol=1e-12)

    def test_halving_grid_search(self, data, routing):
        X, y, groups = data
        parameters = {"alpha": [0.1, 10.0, 1000.0, 1e5]}
        search = HalvingGridSearchCV(
            Ridge(), parameters, cv=CV, resource="max_iter", min_resources=10, max_resources=40, random_state=0
        )
        search.fit(X, y, **groups)
        assert search.n_splits_ == 3
        assert search.best_params_["alpha"] == 0.1

    def test_halving_by_samples_draws_rows_within_the_windows(self, data):
        X, y, groups = data
        search = HalvingGridSearchCV(Ridge(), {"alpha": [0.1, 1e5]}, cv=CV, min_resources=30, random_state=0)
        assert search.fit(X, y, **groups).best_params_ == {"alpha": 0.1}

    def test_validation_curve(self, panel, data, routing):
        X, y, groups = data
        dates = {"params": groups} if routing else groups
        _, scores = validation_curve(Ridge(), X, y, param_name="alpha", param_range=[0.1, 10.0], cv=CV, **dates)
        np.testing.assert_allclose(scores[1], literal_scores(panel, Ridge(alpha=10.0)), rtol=1e-12)

    def test_learning_curve_runs_on_the_first_rows_of_each_window(self, data, routing):
        X, y, groups = data
        dates = {"params": groups} if routing else groups
        sizes, _, scores = learning_curve(LinearRegression(), X, y, train_sizes=[10, 20], cv=CV, **dates)
        assert sizes.tolist() == [10, 20]
        assert np.isfinite(scores).all()

    def test_permutation_test_score_with_windows_of_the_true_dates(self, panel):
        X, y = panel
        score, shuffled, _ = permutation_test_score(Ridge(), X, y, cv=CV, n_permutations=5, random_state=0)
        assert score > shuffled.max()

    def test_a_splitter_is_taken_as_it_is(self):
        assert check_cv(CV) is CV

    def test_workers_receive_windows_that_cannot_be_written_to(self, panel):
        X, y = panel
        ordered = X.sort_index()
        one, two = (
            cross_val_score(LinearRegression(), ordered, y.reindex(ordered.index), cv=CV, n_jobs=n_jobs)
            for n_jobs in (1, 2)
        )
        np.testing.assert_array_equal(one, two)


SCORERS = {"ls": make_quantile_scorer(n_quantiles=2), "ic": rank_ic_scorer, "r2": r2_oos_scorer}
FIT_INTERCEPT = {"fit_intercept": [True, False]}


@pytest.fixture(scope="module")
def full_panel():
    """12 months of 6 assets, so that every date has a portfolio and a rank IC."""
    rng = np.random.default_rng(1)
    dates = pd.date_range("2010-01-31", periods=12, freq="ME")
    index = pd.MultiIndex.from_product([dates, list("ABCDEF")], names=["date", "asset"])
    X = pd.DataFrame(rng.normal(size=(len(index), 2)), index=index, columns=["a__lag1", "a__lag0"])
    return X, X["a__lag0"] - 0.5 * X["a__lag1"] + rng.normal(size=len(X))


def literal_rank_ic(panel, model):
    X, y = panel
    folds = [
        rank_ic_scorer(clone(model).fit(X.iloc[train], y.iloc[train]), X.iloc[test], y.iloc[test])
        for train, test in CV.split(X)
    ]
    return np.mean(folds)


class TestSearchesOfOurEstimatorsByOurScorers:
    @pytest.mark.parametrize("refit", list(SCORERS))
    def test_grid_search_with_several_scorers(self, full_panel, refit):
        search = GridSearchCV(LinearFactorRegressor(), FIT_INTERCEPT, cv=CV, scoring=SCORERS, refit=refit)
        search.fit(*full_panel)
        assert search.best_index_ == search.cv_results_[f"mean_test_{refit}"].argmax()
        expected = [literal_rank_ic(full_panel, LinearFactorRegressor(fit_intercept=value)) for value in (True, False)]
        np.testing.assert_allclose(search.cv_results_["mean_test_ic"], expected, rtol=1e-12)

    @pytest.mark.parametrize(
        "model",
        [
            DeepFactorRegressor((2,), epochs=1, random_state=0),
            DeepRecurrentFactorRegressor(units=2, epochs=1, random_state=0),
        ],
        ids=["deep", "recurrent"],
    )
    def test_randomized_search_of_networks(self, full_panel, model):
        learning_rates = {"learning_rate": [1e-3, 1e-1]}
        cv = WalkForwardSplit(8, 4)
        search = RandomizedSearchCV(model, learning_rates, n_iter=2, cv=cv, scoring=rank_ic_scorer, random_state=0)
        search.fit(*full_panel)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        assert search.best_estimator_.explain(full_panel[0]).values.shape == (72, 2, 1)

    def test_halving_random_search_with_epochs_as_the_resource(self, full_panel):
        model = DeepFactorRegressor((2,), random_state=0)
        search = HalvingRandomSearchCV(
            model,
            {"learning_rate": [1e-3, 1e-2, 1e-1]},
            n_candidates=2,
            factor=2,
            resource="epochs",
            min_resources=1,
            max_resources=2,
            cv=WalkForwardSplit(8, 4),
            scoring=rank_ic_scorer,
            random_state=0,
        )
        search.fit(*full_panel)
        assert search.n_resources_ == [1, 2]
        assert search.best_params_["epochs"] == 2

    @pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
    @pytest.mark.filterwarnings("ignore:OptunaSearchCV is experimental")
    @pytest.mark.filterwarnings("ignore:`optuna.terminator` module has been deprecated:FutureWarning")
    def test_optuna_search(self, full_panel):
        optuna = pytest.importorskip("optuna")
        integration = pytest.importorskip("optuna_integration.sklearn")
        search = integration.OptunaSearchCV(
            Ridge(),
            {"alpha": optuna.distributions.FloatDistribution(1e-2, 1e4, log=True)},
            cv=CV,
            n_trials=4,
            scoring=rank_ic_scorer,
            random_state=0,
            verbose=0,
        )
        search.fit(*full_panel)
        assert search.n_splits_ == 2
        for trial in search.trials_:
            expected = literal_rank_ic(full_panel, Ridge(trial.params["alpha"]))
            assert trial.value == pytest.approx(expected, rel=1e-12)
        assert search.best_score_ == max(trial.value for trial in search.trials_)

    @pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
    @pytest.mark.filterwarnings("ignore:OptunaSearchCV is experimental")
    @pytest.mark.filterwarnings("ignore:`optuna.terminator` module has been deprecated:FutureWarning")
    def test_optuna_within_a_walk(self, full_panel):
        optuna = pytest.importorskip("optuna")
        integration = pytest.importorskip("optuna_integration.sklearn")
        search = integration.OptunaSearchCV(
            LinearFactorRegressor(),
            {"fit_intercept": optuna.distributions.CategoricalDistribution([True, False])},
            cv=WalkForwardSplit(4, 2),
            n_trials=2,
            scoring=rank_ic_scorer,
            random_state=0,
            verbose=0,
        )
        X, y = full_panel
        got = walk_forward_predict(search, X, y, cv=CV, progress=False).predictions
        train, test = next(CV.split(X))
        alone = clone(search).fit(X.iloc[train], y.iloc[train])
        np.testing.assert_array_equal(got.loc[X.index[test]], alone.predict(X.iloc[test]))


class TestPredictions:
    def test_cross_val_predict_refuses_windows_that_do_not_test_every_row(self, data, routing):
        X, y, groups = data
        dates = {"params": groups} if routing else groups
        with pytest.raises(ValueError, match="cross_val_predict only works for partitions"):
            cross_val_predict(LinearRegression(), X, y, cv=CV, **dates)

    def test_walk_forward_predict_returns_what_cross_val_predict_would(self, panel):
        X, y = panel
        got = walk_forward_predict(RowCountRegressor(), X, y, cv=CV, progress=False).predictions
        assert len(got) == sum(len(test) for _, test in CV.split(X))
        for train, test in CV.split(X):
            assert (got.loc[X.index[test]] == len(train)).all()


class TestItself:
    def test_it_pickles_clones_and_shows_its_parameters(self):
        cv = WalkForwardSplit(6, 2, gap=1, freq="M", first_test_date="2011-01")
        assert vars(pickle.loads(pickle.dumps(cv))) == vars(cv)
        assert vars(clone(cv, safe=False)) == vars(cv)
        for part in ("train_size=6", "test_size=2", "gap=1", "freq='M'", "first_test_date='2011-01'", "step=None"):
            assert part in repr(cv)

    def test_splitting_leaves_no_trace_in_it(self, panel):
        cv = WalkForwardSplit(6, 2)
        before = dict(vars(cv))
        list(cv.split(panel[0]))
        assert vars(cv) == before

    def test_two_splits_at_once_do_not_disturb_each_other(self, panel):
        one, two = CV.split(panel[0]), CV.split(panel[0])
        next(one)
        assert [len(test) for _, test in two][1:] == [len(test) for _, test in one]
