import re

import numpy as np
import pandas as pd
import pytest

from skdrfm.report._content import Chart, Content, Section, Table, Text
from skdrfm.report._markdown import render_markdown

NAMES = ["LSTM", "<script>alert(1)</script>", "קרן א", "a|b\nc", "*bold* [x](y) `code`"]


def one_section(*blocks, **options):
    return render_markdown(Content("Report", (), (Section("Section", "section", blocks),), **options))


def cells(line):
    """Cells of a line of a table, cut where a reader of GitHub's Markdown cuts."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def lines_of_tables(text):
    return [cells(line) for line in text.split("\n") if line.startswith("|")]


@pytest.fixture(scope="module")
def table():
    frame = pd.DataFrame(
        {"Rank IC": [0.031, 0.052, np.nan, -0.0001, 0.0519], "Verdict": ["good", "a|b", "x<y", "line\nend", "_ok_"]},
        index=pd.Index(NAMES, name="Model"),
    )
    return Table(
        "Skill <b>", frame, {"Rank IC": ".2f"}, {"Rank IC": "max"}, {"Rank IC": "0 means no skill."}, "# no heading"
    )


def test_every_cell_of_a_table_is_in_it_in_order(table):
    header, sides, *rows = lines_of_tables(one_section(table))
    assert header == ["Model", "Rank IC", "Verdict"]
    assert sides == [":---", "---:", ":---"]
    assert [row[1].strip("*") for row in rows] == list(table.texts()["Rank IC"])
    assert [row[2] for row in rows] == ["good", r"a\|b", "x&lt;y", "line<br>end", r"\_ok\_"]


def test_the_best_figures_are_bold_and_ties_too(table):
    rows = lines_of_tables(one_section(table))[2:]
    assert [row[1] for row in rows] == ["0.03", "**0.05**", "n/a", "0.00", "**0.05**"]


def test_bold_figures_are_explained_only_where_there_are_any(table):
    assert "Bold: the best figure of its column." in one_section(table)
    alone = Table("Skill", table.frame.iloc[:1], {"Rank IC": ".2f"}, {"Rank IC": "max"})
    assert "Bold" not in one_section(alone)


def test_whole_numbers_keep_the_format_of_their_chart():
    text = one_section(Chart("Rows.", pd.DataFrame({"a": [1200, 3]}), y_format=",d"))
    assert lines_of_tables(text)[2] == ["a", "1,200 (0)", "3 (1)", "3 (1)", "1,200 (0)"]


def test_names_are_text_and_mean_nothing_to_readers(table):
    text = one_section(table)
    assert "<script" not in text
    assert "<b>" not in text
    names = [row[0] for row in lines_of_tables(text)[2:]]
    assert names == [
        "LSTM",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "קרן א",
        r"a\|b<br>c",
        r"\*bold\* \[x\](y) \`code\`",
    ]


def test_names_with_underscores_within_words_stay_readable():
    frame = pd.DataFrame({"long_short": [1.0]}, index=["quantile_1"])
    assert lines_of_tables(one_section(Table("caption", frame)))[0] == ["", "long_short"]


def test_notes_and_readings_follow_their_table(table):
    text = one_section(table)
    assert "\n\n\\# no heading\n\n" in text
    assert "\n\n- Rank IC: 0 means no skill.\n" in text


@pytest.mark.parametrize("start", ["# x", "- x", "+ x", "=== x", "1. x", "12) x"])
def test_a_paragraph_does_not_start_like_another_block(start):
    text = one_section(Text(start))
    place = re.search(r"[#+=.)-]", start).start()
    assert f"\n\n{start[:place]}\\{start[place:]}\n" in text


def test_captions_are_numbered_by_kind_through_all_sections(table):
    chart = Chart("Wealth.", pd.DataFrame({"a": [1.0, 2.0]}))
    sections = (Section("One", "one", (table, chart)), Section("Two", "two", (chart, table)))
    text = render_markdown(Content("Report", (), sections, {"seed": 0}))
    assert re.findall(r"^\*\*((?:Table|Figure) \d)\.\*\*", text, re.MULTILINE) == [
        "Table 1",
        "Figure 1",
        "Figure 2",
        "Table 2",
        "Table 3",
    ]


def test_cautions_are_set_apart_and_paragraphs_are_kept():
    text = one_section(Text("Too good.\n\nSecond <i>.", "caution"), Text("One\nline.\n\nTwo."))
    assert "\n\n> **Caution.** Too good.\n>\n> Second &lt;i&gt;.\n\nOne line.\n\nTwo.\n" in text


def test_a_chart_is_its_caption_and_the_ends_of_each_series():
    frame = pd.DataFrame(
        {"LSTM": [np.nan, 1.0, 3.0, 0.5], "Linear": [1.0, np.inf, 2.0, np.nan], "None": np.nan},
        index=pd.date_range("2020-01-31", periods=4, freq="ME"),
    )
    text = one_section(Chart("Wealth.", frame, y_format=".1f", reading="Above 1 is a gain."))
    assert "**Figure 1.** Wealth.\n\nAbove 1 is a gain.\n\n| Series" in text
    assert lines_of_tables(text)[2:] == [
        ["LSTM", "1.0 (2020-02-29)", "0.5 (2020-04-30)", "0.5 (2020-04-30)", "3.0 (2020-03-31)"],
        ["Linear", "1.0 (2020-01-31)", "2.0 (2020-03-31)", "1.0 (2020-01-31)", "2.0 (2020-03-31)"],
        ["None", "n/a", "n/a", "n/a", "n/a"],
    ]


@pytest.mark.parametrize("kind", ["bar", "heatmap"])
def test_bars_and_cells_are_written_in_full_where_they_are_few(kind):
    frame = pd.DataFrame({"LRP": [1.0, 0.25], "SHAP": [0.25, np.nan]}, index=["LRP", "SHAP"])
    rows = lines_of_tables(one_section(Chart("Agreement.", frame, kind, y_format=".0%")))
    assert rows == [["", "LRP", "SHAP"], [":---", "---:", "---:"], ["LRP", "100%", "25%"], ["SHAP", "25%", "n/a"]]


def test_the_series_of_a_large_heat_map_are_its_shorter_side():
    frame = pd.DataFrame([[1.0, *[2.0] * 59], [3.0] * 60], index=["BETA", "CAP"], columns=range(60))
    for shown in (frame, frame.T):
        rows = lines_of_tables(one_section(Chart("Coverage.", shown, "heatmap", y_format=".0f")))[2:]
        assert rows == [["BETA", "1 (0)", "2 (59)", "1 (0)", "2 (1)"], ["CAP", "3 (0)", "3 (59)", "3 (0)", "3 (0)"]]


def test_spans_are_counted_by_kind_with_their_ends():
    frame = pd.DataFrame(
        {"start": [200001, 200006, 200002], "end": [200005, 200006, 200007], "kind": ["train", "test", "train"]},
        index=[1, 1, 2],
    )
    rows = lines_of_tables(one_section(Chart("Folds.", frame, "spans")))
    assert rows[2:] == [["train", "2", "200001", "200007"], ["test", "1", "200006", "200006"]]


def test_charts_without_figures_say_so():
    empty = pd.DataFrame({"a": []})
    assert "**Figure 1.** Wealth.\n\nNo figures.\n" in one_section(Chart("Wealth.", empty))
    spans = pd.DataFrame({"start": [], "end": [], "kind": []})
    assert "No spans." in one_section(Chart("Folds.", spans, "spans"))


def test_the_manifest_is_an_appendix_and_an_empty_one_is_left_out():
    text = one_section(manifest={"data": {"sha256": "ab_"}})
    assert text.endswith(
        "## Appendix: manifest\n\n**Table 1.** What is needed to make this report again.\n\n"
        "| Entry | Value |\n| :--- | :--- |\n| data.sha256 | ab\\_ |\n"
    )
    assert "manifest" not in one_section()


def test_control_characters_and_halves_of_pairs_are_written_as_codes():
    text = render_markdown(Content("A \x07 \ud800", (), ()))
    assert text.encode() == b"# A \\\\x07 \\\\ud800\n"


def test_rows_without_names_have_no_column_of_numbers():
    frame = pd.DataFrame({"Check": ["dates"], "Result": ["passed"]})
    assert lines_of_tables(one_section(Table("Findings.", frame)))[0] == ["Check", "Result"]
