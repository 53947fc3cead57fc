import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from skdrfm.report._figures import _draw_contributions, _draw_long_short, _to_svg, draw_figures, inline_svg

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def figures(study):
    return draw_figures(study)


def texts(svg):
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def test_the_same_study_gives_the_same_bytes(study, figures):
    assert draw_figures(study) == figures


def test_a_study_without_explanations_has_no_figure_of_contributions(study):
    assert set(draw_figures(replace(study, contributions={}, signed_contributions={}))) == {"long_short", "windows"}


def test_every_figure_comes_in_two_widths(figures):
    assert set(figures) == {"long_short", "contributions", "windows"}
    for figure in figures.values():
        wide, narrow = (float(ET.fromstring(svg).get("viewBox").split()[2]) for svg in (figure.wide, figure.narrow))
        assert wide > 2 * narrow


def test_the_settings_of_the_user_neither_matter_nor_change(study, figures):
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red"}):
        before = dict(matplotlib.rcParams)
        assert draw_figures(study) == figures
        assert dict(matplotlib.rcParams) == before
    assert plt.get_fignums() == []


def test_names_are_shown_as_they_are(study, renamed):
    name = "<script>alert(1)</script> & $x_1$ -->"
    figures = draw_figures(renamed(study, name))
    assert any(text.startswith(name) for text in texts(figures["long_short"].wide))
    assert name in texts(figures["contributions"].wide)
    assert "<script" not in figures["contributions"].wide


def test_models_are_listed_from_the_best_to_the_worst_final_return(study, renamed):
    two = renamed(study, "Low", "High")
    better = two.backtests["High"]
    backtests = {"Low": two.backtests["Low"], "High": replace(better, long_short=better.long_short + 0.1)}
    svg = _to_svg(_draw_long_short, replace(two, backtests=backtests), wide=True)
    legend = [text for text in texts(svg) if text.endswith("%)")]
    assert [text.split()[0] for text in legend] == ["High", "Low"]


def test_each_explained_model_has_a_panel(study, renamed):
    svg = _to_svg(_draw_contributions, renamed(study, "One", "Two", "Three"), wide=True)
    assert {"One", "Two", "Three"} <= set(texts(svg))


def test_a_single_test_month_can_be_drawn(study):
    backtest = study.backtests["Linear"]
    short = replace(
        study,
        backtests={
            "Linear": replace(
                backtest, long_short=backtest.long_short.iloc[:1], quantile_returns=backtest.quantile_returns.iloc[:1]
            )
        },
        contributions={"Linear": study.contributions["Linear"].iloc[:1]},
        windows=study.windows.iloc[:1],
    )
    figures = draw_figures(short)
    assert "<use" in figures["long_short"].wide.split("line2d")[-1]
    assert set(figures) == {"long_short", "contributions", "windows"}


@pytest.mark.parametrize(("wide", "least", "most"), [(True, 4, 13), (False, 2, 6)])
@pytest.mark.parametrize("n_months", [7, 26, 35, 480])
def test_dates_have_some_labels_and_not_too_many_whatever_the_span(study, n_months, wide, least, most):
    dates = pd.date_range("1990-01", periods=n_months, freq="ME")
    shares = pd.DataFrame(np.full((n_months, 2), 0.5), index=dates, columns=["Risk", "Size"])
    svg = _to_svg(_draw_contributions, replace(study, contributions={"Linear": shares}), wide=wide)
    labels = [text for text in texts(svg) if re.fullmatch(r"\d{4}(-\d\d(-\d\d)?)?", text)]
    assert least <= len(labels) <= most


class TestInline:
    def test_ids_are_prefixed_together_with_what_refers_to_them(self, figures):
        for name, figure in figures.items():
            body = inline_svg(figure.wide, f"{name}-w")
            ids = set(re.findall(r'\bid="([^"]+)"', body))
            referred = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', body))
            assert all(one.startswith(f"{name}-w-") for one in ids)
            assert {a or b for a, b in referred} <= ids
            assert referred

    def test_it_is_one_element_without_size_metadata_or_document_type(self, figures):
        body = inline_svg(figures["windows"].wide, "w")
        root = ET.fromstring(body)
        assert root.tag == f"{SVG}svg"
        assert root.get("width") is root.get("height") is None
        assert root.get("viewBox")
        assert "metadata" not in body
        assert "DOCTYPE" not in body

    def test_text_and_background_take_the_colours_of_the_page(self, figures):
        body = inline_svg(figures["long_short"].wide, "w")
        assert "var(--ink)" in body
        assert "var(--paper)" in body
        assert "#fdfefd" not in body
