"""What faithfulness found: the table, its errors, curves and rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pandas as pd

from skdrfm.metrics._frozen import frozen_frame, frozen_series

RANDOM = "random"


@dataclass(frozen=True, eq=False, repr=False)
class FaithfulnessReport:
    """How well explanations say what their model does, next to a random attribution.

    Higher is better for ``aopc``, ``insertion``, ``abpc`` and the sensitivities, lower for ``infidelity``,
    ``infidelity_scaled``, ``randomisation`` and ``stability``. Compare with the row ``random``. Numbers cannot be
    overwritten.

    Parameters
    ----------
    table : DataFrame of shape (n_methods + 1, n_figures)
        Methods, then ``random``, with the figures that `faithfulness` explains. NaN where one could not be had; `notes`
        says why.
    standard_errors : DataFrame of the shape of table
        Jackknife over dates, each left out once; over rows where there are no dates. NaN for a single date. They take
        dates as independent.
    random_spread : Series of length n_figures
        Standard deviation (ddof 1) over the draws of the random attribution; NaN for a single draw.
    curves : DataFrame of shape ((n_methods + 1) * (n_steps + 1), 4)
        By ``method`` and ``step``: ``share`` of the units that are removed or put in, and mean predictions less those
        of the whole rows, in standard deviations of the predictions: ``highest_first`` and ``lowest_first`` as units
        are removed, and ``insertion`` as they are put in, the highest first.
    by_row : DataFrame of shape (n_rows, (n_methods + 1) * n_row_figures)
        Figures of each row by (method, figure). Areas are in units of the prediction, ``infidelity`` is in their
        square: both are divided in the table only, so that no row depends on another date.
    randomisation : DataFrame of shape (n_layers, n_methods)
        Mean correlation of sizes with those of networks whose layers are untrained from the output down to each one.
        No rows if the model is no network.
    notes : mapping of str to str
        For methods without randomisation or stability: why. Read-only.
    options : mapping of str to object
        The options that were used. Read-only.
    n_left_out : int
        Rows that were left out, as the only ones of their date.

    See Also
    --------
    faithfulness : Makes the report.
    """

    table: pd.DataFrame
    standard_errors: pd.DataFrame
    random_spread: "pd.Series[Any]"
    curves: pd.DataFrame
    by_row: pd.DataFrame
    randomisation: pd.DataFrame
    notes: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    n_left_out: int = 0

    def __post_init__(self) -> None:
        for name in ("table", "standard_errors", "curves", "by_row", "randomisation"):
            frame = getattr(self, name)
            object.__setattr__(self, name, frozen_frame(frame.to_numpy(), frame.index, frame.columns))
        spread = frozen_series(self.random_spread.to_numpy(), self.random_spread.index, name="random_spread")
        object.__setattr__(self, "random_spread", spread)
        for name in ("notes", "options"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the explanations, without ``random``."""
        return tuple(name for name in self.table.index if name != RANDOM)

    def to_frame(self) -> pd.DataFrame:
        """One row for each method and figure.

        Returns
        -------
        DataFrame of shape ((n_methods + 1) * n_figures, 3)
            Columns ``value``, ``standard_error`` and ``random`` (the value of the random attribution), indexed by
            ``method`` and ``figure``.
        """
        columns = {"value": self.table, "standard_error": self.standard_errors}
        frame = pd.DataFrame({name: part.stack(future_stack=True) for name, part in columns.items()})
        figures = frame.index.get_level_values("figure")
        frame["random"] = self.table.loc[RANDOM].reindex(figures).to_numpy()
        return frame

    def __reduce__(self) -> tuple[Any, ...]:
        stored = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return _rebuild, (stored | {"notes": dict(self.notes), "options": dict(self.options)},)

    def __repr__(self) -> str:
        return (
            f"FaithfulnessReport({', '.join(self.methods)}; {len(self.by_row)} rows, "
            f"baseline={self.options.get('baseline')!r}, by={self.options.get('by')!r})"
        )


def _rebuild(stored: dict[str, Any]) -> FaithfulnessReport:
    return FaithfulnessReport(**stored)
