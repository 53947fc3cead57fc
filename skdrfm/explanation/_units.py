"""Loadings per unit of the raw descriptors: a scaler undone inside the explanation."""

import warnings
from dataclasses import replace
from operator import eq
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
from sklearn.exceptions import NotFittedError

from skdrfm._typing import FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.explanation._arrays import read_only
from skdrfm.panel._lags import column_names

if TYPE_CHECKING:
    from skdrfm.explanation._explanation import Explanation

Explained = TypeVar("Explained", bound="Explanation")

# Far from the other probes, so that curvature shows, and negative, so that a kink at 0 shows. A large power of two
# also keeps the digits of a size that is small against its shift.
_FAR = -(2.0**20)
# Relative to the size of a column, and to its shift, whose rounding alone is left over.
_TOLERANCE, _ROUNDING = 1e-9, 1e-12


def in_raw_units(explanation: Explained, scaler: Any) -> Explained:
    """Restate an explanation in the units that a scaler was fitted on: x = (raw - shift) / size."""
    _, n_timesteps, n_features = explanation.loadings.shape
    n_columns, names = _checked_columns(scaler, explanation.descriptor_names, explanation.lags)
    shift, size = _affine(scaler, n_columns, names)
    # One entry for each cell, or one for each descriptor that all lags share.
    shape = (n_timesteps, n_features) if len(size) == n_timesteps * n_features else (1, n_features)
    shift, size = shift.reshape(shape), size.reshape(shape)
    loadings = explanation.loadings / size
    constant = np.einsum("ntf,tf->n", loadings, np.broadcast_to(shift, (n_timesteps, n_features)))
    data = explanation.data * size
    data += shift
    return replace(
        explanation,
        loadings=read_only(loadings, owned=True),
        data=read_only(data, owned=True),
        bias=read_only(explanation.bias - constant, owned=True),
    )


def _checked_columns(
    scaler: Any, descriptor_names: tuple[str, ...], lags: tuple[int, ...]
) -> tuple[int, list[str] | None]:
    """Return the number of columns of the scaler and the names that it knows, after a check of their order."""
    layouts = (column_names(descriptor_names, lags), list(descriptor_names))
    stacked, single = (len(layout) for layout in layouts)
    n_columns = int(getattr(scaler, "n_features_in_", stacked))
    if n_columns not in (stacked, single):
        raise PanelError(
            f"The scaler must have {stacked} columns (lagged descriptors) or {single} (descriptors), as the "
            f"explanation has them. Got {n_columns}. Pass the scaler of the columns that were explained."
        )
    if not hasattr(scaler, "feature_names_in_"):
        return n_columns, None
    names = [str(name) for name in scaler.feature_names_in_]
    if names not in layouts:
        # With a single lag both layouts have this number of columns: the one that was meant agrees more.
        fitting = [layout for layout in layouts if len(layout) == n_columns]
        expected = max(fitting, key=lambda layout: sum(map(eq, layout, names)))
        where = next(j for j in range(n_columns) if names[j] != expected[j])
        raise PanelError(
            "The columns of the scaler must be those of the explanation, in the same order. Got "
            f"{names[where]!r} instead of {expected[where]!r} in column {where}. Fit the scaler and the model on the "
            'same columns; in a Pipeline keep their names with set_output(transform="pandas").'
        )
    return n_columns, names


def _affine(scaler: Any, n_columns: int, names: list[str] | None) -> tuple[FloatArray, FloatArray]:
    """Return shift and size of each column, raw = shift + size * x, or refuse a scaler that is not of this form."""
    unit = np.eye(n_columns)
    probes = np.concatenate([np.zeros((1, n_columns)), unit, _FAR * unit])
    raw = _apply(scaler, "inverse_transform", probes, names)
    shift = raw[0]
    # Infinite probes give NaN, which is near to nothing.
    with np.errstate(all="ignore"):
        size = (np.diagonal(raw[n_columns + 1 :]) - shift) / _FAR
        tolerance = _TOLERANCE * np.abs(size) * np.maximum(np.abs(probes), 1) + _ROUNDING * np.abs(shift)
        near = np.abs(raw - (shift + size * probes)) <= tolerance
    if not (near.all() and size.all()):
        raise TypeError(_refusal(scaler, "its inverse_transform is not affine column by column"))
    # Some inverses are affine because they do nothing. Halves lie within the range of any scaler that clips.
    there_and_back = _apply(scaler, "transform", _apply(scaler, "inverse_transform", unit / 2, names), names)
    if not (np.abs(there_and_back - unit / 2) <= _TOLERANCE + _ROUNDING * np.abs(shift / size)).all():
        raise TypeError(_refusal(scaler, "its inverse_transform does not undo its transform"))
    return shift, size


def _apply(scaler: Any, method: str, values: FloatArray, names: list[str] | None) -> FloatArray:
    # A transformer that was fitted on named columns may look them up by name.
    table = values if names is None else pd.DataFrame(values, columns=names)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Probes are no data: what a transformer finds odd about them, or NaN it makes of them, is judged below.
            warnings.simplefilter("ignore")
            result = np.asarray(getattr(scaler, method)(table), dtype=np.float64)
    except NotFittedError:
        raise
    except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
        raise TypeError(_refusal(scaler, f"its {method} failed ({error})")) from error
    if result.shape != values.shape:
        raise TypeError(_refusal(scaler, f"its {method} gives shape {result.shape} for {values.shape}"))
    return result


def _refusal(scaler: Any, fault: str) -> str:
    return (
        "The scaler must be a fitted transformer, or a Pipeline of such, that scales and shifts each column by itself. "
        f"Got {type(scaler).__name__}: {fault}. Use StandardScaler, MinMaxScaler, RobustScaler or MaxAbsScaler; of a "
        "Pipeline that ends in the model pass pipeline[:-1]."
    )
