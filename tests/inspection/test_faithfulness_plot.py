"""Curves of faithfulness are drawn from the numbers of the report."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from skdrfm import make_factor_panel
from skdrfm.exceptions import PanelError
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.inspection._faithfulness import faithfulness
from skdrfm.inspection._plot_faithfulness import FaithfulnessDisplay


@pytest.fixture(scope="module")
def report():
    X, y = make_factor_panel(n_dates=4, n_assets=10, n_descriptors=3, random_state=0)
    model = LinearFactorRegressor().fit(X, y)
    named = {"one": model.explain(X), "two": model.explain(X)}
    return faithfulness(named, model, X, n_draws=2, n_subsets=4, n_repeats=1, checks=False, random_state=0)


@pytest.fixture
def ax():
    return Figure().add_subplot()


def test_each_method_has_a_line_from_above_and_one_from_below(report, ax):
    display = FaithfulnessDisplay.from_report(report)
    assert display.plot(ax) is display
    assert (display.ax_, display.figure_) == (ax, ax.figure)
    lines = [line for line in ax.get_lines() if len(line.get_xdata()) == 4]
    assert len(lines) == 6
    for place, name in enumerate(["one", "two", "random"]):
        curves = report.curves.loc[name]
        for line, column in zip(lines[2 * place : 2 * place + 2], ["highest_first", "lowest_first"], strict=True):
            np.testing.assert_allclose(line.get_xdata(), 100 * curves["share"])
            np.testing.assert_allclose(line.get_ydata(), curves[column])
    assert [text.get_text() for text in ax.get_legend().get_texts()][:3] == ["one", "two", "random"]
    assert len({line.get_color() for line in lines}) == 3
    assert lines[-1].get_color() == "0.6"


def test_insertion_has_one_line_for_each_method(report, ax):
    display = FaithfulnessDisplay.from_report(report, kind="insertion").plot(ax)
    assert list(display.to_frame().columns) == ["share", "insertion"]
    assert [len(line.get_xdata()) for line in ax.get_lines()] == [2, 4, 4, 4]
    assert "put in" in ax.get_xlabel()


def test_the_legend_is_beside_the_lines(report):
    import matplotlib.pyplot as plt

    display = FaithfulnessDisplay.from_report(report).plot()
    display.figure_.draw_without_rendering()
    assert display.ax_.get_legend().get_window_extent().x0 > display.ax_.get_window_extent().x1
    plt.close(display.figure_)


def test_ten_methods_and_the_random_one_are_told_apart(report, ax):
    curves = pd.concat(dict.fromkeys([*"abcdefghij", "random"], report.curves.loc["one"]), names=["method", "step"])
    FaithfulnessDisplay(curves, kind="insertion").plot(ax)
    lines = [line for line in ax.get_lines() if len(line.get_xdata()) == 4]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 11


def test_frames_are_copies(report):
    display = FaithfulnessDisplay.from_report(report)
    frame = display.to_frame()
    frame.iloc[:] = 9.0
    pd.testing.assert_frame_equal(display.to_frame(), report.curves[["share", "highest_first", "lowest_first"]])


def test_a_new_figure_is_made_where_no_axes_are_given(report):
    import matplotlib.pyplot as plt

    plt.close(FaithfulnessDisplay.from_report(report).plot().figure_)


def test_what_cannot_be_drawn_is_refused(report):
    with pytest.raises(ValueError, match="'kind' must be one of 'deletion', 'insertion'. Got 'removal'"):
        FaithfulnessDisplay.from_report(report, kind="removal")
    with pytest.raises(PanelError, match="missing: insertion"):
        FaithfulnessDisplay(report.curves[["share"]], kind="insertion").plot()
    with pytest.raises(PanelError, match="Got 0 rows"):
        FaithfulnessDisplay(report.curves[:0]).plot()
