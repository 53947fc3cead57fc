"""The explanation of predictions: each a linear factor model of its descriptors that adds up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skdrfm._typing import AnyArray, FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.panel import dates_of

__all__ = ["Explanation", "linear_explanation"]

Groups: TypeAlias = Mapping[str, Sequence[str]]

_PER_SAMPLE = ("predictions", "bias", "stabilizer", "state")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Explanation:
    """Predictions as linear factor models, one for each row of a panel.

    ``predictions = values.sum(axis=(1, 2)) + intercept`` up to rounding, where ``values = data *
    loadings`` and ``intercept = bias + stabilizer + state``. A loading is the return that the
    model gives to one unit of a descriptor at that row; a value is the descriptor's contribution
    to the prediction. Arrays are read-only.

    Parameters
    ----------
    loadings : ndarray of shape (n_samples, n_timesteps, n_features)
        Prediction per unit of each input, oldest lag first; defined also where the input is 0.
    data : ndarray of shape (n_samples, n_timesteps, n_features)
        The inputs.
    predictions : ndarray of shape (n_samples,)
        The predictions, in units of the target (decimal return per period: 0.01 = 1 %).
    bias, stabilizer, state : ndarray of shape (n_samples,)
        Parts of the prediction that no input explains: what the biases of the model keep, what
        the stabilizer of the rule keeps, and what initial states keep.
    index : Index of length n_samples, default=None
        Rows, usually (date, asset).
    descriptor_names : sequence of str of length n_features, default=None
        Names of the descriptors; ``x0``, ``x1``, ... if None. Stored as a tuple.
    lags : sequence of int of length n_timesteps, default=None
        Lag of each time step in periods, oldest first; ``n_timesteps - 1, ..., 0`` if None.
        Stored as a tuple.

    Raises
    ------
    PanelError
        If the shapes do not agree, names repeat, or lags do not run from the oldest to the newest.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.explanation import Explanation
    >>> explanation = Explanation(
    ...     loadings=np.array([[[0.1, 0.2], [0.3, 0.0]]]),
    ...     data=np.array([[[1.0, -1.0], [0.5, 2.0]]]),
    ...     predictions=np.array([0.06]),
    ...     bias=np.array([0.01]),
    ...     stabilizer=np.array([0.0]),
    ...     state=np.array([0.0]),
    ...     descriptor_names=("BETA", "CAP"),
    ...     lags=(1, 0),
    ... )
    >>> explanation.by_descriptor().round(3)
    descriptor  BETA  CAP
    0           0.25 -0.2
    >>> explanation.by_lag().round(3)
    lag    1     0
    0   -0.1  0.15
    >>> bool(np.abs(explanation.conservation_gap).max() < 1e-15)
    True
    """

    loadings: FloatArray
    data: FloatArray
    predictions: FloatArray
    bias: FloatArray
    stabilizer: FloatArray
    state: FloatArray
    index: pd.Index | None = None
    descriptor_names: tuple[str, ...] = None  # type: ignore[assignment]  # set in __post_init__
    lags: tuple[int, ...] = None  # type: ignore[assignment]  # set in __post_init__

    def __post_init__(self) -> None:
        for name in ("loadings", "data", *_PER_SAMPLE):
            object.__setattr__(self, name, _read_only(getattr(self, name)))
        if self.loadings.ndim != 3:
            raise PanelError(
                "'loadings' must have shape (n_samples, n_timesteps, n_features). "
                f"Got {self.loadings.shape}. Reshape flat columns, oldest lag first."
            )
        n_samples, n_timesteps, n_features = self.loadings.shape
        _check_shape("data", self.data, self.loadings.shape)
        for name in _PER_SAMPLE:
            _check_shape(name, getattr(self, name), (n_samples,))
        if self.index is not None and len(self.index) != n_samples:
            raise PanelError(
                f"'index' must have one entry for each of the {n_samples} samples. "
                f"Got {len(self.index)}. Pass the index of the rows that were explained."
            )
        names: Any = self.descriptor_names
        lags: Any = self.lags
        names = [f"x{j}" for j in range(n_features)] if names is None else names
        lags = range(n_timesteps - 1, -1, -1) if lags is None else lags
        object.__setattr__(self, "descriptor_names", tuple(names))
        object.__setattr__(self, "lags", tuple(int(lag) for lag in lags))
        if len(self.descriptor_names) != n_features or len(set(self.descriptor_names)) < n_features:
            raise PanelError(
                f"'descriptor_names' must be {n_features} different names, one for each descriptor "
                f"of 'loadings'. Got {list(self.descriptor_names)!r}. Name each descriptor once."
            )
        if len(self.lags) != n_timesteps or any(np.diff(self.lags) >= 0):
            raise PanelError(
                f"'lags' must be {n_timesteps} lags, one for each time step of 'loadings', from the "
                f"oldest to the newest. Got {list(self.lags)!r}. Sort the largest lag first."
            )

    @cached_property
    def values(self) -> FloatArray:
        """Relevance of each input, ``data * loadings``, of the shape of `loadings`."""
        return _read_only(self.data * self.loadings, owned=True)

    @cached_property
    def intercept(self) -> FloatArray:
        """Part of each prediction that no input explains, of shape (n_samples,)."""
        return _read_only(self.bias + self.stabilizer + self.state, owned=True)

    @cached_property
    def linear_prediction(self) -> FloatArray:
        """Sum of relevances of each sample: the paper's linearized return model."""
        return _read_only(self.values.sum(axis=(1, 2)), owned=True)

    @property
    def conservation_gap(self) -> FloatArray:
        """Prediction less relevances and intercept, of shape (n_samples,); 0 up to rounding."""
        return self.predictions - self.linear_prediction - self.intercept

    def by_descriptor(self) -> pd.DataFrame:
        """Contribution of each descriptor: its signed relevances summed over lags.

        Returns
        -------
        DataFrame of shape (n_samples, n_features)
            In units of the prediction, with the index of the explanation.
        """
        columns = pd.Index(self.descriptor_names, name="descriptor")
        return pd.DataFrame(self.values.sum(axis=1), index=self.index, columns=columns)

    def by_lag(self) -> pd.DataFrame:
        """Contribution of each lag: its signed relevances summed over descriptors.

        Returns
        -------
        DataFrame of shape (n_samples, n_timesteps)
            In units of the prediction; columns are lags, the oldest first.
        """
        columns = pd.Index(self.lags, name="lag")
        return pd.DataFrame(self.values.sum(axis=2), index=self.index, columns=columns)

    def by_group(self, groups: Groups) -> pd.DataFrame:
        """Contribution of each group: signed relevances summed over its descriptors and all lags.

        Parameters
        ----------
        groups : mapping of str to sequence of str
            Group to names of its descriptors. Each descriptor belongs to exactly one group, so
            that the groups add up to the same total.

        Returns
        -------
        DataFrame of shape (n_samples, n_groups)
            In units of the prediction, in the order of the groups.

        Raises
        ------
        PanelError
            If a group holds an unknown descriptor, or a descriptor is in no group or in several.

        Examples
        --------
        >>> import numpy as np
        >>> from skdrfm.explanation import linear_explanation
        >>> explanation = linear_explanation(
        ...     np.ones((1, 1, 3)), [0.1, 0.2, 0.4], descriptor_names=["ROE", "ROA", "CAP"]
        ... )
        >>> explanation.by_group({"Quality": ["ROE", "ROA"], "Size": ["CAP"]}).round(3)
        group  Quality  Size
        0          0.3   0.4
        """
        self._check_groups(groups)
        single = self.by_descriptor()
        sums = [single[list(names)].to_numpy().sum(axis=1) for names in groups.values()]
        columns = pd.Index(list(groups), name="group")
        return pd.DataFrame(np.stack(sums, axis=1), index=self.index, columns=columns)

    def share(self, groups: Groups | None = None) -> pd.DataFrame:
        """Share of each descriptor, or group, in the absolute contributions of a sample.

        The absolute value is taken of the signed sum: of a descriptor over lags, or of a group
        over its descriptors and lags. Opposite signs inside a group so cancel before they count.

        Parameters
        ----------
        groups : mapping of str to sequence of str, default=None
            Groups as for `by_group`; None for single descriptors.

        Returns
        -------
        DataFrame of shape (n_samples, n_features) or (n_samples, n_groups)
            Fractions from 0 to 1; each row sums to 1. NaN in rows without any contribution.

        Raises
        ------
        PanelError
            If the groups do not fit the descriptors.
        """
        sizes = self._contributions(groups).abs()
        return sizes.div(sizes.sum(axis=1), axis=0)

    def over_time(self, groups: Groups | None = None) -> pd.DataFrame:
        """Mean contribution of each descriptor, or group, at each date.

        Parameters
        ----------
        groups : mapping of str to sequence of str, default=None
            Groups as for `by_group`; None for single descriptors.

        Returns
        -------
        DataFrame of shape (n_dates, n_features) or (n_dates, n_groups)
            Mean over the rows of a date, in units of the prediction, by ascending date.

        Raises
        ------
        PanelError
            If the explanation has no index level ``date``, or the groups do not fit.
        """
        if self.index is None:
            raise PanelError(
                "over_time needs an index with a level named 'date'. Got an explanation without "
                "an index. Explain a DataFrame indexed by (date, asset)."
            )
        dates = dates_of(self.index)
        means: pd.DataFrame = self._contributions(groups).groupby(dates).mean()
        return means.rename_axis(index="date")

    def to_frame(self) -> pd.DataFrame:
        """One row for each sample, lag and descriptor.

        Returns
        -------
        DataFrame of shape (n_samples * n_timesteps * n_features, 6 or 7)
            Columns ``date`` and ``asset`` (``sample`` where the index has no such levels), ``lag``,
            ``descriptor``, ``value`` (of the input), ``loading`` and ``relevance``.
        """
        n_samples, n_timesteps, n_features = self.loadings.shape
        repeats = n_timesteps * n_features
        index = self.index if self.index is not None else pd.RangeIndex(n_samples)
        if {"date", "asset"} <= set(index.names):
            labels = {level: index.get_level_values(level) for level in ("date", "asset")}
        else:
            labels = {"sample": index}
        columns: dict[str, Any] = {name: values.repeat(repeats) for name, values in labels.items()}
        columns["lag"] = np.tile(np.repeat(self.lags, n_features), n_samples)
        columns["descriptor"] = np.tile(self.descriptor_names, n_samples * n_timesteps)
        columns["value"] = self.data.ravel()
        columns["loading"] = self.loadings.ravel()
        columns["relevance"] = self.values.ravel()
        return pd.DataFrame(columns)

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Join explanations of the same descriptors and lags, row below row.

        Parameters
        ----------
        parts : sequence of Explanation
            At least one; all with an index, or all without.

        Returns
        -------
        Explanation
            All rows, in the order of the parts.

        Raises
        ------
        PanelError
            If there is nothing to join, or the parts differ in descriptors, lags or the presence
            of an index.
        """
        parts = list(parts)
        if not parts:
            raise PanelError("concatenate needs at least one Explanation. Got none.")
        first = parts[0]
        for position, part in enumerate(parts):
            for name in ("descriptor_names", "lags"):
                if getattr(part, name) != getattr(first, name):
                    raise PanelError(
                        f"All parts must have the same {name}. Got {list(getattr(part, name))!r} "
                        f"in part {position} and {list(getattr(first, name))!r} in part 0. "
                        "Explain all rows with models of the same columns."
                    )
        indexes = [part.index for part in parts if part.index is not None]
        if 0 < len(indexes) < len(parts):
            raise PanelError(
                f"All parts must have an index, or none. Got {len(parts) - len(indexes)} of "
                f"{len(parts)} without. Explain DataFrames indexed by (date, asset)."
            )
        index = indexes[0].append(indexes[1:]) if indexes else None
        arrays = {
            name: _read_only(np.concatenate([getattr(part, name) for part in parts]), owned=True)
            for name in ("loadings", "data", *_PER_SAMPLE)
        }
        return cls(**arrays, index=index, descriptor_names=first.descriptor_names, lags=first.lags)

    def __len__(self) -> int:
        return len(self.loadings)

    def __getitem__(self, rows: slice | AnyArray | Sequence[int] | Sequence[bool]) -> Self:
        """Explanation of some rows: a slice, a boolean mask or an array of positions."""
        if isinstance(rows, slice):
            where: Any = np.arange(len(self))[rows]
        else:
            where = np.asarray(rows)
            where = where if where.size else where.astype(np.intp)
            if where.ndim != 1 or where.dtype.kind not in "biu":
                raise TypeError(
                    "Rows of an Explanation are chosen by a slice, a boolean mask or an array of "
                    f"positions. Got {rows!r}. For one row pass a list: explanation[[0]]."
                )
            if where.dtype.kind == "b":
                _check_shape("mask", where, (len(self),))
        chosen: dict[str, Any] = {
            name: _read_only(getattr(self, name)[where], owned=True) for name in ("loadings", "data", *_PER_SAMPLE)
        }
        chosen["index"] = None if self.index is None else self.index[where]
        return type(self)(**chosen, descriptor_names=self.descriptor_names, lags=self.lags)

    def __repr__(self) -> str:
        n_samples, n_timesteps, n_features = self.loadings.shape
        return f"Explanation(n_samples={n_samples}, n_timesteps={n_timesteps}, n_features={n_features})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Arrays come writable out of a pickle: the constructor makes them read-only again.
        return _rebuild, (type(self), {f.name: getattr(self, f.name) for f in fields(self)})

    def _contributions(self, groups: Groups | None) -> pd.DataFrame:
        return self.by_descriptor() if groups is None else self.by_group(groups)

    def _check_groups(self, groups: Groups) -> None:
        grouped = [name for names in groups.values() for name in names]
        unknown = [name for name in dict.fromkeys(grouped) if name not in self.descriptor_names]
        if unknown:
            raise PanelError(
                f"Groups must hold descriptors of the explanation. Got {unknown!r} beside them "
                f"(descriptors: {list(self.descriptor_names)!r}). Leave them out: {{group: [d for "
                "d in names if d in explanation.descriptor_names] for group, names in "
                "groups.items()}."
            )
        missing = [name for name in self.descriptor_names if name not in grouped]
        if missing:
            raise PanelError(
                f"Each descriptor of the explanation must be in a group. Got {missing!r} in none. "
                f"Add a group for them: {{**groups, 'Other': {missing!r}}}."
            )
        repeated = [name for name in self.descriptor_names if grouped.count(name) > 1]
        if repeated:
            raise PanelError(
                "Each descriptor must be in one group, or the groups do not add up. "
                f"Got {repeated!r} more than once. Keep each in one group."
            )


def linear_explanation(
    data: ArrayLike,
    coefficients: ArrayLike,
    intercept: float = 0.0,
    *,
    index: pd.Index | None = None,
    descriptor_names: Sequence[str] | None = None,
    lags: Sequence[int] | None = None,
) -> Explanation:
    """Explain a linear model: its coefficients are the loadings of every row.

    Parameters
    ----------
    data : array-like of shape (n_samples, n_timesteps, n_features)
        The inputs, oldest lag first.
    coefficients : array-like of shape (n_timesteps, n_features) or (n_timesteps * n_features,)
        Coefficients; flat ones are time-major, like flat columns.
    intercept : float, default=0.0
        Constant of the model. It becomes the bias; stabilizer and state are 0.
    index : Index of length n_samples, default=None
        Rows, usually (date, asset).
    descriptor_names : sequence of str of length n_features, default=None
        Names of the descriptors.
    lags : sequence of int of length n_timesteps, default=None
        Lag of each time step, oldest first.

    Returns
    -------
    Explanation
        Its predictions are those of the model.

    Raises
    ------
    PanelError
        If the shapes do not agree.

    Examples
    --------
    >>> from skdrfm.explanation import linear_explanation
    >>> explanation = linear_explanation([[[1.0, 2.0]], [[0.0, 1.0]]], [0.5, 0.25], 0.1)
    >>> explanation.predictions
    array([1.1 , 0.35])
    >>> explanation.values[:, 0]
    array([[0.5 , 0.5 ],
           [0.  , 0.25]])
    """
    inputs = _read_only(data)
    if inputs.ndim != 3:
        raise PanelError(
            "'data' must have shape (n_samples, n_timesteps, n_features). "
            f"Got {inputs.shape}. Reshape flat columns, oldest lag first."
        )
    slopes = np.asarray(coefficients, dtype=np.float64)
    n_samples, n_timesteps, n_features = inputs.shape
    if slopes.shape not in ((n_timesteps, n_features), (n_timesteps * n_features,)):
        raise PanelError(
            f"'coefficients' must have shape ({n_timesteps}, {n_features}) or "
            f"({n_timesteps * n_features},), as 'data' has it. Got {slopes.shape}. "
            "Pass one coefficient for each column."
        )
    flat = slopes.ravel()
    loadings = np.broadcast_to(flat.reshape(1, n_timesteps, n_features), inputs.shape)
    nothing = np.zeros(n_samples)
    return Explanation(
        loadings=loadings,
        data=inputs,
        predictions=inputs.reshape(n_samples, -1) @ flat + intercept,
        bias=np.full(n_samples, float(intercept)),
        stabilizer=nothing,
        state=nothing,
        index=index,
        descriptor_names=descriptor_names,  # type: ignore[arg-type]  # stored as a tuple
        lags=lags,  # type: ignore[arg-type]  # stored as a tuple
    )


def _rebuild(kind: type[Explanation], stored: dict[str, Any]) -> Explanation:
    return kind(**stored)


def _read_only(values: Any, *, owned: bool = False) -> FloatArray:
    """Return a read-only floating array; a copy, unless it is ours or read-only already."""
    array: AnyArray = np.asarray(values)
    if array.dtype.kind != "f":
        array, owned = array.astype(np.float64), True
    if array.flags.writeable:
        array = array if owned else array.copy()
        array.setflags(write=False)
    return array


def _check_shape(name: str, array: AnyArray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise PanelError(
            f"'{name}' must have shape {shape}, to agree with 'loadings'. Got {array.shape}. "
            "Pass arrays of the same samples."
        )
