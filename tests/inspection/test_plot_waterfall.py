import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from sklearn.utils._param_validation import InvalidParameterError

from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.explanation import Explanation, linear_explanation
from skdrfm.inspection import WaterfallDisplay

MONTHS = pd.date_range("2010-01", periods=2, freq="ME")
NAMES = ["BETA", "CAP", "ROE", "SKEW"]
GROUPS = {"Risk": ["BETA", "SKEW"], "Size": ["CAP"], "Quality": ["ROE"]}


@pytest.fixture
def ax():
    return Figure().add_subplot()


@pytest.fixture
def explanation():
    """Two assets on two dates; row i has contributions of 1, -4, 2 and 3 per cent times i, and an intercept of 1 %."""
    index = pd.MultiIndex.from_product([MONTHS, ["A", "B"]], names=["date", "asset"])
    data = np.arange(4.0)[:, None, None] * np.ones((4, 1, 4))
    return linear_explanation(data, [0.01, -0.04, 0.02, 0.03], 0.01, index=index, descriptor_names=NAMES)


def random_explanation(seed, n_features, dtype=np.float64):
    rng = np.random.default_rng(seed)
    loadings, data = (rng.normal(size=(3, 5, n_features)).astype(dtype) for _ in range(2))
    bias, stabilizer, state = (rng.normal(size=3).astype(dtype) for _ in range(3))
    predictions = (loadings * data).sum(axis=(1, 2), dtype=dtype) + bias + stabilizer + state
    return Explanation(
        loadings=loadings, data=data, predictions=predictions, bias=bias, stabilizer=stabilizer, state=state
    )


class TestReferenceValues:
    def test_steps_run_from_the_intercept_by_size_to_the_prediction(self, explanation):
        frame = WaterfallDisplay.from_explanation(explanation, 1).to_frame()
        expected = pd.DataFrame(
            {
                "value": [0.01, -0.04, 0.03, 0.02, 0.01, 0.03],
                "start": [0.0, 0.01, -0.03, 0.0, 0.02, 0.0],
                "end": [0.01, -0.03, 0.0, 0.02, 0.03, 0.03],
            },
            index=pd.Index(["intercept", "CAP", "SKEW", "ROE", "BETA", "prediction"], name="step"),
        )
        pd.testing.assert_frame_equal(frame, expected)

    def test_the_smallest_contributions_are_bundled(self, explanation):
        frame = WaterfallDisplay.from_explanation(explanation, 1, max_rows=3).to_frame()
        assert frame.index.tolist() == ["intercept", "CAP", "SKEW", "2 other descriptors", "prediction"]
        assert frame.loc["2 other descriptors", "value"] == pytest.approx(0.03)

    def test_groups_are_steps_of_their_own(self, explanation):
        display = WaterfallDisplay.from_explanation(explanation, 2, groups=GROUPS)
        assert display.contributions.to_dict() == pytest.approx({"Risk": 0.08, "Size": -0.08, "Quality": 0.04})
        bundled = WaterfallDisplay.from_explanation(explanation, 2, groups=GROUPS, max_rows=2)
        assert bundled.contributions.index.tolist() == ["Risk", "2 other groups"]

    def test_a_conservation_gap_is_a_step_of_its_own(self, explanation):
        parts = {name: getattr(explanation, name) for name in ("loadings", "data", "bias", "stabilizer", "state")}
        shifted = Explanation(**parts, predictions=explanation.predictions + 0.005)
        display = WaterfallDisplay.from_explanation(shifted, 1)
        assert display.contributions.index[-1] == "not explained (conservation gap)"
        assert display.contributions.iloc[-1] == pytest.approx(0.005)
        assert display.to_frame().loc["prediction", "value"] == pytest.approx(0.035)

    @pytest.mark.parametrize("row", [3, -1, np.int64(3), (MONTHS[1], "B"), ("2010-02-28", "B")])
    def test_a_row_is_found_by_position_and_by_date_and_asset(self, explanation, row):
        display = WaterfallDisplay.from_explanation(explanation, row)
        assert display.prediction == pytest.approx(0.07)
        assert display.title == "Forecast for B, 2010-02-28"

    def test_a_row_is_found_in_whatever_order_the_rows_and_levels_are(self, explanation):
        rows = explanation[[2, 3, 0, 1]]
        parts = {name: getattr(rows, name) for name in ("loadings", "data", "predictions", "bias")}
        swapped = Explanation(**parts, stabilizer=rows.state, state=rows.state, index=rows.index.swaplevel())
        assert WaterfallDisplay.from_explanation(swapped, (MONTHS[0], "B")).prediction == pytest.approx(0.03)

    @pytest.mark.parametrize(("date", "title"), [(pd.Period("2010-01", "M"), "2010-01"), (201001, "201001")])
    def test_the_title_shows_dates_of_any_kind(self, date, title):
        index = pd.MultiIndex.from_arrays([[date], ["A"]], names=["date", "asset"])
        explanation = linear_explanation([[[1.0]]], [1.0], index=index)
        assert WaterfallDisplay.from_explanation(explanation, (date, "A")).title == f"Forecast for A, {title}"

    def test_the_title_without_dates_shows_the_position(self):
        explanation = linear_explanation([[[1.0]], [[2.0]]], [1.0])
        assert WaterfallDisplay.from_explanation(explanation, -1).title == "Forecast for row 1"


class TestProperties:
    @given(
        seed=st.integers(0, 10_000),
        n_features=st.integers(1, 16),
        max_rows=st.integers(2, 20),
        dtype=st.sampled_from([np.float64, np.float32]),
    )
    def test_the_numbers_add_up_to_the_prediction(self, seed, n_features, max_rows, dtype):
        explanation = random_explanation(seed, n_features, dtype)
        for row in range(3):
            display = WaterfallDisplay.from_explanation(explanation, row, max_rows=max_rows)
            frame = display.to_frame()
            scale = np.abs(frame["value"]).sum()
            tolerance = 1e-13 if dtype is np.float64 else 1e-5
            assert len(display.contributions) == min(n_features, max_rows)
            assert abs(frame["value"].iloc[:-1].sum() - explanation.predictions[row]) <= tolerance * scale
            np.testing.assert_array_equal(frame["start"].iloc[1:-1], frame["end"].iloc[:-2])
            np.testing.assert_allclose(frame["end"] - frame["start"], frame["value"], atol=1e-13 * scale)
            assert frame["end"].iloc[-1] == explanation.predictions[row]

    def test_bars_are_the_steps_in_colours_of_their_sign(self, explanation, ax):
        display = WaterfallDisplay.from_explanation(explanation, 1)
        assert display.plot(ax) is display
        assert (display.ax_, display.figure_) == (ax, ax.figure)
        frame = display.to_frame()
        np.testing.assert_allclose([bar.get_x() for bar in ax.patches], frame["start"])
        np.testing.assert_allclose([bar.get_width() for bar in ax.patches], frame["value"], atol=1e-15)
        colours = [to_hex(bar.get_facecolor()).upper() for bar in ax.patches]
        grey, blue, orange = "#7F7F7F", "#0072B2", "#D55E00"
        assert colours == [grey, orange, blue, blue, blue, grey]

    def test_values_are_written_in_percent_with_their_sign(self, explanation, ax):
        WaterfallDisplay.from_explanation(explanation, 1).plot(ax)
        texts = [text.get_text() for text in ax.texts]
        assert texts == ["+1.00 %", "−4.00 %", "+3.00 %", "+2.00 %", "+1.00 %", "+3.00 %"]

    @pytest.mark.parametrize(
        ("size", "texts"),
        [
            (0.0, ["+0.00 %", "+0.00 %", "+0.00 %"]),
            (0.000012, ["+0.0000 %", "+0.0012 %", "+0.0012 %"]),
            (-12.0, ["+0.00 %", "−1200.00 %", "−1200.00 %"]),
        ],
    )
    def test_small_numbers_get_more_digits(self, ax, size, texts):
        WaterfallDisplay(pd.Series({"CAP": size}), intercept=-0.0, prediction=size).plot(ax)
        ax.figure.draw_without_rendering()
        assert [text.get_text() for text in ax.texts] == texts

    def test_values_stand_beside_their_bars(self, explanation, ax):
        WaterfallDisplay.from_explanation(explanation, 1).plot(ax)
        ax.figure.draw_without_rendering()
        for text, bar in zip(ax.texts, ax.patches, strict=True):
            label, body = text.get_window_extent(), bar.get_window_extent()
            assert label.x0 > body.x1 or label.x1 < body.x0

    def test_steps_read_from_top_to_bottom(self, explanation, ax):
        WaterfallDisplay.from_explanation(explanation, 1).plot(ax)
        labels = [label.get_text() for label in ax.get_yticklabels()]
        assert labels == ["intercept", "CAP", "SKEW", "ROE", "BETA", "prediction"]
        bottom, top = ax.get_ylim()
        assert bottom > top

    @pytest.mark.parametrize("row", [0, 1, 3])
    def test_bars_and_labels_stay_inside_the_axes(self, explanation, row):
        ax = Figure(figsize=(6, 4), layout="constrained").add_subplot()
        WaterfallDisplay.from_explanation(explanation, row).plot(ax)
        ax.figure.draw_without_rendering()
        frame = ax.get_window_extent()
        for part in (*ax.texts, *ax.patches):
            box = part.get_window_extent()
            assert frame.x0 <= box.x0
            assert box.x1 <= frame.x1

    def test_without_axes_a_new_figure_is_made(self, explanation):
        display = WaterfallDisplay.from_explanation(explanation, 0).plot()
        assert len(display.figure_.axes) == 1
        plt.close(display.figure_)


class TestValidation:
    @pytest.mark.parametrize("row", [4, -5])
    def test_a_position_beyond_the_rows_is_refused(self, explanation, row):
        with pytest.raises(PanelError, match=f"among the 4 rows of the explanation. Got {row}"):
            WaterfallDisplay.from_explanation(explanation, row)

    @pytest.mark.parametrize("row", [True, "A", 1.0, (1, 2, 3), None])
    def test_what_is_neither_position_nor_date_and_asset_is_refused(self, explanation, row):
        with pytest.raises(PanelError, match="position of a row or a tuple"):
            WaterfallDisplay.from_explanation(explanation, row)

    @pytest.mark.parametrize(
        ("row", "counts"),
        [
            ((MONTHS[0], "Z"), "There are 2 rows of this date and 0 of this asset"),
            (("2011-01-31", "A"), "There are 0 rows of this date and 2 of this asset"),
            (("never", "A"), "There are 0 rows of this date and 2 of this asset"),
        ],
    )
    def test_an_unknown_date_or_asset_is_refused(self, explanation, row, counts):
        with pytest.raises(PanelError, match=counts):
            WaterfallDisplay.from_explanation(explanation, row)

    def test_a_row_that_is_there_twice_is_refused(self, explanation):
        with pytest.raises(PanelError, match="fits 2 of 2 rows"):
            WaterfallDisplay.from_explanation(explanation[[1, 1]], (MONTHS[0], "B"))

    def test_date_and_asset_need_an_index(self):
        with pytest.raises(PanelError, match="only in an explanation with this index"):
            WaterfallDisplay.from_explanation(linear_explanation([[[1.0]]], [1.0]), (MONTHS[0], "A"))

    def test_an_explanation_without_rows_is_refused(self, explanation):
        with pytest.raises(PanelError, match="among the 0 rows"):
            WaterfallDisplay.from_explanation(explanation[:0], 0)

    def test_groups_that_do_not_fit_are_refused(self, explanation):
        with pytest.raises(PanelError, match="must be in a group"):
            WaterfallDisplay.from_explanation(explanation, 0, groups={"Risk": ["BETA"]})

    def test_a_relevance_that_is_not_finite_is_refused(self):
        explanation = linear_explanation([[[1.0, np.nan]], [[1.0, 1.0]]], [1.0, 1.0])
        with pytest.raises(NonFiniteError, match="descriptors: x1"):
            WaterfallDisplay.from_explanation(explanation, 0)
        assert WaterfallDisplay.from_explanation(explanation, 1).prediction == 2.0

    def test_at_least_two_rows_are_drawn(self, explanation):
        with pytest.raises(InvalidParameterError, match="'max_rows' parameter"):
            WaterfallDisplay.from_explanation(explanation, 0, max_rows=1)

    @pytest.mark.parametrize("prediction", [0.02, np.nan])
    def test_numbers_that_do_not_add_up_are_refused(self, ax, prediction):
        display = WaterfallDisplay(pd.Series({"CAP": 0.02}), intercept=0.01, prediction=prediction)
        with pytest.raises(PanelError, match="must add up to the prediction"):
            display.plot(ax)
