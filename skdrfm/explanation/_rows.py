"""Rows of explanations: some of one, or all of several."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from skdrfm.exceptions import PanelError
from skdrfm.explanation._aggregation import PER_SAMPLE
from skdrfm.explanation._arrays import check_shape, read_only

if TYPE_CHECKING:
    from skdrfm.explanation._explanation import Explanation

Explained = TypeVar("Explained", bound="Explanation")


def array_names(explanation: "Explanation") -> tuple[str, ...]:
    """Name the arrays of an explanation that have one entry for each sample."""
    offsets = () if explanation.offsets is None else ("offsets",)
    return ("loadings", "data", *offsets, *PER_SAMPLE)


def take(explanation: Explained, rows: Any) -> Explained:
    """Choose rows by a slice, a boolean mask or an array of positions."""
    where = rows
    if not isinstance(rows, slice):
        where = np.asarray(rows)
        where = where if where.size else where.astype(np.intp)
        if where.ndim != 1 or where.dtype.kind not in "biu":
            raise TypeError(
                "Rows of an Explanation are chosen by a slice, a boolean mask or an array of "
                f"positions. Got {rows!r}. For one row pass a list: explanation[[0]]."
            )
        if where.dtype.kind == "b":
            check_shape("mask", where, (len(explanation),))
    # A slice of a read-only array is a read-only view: long explanations are cut without a copy.
    chosen: dict[str, Any] = {
        name: read_only(getattr(explanation, name)[where], owned=True) for name in array_names(explanation)
    }
    return replace(explanation, **chosen, index=None if explanation.index is None else explanation.index[where])


def join(explanations: Iterable[Explained]) -> Explained:
    """Put explanations of the same method, descriptors and lags below each other."""
    parts = list(explanations)
    if not parts:
        raise PanelError("concatenate needs at least one Explanation. Got none.")
    first = parts[0]
    for name in ("method", "descriptor_names", "lags"):
        _check_same(name, [getattr(part, name) for part in parts])
    indexes: list[Any] = [part.index for part in parts]
    _check_all_or_none("an index", indexes, "Explain DataFrames indexed by (date, asset).")
    _check_all_or_none("offsets", [part.offsets for part in parts], "Explain all rows with the same bias_factor.")
    joined: dict[str, Any] = {
        name: read_only(np.concatenate([getattr(part, name) for part in parts]), owned=True)
        for name in array_names(first)
    }
    return replace(
        first,
        **joined,
        index=None if first.index is None else indexes[0].append(indexes[1:]),
        coverage=first.coverage if all(part.coverage == first.coverage for part in parts) else (),
    )


def _check_same(name: str, found: Sequence[Any]) -> None:
    for position, other in enumerate(found):
        if other != found[0]:
            got, expected = (list(value) if isinstance(value, tuple) else value for value in (other, found[0]))
            raise PanelError(
                f"All parts must have the same {name}. Got {got!r} in part {position} and {expected!r} in part 0. "
                "Explain all rows by the same method, with models of the same columns."
            )


def _check_all_or_none(what: str, found: Sequence[Any], way_out: str) -> None:
    without = sum(part is None for part in found)
    if 0 < without < len(found):
        raise PanelError(f"All parts must have {what}, or none. Got {without} of {len(found)} without. {way_out}")
