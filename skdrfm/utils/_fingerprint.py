"""What results depend on: the content of the data, and the versions of packages."""

import hashlib
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

_PACKAGES = ("skdrfm", "numpy", "pandas", "scikit-learn", "keras", "tensorflow", "scikeras")


def package_versions() -> dict[str, str]:
    """Versions of the packages that results depend on, read without importing them."""
    return {name: version(name) for name in _PACKAGES}


def data_fingerprint(X: pd.DataFrame, y: "pd.Series[Any]") -> str:
    """Hash values, index and column names of a panel and its target.

    Equal content gives an equal hash, however the objects were made and whatever they have cached.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_columns)
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
    for part in (
        np.array([str(name) for name in X.columns], dtype=np.str_),
        pd.util.hash_pandas_object(X.index.to_frame(index=False), index=False).to_numpy(),
        X.to_numpy(dtype=np.float64),
        y.to_numpy(dtype=np.float64),
    ):
        digest.update(f"{part.dtype}{part.shape}".encode())
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
