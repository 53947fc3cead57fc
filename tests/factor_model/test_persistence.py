"""Saved estimators come back with their bits, in any process, and damaged files never come back at all."""

import io
import json
import pickle
import re
import subprocess
import sys
import zipfile

import joblib
import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from skdrfm import DeepFactorRegressor, DeepRecurrentFactorRegressor, lrp, make_factor_panel, stack_lags
from skdrfm.exceptions import PersistenceError, SkdrfmError
from skdrfm.factor_model import LinearFactorRegressor, _persistence, load, save
from skdrfm.factor_model._keras_config import KERAS_CLASSES, check_keras_config
from skdrfm.factor_model._plain_network import LAYERS, ArrayStore
from skdrfm.networks import TrainedNetwork
from skdrfm.networks._canonize_layers import supported
from skdrfm.utils._archive import pack, unpack


@pytest.fixture(scope="module")
def panel():
    X, y = make_factor_panel(n_dates=20, n_assets=6, n_descriptors=3, random_state=0)
    return stack_lags(X, y, lags=(0, 3, 6))


def build_unusual(meta):
    """A graph with slices, branches, masks, states and normalizations."""
    inputs = keras.Input((meta.n_timesteps, meta.n_features))
    masked = keras.layers.Masking(-9.0)(inputs)
    gru, state = keras.layers.GRU(3, return_state=True)(masked)
    simple = keras.layers.SimpleRNN(3, activation="relu")(inputs[:, :, :2], initial_state=state)
    normal = keras.layers.LayerNormalization(epsilon=0.01)(keras.layers.Average()([gru, simple]))
    mean = keras.layers.GlobalAveragePooling1D()(keras.layers.BatchNormalization()(inputs))
    flat = keras.layers.Reshape((3 * meta.n_features,))(keras.layers.LeakyReLU(0.3)(inputs))
    joined = keras.layers.Concatenate()([normal - gru, mean, flat, inputs[:, -1]])
    return keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(keras.layers.Dropout(0.1)(joined)))


@pytest.fixture(scope="module")
def models(panel):
    def unusual():
        model = DeepFactorRegressor(build_fn=build_unusual, epochs=2, random_state=0, optimizer="sgd").fit(*panel)
        return model.set_params(build_fn=None)

    return {
        "linear": LinearFactorRegressor(n_timesteps=3).fit(*panel),
        "linear, arrays": LinearFactorRegressor(n_timesteps=3, fit_intercept=False).fit(
            panel[0].to_numpy(dtype=np.float32).reshape(-1, 3, 3), panel[1].to_numpy()
        ),
        "recurrent": DeepRecurrentFactorRegressor(units=[3, 2], epochs=2, random_state=0).fit(*panel),
        "additive": DeepRecurrentFactorRegressor(
            units=np.int64(2), cell="rudder", dense_units=(2,), epochs=1, dtype="float64", random_state=0
        ).fit(*panel),
        "dense, linearized": DeepFactorRegressor(
            (4, 3), linearized=True, validation_fraction=0, dropout=0.2, l2=1e-3, epochs=1, random_state=0
        ).fit(*panel),
        "unusual": unusual(),
    }


@pytest.fixture(scope="module")
def saved(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    for name, model in models.items():
        save(model, folder / f"{name}.skdrfm")
    return folder


NAMES = ("linear", "linear, arrays", "recurrent", "additive", "dense, linearized", "unusual")


def rows_for(model, X):
    return X if hasattr(model, "feature_names_in_") else X.to_numpy()


def bits(model, X):
    """Predictions and all parts of the explanations, as bytes."""
    X = rows_for(model, X)
    explanation = model.explain(X)
    parts = (model.predict(X), explanation.values, explanation.loadings, explanation.intercept)
    return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


class TestRoundTrip:
    @pytest.mark.parametrize("name", NAMES)
    def test_predictions_and_explanations_have_the_same_bits(self, models, saved, panel, name):
        assert bits(load(saved / f"{name}.skdrfm"), panel[0]) == bits(models[name], panel[0])

    @pytest.mark.parametrize("name", NAMES)
    def test_parameters_and_attributes_are_equal(self, models, saved, name):
        model, loaded = models[name], load(saved / f"{name}.skdrfm")
        assert type(loaded) is type(model)
        assert loaded.get_params() == model.get_params()
        assert vars(loaded).keys() == vars(model).keys()
        for attribute in ("n_features_in_", "n_timesteps_", "descriptor_names_", "lags_"):
            assert getattr(loaded, attribute) == getattr(model, attribute)
        if hasattr(model, "feature_names_in_"):
            np.testing.assert_array_equal(loaded.feature_names_in_, model.feature_names_in_)
        if hasattr(model, "history_"):
            pd.testing.assert_frame_equal(loaded.history_, model.history_)
            assert loaded.trained_.history == model.trained_.history
            for one, other in zip(loaded.trained_.weights, model.trained_.weights, strict=True):
                assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
        else:
            assert loaded.coef_.dtype == model.coef_.dtype
            assert loaded.intercept_ == model.intercept_

    def test_lists_and_tuples_stay_apart(self, models, saved):
        assert type(load(saved / "recurrent.skdrfm").units) is list
        assert type(load(saved / "dense, linearized.skdrfm").hidden_units) is tuple

    @pytest.mark.parametrize("name", ["recurrent", "additive", "unusual"])
    def test_the_keras_model_predicts_the_same(self, models, saved, panel, name):
        loaded = load(saved / f"{name}.skdrfm")
        X = panel[0].to_numpy().reshape(-1, 3, 3)
        expected = models[name].model_.predict(X, verbose=0)
        np.testing.assert_array_equal(loaded.model_.predict(X, verbose=0), expected)
        np.testing.assert_allclose(loaded.predict(panel[0]), expected[:, 0], atol=1e-5)

    def test_the_same_model_gives_the_same_file_again(self, models, saved, tmp_path):
        for name in NAMES:
            save(load(saved / f"{name}.skdrfm"), tmp_path / "again")
            assert (tmp_path / "again").read_bytes() == (saved / f"{name}.skdrfm").read_bytes()

    @pytest.mark.parametrize("compiled", [False, True])
    def test_a_model_inside_a_model_comes_back(self, panel, tmp_path, compiled):
        def build(meta):
            inputs = keras.Input((meta.n_timesteps, meta.n_features))
            memory = keras.Model(inputs, keras.layers.LSTM(2)(inputs))
            if compiled:
                memory.compile(loss="mse", optimizer="sgd")
            head = keras.Sequential([keras.layers.Dense(2, activation="tanh"), keras.layers.Dense(1)])
            outer = keras.Input((meta.n_timesteps, meta.n_features))
            return keras.Model(outer, head(memory(outer)))

        model = DeepFactorRegressor(build_fn=build, epochs=1, random_state=0).fit(*panel)
        save(model.set_params(build_fn=None), tmp_path / "model")
        loaded = load(tmp_path / "model")
        assert bits(loaded, panel[0]) == bits(model, panel[0])
        from_keras = loaded.model_.predict(panel[0].to_numpy().reshape(-1, 3, 3), verbose=0)[:, 0]
        np.testing.assert_allclose(loaded.predict(panel[0]), from_keras, atol=1e-5)

    def test_a_loaded_model_can_be_fitted_again(self, models, saved, panel):
        again = load(saved / "linear.skdrfm").fit(*panel)
        np.testing.assert_array_equal(again.coef_, models["linear"].coef_)
        assert not hasattr(clone(again), "coef_")

    def test_a_fresh_process_needs_no_tensorflow(self, models, saved, panel, tmp_path):
        panel[0].to_pickle(tmp_path / "X.pkl")
        code = f"""
import sys
import numpy as np, pandas as pd
from skdrfm.factor_model import load
X = pd.read_pickle({str(tmp_path / "X.pkl")!r})
for name in {NAMES!r}:
    model = load({str(saved)!r} + "/" + name + ".skdrfm")
    rows = X if hasattr(model, "feature_names_in_") else X.to_numpy()
    explanation = model.explain(rows)
    parts = (model.predict(rows), explanation.values, explanation.loadings, explanation.intercept)
    with open({str(tmp_path)!r} + "/" + name, "wb") as stream:
        stream.write(b"".join(np.ascontiguousarray(part).tobytes() for part in parts))
assert not {{"tensorflow", "keras", "scikeras"}} & set(sys.modules)
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        for name in NAMES:
            assert (tmp_path / name).read_bytes() == bits(models[name], panel[0])

    def test_weights_that_keras_and_numpy_share_are_stored_once(self, saved, models):
        content, arrays = unpack((saved / "recurrent.skdrfm").read_bytes())
        assert len(arrays) == len(models["recurrent"].trained_.weights) + 1  # and the history
        assert content["learned"]["keras_config"].keys() >= {"class_name", "config"}

    def test_arrays_are_shared_only_if_shape_and_numbers_are_the_same(self):
        store = ArrayStore()
        for array in (np.full((1, 2), 0.5, dtype=np.float32), np.array([0.1], dtype=np.float32), np.zeros(1)):
            store.add(array)
        same = (np.full((1, 2), 0.5), np.array([0.1], dtype=np.float32).astype(float), np.zeros(1))
        assert [store.find_or_add(array) for array in same] == [0, 1, 2]
        other = (np.full(2, 0.5), np.array([0.1]), np.array([-0.0]))
        assert [store.find_or_add(array) for array in other] == [3, 4, 5]
        assert [array.tobytes() for array in store.arrays[3:]] == [array.tobytes() for array in other]

    def test_losses_may_be_infinite(self, models, tmp_path):
        model = clone(models["recurrent"])
        vars(model).update(vars(models["recurrent"]))
        history = {"loss": [np.inf, 0.1], "val_loss": [np.nan, 0.2]}
        old = model.trained_
        model._finish([TrainedNetwork(old.config, old.weights, old.network, history=history)])
        save(model, tmp_path / "model")
        pd.testing.assert_frame_equal(load(tmp_path / "model").history_, model.history_)


class TestOtherWays:
    @pytest.mark.parametrize("name", NAMES)
    def test_pickle_and_joblib_keep_the_bits(self, models, panel, tmp_path, name):
        expected = bits(models[name], panel[0])
        assert bits(pickle.loads(pickle.dumps(models[name])), panel[0]) == expected
        joblib.dump(models[name], tmp_path / "model.joblib")
        assert bits(joblib.load(tmp_path / "model.joblib"), panel[0]) == expected

    @pytest.mark.parametrize(
        ("name", "trusted"),
        [
            ("linear", {"skdrfm.factor_model._linear.LinearFactorRegressor"}),
            (
                "recurrent",
                # pandas cannot be taken apart by skops, so that history_ must not be stored as a DataFrame.
                {
                    "skdrfm.factor_model._recurrent.DeepRecurrentFactorRegressor",
                    "skdrfm.lrp._bidirectional.Bidirectional",
                    "skdrfm.lrp._dense.Dense",
                    "skdrfm.lrp._lstm.LSTM",
                    "skdrfm.lrp._network.Network",
                    "skdrfm.networks._records.TrainedNetwork",
                },
            ),
        ],
    )
    def test_skops_keeps_the_bits_of_estimators_whose_types_are_trusted(self, models, panel, name, trusted):
        skops = pytest.importorskip("skops.io")
        dumped = skops.dumps(models[name])
        ours = {kind for kind in skops.get_untrusted_types(data=dumped) if kind.startswith("skdrfm.")}
        assert ours == trusted
        assert bits(skops.loads(dumped, trusted=skops.get_untrusted_types(data=dumped)), panel[0]) == bits(
            models[name], panel[0]
        )


class TestSaving:
    def test_the_error_is_also_a_value_error(self):
        assert issubclass(PersistenceError, SkdrfmError)
        assert issubclass(PersistenceError, ValueError)

    @pytest.mark.parametrize(
        ("parameter", "value", "got"),
        [
            ("build_fn", build_unusual, "function"),
            ("callbacks", [keras.callbacks.TerminateOnNaN()], "TerminateOnNaN"),
            ("optimizer", keras.optimizers.SGD(), "SGD"),
            ("loss", keras.losses.mean_squared_error, "function"),
            ("random_state", np.random.RandomState(0), "RandomState"),
            ("l2", float("inf"), "float"),
            ("hidden_units", (4, {}), "dict"),
        ],
    )
    def test_parameters_that_are_no_plain_data_are_named(self, models, tmp_path, parameter, value, got):
        model = clone(models["dense, linearized"])
        vars(model).update(vars(models["dense, linearized"]))
        setattr(model, parameter, value)
        with pytest.raises(PersistenceError, match=rf"The '{parameter}' parameter .* Got {got}\. .*set_params.*joblib"):
            save(model, tmp_path / "model")
        assert not list(tmp_path.iterdir())

    def test_an_unfitted_estimator_is_refused(self, tmp_path):
        with pytest.raises(NotFittedError):
            save(LinearFactorRegressor(), tmp_path / "model")

    def test_other_estimators_are_refused(self, models, tmp_path):
        class Own(LinearFactorRegressor):
            pass

        namesake = type("LinearFactorRegressor", (LinearFactorRegressor,), {})
        for other in (LinearRegression(), make_pipeline(models["linear"]), Own(), namesake(), None):
            with pytest.raises(PersistenceError, match=r"no subclass\. Got .* pipeline\[-1\]"):
                save(other, tmp_path / "model")

    def test_attributes_of_others_are_refused(self, panel, tmp_path):
        model = LinearFactorRegressor().fit(*panel)
        model.note = "kept by hand"
        with pytest.raises(PersistenceError, match="nothing but parameters .* Got 'note'. Delete it"):
            save(model, tmp_path / "model")

    def test_a_network_that_only_keras_can_run_is_refused(self, models, tmp_path):
        model = clone(models["recurrent"])
        vars(model).update(vars(models["recurrent"]))
        old = model.trained_
        model.trained_ = TrainedNetwork(old.config, old.weights, None, "Layer 'conv1d' has no rule.", old.history)
        with pytest.raises(PersistenceError, match="Got: Layer 'conv1d' has no rule. Keep it with joblib"):
            save(model, tmp_path / "model")

    def test_what_could_not_be_loaded_is_not_saved(self, models, tmp_path, panel):
        (tmp_path / "model").write_bytes(b"old")
        model = LinearFactorRegressor().fit(*panel)
        model.fit_intercept = "yes"
        with pytest.raises(PersistenceError, match="cannot be saved so that it can be loaded: .*'fit_intercept'"):
            save(model, tmp_path / "model")
        model.fit_intercept = True
        model.coef_ = model.coef_ * np.nan
        with pytest.raises(PersistenceError, match="Weights must be finite"):
            save(model, tmp_path / "model")
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]
        save(models["linear"], str(tmp_path / "model"))
        assert load(str(tmp_path / "model")).coef_.shape == (9,)

    def test_saving_changes_nothing(self, models, panel, tmp_path):
        before = bits(models["recurrent"], panel[0]), pickle.dumps(models["recurrent"])
        save(models["recurrent"], tmp_path / "model")
        assert (bits(models["recurrent"], panel[0]), pickle.dumps(models["recurrent"])) == before

    def test_places_that_do_not_exist(self, models, tmp_path):
        with pytest.raises(FileNotFoundError, match="The folder of .* must exist"):
            save(models["linear"], tmp_path / "nowhere" / "model")
        with pytest.raises(FileNotFoundError, match="must be a file. Got none there"):
            load(tmp_path / "model")
        with pytest.raises(FileNotFoundError, match="must be a file. Got none there"):
            load(tmp_path)


def edited(saved, name, edit, arrays_too=False):
    """The file of a model after a change of its content, with right checksums."""
    content, arrays = unpack((saved / f"{name}.skdrfm").read_bytes())
    edit(*((content, arrays) if arrays_too else (content,)))
    return pack(content, arrays)


class TestVersions:
    def test_other_packages_are_no_error(self, models, saved, panel, tmp_path):
        def older(content):
            content["versions"] = {"skdrfm": "0.0.1", "keras": "3.0.0", "departed": "1"}

        (tmp_path / "model").write_bytes(edited(saved, "recurrent", older))
        assert bits(load(tmp_path / "model"), panel[0]) == bits(models["recurrent"], panel[0])

    def test_packages_are_looked_up_for_messages_alone(self, saved, monkeypatch):
        monkeypatch.setattr(_persistence, "package_versions", lambda: pytest.fail("looked up"))
        load(saved / "linear.skdrfm")

    def test_errors_name_the_versions(self, saved, tmp_path):
        def spoil(content):
            content["versions"]["keras"] = "3.0.0"
            content["class"] = "Ridge"

        (tmp_path / "model").write_bytes(edited(saved, "linear", spoil))
        with pytest.raises(
            PersistenceError, match=r"Got 'Ridge'. Written with .*keras 3.0.0.*; here are .*keras"
        ) as got:
            load(tmp_path / "model")
        assert str(tmp_path / "model") in str(got.value)

    @pytest.mark.parametrize(
        ("version", "words"),
        [(2, "must be 1. Got 2. Install a newer skdrfm"), (0, "must be 1. Got 0. Fit the model again"), ("1", "int")],
    )
    def test_unknown_versions_of_the_format(self, saved, tmp_path, version, words):
        (tmp_path / "model").write_bytes(
            edited(saved, "linear", lambda content: content.update(format_version=version))
        )
        with pytest.raises(PersistenceError, match=words):
            load(tmp_path / "model")

    def test_older_versions_are_brought_up_step_by_step(self, models, saved, panel, tmp_path, monkeypatch):
        # A format in which intercepts were always fitted and then could be chosen under another name.
        def oldest(content):
            content["format_version"] = 1
            del content["parameters"]["fit_intercept"]

        (tmp_path / "oldest").write_bytes(edited(saved, "linear", oldest))

        def choose(content):
            assert content["format_version"] == 1
            return {**content, "parameters": {**content["parameters"], "intercept": True}}

        def rename(content):
            assert content["format_version"] == 2
            parameters = dict(content["parameters"])
            return {**content, "parameters": {"fit_intercept": parameters.pop("intercept"), **parameters}}

        with pytest.raises(PersistenceError, match=r"keys \['fit_intercept', 'n_timesteps'\]. Got \['n_timesteps'\]"):
            load(tmp_path / "oldest")
        monkeypatch.setattr(_persistence, "FORMAT_VERSION", 3)
        monkeypatch.setattr(_persistence, "MIGRATIONS", {1: choose, 2: rename})
        loaded = load(tmp_path / "oldest")
        assert loaded.get_params() == models["linear"].get_params()
        assert bits(loaded, panel[0]) == bits(models["linear"], panel[0])
        (tmp_path / "newer").write_bytes(edited(saved, "linear", lambda content: content.update(format_version=4)))
        with pytest.raises(PersistenceError, match="must be 1 or 2 or 3. Got 4"):
            load(tmp_path / "newer")

    def test_the_format_names_these_parameters(self):
        # Who changes this list makes older files unreadable: raise FORMAT_VERSION and add a migration.
        assert _persistence.FORMAT_VERSION == 1
        fitting = {"epochs", "batch_size", "learning_rate", "optimizer", "loss", "validation_fraction", "patience"}
        network = {"n_timesteps", "activation", "dropout", "l2", "linearized", "build_fn", "callbacks", "dtype"}
        common = fitting | network | {"verbose", "random_state"}
        assert {name: set(kind._get_param_names()) for name, kind in _persistence.CLASSES.items()} == {
            "DeepFactorRegressor": common | {"hidden_units"},
            "DeepRecurrentFactorRegressor": common | {"units", "cell", "bidirectional", "dense_units"},
            "LinearFactorRegressor": {"n_timesteps", "fit_intercept"},
        }
        assert set(LAYERS) == {
            name
            for name in lrp.__all__
            if isinstance(kind := getattr(lrp, name), type) and issubclass(kind, lrp.Layer) and kind is not lrp.Layer
        }


LAMBDA = {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "f"}, "registered_name": None}


class TestKerasConfig:
    def test_all_layers_with_a_relevance_rule_pass(self):
        cells = {"GRUCell", "LSTMCell", "SimpleRNNCell"}
        assert KERAS_CLASSES["keras.layers"] == set(supported()) | cells

    @pytest.mark.parametrize(
        "item",
        [
            LAMBDA,
            {"class_name": "__lambda__", "config": {"value": "4wEAAA=="}},
            {"class_name": "function", "module": "builtins", "config": "exec", "registered_name": "function"},
            {"class_name": "Dense", "module": "os", "config": {}, "registered_name": None},
            {"class_name": "Dense", "config": {}},
            {"class_name": ["Dense"], "module": "keras.layers", "config": {}},
            {"class_name": "Dense", "module": "keras.layers", "config": {}, "registered_name": "own>Dense"},
            {"class_name": "Dense", "module": "keras.layers", "config": {}, "compile_config": {"optimizer": "adam"}},
            {"registered_name": "own>Dense"},
            {"module": "antigravity"},
            {"compile_config": {}},
        ],
    )
    def test_code_and_unknown_classes_are_refused_at_any_depth(self, item):
        model = {"module": "keras", "class_name": "Sequential", "config": {"layers": []}, "registered_name": None}
        check_keras_config(model)
        with pytest.raises(PersistenceError, match="must name only layers with a relevance rule"):
            check_keras_config({**model, "config": {"layers": [{"a": [item]}]}})

    @pytest.mark.parametrize("config", [{}, [], None, LAMBDA, "os.system", {"class_name": "Dense"}])
    def test_it_must_be_a_model(self, config):
        with pytest.raises(PersistenceError, match="of a Functional or Sequential model"):
            check_keras_config(config)

    def test_nothing_of_training_is_kept(self, saved):
        content, _ = unpack((saved / "unusual.skdrfm").read_bytes())
        assert "compile_config" not in json.dumps(content)


def learned(change):
    """Edit what was learned, given as a function of its dictionary."""
    return lambda content: change(content["learned"])


def first_layer(**values):
    return learned(lambda net: net["layers"][0].update(values))


def double_again_and_again(net):
    """Sixty layers, each of which joins the one before with itself: a petabyte in a few kilobytes."""
    flat = {"layer": "Flatten", "name": ""}
    join = {"layer": "Concatenate", "axis": -1, "name": ""}
    net["layers"] = [flat, *[join] * 60]
    net["sources"] = [[[-1, 0]], *([[k, 0], [k, 0]] for k in range(60))]


REFUSED = {
    # name: (model, change of its content, words of the message)
    "another format": ("linear", lambda c: c.update(format="tar"), "must be a 'skdrfm estimator'. Got 'tar'"),
    "unknown class": ("linear", lambda c: c.update({"class": "os.system"}), "must be one of .* Got 'os.system'"),
    "class of another type": ("linear", lambda c: c.update({"class": ["x"]}), "type str"),
    "class of another model": ("linear", lambda c: c.update({"class": "DeepFactorRegressor"}), "The parameters"),
    "extra part": ("linear", lambda c: c.update(code="print()"), "The content must be an object with the keys"),
    "missing part": ("linear", lambda c: c.pop("layout"), "The content must be an object with the keys"),
    "no versions": ("linear", lambda c: c.pop("versions"), "The content must be an object with the keys"),
    "versions that are no object": ("linear", lambda c: c.update(versions=3), "versions must be an object. Got int"),
    "unknown parameter": ("linear", lambda c: c["parameters"].update(x=1), "The parameters must be .*'x'"),
    "parameter out of range": ("linear", lambda c: c["parameters"].update(n_timesteps=-1), "range .*Got -1"),
    "parameter that is an object": ("linear", lambda c: c["parameters"].update(n_timesteps={"x": 1}), "A tuple must"),
    "lags in another order": ("linear", lambda c: c["layout"]["lags"].reverse(), "oldest first"),
    "negative lags": ("linear", lambda c: c["layout"].update(lags=[6, 3, -1]), "oldest first"),
    "no lags": ("linear", lambda c: c["layout"].update(lags=[]), "must have descriptors, and lags"),
    "lags that are no numbers": ("linear", lambda c: c["layout"].update(lags=[True]), "type int"),
    "other lags than the names": ("linear", lambda c: c["layout"].update(lags=[7, 3, 0]), "those of the layout"),
    "too few names": ("linear", lambda c: c["layout"]["feature_names"].pop(), "list of 9 is needed"),
    "names out of order": ("linear", lambda c: c["layout"]["feature_names"].reverse(), "PanelError"),
    "coefficients of another shape": (
        "linear, arrays",
        lambda c: c["layout"].update(lags=[0]),
        r"must have shape \(3,\). Got \(9,\)",
    ),
    "no intercept": ("linear", learned(lambda c: c.update(intercept=None)), "finite number is needed. Got 'None'"),
    "array that is not there": ("linear", learned(lambda c: c.update(coef=1)), "must be one of 1. Got the position 1"),
    "array from behind": ("linear", learned(lambda c: c.update(coef=-1)), "Got the position -1"),
    "unknown layer": ("unusual", first_layer(layer="Lambda"), "A layer must be one of"),
    "layer of another kind": ("unusual", first_layer(layer="Dense"), "The layer Dense must be an object"),
    "layer that is none": ("unusual", learned(lambda n: n["layers"].__setitem__(0, "Dense")), "A layer must be one"),
    "unknown activation": (
        "dense, linearized",
        learned(lambda n: n["layers"][1].update(activation="x")),
        "Unsupported",
    ),
    "text for a switch": (
        "recurrent",
        learned(lambda n: n["layers"][0]["forward"].update(return_sequences="yes")),
        "type bool is needed. Got 'yes'",
    ),
    "direction that is not recurrent": (
        "recurrent",
        learned(lambda n: n["layers"][0].update(forward=n["layers"][-1])),
        "A layer of a bidirectional one must be",
    ),
    "weights of another shape": (
        "recurrent",
        learned(lambda n: n["layers"][0]["forward"].update(kernel=n["layers"][0]["forward"]["bias"])),
        "must have shape",
    ),
    "negative shape": (
        "unusual",
        learned(lambda n: next(x for x in n["layers"] if x["layer"] == "Reshape").update(shape=[-1, -9])),
        "one or two sizes from 1 on",
    ),
    "zero shape": (
        "unusual",
        learned(lambda n: next(x for x in n["layers"] if x["layer"] == "Reshape").update(shape=[])),
        "one or two sizes from 1 on",
    ),
    "endless weight": (
        "unusual",
        learned(lambda n: next(x for x in n["layers"] if x["layer"] == "LayerNormalization").update(epsilon=-1.0)),
        "finite prediction for a row of zeros",
    ),
    "sources ahead": ("recurrent", learned(lambda n: n["sources"].__setitem__(0, [[1, 0]])), "outputs of earlier"),
    "sources that are no pairs": ("recurrent", learned(lambda n: n["sources"].__setitem__(0, [[0]])), "list of 2"),
    "too few sources": ("recurrent", learned(lambda n: n["sources"].pop()), "A list of . is needed"),
    "no layers": ("recurrent", learned(lambda n: n.update(layers=[], sources=[])), "UnsupportedLayerError"),
    "layers that double": ("recurrent", learned(double_again_and_again), "at most 4,194,304 numbers"),
    "unknown output": ("recurrent", learned(lambda n: n.update(output_activation="exec")), "UnsupportedLayerError"),
    "code for keras": (
        "recurrent",
        learned(lambda n: n["keras_config"].update(config=LAMBDA)),
        "must name only layers",
    ),
    "too few losses": ("recurrent", learned(lambda n: n["history_names"].pop()), "ValueError"),
    "losses without names": ("recurrent", learned(lambda n: n.update(history_names=[None, 1])), "type str"),
}


class TestValidation:
    @pytest.mark.parametrize(("name", "change", "words"), REFUSED.values(), ids=REFUSED.keys())
    def test_content_that_fits_no_estimator_is_refused(self, saved, tmp_path, name, change, words):
        (tmp_path / "model").write_bytes(edited(saved, name, change))
        with pytest.raises(PersistenceError, match=words) as caught:
            load(tmp_path / "model")
        assert len(str(caught.value)) < 1500

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("name", ["linear", "recurrent"])
    def test_weights_that_are_not_finite_are_refused(self, saved, tmp_path, name, value):
        def spoil(content, arrays):
            arrays[0].flat[-1] = value

        (tmp_path / "model").write_bytes(edited(saved, name, spoil, arrays_too=True))
        with pytest.raises(PersistenceError, match="Weights must be finite"):
            load(tmp_path / "model")

    def test_a_missing_or_larger_array_is_refused(self, saved, tmp_path):
        for change in (lambda c, arrays: arrays.pop(0), lambda c, arrays: arrays.insert(0, np.ones((2, 2)))):
            (tmp_path / "model").write_bytes(edited(saved, "recurrent", change, arrays_too=True))
            with pytest.raises(PersistenceError):
                load(tmp_path / "model")

    def test_a_larger_file_is_not_even_read(self, saved, tmp_path, monkeypatch):
        monkeypatch.setattr(_persistence, "MAX_BYTES", 99)
        monkeypatch.setattr("skdrfm.utils._archive.MAX_BYTES", 99)
        with pytest.raises(PersistenceError, match="at most 99 bytes. Got 100"):
            load(saved / "recurrent.skdrfm")


def damaged_copies(packed):
    """More than 700 ways in which a file goes wrong on a disk or on its way, as pairs of a description and bytes."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        infos = archive.infolist()
        members = {info.filename: archive.read(info) for info in infos}
        directory = archive.start_dir
    # The headers of members, the directory and its end, which are short beside the members; then bytes anywhere.
    headers = [k for info in infos for k in range(info.header_offset, info.header_offset + 30, 2)]
    spots = [*headers, *range(directory, len(packed), 3), *rng.integers(len(packed), size=300).tolist()]
    for position in spots:
        flipped = bytearray(packed)
        flipped[position] ^= 1 << int(rng.integers(8))
        yield f"bit flip at {position}", bytes(flipped)
    for length in [*range(0, 60, 5), *range(len(packed) - 60, len(packed), 5), *rng.integers(len(packed), size=60)]:
        yield f"cut to {length}", packed[:length]
    for length in rng.integers(1, 3000, size=60):
        noise = rng.bytes(int(length))
        yield f"{length} random bytes", noise
        start = int(rng.integers(len(packed)))
        yield f"{length} random bytes at {start}", packed[:start] + noise + packed[start + len(noise) :]
        yield f"{length} random bytes put in at {start}", packed[:start] + noise + packed[start:]
        yield f"{length} bytes lost at {start}", packed[:start] + packed[start + len(noise) :]
        yield f"{length} zeros at {start}", packed[:start] + bytes(len(noise)) + packed[start + len(noise) :]
    for name in members:
        for other in ("../" + name, "/" + name, name.upper(), name + "\0", "C:\\" + name, "arrays/9999.npy", "x" * 300):
            stream = io.BytesIO()
            with zipfile.ZipFile(stream, "w") as archive:
                for member, data in members.items():
                    archive.writestr(other if member == name else member, data)
            yield f"{name} as {other}", stream.getvalue()


@pytest.mark.parametrize("name", ["linear", "recurrent"])
def test_damage_is_refused_or_without_effect(models, saved, panel, tmp_path, name):
    rows = panel[0].head(3)
    expected = bits(models[name], rows)
    file = tmp_path / "model"
    n_cases = n_refused = 0
    for what, damaged in damaged_copies((saved / f"{name}.skdrfm").read_bytes()):
        n_cases += 1
        file.write_bytes(damaged)
        try:
            loaded = load(file)
        except PersistenceError:
            n_refused += 1
        else:
            assert bits(loaded, rows) == expected, what
    assert n_cases > 700
    # The rest are fields of headers without a meaning for us, such as times.
    assert 0.6 * n_cases < n_refused < n_cases


def leaves(value, path=()):
    """Paths to all values of JSON content, containers included."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from leaves(item, (*path, key))


@pytest.mark.parametrize("name", ["linear", "unusual", "additive"])
def test_edits_with_right_checksums_are_refused_or_make_another_whole_model(saved, panel, tmp_path, name):
    content, arrays = unpack((saved / f"{name}.skdrfm").read_bytes())
    in_keras = [path for path in leaves(content) if path[:2] == ("learned", "keras_config")]
    paths = [path for path in leaves(content) if path and path not in set(in_keras)] + in_keras[::40]
    strange = (None, True, -1, 2, 10**30, -0.5, 1e308, "x", "relu", [], [1, 2], {}, {"tuple": [0]})
    rng = np.random.default_rng(0)
    file = tmp_path / "model"
    n_refused = n_loaded = 0
    paths = [paths[k] for k in rng.permutation(len(paths))[:120]]
    for path in paths:
        for value in rng.permutation(np.array(strange, dtype=object))[:3]:
            changed = json.loads(json.dumps(content))
            place = changed
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = value
            file.write_bytes(pack(changed, arrays))
            try:
                loaded = load(file)
            except PersistenceError:
                n_refused += 1
                continue
            n_loaded += 1
            X = panel[0].head(2)
            if [str(column) for column in X.columns] != list(getattr(loaded, "feature_names_in_", X.columns)):
                X = X.set_axis(loaded.feature_names_in_, axis=1)
            with np.errstate(all="ignore"):
                assert np.isfinite(loaded.predict(rows_for(loaded, X))).all(), (path, value)
    assert n_refused > n_loaded
    assert n_refused + n_loaded == 3 * len(paths)


def test_messages_keep_the_voice_of_the_package(saved, tmp_path):
    (tmp_path / "model").write_bytes((saved / "recurrent.skdrfm").read_bytes()[:-1])
    with pytest.raises(PersistenceError) as caught:
        load(tmp_path / "model")
    assert re.fullmatch(
        r"'.*model' cannot be loaded as a factor model\. The archive must hold .*\. Got .*\. "
        r"The file is damaged or was changed after it was written: take another copy\.",
        str(caught.value),
    )
