"""Sanity checks of explanations: untrained networks, noise and seeds."""

from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from skdrfm import explain, make_factor_panel, stack_lags
from skdrfm.exceptions import PanelError
from skdrfm.explanation import linear_explanation, network_explanation
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.inspection._faithfulness import faithfulness
from skdrfm.inspection._faithfulness_checks import seed_stability, size_correlations
from skdrfm.inspection._faithfulness_networks import cascade
from skdrfm.lrp import GRU, LSTM, Bidirectional, Dense, Flatten, Network, Rule, Scale, Take, attribute, predict

QUICK = {"n_steps": 2, "n_draws": 2, "n_subsets": 5, "n_repeats": 3, "random_state": 0}


def lstm(rng, n_in, n, **options):
    return LSTM(rng.normal(size=(n_in, 4 * n)), rng.normal(size=(n, 4 * n)), rng.normal(size=4 * n), **options)


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(0)
    layers = [
        Scale(np.array([2.0, 0.5, 1.0]), np.ones(3), "Normalization", name="normal"),
        Scale(np.array([2.0, 0.5, 1.0]), np.ones(3), "BatchNormalization", name="batch"),
        Bidirectional(lstm(rng, 3, 3), lstm(rng, 3, 3), name="both"),
        Dense(rng.normal(size=(6, 1)), rng.normal(size=1), name="out"),
    ]
    return Network(layers, 4, 3)


@pytest.fixture(scope="module")
def panel():
    index = pd.MultiIndex.from_product([[202001, 202002, 202003], range(8)], names=["date", "asset"])
    data = np.random.default_rng(3).normal(size=(24, 4, 3))
    return pd.DataFrame(data.reshape(24, -1), index=index)


@pytest.fixture(scope="module")
def explained(network, panel):
    return network_explanation(network, panel.to_numpy().reshape(-1, 4, 3), index=panel.index)


class TestUntrainedNetworks:
    def test_layers_lose_their_training_from_the_output_down(self, network):
        stages = cascade(network, np.random.default_rng(0))
        assert [(stage.n_layers, stage.lowest) for stage in stages] == [(1, "out"), (2, "both"), (3, "batch")]
        for stage in stages:
            same = [a is b for a, b in zip(stage.network.layers, network.layers, strict=True)]
            assert same == [True, *[place + stage.n_layers < 4 for place in (1, 2, 3)]]
        assert all(a is b for a, b in zip(stages[1].network.layers[3:], stages[2].network.layers[3:], strict=True))

    def test_parameters_are_those_that_keras_begins_with(self, network):
        _, batch, both, out = cascade(network, np.random.default_rng(0))[-1].network.layers
        assert batch.scale.tolist() == [1, 1, 1]
        assert batch.shift.tolist() == [0, 0, 0]
        assert out.bias.tolist() == [0]
        assert np.abs(out.kernel).max() < np.sqrt(6 / 7)
        for cell in (both.forward, both.backward):
            np.testing.assert_allclose(cell.recurrent_kernel @ cell.recurrent_kernel.T, np.eye(3), atol=1e-12)
            assert cell.bias.tolist() == [0] * 3 + [1] * 3 + [0] * 6
            assert np.abs(cell.kernel).max() < np.sqrt(6 / 15)
        assert both.backward.go_backwards
        assert not np.array_equal(both.forward.kernel, both.backward.kernel)

    def test_all_numbers_of_a_layer_are_drawn_anew(self):
        rng = np.random.default_rng(0)
        gru = GRU(rng.normal(size=(3, 6)), rng.normal(size=(2, 6)), rng.normal(size=(2, 6)))
        fresh = cascade(Network([gru, Dense(np.ones((2, 1)), np.ones(1))], 2, 3), rng)[-1].network.layers[0]
        for field in fields(gru):
            old, new = getattr(gru, field.name), getattr(fresh, field.name)
            assert (old != new).all() if isinstance(old, np.ndarray) else old == new

    def test_a_layer_used_twice_stays_one_layer(self):
        head = Dense(np.ones((3, 3)), np.ones(3), "tanh", name="twice")
        rng = np.random.default_rng(0)
        last = Dense(np.ones((2, 1)), np.zeros(1))
        network = Network([head, head, lstm(rng, 3, 2), last], 2, 3)
        stages = cascade(network, rng)
        assert len(stages) == 3
        assert stages[-1].network.layers[0] is stages[-1].network.layers[1]

    def test_correlations_by_layer_are_those_of_explanations_made_anew(self, network, panel, explained):
        report = faithfulness(explained, SimpleNamespace(network_=network), panel, **QUICK)
        assert list(report.randomisation.index) == [(1, "out"), (2, "both"), (3, "batch")]
        expected = np.zeros((3, 24))
        for repeat in range(3):
            for place, stage in enumerate(cascade(network, np.random.default_rng([0, repeat, 5]))):
                other = network_explanation(stage.network, explained.data).values
                for row in range(24):
                    first, second = (np.abs(part[row].ravel()) for part in (explained.values, other))
                    expected[place, row] += spearmanr(first, second).statistic / 3
        np.testing.assert_allclose(report.randomisation["lrp-all"], expected.mean(axis=1))
        np.testing.assert_allclose(report.by_row["lrp-all", "randomisation"], expected[-1])
        assert report.table.loc["lrp-all", "randomisation"] == pytest.approx(expected[-1].mean())
        assert not report.notes

    def test_an_attribution_that_ignores_the_network_stays_as_it_is(self, network, panel, explained):
        ignoring = replace(explained, loadings=np.ones_like(explained.loadings), method="inputs")
        report = faithfulness(
            {"inputs": ignoring}, SimpleNamespace(network_=network), panel,
            rules={"inputs": lambda network, data: data}, **QUICK,
        )  # fmt: skip
        assert report.table.loc["inputs", "randomisation"] == pytest.approx(1)
        assert report.table.loc["random", "randomisation"] == pytest.approx(0, abs=0.2)


class TestStability:
    def test_it_is_the_largest_relative_change(self, panel):
        X, y = make_factor_panel(n_dates=3, n_assets=10, n_descriptors=3, random_state=0)
        model = LinearFactorRegressor().fit(X, y)
        one = model.explain(X)
        report = faithfulness(one, model, X, stability_noise=0.05, **QUICK)
        found = report.by_row["linear", "stability"]
        spread = X.groupby(level="date").transform(lambda column: column.std(ddof=0)).to_numpy()
        largest = np.linalg.norm(0.05 * spread * model.coef_, axis=1) / np.linalg.norm(one.values[:, 0], axis=1)
        assert (found > 0).all()
        assert (found <= largest).all()
        assert "no network with layers to re-initialise" in report.notes["linear"]
        assert np.isnan(report.table.loc["linear", "randomisation"])
        double = faithfulness(one, model, X, stability_noise=0.1, **QUICK)
        np.testing.assert_allclose(double.by_row["linear", "stability"], 2 * found)

    def test_more_noises_find_larger_changes(self, network, panel, explained):
        model = SimpleNamespace(network_=network)
        one, more = (faithfulness(explained, model, panel, **{**QUICK, "n_repeats": n}) for n in (1, 6))
        assert (more.by_row["lrp-all", "stability"] >= one.by_row["lrp-all", "stability"] - 1e-12).all()


class TestExplainingAnew:
    def test_options_that_a_name_does_not_tell_leave_nan_and_a_reason(self, network, panel, explained):
        model = SimpleNamespace(network_=network)
        rule = Rule("lrp-half", epsilon=0.5, epsilon_mode="absolute")
        relevance = attribute(network, explained.data, rule=rule)
        other = replace(explained, loadings=relevance.loadings, method="lrp-half")
        report = faithfulness({"a": other, "b": replace(other, method="composite")}, model, panel, **QUICK)
        assert report.table.loc[["a", "b"], ["randomisation", "stability"]].isna().to_numpy().all()
        assert "default options does not give this explanation again" in report.notes["a"]
        assert "'composite' is none of skdrfm.lrp.METHODS" in report.notes["b"]
        named = faithfulness({"a": other}, model, panel, rules={"a": rule}, **QUICK)
        assert named.table.loc["a", ["randomisation", "stability"]].notna().all()
        pd.testing.assert_series_equal(report.by_row["a", "abpc"], named.by_row["a", "abpc"])
        wrong = faithfulness({"a": other}, model, panel, rules={"a": "lrp-all"}, **QUICK)
        assert "its entry in 'rules' does not give this" in wrong.notes["a"]
        shape = faithfulness({"a": other}, model, panel, rules={"a": lambda network, data: data[0]}, **QUICK)
        assert "gives shape (4, 3) for (24, 4, 3)" in shape.notes["a"]

    def test_biases_handed_down_are_explained_anew_too(self, network, panel, explained):
        rule = Rule("lrp-all", bias_factor=1)
        down = network_explanation(network, explained.data, rule=rule, index=panel.index)
        report = faithfulness(down, SimpleNamespace(network_=network), panel, rules={"lrp-all": rule}, **QUICK)
        assert not report.notes

    def test_checks_that_are_not_asked_for_are_nan(self, network, panel, explained):
        report = faithfulness(explained, SimpleNamespace(network_=network), panel, checks=False, **QUICK)
        assert report.table[["randomisation", "stability"]].isna().to_numpy().all()
        assert report.notes == {"lrp-all": "not asked for: checks=False"}
        assert report.randomisation.empty

    def test_a_black_box_has_no_explanation_anew(self, network, panel, explained):
        class Box:
            def predict(self, frame):
                return predict(network, frame.to_numpy().reshape(-1, 4, 3))

        report = faithfulness(explained, Box(), panel, **QUICK)
        assert "no network that can be explained anew" in report.notes["lrp-all"]
        varying = replace(explained, method="linear")
        assert "not those of one linear model" in faithfulness(varying, Box(), panel, **QUICK).notes["linear"]

    def test_a_network_without_parameters_has_nothing_to_lose(self, panel):
        network = Network([Flatten(), Take((slice(2, 3),))], 4, 3)
        one = network_explanation(network, panel.to_numpy().reshape(-1, 4, 3), index=panel.index)
        report = faithfulness(one, SimpleNamespace(network_=network), panel, **QUICK)
        assert np.isnan(report.table.loc["lrp-all", "randomisation"])
        assert report.table.loc["lrp-all", "infidelity"] < 1e-20

    def test_several_lags_of_a_linear_model_are_explained_anew(self):
        X, y = make_factor_panel(n_dates=8, n_assets=10, n_descriptors=3, random_state=0)
        X, y = stack_lags(X, y, lags=(0, 3))
        model = LinearFactorRegressor().fit(X, y)
        report = faithfulness(explain(model, X), model, X, by="lag", **QUICK)
        assert report.table.loc["linear", "stability"] > 0


class TestRankCorrelations:
    def test_they_are_those_of_sizes_with_ties(self):
        rng = np.random.default_rng(0)
        first, second = rng.integers(-3, 4, size=(2, 30, 9)).astype(float)
        expected = [spearmanr(np.abs(a), np.abs(b)).statistic for a, b in zip(first, second, strict=True)]
        np.testing.assert_allclose(size_correlations(first, second), expected, atol=1e-12)

    def test_sizes_without_differences_are_unchanged_or_unrelated(self):
        flat, other = np.array([[1.0, -1.0, 1.0]]), np.array([[1.0, 2.0, 3.0]])
        assert size_correlations(flat, 2 * flat) == [1]
        assert size_correlations(flat, other) == [0]


class TestSeeds:
    def test_mean_sizes_are_ranked_by_unit(self):
        rng = np.random.default_rng(0)
        data = rng.normal(size=(10, 2, 4))
        explanations = [linear_explanation(data, rng.normal(size=(2, 4))) for _ in range(3)]
        matrix = seed_stability(dict(zip("abc", explanations, strict=True)), by="descriptor")
        sizes = [np.abs(one.by_descriptor()).mean() for one in explanations]
        expected = [[spearmanr(a, b).statistic for b in sizes] for a in sizes]
        np.testing.assert_allclose(matrix, expected)
        assert list(matrix.index) == ["a", "b", "c"]
        assert list(seed_stability(explanations).columns) == [0, 1, 2]

    @pytest.mark.parametrize(
        ("others", "message"),
        [
            (lambda one: [], "at least two seeds. Got 1"),
            (lambda one: [one[:2]], "same rows"),
            (lambda one: [replace(one, index=pd.RangeIndex(3))], "same rows"),
            (lambda one: [replace(one, lags=(5, 1))], "same lags"),
            (lambda one: [replace(one, descriptor_names=["a", "b"])], "same descriptors"),
        ],
    )
    def test_explanations_of_other_rows_are_refused(self, others, message):
        one = linear_explanation(np.ones((3, 2, 2)), np.ones((2, 2)))
        with pytest.raises(PanelError, match=message):
            seed_stability([one, *others(one)])
