"""Threads of the tasks of a walk: workers share the cores, and results do not depend on how many there are."""

import os
import platform
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import joblib
from threadpoolctl import threadpool_limits

# Read by TensorFlow when its first operation runs in a process, and never again.
_NETWORK_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def this_process() -> tuple[str, int]:
    """Name the machine and the process, to tell a worker from the process that asked for the walk."""
    return platform.node(), os.getpid()


def single_threaded_algebra() -> AbstractContextManager[object]:
    """Hold linear algebra of NumPy and SciPy to one thread.

    A sum that is split over another number of threads is rounded otherwise: the least squares of 30,000 rows and 80
    columns differ in the last digits between one thread and two. A walk must give the same bits for any number of
    workers, so all its tasks compute with one thread.

    Returns
    -------
    context manager
        The limit is that of the whole process; leaving lifts it.
    """
    limits: AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return limits


@contextmanager
def bounded_threads(n_workers: int, home: tuple[str, int]) -> Iterator[None]:
    """Hold the threads of a task in a worker process to its share of the cores.

    Networks get ``cores // n_workers`` threads, unless the environment of the worker says something else; linear
    algebra gets one. In the process that asked for the walk nothing is done: there the walk itself limits linear
    algebra, once for all tasks, and the environment is the caller's.

    Parameters
    ----------
    n_workers : int
        Tasks at work at the same time.
    home : tuple of (str, int)
        The process that asked for the walk, from `this_process`.

    Yields
    ------
    None
        The task runs inside.
    """
    if this_process() == home:
        yield
        return
    share = str(max(1, joblib.cpu_count() // n_workers))
    for variable in _NETWORK_THREADS:
        os.environ.setdefault(variable, share)
    limits = single_threaded_algebra()
    if threading.current_thread() is not threading.main_thread():
        # Tasks in the threads of a cluster's worker overlap, and the first to end would lift the limit of the others.
        yield
        return
    with limits:
        yield
