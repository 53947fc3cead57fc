import pickle

import numpy as np
import pandas as pd
import pytest

from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation, linear_explanation

NAMES = ("BETA", "ROE", "CAP")
GROUPS = {"Risk": ("BETA",), "Other": ["CAP", "ROE"]}


def panel_index(n_dates=2, n_assets=2):
    dates = pd.to_datetime(["2020-01-31", "2020-02-29", "2020-03-31"])[:n_dates]
    return pd.MultiIndex.from_product([dates, list("ABCD")[:n_assets]], names=["date", "asset"])


def parts(n=4, seed=0):
    rng = np.random.default_rng(seed)
    loadings, data = rng.normal(size=(2, n, 2, 3))
    bias, stabilizer, state = rng.normal(size=(3, n)) * [[1.0], [0.01], [0.1]]
    return {
        "loadings": loadings,
        "data": data,
        "bias": bias,
        "stabilizer": stabilizer,
        "state": state,
        "predictions": (loadings * data).sum((1, 2)) + bias + stabilizer + state,
    }


@pytest.fixture
def explanation():
    return Explanation(**parts(), index=panel_index(), descriptor_names=NAMES, lags=(3, 0))


class TestReferenceValues:
    @pytest.fixture
    def small(self):
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

    def test_sums_by_descriptor_lag_and_group(self, small):
        np.testing.assert_array_equal(small.values, [[[1, 2], [6, -2]]])
        assert small.by_descriptor().to_dict("list") == {"BETA": [7.0], "CAP": [0.0]}
        assert small.by_lag().to_dict("list") == {6: [3.0], 3: [4.0]}
        groups = {"Size": ["CAP"], "Risk": ["BETA"]}
        assert small.by_group(groups).to_dict("list") == {"Size": [0.0], "Risk": [7.0]}
        assert list(small.by_group(groups)) == ["Size", "Risk"]

    def test_intercept_gap_and_linear_prediction(self, small):
        assert small.intercept.tolist() == [1.5]
        assert small.linear_prediction.tolist() == [7.0]
        assert small.conservation_gap.tolist() == [-0.5]

    def test_share_takes_the_absolute_value_of_signed_sums(self):
        values = np.array([[[1.0, 4.0, -1.0], [2.0, -5.0, -1.0]], np.zeros((2, 3))])
        explanation = linear_explanation(values, np.ones(6), descriptor_names=NAMES)
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

    def test_tidy_frame_without_a_panel_index_counts_samples(self):
        bare = Explanation(**parts()).to_frame()
        assert bare["sample"].unique().tolist() == [0, 1, 2, 3]
        assert bare["descriptor"].unique().tolist() == ["x0", "x1", "x2"]
        assert bare["lag"].unique().tolist() == [1, 0]
        labelled = Explanation(**parts(), index=pd.Index(list("abcd"))).to_frame()
        assert labelled["sample"].iloc[::6].tolist() == list("abcd")

    @pytest.mark.parametrize("shape", [(2, 3), (6,)])
    def test_linear_models_load_alike_on_every_row(self, shape):
        rng = np.random.default_rng(1)
        data, slopes = rng.normal(size=(5, 2, 3)), rng.normal(size=6)
        found = linear_explanation(data, slopes.reshape(shape), 0.25, lags=(6, 0))
        np.testing.assert_allclose(found.predictions, data.reshape(5, 6) @ slopes + 0.25)
        np.testing.assert_array_equal(found.loadings[3], slopes.reshape(2, 3))
        np.testing.assert_array_equal(found.bias, 0.25)
        assert not found.stabilizer.any()
        assert not found.state.any()
        assert np.abs(found.conservation_gap).max() < 1e-14
        assert found.lags == (6, 0)


class TestProperties:
    def test_every_view_adds_up_to_the_prediction(self, explanation):
        assert np.abs(explanation.conservation_gap).max() < 1e-14
        for view in (
            explanation.by_descriptor(),
            explanation.by_lag(),
            explanation.by_group(GROUPS),
        ):
            total = view.sum(axis=1) + explanation.intercept
            np.testing.assert_allclose(total, explanation.predictions, rtol=1e-12)
            assert view.index.equals(explanation.index)
        np.testing.assert_allclose(explanation.share(GROUPS).sum(axis=1), 1)

    def test_arrays_are_read_only_and_the_inputs_stay_free(self):
        given = parts()
        explanation = Explanation(**given)
        names = ("values", "intercept", "linear_prediction", *given)
        assert not any(getattr(explanation, name).flags.writeable for name in names)
        given["data"][:] = 0
        assert explanation.data.any()
        assert explanation.values is explanation.values

    def test_read_only_arrays_are_not_copied(self):
        given = parts()
        given["loadings"].setflags(write=False)
        assert Explanation(**given).loadings is given["loadings"]

    def test_a_pickled_explanation_is_equal_and_still_read_only(self, explanation):
        again = pickle.loads(pickle.dumps(explanation))
        np.testing.assert_array_equal(again.values, explanation.values)
        assert again.index.equals(explanation.index)
        assert (again.descriptor_names, again.lags) == (NAMES, (3, 0))
        assert not again.loadings.flags.writeable

    @pytest.mark.parametrize(
        ("rows", "positions"),
        [
            (slice(1, 3), [1, 2]),
            (slice(None, None, -2), [3, 1]),
            (np.array([True, False, False, True]), [0, 3]),
            (np.array([2, -4, 2]), [2, 0, 2]),
            ([1], [1]),
            ([], []),
        ],
    )
    def test_rows_are_chosen_like_those_of_an_array(self, explanation, rows, positions):
        chosen = explanation[rows]
        assert len(chosen) == len(positions)
        for name in ("loadings", "data", "predictions", "bias", "stabilizer", "state", "values"):
            expected = getattr(explanation, name)[positions]
            np.testing.assert_array_equal(getattr(chosen, name), expected)
        assert chosen.index.equals(explanation.index[positions])
        assert (chosen.descriptor_names, chosen.lags) == (NAMES, (3, 0))

    def test_parts_join_again(self, explanation):
        joined = Explanation.concatenate([explanation[:1], explanation[1:3], explanation[3:]])
        assert joined.index.equals(explanation.index)
        for name in ("loadings", "data", "predictions", "bias", "stabilizer", "state"):
            np.testing.assert_array_equal(getattr(joined, name), getattr(explanation, name))
        bare = Explanation(**parts())
        assert Explanation.concatenate(iter([bare, bare])).index is None
        assert len(Explanation.concatenate([bare, bare])) == 8

    def test_it_shows_its_size(self, explanation):
        assert repr(explanation) == "Explanation(n_samples=4, n_timesteps=2, n_features=3)"

    def test_whole_numbers_become_floats(self):
        found = linear_explanation([[[1, 2]]], [3, 4])
        assert found.data.dtype == np.float64
        assert found.predictions.tolist() == [11.0]


class TestValidation:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"loadings": np.zeros((4, 6))}, r"'loadings' must have shape \(n_samples.*\(4, 6\)"),
            ({"data": np.zeros((4, 3, 2))}, r"'data' must have shape \(4, 2, 3\).*\(4, 3, 2\)"),
            ({"predictions": np.zeros(3)}, r"'predictions' must have shape \(4,\)"),
            ({"bias": np.zeros((4, 1))}, r"'bias' must have shape \(4,\).*Got \(4, 1\)"),
            ({"stabilizer": np.zeros(())}, r"'stabilizer' must have shape \(4,\)"),
            ({"state": np.zeros(5)}, r"'state' must have shape \(4,\)"),
            ({"index": panel_index(3)}, "'index' must have one entry for each of the 4.*Got 6"),
            ({"descriptor_names": ("a", "b")}, r"must be 3 different names.*\['a', 'b'\]"),
            ({"descriptor_names": ("a", "b", "a")}, r"must be 3 different names.*'b', 'a'\]"),
            ({"lags": (0,)}, r"'lags' must be 2 lags.*Got \[0\]"),
            ({"lags": (0, 3)}, r"from the oldest to the newest. Got \[0, 3\]. Sort"),
            ({"lags": (3, 3)}, r"from the oldest to the newest. Got \[3, 3\]"),
        ],
    )
    def test_shapes_that_disagree_are_refused(self, changes, message):
        with pytest.raises(PanelError, match=message):
            Explanation(**{**parts(), **changes})

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

    def test_over_time_needs_dates(self):
        with pytest.raises(PanelError, match="over_time needs an index with a level named 'date'"):
            Explanation(**parts()).over_time()
        with pytest.raises(PanelError, match="must have a level named 'date'"):
            Explanation(**parts(), index=pd.RangeIndex(4)).over_time()

    def test_parts_that_differ_are_not_joined(self, explanation):
        bare = Explanation(**parts(), descriptor_names=NAMES, lags=(3, 0))
        other_lags = Explanation(**parts(), descriptor_names=NAMES, lags=(6, 0))
        other_names = Explanation(**parts(), lags=(3, 0))
        for others, message in (
            ([], "needs at least one Explanation. Got none"),
            ([explanation, other_names], "same descriptor_names.*'x0'.*in part 1"),
            ([bare, other_lags], r"same lags. Got \[6, 0\] in part 1 and \[3, 0\] in part 0"),
            ([explanation, bare], "must have an index, or none. Got 1 of 2 without"),
        ):
            with pytest.raises(PanelError, match=message):
                Explanation.concatenate(others)

    @pytest.mark.parametrize("rows", [0, 1.5, "BETA", [[0]], [0.5]])
    def test_other_keys_are_refused(self, explanation, rows):
        with pytest.raises(TypeError, match="chosen by a slice, a boolean mask or an array"):
            explanation[rows]

    def test_a_mask_of_another_length_is_refused(self, explanation):
        with pytest.raises(PanelError, match=r"'mask' must have shape \(4,\).*Got \(3,\)"):
            explanation[np.array([True, False, True])]

    def test_linear_models_must_fit_their_data(self):
        with pytest.raises(PanelError, match=r"'data' must have shape.*Got \(2, 3\)"):
            linear_explanation(np.zeros((2, 3)), np.zeros(3))
        with pytest.raises(PanelError, match=r"'coefficients' must have shape \(2, 3\) or \(6,\)"):
            linear_explanation(np.zeros((4, 2, 3)), np.zeros((3, 2)))
