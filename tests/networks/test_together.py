"""Our own training program does what Keras does, for one network and for many side by side."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from skdrfm import networks
from skdrfm.exceptions import NonFiniteError, SkdrfmWarning
from skdrfm.networks import NetworkMeta, TrainingJob, TrainingOptions, _together
from skdrfm.networks._chain import DenseLayer, read_chain
from skdrfm.networks._forward import _drop
from skdrfm.networks._program import Program, ProgramKey, program
from skdrfm.networks._together import Start
from skdrfm.networks._training import _template, _train_with_keras

N_STEPS, N_FEATURES = 3, 4
# Keras takes powers of 0.999 in float32, also for networks in float64.
KERAS_ADAM = 2e-5
RECURRENT = {"units": (4,), "bidirectional": True, "dense_units": (), "activation": "tanh", "dropout": 0.0, "l2": 0.0}
DENSE = {"hidden_units": (6, 5), "activation": "relu", "dropout": 0.0, "l2": 0.0}
BUILDERS = {
    "one direction": partial(networks.build_recurrent, **RECURRENT | {"bidirectional": False}),
    "two directions": partial(networks.build_recurrent, **RECURRENT),
    "stacked with a head and penalties": partial(
        networks.build_recurrent, **RECURRENT | {"units": (4, 3), "dense_units": (3,), "l2": 1e-2}
    ),
    "other activation": partial(networks.build_recurrent, **RECURRENT | {"activation": "relu"}),
    "perceptron with penalties": partial(networks.build_dense, **DENSE | {"l2": 1e-2}),
}


def rows(n, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, N_STEPS, N_FEATURES))
    return X, 0.1 * X[:, -1, 0] + rng.normal(0, 0.1, n)


def job(builder, *, n=60, seed=0, data_seed=0, n_validation=12, weighted=False, dtype="float64", **options):
    X, y = (part.astype(dtype) for part in rows(n, data_seed))
    validation = tuple(part.astype(dtype) for part in rows(n_validation, 99 + data_seed)) if n_validation else None
    weight = None
    if weighted:
        weight = np.linspace(0.5, 2, n).astype(dtype)
        validation = validation and (*validation, np.linspace(1, 3, n_validation).astype(dtype))
    chosen = TrainingOptions(**{"epochs": 6, "batch_size": 16, "learning_rate": 0.01, **options})
    return TrainingJob(builder, NetworkMeta(N_STEPS, N_FEATURES, seed, dtype), chosen, X, y, weight, validation)


def assert_equal_weights(one, other, **tolerance):
    for a, b in zip(one.weights, other.weights, strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


class TestReferenceValues:
    """Whole batches know no order of rows, so that Keras' own shuffling changes nothing but rounding."""

    @pytest.mark.parametrize("name", BUILDERS)
    def test_weights_and_losses_equal_those_of_keras(self, name):
        own = job(BUILDERS[name], n=40, batch_size=40, epochs=5, weighted=True, optimizer="sgd", learning_rate=0.1)
        result, expected = networks.train_many([own])[0], _train_with_keras(own)[1]
        assert_equal_weights(result, expected, rtol=1e-6, atol=1e-9)
        assert list(result.history) == list(expected.history) == ["loss", "val_loss"]
        for key, losses in expected.history.items():
            np.testing.assert_allclose(result.history[key], losses, rtol=1e-6)  # Keras adds them up in float32

    @pytest.mark.parametrize("mode", ["graph", "compiled"])
    def test_graphs_and_compiled_programs_equal_keras(self, mode, monkeypatch):
        monkeypatch.setattr(_together, "GRAPH_UP_TO", 600 if mode == "graph" else 0)
        own = job(BUILDERS["one direction"], n=40, batch_size=40, epochs=20, weighted=True)
        template = _template(own.builder, own.meta)
        assert Start(own, template.chain, list(template.weights), template.seeds).key(1).mode == mode
        result, expected = networks.train_many([own])[0], _train_with_keras(own)[1]
        assert_equal_weights(result, expected, rtol=KERAS_ADAM, atol=KERAS_ADAM)

    @pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
    @pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
    def test_optimizers_and_losses_are_those_of_keras(self, optimizer, loss):
        own = job(BUILDERS["perceptron with penalties"], n=40, batch_size=40, epochs=5, optimizer=optimizer, loss=loss)
        result, expected = networks.train_many([own])[0], _train_with_keras(own)[1]
        assert_equal_weights(result, expected, rtol=KERAS_ADAM, atol=KERAS_ADAM)

    @pytest.mark.parametrize("name", ["Adam", "RMSprop", "SGD"])
    def test_names_of_optimizers_may_begin_with_a_capital_as_in_keras(self, name):
        own, small = (
            job(BUILDERS["perceptron with penalties"], epochs=2, optimizer=text) for text in (name, name.lower())
        )
        assert_equal_weights(networks.train_many([own])[0], networks.train_many([small])[0], rtol=0, atol=0)

    def test_a_model_that_comes_compiled_keeps_its_own_optimizer(self):
        def build(meta):
            model = BUILDERS["perceptron with penalties"](meta)
            model.compile(loss="mse", optimizer=keras.optimizers.SGD(0.5))
            return model

        own = job(build, n=40, batch_size=40, epochs=3)
        result, expected = networks.train_many([own])[0], _train_with_keras(own)[1]
        assert_equal_weights(result, expected, rtol=1e-7, atol=1e-9)
        other = job(BUILDERS["perceptron with penalties"], n=40, batch_size=40, epochs=3)
        assert any((a != b).any() for a, b in zip(result.weights, networks.train_many([other])[0].weights, strict=True))

    def test_adam_is_the_formula_of_its_paper(self):
        # Kingma and Ba 2015, section 2 ("the order of computation"), one number at a time.
        key = ProgramKey((DenseLayer(1, "linear", False, 0.0),), 2, 1, 1, 1, "float64", "mse", "adam", "eager")
        rng = np.random.default_rng(0)
        weight, rate = rng.normal(size=(2, 1, 1)), 0.01
        slots, expected = [[tf.zeros((2, 1, 1), tf.float64)], [tf.zeros((2, 1, 1), tf.float64)]], weight.copy()
        m, v = np.zeros(2), np.zeros(2)
        tensors = [tf.constant(weight)]
        for step in range(1, 6):
            gradient = rng.normal(size=(2, 1, 1))
            tensors, slots = Program(key)._update(
                tensors, [tf.constant(gradient)], slots, tf.constant([step, step]), tf.constant(rate, tf.float64)
            )
            for window in range(2):
                g = gradient[window, 0, 0]
                m[window] = 0.9 * m[window] + 0.1 * g
                v[window] = 0.999 * v[window] + 0.001 * g * g
                size = rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
                expected[window, 0, 0] -= size * m[window] / (np.sqrt(v[window]) + 1e-7)
        np.testing.assert_allclose(tensors[0], expected, rtol=1e-12)

    def test_training_stops_where_keras_stops(self):
        # Steps this large overshoot in the end, so that the last epoch is not the best one.
        own = job(
            BUILDERS["two directions"], n=40, batch_size=40, epochs=60, learning_rate=1.0, patience=2, optimizer="sgd"
        )
        result, expected = networks.train_many([own])[0], _train_with_keras(own)[1]
        assert 3 < len(result.history["loss"]) < 60
        assert len(result.history["loss"]) == len(expected.history["loss"])
        assert_equal_weights(result, expected, rtol=1e-5, atol=1e-7)

    def test_an_epoch_takes_each_row_once(self):
        # Without a learning rate the loss of an epoch is that of the initial weights over all rows.
        own = job(BUILDERS["two directions"], n=50, epochs=2, learning_rate=1e-300, n_validation=0)
        assert networks.train_many([own])[0].history["loss"] == pytest.approx([np.mean(own.y**2)] * 2)

    @pytest.mark.parametrize("mode", ["graph", "compiled"])
    def test_a_batch_beyond_the_rows_is_all_rows(self, mode, monkeypatch):
        monkeypatch.setattr(_together, "GRAPH_UP_TO", 600 if mode == "graph" else 0)
        # More validation rows than a batch of the program has.
        own = job(
            BUILDERS["perceptron with penalties"],
            n=40,
            batch_size=100_000,
            epochs=20,
            weighted=True,
            n_validation=150,
            optimizer="sgd",
        )
        result, (_, expected) = networks.train_many([own])[0], _train_with_keras(own)
        assert_equal_weights(result, expected, rtol=1e-6, atol=1e-9)
        for key, losses in expected.history.items():
            np.testing.assert_allclose(result.history[key], losses, rtol=1e-6)


class TestSideBySide:
    @pytest.mark.parametrize("width", [2, 4])
    @pytest.mark.parametrize("name", ["stacked with a head and penalties", "perceptron with penalties"])
    def test_networks_side_by_side_equal_one_by_one(self, name, width):
        builder = partial(BUILDERS[name].func, **BUILDERS[name].keywords | {"dropout": 0.2})
        jobs = [
            job(builder, n=100 + 17 * k, seed=k % 2, data_seed=k, n_validation=10 + k, weighted=True, epochs=10)
            for k in range(4)
        ]
        together = networks.train_many(jobs, width=width)
        for own, result in zip(jobs, together, strict=True):
            alone = networks.train_many([own])[0]
            assert_equal_weights(result, alone, rtol=1e-4, atol=1e-7)
            np.testing.assert_allclose(result.history["val_loss"], alone.history["val_loss"], rtol=1e-6)

    def test_networks_stop_each_at_its_own_time_with_its_own_best_weights(self):
        jobs = [
            job(BUILDERS["two directions"], n=100, data_seed=k, epochs=30, learning_rate=rate, patience=1)
            for k, rate in enumerate([0.3, 0.3, 0.3])
        ]
        together = networks.train_many(jobs, width=4)
        lengths = [len(result.history["loss"]) for result in together]
        assert len(set(lengths)) > 1
        for own, result in zip(jobs, together, strict=True):
            alone = networks.train_many([own])[0]
            assert len(alone.history["loss"]) == len(result.history["loss"])
            assert_equal_weights(result, alone, rtol=1e-4, atol=1e-7)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_neighbours_and_places_change_no_bit(self, dtype, monkeypatch):
        monkeypatch.setattr(_together, "GRAPH_UP_TO", 0 if dtype == "float32" else 600)
        jobs = [job(BUILDERS["two directions"], n=90 + k, data_seed=k, dtype=dtype) for k in range(3)]
        together = networks.train_many(jobs, width=4)
        again = networks.train_many(jobs[::-1], width=4)[::-1]
        single = [networks.train_many([own], width=4)[0] for own in jobs]
        for results in zip(together, again, single, strict=True):
            for other in results[1:]:
                for a, b in zip(results[0].weights, other.weights, strict=True):
                    np.testing.assert_array_equal(a, b)

    def test_different_architectures_train_in_one_call_each_with_its_like(self):
        names = ["two directions", "perceptron with penalties", "two directions"]
        jobs = [job(BUILDERS[name], data_seed=k) for k, name in enumerate(names)]
        for own, result in zip(jobs, networks.train_many(jobs, width=2), strict=True):
            assert_equal_weights(result, networks.train_many([own])[0], rtol=1e-6, atol=1e-8)


class TestRandomness:
    def test_dropout_depends_on_the_seed_and_lowers_no_expectation(self):
        builder = partial(networks.build_dense, **DENSE | {"dropout": 0.5})
        first, same, other = (networks.train_many([job(builder, seed=seed, epochs=3)])[0].weights for seed in (1, 1, 2))
        assert all((a == b).all() for a, b in zip(first, same, strict=True))
        assert any((a != b).any() for a, b in zip(first, other, strict=True))

    def test_masks_keep_the_mean_and_differ_between_steps_and_windows(self):
        x = tf.ones((2, 500, 40))
        dropped = [_drop(x, 0.3, tf.constant([[1, step], [2, step]])).numpy() for step in (0, 1)]
        for values in (dropped[0][0], dropped[0][1], dropped[1][0]):
            assert set(np.unique(values.round(6))) == {0.0, np.float32(1 / 0.7).round(6)}
            assert values.mean() == pytest.approx(1, abs=0.03)
        assert (dropped[0][0] != dropped[0][1]).any()
        assert (dropped[0][0] != dropped[1][0]).any()


class TestProgram:
    @pytest.mark.parametrize("name", BUILDERS)
    def test_our_own_builders_are_all_batched(self, name):
        builder = partial(BUILDERS[name].func, **BUILDERS[name].keywords | {"dropout": 0.1})
        read_chain(builder(NetworkMeta(N_STEPS, N_FEATURES)))

    def test_fits_of_one_architecture_trace_and_compile_once(self):
        builder = BUILDERS["one direction"]
        networks.train_many([job(builder, n=70, learning_rate=0.02)])
        made = program.cache_info().misses
        key = job(builder, n=70)
        for n, rate in [(300, 0.03), (90, 0.05), (81, 0.1)]:
            networks.train_many([job(builder, n=n, learning_rate=rate, data_seed=n)])
        assert program.cache_info().misses == made
        template = _template(builder, key.meta)
        compiled = program(Start(key, template.chain, list(template.weights), template.seeds).key(1))
        assert compiled._train.experimental_get_tracing_count() == 1

    @pytest.mark.parametrize(
        ("n_rows", "batch_size", "expected"),
        [(300, 256, 256), (256, 256, 256), (200, 256, 256), (60, 100_000, 64), (64, 100_000, 64), (1, 256, 1)],
    )
    def test_batches_are_filled_up_to_a_power_of_two_at_most(self, n_rows, batch_size, expected):
        own = job(BUILDERS["one direction"], n=n_rows, batch_size=batch_size, epochs=50)
        template = _template(own.builder, own.meta)
        key = Start(own, template.chain, list(template.weights), template.seeds).key(4)
        assert (key.mode, key.batch_size) == ("graph", expected)

    def test_what_is_not_ours_goes_to_keras(self):
        own = job(BUILDERS["one direction"])
        assert own.options.known_to_program
        for changed in (
            {"loss": lambda y, p: keras.ops.mean(keras.ops.abs(y - p))},
            {"optimizer": keras.optimizers.Adam()},
            {"optimizer": "nadam"},
            {"callbacks": (keras.callbacks.TerminateOnNaN(),)},
            {"loss": "poisson"},
        ):
            assert not job(BUILDERS["one direction"], **changed).options.known_to_program

    def test_a_user_builder_of_known_layers_is_batched_and_its_unseeded_layers_follow_the_seed(self):
        def build(meta):
            layers = [keras.layers.LSTM(3), keras.layers.Dropout(0.1), keras.layers.Dense(2, "tanh")]
            return keras.Sequential([keras.Input((meta.n_timesteps, meta.n_features)), *layers, keras.layers.Dense(1)])

        read_chain(build(NetworkMeta(N_STEPS, N_FEATURES)))
        one, same, other = (
            networks.train_many([job(build, seed=seed, dtype="float32", epochs=5)])[0].weights for seed in (1, 1, 2)
        )
        assert all((a == b).all() for a, b in zip(one, same, strict=True))
        assert any((a != b).any() for a, b in zip(one, other, strict=True))

    def test_what_cannot_be_batched_is_trained_all_the_same_and_a_message_says_why(self):
        def build(meta):
            layers = [keras.layers.GRU(2, name="memory"), keras.layers.Dense(1)]
            return keras.Sequential([keras.Input((meta.n_timesteps, meta.n_features)), *layers])

        jobs = [job(build, dtype="float32", epochs=1), job(BUILDERS["one direction"], dtype="float32", epochs=1)]
        with pytest.warns(SkdrfmWarning, match=r"1 of 2 networks .* the model has a layer 'memory' \(GRU\)"):
            first, second = networks.train_many(jobs, width=2)
        for own, result in zip(jobs, (first, second), strict=True):
            assert_equal_weights(result, networks.train_many([own])[0], rtol=1e-6)

    def test_divergence_says_so(self):
        with pytest.raises(NonFiniteError, match="Training diverged after 6 epochs. Lower learning_rate"):
            networks.train_many([job(BUILDERS["two directions"], dtype="float32", learning_rate=1e38)])

    def test_verbose_tells_each_epoch_and_changes_no_bit(self, capsys):
        quiet, loud = (networks.train_many([job(BUILDERS["two directions"], verbose=v)])[0] for v in (0, 1))
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 6
        assert lines[0].startswith("Epoch 1/6 - loss: ")
        for a, b in zip(quiet.weights, loud.weights, strict=True):
            np.testing.assert_array_equal(a, b)
