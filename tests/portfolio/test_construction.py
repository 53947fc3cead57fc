from itertools import pairwise, permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.portfolio import long_short_weights, quantile_weights

# Few distinct values, so that ties are the rule.
CROSS_SECTIONS = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12)
QUANTILES = st.integers(2, 6)


def weights_of_one_date(scores, n_quantiles):
    weights = quantile_weights(scores, n_quantiles=n_quantiles, dates=np.zeros(len(scores), int), min_names=1)
    return weights.to_numpy()


def literal_weights(scores, n_quantiles):
    """Average over all orders that sort the scores, each name filling one slot of the ranking."""
    n = len(scores)
    total, count = np.zeros((n, n_quantiles)), 0
    for order in permutations(range(n)):
        if any(scores[a] > scores[b] for a, b in pairwise(order)):
            continue
        count += 1
        for place, name in enumerate(order):
            for j in range(n_quantiles):
                low, high = j * n / n_quantiles, (j + 1) * n / n_quantiles
                total[name, j] += max(0.0, min(place + 1, high) - max(place, low)) / (n / n_quantiles)
    return total / count


class TestReferenceValues:
    def test_ten_names_in_quintiles_are_two_in_each(self):
        scores = np.array([3, 1, 9, 7, 0, 5, 2, 8, 4, 6])
        weights = weights_of_one_date(scores, 5)
        expected = np.zeros((10, 5))
        expected[np.arange(10), scores // 2] = 0.5
        np.testing.assert_array_equal(weights, expected)

    def test_seven_names_share_the_slots_at_the_borders(self):
        # A leg of 7/5 = 1.4 slots: the best name has 1/1.4 of it, the next 0.4/1.4.
        weights = weights_of_one_date(np.arange(7.0), 5)
        np.testing.assert_allclose(weights[:, 4], [0, 0, 0, 0, 0, 2 / 7, 5 / 7], rtol=1e-15)
        np.testing.assert_allclose(weights[:, 1], [0, 3 / 7, 4 / 7, 0, 0, 0, 0], rtol=1e-15)

    def test_the_middle_name_of_two_halves_is_held_by_neither(self):
        weights = long_short_weights([1, 2, 3], n_quantiles=2, dates=[1, 1, 1])
        np.testing.assert_allclose(weights, [-2 / 3, 0, 2 / 3], rtol=1e-15)

    def test_a_tie_across_a_border_is_shared_evenly(self):
        # Legs of 2 slots; the best name takes one, the block of three shares the other.
        weights = long_short_weights([0, 1, 2, 2, 2, 3], n_quantiles=3, dates=[1] * 6)
        np.testing.assert_allclose(weights, [-0.5, -0.5, 1 / 6, 1 / 6, 1 / 6, 0.5], rtol=1e-15)

    @pytest.mark.parametrize("n_quantiles", [2, 3, 4])
    @pytest.mark.parametrize(
        "scores", [[1, 1, 2], [1, 2, 2, 2, 3], [2, 1, 2, 1, 1, 2], [4, 4, 4, 4], [1], [3, 1, 2, 5, 4]]
    )
    def test_weights_are_the_average_over_all_orders_among_equals(self, scores, n_quantiles):
        np.testing.assert_allclose(
            weights_of_one_date(scores, n_quantiles),
            literal_weights(scores, n_quantiles),
            atol=1e-14,
        )

    def test_dates_are_sorted_apart_and_rows_keep_their_places(self):
        index = pd.MultiIndex.from_tuples(
            [("2020-02", "A"), ("2020-01", "B"), ("2020-02", "B"), ("2020-01", "A")],
            names=["date", "asset"],
        )
        scores = pd.Series([5.0, -1.0, 4.0, -2.0], index=index)
        weights = long_short_weights(scores, n_quantiles=2)
        assert weights.index is index
        assert weights.name == "weight"
        assert weights.tolist() == [1, 1, -1, -1]
        columns = quantile_weights(scores, n_quantiles=2)
        assert list(columns.columns) == [1, 2]
        assert columns.index is index
        assert columns[2].tolist() == [1, 1, 0, 0]


class TestProperties:
    @given(CROSS_SECTIONS, QUANTILES)
    def test_each_quantile_is_fully_invested_and_together_they_are_the_universe(self, scores, q):
        weights = weights_of_one_date(scores, q)
        assert (weights >= 0).all()
        np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=1e-14)
        np.testing.assert_allclose(weights.mean(axis=1), 1 / len(scores), rtol=1e-14)

    @given(CROSS_SECTIONS, QUANTILES)
    def test_equal_scores_have_identical_weights(self, scores, q):
        weights = weights_of_one_date(scores, q)
        for value in set(scores):
            rows = weights[np.array(scores) == value]
            np.testing.assert_array_equal(rows, rows[[0] * len(rows)])

    @given(st.integers(1, 50), QUANTILES, st.floats(-1, 1))
    def test_all_scores_equal_gives_exactly_no_position(self, n_names, q, value):
        weights = long_short_weights(np.full(n_names, value), n_quantiles=q, dates=[0] * n_names, min_names=1)
        assert (weights == 0).all()

    @given(CROSS_SECTIONS, QUANTILES, st.randoms(use_true_random=False))
    def test_row_order_and_increasing_transforms_change_nothing(self, scores, q, random):
        weights = weights_of_one_date(scores, q)
        order = list(range(len(scores)))
        random.shuffle(order)
        np.testing.assert_array_equal(weights_of_one_date(np.array(scores)[order], q), weights[order])
        np.testing.assert_array_equal(weights_of_one_date(np.exp(scores), q), weights)

    @given(CROSS_SECTIONS, QUANTILES)
    def test_opposite_scores_give_the_opposite_quantiles(self, scores, q):
        np.testing.assert_array_equal(
            weights_of_one_date(-np.array(scores), q), weights_of_one_date(scores, q)[:, ::-1]
        )

    @given(st.sets(st.integers(-50, 50), min_size=2, max_size=20), st.integers(3, 6))
    def test_legs_without_ties_are_one_long_and_one_short(self, scores, q):
        weights = long_short_weights(
            [float(score) for score in scores], n_quantiles=q, dates=[0] * len(scores), min_names=2
        )
        assert weights[weights > 0].sum() == pytest.approx(1)
        assert weights[weights < 0].sum() == pytest.approx(-1)

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(-2, 2)), min_size=1, max_size=30), QUANTILES)
    def test_many_dates_at_once_equal_each_date_alone(self, rows, q):
        dates, scores = np.array(rows).T
        together = quantile_weights(scores, n_quantiles=q, dates=dates, min_names=1).to_numpy()
        for date in np.unique(dates):
            alone = weights_of_one_date(scores[dates == date], q)
            np.testing.assert_array_equal(together[dates == date], alone)


@st.composite
def panels(draw):
    """Scores, market values and sectors of one date; few values and few sectors, so that ties are the rule."""
    rows = draw(
        st.lists(
            st.tuples(st.integers(-3, 3).map(float), st.floats(0.01, 1e6), st.sampled_from("abc")),
            min_size=1,
            max_size=15,
        )
    )
    scores, size, sectors = zip(*rows, strict=True)
    return np.array(scores), np.array(size), np.array(sectors)


PANELS = panels()


def literal_sector_weights(scores, n_quantiles, size, sectors):
    """One sector after the other, one quantile after the other."""
    scores, size, sectors = np.array(scores), np.array(size, dtype=float), np.array(sectors)
    weights = np.zeros((len(scores), n_quantiles))
    for sector in set(sectors.tolist()):
        rows = np.flatnonzero(sectors == sector)
        slots = literal_weights(scores[rows], n_quantiles)
        for j in range(n_quantiles):
            held = slots[:, j] * size[rows]
            weights[rows, j] = held / held.sum() * size[rows].sum() / size.sum()
    return weights


class TestSizeAndSectors:
    def test_value_weights_by_hand(self):
        # Halves of 1.5 slots: the middle name has half a slot in each.
        weights = quantile_weights([1, 2, 3], n_quantiles=2, dates=[1] * 3, size=[10, 20, 30])
        np.testing.assert_allclose(weights, [[0.5, 0], [0.5, 0.25], [0, 0.75]], rtol=1e-15)

    def test_sector_weights_by_hand(self):
        # Three of four names are banks; the only mine is in both halves with its quarter.
        weights = quantile_weights([1, 2, 3, 9], n_quantiles=2, dates=[1] * 4, sectors=["b", "b", "b", "m"])
        np.testing.assert_allclose(weights, [[0.5, 0], [0.25, 0.25], [0, 0.5], [0.25, 0.25]], rtol=1e-15)
        spread = long_short_weights([1, 2, 3, 9], n_quantiles=2, dates=[1] * 4, sectors=["b", "b", "b", "m"])
        assert spread.tolist() == [-0.5, 0, 0.5, 0]

    @pytest.mark.parametrize("n_quantiles", [2, 3, 5])
    def test_equal_a_loop_over_sectors_and_quantiles(self, n_quantiles):
        scores = [1, 2, 2, 4, 5, 1, 1, 3, 0]
        size = [5, 1, 2, 8, 3, 9, 1, 1, 4]
        sectors = list("aabbbaaac")
        weights = quantile_weights(scores, n_quantiles=n_quantiles, dates=[1] * 9, size=size, sectors=sectors)
        expected = literal_sector_weights(scores, n_quantiles, size, sectors)
        np.testing.assert_allclose(weights, expected, atol=1e-14)
        equal = quantile_weights(scores, n_quantiles=n_quantiles, dates=[1] * 9, sectors=sectors)
        expected = literal_sector_weights(scores, n_quantiles, np.ones(9), sectors)
        np.testing.assert_allclose(equal, expected, atol=1e-14)

    @given(CROSS_SECTIONS, QUANTILES)
    def test_equal_sizes_and_one_sector_change_nothing(self, scores, q):
        plain = weights_of_one_date(scores, q)
        same = {"n_quantiles": q, "dates": [0] * len(scores), "min_names": 1}
        sized = quantile_weights(scores, **same, size=[7.0] * len(scores))
        np.testing.assert_allclose(sized, plain, rtol=1e-14)
        np.testing.assert_array_equal(quantile_weights(scores, **same, sectors=["x"] * len(scores)), plain)

    @given(PANELS, QUANTILES, st.booleans())
    def test_quantiles_are_fully_invested_and_neutral_in_every_sector(self, panel, q, by_size):
        scores, size, sectors = panel
        extra = {"size": size} if by_size else {}
        weights = quantile_weights(
            scores, n_quantiles=q, dates=[0] * len(scores), min_names=1, sectors=sectors, **extra
        ).to_numpy()
        np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=1e-13)
        spread = weights[:, -1] - weights[:, 0]
        share = size if by_size else np.ones(len(scores))
        for sector in set(sectors.tolist()):
            rows = sectors == sector
            assert abs(spread[rows].sum()) < 1e-14
            np.testing.assert_allclose(weights[rows].sum(axis=0), share[rows].sum() / share.sum(), rtol=1e-13)

    @given(PANELS, QUANTILES, st.booleans(), st.randoms(use_true_random=False))
    def test_row_order_and_increasing_transforms_change_no_bit(self, panel, q, in_sectors, random):
        scores, size, sectors = panel
        order = list(range(len(scores)))
        random.shuffle(order)

        def weights(rows, scores):
            extra = {"sectors": sectors[rows]} if in_sectors else {}
            dates = [0] * len(scores)
            return quantile_weights(
                scores[rows], n_quantiles=q, dates=dates, min_names=1, size=size[rows], **extra
            ).to_numpy()

        plain = weights(np.arange(len(scores)), scores)
        np.testing.assert_array_equal(weights(order, scores), plain[order])
        np.testing.assert_array_equal(weights(np.arange(len(scores)), np.exp(scores)), plain)
        np.testing.assert_array_equal(weights(np.arange(len(scores)), -scores), plain[:, ::-1])

    @given(PANELS, QUANTILES)
    def test_equal_scores_give_exactly_no_position(self, panel, q):
        _, size, sectors = panel
        same = {"n_quantiles": q, "dates": [0] * len(size), "min_names": 1}
        for extra in ({"size": size}, {"sectors": sectors}, {"size": size, "sectors": sectors}):
            assert (long_short_weights(np.ones(len(size)), **same, **extra) == 0).all()

    def test_each_date_is_weighted_by_its_own_sizes(self):
        rng = np.random.default_rng(0)
        dates, sectors = rng.integers(0, 4, 60), rng.choice(list("abc"), 60)
        scores, size = rng.normal(size=60), rng.lognormal(size=60)
        together = quantile_weights(scores, n_quantiles=3, dates=dates, size=size, sectors=sectors).to_numpy()
        for date in range(4):
            rows = dates == date
            alone = quantile_weights(
                scores[rows], n_quantiles=3, dates=dates[rows], size=size[rows], sectors=sectors[rows]
            )
            np.testing.assert_array_equal(together[rows], alone)

    def test_few_names_are_counted_by_date_and_not_by_sector(self):
        dates, sectors = [1, 1, 1, 2], list("abca")
        with pytest.warns(CoverageWarning, match="1 of 2 dates have fewer than 3 names") as caught:
            weights = quantile_weights([1, 2, 3, 4], n_quantiles=3, dates=dates, size=[1, 2, 3, 4], sectors=sectors)
        assert caught[0].filename == __file__
        np.testing.assert_allclose(weights[:3].sum(), 1)
        assert weights.iloc[3].isna().all()


class TestCoverage:
    @pytest.mark.parametrize("construct", [quantile_weights, long_short_weights])
    def test_dates_with_few_names_are_nan_and_counted_once(self, construct):
        dates = [1, 1, 1, 2, 2, 3]
        with pytest.warns(CoverageWarning, match=r"2 of 3 dates have fewer than 3 names \(least: 1\)") as caught:
            weights = construct(np.arange(6.0), n_quantiles=3, dates=dates)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        assert not weights.iloc[:3].isna().any(axis=None)
        assert weights.iloc[3:].isna().all(axis=None)

    def test_min_names_moves_the_border_both_ways(self):
        dates = [1, 1, 1, 2, 2]
        assert long_short_weights(np.arange(5.0), n_quantiles=3, dates=dates, min_names=2).notna().all()
        with pytest.raises(PanelError, match="At least one date must have 4 names"):
            long_short_weights(np.arange(5.0), n_quantiles=3, dates=dates, min_names=4)


class TestValidation:
    @pytest.mark.parametrize("construct", [quantile_weights, long_short_weights])
    def test_fewer_assets_than_quantiles_on_all_dates_is_an_error(self, construct):
        with pytest.raises(PanelError, match=r"5 names for 5 quantile portfolios. Got at most 2"):
            construct([1.0, 2.0], dates=[1, 1])

    def test_missing_scores_are_counted(self):
        with pytest.raises(NonFiniteError, match=r"scores must hold finite numbers. Got NaN: 1 of 2"):
            long_short_weights([np.nan, 1.0], n_quantiles=2, dates=[1, 1])

    @pytest.mark.parametrize("n_quantiles", [1, 2.5, "5"])
    def test_number_of_quantiles_must_be_at_least_two(self, n_quantiles):
        with pytest.raises(ValueError, match="'n_quantiles' parameter of quantile_weights must be an int"):
            quantile_weights([1.0, 2.0], n_quantiles=n_quantiles, dates=[1, 1])

    def test_unknown_dates_are_an_error(self):
        with pytest.raises(PanelError, match="The date of each row of scores must be known"):
            quantile_weights([1.0, 2.0], n_quantiles=2)

    def test_duplicate_pairs_are_an_error(self):
        index = pd.MultiIndex.from_tuples([(1, "A"), (1, "A")], names=["date", "asset"])
        with pytest.raises(PanelError, match="1 duplicate"):
            long_short_weights(pd.Series([1.0, 2.0], index=index), n_quantiles=2)
