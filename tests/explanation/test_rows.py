from dataclasses import replace

import numpy as np
import pytest

from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation
from skdrfm.lrp import LayerCoverage

ARRAYS = ("loadings", "data", "predictions", "bias", "stabilizer", "state", "offsets")
LAYERS = (LayerCoverage("out", "Dense", "linear"),)


class TestProperties:
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
    def test_rows_are_chosen_like_those_of_an_array(self, with_offsets, rows, positions):
        chosen = replace(with_offsets, coverage=LAYERS, method="lrp-abs")[rows]
        assert len(chosen) == len(positions)
        for name in (*ARRAYS, "values"):
            np.testing.assert_array_equal(getattr(chosen, name), getattr(with_offsets, name)[positions])
            assert not getattr(chosen, name).flags.writeable
        assert chosen.index.equals(with_offsets.index[positions])
        assert (chosen.descriptor_names, chosen.lags) == (("BETA", "ROE", "CAP"), (3, 0))
        assert (chosen.coverage, chosen.method) == (LAYERS, "lrp-abs")

    def test_rows_of_an_explanation_without_index_or_offsets_have_none(self, make_parts):
        chosen = Explanation(**make_parts())[1:]
        assert chosen.index is None
        assert chosen.offsets is None
        assert chosen.descriptor_names == ("x0", "x1", "x2")

    def test_a_slice_shares_its_memory(self, explanation):
        assert np.shares_memory(explanation[1:3].loadings, explanation.loadings)

    def test_parts_join_again(self, with_offsets):
        whole = replace(with_offsets, coverage=LAYERS, method="lrp-half")
        joined = Explanation.concatenate([whole[:1], whole[1:3], whole[3:]])
        assert joined.index.equals(whole.index)
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))
            assert not getattr(joined, name).flags.writeable
        assert (joined.descriptor_names, joined.lags) == (("BETA", "ROE", "CAP"), (3, 0))
        assert (joined.coverage, joined.method) == (LAYERS, "lrp-half")

    def test_parts_without_index_and_offsets_join_without(self, make_parts):
        bare = Explanation(**make_parts())
        joined = Explanation.concatenate(iter([bare, bare]))
        assert joined.index is None
        assert joined.offsets is None
        assert len(joined) == 8

    def test_coverage_of_different_networks_is_dropped(self, explanation):
        other = replace(explanation, coverage=LAYERS)
        assert Explanation.concatenate([other, explanation]).coverage == ()
        assert Explanation.concatenate([other, other]).coverage == LAYERS


class TestValidation:
    def test_parts_that_differ_are_not_joined(self, explanation, with_offsets, make_parts):
        names = ("BETA", "ROE", "CAP")
        bare = Explanation(**make_parts(), descriptor_names=names, lags=(3, 0))
        other_lags = Explanation(**make_parts(), descriptor_names=names, lags=(6, 0))
        other_names = Explanation(**make_parts(), lags=(3, 0))
        other_method = replace(explanation, method="rudder")
        for others, message in (
            ([], "needs at least one Explanation. Got none"),
            ([explanation, other_names], "same descriptor_names.*'x0'.*in part 1"),
            ([bare, other_lags], r"same lags. Got \[6, 0\] in part 1 and \[3, 0\] in part 0"),
            ([explanation, other_method], "same method. Got 'rudder' in part 1 and 'lrp-all' in part 0"),
            ([explanation, bare], "must have an index, or none. Got 1 of 2 without"),
            ([explanation, with_offsets, explanation], "must have offsets, or none. Got 2 of 3 without"),
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
