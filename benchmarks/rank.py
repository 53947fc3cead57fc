"""Ranks within dates: seconds and peak memory of CrossSectionalRankScaler against pandas, in one run.

The panel is float32, with 5,139 names on each date and a tenth of the values missing. Each figure comes
from a process of its own, whose peak memory the system reports; rounds are taken in turn.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
import pandas as pd

from skdrfm.preprocessing import CrossSectionalRankScaler

FULL_ROWS, FULL_COLUMNS, NAMES = 3_700_000, 94, 5_139
RANKERS = {
    "CrossSectionalRankScaler": lambda X: CrossSectionalRankScaler().transform(X),
    'pandas groupby(level="date").rank()': lambda X: X.groupby(level="date").rank(),
}


def make_panel(rows: int, columns: int, order: str) -> pd.DataFrame:
    """Rows sorted by date, or shuffled."""
    rng = np.random.default_rng(0)
    values = np.empty((columns, rows), dtype=np.float32)
    for column in values:
        rng.standard_normal(out=column, dtype=np.float32)
        column[rng.integers(0, rows, rows // 10)] = np.nan
    row = np.arange(rows) if order == "sorted" else rng.permutation(rows)
    dates = pd.date_range("1957-01", periods=-(-rows // NAMES), freq="ME")
    index = pd.MultiIndex(
        levels=[dates, np.arange(NAMES)],
        codes=[row // NAMES, row % NAMES],
        names=["date", "asset"],
        verify_integrity=False,
    )
    return pd.DataFrame(values.T, index=index, columns=[f"c{j}" for j in range(columns)], copy=False)


def peak() -> float:
    """Peak memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_here(name: str, rows: int, columns: int, order: str) -> None:
    """Print seconds and MiB beyond the panel; the work of a child."""
    X = make_panel(rows, columns, order)
    RANKERS[name](make_panel(2 * NAMES, 1, "sorted"))  # what is loaded on first use is not counted
    before = peak()
    start = time.perf_counter()
    RANKERS[name](X)
    print(time.perf_counter() - start, peak() - before)


def measure(name: str, arguments: argparse.Namespace) -> tuple[float, float]:
    size = [str(arguments.rows), str(arguments.columns), arguments.order]
    child = subprocess.run(
        [sys.executable, __file__, "--child", name, *size], capture_output=True, text=True, check=True
    )
    seconds, mebibytes = map(float, child.stdout.split())
    return seconds, mebibytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=FULL_ROWS // 5)
    parser.add_argument("--columns", type=int, default=12)
    parser.add_argument("--order", choices=("sorted", "shuffled"), default="sorted", help="rows by date, or at random")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in RANKERS}
    for _ in range(arguments.rounds):
        for name in RANKERS:
            results[name].append(measure(name, arguments))
    cells = arguments.rows * arguments.columns
    size = cells * 4 / 2**20
    print(f"{arguments.rows:,} rows x {arguments.columns} columns, float32 ({size:,.0f} MiB), {arguments.order},")
    print(
        f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}, medians of {arguments.rounds} rounds\n"
    )
    print(f"{'':38s}{'seconds':>9s}{'per column':>12s}{'MiB beyond X':>14s}{'x panel':>9s}")
    seconds = {}
    for name, rounds in results.items():
        seconds[name] = statistics.median(spent for spent, _ in rounds)
        memory = statistics.median(used for _, used in rounds)
        per_column = seconds[name] / arguments.columns
        print(f"{name:38s}{seconds[name]:9.2f}{per_column:12.3f}{memory:14,.0f}{memory / size:9.2f}")
    ours, pandas = seconds.values()
    print(f"\npandas takes {pandas / ours:.1f} x the time.")
    if cells != FULL_ROWS * FULL_COLUMNS:
        times = FULL_ROWS * FULL_COLUMNS / cells
        print(
            f"If time is linear in the cells, {FULL_ROWS:,} rows x {FULL_COLUMNS} columns take {ours * times:.0f} s, "
            f"pandas {pandas * times:.0f} s: {times:.0f} times what was measured."
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        ranker, n_rows, n_columns, row_order = sys.argv[2:]
        measure_here(ranker, int(n_rows), int(n_columns), row_order)
    else:
        main()
