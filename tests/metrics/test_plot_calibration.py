import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from sklearn.utils._param_validation import InvalidParameterError

from skdrfm.exceptions import CoverageWarning, PanelError
from skdrfm.metrics import ForecastCalibrationDisplay

MONTHS = pd.date_range("2018-01-31", periods=24, freq="ME")


@pytest.fixture
def ax():
    return Figure().add_subplot()


def forecasts(dates=MONTHS, n_names=20, seed=0):
    index = pd.MultiIndex.from_product([dates, range(n_names)], names=["date", "asset"])
    y_true, y_pred = np.random.default_rng(seed).normal(0, 0.05, (2, len(index)))
    return pd.Series(y_true, index), pd.Series(y_pred, index)


class TestReferenceValues:
    def test_bins_equal_deciles_that_are_cut_by_hand(self):
        y_true, y_pred = forecasts()
        rows = pd.DataFrame({"true": y_true, "pred": y_pred})
        rows["bin"] = rows.groupby("date")["pred"].rank().sub(1).floordiv(2).astype(int) + 1
        by_date = rows.groupby(["bin", "date"]).mean()
        expected = pd.DataFrame(
            {
                "mean_forecast": by_date["pred"].groupby("bin").mean(),
                "mean_return": by_date["true"].groupby("bin").mean(),
                "standard_error": by_date["true"].groupby("bin").std() / np.sqrt(24),
                "n_dates": 24,
            }
        )
        frame = ForecastCalibrationDisplay.from_predictions(y_true, y_pred).to_frame()
        pd.testing.assert_frame_equal(frame, expected, check_index_type=False)

    def test_names_with_equal_forecasts_share_the_bins_that_they_stand_in(self):
        # Slots of the four names: the two in the middle share one of each bin.
        frame = ForecastCalibrationDisplay.from_predictions(
            [0.04, 0.01, 0.03, 0.08], [0.1, 0.2, 0.2, 0.3], dates=[1, 1, 1, 1], n_bins=2
        ).to_frame()
        np.testing.assert_allclose(frame["mean_forecast"], [0.15, 0.25])
        np.testing.assert_allclose(frame["mean_return"], [0.03, 0.05])
        assert frame["standard_error"].isna().all()

    def test_dates_count_alike_whatever_their_number_of_names(self):
        y_true = [0.1, 0.3, *[0.5] * 4, *[0.7] * 4]
        frame = ForecastCalibrationDisplay.from_predictions(
            y_true, [1.0, 2.0, *range(8)], dates=[1, 1, *[2] * 8], n_bins=2
        ).to_frame()
        np.testing.assert_allclose(frame["mean_return"], [0.3, 0.5])
        np.testing.assert_allclose(frame["standard_error"], [0.2, 0.2])


class TestProperties:
    @given(seed=st.integers(0, 2**32 - 1), n_bins=st.integers(2, 6), n_names=st.integers(6, 15))
    def test_bins_average_to_the_mean_of_all_and_rise_with_the_forecast(self, seed, n_bins, n_names):
        y_true, y_pred = forecasts(range(5), n_names, seed)
        y_pred = y_pred.round(1)  # makes ties
        frame = ForecastCalibrationDisplay.from_predictions(y_true, y_pred, n_bins=n_bins).to_frame()
        assert frame["mean_return"].mean() == pytest.approx(y_true.mean(), abs=1e-12)
        assert frame["mean_forecast"].mean() == pytest.approx(y_pred.mean(), abs=1e-12)
        assert (np.diff(frame["mean_forecast"]) >= -1e-12).all()
        order = np.random.default_rng(seed).permutation(len(y_true))
        shuffled = ForecastCalibrationDisplay.from_predictions(y_true.iloc[order], y_pred.iloc[order], n_bins=n_bins)
        pd.testing.assert_frame_equal(shuffled.to_frame(), frame, rtol=1e-9, atol=1e-12)

    def test_perfect_forecasts_lie_on_the_line(self, ax):
        y_true, _ = forecasts()
        ForecastCalibrationDisplay.from_predictions(y_true, y_true).plot(ax)
        points, line = ax.containers[0].lines[0], ax.get_lines()[0]
        np.testing.assert_array_equal(points.get_xdata(), points.get_ydata())
        np.testing.assert_array_equal(line.get_xdata(), line.get_ydata())
        assert line.get_xdata()[0] < points.get_xdata().min() < points.get_xdata().max() < line.get_xdata()[1]

    def test_points_and_errors_show_the_numbers_on_the_given_axes(self, ax):
        display = ForecastCalibrationDisplay.from_predictions(*forecasts())
        assert display.plot(ax) is display
        assert (display.ax_, display.figure_) == (ax, ax.figure)
        assert ax.figure.axes == [ax]
        frame = display.to_frame()
        points, _, (bars,) = ax.containers[0].lines
        np.testing.assert_array_equal(points.get_xdata(), frame["mean_forecast"])
        np.testing.assert_array_equal(points.get_ydata(), frame["mean_return"])
        heights = [np.ptp(segment[:, 1]) for segment in bars.get_segments()]
        np.testing.assert_allclose(heights, 2 * frame["standard_error"])
        assert "24 dates" in ax.get_title()

    def test_one_date_and_equal_forecasts_can_be_drawn(self, ax):
        ForecastCalibrationDisplay.from_predictions([0.01, 0.03], [0.0, 0.0], dates=[1, 1], n_bins=2).plot(ax)
        ax.figure.draw_without_rendering()
        assert "1 date)" in ax.get_title()

    def test_without_axes_a_new_figure_is_made(self):
        display = ForecastCalibrationDisplay.from_predictions(*forecasts()).plot()
        assert display.figure_.axes == [display.ax_]
        plt.close(display.figure_)

    def test_the_frame_is_a_copy(self):
        display = ForecastCalibrationDisplay.from_predictions(*forecasts())
        first = display.bins.iloc[0, 0]
        frame = display.to_frame()
        frame.iloc[0, 0] = 9.0
        assert display.bins.iloc[0, 0] == first


class TestValidation:
    def test_dates_with_fewer_names_than_bins_are_counted_and_left_out(self):
        y_true, y_pred = forecasts(n_names=10)
        keep = np.ones(len(y_true), dtype=bool)
        keep[0] = False
        with pytest.warns(CoverageWarning, match="1 of 24 dates have fewer than 10 names, one for each bin"):
            display = ForecastCalibrationDisplay.from_predictions(y_true[keep], y_pred[keep])
        expected = ForecastCalibrationDisplay.from_predictions(y_true[MONTHS[1] :], y_pred[MONTHS[1] :])
        pd.testing.assert_frame_equal(display.to_frame(), expected.to_frame())

    def test_too_many_bins_are_an_error(self):
        with pytest.raises(PanelError, match="must have 21 names, one for each bin. Got at most 20 names on 24 dates"):
            ForecastCalibrationDisplay.from_predictions(*forecasts(), n_bins=21)

    def test_a_single_bin_is_refused(self):
        with pytest.raises(InvalidParameterError, match="n_bins"):
            ForecastCalibrationDisplay.from_predictions(*forecasts(), n_bins=1)

    @pytest.mark.parametrize("part", [lambda bins: bins.iloc[:0], lambda bins: bins.drop(columns="n_dates")])
    def test_incomplete_numbers_are_refused(self, part, ax):
        bins = ForecastCalibrationDisplay.from_predictions(*forecasts()).to_frame()
        with pytest.raises(PanelError, match="'bins' must have at least one row and the columns mean_forecast"):
            ForecastCalibrationDisplay(part(bins)).plot(ax)
