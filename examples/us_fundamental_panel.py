"""
All 16 descriptors of US stocks from bars and reports
=====================================================

Builds the panel of the 16 descriptors of Nakagawa et al. (2019, Table 1) for 189 US stocks, 2000 to 2016, from daily
bars, quarterly reports and the market factor of Fama and French, each value as it was known at the end of its month.
The file can be given to ``skdrfm study --data``.

What goes in and how:

* **Bars** are on the split and dividend basis of a later year. Their levels contain the future, their ratios do not,
  so prices enter through returns, through dollar volume (splits cancel), and through market value.
* **Reports** are one row for each company and quarter, without the day of publication: they count from three months
  after the end of the quarter. They have no operating profit, so net income stands in for it in ROA and ACCRUALS. A
  zero means "not reported". Where two companies are listed under one ticker (PLD), its reports are left out.
* **Market value**: the shares of the reports are on another split basis than the bars. The link file gives the
  ratio of both price levels, one number for each stock; shares divided by it are on the basis of the bars.
* **Market**: the column Mkt-RF, in percent in the file, in decimals once read.

What the data cannot give: only companies that still existed years later are in it. This **survivorship bias** lifts the
level of all returns and every size, value and liquidity premium. Compare models with each other on it; believe no level
of return.

Run it with::

    python examples/us_fundamental_panel.py --data ../shared/data --out runs/us_fundamental_panel.parquet
    skdrfm study --data runs/us_fundamental_panel.parquet --start 2009-01 --end 2016-12 --out runs/us_fundamental
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.datasets import read_bars, read_fama_french, read_fundamentals
from skdrfm.descriptors import DESCRIPTORS, compute_descriptors
from skdrfm.exceptions import PanelFileError
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.inspection import LeakageReport, audit_leakage
from skdrfm.model_selection import WalkForwardSplit
from skdrfm.panel import forward_returns
from skdrfm.preprocessing import CrossSectionalRankScaler
from skdrfm.utils._optional import import_optional
from skdrfm.utils.validation import describe_first

BARS_FILE = "us_daily/us_daily_2000_2016.csv.gz"
REPORTS_FILE = "us_fundamentals_quarterly/stockpup_quarterly_1993_2016.csv.gz"
LINK_FILE = "us_fundamentals_quarterly/link_to_us_daily.csv"
MARKET_FILE = "ff_factors/ff3_monthly_1926_2023.csv.gz"
SNAPSHOTS_FILE = "us_valuation_snapshots/keystats_2003_2013.csv.gz"

# A link is trusted where the ratio of both price levels hardly moves between its quarters.
LARGEST_SPREAD = 0.1

# %%
# Reading
# -------


def load_link(data_dir: Path) -> "pd.Series[float]":
    """Read the ratio of the price level of the bars to that of the reports, for the stocks where it is stable."""
    link = pd.read_csv(data_dir / LINK_FILE, dtype={"ticker": str}, keep_default_na=False)
    stable = (link["q75"] - link["q25"]) / link["price_ratio"] < LARGEST_SPREAD
    return link[stable].set_index("ticker")["price_ratio"]


def load_bars(data_dir: Path, assets: Sequence[str]) -> pd.DataFrame:
    """Read daily bars of the linked stocks: close, adjusted close and volume."""
    bars = read_bars(data_dir / BARS_FILE, assets=assets)
    return bars[["close", "adj_close", "volume"]]


def load_reports(data_dir: Path, price_ratio: "pd.Series[float]") -> pd.DataFrame:
    """Read quarterly reports of the linked stocks, with shares on the split basis of the bars."""
    reports = read_fundamentals(
        data_dir / REPORTS_FILE,
        layout="wide",
        zero_is_missing=True,
        ambiguous="drop_asset",
        assets=list(price_ratio.index),
    )
    reports["operating_profit"] = reports["net_income"]  # a stand-in: the file has no operating profit
    reports["shares"] /= price_ratio.reindex(reports["asset"]).to_numpy()
    return reports


def build_panel(data_dir: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Compute the panel.

    Parameters
    ----------
    data_dir : Path
        Folder of the data.

    Returns
    -------
    panel : DataFrame of shape (n_rows, 17), indexed by (date, asset)
        The 16 descriptors and ``return``, the decimal return of the month that ends at the date.
    counts : dict
        What was read, dropped and missing.
    """
    price_ratio = load_link(data_dir)
    bars = load_bars(data_dir, list(price_ratio.index))
    reports = load_reports(data_dir, price_ratio)
    market = read_fama_french(data_dir / MARKET_FILE)["Mkt-RF"]
    panel = compute_descriptors(bars, reports, market)
    counts = {
        "linked stocks": len(price_ratio),
        **{f"bars: {name}": count for name, count in bars.attrs.get("read_bars", {}).items()},
        **{f"reports: {name}": count for name, count in reports.attrs.get("read_fundamentals", {}).items()},
        **{f"panel: {name}": count for name, count in panel.attrs["compute_descriptors"].items()},
    }
    return panel.assign(**{"return": panel["1MOM"]}), counts


# %%
# An independent check
# --------------------
# Another source lists price/book, price/sales, price/earnings and market value of the same stocks on irregular days.
# Its columns with price changes look a year ahead; only the four columns needed are read.


def load_snapshots(data_dir: Path) -> pd.DataFrame:
    """Read the four valuation figures of the snapshots, by month and asset; the last snapshot of a month counts."""
    figures = {"Market Cap": "CAP", "Price/Sales": "PSR", "Price/Book": "PBR", "Trailing P/E": "PER"}
    table = pd.read_csv(
        data_dir / SNAPSHOTS_FILE,
        usecols=["Date", "Ticker", *figures],
        dtype={"Ticker": str},
        keep_default_na=False,
        na_values={name: ["", "N/A"] for name in figures},
        parse_dates=["Date"],
    )
    # Snapshots are of irregular days; each is compared with the end of its month.
    month_end = table["Date"].dt.to_period("M").dt.to_timestamp(how="end").dt.normalize()
    table = table.assign(date=month_end, asset=table["Ticker"].str.upper()).sort_values("Date")
    table = table.drop_duplicates(["date", "asset"], keep="last").set_index(["date", "asset"])
    return table[list(figures)].rename(columns=figures)


def compare_with_snapshots(panel: pd.DataFrame, snapshots: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation with the snapshots and median ratio to them, over all common months and stocks."""
    ours = panel[list(snapshots.columns)].reindex(snapshots.index)
    theirs = pd.DataFrame(
        {
            "CAP": snapshots["CAP"],
            **{name: 1 / snapshots[name].where(snapshots[name] > 0) for name in ("PSR", "PBR", "PER")},
        }
    )
    rows = {}
    for name in theirs:
        mine = np.exp(ours[name]) if name == "CAP" else ours[name]
        both = mine.notna() & theirs[name].notna()
        rows[name] = {
            "rank correlation": mine[both].corr(theirs.loc[both, name], method="spearman"),
            "median ratio": (mine[both] / theirs.loc[both, name]).median(),
            "months and stocks": int(both.sum()),
        }
    return pd.DataFrame(rows).T


# %%
# An audit
# --------
# The panel is ranked, walked by a linear model, and searched for leaks. One sign must be found: no stock ever leaves.


def audit(panel: pd.DataFrame) -> LeakageReport:
    """Search the ranked panel and a linear model on it for leaks."""
    X = CrossSectionalRankScaler(missing="zero").fit_transform(panel[list(DESCRIPTORS)])
    return audit_leakage(LinearFactorRegressor(), X, forward_returns(panel["return"]), cv=WalkForwardSplit(60))


# %%
# A look at the result
# --------------------


def report(panel: pd.DataFrame, counts: dict[str, Any], comparison: pd.DataFrame | None) -> str:
    """Describe the panel: what was dropped, coverage by year, and the comparison with the snapshots."""
    years = panel.index.get_level_values("date").year
    coverage = panel[list(DESCRIPTORS)].notna().groupby(years).mean()
    late = panel[(years >= 2005) & (years <= 2016)]
    sizes = panel.groupby(level="date").size()
    lines = [
        f"{name}: {count}" for name, count in counts.items() if count and not name.endswith(("columns", "n_files"))
    ]
    lines += [
        f"stocks by month: {sizes.iloc[0]} in {sizes.index[0]:%Y-%m} to {sizes.iloc[-1]} in {sizes.index[-1]:%Y-%m}",
        f"\nShare of known values, 2005 to 2016\n{late[list(DESCRIPTORS)].notna().mean().round(3).to_string()}",
        f"\nShare of known values by year\n{coverage.round(2).T.to_string()}",
    ]
    if comparison is not None:
        lines.append(f"\nAgainst the snapshots of another source\n{comparison.round(3).to_string()}")
    return "\n".join(lines)


def default_data_dir() -> Path | None:
    """Folder of the data: the environment variable SKDRFM_DATA, else ../shared/data beside the repository."""
    if os.environ.get("SKDRFM_DATA"):
        return Path(os.environ["SKDRFM_DATA"])
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return beside if beside.is_dir() else None


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Build the panel of the 16 descriptors of US stocks.")
    parser.add_argument("--data", type=Path, default=default_data_dir(), metavar="DIR", help="folder of the data")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="panel to write, .csv or .parquet")
    options = parser.parse_args(arguments)
    if options.data is None:
        parser.error("no data folder found: pass --data DIR or set the environment variable SKDRFM_DATA")
    if options.out.suffix not in (".csv", ".parquet"):
        parser.error(f"--out must end in .csv or .parquet, got {options.out.name!r}")
    needed = [BARS_FILE, REPORTS_FILE, LINK_FILE, MARKET_FILE]
    absent = [name for name in needed if not (options.data / name).is_file()]
    if absent:
        parser.error(f"the data folder {options.data} must hold {', '.join(needed)}; missing: {describe_first(absent)}")
    try:
        panel, counts = build_panel(options.data)
    except PanelFileError as error:
        parser.error(str(error))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    if options.out.suffix == ".parquet":
        import_optional("pyarrow", extra="parquet", purpose="write Parquet files")
        panel.reset_index().to_parquet(options.out, index=False)
    else:
        panel.to_csv(options.out)
    snapshots = options.data / SNAPSHOTS_FILE
    comparison = compare_with_snapshots(panel, load_snapshots(options.data)) if snapshots.is_file() else None
    print(report(panel, counts, comparison))
    print(f"\n{audit(panel)}")
    print(f"\nwritten: {options.out}")


if __name__ == "__main__":
    main()
