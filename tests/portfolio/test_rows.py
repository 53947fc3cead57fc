"""How labels, market values and exposures find their rows; the constructions stand for all that read them."""

import numpy as np
import pandas as pd
import pytest

from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.metrics._dates import DateGroups
from skdrfm.portfolio import long_short_weights, neutral_weights, quantile_weights, rank_weights
from skdrfm.portfolio._rows import ordered_sum

INDEX = pd.MultiIndex.from_product([[1, 2], list("ABCD")], names=["date", "asset"])
SCORES = pd.Series([4.0, 2.0, 3.0, 1.0, 1.0, 2.0, 3.0, 4.0], index=INDEX)
SIZE = pd.Series([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], index=INDEX)
SECTORS = pd.Series(list("xxyyxxyy"), index=INDEX)


def spread(scores=SCORES, **options):
    return long_short_weights(scores, n_quantiles=2, **options)


class TestLookUp:
    def test_series_are_matched_by_index_whatever_their_order_and_levels(self):
        expected = spread(size=SIZE.to_numpy(), sectors=SECTORS.to_list())
        order = [3, 0, 6, 2, 7, 1, 5, 4]
        size, sectors = SIZE.iloc[order].swaplevel(), SECTORS.iloc[order]
        pd.testing.assert_series_equal(spread(size=size, sectors=sectors), expected, check_exact=True)
        swapped = spread(SCORES.swaplevel(), size=SIZE, sectors=SECTORS)
        np.testing.assert_array_equal(swapped, expected)

    def test_rows_that_scores_lack_are_left_out(self):
        later = spread(SCORES.loc[[2]], size=SIZE, sectors=SECTORS)
        expected = spread(size=SIZE, sectors=SECTORS).loc[[2]]
        pd.testing.assert_series_equal(later, expected, check_exact=True)

    def test_labels_by_asset_hold_on_all_dates(self):
        by_asset = pd.Series({"D": "y", "C": "y", "B": "x", "A": "x", "E": "z"})
        expected = rank_weights(SCORES, sectors=SECTORS)
        pd.testing.assert_series_equal(rank_weights(SCORES, sectors=by_asset), expected, check_exact=True)
        named = by_asset.rename_axis("asset").astype("category")
        pd.testing.assert_series_equal(rank_weights(SCORES, sectors=named), expected, check_exact=True)

    def test_labels_of_any_type_and_of_mixed_types_are_names_alone(self):
        numbers = [1, 1, "y", "y", 1, 1, "y", "y"]
        np.testing.assert_array_equal(rank_weights(SCORES, sectors=numbers), rank_weights(SCORES, sectors=SECTORS))

    def test_inputs_stay_as_they_are(self):
        scores, size, sectors = SCORES.copy(), SIZE.copy(), SECTORS.copy()
        quantile_weights(scores, n_quantiles=2, size=size, sectors=sectors)
        for given, kept in ((scores, SCORES), (size, SIZE), (sectors, SECTORS)):
            pd.testing.assert_series_equal(given, kept, check_exact=True)


class TestValidation:
    @pytest.mark.parametrize("values", [list("xxyyxxy"), SECTORS.to_numpy()[:7]])
    def test_another_number_of_rows_is_an_error(self, values):
        with pytest.raises(PanelError, match=r"sectors must have one value for each row of scores \(8\). Got 7"):
            spread(sectors=values)

    @pytest.mark.parametrize("missing", [None, np.nan])
    def test_a_row_without_a_sector_is_an_error(self, missing):
        labels = [missing, *"xyyxxyy"]
        message = r"the sector of every row of scores. Got 1 of 8 rows without one: \(1, 'A'\)"
        for sectors in (labels, pd.Series(labels, index=INDEX), SECTORS.iloc[1:]):
            with pytest.raises(PanelError, match=message):
                spread(sectors=sectors)
        with pytest.raises(PanelError, match="Got 1 of 8 rows without one: 0"):
            spread(SCORES.to_numpy(), dates=[1] * 8, sectors=labels)

    @pytest.mark.parametrize(
        ("value", "error", "message"),
        [
            (np.nan, NonFiniteError, "size must be finite"),
            (np.inf, NonFiniteError, "size must be finite"),
            (0.0, PanelError, "size must be above 0"),
            (-1.0, PanelError, "size must be above 0"),
        ],
    )
    def test_useless_market_values_are_counted(self, value, error, message):
        size = SIZE.copy()
        size.iloc[[0, 5]] = value
        with pytest.raises(error, match=message + r" .*Got 2 of 8 rows without one: \(1, 'A'\), \(2, 'B'\)"):
            spread(size=size)

    def test_a_row_without_a_market_value_is_an_error(self):
        with pytest.raises(NonFiniteError, match=r"Got 1 of 8 rows without one: \(2, 'D'\)"):
            spread(size=SIZE.iloc[:-1])

    def test_market_values_must_be_numbers_in_one_column(self):
        with pytest.raises(PanelError, match="size must hold numbers. Got list"):
            spread(size=list("abcdefgh"))
        with pytest.raises(PanelError, match=r"size must be one-dimensional.*\(8, 1\)"):
            spread(size=SIZE.to_frame())

    def test_numbers_of_rows_are_not_taken_for_assets(self):
        numbered = pd.Series(list("xxyy"))
        with pytest.raises(PanelError, match=r"sectors must be indexed by asset.* Got 4 labels of the type RangeIndex"):
            spread(sectors=numbered)
        index = pd.MultiIndex.from_product([[1, 2], range(4)], names=["date", "asset"])
        with pytest.raises(PanelError, match="RangeIndex"):
            spread(SCORES.set_axis(index), sectors=pd.Series(list("xxyyxxyy")))
        by_asset = numbered.rename_axis("asset")
        np.testing.assert_array_equal(spread(SCORES.set_axis(index), sectors=by_asset), spread(sectors=SECTORS))

    def test_other_labels_are_refused(self):
        with pytest.raises(PanelError, match=r"by \(date, asset\) like scores. Got 4 labels .* named 'ticker'"):
            spread(sectors=pd.Series(list("xxyy"), index=pd.Index(list("ABCD"), name="ticker")))
        with pytest.raises(PanelError, match="sectors must have one value for each asset. Got more for 'A'"):
            spread(sectors=pd.Series(list("xxyy"), index=list("AABC")))
        with pytest.raises(PanelError, match="sectors must have the index of scores, row by row"):
            spread(pd.Series([1.0, 2.0]), dates=[1, 1], sectors=pd.Series(["x", "y"], index=[5, 6]))

    def test_weights_must_be_one_column_with_a_row(self):
        with pytest.raises(PanelError, match=r"weights must be one-dimensional.*\(2, 2\)"):
            neutral_weights(np.ones((2, 2)), np.ones(2), dates=[1, 1])
        with pytest.raises(PanelError, match="weights must have at least one row"):
            neutral_weights([], [], dates=[])

    def test_sectors_must_be_one_column(self):
        with pytest.raises(PanelError, match=r"sectors must be one-dimensional.*\(8, 1\)"):
            spread(sectors=SECTORS.to_frame())


class TestOrderedSum:
    def test_addends_are_taken_in_increasing_order(self):
        # From left to right the first small addend would be lost against 1e16.
        groups = DateGroups(np.array([0, 1, 0, 0, 0]), pd.RangeIndex(3))
        values = np.array([1e16, 5.0, 1.0, 1.0, 1.0])
        assert ordered_sum(groups, values).tolist() == [3 + 1e16, 5, 0]
        assert ordered_sum(groups, values).tolist() != groups.sum(values).tolist()
