"""Evidence beside the figures: shares of lags, coverage, explainers side by side, and the audit for leaks."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

from skdrfm import DeepRecurrentFactorRegressor, make_factor_panel, run_study
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.inspection import LEAKAGE_CHECKS
from skdrfm.study import StudyResult, _evidence

OPTIONS = {"lags": (0, 3), "train_size": 12, "n_quantiles": 3, "progress": False}
EXPLAINERS = ["lrp-all", "gradient-x-input", "integrated-gradients", "occlusion", "shap-permutation"]


@pytest.fixture(scope="module")
def panel():
    return make_factor_panel(n_dates=20, n_assets=15, n_descriptors=4, missing=0.05, entry_exit=0.2, random_state=4)


@pytest.fixture(scope="module")
def linear(panel):
    return run_study(*panel, models=["Linear"], evidence=True, end="2001-07", **OPTIONS)


def without_times(study):
    return study.explainer_costs.drop(columns="microseconds_per_sample")


class Explained(LinearRegression):
    """A model that cannot be explained after all."""

    def explain(self, X, **options):
        raise TypeError("no rule for Explained")


class TestAlwaysMade:
    def test_shares_of_lags_are_weighted_means_over_the_top_quantile(self, linear):
        explanation = linear.results["Linear"].explanation
        dates = explanation.index.get_level_values("date")
        found = linear.relevance_by_lag["Linear"]
        assert found.columns.tolist() == [3, 0]
        for date in dates.unique():
            here = dates == date
            forecasts = explanation.predictions[here]
            size = here.sum() / 3
            weights = np.empty(len(forecasts))
            weights[np.argsort(-forecasts)] = np.clip(size - np.arange(len(forecasts)), 0, 1) / size
            sizes = np.abs(explanation.values[here].sum(axis=2))
            expected = weights @ (sizes / sizes.sum(axis=1, keepdims=True))
            np.testing.assert_allclose(found.loc[date], expected, rtol=1e-10)
            assert found.loc[date].sum() == pytest.approx(1)

    def test_coverage_counts_raw_values_of_all_dates(self, panel, linear):
        X, _ = panel
        expected = X.notna().groupby(level="date").mean()
        pd.testing.assert_frame_equal(linear.coverage, expected, check_names=False, check_freq=False)
        assert linear.coverage.index.name == "date"
        assert linear.coverage.to_numpy().min() < 1

    def test_without_being_asked_for_there_is_no_evidence(self, panel, linear):
        plain = run_study(*panel, models=["Linear"], end="2001-07", **OPTIONS)
        assert plain.agreement is plain.explainer_costs is plain.findings is None
        assert "evidence" not in plain.manifest
        pd.testing.assert_frame_equal(plain.table, linear.table, check_exact=True)

    def test_a_study_pickled_before_these_fields_existed_can_be_read(self, linear):
        state = {
            name: value
            for name, value in linear.__dict__.items()
            if name not in ("relevance_by_lag", "coverage", "agreement", "explainer_costs", "findings")
        }
        old = StudyResult.__new__(StudyResult)
        old.__dict__.update(state)
        again = pickle.loads(pickle.dumps(old))
        assert again.relevance_by_lag == {}
        assert again.coverage.empty
        assert again.findings is None
        pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(linear)).coverage, linear.coverage)


class TestExplainers:
    def test_all_five_explain_the_last_cross_section(self, linear):
        assert linear.agreement.index.tolist() == linear.agreement.columns.tolist() == EXPLAINERS
        # They agree on a linear model, but for SHAP, whose background has not quite the mean 0.
        np.testing.assert_allclose(linear.agreement.iloc[:4, :4], 1)
        assert linear.agreement.loc["lrp-all", "shap-permutation"] > 0.6
        assert linear.explainer_costs.index.tolist() == EXPLAINERS
        assert linear.explainer_costs["additivity_gap"].max() < 1e-10
        said = linear.manifest["evidence"]["explanations"]
        last = linear.windows.iloc[-1]
        assert said["model"] == "Linear"
        assert said["date"] == str(last["test_end"])
        assert said["rows_of_date"] == said["rows_explained"] == last["test_rows"]
        assert said["rows_of_background"] == 50

    @pytest.mark.parametrize("refit_every", [1, 3])
    def test_the_model_is_that_of_the_walk_to_the_last_bit(self, panel, monkeypatch, refit_every):
        networks = {
            "LSTM": DeepRecurrentFactorRegressor(units=2, epochs=1, random_state=0),
            "LSTM+LRP": DeepRecurrentFactorRegressor(units=2, epochs=1, random_state=0, linearized=True),
            "Linear": LinearFactorRegressor(),
        }
        seen = []
        compare = _evidence.compare_explainers
        monkeypatch.setattr(_evidence, "EXPLAINERS", ("lrp-all", "occlusion"))
        monkeypatch.setattr(_evidence, "_MAX_ROWS", 8)
        monkeypatch.setattr(_evidence, "compare_explainers", lambda *a, **k: seen.append(compare(*a, **k)) or seen[-1])
        study = run_study(*panel, models=networks, evidence=True, refit_every=refit_every, **OPTIONS)
        assert study.manifest["evidence"]["explanations"]["model"] == "LSTM+LRP"
        assert study.manifest["evidence"]["explanations"]["rows_explained"] == 8
        found, walked = seen[0].explanations["lrp-all"], study.results["LSTM+LRP"].explanation
        assert set(found.index.get_level_values("date")) == {study.windows["test_start"].iloc[-1]}
        same = walked[walked.index.get_indexer(found.index)]
        np.testing.assert_array_equal(found.values, same.values)
        np.testing.assert_array_equal(found.predictions, same.predictions)
        assert len(study.windows) % 3 != 1  # so that the last window has the model of an earlier one

    def test_where_no_model_is_explained_the_first_that_can_be_is_taken(self, panel):
        models = {"Forest": RandomForestRegressor(2, random_state=0), "Mine": LinearFactorRegressor()}
        study = run_study(*panel, models=models, evidence=True, **OPTIONS)
        assert study.manifest["evidence"]["explanations"]["model"] == "Mine"
        assert study.agreement is not None

    def test_without_a_model_to_explain_the_audit_remains(self, panel):
        study = run_study(*panel, models={"Forest": RandomForestRegressor(2, random_state=0)}, evidence=True, **OPTIONS)
        assert study.agreement is study.explainer_costs is None
        assert study.manifest["evidence"]["explanations"] is None
        assert isinstance(study.findings, pd.DataFrame)

    def test_a_single_descriptor_has_costs_and_no_order(self, panel):
        X, y = panel
        study = run_study(X.iloc[:, :1], y, models=["Linear"], evidence=True, **OPTIONS)
        assert study.agreement is None
        assert len(study.explainer_costs) == 5

    def test_what_cannot_be_explained_is_said_before_the_walk(self, panel, tmp_path):
        with pytest.raises(TypeError, match="Explained"):
            run_study(*panel, models={"Mine": Explained()}, evidence=True, checkpoint=tmp_path, **OPTIONS)
        assert not list(tmp_path.rglob("window-*"))

    def test_the_seed_of_the_caller_is_not_advanced(self, panel, linear):
        state = np.random.RandomState(0)
        run_study(*panel, models={"Mine": LinearFactorRegressor()}, evidence=True, random_state=state, **OPTIONS)
        assert state.randint(1000) == np.random.RandomState(0).randint(1000)


class TestAudit:
    def test_every_check_is_in_the_manifest(self, linear):
        audited = linear.manifest["evidence"]["audit"]
        assert list(audited["checks"]) == list(LEAKAGE_CHECKS)
        assert not [status for status in audited["checks"].values() if status.startswith("could not run")]
        assert list(linear.findings.columns) == ["code", "severity", "title", "evidence", "remedy"]

    def test_a_descriptor_that_is_the_target_is_found(self, panel):
        X, y = panel
        study = run_study(X.assign(MINE=y.fillna(0.0)), y, models=["Linear"], evidence=True, **OPTIONS)
        assert "target_in_features" in set(study.findings["code"])
        assert study.manifest["evidence"]["audit"]["checks"]["target_in_features"] == "found"


class TestNoLookAhead:
    def test_rows_after_the_last_window_change_nothing(self, panel, linear):
        X, y = panel
        dates = X.index.get_level_values("date")
        last = linear.windows["test_end"].iloc[-1]
        later = dates > last
        assert later.sum() > 20
        rng = np.random.default_rng(0)
        X_other, y_other = X.copy(), y.copy()
        X_other[later] = rng.normal(size=X[later].shape) * 50
        y_other[later] = rng.normal(size=later.sum()) * 5
        other = run_study(X_other, y_other, models=["Linear"], evidence=True, end="2001-07", **OPTIONS)
        pd.testing.assert_frame_equal(other.agreement, linear.agreement, check_exact=True)
        pd.testing.assert_frame_equal(without_times(other), without_times(linear), check_exact=True)
        pd.testing.assert_frame_equal(other.findings, linear.findings, check_exact=True)
        assert other.manifest["evidence"] == linear.manifest["evidence"]
        shares = (study.relevance_by_lag["Linear"] for study in (other, linear))
        pd.testing.assert_frame_equal(*shares, check_exact=True)
        pd.testing.assert_frame_equal(other.coverage[:last], linear.coverage[:last], check_exact=True)
