"""Peak memory of walking a lagged panel window by window, against stacking all its lags first.

Simulated are 60 years of months; stocks enter and leave. Each run is a process of its own, and its peak is what the
operating system counts (``ru_maxrss``), the interpreter and the libraries included. A run makes the descriptors, puts
the lags on, and walks linear models over windows of 60 months with a checkpoint, by default every 60th window. Both
ways are measured on a smaller panel, where their predictions must agree bit for bit, and the lagged one at full size,
where the stacked one is computed.
"""

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
import pandas as pd

from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.model_selection import WalkForwardSplit, walk_forward_predict
from skdrfm.panel import LaggedPanel, stack_lags
from skdrfm.panel._lags import PAPER_LAGS

N_MONTHS, LIFE, WINDOW = 720, 240, 60
BAR = 16.0  # GiB


def make_panel(n_rows: int, n_descriptors: int, dtype: str) -> tuple[pd.DataFrame, "pd.Series[float]"]:
    """Rows sorted by date; each stock lives for 20 years. No value is made twice."""
    n_assets = n_rows // LIFE
    rng = np.random.default_rng(0)
    first = rng.integers(0, N_MONTHS - LIFE + 1, n_assets)
    months = (first[:, None] + np.arange(LIFE)).ravel()
    order = np.argsort(months, kind="stable")
    index = pd.MultiIndex(
        levels=[pd.date_range("1960-01-31", periods=N_MONTHS, freq="ME"), pd.RangeIndex(n_assets)],
        codes=[months[order], np.repeat(np.arange(n_assets), LIFE)[order]],
        names=["date", "asset"],
        verify_integrity=False,
    )
    values = np.empty((n_descriptors, len(index)), dtype=dtype)
    for row in values:
        rng.standard_normal(out=row, dtype=row.dtype)
    names = [f"D{j}" for j in range(n_descriptors)]
    return (
        pd.DataFrame(values.T, index=index, columns=names, copy=False),
        pd.Series(0.1 * rng.standard_normal(len(index)), index=index, name="forward_return"),
    )


def peak() -> float:
    """Most memory that this process has held so far, in GiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def walk(way: str, n_rows: int, n_descriptors: int, dtype: str, step: int) -> dict[str, object]:
    """One run: peaks after each stage, seconds, and a hash of the predictions."""
    start = time.perf_counter()
    figures: dict[str, object] = {"started": peak()}
    X, y = make_panel(n_rows, n_descriptors, dtype)
    figures["descriptors"] = peak()
    made = time.perf_counter()
    if way == "lagged":
        panel = LaggedPanel(X)
        y = panel.align(y)
    else:
        panel, y = stack_lags(X, y)
    del X
    figures |= {"lags": peak(), "lag_seconds": time.perf_counter() - made, "shape": panel.shape}
    walked = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        result = walk_forward_predict(
            LinearFactorRegressor(),
            panel,
            y,
            cv=WalkForwardSplit(WINDOW, step=step),
            checkpoint=folder,
            progress=False,
        )
    done = time.perf_counter()
    return figures | {
        "peak": peak(),
        "windows": len(result.windows),
        "window_rows": int(result.windows["train_rows"].max()),
        "walk_seconds": done - walked,
        "seconds": done - start,
        "predictions": hashlib.sha256(result.predictions.to_numpy().tobytes()).hexdigest(),
    }


def measure(way: str, arguments: argparse.Namespace, n_rows: int) -> dict[str, object]:
    """Run in a fresh process, so that one peak does not hide another."""
    options = [f"--run={way}", f"--rows={n_rows}", f"--descriptors={arguments.descriptors}"]
    options += [f"--dtype={arguments.dtype}", f"--step={arguments.step}"]
    done = subprocess.run([sys.executable, __file__, *options], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def stacked_size(shape: list[int], dtype: str) -> float:
    """GiB of the values of the stacked panel alone."""
    return shape[0] * shape[1] * np.dtype(dtype).itemsize / 2**30


def show(way: str, n_rows: int, figures: dict[str, object], dtype: str) -> None:
    print(
        f"{n_rows:>11,}  {way:8s}{stacked_size(figures['shape'], dtype):>9.2f}{figures['descriptors']:>13.2f}"
        f"{figures['lags']:>7.2f}{figures['peak']:>7.2f}{figures['lag_seconds']:>8.1f}{figures['walk_seconds']:>8.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3_700_000)
    parser.add_argument("--small-rows", type=int, default=400_000, help="Rows of the panel that is also stacked.")
    parser.add_argument("--descriptors", type=int, default=94)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--step", type=int, default=60, help="Months from one walked window to the next.")
    parser.add_argument("--run", choices=["lagged", "stacked"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        print(json.dumps(walk(arguments.run, arguments.rows, arguments.descriptors, arguments.dtype, arguments.step)))
        return
    small = min(arguments.small_rows, arguments.rows)
    print(f"{N_MONTHS} months x {arguments.descriptors} descriptors x {len(PAPER_LAGS)} lags, {arguments.dtype},")
    print(f"windows of {WINDOW} months, every {arguments.step}th walked; memory in GiB, peaks of the whole process\n")
    print(f"{'':>11}  {'':8s}{'lags as':>9}{'peak after':>13}{'after':>7}{'after':>7}{'seconds':>8}{'seconds':>8}")
    print(f"{'rows':>11}  {'way':8s}{'values':>9}{'descriptors':>13}{'lags':>7}{'walk':>7}{'lags':>8}{'walk':>8}")
    runs = {way: measure(way, arguments, small) for way in ("lagged", "stacked")}
    for way, figures in runs.items():
        show(way, small, figures, arguments.dtype)
    if runs["lagged"]["predictions"] != runs["stacked"]["predictions"]:
        raise SystemExit("The two ways must predict alike, bit for bit. They did not.")
    full = runs["lagged"] if small == arguments.rows else measure("lagged", arguments, arguments.rows)
    show("lagged", arguments.rows, full, arguments.dtype)
    per_value = (runs["stacked"]["peak"] - runs["stacked"]["started"]) / stacked_size(
        runs["stacked"]["shape"], arguments.dtype
    )
    estimate = per_value * stacked_size(full["shape"], arguments.dtype) + full["started"]
    print(f"\nStacked, {arguments.rows:,} rows: about {estimate:.1f} GiB at the peak measured for {small:,} rows")
    print(f"Lagged, {arguments.rows:,} rows: {full['peak']:.1f} GiB (bar: below {BAR:g}), {full['windows']} windows of")
    print(f"up to {full['window_rows']:,} rows, {full['seconds']:.0f} s in all")


if __name__ == "__main__":
    main()
