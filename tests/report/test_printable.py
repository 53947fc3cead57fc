import pandas as pd
import pytest

from skdrfm.report._content import Table
from skdrfm.report._printable import (
    flat_manifest,
    has_row_names,
    is_figures,
    is_right_to_left,
    label_text,
    printable,
    shorten,
)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("bell \x07", "bell \\x07"),
        ("null \x00", "null \\x00"),
        ("next line \x85", "next line \\x85"),
        ("half \ud800", "half \\ud800"),
        ("none \ufffe", "none \\ufffe"),
        ("none \U0001ffff", "none \\U0001ffff"),
        ("turned \u202e", "turned \\u202e"),
        ("separator \u2028", "separator \\u2028"),
    ],
)
def test_characters_that_documents_cannot_hold_are_written_as_their_code(name, written):
    assert printable(name) == written


@pytest.mark.parametrize("name", ["קרן", "صندوق", "東京 Fund", "🙂", "A\tB\nC", "\u2068א\u2069", "<script>", "a|b"])
def test_letters_of_all_scripts_stay_as_they_are(name):
    assert printable(name) == name


def test_line_ends_of_all_systems_become_one():
    assert printable("a\r\nb\rc\nd") == "a\nb\nc\nd"


def test_labels_have_no_time_of_day_at_midnight():
    assert label_text(pd.Timestamp("2020-01-31")) == "2020-01-31"
    assert label_text(pd.Timestamp("2020-01-31 15:30")) == "2020-01-31 15:30:00"
    assert label_text(pd.Period("2020-01", "M")) == "2020-01"
    assert label_text(None) == ""
    assert label_text(12) == "12"


@pytest.mark.parametrize("longest", [4, 28, 36, 44])
def test_long_names_lose_their_middle(longest):
    assert shorten("a" * longest, longest) == "a" * longest
    short = shorten("a" * 100 + "z" * 100, longest)
    assert len(short) == longest
    assert short.strip("az") == "…"
    assert short.endswith("z")


def test_the_manifest_is_listed_with_what_is_within_its_mappings():
    manifest = {"seed": 0, "rows": {"given": 5, "by": {"\x01": 2}}, "lags": (3, 0), "none": None, "empty": {}, "no": []}
    assert flat_manifest(manifest) == [
        ("seed", "0"),
        ("rows.given", "5"),
        ("rows.by.\\x01", "2"),
        ("lags", "3, 0"),
        ("none", "none"),
        ("empty", "{}"),
        ("no", "none"),
    ]


def test_only_an_index_that_says_something_is_written():
    frame = pd.DataFrame({"a": [1, 2]})
    assert not has_row_names(frame)
    assert has_row_names(frame.rename_axis("fold"))
    assert has_row_names(frame.set_axis(["x", "y"]))
    assert has_row_names(frame.set_axis([1, 2]))


def test_columns_with_numbers_or_a_format_hold_figures():
    frame = pd.DataFrame({"number": [1.0], "mixed": [None], "text": ["a"]}, dtype=object).astype({"number": float})
    table = Table("caption", frame, formats={"mixed": ".2f"})
    assert [is_figures(table, name) for name in frame] == [True, True, False]


def test_scripts_are_told_apart_by_their_direction():
    assert is_right_to_left("ק")
    assert is_right_to_left("ص")
    assert not is_right_to_left("a")
    assert not is_right_to_left("7")
    assert not is_right_to_left("東")
