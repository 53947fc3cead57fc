import numpy as np
import pandas as pd
import pytest


def ragged_panel(seed, n_dates=6, n_assets=14, n_columns=3, missing=0.2, decimals=None):
    """Rows in random order, dates with different assets, missing values; ties where decimals are few."""
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product(
        [pd.date_range("2010-01", periods=n_dates, freq="ME"), [f"A{i:02d}" for i in range(n_assets)]],
        names=["date", "asset"],
    )
    index = index[rng.permutation(len(index))[: rng.integers(1, len(index) + 1)]]
    values = rng.standard_normal((len(index), n_columns)) * 10.0 ** rng.integers(-4, 5, n_columns)
    if decimals is not None:
        values = values.round(decimals)
    values[rng.random(values.shape) < missing] = np.nan
    return pd.DataFrame(values, index=index, columns=[f"c{j}" for j in range(n_columns)])


@pytest.fixture(scope="session")
def make_panel():
    return ragged_panel


@pytest.fixture(scope="session")
def by_asset():
    """Industry and weight of each asset that a ragged panel may hold."""
    assets = pd.Index([f"A{i:02d}" for i in range(14)])
    rng = np.random.default_rng(99)
    industry = pd.Series(rng.choice(["banks", "mines", "shops"], len(assets)), index=assets)
    return industry, pd.Series(rng.uniform(0.1, 5, len(assets)), index=assets)
