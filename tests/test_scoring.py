import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, HalvingGridSearchCV, PredefinedSplit, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.metrics import newey_west_t, quantile_returns, r2_oos, rank_information_coefficient
from skdrfm.model_selection import WalkForwardSplit
from skdrfm.portfolio import backtest
from skdrfm.scoring import make_quantile_scorer, r2_oos_scorer, rank_ic_scorer


def share_of_gains(returns):
    """A statistic as a user would write it."""
    return (returns > 0).mean()


ALL = {
    "mean_return": make_quantile_scorer(),
    "annualised_return": make_quantile_scorer("annualised_return", periods_per_year=4),
    "sharpe_ratio": make_quantile_scorer("sharpe_ratio", n_quantiles=3),
    "newey_west_t": make_quantile_scorer("newey_west_t"),
    "share_of_gains": make_quantile_scorer(share_of_gains),
    "rank_ic": rank_ic_scorer,
    "r2_oos": r2_oos_scorer,
}
WITH_DATES = [name for name in ALL if name != "r2_oos"]


class Echo(RegressorMixin, BaseEstimator):
    """Predicts the first column of X."""

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.asarray(X)[:, 0]


@pytest.fixture
def panel():
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([range(202001, 202009), range(12)], names=["date", "asset"])
    X = pd.DataFrame(rng.normal(size=(96, 3)), index=index, columns=["CAP", "BETA", "SKEW"])
    y = 0.02 * X["CAP"] + pd.Series(rng.normal(0, 0.05, 96), index=index)
    order = rng.permutation(96)
    return X.iloc[order], y.iloc[order]


@pytest.fixture
def folds(panel):
    """Four folds of two whole dates each, by scikit-learn's own means."""
    codes = panel[1].index.get_level_values("date").to_numpy()
    return PredefinedSplit((codes - 202001) // 2)


class TestReferenceValues:
    def test_each_scorer_equals_the_figure_of_the_backtest(self, panel):
        X, y = panel
        model = LinearRegression().fit(X, y)
        predictions = pd.Series(model.predict(X), index=X.index)
        quintiles, terciles = backtest(predictions, y), backtest(predictions, y, n_quantiles=3)
        scores = {name: scorer(model, X, y) for name, scorer in ALL.items()}
        assert all(type(score) is float for score in scores.values())
        assert scores == pytest.approx(
            {
                "mean_return": quintiles.long_short.mean(),
                "annualised_return": 4 * quintiles.long_short.mean(),
                "sharpe_ratio": terciles.summary()["Sharpe ratio"],
                "newey_west_t": newey_west_t(quintiles.long_short),
                "share_of_gains": (quintiles.long_short > 0).mean(),
                "rank_ic": rank_information_coefficient(y, predictions).mean(),
                "r2_oos": r2_oos(y, predictions),
            },
            rel=1e-12,
        )

    def test_mean_return_of_one_date_by_hand(self):
        X, y = np.arange(6.0)[:, None], np.array([0.01, 0.02, 0.0, 0.03, 0.05, 0.04])
        scorer = make_quantile_scorer(n_quantiles=3)
        assert scorer(Echo(), X, y, dates=[1] * 6) == pytest.approx(0.045 - 0.015)


class TestProperties:
    @pytest.mark.parametrize("name", ALL)
    def test_row_order_does_not_matter(self, panel, name):
        X, y = panel
        model = LinearRegression().fit(X, y)
        order = np.random.default_rng(1).permutation(len(X))
        predictions = pd.Series(model.predict(X), index=X.index).to_frame()
        assert ALL[name](Echo(), predictions.iloc[order], y.iloc[order]) == ALL[name](Echo(), predictions, y)

    @pytest.mark.parametrize("name", ALL)
    def test_scorers_pickle_copy_and_compare_like_their_parameters(self, panel, name):
        X, y = panel
        model = Echo().fit(X, y)
        scorer = ALL[name]
        for twin in (pickle.loads(pickle.dumps(scorer)), copy.deepcopy(scorer)):
            assert twin == scorer
            assert twin(model, X, y) == scorer(model, X, y)
        assert scorer != make_quantile_scorer(n_quantiles=7)

    def test_representations_are_readable(self):
        assert [repr(scorer) for scorer in ALL.values()] == [
            "make_quantile_scorer('mean_return', n_quantiles=5)",
            "make_quantile_scorer('annualised_return', n_quantiles=5, periods_per_year=4)",
            "make_quantile_scorer('sharpe_ratio', n_quantiles=3, periods_per_year=12)",
            "make_quantile_scorer('newey_west_t', n_quantiles=5)",
            "make_quantile_scorer(share_of_gains, n_quantiles=5)",
            "rank_ic_scorer",
            "r2_oos_scorer",
        ]

    def test_a_better_forecast_has_a_higher_score(self, panel):
        _, y = panel
        good, bad = y.to_frame(), -y.to_frame()
        for scorer in ALL.values():
            assert scorer(Echo(), good, y) > scorer(Echo(), bad, y)

    @given(
        arrays(float, 24, elements=st.integers(-3, 3).map(float)),
        arrays(float, 24, elements=st.floats(-1, 1, allow_subnormal=False)),
        st.permutations(range(24)),
    )
    def test_row_order_and_increasing_transforms_change_no_bit(self, predictions, returns, order):
        dates = np.repeat([1, 2, 3], [5, 8, 11])
        scorers = [make_quantile_scorer(), make_quantile_scorer(share_of_gains, n_quantiles=3)]
        with_ic = all(len(np.unique(part[dates == date])) > 1 for part in (predictions, returns) for date in (1, 2, 3))
        for scorer in scorers + [rank_ic_scorer] * with_ic:
            score = scorer(Echo(), predictions[:, None], returns, dates=dates)
            other = scorer(Echo(), np.exp(predictions[order])[:, None], returns[order], dates=dates[order])
            assert other == score

    @given(
        arrays(float, 24, elements=st.integers(-3, 3).map(float)),
        arrays(float, 24, elements=st.floats(-1, 1, allow_subnormal=False)),
        st.integers(2, 5),
    )
    def test_opposite_predictions_have_the_opposite_score(self, predictions, returns, n_quantiles):
        scorer, dates = make_quantile_scorer(n_quantiles=n_quantiles), np.repeat([1, 2, 3], [5, 8, 11])
        score = scorer(Echo(), predictions[:, None], returns, dates=dates)
        assert scorer(Echo(), -predictions[:, None], returns, dates=dates) == -score
        assert scorer(Echo(), 0 * predictions[:, None], returns, dates=dates) == 0


class TestSources:
    @pytest.mark.parametrize("name", WITH_DATES)
    def test_dates_come_from_the_argument_from_y_or_from_X(self, panel, name):
        X, y = panel
        scorer, dates = ALL[name], y.index.get_level_values("date")
        expected = scorer(Echo(), X, y)
        assert scorer(Echo(), X.to_numpy(), y) == expected
        assert scorer(Echo(), X, y.to_numpy()) == expected
        for form in (dates, dates.to_numpy(), list(dates), pd.Series(dates)):
            assert scorer(Echo(), X.to_numpy(), y.to_numpy(), dates=form) == expected

    def test_the_argument_goes_before_the_index(self, panel):
        X, y = panel
        one_date = make_quantile_scorer()(Echo(), X, y, dates=np.zeros(96))
        assert one_date != make_quantile_scorer()(Echo(), X, y)

    @pytest.mark.parametrize("name", WITH_DATES)
    def test_unknown_dates_name_all_ways_out(self, panel, name):
        X, y = panel
        with pytest.raises(PanelError, match="The date of each row must be known") as caught:
            ALL[name](Echo(), X.to_numpy(), y.to_numpy())
        for way in ("Index X and y by", "enable_metadata_routing=True", "params=", "GridSearchCV.fit", "dates=dates)"):
            assert way in str(caught.value)

    def test_r2_needs_no_dates_and_ignores_them(self, panel):
        X, y = panel
        arrays = X.to_numpy(), y.to_numpy()
        assert r2_oos_scorer(Echo(), *arrays) == r2_oos_scorer(Echo(), *arrays, dates=np.zeros(96))


class TestInScikitLearn:
    def test_cross_validate_with_one_scorer_equals_a_loop_over_folds(self, panel, folds):
        X, y = panel
        scores = cross_validate(LinearRegression(), X, y, cv=folds, scoring=rank_ic_scorer)["test_score"]
        for score, (train, test) in zip(scores, folds.split(), strict=True):
            model = LinearRegression().fit(X.iloc[train], y.iloc[train])
            assert score == rank_ic_scorer(model, X.iloc[test], y.iloc[test])

    @pytest.mark.parametrize("n_jobs", [None, 2])
    def test_cross_validate_with_all_scorers_and_a_pipeline(self, panel, folds, n_jobs):
        model = make_pipeline(StandardScaler(), LinearRegression())
        scores = cross_validate(
            model, *panel, cv=folds, scoring=ALL, return_train_score=True, n_jobs=n_jobs, error_score="raise"
        )
        for name, scorer in ALL.items():
            assert np.isfinite(scores[f"test_{name}"]).all()
            alone = cross_validate(model, *panel, cv=folds, scoring=scorer)["test_score"]
            np.testing.assert_array_equal(alone, scores[f"test_{name}"])

    @pytest.mark.parametrize("name", ALL)
    def test_grid_search_with_pandas_needs_no_switch(self, panel, folds, name):
        search = GridSearchCV(Ridge(), {"alpha": [0.1, 1e4]}, cv=folds, scoring=ALL[name], error_score="raise")
        search.fit(*panel)
        assert np.isfinite(search.best_score_)
        assert search.score(*panel) == ALL[name](search.best_estimator_, *panel)
        assert pickle.loads(pickle.dumps(search)).best_score_ == search.best_score_

    def test_grid_search_with_several_scorers_and_sample_weights(self, panel, folds):
        X, y = panel
        search = GridSearchCV(Ridge(), {"alpha": [0.1]}, cv=folds, scoring=ALL, refit="rank_ic")
        with pytest.warns(UserWarning, match="does not support sample_weight"):
            search.fit(X, y, sample_weight=np.ones(len(X)))
        assert np.isfinite(search.best_score_)

    @pytest.mark.parametrize("dates_as", [np.asarray, list, pd.Series])
    def test_arrays_take_their_dates_from_routing(self, panel, folds, dates_as):
        X, y = panel
        dates = dates_as(y.index.get_level_values("date"))
        expected = cross_validate(LinearRegression(), X, y, cv=folds, scoring=ALL)
        with config_context(enable_metadata_routing=True):
            routed = cross_validate(
                make_pipeline(StandardScaler(), LinearRegression()),
                X.to_numpy(),
                y.to_numpy(),
                cv=folds,
                scoring=ALL,
                params={"dates": dates},
                error_score="raise",
            )
            single = cross_validate(
                LinearRegression(),
                X.to_numpy(),
                y.to_numpy(),
                cv=folds,
                scoring=rank_ic_scorer,
                params={"dates": dates},
                error_score="raise",
            )
        for name in ALL:
            np.testing.assert_allclose(routed[f"test_{name}"], expected[f"test_{name}"], rtol=1e-10)
        np.testing.assert_allclose(single["test_score"], expected["test_rank_ic"], rtol=1e-10)

    def test_grid_search_routes_dates_in_fit_and_score(self, panel):
        X, y = panel
        dates = y.index.get_level_values("date").to_numpy()
        with config_context(enable_metadata_routing=True):
            search = GridSearchCV(Ridge(), {"alpha": [0.1]}, cv=GroupKFold(4), scoring=rank_ic_scorer)
            search.fit(X.to_numpy(), y.to_numpy(), dates=dates, groups=dates)
            score = search.score(X.to_numpy(), y.to_numpy(), dates=dates)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        assert score == pytest.approx(rank_ic_scorer(search.best_estimator_, X.to_numpy(), y))

    def test_a_request_under_another_name_leaves_the_shared_scorer_alone(self, panel, folds):
        X, y = panel
        dates = y.index.get_level_values("date").to_numpy()
        scorer = rank_ic_scorer.set_score_request(dates="month")
        assert rank_ic_scorer.dates_request is True
        with config_context(enable_metadata_routing=True):
            arguments = {"cv": folds, "error_score": "raise"}
            arrays = X.to_numpy(), y.to_numpy()
            routed = cross_validate(LinearRegression(), *arrays, scoring=scorer, params={"month": dates}, **arguments)
            with pytest.raises(TypeError, match="month"):
                cross_validate(
                    LinearRegression(), *arrays, scoring=rank_ic_scorer, params={"month": dates}, **arguments
                )
            refusing = rank_ic_scorer.set_score_request(dates=None)
            with pytest.raises(UnsetMetadataPassedError, match="dates"):
                cross_validate(LinearRegression(), *arrays, scoring=refusing, params={"dates": dates}, **arguments)
        expected = cross_validate(LinearRegression(), X, y, cv=folds, scoring=rank_ic_scorer)
        np.testing.assert_allclose(routed["test_score"], expected["test_score"], rtol=1e-10)

    def test_routing_may_be_on_without_any_dates_passed(self, panel, folds):
        with config_context(enable_metadata_routing=True):
            scores = cross_validate(LinearRegression(), *panel, cv=folds, scoring=ALL, error_score="raise")
        assert np.isfinite(scores["test_rank_ic"]).all()


class TestHalvingSearch:
    @pytest.mark.parametrize(
        "scorer",
        [make_quantile_scorer(n_quantiles=2), make_quantile_scorer(share_of_gains, n_quantiles=2), rank_ic_scorer],
        ids=repr,
    )
    def test_more_and_more_rows(self, panel, scorer):
        # scikit-learn draws the rows of each fold at random, so that small stages have thin cross-sections.
        search = HalvingGridSearchCV(
            Ridge(),
            {"alpha": [0.1, 10.0, 1e4]},
            cv=WalkForwardSplit(train_size=5, test_size=3),
            scoring=scorer,
            resource="n_samples",
            min_resources=48,
            factor=2,
            error_score="raise",
            random_state=0,
        )
        search.fit(*panel)
        assert search.n_resources_ == [48, 96]
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        assert search.score(*panel) == scorer(search.best_estimator_, *panel)

    def test_more_and_more_of_a_parameter(self, panel):
        search = HalvingGridSearchCV(
            Ridge(solver="sag"),
            {"alpha": [0.1, 10.0, 1e4, 1e6]},
            cv=WalkForwardSplit(train_size=5, test_size=1),
            scoring=make_quantile_scorer(),
            resource="max_iter",
            max_resources=4000,
            min_resources=1000,
            factor=2,
            error_score="raise",
            random_state=0,
        )
        search.fit(*panel)
        assert search.n_iterations_ == 3
        assert search.n_resources_ == [1000, 2000, 4000]
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()

    def test_arrays_take_their_dates_from_routing(self, panel):
        X, y = panel
        dates = y.index.get_level_values("date").to_numpy()
        arguments = {"scoring": rank_ic_scorer, "min_resources": 96, "error_score": "raise", "random_state": 0}
        cv = WalkForwardSplit(train_size=5, test_size=1)
        with config_context(enable_metadata_routing=True):
            search = HalvingGridSearchCV(Ridge(), {"alpha": [0.1, 1e4]}, cv=cv, **arguments)
            search.fit(X.to_numpy(), y.to_numpy(), dates=dates, groups=dates)
        expected = HalvingGridSearchCV(Ridge(), {"alpha": [0.1, 1e4]}, cv=cv, **arguments).fit(X, y)
        np.testing.assert_allclose(
            search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"], rtol=1e-10
        )


class TestWalkForward:
    def test_one_date_folds_average_to_the_mean_over_all_dates(self, panel):
        X, y = panel
        cv = WalkForwardSplit(train_size=5, test_size=1)
        scores = cross_validate(LinearRegression(), X, y, cv=cv, scoring=ALL["mean_return"])["test_score"]
        assert len(scores) == 3
        by_date = []
        for train, test in cv.split(X):
            predictions = LinearRegression().fit(X.iloc[train], y.iloc[train]).predict(X.iloc[test])
            returns = quantile_returns(y.iloc[test], predictions)
            by_date += (returns[5] - returns[1]).tolist()
        np.testing.assert_array_equal(scores, by_date)

    def test_error_score_decides_about_a_sharpe_ratio_of_one_date(self, panel):
        arguments = {"cv": WalkForwardSplit(train_size=5, test_size=1), "scoring": ALL["sharpe_ratio"]}
        with pytest.warns(UserWarning, match="must have at least 2 dates with a portfolio"):
            scores = cross_validate(LinearRegression(), *panel, **arguments)["test_score"]
        assert np.isnan(scores).all()
        with pytest.warns(UserWarning, match="Use longer test windows"):
            scores = cross_validate(LinearRegression(), *panel, error_score=-9.0, **arguments)["test_score"]
        assert (scores == -9).all()
        with pytest.raises(PanelError, match="Use longer test windows"):
            cross_validate(LinearRegression(), *panel, error_score="raise", **arguments)

    def test_grid_search_with_several_scorers_and_routing_on_or_off(self, panel):
        found = []
        for routing in (False, True):
            with config_context(enable_metadata_routing=routing):
                search = GridSearchCV(
                    Ridge(),
                    {"alpha": [0.1, 1e4]},
                    cv=WalkForwardSplit(train_size=5, test_size=3),
                    scoring=ALL,
                    refit="sharpe_ratio",
                    error_score="raise",
                )
                found.append(search.fit(*panel).cv_results_)
        for name in ALL:
            assert np.isfinite(found[0][f"mean_test_{name}"]).all()
            np.testing.assert_array_equal(found[0][f"mean_test_{name}"], found[1][f"mean_test_{name}"])


class TestFoldsWithoutScore:
    @pytest.mark.parametrize("statistic", ["sharpe_ratio", "newey_west_t"])
    def test_figures_of_several_dates_say_what_to_do_with_one(self, panel, statistic):
        X, y = panel
        scorer = make_quantile_scorer(statistic)
        with pytest.raises(PanelError, match=r"Got 1. Use longer test windows") as caught:
            scorer(Echo(), X, y, dates=np.zeros(96))
        assert "walk_forward_predict" in str(caught.value)
        assert "mean_return" in str(caught.value)

    @pytest.mark.parametrize("statistic", ["sharpe_ratio", "newey_west_t"])
    def test_ratios_of_constant_predictions_are_an_error(self, panel, statistic):
        model = DummyRegressor().fit(*panel)
        with pytest.raises(PanelError, match="Got 0 on all 8 dates"):
            make_quantile_scorer(statistic)(model, *panel)
        assert make_quantile_scorer("mean_return")(model, *panel) == 0

    @pytest.mark.filterwarnings("ignore::skdrfm.exceptions.CoverageWarning")
    def test_error_score_decides_about_constant_predictions(self, panel, folds):
        arguments = {"cv": folds, "scoring": rank_ic_scorer}
        with pytest.warns(UserWarning, match="or it has no rank IC"):
            scores = cross_validate(DummyRegressor(), *panel, **arguments)["test_score"]
        assert np.isnan(scores).all()
        with pytest.raises(PanelError, match="predictions may be constant"):
            cross_validate(DummyRegressor(), *panel, error_score="raise", **arguments)

    def test_dates_without_a_figure_are_left_out_of_the_mean_and_counted(self):
        dates = np.array([1, 1, 1, 2, 2])
        X, y = np.arange(5.0)[:, None], np.array([0.1, 0.2, 0.3, 0.9, 0.1])
        with pytest.warns(CoverageWarning, match="1 of 2 dates"):
            assert rank_ic_scorer(Echo(), X, y, dates=dates) == pytest.approx(1)
        with pytest.warns(CoverageWarning, match="1 of 2 dates"):
            score = make_quantile_scorer(n_quantiles=3)(Echo(), X, y, dates=dates)
        assert score == pytest.approx(0.2)


class TestOwnStatistics:
    def test_a_callable_gets_the_returns_in_the_order_of_time(self, panel):
        X, y = panel
        seen = []

        def statistic(returns):
            seen.append(returns)
            return np.float32(returns[-1])

        score = make_quantile_scorer(statistic)(Echo(), X, y)
        expected = backtest(X["CAP"], y).long_short
        np.testing.assert_allclose(seen[0], expected, rtol=1e-12)
        assert type(score) is float
        assert score == pytest.approx(expected.iloc[-1], rel=1e-6)

    @pytest.mark.parametrize("value", [np.nan, np.inf, None, "1", np.array([1.0, 2.0])])
    def test_a_callable_must_return_a_finite_number(self, panel, value):
        def broken(returns):
            return value

        with pytest.raises(PanelError, match="statistic broken must return a finite number. Got"):
            make_quantile_scorer(broken)(Echo(), *panel)

    def test_a_callable_object_is_shown_as_it_shows_itself(self):
        class Statistic:
            def __call__(self, returns):
                return 1.0

            def __repr__(self):
                return "Statistic()"

        assert repr(make_quantile_scorer(Statistic())) == "make_quantile_scorer(Statistic(), n_quantiles=5)"


class TestValidation:
    def test_unknown_statistics_are_listed(self):
        with pytest.raises(ValueError, match="'statistic' parameter of make_quantile_scorer must be a str among"):
            make_quantile_scorer("sortino")

    @pytest.mark.parametrize("parameter", [{"n_quantiles": 1}, {"periods_per_year": 0}])
    def test_parameters_out_of_range_are_named(self, parameter):
        (name,) = parameter
        with pytest.raises(ValueError, match=f"'{name}' parameter of make_quantile_scorer must be"):
            make_quantile_scorer(**parameter)

    def test_fewer_assets_than_quantiles_is_an_error(self, panel):
        with pytest.raises(PanelError, match="20 names for 20 quantile portfolios"):
            make_quantile_scorer(n_quantiles=20)(Echo(), *panel)

    @pytest.mark.parametrize("name", ALL)
    def test_missing_values_are_counted(self, panel, name):
        X, y = panel
        holes = y.copy()
        holes.iloc[:2] = np.nan
        with pytest.raises(NonFiniteError, match=r"y must hold finite numbers. Got NaN: 2"):
            ALL[name](Echo(), X, holes)
        with pytest.raises(NonFiniteError, match=r"The predictions must hold finite numbers. Got NaN: 2"):
            ALL[name](Echo(), holes.to_frame(), y)

    def test_number_of_predictions_must_match(self, panel):
        X, y = panel
        with pytest.raises(PanelError, match=r"one value for each row of y \(96\). Got 95"):
            rank_ic_scorer(Echo(), X.iloc[1:], y)

    def test_number_of_dates_must_match(self, panel):
        with pytest.raises(PanelError, match=r"\(96\). Got 2 dates"):
            make_quantile_scorer()(Echo(), *panel, dates=[1, 2])
