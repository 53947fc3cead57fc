"""
A panel of US stocks from prices and volumes
============================================

Builds the panel file that ``skdrfm study --data`` reads from two files of monthly data: one row for each month end
and stock with the seven descriptors of Nakagawa et al. (2019, Table 1) that need only prices and volumes, the log
dollar volume in place of their market value, the return of the month that ends there, and a mark on the most traded
stocks of that date.

=========  =====================================================================================================
column     content, with t the month that ends at ``date``
=========  =====================================================================================================
60VOL      sample standard deviation (ddof 1) of the monthly returns t-59..t, at least 24 of them
BETA       slope of these returns on the market excess return (Mkt-RF, decimal) of the same months, at least 24
SKEW       sample skewness of these returns, n / ((n - 1)(n - 2)) sum(((r - mean) / std)^3), at least 24
12-1MOM    return over the months t-11..t-1, all of them known
1MOM       return of month t
60MOM      return over the months t-59..t, all of them known (so none in the first 60 months of the file)
ILLIQ      mean over t-11..t of the file's monthly Amihud ratio (|return| / dollar volume), at least 6 months
LOGDV      log of the mean monthly dollar volume over t-11..t, all 12 months known: size without share counts
return     decimal return of month t (0.01 = 1 %); known at ``date``, so the target is the next row's value
universe   True for the ``--n-universe`` stocks with the highest mean dollar volume of t-11..t
=========  =====================================================================================================

Every value of a row is known at its date. All stocks stay in the file: cross-sectional ranks and lags need them;
``universe`` marks the rows to train and test on. A return spans one calendar month: where the month before has no
price there is no return, never one over two months. Price levels are not descriptors: adjusted prices contain the
splits and dividends of later years, their ratios do not.

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

import numpy as np
import pandas as pd

from skdrfm.exceptions import PanelFileError
from skdrfm.utils._optional import import_optional
from skdrfm.utils.validation import describe_first

MONTHLY_FILE = "us_monthly/us_monthly_2000_2016.csv.gz"
MARKET_FILE = "ff_factors/ff3_monthly_1926_2023.csv.gz"
DESCRIPTORS = ("60VOL", "BETA", "SKEW", "12-1MOM", "1MOM", "60MOM", "ILLIQ", "LOGDV")

LONG_WINDOW, LONG_MINIMUM = 60, 24
YEAR, ILLIQ_MINIMUM = 12, 6
# The last trading day of a month is at most 3 days before its end (a weekend and a holiday).
STALE_DAYS = 5
PERIODS = {"test months 2009-2016": ("2009-01", "2016-12"), "with training 2003-2016": ("2003-01", "2016-12")}
LOOK_LIKE_MISSING = ("ALL", "FALSE", "INF", "NA", "NAN", "NONE", "NULL", "ON", "TRUE")


# %%
# Reading
# -------
# Tickers are text: "TRUE", "ON", "ALL" and "NA" are stocks. Only the numbers that may be missing are read as such;
# an empty cell anywhere else is an error.


def _read_table(path: Path, dtypes: Mapping[str, str], empty: Sequence[str] = ()) -> pd.DataFrame:
    try:
        return pd.read_csv(
            path,
            usecols=list(dtypes),
            dtype=dict(dtypes),
            keep_default_na=False,
            na_values={column: [""] for column in empty},
        )
    except FileNotFoundError as error:
        raise PanelFileError(
            f"The data folder must hold {path.parent.name}/{path.name}. Got none at {path}. "
            "Pass the folder as --data or in the environment variable SKDRFM_DATA."
        ) from error
    except (OSError, ValueError) as error:
        raise PanelFileError(f"{path} must be a CSV file with the columns {', '.join(dtypes)}. Got: {error}") from error


def _read_dates(table: pd.DataFrame, path: Path) -> None:
    try:
        codes, distinct = pd.factorize(table["month"])
        table["month"] = pd.PeriodIndex(distinct, freq="M")[codes]
        if "last_trade_date" in table:
            table["last_trade_date"] = pd.to_datetime(table["last_trade_date"], format="%Y-%m-%d")
    except ValueError as error:
        raise PanelFileError(f"{path} must have months as yyyy-mm and dates as yyyy-mm-dd. Got: {error}") from error


def load_monthly(data_dir: Path) -> tuple[pd.DataFrame, dict[str, object]]:
    """Read the monthly stock file and drop faulty rows.

    Parameters
    ----------
    data_dir : Path
        Folder that holds ``us_monthly/us_monthly_2000_2016.csv.gz``.

    Returns
    -------
    monthly : DataFrame of shape (n_rows, 5)
        Columns ``month`` (Period), ``asset`` (text), ``adj_close`` (positive), ``dollar_volume`` (USD in the month)
        and ``illiq`` (1/USD, NaN where the month had no trade), one row for each month and asset.
    counts : dict
        What was read and what was dropped.

    Raises
    ------
    PanelFileError
        If the file is absent or faulty, or has two rows for one month and asset.
    """
    path = data_dir / MONTHLY_FILE
    dtypes = {"month": "str", "asset": "str", "last_trade_date": "str"}
    dtypes |= dict.fromkeys(("adj_close", "volume", "dollar_volume", "illiq"), "float64")
    table = _read_table(path, dtypes, empty=["illiq"])
    _read_dates(table, path)
    nameless = int((table["asset"].str.strip() == "").sum())
    if nameless:
        raise PanelFileError(f"{path} must name the asset of every row. Got {nameless} rows without. Name them.")
    twice = table.duplicated(["month", "asset"])
    if twice.any():
        first = [tuple(pair) for pair in table.loc[twice, ["month", "asset"]].astype(str).to_numpy()[:4]]
        raise PanelFileError(
            f"{path} must have one row for each month and asset. Got {int(twice.sum())} further rows: "
            f"{describe_first(first)}. Keep one row of each pair."
        )
    last_trade = table["last_trade_date"].dt
    days_left = last_trade.days_in_month - last_trade.day
    unusable = ~((table["adj_close"] > 0) & np.isfinite(table["adj_close"]))
    stale = ~unusable & ((days_left > STALE_DAYS) | (last_trade.to_period("M") != table["month"]))
    kept = table[~(unusable | stale)]
    counts = {
        "rows read": len(table),
        "stocks read": table["asset"].nunique(),
        "tickers that look like missing values": sorted(set(LOOK_LIKE_MISSING) & set(table["asset"])),
        "rows dropped, adj_close not positive": int(unusable.sum()),
        "  their stocks": sorted(table.loc[unusable, "asset"].unique()),
        f"rows dropped, last trade over {STALE_DAYS} days before month end": int(stale.sum()),
        "rows kept, no trade in the month": int((kept["volume"] == 0).sum()),
        "rows kept, ILLIQ of the month unknown": int(kept["illiq"].isna().sum()),
    }
    columns = ["month", "asset", "adj_close", "dollar_volume", "illiq"]
    return kept[columns].reset_index(drop=True), counts


def load_market(data_dir: Path) -> pd.Series:
    """Read the market excess return Mkt-RF by month (Period), in decimals; the file must be in percent."""
    path = data_dir / MARKET_FILE
    table = _read_table(path, {"month": "str", "Mkt-RF": "float64"})
    if table["Mkt-RF"].abs().median() < 0.1:
        raise PanelFileError(
            f"Mkt-RF in {path} must be in percent. Got a median size of {table['Mkt-RF'].abs().median():g}, "
            "which looks like decimals. Multiply the column by 100."
        )
    _read_dates(table, path)
    return table.set_index("month")["Mkt-RF"] / 100


# %%
# Descriptors
# -----------
# Everything is computed on wide tables, one row per calendar month and one column per stock; the loops run over
# months, never over stocks. Windows are summed anew at each month, so that a huge return leaves no rounding behind.


def to_wide(monthly: pd.DataFrame, column: str) -> pd.DataFrame:
    """Spread one column to (n_months, n_assets) on all calendar months of the file, NaN where there is no row."""
    wide = monthly.pivot(index="month", columns="asset", values=column)
    return wide.reindex(pd.period_range(wide.index.min(), wide.index.max(), freq="M"))


def monthly_returns(prices: pd.DataFrame) -> pd.DataFrame:
    """Return over each calendar month, decimal; NaN where this month or the month before has no price."""
    return prices / prices.shift(1) - 1


def trailing_mean(values: pd.DataFrame, window: int, minimum: int) -> pd.DataFrame:
    """Mean of the known values among the last ``window`` months, NaN with fewer than ``minimum`` of them."""
    total = np.zeros(values.shape)
    known = np.zeros(values.shape)
    for months_back in range(window):
        past = values.shift(months_back).to_numpy()
        total += np.nan_to_num(past)
        known += ~np.isnan(past)
    mean = np.divide(total, known, out=np.full(values.shape, np.nan), where=known >= minimum)
    return pd.DataFrame(mean, index=values.index, columns=values.columns)


def window_moments(returns: pd.DataFrame, market: pd.Series) -> dict[str, pd.DataFrame]:
    """60VOL, BETA and SKEW of decimal returns over the past 60 months, from at least 24 known ones."""
    r_all, x_all = returns.to_numpy(), market.to_numpy()[:, np.newaxis]
    out = {name: np.full(returns.shape, np.nan) for name in ("60VOL", "BETA", "SKEW")}
    for t in range(len(r_all)):
        rows = slice(max(0, t + 1 - LONG_WINDOW), t + 1)
        known = ~np.isnan(r_all[rows])
        n = known.sum(axis=0)
        enough = n >= LONG_MINIMUM
        r, x, n = r_all[rows][:, enough], x_all[rows], n[enough]
        known = known[:, enough]
        dr = np.where(known, r - np.where(known, r, 0).sum(axis=0) / n, 0)
        dx = np.where(known, x - np.where(known, x, 0).sum(axis=0) / n, 0)
        std = np.sqrt((dr**2).sum(axis=0) / (n - 1))
        with np.errstate(invalid="ignore"):  # a price that never moves has no skewness: 0 / 0
            skew = n / ((n - 1) * (n - 2)) * (dr * dr * dr).sum(axis=0) / std**3
        out["60VOL"][t, enough] = std
        out["BETA"][t, enough] = (dx * dr).sum(axis=0) / (dx**2).sum(axis=0)
        out["SKEW"][t, enough] = skew
    return {name: pd.DataFrame(v, index=returns.index, columns=returns.columns) for name, v in out.items()}


def compounded_return(prices: pd.DataFrame, months: int) -> pd.DataFrame:
    """Return over the last ``months`` calendar months, NaN unless the return of each of them is known."""
    known = monthly_returns(prices).notna().rolling(months).sum() == months
    return (prices / prices.shift(months) - 1).where(known)


def compute_descriptors_wide(monthly: pd.DataFrame, market: pd.Series) -> dict[str, pd.DataFrame]:
    """Compute the eight descriptors from past and present months.

    Parameters
    ----------
    monthly : DataFrame
        As returned by ``load_monthly``.
    market : Series indexed by month (Period)
        Decimal market excess return, for every calendar month of ``monthly``.

    Returns
    -------
    dict of DataFrame of shape (n_months, n_assets)
        The descriptors in the order of ``DESCRIPTORS``, NaN where the history is too short.

    Raises
    ------
    PanelFileError
        If a month has no market return.
    """
    prices = to_wide(monthly, "adj_close")
    aligned = market.reindex(prices.index)
    if aligned.isna().any():
        absent = [str(month) for month in aligned.index[aligned.isna()]]
        raise PanelFileError(
            f"The market file must have every month of the stock file. Got none for {len(absent)} months: "
            f"{describe_first(absent)}. Use factors that cover {prices.index[0]} to {prices.index[-1]}."
        )
    returns = monthly_returns(prices)
    dollar_volume = trailing_mean(to_wide(monthly, "dollar_volume"), YEAR, YEAR)
    out = {
        **window_moments(returns, aligned),
        "12-1MOM": compounded_return(prices, YEAR - 1).shift(1),
        "1MOM": returns,
        "60MOM": compounded_return(prices, LONG_WINDOW),
        "ILLIQ": trailing_mean(to_wide(monthly, "illiq"), YEAR, ILLIQ_MINIMUM),
        "LOGDV": np.log(dollar_volume.where(dollar_volume > 0)),
    }
    return {name: out[name] for name in DESCRIPTORS}


# %%
# Universe and panel
# ------------------


def choose_universe(dollar_volume: pd.DataFrame, n_universe: int) -> pd.DataFrame:
    """Mark the most traded stocks of each month, as known at its end.

    Parameters
    ----------
    dollar_volume : DataFrame of shape (n_months, n_assets)
        Dollar volume of each calendar month, NaN where unknown.
    n_universe : int
        Number of stocks, fewer where fewer have traded for 12 months.

    Returns
    -------
    DataFrame of bool of shape (n_months, n_assets)
        True for the ``n_universe`` highest means of the last 12 months, all of them known; ties go to the earlier
        column.
    """
    mean = trailing_mean(dollar_volume, YEAR, YEAR)
    place = mean.where(mean > 0).rank(axis=1, ascending=False, method="first")
    return place <= n_universe


def build_panel(
    monthly: pd.DataFrame, market: pd.Series, n_universe: int = 150, *, clip_return: float | None = None
) -> pd.DataFrame:
    """Build the panel: one row for each month end and stock with a price.

    Parameters
    ----------
    monthly : DataFrame
        As returned by ``load_monthly``.
    market : Series indexed by month (Period)
        Decimal market excess return.
    n_universe : int, default=150
        Number of most traded stocks marked in each month.
    clip_return : float, default=None
        Fixed upper bound of the published ``return``, decimal; descriptors are computed without it.

    Returns
    -------
    DataFrame of shape (n_rows, 12)
        Columns ``date``, ``asset``, the descriptors, ``return`` and ``universe``, sorted by date and asset.

    Raises
    ------
    PanelFileError
        If no stock has 12 months of history, or a month has no market return.
    """
    wide = compute_descriptors_wide(monthly, market)
    wide["return"] = wide["1MOM"].clip(upper=clip_return)
    wide["universe"] = choose_universe(to_wide(monthly, "dollar_volume"), n_universe)
    if not wide["universe"].any(axis=None):
        raise PanelFileError(
            f"The stock file must have {YEAR} months in a row of at least one traded stock. "
            f"Got {len(wide['universe'])} months of {wide['universe'].shape[1]} stocks. Use a longer file."
        )
    month, asset = np.nonzero(to_wide(monthly, "adj_close").notna().to_numpy())
    months, assets = wide["return"].index, wide["return"].columns
    columns = {name: values.to_numpy()[month, asset] for name, values in wide.items()}
    dates = pd.PeriodIndex(months).to_timestamp(how="end").normalize()
    return pd.DataFrame({"date": dates[month], "asset": assets[asset], **columns})


# %%
# A look at the result
# --------------------


def next_returns(panel: pd.DataFrame) -> pd.Series:
    """Return of the next calendar month of each row's stock, which is the target of a study."""
    months = panel["date"].dt.year * 12 + panel["date"].dt.month
    known = pd.Series(panel["return"].to_numpy(), index=[months, panel["asset"]])
    return pd.Series(known.reindex([months + 1, panel["asset"]]).to_numpy(), index=panel.index)


def mean_rank_ic(panel: pd.DataFrame, target: pd.Series) -> pd.Series:
    """Mean over the dates of the rank correlation of each descriptor with the target."""
    by_date = {
        date: rows[list(DESCRIPTORS)].corrwith(target[rows.index], method="spearman")
        for date, rows in panel.groupby("date")
    }
    return pd.DataFrame(by_date).mean(axis=1)


def report(panel: pd.DataFrame, counts: Mapping[str, object]) -> str:
    """Describe the panel: what was dropped, what is suspicious, coverage, returns and rank ICs in the universe."""
    forward = next_returns(panel)
    inside = panel[panel["universe"]]
    target = forward[inside.index]
    months = inside["date"].dt.to_period("M") + 1
    huge = panel["return"].abs() > 1
    lines = [f"{name}: {value}" for name, value in counts.items()]
    lines += [
        f"panel rows: {len(panel)}, stocks: {panel['asset'].nunique()}, in the universe: {len(inside)} rows of "
        f"{inside['asset'].nunique()} stocks",
        f"returns unknown (no price in the month before): {int(panel['return'].isna().sum())}",
        f"returns above +100 %, all stocks: {int(huge.sum())}",
    ]
    for label, (start, end) in PERIODS.items():
        of_period = target[(months >= pd.Period(start, "M")) & (months <= pd.Period(end, "M"))]
        lines.append(
            f"next-month returns in the universe, {label}: {int(of_period.notna().sum())} known, "
            f"{int((of_period.abs() > 1).sum())} above +100 %, {int((of_period.abs() > 0.5).sum())} beyond +-50 %, "
            f"range {of_period.min():+.3f} to {of_period.max():+.3f}"
        )
    extreme = target.abs().nlargest(10).index
    listed = [f"{inside.at[i, 'asset']} {months[i]} {target[i]:+.2f}" for i in extreme]
    last = panel.groupby("asset")["date"].max()
    sizes = inside.groupby("date").size()
    coverage = inside[list(DESCRIPTORS)].notna().groupby(inside["date"].dt.year).mean().round(3)
    quantiles = target.quantile([0, 0.01, 0.05, 0.5, 0.95, 0.99, 1]).round(3)
    tables = {
        "Share of known values in the universe": coverage.to_string(),
        "Quantiles of the next-month return in the universe": quantiles.to_string(),
        "Mean rank IC with the next-month return in the universe (beyond 0.1: look for a leak)": (
            mean_rank_ic(inside, target).round(4).to_string()
        ),
    }
    lines += [
        f"largest next-month returns in the universe: {', '.join(listed)}",
        f"universe size by month: {sizes.min()} to {sizes.max()} from {sizes.index.min():%Y-%m} on",
        f"stocks that leave before the last month: {int((last < panel['date'].max()).sum())} (survivorship bias: the "
        "file holds firms that still existed later; believe no level of return)",
    ]
    return "\n".join([*lines, *(f"\n{title}\n{table}" for title, table in tables.items())])


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
        panel.to_parquet(path, index=False)
    else:
        panel.to_csv(path, index=False)


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
        monthly, counts = load_monthly(options.data)
        market = load_market(options.data)
        panel = build_panel(monthly, market, options.n_universe, clip_return=options.clip_return)
    except PanelFileError as error:
        parser.error(str(error))
    if options.clip_return is not None:
        clipped = int((panel["1MOM"] > options.clip_return).sum())
        counts[f"returns clipped at {options.clip_return:+.0%}"] = clipped
    write_panel(panel, options.out)
    print(report(panel, counts))
    print(f"\nwritten: {options.out}")


if __name__ == "__main__":
    main()
