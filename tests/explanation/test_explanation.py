import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest

from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation
from skdrfm.lrp import LayerCoverage

LAYERS = (LayerCoverage("lstm", "LSTM", "lrp-all"), LayerCoverage("out", "Dense", "linear"))


@pytest.fixture
def small():
    return Explanation(
        loadings=np.array([[[1.0, 2.0], [3.0, -4.0]]]),
        data=np.array([[[1.0, 1.0], [2.0, 0.5]]]),
        predictions=np.array([8.0]),
        bias=np.array([0.75]),
        stabilizer=np.array([0.25]),
        state=np.array([0.5]),
        descriptor_names=["BETA", "CAP"],
        lags=[6, 3],
    )


class TestReferenceValues:
    def test_a_value_is_the_input_times_its_loading(self, small):
        np.testing.assert_array_equal(small.values, [[[1, 2], [6, -2]]])

    def test_a_value_includes_what_the_input_gets_whatever_it_is(self, small):
        offsets = np.array([[[0.5, 0.0], [-1.0, 0.25]]])
        found = replace(small, offsets=offsets)
        np.testing.assert_array_equal(found.values, [[[1.5, 2], [5, -1.75]]])
        assert found.linear_prediction.tolist() == [6.75]
        np.testing.assert_array_equal(small.values, [[[1, 2], [6, -2]]])

    def test_intercept_gap_and_linear_prediction(self, small):
        assert small.intercept.tolist() == [1.5]
        assert small.linear_prediction.tolist() == [7.0]
        assert small.conservation_gap.tolist() == [-0.5]

    def test_tidy_frame_has_one_row_for_each_cell(self, explanation):
        tidy = explanation.to_frame()
        columns = ["date", "asset", "lag", "descriptor", "value", "loading", "relevance"]
        assert list(tidy) == columns
        assert len(tidy) == 4 * 2 * 3
        cell = tidy[
            (tidy["date"] == "2020-02-29") & (tidy["asset"] == "A") & (tidy["lag"] == 0) & (tidy["descriptor"] == "ROE")
        ]
        expected = [explanation.data[2, 1, 1], explanation.loadings[2, 1, 1]]
        assert cell[["value", "loading"]].to_numpy().tolist() == [expected]
        assert cell["relevance"].item() == expected[0] * expected[1]

    def test_tidy_frame_shows_offsets_where_there_are_some(self, with_offsets):
        tidy = with_offsets.to_frame()
        assert list(tidy)[4:] == ["value", "loading", "offset", "relevance"]
        np.testing.assert_allclose(tidy["value"] * tidy["loading"] + tidy["offset"], tidy["relevance"], rtol=1e-15)
        assert tidy["offset"].iloc[7] == with_offsets.offsets[1, 0, 1]

    def test_tidy_frame_without_a_panel_index_counts_samples(self, make_parts):
        bare = Explanation(**make_parts()).to_frame()
        assert bare["sample"].unique().tolist() == [0, 1, 2, 3]
        assert bare["descriptor"].unique().tolist() == ["x0", "x1", "x2"]
        assert bare["lag"].unique().tolist() == [1, 0]
        labelled = Explanation(**make_parts(), index=pd.Index(list("abcd"))).to_frame()
        assert labelled["sample"].iloc[::6].tolist() == list("abcd")

    def test_coverage_has_one_row_for_each_layer_in_their_order(self, explanation):
        report = replace(explanation, coverage=[tuple(layer) for layer in LAYERS]).coverage_report()
        assert list(report) == ["layer", "type", "rule"]
        assert report.to_numpy().tolist() == [["lstm", "LSTM", "lrp-all"], ["out", "Dense", "linear"]]

    def test_coverage_of_no_network_is_empty(self, explanation):
        assert explanation.coverage == ()
        assert list(explanation.coverage_report()) == ["layer", "type", "rule"]
        assert len(explanation.coverage_report()) == 0


class TestProperties:
    @pytest.mark.parametrize("kind", ["explanation", "with_offsets"])
    def test_values_and_intercept_add_up_to_the_predictions(self, kind, request):
        explanation = request.getfixturevalue(kind)
        total = explanation.values.sum((1, 2)) + explanation.intercept
        np.testing.assert_allclose(total, explanation.predictions, rtol=1e-12)
        assert np.abs(explanation.conservation_gap).max() < 1e-14

    def test_arrays_are_read_only_and_the_inputs_stay_free(self, make_parts):
        given = make_parts(offsets=True)
        explanation = Explanation(**given)
        names = ("values", "intercept", "linear_prediction", *given)
        assert not any(getattr(explanation, name).flags.writeable for name in names)
        for name in given:
            before = getattr(explanation, name).copy()
            given[name][:] = 0
            np.testing.assert_array_equal(getattr(explanation, name), before)

    def test_values_are_computed_once_and_only_when_asked_for(self, explanation):
        assert "values" not in vars(explanation)
        assert explanation.values is explanation.values

    def test_fields_cannot_be_set(self, explanation):
        with pytest.raises(FrozenInstanceError):
            explanation.method = "rudder"

    def test_read_only_arrays_are_not_copied(self, make_parts):
        given = make_parts(offsets=True)
        for array in given.values():
            array.setflags(write=False)
        explanation = Explanation(**given)
        assert all(getattr(explanation, name) is array for name, array in given.items())

    def test_single_precision_is_kept(self, make_parts):
        given = {name: array.astype(np.float32) for name, array in make_parts(offsets=True).items()}
        explanation = Explanation(**given)
        assert {getattr(explanation, name).dtype for name in (*given, "values", "intercept")} == {np.dtype(np.float32)}

    def test_a_pickled_explanation_is_equal_and_still_read_only(self, with_offsets):
        again = pickle.loads(pickle.dumps(replace(with_offsets, coverage=LAYERS, method="lrp-half")))
        np.testing.assert_array_equal(again.values, with_offsets.values)
        assert again.index.equals(with_offsets.index)
        assert (again.descriptor_names, again.lags) == (("BETA", "ROE", "CAP"), (3, 0))
        assert (again.coverage, again.method) == (LAYERS, "lrp-half")
        assert isinstance(again.coverage[0], LayerCoverage)
        assert not again.loadings.flags.writeable
        assert not again.offsets.flags.writeable

    def test_it_shows_its_size_and_method(self, explanation):
        assert repr(explanation) == "Explanation(n_samples=4, n_timesteps=2, n_features=3, method='lrp-all')"
        assert "method='occlusion'" in repr(replace(explanation, method="occlusion"))


class TestValidation:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"loadings": np.zeros((4, 6))}, r"'loadings' must have shape \(n_samples.*\(4, 6\)"),
            ({"data": np.zeros((4, 3, 2))}, r"'data' must have shape \(4, 2, 3\).*\(4, 3, 2\)"),
            ({"offsets": np.zeros((4, 6))}, r"'offsets' must have shape \(4, 2, 3\).*\(4, 6\)"),
            ({"predictions": np.zeros(3)}, r"'predictions' must have shape \(4,\)"),
            ({"bias": np.zeros((4, 1))}, r"'bias' must have shape \(4,\).*Got \(4, 1\)"),
            ({"stabilizer": np.zeros(())}, r"'stabilizer' must have shape \(4,\)"),
            ({"state": np.zeros(5)}, r"'state' must have shape \(4,\)"),
            ({"index": pd.RangeIndex(6)}, "'index' must have one entry for each of the 4.*Got 6"),
            ({"descriptor_names": ("a", "b")}, r"must be 3 different names.*\['a', 'b'\]"),
            ({"descriptor_names": ("a", "b", "a")}, r"must be 3 different names.*'b', 'a'\]"),
            ({"lags": (0,)}, r"'lags' must be 2 lags.*Got \[0\]"),
            ({"lags": (0, 3)}, r"from the oldest to the newest. Got \[0, 3\]. Sort"),
            ({"lags": (3, 3)}, r"from the oldest to the newest. Got \[3, 3\]"),
            ({"coverage": [("lstm", "LSTM")]}, r"'coverage' must.*Got \('lstm', 'LSTM'\)"),
            ({"coverage": ["out"]}, r"'coverage' must.*Got 'out'"),
        ],
    )
    def test_parts_that_disagree_are_refused(self, changes, message, make_parts):
        with pytest.raises(PanelError, match=message):
            Explanation(**{**make_parts(), **changes})
