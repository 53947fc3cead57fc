"""The paper's protocol at full size: 96 monthly refits of the LSTM on 60 months, against scikeras and PyTorch.

A window has 60 months of 500 stocks (30,000 rows), 16 descriptors at 5 lags; the network is bidirectional with 16 units
and trained for 10 epochs in batches of 256, the latest month held out. Ours is one call of ``walk_forward_predict``
from the start of the process to the last prediction, imports and compilation included. scikeras fits the same network
window by window with Keras' own loop; the PyTorch loop is written plainly; both are measured on some windows in a
process of their own and scaled up to all, after one window that is not counted, so that imports are theirs for free.
The bound is the time that the matrix products of the training alone take in NumPy, forward and backward, one batch
after the other on every core.

PyTorch is no dependency: name an interpreter that has it with --torch-python.
"""

import argparse
import os
import statistics
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np

N_WINDOWS, N_TRAIN, N_ASSETS = 96, 60, 500
N_LAGS, N_DESCRIPTORS, UNITS, EPOCHS, BATCH = 5, 16, 16, 10, 256


def rows_of(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n_rows, N_LAGS * N_DESCRIPTORS)).astype(np.float32)
    return X, (0.02 * X[:, -1] * X[:, -2] + rng.normal(0, 0.1, n_rows)).astype(np.float32)


def ours(windows: int, arguments: argparse.Namespace) -> float:
    """Seconds of the whole call; the process started when its parent says."""
    import pandas as pd

    from skdrfm import DeepRecurrentFactorRegressor, WalkForwardSplit, walk_forward_predict

    n_dates = N_TRAIN + windows
    dates = pd.date_range("2000-01-31", periods=n_dates, freq="ME")
    index = pd.MultiIndex.from_product([dates, range(N_ASSETS)], names=["date", "asset"])
    X, y = rows_of(len(index), 0)
    names = [f"D{d}__lag{lag}" for lag in (12, 9, 6, 3, 0) for d in range(N_DESCRIPTORS)]
    walk_forward_predict(
        DeepRecurrentFactorRegressor(random_state=0),
        pd.DataFrame(X, index=index, columns=names),
        pd.Series(y, index=index),
        cv=WalkForwardSplit(N_TRAIN),
        n_jobs=arguments.jobs,
        progress=False,
    )
    return time.time() - arguments.started


def scikeras(windows: int, arguments: argparse.Namespace) -> float:
    from functools import partial

    from scikeras.wrappers import KerasRegressor

    from skdrfm import networks

    network = partial(
        networks.build_recurrent,
        units=(UNITS,),
        bidirectional=True,
        dense_units=(),
        activation="tanh",
        dropout=0.0,
        l2=0.0,
    )

    def fit(seed: int) -> None:
        X, y = rows_of((N_TRAIN - 1) * N_ASSETS, seed)
        X_val, y_val = rows_of(N_ASSETS, 1000 + seed)
        shape = (-1, N_LAGS, N_DESCRIPTORS)
        wrapper = KerasRegressor(
            model=_keras_model,
            model__build=network,
            model__seed=seed,
            loss="mse",
            optimizer="adam",
            epochs=EPOCHS,
            batch_size=BATCH,
            verbose=0,
            random_state=seed,
            fit__validation_data=(X_val.reshape(shape), y_val),
        )
        wrapper.fit(X.reshape(shape), y)

    return _seconds_of(fit, windows)


def _keras_model(build: Any, seed: int) -> Any:
    from skdrfm import networks

    return build(networks.NetworkMeta(N_LAGS, N_DESCRIPTORS, seed))


def pytorch(windows: int, arguments: argparse.Namespace) -> float:
    import torch

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(N_DESCRIPTORS, UNITS, batch_first=True, bidirectional=True)
            self.head = torch.nn.Linear(2 * UNITS, 1)

        def forward(self, x: Any) -> Any:
            _, (h, _) = self.lstm(x)
            return self.head(torch.cat([h[0], h[1]], dim=1))[:, 0]

    def fit(seed: int) -> None:
        torch.manual_seed(seed)
        X, y = (torch.from_numpy(part) for part in rows_of((N_TRAIN - 1) * N_ASSETS, seed))
        X_val, y_val = (torch.from_numpy(part) for part in rows_of(N_ASSETS, 1000 + seed))
        X, X_val = (part.reshape(-1, N_LAGS, N_DESCRIPTORS) for part in (X, X_val))
        net = Net()
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, eps=1e-7)
        for _ in range(EPOCHS):
            order = torch.randperm(len(X))
            for first in range(0, len(X), BATCH):
                rows = order[first : first + BATCH]
                optimizer.zero_grad()
                torch.nn.functional.mse_loss(net(X[rows]), y[rows]).backward()
                optimizer.step()
            with torch.no_grad():
                torch.nn.functional.mse_loss(net(X_val), y_val).item()

    return _seconds_of(fit, windows)


def bound(windows: int, arguments: argparse.Namespace) -> float:
    """Matrix products of forward and backward: each forward product comes three times."""
    n_threads = len(os.sched_getaffinity(0))
    steps = windows * EPOCHS * -(-(N_TRAIN - 1) * N_ASSETS // BATCH)
    measured = steps // 20

    def work() -> None:
        rng = np.random.default_rng(0)
        x = rng.normal(size=(BATCH, N_DESCRIPTORS + UNITS)).astype(np.float32)
        w = rng.normal(size=(N_DESCRIPTORS + UNITS, 4 * UNITS)).astype(np.float32)
        z = np.empty((BATCH, 4 * UNITS), dtype=np.float32)
        dx, dw = np.empty_like(x), np.empty_like(w)
        for _ in range(measured // n_threads):
            for _ in range(2 * N_LAGS):
                np.matmul(x, w, out=z)
                np.matmul(z, w.T, out=dx)
                np.matmul(x.T, z, out=dw)

    threads = [threading.Thread(target=work) for _ in range(n_threads)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - start) * steps / measured


def _seconds_of(fit: Any, windows: int) -> float:
    """Seconds of all windows, from some of them."""
    fit(0)
    spent = []
    for seed in range(1, 4):
        start = time.perf_counter()
        fit(seed)
        spent.append(time.perf_counter() - start)
    return statistics.median(spent) * windows


WAYS = {"skdrfm": ours, "scikeras": scikeras, "PyTorch": pytorch, "matrix products": bound}


def measure(name: str, arguments: argparse.Namespace) -> float:
    python = arguments.torch_python if name == "PyTorch" else sys.executable
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3")
    if name == "matrix products":
        environment["OPENBLAS_NUM_THREADS"] = "1"
    size = ["--windows", str(arguments.windows), "--jobs", str(arguments.jobs), "--started", str(time.time())]
    child = subprocess.run(
        [python, __file__, "--child", name, *size], capture_output=True, text=True, check=True, env=environment
    )
    return float(child.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=N_WINDOWS)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--torch-python", help="interpreter that has PyTorch and NumPy; without it PyTorch is left out")
    parser.add_argument("--child", choices=list(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--started", type=float, default=0.0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(WAYS[arguments.child](arguments.windows, arguments))
        return
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, load {os.getloadavg()[0]:.1f}; {arguments.windows} windows of 30,000 rows\n")
    names = [name for name in WAYS if name != "PyTorch" or arguments.torch_python]
    seconds = {name: measure(name, arguments) for name in names}
    for name, spent in seconds.items():
        print(f"{name:20s}{spent:10.1f} s   {spent / seconds['skdrfm']:6.2f} x ours")


if __name__ == "__main__":
    main()
