"""Explainers compared on the same rows: additivity, agreement, cost, and backgrounds that do not look ahead."""

import pickle
import subprocess
import sys
import warnings
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdrfm import explain, lrp, make_factor_panel, stack_lags
from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.explanation import Explanation
from skdrfm.factor_model import DeepRecurrentFactorRegressor, LinearFactorRegressor
from skdrfm.inspection import _forward
from skdrfm.inspection._compare import EXPLAINER_METHODS, compare_explainers
from skdrfm.inspection._compare_result import ExplainerComparison

GROUPS = {"Risk": ["60VOL", "BETA"], "Skewness": ["SKEW"]}
BLACK_BOXES = ("shap-permutation", "shap-kernel", "shap-sampling")


@pytest.fixture(scope="module")
def panel():
    X, y = make_factor_panel(n_dates=14, n_assets=6, n_descriptors=3, random_state=0)
    X, y = stack_lags(X, y, lags=(0, 3))
    dates = X.index.get_level_values("date")
    early = dates < dates.unique()[-1]
    return X[early], y[early], X[~early]


@pytest.fixture(scope="module")
def background(panel):
    return panel[0].iloc[:7]


@pytest.fixture(scope="module")
def linear(panel):
    return LinearFactorRegressor().fit(panel[0], panel[1])


@pytest.fixture(scope="module")
def recurrent(panel):
    return DeepRecurrentFactorRegressor(units=2, epochs=2, random_state=0).fit(panel[0], panel[1])


@pytest.fixture(scope="module")
def everything(panel, background, recurrent):
    """All methods on a network."""
    return compare_explainers(recurrent, panel[2], background, methods=EXPLAINER_METHODS, groups=GROUPS, random_state=0)


class TestReferenceValues:
    @pytest.mark.parametrize("method", BLACK_BOXES)
    def test_a_linear_model_has_its_coefficients_as_loadings_under_shap(self, panel, linear, background, method):
        _, _, test = panel
        found = compare_explainers(linear, test, background, methods=method, random_state=0).explanations[method]
        mean = background.to_numpy().mean(axis=0)
        expected = linear.coef_ * (test.to_numpy() - mean)
        # Sampling draws single background rows, and only its sum is mended.
        atol = 0.2 * np.abs(expected).max() if method == "shap-sampling" else 1e-6 * np.abs(expected).max()
        np.testing.assert_allclose(found.values.reshape(len(test), -1), expected, atol=atol)
        np.testing.assert_allclose(found.bias, linear.intercept_ + linear.coef_ @ mean, rtol=1e-9)
        if method == "shap-permutation":
            np.testing.assert_allclose(found.loadings.reshape(len(test), -1) - linear.coef_, 0, atol=1e-9)

    def test_methods_with_a_baseline_of_zero_agree_on_a_linear_model(self, panel, linear):
        _, _, test = panel
        comparison = compare_explainers(linear, test, methods=lrp.METHODS)
        for explanation in comparison.explanations.values():
            np.testing.assert_allclose(explanation.values.reshape(len(test), -1), linear.coef_ * test.to_numpy())
        np.testing.assert_allclose(comparison.agreement(), 1.0)

    @pytest.mark.parametrize("method", ["shap-permutation", "shap-kernel"])
    def test_a_network_of_four_cells_has_the_shapley_values_of_the_definition(self, method):
        rng = np.random.default_rng(0)
        network = lrp.Network(
            [lrp.LSTM(rng.normal(size=(2, 4)), rng.normal(size=(1, 4)), rng.normal(size=4)), lrp.Dense([[2.0]], [0.5])],
            n_timesteps=2,
            n_features=2,
        )
        X, background = rng.normal(size=(3, 2, 2)), rng.normal(size=(5, 2, 2))
        expected = np.zeros((3, 4))
        orders = list(permutations(range(4)))
        for row, x in enumerate(X.reshape(3, 4)):
            for order in orders:
                mixed = background.reshape(5, 4).copy()
                before = lrp.predict(network, mixed.reshape(5, 2, 2)).mean()
                for cell in order:
                    mixed[:, cell] = x[cell]
                    after = lrp.predict(network, mixed.reshape(5, 2, 2)).mean()
                    expected[row, cell] += (after - before) / len(orders)
                    before = after

        class Holder:
            network_ = network

            def explain(self, X, **options):
                from skdrfm.explanation import network_explanation

                return network_explanation(network, X, **options)

        # 400 orders and their reverses come close; the kernel enumerates all 14 coalitions.
        comparison = compare_explainers(Holder(), X, background, methods=[method], max_evals=3600, random_state=0)
        found = comparison.explanations[method].values.reshape(3, 4)
        tolerance = 1e-9 if method == "shap-kernel" else 0.05 * np.abs(expected).max()
        np.testing.assert_allclose(found, expected, atol=tolerance)

    def test_agreement_is_the_mean_of_the_rank_correlations_of_the_rows(self, everything):
        one, two = (everything.explanations[name].values for name in ("lrp-all", "shap-permutation"))
        for by, axis in (("cell", None), ("descriptor", 1), ("lag", 2)):
            tables = [v.reshape(len(v), -1) if axis is None else v.sum(axis=axis) for v in (one, two)]
            expected = np.mean([spearmanr(a, b).statistic for a, b in zip(*tables, strict=True)])
            assert everything.agreement(by).loc["lrp-all", "shap-permutation"] == pytest.approx(expected)

    def test_the_summary_states_gaps_shares_and_costs(self, everything):
        summary = everything.summary()
        for method, explanation in everything.explanations.items():
            row = summary.loc[method]
            gap = np.abs(explanation.predictions - explanation.values.sum((1, 2)) - explanation.intercept)
            assert row["additivity_gap"] == pytest.approx(gap.max())
            assert row["relative_gap"] == pytest.approx(gap.sum() / np.abs(explanation.predictions).sum())
            kept = np.abs(explanation.intercept)
            assert row["intercept_share"] == pytest.approx(
                np.mean(kept / (kept + np.abs(explanation.values).sum((1, 2))))
            )
            assert row["microseconds_per_sample"] == pytest.approx(1e6 * everything.seconds[method] / len(explanation))
        # Two groups: two coalitions of one, on 7 background rows; and once the row and the background themselves.
        assert summary.loc["shap-groups", "evaluations"] == pytest.approx(2 * 7 + 1 + 7 / 6)
        assert summary.loc["shap-gradient", "evaluations"] == 200
        assert summary["evaluations"].isna().sum() == len(lrp.METHODS)


class TestProperties:
    def test_every_method_explains_the_same_predictions_of_the_same_rows(self, everything, panel, recurrent):
        _, _, test = panel
        assert everything.methods == EXPLAINER_METHODS
        for method, explanation in everything.explanations.items():
            assert isinstance(explanation, Explanation)
            assert explanation.method == method
            assert explanation.index.equals(test.index)
            assert explanation.descriptor_names == ("60VOL", "BETA", "SKEW")
            assert explanation.lags == (3, 0)
            np.testing.assert_allclose(explanation.predictions, recurrent.predict(test), rtol=1e-12)
            np.testing.assert_array_equal(explanation.data.reshape(len(test), -1), test.to_numpy())

    def test_shapley_values_and_relevances_add_up(self, everything):
        gaps = everything.summary()["additivity_gap"]
        assert gaps[["lrp-all", "lrp-half", "lrp-prop", "lrp-abs", "shap-groups", "shap-group-lags"]].max() < 1e-12
        # shap takes inputs that are close to the background for the same, and mends sums to a millionth.
        assert gaps[list(BLACK_BOXES)].max() < 1e-6
        # Expected gradients add up in expectation only.
        assert everything.summary()["relative_gap"]["shap-gradient"] < 1

    def test_a_linear_network_of_gradients_has_shap_values(self, everything):
        correlations = everything.agreement()
        assert correlations.loc["shap-gradient", "shap-permutation"] > 0.8

    def test_groups_join_the_agreement_where_their_players_say_enough(self, everything):
        assert not {"shap-groups", "shap-group-lags"} & set(everything.agreement("cell").index)
        assert "shap-group-lags" in everything.agreement("lag").index
        assert "shap-groups" not in everything.agreement("lag").index
        assert {"shap-groups", "shap-group-lags"} <= set(everything.agreement("group").index)
        turned = everything.agreement({"Skewness": ["SKEW"], "Risk": ["BETA", "60VOL"]})
        pd.testing.assert_frame_equal(turned, everything.agreement("group"))
        others = {"one": ["60VOL"], "two": ["BETA", "SKEW"]}
        assert "shap-groups" not in everything.agreement(others).index

    def test_the_same_seed_gives_the_same_values_whatever_else_is_compared(
        self, everything, panel, background, recurrent
    ):
        alone = compare_explainers(
            recurrent, panel[2], background, methods=["shap_sampling", "shap_gradient"], random_state=0
        )
        for method, explanation in alone.explanations.items():
            np.testing.assert_array_equal(explanation.values, everything.explanations[method].values)
        other = compare_explainers(recurrent, panel[2], background, methods="shap-sampling", random_state=1)
        assert (other.explanations["shap-sampling"].values != alone.explanations["shap-sampling"].values).any()

    def test_the_global_generator_is_left_as_it_was(self, panel, linear, background):
        before = np.random.get_state()  # noqa: NPY002
        compare_explainers(linear, panel[2], background, methods=BLACK_BOXES, random_state=0)
        after = np.random.get_state()  # noqa: NPY002
        np.testing.assert_array_equal(before[1], after[1])
        assert before[2:] == after[2:]

    def test_half_the_precision_gives_nearly_the_same(self, everything, panel, background, recurrent):
        methods = ("lrp-all", "shap-permutation", "shap-groups")
        single = compare_explainers(
            recurrent, panel[2], background, methods=methods, groups=GROUPS, dtype="float32", random_state=0
        )
        for method in methods[:2]:
            exact, found = (comparison.explanations[method].values for comparison in (everything, single))
            assert 0 < np.abs(found - exact).max() < 1e-4 * np.abs(exact).max()
        exact, found = (comparison.group_values["shap-groups"].values for comparison in (everything, single))
        assert 0 < np.abs(found - exact).max() < 1e-4 * np.abs(exact).max()

    def test_a_pipeline_transforms_rows_and_background(self, panel, background):
        train, y, test = panel
        model = make_pipeline(StandardScaler(), Ridge()).fit(train, y)
        found = compare_explainers(model, test, background, methods="shap-permutation").explanations["shap-permutation"]
        away = model[0].transform(test) - model[0].transform(background).mean(axis=0)
        np.testing.assert_allclose(found.values.reshape(len(test), -1), away * model[1].coef_, atol=1e-9)
        assert found.descriptor_names == ("60VOL", "BETA", "SKEW")

    def test_all_background_rows_are_used(self, panel, linear):
        train, _, test = panel
        many = pd.concat([train, train.rename(index=lambda asset: f"{asset}x", level="asset")])
        assert len(many) > 100
        comparison = compare_explainers(linear, test.iloc[:1], many, methods=["shap-permutation", "shap-kernel"])
        assert comparison.n_background == len(many)
        for explanation in comparison.explanations.values():
            np.testing.assert_allclose(explanation.bias, linear.predict(many).mean(), rtol=1e-9)

    def test_an_input_at_the_mean_of_the_background_has_an_offset_alone(self, panel, linear):
        background = np.array([[1.0] * 6, [-1.0] * 6])
        X = np.r_[np.zeros((1, 6)), np.ones((1, 6)) * 2]
        model = Ridge().fit(panel[0].to_numpy(), panel[1])
        found = compare_explainers(model, X, background, methods="shap-permutation").explanations["shap-permutation"]
        assert (found.loadings[0] == 0).all()
        np.testing.assert_allclose(found.values[1].ravel(), 2 * model.coef_, rtol=1e-9)

    def test_frames_and_copies(self, everything):
        frame = everything.to_frame()
        assert list(frame.columns) == ["method", "date", "asset", "lag", "descriptor", "value", "loading", "relevance"]
        assert len(frame) == len(everything.explanations) * 6 * 6
        of_one = frame.loc[frame["method"] == "shap-kernel", "relevance"]
        np.testing.assert_array_equal(of_one, everything.explanations["shap-kernel"].values.ravel())
        copy = pickle.loads(pickle.dumps(everything))
        pd.testing.assert_frame_equal(copy.summary(), everything.summary())
        with pytest.raises(TypeError, match="does not support item assignment"):
            everything.seconds["lrp-all"] = 0.0
        assert repr(copy).startswith("ExplainerComparison(methods=['lrp-all', ")

    def test_neither_tensorflow_nor_shap_is_imported_early(self):
        code = "import skdrfm.inspection._compare, sys; assert not {'shap', 'tensorflow'} & set(sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestBackground:
    @pytest.mark.parametrize("method", BLACK_BOXES)
    def test_every_row_predicted_is_made_of_an_explained_row_and_a_background_row(
        self, panel, background, recurrent, method, monkeypatch
    ):
        """No other row of the panel is ever seen."""
        seen = []
        true_predict = lrp.predict
        monkeypatch.setattr(
            _forward.lrp,
            "predict",
            lambda net, x, **kw: (seen.append(np.array(x)), true_predict(net, x, **kw))[1],
        )
        _, _, test = panel
        compare_explainers(recurrent, test, background, methods=method, max_evals=26, random_state=0)
        rows = np.concatenate(seen).reshape(-1, 6)
        assert len(rows) > 7 * 13
        from_one = np.zeros(len(rows), dtype=bool)
        for x in test.to_numpy():
            for b in background.to_numpy():
                from_one |= ((rows == x) | (rows == b)).all(axis=1)
        assert from_one.all()

    def test_gradients_are_taken_between_explained_rows_and_background_rows(
        self, panel, background, recurrent, monkeypatch
    ):
        import shap

        seen = []

        class Spy(shap.GradientExplainer):
            def __init__(self, model, data, **options):
                seen.append(data.reshape(len(data), -1))
                super().__init__(model, data, **options)

        monkeypatch.setattr(shap, "GradientExplainer", Spy)
        compare_explainers(recurrent, panel[2], background, methods="shap-gradient", max_evals=2)
        (rows,) = seen
        np.testing.assert_array_equal(rows, background.to_numpy())

    def test_an_explained_row_is_refused(self, panel, linear):
        train, _, test = panel
        mixed = pd.concat([train.iloc[:5], test.iloc[2:4]])
        with pytest.raises(PanelError, match="must hold no row that is explained. Got 2 rows of X: \\(Timestamp"):
            compare_explainers(linear, test, mixed, methods="shap-kernel")

    def test_a_date_of_the_rows_or_later_is_refused_by_name(self, panel, linear):
        train, _, test = panel
        others = test.rename(index=lambda asset: f"{asset}x", level="asset")
        first = test.index.get_level_values("date")[0]
        for rows in (others, pd.concat([train.iloc[:5], others])):
            with pytest.raises(PanelError, match=f"before the first date of X, {first}. Got 1 dates .*'{first}'"):
                compare_explainers(linear, test, rows, methods="shap-permutation")

    def test_between_the_dates_of_the_rows_is_not_before_them(self, panel, linear):
        train, _, test = panel
        dates = train.index.get_level_values("date")
        both = pd.concat([train[dates == dates.unique()[2]], test])
        between = train[dates == dates.unique()[4]]
        with pytest.raises(PanelError, match="before the first date of X"):
            compare_explainers(linear, both, between, methods="shap-permutation")

    def test_rows_of_arrays_are_known_by_their_values(self, panel):
        train, y, test = (part.to_numpy() for part in panel)
        model = LinearFactorRegressor().fit(train, y)
        with pytest.raises(PanelError, match="Got 1 rows with the values of a row of X"):
            compare_explainers(model, test, np.r_[train[:4], test[-1:]], methods="shap-permutation")
        numbered = [pd.DataFrame(part) for part in (test, np.r_[test[:2], train[:3]])]
        with pytest.raises(PanelError, match="Got 2 rows with the values of a row of X"):
            compare_explainers(model, *numbered, methods="shap-permutation")

    def test_tables_that_were_numbered_by_themselves_share_no_rows(self, panel):
        train, y, test = panel
        model = LinearFactorRegressor().fit(train, y)
        tables = [part.reset_index(drop=True) for part in (test, train.iloc[:6])]
        assert compare_explainers(model, *tables, methods="shap-permutation").n_background == 6

    def test_dates_of_two_types_are_refused(self, panel, linear):
        train, _, test = panel
        worded = train.iloc[:4].copy()
        worded.index = worded.index.set_levels(worded.index.levels[0].strftime("%b %y").astype(object), level="date")
        with pytest.raises(PanelError, match="of one type"):
            compare_explainers(linear, test, worded, methods="shap-permutation")

    def test_text_whose_order_is_not_that_of_time_is_refused(self, panel, linear):
        train, _, test = panel
        before, after = ("10/31/2019", "01/31/2020")
        tables = []
        for rows, date in ((train.iloc[:4], after), (test, before)):  # as text the later one comes first
            labels = [(date, f"{date}{place}") for place in range(len(rows))]
            tables.append(rows.set_axis(pd.MultiIndex.from_tuples(labels, names=["date", "asset"])))
        with pytest.raises(PanelError, match="Dates that are text must be ISO 8601"):
            compare_explainers(linear, tables[1], tables[0], methods="shap-permutation")

    def test_text_is_not_read_as_dates(self, panel, linear):
        train, _, test = panel
        worded = test.copy()
        worded.index = worded.index.set_levels(worded.index.levels[0].strftime("%Y-%m-%d").astype(object), level="date")
        with pytest.raises(PanelError, match="of one type"):
            compare_explainers(linear, worded, train.iloc[:4], methods="shap-permutation")

    def test_a_missing_date_is_refused(self, panel, linear):
        train, _, test = panel
        undated = train.iloc[:4].copy()
        undated.index = pd.MultiIndex.from_tuples([(pd.NaT, asset) for asset in "ABCD"], names=["date", "asset"])
        with pytest.raises(PanelError, match="must have a date. Got 4 rows without one"):
            compare_explainers(linear, test, undated, methods="shap-permutation")

    def test_other_columns_are_refused(self, panel, linear):
        train, _, test = panel
        with pytest.raises(PanelError, match="must have rows like X, of shape \\(n_background, 6\\).*Got \\(5, 5\\)"):
            compare_explainers(linear, test, train.iloc[:5, 1:], methods="shap-permutation")
        with pytest.raises(PanelError, match="Got 'SKEW__lag0' instead of '60VOL__lag3' in column 0"):
            compare_explainers(linear, test, train.iloc[:5, ::-1], methods="shap-permutation")
        with pytest.raises(PanelError, match="at least one. Got \\(0, 6\\)"):
            compare_explainers(linear, test, train.iloc[:0], methods="shap-permutation")

    def test_missing_values_are_counted(self, panel, linear):
        train, _, test = panel
        broken = train.iloc[:5].copy()
        broken.iloc[1, 2] = np.nan
        with pytest.raises(NonFiniteError, match="background must hold finite numbers. Got NaN: 1 in 'SKEW__lag3'"):
            compare_explainers(linear, test, broken, methods="shap-permutation")


class TestValidation:
    def test_a_background_is_asked_for(self, panel, linear):
        with pytest.raises(PanelError, match="'shap-permutation' must have a background. Got none"):
            compare_explainers(linear, panel[2])

    @pytest.mark.parametrize("methods", [["lime"], "lime", ["lrp-all", "lime"]])
    def test_an_unknown_method_is_refused(self, panel, linear, methods):
        with pytest.raises(ValueError, match="'methods' must be some of 'lrp-all', .*'shap-group-lags'. Got 'lime'"):
            compare_explainers(linear, panel[2], methods=methods)

    def test_no_method_or_one_twice_is_refused(self, panel, linear):
        with pytest.raises(ValueError, match="'methods' must be some of .* Got none"):
            compare_explainers(linear, panel[2], methods=[])
        with pytest.raises(ValueError, match="each method once. Got \\['lrp-all'\\]"):
            compare_explainers(linear, panel[2], methods=["lrp-all", "lrp_all"])

    def test_groups_are_asked_for(self, panel, linear, background):
        with pytest.raises(PanelError, match="must have groups of descriptors as players"):
            compare_explainers(linear, panel[2], background, methods="shap-groups")
        with pytest.raises(PanelError, match="by='group' needs groups"):
            compare_explainers(linear, panel[2], methods="lrp-all").agreement("group")

    @pytest.mark.parametrize(
        ("method", "least"), [("shap-permutation", 13), ("shap-kernel", 12), ("shap-sampling", 24)]
    )
    def test_a_budget_that_is_too_small_is_refused(self, panel, linear, background, method, least):
        with pytest.raises(ValueError, match=f"'max_evals' must be at least {least} for '{method}'.*Got {least - 1}"):
            compare_explainers(linear, panel[2], background, methods=method, max_evals=least - 1)

    def test_gradients_need_a_network(self, panel, linear, background):
        with pytest.raises(TypeError, match="'shap-gradient' differentiates a Keras model. Got LinearFactorRegressor"):
            compare_explainers(linear, panel[2], background, methods="shap-gradient")

    def test_gradients_need_a_linear_output(self, panel, background):
        import keras

        layers = [keras.layers.Flatten(), keras.layers.Dense(1, "sigmoid")]
        model = keras.Sequential([keras.Input((2, 3)), *layers])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that explanations leave the sigmoid out
            with pytest.raises(TypeError, match="after its activation 'sigmoid'"):
                compare_explainers(model, panel[2], background, methods="shap-gradient")
            found = compare_explainers(model, panel[2], background, methods=["lrp-all", "shap-permutation"])
        # Both explain what the sigmoid is applied to, which is linear.
        one, two = found.explanations.values()
        np.testing.assert_allclose(two.predictions, one.predictions)
        assert found.summary()["additivity_gap"].max() < 1e-6

    def test_values_that_are_not_finite_are_refused(self, panel, linear, background, monkeypatch):
        import shap

        class Broken(shap.SamplingExplainer):
            def shap_values(self, X, **options):
                return super().shap_values(X, **options) * np.where(np.arange(6) == 2, np.nan, 1)

        monkeypatch.setattr(shap, "SamplingExplainer", Broken)
        with pytest.raises(NonFiniteError, match="'shap-sampling' must find finite values. Got 6 NaN.*of 7 rows"):
            compare_explainers(linear, panel[2], background, methods="shap-sampling")

    def test_other_units_are_refused(self, everything):
        with pytest.raises(ValueError, match="'by' must be 'cell', .* Got 'asset'"):
            everything.agreement("asset")
        with pytest.raises(PanelError, match="at least two of what 'by' names. Got 1"):
            everything.agreement({"all": ["60VOL", "BETA", "SKEW"]})

    def test_rows_without_an_order_are_counted(self, panel, linear):
        test = panel[2].copy()
        test.iloc[0] = 0.0
        comparison = compare_explainers(linear, test, methods=["lrp-all", "occlusion"])
        with pytest.warns(CoverageWarning, match="1 rows of 'lrp-all', 1 rows of 'occlusion', of 6 rows in all"):
            agreement = comparison.agreement()
        np.testing.assert_allclose(agreement, 1.0)

    def test_no_rows_are_refused(self, panel, linear):
        with pytest.raises(PanelError, match="at least one row to explain"):
            compare_explainers(linear, panel[2].iloc[:0], methods="lrp-all")

    def test_a_comparison_keeps_its_own_mappings(self, panel, linear):
        found = explain(linear, panel[2])
        explanations = {"lrp-all": found}
        comparison = ExplainerComparison(explanations, {}, {"lrp-all": 1.0}, {}, 0)
        explanations.clear()
        assert list(comparison.explanations) == ["lrp-all"]
