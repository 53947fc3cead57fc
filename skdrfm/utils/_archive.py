"""One file of plain JSON and plain arrays, written by us and read with distrust.

The file is a zip of stored (not compressed) members: ``manifest.json`` and one ``.npy`` file for each array. Nothing
in it is ever executed, and everything is checked before it is used: names, sizes, types and SHA-256 checksums. The
checksums find damage; they are no signature of who wrote the file.
"""

import hashlib
import io
import json
import math
import re
import stat
import struct
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from skdrfm._typing import AnyArray
from skdrfm.exceptions import PersistenceError
from skdrfm.utils.validation import describe_first

MANIFEST = "manifest.json"

MAX_BYTES = 1 << 30
"""Largest archive, and so the most memory that reading one can take a few times over."""

MAX_MEMBERS = 4096
"""Most members of an archive."""

MAX_MANIFEST_BYTES = 1 << 24
"""Largest manifest, which is parsed to Python objects many times its size."""

_ARRAY_NAME = re.compile(r"arrays/[0-9]{4}\.npy")
_DTYPES = (np.dtype("<f4"), np.dtype("<f8"))
_OWN_KEYS = ("arrays", "checksum")
# End record of a zip: mark, disks, numbers of members, size and place of the directory, length of a comment.
_END = struct.Struct("<4s4H2LH")
_DIRECTORY_BYTES_PER_MEMBER = 128
_WAY_OUT = "The file is damaged or was changed after it was written: take another copy."


def pack(content: Mapping[str, Any], arrays: Sequence[AnyArray]) -> bytes:
    """Lay JSON content and arrays out as the bytes of an archive; equal input gives equal bytes.

    Parameters
    ----------
    content : mapping of str to JSON value
        What the manifest holds beside checksums. Numbers must be finite; the keys "arrays" and "checksum" are taken.
    arrays : sequence of ndarray of float32 or float64
        The arrays, known by their position.

    Returns
    -------
    bytes
        The archive.

    Raises
    ------
    PersistenceError
        If an array is of another type, or the archive would be larger than what is ever read.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.utils._archive import pack, unpack
    >>> content, arrays = unpack(pack({"name": "LSTM"}, [np.ones(2)]))
    >>> content, arrays
    ({'name': 'LSTM'}, [array([1., 1.])])
    """
    members = [_array_bytes(array) for array in arrays]
    manifest = {**content, "arrays": [_digest(data) for data in members]}
    manifest["checksum"] = _digest(_canonical(manifest))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_member(MANIFEST), json.dumps(manifest, allow_nan=False))
        for position, data in enumerate(members):
            archive.writestr(_member(_array_name(position)), data)
    packed = stream.getvalue()
    if len(packed) > MAX_BYTES or len(members) >= MAX_MEMBERS:
        raise PersistenceError(
            f"An archive must have at most {MAX_BYTES:,} bytes and {MAX_MEMBERS:,} members. Got {len(packed):,} bytes "
            f"and {len(members) + 1:,} members. Keep objects of this size with joblib.dump."
        )
    return packed


def unpack(packed: bytes) -> tuple[dict[str, Any], list[AnyArray]]:
    """Read the content and the arrays of an archive, or refuse it.

    Parameters
    ----------
    packed : bytes
        What `pack` has made, or anything else.

    Returns
    -------
    content : dict of str to JSON value
        The manifest without checksums.
    arrays : list of ndarray of float32 or float64
        The arrays, in the order of `pack`, each with memory of its own.

    Raises
    ------
    PersistenceError
        If the bytes are no archive of `pack`: damaged, too large, with members that are missing, unknown, doubled,
        compressed, links or outside the archive, or with content that does not have its checksum.
    """
    members = _read_members(packed)
    manifest = _read_manifest(members.pop(MANIFEST, None))
    digests = manifest["arrays"]
    expected = [_array_name(position) for position in range(len(digests))]
    if set(members) != set(expected):
        _refuse(
            "the members that the manifest lists",
            f"missing: {describe_first(sorted(set(expected) - set(members))) or 'none'}; "
            f"not listed: {describe_first(sorted(set(members) - set(expected))) or 'none'}",
        )
    arrays = []
    for name, digest in zip(expected, digests, strict=True):
        if _digest(members[name]) != digest:
            _refuse(f"{name} with the SHA-256 checksum of the manifest", f"{_digest(members[name])[:12]}...")
        arrays.append(_read_array(name, members[name]))
    return {key: value for key, value in manifest.items() if key not in _OWN_KEYS}, arrays


def _refuse(wanted: str, got: object) -> NoReturn:
    raise PersistenceError(f"The archive must hold {wanted}. Got {got}. {_WAY_OUT}")


def _array_name(position: int) -> str:
    return f"arrays/{position:04d}.npy"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _canonical(manifest: Mapping[str, Any]) -> bytes:
    return json.dumps(manifest, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _member(name: str) -> zipfile.ZipInfo:
    # Without the time of writing, so that equal estimators give equal files.
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.create_system = 3  # Unix, whose file modes say that the member is no link
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    return info


def _array_bytes(array: AnyArray) -> bytes:
    little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    if little.dtype not in _DTYPES:
        raise PersistenceError(
            f"Arrays of an archive must be of float32 or float64. Got {array.dtype}. Keep it with joblib.dump."
        )
    stream = io.BytesIO()
    np.lib.format.write_array(stream, little, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def _read_members(packed: bytes) -> dict[str, bytes]:
    if len(packed) > MAX_BYTES:
        _refuse(f"at most {MAX_BYTES:,} bytes", f"{len(packed):,}")
    _check_end(packed)
    try:
        archive = zipfile.ZipFile(io.BytesIO(packed))
    except Exception as error:  # damaged bytes make zipfile raise errors of many types
        _refuse("a zip directory", f"{type(error).__name__}: {error}")
    with archive:
        infos = archive.infolist()
        _check_directory(infos, len(packed))
        members = {}
        for info in infos:
            try:
                # Not compressed, so that reading gives no more than the size that was checked.
                members[info.orig_filename] = archive.read(info)
            except Exception as error:  # as above, for the header of a member
                _refuse(f"a readable member {info.orig_filename!r}", f"{type(error).__name__}: {error}")
    return members


def _check_end(packed: bytes) -> None:
    """Check that the directory is where we put it and small, since zipfile turns all of it into objects at once."""
    if len(packed) < _END.size:
        _refuse("a zip end record", f"{len(packed)} bytes")
    mark, *_, size, start, comment = _END.unpack(packed[-_END.size :])
    # The mark of a second, 64-bit end record, which would be read instead of this one.
    has_wide_end = packed[-_END.size - 20 : -_END.size - 16] == b"PK\x06\x07"
    if mark != b"PK\x05\x06" or comment or has_wide_end or start + size != len(packed) - _END.size:
        _refuse("members, a zip directory and its end record, and nothing else", f"{len(packed):,} bytes without")
    if size > MAX_MEMBERS * _DIRECTORY_BYTES_PER_MEMBER:
        _refuse(f"a zip directory of at most {MAX_MEMBERS * _DIRECTORY_BYTES_PER_MEMBER:,} bytes", f"{size:,}")


def _check_directory(infos: list[zipfile.ZipInfo], n_bytes: int) -> None:
    """Check names, types and sizes of all members before one is read."""
    if len(infos) > MAX_MEMBERS:
        _refuse(f"at most {MAX_MEMBERS:,} members", f"{len(infos):,}")
    names = [info.orig_filename for info in infos]
    unknown = [name for name in names if name != MANIFEST and not _ARRAY_NAME.fullmatch(name)]
    if unknown:
        _refuse(f"{MANIFEST} and arrays/0000.npy and so on, and nothing else", describe_first(unknown))
    if len(set(names)) < len(names):
        _refuse("each member once", describe_first([name for name in set(names) if names.count(name) > 1]))
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or info.flag_bits:
            _refuse(f"{info.orig_filename} as it is, not compressed and not encrypted", _describe(info))
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            _refuse(f"{info.orig_filename} as a file, not as a link or folder", _describe(info))
        if info.orig_filename == MANIFEST and info.file_size > MAX_MANIFEST_BYTES:
            _refuse(f"a manifest of at most {MAX_MANIFEST_BYTES:,} bytes", f"{info.file_size:,}")
    # Members that share their bytes would come out larger than the file.
    total = sum(info.file_size for info in infos)
    if total > n_bytes:
        _refuse(f"members of at most its own size, {n_bytes:,} bytes", f"{total:,}")


def _describe(info: zipfile.ZipInfo) -> str:
    return (
        f"compression {info.compress_type}, {info.compress_size:,} bytes for {info.file_size:,}, "
        f"flags {info.flag_bits:#x}, file mode {info.external_attr >> 16:#o}"
    )


def _read_manifest(data: bytes | None) -> dict[str, Any]:
    if data is None:
        _refuse(f"a member {MANIFEST}", "none")
    try:
        manifest = json.loads(data, object_pairs_hook=_without_doubles)
        checksum = manifest["checksum"]
        digests = manifest["arrays"]
        computed = _digest(_canonical({key: value for key, value in manifest.items() if key != "checksum"}))
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        _refuse(f"a manifest in JSON with {' and '.join(_OWN_KEYS)}", f"{type(error).__name__}: {error}")
    if checksum != computed:
        _refuse("a manifest with the checksum that it names", f"{computed[:12]}...")
    if not isinstance(digests, list):
        _refuse("a list of the checksums of its arrays", type(digests).__name__)
    return dict(manifest)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse JSON that says two things under one name, of which readers would see one or the other."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice in one object")
    return found


def _read_array(name: str, data: bytes) -> AnyArray:
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=1024)
    except Exception as error:  # the header is a Python literal, which can be wrong in many ways
        _refuse(f"{name} in NumPy's format", f"{type(error).__name__}: {error}")
    if version != (1, 0) or fortran_order or dtype not in _DTYPES:
        _refuse(f"{name} as float32 or float64 in C order", f"{dtype}, version {version}, order F: {fortran_order}")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data) - stream.tell():
        _refuse(f"{name} with the bytes of its shape", f"{len(data) - stream.tell():,} bytes for {shape} of {dtype}")
    values = np.frombuffer(data, dtype=dtype, offset=stream.tell())
    return values.reshape(shape).astype(dtype.newbyteorder("="))
