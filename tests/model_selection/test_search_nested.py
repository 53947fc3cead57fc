"""A search handed to a walk tunes on training dates alone."""

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from skdrfm import DeepFactorRegressor, WalkForwardSplit, make_factor_panel, walk_forward_predict
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.model_selection._search import KerasTunerSearchCV
from skdrfm.scoring import rank_ic_scorer

pytest.importorskip("keras_tuner")

OUTER = WalkForwardSplit(15, 3)
INNER = WalkForwardSplit(9, 3)
SEEN = []


class Spy(Ridge):
    """Ridge that notes which dates it was fitted on and asked for."""

    def fit(self, X, y, sample_weight=None):
        SEEN.append(("fit", X.index.get_level_values("date"), len(y)))
        return super().fit(X, y, sample_weight)

    def predict(self, X):
        SEEN.append(("predict", X.index.get_level_values("date"), len(X)))
        return super().predict(X)


def alphas(hp):
    return {"alpha": hp.Float("alpha", 1e-2, 1e4, sampling="log")}


@pytest.fixture(scope="module")
def panel():
    return make_factor_panel(n_dates=24, n_assets=10, n_descriptors=3, random_state=0)


def make(estimator, **parameters):
    options = {"max_trials": 2, "cv": INNER, "scoring": rank_ic_scorer, "random_state": 0} | parameters
    return KerasTunerSearchCV(estimator, alphas, **options)


def walk(search, X, y, **options):
    return walk_forward_predict(search, X, y, cv=OUTER, progress=False, **options)


def test_each_window_has_the_search_of_its_training_rows(panel):
    X, y = panel
    result = walk(make(Ridge()), X, y)
    for train, test in OUTER.split(X):
        alone = make(Ridge()).fit(X.iloc[train], y.iloc[train])
        np.testing.assert_array_equal(result.predictions.loc[X.index[test]], alone.predict(X.iloc[test]))


def test_test_dates_never_reach_the_search(panel):
    SEEN.clear()
    X, y = panel
    walk(make(Spy()), X, y)
    windows = OUTER.summary(X)
    # Two trials of two folds, each a fit and a score; then the last fit, and the forecasts of the test window.
    per_window = 2 * 2 * 2 + 2
    assert len(SEEN) == per_window * len(windows)
    for number, window in windows.iterrows():
        *inner, (what, dates, _) = SEEN[per_window * number : per_window * (number + 1)]
        assert what == "predict"
        assert dates.min() == window["test_start"]
        for _, seen, _ in inner:
            assert window["train_start"] <= seen.min() <= seen.max() <= window["train_end"]
        for fitted, asked in zip(inner[0:-1:2], inner[1:-1:2], strict=True):
            assert (fitted[0], asked[0]) == ("fit", "predict")
            assert fitted[1].max() < asked[1].min()


@pytest.mark.parametrize("tuner", ["random", "bayesian", "hyperband"])
def test_rows_after_a_date_change_no_bit_of_forecasts_up_to_it(panel, tuner):
    X, y = panel
    options = {"random": {}, "bayesian": {"max_trials": 4}, "hyperband": {"max_epochs": 4, "resource": "max_iter"}}
    search = make(Ridge(), tuner=tuner, **options[tuner])
    dates = X.index.get_level_values("date")
    cut = dates.unique()[20]
    late = dates > cut
    rng = np.random.default_rng(0)
    X_other, y_other = X.copy(), y.copy()
    X_other[late] = rng.normal(size=X[late].shape)
    y_other[dates >= cut] = rng.normal(size=(dates >= cut).sum())
    before, after = (walk(search, *data).predictions for data in (panel, (X_other, y_other)))
    early = before.index.get_level_values("date") <= cut
    assert early.sum() == 60
    pd.testing.assert_series_equal(before[early], after[early], check_exact=True)
    assert not np.array_equal(before[~early], after[~early])


def test_workers_seeds_and_checkpoints_take_a_search(panel, tmp_path):
    alone = walk(make(Ridge()), *panel)
    with joblib.parallel_config(backend="threading"):
        pd.testing.assert_series_equal(walk(make(Ridge()), *panel, n_jobs=2).predictions, alone.predictions)
    ensemble = walk(make(Ridge()), *panel, n_seeds=2)
    np.testing.assert_array_equal(ensemble.seed_predictions.iloc[:, 0], alone.predictions)
    assert not np.array_equal(ensemble.seed_predictions.iloc[:, 1], alone.predictions)
    for _ in range(2):
        kept = walk(make(Ridge(), directory=tmp_path / "trials"), *panel, checkpoint=tmp_path / "walk")
        pd.testing.assert_series_equal(kept.predictions, alone.predictions)
    assert len(list((tmp_path / "trials").iterdir())) == OUTER.get_n_splits(panel[0])


def test_a_walk_explains_what_the_search_chose(panel):
    search = KerasTunerSearchCV(LinearFactorRegressor(), {"fit_intercept": [True, False]}, cv=INNER, random_state=0)
    result = walk(search, *panel, explain=True)
    np.testing.assert_allclose(result.explanation.predictions, result.predictions)
    np.testing.assert_allclose(result.explanation.conservation_gap, 0, atol=1e-12)


def test_networks_are_tuned_within_a_walk(panel):
    model = DeepFactorRegressor((2,), epochs=1, random_state=0)
    search = KerasTunerSearchCV(
        model, {"hidden_units": [(2,), (3,)]}, max_trials=2, cv=WalkForwardSplit(9, 6), random_state=0
    )
    X, y = panel
    result = walk_forward_predict(search, X, y, cv=WalkForwardSplit(15, 9), progress=False)
    train, test = next(WalkForwardSplit(15, 9).split(X))
    alone = search.fit(X.iloc[train], y.iloc[train])
    np.testing.assert_array_equal(result.predictions, alone.predict(X.iloc[test]))


def test_with_one_seed_random_trials_are_the_same_in_all_windows(panel):
    X, y = panel
    tables = [make(Ridge(), max_trials=4).fit(X.iloc[train], y.iloc[train]).trials_ for train, _ in OUTER.split(X)]
    assert len({tuple(table["param_alpha"]) for table in tables}) == 1
