"""Training leaves no trace behind and depends on its arguments alone."""

import pickle
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from skdrfm import lrp, networks
from skdrfm.exceptions import NonFiniteError
from skdrfm.networks import NetworkMeta, TrainingJob, TrainingOptions


def data(n=60, n_timesteps=3, n_features=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, n_timesteps, n_features)).astype(np.float32)
    return X, (X[:, -1, 0] * 0.1).astype(np.float32)


def small(meta):
    return networks.build_recurrent(
        meta, units=(4,), bidirectional=True, dense_units=(3,), activation="tanh", dropout=0.2, l2=1e-4
    )


def train(builder, meta, options, X, y, **more):
    return networks.train_many([TrainingJob(builder, meta, options, X, y, **more)])[0]


def trained(seed=3, **options):
    X, y = data()
    return train(small, NetworkMeta(3, 4, seed), TrainingOptions(**{"epochs": 2, "batch_size": 16, **options}), X, y)


class TestRandomness:
    def test_same_seed_gives_the_same_weights_whatever_was_trained_before(self):
        first = trained()
        trained(seed=8)
        second = trained()
        for a, b in zip(first.weights, second.weights, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_another_seed_gives_other_weights(self):
        assert any((a != b).any() for a, b in zip(trained(1).weights, trained(2).weights, strict=True))

    def test_threads_give_the_same_weights_and_leave_the_default_float(self):
        def train_in(dtype):
            X, y = data()
            return train(small, NetworkMeta(3, 4, 3, dtype), TrainingOptions(epochs=1), X, y).weights

        kinds = ["float64", "float32", "float64", "float32"]
        alone = [train_in(dtype) for dtype in kinds[:2]] * 2
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(train_in, kinds))
        for one, other in zip(alone, together, strict=True):
            for a, b in zip(one, other, strict=True):
                np.testing.assert_array_equal(a, b)
        assert keras.config.floatx() == "float32"

    def test_global_generators_are_left_as_they_were(self):
        def draws():
            np_state, py_state = np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
            return np_state, py_state, tf.random.uniform((3,)).numpy()

        tf.random.set_seed(11)
        np_before, py_before, _ = draws()
        expected = tf.random.uniform((3,)).numpy()
        tf.random.set_seed(11)
        draws()
        trained()
        np.testing.assert_array_equal(tf.random.uniform((3,)).numpy(), expected)
        np_after, py_after, _ = draws()
        np.testing.assert_array_equal(np_after, np_before)
        assert py_after == py_before

    @pytest.mark.parametrize("optimizer", ["adam", "rmsprop"], ids=["own program", "scikeras"])
    def test_operations_are_no_more_deterministic_than_before(self, optimizer):
        # In a fresh process: TensorFlow remembers what the first question for determinism found.
        code = f"""
import skdrfm, tensorflow as tf
X, y = skdrfm.make_factor_panel(n_dates=6, n_assets=10, n_descriptors=2, random_state=0)
skdrfm.DeepFactorRegressor((2,), epochs=1, optimizer={optimizer!r}, random_state=0).fit(X, y)
tf.random.uniform((2,))  # refused without a seed where operations are deterministic
"""
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert found.returncode == 0, found.stderr


class TestRoundTrip:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_numpy_network_equals_keras(self, dtype):
        X, y = data()
        result = train(small, NetworkMeta(3, 4, 0, dtype), TrainingOptions(epochs=1), X.astype(dtype), y)
        model = networks.rebuild(pickle.loads(pickle.dumps(result)))
        from_keras = model.predict(X, verbose=0)[:, 0]
        np.testing.assert_allclose(lrp.predict(result.network, X), from_keras, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(networks.keras_predict(result, X), from_keras, rtol=1e-6)

    def test_the_best_epoch_is_restored(self):
        X, y = data()
        best = train(
            small,
            NetworkMeta(3, 4, 0),
            # Steps this large overshoot, so that the last epoch is rarely the best one.
            TrainingOptions(epochs=8, batch_size=8, learning_rate=0.3, loss="mae"),
            X,
            y,
            validation=(X[:20], y[:20]),
        )
        losses = best.history["val_loss"]
        assert int(np.argmin(losses)) < len(losses) - 1
        predictions = lrp.predict(best.network, X[:20])
        penalty = 1e-4 * sum(float((w**2).sum()) for w in best.weights if w.ndim == 2)
        assert np.abs(predictions - y[:20]).mean() + penalty == pytest.approx(min(losses), rel=1e-3)

    def test_patience_stops_training_early(self):
        X, y = data()
        stopped = train(
            small,
            NetworkMeta(3, 4, 0),
            TrainingOptions(epochs=30, batch_size=8, learning_rate=0.3, patience=1),
            X,
            y,
            validation=(X[:20], y[:20]),
        )
        assert len(stopped.history["loss"]) < 30


def with_gru(meta, *, units=2, name="memory"):
    layers = [keras.layers.GRU(units, name=name), keras.layers.Dense(1)]
    return keras.Sequential([keras.Input((meta.n_timesteps, meta.n_features)), *layers])


class TestBuilders:
    """Builders of users may do what ours do not."""

    def test_lists_of_units_are_as_good_as_tuples(self):
        X, y = data()
        builders = [
            partial(networks.build_dense, hidden_units=units, activation="relu", dropout=0.1, l2=0.0)
            for units in ([4], (4,))
        ]
        results = [train(builder, NetworkMeta(3, 4), TrainingOptions(epochs=1), X, y) for builder in builders]
        for a, b in zip(*(result.weights for result in results), strict=True):
            np.testing.assert_array_equal(a, b)

    @pytest.mark.parametrize("options", [{}, {"optimizer": "nadam"}])
    def test_what_keras_trains_is_the_model_that_was_trained(self, options):
        sizes = iter(range(2, 9))
        X, y = data()
        result = train(
            lambda meta: with_gru(meta, units=next(sizes)), NetworkMeta(3, 4), TrainingOptions(1, **options), X, y
        )
        from_keras = networks.rebuild(result).predict(X, verbose=0)[:, 0]
        np.testing.assert_allclose(lrp.predict(result.network, X), from_keras, rtol=1e-5, atol=1e-6)

    def test_a_model_is_built_once_where_only_keras_can_train_it(self):
        made = []

        def build(meta):
            made.append(small(meta))
            return made[-1]

        X, y = data()
        train(build, NetworkMeta(3, 4), TrainingOptions(epochs=1, optimizer="nadam"), X, y)
        assert len(made) == 1

    def test_the_model_comes_back_without_the_loss_of_its_builder(self):
        def build(meta):
            model = with_gru(meta)
            model.compile(loss=lambda y, p: keras.ops.mean(keras.ops.abs(y - p)), optimizer="sgd")
            return model

        X, y = data()
        result = train(build, NetworkMeta(3, 4), TrainingOptions(epochs=1), X, y)
        model = networks.rebuild(result)
        assert not model.compiled
        np.testing.assert_allclose(model.predict(X, verbose=0)[:, 0], lrp.predict(result.network, X), atol=1e-6)

    def test_a_model_with_steps_of_its_own_takes_them(self):
        class Still(keras.Model):
            def train_step(self, data):
                return {"loss": keras.ops.zeros(())}

        def build(meta):
            model = small(meta)
            return Still(model.inputs, model.outputs)

        X, y = data()
        result = train(build, NetworkMeta(3, 4, 5), TrainingOptions(epochs=2), X, y)
        for before, after in zip(small(NetworkMeta(3, 4, 5)).get_weights(), result.weights, strict=True):
            np.testing.assert_array_equal(before, after)

    def test_an_activation_of_the_user_is_the_one_that_trains(self):
        def relu(x):
            return 0 * x

        def build(meta):
            inputs = keras.Input((meta.n_timesteps, meta.n_features))
            hidden = keras.layers.Dense(3, activation=relu)(keras.layers.Flatten()(inputs))
            return keras.Model(inputs, keras.layers.Dense(1)(hidden))

        X, y = data()
        result = train(build, NetworkMeta(3, 4), TrainingOptions(epochs=1, learning_rate=1e-30), X, y)
        # The output is its bias of 0, whatever the weights are.
        assert result.history["loss"] == pytest.approx([np.mean(y**2)], rel=1e-5)


class TestErrors:
    def test_divergence_says_so(self):
        with pytest.raises(NonFiniteError, match="Training diverged after 2 epochs. Lower learning_rate"):
            trained(learning_rate=1e38, loss=lambda y, p: keras.ops.sum(keras.ops.exp(p * 1e30)))

    def test_a_network_without_rule_still_trains_and_predicts(self):
        def with_conv(meta):
            inputs = keras.Input((meta.n_timesteps, meta.n_features))
            hidden = keras.layers.Conv1D(2, 2, name="conv")(inputs)
            return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(hidden)))

        X, y = data()
        result = train(with_conv, NetworkMeta(3, 4), TrainingOptions(epochs=1), X, y)
        assert result.network is None
        assert "'conv' (Conv1D) has no relevance rule" in result.unsupported
        assert networks.keras_predict(result, X).shape == (60,)
