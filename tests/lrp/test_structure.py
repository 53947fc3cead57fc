import numpy as np
import pytest

from skdrfm.lrp import Add, Concatenate, Dense, Flatten, Masking, MeanOverTime, Network, Reshape, Take, propagate

WEIGHTS = np.array([[1.0], [10.0], [100.0], [1000.0]])


def ending(*layers, weights=WEIGHTS, n_timesteps=2, n_features=2, sources=None):
    return Network([*layers, Dense(weights, np.zeros(1))], n_timesteps, n_features, sources)


class TestReferenceValues:
    @pytest.mark.parametrize(
        ("layers", "weights", "loadings"),
        [
            ([Flatten()], WEIGHTS, [[1, 10], [100, 1000]]),
            ([Reshape((4,))], WEIGHTS, [[1, 10], [100, 1000]]),
            ([Reshape((1, 4)), Flatten()], WEIGHTS, [[1, 10], [100, 1000]]),
            ([Take((-1,))], WEIGHTS[:2], [[0, 0], [1, 10]]),
            ([Take((slice(0, 1),)), Flatten()], WEIGHTS[:2], [[1, 10], [0, 0]]),
            ([Take((slice(None), 1))], WEIGHTS[:2], [[0, 1], [0, 10]]),
            ([Take((slice(None, None, -1),)), Flatten()], WEIGHTS, [[100, 1000], [1, 10]]),
            ([MeanOverTime()], WEIGHTS[:2], [[0.5, 5], [0.5, 5]]),
            ([MeanOverTime(keepdims=True), Flatten()], WEIGHTS[:2], [[0.5, 5], [0.5, 5]]),
        ],
    )
    def test_loadings_are_put_where_the_values_came_from(self, layers, weights, loadings):
        network = ending(*layers, weights=weights)
        X = np.array([[[1.0, -2.0], [3.0, 4.0]]])
        found = propagate(network, X, epsilon=0)
        np.testing.assert_allclose(found.loadings[0], loadings, rtol=1e-15)
        assert found.predictions.item() == pytest.approx((X * loadings).sum(), rel=1e-15)

    @pytest.mark.parametrize(("axis", "loadings"), [(-1, [1 + 100, 10 + 1000]), (0, [1 + 100, 10 + 1000])])
    def test_joined_inputs_get_what_their_part_has(self, axis, loadings):
        layers = [Take((0,)), Take((0,)), Concatenate(axis)]
        found = propagate(ending(*layers, sources=[(-1,), (-1,), (0, 1), (2,)]), [[[2.0, 3.0], [5.0, 7.0]]], epsilon=0)
        np.testing.assert_allclose(found.loadings[0], [loadings, [0, 0]], rtol=1e-15)

    def test_sequences_are_joined_over_time(self):
        layers = [Concatenate(0), Take((slice(1, 3),)), Flatten()]
        network = ending(*layers, sources=[(-1, -1), (0,), (1,), (2,)])
        found = propagate(network, [[[2.0, 3.0], [5.0, 7.0]]], epsilon=0)
        np.testing.assert_allclose(found.loadings[0], [[100, 1000], [1, 10]], rtol=1e-15)

    def test_a_mean_leaves_out_padding(self):
        network = ending(Masking(), MeanOverTime(), weights=np.ones((1, 1)), n_timesteps=3, n_features=1)
        X = np.array([[[0.0], [2.0], [4.0]], [[0.0], [0.0], [0.0]]])
        found = propagate(network, X, epsilon=0)
        np.testing.assert_array_equal(found.predictions, [3.0, 0.0])
        np.testing.assert_array_equal(found.loadings[..., 0], [[0, 0.5, 0.5], [0, 0, 0]])

    def test_a_weighted_sum_has_its_weights_as_loadings(self):
        network = ending(Flatten(), Add((0.5, -2.0, 1.0)), sources=[(-1,), (0, 0, 0), (1,)])
        found = propagate(network, [[[1.0, 2.0], [3.0, 4.0]]], epsilon=0)
        np.testing.assert_allclose(found.loadings[0].ravel(), -0.5 * WEIGHTS.ravel(), rtol=1e-15)


class TestProperties:
    def test_relevance_that_belongs_to_no_value_is_shared_equally(self):
        # The bias 8 of the head goes to its two inputs, and from there in equal parts.
        head = Dense(np.ones((2, 1)), [8.0])
        mean = propagate(Network([MeanOverTime(), head], 4, 2), np.ones((1, 4, 2)), epsilon=0, bias_factor=1)
        np.testing.assert_allclose(mean.offsets, np.ones((1, 4, 2)), rtol=1e-15)
        layers, sources = [Take((0,)), Take((1,)), Add((3.0, 1.0)), head], [(-1,), (-1,), (0, 1), (2,)]
        added = propagate(Network(layers, 2, 2, sources), np.ones((1, 2, 2)), epsilon=0, bias_factor=1)
        np.testing.assert_allclose(added.offsets, np.full((1, 2, 2), 2.0), rtol=1e-15)

    @pytest.mark.parametrize("bridge", ["flatten", "last", "mean"])
    def test_padding_throughout_loses_nothing(self, make, residual, bridge):
        maker = make(1)
        for cell in ("lstm", "gru", "rnn"):
            options = {"return_sequences": True}
            network = maker.network(3, 2, [f"{cell}/concat"], ["relu"], options, ["mask", "tanh"], bridge)
            X = np.zeros((1, 3, 2))
            for bias_factor in (0, 1):
                found = propagate(network, X, epsilon=1e-3, bias_factor=bias_factor)
                assert residual(found, X).max() < 1e-12


class TestValidation:
    @pytest.mark.parametrize(
        ("build", "message"),
        [
            (
                lambda: ending(Reshape((3,), name="fold")),
                r"Layer 0: Reshape 'fold' must keep the number of values. Got an input of shape \(2, 2\) for \(3,\)",
            ),
            (lambda: ending(Take((5,))), r"Take must index an input of shape \(2, 2\). Got \(5,\)"),
            (lambda: ending(Take((0, 0))), r"Take must leave at least one unit. Got \(0, 0\)"),
            (lambda: ending(Take((slice(2, 2),))), r"Take must leave at least one unit"),
            (lambda: ending(Flatten(), MeanOverTime()), r"must read a sequence.*Got an input of shape \(4,\)"),
            (
                lambda: ending(Take((0,)), Flatten(), Add(), sources=[(-1,), (-1,), (0, 1), (2,)]),
                r"inputs of Add must have one shape, and a weight each. Got shapes \(2,\), \(4,\)",
            ),
            (
                lambda: ending(Flatten(), Add((1.0,)), sources=[(-1,), (0, 0), (1,)]),
                r"a weight each. Got shapes \(4,\), \(4,\) and weights \(1.0,\)",
            ),
            (
                lambda: ending(Flatten(), Concatenate(), sources=[(-1,), (-1, 0), (1,)]),
                r"inputs of Concatenate must agree on all axes but -1. Got shapes \(2, 2\), \(4,\)",
            ),
            (
                lambda: ending(Flatten(), sources=[(-1, -1), (0,)]),
                "Flatten must have one input. Got 2. Merge them with Add or Concatenate",
            ),
        ],
    )
    def test_shapes_that_do_not_fit_are_refused(self, build, message):
        with pytest.raises(ValueError, match=message):
            build()
