import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata

from skdrfm.utils import _ties
from skdrfm.utils._ties import sorting_order, tie_blocks


@given(
    arrays(float, 25, elements=st.integers(-2, 2).map(float)),
    arrays(np.intp, 25, elements=st.integers(0, 5)),
)
def test_places_equal_a_count_of_smaller_and_equal_values(values, codes):
    below, size = tie_blocks(values, codes)
    same_group = codes[:, None] == codes
    np.testing.assert_array_equal(below, (same_group & (values < values[:, None])).sum(axis=1))
    np.testing.assert_array_equal(size, (same_group & (values == values[:, None])).sum(axis=1))


def test_average_ranks_equal_scipy():
    rng = np.random.default_rng(0)
    values, codes = rng.normal(size=500).round(1), rng.integers(0, 4, 500)
    below, size = tie_blocks(values, codes)
    for code in range(4):
        rows = codes == code
        np.testing.assert_array_equal((below + (size + 1) / 2)[rows], rankdata(values[rows]))


@pytest.mark.parametrize("n_groups", [1, 30, 2000])
def test_a_sort_of_all_rows_and_one_for_each_group_give_the_same(monkeypatch, n_groups):
    rng = np.random.default_rng(2)
    values, codes = rng.normal(size=2000).round(2), rng.integers(0, n_groups, 2000)
    found = []
    for few_rows in (0, 2001):
        monkeypatch.setattr(_ties, "_FEW_ROWS", few_rows)
        found.append(tie_blocks(values, codes))
    np.testing.assert_array_equal(*found)


def test_negative_zero_equals_zero():
    below, size = tie_blocks(np.array([0.0, -0.0, 1.0]), np.array([0, 0, 0]))
    assert (below.tolist(), size.tolist()) == ([0, 0, 2], [2, 2, 1])


@pytest.mark.parametrize("few_rows", [0, 16])
def test_places_in_small_and_large_groups(monkeypatch, few_rows):
    monkeypatch.setattr(_ties, "_FEW_ROWS", few_rows)
    rng = np.random.default_rng(3)
    values, codes = rng.integers(-2, 3, 60).astype(float), rng.integers(0, 6, 60)
    below, size = tie_blocks(values, codes)
    same_group = codes[:, None] == codes
    np.testing.assert_array_equal(below, (same_group & (values < values[:, None])).sum(axis=1))
    np.testing.assert_array_equal(size, (same_group & (values == values[:, None])).sum(axis=1))


def test_no_rows_have_no_places():
    below, size = tie_blocks(np.empty(0), np.empty(0, dtype=np.intp))
    assert len(below) == len(size) == 0


@pytest.mark.parametrize("largest", [3, 2**16 - 1, 2**16, 2**17])
def test_order_is_stable_for_small_and_large_numbers(largest):
    codes = np.random.default_rng(1).choice([0, 1, largest // 2, largest], 200)
    np.testing.assert_array_equal(sorting_order(codes), np.argsort(codes, kind="stable"))
