"""On a trained LSTM with a planted structure in time, wrong attributions score worse than relevance propagation."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from skdrfm import DeepRecurrentFactorRegressor, stack_lags
from skdrfm.inspection._faithfulness import faithfulness

HIGHER = ["aopc", "insertion", "abpc", "sensitivity_1", "sensitivity_10%", "sensitivity_50%"]
LOWER = ["infidelity", "infidelity_scaled"]
LAGS = (0, 1, 2, 3)


@pytest.fixture(scope="module")
def trained():
    """Descriptors a and b are paid at the newest lag and at the oldest; c at the newest lag changes the loading of a.

    Without c the loadings would hardly differ between samples, and shuffling them over samples would do no harm to
    figures of the loadings alone.
    """
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([pd.period_range("2010-01", periods=30, freq="M"), range(40)])
    X = pd.DataFrame(rng.normal(size=(1200, 3)), index=index.set_names(["date", "asset"]), columns=list("abc"))
    X, _ = stack_lags(X, X["a"], lags=LAGS)
    noise = 0.1 * rng.normal(size=len(X))
    y = (0.8 + 0.5 * X["c__lag0"]) * X["a__lag0"] - 0.6 * X["b__lag3"] + noise
    model = DeepRecurrentFactorRegressor(units=6, epochs=25, batch_size=64, learning_rate=0.01, random_state=0)
    model.fit(X, y)
    rows = X[X.index.get_level_values("date") >= "2012-02"]
    return model, rows, model.explain(rows)


def with_relevances(explanation, rearrange):
    """An explanation whose relevances, and loadings, are rearranged in the same way."""
    loadings = rearrange(explanation.loadings)
    return replace(explanation, loadings=loadings, offsets=rearrange(explanation.values) - loadings * explanation.data)


@pytest.fixture(scope="module")
def report(trained):
    model, X, explanation = trained
    rng = np.random.default_rng(1)
    rows = rng.permutation(len(explanation))
    cells = rng.random((len(explanation), 12)).argsort(axis=1)

    def shuffle_cells(values):
        return np.take_along_axis(values.reshape(len(values), -1), cells, axis=1).reshape(values.shape)

    named = {
        "lrp-all": explanation,
        "reversed": with_relevances(explanation, lambda values: values[:, ::-1]),
        "samples": with_relevances(explanation, lambda values: values[rows]),
        "cells": with_relevances(explanation, shuffle_cells),
        "constant": with_relevances(explanation, lambda values: np.full_like(values, values.mean())),
        "sign": with_relevances(explanation, np.negative),
    }
    return faithfulness(named, model, X, n_draws=5, n_subsets=40, n_repeats=3, n_steps=12, random_state=0)


WRONG = [
    (name, figure)
    for name in ("reversed", "samples", "cells", "constant", "sign", "random")
    for figure in (*HIGHER, *LOWER)
    if (name, figure) != ("sign", "infidelity_scaled")  # the best scale mends a sign
]


@pytest.mark.parametrize(("wrong", "figure"), WRONG)
def test_a_wrong_attribution_scores_worse_than_relevance_propagation(report, wrong, figure):
    right, other = report.table.loc["lrp-all", figure], report.table.loc[wrong, figure]
    errors = report.standard_errors.loc[["lrp-all", wrong], figure]
    distance = right - other if figure in HIGHER else other - right
    assert distance > 2 * np.linalg.norm(errors)


def test_relevance_propagation_depends_on_the_training(report):
    by_layer = report.randomisation["lrp-all"].to_numpy()
    assert by_layer[-1] < by_layer[0] < 0.7  # the same inputs are in both, so that some correlation stays
    assert report.table.loc["lrp-all", "stability"] < 0.3
    assert set(report.notes) == {"reversed", "samples", "cells", "constant", "sign"}


def test_the_keras_model_is_measured_like_the_regressor_around_it(trained):
    model, X, explanation = trained
    options = {"n_draws": 2, "n_subsets": 10, "n_repeats": 1, "n_steps": 4, "random_state": 0}
    one, two = (faithfulness(explanation, kind, X, **options).table for kind in (model, model.model_))
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize("by", ["lag", "descriptor"])
def test_reversed_time_scores_worse_by_lag_and_alike_by_descriptor(trained, by):
    model, X, explanation = trained
    named = {"lrp-all": explanation, "reversed": with_relevances(explanation, lambda values: values[:, ::-1])}
    options = {"by": by, "n_draws": 5, "n_subsets": 20, "n_repeats": 1, "checks": False, "random_state": 0}
    table = faithfulness(named, model, X, **options).table
    if by == "lag":
        assert (table.loc["lrp-all", HIGHER] > table.loc["reversed", HIGHER] + 0.05).all()
    else:
        # Sums over lags do not know the order of time.
        np.testing.assert_allclose(table.loc["lrp-all", HIGHER], table.loc["reversed", HIGHER])
