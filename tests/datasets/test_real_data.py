"""The traps of real price and statement files, as far as reading meets them."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skdrfm.datasets import bar_report, read_bars, read_fundamentals
from skdrfm.exceptions import PanelFileError

DATA = Path(os.environ.get("SKDRFM_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
DAILY = DATA / "us_daily" / "us_daily_2000_2016.csv.gz"
MONTHLY = DATA / "us_monthly" / "us_monthly_2000_2016.csv.gz"
QUIRKS = DATA / "us_quirks" / "us_quirks_daily_2000_2016.csv.gz"
STATEMENTS = DATA / "us_fundamentals_quarterly" / "stockpup_quarterly_1993_2016.csv.gz"
REPORTS = DATA / "us_sec_reports" / "sec_reports_2015_2016.csv.gz"
SNAPSHOTS = DATA / "us_valuation_snapshots" / "keystats_2003_2013.csv.gz"
LINK = DATA / "us_fundamentals_quarterly" / "link_to_us_daily.csv"
ONE_STOCK = DATA / "aapl_daily" / "aapl_daily_2015_2023.csv.gz"

pytestmark = pytest.mark.skipif(
    not DAILY.exists(), reason="the real data lie outside the package; set SKDRFM_DATA to their folder"
)


@pytest.fixture(scope="module")
def daily():
    return read_bars(DAILY)


@pytest.fixture(scope="module")
def quirks():
    return read_bars(QUIRKS, faulty="drop")


@pytest.fixture(scope="module")
def statements():
    return read_fundamentals(STATEMENTS, ambiguous="drop_asset")


@pytest.fixture(scope="module")
def reports():
    return read_fundamentals(REPORTS, ambiguous="drop_asset")


class TestDailyBars:
    def test_all_bars_pass_and_zero_volumes_are_counted_not_dropped(self, daily):
        counts = daily.attrs["read_bars"]
        assert (counts["n_rows"], counts["n_kept"], counts["dropped"]) == (937_709, 937_709, {})
        assert counts["zero_volume_bars"] == 403
        dates, assets = daily.index.unique("date"), daily.index.unique("asset")
        assert (len(dates), len(assets), str(dates.min().date()), str(dates.max().date())) == (
            *(4277, 239),
            *("2000-01-03", "2016-12-30"),
        )

    def test_trap_1_the_universe_only_grows(self, daily):
        # Nobody ever leaves: the bars are of survivors, which no reader can mend.
        report = bar_report(daily)
        assert (report["last_date"] == pd.Timestamp("2016-12-30")).all()
        assert (report["first_date"] == pd.Timestamp("2000-01-03")).sum() == 179

    def test_trap_2_levels_hold_later_splits_and_returns_do_not(self):
        # Apple split 7 for 1 in June 2014 and 4 for 1 in August 2020: it traded near 109 dollars at the end of 2015's
        # first day, and the file says 27. The docstring forbids levels for this reason.
        bars = read_bars(ONE_STOCK, start="2020-08-28", end="2020-08-31")
        close = bars["close"].to_numpy()
        assert close[1] / close[0] - 1 == pytest.approx(0.034, abs=0.001)
        assert read_bars(ONE_STOCK, start="2015-01-02", end="2015-01-02")["close"].item() == pytest.approx(
            109.33 / 4, rel=1e-4
        )
        assert "no level may become a descriptor" in " ".join(read_bars.__doc__.split())

    def test_trap_10_a_closed_exchange_is_a_gap_of_a_week_and_no_suspect(self, daily):
        report = bar_report(daily)
        assert (report["longest_gap_days"] == 7).sum() == 194
        assert report["longest_gap_days"].max() == 7
        assert report["n_jumps"].sum() == 40
        assert (report["suspects"] == "").all()
        september = daily.xs("IBM", level="asset").loc["2001-09"].index.day
        assert not set(september) & {11, 12, 13, 14}

    def test_assets_and_dates_are_chosen_on_the_way(self, daily):
        some = read_bars(DAILY, assets=["AAPL", "IBM"], start="2005", end="2005", chunk_size=100_000)
        expected = daily[daily.index.get_level_values("asset").isin(["AAPL", "IBM"])].loc["2005-01-01":"2005-12-31"]
        np.testing.assert_array_equal(some.to_numpy(), expected.to_numpy())
        assert some.index.tolist() == expected.index.tolist()


class TestMonthlyBars:
    def test_trap_7_negative_prices_are_named_and_dropped(self):
        with pytest.raises(PanelFileError, match="Got 90 faulty rows of 254544(.|\n)*negative adj_close +90  'VATE'"):
            read_bars(MONTHLY)
        bars = read_bars(MONTHLY, faulty="drop")
        counts = bars.attrs["read_bars"]
        assert counts["assets"] == {"negative adj_close": {"VATE": 90}}
        assert counts["n_kept"] == 254_454
        assert "VATE" not in bars.index.unique("asset")
        # Months without a trade or without a return: their ratio is unknown, not zero.
        assert bars["illiq"].isna().sum() == 69
        assert bars.index.unique("date")[0] == pd.Timestamp("2000-01-31")

    def test_trap_7_extreme_returns_are_shown_and_not_taken_away(self):
        report = bar_report(read_bars(MONTHLY, assets=["AWH", "TTNP", "WT", "UVE", "WWR", "MERC", "IBM"]))
        assert (report["n_jumps"].drop("IBM") > 0).all()
        assert report.loc["IBM", "n_jumps"] == 0

    def test_tickers_that_look_like_other_things_stay_text(self):
        monthly = read_bars(MONTHLY, assets=["NAT", "ALL"])
        assert monthly.index.unique("asset").tolist() == ["ALL", "NAT"]
        assert read_fundamentals(REPORTS, assets=["TRUE", "ALL"])["asset"].unique().tolist() == ["ALL", "TRUE"]
        assert read_bars(QUIRKS, assets="TRUE").index.unique("asset").tolist() == ["TRUE"]


class TestQuirks:
    def test_every_fault_is_counted_by_asset(self, quirks):
        counts = quirks.attrs["read_bars"]
        assert counts["dropped"] == {
            "empty bar": 1381,
            "negative adj_close": 1883,
            "prices outside low and high": 1247,
        }
        assert counts["assets"]["empty bar"] == {"EAI": 1381}
        assert counts["assets"]["negative adj_close"] == {"VATE": 1883}
        outside = counts["assets"]["prices outside low and high"]
        assert (outside["USAS"], outside["KIQ"]) == (1073, 162)
        assert set(outside) == {"USAS", "KIQ", "RDIB", "ELLO", "SHEL"}
        assert counts["n_kept"] + counts["n_dropped"] == counts["n_rows"] == 45_957

    def test_they_are_refused_unless_the_caller_drops_them(self):
        with pytest.raises(PanelFileError, match="4511 faulty rows of 45957") as caught:
            read_bars(QUIRKS)
        for name in ("'EAI'", "'VATE'", "1883"):
            assert name in str(caught.value)

    @pytest.mark.parametrize(("asset", "n_zero"), [("EP", 2083), ("RDIB", 2952), ("BDL", 1249), ("KIQ", 1961)])
    def test_zero_volume_bars_are_kept(self, quirks, asset, n_zero):
        own = quirks.xs(asset, level="asset")
        assert (own["volume"] == 0).sum() == pytest.approx(n_zero, abs=10)  # less those with another fault

    def test_reused_tickers_are_suspects_and_large_firms_are_not(self, quirks):
        suspects = bar_report(quirks)["suspects"]
        for asset in ("EP", "MI"):
            assert "reused ticker?" in suspects[asset]
        for asset in ("TRUE", "HUBB", "SHEL", "SITC"):
            assert suspects[asset] == ""


class TestStatements:
    def test_trap_4_flows_are_of_one_quarter_and_no_day_of_publication_is_invented(self, statements):
        assert (statements[["months", "cash_flow_months"]] == 3).all(axis=None)
        assert statements["available"].isna().all()
        assert "operating_profit" not in statements

    def test_trap_5_two_firms_under_one_ticker_are_refused_by_name(self, statements):
        with pytest.raises(PanelFileError, match=r"133 periods .* MNST \(80 periods\), PLD \(53 periods\)"):
            read_fundamentals(STATEMENTS)
        assert statements.attrs["read_fundamentals"]["ambiguous_assets"] == {"MNST": 80, "PLD": 53}
        assert not {"MNST", "PLD"} & set(statements["asset"])
        kept = read_fundamentals(STATEMENTS, ambiguous="drop_period")
        assert len(kept) == 23_951 - 2 * 133
        assert not kept.duplicated(["asset", "period_end"]).any()

    def test_trap_5_negative_equity_is_kept_and_counted(self, statements):
        assert (statements["net_assets"] < 0).sum() == 676
        assert statements.attrs["read_fundamentals"]["n_negative_net_assets"] == 676

    def test_trap_5_zero_is_missing_where_the_caller_says_so(self):
        found = read_fundamentals(STATEMENTS, ambiguous="drop_asset", zero_is_missing=["net_income"])
        assert found.attrs["read_fundamentals"]["zeros_as_missing"] == {"net_income": 17}
        assert not (found["net_income"] == 0).any()

    def test_trap_3_market_value_needs_the_ratio_of_the_split_bases(self, daily, statements):
        link = pd.read_csv(LINK, dtype={"ticker": str}, keep_default_na=False).set_index("ticker")
        assert ((link["q75"] - link["q25"]) / link["price_ratio"] < 0.1).all()
        apple = statements[statements["asset"] == "AAPL"].set_index("period_end")["shares"]
        close = daily.xs("AAPL", level="asset")["close"].iloc[-1]
        naive = close * apple.iloc[-1] / 1e9
        assert naive / link.loc["AAPL", "price_ratio"] == pytest.approx(617, rel=0.02)
        assert naive == pytest.approx(154, rel=0.02)  # four times too small: the split of 2020


class TestReports:
    def test_trap_4_documents_are_told_apart_by_their_months(self, reports):
        apple = reports[reports["asset"] == "AAPL"].set_index("period_end")
        assert apple["months"].tolist() == [3, 3, 12, 3, 3, 3, 12]
        assert apple["cash_flow_months"].tolist() == [6, 9, 12, 3, 6, 9, 12]
        # The fiscal year of 2015: 233.7 billion dollars of sales.
        assert apple.loc["2015-09-26", "sales"] == pytest.approx(233.715e9)
        assert reports["available"].notna().all()
        assert (reports["available"] >= reports["period_end"]).all()

    def test_trap_4_reports_listed_twice_are_kept_once(self, reports):
        counts = reports.attrs["read_fundamentals"]
        assert counts["n_late_copies"] > 17_000
        assert counts["n_identical_copies"] == 195
        assert not reports.duplicated(["asset", "period_end", "available"]).any()
        dropped = ["n_empty", "n_identical_copies", "n_replaced_by_amendment", "n_ambiguous", "n_late_copies"]
        assert counts["n_rows"] == counts["n_kept"] + sum(counts[name] for name in dropped) == 34_181

    def test_trap_4_the_few_firms_with_quarterly_cash_flows_are_found(self, reports):
        covered = reports[reports["months"] == 3].groupby("asset")["cash_flow_months"].max()
        assert (covered[["JCP", "LUV", "VEEV", "STLD"]] == 3).all()
        assert reports.loc[reports["asset"] == "IBM", "cash_flow_months"].tolist() == [3, 6, 9, 12, 3, 6, 9]
        assert reports.attrs["read_fundamentals"]["n_quarterly_cash_flows"] < 0.02 * len(reports)

    def test_two_firms_under_one_symbol_are_refused_by_name(self, reports):
        with pytest.raises(PanelFileError, match=r"35 periods .* AAMC \(7 periods\)"):
            read_fundamentals(REPORTS)
        assert "AAMC" not in set(reports["asset"])

    def test_empty_reports_with_impossible_dates_are_counted(self, reports):
        assert reports.attrs["read_fundamentals"]["n_empty"] == 6
        assert reports.attrs["read_fundamentals"]["n_cash_flows_of_unknown_length"] == 8


class TestSnapshots:
    def test_trap_6_next_years_changes_never_enter(self):
        # No reader takes key statistics: neither form of table recognises a column of them by chance.
        with pytest.raises(PanelFileError, match="Missing: period_end"):
            read_fundamentals(SNAPSHOTS)
        with pytest.raises(PanelFileError, match="must have a column of dates and at least one of prices"):
            read_bars(SNAPSHOTS)
        asked = read_bars(SNAPSHOTS, columns={"close": "Price"}, faulty="drop")
        assert list(asked.columns) == ["close"]
