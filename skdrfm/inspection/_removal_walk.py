"""A model and what is left of it without some of its inputs, fitted together in each window of a walk."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Self, TypeAlias

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin, clone

from skdrfm._typing import FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation
from skdrfm.factor_model._together import fit_together
from skdrfm.inspection._explain import explain
from skdrfm.model_selection._validation import _models_per_program
from skdrfm.panel import lag_layout
from skdrfm.panel._lags import column_names
from skdrfm.utils.validation import describe_first

Ranking: TypeAlias = Callable[[Any, pd.DataFrame, Any], Any] | Sequence[Any] | None
Variant: TypeAlias = tuple[str, int, int]

UNITS = ("descriptor", "lag")
# Rows explained at a time, so that the explanation of a training window is never whole in memory.
_BLOCK = 1 << 14


def columns_of_units(
    columns: Sequence[Any], unit: str, groups: Mapping[str, Sequence[str]] | None
) -> dict[Hashable, list[str]]:
    """Name the columns that are removed together.

    Parameters
    ----------
    columns : sequence of str
        Columns of X.
    unit : {"descriptor", "lag"}
        What is removed.
    groups : mapping of str to sequence of str or None
        Groups of descriptors to remove as a whole.

    Returns
    -------
    dict of label to list of str
        Columns of each unit, in the order of X.

    Raises
    ------
    PanelError
        If the groups do not hold each descriptor once, or there is one unit alone.
    """
    layout = lag_layout(list(columns))
    lags = (0,) if layout is None else layout.lags
    descriptors = tuple(map(str, columns)) if layout is None else layout.descriptor_names
    units: dict[Hashable, list[str]]
    if unit == "lag":
        units = {lag: column_names(descriptors, [lag]) for lag in lags}
    elif layout is None:
        units = {name: [name] for name in descriptors}
    else:
        units = {name: column_names([name], lags) for name in descriptors}
    if groups is not None:
        grouped = [name for names in groups.values() for name in names]
        if unit != "descriptor" or sorted(grouped) != sorted(map(str, units)):
            raise PanelError(
                "Groups must hold each descriptor of X once, and go with unit='descriptor'. Got "
                f"{describe_first(grouped)} with unit={unit!r} for {describe_first(list(units))}. Correct the groups."
            )
        units = {group: [column for name in names for column in units[name]] for group, names in groups.items()}
    if len(units) < 2:
        raise PanelError(f"X must have at least 2 units to remove some. Got {list(units)!r}. Pass more columns.")
    return units


def variants_of(n_removed: Sequence[int], n_random: int) -> list[Variant]:
    """List way, number of units removed and draw of all variants, in the order in which `RemovalWalk` has them."""
    ways = [("most", 0), ("least", 0), *(("random", draw) for draw in range(n_random))]
    return [(way, int(k), draw) for k in n_removed for way, draw in ways]


class RemovalWalk(RegressorMixin, BaseEstimator):
    """A model, and the same model without its most relevant, its least relevant and random inputs.

    One fit ranks the inputs on its training rows and fits all variants, so that the model that ranks is shared. What
    `explain` returns are the predictions of all variants, a column for each: `walk_forward_predict` keeps it beside
    the predictions of the whole model, and so brings its checkpoints, workers and seeds along.

    Parameters
    ----------
    model : estimator
        Cloned for each fit.
    n_removed : sequence of int
        Numbers of units to remove.
    random_orders : sequence of (sequence of label)
        One order of the units for each random draw; the first ones are removed.
    ranking : callable, sequence of label or None
        See `removal_check`.
    unit : {"descriptor", "lag"}
        What is removed.
    groups : mapping or None
        Groups of descriptors to remove as a whole.
    width : int or "auto"
        Networks trained side by side.
    """

    def __init__(
        self,
        model: Any,
        n_removed: Sequence[int],
        random_orders: Sequence[Sequence[Any]],
        ranking: Ranking = None,
        unit: str = "descriptor",
        groups: Mapping[str, Sequence[str]] | None = None,
        width: Any = "auto",
    ) -> None:
        self.model = model
        self.n_removed = n_removed
        self.random_orders = random_orders
        self.ranking = ranking
        self.unit = unit
        self.groups = groups
        self.width = width

    def fit(self, X: pd.DataFrame, y: Any) -> Self:
        """Fit the whole model, rank the units on these rows, and fit the variants."""
        units = columns_of_units(list(X.columns), self.unit, self.groups)
        self.whole_ = clone(self.model).fit(X, y)
        self.importance_ = self._importance(X, y, units)
        # Equal importance: the unit that comes first in X counts as the more relevant.
        order = [list(units)[j] for j in np.argsort(-self.importance_, kind="stable")]
        self.kept_: dict[Variant, list[Any]] = {}
        self.variants_: dict[Variant, Any] = {}
        width = _models_per_program(self.model, self.width, X)
        variants = variants_of(self.n_removed, len(self.random_orders))
        for variant in variants:
            way, k, draw = variant
            gone = {"most": order[:k], "least": order[-k:]}.get(way, self.random_orders[draw][:k])
            without = {column for label in gone for column in units[label]}
            self.kept_[variant] = [column for column in X.columns if str(column) not in without]
        for k in self.n_removed:
            # Networks of one size train side by side, with no more copies of the training rows at once than that.
            same_size = [variant for variant in variants if variant[1] == k]
            for first in range(0, len(same_size), width):
                some = same_size[first : first + width]
                fitted = fit_together(
                    [clone(self.model) for _ in some], [(X[self.kept_[variant]], y) for variant in some], width=width
                )
                self.variants_ |= dict(zip(some, fitted, strict=True))
        return self

    def predict(self, X: pd.DataFrame) -> FloatArray:
        """Predictions of the whole model."""
        return np.asarray(self.whole_.predict(X), dtype=np.float64)

    def explain(self, X: pd.DataFrame) -> Explanation:
        """Predictions of all variants as columns, and after them the importance of each unit, the same in all rows."""
        variants = variants_of(self.n_removed, len(self.random_orders))
        columns = [np.asarray(self.variants_[key].predict(X[self.kept_[key]])) for key in variants]
        columns += [np.full(len(X), importance) for importance in self.importance_]
        loadings = np.column_stack(columns)[:, np.newaxis].astype(np.float64)
        nothing = np.zeros(len(X))
        return Explanation(
            loadings=loadings,
            data=np.ones_like(loadings),
            predictions=loadings.sum(axis=(1, 2)),
            bias=nothing,
            stabilizer=nothing,
            state=nothing,
            index=X.index,
        )

    def _importance(self, X: pd.DataFrame, y: Any, units: Mapping[Hashable, Sequence[str]]) -> FloatArray:
        """How much each unit matters to the whole model on these rows."""
        if self.ranking is None:
            return self._mean_relevance(X, units)
        if not callable(self.ranking):
            place = {label: position for position, label in enumerate(self.ranking)}
            return np.array([float(len(units) - place[label]) for label in units])
        found = pd.Series(self.ranking(self.whole_, X, y))
        missing = [label for label in units if label not in found.index]
        if missing or not found.index.is_unique:
            raise PanelError(
                f"'ranking' must return one number for each of {list(units)!r}. Got {list(found.index)!r}. Return a "
                "Series with these labels."
            )
        importance: FloatArray = found.reindex(list(units)).to_numpy(dtype=np.float64)
        if not np.isfinite(importance).all():
            raise PanelError(f"'ranking' must return finite numbers. Got {found.to_dict()!r}. Rank all of them.")
        return importance

    def _mean_relevance(self, X: pd.DataFrame, units: Mapping[Hashable, Sequence[str]]) -> FloatArray:
        """Mean over the rows of the absolute contribution of each unit."""
        total = np.zeros(len(units))
        for first in range(0, len(X), _BLOCK):
            explanation = explain(self.whole_, X.iloc[first : first + _BLOCK])
            if self.groups is not None:
                frame = explanation.by_group(self.groups)
            else:
                frame = explanation.by_lag() if self.unit == "lag" else explanation.by_descriptor()
            if len(units) != frame.shape[1] or any(label not in frame.columns for label in units):
                raise PanelError(
                    f"The explanation of the model must have the {self.unit}s of X. Got {list(frame.columns)!r} for "
                    f"{list(units)!r}. Pass a model whose earlier steps keep the columns, or a callable as 'ranking'."
                )
            total += frame[list(units)].abs().to_numpy(dtype=np.float64).sum(axis=0)
        return total / len(X)
