"""explain on models that a user wrote with Keras alone, and on networks inside Pipelines."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
from scikeras.wrappers import KerasRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdrfm import DeepRecurrentFactorRegressor, explain, make_factor_panel, stack_lags
from skdrfm.exceptions import NonFiniteError, PanelError, SkdrfmWarning, UnsupportedLayerError
from skdrfm.inspection import lag_memory
from skdrfm.lrp import METHODS, Composite, Rule

keras = pytest.importorskip("keras")
STEPS, FEATURES = 3, 4


@pytest.fixture(scope="module")
def panel():
    X, y = make_factor_panel(n_dates=12, n_assets=10, n_descriptors=FEATURES, random_state=0)
    return stack_lags(X, y, lags=(0, 2, 4))


def draw(model, seed=0):
    """Give a model weights, biases too, that are not those of its initializers."""
    rng = np.random.default_rng(seed)
    model.set_weights([0.4 * rng.normal(size=weight.shape) for weight in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def model():
    layers = keras.layers
    return draw(
        keras.Sequential(
            [
                keras.Input((STEPS, FEATURES)),
                layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
                layers.Dropout(0.2, name="drop"),
                layers.GRU(3, name="gru"),
                layers.Dense(1, name="forecast"),
            ]
        )
    )


def predictions(model, X):
    return np.asarray(model(np.asarray(X, dtype=np.float32).reshape(-1, STEPS, FEATURES)))[:, 0]


class TestKerasModels:
    def test_a_saved_file_of_plain_keras_code_is_explained(self, model, panel, tmp_path):
        X, _ = panel
        path = tmp_path / "mine.keras"
        model.save(path)
        explanation = explain(path, X)
        np.testing.assert_allclose(explanation.predictions, predictions(model, X), atol=1e-6)
        assert np.abs(explanation.conservation_gap).max() < 1e-14
        assert explanation.lags == (4, 2, 0)
        assert explanation.descriptor_names == ("60VOL", "BETA", "SKEW", "ROE")
        assert explanation.index.equals(X.index)
        loaded = explain(keras.saving.load_model(path), X)
        np.testing.assert_array_equal(loaded.values, explanation.values)

    def test_frames_flat_arrays_and_sequences_agree(self, model, panel):
        X, _ = panel
        frame = explain(model, X)
        flat = explain(model, X.to_numpy())
        sequences = explain(model, X.to_numpy().reshape(-1, STEPS, FEATURES))
        np.testing.assert_array_equal(flat.values, frame.values)
        np.testing.assert_array_equal(sequences.values, frame.values)
        assert flat.descriptor_names == ("x0", "x1", "x2", "x3")

    def test_a_batch_equals_a_loop(self, model, panel):
        X = panel[0].iloc[:20]
        batch = explain(model, X)
        loop = [explain(model, X.iloc[[row]]).values[0] for row in range(len(X))]
        np.testing.assert_allclose(batch.values, loop, rtol=1e-10, atol=1e-16)

    def test_the_coverage_names_every_layer(self, model, panel):
        report = explain(
            model, panel[0], rule=Composite({"gru": "lrp-half", "Dense": Rule(epsilon=0)})
        ).coverage_report()
        assert report["type"].tolist() == ["Bidirectional", "Dropout", "GRU", "Dense"]
        assert report["rule"].tolist() == [
            "lrp-all, epsilon 1e-06 (relative)",
            "handed on unchanged",
            "lrp-half, epsilon 1e-06 (relative)",
            "epsilon 0 (relative)",
        ]

    @pytest.mark.parametrize("rule", METHODS)
    def test_every_method_stands_behind_one_signature(self, panel, rule):
        layers = keras.layers
        plain = draw(keras.Sequential([keras.Input((STEPS, FEATURES)), layers.LSTM(3), layers.Dense(1)]))
        explanation = explain(plain, panel[0], rule=rule)
        assert explanation.method == rule
        np.testing.assert_allclose(explanation.predictions, predictions(plain, panel[0]), atol=1e-6)
        conserves = rule in ("lrp-all", "lrp-half", "lrp-prop", "lrp-abs", "arras-2017")
        scale = np.abs(explanation.values).sum(axis=(1, 2)) + 1
        assert (np.abs(explanation.conservation_gap / scale).max() < 1e-12) == conserves

    def test_the_bias_factor_hands_everything_down(self, model, panel):
        explanation = explain(model, panel[0], bias_factor=1)
        np.testing.assert_allclose(
            explanation.values.sum(axis=(1, 2)) + explanation.state, explanation.predictions, rtol=1e-10
        )
        assert np.abs(explanation.bias).max() == 0
        assert explanation.offsets is not None

    def test_one_of_several_outputs_is_chosen(self, panel):
        many = draw(keras.Sequential([keras.Input((STEPS, FEATURES)), keras.layers.LSTM(3), keras.layers.Dense(2)]))
        values = np.asarray(many(panel[0].to_numpy(dtype=np.float32).reshape(-1, STEPS, FEATURES)))
        for unit in range(2):
            explanation = explain(many, panel[0], output=unit)
            np.testing.assert_allclose(explanation.predictions, values[:, unit], atol=1e-6)
        with pytest.raises(UnsupportedLayerError, match="output="):
            explain(many, panel[0])

    def test_a_sigmoid_output_is_explained_before_it_with_a_warning(self, panel):
        layers = keras.layers
        squashed = draw(
            keras.Sequential([keras.Input((STEPS, FEATURES)), layers.LSTM(3), layers.Dense(1, activation="sigmoid")])
        )
        with pytest.warns(SkdrfmWarning, match="activation 'sigmoid', which is not 0 at 0"):
            explanation = explain(squashed, panel[0])
        np.testing.assert_allclose(
            1 / (1 + np.exp(-explanation.predictions)), predictions(squashed, panel[0]), atol=1e-6
        )
        assert np.abs(explanation.conservation_gap).max() < 1e-14

    def test_columns_that_do_not_fit_are_refused(self, model, panel):
        X, _ = panel
        with pytest.raises(
            PanelError, match="12 flat columns, oldest lag first, as the model reads them. Got \\(.*11\\)"
        ):
            explain(model, X.to_numpy()[:, :11])
        with pytest.raises(PanelError, match="must be 3 lags of 4 descriptors.*Got names of 1 lags of 12"):
            explain(model, X.set_axis([f"d{j}__lag0" for j in range(12)], axis=1))

    @pytest.mark.parametrize("n_axes", [2, 3])
    def test_missing_values_are_counted(self, model, n_axes):
        X = np.zeros((5, STEPS, FEATURES))
        X[1, 2, 3] = np.nan
        with pytest.raises(NonFiniteError, match="X must hold finite numbers. Got NaN: 1 in 'column 11'"):
            explain(model, X if n_axes == 3 else X.reshape(5, -1))

    @pytest.mark.parametrize("X", [None, 3.0, [1.0, 2.0]])
    def test_what_is_no_table_is_refused(self, model, X):
        with pytest.raises(PanelError, match="X must be a table .* or sequences"):
            explain(model, X)

    def test_no_rows_give_an_empty_explanation(self, model):
        assert len(explain(model, np.zeros((0, STEPS, FEATURES)))) == 0


class TestWrappers:
    def test_a_scikeras_regressor_is_explained_through_its_model(self, model, panel):
        X, _ = panel
        wrapper = KerasRegressor(model)
        wrapper.model_ = model
        np.testing.assert_array_equal(explain(wrapper, X).values, explain(model, X).values)

    def test_a_factor_model_is_explained_without_building_its_keras_model(self, panel, monkeypatch):
        X, y = panel
        fitted = DeepRecurrentFactorRegressor(units=2, epochs=1, random_state=0).fit(X, y)

        def never(trained):
            raise AssertionError("No Keras model is needed.")

        monkeypatch.setattr("skdrfm.networks.rebuild", never, raising=False)
        with pytest.raises(AssertionError, match="No Keras model"):
            _ = fitted.model_
        assert len(explain(fitted, X)) == len(lag_memory(fitted, X).total()) == len(X)


class TestNetworksInPipelines:
    def test_names_and_rows_come_through(self, panel):
        X, y = panel
        network = DeepRecurrentFactorRegressor(n_timesteps=STEPS, units=2, epochs=1, random_state=0)
        fitted = make_pipeline(StandardScaler(), network).fit(X, y)
        explanation = explain(fitted, X, rule="lrp-half")
        np.testing.assert_allclose(explanation.predictions, fitted.predict(X), rtol=1e-12)
        assert explanation.lags == (4, 2, 0)
        assert explanation.index.equals(X.index)
        assert explanation.method == "lrp-half"
        raw = explanation.in_raw_units(fitted[0])
        np.testing.assert_allclose(raw.data.reshape(len(X), -1), X.to_numpy(), atol=1e-12)

    def test_memory_is_read_through_them(self, panel):
        X, y = panel
        network = DeepRecurrentFactorRegressor(n_timesteps=STEPS, units=2, epochs=1, random_state=0)
        memory = lag_memory(make_pipeline(StandardScaler(), network).fit(X, y), X)
        assert memory.lags == (4, 2, 0)
        assert memory.index.equals(X.index)
        assert list(memory.units.get_level_values("direction")) == ["forward"] * 2 + ["backward"] * 2
        total = memory.total().to_numpy()
        assert ((total > 0) & (total < 4)).all()

    def test_memory_of_a_keras_model(self, model, panel):
        memory = lag_memory(model, panel[0])
        assert memory.survival.shape[2] == 3 + 3 + 3
