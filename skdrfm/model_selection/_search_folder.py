"""Finished trials on disk: a search that was stopped goes on where it was.

A folder may serve many searches, such as those of all windows of a walk. Each has a folder of its own in it, named by
the hash of all that its results depend on::

    directory/
        search-3f0c1a2b9d8e7f60/
            search.json            what the results depend on, and the seed
            trial-00000.json       one file for each finished trial
            trial-00001.json

Keras Tuner proposes the same trials again when it is given the same seed and the same scores, so a search that goes on
starts from the beginning and reads the outcome of each trial that has a file. Files appear whole or not at all.
"""

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.exceptions import CheckpointError, CoverageWarning
from skdrfm.model_selection._search_trials import Outcome
from skdrfm.panel import LaggedPanel
from skdrfm.utils._describe import content_hash, describe_parameters
from skdrfm.utils._files import remove_leftovers, write_file
from skdrfm.utils._fingerprint import data_fingerprint, package_versions

# Parameters of a search that change neither what is tried nor its scores.
_NO_MATTER = frozenset({"directory", "max_trials", "n_jobs", "progress", "refit"})


class SearchFolder:
    """The files of one search.

    Parameters
    ----------
    directory : path
        Made if it does not exist.
    parts : mapping of str to Any
        What the results depend on, as plain data.
    seed : int
        Used if the search is new; one that goes on keeps its own.

    Attributes
    ----------
    folder : Path
        Where the files are.
    seed : int
        The seed of the search.

    Raises
    ------
    CheckpointError
        If the file with the seed is damaged.
    """

    def __init__(self, directory: str | Path, parts: Mapping[str, Any], seed: int) -> None:
        text = json.dumps(parts, sort_keys=True)
        self.folder = Path(directory).absolute() / f"search-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.folder)
        try:
            known = _read(self.folder / "search.json")
            if known is None:
                known = {"seed": seed, "search": dict(parts)}
                _write(self.folder / "search.json", known)
            self.seed = int(known["seed"])
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{str(self.folder / 'search.json')!r} must hold the seed of a search. Got a damaged file ({error}). "
                "Remove this folder, or pass another directory."
            ) from error

    def load(self, number: int, values: Mapping[str, Any]) -> Outcome | None:
        """Read a finished trial.

        Parameters
        ----------
        number : int
            Of the trial, from 0.
        values : mapping of str to Any
            What Keras Tuner proposes for it now.

        Returns
        -------
        Outcome or None
            None if there is no file, or a damaged one, which is reported and computed again.

        Raises
        ------
        CheckpointError
            If the file holds a trial of other values.
        """
        path = self._path(number)
        try:
            record = _read(path)
            if record is None:
                return None
            outcome: dict[str, Any] = {
                key: tuple(part) if isinstance(part, list) else part for key, part in record["outcome"].items()
            }
            recorded, found = record["values"], Outcome(**outcome)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            warnings.warn(
                f"Trial {number} in {str(self.folder)!r} cannot be read ({error}) and is computed again.",
                CoverageWarning,
                stacklevel=2,
            )
            return None
        if recorded != dict(values):
            raise CheckpointError(
                f"The trials in {str(self.folder)!r} must be those that Keras Tuner proposes now. Got {recorded} for "
                f"trial {number} in place of {dict(values)}. An earlier trial was computed again with another score: "
                "give the estimator an integer random_state, and remove this folder or pass another directory."
            )
        return found

    def save(self, number: int, values: Mapping[str, Any], outcome: Outcome) -> None:
        """Write a finished trial; a reader sees the whole file or none."""
        _write(self._path(number), {"values": dict(values), "outcome": asdict(outcome)})

    def _path(self, number: int) -> Path:
        return self.folder / f"trial-{number:05d}.json"


def search_parts(search: Any, X: Any, y: Any, groups: Any, sample_weight: Any) -> dict[str, Any]:
    """List what the trials of a search depend on, as texts.

    Parameters
    ----------
    search : KerasTunerSearchCV
        With its estimator, space, windows and scorer.
    X, y, groups, sample_weight
        As handed to ``fit``.

    Returns
    -------
    dict of str to (str or dict of str to str)
        Parameters of the search, the data as hash, and versions of packages.

    Raises
    ------
    CheckpointError
        If a parameter has a value that cannot be hashed.
    """
    described = describe_parameters(search).values
    columns: Any = X if isinstance(X, pd.DataFrame | LaggedPanel) else pd.DataFrame(np.reshape(X, (len(X), -1)))
    target = y if isinstance(y, pd.Series) else pd.Series(np.ravel(y))
    if "date" not in columns.index.names and "date" in target.index.names:
        columns = columns.set_axis(target.index)  # the windows follow the dates of y
    return {
        "search": {name: text for name, text in described.items() if name.partition(".")[0] not in _NO_MATTER},
        "data": data_fingerprint(columns, target),
        "shape": str(np.shape(X) if not isinstance(X, LaggedPanel) else X.shape),
        "groups": "None" if groups is None else content_hash(np.asarray(groups), "groups"),
        "sample_weight": "None" if sample_weight is None else content_hash(np.asarray(sample_weight), "sample_weight"),
        "versions": package_versions() | {"keras-tuner": version("keras-tuner")},
    }


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _write(path: Path, content: Any) -> None:
    write_file(path, json.dumps(content, indent=1).encode())
