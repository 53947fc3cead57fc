"""Fitted factor models as files of plain data: JSON and arrays, no pickle.

A file holds the parameters, the layout of the columns and what was learned. Which numbers mean what is fixed by the
version of the format alone, so that a file loads, with the same predictions, under other versions of Keras, NumPy and
skdrfm as well; the versions that wrote it are recorded and named in errors.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skdrfm.exceptions import PersistenceError
from skdrfm.factor_model._base import BaseFactorRegressor
from skdrfm.factor_model._deep import DeepFactorRegressor
from skdrfm.factor_model._linear import LinearFactorRegressor
from skdrfm.factor_model._plain_network import ArrayStore, finite_array_at, network_from_plain, network_to_plain
from skdrfm.factor_model._plain_values import Plain, as_float, as_int, as_list, as_text, check_keys
from skdrfm.factor_model._recurrent import DeepRecurrentFactorRegressor
from skdrfm.panel import lag_layout
from skdrfm.utils._archive import MAX_BYTES, pack, unpack
from skdrfm.utils._files import write_file
from skdrfm.utils._fingerprint import package_versions
from skdrfm.utils.validation import describe_first

FORMAT_VERSION = 1

Migration: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]

MIGRATIONS: Mapping[int, Migration] = MappingProxyType({})
"""Version -> function from the content of a file of that version to that of the next.

A new or renamed parameter or attribute needs a new FORMAT_VERSION and an entry here.
"""

CLASSES: Mapping[str, type[BaseFactorRegressor]] = MappingProxyType(
    {kind.__name__: kind for kind in (DeepFactorRegressor, DeepRecurrentFactorRegressor, LinearFactorRegressor)}
)
"""Estimators by the name that files know them by."""

_FORMAT = "skdrfm estimator"
_KEYS = ("format", "format_version", "versions", "class", "parameters", "layout", "learned")
_LAYOUT = ("n_features_in_", "n_timesteps_", "descriptor_names_", "lags_")
_LEARNED: Mapping[bool, tuple[str, ...]] = {True: ("coef_", "intercept_"), False: ("trained_", "history_")}
_TUPLE = "tuple"


def save(estimator: BaseFactorRegressor, path: str | os.PathLike[str]) -> None:
    """Write a fitted factor model to a file of plain data.

    The file is a zip of JSON and arrays that needs no pickle and runs no code when it is loaded. It appears whole or
    not at all, after it was read back, and the same model gives the same bytes.

    Parameters
    ----------
    estimator : DeepRecurrentFactorRegressor, DeepFactorRegressor or LinearFactorRegressor
        Fitted, with parameters that are plain data: numbers, strings, None, and tuples and lists of them.
    path : str or path-like
        The file to make or replace, such as ``"model.skdrfm"``; its folder must exist.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    PersistenceError
        If the estimator is of another class, a parameter is no plain data (a builder, a callback, an optimizer, a
        RandomState), or its network has a layer without a relevance rule.
    FileNotFoundError
        If the folder does not exist.

    See Also
    --------
    load : Read the file.

    Examples
    --------
    >>> import os, tempfile
    >>> from skdrfm import make_factor_panel
    >>> from skdrfm.factor_model import LinearFactorRegressor, load, save
    >>> X, y = make_factor_panel(n_dates=30, n_assets=20, n_descriptors=3, random_state=0)
    >>> model = LinearFactorRegressor().fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(model, os.path.join(folder, "linear.skdrfm"))
    ...     loaded = load(os.path.join(folder, "linear.skdrfm"))
    >>> bool((loaded.predict(X) == model.predict(X)).all())
    True
    """
    file = Path(path)
    name = type(estimator).__name__
    if CLASSES.get(name) is not type(estimator):
        raise PersistenceError(
            f"The estimator must be a {', '.join(CLASSES)}, itself and no subclass. Got {name}. Save the last step of "
            "a Pipeline, pipeline[-1], or keep other objects with joblib.dump."
        )
    check_is_fitted(estimator)
    if not file.parent.is_dir():
        raise FileNotFoundError(
            f"The folder of {str(file)!r} must exist. Got none there. Make it first, or correct the path."
        )
    store = ArrayStore()
    content = {
        "format": _FORMAT,
        "format_version": FORMAT_VERSION,
        "versions": package_versions(),
        "class": name,
        "parameters": {
            parameter: _parameter_to_plain(parameter, value, name)
            for parameter, value in sorted(estimator.get_params(deep=False).items())
        },
        "layout": _layout_to_plain(estimator),
        "learned": _learned_to_plain(estimator, store),
    }
    packed = pack(content, store.arrays)
    try:
        _read(packed)
    except PersistenceError as error:
        raise PersistenceError(f"The {name} cannot be saved so that it can be loaded: {error}") from error
    write_file(file, packed)


def load(path: str | os.PathLike[str]) -> Any:
    """Read a fitted factor model from a file that `save` has written.

    The model predicts and explains with the same bits as the saved one, and does so without TensorFlow; its ``model_``
    for Keras is built when asked for, and not compiled. Nothing in the file is executed. Checksums find damage, but
    are no signature: whoever can write the file can write another model into it.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    DeepRecurrentFactorRegressor, DeepFactorRegressor or LinearFactorRegressor
        The fitted estimator.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    PersistenceError
        If the file is not what `save` writes: damaged, changed, too large, of an unknown class or version of the
        format.

    See Also
    --------
    save : Write the file.

    Notes
    -----
    Other versions of packages than those that wrote the file are no error: the version of the format decides.

    Examples
    --------
    See :func:`save`.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"The saved estimator {str(file)!r} must be a file. Got none there. Correct the path.")
    with file.open("rb") as stream:
        packed = stream.read(MAX_BYTES + 1)
    try:
        return _read(packed)
    except PersistenceError as error:
        raise PersistenceError(f"{str(file)!r} cannot be loaded as a factor model. {error}") from error


def _read(packed: bytes) -> BaseFactorRegressor:
    content, arrays = unpack(packed)
    try:
        return _from_content(_migrated(content), arrays)
    except PersistenceError as error:
        raise PersistenceError(f"{error}{_describe_versions(content.get('versions'))}") from error
    # Content of the right form may still be no network in more ways than can be listed; none may end otherwise.
    except Exception as error:
        raise PersistenceError(
            f"The content must describe a fitted estimator. Got {type(error).__name__}: {error}"
            f"{_describe_versions(content.get('versions'))}"
        ) from error


def _describe_versions(versions: Plain) -> str:
    if not isinstance(versions, dict):
        return ""
    here = ", ".join(f"{name} {number}" for name, number in package_versions().items())
    there = ", ".join(f"{name} {number}" for name, number in versions.items())[:300]
    return f" Written with {there}." if there == here else f" Written with {there}; here are {here}."


def _migrated(content: dict[str, Any]) -> dict[str, Any]:
    """Bring the content of a file to the version of today, one step after the other."""
    if content.get("format") != _FORMAT:
        raise PersistenceError(f"The content must be a {_FORMAT!r}. Got {str(content.get('format'))[:60]!r}.")
    known = sorted({*MIGRATIONS, FORMAT_VERSION})
    version = as_int(content.get("format_version"))
    if version not in known:
        raise PersistenceError(
            f"The version of the format must be {' or '.join(map(str, known))}. Got {version}. "
            f"{'Install a newer skdrfm' if version > FORMAT_VERSION else 'Fit the model again'}."
        )
    for step in range(version, FORMAT_VERSION):
        content = {**MIGRATIONS[step](content), "format_version": step + 1}
    return content


def _from_content(content: dict[str, Any], arrays: list[Any]) -> BaseFactorRegressor:
    check_keys("The content", content, _KEYS)
    if not isinstance(content["versions"], dict):
        raise PersistenceError(f"The versions must be an object. Got {type(content['versions']).__name__}.")
    kind = CLASSES.get(as_text(content["class"]))
    if kind is None:
        raise PersistenceError(f"The class must be one of {', '.join(CLASSES)}. Got {content['class'][:60]!r}.")
    check_keys("The parameters", content["parameters"], kind._get_param_names())
    estimator = kind(**{name: _parameter_from_plain(plain) for name, plain in content["parameters"].items()})
    estimator._validate_params()
    _set_layout(estimator, content["layout"])
    _set_learned(estimator, content["learned"], arrays)
    return estimator


def _parameter_to_plain(name: str, value: Any, owner: str) -> Plain:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (bool, int, str) or (type(value) is float and np.isfinite(value)):
        return value
    if type(value) in (list, tuple):
        items = [_parameter_to_plain(name, item, owner) for item in value]
        return items if type(value) is list else {_TUPLE: items}
    raise PersistenceError(
        f"The {name!r} parameter of {owner} must be plain data to be saved: a finite number, a string, None, or a "
        f"tuple or list of them. Got {type(value).__name__}. Where the model will not be fitted again, replace it "
        f"first, model.set_params({name}=...) changes nothing that was learned; else keep the model with joblib.dump."
    )


def _parameter_from_plain(plain: Plain) -> Any:
    if isinstance(plain, dict):
        check_keys("A tuple", plain, (_TUPLE,))
        return tuple(_parameter_from_plain(item) for item in as_list(plain[_TUPLE]))
    return [_parameter_from_plain(item) for item in plain] if isinstance(plain, list) else plain


def _layout_to_plain(estimator: BaseFactorRegressor) -> dict[str, Plain]:
    names = getattr(estimator, "feature_names_in_", None)
    return {
        "descriptor_names": [str(name) for name in estimator.descriptor_names_],
        "lags": [int(lag) for lag in estimator.lags_],
        "feature_names": None if names is None else [str(name) for name in names],
    }


def _set_layout(estimator: Any, plain: Plain) -> None:
    check_keys("The layout", plain, ("descriptor_names", "lags", "feature_names"))
    descriptor_names = tuple(as_text(name) for name in as_list(plain["descriptor_names"]))
    lags = tuple(as_int(lag) for lag in as_list(plain["lags"]))
    if not descriptor_names or not lags or list(lags) != sorted(set(lags), reverse=True) or lags[-1] < 0:
        raise PersistenceError(
            f"The layout must have descriptors, and lags from 0 on, oldest first. Got {len(descriptor_names)} "
            f"descriptors and lags {describe_first(lags)}."
        )
    estimator.descriptor_names_, estimator.lags_ = descriptor_names, lags
    estimator.n_timesteps_, estimator.n_features_in_ = len(lags), len(lags) * len(descriptor_names)
    if plain["feature_names"] is None:
        return
    names = [as_text(name) for name in as_list(plain["feature_names"], estimator.n_features_in_)]
    named = lag_layout(names)
    if named is not None and (named.descriptor_names, named.lags) != (descriptor_names, lags):
        raise PersistenceError(
            f"The column names must be those of the layout. Got {describe_first(names)} for lags {list(lags)}."
        )
    estimator.feature_names_in_ = np.array(names, dtype=object)


def _learned_to_plain(estimator: Any, store: ArrayStore) -> dict[str, Plain]:
    learned = _LEARNED[isinstance(estimator, LinearFactorRegressor)]
    known = {*estimator.get_params(deep=False), *_LAYOUT, "feature_names_in_", *learned}
    unknown = sorted(set(vars(estimator)) - known)
    if unknown:
        raise PersistenceError(
            f"A {type(estimator).__name__} must hold nothing but parameters and what fit has learned to be saved. Got "
            f"{describe_first(unknown)}. Delete it from the estimator, or keep the model with joblib.dump."
        )
    if isinstance(estimator, LinearFactorRegressor):
        return {"coef": store.add(estimator.coef_), "intercept": float(estimator.intercept_)}
    return network_to_plain(estimator.trained_, store)


def _set_learned(estimator: Any, plain: Plain, arrays: list[Any]) -> None:
    if not isinstance(estimator, LinearFactorRegressor):
        n_features = len(estimator.descriptor_names_)
        trained = network_from_plain(plain, arrays, n_timesteps=estimator.n_timesteps_, n_features=n_features)
        estimator._finish([trained])
        return
    check_keys("What was learned", plain, ("coef", "intercept"))
    estimator.coef_ = finite_array_at(arrays, plain["coef"])
    estimator.intercept_ = as_float(plain["intercept"])
    if estimator.coef_.shape != (estimator.n_features_in_,):
        raise PersistenceError(
            f"The coefficients must have shape ({estimator.n_features_in_},). Got {estimator.coef_.shape}."
        )
