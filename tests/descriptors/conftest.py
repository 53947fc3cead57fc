"""A slow and literal computation of the descriptors, and panels full of gaps to compare it on."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

INCOME_FLOWS = ("sales", "operating_profit", "net_income")
FLOWS = (*INCOME_FLOWS, "operating_cash_flow")
BALANCES = ("total_assets", "total_liabilities", "net_assets", "shares")
ORDER = (
    *("60VOL", "BETA", "SKEW", "ROE", "ROA", "ACCRUALS", "LEVERAGE", "12-1MOM"),
    *("1MOM", "60MOM", "PSR", "PER", "PBR", "PCFR", "CAP", "ILLIQ"),
)
NAN = math.nan


@dataclass(frozen=True)
class Case:
    """Inputs of compute_descriptors."""

    bars: pd.DataFrame
    fundamentals: pd.DataFrame
    market: pd.Series

    def copy(self):
        return Case(self.bars.copy(deep=True), self.fundamentals.copy(deep=True), self.market.copy(deep=True))


# The literal computation: one asset, one month and one number at a time, from dictionaries and lists.


def month_of(date):
    return 12 * date.year + date.month - 1


def month_end(month):
    return pd.Timestamp(month // 12, month % 12 + 1, 1) + pd.offsets.MonthEnd(0)


def mean_of(values):
    return values[0] if min(values) == max(values) else math.fsum(values) / len(values)


class LiteralReports:
    """The reports of one asset, as they are known at a month."""

    def __init__(self, rows, publication_lag):
        self.rows = []
        for row in rows:
            report = dict(row)
            end, available = row["period_end"], row["available"]
            if pd.isna(available):
                if isinstance(publication_lag, int):
                    available = end + pd.DateOffset(months=publication_lag)
                else:
                    available = end + publication_lag
            report["available"] = available
            report["known_from"] = month_of(available)
            report["report_month"] = month_of(end - pd.Timedelta(days=15))
            self.rows.append(report)

    def latest_month(self, t):
        months = [row["report_month"] for row in self.rows if row["known_from"] <= t]
        return max(months) if months else None

    def value(self, item, q, t, months=None):
        best = None
        length = "cash_flow_months" if item == "operating_cash_flow" else "months"
        for row in self.rows:
            if row["known_from"] > t or row["report_month"] != q or math.isnan(row.get(item, NAN)):
                continue
            if months is not None and row.get(length, 3) != months:
                continue
            if best is None or row["available"] > best["available"]:
                best = row
        return NAN if best is None else best[item]

    def short_quarter(self, item, q, t):
        """A quarter from its own value or from two year-to-date values."""
        one = self.value(item, q, t, 3)
        if not math.isnan(one):
            return one
        for months in (6, 9, 12):
            difference = self.value(item, q, t, months) - self.value(item, q - 3, t, months - 3)
            if not math.isnan(difference):
                return difference
        return NAN

    def quarter(self, item, q, t):
        one = self.short_quarter(item, q, t)
        if not math.isnan(one):
            return one
        rest = self.value(item, q, t, 12)
        for back in (3, 6, 9):
            rest -= self.short_quarter(item, q - back, t)
        return rest

    def trailing(self, item, p, t):
        year = self.value(item, p, t, 12)
        if not math.isnan(year):
            return year
        year = 0.0
        for back in (0, 3, 6, 9):
            year += self.quarter(item, p - back, t)
        if not math.isnan(year):
            return year
        for m in (6, 9):
            year = self.value(item, p, t, m) + self.value(item, p - m, t, 12) - self.value(item, p - 12, t, m)
            if not math.isnan(year):
                return year
        return NAN


def bar_dollar_volume(bar):
    return bar["dollar_volume"] if "dollar_volume" in bar else bar.get("close", NAN) * bar.get("volume", NAN)


def monthly_returns(months):
    returns = {}
    for t, bars in months.items():
        if "return" in bars[0]:
            growth = 1.0
            for bar in bars:
                growth *= 1 + bar["return"]
            returns[t] = growth - 1
        elif t - 1 in months:
            returns[t] = bars[-1]["adj_close"] / months[t - 1][-1]["adj_close"] - 1
        else:
            returns[t] = NAN
    return returns


def monthly_illiquidities(months):
    illiquidities, previous, previous_month = {}, None, None
    for t in sorted(months):
        known = []
        for bar in months[t]:
            if "return" in bar:
                change = bar["return"]
            elif previous is not None and previous_month in (t - 1, t):
                change = bar["adj_close"] / previous["adj_close"] - 1
            else:
                change = NAN
            previous, previous_month = bar, t
            if "illiq" in bar:
                ratio = bar["illiq"]
            else:
                traded = bar_dollar_volume(bar)
                ratio = abs(change) / traded if traded > 0 else NAN
            if not math.isnan(ratio):
                known.append(ratio)
        illiquidities[t] = math.fsum(known) / len(known) if known else NAN
    return illiquidities


def risk(name, returns, market, t, least):
    window = [m for m in range(t - 59, t + 1) if not math.isnan(returns.get(m, NAN))]
    values = [returns[m] for m in window]
    n = len(values)
    if n < max(least, 1):
        return NAN
    mean = mean_of(values)
    if name == "BETA":
        x_mean = mean_of([market[m] for m in window])
        above = math.fsum((market[m] - x_mean) * (returns[m] - mean) for m in window)
        below = math.fsum((market[m] - x_mean) ** 2 for m in window)
        return above / below if below > 0 else NAN
    if n < 2:
        return NAN
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    if name == "60VOL":
        return std
    if n < 3 or std == 0:
        return NAN
    return n / ((n - 1) * (n - 2)) * math.fsum(((value - mean) / std) ** 3 for value in values)


def compound(returns, first, last):
    growth = 1.0
    for m in range(first, last + 1):
        growth *= 1 + returns.get(m, NAN)
    return growth - 1


def ratio_of(above, below):
    return above / below if below > 0 else NAN


def literal_descriptors(
    bars, fundamentals=None, market=None, names=ORDER, publication_lag=3, min_periods=None, max_report_age=18
):
    """Descriptors of every (month, asset) with a bar, and the counts in attrs, from the written definition."""
    least = {"60VOL": 24, "BETA": 24, "SKEW": 24, "ILLIQ": 6}
    if isinstance(min_periods, int):
        least.update(dict.fromkeys(("60VOL", "BETA", "SKEW"), min_periods))
    elif min_periods is not None:
        least.update(min_periods)
    of_asset = {}
    for (date, asset), bar in zip(bars.index, bars.to_dict("records"), strict=True):
        of_asset.setdefault(asset, []).append((date, bar))
    reports_of = {}
    for row in [] if fundamentals is None else fundamentals.to_dict("records"):
        reports_of.setdefault(row["asset"], []).append(row)
    market_of = {} if market is None else {month_of(month): value for month, value in market.items()}

    cells, negative, too_old = {}, 0, 0
    for asset, dated in of_asset.items():
        months = {}
        for date, bar in sorted(dated, key=lambda pair: pair[0]):
            months.setdefault(month_of(date), []).append(bar)
        returns, illiquidities = monthly_returns(months), monthly_illiquidities(months)
        reports = LiteralReports(reports_of.get(asset, []), publication_lag)
        for t, month_bars in months.items():
            p = reports.latest_month(t)
            if p is not None and t - p > max_report_age:
                p, too_old = None, too_old + 1
            year = {item: NAN if p is None else reports.trailing(item, p, t) for item in FLOWS}
            now = {item: NAN if p is None else reports.value(item, p, t) for item in BALANCES}
            negative += now["net_assets"] <= 0
            last = month_bars[-1]
            if "market_value" in last:
                value = last["market_value"]
            else:
                value = (last["shares"] if "shares" in last else now["shares"]) * last.get("close", NAN)
            equity = now["net_assets"] if now["net_assets"] > 0 else NAN
            recent = [illiquidities.get(m, NAN) for m in range(t - 11, t + 1)]
            recent = [one for one in recent if not math.isnan(one)]
            row = {name: risk(name, returns, market_of, t, least[name]) for name in ("60VOL", "SKEW")}
            row["BETA"] = risk("BETA", returns, market_of, t, least["BETA"]) if market_of else NAN
            row["ROE"] = ratio_of(year["net_income"], now["net_assets"])
            row["ROA"] = ratio_of(year["operating_profit"], now["total_assets"])
            row["ACCRUALS"] = ratio_of(year["operating_cash_flow"] - year["operating_profit"], now["total_assets"])
            row["LEVERAGE"] = ratio_of(now["total_liabilities"], now["total_assets"])
            row["12-1MOM"] = compound(returns, t - 11, t - 1)
            row["1MOM"] = returns[t]
            row["60MOM"] = compound(returns, t - 59, t)
            row["PSR"] = ratio_of(year["sales"], value)
            row["PER"] = ratio_of(year["net_income"], value)
            row["PBR"] = ratio_of(equity, value)
            row["PCFR"] = ratio_of(year["operating_cash_flow"], value)
            row["CAP"] = math.log(value) if value > 0 else NAN
            row["ILLIQ"] = math.fsum(recent) / len(recent) if len(recent) >= max(least["ILLIQ"], 1) else NAN
            cells[month_end(t), asset] = [row[name] for name in names]

    keys = sorted(cells)
    index = pd.MultiIndex.from_tuples(keys, names=["date", "asset"])
    table = pd.DataFrame([cells[key] for key in keys], index=index, columns=list(names), dtype=np.float64)
    table.attrs["compute_descriptors"] = {
        "n_rows": len(keys),
        "n_assets": len(of_asset),
        "n_months": len({month_of(date) for date, _ in keys}),
        "missing": {name: sum(math.isnan(value) for value in table[name]) for name in names},
        "non_positive_net_assets": negative,
        "reports_too_old": too_old,
        "reports_without_bars": sum(len(rows) for asset, rows in reports_of.items() if asset not in of_asset),
        "zero_volume_bars": sum(bar_dollar_volume(bar) == 0 for bar in bars.to_dict("records")),
    }
    return table


# Panels with every irregularity that the definition speaks of.

FIRST = month_of(pd.Timestamp("2001-03-01"))


def bar_dates(rng, first, last, daily, whole):
    """Dates of the bars of one asset: one to four a month, with months left out unless the history is whole."""
    dates, t = [], first
    while t <= last:
        if not whole and rng.random() < 0.04:
            t += int(rng.integers(1, 4))
            continue
        end = month_end(t)
        if daily:
            days = rng.choice(np.arange(1, end.day + 1), int(rng.integers(1, 5)), replace=False)
            dates += [end.replace(day=int(day)) for day in sorted(days)]
        else:
            dates.append(end - pd.Timedelta(days=int(rng.integers(0, 3))))
        t += 1
    return dates


def asset_bars(rng, asset, style, n_months, daily, returns, value, dollar_volume, illiq):
    first = FIRST + (int(rng.integers(5, 40)) if style == "late" else 0)
    last = FIRST + n_months - 1 - (int(rng.integers(1, 30)) if style == "leaver" else 0)
    whole = rng.random() < 0.5
    dates = bar_dates(rng, first, last, daily, whole)
    n = len(dates)
    change = rng.normal(0.01, 0.08, n)
    change[rng.random(n) < 0.05] = 0.0
    if style == "huge":
        change[rng.integers(0, n, 2)] = 336.5
    if style == "constant":
        change[: n - n // 8] = 0.0
    table = pd.DataFrame({"asset": asset, "date": dates})
    if returns == "return":
        table["return"] = change
        if style == "ruined":
            table.loc[n // 2, "return"] = -1.0
    else:
        table["adj_close"] = 20.0 * np.cumprod(1 + change)
    table["close"] = 30.0 * np.exp(np.cumsum(rng.normal(0, 0.05, n)))
    table["volume"] = np.where(rng.random(n) < 0.15, 0.0, np.round(np.exp(rng.normal(8, 1, n))))
    if dollar_volume:
        table["dollar_volume"] = table["close"] * table["volume"] * rng.uniform(0.9, 1.1, n)
    if illiq:
        table["illiq"] = np.exp(rng.normal(-15, 2, n))
    if value == "market_value":
        table["market_value"] = table["close"] * np.round(np.exp(rng.normal(9, 0.1, n)))
    elif value == "shares":
        table["shares"] = np.where(rng.random(n) < 0.02, 0.0, np.round(np.exp(rng.normal(9, 0.1, n))))
    for column in table.columns.drop(["asset", "date"]):
        unknown = 0.0 if whole and column in ("return", "adj_close") else 0.01
        table.loc[rng.random(n) < unknown, column] = np.nan
    return table


REPORTING = {
    # months covered by income and by cash flow in the fiscal quarters 1 to 4; 0: no report
    "single": ((3, 3, 3, 3), (3, 3, 3, 3)),
    "sec": ((3, 3, 3, 12), (3, 6, 9, 12)),
    "cumulated": ((3, 6, 9, 12), (3, 6, 9, 12)),
    "half_years": ((0, 6, 0, 12), (0, 6, 0, 12)),
    "three_nine": ((3, 0, 9, 12), (3, 0, 9, 12)),
    "annual": ((0, 0, 0, 12), (0, 0, 0, 12)),
}


def asset_reports(rng, asset, style, n_months):
    """Reports of one firm from two years before the bars on, some late, amended, incomplete or missing."""
    income_months, cash_months = REPORTING[style]
    year_end, weeks = int(rng.integers(0, 12)), rng.random() < 0.3
    n_quarters = n_months // 3 + 9
    stop = int(rng.integers(10, n_quarters)) if rng.random() < 0.3 else n_quarters
    rows = []
    for k in range(stop):
        quarter = k % 4
        if income_months[quarter] == 0 or rng.random() < 0.06:
            continue
        end = month_end(FIRST - 24 + year_end % 3 + 3 * k)
        if weeks:
            end += pd.Timedelta(days=int(rng.integers(-6, 7)))
        dated = rng.random() < 0.7
        first_day = end + pd.Timedelta(days=int(rng.integers(0, 140)))
        versions = [(end, first_day if dated else pd.NaT)]
        if not weeks and rng.random() < 0.05:
            versions = [(end, end + pd.Timedelta(days=20)), (end, pd.NaT)]
            dated = False
        while rng.random() < 0.25 and len(versions) < 4:
            # where no date is known the versions lie months away from the assumed day, so that the order is plain
            wait = int(rng.integers(3, 300)) if dated else int(rng.integers(420, 800))
            before = versions[-1][1]
            day = (end if pd.isna(before) else before) + pd.Timedelta(days=wait)
            other_end = end + pd.Timedelta(days=int(rng.integers(-2, 3))) if rng.random() < 0.2 else end
            versions.append((other_end, day))
        for version, (period_end, available) in enumerate(versions):
            row = {"asset": asset, "period_end": period_end, "available": available}
            row["months"], row["cash_flow_months"] = income_months[quarter], cash_months[quarter]
            if rng.random() < 0.05:
                row["months"] = int(rng.choice([3, 6, 9, 12]))
            scale = row["months"] / 3
            row["sales"] = 900.0 * scale * rng.uniform(0.8, 1.2)
            row["operating_profit"] = 90.0 * scale * rng.normal(1, 1)
            row["net_income"] = 50.0 * scale * rng.normal(1, 1)
            row["operating_cash_flow"] = 70.0 * row["cash_flow_months"] / 3 * rng.normal(1, 1)
            row["total_assets"] = 0.0 if rng.random() < 0.02 else 8000.0 * rng.uniform(0.8, 1.2)
            row["total_liabilities"] = 5000.0 * rng.uniform(0.5, 1.7)
            row["net_assets"] = row["total_assets"] - row["total_liabilities"]
            row["shares"] = np.round(9000.0 * rng.uniform(0.9, 1.1))
            for item in (*FLOWS, *BALANCES):
                if rng.random() < (0.4 if version else 0.05):
                    row[item] = np.nan
            rows.append(row)
    return rows


def make_case(
    seed,
    *,
    daily=True,
    returns="adj_close",
    value="market_value",
    dollar_volume=False,
    illiq=False,
    n_assets=4,
    n_months=75,
):
    """Bars, fundamentals and market of a small ragged panel, drawn from a seed."""
    rng = np.random.default_rng(seed)
    styles = ["plain", "late", "leaver", "constant", "huge", "ruined"]
    names = [f"A{k}" for k in range(n_assets)]
    bars = pd.concat(
        [
            asset_bars(rng, asset, str(rng.choice(styles)), n_months, daily, returns, value, dollar_volume, illiq)
            for asset in names
        ]
    )
    bars = bars.sort_values(["date", "asset"]).set_index(["date", "asset"])
    reports = []
    for asset in [*names[:-1], "UNLISTED"]:  # the last asset has bars and no reports
        reports += asset_reports(rng, asset, str(rng.choice(list(REPORTING))), n_months)
    fundamentals = pd.DataFrame(reports)
    dated = fundamentals.duplicated(["asset", "period_end", "available"])
    fundamentals = fundamentals[~dated].reset_index(drop=True)
    months = pd.period_range("2000-01", periods=n_months + 30, freq="M", name="month")
    market = pd.Series(rng.normal(0.005, 0.04, len(months)), index=months, name="market")
    return Case(bars, fundamentals, market)


@pytest.fixture(scope="session")
def literal():
    return literal_descriptors


@pytest.fixture(scope="session")
def make():
    return make_case


@pytest.fixture(scope="session")
def one_case():
    """A daily panel of five assets in which every descriptor is known somewhere. Tests must not change it."""
    return make_case(11, n_assets=5, n_months=76)
