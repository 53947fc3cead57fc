from hypothesis import given
from hypothesis import strategies as st

from skdrfm.cli._text import day, short, text_table


@given(st.lists(st.lists(st.text("abc 12", max_size=6), min_size=3, max_size=3), max_size=5))
def test_columns_are_aligned(rows):
    lines = text_table(["name", "a\nb", "c"], rows).split("\n")
    assert len(lines) == len(rows) + 2
    assert all(line == line.rstrip() for line in lines)


def test_dates_and_long_names_are_short():
    assert day("2020-01-31 00:00:00") == "2020-01-31"
    assert short("x" * 30, 10) == "xxxxxxx..."
