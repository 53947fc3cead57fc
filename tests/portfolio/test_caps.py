import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from skdrfm.exceptions import PanelError
from skdrfm.portfolio import cap_weights

WEIGHTS = st.lists(st.integers(-20, 20).map(lambda weight: weight / 10), min_size=1, max_size=12).map(np.array)
ROOM = st.floats(1.0, 3.0)


def one_date(weights, max_weight):
    return cap_weights(weights, max_weight, dates=np.zeros(len(weights), int)).to_numpy()


def least_cap(weights):
    """The larger of the mean sizes of the two legs."""
    legs = [np.abs(weights[weights > 0]), np.abs(weights[weights < 0])]
    return max(leg.mean() for leg in legs if len(leg))


def literal_caps(weights, max_weight):
    """Cut, hand the excess to the names of the leg that have room, and cut again."""
    capped = weights.copy()
    for sign in (1, -1):
        leg = np.flatnonzero(sign * weights > 0)
        sizes = np.abs(weights[leg])
        full = np.zeros(len(leg), dtype=bool)
        while (sizes > max_weight * (1 + 1e-14)).any():
            full |= sizes > max_weight
            excess = (sizes[full] - max_weight).sum()
            sizes[full] = max_weight
            if full.all():
                break
            sizes[~full] += excess * sizes[~full] / sizes[~full].sum()
        capped[leg] = sign * sizes
    return capped


class TestReferenceValues:
    def test_excess_goes_to_the_other_names_in_proportion(self):
        np.testing.assert_allclose(one_date([0.6, 0.3, 0.1], 0.5), [0.5, 0.375, 0.125], rtol=1e-15)

    def test_names_that_the_excess_lifts_above_the_cap_are_cut_too(self):
        # Shares of 0.4 would go 0.5 : 0.4 : 0.1 -> 0.4, 0.48, 0.12; the second is cut as well.
        np.testing.assert_allclose(one_date([0.5, 0.4, 0.1], 0.4), [0.4, 0.4, 0.2], rtol=1e-15)

    def test_legs_and_dates_are_capped_apart_and_rows_keep_their_places(self):
        index = pd.MultiIndex.from_tuples(
            [(2, "A"), (1, "A"), (2, "B"), (1, "B"), (2, "C"), (1, "C"), (2, "D")], names=["date", "asset"]
        )
        weights = pd.Series([0.8, -0.7, -1.0, 1.0, 0.2, -0.3, 0.0], index=index)
        with pytest.raises(PanelError, match="Pass 1.0 or more"):
            cap_weights(weights, 0.6)
        capped = cap_weights(weights[weights.abs() < 1], 0.6)
        assert capped.name == "weight"
        np.testing.assert_allclose(capped, [0.6, -0.6, 0.4, -0.4, 0.0], rtol=1e-15)
        assert cap_weights(weights, 1.0).index is index

    @settings(max_examples=50)
    @given(WEIGHTS, ROOM)
    def test_equals_handing_out_the_excess_again_and_again(self, weights, room):
        assume(weights.any())
        cap = least_cap(weights) * room
        np.testing.assert_allclose(one_date(weights, cap), literal_caps(weights, cap), atol=1e-12)


class TestProperties:
    @settings(max_examples=50)
    @given(WEIGHTS, ROOM, st.randoms(use_true_random=False))
    def test_caps_hold_and_legs_keep_their_sums(self, weights, room, random):
        assume(weights.any())
        cap = least_cap(weights) * room
        capped = one_date(weights, cap)
        assert (np.abs(capped) <= cap).all()
        np.testing.assert_array_equal(np.sign(capped), np.sign(weights))
        for sign in (1, -1):
            leg = sign * weights > 0
            assert capped[leg].sum() == pytest.approx(weights[leg].sum(), rel=1e-13)
        # The larger of two names of a leg stays the larger, or equal.
        assert (np.diff(capped[np.argsort(weights, kind="stable")]) >= 0).all()
        order = list(range(len(weights)))
        random.shuffle(order)
        np.testing.assert_array_equal(one_date(weights[order], cap), capped[order])
        np.testing.assert_array_equal(one_date(-weights, cap), -capped)
        np.testing.assert_array_equal(one_date(capped, cap), capped)

    def test_the_least_cap_of_the_message_works_and_gives_equal_weights(self):
        weights = np.array([0.7, 0.2, 0.1, -1.0, -0.1, -0.1])
        with pytest.raises(PanelError, match=r"Pass (\S+) or more") as caught:
            one_date(weights, 0.2)
        least = float(str(caught.value).split("Pass ")[1].split(" or")[0])
        capped = one_date(weights, least)
        np.testing.assert_allclose(capped, [0.4, 0.4, 0.2, -0.4, -0.4, -0.4], rtol=1e-15)
        assert (np.abs(capped) <= least).all()

    @pytest.mark.parametrize("n_names", [3, 7, 49, 1000])
    def test_the_exact_least_cap_is_feasible_in_spite_of_rounding(self, n_names):
        weights = np.random.default_rng(n_names).dirichlet(np.ones(n_names))
        capped = one_date(weights, 1 / n_names)
        np.testing.assert_allclose(capped, 1 / n_names, rtol=1e-12)

    def test_weights_within_the_cap_are_returned_to_the_last_bit_as_a_copy(self):
        weights = np.array([0.1, 0.2, 0.3, 0.4, -1.0])
        capped = one_date(weights, 1.0)
        np.testing.assert_array_equal(capped, weights)
        assert not np.shares_memory(capped, weights)

    def test_later_dates_change_no_earlier_bit(self):
        rng = np.random.default_rng(0)
        weights, dates = rng.dirichlet(np.ones(10), 5).ravel(), np.repeat(range(5), 10)
        together = cap_weights(weights, 0.15, dates=dates)
        alone = cap_weights(weights[:20], 0.15, dates=dates[:20])
        np.testing.assert_array_equal(together[:20], alone)

    def test_dates_without_portfolio_and_without_weights_stay_so(self):
        weights = [np.nan, np.nan, 0.0, 0.0, 0.9, 0.1]
        capped = cap_weights(weights, 0.5, dates=[1, 1, 2, 2, 3, 3])
        np.testing.assert_array_equal(capped, [np.nan, np.nan, 0, 0, 0.5, 0.5])


class TestValidation:
    def test_a_leg_with_too_few_names_names_the_date_and_the_cap_that_all_dates_allow(self):
        index = pd.MultiIndex.from_product(
            [pd.to_datetime(["2020-01-31", "2020-02-29", "2020-03-31"]), list("AB")], names=["date", "asset"]
        )
        weights = pd.Series([0.5, 0.5, 0.7, -0.3, 0.9, -0.8], index=index)
        message = (
            r"Got 0.6 on 2 of 3 dates that need more, the first Timestamp\('2020-02-29 00:00:00'\). "
            "Pass 0.9 or more, which all dates allow, or hold more names"
        )
        with pytest.raises(PanelError, match=message):
            cap_weights(weights, 0.6)

    @pytest.mark.parametrize("max_weight", [0.0, -0.1, "0.1"])
    def test_the_cap_must_be_positive(self, max_weight):
        with pytest.raises(ValueError, match="'max_weight' parameter of cap_weights"):
            cap_weights([1.0], max_weight, dates=[1])

    @pytest.mark.parametrize("faulty", [np.nan, np.inf])
    def test_weights_that_are_missing_on_part_of_a_date_are_refused(self, faulty):
        with pytest.raises(PanelError, match="weights must be finite on a date, or NaN on all its names. Got 1 NaN"):
            one_date([1.0, faulty], 1.0)

    def test_unknown_dates_are_an_error(self):
        with pytest.raises(PanelError, match="The date of each row of weights must be known"):
            cap_weights([1.0, 2.0], 2.0)
