import json

import numpy as np
import pandas as pd
import pytest

from skdrfm.exceptions import PanelError
from skdrfm.report._content import Chart
from skdrfm.report._plotly import chart_spec
from skdrfm.report._plotly_axes import plain_text

MONTHS = pd.date_range("2020-01-31", periods=30, freq="ME")
KINDS = ["line", "bar", "stacked", "heatmap", "spans"]


def frame(n_rows=30, n_columns=3, index=None):
    values = np.random.default_rng(0).normal(0, 1, (n_rows, n_columns))
    return pd.DataFrame(values, MONTHS[:n_rows] if index is None else index, list("abcdefghij")[:n_columns])


def spans(starts, ends, kinds, index):
    return Chart("c", pd.DataFrame({"start": starts, "end": ends, "kind": kinds}, index), "spans")


def make(kind):
    if kind == "spans":
        return spans(MONTHS[:2], MONTHS[1:3], ["Training", "Test"], [1, 1])
    return Chart("c", frame(), kind, "Month", "Return", ".1%", 0.0)


class TestEveryKind:
    @pytest.mark.parametrize("kind", KINDS)
    def test_the_spec_is_json(self, kind):
        spec = chart_spec(make(kind))
        assert json.loads(json.dumps(spec, allow_nan=False)) == spec

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_frame_is_left_as_it_was(self, kind):
        chart = make(kind)
        before = chart.frame.copy()
        chart_spec(chart)
        pd.testing.assert_frame_equal(chart.frame, before)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_chart_without_figures_says_so(self, kind):
        chart = Chart("c", make(kind).frame.iloc[:0], kind)
        assert chart_spec(chart)["layout"]["annotations"][0]["text"] == "n/a"
        assert "annotations" not in chart_spec(make(kind))["layout"]

    @pytest.mark.parametrize("kind", ["line", "bar", "stacked", "heatmap"])
    def test_text_is_no_figure(self, kind):
        with pytest.raises(PanelError, match=r"must hold numbers\. Got columns of .* in the chart 'c'"):
            chart_spec(Chart("c", pd.DataFrame({"a": ["x", "y"]}), kind))

    @pytest.mark.parametrize("kind", ["line", "bar", "stacked", "heatmap"])
    def test_names_are_escaped(self, kind):
        named = frame().rename(columns={"a": "<b>&"})
        assert "<b>" not in json.dumps(chart_spec(Chart("c", named, kind, "<b>", "<b>")))


class TestLine:
    def test_points_are_those_of_the_frame_with_gaps(self):
        given = frame()
        given.iloc[3, 1] = np.nan
        given.iloc[4, 1] = np.inf
        first, second, _ = chart_spec(Chart("c", given))["data"]
        assert first["x"] == [str(date.date()) for date in MONTHS]
        assert first["y"] == pytest.approx(given["a"].tolist(), rel=1e-5)
        assert second["y"][3:5] == [None, None]
        assert second["connectgaps"] is False

    def test_series_differ_without_their_colours(self):
        data = chart_spec(Chart("c", frame(n_columns=8)))["data"]
        looks = {(trace["line"]["dash"], trace["marker"]["symbol"]) for trace in data}
        assert len(looks) == 8

    def test_a_lone_point_between_gaps_has_a_mark(self):
        given = pd.DataFrame({"a": np.ones(100), "b": np.ones(100)})
        given.iloc[[9, 11], 1] = np.nan
        first, second = chart_spec(Chart("c", given))["data"]
        assert first["marker"]["maxdisplayed"] > 0
        assert second["marker"]["maxdisplayed"] == 0

    @pytest.mark.parametrize(
        ("index", "kind", "first"),
        [
            (MONTHS, "date", "2020-01-31"),
            (MONTHS.to_period("M"), "date", "2020-01-31"),
            (pd.Index([int(date.strftime("%Y%m")) for date in MONTHS]), "date", "2020-01-01"),
            (pd.Index(MONTHS.strftime("%Y-%m-%d")), "date", "2020-01-31"),
            (MONTHS.tz_localize("Asia/Tokyo"), "date", "2020-01-31"),
            (pd.RangeIndex(30), "linear", 0),
            (pd.Index([f"Q{i}" for i in range(30)]), "category", "Q0"),
            (pd.Index(["same"] * 30), "category", "same"),
        ],
    )
    def test_labels_stand_where_they_belong(self, index, kind, first):
        spec = chart_spec(Chart("c", frame(index=index)))
        assert spec["layout"]["xaxis"]["type"] == kind
        assert spec["data"][0]["x"][0] == first
        assert len(set(spec["data"][0]["x"])) == 30

    @pytest.mark.parametrize(
        ("index", "expected"),
        [
            (MONTHS, "%b %Y"),
            (pd.bdate_range("2020-01-01", periods=30), "%d %b %Y"),
            (pd.date_range("2020-01-01 09:00", periods=30, freq="h"), "%d %b %Y, %H:%M"),
        ],
    )
    def test_labels_of_points_are_as_fine_as_the_dates(self, index, expected):
        assert chart_spec(Chart("c", frame(index=index)))["layout"]["xaxis"]["hoverformat"] == expected

    def test_few_dates_are_written_out(self):
        spec = chart_spec(Chart("c", frame(2)))
        assert spec["layout"]["xaxis"]["type"] == "category"
        assert spec["data"][0]["x"] == ["2020-01-31", "2020-02-29"]

    def test_the_reference_is_a_line_across(self):
        (shape,) = chart_spec(Chart("c", frame(), reference=1.5))["layout"]["shapes"]
        assert (shape["y0"], shape["y1"], shape["xref"]) == (1.5, 1.5, "paper")
        assert "shapes" not in chart_spec(Chart("c", frame()))["layout"]

    @pytest.mark.parametrize(("given", "shown"), [(".1%", ".1%"), (",.0f", ",.0f"), ("+.2f", "+.2f"), ("_d", ".4g")])
    def test_figures_have_the_format_of_the_chart(self, given, shown):
        assert chart_spec(Chart("c", frame(), y_format=given))["layout"]["yaxis"]["hoverformat"] == shown

    def test_a_legend_needs_two_series(self):
        assert chart_spec(Chart("c", frame(n_columns=1)))["layout"]["showlegend"] is False
        assert chart_spec(Chart("c", frame(n_columns=2)))["layout"]["showlegend"] is True


class TestBars:
    def test_bars_stand_beside_each_other_and_differ_without_colours(self):
        spec = chart_spec(Chart("c", frame(5, 3, list("vwxyz")), "bar"))
        assert spec["layout"]["barmode"] == "group"
        assert len({trace["marker"]["pattern"]["shape"] for trace in spec["data"]}) == 3

    def test_lags_stay_in_the_order_of_the_frame(self):
        spec = chart_spec(Chart("c", frame(3, 1, [12, 3, 0]), "bar"))
        assert spec["data"][0]["x"] == ["12", "3", "0"]
        assert spec["layout"]["xaxis"]["type"] == "category"

    def test_shares_of_many_dates_are_areas(self):
        spec = chart_spec(Chart("c", frame().abs(), "stacked"))
        assert {trace["stackgroup"] for trace in spec["data"]} == {"all"}
        assert len({trace["fillpattern"]["shape"] for trace in spec["data"]}) == 3

    @pytest.mark.parametrize("odd", [-1.0, np.nan])
    def test_what_areas_cannot_show_are_bars(self, odd):
        given = frame().abs()
        given.iloc[0, 0] = odd
        spec = chart_spec(Chart("c", given, "stacked"))
        assert {trace["type"] for trace in spec["data"]} == {"bar"}
        assert spec["layout"]["barmode"] == "relative"
        assert spec["data"][0]["y"][0] == (None if np.isnan(odd) else -1)


class TestHeatmap:
    def test_rows_go_down_and_columns_to_the_right(self):
        given = frame(2, 3, ["r1", "r2"])
        spec = chart_spec(Chart("c", given, "heatmap", y_format=".2f"))
        (trace,) = spec["data"]
        assert (trace["x"], trace["y"]) == (["a", "b", "c"], ["r1", "r2"])
        assert spec["layout"]["yaxis"]["autorange"] == "reversed"
        assert trace["text"][1][2] == f"{given.iloc[1, 2]:.2f}".replace("-", "\u2212")

    def test_colours_of_signed_figures_meet_at_zero(self):
        (trace,) = chart_spec(Chart("c", pd.DataFrame({"a": [-1.0, 3.0]}), "heatmap"))["data"]
        assert (trace["zmin"], trace["zmax"]) == (-3, 3)
        assert len(trace["colorscale"]) == 3

    def test_colours_meet_at_the_reference(self):
        (trace,) = chart_spec(Chart("c", pd.DataFrame({"a": [0.5, 1.2]}), "heatmap", reference=1.0))["data"]
        assert (trace["zmin"], trace["zmax"]) == (0.5, 1.5)

    def test_figures_above_zero_have_one_colour(self):
        (trace,) = chart_spec(Chart("c", pd.DataFrame({"a": [0.5, 1.0, np.nan]}), "heatmap"))["data"]
        assert "zmin" not in trace
        assert len(trace["colorscale"]) == 2
        assert trace["z"] == [[0.5], [1.0], [None]]
        assert trace["text"] == [["0.50"], ["1.00"], [""]]

    @pytest.mark.parametrize(("value", "ends"), [(1.0, (0, 1)), (0.0, (0, 1)), (-2.0, (-2, 0))])
    def test_equal_figures_are_measured_from_zero(self, value, ends):
        (trace,) = chart_spec(Chart("c", pd.DataFrame({"a": [value, value]}), "heatmap"))["data"]
        assert (trace["zmin"], trace["zmax"]) == ends

    def test_cells_of_whole_numbers_have_their_format(self):
        (trace,) = chart_spec(Chart("c", pd.DataFrame({"a": [1200, -3]}), "heatmap", y_format=",d"))["data"]
        assert trace["text"] == [["1,200"], ["\u22123"]]

    def test_many_cells_have_no_text(self):
        (trace,) = chart_spec(Chart("c", frame(30, 10), "heatmap"))["data"]
        assert "text" not in trace


class TestSpans:
    def test_a_span_lasts_until_its_end_and_not_into_the_next(self):
        chart = spans(["2020-01-31", "2020-03-31"], ["2020-03-31", "2020-04-30"], ["Training", "Test"], ["w", "w"])
        training, test = chart_spec(chart)["data"]
        assert (training["base"], training["x"]) == (["2020-01-31"], [60 * 86_400_000])
        assert (test["base"], test["x"]) == (["2020-03-31"], [30 * 86_400_000])
        assert training["y"] == test["y"] == ["w"]
        assert test["customdata"] == [["2020-03-31", "2020-04-30", "Test"]]

    def test_a_span_of_periods_lasts_until_the_last_is_over(self):
        months = pd.PeriodIndex(["2020-01", "2020-03"], freq="M")
        (trace,) = chart_spec(spans(months, months, ["a", "a"], [1, 2]))["data"]
        assert (trace["base"], trace["x"]) == (["2020-01-01", "2020-03-01"], [31 * 86_400_000] * 2)

    @pytest.mark.parametrize(
        ("starts", "least"),
        [(["2020-01-31"], 86_400_000), ([5], 1), (["2020-01-01", "2020-05-10"], 86_400_000), ([0, 130], 1)],
    )
    def test_a_span_without_length_is_seen(self, starts, least):
        (trace,) = chart_spec(spans(starts, starts, ["a"] * len(starts), range(len(starts))))["data"]
        assert trace["x"] == [least] * len(starts)

    def test_a_span_needs_its_columns(self):
        with pytest.raises(
            PanelError, match=r"must have the columns start, end, kind\. Missing in the chart 'c': kind"
        ):
            chart_spec(Chart("c", make("spans").frame.drop(columns="kind"), "spans"))

    @pytest.mark.parametrize(("starts", "ends"), [([0, 5], [5, 6]), (["t0", "t1"], ["t1", "t2"])])
    def test_borders_that_are_no_dates_are_drawn_by_their_order(self, starts, ends):
        spec = chart_spec(spans(starts, ends, ["a", "a"], [1, 2]))
        assert spec["layout"]["xaxis"]["type"] == "linear"
        assert spec["data"][0]["x"] == ([5, 1] if starts == [0, 5] else [1, 1])

    def test_kinds_differ_in_height(self):
        first, second = chart_spec(make("spans"))["data"]
        assert first["width"] < second["width"]


class TestNames:
    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("a & <b>", "a &amp; &lt;b&gt;"),
            ("\u05d0\u05d1", "\u2068\u05d0\u05d1\u2069"),
            ("x" * 40, "x" * 24 + "\u2026" + "x" * 11),
        ],
    )
    def test_a_name_is_shown_letter_by_letter(self, name, shown):
        assert plain_text(name, 36) == shown

    def test_names_that_become_the_same_stay_apart(self):
        long = ["x" * 30 + middle + "y" * 30 for middle in "ab"]
        first, second = chart_spec(Chart("c", frame(n_columns=2).set_axis(long, axis=1)))["data"]
        assert second["name"] == f"{first['name']} (2)"

    def test_a_number_is_added_that_no_other_name_has(self):
        data = chart_spec(Chart("c", frame(n_columns=3).set_axis(["a (2)", "a", "a"], axis=1)))["data"]
        assert [trace["name"] for trace in data] == ["a (2)", "a", "a (3)"]
