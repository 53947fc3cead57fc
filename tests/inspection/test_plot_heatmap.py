import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.utils._param_validation import InvalidParameterError

from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.explanation import linear_explanation
from skdrfm.inspection import RelevanceHeatmapDisplay

NAMES = ["BETA", "CAP", "SKEW"]
GROUPS = {"Risk": ["BETA", "SKEW"], "Size": ["CAP"]}


@pytest.fixture
def ax():
    return Figure().add_subplot()


@pytest.fixture
def explanation():
    """Two rows of three descriptors at the lags 3 and 0, whose inputs are 1 and -3."""
    data = np.stack([np.full((2, 3), 1.0), np.full((2, 3), -3.0)])
    return linear_explanation(data, [0.01, 0.02, 0.03, -0.04, 0.0, 0.06], descriptor_names=NAMES, lags=[3, 0])


def cells(ax):
    return np.asarray(ax.get_images()[0].get_array())


class TestReferenceValues:
    def test_absolute_relevance_is_averaged_over_rows(self, explanation):
        frame = RelevanceHeatmapDisplay.from_explanation(explanation).to_frame()
        expected = pd.DataFrame([[0.02, 0.08], [0.04, 0.0], [0.06, 0.12]], index=NAMES, columns=[3, 0])
        pd.testing.assert_frame_equal(frame, expected, check_names=False)

    def test_signed_relevance_is_averaged_over_rows(self, explanation):
        frame = RelevanceHeatmapDisplay.from_explanation(explanation, statistic="mean").to_frame()
        np.testing.assert_allclose(frame, [[-0.01, 0.04], [-0.02, 0.0], [-0.03, -0.06]])

    def test_groups_order_the_descriptors_and_keep_their_numbers(self, explanation):
        frame = RelevanceHeatmapDisplay.from_explanation(explanation, groups=GROUPS).to_frame()
        assert frame.index.tolist() == [("Risk", "BETA"), ("Risk", "SKEW"), ("Size", "CAP")]
        np.testing.assert_allclose(frame, [[0.02, 0.08], [0.06, 0.12], [0.04, 0.0]])


class TestProperties:
    def test_cells_show_the_numbers_with_the_oldest_lag_at_the_left(self, explanation, ax):
        display = RelevanceHeatmapDisplay.from_explanation(explanation)
        assert display.plot(ax) is display
        assert (display.ax_, display.figure_) == (ax, ax.figure)
        np.testing.assert_array_equal(cells(ax), display.relevance)
        assert [label.get_text() for label in ax.get_xticklabels()] == ["3", "0"]
        assert [label.get_text() for label in ax.get_yticklabels()] == NAMES
        # The first row is the top one.
        assert ax.get_ylim() == (2.5, -0.5)

    def test_absolute_colours_start_at_zero(self, explanation, ax):
        RelevanceHeatmapDisplay.from_explanation(explanation).plot(ax)
        assert ax.get_images()[0].get_clim() == pytest.approx((0.0, 0.12))

    def test_signed_colours_are_centred_at_zero(self, explanation, ax):
        RelevanceHeatmapDisplay.from_explanation(explanation, statistic="mean").plot(ax)
        image = ax.get_images()[0]
        assert image.get_clim() == pytest.approx((-0.06, 0.06))
        red, _, blue, _ = image.to_rgba(0.05)
        assert blue > red

    def test_relevances_of_zero_can_be_drawn(self, ax):
        explanation = linear_explanation(np.zeros((2, 1, 2)), [1.0, 1.0])
        RelevanceHeatmapDisplay.from_explanation(explanation, statistic="mean").plot(ax)
        ax.figure.draw_without_rendering()
        assert ax.get_images()[0].get_clim() == (-1.0, 1.0)

    def test_groups_are_separated_and_named_at_their_middle(self, explanation, ax):
        RelevanceHeatmapDisplay.from_explanation(explanation, groups=GROUPS).plot(ax)
        assert [line.get_ydata()[0] for line in ax.get_lines()] == [1.5]
        (side,) = ax.child_axes
        assert [label.get_text() for label in side.get_yticklabels()] == ["Risk", "Size"]
        assert list(side.get_yticks()) == [0.5, 2.0]

    def test_the_colour_bar_names_the_statistic_and_the_unit(self, explanation, ax):
        display = RelevanceHeatmapDisplay.from_explanation(explanation).plot(ax)
        label = display.colorbar_.ax.get_ylabel()
        assert label.startswith("Mean absolute contribution to the forecast")
        assert "units of the target" in label

    def test_the_colour_bar_can_be_left_out_and_the_colours_chosen(self, explanation, ax):
        display = RelevanceHeatmapDisplay.from_explanation(explanation).plot(ax, colorbar=False, cmap="Greens")
        assert display.colorbar_ is None
        assert ax.figure.axes == [ax]
        assert ax.get_images()[0].get_cmap().name == "Greens"

    @pytest.mark.parametrize("layout", ["constrained", None])
    def test_names_of_groups_do_not_reach_the_colour_bar(self, explanation, layout):
        ax = Figure(figsize=(8, 4), layout=layout).add_subplot()
        display = RelevanceHeatmapDisplay.from_explanation(explanation, groups=GROUPS).plot(ax)
        ax.figure.draw_without_rendering()
        (side,) = ax.child_axes
        right = max(label.get_window_extent().x1 for label in side.get_yticklabels())
        assert right < display.colorbar_.ax.get_window_extent().x0

    def test_without_axes_a_new_figure_is_made_that_grows_with_the_descriptors(self):
        def height(n):
            explanation = linear_explanation(np.ones((1, 1, n)), np.ones(n))
            figure = RelevanceHeatmapDisplay.from_explanation(explanation).plot().figure_
            plt.close(figure)
            return figure.get_figheight()

        assert height(40) > height(10) > height(1) > 2

    def test_the_frame_is_a_copy(self, explanation):
        display = RelevanceHeatmapDisplay.from_explanation(explanation)
        frame = display.to_frame()
        frame.iloc[0, 0] = 9.0
        assert display.relevance.iloc[0, 0] == pytest.approx(0.02)


class TestValidation:
    def test_an_explanation_without_rows_is_refused(self, explanation):
        with pytest.raises(PanelError, match="at least one row and one descriptor"):
            RelevanceHeatmapDisplay.from_explanation(explanation[:0])

    def test_relevances_that_are_not_finite_are_refused(self):
        with pytest.raises(NonFiniteError, match="Got 1 NaN or infinite values in 1 rows"):
            RelevanceHeatmapDisplay.from_explanation(linear_explanation([[[np.nan, 1.0]]], [1.0, 1.0]))

    def test_groups_that_do_not_fit_are_refused(self, explanation):
        with pytest.raises(PanelError, match="must be in a group. Got \\['SKEW'\\] in none"):
            RelevanceHeatmapDisplay.from_explanation(explanation, groups={"Risk": ["BETA"], "Size": ["CAP"]})

    def test_an_unknown_statistic_is_refused(self, explanation, ax):
        with pytest.raises(InvalidParameterError, match="'statistic' parameter"):
            RelevanceHeatmapDisplay.from_explanation(explanation, statistic="median")
        with pytest.raises(PanelError, match="must be one of 'mean_absolute', 'mean'. Got 'median'"):
            RelevanceHeatmapDisplay(pd.DataFrame({0: [1.0]}), statistic="median").plot(ax)

    @pytest.mark.parametrize("relevance", [pd.DataFrame(), pd.DataFrame({0: [np.nan]})])
    def test_nothing_to_draw_is_an_error(self, relevance, ax):
        with pytest.raises(PanelError, match="at least one descriptor and one lag"):
            RelevanceHeatmapDisplay(relevance).plot(ax)

    @pytest.mark.parametrize("lags", [[0, 3], [3, 3]])
    def test_lags_must_run_from_the_oldest_to_the_newest(self, lags, ax):
        with pytest.raises(PanelError, match="must be lags, the oldest first"):
            RelevanceHeatmapDisplay(pd.DataFrame([[1.0, 2.0]], columns=lags)).plot(ax)

    def test_negative_absolute_contributions_are_counted_and_refused(self, ax):
        with pytest.raises(PanelError, match="Got 2 negative values"):
            RelevanceHeatmapDisplay(pd.DataFrame({0: [-1.0, -2.0, 3.0]})).plot(ax)
