from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn.utils._param_validation import InvalidParameterError

from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation, linear_explanation
from skdrfm.inspection import LoadingDisplay
from skdrfm.inspection._plot_loadings import _spread

MONTHS = pd.date_range("2010-01", periods=2, freq="ME")
NAMES = ["BETA", "CAP", "SKEW"]


@pytest.fixture
def ax():
    return Figure().add_subplot()


@pytest.fixture
def explanation():
    """Five assets on two dates with loadings 0 to 4 by asset, ten times as much at lag 0 and on the second date.

    CAP has half of these loadings with inputs ten times as large; SKEW has the negative ones and inputs of 0.1.
    """
    index = pd.MultiIndex.from_product([MONTHS, list("ABCDE")], names=["date", "asset"])
    base = np.tile(np.arange(5.0), 2) * np.repeat([1.0, 10.0], 5)
    loadings = base[:, None, None] * np.array([1.0, 10.0])[:, None] * np.array([1.0, 0.5, -1.0])
    data = np.broadcast_to([1.0, 10.0, 0.1], loadings.shape)
    nothing = np.zeros(10)
    return Explanation(
        loadings=loadings,
        data=data,
        predictions=(loadings * data).sum(axis=(1, 2)),
        bias=nothing,
        stabilizer=nothing,
        state=nothing,
        index=index,
        descriptor_names=NAMES,
        lags=[3, 0],
    )


class TestReferenceValues:
    def test_bands_are_quantiles_over_assets_of_loadings_summed_over_lags(self, explanation):
        frame = LoadingDisplay.from_explanation(explanation, ["BETA"]).to_frame()
        # Loadings are 11 times 0, 1, 2, 3 and 4 on the first date.
        np.testing.assert_allclose(frame["BETA"], np.array([[0.4, 2.0, 3.6], [4.0, 20.0, 36.0]]) * 11)
        assert frame.index.equals(pd.Index(MONTHS))
        assert frame["BETA"].columns.tolist() == ["lower", "median", "upper"]

    def test_a_single_lag_has_its_own_loadings(self, explanation):
        frame = LoadingDisplay.from_explanation(explanation, ["BETA", "SKEW"], lag=3, quantiles=(0, 1)).to_frame()
        np.testing.assert_allclose(frame, [[0, 2, 4, -4, -2, 0], [0, 20, 40, -40, -20, 0]])

    def test_descriptors_with_the_largest_mean_absolute_contribution_come_first(self, explanation):
        frame = LoadingDisplay.from_explanation(explanation, n_descriptors=2).to_frame()
        assert frame.columns.get_level_values(0).unique().tolist() == ["CAP", "BETA"]

    def test_the_choice_is_made_at_the_lag_that_is_drawn(self):
        index = pd.MultiIndex.from_product([MONTHS, ["A"]], names=["date", "asset"])
        explanation = linear_explanation(
            np.ones((2, 2, 2)), [[5.0, 0.0], [0.0, 1.0]], index=index, descriptor_names=["BETA", "CAP"], lags=[3, 0]
        )
        for lag, name in [(None, "BETA"), (3, "BETA"), (0, "CAP")]:
            frame = LoadingDisplay.from_explanation(explanation, n_descriptors=1, lag=lag).to_frame()
            assert frame.columns.get_level_values(0)[0] == name

    def test_dates_ascend_whatever_the_order_of_the_rows(self, explanation):
        rows = np.random.default_rng(0).permutation(10)
        shuffled = LoadingDisplay.from_explanation(explanation[rows])
        pd.testing.assert_frame_equal(
            shuffled.to_frame(), LoadingDisplay.from_explanation(explanation).to_frame(), check_freq=False
        )

    @pytest.mark.parametrize(
        ("heights", "expected"),
        [
            ([0.2, 0.8], [0.2, 0.8]),
            ([0.5, 0.5, 0.5], [0.5, 0.6, 0.7]),
            ([1.0, 0.2, 1.0], [0.9, 0.2, 1.0]),
            ([0.98, 0.95, 0.9], [1.0, 0.9, 0.8]),
            ([-0.5, 2.0], [0.0, 1.0]),
        ],
    )
    def test_heights_of_names_are_moved_apart_inside_the_axes(self, heights, expected):
        np.testing.assert_allclose(_spread(np.array(heights), 0.1), expected)


class TestProperties:
    def test_lines_are_medians_and_areas_are_bands(self, explanation, ax):
        display = LoadingDisplay.from_explanation(explanation)
        assert display.plot(ax) is display
        assert (display.ax_, display.figure_) == (ax, ax.figure)
        bands = display.to_frame()
        names = bands.columns.get_level_values(0).unique()
        zero, *lines = ax.get_lines()
        assert list(zero.get_ydata()) == [0, 0]
        for name, line, area in zip(names, lines, ax.collections, strict=True):
            np.testing.assert_allclose(line.get_ydata(), bands[name, "median"])
            np.testing.assert_allclose(date2num(line.get_xdata()), date2num(MONTHS))
            corners = area.get_paths()[0].vertices
            assert corners[:, 1].min() == pytest.approx(bands[name].to_numpy().min())
            assert corners[:, 1].max() == pytest.approx(bands[name].to_numpy().max())

    def test_each_descriptor_has_a_look_of_its_own(self, ax):
        index = pd.MultiIndex.from_product([MONTHS, ["A"]], names=["date", "asset"])
        explanation = linear_explanation(np.ones((2, 1, 10)), np.arange(10.0), index=index)
        LoadingDisplay.from_explanation(explanation, n_descriptors=10).plot(ax)
        assert len({(line.get_color(), line._dash_pattern[1] is None) for line in ax.get_lines()[1:]}) == 10

    def test_names_stand_at_the_ends_of_their_lines_without_overlap(self, ax):
        index = pd.MultiIndex.from_product([MONTHS, ["A"]], names=["date", "asset"])
        explanation = linear_explanation(np.ones((2, 1, 4)), [1.0, 1.01, 1.02, 3.0], index=index)
        LoadingDisplay.from_explanation(explanation).plot(ax)
        heights = {text.get_text(): text.xyann[1] for text in ax.texts}
        assert sorted(heights, key=heights.get) == ["x0", "x1", "x2", "x3"]
        ax.figure.draw_without_rendering()
        # The extent of an annotation would hold its leader too.
        spans = sorted((box.y0, box.y1) for box in map(Text.get_window_extent, ax.texts))
        assert len(spans) == 4
        assert all(lower[1] < upper[0] for lower, upper in pairwise(spans))

    def test_names_can_be_left_out(self, explanation, ax):
        LoadingDisplay.from_explanation(explanation).plot(ax, legend=False)
        assert not ax.texts

    def test_labels_say_which_loadings_and_which_band(self, explanation, ax):
        LoadingDisplay.from_explanation(explanation, lag=3, quantiles=(0.25, 0.75)).plot(ax)
        assert ax.get_title() == "Loadings at lag 3"
        assert "median, 25 to 75 % of assets" in ax.get_ylabel()

    def test_a_single_date_is_drawn_as_named_points(self, explanation, ax):
        display = LoadingDisplay.from_explanation(explanation[:5]).plot(ax)
        points = [line.get_ydata()[0] for line in ax.get_lines()[1:]]
        assert points == display.to_frame().xs("median", axis=1, level=1).iloc[0].tolist()
        assert [label.get_text() for label in ax.get_xticklabels()] == ["CAP", "BETA", "SKEW"]
        assert ax.get_xlabel() == "Date of prediction: 2010-01-31"

    def test_dates_without_a_value_are_blank(self, explanation, ax):
        bands = LoadingDisplay.from_explanation(explanation, ["BETA", "CAP"]).to_frame()
        bands.loc[MONTHS[1], "BETA"] = np.nan
        bands["CAP"] = np.nan
        LoadingDisplay(bands).plot(ax)
        ax.figure.draw_without_rendering()
        assert ax.texts[0].xy[1] == bands.loc[MONTHS[0], ("BETA", "median")]

    def test_without_axes_a_new_figure_is_made(self, explanation):
        display = LoadingDisplay.from_explanation(explanation).plot()
        assert len(display.figure_.axes) == 1
        plt.close(display.figure_)

    def test_the_frame_is_a_copy(self, explanation):
        display = LoadingDisplay.from_explanation(explanation, "BETA")
        frame = display.to_frame()
        frame.iloc[0, 0] = 9.0
        assert display.bands.iloc[0, 0] == pytest.approx(4.4)


class TestValidation:
    def test_an_explanation_without_dates_is_refused(self):
        with pytest.raises(PanelError, match="rows without dates"):
            LoadingDisplay.from_explanation(linear_explanation(np.ones((2, 1, 1)), [[1.0]]))

    def test_an_explanation_without_rows_is_refused(self, explanation):
        with pytest.raises(PanelError, match="at least one row and one descriptor"):
            LoadingDisplay.from_explanation(explanation[:0])

    @pytest.mark.parametrize("descriptors", ["ROE", ["BETA", "ROE"], [], ["BETA", "BETA"]])
    def test_unknown_or_repeated_descriptors_are_refused_with_those_that_exist(self, explanation, descriptors):
        with pytest.raises(PanelError, match="Choose from \\['BETA', 'CAP', 'SKEW'\\]"):
            LoadingDisplay.from_explanation(explanation, descriptors)

    def test_an_unknown_lag_is_refused_with_those_that_exist(self, explanation):
        with pytest.raises(PanelError, match="the lags of the explanation, \\[3, 0\\]. Got 1"):
            LoadingDisplay.from_explanation(explanation, lag=1)

    @pytest.mark.parametrize("quantiles", [(0.9, 0.1), (0.5, 0.5), (-0.1, 0.5), (0.1, 1.1), (0.1,), (0.1, np.nan)])
    def test_quantiles_must_rise_from_0_to_1(self, explanation, quantiles):
        with pytest.raises(PanelError, match="two numbers from 0 to 1, the lower first"):
            LoadingDisplay.from_explanation(explanation, quantiles=quantiles)

    def test_at_least_one_descriptor_is_drawn(self, explanation):
        with pytest.raises(InvalidParameterError, match="'n_descriptors' parameter"):
            LoadingDisplay.from_explanation(explanation, n_descriptors=0)

    @pytest.mark.parametrize("bands", [pd.DataFrame(), pd.DataFrame({"BETA": [1.0]})])
    def test_bands_without_parts_are_refused(self, bands, ax):
        with pytest.raises(PanelError, match="columns \\(descriptor, part\\)"):
            LoadingDisplay(bands).plot(ax)

    def test_missing_parts_are_named(self, explanation, ax):
        bands = LoadingDisplay.from_explanation(explanation).to_frame().drop(columns=[("CAP", "upper")])
        with pytest.raises(PanelError, match="Missing: \\[\\('CAP', 'upper'\\)\\]"):
            LoadingDisplay(bands).plot(ax)
