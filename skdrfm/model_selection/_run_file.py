"""What a walk depends on: written into its checkpoint folder, and compared with what a later call asks for."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard

from skdrfm.exceptions import CheckpointError
from skdrfm.panel import dates_of
from skdrfm.utils._describe import describe_parameters
from skdrfm.utils._files import replacing
from skdrfm.utils._fingerprint import data_fingerprint, package_versions

RUN_FILE = "run.json"
_FORMAT = 2

# Options of a walk with their defaults. What has its default is not written, so that folders of before there was such
# an option go on to serve.
_OPTION_DEFAULTS = {"refit_every": "1", "n_seeds": "1"}


@dataclass(frozen=True)
class Entry:
    """One thing that results depend on.

    Parameters
    ----------
    values : mapping of str to str
        Its parts as texts.
    defaults : frozenset of str
        Parts that a folder may lack, since the class had no such parameter when it was written: they have the value
        that stood for them when there was no choice.
    """

    values: Mapping[str, str]
    defaults: frozenset[str] = frozenset()


Part: TypeAlias = "str | Mapping[str, str] | Entry"
Fingerprint: TypeAlias = Mapping[str, Part]


@dataclass(frozen=True)
class Run:
    """A run file.

    Parameters
    ----------
    parts : mapping of str to (str or mapping of str to str)
        What the results depend on.
    name : str
        64 hexadecimal digits: SHA-256 of the parts. The windows of the run carry it.
    """

    parts: Mapping[str, str | Mapping[str, str]]
    name: str


def run_fingerprints(
    groups: Mapping[str, list[str]],
    models: Mapping[str, Any],
    cv: Any,
    X: Any,
    y: Any,
    explained: list[str],
    **options: str,
) -> dict[str, Fingerprint]:
    """Say what the results of a walk depend on, in words and hashes that can be compared.

    Parameters
    ----------
    groups : mapping of str to list of str
        Names of the models that share a fit.
    models : mapping of str to estimator
        The models by name.
    cv : splitter
        The windows.
    X, y : DataFrame and Series
        The data.
    explained : list of str
        Names of the models that are explained.
    **options : str
        Further settings of the walk. One that is missing in a folder had its default there: "1" for ``refit_every``
        and ``n_seeds``, "None" for any other.

    Returns
    -------
    dict of str to mapping
        For each group entries that are equal exactly if the run is the same.

    Raises
    ------
    CheckpointError
        If a parameter has a value that cannot be hashed.

    Examples
    --------
    >>> from skdrfm import WalkForwardSplit, make_factor_panel
    >>> from skdrfm.factor_model import LinearFactorRegressor
    >>> from skdrfm.model_selection._run_file import run_fingerprints
    >>> X, y = make_factor_panel(n_dates=26, n_assets=10, random_state=0)
    >>> models = {"linear": LinearFactorRegressor()}
    >>> fingerprint = run_fingerprints({"linear": ["linear"]}, models, WalkForwardSplit(24), X, y, [])["linear"]
    >>> list(fingerprint)
    ['data', 'splitter', 'versions', 'options', 'explained', 'model linear']
    >>> fingerprint["model linear"].values["fit_intercept"]
    'True'
    """
    dates = dates_of(X)
    versions = package_versions()
    data = {
        "rows": str(len(X)),
        "columns": str(len(X.columns)),
        "first date": str(dates.min()),
        "last date": str(dates.max()),
        "sha256": data_fingerprint(X, y),
    }
    chosen = {name: text for name, text in options.items() if text != _OPTION_DEFAULTS.get(name, "None")}
    common: dict[str, Part] = {
        "data": data,
        "splitter": _entry_of(cv),
        "versions": Entry(versions, defaults=frozenset(versions)),
        "options": chosen,
    }
    return {
        group: common
        | {"explained": ", ".join(name for name in explained if name in names)}
        | {f"model {name}": _entry_of(models[name]) for name in names}
        for group, names in groups.items()
    }


def _entry_of(thing: Any) -> Entry:
    description = describe_parameters(thing)
    return Entry(description.values, description.defaults)


def adopt_run(folder: Path, fingerprint: Fingerprint) -> Run:
    """Make sure that a folder belongs to a run: write its run file, or compare with the one that is there.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    fingerprint : mapping
        What the results of the run depend on.

    Returns
    -------
    Run
        What the file says, which may leave out parameters that were added later and have their defaults.

    Raises
    ------
    CheckpointError
        If the run file is damaged or belongs to another run; the message says what differs.
    """
    path = folder / RUN_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        parts = {key: part if isinstance(part, str) else dict(_entry(part).values) for key, part in fingerprint.items()}
        content = {"format": _FORMAT, "run": parts, "sha256": _hash_of(parts)}
        with replacing(path) as stream:
            stream.write(json.dumps(content, indent=2).encode())
    # What was just written is read back too: another process may have written in between.
    run = _read(path)
    changed = list_changes(run, fingerprint)
    if changed:
        raise CheckpointError(
            f"The checkpoint folder {str(folder)!r} must belong to the same run. Got other values of "
            f"{'; '.join(changed)}. Use another folder, or delete this one to start anew."
        )
    return run


def list_changes(run: Run, fingerprint: Fingerprint) -> list[str]:
    """Say in words what differs between a run file and what is asked for now.

    Parameters
    ----------
    run : Run
        What was written.
    fingerprint : mapping
        What results depend on now.

    Returns
    -------
    list of str
        One text for each part that differs, such as ``"splitter: was train_size=12, now train_size=13"``.
    """
    changed = []
    for key in sorted({*run.parts, *fingerprint}):
        entry = _entry(fingerprint.get(key, {}))
        found, now = _entry(run.parts.get(key, {})).values, entry.values
        differing = [
            name
            for name in sorted({*found, *now})
            if found.get(name) != now.get(name) and (name in found or name not in entry.defaults)
        ]
        if differing:
            # Data are shown as a whole, and of another class the class alone.
            shown = [*found] if key == "data" else ["class"] if "class" in differing else differing
            changed.append(f"{key}: was {_in_words(found, shown)}, now {_in_words(now, shown)}")
    return changed


def _entry(part: Part) -> Entry:
    if isinstance(part, Entry):
        return part
    if isinstance(part, str):
        return Entry({"": part} if part else {})
    return Entry(part)


def _in_words(values: Mapping[str, str], names: list[str]) -> str:
    if not values:
        return "nothing"
    words = (f"{name}={values[name]}" if name in values else f"without {name}" for name in names)
    return ", ".join(word.removeprefix("=") for word in words)


def _hash_of(parts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> Run:
    try:
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict):
            raise ValueError(f"a {type(content).__name__} in place of an object")
        # The first format had no such key.
        found = content.get("format", 1)
        if found != _FORMAT:
            raise ValueError(f"format {found!r}, and this version reads format {_FORMAT}")
        parts = content.get("run")
        if not _are_parts(parts, nested=True):
            raise ValueError("entries that are no texts")
        if content.get("sha256") != _hash_of(parts):
            raise ValueError("entries that do not match their checksum")
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"The checkpoint folder {str(path.parent)!r} must hold a readable {RUN_FILE}. Got {error}. "
            "Delete this folder, or use another one."
        ) from error
    return Run(parts, content["sha256"])


def _are_parts(parts: Any, *, nested: bool) -> TypeGuard[dict[str, str | Mapping[str, str]]]:
    return isinstance(parts, dict) and all(
        isinstance(part, str) or (nested and _are_parts(part, nested=False)) for part in parts.values()
    )
