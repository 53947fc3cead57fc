"""A search with Keras Tuner gives the scores that a loop by hand gives, and hides nothing."""

import inspect
import pickle
import random
import subprocess
import sys
import tempfile

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, clone, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, Ridge, SGDRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdrfm import DeepFactorRegressor, WalkForwardSplit, backtest, explain, make_factor_panel, walk_forward_predict
from skdrfm.exceptions import MissingDependencyError, PanelError, SkdrfmWarning, SplitError
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.metrics import deflated_sharpe_ratio, probability_of_backtest_overfitting, sharpe_ratio
from skdrfm.model_selection._search import KerasTunerSearchCV, keras_tuner_search
from skdrfm.panel import LaggedPanel
from skdrfm.scoring import make_quantile_scorer, r2_oos_scorer, rank_ic_scorer

pytest.importorskip("keras_tuner")

CV = WalkForwardSplit(12, 3)
ALPHAS = [0.1, 10.0, 1000.0]


@pytest.fixture(scope="module")
def panel():
    return make_factor_panel(n_dates=21, n_assets=15, n_descriptors=4, random_state=0)


@pytest.fixture(scope="module")
def searched(panel):
    return keras_tuner_search(
        Ridge(),
        *panel,
        space={"alpha": ALPHAS},
        max_trials=6,
        cv=CV,
        scoring=rank_ic_scorer,
        n_quantiles=3,
        random_state=0,
    )


class Fussy(RegressorMixin, BaseEstimator):
    """Predicts the first column, and fails for some parameters."""

    def __init__(self, power=1, broken="none"):
        self.power = power
        self.broken = broken

    def fit(self, X, y):
        if self.broken == "fit":
            raise RuntimeError("no such luck")
        self.sign_ = np.sign(np.mean(np.asarray(X)[:, 0] * np.asarray(y)))
        return self

    def predict(self, X):
        values = self.sign_ * np.asarray(X)[:, 0] ** self.power
        return np.full(len(X), 0.5) if self.broken == "constant" else values


def constant_means_nan(estimator, X, y):
    return float("nan") if estimator.broken == "constant" else estimator.score(X, y)


def global_states():
    return random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002  the generator that must not move


class TestReferenceValues:
    def test_scores_are_those_of_a_loop_over_windows(self, panel, searched):
        X, y = panel
        for number, row in searched.trials_.iterrows():
            expected = [
                rank_ic_scorer(Ridge(row["param_alpha"]).fit(X.iloc[train], y.iloc[train]), X.iloc[test], y.iloc[test])
                for train, test in CV.split(X)
            ]
            assert row[[f"split{fold}_score" for fold in range(3)]].tolist() == expected
            assert row["mean_score"] == np.mean(expected)
            assert row["std_score"] == np.std(expected)
            assert searched.cv_results_["params"][number] == {"alpha": row["param_alpha"]}

    @pytest.mark.parametrize("scoring", [r2_oos_scorer, make_quantile_scorer(n_quantiles=3), None])
    def test_it_agrees_with_a_grid_search(self, panel, scoring):
        grid = GridSearchCV(Ridge(), {"alpha": ALPHAS}, cv=CV, scoring=scoring).fit(*panel)
        search = KerasTunerSearchCV(Ridge(), {"alpha": ALPHAS}, max_trials=6, cv=CV, scoring=scoring, random_state=0)
        search.fit(*panel)
        assert set(search.trials_["param_alpha"]) == set(ALPHAS)
        assert search.best_params_ == grid.best_params_
        assert search.best_score_ == grid.best_score_
        assert set(search.cv_results_) == set(grid.cv_results_)
        np.testing.assert_array_equal(search.predict(panel[0]), grid.predict(panel[0]))
        assert search.score(*panel) == grid.score(*panel)

    def test_an_error_is_made_small_and_never_large(self, panel):
        search = KerasTunerSearchCV(
            Ridge(), {"alpha": ALPHAS}, max_trials=6, cv=CV, scoring="neg_mean_squared_error", random_state=0
        ).fit(*panel)
        errors = -search.trials_["mean_score"]
        assert (errors > 0).all()
        assert search.best_index_ == errors.idxmin()
        assert search.cv_results_["rank_test_score"][search.best_index_] == 1

    def test_kept_returns_are_those_of_a_backtest_of_the_walk(self, panel, searched):
        X, y = panel
        for trial, alpha in searched.trials_["param_alpha"].items():
            walk = walk_forward_predict(Ridge(alpha), X, y, cv=CV, progress=False)
            expected = backtest(walk.predictions, y, n_quantiles=3).gross_long_short
            pd.testing.assert_series_equal(
                searched.trial_returns_[trial], expected, check_names=False, check_freq=False, rtol=1e-9
            )

    def test_the_deflated_sharpe_ratio_is_that_of_the_metric_by_hand(self, searched):
        returns = searched.trial_returns_
        ratios = [sharpe_ratio(returns[trial], periods_per_year=12) for trial in returns]
        chosen = returns[searched.best_index_]
        expected = deflated_sharpe_ratio(chosen, trial_sharpe_ratios=ratios, periods_per_year=12)
        assert searched.n_trials_ == len(ratios) == 3
        assert searched.deflated_sharpe_ratio(periods_per_year=12) == pytest.approx(expected, rel=1e-12)
        more = deflated_sharpe_ratio(chosen, trial_sharpe_ratios=ratios, periods_per_year=12, n_trials=100)
        assert searched.deflated_sharpe_ratio(periods_per_year=12, n_trials=100) == pytest.approx(more, rel=1e-12)
        assert more < expected
        assert 0 <= probability_of_backtest_overfitting(returns, n_blocks=2).probability <= 1

    def test_hyperband_gives_more_epochs_to_the_best_of_a_round(self, panel):
        model = SGDRegressor(tol=None, random_state=0)
        search = keras_tuner_search(
            model,
            *panel,
            space=lambda hp: {"alpha": hp.Float("strength", 1e-3, 1.0, sampling="log")},
            tuner="hyperband",
            max_epochs=4,
            factor=2,
            resource="max_iter",
            cv=CV,
            random_state=0,
        )
        trials = search.trials_
        assert set(trials["param_max_iter"]) == {1, 2, 4}
        first = trials.iloc[: (trials["param_max_iter"] != 1).argmax()].sort_values("mean_score")
        promoted = trials.iloc[len(first) :].query("param_max_iter == 2")["param_alpha"].iloc[0]
        assert promoted == first["param_alpha"].iloc[-1]
        assert search.n_trials_ == len(trials.drop_duplicates(["param_alpha", "param_max_iter"]))
        assert search.best_estimator_.max_iter == search.best_params_["max_iter"]
        assert model.max_iter == 1000

    def test_windows_by_default_are_three_sixths_after_half_of_the_dates(self, panel):
        search = KerasTunerSearchCV(Ridge(), {"alpha": ALPHAS}, max_trials=1, random_state=0).fit(*panel)
        expected = WalkForwardSplit(10, 3, n_splits=3)
        literal = [
            Ridge(search.best_params_["alpha"])
            .fit(panel[0].iloc[a], panel[1].iloc[a])
            .score(panel[0].iloc[b], panel[1].iloc[b])
            for a, b in expected.split(panel[0])
        ]
        assert search.best_score_ == np.mean(literal)


class TestSpaces:
    @pytest.mark.parametrize(
        ("values", "found"),
        [
            ([1, 2], {1, 2}),
            (np.array([0.5, 2.0]), {0.5, 2.0}),
            (range(3, 0, -1), {1, 2, 3}),
            (["svd", "lsqr"], {"svd", "lsqr"}),
            ([True, False], {True, False}),
            ([None, 5], {None, 5}),
            ([(8,), (4, 4)], {(8,), (4, 4)}),
            ([1, 2.5, np.float64(3)], {1, 2.5, 3.0}),
        ],
    )
    def test_values_of_any_type_reach_the_estimator_as_they_are(self, panel, values, found):
        search = KerasTunerSearchCV(Fussy(), {"power": [1], "broken": values}, max_trials=8, cv=CV, random_state=3)
        search.fit(*panel)
        assert set(search.trials_["param_broken"].replace({np.nan: None})) == found
        assert {type(params["broken"]) for params in search.cv_results_["params"]} == {type(item) for item in found}

    def test_a_function_declares_intervals_and_conditions(self, panel):
        def space(hp):
            parameters = {"alpha": hp.Float("alpha", 0.1, 10.0)}
            if hp.Boolean("iterate"):
                with hp.conditional_scope("iterate", [True]):
                    parameters |= {"solver": "lsqr", "max_iter": hp.Int("max_iter", 5, 50)}
            return parameters

        search = keras_tuner_search(Ridge(), *panel, space=space, max_trials=8, cv=CV, random_state=1)
        solver = search.trials_["param_solver"]
        assert set(solver.dropna()) == {"lsqr"}
        assert solver.isna().any()
        np.testing.assert_array_equal(search.cv_results_["param_solver"].mask, solver.isna())
        assert search.trials_["param_alpha"].between(0.1, 10).all()

    def test_a_function_builds_the_estimator(self, panel):
        def build(hp):
            first = [StandardScaler()] if hp.Boolean("scale") else []
            return make_pipeline(*first, Ridge(hp.Choice("alpha", ALPHAS)))

        search = keras_tuner_search(build, *panel, max_trials=4, cv=CV, random_state=0)
        assert set(search.best_params_) == {"scale", "alpha"}
        assert search.best_estimator_[-1].alpha == search.best_params_["alpha"]
        assert len(search.best_estimator_) == 1 + search.best_params_["scale"]
        assert is_regressor(search)
        assert clone(search).estimator is build

    def test_parameters_of_pipeline_steps_are_varied(self, panel):
        pipeline = make_pipeline(StandardScaler(), Ridge())
        search = keras_tuner_search(
            pipeline, *panel, space={"ridge__alpha": ALPHAS}, max_trials=2, cv=CV, random_state=0
        )
        assert search.best_estimator_[-1].alpha == search.best_params_["ridge__alpha"]

    def test_networks_are_searched_with_epochs_of_brackets(self, panel):
        model = DeepFactorRegressor((2,), epochs=2, random_state=0)
        search = keras_tuner_search(
            model,
            *panel,
            space={"hidden_units": [(2,), (3,)]},
            tuner="hyperband",
            factor=2,
            max_trials=3,
            cv=WalkForwardSplit(12, 9),
            scoring=rank_ic_scorer,
            random_state=0,
        )
        assert set(search.trials_["param_epochs"]) <= {1, 2}
        assert len(search.best_estimator_.history_) == search.best_params_["epochs"]
        rows = panel[0].tail(3)
        explanation = search.explain(rows)
        np.testing.assert_allclose(explanation.predictions, search.predict(rows))
        np.testing.assert_allclose(explain(search, rows).values, explanation.values)

    def test_the_layers_of_a_users_own_keras_network_are_searched(self, panel):
        def build(hp):
            width, activation = hp.Choice("width", [2, 3]), hp.Choice("activation", ["tanh", "relu"])

            def network(meta):
                keras = pytest.importorskip("keras")
                inputs = keras.Input((meta.n_timesteps, meta.n_features))
                hidden = keras.layers.Dense(width, activation=activation)(keras.layers.Flatten()(inputs))
                return keras.Model(inputs, keras.layers.Dense(1)(hidden))

            return DeepFactorRegressor(build_fn=network, epochs=1, random_state=0)

        cv = WalkForwardSplit(12, 9)
        search = keras_tuner_search(build, *panel, max_trials=2, cv=cv, scoring=rank_ic_scorer, random_state=0)
        assert (search.trials_["status"] == "completed").all()
        layers = search.best_estimator_.model_.layers
        assert layers[-2].units == search.best_params_["width"]
        assert layers[-2].activation.__name__ == search.best_params_["activation"]


class TestProperties:
    def test_the_same_seed_gives_the_same_trials_and_another_one_others(self, panel):
        def space(hp):
            return {"alpha": hp.Float("alpha", 1e-2, 1e4, sampling="log")}

        first, again, other = (
            keras_tuner_search(Ridge(), *panel, space=space, tuner="bayesian", max_trials=4, cv=CV, random_state=seed)
            for seed in (0, 0, 1)
        )
        pd.testing.assert_frame_equal(first.trials_.drop(columns="seconds"), again.trials_.drop(columns="seconds"))
        # Keras Tuner takes the numbers after a seed for its next draws: near seeds must not share them.
        assert not set(first.trials_["param_alpha"][:3]) & set(other.trials_["param_alpha"][:3])

    @pytest.mark.parametrize("random_state", [None, 0, np.random.RandomState(0)], ids=["none", "number", "state"])
    def test_global_generators_and_inputs_stay_as_they_are(self, panel, random_state):
        before = global_states()
        X, y = panel[0].copy(), panel[1].copy()
        keras_tuner_search(Ridge(), X, y, space={"alpha": ALPHAS}, max_trials=2, cv=CV, random_state=random_state)
        assert global_states() == before
        pd.testing.assert_frame_equal(X, panel[0])
        pd.testing.assert_series_equal(y, panel[1])

    def test_nothing_is_printed_and_nothing_left_on_disk(self, panel, capfd, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        with pytest.warns(SkdrfmWarning, match="1 of 2 trials failed"):
            keras_tuner_search(Fussy(), *panel, space={"broken": ["none", "fit"]}, max_trials=3, cv=CV, random_state=0)
        assert capfd.readouterr() == ("", "")
        assert not list(tmp_path.iterdir())

    def test_a_bar_counts_the_trials_if_asked_for(self, panel, capfd):
        keras_tuner_search(Ridge(), *panel, space={"alpha": ALPHAS}, max_trials=2, cv=CV, random_state=0, progress=True)
        assert "2/2" in capfd.readouterr().err

    def test_folds_in_workers_give_the_same_scores(self, panel, searched):
        with joblib.parallel_config(backend="threading"):
            parallel = clone(searched).set_params(n_jobs=2).fit(*panel)
        columns = ["param_alpha", "mean_score"]
        pd.testing.assert_frame_equal(parallel.trials_[columns], searched.trials_[columns])

    def test_it_clones_and_pickles(self, panel, searched):
        copy = pickle.loads(pickle.dumps(searched))
        np.testing.assert_array_equal(copy.predict(panel[0]), searched.predict(panel[0]))
        assert clone(searched).get_params()["max_trials"] == 6
        assert not hasattr(clone(searched), "best_index_")

    def test_arrays_come_with_groups_and_weights_reach_the_fit(self, panel):
        X, y = panel
        dates = X.index.get_level_values("date")
        weights = np.linspace(0.1, 2.0, len(X))
        search = KerasTunerSearchCV(Ridge(), {"alpha": ALPHAS}, max_trials=2, cv=CV, n_quantiles=3, random_state=0)
        search.fit(X.to_numpy(), y.to_numpy(), groups=dates, sample_weight=weights)
        expected = clone(search.best_estimator_).fit(X.to_numpy(), y.to_numpy(), weights)
        np.testing.assert_array_equal(search.best_estimator_.coef_, expected.coef_)
        assert search.trial_returns_.index.equals(dates.unique()[12:].rename("date"))

    def test_a_lagged_panel_gives_the_results_of_its_table(self, panel, tmp_path):
        X, y = panel
        lagged = LaggedPanel(X, lags=(0, 1))
        target = lagged.align(y)
        search = KerasTunerSearchCV(
            Ridge(), {"alpha": ALPHAS}, max_trials=2, cv=CV, n_quantiles=3, random_state=0, directory=tmp_path
        )
        table = clone(search).fit(lagged.to_frame(), target)
        search.fit(lagged, target)
        pd.testing.assert_frame_equal(search.trials_, table.trials_)
        np.testing.assert_array_equal(search.best_estimator_.coef_, table.best_estimator_.coef_)
        assert len(list(tmp_path.iterdir())) == 1
        np.testing.assert_array_equal(search.predict(lagged), table.predict(lagged.to_frame()))
        assert search.score(lagged, target) == table.score(lagged.to_frame(), target)

    def test_a_lagged_panel_is_explained_as_its_table(self, panel):
        lagged = LaggedPanel(panel[0], lags=(0, 1))
        search = KerasTunerSearchCV(LinearFactorRegressor(), {"fit_intercept": [True, False]}, cv=CV, random_state=0)
        search.fit(lagged, lagged.align(panel[1]))
        np.testing.assert_array_equal(search.explain(lagged).values, search.explain(lagged.to_frame()).values)

    def test_nothing_is_left_of_an_earlier_fit_with_other_parameters(self, panel, searched):
        search = clone(searched).fit(*panel)
        search.set_params(refit=False, n_quantiles=None).fit(*panel)
        left = {"best_estimator_", "refit_time_", "trial_returns_", "n_features_in_", "feature_names_in_"}
        assert left <= set(vars(searched))
        assert not left & set(vars(search))

    def test_the_function_takes_what_the_class_takes(self):
        function, kind = (inspect.signature(thing).parameters for thing in (keras_tuner_search, KerasTunerSearchCV))
        of_fit = {"X", "y", "groups", "sample_weight"}
        assert {name: p.default for name, p in function.items() if name not in of_fit} == {
            name: p.default for name, p in kind.items()
        }

    def test_importing_it_loads_neither_keras_tuner_nor_tensorflow(self):
        code = (
            "import skdrfm.model_selection._search, sys; "
            "assert not {'keras_tuner', 'tensorflow', 'keras'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


class TestFailures:
    def test_failed_trials_stay_in_the_table_with_their_error(self, panel):
        search = KerasTunerSearchCV(
            Fussy(),
            {"broken": ["none", "fit", "constant"]},
            max_trials=6,
            cv=CV,
            scoring=constant_means_nan,
            n_quantiles=3,
            random_state=0,
        )
        with pytest.warns(SkdrfmWarning, match="2 of 3 trials failed and cannot be chosen"):
            search.fit(*panel)
        trials = search.trials_.set_index("param_broken")
        assert trials["status"].to_dict() == {"none": "completed", "fit": "failed", "constant": "failed"}
        assert trials.loc["fit", "error"] == "RuntimeError: no such luck"
        assert "NonFiniteError: The score of each fold must be a finite number" in trials.loc["constant", "error"]
        assert trials["mean_score"].isna().sum() == 2
        assert search.best_params_ == {"broken": "none"}
        assert search.n_trials_ == 1
        assert list(search.trial_returns_) == [search.best_index_]
        with pytest.raises(PanelError, match="At least 2 different candidates must have a score. Got 1"):
            search.deflated_sharpe_ratio(periods_per_year=12)

    def test_a_function_that_dislikes_some_values_fails_these_trials_alone(self, panel):
        def space(hp):
            alpha = hp.Choice("alpha", ALPHAS)
            if alpha == 1000.0:
                raise ArithmeticError("too much")
            return {"alpha": alpha}

        search = KerasTunerSearchCV(Ridge(), space, max_trials=6, cv=CV, random_state=0)
        with pytest.warns(SkdrfmWarning, match="1 of 3 trials failed"):
            search.fit(*panel)
        failed = search.trials_.query("status == 'failed'").iloc[0]
        assert (failed["param_alpha"], failed["error"]) == (1000.0, "ArithmeticError: too much")

    def test_hyperband_never_goes_on_with_a_failed_trial(self, panel):
        def build(hp):
            return Fussy(broken="fit" if hp.Int("number", 1, 40) % 2 else "none")

        search = KerasTunerSearchCV(
            build, tuner="hyperband", max_epochs=4, factor=2, resource="power", cv=CV, scoring="r2", random_state=0
        )
        with pytest.warns(SkdrfmWarning, match="4 of 12 trials failed"):
            search.fit(*panel)
        trials = search.trials_
        assert trials["mean_score"].max() < 0
        failed = trials["status"] == "failed"
        assert (failed == (trials["param_number"] % 2 == 1)).all()
        assert not trials["param_number"][failed].duplicated().any()
        assert trials["param_number"][~failed].duplicated().sum() == 2

    def test_if_all_trials_fail_the_first_error_is_shown(self, panel):
        search = KerasTunerSearchCV(Fussy("x", "fit"), {"power": [1, 2, 3, 4, 5]}, max_trials=5, cv=CV, random_state=0)
        with pytest.raises(ValueError, match=r"Got \d failed trials of \d, the first with RuntimeError: no such luck"):
            search.fit(*panel)

    def test_a_scorer_with_several_figures_is_named(self, panel):
        search = KerasTunerSearchCV(
            Ridge(), {"alpha": ALPHAS}, cv=CV, max_trials=1, scoring=lambda model, X, y: {"a": 1.0, "b": 2.0}
        )
        with pytest.raises(ValueError, match="The scorer must return one number"):
            search.fit(*panel)

    def test_interrupts_are_not_failures(self, panel):
        def stop(model, X, y):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            KerasTunerSearchCV(Ridge(), {"alpha": ALPHAS}, cv=CV, scoring=stop).fit(*panel)


class TestValidation:
    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"space": {}}, "'space' must be a dict with the values of at least one parameter"),
            ({"space": None}, "'space' must be a dict"),
            ({"space": {"alpha": 3.0}}, "The space of 'alpha' must be a list, tuple, array or range"),
            ({"space": {"alpha": []}}, "The space of 'alpha' must be"),
            ({"space": {"beta": [1, 2]}}, "Invalid parameter 'beta'"),
            ({"space": lambda hp: {}}, "The space must have something to vary"),
            ({"estimator": 3}, "'estimator' must be an estimator, or a function"),
            ({"estimator": lambda hp: Ridge()}, "'space' must be None where 'estimator' is a function"),
            ({"tuner": "grid"}, "The 'tuner' parameter of KerasTunerSearchCV must be a str among"),
            ({"max_trials": 0}, "The 'max_trials' parameter"),
            ({"factor": 1}, "The 'factor' parameter"),
            ({"tuner": "hyperband"}, "Hyperband sets the parameter 'epochs', which the estimator must have. Got Ridge"),
            ({"tuner": "hyperband", "resource": "alpha"}, "so the space must not vary it"),
            ({"scoring": "nonsense"}, "'nonsense' is not a valid scoring value"),
        ],
    )
    def test_bad_parameters_are_named(self, panel, parameters, message):
        search = KerasTunerSearchCV(**{"estimator": Ridge(), "space": {"alpha": ALPHAS}, "cv": CV} | parameters)
        with pytest.raises(ValueError, match=message):
            search.fit(*panel)

    def test_functions_must_return_what_they_promise(self, panel):
        with pytest.raises(TypeError, match=r"space\(hp\) must return a dict of parameters.*Got Ridge"):
            keras_tuner_search(Ridge(), *panel, space=lambda hp: Ridge(), cv=CV)
        with pytest.raises(TypeError, match=r"build\(hp\) must return an unfitted scikit-learn estimator. Got dict"):
            keras_tuner_search(lambda hp: {}, *panel, cv=CV)
        with pytest.raises(ValueError, match="'max_epochs' must be given to Hyperband"):
            keras_tuner_search(lambda hp: Ridge(), *panel, tuner="hyperband", resource="max_iter", cv=CV)
        with pytest.raises(ValueError, match="'max_epochs' must be given to Hyperband .* Got None, and max_iter=None"):
            keras_tuner_search(Ridge(), *panel, space={"alpha": ALPHAS}, tuner="hyperband", resource="max_iter", cv=CV)

    def test_windows_that_are_none_are_refused(self, panel):
        search = KerasTunerSearchCV(Ridge(), {"alpha": ALPHAS})
        with pytest.raises(SplitError, match="folds that mix past and future"):
            clone(search).set_params(cv=5).fit(*panel)
        with pytest.raises(SplitError, match="at least one window. Got none"):
            clone(search).set_params(cv=[]).fit(*panel)
        with pytest.raises(SplitError, match="every row must be tested at most once"):
            clone(search).set_params(cv=WalkForwardSplit(12, 3, step=1), n_quantiles=3).fit(*panel)
        with pytest.raises(SplitError, match="needs the date of each row"):
            search.fit(panel[0].to_numpy(), panel[1].to_numpy())

    def test_what_was_not_kept_or_fitted_is_said(self, panel, searched):
        search = KerasTunerSearchCV(LinearFactorRegressor(), {"fit_intercept": [True, False]}, cv=CV, refit=False)
        with pytest.raises(NotFittedError):
            search.predict(panel[0])
        search.fit(*panel)
        with pytest.raises(NotFittedError, match="Got refit=False. Pass refit=True"):
            search.predict(panel[0])
        with pytest.raises(PanelError, match="Got n_quantiles=None"):
            search.deflated_sharpe_ratio(periods_per_year=12)
        assert not hasattr(searched, "explain")
        thin = panel[0].groupby("date").head(3).index[:-1]
        with pytest.warns(UserWarning, match="fewer"):
            few = clone(searched).fit(panel[0].loc[thin], panel[1].loc[thin])
        with pytest.raises(PanelError, match="Got 1 of 9 dates with fewer names"):
            few.deflated_sharpe_ratio(periods_per_year=12)

    @pytest.mark.parametrize("directory", [None, "trials"])
    def test_a_missing_package_names_the_extra(self, panel, monkeypatch, tmp_path, directory):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setitem(sys.modules, "keras_tuner", None)
        with pytest.raises(MissingDependencyError, match=r"pip install 'skdrfm\[tuning\]'"):
            keras_tuner_search(
                LinearRegression(), *panel, space={"fit_intercept": [True, False]}, cv=CV, directory=directory
            )
        assert not list(tmp_path.iterdir())
