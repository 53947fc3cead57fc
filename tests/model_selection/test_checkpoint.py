"""Finished windows on disk: whole, tied to their run, and never taken when a bit of them has changed."""

import io
import json
import os
import pickle
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from skdrfm import WalkForwardSplit, make_factor_panel, walk_forward_predict
from skdrfm.exceptions import CheckpointError, CoverageWarning
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.model_selection import _checkpoint, _validation, _windows
from skdrfm.model_selection._checkpoint import Checkpoint

FINGERPRINT = {
    "data": {"rows": "3", "sha256": "ab" * 32},
    "model m": {"class": "Model", "alpha": "1.0"},
    "explained": "",
}
ARRAYS = {
    "test_rows": np.arange(5, 12),
    "0/predictions": np.array([0.01, -0.0, np.nan, np.inf, 5e-324, 1.0, 2.0]),
    "0/explanation/loadings": np.asfortranarray(np.random.default_rng(0).normal(size=(7, 3, 2)).astype(np.float32)),
    "0/explanation/descriptor_names": np.array(["CAP", "β"]),
    "fit_seconds": np.array(0.25),
    "nothing": np.empty((0, 4)),
}


@pytest.fixture
def checkpoint(tmp_path):
    return Checkpoint(tmp_path, {"m": FINGERPRINT})


def same(first, second):
    """Whether arrays agree bit for bit."""
    return list(first) == list(second) and all(
        first[name].dtype == second[name].dtype
        and first[name].shape == second[name].shape
        and first[name].tobytes() == second[name].tobytes()
        for name in first
    )


def spoil(content, kind, rng):
    """A damaged copy of a file."""
    damaged = bytearray(content)
    position = int(rng.integers(len(damaged)))
    if kind == "bit flip":
        damaged[position] ^= 1 << int(rng.integers(8))
    elif kind == "truncation":
        del damaged[position:]
    elif kind == "random bytes":
        n_bytes = int(rng.integers(1, 40))
        damaged[position : position + n_bytes] = rng.bytes(n_bytes)
    elif kind == "inserted bytes":
        damaged[position:position] = rng.bytes(int(rng.integers(1, 9)))
    elif kind == "zeros":
        # As a file system may leave a block that never reached the disk.
        damaged[position : position + 512] = bytes(len(damaged[position : position + 512]))
    else:
        damaged = bytearray(rng.bytes(int(rng.integers(200))))
    return bytes(damaged)


KINDS = ["bit flip", "truncation", "random bytes", "inserted bytes", "zeros", "noise"]


class TestReferenceValues:
    def test_arrays_come_back_bit_for_bit_and_read_only(self, checkpoint):
        checkpoint.save("m", 3, ARRAYS)
        loaded = checkpoint.load("m", 3)
        assert same(loaded, ARRAYS)
        assert loaded["0/explanation/loadings"].flags.f_contiguous
        assert not any(array.flags.writeable for array in loaded.values())

    def test_a_window_that_is_not_there_is_none_without_a_warning(self, checkpoint):
        assert checkpoint.load("m", 0) is None

    def test_the_format_is_that_of_the_documentation(self, checkpoint):
        checkpoint.save("m", 3, ARRAYS)
        path = checkpoint.path("m", 3)
        assert path.name == "window-00003.npz"
        run = json.loads((path.parent / "run.json").read_text())
        assert run["format"] == 2
        assert run["run"] == FINGERPRINT
        with np.load(path, allow_pickle=False) as archive:
            assert sorted(archive.files) == sorted(ARRAYS)
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            seal = json.loads(archive.comment)
        assert seal["run"] == run["sha256"]
        assert seal["window"] == 3
        assert path.read_bytes().endswith(f'"sha256": "{seal["sha256"]}"}}'.encode())

    def test_relative_folders_stay_where_they_were(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        checkpoint = Checkpoint("walk", {"m": FINGERPRINT})
        (tmp_path / "below").mkdir()
        monkeypatch.chdir(tmp_path / "below")
        checkpoint.save("m", 0, ARRAYS)
        assert len(list((tmp_path / "walk").rglob("window-00000.npz"))) == 1
        assert checkpoint.load("m", 0) is not None

    def test_groups_have_folders_of_their_own(self, tmp_path):
        names = ["a & b", "a + b", "β" * 300]
        checkpoint = Checkpoint(tmp_path, dict.fromkeys(names, FINGERPRINT))
        for number, name in enumerate(names):
            checkpoint.save(name, 0, {"n": np.array(number)})
        assert [int(checkpoint.load(name, 0)["n"]) for name in names] == [0, 1, 2]


class TestTies:
    def test_a_window_of_another_run_is_not_taken(self, checkpoint, tmp_path):
        other = Checkpoint(tmp_path / "other", {"m": {**FINGERPRINT, "explained": "m"}})
        other.save("m", 0, ARRAYS)
        checkpoint.path("m", 0).write_bytes(other.path("m", 0).read_bytes())
        with pytest.warns(CoverageWarning, match=r"window 0 of 'm' cannot be read \(it belongs to another run\)"):
            assert checkpoint.load("m", 0) is None

    def test_another_window_of_the_same_run_is_not_taken(self, checkpoint):
        checkpoint.save("m", 12, ARRAYS)
        checkpoint.path("m", 12).rename(checkpoint.path("m", 0))
        with pytest.warns(CoverageWarning, match=r"window 0 of 'm' cannot be read \(it is window 12\)"):
            assert checkpoint.load("m", 0) is None

    def test_windows_of_a_lost_folder_fit_the_run_that_wrote_them(self, checkpoint, tmp_path):
        checkpoint.save("m", 0, ARRAYS)
        (checkpoint.path("m", 0).parent / "run.json").unlink()
        assert same(Checkpoint(tmp_path, {"m": FINGERPRINT}).load("m", 0), ARRAYS)
        (checkpoint.path("m", 0).parent / "run.json").unlink()
        changed = Checkpoint(tmp_path, {"m": {**FINGERPRINT, "explained": "m"}})
        with pytest.warns(CoverageWarning, match="belongs to another run"):
            assert changed.load("m", 0) is None

    def test_a_window_without_a_seal_is_not_taken(self, checkpoint):
        np.savez(checkpoint.path("m", 0), **ARRAYS)
        with pytest.warns(CoverageWarning, match="does not match its checksum"):
            assert checkpoint.load("m", 0) is None


class TestDamage:
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_damaged_window_is_reported_and_not_taken(self, checkpoint, kind):
        checkpoint.save("m", 0, ARRAYS)
        path = checkpoint.path("m", 0)
        content, rng = path.read_bytes(), np.random.default_rng(KINDS.index(kind))
        n_refused = 0
        for _ in range(100):
            damaged = spoil(content, kind, rng)
            if damaged == content:
                continue
            path.write_bytes(damaged)
            with pytest.warns(CoverageWarning, match=r"window 0 of 'm' cannot be read .* is computed again") as caught:
                assert checkpoint.load("m", 0) is None
            assert len(caught) == 1
            n_refused += 1
        assert n_refused > 80
        checkpoint.save("m", 0, ARRAYS)
        assert same(checkpoint.load("m", 0), ARRAYS)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_damaged_run_file_is_an_error(self, checkpoint, tmp_path, kind):
        path = checkpoint.path("m", 0).parent / "run.json"
        content, rng = path.read_bytes(), np.random.default_rng(KINDS.index(kind))
        n_refused = 0
        for _ in range(60):
            path.write_bytes(spoil(content, kind, rng))
            try:
                Checkpoint(tmp_path, {"m": FINGERPRINT})
            except CheckpointError:
                n_refused += 1
            else:
                # White space between entries means nothing.
                assert json.loads(path.read_bytes()) == json.loads(content)
        assert n_refused > 40

    def test_walks_over_damaged_folders_end_with_the_right_result_or_an_error(self, tmp_path):
        panel = make_factor_panel(n_dates=15, n_assets=5, n_descriptors=2, random_state=0)

        def walk():
            cv = WalkForwardSplit(12)
            return walk_forward_predict(LinearFactorRegressor(), *panel, cv=cv, checkpoint=tmp_path, progress=False)

        expected, rng = walk().predictions, np.random.default_rng(0)
        files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
        assert len(files) == 4
        contents = {path: path.read_bytes() for path in files}
        for case in range(24):
            path = files[case % 4]
            path.write_bytes(spoil(contents[path], KINDS[case % 6], rng))
            if path.name == "run.json":
                with pytest.raises(CheckpointError, match="Delete this folder"):
                    walk()
                path.write_bytes(contents[path])
                continue
            with pytest.warns(CoverageWarning, match=f"window {int(path.stem[-5:])} of 'model' cannot be read"):
                damaged = walk()
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                mended = walk()
            for result in (damaged, mended):
                np.testing.assert_array_equal(result.predictions, expected)

    def test_a_damaged_window_is_replaced_when_workers_have_disks_of_their_own(self, tmp_path, monkeypatch):
        panel = make_factor_panel(n_dates=15, n_assets=5, n_descriptors=2, random_state=0)

        def walk():
            cv = WalkForwardSplit(12)
            return walk_forward_predict(LinearFactorRegressor(), *panel, cv=cv, checkpoint=tmp_path, progress=False)

        def run_elsewhere(work, data, fits):
            return _windows.run_block(replace(work, checkpoint=None), data, fits)

        monkeypatch.setattr(_validation, "run_block", run_elsewhere)
        walk()
        files = sorted(tmp_path.rglob("window-*.npz"))
        assert len(files) == 3
        whole = files[1].read_bytes()
        files[1].write_bytes(whole[:-1])
        untouched = files[0].stat().st_mtime_ns
        with pytest.warns(CoverageWarning, match="window 1 of 'model' cannot be read"):
            walk()
        assert len(files[1].read_bytes()) == len(whole)
        assert files[0].stat().st_mtime_ns == untouched
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            walk()

    def test_a_pickle_with_a_right_seal_is_not_run(self, checkpoint, tmp_path, monkeypatch):
        marker = tmp_path / "marker"
        body = io.BytesIO()
        with zipfile.ZipFile(body, "w") as archive:
            member = io.BytesIO()
            np.lib.format.write_array(member, np.array([_Touch(marker)], dtype=object), allow_pickle=True)
            archive.writestr("0/predictions.npy", member.getvalue())
        pickle.loads(pickle.dumps(_Touch(marker)))
        assert marker.exists()
        marker.unlink()
        monkeypatch.setattr(np, "savez", lambda stream, **arrays: stream.write(body.getvalue()))
        checkpoint.save("m", 0, {})
        with pytest.warns(CoverageWarning, match="Object arrays cannot be loaded"):
            assert checkpoint.load("m", 0) is None
        assert not marker.exists()

    def test_a_window_that_is_a_folder_is_reported(self, checkpoint):
        checkpoint.path("m", 0).mkdir()
        with pytest.warns(CoverageWarning, match="window 0 of 'm' cannot be read"):
            assert checkpoint.load("m", 0) is None


class _Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


class TestSaving:
    def test_python_objects_are_refused(self, checkpoint):
        with pytest.raises(CheckpointError, match="without unpickling. Got object in 'names'. Convert it with astype"):
            checkpoint.save("m", 0, {"names": np.array(["a", None])})
        assert not checkpoint.path("m", 0).exists()

    @pytest.mark.parametrize("failing", ["fsync", "replace"])
    def test_a_disk_that_fails_keeps_the_old_window(self, checkpoint, monkeypatch, failing):
        checkpoint.save("m", 0, ARRAYS)

        def fail(*arguments, **options):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, failing, fail)
            with pytest.raises(OSError, match="No space left"):
                checkpoint.save("m", 0, {"other": np.ones(3)})
        assert same(checkpoint.load("m", 0), ARRAYS)
        assert sorted(path.name for path in checkpoint.path("m", 0).parent.iterdir()) == [
            "run.json",
            "window-00000.npz",
        ]

    def test_a_folder_that_was_removed_meanwhile_is_made_again(self, checkpoint):
        (checkpoint.path("m", 0).parent / "run.json").unlink()
        checkpoint.path("m", 0).parent.rmdir()
        checkpoint.save("m", 0, ARRAYS)
        assert same(checkpoint.load("m", 0), ARRAYS)

    def test_leftovers_are_removed_when_a_walk_goes_on(self, checkpoint, tmp_path):
        part = checkpoint.path("m", 0).with_name("window-00000.npz.other-host-1-1.part")
        part.write_bytes(b"half")
        Checkpoint(tmp_path, {"m": FINGERPRINT})
        assert part.exists()
        os.utime(part, (0, 0))
        Checkpoint(tmp_path, {"m": FINGERPRINT})
        assert not part.exists()

    def test_a_checkpoint_goes_to_workers(self, checkpoint):
        pickle.loads(pickle.dumps(checkpoint)).save("m", 0, ARRAYS)
        assert same(checkpoint.load("m", 0), ARRAYS)


def test_no_single_bit_can_change_unnoticed():
    content = bytearray(_checkpoint._seal(ARRAYS, "0" * 64, 0))
    assert _checkpoint._is_whole(bytes(content))
    for bit in range(8 * len(content)):
        content[bit // 8] ^= 1 << bit % 8
        assert not _checkpoint._is_whole(bytes(content))
        content[bit // 8] ^= 1 << bit % 8


def test_the_seal_follows_the_content():
    first, second = (_checkpoint._seal({"a": np.arange(n)}, "0" * 64, 0) for n in (3, 4))
    assert first[-66:] != second[-66:]
    assert _checkpoint._is_whole(first)
    assert not _checkpoint._is_whole(first[:-66] + second[-66:])
