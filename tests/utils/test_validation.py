import numpy as np
import pytest

from skdrfm.exceptions import NonFiniteError, SplitError
from skdrfm.utils.validation import check_finite, check_whole, describe_first


def test_short_lists_are_shown_whole_and_long_ones_counted():
    assert describe_first([]) == ""
    assert describe_first([1, "a", 2.5]) == "1, 'a', 2.5"
    assert describe_first(list("abcd"), shown=2) == "'a', 'b' and 2 more"


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((0, 3)),
        np.ones((4, 2), dtype=np.float32),
        np.full(3, 1e308),  # their sum is infinite, they are not
        np.arange(4),
    ],
    ids=["empty", "float32", "huge", "integers"],
)
def test_finite_numbers_pass(values):
    assert check_finite(values, what="X") is None


def test_columns_are_named_and_faults_counted():
    values = np.array([[np.nan, 1.0, np.inf], [np.nan, np.nan, -np.inf], [0.0, 0.0, 0.0]])
    message = (
        r"X must hold finite numbers. Got NaN: 2 in 'CAP', 1 in 'BETA'; "
        r"infinity \(inf\): 2 in 'ROE'. Fill NaN"
    )
    with pytest.raises(NonFiniteError, match=message):
        check_finite(values, what="X", columns=["CAP", "BETA", "ROE"])


def test_positions_stand_for_unnamed_columns_and_many_columns_are_counted():
    with pytest.raises(NonFiniteError, match="1 in 'column 2' and 2 more columns"):
        check_finite(np.full((1, 5), np.nan), what="X")


def test_targets_count_values_instead_of_columns():
    with pytest.raises(NonFiniteError, match=r"y must .* Got NaN: 1 of 3 values. Drop these rows"):
        check_finite(np.array([0.0, np.nan, 1.0]), what="y")


def test_nan_may_be_allowed_and_infinity_may_not():
    values = np.array([[np.nan, 1.0], [0.0, 2.0]])
    assert check_finite(values, what="X", allow_nan=True) is None
    values[0, 1] = -np.inf
    message = r"X must hold finite numbers or NaN. Got infinity \(inf\): 1 in 'b'. Replace it with NaN"
    with pytest.raises(NonFiniteError, match=message):
        check_finite(values, what="X", columns=["a", "b"], allow_nan=True)


def test_opposite_infinities_are_not_mistaken_for_finite():
    with pytest.raises(NonFiniteError, match="2 of 2 values"):
        check_finite(np.array([np.inf, -np.inf]), what="y")


@pytest.mark.parametrize("value", [True, np.True_, 0, 1.0, "1", None, np.float64(2)])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(
        ValueError, match=r"The 'step' parameter of Walk must be an int in the range \[1, inf\). Got .* ins"
    ):
        check_whole(value, "step", owner="Walk")


def test_whole_numbers_pass_and_the_message_says_what_else_does():
    for value in (2, np.int8(2), np.uint64(2**63)):
        assert check_whole(value, "gap", owner="Walk", least=2) is None
    with pytest.raises(SplitError, match=r"range \[2, inf\) or None. Got 1 instead"):
        check_whole(1, "gap", owner="Walk", least=2, other="or None", error=SplitError)
