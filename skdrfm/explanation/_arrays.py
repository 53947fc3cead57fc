"""Arrays of an explanation: made read-only, and checked against each other once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray, FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.lrp import LayerCoverage


def read_only(values: Any, *, owned: bool = False) -> FloatArray:
    """Return a read-only floating array; a copy, unless it is ours or read-only already."""
    array: AnyArray = np.asarray(values)
    if array.dtype.kind != "f":
        array, owned = array.astype(np.float64), True
    if array.flags.writeable:
        array = array if owned else array.copy()
        array.setflags(write=False)
    return array


def check_axes(name: str, array: AnyArray) -> None:
    """Check that an array has one axis each for samples, time steps and features."""
    if array.ndim != 3:
        raise PanelError(
            f"'{name}' must have shape (n_samples, n_timesteps, n_features). "
            f"Got {array.shape}. Reshape flat columns, oldest lag first."
        )


def check_shape(name: str, array: AnyArray, shape: tuple[int, ...], *, model: str = "loadings") -> None:
    """Check that an array has the shape that the array named by `model` asks for."""
    if array.shape != shape:
        raise PanelError(
            f"'{name}' must have shape {shape}, to agree with '{model}'. Got {array.shape}. "
            "Pass arrays of the same samples."
        )


def check_index(index: pd.Index | None, n_samples: int) -> None:
    """Check that an index, if there is one, has an entry for each sample."""
    if index is not None and len(index) != n_samples:
        raise PanelError(
            f"'index' must have one entry for each of the {n_samples} samples. "
            f"Got {len(index)}. Pass the index of the rows that were explained."
        )


def checked_layout(
    descriptor_names: Sequence[str] | None, lags: Sequence[int] | None, shape: tuple[int, ...], *, model: str
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return names and lags as tuples that fit the axes of the array named by `model`; generic ones for None."""
    _, n_timesteps, n_features = shape
    names = tuple(f"x{j}" for j in range(n_features)) if descriptor_names is None else tuple(descriptor_names)
    steps = tuple(range(n_timesteps - 1, -1, -1)) if lags is None else tuple(int(lag) for lag in lags)
    if len(names) != n_features or len(set(names)) < n_features:
        raise PanelError(
            f"'descriptor_names' must be {n_features} different names, one for each descriptor "
            f"of '{model}'. Got {list(names)!r}. Name each descriptor once."
        )
    if len(steps) != n_timesteps or any(np.diff(steps) >= 0):
        raise PanelError(
            f"'lags' must be {n_timesteps} lags, one for each time step of '{model}', from the "
            f"oldest to the newest. Got {list(steps)!r}. Sort the largest lag first."
        )
    return names, steps


def checked_coverage(coverage: Sequence[Any]) -> tuple[LayerCoverage, ...]:
    """Return the layers as records of their name, type and rule."""
    for layer in coverage:
        if isinstance(layer, str) or len(layer) != len(LayerCoverage._fields):
            raise PanelError(
                "'coverage' must hold the name, the type and the rule of each layer. "
                f"Got {layer!r}. Pass skdrfm.lrp.LayerCoverage."
            )
    return tuple(LayerCoverage(*layer) for layer in coverage)
