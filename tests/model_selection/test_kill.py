"""Processes that are killed, or work on one folder together: nothing is lost, spoiled or computed twice."""

import json
import os
import select
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from skdrfm.model_selection._checkpoint import Checkpoint
from skdrfm.utils._files import remove_leftovers

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and process groups")

N_WINDOWS = 40

# Imports once, and then forks a child of its own process group for each line, so that restarts cost no imports.
SERVER = """
import json, os, sys, traceback
import kill_job
for line in sys.stdin:
    job = json.loads(line)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        status = 1
        try:
            getattr(kill_job, job.pop("call"))(**job)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.write(1, f"{pid}\\n".encode())
    os.write(1, f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\\n".encode())
"""

JOB = """
import os, threading, time
import joblib
import numpy as np
from sklearn.ensemble import RandomForestRegressor
from skdrfm import WalkForwardSplit, make_factor_panel, run_study, walk_forward_predict
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.model_selection._checkpoint import Checkpoint

PANEL = make_factor_panel(n_dates=52, n_assets=6, n_descriptors=2, entry_exit=0.2, random_state=0)


def note(word, model, X):
    fit = f"{type(model).__name__}:{X.index.get_level_values('date').max():%Y-%m}"
    line = f"{word} {os.getpid()}-{threading.get_ident()} {fit}\\n"
    descriptor = os.open(os.environ["KILL_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)


class Logged:
    def fit(self, X, y):
        note("start", self, X)
        time.sleep(0.01)
        super().fit(X, y)
        note("finish", self, X)
        return self


class LoggedRegressor(Logged, LinearFactorRegressor):
    pass


class LoggedForest(Logged, RandomForestRegressor):
    pass


def estimator(name):
    if name == "linear":
        return LoggedRegressor()
    from skdrfm import DeepRecurrentFactorRegressor
    return DeepRecurrentFactorRegressor(units=2, epochs=100, dropout=0.2, random_state=3)


def walk(folder, log, out, n_jobs=1, backend="loky", model="linear", train_size=12, **options):
    os.environ["KILL_LOG"] = log
    cv = WalkForwardSplit(train_size)
    with joblib.parallel_config(backend=backend):
        result = walk_forward_predict(
            estimator(model), *PANEL, cv=cv, n_jobs=n_jobs, explain=True, checkpoint=folder, progress=False, **options
        )
    np.savez(out, predictions=result.predictions, loadings=result.explanation.loadings)


def study(folder, log, out, n_jobs=1, backend="loky"):
    os.environ["KILL_LOG"] = log
    models = {"Linear": LoggedRegressor(), "Forest": LoggedForest(n_estimators=3, random_state=0)}
    options = {"lags": (0, 1), "train_size": 12, "n_quantiles": 2, "cost": 0.001}
    with joblib.parallel_config(backend=backend):
        found = run_study(*PANEL, models=models, **options, n_jobs=n_jobs, checkpoint=folder, progress=False)
    np.savez(
        out,
        table=found.table,
        contributions=found.contributions["Linear"],
        **{name: result.predictions for name, result in found.results.items()},
        **{f"{name} returns": backtest.long_short for name, backtest in found.backtests.items()},
    )


def save(folder, at):
    checkpoint = Checkpoint(folder, {"m": {"data": "simulated"}})
    if at == "content":
        savez = np.savez
        np.savez = lambda stream, **arrays: os._exit(9)
    elif at == "folder":
        replace = os.replace
        def replace_and_exit(*arguments, **options):
            replace(*arguments, **options)
            os._exit(9)
        os.replace = replace_and_exit
    else:
        setattr(os, at, lambda *arguments, **options: os._exit(9))
    checkpoint.save("m", 0, {"n": np.arange(5)})
"""


class Server:
    """Starts jobs in children of a process that has imported everything."""

    def __init__(self, folder):
        (folder / "kill_job.py").write_text(JOB)
        path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A killed process cannot remove its temporary files.
            env={**os.environ, "PYTHONPATH": path, "JOBLIB_TEMP_FOLDER": str(folder)},
            bufsize=0,
        )

    def start(self, call, **options):
        """Number of the child that runs a job."""
        self.process.stdin.write(json.dumps({"call": call, **options}, default=str).encode() + b"\n")
        return int(self.process.stdout.readline())

    def has_ended(self, wait=0.0):
        return bool(select.select([self.process.stdout], [], [], wait)[0])

    def exit_code(self):
        return int(self.process.stdout.readline())

    def run(self, call, **options):
        self.start(call, **options)
        return self.exit_code()

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def uninterrupted(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert server.run("walk", folder=folder / "walk", log=folder / "log", out=folder / "out.npz") == 0
    assert len(starts(folder / "log")) == N_WINDOWS
    return folder / "out.npz"


def starts(log):
    """Worker and window of each fit that was begun, in order."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [tuple(line.split()[1:]) for line in lines if line.startswith("start")]


def in_flight(log):
    """The last fit that each worker began: it may have been under way when the process was killed."""
    return set(dict(starts(log)).items())


def assert_same_results(first, second):
    with np.load(first) as one, np.load(second) as other:
        assert set(one.files) == set(other.files)
        assert len(one.files) >= 2
        for name in one.files:
            assert one[name].tobytes() == other[name].tobytes()


def windows_on_disk(folder):
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("window-*.npz")}


def kill_and_resume(server, folder, rng, n_kills, longest, *, call, **options):
    """Kill a job at random moments until it ends or was killed often enough; the logs and what was on disk."""
    logs, on_disk = [], []
    while True:
        log = folder / f"log-{len(logs)}"
        pid = server.start(call, folder=folder / "walk", log=log, out=folder / "out.npz", **options)
        logs.append(log)
        if len(on_disk) < n_kills:
            while not starts(log) and not server.has_ended(0.001):
                pass
            if not server.has_ended(rng.uniform(0, longest)):
                os.killpg(pid, signal.SIGKILL)
        code = server.exit_code()
        if code == 0:
            return logs, on_disk
        assert code == -signal.SIGKILL
        on_disk.append(windows_on_disk(folder / "walk"))


def assert_no_parts_stay(folder):
    """A worker that outlives the walk that was killed for a moment may leave a part, which the next walk removes."""
    deadline = time.monotonic() + 30
    while parts := list(folder.rglob("*.part")):
        assert time.monotonic() < deadline, parts
        time.sleep(0.05)
        for own in {part.parent for part in parts}:
            remove_leftovers(own)


def check_killed(server, uninterrupted, tmp_path, seed, n_kills, longest, *, n_fits=N_WINDOWS, call="walk", **options):
    rng, n_killed, rounds = np.random.default_rng(seed), 0, 0
    while n_killed < n_kills:
        folder = tmp_path / f"round-{rounds}"
        folder.mkdir()
        logs, on_disk = kill_and_resume(server, folder, rng, n_kills - n_killed, longest, call=call, **options)
        assert_same_results(folder / "out.npz", uninterrupted)
        begun = {window for log in logs for _, window in starts(log)}
        assert len(begun) == n_fits
        for position, log in enumerate(logs):
            finished = set(starts(log)) - in_flight(log)
            later = {window for other in logs[position + 1 :] for _, window in starts(other)}
            assert not later & {window for _, window in finished}
            own = [window for _, window in starts(log)]
            assert len(own) == len(set(own))
        final = windows_on_disk(folder / "walk")
        assert len(final) == n_fits
        for found in on_disk:
            assert found.items() <= final.items()
        assert_no_parts_stay(folder / "walk")
        n_killed += len(on_disk)
        rounds += 1
    assert n_killed == n_kills


@pytest.mark.parametrize(("n_jobs", "backend"), [(1, "loky"), (2, "threading")])
def test_a_walk_killed_at_20_random_moments_ends_with_the_same_bits(server, uninterrupted, tmp_path, n_jobs, backend):
    check_killed(server, uninterrupted, tmp_path, n_jobs, 20, 0.06, n_jobs=n_jobs, backend=backend)


@pytest.mark.parametrize(("n_jobs", "backend"), [(1, "loky"), (2, "threading")])
def test_a_study_killed_at_20_random_moments_ends_with_the_same_bits(server, tmp_path, n_jobs, backend):
    whole = {"folder": tmp_path / "whole", "log": tmp_path / "log", "out": tmp_path / "whole.npz"}
    assert server.run("study", **whole) == 0
    n_fits = len(starts(tmp_path / "log"))
    assert n_fits == 2 * (N_WINDOWS - 1)
    options = {"call": "study", "n_fits": n_fits, "n_jobs": n_jobs, "backend": backend}
    check_killed(server, whole["out"], tmp_path, 10 + n_jobs, 20, 0.3, **options)


@pytest.mark.slow
def test_a_walk_in_workers_of_loky_that_is_killed_ends_with_the_same_bits(server, uninterrupted, tmp_path):
    check_killed(server, uninterrupted, tmp_path, 3, 6, 0.1, n_jobs=2)


@pytest.mark.parametrize("at", ["content", "fsync", "replace", "folder"])
def test_a_process_that_ends_during_a_save_leaves_the_old_window_or_the_new_one(server, tmp_path, at):
    fingerprint = {"m": {"data": "simulated"}}
    before = Checkpoint(tmp_path, fingerprint)
    before.save("m", 0, {"n": np.arange(3)})
    assert server.run("save", folder=tmp_path, at=at) == 9
    after = Checkpoint(tmp_path, fingerprint)
    np.testing.assert_array_equal(after.load("m", 0)["n"], np.arange(5 if at == "folder" else 3))
    assert not list(tmp_path.rglob("*.part"))


class TestTwoProcesses:
    def test_the_second_takes_what_the_first_has_finished(self, server, uninterrupted, tmp_path):
        first, second = server, Server(tmp_path)
        try:
            options = {"folder": tmp_path / "walk"}
            first.start("walk", log=tmp_path / "log-1", out=tmp_path / "one.npz", **options)
            while len(windows_on_disk(tmp_path / "walk")) < 10 and not first.has_ended(0.001):
                pass
            before = len(windows_on_disk(tmp_path / "walk"))
            second.start("walk", log=tmp_path / "log-2", out=tmp_path / "two.npz", **options)
            assert first.exit_code() == second.exit_code() == 0
        finally:
            second.close()
        assert before >= 10
        assert len(starts(tmp_path / "log-1")) == N_WINDOWS
        assert len(starts(tmp_path / "log-2")) <= N_WINDOWS - before
        for out in ("one.npz", "two.npz"):
            assert_same_results(tmp_path / out, uninterrupted)

    def test_both_may_begin_in_an_empty_folder(self, server, uninterrupted, tmp_path):
        second = Server(tmp_path)
        try:
            for name, worker in (("one", server), ("two", second)):
                worker.start(
                    "walk", folder=tmp_path / "walk", log=tmp_path / f"log-{name}", out=tmp_path / f"{name}.npz"
                )
            assert server.exit_code() == second.exit_code() == 0
            resumed = {"folder": tmp_path / "walk", "log": tmp_path / "log-three", "out": tmp_path / "three.npz"}
            assert server.run("walk", **resumed) == 0
        finally:
            second.close()
        assert starts(tmp_path / "log-three") == []
        for name in ("one", "two", "three"):
            assert_same_results(tmp_path / f"{name}.npz", uninterrupted)
        assert not list(tmp_path.rglob("*.part"))

    def test_another_run_is_refused_while_the_first_is_at_work(self, server, uninterrupted, tmp_path):
        out = tmp_path / "out.npz"
        server.start("walk", folder=tmp_path / "walk", log=tmp_path / "log", out=out)
        second = Server(tmp_path)
        try:
            assert second.run("walk", folder=tmp_path / "walk", log=tmp_path / "log-2", out=out, train_size=13) == 1
        finally:
            second.close()
        assert server.exit_code() == 0
        assert starts(tmp_path / "log-2") == []
        assert_same_results(out, uninterrupted)


class TestNetworks:
    """TensorFlow cannot be forked: each restart is a fresh process."""

    @pytest.fixture
    def start(self, tmp_path):
        (tmp_path / "kill_job.py").write_text(JOB)
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "TF_CPP_MIN_LOG_LEVEL": "3"}

        def start(name, **options):
            paths = {"folder": tmp_path / name, "log": tmp_path / "log", "out": tmp_path / f"{name}.npz"}
            options = {key: str(path) for key, path in paths.items()} | {"model": "network", "train_size": 46} | options
            code = f"import kill_job; kill_job.walk(**{options!r})"
            return subprocess.Popen([sys.executable, "-c", code], env=environment, start_new_session=True)

        return start

    @pytest.mark.slow
    def test_a_walk_of_networks_that_is_killed_ends_with_the_same_bits(self, start, tmp_path):
        assert start("uninterrupted", windows_per_program=1).wait() == 0
        rng, n_killed, found, code = np.random.default_rng(0), 0, {}, None
        while code != 0:
            process = start("killed", windows_per_program=1)
            if n_killed < 2:
                while len(windows_on_disk(tmp_path / "killed")) <= len(found) and process.poll() is None:
                    time.sleep(0.001)
                time.sleep(rng.uniform(0, 0.02))
                process.kill()
            code = process.wait()
            assert code in (0, -signal.SIGKILL)
            n_killed += code != 0
            now = windows_on_disk(tmp_path / "killed")
            assert found.items() <= now.items()
            found = now
        assert n_killed > 0
        assert len(found) == 6
        assert_same_results(tmp_path / "killed.npz", tmp_path / "uninterrupted.npz")

    @pytest.mark.slow
    def test_windows_that_were_trained_side_by_side_can_be_computed_again_one_by_one(self, start, tmp_path):
        assert start("walk").wait() == 0
        (tmp_path / "walk.npz").rename(tmp_path / "whole.npz")
        # As if the process had been killed between the saves of windows that one program trains.
        for number in (1, 4, 5):
            next(tmp_path.rglob(f"window-{number:05d}.npz")).unlink()
        assert start("walk").wait() == 0
        assert_same_results(tmp_path / "walk.npz", tmp_path / "whole.npz")
