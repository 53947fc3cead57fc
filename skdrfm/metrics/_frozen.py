"""Numbers of results, kept from being overwritten."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray


def frozen_array(values: AnyArray) -> AnyArray:
    """Make a read-only copy of an array."""
    array: AnyArray = np.array(values)
    array.flags.writeable = False
    return array


def frozen_series(values: AnyArray, index: pd.Index, *, name: str) -> "pd.Series[Any]":
    """Make a Series whose numbers cannot be overwritten."""
    return pd.Series(frozen_array(values), index=index, name=name, copy=False)


def frozen_frame(values: AnyArray, index: pd.Index, columns: pd.Index) -> pd.DataFrame:
    """Make a DataFrame whose numbers cannot be overwritten."""
    return pd.DataFrame(frozen_array(values), index=index, columns=columns, copy=False)
