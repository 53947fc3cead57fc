import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest

from skdrfm.exceptions import PanelError
from skdrfm.explanation import linear_explanation

PLOTS = ("waterfall", "bar", "bar of one row", "beeswarm", "violin", "heatmap", "scatter", "decision", "force")


@pytest.fixture
def many():
    # Three of each: the force plot of shap divides by zero where no two columns have the same sign.
    rng = np.random.default_rng(0)
    names = ("BETA", "ROE", "CAP")
    lags = (6, 3, 0)
    return linear_explanation(rng.normal(size=(20, 3, 3)), rng.normal(size=9), 0.1, descriptor_names=names, lags=lags)


@pytest.fixture
def draw():
    """Draw a plot of shap on its own figure; give the figure back and close it at the end."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    def _draw(plot, shapley):
        import shap

        plt.close("all")
        if plot == "bar of one row":
            shap.plots.bar(shapley[0], show=False)
        elif plot == "scatter":
            shap.plots.scatter(shapley[:, 0], color=shapley, show=False)
        elif plot == "waterfall":
            shap.plots.waterfall(shapley[0], show=False)
        elif plot == "force":
            shap.plots.force(shapley[0], matplotlib=True, show=False)
        elif plot == "decision":
            shap.plots.decision(
                shapley.base_values[0], shapley.values, shapley.data, feature_names=shapley.feature_names, show=False
            )
        else:
            getattr(shap.plots, plot)(shapley, show=False)
        return plt.gcf()

    # The plots of shap draw from the global generator of NumPy.
    state = np.random.get_state()  # noqa: NPY002
    yield _draw
    np.random.set_state(state)  # noqa: NPY002
    plt.close("all")


class TestReferenceValues:
    def test_columns_are_those_of_stacked_lags(self, explanation):
        shapley = explanation.to_shap()
        names = ["BETA__lag3", "ROE__lag3", "CAP__lag3", "BETA__lag0", "ROE__lag0", "CAP__lag0"]
        assert shapley.feature_names == names
        np.testing.assert_array_equal(shapley.values[:, 4], explanation.values[:, 1, 1])
        np.testing.assert_array_equal(shapley.data[:, 2], explanation.data[:, 0, 2])
        np.testing.assert_array_equal(shapley.base_values, explanation.intercept)

    @pytest.mark.parametrize(
        ("by", "axis", "names"), [("descriptor", 1, ["BETA", "ROE", "CAP"]), ("lag", 2, ["lag3", "lag0"])]
    )
    def test_relevances_are_summed_and_inputs_averaged_over_the_other_axis(self, with_offsets, by, axis, names):
        shapley = with_offsets.to_shap(by=by)
        assert shapley.feature_names == names
        np.testing.assert_array_equal(shapley.values, with_offsets.values.sum(axis))
        np.testing.assert_array_equal(shapley.data, with_offsets.data.mean(axis))


class TestProperties:
    @pytest.mark.parametrize("by", [None, "descriptor", "lag"])
    def test_values_and_base_value_add_up_to_the_prediction(self, with_offsets, by):
        shapley = with_offsets.to_shap(by)
        total = shapley.values.sum(axis=1) + shapley.base_values
        np.testing.assert_allclose(total, with_offsets.predictions, rtol=1e-12)

    def test_relevances_are_handed_over_without_a_copy(self, explanation):
        assert np.shares_memory(explanation.to_shap().values, explanation.values)

    @pytest.mark.parametrize("plot", PLOTS)
    def test_the_plots_of_shap_draw_single_columns(self, many, draw, plot):
        assert draw(plot, many.to_shap()).axes[0].has_data()

    @pytest.mark.parametrize("by", ["descriptor", "lag"])
    def test_the_plots_of_shap_draw_sums(self, many, draw, by):
        for plot in PLOTS:
            assert draw(plot, many.to_shap(by)).axes[0].has_data(), plot

    def test_shap_is_imported_only_when_it_is_needed(self):
        code = "import skdrfm.explanation, sys; assert 'shap' not in sys.modules"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestValidation:
    @pytest.mark.parametrize("by", ["group", "date", 0])
    def test_other_sums_are_refused(self, explanation, by):
        with pytest.raises(PanelError, match="'by' must be None, 'descriptor' or 'lag'. Got"):
            explanation.to_shap(by)
