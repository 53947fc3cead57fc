import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.portfolio import rank_weights

CROSS_SECTIONS = st.lists(st.integers(-3, 3).map(float), min_size=2, max_size=12).map(np.array)
SECTORED = st.lists(st.tuples(st.integers(-3, 3).map(float), st.sampled_from("abc")), min_size=2, max_size=15).map(
    lambda rows: tuple(np.array(column) for column in zip(*rows, strict=True))
)


def one_date(scores, **options):
    return rank_weights(scores, dates=np.zeros(len(scores), int), **options).to_numpy()


def literal_weights(scores, sectors):
    """One sector after the other, with scipy's average ranks."""
    weights, ranked = np.zeros(len(scores)), 0
    for sector in set(sectors.tolist()):
        rows = sectors == sector
        centred = rankdata(scores[rows]) - (rows.sum() + 1) / 2
        if centred.any():
            weights[rows] = centred / centred[centred > 0].sum() * rows.sum()
            ranked += rows.sum()
    return weights / max(ranked, 1)


class TestReferenceValues:
    def test_five_names_by_hand(self):
        np.testing.assert_allclose(one_date([10, 30, 20, 50, 40]), [-2 / 3, 0, -1 / 3, 2 / 3, 1 / 3], rtol=1e-15)

    def test_sectors_by_hand(self):
        # The only mine and the shops that cannot be told apart hold nothing; banks and steel share 2 : 3.
        scores = [1, 2, 1, 2, 3, 9, 5, 5]
        weights = one_date(scores, sectors=["b", "b", "s", "s", "s", "m", "p", "p"])
        np.testing.assert_allclose(weights, [-0.4, 0.4, -0.6, 0, 0.6, 0, 0, 0], rtol=1e-15)

    @given(SECTORED)
    def test_equal_average_ranks_of_scipy(self, panel):
        scores, sectors = panel
        np.testing.assert_allclose(one_date(scores, sectors=sectors), literal_weights(scores, sectors), atol=1e-14)
        alone = literal_weights(scores, np.zeros(len(scores)))
        np.testing.assert_allclose(one_date(scores), alone, atol=1e-14)

    def test_dates_are_ranked_apart_and_rows_keep_their_places(self):
        index = pd.MultiIndex.from_tuples([(2, "A"), (1, "B"), (2, "B"), (1, "A")], names=["date", "asset"])
        weights = rank_weights(pd.Series([5.0, -1.0, 4.0, -2.0], index=index))
        assert weights.index is index
        assert weights.name == "weight"
        assert weights.tolist() == [1, 1, -1, -1]


class TestProperties:
    @given(SECTORED, st.booleans())
    def test_legs_are_one_long_and_one_short_or_nothing(self, panel, in_sectors):
        scores, sectors = panel
        weights = one_date(scores, sectors=sectors if in_sectors else None)
        if weights.any():
            assert weights[weights > 0].sum() == pytest.approx(1, rel=1e-14)
            assert weights[weights < 0].sum() == pytest.approx(-1, rel=1e-14)
        for sector in set(sectors.tolist()) if in_sectors else ():
            assert abs(weights[sectors == sector].sum()) < 1e-15

    @given(SECTORED, st.booleans(), st.randoms(use_true_random=False))
    def test_row_order_and_increasing_transforms_change_no_bit_and_signs_flip(self, panel, in_sectors, random):
        scores, sectors = panel
        labels = {"sectors": sectors} if in_sectors else {}
        plain = one_date(scores, **labels)
        order = list(range(len(scores)))
        random.shuffle(order)
        shuffled = one_date(scores[order], **{name: label[order] for name, label in labels.items()})
        np.testing.assert_array_equal(shuffled, plain[order])
        np.testing.assert_array_equal(one_date(np.exp(scores), **labels), plain)
        np.testing.assert_array_equal(one_date(-scores, **labels), -plain)

    @given(st.integers(2, 50), st.floats(-1, 1))
    def test_equal_scores_give_exactly_no_position(self, n_names, value):
        assert not one_date(np.full(n_names, value)).any()

    @given(SECTORED, st.integers(0, 3))
    def test_later_dates_change_no_earlier_bit(self, panel, n_later):
        scores, sectors = panel
        later = scores[:n_later] + 1
        together = rank_weights(
            np.append(scores, later),
            dates=np.repeat([0, 1], [len(scores), len(later)]),
            sectors=np.append(sectors, ["z"] * len(later)),
            min_names=1,
        )
        np.testing.assert_array_equal(together[: len(scores)], one_date(scores, sectors=sectors))


class TestCoverage:
    def test_dates_with_few_names_are_nan_and_counted_once(self):
        with pytest.warns(CoverageWarning, match=r"1 of 2 dates have fewer than 2 names \(least: 1\)") as caught:
            weights = rank_weights([1.0, 2.0, 3.0], dates=[1, 1, 2])
        assert len(caught) == 1
        assert caught[0].filename == __file__
        np.testing.assert_array_equal(weights, [-1, 1, np.nan])

    def test_min_names_moves_the_border_both_ways(self):
        assert rank_weights([1.0, 2.0, 3.0], dates=[1, 1, 2], min_names=1).tolist() == [-1, 1, 0]
        with pytest.raises(PanelError, match="At least one date must have 3 names for a portfolio. Got at most 2"):
            rank_weights([1.0, 2.0, 3.0], dates=[1, 1, 2], min_names=3)


class TestValidation:
    def test_missing_scores_are_an_error(self):
        with pytest.raises(NonFiniteError, match="scores must hold finite numbers"):
            rank_weights([np.nan, 1.0], dates=[1, 1])

    def test_min_names_must_be_positive(self):
        with pytest.raises(ValueError, match="'min_names' parameter of rank_weights"):
            rank_weights([1.0, 2.0], dates=[1, 1], min_names=0)
