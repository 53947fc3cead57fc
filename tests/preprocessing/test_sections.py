import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skdrfm.preprocessing._sections import CrossSections, gather


class TestProperties:
    @given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=40))
    def test_sections_hold_every_row_once_and_in_order(self, pairs):
        dates, industries = np.array(pairs).T
        members = [np.arange(len(pairs))[rows] for rows in CrossSections.from_codes(dates, industries)]
        np.testing.assert_array_equal(np.sort(np.concatenate(members)), np.arange(len(pairs)))
        assert len(members) == len(set(pairs))
        for rows in members:
            assert len({pairs[row] for row in rows}) == 1
            assert (np.diff(rows) > 0).all()

    def test_no_row_is_moved_where_dates_lie_in_one_piece(self):
        assert CrossSections.from_codes(np.array([2, 2, 0, 5])).order is None
        assert CrossSections.from_codes(np.array([2, 0, 2])).order is not None

    @pytest.mark.parametrize("rows", [slice(1, 3), np.array([3, 0])])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_gathered_values_are_a_copy_with_columns_in_one_piece(self, rows, order):
        values = np.asarray(np.arange(8.0).reshape(4, 2), order=order)
        block = gather(values, rows)
        np.testing.assert_array_equal(block, values[rows].T)
        assert block.flags.c_contiguous
        assert not np.shares_memory(block, values)
        assert not np.shares_memory(gather(values[:, :1], slice(0, 4)), values)
