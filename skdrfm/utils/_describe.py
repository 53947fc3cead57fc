"""What an estimator or splitter is, in words that can be compared, shown and stored as JSON."""

import contextlib
import functools
import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import BuiltinFunctionType, CodeType, FunctionType
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from skdrfm.exceptions import CheckpointError

# Longer texts are cut, and told apart by their hash.
_LONGEST = 200


@dataclass(frozen=True)
class Description:
    """Parameters of an object as texts that are equal exactly if the values are.

    Parameters
    ----------
    values : mapping of str to str
        Text of each parameter by name. ``"class"`` names the class; parameters of parts have names such as
        ``"estimator.alpha"`` and ``"steps[0][1].copy"``.
    defaults : frozenset of str
        Names whose value is the default of the constructor.
    """

    values: Mapping[str, str]
    defaults: frozenset[str] = frozenset()


def describe_parameters(thing: Any) -> Description:
    """Describe an estimator or splitter, with the estimators and splitters in it.

    Parameters
    ----------
    thing : estimator or splitter
        An object with ``get_params``, or with ``split`` and attributes.

    Returns
    -------
    Description
        The same in every process and for every copy. Functions count with their code, so that an edited one is
        another one; functions of a module that they call do not.

    Raises
    ------
    CheckpointError
        If a value cannot be hashed.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from skdrfm.utils._describe import describe_parameters
    >>> description = describe_parameters(Ridge(alpha=0.5))
    >>> description.values["class"], description.values["alpha"], description.values["tol"]
    ('sklearn.Ridge', '0.5', '0.0001')
    >>> "alpha" in description.defaults, "tol" in description.defaults
    (False, True)
    """
    values = {"class": _headline(thing, "class")}
    defaults: set[str] = set()
    try:
        _add_parameters(thing, "", values, defaults)
    except RecursionError as error:
        raise CheckpointError(
            f"Parameters of {class_name(thing)} must not contain themselves. Got some that do. Break the circle, or "
            "use no checkpoint."
        ) from error
    return Description(values, frozenset(defaults))


def class_name(thing: Any) -> str:
    """Name the class of an object with its package, without the modules between: these are private and may change."""
    kind = type(thing)
    return f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"


def _headline(thing: Any, where: str) -> str:
    """Class of an object, and its content if the parameters do not tell it all."""
    own_clone = (
        isinstance(thing, BaseEstimator) and type(thing).__sklearn_clone__ is not BaseEstimator.__sklearn_clone__
    )
    # A frozen estimator is cloned with what it has learned.
    whole = own_clone or not _has_parameters(thing)
    return f"{class_name(thing)}, hash {content_hash(thing, where)}" if whole else class_name(thing)


def _add_parameters(thing: Any, prefix: str, values: dict[str, str], defaults: set[str]) -> None:
    standard = _constructor_defaults(type(thing))
    for name, value in sorted(_parameters(thing).items()):
        key = prefix + name
        _add(key, value, values, defaults)
        if name in standard and values[key] == _text(standard[name], key):
            defaults.add(key)


def _add(key: str, value: Any, values: dict[str, str], defaults: set[str]) -> None:
    """Add a value under its key, and below it the parts of a value that has estimators or splitters in it."""
    if _has_parameters(value):
        values[key] = _headline(value, key)
        _add_parameters(value, f"{key}.", values, defaults)
    elif _holds_objects(value):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        values[key] = f"{type(value).__name__} of {len(value)}"
        for position, item in items:
            _add(f"{key}[{position!r}]", item, values, defaults)
    else:
        values[key] = _text(value, key)


def _has_parameters(value: Any) -> bool:
    return not isinstance(value, type | str) and (
        hasattr(value, "get_params") or (hasattr(value, "split") and hasattr(value, "__dict__"))
    )


def _holds_objects(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_parameters(item) or _holds_objects(item) for item in value.values())
    return isinstance(value, list | tuple) and any(_has_parameters(item) or _holds_objects(item) for item in value)


def _parameters(thing: Any) -> dict[str, Any]:
    if hasattr(thing, "get_params"):
        return dict(thing.get_params(deep=False))
    return dict(vars(thing)) if _has_parameters(thing) else {}


def _constructor_defaults(kind: type) -> dict[str, Any]:
    try:
        signature = inspect.signature(kind)
    except (TypeError, ValueError):  # classes of extension modules may have none
        return {}
    return {name: p.default for name, p in signature.parameters.items() if p.default is not inspect.Parameter.empty}


def _text(value: Any, where: str) -> str:
    text = _whole_text(value, where)
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST // 2]}... ({len(text)} letters, sha256 {hashlib.sha256(text.encode()).hexdigest()})"


def _whole_text(value: Any, where: str, inside: tuple[FunctionType, ...] = ()) -> str:
    """Text of a value without estimators in it; `inside` are the functions that it was found in."""
    if isinstance(value, np.generic):
        # A number of NumPy and the same number of Python are the same parameter.
        value = value.item()
    if value is None or isinstance(value, str | bytes | bool | int | float | complex | date | pd.Timedelta | pd.Period):
        return repr(value)
    text_of = functools.partial(_whole_text, where=where, inside=inside)
    if isinstance(value, list | tuple):
        opening, closing = "[]" if isinstance(value, list) else "()"
        return opening + ", ".join(map(text_of, value)) + closing
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(map(text_of, value))) + "}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{text_of(key)}: {text_of(item)}" for key, item in value.items()) + "}"
    if isinstance(value, type | BuiltinFunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, FunctionType):
        if value in inside:
            # It calls itself.
            return f"{value.__module__}.{value.__qualname__}, function {inside.index(value)} around"
        code = _function_hash(value, where, (*inside, value))
        return f"{value.__module__}.{value.__qualname__}, code {code[:16]}"
    if isinstance(value, functools.partial):
        return f"partial({', '.join(map(text_of, (value.func, value.args, value.keywords)))})"
    if callable(getattr(value, "get_config", None)):
        # Keras objects hold variables whose hash differs in each process, and names that count the objects made.
        config = {name: item for name, item in value.get_config().items() if name != "name"}
        return f"{class_name(value)} {text_of(config)}"
    return f"{class_name(value)}, hash {content_hash(value, where)}"


def content_hash(value: Any, where: str) -> str:
    """Hash any object by its content; `where` names it in the error."""
    try:
        return str(joblib.hash(value))
    except Exception as error:  # pickling runs code of the object, which may raise anything
        raise CheckpointError(
            f"The parameter {where!r} must have a content that can be hashed, so that checkpoints of two runs can be "
            f"told apart. Got a {type(value).__name__} that cannot be pickled ({error}). Use another value, or no "
            "checkpoint."
        ) from error


def _function_hash(function: FunctionType, where: str, inside: tuple[FunctionType, ...]) -> str:
    digest = hashlib.sha256()
    _update_with_code(digest, function.__code__, where)
    caught = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # a name around the function that has no value yet
            caught[name] = cell.cell_contents
    for part in (function.__defaults__, function.__kwdefaults__, caught):
        digest.update(_whole_text(part, where, inside).encode())
    return digest.hexdigest()


def _update_with_code(digest: Any, code: CodeType, where: str) -> None:
    digest.update(code.co_code)
    digest.update(repr((code.co_names, code.co_varnames, code.co_freevars)).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _update_with_code(digest, constant, where)
        else:
            digest.update(_whole_text(constant, where).encode())
