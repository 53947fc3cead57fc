import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from skdrfm.exceptions import PanelError
from skdrfm.metrics import DieboldMarianoDisplay, DieboldMarianoResult, diebold_mariano


@pytest.fixture
def ax():
    return Figure().add_subplot()


def result_of(statistic, adjusted, names):
    def table(values):
        return pd.DataFrame(values, index=names, columns=names, dtype=float)

    return DieboldMarianoResult(table(statistic), table(adjusted), table(adjusted), 96, 1, "squared", 3)


@pytest.fixture
def result():
    """Three models: the second beats the first beyond doubt, the third does not quite; both forecast the same."""
    nan = np.nan
    statistic = [[nan, 4.0, 0.5], [-4.0, nan, nan], [-0.5, nan, nan]]
    adjusted = [[nan, 0.001, 0.05], [0.001, nan, nan], [0.05, nan, nan]]
    return result_of(statistic, adjusted, ["Linear", "LSTM", "Copy of LSTM"])


def texts(ax):
    return {(int(text.get_position()[1]), int(text.get_position()[0])): text for text in ax.texts}


class TestReferenceValues:
    def test_cells_show_the_statistics_and_mark_what_is_below_the_level(self, result, ax):
        DieboldMarianoDisplay(result).plot(ax)
        image = np.ma.filled(ax.get_images()[0].get_array(), np.nan)
        np.testing.assert_array_equal(image, result.statistic)
        shown = {cell: text.get_text() for cell, text in texts(ax).items()}
        assert [shown[0, j] for j in range(3)] == ["", "4.00*", "0.50"]
        assert [shown[1, j] for j in range(3)] == ["−4.00*", "", ""]
        weights = {cell: text.get_fontweight() for cell, text in texts(ax).items()}
        assert [cell for cell, weight in weights.items() if weight == "bold"] == [(0, 1), (1, 0)]

    def test_from_predictions_equals_the_comparison_itself(self):
        y_true, *predictions = np.random.default_rng(0).normal(0, 0.05, (4, 120))
        dates = np.repeat(range(12), 10)
        models = dict(zip("abc", predictions, strict=True))
        display = DieboldMarianoDisplay.from_predictions(
            y_true, models, dates=dates, loss="absolute", horizon=2, n_lags=4
        )
        expected = diebold_mariano(y_true, models, dates=dates, loss="absolute", horizon=2, n_lags=4)
        pd.testing.assert_frame_equal(display.to_frame(), expected.to_frame())
        assert (display.result.loss, display.result.horizon, display.result.n_lags) == ("absolute", 2, 4)


class TestProperties:
    def test_the_better_column_is_blue(self, result, ax):
        DieboldMarianoDisplay(result).plot(ax)
        image = ax.get_images()[0]
        low, high = image.get_clim()
        assert -low == high == 4.0
        red, _, blue, _ = image.to_rgba(2.0)
        assert blue > red

    def test_small_statistics_have_pale_colours(self, ax):
        DieboldMarianoDisplay(result_of([[np.nan, 0.3], [-0.3, np.nan]], np.full((2, 2), 0.8), ["a", "b"])).plot(ax)
        assert ax.get_images()[0].get_clim() == (-3.0, 3.0)

    def test_a_higher_level_marks_more(self, result, ax):
        DieboldMarianoDisplay(result, level=0.95).plot(ax)
        assert texts(ax)[0, 2].get_text() == "0.50*"
        assert "adjusted p < 95 %" in ax.get_title()

    def test_plot_draws_on_the_given_axes_alone_and_names_the_models(self, result, ax):
        display = DieboldMarianoDisplay(result)
        assert display.plot(ax) is display
        assert (display.ax_, display.figure_) == (ax, ax.figure)
        assert ax.figure.axes == [ax]
        names = ["Linear", "LSTM", "Copy of LSTM"]
        assert [label.get_text() for label in ax.get_xticklabels()] == names
        assert [label.get_text() for label in ax.get_yticklabels()] == names
        assert ax.get_ylim() == (2.5, -0.5)

    def test_long_names_do_not_overlap(self):
        names = [f"Model with a long name, number {i}" for i in range(7)]
        statistic = np.where(np.eye(7) > 0, np.nan, 1.0)
        display = DieboldMarianoDisplay(result_of(statistic, statistic, names)).plot()
        display.figure_.draw_without_rendering()
        labels = display.ax_.get_xticklabels()
        assert all(label.get_rotation() > 30 for label in labels)
        boxes = [label.get_window_extent() for label in display.ax_.get_yticklabels()]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
        width, height = display.figure_.bbox.size
        for label in [*labels, *display.ax_.get_yticklabels()]:
            box = label.get_window_extent()
            assert box.x0 >= 0
            assert box.y0 >= 0
            assert box.x1 <= width
            assert box.y1 <= height
        plt.close(display.figure_)

    def test_a_figure_grows_with_the_models(self):
        def height(n):
            square = np.full((n, n), 0.5)
            figure = DieboldMarianoDisplay(result_of(square, square, [str(i) for i in range(n)])).plot().figure_
            plt.close(figure)
            return figure.get_figheight()

        assert height(10) > height(6) > 3


class TestValidation:
    @pytest.mark.parametrize("level", [0.0, 1.0, 5])
    def test_a_level_that_is_no_probability_is_refused(self, result, level, ax):
        with pytest.raises(PanelError, match="'level' must be between 0 and 1"):
            DieboldMarianoDisplay(result, level=level).plot(ax)

    def test_one_model_cannot_be_compared(self):
        with pytest.raises(PanelError, match="at least 2 models"):
            DieboldMarianoDisplay.from_predictions([0.1, 0.2], {"a": [0.1, 0.1]}, dates=[1, 2])
