"""Blocks, workers and threads: what moves, what is bounded, and that the result knows nothing of it."""

import os
import pickle
import sys
import threading
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from threadpoolctl import threadpool_info

from skdrfm import DeepFactorRegressor, WalkForwardSplit, make_factor_panel, walk_forward_predict
from skdrfm.exceptions import PanelError
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.model_selection import _validation, _windows
from skdrfm.model_selection._plan import blocks_to_run
from skdrfm.model_selection._row_runs import RowRuns
from skdrfm.model_selection._threads import bounded_threads, this_process
from skdrfm.model_selection._windows import GroupWork, PanelData, run_block
from skdrfm.panel import LaggedPanel

COUNTERS = Path("/proc/self/io")


@pytest.fixture(scope="module")
def panel():
    """20 months, of which 8 are tested."""
    return make_factor_panel(n_dates=20, n_assets=8, n_descriptors=3, entry_exit=0.3, random_state=1)


def walk(model, panel, **options):
    return walk_forward_predict(model, *panel, **{"cv": WalkForwardSplit(12), "progress": False, **options})


def work(**changes):
    defaults = {"group": "g", "models": {}, "explained": (), "groups": None, "n_seeds": 1, "per_program": 1}
    return GroupWork(**{**defaults, "checkpoint": None, "n_workers": 1, "home": this_process(), **changes})


def written() -> int:
    """Bytes that this process has written so far, to files and pipes."""
    return int(dict(line.split(": ") for line in COUNTERS.read_text().splitlines())["wchar"])


class TestBlocks:
    SPLITS = tuple((RowRuns.of(np.arange(5)), np.array([5 + window])) for window in range(10))

    def blocks(self, missing, refit_every=1, **changes):
        fitted_in = [window // refit_every * refit_every for window in range(10)]
        blocks = blocks_to_run(work(**changes), self.SPLITS, fitted_in, missing)
        return [[(fit.window, [window for window, _ in fit.tests]) for fit in block] for block in blocks]

    def test_borders_follow_from_the_numbers_of_windows(self):
        whole = [[window for window, _ in block] for block in self.blocks(range(10), per_program=4)]
        assert whole == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        partly = [[window for window, _ in block] for block in self.blocks([2, 3, 5, 9], per_program=4)]
        assert partly == [[2, 3], [5], [9]]

    def test_members_of_an_ensemble_fill_a_program(self):
        assert [len(block) for block in self.blocks(range(10), per_program=6, n_seeds=3)] == [2] * 5
        assert [len(block) for block in self.blocks(range(10), per_program=2, n_seeds=3)] == [1] * 10

    def test_blocks_are_made_of_fits(self):
        assert self.blocks(range(10), refit_every=4, per_program=2) == [
            [(0, [0, 1, 2, 3]), (4, [4, 5, 6, 7])],
            [(8, [8, 9])],
        ]
        assert self.blocks([1, 3, 9], refit_every=4, per_program=2) == [[(0, [1, 3])], [(8, [9])]]

    def test_the_models_of_a_block_are_fitted_at_once(self, panel, monkeypatch):
        calls = []

        def fit_together(estimators, datasets, *, width):
            calls.append((len(estimators), len({id(estimator) for estimator in estimators}), width))
            return [estimator.fit(X, y) for estimator, (X, y) in zip(estimators, datasets, strict=True)]

        monkeypatch.setattr(_windows, "fit_together", fit_together)
        monkeypatch.setattr(_validation, "windows_at_once", lambda estimator, n_timesteps: 4)
        walk(RandomForestRegressor(1, random_state=0), panel, windows_per_program=6, n_seeds=2)
        assert calls == [(6, 6, 6), (6, 6, 6), (4, 4, 6)]

    def test_auto_asks_the_estimator(self, panel, monkeypatch):
        asked = []

        def windows_at_once(estimator, n_timesteps):
            asked.append(estimator)
            return 3

        monkeypatch.setattr(_validation, "windows_at_once", windows_at_once)
        model, sizes = LinearRegression(), self.log_of_blocks(monkeypatch)
        walk(model, panel)
        assert asked == [model]
        assert sizes == [3, 3, 2]

    @pytest.mark.parametrize("windows_per_program", [1, 3, 50, "auto"])
    def test_models_fitted_one_by_one_go_window_by_window(self, panel, monkeypatch, windows_per_program):
        sizes = self.log_of_blocks(monkeypatch)
        walk(RandomForestRegressor(1, random_state=0), panel, windows_per_program=windows_per_program)
        assert sizes == [1] * 8

    @staticmethod
    def log_of_blocks(monkeypatch):
        """Numbers of windows in the tasks of the walks to come."""
        sizes = []

        def logged(work, data, fits):
            sizes.append(len(fits))
            return run_block(work, data, fits)

        monkeypatch.setattr(_validation, "run_block", logged)
        return sizes

    def test_networks_do_not_depend_on_blocks_beyond_rounding_and_go_on_with_the_same_bits(self, panel, tmp_path):
        # Enough steps to be trained by a compiled program.
        model = DeepFactorRegressor((3,), epochs=2, batch_size=8, dtype="float64", random_state=0)
        options = {"cv": WalkForwardSplit(12, 2), "checkpoint": tmp_path}
        one = walk(model, panel, windows_per_program=1, cv=WalkForwardSplit(12, 2))
        three = walk(model, panel, windows_per_program=3, **options)
        np.testing.assert_allclose(one.predictions, three.predictions, rtol=1e-6)
        # What is missing has other neighbours in its program now.
        next(tmp_path.rglob("window-00001.npz")).unlink()
        again = walk(model, panel, windows_per_program=3, **options)
        pd.testing.assert_series_equal(three.predictions, again.predictions, check_exact=True)


class TestWorkers:
    @pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
    def test_any_engine_on_this_machine_gives_the_same_bits(self, panel, backend):
        models = {"linear": LinearFactorRegressor(), "forest": RandomForestRegressor(2, random_state=0)}
        base = walk(models, panel, explain=["linear"])
        with joblib.parallel_config(backend=backend, n_jobs=2):
            other = walk(models, panel, explain=["linear"])
        for name in models:
            pd.testing.assert_series_equal(base[name].predictions, other[name].predictions, check_exact=True)
        np.testing.assert_array_equal(base["linear"].explanation.loadings, other["linear"].explanation.loadings)

    @pytest.mark.parametrize("layout", ["rows", "columns", "mixed", "lagged"])
    def test_memory_maps_change_no_bit_whatever_the_layout(self, layout):
        """Large enough for arrays to be mapped, and for sums that depend on the order of their terms."""
        rng = np.random.default_rng(0)
        index = pd.MultiIndex.from_product([range(200001, 200009), range(400)], names=["date", "asset"])
        order = "F" if layout == "columns" else "C"
        X = pd.DataFrame(np.asarray(rng.normal(size=(len(index), 40)), order=order), index=index, copy=False)
        X.columns = [f"d{j}" for j in range(40)]
        if layout == "mixed":
            X = X.astype({f"d{j}": "float32" for j in range(20)})
        y = pd.Series(rng.normal(size=len(index)), index=index)
        if layout == "lagged":
            X = LaggedPanel(X, (0, 1))
            y = X.align(y)
        one, two = (walk(LinearRegression(), (X, y), cv=WalkForwardSplit(5), n_jobs=n_jobs) for n_jobs in (1, 2))
        pd.testing.assert_series_equal(one.predictions, two.predictions, check_exact=True)

    @pytest.mark.skipif(not COUNTERS.exists(), reason="bytes are counted by Linux alone")
    @pytest.mark.parametrize("form", ["frame", "lagged"])
    def test_the_panel_moves_once(self, form):
        rng = np.random.default_rng(0)
        index = pd.MultiIndex.from_product([pd.period_range("2000-01", periods=40, freq="M"), range(500)])
        X = pd.DataFrame(rng.normal(size=(len(index), 50)), index=index.set_names(["date", "asset"]))
        y = pd.Series(rng.normal(size=len(X)), index=X.index)
        n_bytes = X.to_numpy().nbytes
        if form == "lagged":
            X = LaggedPanel(X, (0, 1))
            y = X.align(y)
        before = written()
        walk(ColumnMean(), (X, y), cv=WalkForwardSplit(20), n_jobs=2)
        # Cut out window by window it would be ten times the panel: 19 windows of half of it.
        assert written() - before < 1.5 * n_bytes

    def test_a_lagged_panel_moves_without_its_source(self, panel):
        lagged = LaggedPanel(make_factor_panel(n_dates=30, n_assets=200, random_state=0)[0], (0, 1, 2))
        y = pd.Series(0.0, index=lagged.index)
        data = PanelData.of(lagged, y)
        assert len(pickle.dumps(data)) < 1.4 * lagged.nbytes + y.nbytes
        assert len(lagged.align(pd.Series(0.0, index=lagged._source.index))) == len(lagged)
        with pytest.raises(PanelError, match="must have its source to align .* from without_source"):
            data.X.align(y)
        rows = np.array([5, 3, 900])
        pd.testing.assert_frame_equal(data.rows(rows)[0], lagged.iloc[rows])
        # Engines that send large arguments once ask for this.
        assert sys.getsizeof(data) > lagged.nbytes

    def test_windows_that_workers_saved_elsewhere_are_saved_here(self, panel, tmp_path, monkeypatch):
        def run_elsewhere(work, data, fits):
            return run_block(replace(work, checkpoint=None), data, fits)

        with monkeypatch.context() as patched:
            patched.setattr(_validation, "run_block", run_elsewhere)
            first = walk(LinearRegression(), panel, checkpoint=tmp_path)
        assert len(list(tmp_path.rglob("*.npz"))) == 8
        monkeypatch.setattr(_validation, "run_block", None)
        second = walk(LinearRegression(), panel, checkpoint=tmp_path)
        pd.testing.assert_series_equal(first.predictions, second.predictions, check_exact=True)


class ColumnMean(LinearRegression):
    """Fast on large windows."""

    def fit(self, X, y):
        self.coef_, self.intercept_ = X.to_numpy()[:100].mean(axis=0), 0.0
        return self


class ThreadCounter(RegressorMixin, BaseEstimator):
    """Predicts how many threads linear algebra may use; and adds those of networks, in thousands."""

    def fit(self, X, y):
        self.n_threads_ = max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return self

    def predict(self, X):
        n_network_threads = int(os.environ.get("TF_NUM_INTRAOP_THREADS", 0))
        return np.full(len(X), 1000 * n_network_threads + self.n_threads_)


class Failing(LinearRegression):
    def fit(self, X, y):
        raise ZeroDivisionError


class TestThreads:
    def n_blas_threads(self):
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    @pytest.mark.parametrize("backend", ["sequential", "threading"])
    def test_linear_algebra_has_one_thread_at_home_and_its_own_again_after_it(self, panel, backend):
        before, environment = self.n_blas_threads(), dict(os.environ)
        with joblib.parallel_config(backend=backend, n_jobs=2):
            result = walk(ThreadCounter(), panel)
        assert set(result.predictions % 1000) == {1}
        assert self.n_blas_threads() == before
        assert dict(os.environ) == environment

    def test_workers_share_the_cores(self, panel, monkeypatch):
        monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
        # Workers that were started before would keep their environment.
        joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
        result = walk(ThreadCounter(), panel, n_jobs=2)
        assert set(result.predictions) == {1000 * max(1, joblib.cpu_count() // 2) + 1}

    def test_a_failing_walk_lifts_the_limit(self, panel):
        before = self.n_blas_threads()
        with pytest.raises(ZeroDivisionError):
            walk(Failing(), panel)
        assert self.n_blas_threads() == before

    @pytest.mark.parametrize(("in_main_thread", "events"), [(True, ["set", "lifted"]), (False, ["set"])])
    def test_the_limit_of_one_thread_of_a_worker_is_not_lifted_while_others_compute(
        self, monkeypatch, in_main_thread, events
    ):
        found = []

        class Limit:
            def __init__(self):
                found.append("set")

            def __enter__(self):
                return self

            def __exit__(self, *_):
                found.append("lifted")

        def task():
            with bounded_threads(2, ("another machine", 1)):
                assert found == ["set"]

        monkeypatch.setattr("skdrfm.model_selection._threads.single_threaded_algebra", Limit)
        monkeypatch.setattr("skdrfm.model_selection._threads.os.environ", {})
        if in_main_thread:
            task()
        else:
            thread = threading.Thread(target=task)
            thread.start()
            thread.join()
        assert found == events

    def test_the_environment_of_a_worker_goes_before(self, monkeypatch):
        environment = {"TF_NUM_INTEROP_THREADS": "7"}
        monkeypatch.setattr("skdrfm.model_selection._threads.os.environ", environment)
        monkeypatch.setattr("skdrfm.model_selection._threads.joblib.cpu_count", lambda: 8)
        with bounded_threads(3, this_process()):
            assert environment == {"TF_NUM_INTEROP_THREADS": "7"}
        with bounded_threads(3, ("another machine", 1)):
            assert environment == {"TF_NUM_INTRAOP_THREADS": "2", "TF_NUM_INTEROP_THREADS": "7"}


class TestProgress:
    def test_the_bar_counts_windows_and_starts_at_what_is_done(self, panel, tmp_path, monkeypatch):
        bars = []

        class Bar:
            def __init__(self, **options):
                self.options, self.steps = options, []
                bars.append(self)

            def __enter__(self):
                return self

            def __exit__(self, *_):
                return None

            def update(self, n):
                self.steps.append(n)

        monkeypatch.setattr(_validation, "tqdm", Bar)
        monkeypatch.setattr(_validation, "windows_at_once", lambda model, n_timesteps: 4)
        models = {"a": LinearRegression(), "b": LinearFactorRegressor()}
        walk(models, panel, windows_per_program=3, checkpoint=tmp_path, progress=True)
        next(tmp_path.rglob("window-00004.npz")).unlink()
        walk(models, panel, windows_per_program=3, checkpoint=tmp_path, progress=False)
        assert [bar.steps for bar in bars] == [[3, 3, 3, 3, 2, 2], [1]]
        assert [bar.options["initial"] for bar in bars] == [0, 15]
        assert {bar.options["total"] for bar in bars} == {16}
        assert [bar.options["disable"] for bar in bars] == [False, True]
