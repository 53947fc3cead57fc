"""
A panel of US stocks from prices and volumes
============================================

Builds the panel file that ``skdrfm study --data`` reads from two files of monthly data: the seven descriptors of
Nakagawa et al. (2019, Table 1) that need only prices and volumes, log dollar volume in place of their market value, the
return of the month that ends at each row's date, and a mark on the most traded stocks of that date. 60VOL, BETA and
SKEW need 24 known months, ILLIQ 6 of the last 12; LOGDV is the log of the mean monthly dollar volume of the last 12
months, all of them known.

Every value of a row is known at its date. All stocks stay in the file: cross-sectional ranks and lags need them;
``universe`` marks the rows to train and test on. Price levels are not descriptors: adjusted prices contain the splits
and dividends of later years, their ratios do not.

What the data cannot give: the file holds only firms that were still listed in 2024, with filters on their whole
history, so no stock ever leaves it. This **survivorship bias** lifts the level of all returns and every size,
value and liquidity premium. Compare models with each other on it; believe no level of return.

Faulty prices (a negative adjusted close, a last trade days before the month end) are dropped and counted. Returns
above +100 % stay as they are: ranks make the descriptors robust, and the report at the end counts those inside the
universe, where a fault would matter. There is none from 2003 on among the 150 most traded stocks; ``--clip-return``
sets a fixed bound for a universe so large that unadjusted reverse splits enter it. Two share classes of one firm
(GOOG and GOOGL) count as two stocks.

Run it with::

    python examples/us_stocks_panel.py --data ../shared/data --out runs/us_stocks_panel.parquet
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.datasets import read_bars, read_fama_french
from skdrfm.descriptors import DescriptorInputs, DescriptorSpec, compute_descriptors
from skdrfm.exceptions import PanelError, PanelFileError
from skdrfm.metrics import rank_information_coefficient
from skdrfm.panel import forward_returns
from skdrfm.utils._optional import import_optional

MONTHLY_FILE = "us_monthly/us_monthly_2000_2016.csv.gz"
MARKET_FILE = "ff_factors/ff3_monthly_1926_2023.csv.gz"
YEAR = 12
# The last trading day of a month is at most 3 days before its end (a weekend and a holiday).
STALE_DAYS = 5

# %%
# A descriptor of our own
# -----------------------
# One object with a function of wide arrays (months by stocks) that looks back only.


def log_dollar_volume(inputs: DescriptorInputs) -> np.ndarray:
    """Logarithm of the mean monthly dollar volume of the last 12 months, all of them known."""
    volume = pd.DataFrame(inputs.dollar_volume)
    mean = sum(volume.shift(month) for month in range(YEAR)) / YEAR
    return np.log(mean.where(mean > 0)).to_numpy()


LOGDV = DescriptorSpec(
    name="LOGDV",
    group="Size",
    formula="log(mean of the monthly dollar volume over t-11..t)",
    unit="log of currency",
    sign=-1,
    lag=0,
    reference="Brennan, Chordia and Subrahmanyam (1998), Journal of Financial Economics 49",
    needs=("dollar_volume",),
    compute=log_dollar_volume,
)
DESCRIPTORS = ("60VOL", "BETA", "SKEW", "12-1MOM", "1MOM", "60MOM", "ILLIQ", LOGDV)
NAMES = tuple(name if isinstance(name, str) else name.name for name in DESCRIPTORS)

# %%
# Reading
# -------


def load_monthly(data_dir: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read monthly bars and drop faulty ones.

    Parameters
    ----------
    data_dir : Path
        Folder that holds ``us_monthly/us_monthly_2000_2016.csv.gz``.

    Returns
    -------
    bars : DataFrame indexed by (date, asset)
        Adjusted close, dollar volume (USD in the month) and ILLIQ of the month (1/USD).
    counts : dict
        What was read and what was dropped.
    """
    path = data_dir / MONTHLY_FILE
    bars = read_bars(path, columns={"close": None, "volume": None}, faulty="drop")
    read = bars.attrs["read_bars"]
    traded = pd.read_csv(path, usecols=["month", "asset", "last_trade_date"], dtype=str, keep_default_na=False).assign(
        date=lambda table: pd.PeriodIndex(table["month"], freq="M").to_timestamp(how="end").normalize()
    )
    last = pd.to_datetime(traded.set_index(["date", "asset"])["last_trade_date"], format="%Y-%m-%d")
    age = bars.index.get_level_values("date") - pd.DatetimeIndex(last.reindex(bars.index))
    stale = np.asarray(age > pd.Timedelta(days=STALE_DAYS))
    counts = {
        "rows read": read["n_rows"],
        **{f"rows dropped, {fault}": f"{n} of {sorted(read['assets'][fault])}" for fault, n in read["dropped"].items()},
        f"rows dropped, last trade over {STALE_DAYS} days before month end": int(stale.sum()),
        "rows kept, no trade in the month": int((bars.loc[~stale, "dollar_volume"] == 0).sum()),
    }
    return bars[~stale], counts


def load_market(data_dir: Path) -> pd.Series:
    """Read the market excess return Mkt-RF by month, in decimals; the file is in percent."""
    return read_fama_french(data_dir / MARKET_FILE)["Mkt-RF"]


# %%
# Panel
# -----


def build_panel(
    bars: pd.DataFrame, market: pd.Series, n_universe: int = 150, *, clip_return: float | None = None
) -> pd.DataFrame:
    """Build the panel: one row for each month end and stock with a price.

    Parameters
    ----------
    bars : DataFrame indexed by (date, asset)
        As from ``load_monthly``.
    market : Series indexed by month
        Decimal market excess return.
    n_universe : int, default=150
        Number of stocks to mark on each date: those with the highest LOGDV.
    clip_return : float, default=None
        Upper bound of the column ``return``; no descriptor is clipped.

    Returns
    -------
    DataFrame of shape (n_rows, 10), indexed by (date, asset)
        The eight descriptors, ``return`` (decimal, of the month that ends at the date) and ``universe``.

    Raises
    ------
    PanelError
        If no stock has 12 months in a row.
    """
    panel = compute_descriptors(bars, market=market, names=DESCRIPTORS)
    place = panel.groupby(level="date")["LOGDV"].rank(ascending=False, method="first")
    panel["return"] = panel["1MOM"].clip(upper=clip_return)
    panel["universe"] = place <= n_universe
    if not panel["universe"].any():
        raise PanelError(
            f"The stock file must have {YEAR} months in a row of at least one traded stock. Got "
            f"{panel.index.get_level_values('date').nunique()} months. Use a longer file."
        )
    return panel


# %%
# A look at the result
# --------------------


def report(panel: pd.DataFrame, counts: Mapping[str, Any]) -> str:
    """Describe the panel: what was dropped, what is suspicious, coverage and rank ICs in the universe."""
    inside = panel["universe"]
    target = forward_returns(panel["return"])[inside]
    dates = target.index.get_level_values("date")
    sizes = inside.groupby(level="date").sum()
    sizes = sizes[sizes > 0]
    largest = target.abs().nlargest(5).index
    coverage = panel.loc[inside, list(NAMES)].notna().groupby(dates.year).mean().round(3)
    ics = {}
    for name in NAMES:
        values = panel.loc[target.index, name]
        both = target.notna() & values.notna()
        ics[name] = rank_information_coefficient(target[both], values[both]).mean()
    lines = [
        *(f"{name}: {value}" for name, value in counts.items()),
        f"panel rows: {len(panel)}, stocks: {panel.index.get_level_values('asset').nunique()}, in the universe: "
        f"{int(inside.sum())} rows",
        f"returns above +100 %: {int((panel['return'].abs() > 1).sum())} of all stocks, "
        f"{int((target[dates >= '2002-12'].abs() > 1).sum())} in the universe from 2003 on",
        "largest next-month returns in the universe: "
        + ", ".join(f"{asset} after {date:%Y-%m} {target[date, asset]:+.2f}" for date, asset in largest),
        f"universe size by month: {sizes.min()} to {sizes.max()} from {sizes.index.min():%Y-%m} on",
        "every stock stays to the last month (survivorship bias: the file holds firms that still existed later; "
        "believe no level of return)",
        f"\nShare of known values in the universe\n{coverage.to_string()}",
        "\nMean rank IC with the next-month return in the universe (beyond 0.1: look for a leak)\n"
        + pd.Series(ics).round(4).to_string(),
    ]
    return "\n".join(lines)


def default_data_dir() -> Path | None:
    """Folder of the data: the environment variable SKDRFM_DATA, else ../shared/data beside the repository."""
    if os.environ.get("SKDRFM_DATA"):
        return Path(os.environ["SKDRFM_DATA"])
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return beside if beside.is_dir() else None


def write_panel(panel: pd.DataFrame, path: Path) -> None:
    """Write a panel as CSV or Parquet, by the ending of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        import_optional("pyarrow", extra="parquet", purpose="write Parquet files")
        panel.reset_index().to_parquet(path, index=False)
    else:
        panel.to_csv(path)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Build a panel of US stocks from monthly prices and volumes.")
    parser.add_argument("--data", type=Path, default=default_data_dir(), metavar="DIR", help="folder of the data")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="panel to write, .csv or .parquet")
    parser.add_argument("--n-universe", type=int, default=150, metavar="N", help="most traded stocks to mark")
    parser.add_argument("--clip-return", type=float, metavar="R", help="bound of 'return', for example 1.0 = +100 %%")
    options = parser.parse_args(arguments)
    if options.data is None:
        parser.error("no data folder found: pass --data DIR or set the environment variable SKDRFM_DATA")
    if options.out.suffix not in (".csv", ".parquet"):
        parser.error(f"--out must end in .csv or .parquet, got {options.out.name!r}")
    if options.n_universe < 1:
        parser.error(f"--n-universe must be at least 1, got {options.n_universe}")
    if options.clip_return is not None and not options.clip_return > 0:
        parser.error(f"--clip-return must be a positive decimal return, got {options.clip_return}")
    try:
        bars, counts = load_monthly(options.data)
        market = load_market(options.data)
        panel = build_panel(bars, market, options.n_universe, clip_return=options.clip_return)
    except (PanelError, PanelFileError) as error:
        parser.error(str(error))
    if options.clip_return is not None:
        clipped = int((panel["1MOM"] > options.clip_return).sum())
        counts[f"returns clipped at {options.clip_return:+.0%}"] = clipped
    write_panel(panel, options.out)
    print(report(panel, counts))
    print(f"\nwritten: {options.out}")


if __name__ == "__main__":
    main()
