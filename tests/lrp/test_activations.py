import numpy as np
import pytest

from skdrfm.lrp import GRU, LSTM, Activation, Dense, Flatten, Network, Rule, predict, propagate
from skdrfm.lrp._activations import ACTIVATIONS, GATES, LINKS, PARAMETRIC

POINTS = np.array([-7.0, -3.0, -1.0, -0.4, -1e-3, 1e-3, 0.5, 1.0, 2.5, 6.5])


def of_one_number(layer):
    return Network([layer, Flatten(), Dense([[1.0]], [0.0])], 1, 1)


def at(points):
    return np.reshape(points, (-1, 1, 1))


class TestReferenceValues:
    @pytest.mark.parametrize("name", sorted(ACTIVATIONS))
    def test_an_activation_and_its_quotient_equal_the_literal_oracle(self, check_against_the_oracle, name):
        for layer in (Activation(name), Dense([[1.0]], [0.0], name), Dense([[1.0]], [0.3], name)):
            for epsilon in (0.0, 0.01):
                options = {"epsilon": epsilon, "epsilon_mode": "absolute"}
                check_against_the_oracle(of_one_number(layer), at(POINTS), tolerance=1e-13, **options)

    @pytest.mark.parametrize("name", sorted(PARAMETRIC))
    def test_a_parameter_is_that_of_the_literal_oracle(self, check_against_the_oracle, name):
        for parameter in (0.3, 1.7):
            layer = Activation(name, parameter)
            check_against_the_oracle(of_one_number(layer), at(POINTS), tolerance=1e-13, epsilon=0)

    @pytest.mark.parametrize("name", sorted(GATES))
    def test_a_gate_equals_the_literal_oracle(self, check_against_the_oracle, make, name):
        maker = make(1)
        for cell in ("lstm", "gru"):
            network = maker.network(3, 2, [cell], options={"recurrent_activation": name})
            check_against_the_oracle(network, maker.samples(3, network), "lrp-half", epsilon=1e-3)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("gelu", 0.8413447460685429),
            ("mish", 0.8650983882673103),
            ("selu", 1.0507009873554805),
            ("silu", 0.7310585786300049),
            ("softsign", 0.5),
            ("tanh", 0.7615941559557649),
        ],
    )
    def test_values_at_one(self, name, value):
        assert predict(of_one_number(Activation(name)), at(1.0)).item() == pytest.approx(value, rel=1e-14)

    @pytest.mark.parametrize(
        ("name", "at_one", "far_below"),
        [
            ("sigmoid", 0.7310585786300049, 0.0),
            ("hard_sigmoid", 2 / 3, 0.0),
            ("softplus", 1.3132616875182228, 0.0),
            ("exponential", np.e, 0.0),
        ],
    )
    def test_an_output_activation_is_of_the_prediction_alone(self, name, at_one, far_below):
        network = Network([Flatten(), Dense([[1.0]], [0.0])], 1, 1, output_activation=name)
        np.testing.assert_allclose(predict(network, at([1.0, -900.0])), [at_one, far_below], rtol=1e-14)
        np.testing.assert_array_equal(propagate(network, at([1.0, -900.0])).predictions, [1.0, -900.0])
        assert name in LINKS


class TestProperties:
    @pytest.mark.parametrize("name", sorted(ACTIVATIONS))
    def test_an_activation_of_zero_is_zero_and_its_slope_is_the_limit(self, name):
        network = of_one_number(Activation(name))
        assert predict(network, at(0.0)).item() == 0
        near = predict(network, at(1e-8)).item() / 1e-8
        assert propagate(network, at(0.0), epsilon=0).loadings.item() == pytest.approx(near, rel=1e-6)

    @pytest.mark.parametrize("parameter", [None, 0.3, 1.7])
    @pytest.mark.parametrize("name", sorted(ACTIVATIONS))
    def test_the_slope_is_that_of_finite_differences(self, name, parameter):
        if parameter is not None and name not in PARAMETRIC:
            parameter = None
        network, step = of_one_number(Activation(name, parameter)), 1e-6
        found = propagate(network, at(POINTS), rule=Rule("gradient")).loadings.ravel()
        slope = (predict(network, at(POINTS + step)) - predict(network, at(POINTS - step))) / (2 * step)
        apart = (
            ~np.isclose(np.abs(POINTS), 1.0) if name == "hard_tanh" else np.full(len(POINTS), True)
        )  # not at its kinks
        np.testing.assert_allclose(found[apart], slope[apart], atol=1e-8)

    @pytest.mark.parametrize("name", sorted(GATES))
    def test_the_slope_of_a_gate_is_that_of_finite_differences(self, make, name):
        maker = make(2)
        for record, blocks in ((LSTM, 4), (GRU, 3)):
            bias = maker.rng.normal(size=(2, 3) if record is GRU else 4)
            cell = record(maker.rng.normal(size=(1, blocks)), maker.rng.normal(size=(1, blocks)), bias, "tanh", name)
            network, X, step = of_one_number(cell), at(POINTS[2:-2]), 1e-6
            network = Network([cell, Dense([[1.0]], [0.0])], 1, 1)
            found = propagate(network, X, rule=Rule("gradient")).loadings.ravel()
            slope = (predict(network, X + step) - predict(network, X - step)) / (2 * step)
            np.testing.assert_allclose(found, slope, rtol=1e-6, atol=1e-8)

    @pytest.mark.parametrize("name", sorted(ACTIVATIONS))
    def test_numbers_far_out_neither_overflow_nor_warn(self, name):
        found = propagate(of_one_number(Activation(name)), at([-1e4, 1e4]))
        assert np.isfinite(found.predictions).all()
        assert np.isfinite(found.loadings).all()
        slopes = propagate(of_one_number(Activation(name)), at([-1e4, 1e4]), rule=Rule("gradient")).loadings
        assert np.isfinite(slopes).all()

    @pytest.mark.parametrize("name", sorted(ACTIVATIONS))
    def test_single_precision_stays_single(self, name):
        found = propagate(of_one_number(Activation(name)), at(POINTS), dtype="float32")
        assert found.loadings.dtype == np.float32
        double = propagate(of_one_number(Activation(name)), at(POINTS))
        np.testing.assert_allclose(found.loadings, double.loadings, rtol=1e-4, atol=1e-6)
