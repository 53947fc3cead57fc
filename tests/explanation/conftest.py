import numpy as np
import pandas as pd
import pytest

from skdrfm.explanation import Explanation


def _panel_index(n_dates=2, n_assets=2):
    dates = pd.to_datetime(["2020-01-31", "2020-02-29", "2020-03-31"])[:n_dates]
    return pd.MultiIndex.from_product([dates, list("ABCD")[:n_assets]], names=["date", "asset"])


def _parts(n=4, seed=0, *, offsets=False):
    rng = np.random.default_rng(seed)
    loadings, data = rng.normal(size=(2, n, 2, 3))
    bias, stabilizer, state = rng.normal(size=(3, n)) * [[1.0], [0.01], [0.1]]
    shared = {"offsets": rng.normal(size=(n, 2, 3))} if offsets else {}
    values = loadings * data + shared.get("offsets", 0)
    return {
        "loadings": loadings,
        "data": data,
        "bias": bias,
        "stabilizer": stabilizer,
        "state": state,
        "predictions": values.sum((1, 2)) + bias + stabilizer + state,
        **shared,
    }


@pytest.fixture
def make_index():
    return _panel_index


@pytest.fixture
def make_parts():
    return _parts


@pytest.fixture
def explanation():
    return Explanation(**_parts(), index=_panel_index(), descriptor_names=("BETA", "ROE", "CAP"), lags=(3, 0))


@pytest.fixture
def with_offsets():
    parts = _parts(offsets=True)
    return Explanation(**parts, index=_panel_index(), descriptor_names=("BETA", "ROE", "CAP"), lags=(3, 0))
