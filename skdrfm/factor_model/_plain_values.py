"""JSON values from files, each taken for what it must be or refused."""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from skdrfm.exceptions import PersistenceError

Plain: TypeAlias = Any
"""A JSON value."""


def check_keys(what: str, plain: Plain, wanted: Sequence[str]) -> None:
    """Refuse anything but an object of exactly these keys."""
    if not isinstance(plain, dict) or set(plain) != set(wanted):
        got = sorted(plain) if isinstance(plain, dict) else type(plain).__name__
        raise PersistenceError(f"{what} must be an object with the keys {sorted(wanted)}. Got {got}.")


def as_list(plain: Plain, length: int | None = None) -> list[Plain]:
    """Return a list; refuse anything else, and another length."""
    if not isinstance(plain, list) or (length is not None and len(plain) != length):
        raise PersistenceError(f"A list{'' if length is None else f' of {length}'} is needed. Got {str(plain)[:60]}.")
    return plain


def as_int(plain: Plain) -> int:
    """Return an integer; refuse anything else, True and False included."""
    return int(_as(plain, int))


def as_float(plain: Plain) -> float:
    """Return a finite number; refuse anything else."""
    if type(plain) is int or (type(plain) is float and math.isfinite(plain)):
        return float(plain)
    raise PersistenceError(f"A finite number is needed. Got {str(plain)[:60]!r}.")


def as_text(plain: Plain) -> str:
    """Return a string; refuse anything else."""
    return str(_as(plain, str))


def as_bool(plain: Plain) -> bool:
    """Return True or False; refuse anything else."""
    return bool(_as(plain, bool))


def _as(plain: Plain, kind: type) -> Plain:
    if type(plain) is not kind:
        raise PersistenceError(f"A value of type {kind.__name__} is needed. Got {str(plain)[:60]!r}.")
    return plain
