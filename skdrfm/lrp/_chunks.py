"""Chunks of samples over threads; NumPy frees the interpreter lock while it computes."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import DTypeLike

from skdrfm.lrp._layer import is_whole


def run_in_chunks(
    work: Callable[[slice], None], n_samples: int, dtype: DTypeLike, *, chunk_size: int, n_threads: int | None
) -> None:
    """Call a function on consecutive slices of the samples, in threads.

    The slices follow from the chunk size alone, so that the number of threads changes nothing
    but the time.

    Parameters
    ----------
    work : callable
        Function of a slice; it writes its results where they belong.
    n_samples : int
        Number of samples.
    dtype : dtype
        Type of the computation.
    chunk_size : int
        Samples in a slice for float64. Smaller numbers come in larger slices of as many bytes.
    n_threads : int or None
        Number of threads; None for the cores that this process may use, at most ``OMP_NUM_THREADS`` if that is set.

    Raises
    ------
    ValueError
        If the chunk size or the number of threads is no positive integer.
    """
    _check_positive("chunk_size", chunk_size)
    if n_threads is None:
        n_threads = _usable_cores()
    _check_positive("n_threads", n_threads)
    chunk_size = chunk_size * 8 // np.dtype(dtype).itemsize
    slices = [slice(start, min(start + chunk_size, n_samples)) for start in range(0, n_samples, chunk_size)]
    if n_threads == 1 or len(slices) <= 1:
        for rows in slices:
            work(rows)
        return
    with ThreadPoolExecutor(min(n_threads, len(slices))) as pool:
        for _ in pool.map(work, slices):
            pass


def _usable_cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Workers of joblib and dask find their share of the cores here.
    share = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return max(1, min(cores, int(share))) if share.isdecimal() else cores


def _check_positive(name: str, value: object) -> None:
    if not is_whole(value, 1):
        way_out = "None uses the usable cores." if name == "n_threads" else "2048 suits most networks."
        raise ValueError(f"'{name}' must be an integer >= 1. Got {value!r}. {way_out}")
