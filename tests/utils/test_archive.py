"""Archives give back what was put in, and refuse everything that `pack` would not write."""

import io
import json
import stat
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skdrfm.exceptions import PersistenceError
from skdrfm.utils import _archive
from skdrfm.utils._archive import pack, unpack

CONTENT = {"name": "LSTM", "numbers": [1, 0.1, -0.0, None, True], "nested": {"umlaut": "ü", "empty": {}}}
ARRAYS = [np.arange(6.0).reshape(2, 3), np.array([0.1, 0.2], dtype=np.float32)]
PACKED = pack(CONTENT, ARRAYS)


def members_of(packed):
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members, *, compression=zipfile.ZIP_STORED, mode=stat.S_IFREG | 0o644):
    """A zip as any tool writes it; members are pairs, so that a name may come twice."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            info.external_attr = mode << 16
            archive.writestr(info, data)
    return stream.getvalue()


def with_members(change, **options):
    members = members_of(PACKED)
    change(members)
    return zipped(members.items(), **options)


def with_array(data, content=CONTENT):
    """An archive whose checksums are right and whose one array is these bytes."""
    manifest = {**content, "arrays": [_archive._digest(data)]}
    manifest["checksum"] = _archive._digest(_archive._canonical(manifest))
    return zipped([("manifest.json", json.dumps(manifest).encode()), ("arrays/0000.npy", data)])


def npy(array, **options):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **{"version": (1, 0), **options})
    return stream.getvalue()


class TestProperties:
    def test_content_and_arrays_come_back_with_their_bits(self):
        content, arrays = unpack(PACKED)
        assert content == CONTENT
        assert str(content["numbers"][2]) == "-0.0"
        assert [array.dtype for array in arrays] == [np.float64, np.float32]
        assert all(a.tobytes() == b.tobytes() and a.shape == b.shape for a, b in zip(arrays, ARRAYS, strict=True))

    @given(
        st.lists(
            hnp.arrays(
                st.sampled_from([np.dtype("<f4"), np.dtype("<f8"), np.dtype(">f8")]),
                hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
            ),
            max_size=3,
        )
    )
    def test_any_arrays_of_floats_come_back(self, arrays):
        _, found = unpack(pack({}, arrays))
        assert len(found) == len(arrays)
        for one, other in zip(found, arrays, strict=True):
            assert one.shape == other.shape
            assert one.dtype == other.dtype.newbyteorder("=")
            np.testing.assert_array_equal(one, other)

    def test_equal_input_gives_equal_bytes(self):
        assert pack(dict(reversed(CONTENT.items())), ARRAYS) != PACKED  # the order of keys is kept
        assert pack(CONTENT, [array.copy(order="F") for array in ARRAYS]) == PACKED

    def test_arrays_are_writable_and_hold_on_to_nothing(self):
        _, arrays = unpack(PACKED)
        assert all(array.flags.writeable and array.flags.aligned and array.flags.c_contiguous for array in arrays)

    def test_a_plain_zip_of_the_same_members_is_read(self):
        assert unpack(with_members(lambda members: None))[0] == CONTENT


class TestWriting:
    @pytest.mark.parametrize("dtype", [object, np.int64, np.float16, np.complex128, "datetime64[D]"])
    def test_arrays_of_other_types_are_refused(self, dtype):
        with pytest.raises(PersistenceError, match="must be of float32 or float64"):
            pack({}, [np.zeros(2, dtype=dtype)])

    def test_infinite_numbers_are_no_json(self):
        with pytest.raises(ValueError, match="not JSON compliant"):
            pack({"number": float("inf")}, [])

    def test_what_could_not_be_read_is_not_written(self, monkeypatch):
        monkeypatch.setattr(_archive, "MAX_BYTES", len(PACKED) - 1)
        with pytest.raises(PersistenceError, match=f"at most {len(PACKED) - 1:,} bytes"):
            pack(CONTENT, ARRAYS)
        monkeypatch.setattr(_archive, "MAX_BYTES", len(PACKED))
        monkeypatch.setattr(_archive, "MAX_MEMBERS", 2)
        with pytest.raises(PersistenceError, match="2 members. Got .* and 3 members"):
            pack(CONTENT, ARRAYS)


MANIFEST = members_of(PACKED)["manifest.json"]
ARRAY = members_of(PACKED)["arrays/0000.npy"]


def flag(packed, offset, value):
    """Set two bytes of the first entry of the directory."""
    start = packed.index(b"PK\x01\x02") + offset
    return packed[:start] + struct.pack("<H", value) + packed[start + 2 :]


def shared_bytes():
    """Directory entries that all point to the same bytes, as in the best zip bombs."""
    many = zipped([("manifest.json", MANIFEST), *((f"arrays/{k:04d}.npy", b"") for k in range(9))])
    start = many.index(b"PK\x01\x02")
    entry = many[start : start + 46 + len("manifest.json")]
    directory = many[start:-22]
    for _ in range(9):
        directory += entry
    count = directory.count(b"PK\x01\x02")
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), start, 0)
    return many[:start] + directory + end


def wide_end():
    """A second, 64-bit end record, to which the locator in the last 20 bytes of the directory points."""
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    body, (mark, *numbers) = PACKED[:-22], struct.unpack("<4s4H2LH", PACKED[-22:])
    numbers[4] += len(locator)
    return body + locator + struct.pack("<4s4H2LH", mark, *numbers)


LARGEST_SHAPE = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
REFUSED = {
    # name: (bytes, words of the message)
    "nothing": (b"", "zip end record. Got 0 bytes"),
    "text": (b"not a zip at all, but long enough", "nothing else"),
    "bytes in front": (b"#!/bin/sh\n" + PACKED, "nothing else"),
    "bytes behind": (PACKED + b"\n", "nothing else"),
    "a comment": (PACKED[:-2] + b"\x02\x00hi", "nothing else"),
    "a second end record": (wide_end(), "nothing else"),
    "no zip within": (b"x" * 40 + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 40, 0, 0), "zip directory"),
    "no members": (zipped([]), "a member manifest.json. Got none"),
    "no manifest": (with_members(lambda m: m.pop("manifest.json")), "a member manifest.json. Got none"),
    "missing array": (with_members(lambda m: m.pop("arrays/0001.npy")), "missing: 'arrays/0001.npy'"),
    "extra array": (with_members(lambda m: m.update({"arrays/0002.npy": ARRAY})), "not listed: 'arrays/0002.npy'"),
    "unknown member": (with_members(lambda m: m.update({"code.py": b""})), "nothing else. Got 'code.py'"),
    "absolute name": (with_members(lambda m: m.update({"/etc/passwd": b""})), "'/etc/passwd'"),
    "escaping name": (with_members(lambda m: m.update({"arrays/../../x.npy": b""})), r"arrays/../../x.npy"),
    "backslashes": (with_members(lambda m: m.update({"arrays\\0000.npy": b""})), "nothing else"),
    "a folder": (with_members(lambda m: m.update({"arrays/": b""})), "'arrays/'"),
    "exchanged arrays": (
        with_members(lambda m: m.update({"arrays/0000.npy": m["arrays/0001.npy"], "arrays/0001.npy": ARRAY})),
        "arrays/0000.npy with the SHA-256 checksum",
    ),
    "links": (with_members(lambda m: None, mode=stat.S_IFLNK | 0o777), "not as a link"),
    "compressed": (with_members(lambda m: None, compression=zipfile.ZIP_DEFLATED), "not compressed"),
    "encrypted": (flag(PACKED, 8, 1), "not encrypted"),
    "unknown compression": (flag(PACKED, 10, 99), "not compressed"),
    "entries that share bytes": (shared_bytes(), "each member once"),
    "empty manifest": (zipped([("manifest.json", b"")]), "manifest in JSON"),
    "binary manifest": (zipped([("manifest.json", b"\xff\xfe\x00")]), "manifest in JSON"),
    "deep manifest": (zipped([("manifest.json", b"[" * 100_000)]), "manifest in JSON"),
    "list as manifest": (zipped([("manifest.json", b"[1]")]), "manifest in JSON"),
    "doubled key": (zipped([("manifest.json", b'{"arrays": [], ' + MANIFEST[1:])]), "occurs twice"),
    "infinite number": (zipped([("manifest.json", b'{"x": 1e999, "arrays": [], "checksum": ""}')]), "manifest in JSON"),
    "changed manifest": (
        with_members(lambda m: m.update({"manifest.json": MANIFEST.replace(b"LSTM", b"LSTN")})),
        "manifest with the checksum",
    ),
    "pickled objects": (with_array(npy(np.array([print], dtype=object), allow_pickle=True)), "float32 or float64"),
    "integers": (with_array(npy(np.arange(3))), "float32 or float64"),
    "big-endian": (with_array(npy(np.ones(3, dtype=">f8"))), "float32 or float64"),
    "order F": (with_array(npy(np.ones((2, 3), order="F"))), "order F: True"),
    "version 2": (with_array(npy(np.ones(3), version=(2, 0))), "NumPy's format|version"),
    "no array": (with_array(b"print('hello')"), "NumPy's format"),
    "short array": (with_array(npy(np.ones(3))[:-1]), "bytes of its shape. Got 23 bytes"),
    "long array": (with_array(npy(np.ones(3)) + b"\0"), "bytes of its shape"),
    "shape larger than memory": (
        with_array(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(LARGEST_SHAPE)) + LARGEST_SHAPE),
        r"0 bytes for \(1000000000000,\)",
    ),
    "negative shape": (with_array(npy(np.ones((1, 3))).replace(b"(1, 3), ", b"(-1,-3),")), "bytes of its shape"),
}


class TestValidation:
    @pytest.mark.parametrize(("packed", "words"), REFUSED.values(), ids=REFUSED.keys())
    def test_anything_else_is_refused_with_the_reason(self, packed, words):
        with pytest.raises(PersistenceError, match=words) as caught:
            unpack(packed)
        assert "take another copy" in str(caught.value)
        assert len(str(caught.value)) < 600

    def test_a_name_that_comes_twice_is_refused(self):
        with pytest.warns(UserWarning, match="Duplicate name"):
            doubled = zipped([*members_of(PACKED).items(), ("arrays/0000.npy", ARRAY)])
        with pytest.raises(PersistenceError, match="each member once. Got 'arrays/0000.npy'"):
            unpack(doubled)

    def test_a_list_of_checksums_is_needed(self):
        manifest = {"arrays": {}}
        manifest["checksum"] = _archive._digest(_archive._canonical(manifest))
        with pytest.raises(PersistenceError, match="a list of the checksums of its arrays. Got dict"):
            unpack(zipped([("manifest.json", json.dumps(manifest).encode())]))

    @pytest.mark.parametrize(
        ("limit", "value", "words"),
        [
            ("MAX_BYTES", 100, "at most 100 bytes"),
            ("MAX_MEMBERS", 2, "at most 2 members. Got 3"),
            ("MAX_MANIFEST_BYTES", 100, "manifest of at most 100 bytes"),
            ("_DIRECTORY_BYTES_PER_MEMBER", 0, "directory of at most 0 bytes"),
        ],
    )
    def test_sizes_are_bounded(self, monkeypatch, limit, value, words):
        monkeypatch.setattr(_archive, limit, value)
        with pytest.raises(PersistenceError, match=words):
            unpack(PACKED)

    def test_members_that_overlap_are_refused_before_they_are_read(self):
        entries = bytearray(PACKED)
        start = entries.index(b"PK\x01\x02")
        for offset in (20, 24):  # both sizes of the manifest, beyond those of the file and below the limit
            entries[start + offset : start + offset + 4] = struct.pack("<L", len(PACKED))
        with pytest.raises(PersistenceError, match=f"at most its own size, {len(PACKED):,} bytes"):
            unpack(bytes(entries))

    def test_every_flipped_bit_is_found_or_without_effect(self):
        expected = [array.tobytes() for array in ARRAYS]
        n_refused = 0
        for position in range(len(PACKED)):
            damaged = bytearray(PACKED)
            damaged[position] ^= 1 << position % 8
            try:
                content, arrays = unpack(bytes(damaged))
            except PersistenceError:
                n_refused += 1
                continue
            assert content == CONTENT
            assert [array.tobytes() for array in arrays] == expected
        assert n_refused > 0.8 * len(PACKED)
