"""refit_every: a model serves some windows, is labelled, and never sees what it predicts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression

from skdrfm import WalkForwardSplit, make_factor_panel, walk_forward_predict
from skdrfm.exceptions import CheckpointError, SplitError
from skdrfm.factor_model import LinearFactorRegressor


@pytest.fixture(scope="module")
def panel():
    """20 months, of which 8 are tested."""
    return make_factor_panel(n_dates=20, n_assets=8, n_descriptors=3, entry_exit=0.3, random_state=1)


def walk(model, panel, **options):
    return walk_forward_predict(model, *panel, **{"cv": WalkForwardSplit(12), "progress": False, **options})


class LoggingRegressor(RegressorMixin, BaseEstimator):
    """Predicts the mean of its training window, and writes down each fit."""

    def __init__(self, log):
        self.log = log

    def fit(self, X, y):
        with Path(self.log).open("a") as stream:
            stream.write(f"{X.index.get_level_values('date').max()}\n")
        self.mean_ = float(y.mean())
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


class InAnyOrder:
    """Yields windows of another splitter in the order that is asked for."""

    def __init__(self, order):
        self.order = order

    def split(self, X, y=None, groups=None):
        splits = list(WalkForwardSplit(12).split(X, y))
        return (splits[window] for window in self.order)


class TestReferenceValues:
    @pytest.mark.parametrize("refit_every", [1, 3, 8, 100])
    def test_predictions_equal_a_literal_loop(self, panel, refit_every):
        X, y = panel
        dates = X.index.get_level_values("date")
        distinct = sorted(dates.unique())
        result = walk(LinearRegression(), panel, refit_every=refit_every)
        for window in range(8):
            fitted_in = window // refit_every * refit_every
            train = dates.isin(distinct[fitted_in : fitted_in + 12])
            test = dates == distinct[window + 12]
            expected = LinearRegression().fit(X[train], y[train]).predict(X[test])
            np.testing.assert_allclose(result.predictions[distinct[window + 12]], expected, rtol=1e-12)
            assert result.windows["fitted_in"][window] == fitted_in
            assert result.windows["train_end"][window] == distinct[fitted_in + 11]
            assert result.windows["train_rows"][window] == train.sum()
            assert result.windows["test_start"][window] == distinct[window + 12]
            assert (result.windows["fit_seconds"][window] == 0) == (window != fitted_in)

    def test_the_table_has_the_same_columns_and_types_for_any_number(self, panel):
        often, seldom = (walk(LinearRegression(), panel, refit_every=k).windows for k in (1, 4))
        pd.testing.assert_series_equal(often.dtypes, seldom.dtypes)
        assert list(often)[-2:] == ["fitted_in", "fit_seconds"]


class TestProperties:
    def test_there_is_one_fit_for_so_many_windows(self, panel, tmp_path):
        walk(LoggingRegressor(str(tmp_path / "log")), panel, refit_every=3)
        assert len((tmp_path / "log").read_text().splitlines()) == 3

    @pytest.mark.parametrize("refit_every", [2, 3])
    def test_later_rows_change_no_earlier_prediction(self, panel, refit_every):
        X, y = panel
        dates = X.index.get_level_values("date")
        distinct = sorted(dates.unique())
        for cut in distinct[12:-1]:
            X_other, y_other = X.copy(), y.copy()
            X_other[dates > cut] = np.random.default_rng(0).normal(size=X[dates > cut].shape)
            # The target stored at the cut is earned after it.
            y_other[dates >= cut] = 9.0
            base, changed = (
                walk(LinearRegression(), data, refit_every=refit_every).predictions
                for data in (panel, (X_other, y_other))
            )
            early = base.index.get_level_values("date") <= cut
            np.testing.assert_array_equal(base[early], changed[early])
            assert (base[~early] != changed[~early]).any()

    def test_explanations_are_those_of_the_model_that_predicted(self, panel):
        result = walk(LinearFactorRegressor(), panel, refit_every=4, explain=True)
        np.testing.assert_allclose(result.explanation.predictions, result.predictions, rtol=1e-12)
        loadings = pd.DataFrame(result.explanation.loadings[:, 0], index=result.predictions.index)
        assert len(loadings.drop_duplicates()) == 2

    @pytest.mark.parametrize("windows_per_program", [1, 2, "auto"])
    def test_workers_and_blocks_change_nothing(self, panel, windows_per_program):
        options = {"refit_every": 3, "windows_per_program": windows_per_program}
        with_workers = walk(LinearRegression(), panel, n_jobs=2, **options)
        alone = walk(LinearRegression(), panel, refit_every=3)
        np.testing.assert_array_equal(with_workers.predictions, alone.predictions)


class TestCheckpoint:
    def test_a_lost_window_is_fitted_again_and_the_others_are_not(self, panel, tmp_path):
        log = tmp_path / "log"
        model = LoggingRegressor(str(log))
        first = walk(model, panel, refit_every=3, checkpoint=tmp_path / "walk")
        sorted((tmp_path / "walk").rglob("*.npz"))[4].unlink()
        second = walk(model, panel, refit_every=3, checkpoint=tmp_path / "walk")
        pd.testing.assert_series_equal(first.predictions, second.predictions, check_exact=True)
        fits = log.read_text().splitlines()
        assert fits[3:] == [fits[1]]

    def test_a_folder_of_another_interval_is_refused(self, panel, tmp_path):
        walk(LinearRegression(), panel, checkpoint=tmp_path)
        with pytest.raises(CheckpointError, match="now refit_every=2"):
            walk(LinearRegression(), panel, checkpoint=tmp_path, refit_every=2)


class TestValidation:
    @pytest.mark.parametrize("order", [[7, 0], [3, 2, 4], [1, 5, 0]])
    def test_windows_that_do_not_follow_their_model_in_time_are_refused(self, panel, order):
        with pytest.raises(SplitError, match=r"later dates than the window fitted before it .* refit_every=1"):
            walk(LinearRegression(), panel, cv=InAnyOrder(order), refit_every=3)

    def test_they_are_walked_if_they_follow_it_in_any_order(self, panel):
        result = walk(LinearRegression(), panel, cv=InAnyOrder([0, 5, 4]), refit_every=3)
        assert (result.windows["train_end"] == result.windows["train_end"][0]).all()

    def test_they_are_walked_if_each_has_its_own_fit(self, panel):
        backwards = walk(LinearRegression(), panel, cv=InAnyOrder([5, 2])).predictions
        forwards = walk(LinearRegression(), panel).predictions
        np.testing.assert_array_equal(backwards, forwards.loc[backwards.index])

    @pytest.mark.parametrize("name", ["refit_every", "n_seeds", "windows_per_program"])
    @pytest.mark.parametrize("value", [0, -1, 1.5, True, "many", None])
    def test_counts_are_whole_numbers_from_one(self, panel, name, value):
        with pytest.raises(ValueError, match=rf"'{name}' .* int in the range \[1, inf\).*Got {value!r}"):
            walk(LinearRegression(), panel, **{name: value})
