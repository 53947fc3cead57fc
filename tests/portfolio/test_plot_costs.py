import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from skdrfm.exceptions import PanelError
from skdrfm.portfolio import CostSensitivityDisplay, backtest

MONTHS = pd.date_range("2018-01-31", periods=24, freq="ME")


@pytest.fixture
def pair():
    return Figure().subplots(2)


def panel(dates=MONTHS, n_names=8, skill=0.3, seed=0):
    index = pd.MultiIndex.from_product([dates, range(n_names)], names=["date", "asset"])
    predictions, noise = np.random.default_rng(seed).normal(0, 0.05, (2, len(index)))
    return pd.Series(predictions, index), pd.Series(skill * predictions + noise, index)


def result_for(dates=MONTHS, skill=0.3, **options):
    return backtest(*panel(dates, skill=skill), n_quantiles=4, **options)


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


class TestReferenceValues:
    @pytest.mark.parametrize("own", [0.0, 0.003])
    def test_each_cost_gives_the_figures_of_a_backtest_with_that_cost(self, own):
        costs = [0.0, 0.001, 0.02]
        frame = CostSensitivityDisplay.from_backtest(result_for(cost=own, borrow_fee=0.02), costs).to_frame()
        assert frame.index.tolist() == costs
        for cost in costs:
            summary = result_for(cost=cost, borrow_fee=0.02).summary()
            assert frame.loc[cost, "Return"] == pytest.approx(summary["Return"], rel=1e-9)
            assert frame.loc[cost, "Sharpe ratio"] == pytest.approx(summary["Sharpe ratio"], rel=1e-9)

    def test_nothing_is_left_at_the_break_even_cost(self):
        result = result_for(borrow_fee=0.02)
        display = CostSensitivityDisplay.from_backtest(result)
        assert display.break_even > 0
        assert display.break_even == pytest.approx(result.summary()["Break-even cost"])
        charged = result_for(borrow_fee=0.02, cost=display.break_even)
        assert charged.long_short.mean() == pytest.approx(0, abs=1e-15)

    def test_costs_reach_beyond_the_break_even_cost_unless_that_is_beyond_use(self):
        display = CostSensitivityDisplay.from_backtest(result_for())
        costs = display.to_frame().index
        assert costs[0] == 0
        assert costs[-1] == pytest.approx(1.5 * display.break_even)
        high = CostSensitivityDisplay.from_backtest(result_for(skill=9.0))
        assert high.break_even > 0.05
        assert high.to_frame().index[-1] == 0.05
        negative = CostSensitivityDisplay.from_backtest(result_for(skill=-0.3))
        assert negative.break_even < 0
        assert negative.to_frame().index[-1] == 0.01


class TestProperties:
    def test_lines_show_the_numbers_on_the_given_axes(self, pair):
        display = CostSensitivityDisplay.from_backtest(result_for(cost=0.002))
        assert display.plot(pair) is display
        assert display.axes_ == tuple(pair)
        assert display.figure_ is pair[0].figure
        # The scale of the Sharpe ratio lies on the lower axes and nowhere else.
        assert display.figure_.axes == [*pair, display.sharpe_ax_]
        assert display.sharpe_ax_.get_position().bounds == pair[1].get_position().bounds
        frame = display.to_frame()
        np.testing.assert_array_equal(pair[0].get_lines()[0].get_ydata(), display.turnover)
        np.testing.assert_array_equal(pair[1].get_lines()[0].get_xdata(), frame.index)
        np.testing.assert_array_equal(pair[1].get_lines()[0].get_ydata(), frame["Return"])
        np.testing.assert_array_equal(display.sharpe_ax_.get_lines()[0].get_ydata(), frame["Sharpe ratio"])

    def test_break_even_and_own_cost_are_marked(self, pair):
        display = CostSensitivityDisplay.from_backtest(result_for(cost=0.002)).plot(pair)
        marks = {line.get_label(): line.get_xdata()[0] for line in pair[1].get_lines()}
        assert marks["Break-even cost"] == display.break_even
        assert marks["Cost of the backtest: 0.200 %"] == 0.002
        assert pair[1].get_title().endswith(f"(break-even {100 * display.break_even:.3f} %)")
        assert labels(display.sharpe_ax_) == [
            "Return (left)",
            "Sharpe ratio (right)",
            "Break-even cost",
            "Cost of the backtest: 0.200 %",
        ]

    def test_costs_by_asset_are_not_marked(self, pair):
        result = result_for(cost=pd.Series(0.002, index=range(8)))
        display = CostSensitivityDisplay.from_backtest(result, [0.0, 0.002]).plot(pair)
        assert display.to_frame()["Return"].iloc[1] == pytest.approx(12 * result.long_short.mean())
        assert not [label for label in labels(display.sharpe_ax_) if label.startswith("Cost of")]

    @pytest.mark.parametrize("skill", [0.3, 100.0, -0.3])
    def test_both_scales_have_their_zero_at_one_height_and_the_legend_hides_no_line(self, skill):
        display = CostSensitivityDisplay.from_backtest(result_for(skill=skill)).plot()
        lower, twin = display.axes_[1], display.sharpe_ax_
        display.figure_.draw_without_rendering()
        zero = lower.transData.transform((0, 0))[1]
        assert twin.transData.transform((0, 0))[1] == pytest.approx(zero)
        box = twin.get_legend().get_window_extent()
        for line, ax in ((lower.get_lines()[0], lower), (twin.get_lines()[0], twin)):
            points = ax.transData.transform(line.get_xydata())
            assert not any(box.contains(*point) for point in points)
        plt.close(display.figure_)

    def test_one_date_has_no_sharpe_ratio_and_no_scale_for_it(self, pair):
        display = CostSensitivityDisplay.from_backtest(result_for(MONTHS[:1])).plot(pair)
        assert display.sharpe_ax_ is None
        assert display.figure_.axes == list(pair)
        assert "Sharpe ratio (right)" not in labels(pair[1])

    def test_a_portfolio_that_never_trades_has_no_break_even_cost(self, pair):
        predictions, returns = panel()
        result = backtest(predictions * 0, returns, n_quantiles=4)
        display = CostSensitivityDisplay.from_backtest(result).plot(pair)
        pair[0].figure.draw_without_rendering()
        assert np.isnan(display.break_even)
        assert (display.to_frame()["Return"] == 0).all()
        assert pair[1].get_title() == "Net return by cost of trading"

    @pytest.mark.parametrize("dates", [MONTHS[:3].to_period("M"), [202001, 202002, 202003], list("abc")])
    def test_all_kinds_of_dates_can_be_drawn(self, pair, dates):
        CostSensitivityDisplay.from_backtest(result_for(dates)).plot(pair)
        pair[0].figure.draw_without_rendering()
        assert [label.get_text() for label in pair[0].get_xticklabels()] == [str(date) for date in dates]

    def test_a_single_cost_is_a_point(self, pair):
        CostSensitivityDisplay.from_backtest(result_for(), [0.001]).plot(pair)
        assert pair[1].get_lines()[0].get_marker() == "o"

    def test_costs_are_drawn_in_increasing_order(self):
        frame = CostSensitivityDisplay.from_backtest(result_for(), [0.01, 0.0]).to_frame()
        assert frame.index.tolist() == [0.0, 0.01]
        assert frame["Return"].is_monotonic_decreasing

    def test_without_axes_a_new_figure_is_made(self):
        display = CostSensitivityDisplay.from_backtest(result_for()).plot()
        assert display.figure_.axes == [*display.axes_, display.sharpe_ax_]
        plt.close(display.figure_)

    def test_the_frame_is_a_copy(self):
        display = CostSensitivityDisplay.from_backtest(result_for())
        frame = display.to_frame()
        frame.iloc[0, 0] = 9.0
        assert display.sensitivity.iloc[0, 0] != 9.0


class TestValidation:
    @pytest.mark.parametrize("costs", [[], [-0.001], [np.nan], [np.inf], [[0.0, 0.001]], 0.001])
    def test_costs_that_are_no_list_of_numbers_of_at_least_zero_are_refused(self, costs):
        with pytest.raises(PanelError, match="'costs' must be a list of finite numbers of at least 0"):
            CostSensitivityDisplay.from_backtest(result_for(), costs)

    def test_costs_that_are_no_numbers_are_refused(self):
        with pytest.raises(PanelError, match="'costs' must be numbers"):
            CostSensitivityDisplay.from_backtest(result_for(), ["low", "high"])

    def test_nothing_to_draw_is_an_error(self, pair):
        display = CostSensitivityDisplay.from_backtest(result_for())
        empty = CostSensitivityDisplay(display.sensitivity.iloc[:0], display.turnover, break_even=0.01)
        with pytest.raises(PanelError, match="Got 0 costs and 24 dates"):
            empty.plot(pair)
