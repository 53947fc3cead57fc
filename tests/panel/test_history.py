import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdrfm.exceptions import PanelError
from skdrfm.panel._history import History, row_dtype


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=30, unique=True),
    st.integers(-12, 12),
)
def test_shifted_rows_are_those_of_a_literal_look_up(cells, by):
    assets, periods = np.array(cells, dtype=np.intp).reshape(-1, 2).T
    history = History(assets, periods)
    known = {cell: row for row, cell in enumerate(cells)}
    expected = [known.get((asset, period + by), -1) for asset, period in cells]
    np.testing.assert_array_equal(history.shifted(by), expected)
    assert history.shifted(by).dtype == np.int32
    # Also pairs that no row has, and periods outside the range, which must not be read as another asset's.
    wanted = [(asset, period) for asset in range(6) for period in range(-3, 15)]
    found = history.find(*np.array(wanted).T)
    np.testing.assert_array_equal(found, [known.get(pair, -1) for pair in wanted])


def test_row_numbers_take_half_the_memory_while_they_fit():
    assert row_dtype(2**31 - 1) == np.int32
    assert row_dtype(2**31) == np.int64


def test_all_further_rows_of_a_period_are_counted_and_the_first_listed():
    dates = pd.to_datetime([f"2000-01-0{day}" for day in range(1, 7)])
    index = pd.MultiIndex.from_product([dates, ["A"]], names=["date", "asset"])
    with pytest.raises(PanelError, match=r"Got 5 further rows: .*2000-01-02.* and 2 more. Keep one row"):
        History.of_panel(index, "M")
