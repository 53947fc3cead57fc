import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.dates import date2num
from matplotlib.figure import Figure

from skdrfm.exceptions import PanelError
from skdrfm.panel._plot import (
    bar_edges,
    check_axes_pair,
    heat_cells,
    label_all_dates,
    new_axes_pair,
    number,
    time_axis,
)


@pytest.fixture
def ax():
    return Figure().add_subplot()


class TestReferenceValues:
    def test_bars_meet_half_way_between_dates(self, ax):
        left, width = bar_edges(ax, np.array([1.0, 2.0, 4.0, 5.0, 6.0]))
        np.testing.assert_allclose(left, [0.5, 1.5, 3.375, 4.5, 5.5])
        np.testing.assert_allclose(left + width, [1.5, 2.625, 4.5, 5.5, 6.5])

    def test_edges_of_dates_are_in_the_numbers_of_the_axis(self, ax):
        days = time_axis(pd.Index([202001, 202002, 202003]))
        left, width = bar_edges(ax, days)
        middle = date2num(days[1])
        assert (left[1], left[1] + width[1]) == (middle - 15.5, middle + 14.5)

    def test_a_single_bar_has_a_width(self, ax):
        assert [edge.tolist() for edge in bar_edges(ax, np.array([3.0]))] == [[2.6], [0.8]]

    @pytest.mark.parametrize(
        ("value", "digits", "text"), [(-1.234, 2, "−1.23"), (0.5, 1, "0.5"), (-0.0001, 2, "0.00"), (12.0, 0, "12")]
    )
    def test_numbers_have_a_true_minus_sign_unless_they_round_to_zero(self, value, digits, text):
        assert number(value, digits) == text

    def test_cells_have_their_colours_texts_and_contrast(self, ax):
        values = np.array([[-2.0, 0.0], [np.nan, 1.0]])
        bold = np.array([[True, False], [False, False]])
        heat_cells(ax, values, [["a", "b"], ["", "d"]], largest=2.0, bold=bold)
        found = {text.get_text(): text for text in ax.texts}
        assert found["a"].get_position() == (0, 0)
        assert found["d"].get_position() == (1, 1)
        assert [found[name].get_color() for name in "abd"] == ["white", "black", "black"]
        assert [found[name].get_fontweight() for name in "abd"] == ["bold", "normal", "normal"]
        image = ax.get_images()[0]
        np.testing.assert_array_equal(np.ma.filled(image.get_array(), np.nan), values)
        np.testing.assert_allclose(image.to_rgba(values)[1, 0], [0.92, 0.92, 0.92, 1.0])


class TestProperties:
    @pytest.mark.parametrize("n_dates", [1, 3])
    def test_a_few_dates_are_labelled_one_by_one(self, ax, n_dates):
        dates = pd.date_range("2020-01-31", periods=n_dates, freq="ME")
        label_all_dates(ax, time_axis(dates), dates)
        assert [label.get_text() for label in ax.get_xticklabels()] == [str(date.date()) for date in dates]

    def test_many_dates_have_few_labels(self, ax):
        dates = pd.date_range("2010-01-31", periods=120, freq="ME")
        ax.plot(time_axis(dates), range(120))
        label_all_dates(ax, time_axis(dates), dates)
        ax.figure.draw_without_rendering()
        assert 3 <= len(ax.get_xticklabels()) <= 8

    @pytest.mark.parametrize("share_dates", [True, False])
    def test_two_new_axes_share_their_dates_where_they_have_the_same(self, share_dates):
        upper, lower = new_axes_pair(5.0, (3, 1), share_dates=share_dates)
        assert upper.get_shared_x_axes().joined(upper, lower) is share_dates
        plt.close(upper.figure)


class TestValidation:
    def test_two_axes_may_come_in_any_container(self):
        axes = Figure().subplots(2, 1)
        assert check_axes_pair(axes) == tuple(axes)
        assert check_axes_pair(list(axes)) == tuple(axes)
        assert check_axes_pair(Figure().subplots(1, 2, squeeze=False))[0] is not None

    @pytest.mark.parametrize("count", [1, 3])
    def test_another_number_of_axes_is_refused(self, count):
        with pytest.raises(PanelError, match=f"Got {count}. Make them with plt.subplots"):
            check_axes_pair(Figure().subplots(count))
