"""Several models fitted at once, each as if it were alone."""

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression

from skdrfm import DeepFactorRegressor, DeepRecurrentFactorRegressor, networks
from skdrfm.factor_model._together import fit_together, windows_at_once


def quick(**changes):
    return DeepRecurrentFactorRegressor(**{"units": 3, "epochs": 1, "random_state": 0, **changes})


def dataset(number):
    X = np.random.default_rng(number).normal(size=(60 + number, 3, 2))
    return X, X[:, -1, 0]


def with_gru(meta):
    layers = [keras.layers.GRU(2), keras.layers.Dense(1)]
    return keras.Sequential([keras.Input((meta.n_timesteps, meta.n_features)), *layers])


class TestFitTogether:
    @pytest.fixture
    def calls(self, monkeypatch):
        """Numbers of networks in each call of the training."""
        train_many, numbers = networks.train_many, []

        def counted(jobs, **options):
            numbers.append(len(jobs))
            return train_many(jobs, **options)

        monkeypatch.setattr(networks, "train_many", counted)
        return numbers

    def test_training_rows_are_made_for_as_many_as_a_program_holds(self, calls):
        datasets = [dataset(number) for number in range(5)]
        fitted = fit_together([quick(random_state=number) for number in range(5)], datasets, width=2)
        assert calls == [2, 2, 1]
        for number, (model, data) in enumerate(zip(fitted, datasets, strict=True)):
            (alone,) = fit_together([quick(random_state=number)], [data], width=2)
            np.testing.assert_array_equal(model.predict(data[0]), alone.predict(data[0]))

    def test_candidates_of_one_model_train_beside_those_of_its_neighbours(self, calls, monkeypatch):
        monkeypatch.setattr("skdrfm.factor_model._deep.PAPER_CANDIDATES", ((2,), (3, 3), (4,)))
        model = DeepFactorRegressor("select", epochs=2, random_state=0)
        datasets = [dataset(number) for number in range(3)]
        fitted = fit_together([clone(model) for _ in datasets], datasets, width=2)
        assert calls == [6, 3]
        for one, data in zip(fitted, datasets, strict=True):
            np.testing.assert_allclose(one.predict(data[0]), clone(model).fit(*data).predict(data[0]), rtol=1e-4)

    def test_other_estimators_are_fitted_one_by_one(self, calls):
        X, y = np.arange(6.0).reshape(3, 2), np.arange(3.0)
        fitted = fit_together([LinearRegression(), LinearRegression()], [(X, y), (X, -y)], width=2)
        np.testing.assert_allclose([model.coef_.sum() for model in fitted], [0.5, -0.5])
        assert calls == []


class TestWindowsAtOnce:
    @pytest.mark.parametrize(
        "model",
        [
            quick(),
            quick(optimizer="RMSprop", loss="mae"),
            quick(build_fn=with_gru),  # what a builder makes is not known before
            quick(build_fn=with_gru, cell="rudder"),
            DeepFactorRegressor("select"),
        ],
    )
    def test_networks_of_our_own_program_share_it(self, model):
        assert windows_at_once(model) > 1

    @pytest.mark.parametrize(
        "model",
        [
            quick(cell="rudder"),
            quick(callbacks=[keras.callbacks.TerminateOnNaN()]),
            quick(optimizer=keras.optimizers.Adam()),
            quick(optimizer="nadam"),
            quick(loss="poisson"),
            DeepFactorRegressor(loss=lambda y, p: keras.ops.mean(keras.ops.abs(y - p))),
            LinearRegression(),
        ],
    )
    def test_all_others_are_fitted_one_by_one(self, model):
        assert windows_at_once(model) == 1

    @pytest.mark.parametrize(
        ("model", "n_timesteps", "expected"),
        [
            (DeepRecurrentFactorRegressor(), 5, 2),
            (DeepRecurrentFactorRegressor(batch_size=64), 5, 4),
            (DeepRecurrentFactorRegressor(bidirectional=False), 5, 2),
            (DeepRecurrentFactorRegressor(bidirectional=False), 3, 4),
            (DeepRecurrentFactorRegressor(bidirectional=False, dtype="float64"), 3, 2),
            (DeepRecurrentFactorRegressor(units=(8, 8)), 5, 2),
            (DeepFactorRegressor(), 5, 4),
            (DeepFactorRegressor((512, 512)), 5, 2),
            (DeepFactorRegressor("select"), 5, 2),
        ],
    )
    def test_more_windows_as_long_as_a_step_stays_in_the_cache(self, model, n_timesteps, expected):
        assert windows_at_once(model, n_timesteps) == expected

    def test_parameters_are_checked_first(self):
        with pytest.raises(ValueError, match="'callbacks' parameter of DeepRecurrentFactorRegressor"):
            windows_at_once(quick(callbacks=3))
