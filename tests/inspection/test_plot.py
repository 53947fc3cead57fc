import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from skdrfm.exceptions import PanelError
from skdrfm.explanation import linear_explanation
from skdrfm.inspection import ContributionDisplay

MONTHS = pd.date_range("2010-01", periods=3, freq="ME")


@pytest.fixture
def shares():
    return pd.DataFrame({"Risk": [0.2, 0.5, 0.1], "Value": [0.3, 0.25, 0.4], "Size": [0.5, 0.25, 0.5]}, index=MONTHS)


@pytest.fixture
def ax():
    return Figure().add_subplot()


@pytest.fixture
def explanation():
    """Two assets on two dates; the descriptors have coefficients 1 and -3."""
    index = pd.MultiIndex.from_product([MONTHS[:2], ["A", "B"]], names=["date", "asset"])
    data = np.array([[1.0, 1.0], [3.0, 1.0], [1.0, 0.0], [0.0, 1.0]])[:, None, :]
    return linear_explanation(data, [[1.0, -3.0]], index=index, descriptor_names=["BETA", "CAP"], lags=[0])


def upper_edges(ax):
    """Highest vertical position of each area at each horizontal one."""
    return [pd.DataFrame(area.get_paths()[0].vertices).groupby(0)[1].max().to_numpy() for area in ax.collections]


class TestReferenceValues:
    def test_areas_are_stacked_in_the_order_of_the_groups(self, shares, ax):
        ContributionDisplay(shares).plot(ax)
        np.testing.assert_allclose(upper_edges(ax), shares.cumsum(axis=1).T)

    def test_shares_of_an_explanation_are_means_over_the_assets_of_a_date(self, explanation):
        display = ContributionDisplay.from_explanation(explanation, {"Risk": ["BETA"], "Size": ["CAP"]})
        expected = pd.DataFrame({"Risk": [(0.25 + 0.5) / 2, 0.5], "Size": [(0.75 + 0.5) / 2, 0.5]}, index=MONTHS[:2])
        pd.testing.assert_frame_equal(display.to_frame(), expected, check_names=False, check_freq=False)

    def test_without_groups_each_descriptor_is_a_group(self, explanation):
        assert list(ContributionDisplay.from_explanation(explanation).shares.columns) == ["BETA", "CAP"]


class TestProperties:
    def test_plot_draws_on_the_given_axes_and_returns_the_display(self, shares, ax):
        display = ContributionDisplay(shares)
        assert display.plot(ax) is display
        assert display.ax_ is ax
        assert display.figure_ is ax.figure
        assert len(ax.collections) == 3

    def test_without_axes_a_new_figure_is_made(self, shares):
        import matplotlib.pyplot as plt

        display = ContributionDisplay(shares).plot()
        assert len(display.figure_.axes) == 1
        plt.close(display.figure_)

    def test_the_legend_names_the_groups_from_top_to_bottom(self, shares, ax):
        ContributionDisplay(shares).plot(ax)
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Size", "Value", "Risk"]

    def test_the_legend_can_be_left_out(self, shares, ax):
        ContributionDisplay(shares).plot(ax, legend=False)
        assert ax.get_legend() is None

    def test_the_vertical_axis_is_in_percent(self, shares, ax):
        ContributionDisplay(shares).plot(ax)
        assert ax.get_ylim() == (0, 1)
        assert ax.yaxis.get_major_formatter()(0.5) == "50%"

    def test_a_single_date_becomes_a_bar(self, shares, ax):
        ContributionDisplay(shares.iloc[:1]).plot(ax)
        assert [bar.get_height() for bar in ax.patches] == pytest.approx([0.2, 0.3, 0.5])
        assert [bar.get_y() for bar in ax.patches] == pytest.approx([0, 0.2, 0.5])

    def test_more_groups_than_colours_differ_by_hatching(self, ax):
        shares = pd.DataFrame(np.full((2, 9), 1 / 9), index=MONTHS[:2], columns=[f"g{i}" for i in range(9)])
        ContributionDisplay(shares).plot(ax)
        looks = [(tuple(area.get_facecolor()[0]), area.get_hatch()) for area in ax.collections]
        assert len(set(looks)) == 9

    def test_dates_without_a_portfolio_are_blank(self, shares, ax):
        shares.iloc[1] = np.nan
        ContributionDisplay(shares).plot(ax)
        ax.figure.canvas.draw()
        assert len(ax.collections) == 3

    def test_the_frame_is_a_copy(self, shares):
        display = ContributionDisplay(shares)
        frame = display.to_frame()
        frame.iloc[0, 0] = 9.0
        assert display.shares.iloc[0, 0] == 0.2


class TestValidation:
    def test_an_explanation_without_dates_is_refused(self):
        explanation = linear_explanation(np.ones((2, 1, 1)), [[1.0]])
        with pytest.raises(PanelError, match="rows without dates"):
            ContributionDisplay.from_explanation(explanation)

    @pytest.mark.parametrize(
        "shares", [pd.DataFrame(), pd.DataFrame({"Risk": [np.nan]}), pd.DataFrame({"Risk": [1.0]}).iloc[:0]]
    )
    def test_nothing_to_draw_is_an_error(self, shares, ax):
        with pytest.raises(PanelError, match="at least one date and one group"):
            ContributionDisplay(shares).plot(ax)

    def test_negative_shares_are_counted_and_refused(self, shares, ax):
        shares.iloc[0, :2] = -0.1
        with pytest.raises(PanelError, match="Got 2 negative values"):
            ContributionDisplay(shares).plot(ax)
