import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.utils._param_validation import InvalidParameterError

from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.explanation import Explanation, linear_explanation
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
    return linear_explanation(data, [[1.0, -3.0]], 0.5, index=index, descriptor_names=["BETA", "CAP"], lags=[0])


@pytest.fixture
def signed():
    return pd.DataFrame({"Risk": [0.2, -0.5, 0.1], "Value": [0.3, -0.25, -0.4]}, index=MONTHS)


def bars_of(ax):
    """Lower end and upper end of all bars of a height, by bar."""
    return [(bar.get_y(), bar.get_y() + bar.get_height()) for bar in ax.patches if bar.get_height()]


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

    def test_signed_contributions_are_means_over_the_assets_of_a_date(self, explanation):
        display = ContributionDisplay.from_explanation(explanation, {"Risk": ["BETA"], "Size": ["CAP"]}, kind="signed")
        expected = pd.DataFrame({"Risk": [2.0, 0.5], "Size": [-3.0, -1.5], "net": [-1.0, -1.0]}, index=MONTHS[:2])
        pd.testing.assert_frame_equal(display.to_frame(), expected, check_names=False, check_freq=False)

    def test_the_net_is_the_prediction_less_the_intercept_also_where_the_groups_do_not_add_up(self, explanation):
        parts = {name: getattr(explanation, name) for name in ("loadings", "data", "bias", "stabilizer", "state")}
        shifted = Explanation(**parts, predictions=explanation.predictions + 0.25, index=explanation.index)
        frame = ContributionDisplay.from_explanation(shifted, kind="signed").to_frame()
        np.testing.assert_allclose(frame["net"] - frame[["x0", "x1"]].sum(axis=1), 0.25)

    def test_without_a_net_it_is_the_sum_of_the_groups(self, signed):
        frame = ContributionDisplay(signed, kind="signed").to_frame()
        np.testing.assert_allclose(frame["net"], [0.5, -0.75, -0.3])

    def test_signed_bars_are_stacked_away_from_zero(self, signed, ax):
        ContributionDisplay(signed, kind="signed").plot(ax)
        expected = [(0.0, 0.2), (0.0, 0.1), (0.2, 0.5), (0.0, -0.5), (-0.5, -0.75), (0.0, -0.4)]
        np.testing.assert_allclose(bars_of(ax), expected, atol=1e-15)

    def test_the_line_of_signed_contributions_is_the_net(self, signed, ax):
        ContributionDisplay(signed, kind="signed", net=pd.Series([0.6, -0.7, -0.2], index=MONTHS)).plot(ax)
        np.testing.assert_allclose(ax.get_lines()[1].get_ydata(), [0.6, -0.7, -0.2])


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
        ax.figure.draw_without_rendering()
        assert len(ax.collections) == 3

    def test_bars_meet_between_dates_and_leave_a_gap_where_dates_are_missing(self, ax):
        dates = pd.DatetimeIndex(["2010-01-01", "2010-01-11", "2010-01-21", "2010-03-02"])
        ContributionDisplay(pd.DataFrame({"Risk": [0.1, 0.2, 0.3, 0.4]}, index=dates), kind="signed").plot(ax)
        left = [bar.get_x() - ax.patches[0].get_x() for bar in ax.patches[:4]]
        width = [bar.get_width() for bar in ax.patches[:4]]
        np.testing.assert_allclose(left, [0, 10, 20, 58.75])
        np.testing.assert_allclose(width, [10, 10, 11.25, 12.5])

    def test_all_of_the_signed_bars_and_of_the_line_is_inside_the_axes(self, signed, ax):
        ContributionDisplay(signed, kind="signed", net=pd.Series([0.0, 0.0, 0.9], index=MONTHS)).plot(ax)
        low, high = ax.get_ylim()
        assert low < -0.75
        assert high > 0.9

    @pytest.mark.parametrize("dates", [["first", "second", "third"], [1.0, 2.0, 3.0], [201001, 201002, 201003]])
    @pytest.mark.parametrize("kind", ["share", "signed"])
    def test_labels_that_are_no_timestamps_can_be_drawn(self, shares, ax, dates, kind):
        ContributionDisplay(shares.set_axis(dates), kind=kind).plot(ax)
        ax.figure.draw_without_rendering()
        assert len(ax.collections if kind == "share" else ax.containers) == {"share": 3, "signed": 6}[kind]

    def test_a_single_date_of_signed_contributions_is_a_bar_with_a_point(self, signed, ax):
        ContributionDisplay(signed.iloc[2:], kind="signed").plot(ax)
        np.testing.assert_allclose(bars_of(ax), [(0.0, 0.1), (0.0, -0.4)])
        assert ax.get_lines()[1].get_marker() == "o"
        assert [label.get_text() for label in ax.get_xticklabels()] == ["2010-03-31"]

    def test_a_blank_date_of_signed_contributions_has_no_net(self, signed, ax):
        signed.iloc[1] = np.nan
        display = ContributionDisplay(signed, kind="signed").plot(ax)
        ax.figure.draw_without_rendering()
        assert display.to_frame()["net"].isna().tolist() == [False, True, False]

    def test_the_legend_of_signed_contributions_starts_with_the_net(self, signed, ax):
        ContributionDisplay(signed, kind="signed").plot(ax)
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Net of all groups", "Value", "Risk"]

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

    def test_an_explanation_without_rows_is_refused(self, explanation):
        with pytest.raises(PanelError, match="at least one row and one descriptor"):
            ContributionDisplay.from_explanation(explanation[:0])

    def test_relevances_that_are_not_finite_are_counted_and_named(self, explanation):
        data = explanation.data.copy()
        data[1:3, 0, 1] = np.nan, np.inf
        broken = linear_explanation(
            data, [[1.0, -3.0]], index=explanation.index, descriptor_names=["BETA", "CAP"], lags=[0]
        )
        with pytest.raises(NonFiniteError, match=r"Got 2 NaN or infinite values in 2 rows \(descriptors: CAP\)"):
            ContributionDisplay.from_explanation(broken)

    def test_predictions_that_are_not_finite_are_refused(self, explanation):
        parts = {name: getattr(explanation, name) for name in ("loadings", "data", "bias", "stabilizer", "state")}
        broken = Explanation(**parts, predictions=np.array([0.0, np.nan, 0.0, 0.0]), index=explanation.index)
        with pytest.raises(NonFiniteError, match="predictions of the explanation"):
            ContributionDisplay.from_explanation(broken, kind="signed")

    def test_rows_without_a_date_are_counted_and_refused(self):
        index = pd.MultiIndex.from_arrays([[MONTHS[0], pd.NaT], ["A", "B"]], names=["date", "asset"])
        with pytest.raises(PanelError, match="Got 1 rows without one"):
            ContributionDisplay.from_explanation(linear_explanation(np.ones((2, 1, 1)), [[1.0]], index=index))

    def test_an_unknown_kind_is_refused(self, explanation, shares, ax):
        with pytest.raises(InvalidParameterError, match="'kind' parameter of ContributionDisplay.from_explanation"):
            ContributionDisplay.from_explanation(explanation, kind="absolute")
        with pytest.raises(PanelError, match="must be one of 'share', 'signed'. Got 'absolute'"):
            ContributionDisplay(shares, kind="absolute").plot(ax)

    def test_a_net_of_other_dates_is_refused(self, signed, ax):
        display = ContributionDisplay(signed, kind="signed", net=pd.Series([0.1], index=MONTHS[:1]))
        with pytest.raises(PanelError, match="Got 1 dates for 3"):
            display.plot(ax)
        with pytest.raises(PanelError, match="Got 1 dates for 3"):
            display.to_frame()

    def test_a_group_with_the_name_of_the_line_is_refused(self, signed, ax):
        with pytest.raises(PanelError, match="must not be named 'net'"):
            ContributionDisplay(signed.rename(columns={"Risk": "net"}), kind="signed").plot(ax)

    def test_signed_contributions_out_of_order_are_refused(self, signed, ax):
        with pytest.raises(PanelError, match="in the order of their dates"):
            ContributionDisplay(signed.iloc[::-1], kind="signed").plot(ax)
