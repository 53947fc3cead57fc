"""The same call on a cluster: the same bits, and a worker may be killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor

from skdrfm import WalkForwardSplit, make_factor_panel, walk_forward_predict
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.panel import LaggedPanel

distributed = pytest.importorskip("dask.distributed")

pytestmark = [
    pytest.mark.slow,
    # Connections of a killed worker are closed late.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


@pytest.fixture(scope="module")
def panel():
    """30 months, of which 18 are tested."""
    return make_factor_panel(n_dates=30, n_assets=20, n_descriptors=3, random_state=1)


@pytest.fixture
def client():
    """A cluster of two worker processes of one thread each."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs="CRITICAL"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def walk(model, panel, **options):
    return walk_forward_predict(model, *panel, **{"cv": WalkForwardSplit(12), "progress": False, **options})


class SlowForest(RegressorMixin, BaseEstimator):
    """A small forest that takes its time, and writes down which process fits it."""

    def __init__(self, log, seconds=0.1, random_state=None):
        self.log = log
        self.seconds = seconds
        self.random_state = random_state

    def fit(self, X, y):
        with Path(self.log).open("a") as stream:
            stream.write(f"{os.getpid()}\n")
        time.sleep(self.seconds)
        self.forest_ = RandomForestRegressor(2, random_state=self.random_state).fit(X, y)
        return self

    def predict(self, X):
        return self.forest_.predict(X)


class Assassin(threading.Thread):
    """Kills, once, the process that writes the given line of a log."""

    def __init__(self, log, line):
        super().__init__(daemon=True)
        self.log, self.line, self.killed = log, line, None

    def run(self):
        for _ in range(3000):
            lines = self.log.read_text().split("\n")[:-1] if self.log.exists() else []
            if len(lines) >= self.line:
                self.killed = int(lines[self.line - 1])
                os.kill(self.killed, signal.SIGKILL)
                return
            time.sleep(0.01)


class TestDask:
    def test_the_bits_are_those_of_a_loop_at_home(self, panel, client, tmp_path):
        lagged = LaggedPanel(panel[0], (0, 1))
        data = (lagged, lagged.align(panel[1]))
        models = {"linear": LinearFactorRegressor(), "forest": RandomForestRegressor(3, random_state=0)}
        options = {"explain": ["linear"], "refit_every": 2}
        base = walk(models, data, n_jobs=1, **options)
        with joblib.parallel_config(backend="dask"):
            other = walk(models, data, checkpoint=tmp_path, **options)
        for name in models:
            pd.testing.assert_series_equal(base[name].predictions, other[name].predictions, check_exact=True)
        np.testing.assert_array_equal(base["linear"].explanation.loadings, other["linear"].explanation.loadings)
        # A cluster writes the same checkpoint, and home goes on with it.
        again = walk(models, data, checkpoint=tmp_path, **options)
        pd.testing.assert_frame_equal(other["forest"].windows, again["forest"].windows)

    def test_a_killed_worker_loses_nothing(self, panel, client, tmp_path):
        log = tmp_path / "log"
        model = SlowForest(str(log), random_state=0)
        base = walk(SlowForest(str(tmp_path / "other"), 0.0, random_state=0), panel, n_seeds=2)
        workers = {info["pid"] for info in client.run(_pid).values()}
        assassin = Assassin(log, 7)
        assassin.start()
        with joblib.parallel_config(backend="dask"):
            result = walk(model, panel, n_seeds=2, checkpoint=tmp_path / "walk")
        assassin.join(10)
        assert assassin.killed in workers
        pd.testing.assert_frame_equal(base.seed_predictions, result.seed_predictions, check_exact=True)
        fits = log.read_text().split()
        assert 36 < len(fits) < 36 + 12
        assert len(set(fits)) >= 2
        walk(model, panel, n_seeds=2, checkpoint=tmp_path / "walk")
        assert len(log.read_text().split()) == len(fits)


def _pid():
    return {"pid": os.getpid()}


NETWORKS = """
import sys
import joblib
import numpy as np
from dask.distributed import Client, LocalCluster
from skdrfm import DeepRecurrentFactorRegressor, WalkForwardSplit, make_factor_panel, walk_forward_predict

if __name__ == "__main__":
    way, windows_per_program, out = sys.argv[1:]
    # 240 rows in batches of 8, 22 epochs: enough steps to be trained by a compiled program.
    options = {"epochs": 22, "batch_size": 8, "dropout": 0.1, "dtype": "float64"}
    model = DeepRecurrentFactorRegressor(units=3, random_state=0, **options)

    def walk(n_jobs=None):
        return walk_forward_predict(
            model,
            *make_factor_panel(n_dates=16, n_assets=20, n_descriptors=3, random_state=1),
            cv=WalkForwardSplit(12),
            n_jobs=n_jobs,
            windows_per_program=int(windows_per_program),
            explain=True,
            progress=False,
        )

    if way == "dask":
        cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
        with cluster, Client(cluster), joblib.parallel_config(backend="dask"):
            result = walk()
    else:
        result = walk(int(way))
    np.savez(out, predictions=result.predictions, loadings=result.explanation.loadings)
"""


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Predictions and loadings by number of workers and windows in a program, each from a process of its own."""
    folder = tmp_path_factory.mktemp("networks")
    script = folder / "job.py"
    script.write_text(NETWORKS)
    results = {}
    for way, windows_per_program in (("1", 2), ("2", 2), ("dask", 2), ("1", 1), ("1", 4)):
        out = folder / f"{way}-{windows_per_program}.npz"
        subprocess.run(
            [sys.executable, script, way, str(windows_per_program), out],
            check=True,
            timeout=300,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
        )
        with np.load(out) as arrays:
            results[way, windows_per_program] = dict(arrays)
    return results


class TestNetworks:
    @pytest.mark.parametrize("way", ["2", "dask"])
    def test_fresh_processes_give_the_same_bits_for_any_number_of_workers(self, networks, way):
        for name, expected in networks["1", 2].items():
            assert np.ptp(expected) > 0
            assert networks[way, 2][name].tobytes() == expected.tobytes()

    @pytest.mark.parametrize("windows_per_program", [1, 4])
    def test_windows_in_a_program_change_nothing_beyond_rounding(self, networks, windows_per_program):
        for name, expected in networks["1", 2].items():
            scale = np.abs(expected).max()
            np.testing.assert_allclose(networks["1", windows_per_program][name], expected, rtol=1e-4, atol=1e-9 * scale)


RAY = """
import logging, sys
import joblib, ray
import pandas as pd
from ray.util.joblib import register_ray
from sklearn.ensemble import RandomForestRegressor
from skdrfm import WalkForwardSplit, make_factor_panel, walk_forward_predict
from skdrfm.factor_model import LinearFactorRegressor

ray.init(num_cpus=2, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
register_ray()
X, y = make_factor_panel(n_dates=18, n_assets=20, n_descriptors=3, random_state=1)
models = {"linear": LinearFactorRegressor(), "forest": RandomForestRegressor(3, random_state=0)}
options = {"cv": WalkForwardSplit(12), "progress": False, "explain": ["linear"]}
base = walk_forward_predict(models, X, y, **options)
with joblib.parallel_config(backend="ray", n_jobs=2):
    other = walk_forward_predict(models, X, y, checkpoint=sys.argv[1], **options)
for name in models:
    pd.testing.assert_series_equal(base[name].predictions, other[name].predictions, check_exact=True)
assert (base["linear"].explanation.loadings == other["linear"].explanation.loadings).all()
ray.shutdown()
"""


class TestRay:
    def test_the_bits_are_those_of_a_loop_at_home(self, tmp_path):
        # In a process of its own: registering Ray changes the pools of joblib for good.
        pytest.importorskip("ray")
        subprocess.run(
            [sys.executable, "-c", RAY, str(tmp_path / "walk")],
            check=True,
            timeout=300,
            env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"},
        )
        assert len(list((tmp_path / "walk").rglob("*.npz"))) == 12
