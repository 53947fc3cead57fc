import numpy as np
import pytest

from skdrfm.exceptions import UnsupportedLayerError
from skdrfm.lrp import GRU, LSTM, AdditiveLSTM, Bidirectional, Dense, Masking, Network, SimpleRNN, survival

STEPS, FEATURES, UNITS = 4, 3, 2


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def draw(rng, *shape):
    return 0.7 * rng.normal(size=shape)


def head(rng, n=UNITS):
    return Dense(draw(rng, n, 1), draw(rng, 1))


def lstm(rng, **options):
    return LSTM(draw(rng, FEATURES, 4 * UNITS), draw(rng, UNITS, 4 * UNITS), draw(rng, 4 * UNITS), **options)


def forget_gates(layer, sample):
    """Forget gates of every step, number by number."""
    n = layer.n_units
    h, c, gates = np.zeros(n), np.zeros(n), []
    for x in sample[::-1] if layer.go_backwards else sample:
        z = x @ layer.kernel + h @ layer.recurrent_kernel + layer.bias
        i, f, o = (1 / (1 + np.exp(-z[k * n : (k + 1) * n])) for k in (0, 1, 3))
        c = f * c + i * np.tanh(z[2 * n : 3 * n])
        h = o * np.tanh(c)
        gates.append(f)
    return gates


class TestReferenceValues:
    @pytest.mark.parametrize("go_backwards", [False, True])
    def test_it_is_the_product_of_the_forget_gates_of_later_steps(self, rng, go_backwards):
        layer = lstm(rng, go_backwards=go_backwards, name="lstm")
        X = draw(rng, 3, STEPS, FEATURES)
        (profile,) = survival(Network([layer, head(rng)], STEPS, FEATURES), X)
        assert profile[:2] == ("lstm", "backward" if go_backwards else "forward")
        for sample, values in zip(X, profile.values, strict=True):
            gates = forget_gates(layer, sample)
            expected = [np.prod([np.ones(UNITS), *gates[t + 1 :]], axis=0) for t in range(STEPS)]
            np.testing.assert_allclose(values, expected[::-1] if go_backwards else expected, rtol=1e-12)

    def test_a_cell_that_nothing_leaves_keeps_what_it_stored(self, rng):
        # With lrp-all and no way through the recurrent weights, relevance of the cell fades by exactly this product.
        X = draw(rng, 2, STEPS, FEATURES)
        layer = AdditiveLSTM(draw(rng, FEATURES, UNITS), draw(rng, UNITS, UNITS), draw(rng, UNITS))
        (profile,) = survival(Network([layer, head(rng)], STEPS, FEATURES), X)
        assert (profile.values == 1).all()

    def test_a_gru_keeps_by_its_update_gate(self, rng):
        bias = np.zeros((2, 3 * UNITS))
        bias[0, :UNITS] = np.log(3)  # an update gate of 3 / 4
        layer = GRU(np.zeros((FEATURES, 3 * UNITS)), np.zeros((UNITS, 3 * UNITS)), bias)
        (profile,) = survival(Network([layer, head(rng)], STEPS, FEATURES), np.ones((1, STEPS, FEATURES)))
        np.testing.assert_allclose(profile.values[0, :, 0], [0.75**3, 0.75**2, 0.75, 1], rtol=1e-14)


class TestProperties:
    def test_both_directions_are_told_apart(self, rng):
        both = Bidirectional(lstm(rng), lstm(rng), name="both")
        profiles = survival(Network([both, head(rng, 4)], STEPS, FEATURES), draw(rng, 2, STEPS, FEATURES))
        assert [profile[:2] for profile in profiles] == [("both", "forward"), ("both", "backward")]
        assert (profiles[0].values[:, -1] == 1).all()
        assert (profiles[1].values[:, 0] == 1).all()
        assert (profiles[0].values[:, 0] < 1).all()

    def test_padding_forgets_nothing(self, rng):
        layer, top = lstm(rng), head(rng)
        X = draw(rng, 2, STEPS, FEATURES)
        padded = np.concatenate([X, np.zeros((2, 3, FEATURES))], axis=1)
        (short,) = survival(Network([Masking(), layer, top], STEPS, FEATURES), X)
        (long,) = survival(Network([Masking(), layer, top], STEPS + 3, FEATURES), padded)
        np.testing.assert_array_equal(long.values[:, :STEPS], short.values)

    def test_chunks_change_nothing_and_results_are_read_only(self, rng):
        network = Network([lstm(rng), head(rng)], STEPS, FEATURES)
        X = draw(rng, 5, STEPS, FEATURES)
        (whole,), (cut,) = survival(network, X), survival(network, X, chunk_size=2, n_threads=2)
        np.testing.assert_allclose(cut.values, whole.values, rtol=1e-14)
        assert not whole.values.flags.writeable


def test_a_network_without_gates_is_refused(rng):
    layer = SimpleRNN(draw(rng, FEATURES, UNITS), draw(rng, UNITS, UNITS), draw(rng, UNITS))
    with pytest.raises(UnsupportedLayerError, match="needs an LSTM or a GRU. Got Network\\(SimpleRNN\\(2\\)"):
        survival(Network([layer, head(rng)], STEPS, FEATURES), draw(rng, 1, STEPS, FEATURES))
