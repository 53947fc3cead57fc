"""What results depend on: the content of the data, and the versions of packages."""

import hashlib
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray, FloatArray

_PACKAGES = ("skdrfm", "numpy", "pandas", "scikit-learn", "keras", "tensorflow", "scikeras")


def package_versions() -> dict[str, str]:
    """Versions of the packages that results depend on, read without importing them."""
    return {name: version(name) for name in _PACKAGES}


# Rows hashed at a time, so that a panel is never copied as a whole.
_BLOCK = 1 << 14


def data_fingerprint(X: Any, y: "pd.Series[Any]") -> str:
    """Hash values, index and column names of a panel and its target.

    Equal content gives an equal hash, however the objects were made and whatever they have cached; a lagged panel
    has the hash of the DataFrame that it stands for.

    Parameters
    ----------
    X : DataFrame or LaggedPanel of shape (n_samples, n_columns)
        Numbers.
    y : Series of shape (n_samples,)
        Numbers.

    Returns
    -------
    str
        64 hexadecimal digits (SHA-256).

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.utils._fingerprint import data_fingerprint
    >>> X, y = pd.DataFrame({"CAP": [1.0, 2.0]}), pd.Series([0.1, 0.2])
    >>> data_fingerprint(X, y) == data_fingerprint(X.copy(), y.copy())
    True
    >>> data_fingerprint(X, y) == data_fingerprint(X, -y)
    False
    """
    digest = hashlib.sha256()
    _update(digest, np.array([str(name) for name in X.columns], dtype=np.str_))
    _update(digest, pd.util.hash_pandas_object(X.index.to_frame(index=False), index=False).to_numpy())
    digest.update(f"{np.dtype(np.float64)}{X.shape}".encode())
    for block in _blocks(X):
        digest.update(block.tobytes())
    _update(digest, y.to_numpy(dtype=np.float64))
    return digest.hexdigest()


def _update(digest: Any, part: AnyArray) -> None:
    digest.update(f"{part.dtype}{part.shape}".encode())
    digest.update(part.tobytes())


def _blocks(X: Any) -> Iterator[FloatArray]:
    """Values in float64, some rows at a time."""
    for start in range(0, len(X), _BLOCK):
        yield X.iloc[start : start + _BLOCK].to_numpy(dtype=np.float64)
