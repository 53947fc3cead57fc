"""Names for the types that the package passes around."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    PanelLike: TypeAlias = "pd.DataFrame | pd.Series[Any]"
    DateLabel: TypeAlias = "pd.Timestamp | pd.Period | int | str"
else:
    PanelLike = Any
    DateLabel = Hashable

FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.intp]
BoolArray: TypeAlias = NDArray[np.bool_]
AnyArray: TypeAlias = NDArray[Any]

__all__ = ["AnyArray", "BoolArray", "DateLabel", "FloatArray", "IntArray", "PanelLike"]
