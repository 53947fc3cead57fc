import itertools
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from skdrfm.report._content import Chart, Content, Section, Table, Text
from skdrfm.report._direction import isolate
from skdrfm.report._html import render_html, script_json

pytest.importorskip("plotly", reason="plotly, which brings plotly.js, is not installed")

VOID = {"meta", "link", "br", "img", "hr", "input"}
EVIL = "<script>alert(1)</script>"
HEBREW = "\u05d0\u05d1\u05d2"


class Page(HTMLParser):
    """Elements with their attributes, parents and text; fails where tags do not match."""

    def __init__(self, text):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        element = {"tag": tag, "text": "", "parents": [e["tag"] for e in self._open], **dict(attributes)}
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag):
        assert self._open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self._open:
            element["text"] += data

    def all(self, *tags):
        return [element for element in self.elements if element["tag"] in tags]

    def by_id(self, name):
        return next(element for element in self.elements if element.get("id") == name)

    def rows(self, name):
        """Texts of the cells of a table by row."""
        start = self.elements.index(self.by_id(name))
        found = []
        for element in self.elements[start + 1 :]:
            if element["tag"] == "tr":
                found.append([])
            elif element["tag"] in ("th", "td"):
                found[-1].append(element["text"])
            elif "table" not in element["parents"]:
                break
        return found


def make_content():
    months = pd.date_range("2020-01-31", periods=30, freq="ME", name="Month")
    rng = np.random.default_rng(0)
    figures = pd.DataFrame(
        {"Return [%]": [1.234, -0.001, np.nan], "Rank": [1, 2, -3], "Remark": ["a-b", EVIL, HEBREW]},
        index=pd.Index(["LSTM", EVIL, HEBREW], name="Model"),
    )
    table = Table(
        f"Figures of {EVIL}",
        figures,
        {"Return [%]": ".2f"},
        {"Return [%]": "max"},
        {"Return [%]": "Higher is better."},
        "Rounded.",
    )
    lines = pd.DataFrame(rng.normal(0, 1, (30, 2)), months, [EVIL, HEBREW])
    long = pd.DataFrame({"x": np.arange(1000.0)}, pd.bdate_range("2000-01-03", periods=1000, name="Day"))
    sections = (
        Section("First", "first", (Text(f"About {EVIL} and {HEBREW} 12 %."), table, table, Text("Beware.", "caution"))),
        Section(
            "Second", "second-one", (Chart("Lines", lines, y_format=".1%", reading="Up is good."), Chart("Long", long))
        ),
    )
    manifest = {"options": {"lags": [0, 3], "note": EVIL, "none": {}}, "seed": 0}
    return Content(f"Report on {EVIL}", (Text("Of three models."),), sections, manifest)


@pytest.fixture(scope="module")
def text():
    return render_html(make_content())


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


class TestOneFile:
    def test_the_page_is_smaller_than_six_megabytes(self, text):
        assert len(text.encode()) < 6e6

    def test_the_policy_forbids_every_connection(self, page):
        policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
        assert policy.startswith("default-src 'none'; ")
        assert set(re.findall(r"[a-z-]+-src (?:[^;]*)", policy)) == {
            "default-src 'none'",
            "script-src 'unsafe-inline'",
            "style-src 'unsafe-inline'",
            "img-src data: blob:",
        }

    def test_no_element_names_another_file(self, page):
        assert page.all("link", "img", "iframe", "object", "embed", "base", "form") == []
        assert [element for element in page.elements if "src" in element] == []
        assert [a["href"] for a in page.all("a") if not a["href"].startswith("#")] == []

    def test_the_same_content_gives_the_same_page(self, text):
        assert render_html(make_content()) == text

    def test_a_report_without_charts_does_not_carry_the_library(self):
        assert len(render_html(Content("T", (), (Section("A", "a", (Text("b"),)),)))) < 60_000

    @pytest.mark.parametrize("anchors", [("a", "a"), ("A b",), ("page_main",), ("",)])
    def test_anchors_that_cannot_be_linked_to_are_refused(self, anchors):
        sections = tuple(Section("A", anchor, ()) for anchor in anchors)
        with pytest.raises(ValueError, match="anchors of sections must be distinct"):
            render_html(Content("T", (), sections))


class TestStructure:
    def test_there_is_one_title_and_no_level_is_skipped(self, page):
        levels = [int(heading["tag"][1]) for heading in page.all("h1", "h2", "h3", "h4")]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))

    def test_ids_are_unique(self, page):
        ids = [element["id"] for element in page.elements if "id" in element]
        assert len(ids) == len(set(ids)) > 10

    def test_links_and_labels_lead_somewhere(self, page):
        ids = {element["id"] for element in page.elements if "id" in element}
        names = [a["href"][1:] for a in page.all("a")]
        names += [
            element[key]
            for element in page.elements
            for key in ("aria-labelledby", "aria-describedby")
            if key in element
        ]
        assert set(names) <= ids
        assert {"first", "second-one", "page_manifest", "page_main"} <= set(names)

    def test_landmarks_are_there_once(self, page):
        assert [len(page.all(tag)) for tag in ("header", "nav", "main")] == [1, 1, 1]
        assert page.all("html")[0]["lang"] == "en"
        assert page.all("a")[0]["class"] == "skip"

    def test_each_table_has_a_caption_and_scopes(self, page):
        assert len(page.all("table")) == len(page.all("caption")) == 5
        assert all(head["scope"] in ("row", "col") for head in page.all("th"))

    def test_each_chart_has_a_caption_and_its_numbers(self, page):
        figures = page.all("figure")
        assert len(figures) == len(page.all("figcaption")) == 2
        assert all("Numbers" in figure["text"] for figure in figures)
        assert "Up is good." in figures[0]["text"]

    def test_what_scrolls_can_be_reached_by_keys(self, page):
        boxes = [
            element for element in page.elements if element.get("class", "").split()[:1] in (["scroll"], ["chart"])
        ]
        assert len(boxes) == 7
        assert all(box["tabindex"] == "0" and box["role"] == "group" for box in boxes)

    def test_cautions_are_set_apart(self, page):
        (caution,) = [element for element in page.elements if element.get("class") == "caution"]
        assert caution["text"].split() == ["Caution.", "Beware."]

    def test_blank_lines_part_paragraphs(self):
        blocks = (Text("One\nline.\n\nTwo."), Text("Too good.\n\nSecond.", "caution"))
        page = Page(render_html(Content("T", (), (Section("S", "s", blocks),))))
        texts = [element["text"].split() for element in page.all("p") if "section" in element["parents"]]
        assert texts == [["One", "line."], ["Two."], ["Caution.", "Too", "good."], ["Second."]]


class TestNumbers:
    def test_cells_are_those_of_the_table_with_a_true_minus(self, page):
        assert page.rows("first_table_1") == [
            ["Model", "Return [%]", "Rank", "Remark"],
            ["LSTM", "1.23 (best)", "1", "a-b"],
            [EVIL, "0.00", "2", EVIL],
            [HEBREW, "n/a", "\u22123", HEBREW],
        ]

    def test_the_numbers_of_a_chart_are_those_drawn(self, page):
        frame = make_content().sections[1].blocks[0].frame
        rows = page.rows("second-one_chart_1_numbers")
        assert rows[0] == ["Month", EVIL, HEBREW]
        assert [row[0] for row in rows[1:]] == [str(date.date()) for date in frame.index]
        assert [row[1:] for row in rows[1:]] == [
            [f"{x:.1%}".replace("-", "\u2212") for x in row] for row in frame.to_numpy()
        ]

    def test_of_very_many_points_the_table_has_some_and_says_so(self, page):
        rows = page.rows("second-one_chart_2_numbers")[1:]
        assert len(rows) == 400
        assert [rows[0][1], rows[-1][1]] == ["0.00", "999.00"]
        assert "400 of 1,000 rows, evenly spaced; the chart shows all." in page.by_id("second-one")["text"]

    def test_readings_and_notes_are_there(self, page):
        assert "Higher is better." in page.by_id("first")["text"]
        assert "Rounded." in page.by_id("first")["text"]

    def test_the_manifest_is_flat(self, page):
        cells = page.by_id("page_manifest")["text"]
        for words in ("options.lags", "0, 3", "options.note", EVIL, "options.none", "seed"):
            assert words in cells


class TestNames:
    def test_a_name_that_is_a_script_is_text(self, text, page):
        assert EVIL not in text
        assert [script for script in page.all("script") if "alert(1)" in script["text"] and "type" not in script] == []
        assert page.all("h1")[0]["text"] == f"Report on {EVIL}"
        assert page.all("title")[0]["text"] == f"Report on {EVIL}"

    def test_no_text_in_json_ends_its_element(self):
        assert script_json({"a": "</script><!-- & \u2028"}) == '{"a":"\\u003c/script\\u003e\\u003c!-- \\u0026 \\u2028"}'

    def test_json_takes_no_number_that_is_none(self):
        with pytest.raises(ValueError, match="not JSON compliant"):
            script_json([np.nan])

    def test_what_no_file_can_hold_is_written_as_its_code(self):
        frame = pd.DataFrame({"\x05": ["\x07"]}, index=["\x00"])
        blocks = (Table("t\x01", frame), Chart("c", pd.DataFrame({"\x05": [1.0]}, index=["\x00"]), "bar"))
        page = render_html(Content("T\x08", (), (Section("S", "s", blocks),), {"\x02": "\udfff"}))
        page.encode()
        page, *_ = page.partition("/**\n* plotly.js")
        assert not any(character in page for character in "\x00\x01\x02\x05\x07\x08")
        assert "<bdi>\\x07</bdi>" in page

    def test_names_are_set_apart_from_their_neighbours(self, text):
        assert f"and <bdi>{HEBREW}</bdi> 12 %." in text
        assert f'<th scope="row"><bdi>{HEBREW}</bdi></th>' in text

    @pytest.mark.parametrize(
        ("sentence", "expected"),
        [
            ("a < b & c", "a &lt; b &amp; c"),
            (f"{HEBREW} 1 {HEBREW}, 2", f"<bdi>{HEBREW} 1 {HEBREW}</bdi>, 2"),
            # An override turns nothing: it is written as its code, and an embedding ends with its element.
            ("\u202eabc", "\\u202eabc"),
            ("\u202babc", "<bdi>\u202b</bdi>abc"),
            (f"x \u2068{HEBREW} <Corp>\u2069 y", f"x <bdi>{HEBREW} &lt;Corp&gt;</bdi> y"),
            ("\u2069\u2069", "<bdi>\u2069\u2069</bdi>"),
        ],
    )
    def test_what_turns_the_direction_is_set_apart(self, sentence, expected):
        assert str(isolate(sentence)) == expected


class TestColours:
    def themes(self, text):
        blocks = re.findall(r"--paper:.*?(?=\n\s*})", text, flags=re.DOTALL)
        return [dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", block)) for block in blocks]

    def contrast(self, one, other):
        def luminance(colour):
            parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
            linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
            return linear @ [0.2126, 0.7152, 0.0722]

        low, high = sorted([luminance(one), luminance(other)])
        return (high + 0.05) / (low + 0.05)

    def test_there_are_the_themes_light_dark_and_paper(self, text):
        papers = [theme["paper"] for theme in self.themes(text)]
        assert papers == ["#ffffff", "#14181d", "#14181d", "#ffffff", "#ffffff"]

    @pytest.mark.parametrize(
        ("front", "back"),
        [
            *((front, back) for front in ("ink", "soft", "accent") for back in ("paper", "band")),
            ("caution", "caution-band"),
            ("ink", "caution-band"),
            ("best-ink", "best"),
            ("ink", "low-soft"),
            ("ink", "high-soft"),
            ("ink", "middle"),
        ],
    )
    def test_text_has_a_contrast_of_at_least_4_5(self, text, front, back):
        assert all(self.contrast(theme[front], theme[back]) >= 4.5 for theme in self.themes(text))

    def test_series_and_axes_have_a_contrast_of_at_least_3(self, text):
        names = [*(f"series-{i}" for i in range(1, 9)), "axis"]
        assert all(self.contrast(theme[name], theme["paper"]) >= 3 for theme in self.themes(text) for name in names)
