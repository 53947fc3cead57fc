import io
import itertools
from collections import Counter

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg

from skdrfm.exceptions import PanelError
from skdrfm.panel._plot import PALETTE
from skdrfm.report._content import Chart
from skdrfm.report._draw import draw_chart, draw_png
from skdrfm.report._draw_axes import drawable, short, tick_texts

MODELS = ["LSTM+LRP", "LSTM", "DNN (80-80)", "Linear", "SVR", "Random forest", "קרן א"]
DESCRIPTORS = [f"DESCRIPTOR{i}" for i in range(16)]
MONTHS = pd.date_range("2007-04-30", periods=96, freq="ME")


def normal(*shape):
    return np.random.default_rng(0).normal(0.01, 0.05, shape)


def frame_of_folds(n_folds):
    """Sixty months of training and one test month, as many times as asked for."""
    months = pd.period_range("2002-04", periods=n_folds + 60, freq="M")
    rows = [(fold + 1, months[fold], months[fold + 59], "Training") for fold in range(n_folds)]
    rows += [(fold + 1, months[fold + 60], months[fold + 60], "Test") for fold in range(n_folds)]
    return pd.DataFrame(rows, columns=["fold", "start", "end", "kind"]).set_index("fold")


CHARTS = {
    "seven lines": Chart(
        "c",
        pd.DataFrame(normal(96, 7), MONTHS, MODELS).cumsum(),
        y_label="Contribution to the forecast [% of return per month, before costs]",
    ),
    "three months": Chart("c", pd.DataFrame(normal(3, 7), MONTHS[:3], MODELS)),
    "one month": Chart("c", pd.DataFrame(normal(1, 2), MONTHS[:1], MODELS[:2])),
    "periods": Chart("c", pd.DataFrame(normal(96, 2), MONTHS.to_period("M"), MODELS[:2]), y_format=".1%"),
    "daily": Chart("c", pd.DataFrame(normal(500, 1), pd.bdate_range("2020-01-01", periods=500), MODELS[:1])),
    "lags": Chart("c", pd.DataFrame(normal(5, 2), [12, 9, 6, 3, 0], MODELS[:2]), x_label="Lag"),
    "numbers": Chart("c", pd.DataFrame(normal(6, 2), np.linspace(0, 0.5, 6), MODELS[:2])),
    "many lines": Chart("c", pd.DataFrame(normal(96, 20), MONTHS, [f"Quantile {i}" for i in range(20)])),
    "monthly bars": Chart("c", pd.DataFrame(normal(96, 1), MONTHS, ["Rank IC"]), "bar", reference=0),
    "few bars": Chart("c", pd.DataFrame(normal(5, 1), [f"Quantile {i}" for i in range(5)], ["a"]), "bar"),
    "five years": Chart("c", pd.DataFrame(normal(5, 1), MONTHS[:60:12], ["a"]), "bar"),
    "35 bars": Chart("c", pd.DataFrame(normal(5, 7), [f"Quantile {i}" for i in range(5)], MODELS), "bar"),
    "long names": Chart(
        "c", pd.DataFrame(normal(16, 2), [f"{name} of the last published report" for name in DESCRIPTORS]), "bar"
    ),
    "shares": Chart("c", pd.DataFrame(abs(normal(96, 5)), MONTHS, list("ABCDE")), "stacked", y_format=".0%"),
    "signed": Chart("c", pd.DataFrame(normal(96, 5), MONTHS, list("ABCDE")), "stacked", reference=0),
    "stacked categories": Chart("c", pd.DataFrame(normal(4, 5), MODELS[:4], list("ABCDE")), "stacked"),
    "coverage": Chart(
        "c", pd.DataFrame(abs(normal(16, 60)), DESCRIPTORS, MONTHS[:60].to_period("M")), "heatmap", y_format=".1%"
    ),
    "tall": Chart("c", pd.DataFrame(abs(normal(96, 16)), MONTHS, DESCRIPTORS), "heatmap", y_format=".1%"),
    "signed cells": Chart("c", pd.DataFrame(normal(16, 60), DESCRIPTORS, MONTHS[:60]), "heatmap", y_format=".1%"),
    "matrix": Chart("c", pd.DataFrame(normal(7, 7), MODELS, MODELS).mask(np.eye(7, dtype=bool)), "heatmap"),
    "96 folds": Chart("c", frame_of_folds(96), "spans", x_label="Month", y_label="Fold"),
    "4 folds": Chart("c", frame_of_folds(4), "spans"),
    "no rows": Chart("c", pd.DataFrame({"a": []})),
    "no figures": Chart("c", pd.DataFrame({"a": [np.nan, np.nan]}, MONTHS[:2])),
}


def boxes(texts, renderer):
    return [text.get_window_extent(renderer) for text in texts if text.get_visible() and text.get_text()]


@pytest.mark.parametrize("name", CHARTS)
def test_every_text_is_legible_within_the_figure_and_free_of_its_neighbours(name):
    figure = draw_chart(CHARTS[name])
    assert figure.get_figwidth() == 6.5
    assert figure.get_figheight() <= 9.0  # a page of A4 with its caption
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = [text for text in figure.findobj(matplotlib.text.Text) if text.get_visible() and text.get_text()]
    assert all(text.get_fontsize() >= (5.5 if text in figure.axes[0].texts else 6.5) for text in texts)
    shown = [text for text in texts if text.get_window_extent(renderer).width]
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        low, high = sorted(axis.get_view_interval())
        ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
        hidden = [tick for tick in axis.get_major_ticks() if tick not in ticks]
        shown = [text for text in shown if all(text not in (tick.label1, tick.label2) for tick in hidden)]
        for one, other in itertools.pairwise(boxes([tick.label1 for tick in ticks], renderer)):
            if not any(tick.label1.get_rotation() % 90 for tick in ticks):  # slanted ones have boxes that overlap
                assert not one.overlaps(other)
    for box in boxes(shown, renderer):
        assert box.x0 >= -1
        assert box.y0 >= -1
        assert box.x1 <= figure.bbox.x1 + 1
        assert box.y1 <= figure.bbox.y1 + 1


def test_lines_are_the_figures_and_gaps_stay_gaps():
    values = normal(12, 2)
    values[3:6, 0] = np.nan
    values[8, 1] = np.inf
    figure = draw_chart(Chart("c", pd.DataFrame(values, MONTHS[:12], ["a", "b"])))
    lines = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 12]
    wanted = np.where(np.isfinite(values), values, np.nan)
    np.testing.assert_array_equal(np.transpose([line.get_ydata() for line in lines]), wanted)


def test_a_figure_between_two_gaps_is_seen_as_a_marker():
    values = pd.DataFrame({"a": [1.0, 2.0, np.nan, 5.0, np.nan, 3.0, 4.0]}, MONTHS[:7])
    figure = draw_chart(Chart("c", values))
    alone = [line for line in figure.axes[0].get_lines() if line.get_linestyle() == "None"]
    assert [list(line.get_ydata()) for line in alone] == [[5.0]]
    assert alone[0].get_marker() != "None"


def test_lines_are_told_apart_without_colour():
    lines = draw_chart(CHARTS["many lines"]).axes[0].get_lines()
    looks = [(line.get_marker(), str(line._dash_pattern)) for line in lines if line.get_label()[0] != "_"]
    looks = looks or [(line.get_marker(), str(line._dash_pattern)) for line in lines if len(line.get_xdata()) == 96]
    assert len(looks) == 20
    assert Counter(looks).most_common(1)[0][1] == 1


def test_series_have_colours_for_any_colour_vision_and_a_legend_of_their_names():
    figure = draw_chart(CHARTS["seven lines"])
    lines = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 96]
    assert [line.get_color() for line in lines] == list(PALETTE)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == MODELS


def test_all_months_are_on_the_axis_also_those_without_figures():
    values = pd.DataFrame({"a": [np.nan, np.nan, 1.0, 2.0, 3.0, 2.0, 1.0, np.nan]}, MONTHS[:8])
    ax = draw_chart(Chart("c", values)).axes[0]
    low, high = ax.get_xlim()
    assert low <= matplotlib.dates.date2num(MONTHS[0])
    assert high >= matplotlib.dates.date2num(MONTHS[7])


def test_lags_run_from_the_oldest_to_the_newest():
    ax = draw_chart(CHARTS["lags"]).axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["12", "9", "6", "3", "0"]


def test_bars_have_the_heights_of_the_figures():
    figure = draw_chart(CHARTS["35 bars"])
    heights = [[bar.get_height() for bar in bars] for bars in figure.axes[0].containers]
    np.testing.assert_allclose(np.transpose(heights), CHARTS["35 bars"].frame)
    assert len({bars[0].get_hatch() for bars in figure.axes[0].containers}) == 7


def test_few_bars_carry_their_figures():
    frame = pd.DataFrame({"a": [0.0123, -0.02, np.nan]}, list("xyz"))
    figure = draw_chart(Chart("c", frame, "bar", y_format=".1%"))
    assert [text.get_text() for text in figure.axes[0].texts] == ["1.2%", "−2.0%", ""]


def test_bars_with_long_names_lie_and_start_at_the_top():
    figure = draw_chart(CHARTS["long names"])
    ax = figure.axes[0]
    np.testing.assert_allclose([bar.get_width() for bar in ax.containers[0]], CHARTS["long names"].frame.iloc[:, 0])
    low, high = ax.get_ylim()
    assert low > high


def vertices(area):
    return np.concatenate([path.vertices for path in area.get_paths()])


def test_stacked_figures_add_up_and_missing_ones_leave_a_gap():
    frame = pd.DataFrame(abs(normal(24, 3)), MONTHS[:24], list("abc"))
    frame.iloc[10, 1] = np.nan
    ax = draw_chart(Chart("c", frame, "stacked")).axes[0]
    days = matplotlib.dates.date2num(MONTHS[:24])
    for area, tops in zip(ax.collections, frame.cumsum(axis=1).to_numpy().T, strict=True):
        for month, (day, top) in enumerate(zip(days, tops, strict=True)):
            covered = any(path.contains_point((day, top - 1e-9)) for path in area.get_paths())
            assert covered == (month != 10)
            assert not any(path.contains_point((day, top + 1e-6)) for path in area.get_paths())


def test_stacked_figures_leave_a_gap_where_dates_are_not_there():
    frame = pd.DataFrame({"a": np.ones(24)}, MONTHS[:24]).drop(MONTHS[8:14])
    (area,) = draw_chart(Chart("c", frame, "stacked")).axes[0].collections
    for month, day in enumerate(matplotlib.dates.date2num(MONTHS[:24])):
        assert any(path.contains_point((day, 0.5)) for path in area.get_paths()) == (month not in range(8, 14))


def test_negative_figures_are_stacked_below_zero():
    frame = pd.DataFrame({"a": [1.0, -1.0], "b": [-2.0, -3.0], "c": [4.0, 5.0]}, MONTHS[:2])
    first, second, third = draw_chart(Chart("c", frame, "stacked")).axes[0].collections
    assert (vertices(first)[:, 1].min(), vertices(first)[:, 1].max()) == (-1, 1)
    assert (vertices(second)[:, 1].min(), vertices(second)[:, 1].max()) == (-4, 0)
    assert (vertices(third)[:, 1].min(), vertices(third)[:, 1].max()) == (0, 5)


@pytest.mark.parametrize(
    "labels", [MONTHS[:60:12], MONTHS[:5].strftime("%Y-%m-%d"), pd.Index([202001, 202002, 202003])]
)
def test_a_few_bars_of_dates_stand_at_their_labels(labels):
    ax = draw_chart(Chart("c", pd.DataFrame({"a": np.ones(len(labels))}, labels), "bar")).axes[0]
    assert [bar.get_x() + bar.get_width() / 2 for bar in ax.patches] == pytest.approx(ax.get_xticks())
    assert [label.get_text() for label in ax.get_xticklabels()] == [
        f"{text[:4]}-{text.replace('-', '')[4:6]}" for text in labels.astype(str)
    ]


def test_cells_are_the_figures_and_missing_ones_are_masked():
    frame = CHARTS["matrix"].frame
    ax = draw_chart(CHARTS["matrix"]).axes[0]
    drawn = ax.images[0].get_array()
    np.testing.assert_array_equal(drawn.mask, frame.isna())
    np.testing.assert_array_equal(drawn.compressed(), frame.to_numpy()[~frame.isna().to_numpy()])
    texts = [text.get_text() for text in ax.texts]
    assert texts[:2] == ["n/a", f"{frame.iloc[0, 1]:.2f}".replace("-", "−")]
    assert len(texts) == 49


def test_a_white_cell_is_at_the_reference():
    frame = pd.DataFrame({"a": [0.5, 1.0], "b": [1.2, 1.1]}, list("xy"))
    image = draw_chart(Chart("c", frame, "heatmap", reference=1.0)).axes[0].images[0]
    assert image.norm(1.0) == pytest.approx(0.5)
    assert image.norm(0.5) == pytest.approx(0.0)


def test_cells_below_zero_carry_a_dash_where_there_is_no_room_for_figures():
    chart = CHARTS["signed cells"]
    ax = draw_chart(chart).axes[0]
    assert not ax.texts
    dashes = [marks for marks in ax.collections if isinstance(marks, matplotlib.collections.PathCollection)]
    places = {(int(row), int(column)) for column, row in dashes[0].get_offsets()}
    assert places == set(zip(*np.nonzero(chart.frame.to_numpy() < 0), strict=True))
    assert ax.get_title(loc="right") == "Dash: below 0"


def test_spans_of_periods_reach_from_the_first_day_to_the_last():
    chart = CHARTS["4 folds"]
    ax = draw_chart(chart).axes[0]
    starts = matplotlib.dates.date2num(chart.frame["start"].dt.to_timestamp())
    bars = [bar for bars in ax.containers for bar in bars]
    np.testing.assert_allclose([bar.get_x() for bar in bars], starts)
    ends = matplotlib.dates.date2num((chart.frame["end"] + 1).dt.to_timestamp())
    np.testing.assert_allclose([bar.get_x() + bar.get_width() for bar in bars], ends)
    assert [round(bar.get_y() + bar.get_height() / 2) for bar in bars] == [0, 1, 2, 3] * 2


def test_spans_of_one_date_are_seen():
    frame = frame_of_folds(96).assign(
        start=lambda table: table["start"].dt.to_timestamp(), end=lambda table: table["end"].dt.to_timestamp()
    )
    figure = draw_chart(Chart("c", frame, "spans"))
    training, test = figure.axes[0].containers
    assert min(bar.get_window_extent().width for bar in test) > 3
    assert training[0].get_x() + training[0].get_width() == matplotlib.dates.date2num(frame["end"].iloc[0])


def test_names_are_shown_as_they_are_and_start_no_formula():
    chart = Chart("c", pd.DataFrame({"$x^2$": [1.0, 2.0], "a_b": [2.0, 1.0]}, ["$\\frac$", "b"]), x_label="$y$")
    figure = draw_chart(chart)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["$x^2$", "a_b"]
    with matplotlib.rc_context({"text.parse_math": True}):
        figure.savefig(io.BytesIO())


def test_characters_without_a_picture_are_written_as_codes():
    assert drawable("a\x07") == "a\\x07"
    assert drawable("a\U000f0000") == "a\\uf0000"
    assert drawable("קרן") == "קרן"
    draw_png(
        Chart("c", pd.DataFrame({"\U000f0000": [1.0], "b\x00": [2.0]}, pd.Index(["\udc00"], dtype=object)), "bar"),
        dpi=50,
    )


def test_long_names_keep_both_ends():
    name = "a" * 60 + "z" * 60
    assert len(short(name)) == 44
    assert short(name).startswith("aaa")
    assert short(name).endswith("zzz")


@pytest.mark.parametrize(
    ("values", "spec", "texts"),
    [
        ([0.0, 0.5, 1.0], ".3f", ["0.0", "0.5", "1.0"]),
        ([0.0, 0.1, 0.2], ".2%", ["0%", "10%", "20%"]),
        ([0.001, 0.0015, 0.002], ".2f", ["0.0010", "0.0015", "0.0020"]),
        ([-1.0, 0.0, 1.0], ".2f", ["−1", "0", "1"]),
        ([0.0, 1e4], ",.0f", ["0", "10,000"]),
        ([0.0, 1.0], "d", ["0", "1"]),
        ([1.0, 10.0], ".3g", ["1", "10"]),
    ],
)
def test_ticks_have_as_many_digits_as_tell_them_apart(values, spec, texts):
    assert tick_texts(values, spec) == texts


def test_the_same_chart_gives_the_same_picture_whatever_the_user_has_set():
    chart = Chart("c", pd.DataFrame(normal(12, 2), MONTHS[:12], ["a", "b"]))
    first = draw_png(chart, dpi=60)
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 20, "savefig.dpi": 300, "lines.linewidth": 9}):
        assert draw_png(chart, dpi=60) == first
    assert first[:8] == b"\x89PNG\r\n\x1a\n"
    assert b"Software" not in first


def test_drawing_leaves_no_trace_in_pyplot_and_in_the_settings():
    before = dict(matplotlib.rcParams)
    chart = CHARTS["few bars"]
    kept = chart.frame.copy()
    draw_chart(chart)
    assert not plt.get_fignums()
    assert dict(matplotlib.rcParams) == before
    pd.testing.assert_frame_equal(chart.frame, kept)


def test_text_cannot_be_drawn():
    with pytest.raises(PanelError, match=r"must hold numbers\. Got columns of .* in the chart 'Wealth'"):
        draw_chart(Chart("Wealth", pd.DataFrame({"a": ["x", "y"]})))


def test_spans_need_their_columns_and_both_ends():
    frame = frame_of_folds(2)
    with pytest.raises(PanelError, match=r"must have the columns start, end, kind\. Missing in the chart 'c': kind"):
        draw_chart(Chart("c", frame.drop(columns="kind"), "spans"))
    with pytest.raises(PanelError, match=r"Got 2 rows without one"):
        draw_chart(Chart("c", frame.assign(end=frame["end"].where(frame["kind"] == "Training")), "spans"))


def test_spans_of_labels_that_are_no_dates_are_drawn_by_their_order():
    frame = pd.DataFrame({"start": ["a", "b"], "end": ["b", "c"], "kind": "x"}, index=[1, 2])
    bars = draw_chart(Chart("c", frame, "spans")).axes[0].containers[0]
    assert [(bar.get_x(), bar.get_width()) for bar in bars] == [(0, 1), (1, 1)]
