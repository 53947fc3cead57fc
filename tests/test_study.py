"""The study: its figures from an independent computation, no look-ahead, counted rows, months as asked for."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestRegressor

from skdrfm import DeepFactorRegressor, DeepRecurrentFactorRegressor, make_factor_panel, run_study
from skdrfm.descriptors import GROUPS
from skdrfm.exceptions import PanelError, SplitError
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.study import PUBLISHED, resolve_groups

SMALL = {"lags": (0, 3), "train_size": 12, "progress": False}


def small_networks():
    return {
        "LSTM": DeepRecurrentFactorRegressor(units=2, epochs=1, random_state=0),
        "LSTM+LRP": DeepRecurrentFactorRegressor(units=2, epochs=1, random_state=0, linearized=True),
        "DNN+LRP": DeepFactorRegressor((3,), epochs=1, random_state=0, linearized=True),
        "Linear": LinearFactorRegressor(),
    }


@pytest.fixture(scope="module")
def panel():
    return make_factor_panel(n_dates=20, n_assets=15, missing=0.02, entry_exit=0.2, random_state=4)


@pytest.fixture(scope="module")
def study(panel):
    return run_study(*panel, models=small_networks(), **SMALL)


class TestFigures:
    def test_the_table_equals_an_independent_computation(self, study):
        for name, row in study.table.iterrows():
            frame = pd.DataFrame({"forecast": study.results[name].predictions, "realised": study.realised})
            error = frame["forecast"] - frame["realised"]
            by_date = error.groupby(level="date")
            assert row["MAE"] == pytest.approx(by_date.apply(lambda e: e.abs().mean()).mean(), rel=1e-12)
            assert row["RMSE"] == pytest.approx(by_date.apply(lambda e: (e**2).mean() ** 0.5).mean(), rel=1e-12)
            ics = [spearmanr(month["forecast"], month["realised"])[0] for _, month in frame.groupby(level="date")]
            assert row["Rank IC"] == pytest.approx(np.mean(ics), rel=1e-9)
            r2 = 1 - (error**2).sum() / (frame["realised"] ** 2).sum()
            assert row["R2_oos [%]"] == pytest.approx(100 * r2, rel=1e-9)
            spreads = []
            for _, month in frame.groupby(level="date"):
                # No ties among forecasts of continuous data: fractional legs of N/5 names.
                ranked = month.sort_values("forecast")["realised"].to_numpy()
                size = len(ranked) / 5
                slots = np.clip(size - np.arange(len(ranked)), 0, 1) / size
                spreads.append(ranked[::-1] @ slots - ranked @ slots)
            assert row["Return [%]"] == pytest.approx(1200 * np.mean(spreads), rel=1e-9)
            assert row["Sharpe ratio"] == pytest.approx(row["Return [%]"] / row["Volatility [%]"], rel=1e-12)

    def test_published_figures_obey_the_identity_of_the_sharpe_ratio(self):
        ratio = PUBLISHED["Return [%]"] / PUBLISHED["Volatility [%]"]
        assert (np.abs(ratio - PUBLISHED["Sharpe ratio"]) < 0.01).all()

    def test_contributions_of_the_top_quintile(self, study):
        assert set(study.contributions) == {"LSTM+LRP", "DNN+LRP", "Linear"}
        explanation = study.results["Linear"].explanation
        date = study.windows["test_start"].iloc[-1]
        of_date = explanation.index.get_level_values("date") == date
        forecasts = explanation.predictions[of_date]
        size = of_date.sum() / 5
        weights = np.empty(len(forecasts))
        weights[np.argsort(-forecasts)] = np.clip(size - np.arange(len(forecasts)), 0, 1) / size
        sums = {
            group: explanation.values[of_date][:, :, [explanation.descriptor_names.index(n) for n in names]].sum((1, 2))
            for group, names in GROUPS.items()
        }
        total = sum(np.abs(values) for values in sums.values())
        for group, values in sums.items():
            assert study.signed_contributions["Linear"].loc[date, group] == pytest.approx(values @ weights)
            assert study.contributions["Linear"].loc[date, group] == pytest.approx((np.abs(values) / total) @ weights)
        np.testing.assert_allclose(study.contributions["LSTM+LRP"].sum(axis=1), 1, rtol=1e-9)

    def test_a_planted_signal_is_found(self):
        X, y = make_factor_panel(n_dates=60, n_assets=100, nonlinearity=0.0, regimes=1, random_state=0)
        found = run_study(X, y, models=["Linear"], lags=(0, 3), train_size=36, progress=False)
        assert found.table.loc["Linear", "Rank IC"] > 0.05


class TestRefitsAndSeeds:
    def test_random_models_are_ensembles_and_months_between_fits_have_the_last_model(self, panel, tmp_path):
        models = {
            "Forest": RandomForestRegressor(2, random_state=3),
            "Linear": LinearFactorRegressor(),
        }
        options = {**SMALL, "refit_every": 2, "n_seeds": 3, "checkpoint": tmp_path}
        found = run_study(*panel, models=models, **options)
        assert list(found.results) == list(found.table.index) == ["Forest", "Linear"]
        assert found.manifest["options"]["n_seeds"] == {"Forest": 3, "Linear": 1}
        assert found.manifest["options"]["refit_every"] == 2
        members = found.results["Forest"].seed_predictions
        assert members.shape[1] == 3
        np.testing.assert_allclose(found.results["Forest"].predictions, members.mean(axis=1), rtol=1e-12)
        fits = found.results["Linear"].windows["fitted_in"].tolist()
        assert fits == [number // 2 * 2 for number in range(len(fits))]
        saved = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("window-*.npz")}
        assert len(saved) == 2 * len(fits)
        again = run_study(*panel, models=models, **options)
        pd.testing.assert_frame_equal(found.table, again.table, check_exact=True)
        assert saved == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("window-*.npz")}

    @pytest.mark.parametrize("option", [{"n_seeds": 0}, {"refit_every": 1.5}])
    def test_numbers_that_cannot_be_meant_are_refused(self, panel, option):
        with pytest.raises(ValueError, match=next(iter(option))):
            run_study(*panel, models={"Forest": RandomForestRegressor(2, random_state=3)}, **SMALL, **option)

    def test_a_number_of_seeds_that_cannot_be_meant_is_refused_where_no_model_has_one(self, panel):
        with pytest.raises(ValueError, match="n_seeds"):
            run_study(*panel, models=["Linear"], **SMALL, n_seeds=0)


class TestNoLookAhead:
    def test_rows_after_a_date_do_not_change_what_was_forecast_up_to_it(self, panel, study):
        X, y = panel
        dates = X.index.get_level_values("date")
        cut = sorted(dates.unique())[17]
        rng = np.random.default_rng(0)
        X_other, y_other = X.copy(), y.copy()
        X_other[dates > cut] = rng.normal(size=X[dates > cut].shape) * 5
        y_other[dates >= cut] = rng.normal(size=(dates >= cut).sum()) * 0.1
        other = run_study(X_other, y_other, models=small_networks(), **SMALL)
        for name, result in study.results.items():
            early = result.predictions.index.get_level_values("date") <= cut
            np.testing.assert_array_equal(result.predictions[early], other.results[name].predictions[early])
        for name, shares in study.contributions.items():
            pd.testing.assert_frame_equal(shares[:cut], other.contributions[name][:cut], check_exact=True)

    def test_rows_that_do_not_exist_yet_change_nothing(self, panel, study):
        X, y = panel
        dates = X.index.get_level_values("date")
        cut = sorted(dates.unique())[17]
        shorter = run_study(X[dates <= cut], y[dates <= cut], models=small_networks(), **SMALL)
        for name, result in shorter.results.items():
            longer = study.results[name].predictions.loc[result.predictions.index]
            np.testing.assert_array_equal(result.predictions, longer)


class TestRows:
    def test_every_row_is_accounted_for(self, panel):
        X, y = panel
        rng = np.random.default_rng(1)
        universe = pd.Series(rng.random(len(X)) < 0.8, index=X.index)
        y = y.where(rng.random(len(X)) < 0.95)
        found = run_study(X, y, models=["Linear"], universe=universe, **SMALL)
        rows = found.manifest["rows"]
        dropped = [count for reason, count in rows.items() if reason.startswith("dropped")]
        assert rows["given"] == len(X)
        assert rows["given"] - sum(dropped) == rows["walked"]
        assert all(count > 0 for count in dropped)
        assert rows["predicted"] == len(found.results["Linear"].predictions)
        assert universe.loc[found.results["Linear"].predictions.index].all()
        filled = found.manifest["missing_cells_ranked_neutral"]
        assert filled == {name: int(count) for name, count in X.isna().sum().items() if count}

    def test_start_and_end_are_the_months_in_which_returns_are_earned(self, panel, study):
        # The panel runs from 2000-01 to 2001-08; the last row's return is earned in 2001-09.
        found = run_study(*panel, models=["Linear"], start="2001-06", end="2001-08", **SMALL)
        months = found.results["Linear"].predictions.index.get_level_values("date").unique().to_period("M")
        assert [str(month) for month in months] == ["2001-05", "2001-06", "2001-07"]
        everything = study.results["Linear"].predictions.loc[found.results["Linear"].predictions.index]
        np.testing.assert_array_equal(found.results["Linear"].predictions, everything)

    def test_the_manifest_says_what_was_run(self, study):
        manifest = study.manifest
        assert manifest["versions"]["keras"]
        assert manifest["random_state"] == 0
        assert len(manifest["data_sha256"]) == 64
        assert manifest["dates"]["n_test_months"] == len(study.windows)

    def test_dates_may_be_categories(self, panel):
        X, y = panel
        level = pd.CategoricalIndex(X.index.get_level_values("date"))
        index = pd.MultiIndex.from_arrays([level, X.index.get_level_values("asset")], names=["date", "asset"])
        plain = run_study(X, y, models=["Linear"], **SMALL)
        found = run_study(X.set_axis(index), y.set_axis(index), models=["Linear"], **SMALL)
        assert found.manifest["dates"] == plain.manifest["dates"]
        np.testing.assert_array_equal(found.table, plain.table)

    def test_checkpoint_and_workers_change_nothing(self, panel, study, tmp_path):
        for _ in range(2):
            again = run_study(*panel, models=small_networks(), n_jobs=2, checkpoint=tmp_path, **SMALL)
            pd.testing.assert_frame_equal(again.table, study.table, check_exact=True)

    def test_descriptors_outside_the_groups_form_their_own(self):
        assert resolve_groups(["CAP", "BETA", "MINE"], None) == {
            "Risk": ("BETA",),
            "Size": ("CAP",),
            "Other": ("MINE",),
        }

    def test_a_group_that_is_called_other_keeps_its_descriptors(self):
        groups = {"Size": ["CAP"], "Other": ["BETA"]}
        assert resolve_groups(["CAP", "BETA", "MINE"], groups) == {"Size": ("CAP",), "Other": ("BETA", "MINE")}
        assert resolve_groups(["CAP", "BETA"], groups) == {"Size": ("CAP",), "Other": ("BETA",)}

    @pytest.mark.parametrize("dtype", [bool, int, float, object, "boolean"])
    def test_a_universe_may_hold_its_flags_in_any_type(self, panel, dtype):
        X, y = panel
        flags = pd.Series(X.index.get_level_values("asset").isin(X.index.get_level_values("asset")[:12]), index=X.index)
        found = run_study(X, y, models=["Linear"], universe=flags.astype(dtype), **SMALL)
        assert found.manifest["rows"]["dropped_outside_universe"] > 0
        assert flags.loc[found.realised.index].all()


class TestErrors:
    @pytest.mark.parametrize(
        ("changes", "error", "message"),
        [
            ({"models": ["Linear", "XGB"]}, ValueError, "'models' must name some of LSTM, .*Got XGB"),
            ({"models": []}, ValueError, "Got none"),
            ({"n_quantiles": 20}, PanelError, r"as many assets on a date as quantiles \(20\)"),
            ({"start": "2030-01"}, SplitError, "predicted months must lie between"),
            ({"start": "soon"}, SplitError, "'start' must be a month such as '2009-01'. Got 'soon'"),
            ({"start": "2000-08"}, SplitError, "The earliest possible one is"),
            ({"train_size": 60}, SplitError, "enough for 0"),
            ({"lags": (0, 90)}, PanelError, "Got none among"),
            ({"models": {}}, ValueError, "at least one. Got none"),
            ({"models": {1: LinearFactorRegressor()}}, ValueError, "names, which are text.* Got 1"),
            ({"models": "Linear"}, ValueError, r"Got 'Linear'. Pass \['Linear'\]"),
            ({"models": LinearFactorRegressor()}, ValueError, r"Got LinearFactorRegressor\(\). Pass {name: model}"),
            ({"start": float("nan")}, SplitError, "'start' must be a month such as '2009-01'. Got nan"),
            ({"start": "2001-06", "train_size": "12"}, SplitError, "'train_size' parameter of run_study"),
        ],
    )
    def test_bad_arguments(self, panel, changes, error, message):
        with pytest.raises(error, match=message):
            run_study(*panel, **{**SMALL, "models": ["Linear"], **changes})

    @pytest.mark.parametrize(
        ("changes", "error", "message"),
        [
            (
                {"n_quantiles": 1},
                ValueError,
                "'n_quantiles' parameter of run_study must be an int in the range .2, inf",
            ),
            ({"n_quantiles": "5"}, ValueError, "Got '5'"),
            ({"cost": -0.001}, ValueError, "'cost' parameter of run_study must be a float in the range .0.0, inf"),
            ({"cost": float("nan")}, ValueError, "Got nan"),
            ({"groups": {"A": ["CAP", "BETA"], "B": ["BETA"]}}, PanelError, r"Got \['BETA'\] more than once"),
            ({"groups": {"Size": "CAP"}}, PanelError, r"Got the text 'CAP' for 'Size'. Pass {'Size': \['CAP'\]}"),
        ],
    )
    def test_what_is_needed_after_the_walk_is_checked_before_it(self, panel, tmp_path, changes, error, message):
        with pytest.raises(error, match=message):
            run_study(*panel, **{**SMALL, "models": ["Linear"], "checkpoint": tmp_path, **changes})
        assert not list(tmp_path.rglob("window-*"))

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (lambda flags: flags.astype(object).mask(np.arange(len(flags)) == 3), "Got nan in 1 of"),
            (lambda flags: flags.astype("boolean").mask(np.arange(len(flags)) == 3), "Got <NA> in 1 of"),
            (lambda flags: flags.astype(str), "Got 'True' in"),
            (lambda flags: flags.to_numpy(), "universe must be a Series"),
        ],
        ids=["missing", "NA", "text", "array"],
    )
    def test_a_universe_without_a_flag_in_each_row(self, panel, values, message):
        X, y = panel
        with pytest.raises(PanelError, match=message):
            run_study(X, y, models=["Linear"], universe=values(pd.Series(True, index=X.index)), **SMALL)

    def test_returns_without_labels(self, panel):
        X, y = panel
        for unlabelled in (y.to_numpy(), y.to_frame()):
            with pytest.raises(PanelError, match="y must be a Series indexed by .date, asset.. Got"):
                run_study(X, unlabelled, models=["Linear"], **SMALL)

    def test_a_descriptor_without_any_value(self, panel):
        X, y = panel
        with pytest.raises(PanelError, match="Got none in 'CAP'. Leave these columns out"):
            run_study(X.assign(CAP=np.nan), y, models=["Linear"], **SMALL)

    def test_no_row_left(self, panel):
        X, y = panel
        with pytest.raises(PanelError, match="Some rows must have full history, be in the universe"):
            run_study(X, y, models=["Linear"], universe=pd.Series(False, index=X.index), **SMALL)
