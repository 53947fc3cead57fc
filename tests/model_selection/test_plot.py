import numpy as np
import pandas as pd
import pytest
from matplotlib.dates import date2num
from matplotlib.figure import Figure

from skdrfm.exceptions import PanelError
from skdrfm.model_selection import WalkForwardSplit, WindowPlanDisplay


@pytest.fixture
def ax():
    return Figure().add_subplot()


def panel(dates):
    index = pd.MultiIndex.from_product([dates, ["A", "B"]], names=["date", "asset"])
    return pd.DataFrame({"x": 0.0}, index=index)


def plan(dates, train_size=3, test_size=1, **options):
    return WindowPlanDisplay.from_splitter(WalkForwardSplit(train_size, test_size, **options), panel(dates))


def spans(ax, part):
    """Left and right end of each bar of a part."""
    bars = ax.containers[{"train": 0, "test": 1}[part]]
    return np.array([(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars])


class TestReferenceValues:
    def test_bars_reach_until_the_last_forward_return_is_known(self, ax):
        plan(np.arange(10, 15)).plot(ax)
        assert spans(ax, "train").tolist() == [[10, 13], [11, 14]]
        assert spans(ax, "test").tolist() == [[13, 14], [14, 15]]

    def test_gap_is_left_blank(self, ax):
        plan(np.arange(10, 15), gap=1).plot(ax)
        assert spans(ax, "train").tolist() == [[10, 13]]
        assert spans(ax, "test").tolist() == [[14, 15]]

    def test_windows_of_one_training_date_have_a_width(self, ax):
        plan([1, 2, 3], train_size=1).plot(ax)
        assert spans(ax, "train").tolist() == [[1, 2], [2, 3]]

    def test_embargo_is_left_blank_after_the_gap(self, ax):
        plan(np.arange(10, 17), gap=1, embargo=2).plot(ax)
        assert spans(ax, "train").tolist() == [[10, 13]]
        assert spans(ax, "test").tolist() == [[16, 17]]

    def test_the_gap_of_windows_of_one_training_date_is_left_blank(self, ax):
        plan(np.arange(1, 6), train_size=1, gap=1).plot(ax)
        assert spans(ax, "train").tolist() == [[1, 2], [2, 3], [3, 4]]
        assert spans(ax, "test").tolist() == [[3, 4], [4, 5], [5, 6]]

    def test_the_gap_after_a_first_training_window_of_one_date_is_left_blank(self, ax):
        plan(np.arange(1, 6), train_size=1, gap=1, expanding=True).plot(ax)
        assert spans(ax, "train").tolist() == [[1, 2], [1, 3], [1, 4]]
        assert spans(ax, "test").tolist() == [[3, 4], [4, 5], [5, 6]]

    def test_steps_between_windows_of_one_date_are_no_part_of_them(self, ax):
        plan(np.arange(1, 8), train_size=1, step=3).plot(ax)
        assert spans(ax, "train").tolist() == [[1, 2], [4, 5]]
        assert spans(ax, "test").tolist() == [[2, 3], [5, 6]]

    def test_training_meets_the_test_date_whatever_the_length_of_the_months(self, ax):
        plan(pd.period_range("2010-01", periods=15, freq="M"), train_size=2, test_size=2).plot(ax)
        assert (spans(ax, "train")[:, 1] == spans(ax, "test")[:, 0]).all()

    def test_a_missing_year_does_not_stretch_the_last_period(self, ax):
        plan([*range(1, 4), *range(15, 19)]).plot(ax)
        assert spans(ax, "train").tolist() == [[1, 4], [2, 16], [3, 17], [15, 18]]

    def test_months_are_drawn_as_dates(self, ax):
        months = pd.date_range("2010-01", periods=5, freq="ME")
        plan(months).plot(ax)
        assert spans(ax, "train")[0, 0] == date2num(months[0])
        assert spans(ax, "test")[0, 0] == date2num(months[3])

    @pytest.mark.parametrize(
        "dates",
        [
            pd.period_range("2010-01", periods=5, freq="M"),
            ["2010-01-31", "2010-02-28", "2010-03-31", "2010-04-30", "2010-05-31"],
            [201001, 201002, 201003, 201004, 201005],
        ],
    )
    def test_every_kind_of_date_can_be_drawn(self, ax, dates):
        plan(dates).plot(ax)
        assert len(spans(ax, "train")) == 2
        assert (np.diff(spans(ax, "test")) > 0).all()

    def test_labels_that_are_no_dates_are_drawn_by_their_order(self, ax):
        plan(list("abcde")).plot(ax)
        assert spans(ax, "train").tolist() == [[0, 3], [1, 4]]


class TestProperties:
    def test_plot_draws_on_the_given_axes_and_returns_the_display(self, ax):
        display = plan([1, 2, 3, 4, 5])
        assert display.plot(ax) is display
        assert display.ax_ is ax
        assert display.figure_ is ax.figure

    def test_without_axes_a_new_figure_is_made(self):
        import matplotlib.pyplot as plt

        display = plan([1, 2, 3, 4, 5]).plot()
        assert len(display.figure_.axes) == 1
        plt.close(display.figure_)

    def test_the_first_window_is_on_top(self, ax):
        plan(range(9)).plot(ax)
        low, high = ax.get_ylim()
        assert low > 6 > 1 > high
        assert [bar.get_y() + bar.get_height() / 2 for bar in ax.containers[0]] == pytest.approx([1, 2, 3, 4, 5, 6])

    def test_of_thousands_of_windows_the_first_the_last_and_some_between_are_drawn(self, ax):
        first = np.arange(5000)
        windows = pd.DataFrame(
            {
                "train_start": first,
                "train_end": first + 2,
                "train_dates": 3,
                "test_start": first + 3,
                "test_end": first + 3,
            }
        )
        display = WindowPlanDisplay(windows, max_windows=50).plot(ax)
        drawn = spans(ax, "train")
        assert len(drawn) == 50
        assert drawn[0, 0] == 0
        assert drawn[-1, 0] == 4999
        assert "50 of 5000" in ax.get_title()
        assert len(display.to_frame()) == 5000

    @pytest.mark.parametrize(("n_windows", "ticks"), [(1, [1]), (3, [1, 2, 3]), (660, [1, *range(100, 601, 100)])])
    def test_windows_are_numbered_from_one_with_whole_numbers(self, ax, n_windows, ticks):
        plan(np.arange(n_windows + 3)).plot(ax)
        assert ax.get_yticks().tolist() == ticks

    def test_tests_narrower_than_a_pixel_stay_in_sight(self, ax):
        plan(np.arange(720), train_size=60).plot(ax)
        train, test = (container[0].get_linewidth() for container in ax.containers)
        assert train == 0
        assert test > 1

    def test_training_and_test_are_named_beside_the_axes(self, ax):
        plan([1, 2, 3, 4]).plot(ax)
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Training", "Test"]

    def test_the_frame_is_a_copy(self):
        display = plan([1, 2, 3, 4])
        frame = display.to_frame()
        frame.iloc[0, 0] = 9
        assert display.windows["train_start"].tolist() == [1]


class TestValidation:
    def test_missing_columns_are_named(self, ax):
        windows = plan([1, 2, 3, 4]).to_frame().drop(columns=["test_end", "train_dates"])
        with pytest.raises(PanelError, match="missing: test_end, train_dates"):
            WindowPlanDisplay(windows).plot(ax)

    def test_no_window_is_an_error(self, ax):
        with pytest.raises(PanelError, match="0 rows"):
            WindowPlanDisplay(plan([1, 2, 3, 4]).to_frame().iloc[:0]).plot(ax)
