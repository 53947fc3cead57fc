"""Bad input gets one clear error that says what, what it must be and what came, and changes nothing."""

import numpy as np
import pandas as pd
import pytest

from skdrfm import WalkForwardSplit, backtest, make_factor_panel, run_study, stack_lags, walk_forward_predict
from skdrfm.datasets import read_panel
from skdrfm.exceptions import NonFiniteError, PanelError, PanelFileError, SkdrfmError, SplitError
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.panel import forward_returns
from skdrfm.preprocessing import CrossSectionalRankScaler

X, y = make_factor_panel(n_dates=8, n_assets=6, n_descriptors=3, random_state=0)
LEVELS = X.index.names


def misnamed(data):
    return data.set_axis(data.index.set_names(["month", "permno"]))


def flat(data):
    return data.reset_index(drop=True)


def twice(data):
    return pd.concat([data, data.iloc[:1]])


def mixed_dates(data):
    dates = data.index.get_level_values("date").astype(object).to_list()
    dates[0] = "2000-01-31"
    assets = data.index.get_level_values("asset")
    return data.set_axis(pd.MultiIndex.from_arrays([pd.Index(dates, dtype=object), assets], names=LEVELS))


def with_value(value, rows=2, column="BETA"):
    spoiled = X.copy()
    spoiled.iloc[:rows, spoiled.columns.get_loc(column)] = value
    return spoiled


def fit(X, y, **parameters):
    return LinearFactorRegressor(**parameters).fit(X, y)


def study(X, y, **options):
    return run_study(X, y, **{"models": ["Linear"], "lags": (0,), "train_size": 4, "progress": False, **options})


def walk(X, y, train_size=4):
    return walk_forward_predict(LinearFactorRegressor(), X, y, cv=WalkForwardSplit(train_size), progress=False)


CASES = {
    # name: (call with bad input, error, words of the message)
    "misnamed levels, study": (lambda: study(misnamed(X), misnamed(y)), PanelError, "found: 'month', 'permno'"),
    "misnamed levels, lags": (lambda: stack_lags(misnamed(X), lags=(0, 1)), PanelError, "set_names"),
    "misnamed levels, walk": (lambda: walk(misnamed(X), misnamed(y)), PanelError, "levels 'date' and 'asset'"),
    "misnamed levels, backtest": (lambda: backtest(misnamed(y), misnamed(y)), PanelError, "'date'"),
    "missing levels, study": (lambda: study(flat(X), flat(y)), PanelError, "must have a MultiIndex"),
    "missing levels, returns": (lambda: forward_returns(flat(y)), PanelError, "must have a MultiIndex"),
    "missing levels, splitter": (lambda: list(WalkForwardSplit(4).split(flat(X))), SplitError, "groups=dates"),
    "duplicate rows, study": (lambda: study(twice(X), twice(y)), PanelError, "Got 1 duplicate row"),
    "duplicate rows, lags": (lambda: stack_lags(twice(X), lags=(0, 1)), PanelError, "Keep one row"),
    "duplicate rows, fit": (lambda: fit(twice(X), twice(y)), PanelError, "Got 1 duplicate row"),
    "dates of mixed types, study": (lambda: study(mixed_dates(X), mixed_dates(y)), PanelError, "Timestamp, str"),
    "dates of mixed types, splitter": (
        lambda: list(WalkForwardSplit(4).split(mixed_dates(X))),
        SplitError,
        "one type that can be ordered",
    ),
    "y in another order, study": (lambda: study(X, y.iloc[::-1]), PanelError, "same rows in another order"),
    "y in another order, fit": (lambda: fit(X, y.iloc[::-1]), PanelError, "y.reindex(X.index)"),
    "y in another order, lags": (lambda: stack_lags(X, y.iloc[::-1], lags=(0,)), PanelError, "another order"),
    "y of other rows, walk": (lambda: walk(X.iloc[:-1], y.iloc[1:]), PanelError, "that y lacks"),
    "y too short, study": (lambda: study(X, y.iloc[:-1]), PanelError, "one value for each row of X (48). Got 47"),
    "NaN, fit": (lambda: fit(with_value(np.nan), y), NonFiniteError, "NaN: 2 in 'BETA'"),
    "infinity, fit": (lambda: fit(with_value(np.inf, 3), y), NonFiniteError, "3 in 'BETA'"),
    "infinity, scaler": (
        lambda: CrossSectionalRankScaler().fit_transform(with_value(-np.inf, 1)),
        NonFiniteError,
        "1 in 'BETA'",
    ),
    "infinity, study": (lambda: study(with_value(np.inf), y), NonFiniteError, "2 in 'BETA'"),
    "NaN in y, fit": (lambda: fit(X, y.where(y != y.iloc[0])), NonFiniteError, "NaN: 1 of 48 values"),
    "NaN in predictions, backtest": (lambda: backtest(y.where(y != y.iloc[0]), y), NonFiniteError, "NaN: 1"),
    "columns not divisible": (
        lambda: fit(X.to_numpy(), y.to_numpy(), n_timesteps=2),
        ValueError,
        "multiple of n_timesteps=2. Got 3 columns",
    ),
    "too few dates, splitter": (lambda: list(WalkForwardSplit(60).split(X)), SplitError, "Got 8 distinct dates"),
    "too few dates, walk": (lambda: walk(X, y, train_size=8), SplitError, "enough for 0"),
    "too few dates, study": (lambda: study(X, y, train_size=60), SplitError, "Use a longer panel"),
    "fewer assets than quantiles, study": (lambda: study(X, y, n_quantiles=7), PanelError, "quantiles (7). Got 6"),
    "fewer assets than quantiles, backtest": (lambda: backtest(y, y, n_quantiles=7), PanelError, "7"),
    "unknown model": (lambda: study(X, y, models=["LSTMM"]), ValueError, "Got LSTMM"),
    "file that is not there": (lambda: read_panel("nowhere.csv"), PanelFileError, "readable CSV or Parquet"),
    "file of an unknown kind": (lambda: read_panel("panel.xlsx"), PanelFileError, "ending in .csv"),
}


@pytest.mark.parametrize(("call", "error", "words"), CASES.values(), ids=CASES.keys())
def test_bad_input_gets_a_clear_error_and_changes_nothing(call, error, words):
    before = X.copy(), y.copy()
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
    assert isinstance(caught.value, ValueError)
    if error is not ValueError:
        assert isinstance(caught.value, SkdrfmError)
    pd.testing.assert_frame_equal(X, before[0])
    pd.testing.assert_series_equal(y, before[1])


def test_a_refused_fit_leaves_the_fitted_model_as_it_was():
    model = fit(X, y)
    expected = model.predict(X)
    with pytest.raises(NonFiniteError):
        model.fit(with_value(np.nan), y)
    np.testing.assert_array_equal(model.predict(X), expected)
