"""Cost of training against the number of windows, rows, lags and units, as a table and a plot.

One of the four is varied at a time around the paper's network: windows of 60 months of 500 stocks (30,000 rows), 5 lags
of 16 descriptors, 16 units in each direction. Each time is that of a whole call of ``walk_forward_predict`` in a
process that has the program of these shapes already. The power is the slope of log seconds against log size: 1 is
linear in size, below 1 a part of the cost is fixed.
"""

import argparse
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skdrfm import DeepRecurrentFactorRegressor, WalkForwardSplit, walk_forward_predict

N_TRAIN, N_DESCRIPTORS, EPOCHS = 60, 16, 10
BASE = {"windows": 4, "rows": 30_000, "lags": 5, "units": 16}
SIZES = {
    "windows": (4, 8, 16),
    "rows": (15_000, 30_000, 60_000),
    "lags": (3, 5, 10),
    "units": (8, 16, 32),
}


def seconds(windows: int, rows: int, lags: int, units: int, n_rounds: int) -> float:
    n_dates, n_assets = N_TRAIN + windows, rows // N_TRAIN
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product(
        [pd.date_range("2000-01-31", periods=n_dates, freq="ME"), range(n_assets)], names=["date", "asset"]
    )
    names = [f"D{d}__lag{lag}" for lag in reversed(range(lags)) for d in range(N_DESCRIPTORS)]
    X = pd.DataFrame(rng.uniform(-1, 1, (len(index), len(names))).astype(np.float32), index=index, columns=names)
    y = pd.Series(rng.normal(0, 0.1, len(index)), index=index)
    model = DeepRecurrentFactorRegressor(units=units, epochs=EPOCHS, random_state=0)

    def walk(n_splits: int) -> float:
        began = time.perf_counter()
        walk_forward_predict(model, X, y, cv=WalkForwardSplit(N_TRAIN, n_splits=n_splits), progress=False)
        return time.perf_counter() - began

    walk(min(4, windows))
    return statistics.median(walk(windows) for _ in range(n_rounds))


def draw(table: pd.DataFrame, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.2), layout="constrained")
    for ax, (name, part) in zip(figure.subplots(1, len(SIZES)), table.groupby("varied", sort=False), strict=True):
        slope, start = np.polyfit(part["size"], part["seconds"], 1)
        ends = np.array([0, part["size"].max()])
        ax.plot(ends, start + slope * ends, color="0.7", label="straight line")
        ax.plot(part["size"], part["seconds"], "o", color="C0", label="measured")
        ax.set(xlim=0, ylim=0, xlabel=name)
        ax.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("Seconds")
    figure.axes[0].legend(frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plot", type=Path, help="picture to write, such as cost.png")
    arguments = parser.parse_args()
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}; {EPOCHS} epochs; around {BASE}\n")
    lines: list[dict[str, Any]] = []
    for name, sizes in SIZES.items():
        for size in sizes:
            spent = seconds(**BASE | {name: size}, n_rounds=arguments.rounds)
            lines.append({"varied": name, "size": size, "seconds": spent, "ms for each": 1000 * spent / size})
            print(f"{name:8s}{size:8,d}{spent:10.2f} s{1000 * spent / size:12.3f} ms for each", flush=True)
        own = [line for line in lines if line["varied"] == name]
        power = np.polyfit(np.log([line["size"] for line in own]), np.log([line["seconds"] for line in own]), 1)[0]
        print(f"{name:8s}   power {power:.2f}\n", flush=True)
    if arguments.plot:
        draw(pd.DataFrame(lines), arguments.plot)


if __name__ == "__main__":
    main()
