"""Finished windows on disk: an interrupted walk goes on where it stopped."""

import hashlib
import json
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from skdrfm._typing import AnyArray
from skdrfm.exceptions import CheckpointError, CoverageWarning
from skdrfm.utils._files import replacing
from skdrfm.utils._fingerprint import data_fingerprint, package_versions

_RUN_FILE = "run.json"


class Checkpoint:
    """A folder with one file for each finished window of each group of models that share a fit.

    Every group has a folder of its own with a file that says what its results depend on, so that models can be
    added to a run, or left out of it, without computing the others again.

    Parameters
    ----------
    folder : path
        Made if it does not exist.
    fingerprints : mapping of str to (mapping of str to str)
        For each group what its results depend on: data, models, splitter, versions.

    Raises
    ------
    CheckpointError
        If the folder holds windows of another run; the message says what differs.
    """

    def __init__(self, folder: str | Path, fingerprints: Mapping[str, Mapping[str, str]]) -> None:
        self.folder = Path(folder)
        for group, fingerprint in fingerprints.items():
            run_file = self._group_folder(group) / _RUN_FILE
            if run_file.exists():
                _check_same_run(run_file, fingerprint)
            else:
                run_file.parent.mkdir(parents=True, exist_ok=True)
                with replacing(run_file) as stream:
                    stream.write(json.dumps(dict(fingerprint), indent=2).encode())

    def _group_folder(self, group: str) -> Path:
        safe = "".join(char if char.isalnum() else "-" for char in group)
        return self.folder / f"{safe[:60]}-{hashlib.sha256(group.encode()).hexdigest()[:8]}"

    def path(self, group: str, window: int) -> Path:
        """File of a window of a group of models."""
        return self._group_folder(group) / f"window-{window:05d}.npz"

    def load(self, group: str, window: int) -> dict[str, AnyArray] | None:
        """Arrays of a finished window; None if it is not there or cannot be read (then a warning says so)."""
        path = self.path(group, window)
        if not path.exists():
            return None
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            warnings.warn(
                f"The checkpoint of window {window} of {group!r} cannot be read ({error}) and is computed again.",
                CoverageWarning,
                stacklevel=2,
            )
            return None

    def save(self, group: str, window: int, arrays: Mapping[str, AnyArray]) -> None:
        """Write a finished window; a reader sees the whole file or none."""
        path = self.path(group, window)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as stream:
            np.savez(stream, **dict(arrays))  # type: ignore[arg-type]


def run_fingerprints(
    groups: Mapping[str, list[str]], models: Mapping[str, Any], cv: Any, X: Any, y: Any, explained: list[str]
) -> dict[str, dict[str, str]]:
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

    Returns
    -------
    dict of str to (dict of str to str)
        For each group values that are equal exactly if the run is the same.
    """
    common = {
        "data": data_fingerprint(X, y),
        "splitter": _describe(cv),
        "versions": ", ".join(f"{name} {number}" for name, number in package_versions().items()),
    }
    return {
        group: common
        | {"explained": ", ".join(name for name in explained if name in names)}
        | {f"model {name}": _describe(models[name]) for name in names}
        for group, names in groups.items()
    }


def _check_same_run(run_file: Path, fingerprint: Mapping[str, str]) -> None:
    try:
        found = json.loads(run_file.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"The checkpoint folder {str(run_file.parent)!r} must hold a readable {_RUN_FILE}. Got {error}. "
            "Delete this folder, or use another one."
        ) from error
    changed = sorted(key for key in {*found, *fingerprint} if found.get(key) != fingerprint.get(key))
    if changed:
        listed = "; ".join(f"{key}: was {found.get(key)}, now {fingerprint.get(key)}" for key in changed)
        raise CheckpointError(
            f"The checkpoint folder {str(run_file.parent)!r} must belong to the same run. Got other values of "
            f"{listed}. Use another folder, or delete this one to start anew."
        )


def _describe(thing: Any) -> str:
    parameters = thing.get_params(deep=True) if hasattr(thing, "get_params") else vars(thing)
    parts = (
        f"{name}={value!r}" if isinstance(value, str | int | float | tuple | None) else f"{name}:{joblib.hash(value)}"
        for name, value in sorted(parameters.items())
    )
    return f"{type(thing).__name__}({', '.join(parts)})"
