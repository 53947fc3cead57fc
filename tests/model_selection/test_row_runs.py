import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skdrfm.model_selection._row_runs import RowRuns


@given(st.lists(st.integers(0, 40)))
def test_rows_come_back_in_their_order(rows):
    array = np.array(rows, dtype=np.intp)
    again = RowRuns.of(array).rows()
    np.testing.assert_array_equal(again, array)
    assert again.dtype == np.intp


def test_a_window_of_a_sorted_panel_is_one_run():
    runs = RowRuns.of(np.arange(1000, 50_000))
    assert runs.starts.tolist() == [1000]
    assert runs.lengths.tolist() == [49_000]


def test_rows_without_runs_take_no_more_memory_than_their_numbers():
    rows = np.arange(0, 1000, 2)
    runs = RowRuns.of(rows)
    assert runs.starts.nbytes + runs.lengths.nbytes <= rows.nbytes


def test_rows_beyond_two_billion_are_kept():
    rows = np.array([2**31, 2**31 + 1, 5])
    np.testing.assert_array_equal(RowRuns.of(rows).rows(), rows)
