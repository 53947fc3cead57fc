"""The explanation itself: loadings, inputs and intercept of each row, and what can be made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

import pandas as pd

from skdrfm._typing import AnyArray, FloatArray
from skdrfm.explanation._aggregation import PER_SAMPLE, AdditiveParts
from skdrfm.explanation._arrays import check_axes, check_index, check_shape, checked_coverage, checked_layout, read_only
from skdrfm.explanation._difference import ExplanationDifference, difference
from skdrfm.explanation._rows import array_names, join, take
from skdrfm.explanation._shap import to_shap
from skdrfm.explanation._units import in_raw_units
from skdrfm.lrp import LayerCoverage


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Explanation(AdditiveParts):
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
    offsets : ndarray of shape (n_samples, n_timesteps, n_features), default=None
        Relevance that an input gets whatever its value, where a method shares biases out over
        inputs; then ``values = data * loadings + offsets``. None: there is none.
    coverage : sequence of LayerCoverage, default=()
        Name, type and rule of each layer of the network, in order. Stored as a tuple.
    method : str, default="lrp-all"
        Name of the method.

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
    offsets: FloatArray | None = None
    coverage: tuple[LayerCoverage, ...] = ()
    method: str = "lrp-all"

    def __post_init__(self) -> None:
        for name in array_names(self):
            object.__setattr__(self, name, read_only(getattr(self, name)))
        check_axes("loadings", self.loadings)
        shape = self.loadings.shape
        check_shape("data", self.data, shape)
        if self.offsets is not None:
            check_shape("offsets", self.offsets, shape)
        for name in PER_SAMPLE:
            check_shape(name, getattr(self, name), shape[:1])
        check_index(self.index, len(self))
        names, lags = checked_layout(self.descriptor_names, self.lags, shape, model="loadings")
        object.__setattr__(self, "descriptor_names", names)
        object.__setattr__(self, "lags", lags)
        object.__setattr__(self, "coverage", checked_coverage(self.coverage))

    @cached_property
    def values(self) -> FloatArray:  # type: ignore[override]  # computed once, when it is first asked for
        """Relevance of each input, ``data * loadings + offsets``, of the shape of `loadings`."""
        values: FloatArray = self.data * self.loadings
        if self.offsets is not None:
            values = values + self.offsets
        return read_only(values, owned=True)

    def coverage_report(self) -> pd.DataFrame:
        """Return the rule that each layer of the network used.

        Returns
        -------
        DataFrame of shape (n_layers, 3)
            Columns ``layer``, ``type`` and ``rule``, one row for each layer, in the order of the
            network; no rows if the explanation does not come from a network, or was joined from
            explanations of different ones.

        Examples
        --------
        >>> from dataclasses import replace
        >>> from skdrfm.explanation import linear_explanation
        >>> from skdrfm.lrp import LayerCoverage
        >>> explanation = linear_explanation([[[1.0, 2.0]]], [0.5, 0.25])
        >>> explanation = replace(explanation, coverage=[LayerCoverage("out", "Dense", "linear")])
        >>> explanation.coverage_report()
          layer   type    rule
        0   out  Dense  linear
        """
        return pd.DataFrame(self.coverage, columns=["layer", "type", "rule"], dtype="object")

    def in_raw_units(self, scaler: Any) -> Self:
        """Restate the loadings per unit of the raw descriptors, before a scaler.

        With ``x = (raw - shift) / size`` the loading becomes ``loading / size``, the input ``raw``,
        and ``sum(loading * shift / size)`` leaves the bias, so that the predictions stay and the
        parts still add up. Offsets stay. Arrays are in float64, since raw values may be large
        against their spread.

        Parameters
        ----------
        scaler : transformer or Pipeline of transformers
            Fitted; its ``inverse_transform`` must be affine column by column, as that of
            StandardScaler, MinMaxScaler, RobustScaler and MaxAbsScaler. It was fitted on the
            ``n_timesteps * n_features`` stacked columns, or on the ``n_features`` descriptors
            before `skdrfm.stack_lags`. Names that it knows must be those of the explanation.

        Returns
        -------
        Explanation
            Of the same predictions; its data is the inverse transform of the inputs.

        Raises
        ------
        TypeError
            If the scaler cannot be inverted, or is not affine column by column.
        PanelError
            If the number, names or order of its columns are not those of the explanation.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.preprocessing import StandardScaler
        >>> from skdrfm.explanation import linear_explanation
        >>> raw = np.array([[10.0], [30.0]])
        >>> scaler = StandardScaler().fit(raw)
        >>> scaled = linear_explanation(scaler.transform(raw)[:, None], [0.05])
        >>> explanation = scaled.in_raw_units(scaler)
        >>> explanation.loadings.ravel(), explanation.data.ravel(), explanation.bias
        (array([0.005, 0.005]), array([10., 30.]), array([-0.1, -0.1]))
        """
        return in_raw_units(self, scaler)

    def to_shap(self, by: Literal["descriptor", "lag"] | None = None) -> Any:
        """Hand the explanation over to the plots of shap.

        Relevances take the place of SHAP values and the intercept that of the base value, so that
        each row adds up to its prediction. Needs shap, which is imported here.

        Parameters
        ----------
        by : {None, "descriptor", "lag"}, default=None
            None keeps each lag of each descriptor. ``"descriptor"`` sums relevances over lags,
            ``"lag"`` over descriptors; their data is the mean of the inputs that were summed over.

        Returns
        -------
        shap.Explanation
            ``values`` and ``data`` of shape (n_samples, n_columns), ``base_values`` of shape
            (n_samples,). Columns are named ``"{descriptor}__lag{k}"``, oldest lag first, or
            ``"{descriptor}"``, or ``"lag{k}"``.

        Raises
        ------
        PanelError
            If `by` is something else.

        Examples
        --------
        >>> from skdrfm.explanation import linear_explanation
        >>> explanation = linear_explanation([[[1.0], [2.0]]], [0.5, 0.25], 0.1, lags=(3, 0))
        >>> shapley = explanation.to_shap()
        >>> shapley.feature_names, shapley.values, shapley.base_values
        (['x0__lag3', 'x0__lag0'], array([[0.5, 0.5]]), array([0.1]))
        """
        return to_shap(self, by)

    def difference(
        self, first: Any, second: Any, *, level: Literal["asset", "date"] = "asset"
    ) -> ExplanationDifference:
        """Explain why the predictions of two assets, or of two dates, differ.

        Each part of the second is taken from that of the first: explanations add up, so their
        differences do as well. Rows are paired on the other level: two assets date by date, two
        dates asset by asset.

        Parameters
        ----------
        first, second : label
            Two assets, or two dates.
        level : {"asset", "date"}, default="asset"
            Whether they are assets or dates.

        Returns
        -------
        ExplanationDifference
            First less second, a row for each date (or asset) that both have, sorted. Its
            ``unpaired`` counts the rows of both that have no partner.

        Raises
        ------
        PanelError
            If the rows are not indexed by unique (date, asset) pairs, a label is unknown, or the
            two have nothing in common.

        Examples
        --------
        >>> import pandas as pd
        >>> from skdrfm.explanation import linear_explanation
        >>> index = pd.MultiIndex.from_product([[202001, 202002], ["A", "B"]], names=["date", "asset"])
        >>> explanation = linear_explanation(
        ...     [[[1.0, 0.0]], [[0.0, 2.0]], [[1.0, 1.0]], [[1.0, 1.0]]],
        ...     [0.5, 0.25], 0.1, index=index, descriptor_names=["BETA", "CAP"],
        ... )
        >>> explanation.difference("A", "B").by_descriptor()
        descriptor  BETA  CAP
        date
        202001       0.5 -0.5
        202002       0.0  0.0
        """
        return difference(self, first, second, level)

    def to_frame(self) -> pd.DataFrame:
        """One row for each sample, lag and descriptor.

        Returns
        -------
        DataFrame of shape (n_samples * n_timesteps * n_features, n_columns)
            Columns ``date`` and ``asset`` (``sample`` where the index has no such levels), ``lag``,
            ``descriptor``, ``value`` (of the input), ``loading``, ``offset`` (where there are
            offsets) and ``relevance``.
        """
        index = self.index if self.index is not None else pd.RangeIndex(len(self))
        if {"date", "asset"} <= set(index.names):
            labels = {level: index.get_level_values(level) for level in ("date", "asset")}
        else:
            labels = {"sample": index}
        offset = {} if self.offsets is None else {"offset": self.offsets}
        return self._tidy(labels, {"value": self.data, "loading": self.loadings, **offset, "relevance": self.values})

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Join explanations of the same method, descriptors and lags, row below row.

        Parameters
        ----------
        parts : sequence of Explanation
            At least one; all with an index, or all without; all with offsets, or all without.

        Returns
        -------
        Explanation
            All rows, in the order of the parts. It keeps the coverage of the layers only if all
            parts have the same.

        Raises
        ------
        PanelError
            If there is nothing to join, or the parts differ in method, descriptors, lags or the
            presence of an index or of offsets.
        """
        return join(parts)

    def __getitem__(self, rows: slice | AnyArray | Sequence[int] | Sequence[bool]) -> Self:
        """Explanation of some rows: a slice (without a copy), a boolean mask or an array of positions."""
        return take(self, rows)

    def __repr__(self) -> str:
        n_samples, n_timesteps, n_features = self.loadings.shape
        return (
            f"Explanation(n_samples={n_samples}, n_timesteps={n_timesteps}, n_features={n_features}, "
            f"method={self.method!r})"
        )
