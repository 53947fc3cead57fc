"""What a comparison of explainers finds: explanations, their agreement, and their cost."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.exceptions import CoverageWarning, PanelError
from skdrfm.explanation import Explanation
from skdrfm.inspection._compare_ranks import mean_rank_correlations
from skdrfm.inspection._shapley import Groups, GroupShapley


@dataclass(frozen=True, eq=False, repr=False)
class ExplainerComparison:
    """Explanations of the same rows by several methods.

    Parameters
    ----------
    explanations : mapping of str to Explanation
        Method to its explanation, in the order asked for; all of the same rows. Read-only.
    group_values : mapping of str to GroupShapley
        The methods whose players are groups, which say nothing of single cells. Read-only.
    seconds : mapping of str to float
        Time that each method took for all rows, in one run.
    evaluations : mapping of str to float
        Rows that the model predicted for each explained row (gradients for "shap-gradient"), where a method treats
        the model as a black box; other methods are not in it.
    n_background : int
        Number of background rows; 0 if there was no background.
    groups : mapping of str to sequence of str or None
        Groups of descriptors, as given.

    See Also
    --------
    compare_explainers : Make it from a model.
    """

    explanations: Mapping[str, Explanation]
    group_values: Mapping[str, GroupShapley]
    seconds: Mapping[str, float]
    evaluations: Mapping[str, float]
    n_background: int
    groups: Groups | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Mapping):
                object.__setattr__(self, field.name, MappingProxyType(dict(value)))

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods, in the order asked for."""
        return tuple(self.seconds)

    def agreement(self, by: str | Groups = "cell") -> pd.DataFrame:
        """Rank correlation of the relevances of each pair of methods.

        For each row the relevances are ranked over its cells, descriptors, lags or groups, with mean ranks for ties
        (Spearman), and correlated; the mean over rows is returned. It says whether two methods order what a single
        prediction rests on in the same way: 1 the same, 0 unrelated, -1 reversed.

        Parameters
        ----------
        by : {"cell", "descriptor", "lag", "group"} or mapping of str to sequence of str, default="cell"
            What relevances are summed to before they are ranked; "group" takes the groups of the comparison, a
            mapping other ones. Methods whose players are groups join in where their players say enough.

        Returns
        -------
        DataFrame of shape (n_methods, n_methods)
            Symmetric, 1 on the diagonal. NaN where no row has an order under both methods.

        Raises
        ------
        PanelError
            If there are less than two cells, descriptors, lags or groups, or the groups do not fit.
        ValueError
            If `by` is something else.

        Warns
        -----
        CoverageWarning
            If rows were left out, since a method gives all their units the same relevance; they are counted.
        """
        units = self._units(by)
        found = {method: values for method, values in units.items() if values is not None}
        n_units = next(iter(found.values())).shape[1] if found else 0
        if n_units < 2:
            raise PanelError(
                f"An order needs at least two of what 'by' names. Got {n_units} for by={by!r} and {len(found)} methods "
                "that know it. Choose another 'by'."
            )
        correlations, n_without = mean_rank_correlations(list(found.values()))
        if any(n_without):
            counts = ", ".join(f"{n} rows of {method!r}" for method, n in zip(found, n_without, strict=True) if n)
            warnings.warn(
                f"Rows whose relevances are all the same have no order and are left out of the mean: {counts}, of "
                f"{len(next(iter(found.values())))} rows in all.",
                CoverageWarning,
                stacklevel=2,
            )
        labels = pd.Index(list(found), name="method")
        return pd.DataFrame(correlations, index=labels, columns=labels)

    def summary(self) -> pd.DataFrame:
        """Cost and additivity of each method.

        Returns
        -------
        DataFrame of shape (n_methods, 5)
            ``microseconds_per_sample``, the time of one run over the number of rows; it varies from run to run.
            ``additivity_gap``, the largest ``|prediction - intercept - sum of relevances|`` of a row, in units of the
            prediction; ``relative_gap``, the sum of these gaps over that of ``|prediction|``. ``intercept_share``, the
            mean over rows of ``|intercept| / (|intercept| + sum |relevance|)``: what is not put down to inputs.
            ``evaluations``, rows predicted for each explained row, NaN where the method is no black box.
        """
        rows = []
        for method in self.methods:
            gap, predictions, intercept, sizes = self._parts(method)
            known = np.abs(predictions).sum()
            whole = np.abs(intercept) + sizes
            # A row without any contribution has no share.
            share = np.divide(np.abs(intercept), whole, out=np.full(len(whole), np.nan), where=whole > 0)
            has_share = ~np.isnan(share)
            rows.append(
                {
                    "microseconds_per_sample": 1e6 * self.seconds[method] / len(predictions),
                    "additivity_gap": float(np.abs(gap).max()),
                    "relative_gap": float(np.abs(gap).sum() / known) if known else np.nan,
                    "intercept_share": float(share[has_share].mean()) if has_share.any() else np.nan,
                    "evaluations": self.evaluations.get(method, np.nan),
                }
            )
        return pd.DataFrame(rows, index=pd.Index(self.methods, name="method"))

    def to_frame(self) -> pd.DataFrame:
        """One row for each method, sample, lag and descriptor.

        Returns
        -------
        DataFrame of shape (n_methods * n_samples * n_timesteps * n_features, n_columns)
            Columns ``method``, those of the labels of a row (``date`` and ``asset``, or ``sample``), ``lag``,
            ``descriptor``, ``value`` (of the input), ``loading`` and ``relevance``. Methods whose players are groups
            are left out: their frames are ``group_values[method].to_frame()``.
        """
        frames = {
            method: explanation.to_frame().drop(columns="offset", errors="ignore")
            for method, explanation in self.explanations.items()
        }
        if not frames:
            return pd.DataFrame(columns=["method"])
        return pd.concat(frames, names=["method"]).reset_index(level="method").reset_index(drop=True)

    def _parts(self, method: str) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Gap, prediction, intercept and sum of absolute relevances of each row."""
        if method in self.group_values:
            shapley = self.group_values[method]
            base = np.full(len(shapley), shapley.base)
            return shapley.additivity_gap, shapley.predictions, base, np.abs(shapley.values).sum(axis=1)
        explanation = self.explanations[method]
        sizes = np.abs(explanation.values).sum(axis=(1, 2))
        return explanation.conservation_gap, explanation.predictions, explanation.intercept, sizes

    def _units(self, by: str | Groups) -> dict[str, FloatArray | None]:
        """Relevances (n_samples, n_units) of each method; None where it has none of these units."""
        groups = self.groups if isinstance(by, str) and by == "group" else by
        if groups is None:
            raise PanelError("by='group' needs groups. Got none. Pass groups=... to compare_explainers, or as 'by'.")
        if isinstance(groups, Mapping):
            return {method: self._grouped(method, groups) for method in self.methods}
        if by not in ("cell", "descriptor", "lag"):
            raise ValueError(f"'by' must be 'cell', 'descriptor', 'lag', 'group' or a mapping of groups. Got {by!r}.")
        summed: dict[str, Callable[[Explanation], FloatArray]] = {
            "cell": lambda explanation: explanation.values.reshape(len(explanation), -1),
            "descriptor": lambda explanation: explanation.values.sum(axis=1),
            "lag": lambda explanation: explanation.values.sum(axis=2),
        }
        units: dict[str, FloatArray | None] = {}
        for method in self.methods:
            if method in self.explanations:
                units[method] = summed[by](self.explanations[method])
            else:
                shapley = self.group_values[method]
                has_lags = by == "lag" and "lag" in shapley.players.names
                units[method] = shapley.by_lag().to_numpy() if has_lags else None
        return units

    def _grouped(self, method: str, groups: Groups) -> FloatArray | None:
        if method in self.explanations:
            return self.explanations[method].by_group(groups).to_numpy()
        if self.groups is None or _as_sets(groups) != _as_sets(self.groups):
            return None
        return self.group_values[method].by_group()[list(groups)].to_numpy()

    def __reduce__(self) -> tuple[Any, ...]:
        # Read-only mappings cannot be pickled; the constructor makes them anew.
        stored = (getattr(self, field.name) for field in fields(self))
        return type(self), tuple(dict(value) if isinstance(value, Mapping) else value for value in stored)

    def __repr__(self) -> str:
        first: Any = next(iter((*self.explanations.values(), *self.group_values.values())))
        return f"ExplainerComparison(methods={list(self.methods)}, n_samples={len(first)})"


def _as_sets(groups: Groups) -> dict[str, frozenset[str]]:
    return {group: frozenset(names) for group, names in groups.items()}
