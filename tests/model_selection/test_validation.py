"""walk_forward_predict: honest, complete, independent of workers, and able to go on where it stopped."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

from skdrfm import DeepRecurrentFactorRegressor, WalkForwardSplit, make_factor_panel, walk_forward_predict
from skdrfm.exceptions import CheckpointError, CoverageWarning, PanelError, SplitError
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.model_selection._plan import groups_sharing_a_fit
from skdrfm.panel import LaggedPanel


@pytest.fixture(scope="module")
def panel():
    return make_factor_panel(n_dates=20, n_assets=8, n_descriptors=3, entry_exit=0.3, random_state=1)


@pytest.fixture(scope="module")
def forms(panel):
    """The same lagged panel with its target twice: gathered by window, and stacked."""
    lagged = LaggedPanel(panel[0], (0, 1, 2))
    target = lagged.align(panel[1])
    return (lagged, target), (lagged.to_frame(), target)


def walk(model, panel, **options):
    return walk_forward_predict(model, *panel, **{"cv": WalkForwardSplit(12), "progress": False, **options})


class CountingRegressor(RegressorMixin, BaseEstimator):
    """Counts its fits in a file, so that other processes count too; fails from the date in another file on."""

    def __init__(self, log, stop="no such file"):
        self.log = log
        self.stop = stop

    def fit(self, X, y):
        last = str(X.index.get_level_values("date").max())
        if Path(self.stop).exists() and last >= Path(self.stop).read_text():
            raise RuntimeError("interrupted")
        with Path(self.log).open("a") as stream:
            stream.write(f"{last}\n")
        self.mean_ = float(y.mean())
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


class TestPredictions:
    def test_they_equal_a_literal_loop_over_dates(self, panel):
        X, y = panel
        dates = X.index.get_level_values("date")
        distinct = sorted(dates.unique())
        result = walk(LinearRegression(), panel)
        for i in range(12, 20):
            train = dates.isin(distinct[i - 12 : i])
            test = dates == distinct[i]
            expected = LinearRegression().fit(X[train], y[train]).predict(X[test])
            np.testing.assert_allclose(result.predictions[distinct[i]], expected, rtol=1e-12)
        assert result.predictions.index.equals(X.index[dates.isin(distinct[12:])])
        assert result.to_frame().shape == (len(result.predictions), 1)
        assert len(result.windows) == 8
        assert (result.windows["train_end"] < result.windows["test_start"]).all()

    def test_later_rows_do_not_change_earlier_predictions(self, panel):
        X, y = panel
        dates = X.index.get_level_values("date")
        cut = sorted(dates.unique())[16]
        rng = np.random.default_rng(0)
        X_other, y_other = X.copy(), y.copy()
        X_other[dates > cut] = rng.normal(size=X[dates > cut].shape) * 9
        # The target stored at the cut is earned after it.
        y_other[dates >= cut] = rng.normal(size=(dates >= cut).sum())
        model = DeepRecurrentFactorRegressor(units=2, epochs=1, random_state=0)
        base = walk(model, panel).predictions
        changed = walk(model, (X_other, y_other)).predictions
        early = base.index.get_level_values("date") <= cut
        np.testing.assert_array_equal(base[early], changed[early])
        assert (base[~early] != changed[~early]).any()

    def test_the_number_of_workers_changes_nothing(self, panel):
        models = {
            "forest": RandomForestRegressor(5, random_state=0),
            "net": DeepRecurrentFactorRegressor(units=2, epochs=1, random_state=0),
        }
        one, two = walk(models, panel), walk(models, panel, n_jobs=2)
        for name in models:
            pd.testing.assert_series_equal(one[name].predictions, two[name].predictions, check_exact=True)

    def test_targets_may_be_unknown_where_rows_are_only_tested(self, panel):
        X, y = panel
        unknown = y.where(X.index.get_level_values("date") < X.index.get_level_values("date").max())
        np.testing.assert_array_equal(
            walk(LinearRegression(), (X, unknown)).predictions, walk(LinearRegression(), panel).predictions
        )

    def test_explanations_come_in_the_order_of_the_predictions(self, panel):
        result = walk(LinearFactorRegressor(), panel, explain=True)
        assert result.explanation.index.equals(result.predictions.index)
        np.testing.assert_allclose(result.explanation.predictions, result.predictions, rtol=1e-12)
        assert np.abs(result.explanation.conservation_gap).max() < 1e-12


class TestLaggedPanel:
    @pytest.mark.parametrize("n_jobs", [None, 2])
    def test_the_walk_is_that_of_the_stacked_frame_bit_for_bit(self, forms, n_jobs):
        models = {"linear": LinearFactorRegressor(), "forest": RandomForestRegressor(3, random_state=0)}
        lagged, stacked = (walk(models, form, n_jobs=n_jobs, explain=["linear"]) for form in forms)
        for name in models:
            pd.testing.assert_series_equal(lagged[name].predictions, stacked[name].predictions, check_exact=True)
            pd.testing.assert_frame_equal(
                *(result[name].windows.drop(columns="fit_seconds") for result in (lagged, stacked))
            )
        np.testing.assert_array_equal(lagged["linear"].explanation.loadings, stacked["linear"].explanation.loadings)
        assert lagged["linear"].explanation.lags == (2, 1, 0)

    def test_a_checkpoint_of_one_form_serves_the_other(self, forms, tmp_path):
        log = tmp_path / "log"
        model = CountingRegressor(str(log))
        first, second = (walk(model, form, checkpoint=tmp_path / "walk") for form in forms)
        pd.testing.assert_series_equal(first.predictions, second.predictions, check_exact=True)
        assert len(log.read_text().splitlines()) == len(first.windows)

    def test_rows_left_out_by_a_mask_are_not_walked(self, forms):
        (lagged, target), (stacked, _) = forms
        mask = stacked.index.get_level_values("asset") != stacked.index.get_level_values("asset")[0]
        results = [walk(LinearFactorRegressor(), (data[mask], target[mask])) for data in (lagged, stacked)]
        pd.testing.assert_series_equal(*(result.predictions for result in results), check_exact=True)

    def test_rows_in_any_order_come_back_in_theirs(self, panel):
        X, y = panel
        order = np.random.default_rng(0).permutation(len(X))
        lagged = LaggedPanel(X.iloc[order], (0, 1))
        result = walk(LinearFactorRegressor(), (lagged, lagged.align(y.iloc[order])))
        one_by_one = result.predictions.index
        tested = lagged.index[lagged.index.isin(one_by_one)]
        dates = tested.get_level_values("date")
        expected = [row for date in sorted(dates.unique()) for row in tested[dates == date]]
        assert list(one_by_one) == expected

    def test_a_target_that_is_not_aligned_is_refused(self, forms, panel):
        (lagged, target), _ = forms
        with pytest.raises(PanelError, match="another order"):
            walk(LinearFactorRegressor(), (lagged, target.iloc[::-1]))
        with pytest.raises(PanelError, match="for each row of X"):
            walk(LinearFactorRegressor(), (lagged, panel[1]))


class TestSharing:
    def test_models_that_differ_in_linearized_alone_share_a_fit(self, panel):
        models = {
            "LSTM": DeepRecurrentFactorRegressor(units=2, epochs=1, random_state=0),
            "LSTM+LRP": DeepRecurrentFactorRegressor(units=2, epochs=1, random_state=0, linearized=True),
            "wider": DeepRecurrentFactorRegressor(units=3, epochs=1, random_state=0),
            "linear": LinearRegression(),
        }
        assert list(groups_sharing_a_fit(models).values()) == [["LSTM", "LSTM+LRP"], ["wider"], ["linear"]]
        pair = {name: models[name] for name in ("LSTM", "LSTM+LRP")}
        results = walk(pair, panel, explain=["LSTM+LRP"], cv=WalkForwardSplit(12, 4))
        alone = walk(models["LSTM+LRP"], panel, cv=WalkForwardSplit(12, 4))
        np.testing.assert_array_equal(results["LSTM+LRP"].predictions, alone.predictions)
        np.testing.assert_allclose(results["LSTM+LRP"].explanation.predictions, results["LSTM"].predictions, rtol=1e-12)
        assert results["LSTM"].explanation is None


class TestCheckpoint:
    def test_an_interrupted_walk_goes_on_and_computes_nothing_twice(self, panel, tmp_path):
        log, stop = tmp_path / "log", tmp_path / "stop"
        uninterrupted = walk(CountingRegressor(str(tmp_path / "other"), str(stop)), panel)
        stop.write_text(str(sorted(panel[0].index.get_level_values("date").unique())[14]))
        model = CountingRegressor(str(log), str(stop))
        with pytest.raises(RuntimeError, match="interrupted"):
            walk(model, panel, checkpoint=tmp_path / "walk")
        assert len(log.read_text().splitlines()) == 3
        stop.unlink()
        resumed = walk(model, panel, checkpoint=tmp_path / "walk")
        np.testing.assert_array_equal(resumed.predictions, uninterrupted.predictions)
        assert len(log.read_text().splitlines()) == 8

    def test_a_finished_walk_is_read_back_bit_for_bit(self, panel, tmp_path):
        log = tmp_path / "log"
        model = CountingRegressor(str(log))
        first = walk(model, panel, checkpoint=tmp_path / "walk")
        second = walk(model, panel, checkpoint=tmp_path / "walk")
        pd.testing.assert_series_equal(first.predictions, second.predictions, check_exact=True)
        pd.testing.assert_frame_equal(first.windows, second.windows)
        assert len(log.read_text().splitlines()) == 8

    def test_explanations_survive_the_checkpoint(self, panel, tmp_path):
        options = {"explain": True, "checkpoint": tmp_path}
        first, second = (walk(LinearFactorRegressor(), panel, **options).explanation for _ in range(2))
        np.testing.assert_array_equal(first.loadings, second.loadings)
        assert first.descriptor_names == second.descriptor_names
        assert first.lags == second.lags
        assert (first.method, first.coverage) == (second.method, second.coverage)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"model": LinearFactorRegressor(fit_intercept=False)}, "model model: was .*fit_intercept=True"),
            ({"cv": WalkForwardSplit(13)}, "splitter: was .*train_size=12.*now .*train_size=13"),
            ({"explain": True}, "explained: was nothing, now model"),
            ({"data": True}, "data: was"),
        ],
    )
    def test_another_run_is_refused_and_the_change_is_named(self, panel, tmp_path, change, message):
        walk(LinearFactorRegressor(), panel, checkpoint=tmp_path)
        change = dict(change)
        model = change.pop("model", LinearFactorRegressor())
        data = (panel[0] + 1, panel[1]) if change.pop("data", False) else panel
        with pytest.raises(CheckpointError, match=message):
            walk(model, data, checkpoint=tmp_path, **change)

    def test_a_spoiled_file_is_computed_again_and_reported(self, panel, tmp_path):
        first = walk(LinearFactorRegressor(), panel, checkpoint=tmp_path)
        files = sorted(tmp_path.rglob("*.npz"))
        assert len(files) == 8
        files[2].write_bytes(files[2].read_bytes()[:100])
        with pytest.warns(CoverageWarning, match="window 2 of 'model' cannot be read"):
            again = walk(LinearFactorRegressor(), panel, checkpoint=tmp_path)
        np.testing.assert_array_equal(first.predictions, again.predictions)

    def test_a_model_can_be_added_without_computing_the_others_again(self, panel, tmp_path):
        log = tmp_path / "log"
        models = {"counting": CountingRegressor(str(log))}
        walk(models, panel, checkpoint=tmp_path / "walk")
        results = walk({**models, "linear": LinearFactorRegressor()}, panel, checkpoint=tmp_path / "walk")
        assert list(results) == ["counting", "linear"]
        assert len(log.read_text().splitlines()) == 8

    def test_no_partial_files_are_left(self, panel, tmp_path):
        walk(LinearFactorRegressor(), panel, checkpoint=tmp_path, n_jobs=2)
        assert not list(tmp_path.rglob("*.part"))

    def test_a_spoiled_run_file_is_an_error(self, panel, tmp_path):
        walk(LinearFactorRegressor(), panel, checkpoint=tmp_path)
        next(tmp_path.rglob("run.json")).write_text("{")
        with pytest.raises(CheckpointError, match="readable run.json"):
            walk(LinearFactorRegressor(), panel, checkpoint=tmp_path)


class TestErrors:
    def test_a_row_tested_twice(self, panel):
        with pytest.raises(SplitError, match="rows tested more often. Use a step that is not smaller than test_size"):
            walk(LinearRegression(), panel, cv=WalkForwardSplit(12, 2, step=1))

    def test_a_splitter_without_windows(self, panel):
        with pytest.raises(SplitError, match="at least one window"):
            walk(LinearRegression(), panel, cv=_NoWindows())

    def test_a_model_that_cannot_be_explained(self, panel):
        with pytest.raises(TypeError, match="Got LinearRegression for 'model'"):
            walk(LinearRegression(), panel, explain=True)

    def test_an_unknown_model_to_explain(self, panel):
        with pytest.raises(ValueError, match=r"some of the models \['a'\]. Got 'b'"):
            walk({"a": LinearFactorRegressor()}, panel, explain=["b"])

    def test_index_and_alignment(self, panel):
        X, y = panel
        with pytest.raises(PanelError, match="'date' and 'asset'"):
            walk(LinearRegression(), (X.reset_index(drop=True), y))
        with pytest.raises(PanelError, match="same rows in another order"):
            walk(LinearRegression(), (X, y.iloc[::-1]))

    def test_targets_without_rows(self, panel):
        with pytest.raises(PanelError, match="y must be a Series indexed by .* Got ndarray"):
            walk(LinearFactorRegressor(), (panel[0], panel[1].to_numpy()))


class _NoWindows:
    def split(self, X, y=None, groups=None):
        return iter(())
