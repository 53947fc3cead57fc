"""What a walk moves and costs under each engine of joblib, on one machine.

Simulated is one panel; a linear model is walked over windows of half of its months. Each engine runs in a process of
its own and walks twice: the first time pays for starting workers, the second shows what a longer run pays. All
engines must agree bit for bit. Bytes are those that the calling process hands to workers: what it writes to pipes and
mapped files (``/proc/self/io``), and what passes the loopback device (``/proc/net/dev``; other programs count too),
less the same of a walk at home. Linux alone counts them.

Two workers on one machine share its memory and its cores. The figures say what moves, not how fast a cluster is.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.model_selection import WalkForwardSplit, walk_forward_predict

ENGINES = ("home", "threading", "loky", "dask")
MIB = 2**20


def make_panel(n_rows: int, n_columns: int, n_months: int) -> tuple[pd.DataFrame, "pd.Series[float]"]:
    rng = np.random.default_rng(0)
    months = pd.period_range("2000-01", periods=n_months, freq="M")
    index = pd.MultiIndex.from_product([months, range(n_rows // n_months)], names=["date", "asset"])
    names = [f"D{j}" for j in range(n_columns)]
    X = pd.DataFrame(rng.normal(size=(len(index), n_columns)), index=index, columns=names)
    return X, pd.Series(rng.normal(size=len(index)), index=index)


def handed_over() -> tuple[int, int]:
    """Bytes written so far to pipes and files, and sent over the loopback device."""
    written = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())["wchar"]
    loopback = next(line for line in Path("/proc/net/dev").read_text().splitlines() if line.strip().startswith("lo:"))
    return int(written), int(loopback.split()[9])


def run(engine: str, options: argparse.Namespace) -> dict[str, object]:
    X, y = make_panel(options.rows, options.columns, options.months)
    cv = WalkForwardSplit(options.months // 2, step=options.months // 24)
    walks = []
    with ExitStack() as stack:
        if engine == "dask":
            from dask.distributed import Client, LocalCluster

            cluster = stack.enter_context(
                LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs="ERROR")
            )
            stack.enter_context(Client(cluster))
        name = "sequential" if engine == "home" else engine
        stack.enter_context(joblib.parallel_config(backend=name, n_jobs=1 if engine == "home" else 2))
        for _ in range(2):
            start, before = time.perf_counter(), handed_over()
            result = walk_forward_predict(LinearFactorRegressor(), X, y, cv=cv, progress=False)
            after = handed_over()
            walks.append((time.perf_counter() - start, after[0] - before[0], after[1] - before[1]))
    train = result.windows[["train_rows", "test_rows"]].to_numpy().sum()
    return {
        "engine": engine,
        "first": walks[0][0],
        "second": walks[1][0],
        "written": walks[1][1] / MIB,
        "sent": walks[1][2] / MIB,
        "panel": X.to_numpy().nbytes / MIB,
        "cut out": float(train) * options.columns * 8 / MIB,
        "windows": len(result.windows),
        "hash": hashlib.sha256(result.predictions.to_numpy().tobytes()).hexdigest()[:12],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=520_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--months", type=int, default=120)
    parser.add_argument("--engine", choices=ENGINES, help="run this one here and print JSON")
    options = parser.parse_args()
    if options.engine:
        print(json.dumps(run(options.engine, options)))
        return
    sizes = [f"--{name}={getattr(options, name)}" for name in ("rows", "columns", "months")]
    print(f"{os.cpu_count()} cores, {options.rows:,} rows x {options.columns} columns, {options.months} months")
    found = []
    for engine in ENGINES:
        command = [sys.executable, __file__, f"--engine={engine}", *sizes]
        found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    table = pd.DataFrame(found).set_index("engine")
    print(table.drop(columns="hash").round(1).to_string())
    if table["hash"].nunique() > 1:
        raise SystemExit(f"Engines must agree bit for bit. Got {table['hash'].to_dict()}.")
    print("All engines agree bit for bit.")


if __name__ == "__main__":
    main()
