"""Every rule in every recurrent cell against the literal oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdrfm.exceptions import UnsupportedLayerError
from skdrfm.lrp import RULES, Rule, predict, propagate

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)
CELLS = ["lstm", "gru", "gru-before", "rnn", "additive"]
CLOSED = ["arras-decay", "rudder"]
PRODUCT_RULES = [rule for rule in RULES if rule not in CLOSED]
DIRECTIONS = st.sampled_from(["forward", "reversed", "concat", "sum", "ave"])
UNSUMMED, UNSUMMED_BRIDGES = st.sampled_from(["forward", "reversed", "concat"]), ("flatten", "last")
EPSILONS = st.sampled_from(
    [(0.0, "relative"), (1e-6, "relative"), (1e-2, "relative"), (1e-3, "absolute"), (1e-2, "absolute")]
)
KINDS = st.sampled_from(["normal", "constant", "large", "zero", "padding"])
ACTIVATIONS = st.sampled_from(["tanh", "tanh", "linear", "relu", "softsign", "elu"])
GATES = st.sampled_from(["sigmoid", "sigmoid", "hard_sigmoid", "tanh"])


@st.composite
def structures(draw, cells, directions=DIRECTIONS, bridges=("flatten", "last", "mean")):
    """Parts of a network with one or two recurrent layers, the first of them of one of the given cells."""
    recurrent = [f"{draw(st.sampled_from(cells))}/{draw(directions)}" for _ in range(draw(st.integers(1, 2)))]
    return {
        "n_timesteps": draw(st.integers(1, 4)),
        "n_features": draw(st.integers(1, 3)),
        "recurrent": recurrent,
        "dense": draw(st.lists(st.sampled_from(["linear", "relu", "tanh", "elu"]), max_size=1)),
        "bridge": draw(st.sampled_from(bridges)),
        "below": ["mask"] if draw(st.booleans()) else [],
        "options": {
            "activation": draw(ACTIVATIONS),
            "recurrent_activation": draw(GATES),
            "zero_output_for_mask": draw(st.booleans()),
            **draw(st.sampled_from([{}, {"return_sequences": True}])),
        },
    }


class TestReferenceValues:
    @pytest.mark.parametrize("rule", PRODUCT_RULES)
    @pytest.mark.parametrize("cell", CELLS)
    @settings(QUICK, max_examples=25)
    @given(data=st.data(), seed=SEEDS, epsilon=EPSILONS, kind=KINDS, gate_bias=st.sampled_from([1.0, 30.0]))
    def test_a_rule_equals_the_literal_oracle(
        self, make, check_against_the_oracle, cell, rule, data, seed, epsilon, kind, gate_bias
    ):
        maker = make(seed, gate_bias=gate_bias)
        # Units at exactly 1 and -1 add up to exactly 0, of which messages know no parts.
        parts = structures([cell], UNSUMMED, UNSUMMED_BRIDGES) if kind == "large" else structures([cell])
        network = maker.network(**data.draw(parts))
        X = maker.samples(2, network, zeros=0.2, kind=kind)
        size, mode = epsilon
        check_against_the_oracle(network, X, rule, epsilon=size, epsilon_mode=mode)

    @pytest.mark.parametrize("cell", ["lstm", "additive"])
    @pytest.mark.parametrize("rule", CLOSED)
    @settings(QUICK, max_examples=40)
    @given(data=st.data(), seed=SEEDS, epsilon=EPSILONS, kind=KINDS)
    def test_a_closed_form_equals_the_literal_oracle(
        self, make, check_against_the_oracle, cell, rule, data, seed, epsilon, kind
    ):
        maker = make(seed)
        network = maker.network(**data.draw(structures([cell])))
        X = maker.samples(2, network, zeros=0.2, kind=kind)
        size, mode = epsilon
        check_against_the_oracle(network, X, rule, epsilon=size, epsilon_mode=mode)

    @pytest.mark.parametrize("sequence", ["last", "mean"])
    @QUICK
    @given(data=st.data(), seed=SEEDS, epsilon=EPSILONS, rule=st.sampled_from(PRODUCT_RULES))
    def test_a_reduced_sequence_equals_the_literal_oracle(
        self, make, check_against_the_oracle, sequence, data, seed, epsilon, rule
    ):
        maker = make(seed)
        parts = data.draw(structures(CELLS))
        parts["options"]["return_sequences"] = True
        network = maker.network(**parts)
        X = maker.samples(2, network, zeros=0.2, kind="padding")
        size, mode = epsilon
        check_against_the_oracle(network, X, rule, epsilon=size, epsilon_mode=mode, sequence=sequence)

    @pytest.mark.parametrize("cell", ["lstm", "gru", "gru-before", "rnn"])
    @settings(QUICK, max_examples=50)
    @given(data=st.data(), seed=SEEDS, epsilon=EPSILONS, rule=st.sampled_from(PRODUCT_RULES))
    def test_a_bias_factor_of_one_equals_the_literal_oracle(
        self, make, check_against_the_oracle, residual, cell, data, seed, epsilon, rule
    ):
        # Sums of layers share what belongs to no value equally, which messages cannot tell apart: none here.
        maker = make(seed)
        network = maker.network(**data.draw(structures([cell], UNSUMMED, UNSUMMED_BRIDGES)))
        X = maker.samples(2, network, zeros=0.2, kind="padding")
        size, mode = epsilon
        options = {"epsilon": size, "epsilon_mode": mode, "bias_factor": 1}
        tolerance = 1e-6 if rule == "lrp-prop" else 1e-10  # its shares have no bound
        found = check_against_the_oracle(network, X, rule, tolerance=tolerance, **options)
        assert residual(found, X).max() < tolerance
        np.testing.assert_array_equal(found.bias, 0)

    @pytest.mark.parametrize("cell", CELLS)
    def test_the_gradient_is_the_slope_of_the_prediction(self, make, cell):
        for seed, direction in enumerate(["forward", "reversed", "concat", "sum", "ave"]):
            for options in ({}, {"activation": "elu", "recurrent_activation": "softplus"}):
                maker = make(seed)
                network = maker.network(3, 2, [f"{cell}/{direction}"] * 2, ["tanh"], options)
                X = maker.samples(2, network)
                loadings = propagate(network, X, rule=Rule("gradient")).loadings
                np.testing.assert_allclose(loadings, slopes(network, X), rtol=1e-4, atol=1e-8)


def slopes(network, X, step=1e-5):
    """Central differences of the predictions."""
    found = np.empty_like(X)
    for t in range(X.shape[1]):
        for d in range(X.shape[2]):
            up, down = X.copy(), X.copy()
            up[:, t, d] += step
            down[:, t, d] -= step
            found[:, t, d] = (predict(network, up) - predict(network, down)) / (2 * step)
    return found


class TestProperties:
    @pytest.mark.parametrize("rule", ["lrp-half", "lrp-abs", "lrp-prop"])
    @pytest.mark.parametrize("cell", ["lstm", "gru", "gru-before", "additive"])
    def test_the_rules_for_products_differ_from_signal_take_all(self, make, cell, rule):
        maker = make(1)
        network = maker.network(3, 2, [cell])
        X = maker.samples(3, network)
        plain, other = propagate(network, X).loadings, propagate(network, X, rule=rule).loadings
        assert np.abs(plain - other).max() > 1e-3

    @pytest.mark.parametrize("rule", ["lrp-half", "lrp-abs", "lrp-prop"])
    def test_a_simple_recurrent_layer_has_no_products(self, make, rule):
        maker = make(2)
        network = maker.network(3, 2, ["rnn"])
        X = maker.samples(3, network)
        np.testing.assert_array_equal(propagate(network, X).loadings, propagate(network, X, rule=rule).loadings)

    @pytest.mark.parametrize("rule", PRODUCT_RULES)
    @pytest.mark.parametrize("cell", CELLS)
    def test_an_all_zero_network_gives_zero_and_nothing_else(self, make, cell, rule):
        network = make(3, biases=False).network(3, 2, [cell])
        found = propagate(network, np.zeros((2, 3, 2)), rule=rule, epsilon=0)
        for part in (found.predictions, found.bias, found.stabilizer, found.state):
            np.testing.assert_array_equal(part, 0)
        assert np.isfinite(found.loadings).all()


class TestValidation:
    @pytest.mark.parametrize("rule", CLOSED)
    @pytest.mark.parametrize("cell", ["gru", "gru-before", "rnn", "gru/concat"])
    def test_closed_forms_need_the_memory_of_an_lstm(self, make, cell, rule):
        maker = make(4)
        network = maker.network(3, 2, [cell])
        with pytest.raises(UnsupportedLayerError, match=f"The rule '{rule}' is defined for LSTM layers.*Composite"):
            propagate(network, maker.samples(1, network), rule=rule)
