import os

import numpy as np
import pytest

from skdrfm.lrp import _chunks
from skdrfm.lrp._chunks import run_in_chunks


@pytest.mark.parametrize("n_threads", [1, 3, None])
def test_chunks_cover_every_sample_once(n_threads):
    seen = [0] * 11

    def work(rows):
        for row in range(rows.start, rows.stop):
            seen[row] += 1

    run_in_chunks(work, 11, np.float64, chunk_size=4, n_threads=n_threads)
    assert seen == [1] * 11


def test_an_error_in_a_thread_reaches_the_caller():
    def work(rows):
        if rows.start == 4:
            raise ZeroDivisionError("in the second chunk")

    with pytest.raises(ZeroDivisionError, match="in the second chunk"):
        run_in_chunks(work, 11, np.float64, chunk_size=4, n_threads=2)


def test_threads_are_counted_where_a_platform_has_no_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    starts = []
    run_in_chunks(lambda rows: starts.append(rows.start), 6, np.float64, chunk_size=2, n_threads=None)
    assert starts == [0, 2, 4]


def test_float32_comes_in_chunks_of_as_many_bytes():
    starts = []
    run_in_chunks(lambda rows: starts.append(rows.start), 9, np.float32, chunk_size=2, n_threads=1)
    assert starts == [0, 4, 8]


@pytest.mark.parametrize(("share", "expected"), [("1", 1), ("2,1", 2), ("0", 1), ("99", 4), ("", 4), ("many", 4)])
def test_a_worker_takes_no_more_than_its_share_of_the_cores(monkeypatch, share, expected):
    monkeypatch.setattr(_chunks.os, "sched_getaffinity", lambda process: range(4), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", share)
    assert _chunks._usable_cores() == expected
