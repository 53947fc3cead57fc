import numpy as np
import pandas as pd
import pytest

from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation, linear_explanation

GROUPS = {"Risk": ("BETA",), "Other": ["CAP", "ROE"]}


class TestReferenceValues:
    def test_sums_by_descriptor_lag_and_group(self):
        small = linear_explanation(
            [[[1.0, 2.0], [6.0, -2.0]]], np.ones(4), descriptor_names=["BETA", "CAP"], lags=[6, 3]
        )
        assert small.by_descriptor().to_dict("list") == {"BETA": [7.0], "CAP": [0.0]}
        assert small.by_lag().to_dict("list") == {6: [3.0], 3: [4.0]}
        groups = {"Size": ["CAP"], "Risk": ["BETA"]}
        assert small.by_group(groups).to_dict("list") == {"Size": [0.0], "Risk": [7.0]}
        assert list(small.by_group(groups)) == ["Size", "Risk"]

    def test_share_takes_the_absolute_value_of_signed_sums(self):
        values = np.array([[[1.0, 4.0, -1.0], [2.0, -5.0, -1.0]], np.zeros((2, 3))])
        explanation = linear_explanation(values, np.ones(6), descriptor_names=["BETA", "ROE", "CAP"])
        np.testing.assert_allclose(explanation.share().iloc[0], [3 / 6, 1 / 6, 2 / 6])
        groups = {"a": ["BETA", "CAP"], "b": ["ROE"]}
        np.testing.assert_allclose(explanation.share(groups).iloc[0], [1 / 2, 1 / 2])
        assert explanation.share().iloc[1].isna().all()

    def test_over_time_is_the_mean_of_the_rows_of_a_date(self, explanation):
        shuffled = explanation[[2, 0, 3, 1]]
        single = explanation.by_descriptor()
        expected = [single.iloc[:2].mean(), single.iloc[2:].mean()]
        for found in (explanation.over_time(), shuffled.over_time()):
            np.testing.assert_allclose(found, expected)
            assert found.index.name == "date"
            assert list(found.index) == list(pd.to_datetime(["2020-01-31", "2020-02-29"]))
        grouped = explanation.over_time(GROUPS)
        np.testing.assert_allclose(grouped["Other"], found["CAP"] + found["ROE"])


class TestProperties:
    @pytest.mark.parametrize("kind", ["explanation", "with_offsets"])
    def test_every_view_adds_up_to_the_prediction(self, kind, request):
        explanation = request.getfixturevalue(kind)
        for view in (explanation.by_descriptor(), explanation.by_lag(), explanation.by_group(GROUPS)):
            total = view.sum(axis=1) + explanation.intercept
            np.testing.assert_allclose(total, explanation.predictions, rtol=1e-12)
            assert view.index.equals(explanation.index)
        np.testing.assert_allclose(explanation.share(GROUPS).sum(axis=1), 1)

    def test_differences_are_summed_in_the_same_way(self, explanation):
        difference = explanation.difference("A", "B")
        grouped = explanation.by_group(GROUPS)
        expected = grouped.xs("A", level="asset") - grouped.xs("B", level="asset")
        pd.testing.assert_frame_equal(difference.by_group(GROUPS), expected)
        pd.testing.assert_frame_equal(difference.over_time(GROUPS), expected)
        np.testing.assert_allclose(difference.share(GROUPS).sum(axis=1), 1)


class TestValidation:
    @pytest.mark.parametrize("method", ["by_group", "share", "over_time"])
    @pytest.mark.parametrize(
        ("groups", "message"),
        [
            (
                {"Risk": ["BETA", "SKEW"], "Other": ["ROE", "CAP"]},
                r"Got \['SKEW'\] beside them.*Leave them out",
            ),
            ({"Risk": ["BETA"]}, r"Got \['ROE', 'CAP'\] in none. Add a group"),
            ({"Risk": ["BETA", "CAP"], "Size": ["CAP", "ROE"]}, r"Got \['CAP'\] more than once"),
        ],
    )
    def test_groups_that_do_not_partition_the_descriptors_are_refused(self, explanation, method, groups, message):
        with pytest.raises(PanelError, match=message):
            getattr(explanation, method)(groups)

    def test_the_way_out_of_unknown_descriptors_works(self, explanation):
        groups = {"Risk": ["BETA", "SKEW"], "Other": ["ROE", "CAP"]}
        kept = {group: [d for d in names if d in explanation.descriptor_names] for group, names in groups.items()}
        assert list(explanation.by_group(kept)) == ["Risk", "Other"]

    def test_over_time_needs_dates(self, explanation, make_parts):
        with pytest.raises(PanelError, match="over_time needs an index with a level named 'date'"):
            Explanation(**make_parts()).over_time()
        with pytest.raises(PanelError, match="must have a level named 'date'"):
            Explanation(**make_parts(), index=pd.RangeIndex(4)).over_time()
        with pytest.raises(PanelError, match=r"must have a level named 'date' \(found: 'asset'\)"):
            explanation.difference("2020-01-31", "2020-02-29", level="date").over_time()
