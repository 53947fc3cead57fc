import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from skdrfm.exceptions import PanelError
from skdrfm.portfolio import CumulativeReturnDisplay, backtest


@pytest.fixture
def axes():
    return Figure().subplots()


def result_for(dates, seed=0):
    index = pd.MultiIndex.from_product([dates, list("ABCD")], names=["date", "asset"])
    predictions, returns = np.random.default_rng(seed).normal(0, 0.1, (2, len(index)))
    return backtest(pd.Series(predictions, index), pd.Series(returns, index), n_quantiles=2)


MONTHS = pd.date_range("2020-01-31", periods=4, freq="ME")


def test_one_line_for_each_model_with_labels_title_and_legend(axes):
    backtests = {"LSTM": result_for(MONTHS), "Linear": result_for(MONTHS, seed=1)}
    display = CumulativeReturnDisplay.from_backtests(backtests)
    assert display.plot(axes) is display
    assert display.ax_ is axes
    assert display.figure_ is axes.figure
    assert axes.get_title()
    assert axes.get_xlabel()
    assert axes.get_ylabel()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["LSTM", "Linear"]
    for line, result in zip(axes.get_lines(), backtests.values(), strict=False):
        np.testing.assert_array_equal(line.get_ydata(), result.cumulative()["long_short"])


@pytest.mark.parametrize(
    "dates",
    [MONTHS, MONTHS.to_period("M"), [202001, 202002, 202003, 202004], ["2020-01", "2020-02", "2020-03", "2020-04"]],
    ids=["datetime64", "Period", "yyyymm", "ISO"],
)
def test_dates_of_all_types_are_drawn_as_days(axes, dates):
    CumulativeReturnDisplay.from_backtests({"LSTM": result_for(dates)}).plot(axes)
    days = np.asarray(axes.get_lines()[0].get_xdata(), dtype="datetime64[M]")
    assert list(days) == list(np.arange("2020-01", "2020-05", dtype="datetime64[M]"))


def test_labels_that_are_no_dates_are_drawn_as_they_are(axes):
    CumulativeReturnDisplay.from_backtests({"LSTM": result_for([1, 2, 3])}).plot(axes)
    assert list(axes.get_lines()[0].get_xdata()) == [1, 2, 3]


def test_models_with_other_dates_are_blank_where_they_have_none():
    display = CumulativeReturnDisplay.from_backtests({"short": result_for(MONTHS[2:]), "long": result_for(MONTHS)})
    table = display.to_frame()
    assert list(table.index) == list(MONTHS)
    assert table["short"].isna().tolist() == [True, True, False, False]


def test_the_axes_say_what_is_held_and_how_much_of_it(axes):
    CumulativeReturnDisplay.from_backtests({"LSTM": result_for(MONTHS[:3])}).plot(axes)
    assert axes.get_xlabel() == "Start of the holding period"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["2020-01-31", "2020-02-29", "2020-03-31"]
    axes.set_ylim(0, 0.01)
    axes.figure.canvas.draw()
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert len(set(labels)) == len(labels)


def test_a_model_with_one_date_is_a_point(axes):
    one = CumulativeReturnDisplay.from_backtests({"short": result_for(MONTHS[:1]), "long": result_for(MONTHS)})
    one.plot(axes)
    assert [line.get_marker() for line in axes.get_lines()[:2]] == ["o", "None"]


def test_numbers_come_back_as_a_copy():
    display = CumulativeReturnDisplay.from_backtests({"LSTM": result_for(MONTHS)})
    table = display.to_frame()
    table.iloc[0, 0] = 99
    assert display.to_frame().iloc[0, 0] != 99


def test_without_axes_a_new_figure_is_made():
    plt = pytest.importorskip("matplotlib.pyplot")
    with mpl.rc_context({"backend": "agg"}):
        display = CumulativeReturnDisplay.from_backtests({"LSTM": result_for(MONTHS)}).plot()
        assert display.figure_.axes == [display.ax_]
        plt.close(display.figure_)


def test_no_backtests_is_an_error():
    with pytest.raises(PanelError, match="at least one backtest"):
        CumulativeReturnDisplay.from_backtests({})
