import pickle

import numpy as np
import pytest

from skdrfm.lrp import COMPOSITES, RULES, Composite, Dense, Flatten, Network, Rule, propagate
from skdrfm.lrp._rules import resolve_rules

PARTS = ("predictions", "loadings", "bias", "stabilizer", "state")


@pytest.fixture
def network(make):
    maker = make(1)
    layers = [
        maker.lstm(2, 3, return_sequences=True, name="lower"),
        maker.cell("gru", 3, 2, name="upper"),
        maker.dense(2, 2, "tanh", name="hidden"),
        maker.dense(2, 1, name="forecast"),
    ]
    return Network(layers, 3, 2)


@pytest.fixture
def X(make, network):
    return make(2).samples(3, network)


def same(one, two):
    return all((getattr(one, name) == getattr(two, name)).all() for name in PARTS)


class TestReferenceValues:
    def test_rules_are_named(self):
        assert RULES == ("lrp-all", "lrp-half", "lrp-prop", "lrp-abs", "arras-decay", "rudder")
        assert list(COMPOSITES) == ["arras-2017"]

    @pytest.mark.parametrize(
        ("name", "z_gate", "z_signal", "share"),
        [
            ("lrp-all", 1.0, 3.0, 1.0),
            ("lrp-half", 1.0, 3.0, 0.5),
            ("lrp-prop", 1.0, 3.0, 0.75),
            ("lrp-prop", -1.0, 3.0, 1.5),
            ("lrp-prop", -3.0, 3.0, 0.5),
            ("lrp-abs", -1.0, 3.0, 0.75),
            ("lrp-abs", 2.0, -2.0, 0.5),
        ],
    )
    def test_share_of_the_signal(self, name, z_gate, z_signal, share):
        gate, signal = np.array([z_gate]), np.array([z_signal])
        assert Rule(name).signal_share(gate, signal, gate).item() == share

    @pytest.mark.parametrize("name", ["lrp-half", "lrp-prop", "lrp-abs"])
    def test_a_gate_without_parts_leaves_all_to_the_signal(self, name):
        zero = np.zeros(1)
        assert Rule(name).signal_share(zero, np.ones(1), zero).item() == 1.0

    def test_the_composite_of_2017_is_signal_take_all_with_its_epsilon(self, network, X):
        ours = propagate(network, X, rule="arras-2017")
        theirs = propagate(network, X, rule="lrp-all", epsilon=1e-3, epsilon_mode="absolute")
        assert same(ours, theirs)
        assert not same(ours, propagate(network, X))

    @pytest.mark.parametrize(
        "composite",
        [
            Composite({"lower": "lrp-half", "upper": "lrp-abs"}),
            Composite({"LSTM": "arras-decay", "GRU": "lrp-prop", "Dense": Rule(epsilon=0.1)}),
            Composite({"forecast": Rule(epsilon=0.2, epsilon_mode="absolute")}, "lrp-half"),
            Composite({"hidden": Rule("lrp-all", epsilon=0)}, Rule("lrp-half", epsilon=0.05)),
            Composite({"lower": Rule("lrp-all", sequence="last")}),
        ],
    )
    def test_a_composite_equals_the_literal_oracle(self, network, X, check_against_the_oracle, composite):
        check_against_the_oracle(network, X, composite)


class TestProperties:
    def test_a_name_goes_before_a_type_and_a_type_before_the_default(self, network):
        composite = Composite({"Dense": "lrp-abs", "forecast": "lrp-prop"}, "lrp-half")
        names = [rule.name for rule in resolve_rules(composite, network.layers)]
        assert names == ["lrp-half", "lrp-half", "lrp-abs", "lrp-prop"]

    def test_the_order_in_a_composite_does_not_matter(self, network):
        one = resolve_rules(Composite({"forecast": "lrp-prop", "Dense": "lrp-abs"}), network.layers)
        two = resolve_rules(Composite({"Dense": "lrp-abs", "forecast": "lrp-prop"}), network.layers)
        assert one == two

    def test_options_reach_rules_given_by_name_and_leave_rule_objects_alone(self, network):
        own = Rule("lrp-half", epsilon=0.5)
        rules = resolve_rules(Composite({"GRU": own}), network.layers, epsilon=0.1, epsilon_mode="absolute")
        assert rules[1] is own
        assert rules[0] == rules[2] == Rule("lrp-all", 0.1, "absolute")

    def test_a_rule_object_equals_its_name_with_options(self, network, X):
        ours = propagate(network, X, rule=Rule("lrp-half", 1e-2, "absolute"))
        theirs = propagate(network, X, rule="lrp-half", epsilon=1e-2, epsilon_mode="absolute")
        assert same(ours, theirs)

    @pytest.mark.parametrize("rule", [r for r in RULES if r not in ("arras-decay", "rudder")])
    def test_a_composite_of_one_rule_is_that_rule(self, network, X, rule):
        assert same(propagate(network, X, rule=Composite({}, rule)), propagate(network, X, rule=rule))

    def test_a_layer_type_of_two_directions_is_bidirectional(self, make):
        maker = make(3)
        network = maker.network(3, 2, ["concat"])
        rules = resolve_rules(Composite({"Bidirectional": "lrp-half"}), network.layers)
        assert [rule.name for rule in rules] == ["lrp-half", "lrp-all"]

    def test_coverage_says_which_rule_each_layer_used(self, network, X):
        composite = Composite({"LSTM": Rule("lrp-half", sequence="last"), "forecast": Rule(epsilon=0.5, bias_factor=1)})
        found = propagate(network, X, rule=composite, epsilon=1e-3, epsilon_mode="absolute")
        assert [tuple(layer) for layer in found.coverage] == [
            ("lower", "LSTM", "lrp-half, epsilon 1e-06 (relative), sequence reduced to its last"),
            ("upper", "GRU", "lrp-all, epsilon 0.001 (absolute)"),
            ("hidden", "Dense", "epsilon 0.001 (absolute)"),
            ("forecast", "Dense", "epsilon 0.5 (relative), biases handed down"),
        ]

    def test_coverage_of_layers_without_a_stabilizer(self, make):
        maker = make(4)
        network = maker.network(3, 2, below=["scale", "norm", "mask", "activation/tanh"])
        words = [layer.rule for layer in propagate(network, maker.samples(1, network)).coverage]
        assert words[:4] == ["exact, without a stabilizer"] * 4
        assert words[4] == "handed on unchanged"
        gradient = propagate(network, maker.samples(1, network), rule=Rule("gradient")).coverage
        assert [layer.rule for layer in gradient][-2:] == ["handed on unchanged", "gradient"]

    def test_rules_survive_pickling_and_can_be_compared(self):
        rule = Rule("lrp-half", 0.1, "absolute", 1, "last")
        assert pickle.loads(pickle.dumps(rule)) == rule
        assert rule != Rule("lrp-half", 0.2, "absolute", 1, "last")
        assert pickle.loads(pickle.dumps(Composite({"LSTM": rule}))) == Composite({"LSTM": rule})


class TestValidation:
    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"name": "lrp-some"}, "'rule' must be one of 'lrp-all', .*'rudder'. Got 'lrp-some'.*skdrfm.lrp.RULES"),
            ({"bias_factor": 0.5}, "'bias_factor' must be 0 or 1. Got 0.5. 0 gives loadings"),
            ({"sequence": "first"}, "'sequence' must be one of 'full', 'last', 'mean'. Got 'first'"),
            ({"epsilon": -1}, "'epsilon' must be a finite number >= 0. Got -1"),
            ({"epsilon_mode": "batch"}, "'epsilon_mode' must be one of 'absolute', 'relative'. Got 'batch'"),
        ],
    )
    def test_parameters_out_of_range_are_refused(self, parameters, message):
        with pytest.raises(ValueError, match=message):
            Rule(**parameters)

    def test_a_composite_must_name_layers_of_the_network(self, network, X):
        with pytest.raises(ValueError, match=r"must name layers of the network. Got \['lstm_9'\].*'lower', 'upper'"):
            propagate(network, X, rule=Composite({"lstm_9": "lrp-half", "GRU": "lrp-all"}))

    def test_a_composite_may_not_name_an_unknown_rule(self, network, X):
        with pytest.raises(ValueError, match="'rule' must be one of .* Got 'lrp-some'"):
            propagate(network, X, rule=Composite({"GRU": "lrp-some"}))

    @pytest.mark.parametrize("options", [{"epsilon": 0.1}, {"bias_factor": 1}, {"sequence": "last"}])
    def test_options_beside_a_rule_object_are_refused(self, network, X, options):
        for rule in (Rule("lrp-half"), Composite({}, Rule("lrp-half")), "arras-2017"):
            with pytest.raises(ValueError, match=r"Options of a rule must stand in the Rule itself.*Write Rule\('lrp"):
                propagate(network, X, rule=rule, **options)

    def test_a_rule_for_a_layer_without_a_name_goes_by_type(self):
        network = Network([Flatten(), Dense(np.ones((2, 1)), [0.0])], 2, 1)
        found = propagate(
            network, np.ones((1, 2, 1)), rule=Composite({"Dense": Rule(epsilon=1.0, epsilon_mode="absolute")})
        )
        assert found.stabilizer.item() == pytest.approx(2 / 3)
