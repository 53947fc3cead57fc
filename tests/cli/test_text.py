from hypothesis import given
from hypothesis import strategies as st

from skdrfm.cli._text import percent, short, text_table


@given(st.lists(st.lists(st.text("abc 12", max_size=6), min_size=3, max_size=3), max_size=5))
def test_columns_are_aligned(rows):
    lines = text_table(["name", "a\nb", "c"], rows).split("\n")
    assert len(lines) == len(rows) + 2
    assert all(line == line.rstrip() for line in lines)


def test_percents_have_no_negative_zero_and_no_nan():
    assert [percent(share, 1) for share in (0.125, -1e-9, float("nan"))] == ["12.5", "0.0", "n/a"]


def test_long_names_are_short():
    assert short("x" * 30, 10) == "xxxxxxx..."
