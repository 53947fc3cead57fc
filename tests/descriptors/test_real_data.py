"""Bars of real stocks: two aggregations of one source must agree, and faults of the source are met as they stand."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skdrfm.datasets import read_fundamentals
from skdrfm.descriptors import DescriptorSpec, compute_descriptors
from skdrfm.exceptions import PanelError

DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "data"
DAILY = Path("us_daily") / "us_daily_2000_2016.csv.gz"
MONTHLY = Path("us_monthly") / "us_monthly_2000_2016.csv.gz"
SEC = Path("us_sec_reports") / "sec_reports_2015_2016.csv.gz"
VENDOR = Path("us_fundamentals_quarterly") / "stockpup_quarterly_1993_2016.csv.gz"
N_ABSENT_FROM_MONTHLY = 6  # listed too late for the filters of the monthly file

MONTHLY_ILLIQ, DOLLAR_VOLUME = (
    DescriptorSpec(name, "Size", "of one month", "currency", 1, 0, "bars", (name,), compute)
    for name, compute in (
        ("illiq", lambda inputs: inputs.illiq),
        ("dollar_volume", lambda inputs: inputs.dollar_volume),
    )
)


def read(name, dates):
    folder = Path(os.environ.get("SKDRFM_DATA", DEFAULT))
    if not (folder / name).is_file():
        pytest.skip(f"needs {name} in the data folder; set SKDRFM_DATA to the folder that holds it")
    table = pd.read_csv(folder / name, dtype={"asset": str}, keep_default_na=False, na_values=[""])
    table["date"] = pd.to_datetime(table.pop(dates))
    return table.set_index(["date", "asset"])


@pytest.fixture(scope="module")
def daily():
    return read(DAILY, "date")[["close", "adj_close", "volume"]]


@pytest.fixture(scope="module")
def monthly():
    table = read(MONTHLY, "month")
    dates = table.index.get_level_values("date") + pd.offsets.MonthEnd(0)
    table.index = pd.MultiIndex.from_arrays([dates, table.index.get_level_values("asset")], names=["date", "asset"])
    return table


@pytest.fixture(scope="module")
def from_daily(daily):
    names = [MONTHLY_ILLIQ, DOLLAR_VOLUME, "1MOM", "12-1MOM", "60MOM", "60VOL", "SKEW", "ILLIQ"]
    return compute_descriptors(daily, names=names)


@pytest.fixture(scope="module")
def from_monthly(monthly):
    columns = ["close", "adj_close", "dollar_volume", "illiq"]
    sound = monthly.loc[monthly["adj_close"] > 0, columns]
    return compute_descriptors(sound, names=["1MOM", "12-1MOM", "60MOM", "60VOL", "SKEW", "ILLIQ"])


@pytest.fixture(scope="module")
def common(from_daily, monthly):
    rows = from_daily.index.intersection(monthly.index)
    assets = from_daily.index.get_level_values("asset")
    absent = set(assets) - set(monthly.index.get_level_values("asset"))
    assert len(absent) == N_ABSENT_FROM_MONTHLY
    assert len(rows) == (~assets.isin(absent)).sum()
    return rows


class TestTwoAggregationsAgree:
    def test_monthly_illiquidity_and_dollar_volume_of_daily_bars_are_those_of_the_monthly_file(
        self, from_daily, monthly, common
    ):
        for name in ("illiq", "dollar_volume"):
            found, expected = from_daily.loc[common, name], monthly.loc[common, name]
            # the file holds whole currency units
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1.0 if name == "dollar_volume" else 0)

    def test_descriptors_of_daily_and_of_monthly_bars_are_the_same(self, from_daily, from_monthly, common):
        for name in from_monthly.columns:
            found, expected = from_daily.loc[common, name], from_monthly.loc[common, name]
            known = expected.notna().sum()
            assert known > 20_000
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7 if name != "ILLIQ" else 0, err_msg=name)

    def test_a_month_s_return_is_the_ratio_of_adjusted_closes(self, from_monthly, monthly):
        wide = monthly["adj_close"].unstack("asset")
        ratio = (wide / wide.shift(1) - 1).stack()
        picks = ratio[ratio.index.get_level_values("asset").isin(["ALL", "AAPL", "ADBE", "ADM"])]
        assert len(picks) > 700
        np.testing.assert_allclose(from_monthly["1MOM"].loc[picks.index], picks, rtol=1e-12, atol=1e-14)


class TestFaultsOfTheSource:
    def test_negative_adjusted_prices_are_refused_with_their_stock(self, monthly):
        with pytest.raises(PanelError, match=r"'adj_close'.*must be positive.*90 values.*VATE"):
            compute_descriptors(monthly[["adj_close"]], names=["1MOM"])

    def test_an_unadjusted_reverse_split_is_reported_as_it_stands_and_forgotten_after_its_windows(
        self, from_monthly, monthly
    ):
        own = from_monthly.xs("AWH", level="asset")
        assert own.loc["2009-09-30", "1MOM"] == pytest.approx(336.5, abs=0.5)
        assert own.loc["2009-09-30":"2014-08-31", "60VOL"].min() > 1
        prices = monthly["adj_close"].xs("AWH", level="asset")
        returns = (prices / prices.shift(1) - 1).loc[:"2016-12-31"]
        for month in ("2014-08-31", "2014-09-30", "2016-12-31"):
            window = returns.loc[:month].iloc[-60:]
            assert own.loc[month, "60VOL"] == pytest.approx(window.std(), rel=1e-10)
            assert own.loc[month, "SKEW"] == pytest.approx(window.skew(), rel=1e-8)
        assert own.loc["2014-09-30":, "60VOL"].max() < 0.5

    def test_months_without_volume_have_no_ratio_and_leave_the_mean_of_the_year_known(self, from_monthly, monthly):
        empty = monthly.index[monthly["illiq"].isna() & (monthly["adj_close"] > 0)]
        assert len(empty) > 40
        inside = from_monthly["ILLIQ"].loc[empty]
        assert inside.notna().sum() > 5
        assert np.isfinite(from_monthly["ILLIQ"].dropna()).all()

    def test_bars_without_volume_are_counted(self, from_daily, daily):
        counts = from_daily.attrs["compute_descriptors"]
        assert counts["zero_volume_bars"] == 403 == (daily["volume"] == 0).sum()
        assert (counts["n_assets"], counts["n_months"]) == (239, 204)

    def test_the_week_in_which_the_exchange_was_closed_costs_no_return(self, daily, from_daily):
        dates = daily.index.get_level_values("date")
        assert not ((dates >= "2001-09-11") & (dates <= "2001-09-14")).any()
        listed = set(daily.loc["2001-08-31"].index) & set(daily.loc["2001-09-28"].index)
        september = from_daily.loc["2001-09-30"].loc[sorted(listed)]
        assert len(september) > 180
        assert september[["1MOM", "illiq"]].notna().all(axis=None)
        bars = daily.xs("AAPL", level="asset")
        reopened = abs(bars.loc["2001-09-17", "adj_close"] / bars.loc["2001-09-10", "adj_close"] - 1)
        window = bars.loc["2001-08-31":"2001-09-28"]
        moves = (window["adj_close"] / window["adj_close"].shift(1) - 1).abs().iloc[1:]
        assert moves["2001-09-17"] == reopened
        expected = (moves / (window["close"] * window["volume"]).iloc[1:]).mean()
        assert september.loc["AAPL", "illiq"] == pytest.approx(expected, rel=1e-10)


def report_item(name):
    trailing = name in ("sales", "net_income", "operating_cash_flow")
    return DescriptorSpec(
        name,
        "Quality",
        "as known",
        "currency",
        1,
        3,
        "reports",
        (name,),
        (lambda inputs: inputs.trailing(name)) if trailing else (lambda inputs: inputs.latest(name)),
    )


@pytest.fixture(scope="module")
def both():
    folder = Path(os.environ.get("SKDRFM_DATA", DEFAULT))
    if not (folder / SEC).is_file() or not (folder / VENDOR).is_file():
        pytest.skip("needs us_sec_reports/ and us_fundamentals_quarterly/ in the data folder; set SKDRFM_DATA")
    filed = read_fundamentals(folder / SEC, ambiguous="drop_asset")
    vendor = read_fundamentals(folder / VENDOR, ambiguous="drop_asset", zero_is_missing=True)
    assets = sorted(set(filed["asset"]) & set(vendor["asset"]))
    months = pd.date_range("2015-06-30", "2016-12-31", freq="ME")
    bars = pd.Series(0.0, pd.MultiIndex.from_product([months, assets], names=["date", "asset"]))

    def period(table):
        return table["asset"] + (table["period_end"] - pd.Timedelta(days=15)).dt.strftime(" %Y-%m")

    # The vendor does not say when a report came out; the filing does.
    first = filed.sort_values("available").drop_duplicates(["asset", "period_end"])
    published = pd.Series(first["available"].to_numpy(), index=period(first))
    published = published[~published.index.duplicated()]
    vendor["available"] = published.reindex(period(vendor)).to_numpy()
    vendor.loc[vendor["available"] < vendor["period_end"], "available"] = pd.NaT
    specs = [report_item(n) for n in ("net_income", "operating_cash_flow", "total_assets")]
    return [compute_descriptors(bars, table[table["asset"].isin(assets)], names=specs) for table in (filed, vendor)]


class TestFiledReportsAndVendorTableAgree:
    """Annual and year-to-date figures of filed reports against single quarters of another source (trap 4)."""

    @pytest.mark.parametrize(
        ("item", "correlation", "n_common"),
        [("net_income", 0.98, 2000), ("operating_cash_flow", 0.99, 2000), ("total_assets", 0.999, 4000)],
    )
    def test_what_was_known_is_the_same_from_both(self, both, item, correlation, n_common):
        filed, vendor = (frame[item] for frame in both)
        known = filed.notna() & vendor.notna()
        ratio = filed[known] / vendor[known]
        assert known.sum() > n_common
        assert filed[known].corr(vendor[known], method="spearman") > correlation
        # The sources define and restate some figures otherwise; a missing or doubled quarter would move them all.
        assert (ratio.sub(1).abs() < 0.05).mean() > 0.9
