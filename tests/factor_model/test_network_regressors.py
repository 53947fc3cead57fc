"""The two network regressors: layouts, validation, equality with Keras, explanations, scikit-learn's tools."""

import copy
import pickle
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdrfm import (
    DeepFactorRegressor,
    DeepRecurrentFactorRegressor,
    WalkForwardSplit,
    explain,
    make_factor_panel,
    make_quantile_scorer,
    stack_lags,
)
from skdrfm.exceptions import NonFiniteError, PanelError, SkdrfmWarning, UnsupportedLayerError
from skdrfm.factor_model import LinearFactorRegressor, paper_models
from skdrfm.factor_model._network import latest_rows
from skdrfm.preprocessing import CrossSectionalRankScaler


def quick(**changes):
    return DeepRecurrentFactorRegressor(**{"units": 3, "epochs": 1, "random_state": 0, **changes})


def quick_dense(**changes):
    return DeepFactorRegressor(**{"hidden_units": (5,), "epochs": 1, "random_state": 0, **changes})


@pytest.fixture(scope="module")
def panel():
    X, y = make_factor_panel(n_dates=20, n_assets=12, n_descriptors=3, random_state=0)
    return stack_lags(CrossSectionalRankScaler().fit_transform(X), y, lags=(0, 3, 6))


class TestLayout:
    def test_names_give_the_layout(self, panel):
        model = quick().fit(*panel)
        assert model.n_timesteps_ == 3
        assert model.lags_ == (6, 3, 0)
        assert model.descriptor_names_ == ("60VOL", "BETA", "SKEW")
        assert list(model.feature_names_in_) == list(panel[0].columns)

    @pytest.mark.parametrize("make", [quick, quick_dense])
    def test_two_and_three_dimensions_agree(self, panel, make):
        X, y = panel[0].to_numpy(), panel[1].to_numpy()
        flat = make(n_timesteps=3).fit(X, y)
        deep = make().fit(X.reshape(-1, 3, 3), y)
        np.testing.assert_array_equal(flat.predict(X), deep.predict(X.reshape(-1, 3, 3)))

    def test_a_pipeline_that_loses_the_names_is_told_so(self, panel):
        with pytest.warns(SkdrfmWarning, match="read as one lag"):
            make_pipeline(StandardScaler(), quick()).fit(*panel)
        kept = make_pipeline(StandardScaler(), quick()).set_output(transform="pandas").fit(*panel)
        assert kept[-1].n_timesteps_ == 3

    def test_lags_that_contradict_n_timesteps(self, panel):
        with pytest.raises(ValueError, match="which has 3 lags in its column names. Got 2. Leave n_timesteps=None"):
            quick(n_timesteps=2).fit(*panel)


class TestValidationPart:
    def test_latest_dates_are_held_out_and_never_cut(self, panel):
        held_out = latest_rows(panel[0].sample(frac=1, random_state=1), 1 / 4)
        dates = panel[0].sample(frac=1, random_state=1).index.get_level_values("date")
        assert dates[held_out].min() > dates[~held_out].max()
        assert dates[held_out].nunique() == round(dates.nunique() / 4)

    def test_one_sixtieth_of_sixty_months_is_one_month(self):
        index = pd.MultiIndex.from_product(
            [pd.date_range("2000-01-31", periods=60, freq="ME"), ["A", "B"]], names=["date", "asset"]
        )
        assert latest_rows(pd.Series(0.0, index=index), 1 / 60).sum() == 2

    def test_held_out_rows_do_not_train(self, panel):
        X, y = panel
        last = X.index.get_level_values("date") == X.index.get_level_values("date").max()
        one_epoch = quick(dtype="float64")
        base = one_epoch.fit(X, y).predict(X)
        np.testing.assert_array_equal(clone(one_epoch).fit(X, y.where(~last, 0.5)).predict(X), base)

    def test_without_dates_the_last_rows_are_held_out(self):
        assert latest_rows(np.zeros((120, 2)), 1 / 60).nonzero()[0].tolist() == [118, 119]

    def test_no_validation_part_on_request(self, panel):
        assert list(quick(validation_fraction=0).fit(*panel).history_.columns) == ["loss"]

    def test_one_date_cannot_be_split(self, panel):
        X, y = panel
        one = X.index.get_level_values("date") == X.index.get_level_values("date").min()
        with pytest.raises(PanelError, match="latest 1 of the 1 training dates .* or validation_fraction=0"):
            quick().fit(X[one], y[one])


class TestPredictions:
    @pytest.mark.parametrize(
        "model",
        [
            quick(units=(4, 3), dense_units=(3,)),
            quick(bidirectional=False, activation="relu"),
            quick(cell="rudder", units=(4, 3)),
            quick_dense(hidden_units=(6, 4)),
            quick_dense(activation="elu", dropout=0.3, l2=1e-3),
        ],
        ids=["stacked", "one direction", "additive", "dense", "dense elu dropout"],
    )
    def test_predict_equals_keras(self, panel, model):
        X, _ = panel
        fitted = clone(model).fit(*panel)
        sequences = X.to_numpy().reshape(-1, 3, 3)
        from_keras = fitted.model_.predict(sequences, verbose=0)[:, 0]
        np.testing.assert_allclose(fitted.predict(X), from_keras, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("make", [quick, quick_dense])
    def test_explanations_add_up_and_agree_with_predictions(self, panel, make):
        X, y = panel
        model = make(epochs=3).fit(X, y)
        explanation = model.explain(X)
        scale = np.abs(explanation.values).sum((1, 2)) + np.abs(explanation.intercept)
        assert (np.abs(explanation.conservation_gap) <= 1e-10 * scale).all()
        np.testing.assert_allclose(explanation.predictions, model.predict(X), rtol=1e-12)
        assert explanation.index.equals(X.index)

    @pytest.mark.parametrize("make", [quick, quick_dense])
    def test_linearized_returns_the_sum_of_relevances_of_the_same_network(self, panel, make):
        plain, linearized = make().fit(*panel), make(linearized=True).fit(*panel)
        for a, b in zip(plain.trained_.weights, linearized.trained_.weights, strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(linearized.predict(panel[0]), plain.explain(panel[0]).values.sum((1, 2)))

    def test_sample_weight_of_zero_takes_a_row_out_of_the_loss(self, panel):
        X, y = panel
        weight = np.ones(len(y))
        weight[:30] = 0
        spoiled = y.copy()
        spoiled.iloc[:30] = 0.9
        clean = quick().fit(X, y, sample_weight=weight).predict(X)
        np.testing.assert_array_equal(quick().fit(X, spoiled, sample_weight=weight).predict(X), clean)
        assert (quick().fit(X, y).predict(X) != clean).any()

    def test_the_paper_candidates_are_tried_and_the_best_is_kept(self, panel, monkeypatch):
        monkeypatch.setattr("skdrfm.factor_model._deep.PAPER_CANDIDATES", ((2,), (3, 3)))
        selected = quick_dense(hidden_units="select").fit(*panel)
        losses = [quick_dense(hidden_units=sizes).fit(*panel).trained_.best_validation_loss for sizes in ((2,), (3, 3))]
        assert selected.trained_.best_validation_loss == min(losses)

    def test_candidates_share_their_training_rows(self, panel):
        first, *others = quick_dense(hidden_units="select")._jobs(*panel, np.ones(len(panel[0])))
        for job in others:
            assert (job.X is first.X, job.y is first.y, job.sample_weight is first.sample_weight) == (True,) * 3

    def test_the_network_learns_a_planted_signal(self):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(2000, 3, 2))
        y = X[:, 0, 1] * 0.5
        model = quick(units=8, epochs=15, batch_size=32, learning_rate=0.01).fit(X, y)
        assert np.corrcoef(model.predict(X), y)[0, 1] > 0.95
        strength = np.abs(model.explain(X).values).mean(axis=0)
        assert np.unravel_index(strength.argmax(), strength.shape) == (0, 1)


class TestAdditiveCell:
    @pytest.mark.parametrize("rule", ["lrp-all", "rudder", "arras-decay"])
    @pytest.mark.parametrize("bidirectional", [False, True])
    def test_forecasts_are_one_constant_and_a_sum_over_lags(self, panel, bidirectional, rule):
        X, y = panel
        model = quick(cell="rudder", bidirectional=bidirectional, epochs=3).fit(X, y)
        explanation = model.explain(X, rule=rule, epsilon=0)
        nothing = pd.DataFrame(np.zeros((1, X.shape[1])), columns=X.columns)
        constant = model.predict(nothing)[0]
        np.testing.assert_array_equal(explanation.intercept, np.full(len(X), constant))
        np.testing.assert_allclose(explanation.by_lag().sum(axis=1) + constant, model.predict(X), rtol=1e-12)

    def test_each_lag_adds_what_the_input_gate_lets_in(self, panel):
        X, y = panel
        model = quick(cell="rudder", bidirectional=False, epochs=3).fit(X, y)
        kernel, recurrent, bias, weights, intercept = (np.asarray(w, dtype=float) for w in model.trained_.weights)
        memory, added = np.zeros((len(X), 3)), []
        for x in X.to_numpy().reshape(-1, 3, 3).swapaxes(0, 1):
            step = np.tanh(x @ kernel) / (1 + np.exp(-(memory @ recurrent + bias)))
            memory = memory + step
            added.append(step @ weights[:, 0])
        explanation = model.explain(X, epsilon=0)
        np.testing.assert_allclose(explanation.by_lag(), np.stack(added, axis=1), atol=1e-12)
        np.testing.assert_array_equal(explanation.intercept, intercept[0])

    def test_its_keras_model_survives_a_file(self, panel, tmp_path):
        X, y = panel
        model = quick(cell="rudder").fit(X, y)
        model.model_.save(tmp_path / "additive.keras")
        code = (
            "import sys, numpy, skdrfm; X = numpy.load(sys.argv[1]);"
            "numpy.save(sys.argv[1], skdrfm.explain(sys.argv[2], X).predictions)"
        )
        np.save(tmp_path / "X.npy", X.to_numpy())
        run = [sys.executable, "-c", code, str(tmp_path / "X.npy"), str(tmp_path / "additive.keras")]
        subprocess.run(run, check=True, capture_output=True)
        np.testing.assert_array_equal(np.load(tmp_path / "X.npy"), model.explain(X).predictions)


class TestBuildFn:
    def test_a_builder_of_the_user_is_trained_and_explained(self, panel):
        def build(meta):
            inputs = keras.Input((meta.n_timesteps, meta.n_features))
            initializer = keras.initializers.GlorotUniform(meta.seed)
            hidden = keras.layers.LSTM(2, kernel_initializer=initializer, recurrent_initializer=initializer)(inputs)
            return keras.Model(inputs, keras.layers.Dense(1, kernel_initializer=initializer)(hidden))

        model = quick(build_fn=build).fit(*panel)
        assert [type(layer).__name__ for layer in model.network_.layers] == ["LSTM", "Dense"]
        assert np.abs(model.explain(panel[0]).conservation_gap).max() < 1e-12

    def test_unsupported_layers_predict_but_do_not_explain(self, panel):
        def build(meta):
            inputs = keras.Input((meta.n_timesteps, meta.n_features))
            return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(keras.layers.Conv1D(2, 2)(inputs))))

        model = quick(build_fn=build).fit(*panel)
        assert model.predict(panel[0]).shape == (len(panel[0]),)
        with pytest.raises(UnsupportedLayerError, match="Conv1D"):
            model.explain(panel[0])


class TestInsideScikitLearn:
    def test_cross_validate_and_grid_search(self, panel):
        cv = WalkForwardSplit(8, 3)
        scores = cross_validate(quick(), *panel, cv=cv, scoring={"ls": make_quantile_scorer(), "mse": "r2"})
        assert len(scores["test_ls"]) == cv.get_n_splits(panel[0])
        search = GridSearchCV(
            quick(), {"units": [2, (2, 2)]}, cv=WalkForwardSplit(8, 6), scoring=make_quantile_scorer()
        )
        search.fit(*panel)
        explanation = explain(search, panel[0])
        np.testing.assert_allclose(explanation.predictions, search.predict(panel[0]), rtol=1e-12)

    def test_a_pipeline_is_explained_in_its_own_units(self, panel):
        pipeline = make_pipeline(StandardScaler(), quick(n_timesteps=3)).fit(*panel)
        explanation = explain(pipeline, panel[0])
        np.testing.assert_allclose(explanation.predictions, pipeline.predict(panel[0]), rtol=1e-12)
        assert explanation.index.equals(panel[0].index)

    def test_pickle_copy_and_clone(self, panel):
        model = quick().fit(*panel)
        expected = model.predict(panel[0])
        for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            np.testing.assert_array_equal(again.predict(panel[0]), expected)
        np.testing.assert_array_equal(clone(model).fit(*panel).predict(panel[0]), expected)

    def test_two_processes_give_the_same_predictions(self, panel):
        X, y = panel
        expected = quick().fit(X, y).predict(X)
        fits = Parallel(n_jobs=2)(delayed(_fit_predict)(quick(), X, y) for _ in range(2))
        for predictions in fits:
            np.testing.assert_array_equal(predictions, expected)

    def test_refitting_does_not_depend_on_the_first_fit(self, panel):
        X, y = panel
        model = quick().fit(X, y)
        expected = model.predict(X)
        model.fit(X, -y)
        np.testing.assert_array_equal(model.fit(X, y).predict(X), expected)


def _fit_predict(model, X, y):
    return model.fit(X, y).predict(X)


class TestPaperModels:
    def test_seven_rows_in_the_order_of_the_table(self):
        models = paper_models(random_state=3)
        assert list(models) == ["LSTM", "LSTM+LRP", "DNN", "DNN+LRP", "Linear", "SVR", "Random forest"]
        assert models["LSTM+LRP"].linearized
        assert not models["LSTM"].linearized
        assert models["LSTM"].get_params() == {**models["LSTM+LRP"].get_params(), "linearized": False}
        assert models["Random forest"].random_state == 3
        assert paper_models(select_hidden_units=True)["DNN"].hidden_units == "select"

    def test_defaults_are_those_of_table_3(self):
        model = paper_models()["LSTM"]
        assert (model.units, model.bidirectional, model.epochs, model.optimizer) == (16, True, 10, "adam")
        assert model.validation_fraction == 1 / 60


class TestLinear:
    def test_explanation_is_the_linear_model(self, panel):
        X, y = panel
        weight = np.linspace(1, 2, len(y))
        model = LinearFactorRegressor().fit(X, y, sample_weight=weight)
        explanation = model.explain(X)
        np.testing.assert_allclose(explanation.loadings[0].ravel(), model.coef_)
        np.testing.assert_allclose(explanation.intercept, model.intercept_)
        design = np.column_stack([np.ones(len(X)), X.to_numpy()]) * np.sqrt(weight)[:, None]
        expected = np.linalg.lstsq(design, y.to_numpy() * np.sqrt(weight), rcond=None)[0]
        np.testing.assert_allclose(model.coef_, expected[1:], rtol=1e-8)


class TestErrors:
    @pytest.mark.parametrize("make", [quick, quick_dense, LinearFactorRegressor])
    def test_nan_names_column_and_count(self, panel, make):
        X, y = panel
        X = X.copy()
        X.iloc[:3, 4] = np.nan
        with pytest.raises(NonFiniteError, match=r"X must hold finite numbers. Got NaN: 3 in 'BETA__lag3'"):
            make().fit(X, y)
        with pytest.raises(NonFiniteError, match="y must hold finite numbers. Got infinity .inf.: 1 of"):
            make().fit(panel[0], y.where(y != y.iloc[0], np.inf))

    @pytest.mark.parametrize(
        ("model", "message"),
        [
            (quick(units=(4, 0)), "'units' parameter of DeepRecurrentFactorRegressor must hold integers >= 1"),
            (quick(units=()), "at least one"),
            (quick(dense_units=(2.5,)), "'dense_units'"),
            (quick(dropout=1.0), "'dropout' parameter of DeepRecurrentFactorRegressor must be a float in the range"),
            (quick(activation="softmax"), "'activation'"),
            (quick_dense(hidden_units="all"), "'hidden_units'"),
            (quick_dense(hidden_units="select", validation_fraction=0), "needs a validation part"),
            (quick(n_timesteps=0), "'n_timesteps'"),
        ],
    )
    def test_parameters(self, panel, model, message):
        with pytest.raises(ValueError, match=message):
            model.fit(panel[0], panel[1])

    def test_columns_must_divide_by_n_timesteps(self):
        with pytest.raises(ValueError, match="multiple of n_timesteps=3. Got 7 columns"):
            quick(n_timesteps=3).fit(np.zeros((9, 7)), np.zeros(9))

    def test_unaligned_targets(self, panel):
        with pytest.raises(PanelError, match="same rows in another order"):
            quick().fit(panel[0], panel[1].iloc[::-1])
