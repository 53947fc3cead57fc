"""Finished windows on disk: an interrupted walk goes on where it stopped.

A checkpoint is a folder with one folder for each group of models that share a fit, so that models can be added to a
run, or left out of it, without computing the others again::

    checkpoint/
        LSTM---LSTM-LRP-3f0c1a2b/    name of the group, and eight digits of its hash
            run.json                 what the results depend on
            window-00000.npz         one file for each finished window
            window-00001.npz

``run.json`` has three keys. ``format`` is 2. ``run`` holds what the results depend on: the data (rows, columns, first
and last date, SHA-256 of the content), the splitter and each model (parameter by parameter, as text), the options of
the walk, the names of the explained models, and the versions of packages. ``sha256`` is the hash of ``run`` as JSON
with sorted keys; it names the run.

A window is an ``npz`` file, which ``numpy.load(path, allow_pickle=False)`` reads. The comment of this zip file is a
JSON object of three keys: ``run`` is the name of the run and ``window`` the number of the window, so that a file that
was copied from elsewhere is not taken; ``sha256`` is the hash of the whole file up to the 64 digits themselves, so
that no changed bit goes unnoticed. Nothing is pickled.

Files appear whole or not at all, so that a process may be killed at any moment, and several may work on one folder:
each takes what the others have finished when it starts, and a window that two compute at the same time is written
twice with the same results. A window that cannot be taken is reported, computed again and replaced.
"""

import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from skdrfm._typing import AnyArray
from skdrfm.exceptions import CheckpointError, CoverageWarning
from skdrfm.model_selection._run_file import Fingerprint, adopt_run
from skdrfm.utils._files import remove_leftovers, replacing

_DIGEST_SIZE = 64
# What closes a sealed file after the digits of its hash.
_CLOSING = b'"}'


class Checkpoint:
    """A folder with one file for each finished window of each group of models that share a fit.

    Parameters
    ----------
    folder : path
        Made if it does not exist. What killed processes left half-written in it is removed.
    fingerprints : mapping of str to mapping
        For each group what its results depend on, as `run_fingerprints` says it.

    Raises
    ------
    CheckpointError
        If the folder holds windows of another run, with what differs, or a damaged run file.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skdrfm.model_selection._checkpoint import Checkpoint
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint = Checkpoint(folder, {"linear": {"data": "simulated"}})
    ...     checkpoint.save("linear", 0, {"predictions": np.array([0.01, 0.02])})
    ...     checkpoint.path("linear", 0).name, checkpoint.load("linear", 0), checkpoint.load("linear", 1)
    ('window-00000.npz', {'predictions': array([0.01, 0.02])}, None)
    """

    def __init__(self, folder: str | Path, fingerprints: Mapping[str, Fingerprint]) -> None:
        # Workers may run in another folder.
        self.folder = Path(folder).absolute()
        self._runs: dict[str, str] = {}
        for group, fingerprint in fingerprints.items():
            self._runs[group] = adopt_run(self._group_folder(group), fingerprint).name
            remove_leftovers(self._group_folder(group))

    def _group_folder(self, group: str) -> Path:
        safe = "".join(char if char.isalnum() else "-" for char in group)
        return self.folder / f"{safe[:60]}-{hashlib.sha256(group.encode()).hexdigest()[:8]}"

    def path(self, group: str, window: int) -> Path:
        """File of a window of a group of models.

        Parameters
        ----------
        group : str
            Name of the group.
        window : int
            Number of the window, from 0.

        Returns
        -------
        Path
            Absolute; the file need not exist.
        """
        return self._group_folder(group) / f"window-{window:05d}.npz"

    def load(self, group: str, window: int) -> dict[str, AnyArray] | None:
        """Read a finished window.

        Parameters
        ----------
        group : str
            Name of the group.
        window : int
            Number of the window, from 0.

        Returns
        -------
        dict of str to ndarray, or None
            Read-only arrays as they were saved, bit for bit. None if there is no file, or if it is damaged or belongs
            to another run or window; then a CoverageWarning names the window and the reason.
        """
        try:
            content = self.path(group, window).read_bytes()
            arrays = _unseal(content, self._runs[group], window)
        except FileNotFoundError:
            return None
        except Exception as error:
            # A file with a right checksum that is no such archive can make its reader raise errors of any kind.
            warnings.warn(
                f"The checkpoint of window {window} of {group!r} cannot be read ({error}) and is computed again.",
                CoverageWarning,
                stacklevel=2,
            )
            return None
        for array in arrays.values():
            array.setflags(write=False)
        return arrays

    def save(self, group: str, window: int, arrays: Mapping[str, AnyArray]) -> None:
        """Write a finished window; a reader sees the whole file or none.

        Parameters
        ----------
        group : str
            Name of the group.
        window : int
            Number of the window, from 0.
        arrays : mapping of str to ndarray
            Numbers or texts; none of Python objects.

        Raises
        ------
        CheckpointError
            If an array holds Python objects.
        OSError
            If the file cannot be written. A file that was there stays as it was.
        """
        for name, array in arrays.items():
            if np.asarray(array).dtype.hasobject:
                raise CheckpointError(
                    f"Arrays of a checkpoint must hold numbers or texts, to be read without unpickling. Got "
                    f"{np.asarray(array).dtype} in {name!r}. Convert it with astype."
                )
        path = self.path(group, window)
        content = _seal(arrays, self._runs[group], window)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as stream:
            stream.write(content)


def _seal(arrays: Mapping[str, AnyArray], run: str, window: int) -> bytes:
    """Bytes of an npz file whose comment says where it belongs and what its checksum is."""
    buffer = io.BytesIO()
    np.savez(buffer, **dict(arrays))  # type: ignore[arg-type]
    packed = buffer.getvalue()
    opening = json.dumps({"run": run, "window": window, "sha256": ""}).encode().removesuffix(_CLOSING)
    # A zip file ends with the length of its comment in two bytes, and the comment.
    n_comment = len(opening) + _DIGEST_SIZE + len(_CLOSING)
    body = packed[:-2] + n_comment.to_bytes(2, "little") + opening
    return body + hashlib.sha256(body).hexdigest().encode() + _CLOSING


def _unseal(content: bytes, run: str, window: int) -> dict[str, AnyArray]:
    """Arrays of a sealed file; nothing in it is interpreted before its checksum was found right."""
    if not _is_whole(content):
        raise ValueError("its content does not match its checksum")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        seal: dict[str, Any] = json.loads(archive.comment)
    if seal["run"] != run:
        raise ValueError("it belongs to another run")
    if seal["window"] != window:
        raise ValueError(f"it is window {seal['window']}")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _is_whole(content: bytes) -> bool:
    body, ending = content[: -_DIGEST_SIZE - len(_CLOSING)], content[-_DIGEST_SIZE - len(_CLOSING) :]
    return ending == hashlib.sha256(body).hexdigest().encode() + _CLOSING
