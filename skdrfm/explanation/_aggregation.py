"""What follows from signed contributions alone: their sums by descriptor, lag, group and date."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.explanation._arrays import read_only
from skdrfm.panel import dates_of

Groups: TypeAlias = Mapping[str, Sequence[str]]

PER_SAMPLE = ("predictions", "bias", "stabilizer", "state")


class AdditiveParts:
    """Base of frozen dataclasses whose values and intercept add up to what they explain."""

    values: FloatArray
    predictions: FloatArray
    bias: FloatArray
    stabilizer: FloatArray
    state: FloatArray
    index: pd.Index | None
    descriptor_names: tuple[str, ...]
    lags: tuple[int, ...]

    @cached_property
    def intercept(self) -> FloatArray:
        """``bias + stabilizer + state``, the part that no input explains, of shape (n_samples,)."""
        return read_only(self.bias + self.stabilizer + self.state, owned=True)

    @cached_property
    def linear_prediction(self) -> FloatArray:
        """Sum of relevances of each sample, of shape (n_samples,): the paper's linearized return model."""
        return read_only(self.values.sum(axis=(1, 2)), owned=True)

    @property
    def conservation_gap(self) -> FloatArray:
        """What is explained less relevances and intercept, of shape (n_samples,); 0 up to rounding."""
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
        check_groups(groups, self.descriptor_names)
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
            If there is no index level ``date``, or the groups do not fit.
        """
        if self.index is None:
            raise PanelError(
                "over_time needs an index with a level named 'date'. Got an explanation without "
                "an index. Explain a DataFrame indexed by (date, asset)."
            )
        dates = dates_of(self.index)
        means: pd.DataFrame = self._contributions(groups).groupby(dates).mean()
        return means.rename_axis(index="date")

    def __len__(self) -> int:
        return len(self.predictions)

    def __reduce__(self) -> tuple[Any, ...]:
        # Arrays come writable out of a pickle: the constructor makes them read-only again.
        stored = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return _rebuild, (type(self), stored)

    def _contributions(self, groups: Groups | None) -> pd.DataFrame:
        return self.by_descriptor() if groups is None else self.by_group(groups)

    def _tidy(self, labels: Mapping[str, pd.Index], cells: Mapping[str, FloatArray]) -> pd.DataFrame:
        """One row for each cell: the labels of its sample, its lag and descriptor, and its numbers."""
        n_samples, n_timesteps, n_features = self.values.shape
        columns: dict[str, Any] = {name: label.repeat(n_timesteps * n_features) for name, label in labels.items()}
        columns["lag"] = np.tile(np.repeat(self.lags, n_features), n_samples)
        columns["descriptor"] = np.tile(self.descriptor_names, n_samples * n_timesteps)
        return pd.DataFrame(columns | {name: array.ravel() for name, array in cells.items()})


def _rebuild(kind: type[AdditiveParts], stored: dict[str, Any]) -> AdditiveParts:
    return kind(**stored)


def check_groups(groups: Groups, descriptor_names: tuple[str, ...]) -> None:
    """Check that groups hold each descriptor exactly once, and nothing else."""
    grouped = [name for names in groups.values() for name in names]
    unknown = [name for name in dict.fromkeys(grouped) if name not in descriptor_names]
    if unknown:
        raise PanelError(
            f"Groups must hold descriptors of the explanation. Got {unknown!r} beside them "
            f"(descriptors: {list(descriptor_names)!r}). Leave them out: {{group: [d for "
            "d in names if d in explanation.descriptor_names] for group, names in "
            "groups.items()}."
        )
    missing = [name for name in descriptor_names if name not in grouped]
    if missing:
        raise PanelError(
            f"Each descriptor of the explanation must be in a group. Got {missing!r} in none. "
            f"Add a group for them: {{**groups, 'Other': {missing!r}}}."
        )
    repeated = [name for name in descriptor_names if grouped.count(name) > 1]
    if repeated:
        raise PanelError(
            "Each descriptor must be in one group, or the groups do not add up. "
            f"Got {repeated!r} more than once. Keep each in one group."
        )
