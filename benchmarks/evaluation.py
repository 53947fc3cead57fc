"""Long/short scores, quantile returns and walk-forward windows on 3.7 million rows, against alphalens and pandas.

The panel has 5,139 names on each of 720 dates, sorted by date and name. A model that returns stored scores makes the
scorer's figure its own time. Each round starts from a new index, since pandas keeps what it once found out about one.
All figures of a part come from the same run, rounds in turn, and must agree.

The windows are those of 60 training dates and one test date. ``np.isin`` per window is measured on some windows spread
over the panel and scaled up to all of them, which its cost allows: it looks at each row once for every window.
"""

import argparse
import contextlib
import io
import os
import statistics
import time
import tracemalloc
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.metrics import quantile_returns
from skdrfm.model_selection import WalkForwardSplit
from skdrfm.scoring import make_quantile_scorer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from alphalens.performance import mean_return_by_quantile
    from alphalens.utils import get_clean_factor

BAR = 20
AGREEMENT_DATES = 20
NAMES = 5_139
WINDOWS, TRAIN_DATES = 720, 60

Panel = tuple["pd.Series[Any]", "pd.Series[Any]"]


class StoredScores:
    """A fitted model without a cost."""

    def __init__(self, scores: "pd.Series[Any]") -> None:
        self.scores = scores.to_numpy()

    def predict(self, X: Any) -> np.ndarray:
        """Return what is stored."""
        return self.scores


def make_index(n_dates: int) -> pd.MultiIndex:
    dates = pd.date_range("1957-01", periods=n_dates, freq="ME")
    return pd.MultiIndex.from_product([dates, np.arange(NAMES)], names=["date", "asset"])


def make_panel(n_dates: int) -> Panel:
    """Forward returns, and scores that know a little of them."""
    rng = np.random.default_rng(0)
    index = make_index(n_dates)
    returns = rng.normal(0, 0.1, len(index))
    scores = 0.5 * returns + rng.normal(size=len(index))
    return pd.Series(returns, index=index), pd.Series(scores, index=index)


def with_new_index(panel: Panel) -> Panel:
    index = panel[0].index
    own = pd.MultiIndex(index.levels, index.codes, names=index.names, verify_integrity=False)
    return pd.Series(panel[0].to_numpy(), index=own), pd.Series(panel[1].to_numpy(), index=own)


def scorer(returns: "pd.Series[Any]", scores: "pd.Series[Any]") -> float:
    return make_quantile_scorer("mean_return")(StoredScores(scores), None, returns)


def quantiles(returns: "pd.Series[Any]", scores: "pd.Series[Any]") -> pd.DataFrame:
    return quantile_returns(returns, scores)


def alphalens(returns: "pd.Series[Any]", scores: "pd.Series[Any]") -> pd.DataFrame:
    with contextlib.redirect_stdout(io.StringIO()):
        clean = get_clean_factor(scores, returns.to_frame("30D"), quantiles=5)
    means, _ = mean_return_by_quantile(clean, by_date=True, demeaned=False)
    return means["30D"].unstack("factor_quantile")


def pandas(returns: "pd.Series[Any]", scores: "pd.Series[Any]") -> pd.DataFrame:
    quantile = scores.groupby(level="date").transform(lambda date: pd.qcut(date, 5, labels=False) + 1)
    return returns.groupby([returns.index.get_level_values("date"), quantile]).mean().unstack()


def check_agreement(panel: Panel) -> float:
    """Largest difference between the ways, on the first dates.

    5,139 names are no multiple of 5, so ``qcut`` gives some quantiles a name more; the dates are cut to a multiple.
    """
    index = panel[0].index
    first = index.get_level_values("date").isin(index.unique("date")[:AGREEMENT_DATES])
    kept = first & (index.get_level_values("asset") < NAMES // 5 * 5)
    part = panel[0][kept], panel[1][kept]
    ours = quantiles(*part)
    worst = max(float(np.abs(ours.to_numpy() - way(*part).to_numpy()).max()) for way in (alphalens, pandas))
    worst = max(worst, abs(scorer(*part) - float((ours[5] - ours[1]).mean())))
    if worst > 1e-12:
        raise SystemExit(f"The ways differ by {worst:g}")
    return worst


def in_turn(works: dict[str, Callable[[], Callable[[], object]]], rounds: int) -> dict[str, float]:
    """Median seconds of each work; its preparation, which returns the work, is not counted."""
    spent: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, prepare in works.items():
            work = prepare()
            start = time.perf_counter()
            work()
            spent[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in spent.items()}


def show(label: str, seconds: float, ours: float | None = None) -> None:
    ratio = "" if ours is None else f"{seconds / ours:10.1f} x"
    print(f"{label:52s}{seconds:10.3f} s{ratio}")


def quantile_part(n_dates: int, rounds: int) -> None:
    panel = make_panel(n_dates)
    print(f"{len(panel[0]):,} rows = {n_dates} dates x {NAMES:,} names, quintiles (bar: {BAR} x)\n")
    worst = check_agreement(panel)

    def on_new_index(way: Callable[..., object]) -> Callable[[], Callable[[], object]]:
        def prepare() -> Callable[[], object]:
            part = with_new_index(panel)
            return lambda: way(*part)

        return prepare

    ways = {way.__name__: on_new_index(way) for way in (scorer, quantiles, alphalens, pandas)}
    spent = in_turn(ways, rounds)
    show("make_quantile_scorer", spent["scorer"])
    show("quantile_returns", spent["quantiles"])
    for ours in ("scorer", "quantiles"):
        against = {"scorer": "make_quantile_scorer", "quantiles": "quantile_returns"}[ours]
        show(f"alphalens, against {against}", spent["alphalens"], spent[ours])
        show(f"pandas qcut and groupby, against {against}", spent["pandas"], spent[ours])
    compared = min(n_dates, AGREEMENT_DATES)
    print(f"\nLargest difference on {compared} dates of equal quintiles: {worst:.1e}")


def isin_windows(dates: np.ndarray, distinct: np.ndarray, windows: range) -> list[tuple[np.ndarray, np.ndarray]]:
    splits = []
    for first in windows:
        train = np.flatnonzero(np.isin(dates, distinct[first : first + TRAIN_DATES]))
        test = np.flatnonzero(np.isin(dates, distinct[first + TRAIN_DATES : first + TRAIN_DATES + 1]))
        splits.append((train, test))
    return splits


def window_part(n_windows: int, measured: int, rounds: int) -> None:
    index = make_index(n_windows + TRAIN_DATES)
    X = pd.DataFrame({"score": np.zeros(len(index), dtype=np.float32)}, index=index)
    dates = index.get_level_values("date").to_numpy()
    distinct = np.unique(dates)
    cv = WalkForwardSplit(TRAIN_DATES, 1)
    some = range(0, n_windows, max(1, n_windows // measured))
    print(f"\n{n_windows} windows of {TRAIN_DATES} + 1 dates over {len(X):,} rows (bar: {BAR} x)\n")

    ours = list(cv.split(X))
    if len(ours) != n_windows:
        raise SystemExit(f"Got {len(ours)} windows")
    for first, theirs in zip(some, isin_windows(dates, distinct, some), strict=True):
        if not all(np.array_equal(mine, other) for mine, other in zip(ours[first], theirs, strict=True)):
            raise SystemExit(f"Window {first} differs")
    n_positions = sum(len(train) + len(test) for train, test in ours)
    del ours

    def consume() -> None:
        for _ in cv.split(X):
            pass

    spent = in_turn(
        {"ours": lambda: consume, "isin": lambda: lambda: isin_windows(dates, distinct, some)},
        rounds,
    )
    show("WalkForwardSplit", spent["ours"])
    show(f"np.isin ({len(some)} windows measured)", spent["isin"] * n_windows / len(some), spent["ours"])
    tracemalloc.start()
    consume()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    largest = 8 * n_positions / n_windows / 2**20
    print(
        f"\nPeak memory of the split: {peak / 2**20:,.0f} MiB. One whole number for each row takes "
        f"{8 * len(X) / 2**20:,.0f} MiB, the\npositions of one window {largest:,.1f} MiB. No row of X is read or "
        "copied, however many columns it has."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dates", type=int, default=720, help="dates of the panel of the first part")
    parser.add_argument("--windows", type=int, default=WINDOWS, help="0 leaves the second part out")
    parser.add_argument("--measured", type=int, default=12, help="windows on which np.isin is measured")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(
        f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}, medians of {arguments.rounds} rounds\n"
    )
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    quantile_part(arguments.dates, arguments.rounds)
    if arguments.windows:
        window_part(arguments.windows, arguments.measured, arguments.rounds)


if __name__ == "__main__":
    main()
