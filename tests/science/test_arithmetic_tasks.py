import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skdrfm.lrp import LSTM, Dense, Network

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "arithmetic_tasks.py"


def _load_script():
    spec = importlib.util.spec_from_file_location("arithmetic_tasks", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = _load_script()


def sequences(n_samples=500, sign=1.0, coding="columns", seed=0):
    return script.make_sequences(n_samples, sign, np.random.default_rng(seed), coding)


def at(values, steps):
    return values[np.arange(len(values)), steps]


class TestSequences:
    @pytest.mark.parametrize("sign", [1.0, -1.0])
    def test_target_of_columns_is_the_sum_or_difference_of_the_marked_numbers(self, sign):
        drawn = sequences(sign=sign)
        np.testing.assert_allclose(drawn.y, drawn.X[:, :, 1].sum(axis=1) + sign * drawn.X[:, :, 2].sum(axis=1))

    @pytest.mark.parametrize("sign", [1.0, -1.0])
    def test_target_of_flags_is_the_sum_or_difference_of_the_flagged_numbers(self, sign):
        drawn = sequences(sign=sign, coding="flags")
        numbers, a, b = np.moveaxis(drawn.X, 2, 0)
        np.testing.assert_allclose(drawn.y, (numbers * a).sum(axis=1) + sign * (numbers * b).sum(axis=1))

    @pytest.mark.parametrize("coding", script.CODINGS)
    def test_marks_stand_at_the_positions_and_a_comes_first(self, coding):
        drawn = sequences(coding=coding)
        for mark in (1, 2):
            steps = np.argmax(drawn.X[:, :, mark] != 0, axis=1)
            np.testing.assert_array_equal(steps, drawn.positions[:, mark - 1])
            np.testing.assert_array_equal(np.count_nonzero(drawn.X[:, :, mark], axis=1), 1)
        assert (drawn.positions[:, 0] < drawn.positions[:, 1]).all()

    def test_each_step_has_one_number_in_one_column(self):
        np.testing.assert_array_equal(np.count_nonzero(sequences().X, axis=2), 1)

    def test_flags_are_ones_beside_numbers_at_every_step(self):
        drawn = sequences(coding="flags")
        assert np.all(drawn.X[:, :, 0] != 0)
        assert set(np.unique(drawn.X[:, :, 1:])) == {0.0, 1.0}

    def test_both_codings_hold_the_same_numbers(self):
        columns, flags = sequences(coding="columns"), sequences(coding="flags")
        np.testing.assert_array_equal(columns.X.sum(axis=2), flags.X[:, :, 0])
        np.testing.assert_array_equal(columns.contributions, flags.contributions)

    def test_every_pair_of_steps_is_marked_about_equally_often(self):
        pairs = sequences(28_000).positions @ [script.N_TIMESTEPS, 1]
        counts = np.unique(pairs, return_counts=True)[1]
        assert len(counts) == 28
        assert counts.min() > 800  # 1,000 are expected, with a standard deviation of 31
        assert counts.max() < 1200

    def test_contributions_are_the_marked_numbers_with_their_signs(self):
        drawn = sequences(sign=-1.0)
        np.testing.assert_array_equal(drawn.contributions[:, 0], at(drawn.X[:, :, 1], drawn.positions[:, 0]))
        np.testing.assert_array_equal(drawn.contributions[:, 1], -at(drawn.X[:, :, 2], drawn.positions[:, 1]))

    def test_numbers_fill_the_range_from_minus_one_to_one(self):
        numbers = sequences(5000).X.sum(axis=2)
        np.testing.assert_allclose(np.histogram(numbers, bins=4, range=(-1, 1))[0] / numbers.size, 0.25, atol=0.01)

    def test_same_generator_gives_same_sequences(self):
        for first, second in zip(sequences(seed=3), sequences(seed=3), strict=True):
            np.testing.assert_array_equal(first, second)
        assert not np.array_equal(sequences(seed=3).X, sequences(seed=4).X)


def adding_network(unmarked=0.0, sign=1.0):
    """A network that adds by hand: open gates, and weights so small that tanh is linear."""
    small, n = 1e-4, 3
    kernel, recurrent, bias = np.zeros((n, 4)), np.zeros((1, 4)), np.array([40.0, 40.0, 0.0, 40.0])
    kernel[:, 2] = np.array([unmarked, 1.0, sign]) * small
    cell = LSTM(kernel, recurrent, bias)
    return Network([cell, Dense(np.array([[1 / small]]), np.zeros(1))], script.N_TIMESTEPS, n)


class TestFigures:
    @pytest.mark.parametrize("method", ["lrp-all", "arras-decay", "rudder", "gradient-x-input", "occlusion"])
    @pytest.mark.parametrize("sign", [1.0, -1.0])
    def test_exact_network_gets_perfect_figures(self, method, sign):
        found = script.figures(adding_network(sign=sign), sequences(sign=sign), method)
        np.testing.assert_allclose([found[name] for name in script.FIGURES], 1.0, rtol=1e-4)

    def test_share_falls_when_unmarked_numbers_count_and_conservation_does_not(self):
        test = sequences()
        found = script.figures(adding_network(unmarked=1.0), test, "lrp-all")
        share = np.abs(test.contributions).sum(axis=1) / np.abs(test.X).sum(axis=(1, 2))
        assert found["marked share"] == pytest.approx(np.mean(share), rel=1e-4)
        assert found["conservation"] == pytest.approx(1, rel=1e-4)

    def test_correlation_is_negative_where_a_network_has_the_wrong_sign(self):
        found = script.figures(adding_network(sign=1.0), sequences(sign=-1.0), "lrp-all")
        assert found["correlation a"] == pytest.approx(1)
        assert found["correlation b"] == pytest.approx(-1)

    def test_relevance_of_a_number_is_apart_from_that_of_its_flag(self):
        small, kernel = 1e-4, np.zeros((3, 4))
        kernel[0, 0] = 1.0  # numbers open the input gate, so that their size is in the relevance of the flag
        kernel[:, 2] = np.array([-0.1, 1.0, 1.0]) * small
        cell = LSTM(kernel, np.zeros((1, 4)), np.array([0.0, 40.0, 0.0, 40.0]))
        network = Network([cell, Dense(np.array([[1 / small]]), np.zeros(1))], script.N_TIMESTEPS, 3)
        found = script.figures(network, sequences(coding="flags"), "lrp-all")
        for mark in "ab":
            assert found[f"correlation {mark}"] > 0.9
            assert found[f"number {mark}"] < -0.9


class TestTables:
    def test_summary_has_mean_and_minimum_of_each_method_in_order(self):
        rows = pd.DataFrame({"method": ["m2", "m1", "m2", "m1"]})
        for name in script.FIGURES:
            rows[name] = [0.5, 0.1, 1.0, 0.3]
        lines = script.to_markdown(script.summarise(rows)).splitlines()
        assert lines[0] == f"| method | {' | '.join(script.FIGURES)} |"
        assert lines[2:] == [
            f"| m2 | {' | '.join(['0.7500 (0.5000)'] * 6)} |",
            f"| m1 | {' | '.join(['0.2000 (0.1000)'] * 6)} |",
        ]

    def test_restart_without_success_is_reported_and_gives_no_figures(self, monkeypatch, tmp_path):
        def give_up(sign, seed, coding):
            return script.Restart(model=None, mse=2 * script.MSE_TO_REACH, epochs=script.MAX_EPOCHS)

        monkeypatch.setattr(script, "train", give_up)
        script.main(["--restarts", "2", "--out", str(tmp_path)])
        restarts = pd.read_csv(tmp_path / "restarts.csv")
        assert restarts["converged"].tolist() == [False] * 4
        assert pd.read_csv(tmp_path / "figures.csv").empty
        assert "Addition: 0 of 2 restarts have learned the task." in (tmp_path / "tables.md").read_text()

    def test_no_restart_is_an_error(self, capsys):
        with pytest.raises(SystemExit):
            script.main(["--restarts", "0"])
        assert "--restarts must be at least 1. Got 0." in capsys.readouterr().err


@pytest.mark.slow
class TestTraining:
    def test_lrp_all_finds_the_summands_of_a_trained_network_where_shared_products_do_not(self):
        from skdrfm.networks import canonize  # imports TensorFlow

        restart = script.train(1.0, seed=1)
        assert restart.converged
        test = sequences(2000, seed=99)
        network = canonize(restart.model)
        found = {name: script.figures(network, test, name) for name in ("lrp-all", "lrp-half", "lrp-prop", "lrp-abs")}
        for name in ("correlation a", "correlation b"):
            best_of_others = max(found[method][name] for method in found if method != "lrp-all")
            assert found["lrp-all"][name] > 0.999
            assert best_of_others < 0.9
        assert found["lrp-all"]["marked share"] > 0.95
        assert found["lrp-all"]["conservation"] == pytest.approx(1, abs=0.02)
