"""Time of the 16 descriptors against pandas groupby-apply, and of ILLIQ from daily bars: medians of several runs.

Simulated are monthly bars with quarterly reports that became public 20 to 79 days after the quarter, and daily bars
for ILLIQ. The pandas code does the same by one function for a stock that ``groupby().apply()`` calls, with
``rolling(4).sum()`` over quarters and ``merge_asof`` for what was public. Its windows of 60 months come in two ways:
with the compiled statistics of pandas, and with functions of one window, as ``rolling().apply()`` calls them. Both run
on a slice of the stocks, are scaled up by their number, and must agree with skdrfm on the slice. They are spared what
skdrfm does besides: gaps in the calendar, amended reports, year-to-date figures and the checks of the inputs.
"""

import argparse
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pandas as pd

from skdrfm.descriptors import compute_descriptors

BAR = 50
DAILY_ROWS_OF_60_YEARS = 240_000_000
DAYS_A_MONTH = 21


def index_of(dates: pd.DatetimeIndex, n_assets: int) -> pd.MultiIndex:
    assets = [f"S{k:04d}" for k in range(n_assets)]
    return pd.MultiIndex.from_product([dates, assets], names=["date", "asset"])


def simulate_bars(dates: pd.DatetimeIndex, n_assets: int, volatility: float, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    shape = len(dates), n_assets
    growth = np.exp(rng.normal(0, volatility, shape))
    bars = {
        "adj_close": 20 * np.cumprod(growth, axis=0),
        "close": 20 * np.exp(rng.normal(0, 0.3, shape)),
        "volume": np.where(rng.random(shape) < 0.01, 0.0, np.exp(rng.normal(12, 1, shape))),
        "shares": np.exp(rng.normal(17, 1, shape)),
    }
    return pd.DataFrame({name: values.ravel() for name, values in bars.items()}, index=index_of(dates, n_assets))


def simulate_reports(dates: pd.DatetimeIndex, n_assets: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    ends = dates[dates.month % 3 == 0]
    index = index_of(ends, n_assets)
    reports = pd.DataFrame({"asset": index.get_level_values("asset"), "period_end": index.get_level_values("date")})
    reports["available"] = reports["period_end"] + pd.to_timedelta(rng.integers(20, 80, len(reports)), unit="D")
    for item in ("sales", "operating_profit", "net_income", "operating_cash_flow"):
        reports[item] = rng.normal(1e8, 3e7, len(reports))
    for item in ("total_assets", "total_liabilities", "net_assets"):
        reports[item] = np.exp(rng.normal(21, 0.2, len(reports)))
    return reports


def compiled_windows(r: pd.Series, market: pd.Series) -> dict[str, pd.Series]:
    log_growth = np.log1p(r)
    long = r.rolling(60, min_periods=24)
    x = market.where(r.notna())
    return {
        "60VOL": long.std(),
        "BETA": long.cov(x) / x.rolling(60, min_periods=24).var(),
        "SKEW": long.skew(),
        "12-1MOM": np.expm1(log_growth.rolling(11).sum().shift(1)),
        "60MOM": np.expm1(log_growth.rolling(60).sum()),
    }


def functions_of_windows(r: pd.Series, market: pd.Series) -> dict[str, pd.Series]:
    def slope(last: int) -> float:
        y, x = r.to_numpy()[max(0, last - 59) : last + 1], market.to_numpy()[max(0, last - 59) : last + 1]
        x, y = x[~np.isnan(y)], y[~np.isnan(y)]
        return np.cov(x, y)[0, 1] / np.var(x, ddof=1) if len(y) >= 24 else np.nan

    def skewness(window: np.ndarray) -> float:
        window = window[~np.isnan(window)]
        n, deviation = len(window), window - window.mean()
        return n / ((n - 1) * (n - 2)) * np.sum((deviation / np.std(window, ddof=1)) ** 3)

    long = r.rolling(60, min_periods=24)
    return {
        "60VOL": long.apply(lambda window: np.nanstd(window, ddof=1), raw=True),
        "BETA": pd.Series([slope(t) for t in range(len(r))], index=r.index),
        "SKEW": long.apply(skewness, raw=True),
        "12-1MOM": (1 + r).rolling(11).apply(np.prod, raw=True).shift(1) - 1,
        "60MOM": (1 + r).rolling(60).apply(np.prod, raw=True) - 1,
    }


Windows = Callable[[pd.Series, pd.Series], dict[str, pd.Series]]


def pandas_descriptors(
    bars: pd.DataFrame, reports: pd.DataFrame, market: pd.Series, windows: Windows = compiled_windows
) -> pd.DataFrame:
    """All descriptors by ``groupby().apply()``, as one writes it by hand."""
    flows = ["sales", "operating_profit", "net_income", "operating_cash_flow"]
    of_asset = dict(list(reports.sort_values("period_end").groupby("asset")))

    def of_one_stock(stock: pd.DataFrame) -> pd.DataFrame:
        own = of_asset[stock.index.get_level_values("asset")[0]]
        stock = stock.droplevel("asset")
        own = own.assign(**{flow: own[flow].rolling(4).sum() for flow in flows})
        # A report that became public after a newer one is never the newest.
        own = own.sort_values(["available", "period_end"])
        own = own[own["period_end"] == own["period_end"].cummax()]
        known = pd.merge_asof(stock[[]].reset_index(), own, left_on="date", right_on="available").set_index("date")
        r = stock["adj_close"] / stock["adj_close"].shift(1) - 1
        dollar_volume = stock["close"] * stock["volume"]
        illiq = r.abs() / dollar_volume.where(dollar_volume > 0)
        value = stock["shares"] * stock["close"]
        equity = known["net_assets"].where(known["net_assets"] > 0)
        out = windows(r, market) | {
            "ROE": known["net_income"] / equity,
            "ROA": known["operating_profit"] / known["total_assets"],
            "ACCRUALS": (known["operating_cash_flow"] - known["operating_profit"]) / known["total_assets"],
            "LEVERAGE": known["total_liabilities"] / known["total_assets"],
            "1MOM": r,
            "PSR": known["sales"] / value,
            "PER": known["net_income"] / value,
            "PBR": equity / value,
            "PCFR": known["operating_cash_flow"] / value,
            "CAP": np.log(value),
            "ILLIQ": illiq.rolling(12, min_periods=6).mean(),
        }
        return pd.DataFrame(out)

    return bars.groupby(level="asset").apply(of_one_stock)


def pandas_illiquidity(bars: pd.DataFrame) -> pd.DataFrame:
    def of_one_stock(stock: pd.DataFrame) -> pd.DataFrame:
        stock = stock.droplevel("asset")
        change = (stock["adj_close"] / stock["adj_close"].shift(1) - 1).abs()
        dollar_volume = stock["close"] * stock["volume"]
        monthly = (change / dollar_volume.where(dollar_volume > 0)).resample("ME").mean()
        return monthly.rolling(12, min_periods=6).mean().to_frame("ILLIQ")

    return bars.groupby(level="asset").apply(of_one_stock)


def first_assets(table: pd.DataFrame, n_assets: int, n_all: int) -> pd.DataFrame:
    """Rows of the first assets of a full panel that is sorted by date, then asset."""
    place = np.arange(len(table)) % n_all
    part = table[place < n_assets]
    if isinstance(part.index, pd.MultiIndex):
        part.index = part.index.remove_unused_levels()
    return part


def check_agreement(ours: pd.DataFrame, theirs: pd.DataFrame) -> float:
    """Largest difference relative to the size of the descriptor; NaN must match NaN."""
    theirs = theirs.swaplevel().reindex(ours.index)[list(ours.columns)]
    if not (ours.isna() == theirs.isna()).all(axis=None):
        raise SystemExit(f"NaN do not agree in {list(ours.columns[(ours.isna() != theirs.isna()).any()])}")
    worst = float(((ours - theirs).abs() / theirs.abs().median()).max().max())
    if worst > 1e-6:
        raise SystemExit(f"The two differ by {worst:g} of the size of the descriptor")
    return worst


def in_turn(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each work; rounds in turn, so that other load on the machine meets all of them alike."""
    spent: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            spent[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in spent.items()}


def peak_gib(work: Callable[[], object]) -> float:
    """Peak of what NumPy and Python allocate, in GiB."""
    tracemalloc.start()
    work()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 2**30


def show(label: str, seconds: float, rows: int) -> None:
    print(f"{label:56s}{seconds:10.2f} s{1e9 * seconds / rows:10.0f} ns a row")


def monthly_part(arguments: argparse.Namespace) -> None:
    n_assets, n_months, n_slice = arguments.stocks, arguments.months, min(arguments.slice, arguments.stocks)
    dates = pd.date_range("1965-01-31", periods=n_months, freq="ME")
    bars = simulate_bars(dates, n_assets, 0.1, seed=0)
    reports = simulate_reports(dates, n_assets, seed=1)
    market = pd.Series(np.random.default_rng(2).normal(0.005, 0.04, n_months), index=dates)
    half = first_assets(bars, n_assets // 2, n_assets), first_assets(reports, n_assets // 2, n_assets), market
    part = first_assets(bars, n_slice, n_assets), first_assets(reports, n_slice, n_assets), market
    n_few = max(2, n_slice // 10)
    few = first_assets(bars, n_few, n_assets), first_assets(reports, n_few, n_assets), market
    print(f"{n_assets:,} stocks x {n_months} months = {len(bars):,} rows, {len(reports):,} reports, 16 descriptors\n")

    spent = in_turn(
        {
            "whole": lambda: compute_descriptors(bars, reports, market),
            "half": lambda: compute_descriptors(*half),
            "pandas": lambda: pandas_descriptors(*part),
            "functions": lambda: pandas_descriptors(*few, functions_of_windows),
        },
        arguments.rounds,
    )
    worst = max(
        check_agreement(compute_descriptors(*part), pandas_descriptors(*part)),
        check_agreement(compute_descriptors(*few), pandas_descriptors(*few, functions_of_windows)),
    )
    compiled, functions = spent["pandas"] * n_assets / n_slice, spent["functions"] * n_assets / n_few
    show("skdrfm", spent["whole"], len(bars))
    show("skdrfm, half the stocks", spent["half"], len(half[0]))
    show(f"pandas groupby-apply, compiled windows ({n_slice} stocks)", compiled, len(bars))
    show(f"pandas groupby-apply, rolling().apply ({n_few} stocks)", functions, len(bars))
    print(f"\nRatio to compiled windows: {compiled / spent['whole']:.0f} x (bar: {BAR} x)")
    print(f"Ratio to rolling().apply: {functions / spent['whole']:.0f} x")
    print(f"Cost of twice the rows: {spent['whole'] / spent['half']:.2f} x (linear: 2)")
    print(f"Largest difference to pandas: {worst:.1e} of the median size of a descriptor")
    print(f"Peak memory beyond the inputs: {peak_gib(lambda: compute_descriptors(bars, reports, market)):.2f} GiB")


def daily_part(arguments: argparse.Namespace) -> None:
    dates = pd.bdate_range("1997-01-01", periods=240 * DAYS_A_MONTH)
    n_assets = max(2, arguments.daily_rows // len(dates))
    bars = simulate_bars(dates, n_assets, 0.02, seed=3)[["adj_close", "close", "volume"]]
    half = first_assets(bars, n_assets // 2, n_assets)
    n_slice = min(20, n_assets)
    part = first_assets(bars, n_slice, n_assets)
    print(f"\nILLIQ from {len(bars):,} daily bars ({n_assets:,} stocks x {len(dates):,} days)\n")

    def ours(table: pd.DataFrame) -> pd.DataFrame:
        return compute_descriptors(table, names=["ILLIQ"])

    spent = in_turn(
        {"whole": lambda: ours(bars), "half": lambda: ours(half), "pandas": lambda: pandas_illiquidity(part)},
        arguments.rounds,
    )
    check_agreement(ours(part), pandas_illiquidity(part))
    scaled = spent["pandas"] * n_assets / n_slice
    times = DAILY_ROWS_OF_60_YEARS / len(bars)
    show("skdrfm", spent["whole"], len(bars))
    show("skdrfm, half the stocks", spent["half"], len(half))
    show("pandas groupby-apply, scaled to all", scaled, len(bars))
    show(f"skdrfm, estimated for {DAILY_ROWS_OF_60_YEARS:,} rows", spent["whole"] * times, DAILY_ROWS_OF_60_YEARS)
    print(f"\nRatio: {scaled / spent['whole']:.1f} x; cost of twice the rows: {spent['whole'] / spent['half']:.2f} x")
    peak = peak_gib(lambda: ours(bars))
    print(f"Peak memory beyond the bars: {peak:.2f} GiB, {2**30 * peak / len(bars):.0f} bytes a row")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stocks", type=int, default=3_000)
    parser.add_argument("--months", type=int, default=600)
    parser.add_argument("--slice", type=int, default=100, help="stocks on which pandas is measured")
    parser.add_argument("--daily-rows", type=int, default=5_000_000, help="0 leaves the daily part out")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{len(os.sched_getaffinity(0))} cores, medians of {arguments.rounds} rounds\n")
    monthly_part(arguments)
    if arguments.daily_rows:
        daily_part(arguments)


if __name__ == "__main__":
    main()
