import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from skdrfm.exceptions import CoverageWarning, PanelError
from skdrfm.metrics import max_drawdown
from skdrfm.portfolio import BacktestDisplay, QuantileMeanDisplay, backtest, backtest_weights

MONTHS = pd.date_range("2018-01-31", periods=24, freq="ME")


@pytest.fixture
def pair():
    return Figure().subplots(2)


@pytest.fixture
def ax():
    return Figure().add_subplot()


def panel(dates=MONTHS, n_names=8, seed=0):
    index = pd.MultiIndex.from_product([dates, range(n_names)], names=["date", "asset"])
    predictions, returns = np.random.default_rng(seed).normal(0, 0.05, (2, len(index)))
    return pd.Series(predictions, index), pd.Series(returns, index)


def result_for(dates=MONTHS, n_quantiles=4, cost=0.002, **options):
    return backtest(*panel(dates), n_quantiles=n_quantiles, cost=cost, **options)


def weights_result():
    weights, returns = panel()
    return backtest_weights(weights, returns, cost=0.001)


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


class TestBacktestReferenceValues:
    def test_drawdown_is_the_loss_from_the_highest_wealth_of_the_net_return(self):
        result = result_for()
        frame = BacktestDisplay.from_backtest(result).to_frame()
        wealth, peak, expected = 1.0, 1.0, []
        for value in result.long_short:
            wealth *= 1 + value
            peak = max(peak, wealth)
            expected.append(wealth / peak - 1)
        np.testing.assert_allclose(frame["drawdown"], expected, atol=1e-15)
        assert frame["drawdown"].min() == pytest.approx(max_drawdown(result.long_short))
        assert min(expected) < -0.01
        pd.testing.assert_frame_equal(frame.drop(columns="drawdown"), result.cumulative())

    def test_dates_without_a_portfolio_are_flat(self):
        predictions, returns = panel()
        keep = ~((predictions.index.get_level_values("date") == MONTHS[5]) & (returns.groupby("date").cumcount() > 0))
        with pytest.warns(CoverageWarning, match="1 of 24 dates"):
            result = backtest(predictions[keep], returns[keep], n_quantiles=4)
        frame = BacktestDisplay.from_backtest(result).to_frame()
        pd.testing.assert_series_equal(frame.iloc[5], frame.iloc[4], check_names=False)


class TestBacktestProperties:
    def test_all_lines_show_the_numbers_on_the_given_axes_and_only_there(self, pair):
        display = BacktestDisplay.from_backtest(result_for())
        assert display.plot(pair) is display
        assert display.axes_ == tuple(pair)
        assert display.figure_ is pair[0].figure
        assert display.figure_.axes == list(pair)
        frame, drawn = display.to_frame(), lines(pair[0])
        np.testing.assert_array_equal(drawn["Long/short, after costs"].get_ydata(), frame["long_short"])
        np.testing.assert_array_equal(drawn["Quantile 4 (highest)"].get_ydata(), frame["quantile_4"])
        np.testing.assert_array_equal(drawn["Quantile 3"].get_ydata(), frame["quantile_3"])
        np.testing.assert_array_equal(drawn["Quantile 1 (lowest)"].get_ydata(), frame["quantile_1"])
        np.testing.assert_array_equal(pair[1].get_lines()[0].get_ydata(), frame["drawdown"])
        assert pair[1].get_ylim()[1] == 0
        assert pair[1].get_ylim()[0] <= frame["drawdown"].min()

    def test_the_legend_runs_from_the_highest_quantile_to_the_lowest(self, pair):
        BacktestDisplay.from_backtest(result_for()).plot(pair)
        names = [text.get_text() for text in pair[0].get_legend().get_texts()]
        assert names == [
            "Long/short, after costs",
            "Quantile 4 (highest)",
            "Quantile 3",
            "Quantile 2",
            "Quantile 1 (lowest)",
        ]

    def test_a_backtest_of_given_weights_has_one_line(self, pair):
        display = BacktestDisplay.from_backtest(weights_result()).plot(pair)
        assert list(display.to_frame()) == ["long_short", "drawdown"]
        assert [text.get_text() for text in pair[0].get_legend().get_texts()] == ["Portfolio, after costs"]

    @pytest.mark.parametrize(
        "dates",
        [MONTHS[:3], MONTHS[:3].to_period("M"), [202001, 202002, 202003], list("abc"), [202001]],
        ids=["datetime64", "Period", "yyyymm", "labels", "one date"],
    )
    def test_short_series_of_all_kinds_of_dates_can_be_drawn(self, pair, dates):
        BacktestDisplay.from_backtest(result_for(dates)).plot(pair)
        pair[0].figure.draw_without_rendering()
        labels = [label.get_text() for label in pair[1].get_xticklabels()]
        assert labels == [str(date)[:10] for date in dates]

    def test_a_new_figure_has_two_axes_with_the_same_dates(self):
        display = BacktestDisplay.from_backtest(result_for()).plot()
        upper, lower = display.axes_
        assert display.figure_.axes == [upper, lower]
        display.figure_.draw_without_rendering()
        assert upper.get_xlim() == lower.get_xlim()
        assert not any(label.get_visible() for label in upper.get_xticklabels())
        plt.close(display.figure_)

    def test_the_frame_is_a_copy(self):
        display = BacktestDisplay.from_backtest(result_for())
        frame = display.to_frame()
        frame.iloc[0, 0] = 9.0
        assert display.cumulative.iloc[0, 0] != 9.0


class TestBacktestValidation:
    def test_missing_columns_are_named(self, pair):
        with pytest.raises(PanelError, match="missing: long_short, drawdown"):
            BacktestDisplay(pd.DataFrame({"quantile_1": [0.1]})).plot(pair)

    def test_other_than_two_axes_are_refused(self, ax):
        with pytest.raises(PanelError, match="must be two matplotlib Axes.*Got 1"):
            BacktestDisplay.from_backtest(result_for()).plot(ax)


class TestQuantileMeanReferenceValues:
    def test_means_and_errors_are_those_of_the_returns_before_costs(self):
        result = result_for(cost=0.01)
        frame = QuantileMeanDisplay.from_backtest(result).to_frame()
        assert frame.index.tolist() == ["quantile_1", "quantile_2", "quantile_3", "quantile_4", "gross_long_short"]
        for name, returns in [
            ("quantile_2", result.quantile_returns[2]),
            ("gross_long_short", result.gross_long_short),
        ]:
            values = np.array(returns)
            assert frame.loc[name, "Mean return"] == pytest.approx(values.sum() / 24)
            error = np.sqrt(((values - values.mean()) ** 2).sum() / 23 / 24)
            assert frame.loc[name, "Standard error"] == pytest.approx(error)

    def test_bars_and_errors_show_the_numbers(self, ax):
        display = QuantileMeanDisplay.from_backtest(result_for())
        assert display.plot(ax) is display
        assert (display.ax_, display.figure_) == (ax, ax.figure)
        assert ax.figure.axes == [ax]
        frame = display.to_frame()
        np.testing.assert_array_equal([bar.get_height() for bar in ax.patches], frame["Mean return"])
        _, _, (errors,) = ax.containers[0].lines
        np.testing.assert_allclose([np.ptp(line[:, 1]) for line in errors.get_segments()], 2 * frame["Standard error"])
        ticks = [label.get_text() for label in ax.get_xticklabels()]
        assert ticks == ["1\n(lowest)", "2", "3", "4\n(highest)", "Highest\n− lowest"]


class TestQuantileMeanProperties:
    def test_the_spread_stands_apart_in_another_colour(self, ax):
        QuantileMeanDisplay.from_backtest(result_for()).plot(ax)
        colours = [bar.get_facecolor() for bar in ax.patches]
        assert len(set(colours[:-1])) == 1
        assert colours[-1] != colours[0]
        gaps = np.diff([bar.get_x() for bar in ax.patches])
        np.testing.assert_allclose(gaps, [1, 1, 1, 1.5])

    def test_one_date_is_drawn_without_errors(self, ax):
        display = QuantileMeanDisplay.from_backtest(result_for(MONTHS[:1])).plot(ax)
        ax.figure.draw_without_rendering()
        assert display.to_frame()["Standard error"].isna().all()

    def test_without_axes_a_new_figure_is_made(self):
        display = QuantileMeanDisplay.from_backtest(result_for()).plot()
        assert display.figure_.axes == [display.ax_]
        plt.close(display.figure_)

    def test_the_frame_is_a_copy(self):
        display = QuantileMeanDisplay.from_backtest(result_for())
        frame = display.to_frame()
        frame.iloc[0, 0] = 9.0
        assert display.means.iloc[0, 0] != 9.0


class TestQuantileMeanValidation:
    def test_a_backtest_of_given_weights_has_no_quantiles(self):
        with pytest.raises(PanelError, match="must have quantile portfolios"):
            QuantileMeanDisplay.from_backtest(weights_result())

    @pytest.mark.parametrize("part", [lambda means: means.iloc[:0], lambda means: means[["Mean return"]]])
    def test_incomplete_numbers_are_refused(self, part, ax):
        means = QuantileMeanDisplay.from_backtest(result_for()).to_frame()
        with pytest.raises(PanelError, match="'means' must have at least one row and the columns Mean return"):
            QuantileMeanDisplay(part(means)).plot(ax)
