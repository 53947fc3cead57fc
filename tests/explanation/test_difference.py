import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest

from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation

NAMES = ("BETA", "ROE", "CAP")


@pytest.fixture
def ragged(make_parts, make_index):
    """Three dates and three assets in mixed order; A lacks the second date and B the third."""
    index = make_index(3, 3).delete([3, 7])[[6, 0, 5, 2, 3, 1, 4]]
    parts = make_parts(7, offsets=True)
    return Explanation(**parts, index=index, descriptor_names=NAMES, lags=(3, 0), method="lrp-half")


def row(explanation, date, asset):
    return explanation.index.get_loc((pd.Timestamp(date), asset))


class TestReferenceValues:
    def test_two_assets_are_paired_date_by_date(self, ragged):
        found = ragged.difference("A", "C")
        assert list(found.index) == list(pd.to_datetime(["2020-01-31", "2020-03-31"]))
        assert found.index.name == "date"
        assert found.unpaired == 1
        for position, date in enumerate(["2020-01-31", "2020-03-31"]):
            first, second = row(ragged, date, "A"), row(ragged, date, "C")
            for name in ("values", "predictions", "bias", "stabilizer", "state", "intercept"):
                expected = getattr(ragged, name)[first] - getattr(ragged, name)[second]
                np.testing.assert_allclose(getattr(found, name)[position], expected, rtol=1e-12, atol=1e-15)

    @pytest.mark.parametrize(
        "labels", [("2020-03-31", "2020-01-31"), tuple(pd.to_datetime(["2020-03-31", "2020-01-31"]))]
    )
    def test_two_dates_are_paired_asset_by_asset(self, ragged, labels):
        found = ragged.difference(*labels, level="date")
        assert list(found.index) == ["A", "C"]
        assert found.index.name == "asset"
        assert found.unpaired == 1
        first, second = row(ragged, "2020-03-31", "C"), row(ragged, "2020-01-31", "C")
        np.testing.assert_array_equal(found.values[1], ragged.values[first] - ragged.values[second])

    def test_it_keeps_what_describes_it(self, ragged):
        found = ragged.difference("A", "C")
        assert (found.first, found.second, found.level, found.method) == ("A", "C", "asset", "lrp-half")
        assert (found.descriptor_names, found.lags, len(found)) == (NAMES, (3, 0), 2)
        assert repr(found) == (
            "ExplanationDifference('A' - 'C', n_pairs=2, n_timesteps=2, n_features=3, unpaired=1, method='lrp-half')"
        )

    @pytest.mark.parametrize(
        ("labels", "level", "shared"), [(("A", "C"), "asset", "date"), (("2020-01-31", "2020-03-31"), "date", "asset")]
    )
    def test_tidy_frame_has_one_row_for_each_cell(self, ragged, labels, level, shared):
        found = ragged.difference(*labels, level=level)
        tidy = found.to_frame()
        assert list(tidy) == [shared, "lag", "descriptor", "relevance"]
        assert len(tidy) == found.values.size
        cell = tidy[(tidy[shared] == found.index[1]) & (tidy["lag"] == 0) & (tidy["descriptor"] == "ROE")]
        assert cell["relevance"].item() == found.values[1, 1, 1]

    @pytest.mark.parametrize("dates", [[202001, 202002], pd.period_range("2020-01", periods=2, freq="M"), ["a", "b"]])
    def test_dates_of_any_type_are_labels(self, make_parts, dates):
        index = pd.MultiIndex.from_product([dates, [10107, 14593]], names=["date", "asset"])
        explanation = Explanation(**make_parts(), index=index)
        found = explanation.difference(dates[0], dates[1], level="date")
        np.testing.assert_array_equal(found.predictions, explanation.predictions[:2] - explanation.predictions[2:])
        assert list(explanation.difference(10107, 14593).index) == list(dates)

    def test_pairs_are_sorted_where_pandas_has_not_sorted_the_level(self, make_parts):
        index = pd.MultiIndex([[202002, 202001], ["B", "A"]], [[0, 0, 1, 1], [0, 1, 0, 1]], names=["date", "asset"])
        explanation = Explanation(**make_parts(), index=index)
        found = explanation.difference("A", "B")
        assert list(found.index) == [202001, 202002]
        expected = explanation.predictions[[3, 1]] - explanation.predictions[[2, 0]]
        np.testing.assert_array_equal(found.predictions, expected)


class TestProperties:
    @pytest.mark.parametrize(("labels", "level"), [(("B", "C"), "asset"), (("2020-02-29", "2020-01-31"), "date")])
    def test_differences_add_up_to_the_difference_of_predictions(self, ragged, labels, level):
        found = ragged.difference(*labels, level=level)
        assert len(found) == 2
        np.testing.assert_allclose(found.values.sum((1, 2)) + found.intercept, found.predictions, rtol=1e-12)
        assert np.abs(found.conservation_gap).max() < 1e-14
        np.testing.assert_allclose(found.by_lag().sum(axis=1), found.linear_prediction, rtol=1e-12)
        np.testing.assert_allclose(found.by_descriptor().sum(axis=1), found.linear_prediction, rtol=1e-12)

    def test_exchanged_labels_change_the_sign(self, ragged):
        there, back = ragged.difference("A", "C"), ragged.difference("C", "A")
        np.testing.assert_array_equal(there.values, -back.values)
        np.testing.assert_array_equal(there.intercept, -back.intercept)

    def test_the_order_of_rows_does_not_matter(self, ragged):
        shuffled = ragged[[3, 1, 6, 0, 5, 2, 4]].difference("A", "C")
        np.testing.assert_array_equal(shuffled.values, ragged.difference("A", "C").values)

    def test_levels_may_come_in_either_order(self, ragged):
        swapped = replace(ragged, index=ragged.index.swaplevel())
        np.testing.assert_array_equal(swapped.difference("A", "C").values, ragged.difference("A", "C").values)

    def test_arrays_are_read_only_also_out_of_a_pickle(self, ragged):
        found = ragged.difference("A", "C")
        again = pickle.loads(pickle.dumps(found))
        for difference in (found, again):
            for name in ("values", "predictions", "bias", "stabilizer", "state", "intercept"):
                assert not getattr(difference, name).flags.writeable
        np.testing.assert_array_equal(again.values, found.values)
        assert (again.first, again.unpaired) == ("A", 1)
        with pytest.raises(FrozenInstanceError):
            found.unpaired = 0


class TestValidation:
    @pytest.mark.parametrize(
        ("label", "level", "message"),
        [
            ("D", "asset", r"must be assets of the explanation. Got 'D' \(known: 'C', 'A', 'B'\).*level='date'"),
            ("2020-01-31", "asset", "must be assets of the explanation. Got '2020-01-31'"),
            (1, "asset", "must be assets of the explanation. Got 1"),
            ("2020-04-30", "date", "must be dates of the explanation. Got '2020-04-30' .known: Timestamp"),
            ("A", "date", "must be dates of the explanation. Got 'A'"),
            (["A", "B", "C"], "asset", "must be assets of the explanation. Got ."),
        ],
    )
    def test_unknown_labels_are_named_beside_known_ones(self, ragged, label, level, message):
        known = {"asset": "A", "date": "2020-01-31"}[level]
        with pytest.raises(PanelError, match=message):
            ragged.difference(known, label, level=level)
        with pytest.raises(PanelError, match=message):
            ragged.difference(label, known, level=level)

    def test_labels_whose_rows_were_left_out_are_unknown(self, ragged):
        rest = ragged[ragged.index.get_level_values("asset") != "B"]
        with pytest.raises(PanelError, match=r"Got 'B' \(known: 'C', 'A'\)"):
            rest.difference("A", "B")

    def test_labels_without_a_common_row_are_refused(self, ragged):
        rest = ragged[ragged.index.get_level_values("date") != pd.Timestamp("2020-01-31")]
        with pytest.raises(PanelError, match="'A' and 'B' must have at least one date in common. Got 1 and 1 rows"):
            rest.difference("A", "B")

    def test_other_levels_are_refused(self, ragged):
        with pytest.raises(PanelError, match="'level' must be 'asset' or 'date'. Got 'sector'"):
            ragged.difference("A", "B", level="sector")

    def test_rows_must_be_unique_pairs_of_date_and_asset(self, explanation, make_parts):
        with pytest.raises(PanelError, match="difference needs rows indexed by .date, asset.. Got an explanation with"):
            Explanation(**make_parts()).difference("A", "B")
        with pytest.raises(PanelError, match="must have a MultiIndex with the levels 'date' and 'asset'"):
            Explanation(**make_parts(), index=pd.RangeIndex(4)).difference("A", "B")
        with pytest.raises(PanelError, match="one row for each .date, asset. pair. Got 4 duplicate rows"):
            Explanation.concatenate([explanation, explanation]).difference("A", "B")

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"values": np.zeros((2, 6))}, r"'values' must have shape \(n_samples.*Got \(2, 6\)"),
            ({"bias": np.zeros(3)}, r"'bias' must have shape \(2,\), to agree with 'values'. Got \(3,\)"),
            ({"index": pd.RangeIndex(3)}, "'index' must have one entry for each of the 2 samples. Got 3"),
            ({"lags": (0, 3)}, "one for each time step of 'values', from the oldest"),
        ],
    )
    def test_parts_that_disagree_are_refused(self, ragged, changes, message):
        with pytest.raises(PanelError, match=message):
            replace(ragged.difference("A", "C"), **changes)
