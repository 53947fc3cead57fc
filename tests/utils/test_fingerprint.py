import hashlib

import numpy as np
import pandas as pd
import pytest

from skdrfm import make_factor_panel
from skdrfm.panel import LaggedPanel
from skdrfm.utils import _fingerprint
from skdrfm.utils._fingerprint import data_fingerprint


@pytest.fixture(scope="module")
def data():
    return make_factor_panel(n_dates=8, n_assets=10, n_descriptors=3, missing=0.1, entry_exit=0.2, random_state=0)


def of_the_whole(X, y):
    """All parts at once, in float64: names, index, values, target."""
    digest = hashlib.sha256()
    names = np.array([str(name) for name in X.columns], dtype=np.str_)
    rows = pd.util.hash_pandas_object(X.index.to_frame(index=False), index=False).to_numpy()
    for part in (names, rows, X.to_numpy(dtype=np.float64), y.to_numpy(dtype=np.float64)):
        digest.update(f"{part.dtype}{part.shape}".encode())
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("block", [1, 7, 1 << 14])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_blocks_of_rows_give_the_hash_of_the_whole(data, block, dtype, monkeypatch):
    monkeypatch.setattr(_fingerprint, "_BLOCK", block)
    X, y = data[0].astype(dtype), data[1]
    assert data_fingerprint(X, y) == of_the_whole(X, y)
    assert data_fingerprint(X.iloc[:0], y.iloc[:0]) == of_the_whole(X.iloc[:0], y.iloc[:0])


def test_a_lagged_panel_has_the_hash_of_its_frame(data):
    panel = LaggedPanel(data[0], (0, 2))
    target = panel.align(data[1])
    assert data_fingerprint(panel, target) == of_the_whole(panel.to_frame(), target)


def test_each_part_counts(data):
    X, y = data
    other = X.copy()
    other.iloc[-1, -1] += 1e-9
    variants = [
        (X, y),
        (other, y),
        (X, y + 1e-9),
        (X.rename(columns={X.columns[0]: "other"}), y),
        (X.rename(index={X.index[0][1]: "other"}, level="asset"), y),
        (X.iloc[::-1], y),
        (X.iloc[1:], y.iloc[1:]),
    ]
    assert len({data_fingerprint(*variant) for variant in variants}) == len(variants)
