import os
import subprocess
import sys
import time

import pytest

from skdrfm.utils import _files
from skdrfm.utils._files import remove_leftovers, replacing


def write(path, content):
    with replacing(path) as stream:
        stream.write(content)


@pytest.fixture
def dead_pid():
    """Number of a process of this machine that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


class TestReplacing:
    def test_a_failure_keeps_the_old_file_and_leaves_nothing_behind(self, tmp_path):
        path = tmp_path / "page.html"
        path.write_text("old")

        def write_half():
            with replacing(path) as stream:
                stream.write(b"half")
                raise RuntimeError("interrupted")

        with pytest.raises(RuntimeError, match="interrupted"):
            write_half()
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_whole_file_replaces_the_old_one(self, tmp_path):
        path = tmp_path / "page.html"
        path.write_text("old")
        with replacing(path) as stream:
            stream.write(b"new")
            assert path.read_text() == "old"
        assert path.read_text() == "new"

    @pytest.mark.parametrize("failing", ["fsync", "replace"])
    def test_a_disk_that_fails_is_reported_and_keeps_the_old_file(self, tmp_path, monkeypatch, failing):
        path = tmp_path / "page.html"
        path.write_text("old")

        def fail(*arguments, **options):
            raise OSError("disk failed")

        monkeypatch.setattr(os, failing, fail)
        with pytest.raises(OSError, match="disk failed"):
            write(path, b"new")
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.skipif(os.name != "posix", reason="folders can be synced on POSIX systems alone")
    def test_content_is_forced_to_the_disk_before_the_move_and_the_folder_after_it(self, tmp_path, monkeypatch):
        done = []
        sync, replace = os.fsync, os.replace

        def logged_sync(descriptor):
            done.append("folder" if os.path.isdir(f"/dev/fd/{descriptor}") else "file")
            sync(descriptor)

        def logged_replace(*arguments, **options):
            done.append("move")
            replace(*arguments, **options)

        monkeypatch.setattr(os, "fsync", logged_sync)
        monkeypatch.setattr(os, "replace", logged_replace)
        write(tmp_path / "page.html", b"new")
        assert done == ["file", "move", "folder"]

    @pytest.mark.skipif(os.name != "posix", reason="folders can be synced on POSIX systems alone")
    def test_a_folder_that_can_be_written_to_and_not_be_read_is_no_failure(self, tmp_path, monkeypatch):
        open_descriptor = os.open

        def refuse(path, flags, *arguments, **options):
            if os.path.isdir(path):
                raise PermissionError("Permission denied")
            return open_descriptor(path, flags, *arguments, **options)

        monkeypatch.setattr(os, "open", refuse)
        write(tmp_path / "page.html", b"new")
        assert (tmp_path / "page.html").read_text() == "new"

    def test_a_folder_that_cannot_be_synced_is_no_failure(self, tmp_path, monkeypatch):
        sync = os.fsync

        def only_files(descriptor):
            if os.path.isdir(f"/dev/fd/{descriptor}"):
                raise OSError("Invalid argument")
            sync(descriptor)

        monkeypatch.setattr(os, "fsync", only_files)
        write(tmp_path / "page.html", b"new")
        assert (tmp_path / "page.html").read_text() == "new"


@pytest.mark.skipif(os.name != "posix", reason="writers are looked up on POSIX systems alone")
class TestLeftovers:
    def test_what_a_killed_writer_leaves_is_removed(self, tmp_path):
        script = (
            "import os, pathlib, sys\n"
            "from skdrfm.utils._files import replacing\n"
            "with replacing(pathlib.Path(sys.argv[1])) as stream:\n"
            "    stream.write(b'half')\n"
            "    stream.flush()\n"
            "    os.kill(os.getpid(), 9)\n"
        )
        subprocess.run([sys.executable, "-c", script, str(tmp_path / "page.html")], check=False)
        (left,) = tmp_path.iterdir()
        assert left.read_bytes() == b"half"
        assert remove_leftovers(tmp_path) == [left]
        assert not list(tmp_path.iterdir())

    def test_files_of_live_writers_stay_however_old_they_are(self, tmp_path):
        with replacing(tmp_path / "page.html") as stream:
            stream.write(b"new")
            (part,) = tmp_path.iterdir()
            os.utime(part, (0, 0))
            assert remove_leftovers(tmp_path) == []
        assert (tmp_path / "page.html").read_text() == "new"

    def test_a_process_of_another_user_counts_as_alive(self, tmp_path, monkeypatch):
        part = tmp_path / f"page.html.{_files._host()}-1-1.part"
        part.write_text("half")

        def refuse(pid, signal):
            raise PermissionError

        monkeypatch.setattr(os, "kill", refuse)
        assert remove_leftovers(tmp_path) == []

    @pytest.mark.parametrize("name", ["page.html.other-host-{pid}-1.part", "page.html.{pid}-1.part", "download.part"])
    def test_files_of_writers_that_cannot_be_looked_up_stay_for_a_day(self, tmp_path, dead_pid, name):
        part = tmp_path / name.format(pid=dead_pid)
        part.write_text("half")
        assert remove_leftovers(tmp_path) == []
        hours_ago = time.time() - 23 * 3600
        os.utime(part, (hours_ago, hours_ago))
        assert remove_leftovers(tmp_path) == []
        os.utime(part, (hours_ago - 2 * 3600, hours_ago - 2 * 3600))
        assert remove_leftovers(tmp_path) == [part]

    def test_other_files_and_folders_below_are_left_alone(self, tmp_path, dead_pid):
        name = f"page.html.{_files._host()}-{dead_pid}-1.part"
        (tmp_path / "below").mkdir()
        for path in (tmp_path / "page.html", tmp_path / "below" / name, tmp_path / name):
            path.write_text("text")
        assert remove_leftovers(tmp_path) == [tmp_path / name]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["below", "page.html"]
        assert (tmp_path / "below" / name).exists()

    def test_a_file_that_another_process_removes_first_is_passed_over(self, tmp_path, monkeypatch):
        (tmp_path / "download.part").write_text("half")

        def gone(part):
            part.unlink()
            return True

        monkeypatch.setattr(_files, "_is_left_over", gone)
        assert remove_leftovers(tmp_path) == []


@pytest.mark.parametrize(("node", "host"), [("node-1.lan", "node-1_lan"), ("a/b c", "a_b_c"), ("", "localhost")])
def test_names_of_machines_are_fit_for_files(monkeypatch, node, host):
    monkeypatch.setattr("platform.node", lambda: node)
    assert _files._host() == host


def test_where_processes_and_folders_cannot_be_looked_up_the_age_decides(tmp_path, dead_pid, monkeypatch):
    part = tmp_path / f"page.html.{_files._host()}-{dead_pid}-1.part"
    part.write_text("half")
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        _files._sync_folder("a folder that cannot be opened")
        young = _files._is_left_over(part)
        os.utime(part, (0, 0))
        old = _files._is_left_over(part)
    assert (young, old) == (False, True)
