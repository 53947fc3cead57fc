"""Training leaves no trace behind and depends on its arguments alone."""

import pickle
import random
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf

from skdrfm import lrp, networks
from skdrfm.exceptions import NonFiniteError
from skdrfm.networks import NetworkMeta, TrainingOptions


def data(n=60, n_timesteps=3, n_features=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, n_timesteps, n_features)).astype(np.float32)
    return X, (X[:, -1, 0] * 0.1).astype(np.float32)


def small(meta):
    return networks.build_recurrent(
        meta, units=(4,), bidirectional=True, dense_units=(3,), activation="tanh", dropout=0.2, l2=1e-4
    )


def trained(seed=3, **options):
    X, y = data()
    return networks.train(
        small, NetworkMeta(3, 4, seed), TrainingOptions(**{"epochs": 2, "batch_size": 16, **options}), X, y
    )


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
            return networks.train(small, NetworkMeta(3, 4, 3, dtype), TrainingOptions(epochs=1), X, y).weights

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


class TestRoundTrip:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_numpy_network_equals_keras(self, dtype):
        X, y = data()
        result = networks.train(small, NetworkMeta(3, 4, 0, dtype), TrainingOptions(epochs=1), X.astype(dtype), y)
        model = networks.rebuild(pickle.loads(pickle.dumps(result)))
        from_keras = model.predict(X, verbose=0)[:, 0]
        np.testing.assert_allclose(lrp.predict(result.network, X), from_keras, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(networks.keras_predict(result, X), from_keras, rtol=1e-6)

    def test_the_best_epoch_is_restored(self):
        X, y = data()
        best = networks.train(
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
        stopped = networks.train(
            small,
            NetworkMeta(3, 4, 0),
            TrainingOptions(epochs=30, batch_size=8, learning_rate=0.3, patience=1),
            X,
            y,
            validation=(X[:20], y[:20]),
        )
        assert len(stopped.history["loss"]) < 30


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
        result = networks.train(with_conv, NetworkMeta(3, 4), TrainingOptions(epochs=1), X, y)
        assert result.network is None
        assert "'conv' (Conv1D) has no relevance rule" in result.unsupported
        assert networks.keras_predict(result, X).shape == (60,)
