"""A search with a directory goes on where it was stopped, and ends as if it had never been."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import Ridge

from skdrfm import WalkForwardSplit, make_factor_panel
from skdrfm.exceptions import CheckpointError, CoverageWarning, SkdrfmWarning
from skdrfm.model_selection._search import KerasTunerSearchCV

pytest.importorskip("keras_tuner")

FITS = []


class CountedRidge(Ridge):
    """Ridge that notes its fits and stops the program at one of them."""

    stop_at = None

    def fit(self, X, y, sample_weight=None):
        FITS.append(self.alpha)
        if len(FITS) == CountedRidge.stop_at:
            raise KeyboardInterrupt
        return super().fit(X, y, sample_weight)


def alphas(hp):
    return {"alpha": hp.Float("alpha", 1e-2, 1e4, sampling="log")}


@pytest.fixture(scope="module")
def panel():
    return make_factor_panel(n_dates=21, n_assets=8, n_descriptors=3, random_state=0)


@pytest.fixture(autouse=True)
def _no_fits(monkeypatch):
    FITS.clear()
    monkeypatch.setattr(CountedRidge, "stop_at", None)


def make(directory, tuner="random", **parameters):
    options = {"max_trials": 5, "cv": WalkForwardSplit(12, 3), "n_quantiles": 2, "random_state": 0} | parameters
    return KerasTunerSearchCV(CountedRidge(), alphas, tuner=tuner, directory=directory, **options)


def same(one, two):
    pd.testing.assert_frame_equal(one.trials_.drop(columns="seconds"), two.trials_.drop(columns="seconds"))
    pd.testing.assert_frame_equal(one.trial_returns_, two.trial_returns_)
    return one.best_params_ == two.best_params_


@pytest.mark.parametrize("tuner", ["random", "bayesian", "hyperband"])
@pytest.mark.parametrize("stop_at", [1, 8, 15])
def test_a_stopped_search_goes_on_without_losing_trials(panel, tmp_path, monkeypatch, tuner, stop_at):
    options = {"max_epochs": 4, "factor": 2, "resource": "max_iter"} if tuner == "hyperband" else {}
    whole = make(None, tuner, **options).fit(*panel)
    FITS.clear()
    monkeypatch.setattr(CountedRidge, "stop_at", stop_at)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, tuner, **options).fit(*panel)
    monkeypatch.setattr(CountedRidge, "stop_at", None)
    FITS.clear()
    assert same(make(tmp_path, tuner, **options).fit(*panel), whole)
    finished = (stop_at - 1) // 3
    assert len(FITS) == 3 * (5 - finished) + 1


def test_a_finished_search_is_read_and_only_the_best_is_fitted(panel, tmp_path):
    first = make(tmp_path).fit(*panel)
    FITS.clear()
    again = make(tmp_path).fit(*panel)
    assert len(FITS) == 1
    assert FITS[0] == again.best_params_["alpha"]
    pd.testing.assert_frame_equal(first.trials_, again.trials_)


def test_more_trials_go_on_from_those_that_are_there(panel, tmp_path):
    make(tmp_path, max_trials=3).fit(*panel)
    FITS.clear()
    assert same(make(tmp_path).fit(*panel), make(None).fit(*panel))
    assert len(FITS) == 3 * 2 + 1 + 3 * 5 + 1


def test_a_search_without_seed_keeps_the_one_it_drew(panel, tmp_path):
    first, again = (make(tmp_path, random_state=None).fit(*panel) for _ in range(2))
    assert same(first, again)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"random_state": 1},
        {"cv": WalkForwardSplit(12, 2)},
        {"scoring": "r2"},
        {"n_quantiles": 3},
        {"estimator": CountedRidge(fit_intercept=False)},
        {"space": {"alpha": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_search_gets_a_folder_of_its_own(panel, tmp_path, change):
    make(tmp_path).fit(*panel)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    other = make(tmp_path).set_params(**change)
    assert same(other.fit(*panel), clone(other).set_params(directory=None).fit(*panel))
    assert len(list(tmp_path.iterdir())) == 2
    assert all(path.read_bytes() == content for path, content in before.items())


def test_other_data_get_a_folder_of_their_own(panel, tmp_path):
    X, y = panel
    arrays = {"groups": X.index.get_level_values("date")}
    for data, options in [((X, y), {}), ((X, -y), {}), ((X.to_numpy(), y.to_numpy()), arrays)]:
        make(tmp_path, max_trials=1).fit(*data, **options)
    make(tmp_path, max_trials=1).fit(X, y, sample_weight=np.ones(len(y)))
    assert len(list(tmp_path.iterdir())) == 4
    make(tmp_path, max_trials=1, n_jobs=1, refit=False, progress=False).fit(X.copy(), y.copy())
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("columns", [np.asarray, lambda X: X.reset_index(drop=True)], ids=["array", "frame"])
def test_other_dates_of_y_get_a_folder_of_their_own(panel, tmp_path, columns):
    X, y = panel
    back = y.set_axis(y.index[::-1])
    first, other = (make(tmp_path, max_trials=1).fit(columns(X), target) for target in (y, back))
    assert len(list(tmp_path.iterdir())) == 2
    assert other.best_score_ == make(None, max_trials=1).fit(columns(X), back).best_score_ != first.best_score_


def test_a_damaged_trial_is_reported_and_computed_again(panel, tmp_path):
    first = make(tmp_path).fit(*panel)
    path = next(tmp_path.rglob("trial-00002.json"))
    path.write_text(path.read_text()[:40])
    with pytest.warns(CoverageWarning, match="Trial 2 in .* cannot be read .* and is computed again"):
        again = make(tmp_path).fit(*panel)
    assert same(first, again)
    json.loads(path.read_text())


def test_trials_of_other_values_are_an_error(panel, tmp_path):
    make(tmp_path).fit(*panel)
    path = next(tmp_path.rglob("trial-00001.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"values": {"alpha": 7.0}}))
    with pytest.raises(CheckpointError, match=r"Got \{'alpha': 7.0\} for trial 1 in place of"):
        make(tmp_path).fit(*panel)


def test_a_damaged_seed_is_an_error(panel, tmp_path):
    make(tmp_path, max_trials=1).fit(*panel)
    next(tmp_path.rglob("search.json")).write_text("{")
    with pytest.raises(CheckpointError, match="must hold the seed of a search. Got a damaged file"):
        make(tmp_path).fit(*panel)


def test_failed_trials_are_kept_as_failed(panel, tmp_path):
    broken = {"space": {"solver": ["svd", "nonsense"]}, "max_trials": 4}
    for _ in range(2):
        FITS.clear()
        with pytest.warns(SkdrfmWarning, match="1 of 2 trials failed"):
            search = make(tmp_path).set_params(**broken).fit(*panel)
    assert len(FITS) == 1
    assert search.trials_["error"].str.contains("nonsense").sum() == 1
