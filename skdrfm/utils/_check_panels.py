"""Small panels to check estimators on, and comparisons that say what broke."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils import get_tags

from skdrfm._typing import AnyArray

_N_DESCRIPTORS = 3


def ragged_index(rng: np.random.Generator, n_dates: int, n_assets: int) -> pd.MultiIndex:
    """Put rows in random order; assets come and go; the first date has a single asset."""
    dates = pd.period_range("2010-01", periods=n_dates, freq="M").to_timestamp().normalize()
    assets = [f"A{i:02d}" for i in range(n_assets)]
    index = pd.MultiIndex.from_product([dates, assets], names=["date", "asset"])
    alive = rng.random((n_dates, n_assets)) < 0.8
    alive[0] = False
    alive[:, 0] = True
    rows = np.flatnonzero(alive.ravel())
    return index[rng.permutation(rows)]


def transformer_panel(estimator: Any, seed: int = 0) -> pd.DataFrame:
    """Make descriptors with some ties, and with missing values where the transformer takes them."""
    rng = np.random.default_rng(seed)
    index = ragged_index(rng, n_dates=6, n_assets=12)
    values = rng.standard_normal((len(index), _N_DESCRIPTORS)).round(1)  # rounded: some ties
    if get_tags(estimator).input_tags.allow_nan:
        values[rng.random(values.shape) < 0.1] = np.nan
    return pd.DataFrame(values, index=index, columns=[f"D{j}" for j in range(_N_DESCRIPTORS)])


def regressor_panel(estimator: Any, seed: int = 0) -> tuple[pd.DataFrame, "pd.Series[Any]"]:
    """Make lagged columns, oldest lag first, and forward returns with a weak linear signal."""
    rng = np.random.default_rng(seed)
    index = ragged_index(rng, n_dates=12, n_assets=10)
    lags = range(n_timesteps_of(estimator) - 1, -1, -1)
    columns = [f"D{j}__lag{lag}" for lag in lags for j in range(_N_DESCRIPTORS)]
    X = pd.DataFrame(rng.uniform(-1, 1, (len(index), len(columns))), index=index, columns=columns)
    y = 0.02 * X.iloc[:, -1] + 0.01 * X.iloc[:, 0] + 0.05 * rng.standard_normal(len(index))
    return X, y.rename("forward_return")


def n_timesteps_of(estimator: Any) -> int:
    """Count the lags that the estimator is to see: its own number, or two."""
    return estimator.get_params().get("n_timesteps") or 2


def seeded(estimator: Any) -> Any:
    """Return a clone with a fixed seed."""
    copy = clone(estimator)
    if "random_state" in copy.get_params():
        copy.set_params(random_state=0)
    return copy


def as_array(values: Any) -> AnyArray:
    """Read a frame, a series or an array as an array."""
    return np.asarray(values)


def same_bits(a: Any, b: Any) -> bool:
    """Compare exactly; NaN equals NaN."""
    return bool(np.array_equal(as_array(a), as_array(b), equal_nan=True))


def is_close(a: Any, b: Any, rtol: float) -> bool:
    """Compare with a tolerance relative to the largest magnitude, the scale of rounding errors."""
    a, b = as_array(a), as_array(b)
    if a.shape != b.shape:
        return False
    scale = float(np.nanmax(np.abs(b), initial=0.0))
    return bool(np.allclose(a, b, rtol=rtol, atol=rtol * scale, equal_nan=True))


def require(condition: bool, estimator: Any, message: str) -> None:
    """Raise AssertionError with the name of the estimator unless the condition holds."""
    if not condition:
        raise AssertionError(f"{type(estimator).__name__}: {message}")


def is_unchanged(before: Any, after: Any) -> bool:
    """Compare values, index and attributes of two frames or series."""
    return bool(before.index.identical(after.index)) and before.attrs == after.attrs and bool(before.equals(after))
