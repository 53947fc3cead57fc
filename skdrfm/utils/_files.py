"""Files that appear whole or not at all."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file beside its place and move it there at the end; a reader sees the old file or the whole new one.

    Parameters
    ----------
    path : Path
        The file to make or replace; its folder must exist.

    Yields
    ------
    binary file
        Open for writing. If the block fails, the old file stays and nothing is left behind.

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
    # Writers of the same file in other threads and processes each have a part of their own.
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with part.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
