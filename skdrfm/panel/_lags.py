"""The layout of lagged columns: their names, their order in time, and how it is read back."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skdrfm.exceptions import PanelError
from skdrfm.utils.validation import describe_first

_COLUMN = re.compile(r"^(?P<descriptor>.+)__lag(?P<lag>\d+)$")
PAPER_LAGS = (0, 3, 6, 9, 12)


def column_names(descriptor_names: Iterable[Any], lags: Iterable[int]) -> list[str]:
    """Name flat columns, lag by lag in the given order: ``"{descriptor}__lag{k}"``."""
    names = list(descriptor_names)
    return [f"{name}__lag{lag}" for lag in lags for name in names]


def check_lags(lags: Any) -> list[int]:
    """Sort lags, oldest first; refuse what is no set of periods in the past."""
    given: list[Any] = list(lags) if np.iterable(lags) else []
    valid = all(isinstance(lag, int | np.integer) and lag >= 0 for lag in given)
    if not given or not valid or len(set(given)) < len(given):
        raise PanelError(f"'lags' must be distinct integers >= 0, at least one. Got {lags!r}.")
    return sorted((int(lag) for lag in given), reverse=True)


@dataclass(frozen=True)
class LagLayout:
    """How the columns of a lagged panel are laid out in time.

    Parameters
    ----------
    descriptor_names : tuple of str of length n_features
        Names of the descriptors within one lag.
    lags : tuple of int of length n_timesteps
        Lags in periods before the prediction date, oldest (largest) first.
    """

    descriptor_names: tuple[str, ...]
    lags: tuple[int, ...]

    @property
    def n_timesteps(self) -> int:
        """Number of lags."""
        return len(self.lags)


def lag_layout(columns: Sequence[Any]) -> LagLayout | None:
    """Read the layout of lagged columns from their names.

    Parameters
    ----------
    columns : sequence of str
        Column names of X.

    Returns
    -------
    LagLayout or None
        None if no column is named ``"{descriptor}__lag{k}"``.

    Raises
    ------
    PanelError
        If some columns are named so and others not, or they are not ordered oldest lag first with the same
        descriptors in each lag.

    Examples
    --------
    >>> from skdrfm.panel import lag_layout
    >>> lag_layout(["CAP__lag3", "BETA__lag3", "CAP__lag0", "BETA__lag0"])
    LagLayout(descriptor_names=('CAP', 'BETA'), lags=(3, 0))
    >>> lag_layout(["CAP", "BETA"]) is None
    True
    """
    matches = [_COLUMN.match(str(column)) for column in columns]
    found = [(match["descriptor"], int(match["lag"])) for match in matches if match is not None]
    if not found:
        return None
    lags = list(dict.fromkeys(lag for _, lag in found))
    names = tuple(name for name, lag in found if lag == lags[0])
    expected = [(name, lag) for lag in sorted(lags, reverse=True) for name in names]
    repeated = len(set(found)) < len(found)
    if len(found) < len(matches) or repeated or found != expected:
        raise PanelError(
            "Lagged columns must be named '{descriptor}__lag{k}', all of them, oldest lag first and with the same "
            f"descriptors in the same order in each lag. Got {describe_first(list(columns), 6)}. "
            "Build them with skdrfm.stack_lags, or pass n_timesteps and columns without '__lag'."
        )
    return LagLayout(names, tuple(lags))
