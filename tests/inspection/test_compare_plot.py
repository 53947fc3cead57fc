"""Agreement and cost of explainers as a drawing that gives its numbers back."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from skdrfm.exceptions import PanelError
from skdrfm.explanation import linear_explanation
from skdrfm.inspection._compare_result import ExplainerComparison
from skdrfm.inspection._plot_compare import ExplainerComparisonDisplay

METHODS = ["lrp-all", "occlusion", "shap-kernel"]


@pytest.fixture
def comparison():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, 2, 3))
    explanations = {name: linear_explanation(X, rng.normal(size=6), 0.1) for name in METHODS}
    return ExplainerComparison(explanations, {}, {name: 0.001 * 10**i for i, name in enumerate(METHODS)}, {}, 0)


@pytest.fixture
def axes():
    return Figure().subplots(2)


class TestReferenceValues:
    def test_cells_are_correlations_and_bars_are_microseconds_for_a_row(self, comparison, axes):
        display = ExplainerComparisonDisplay.from_comparison(comparison).plot(axes)
        agreement = comparison.agreement()
        np.testing.assert_array_equal(axes[0].images[0].get_array(), agreement)
        written = [text.get_text().replace("−", "-") for text in axes[0].texts]
        np.testing.assert_allclose(np.array(written, dtype=float), agreement.to_numpy().ravel(), atol=0.0051)
        assert [bar.get_width() for bar in axes[1].patches] == pytest.approx([250.0, 2500.0, 25000.0])
        assert [label.get_text() for label in axes[1].get_yticklabels()] == METHODS
        assert display.to_frame()["microseconds_per_sample"].tolist() == pytest.approx([250.0, 2500.0, 25000.0])

    def test_units_are_those_asked_for(self, comparison):
        display = ExplainerComparisonDisplay.from_comparison(comparison, by="descriptor")
        pd.testing.assert_frame_equal(display.agreement, comparison.agreement("descriptor"))


class TestProperties:
    def test_plot_draws_on_the_given_axes_and_returns_the_display(self, comparison, axes):
        display = ExplainerComparisonDisplay.from_comparison(comparison)
        assert display.plot(axes) is display
        assert display.axes_ == tuple(axes)
        assert display.figure_ is axes[0].figure

    def test_without_axes_a_new_figure_is_made(self, comparison):
        import matplotlib.pyplot as plt

        display = ExplainerComparisonDisplay.from_comparison(comparison).plot()
        assert len(display.figure_.axes) == 2
        plt.close(display.figure_)

    def test_an_unknown_correlation_is_left_blank(self, comparison, axes):
        agreement = comparison.agreement()
        agreement.iloc[0, 1] = np.nan
        ExplainerComparisonDisplay(agreement, comparison.summary()["microseconds_per_sample"]).plot(axes)
        assert axes[0].texts[1].get_text() == ""


class TestValidation:
    def test_nothing_to_draw_is_refused(self, comparison, axes):
        cost = comparison.summary()["microseconds_per_sample"]
        with pytest.raises(PanelError, match="at least one rank correlation. Got shape \\(3, 3\\) without a value"):
            ExplainerComparisonDisplay(comparison.agreement() * np.nan, cost).plot(axes)

    def test_costs_of_other_methods_are_refused(self, comparison, axes):
        cost = comparison.summary()["microseconds_per_sample"].iloc[:2]
        with pytest.raises(PanelError, match="'cost' must name the methods of 'agreement'"):
            ExplainerComparisonDisplay(comparison.agreement(), cost).plot(axes)

    def test_one_pair_of_axes_is_asked_for(self, comparison, axes):
        with pytest.raises(PanelError, match="'axes' must be two matplotlib Axes"):
            ExplainerComparisonDisplay.from_comparison(comparison).plot(axes[0])
