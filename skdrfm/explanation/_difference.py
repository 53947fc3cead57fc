"""The difference of two assets, or of two dates, part by part."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.explanation._aggregation import PER_SAMPLE, AdditiveParts
from skdrfm.explanation._arrays import check_axes, check_index, check_shape, checked_layout, read_only
from skdrfm.panel import check_panel_index
from skdrfm.utils.validation import describe_first

if TYPE_CHECKING:
    from skdrfm.explanation._explanation import Explanation

_OTHER = {"asset": "date", "date": "asset"}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ExplanationDifference(AdditiveParts):
    """Differences of predictions, first less second, with the contribution of each input.

    ``predictions = values.sum(axis=(1, 2)) + intercept`` up to rounding, as for the explanations
    that it is the difference of. Arrays are read-only.

    Parameters
    ----------
    values : ndarray of shape (n_pairs, n_timesteps, n_features)
        Difference of relevances, oldest lag first, in units of the prediction.
    predictions : ndarray of shape (n_pairs,)
        Difference of predictions (decimal return per period: 0.01 = 1 %).
    bias, stabilizer, state : ndarray of shape (n_pairs,)
        Differences of the parts of the intercept.
    index : Index of length n_pairs
        The dates of two assets, or the assets of two dates.
    descriptor_names : sequence of str of length n_features
        Names of the descriptors. Stored as a tuple.
    lags : sequence of int of length n_timesteps
        Lag of each time step in periods, oldest first. Stored as a tuple.
    first, second : label
        The two assets, or dates.
    level : {"asset", "date"}
        Whether they are assets or dates.
    unpaired : int
        Rows of the two that have no partner and are left out.
    method : str
        Name of the method that explained both.

    Raises
    ------
    PanelError
        If the shapes do not agree, names repeat, or lags do not run from the oldest to the newest.

    See Also
    --------
    Explanation.difference : Makes the difference.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.explanation import linear_explanation
    >>> index = pd.MultiIndex.from_product([[202001], ["A", "B"]], names=["date", "asset"])
    >>> explanation = linear_explanation([[[1.0, 0.0]], [[0.0, 2.0]]], [0.5, 0.125], 0.1, index=index)
    >>> difference = explanation.difference("A", "B")
    >>> difference
    ExplanationDifference('A' - 'B', n_pairs=1, n_timesteps=1, n_features=2, unpaired=0, method='linear')
    >>> difference.predictions, difference.values
    (array([0.25]), array([[[ 0.5 , -0.25]]]))
    """

    values: FloatArray
    predictions: FloatArray
    bias: FloatArray
    stabilizer: FloatArray
    state: FloatArray
    index: pd.Index
    descriptor_names: tuple[str, ...]
    lags: tuple[int, ...]
    first: Hashable
    second: Hashable
    level: str
    unpaired: int
    method: str

    def __post_init__(self) -> None:
        for name in ("values", *PER_SAMPLE):
            object.__setattr__(self, name, read_only(getattr(self, name)))
        check_axes("values", self.values)
        for name in PER_SAMPLE:
            check_shape(name, getattr(self, name), self.values.shape[:1], model="values")
        check_index(self.index, len(self))
        names, lags = checked_layout(self.descriptor_names, self.lags, self.values.shape, model="values")
        object.__setattr__(self, "descriptor_names", names)
        object.__setattr__(self, "lags", lags)

    def to_frame(self) -> pd.DataFrame:
        """One row for each pair, lag and descriptor.

        Returns
        -------
        DataFrame of shape (n_pairs * n_timesteps * n_features, 4)
            Columns ``date`` (of two assets) or ``asset`` (of two dates), ``lag``, ``descriptor`` and
            ``relevance``, the difference of relevances.
        """
        return self._tidy({_OTHER[self.level]: self.index}, {"relevance": self.values})

    def __repr__(self) -> str:
        n_pairs, n_timesteps, n_features = self.values.shape
        return (
            f"ExplanationDifference({self.first!r} - {self.second!r}, n_pairs={n_pairs}, n_timesteps={n_timesteps}, "
            f"n_features={n_features}, unpaired={self.unpaired}, method={self.method!r})"
        )


def difference(explanation: "Explanation", first: Any, second: Any, level: str) -> ExplanationDifference:
    """Pair the rows of two labels and take the parts of the second from those of the first."""
    if level not in _OTHER:
        raise PanelError(f"'level' must be 'asset' or 'date'. Got {level!r}. Pass the level that the labels are of.")
    if explanation.index is None:
        raise PanelError(
            "difference needs rows indexed by (date, asset). Got an explanation without an index. "
            "Explain a DataFrame with this index."
        )
    index = check_panel_index(explanation.index)
    other = index.names.index(_OTHER[level])
    left, right = _rows_of(index, first, level), _rows_of(index, second, level)
    partners = index.codes[other]
    common, where_left, where_right = np.intersect1d(
        partners[left], partners[right], assume_unique=True, return_indices=True
    )
    if not len(common):
        raise PanelError(
            f"{first!r} and {second!r} must have at least one {_OTHER[level]} in common. Got {len(left)} and "
            f"{len(right)} rows without a pair. Choose two {level}s that were explained for the same "
            f"{_OTHER[level]}s."
        )
    shared = index.levels[other][common]
    # Codes follow the order of the labels only where pandas has sorted the level.
    order = shared.argsort()
    # Relevances are asked of these rows alone, which may be few among many.
    minuend, subtrahend = explanation[left[where_left[order]]], explanation[right[where_right[order]]]
    return ExplanationDifference(
        **{
            name: read_only(getattr(minuend, name) - getattr(subtrahend, name), owned=True)
            for name in ("values", *PER_SAMPLE)
        },
        index=shared[order],
        descriptor_names=explanation.descriptor_names,
        lags=explanation.lags,
        first=first,
        second=second,
        level=level,
        unpaired=len(left) + len(right) - 2 * len(common),
        method=explanation.method,
    )


def _rows_of(index: pd.MultiIndex, label: Any, level: str) -> IntArray:
    """Return the positions of the rows of a label, at least one."""
    which = index.names.index(level)
    matches: Any = index.levels[which] == label if pd.api.types.is_scalar(label) else []
    rows: IntArray = np.flatnonzero(np.isin(index.codes[which], np.flatnonzero(matches)))
    if not len(rows):
        known = list(index.get_level_values(level).unique())
        raise PanelError(
            f"The labels must be {level}s of the explanation. Got {label!r} (known: {describe_first(known)}). "
            f"Pass one of them, or level={_OTHER[level]!r}."
        )
    return rows
