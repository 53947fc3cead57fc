"""Shapley values of groups are those of the definition."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdrfm import make_factor_panel, stack_lags
from skdrfm.exceptions import PanelError
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.inspection._compare_subject import Subject, subject_of
from skdrfm.inspection._forward import Forward
from skdrfm.inspection._shapley import group_shapley, shapley_of_groups

NAMES = ("a", "b", "c", "d")
GROUPS = {"first": ["b"], "second": ["d", "a"], "third": ["c"]}


def twisted(flat):
    """Interactions of up to four cells, of which none is symmetric to another."""
    z = flat[:, :8]
    return np.tanh(z[:, 0] * z[:, 1] - z[:, 2]) + z[:, 3] * z[:, 4] * z[:, 5] + np.exp(0.3 * z[:, 6] * z[:, 7])


@pytest.fixture
def subject():
    """Five rows of two lags and four descriptors, and a prediction that is anything but linear."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5, 8))
    columns = [f"{name}__lag{lag}" for lag in (3, 0) for name in NAMES]
    model = LinearFactorRegressor().fit(pd.DataFrame(rng.normal(size=(20, 8)), columns=columns), rng.normal(size=20))
    linear = subject_of(model, pd.DataFrame(X, columns=columns))
    return Subject(model, X, linear.rows, Forward(model, twisted))


@pytest.fixture
def background():
    return np.random.default_rng(1).normal(size=(6, 8))


@pytest.fixture(scope="module")
def panel():
    X, y = make_factor_panel(n_dates=12, n_assets=6, n_descriptors=3, random_state=0)
    X, y = stack_lags(X, y, lags=(0, 3))
    dates = X.index.get_level_values("date")
    early = dates < dates.unique()[-2]
    return X[early], y[early], X[~early]


def by_all_orders(predict, x, background, cells_of_player):
    """Mean gain of each player over all orders, as the definition has it."""
    n_players = len(cells_of_player)
    values = np.zeros(n_players)
    orders = list(permutations(range(n_players)))
    for order in orders:
        mixed = background.copy()
        before = predict(mixed).mean()
        for player in order:
            mixed[:, cells_of_player[player]] = x[cells_of_player[player]]
            after = predict(mixed).mean()
            values[player] += (after - before) / len(orders)
            before = after
    return values


class TestReferenceValues:
    @pytest.mark.parametrize(
        ("by_lag", "groups", "cells"),
        [
            (False, GROUPS, [[1, 5], [0, 3, 4, 7], [2, 6]]),
            (True, {"x": ["a", "c"], "y": ["d", "b"]}, [[0, 2], [1, 3], [4, 6], [5, 7]]),
            (False, {name: [name] for name in NAMES}, [[0, 4], [1, 5], [2, 6], [3, 7]]),
            (False, {"all": NAMES}, [list(range(8))]),
        ],
        ids=["three groups", "two groups at two lags", "four groups", "one group"],
    )
    def test_enumeration_is_the_mean_over_all_orders(self, subject, background, by_lag, groups, cells):
        found = shapley_of_groups(subject, background, groups, by_lag=by_lag, max_evals=64, seed=0)
        assert found.is_exact
        assert found.n_coalitions == 2 ** len(cells)
        expected = [by_all_orders(twisted, x, background, cells) for x in subject.data]
        np.testing.assert_allclose(found.values, expected, rtol=1e-12, atol=1e-14)
        assert found.base == pytest.approx(twisted(background).mean())
        np.testing.assert_array_equal(found.predictions, twisted(subject.data))

    def test_players_at_single_lags_are_named_oldest_lag_first(self, subject, background):
        found = shapley_of_groups(subject, background, GROUPS, by_lag=True, max_evals=64, seed=0)
        assert list(found.players[:3]) == [("first", 3), ("second", 3), ("third", 3)]
        frame = found.to_frame()
        pd.testing.assert_series_equal(found.by_group()["third"], frame["third"].sum(axis=1), check_names=False)
        pd.testing.assert_series_equal(
            found.by_lag()[3], frame.xs(3, axis=1, level="lag").sum(axis=1), check_names=False
        )
        assert list(found.by_lag().columns) == [3, 0]

    def test_two_orders_are_exact_for_interactions_of_pairs(self, subject, background):
        def pairs(flat):
            return flat @ np.arange(8.0) + flat[:, 0] * flat[:, 5] - 2 * flat[:, 3] * flat[:, 2]

        model = Subject(subject.model, subject.X, subject.rows, Forward(subject.model, pairs))
        exact = shapley_of_groups(model, background, GROUPS, by_lag=True, max_evals=64, seed=0)
        sampled = shapley_of_groups(model, background, GROUPS, by_lag=True, max_evals=10, seed=0)
        assert not sampled.is_exact
        assert sampled.n_coalitions == 10
        np.testing.assert_allclose(sampled.values, exact.values, rtol=1e-9)

    def test_many_orders_come_close(self, subject, background):
        exact = shapley_of_groups(subject, background, GROUPS, by_lag=True, max_evals=64, seed=0)
        sampled = shapley_of_groups(subject, background, GROUPS, by_lag=True, max_evals=63, seed=0)
        assert not sampled.is_exact
        far = np.abs(sampled.values - exact.values).max()
        assert 0 < far < 0.5 * np.abs(exact.values).max()
        # 1,000 pairs of orders: the error is of the order of 1 / sqrt(1,000).
        many = np.mean(
            [
                shapley_of_groups(subject, background, GROUPS, by_lag=True, max_evals=60, seed=seed).values
                for seed in range(170)
            ],
            axis=0,
        )
        np.testing.assert_allclose(many, exact.values, atol=0.1 * np.abs(exact.values).max())


class TestProperties:
    @pytest.mark.parametrize("max_evals", [64, 20], ids=["exact", "sampled"])
    def test_values_and_base_add_up(self, subject, background, max_evals):
        found = shapley_of_groups(subject, background, GROUPS, by_lag=True, max_evals=max_evals, seed=3)
        assert np.abs(found.additivity_gap).max() < 1e-14

    @pytest.mark.parametrize("max_evals", [64, 20], ids=["exact", "sampled"])
    def test_blocks_of_rows_and_coalitions_change_nothing(self, subject, background, max_evals, monkeypatch):
        whole = shapley_of_groups(subject, background, GROUPS, by_lag=True, max_evals=max_evals, seed=3)
        monkeypatch.setattr("skdrfm.inspection._shapley._ROWS_AT_ONCE", 14)
        cut = shapley_of_groups(subject, background, GROUPS, by_lag=True, max_evals=max_evals, seed=3)
        np.testing.assert_allclose(cut.values, whole.values, rtol=1e-12)

    def test_all_rows_predicted_are_made_of_the_row_and_the_background(self, subject, background):
        seen = []

        def spy(flat):
            seen.append(flat.copy())
            return twisted(flat)

        model = Subject(subject.model, subject.X, subject.rows, Forward(subject.model, spy))
        shapley_of_groups(model, background, GROUPS, by_lag=True, max_evals=20, seed=0)
        rows = np.concatenate(seen)
        for donor in (subject.data, background):
            assert (rows == donor[:, np.newaxis]).all(axis=2).any()  # rows of their own
        from_one = np.zeros(len(rows), dtype=bool)
        for x in subject.data:
            for b in background:
                from_one |= ((rows == x) | (rows == b)).all(axis=1)
        assert from_one.all()

    def test_an_array_of_values_cannot_be_overwritten(self, subject, background):
        found = shapley_of_groups(subject, background, GROUPS, by_lag=False, max_evals=64, seed=0)
        with pytest.raises(ValueError, match="read-only"):
            found.values[0] = 0
        frame = found.to_frame()
        frame.iloc[0] = 0
        assert found.values[0].any()
        assert repr(found) == "GroupShapley(n_samples=5, n_players=3, is_exact=True)"


class TestFunction:
    def test_a_linear_model_gives_its_coefficients_times_the_distance_from_the_background(self, panel):
        train, y, test = panel
        model = make_pipeline(StandardScaler(), Ridge()).fit(train, y)
        found = group_shapley(model, test, train, {"Risk": ["60VOL", "BETA"], "Skewness": ["SKEW"]})
        away = (model[0].transform(test) - model[0].transform(train).mean(axis=0)) * model[1].coef_
        expected = np.c_[away[:, [0, 1, 3, 4]].sum(axis=1), away[:, [2, 5]].sum(axis=1)]
        np.testing.assert_allclose(found.values, expected, atol=1e-14)
        assert found.index.equals(test.index)
        assert list(found.players) == ["Risk", "Skewness"]

    def test_the_same_seed_gives_the_same_values(self, panel):
        train, y, test = panel
        model = LinearFactorRegressor().fit(train, y)
        groups = {name: [name] for name in ("60VOL", "BETA", "SKEW")}
        one, two = (
            group_shapley(model, test, train, groups, by_lag=True, max_evals=30, random_state=5) for _ in range(2)
        )
        np.testing.assert_array_equal(one.values, two.values)

    def test_groups_must_fit(self, panel):
        train, y, test = panel
        model = LinearFactorRegressor().fit(train, y)
        with pytest.raises(PanelError, match="Each descriptor of the explanation must be in a group"):
            group_shapley(model, test, train, {"Risk": ["BETA"]})

    def test_a_budget_without_a_pair_of_orders_is_refused(self, panel):
        train, y, test = panel
        model = LinearFactorRegressor().fit(train, y)
        groups = {name: [name] for name in ("60VOL", "BETA", "SKEW")}
        with pytest.raises(ValueError, match="'max_evals' must be at least 10, for one order of 6 players.*Got 9"):
            group_shapley(model, test, train, groups, by_lag=True, max_evals=9)

    def test_groups_of_all_lags_have_no_lags(self, panel):
        train, y, test = panel
        found = group_shapley(LinearFactorRegressor().fit(train, y), test, train, {"all": ["60VOL", "BETA", "SKEW"]})
        with pytest.raises(PanelError, match="by_lag needs players that are groups at single lags"):
            found.by_lag()
