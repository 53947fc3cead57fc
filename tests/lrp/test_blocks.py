import numpy as np
import pytest

from skdrfm.lrp import (
    LSTM,
    RULES,
    Bidirectional,
    Dense,
    GradientTimesInput,
    Masking,
    Network,
    Rule,
    attribute,
    propagate,
)
from skdrfm.lrp._blocks import Blocks

STEPS, FEATURES, UNITS = 3, 5, 20


class TestBlocks:
    @pytest.mark.parametrize("n_samples", [1, 63, 64, 100, 1000])
    def test_joining_undoes_cutting(self, n_samples):
        blocks = Blocks.of(n_samples, n_weights=8000)  # at most 64 samples in a block
        whole = np.random.default_rng(0).normal(size=(2, 4, n_samples))
        cut = blocks.cut_new(whole)
        assert cut.shape == (2, blocks.n_blocks, 4, blocks.n_in_block)
        assert blocks.n_blocks == -(-n_samples // 64)
        assert blocks.n_in_block <= 64
        np.testing.assert_array_equal(blocks.join(cut), whole)

    def test_the_last_sample_fills_the_last_block(self):
        blocks = Blocks(n_samples=3, n_blocks=2, n_in_block=2)
        assert blocks.cut_new(np.array([[1.0, 2.0, 3.0]])).tolist() == [[[1.0, 2.0]], [[3.0, 3.0]]]


def draw(rng, **options):
    return LSTM(
        0.5 * rng.normal(size=(FEATURES, 4 * UNITS)),
        0.5 * rng.normal(size=(UNITS, 4 * UNITS)),
        rng.normal(size=4 * UNITS),
        **options,
    )


@pytest.fixture(scope="module")
def case():
    """A network whose products take some hundred samples at once, and more samples than that."""
    rng = np.random.default_rng(1)
    both = Bidirectional(draw(rng, return_sequences=True), draw(rng, return_sequences=True))
    last = LSTM(*(0.3 * rng.normal(size=shape) for shape in ((2 * UNITS, 12), (3, 12), (12,))))
    head = Dense(rng.normal(size=(3, 1)), rng.normal(size=1))
    return [both, last, head], rng.normal(size=(1500, STEPS, FEATURES))


def parts(relevance):
    arrays = [relevance.predictions, relevance.loadings, relevance.bias, relevance.stabilizer, relevance.state]
    return arrays if relevance.offsets is None else [*arrays, relevance.offsets]


@pytest.mark.parametrize(
    "method",
    [
        *(Rule(name) for name in RULES if name != "lrp-prop"),
        Rule(bias_factor=1),
        Rule(sequence="mean"),
        GradientTimesInput(),
    ],
    ids=str,
)
def test_many_blocks_give_what_one_gives(case, method):
    layers, X = case
    network = Network(layers, STEPS, FEATURES)
    many = attribute(network, X, rule=method, chunk_size=1500)
    one = attribute(network, X, rule=method, chunk_size=50)
    for a, b in zip(parts(many), parts(one), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("epsilon_mode", ["absolute", "relative"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_stabilizers_of_any_mode_and_dtype_agree(case, epsilon_mode, dtype):
    layers, X = case
    network = Network(layers, STEPS, FEATURES)
    options = {"epsilon": 1e-3, "epsilon_mode": epsilon_mode, "dtype": dtype}
    many, one = propagate(network, X, chunk_size=1500, **options), propagate(network, X, chunk_size=50, **options)
    for a, b in zip(parts(many), parts(one), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12 if dtype == np.float64 else 2e-5)


def test_padding_is_cut_with_the_samples(case):
    layers, X = case
    X = X.copy()
    X[::3, 0] = 0
    X[1::3, 2] = 0
    network = Network([Masking(), *layers], STEPS, FEATURES)
    many, one = propagate(network, X, chunk_size=1500), propagate(network, X, chunk_size=50)
    for a, b in zip(parts(many), parts(one), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12)


def test_the_default_rule_has_the_same_answer_by_both_sweeps(case, monkeypatch):
    layers, X = case
    network = Network(layers, STEPS, FEATURES)
    quick = propagate(network, X[:300])

    def never(*_):
        raise AssertionError("The special sweep must not be used here.")

    # An epsilon of 0 goes by the general sweep; so does the default one where padding is possible.
    monkeypatch.setattr("skdrfm.lrp._lstm.sweep_signal_takes_all", never)
    general = propagate(Network([Masking(mask_value=99.0), *layers], STEPS, FEATURES), X[:300])
    with pytest.raises(AssertionError, match="special sweep"):
        propagate(network, X[:300])
    propagate(network, X[:300], epsilon=0)
    for a, b in zip(parts(quick), parts(general), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-13)
