import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy.stats import pearsonr, spearmanr
from sklearn.utils._param_validation import InvalidParameterError

from skdrfm.exceptions import CoverageWarning, PanelError
from skdrfm.metrics import InformationCoefficientDisplay, newey_west_t

MONTHS = pd.date_range("2018-01-31", periods=30, freq="ME")


@pytest.fixture
def ax():
    return Figure().add_subplot()


def forecasts(dates=MONTHS, n_names=8, seed=0):
    index = pd.MultiIndex.from_product([dates, range(n_names)], names=["date", "asset"])
    y_true, y_pred = np.random.default_rng(seed).normal(0, 0.05, (2, len(index)))
    return pd.Series(y_true, index), pd.Series(y_pred, index)


def line(ax, start):
    (found,) = [line for line in ax.get_lines() if str(line.get_label()).startswith(start)]
    return found


class TestReferenceValues:
    @pytest.mark.parametrize(("rank", "correlation"), [(True, spearmanr), (False, pearsonr)])
    def test_coefficients_and_their_mean_over_the_last_dates_equal_those_of_scipy(self, rank, correlation):
        y_true, y_pred = forecasts()
        frame = InformationCoefficientDisplay.from_predictions(y_true, y_pred, rank=rank, window=5).to_frame()
        expected = [correlation(y_true[date], y_pred[date]).statistic for date in MONTHS]
        np.testing.assert_allclose(frame["information_coefficient"], expected, rtol=1e-12)
        assert frame["rolling_mean"].isna().tolist() == [True] * 4 + [False] * 26
        for i in range(4, 30):
            assert frame["rolling_mean"].iloc[i] == pytest.approx(np.mean(expected[i - 4 : i + 1]), rel=1e-10)

    def test_dates_without_a_coefficient_take_no_place_among_the_last_dates(self):
        ic = pd.Series([0.1, np.nan, 0.3, 0.5], index=[1, 2, 3, 4])
        rolling = InformationCoefficientDisplay(ic, window=2).to_frame()["rolling_mean"]
        np.testing.assert_allclose(rolling, [np.nan, np.nan, 0.2, 0.4])

    def test_mean_and_its_t_statistic_are_in_the_legend(self, ax):
        y_true, y_pred = forecasts()
        display = InformationCoefficientDisplay.from_predictions(y_true, -y_pred).plot(ax)
        ic = display.to_frame()["information_coefficient"]
        texts = [text.get_text() for text in ax.get_legend().get_texts()]
        assert texts[:2] == ["Rank IC by date", "Mean of the last 12 dates"]
        assert texts[2] == f"Mean of all: −{-ic.mean():.3f} (Newey-West t −{-newey_west_t(ic):.2f})"
        assert line(ax, "Mean of all").get_ydata()[0] == pytest.approx(ic.mean())


class TestProperties:
    def test_later_dates_change_no_earlier_number(self):
        y_true, y_pred = forecasts()
        whole = InformationCoefficientDisplay.from_predictions(y_true, y_pred).to_frame()
        early = y_true.index.get_level_values("date") <= MONTHS[19]
        part = InformationCoefficientDisplay.from_predictions(y_true[early], y_pred[early]).to_frame()
        pd.testing.assert_frame_equal(part, whole.iloc[:20], check_exact=True)

    def test_bars_and_line_show_the_numbers(self, ax):
        display = InformationCoefficientDisplay.from_predictions(*forecasts())
        assert display.plot(ax) is display
        assert (display.ax_, display.figure_) == (ax, ax.figure)
        assert ax.figure.axes == [ax]
        frame = display.to_frame()
        np.testing.assert_array_equal([bar.get_height() for bar in ax.patches], frame["information_coefficient"])
        np.testing.assert_array_equal(line(ax, "Mean of the last").get_ydata(), frame["rolling_mean"])

    def test_the_title_and_the_axis_say_whether_ranks_were_correlated(self, ax):
        InformationCoefficientDisplay.from_predictions(*forecasts(), rank=False).plot(ax)
        assert ax.get_title() == "IC of each date"
        assert ax.get_ylabel().startswith("IC")

    def test_bars_meet_between_months_and_leave_missing_months_blank(self, ax):
        ic = pd.Series(0.1, index=MONTHS).drop(MONTHS[10:15])
        InformationCoefficientDisplay(ic).plot(ax)
        left = np.array([bar.get_x() for bar in ax.patches])
        right = left + [bar.get_width() for bar in ax.patches]
        blank = left[1:] - right[:-1]
        assert blank[9] > 100
        assert np.abs(np.delete(blank, 9)).max() < 3

    @pytest.mark.parametrize(
        "dates",
        [MONTHS[:3], MONTHS[:3].to_period("M"), [202001, 202002, 202003], list("abc"), [7]],
        ids=["datetime64", "Period", "yyyymm", "labels", "one date"],
    )
    def test_short_series_of_all_kinds_of_dates_are_labelled_one_by_one(self, ax, dates):
        InformationCoefficientDisplay.from_predictions(*forecasts(dates), window=2).plot(ax)
        ax.figure.draw_without_rendering()
        labels = [label.get_text() for label in ax.get_xticklabels()]
        assert labels == [str(date)[:10] for date in dates]

    def test_a_single_rolling_mean_is_a_point(self, ax):
        InformationCoefficientDisplay(pd.Series([0.1, 0.2]), window=2).plot(ax)
        assert line(ax, "Mean of the last").get_marker() == "o"

    def test_the_legend_stands_above_the_bars(self):
        ax = Figure(figsize=(8, 4.5), layout="constrained").add_subplot()
        InformationCoefficientDisplay.from_predictions(*forecasts()).plot(ax)
        ax.figure.draw_without_rendering()
        legend = ax.get_legend().get_window_extent()
        assert legend.y0 > max(bar.get_window_extent().y1 for bar in ax.patches)
        assert legend.width < ax.get_window_extent().width

    def test_dates_can_be_passed_beside_arrays(self):
        y_true, y_pred = forecasts()
        dates = y_true.index.get_level_values("date")
        beside = InformationCoefficientDisplay.from_predictions(y_true.to_numpy(), y_pred.to_numpy(), dates=dates)
        expected = InformationCoefficientDisplay.from_predictions(y_true, y_pred).to_frame()
        pd.testing.assert_frame_equal(beside.to_frame(), expected)

    def test_without_axes_a_new_figure_is_made(self):
        display = InformationCoefficientDisplay.from_predictions(*forecasts()).plot()
        assert display.figure_.axes == [display.ax_]
        plt.close(display.figure_)

    def test_the_frame_is_a_copy(self):
        display = InformationCoefficientDisplay(pd.Series([0.1, 0.2]), window=2)
        frame = display.to_frame()
        frame.iloc[0, 0] = 9.0
        assert display.ic.iloc[0] == 0.1


class TestValidation:
    def test_dates_without_a_coefficient_are_counted_in_a_warning(self):
        y_true, y_pred = forecasts()
        y_pred[MONTHS[3]] = 0.0
        with pytest.warns(CoverageWarning, match="does not exist on 1 of 30 dates"):
            display = InformationCoefficientDisplay.from_predictions(y_true, y_pred)
        assert np.isnan(display.to_frame().iloc[3]).all()

    def test_coefficients_of_zero_alone_leave_room_to_draw(self, ax):
        InformationCoefficientDisplay(pd.Series([0.0, 0.0], index=[1, 2]), window=2).plot(ax)
        low, high = ax.get_ylim()
        assert low < 0 < high

    @pytest.mark.parametrize("window", [0, -1, 2.5, None])
    def test_a_window_that_is_no_number_of_dates_is_refused(self, window, ax):
        display = InformationCoefficientDisplay(pd.Series([0.1, 0.2], index=[1, 2]), window=window)
        for method in (display.to_frame, lambda: display.plot(ax)):
            with pytest.raises(PanelError, match="'window' must be a whole number of dates, at least 1. Got"):
                method()

    def test_no_coefficient_at_all_is_an_error(self, ax):
        with pytest.raises(PanelError, match="Got none on 2 dates"):
            InformationCoefficientDisplay(pd.Series([np.nan, np.nan])).plot(ax)

    @pytest.mark.parametrize("options", [{"window": 0}, {"window": 2.5}, {"rank": "yes"}])
    def test_parameters_out_of_range_are_refused(self, options):
        with pytest.raises(InvalidParameterError, match=next(iter(options))):
            InformationCoefficientDisplay.from_predictions(*forecasts(), **options)
