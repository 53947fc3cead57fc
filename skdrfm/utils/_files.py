"""Files that appear whole or not at all."""

import contextlib
import os
import platform
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

# Seconds after which a half-written file of another machine, whose writer cannot be looked up, counts as left over.
_ONE_DAY = 24 * 60 * 60
_PART = re.compile(r"\.(?P<host>[\w-]+)-(?P<pid>\d{1,9})-\d+\.part$", re.ASCII)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file beside its place and move it there at the end; a reader sees the old file or the whole new one.

    Content and name are forced to the disk, so that a file that was seen once is whole also after a power cut.

    Parameters
    ----------
    path : Path
        The file to make or replace; its folder must exist.

    Yields
    ------
    binary file
        Open for writing. If the block fails, the old file stays and nothing is left behind.

    See Also
    --------
    remove_leftovers : Remove what killed writers leave behind.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from skdrfm.utils._files import replacing
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "table.csv"
    ...     with replacing(path) as stream:
    ...         _ = stream.write(b"a,b")
    ...     path.read_text(), len(list(path.parent.iterdir()))
    ('a,b', 1)
    """
    # Writers of the same file in other threads, processes and machines each have a part of their own.
    part = path.with_name(f"{path.name}.{_host()}-{os.getpid()}-{threading.get_ident()}.part")
    try:
        with part.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_file(path: Path, content: bytes) -> None:
    """Write a whole file with `replacing`; its folder must exist."""
    with replacing(path) as stream:
        stream.write(content)


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove the half-written files of `replacing` whose writers are gone.

    A writer of this machine is gone if its process has ended. Writers of other machines, which may share the folder,
    cannot be looked up: their files count as left over when nothing was written to them for a day.

    Parameters
    ----------
    folder : Path
        An existing folder; folders in it are not searched.

    Returns
    -------
    list of Path
        The files that were removed, sorted.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from skdrfm.utils._files import remove_leftovers, replacing
    >>> with tempfile.TemporaryDirectory() as name:
    ...     with replacing(pathlib.Path(name) / "table.csv"):
    ...         remove_leftovers(pathlib.Path(name))
    []
    """
    removed = []
    for part in sorted(folder.glob("*.part")):
        # Another process may remove the same file at the same time.
        with contextlib.suppress(FileNotFoundError):
            if _is_left_over(part):
                part.unlink()
                removed.append(part)
    return removed


def _is_left_over(part: Path) -> bool:
    writer = _PART.search(part.name)
    # On Windows the call that looks a process up elsewhere would end it.
    if writer and writer["host"] == _host() and os.name == "posix":
        return not _is_alive(int(writer["pid"]))
    return time.time() - part.stat().st_mtime > _ONE_DAY


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # a process of another user
        return True
    return True


def _host() -> str:
    """Name of this machine, in letters that a file name can have."""
    return re.sub(r"[^\w-]", "_", platform.node(), flags=re.ASCII)[:60] or "localhost"


def _sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk, where the system can."""
    if os.name != "posix":
        return
    # Some network file systems cannot sync folders, and some folders may be written to and not be read. The file itself
    # is whole and in its place.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
