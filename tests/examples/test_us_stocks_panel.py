import importlib.util
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skdrfm.exceptions import PanelFileError

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "us_stocks_panel.py"
N_MONTHS = 80
TICKERS = ["TRUE", "ON", "ALL", "NA", "NAN", "None", "null", "INF", "1E5", "007", *(f"S{i:02d}" for i in range(14))]
LATE, GAPPY, LEAVER, NEGATIVE, STALE, UNTRADED = "S00", "S01", "S02", "S03", "S04", "S05"


def _load_script():
    spec = importlib.util.spec_from_file_location("us_stocks_panel", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = _load_script()


def simulated_tables(seed=0):
    """Monthly stock rows with every trap of the real file, and market factors in percent."""
    rng = np.random.default_rng(seed)
    months = pd.period_range("2000-01", periods=N_MONTHS, freq="M")
    market = rng.normal(0.5, 4, N_MONTHS)
    rows = []
    for k, asset in enumerate(TICKERS):
        growth = 1 + 0.01 * market * rng.uniform(0.5, 1.5) + rng.normal(0, 0.06, N_MONTHS)
        prices = 20 * np.cumprod(growth)
        if asset == "S06":
            prices[40:] *= 300  # an unadjusted reverse split
        for t, month in enumerate(months):
            if (asset == LATE and t < 50) or (asset == GAPPY and t in (30, 31)) or (asset == LEAVER and t > 60):
                continue
            untraded = asset == UNTRADED and t in (20, 21)
            day = 12 if (asset == STALE and t == 44) else 27
            rows.append(
                {
                    "month": str(month),
                    "asset": asset,
                    "last_trade_date": f"{month}-{day}" if month.days_in_month < 31 else f"{month}-{day + 1}",
                    "n_days": 21,
                    "close": prices[t],
                    "adj_close": -prices[t] if (asset == NEGATIVE and t >= 70) else prices[t],
                    "volume": 0 if untraded else 1000 + k,
                    "dollar_volume": 0 if untraded else int(1e6 * math.exp(0.3 * k % 2 + rng.normal(0, 1))),
                    "zero_volume_days": 0,
                    "ret_std": 0.02,
                    "ret_n": 21,
                    "illiq": np.nan if untraded else math.exp(rng.normal(-20, 3)),
                }
            )
    stocks = pd.DataFrame(rows).sample(frac=1, random_state=seed)
    factors = pd.DataFrame({"month": months.astype(str), "Mkt-RF": market, "SMB": 0.0, "HML": 0.0, "RF": 0.1})
    return stocks, factors


def write_data(folder, stocks, factors):
    for name, table in ((script.MONTHLY_FILE, stocks), (script.MARKET_FILE, factors)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(folder / name, index=False)
    return folder


def literal_value(name, monthly, market, asset, month):
    """One descriptor of one stock at one month, from its rows, in plain Python."""
    own = monthly[monthly["asset"] == asset]
    price = dict(zip(own["month"], own["adj_close"], strict=True))
    volume = dict(zip(own["month"], own["dollar_volume"], strict=True))
    illiq = dict(zip(own["month"], own["illiq"], strict=True))

    def return_of(m):
        return price[m] / price[m - 1] - 1 if m in price and m - 1 in price else math.nan

    def compounded(first, last):
        growth = math.prod(1 + return_of(month - k) for k in range(first, last + 1))
        return growth - 1

    if name == "1MOM":
        return return_of(month)
    if name == "12-1MOM":
        return compounded(1, 11)
    if name == "60MOM":
        return compounded(0, 59)
    if name == "ILLIQ":
        known = [illiq[month - k] for k in range(12) if not math.isnan(illiq.get(month - k, math.nan))]
        return sum(known) / len(known) if len(known) >= 6 else math.nan
    if name == "LOGDV":
        known = [volume[month - k] for k in range(12) if month - k in volume]
        return math.log(sum(known) / 12) if len(known) == 12 and sum(known) > 0 else math.nan
    pairs = [(return_of(month - k), market[month - k]) for k in range(60) if not math.isnan(return_of(month - k))]
    n = len(pairs)
    if n < 24:
        return math.nan
    mean = sum(r for r, _ in pairs) / n
    std = math.sqrt(sum((r - mean) ** 2 for r, _ in pairs) / (n - 1))
    if name == "60VOL":
        return std
    if name == "SKEW":
        return n / (n - 1) / (n - 2) * sum(((r - mean) / std) ** 3 for r, _ in pairs)
    x_mean = sum(x for _, x in pairs) / n
    return sum((x - x_mean) * (r - mean) for r, x in pairs) / sum((x - x_mean) ** 2 for _, x in pairs)


def assert_same_rows(left, right):
    """Equal in every bit, missing values included."""
    pd.testing.assert_frame_equal(left.reset_index(drop=True), right.reset_index(drop=True), check_exact=True)


def change_after(monthly, month, rng):
    """The same stocks with other numbers after a month, and some rows after it gone."""
    changed = monthly.copy()
    later = changed["month"] > month
    for column in ("adj_close", "dollar_volume", "illiq"):
        changed.loc[later, column] *= rng.uniform(0.01, 100, later.sum())
    return changed[~(later & (rng.random(len(changed)) < 0.2))]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), *simulated_tables())


@pytest.fixture(scope="module")
def monthly(data_dir):
    return script.load_monthly(data_dir)[0]


@pytest.fixture(scope="module")
def market(data_dir):
    return script.load_market(data_dir)


@pytest.fixture(scope="module")
def panel(monthly, market):
    return script.build_panel(monthly, market, n_universe=7)


@pytest.fixture(scope="module")
def real():
    folder = script.default_data_dir()
    if folder is None or not (folder / script.MONTHLY_FILE).exists():
        pytest.skip("needs the monthly US stock file: set SKDRFM_DATA to the folder that holds us_monthly/")
    monthly, counts = script.load_monthly(folder)
    return monthly, script.load_market(folder), counts


@pytest.fixture(scope="module")
def real_panel(real):
    monthly, market, _ = real
    return script.build_panel(monthly, market, n_universe=150)


@pytest.fixture(scope="module")
def sixty(real):
    monthly = real[0]
    assets = np.random.default_rng(0).permutation(sorted(set(monthly["asset"])))[:59]
    return monthly[monthly["asset"].isin([*assets, "ALL"])]


class TestReading:
    def test_tickers_that_look_like_missing_values_or_numbers_stay_text(self, monthly):
        assert sorted(set(monthly["asset"])) == sorted(TICKERS)

    def test_every_dropped_row_is_counted_under_its_reason(self, data_dir, monthly):
        _, counts = script.load_monthly(data_dir)
        assert counts["rows dropped, adj_close not positive"] == 10
        assert counts["  their stocks"] == [NEGATIVE]
        assert counts["rows dropped, last trade over 5 days before month end"] == 1
        assert counts["rows read"] == len(monthly) + 11
        assert counts["rows kept, no trade in the month"] == 2
        assert counts["rows kept, ILLIQ of the month unknown"] == 2
        assert counts["tickers that look like missing values"] == sorted(
            {"TRUE", "ON", "ALL", "NA", "NAN", "INF"} & set(TICKERS)
        )

    def test_a_price_of_another_month_is_dropped_as_stale(self, tmp_path):
        stocks, factors = simulated_tables()
        early = (stocks["asset"] == "NA") & (stocks["month"] == "2003-05")
        write_data(
            tmp_path, stocks.assign(last_trade_date=stocks["last_trade_date"].mask(early, "2003-04-30")), factors
        )
        monthly, counts = script.load_monthly(tmp_path)
        assert counts["rows dropped, last trade over 5 days before month end"] == 2
        assert pd.Period("2003-05", "M") not in set(monthly.loc[monthly["asset"] == "NA", "month"])

    def test_market_returns_become_decimals(self, market):
        _, factors = simulated_tables()
        np.testing.assert_allclose(market.to_numpy(), factors["Mkt-RF"] / 100, rtol=1e-12)

    @pytest.mark.parametrize(
        ("fault", "message"),
        [
            ("absent file", "must hold us_monthly"),
            ("absent column", "adj_close"),
            ("duplicate row", "one row for each month and asset. Got 1 further"),
            ("empty price", "must be a CSV file"),
            ("empty asset", "must name the asset"),
            ("bad month", "months as yyyy-mm"),
        ],
    )
    def test_faulty_stock_files_are_refused(self, tmp_path, fault, message):
        stocks, factors = simulated_tables()
        if fault == "absent column":
            stocks = stocks.drop(columns="adj_close")
        elif fault == "duplicate row":
            stocks = pd.concat([stocks, stocks.tail(1)])
        elif fault == "empty price":
            stocks.iloc[3, stocks.columns.get_loc("adj_close")] = np.nan
        elif fault == "empty asset":
            stocks.iloc[3, stocks.columns.get_loc("asset")] = ""
        elif fault == "bad month":
            stocks.iloc[3, stocks.columns.get_loc("month")] = "soon"
        write_data(tmp_path, stocks, factors)
        if fault == "absent file":
            (tmp_path / script.MONTHLY_FILE).unlink()
        with pytest.raises(PanelFileError, match=message):
            script.load_monthly(tmp_path)

    def test_market_returns_in_decimals_are_refused(self, tmp_path):
        stocks, factors = simulated_tables()
        write_data(tmp_path, stocks, factors.assign(**{"Mkt-RF": factors["Mkt-RF"] / 100}))
        with pytest.raises(PanelFileError, match="must be in percent"):
            script.load_market(tmp_path)

    def test_a_month_without_market_return_is_named(self, monthly, market):
        with pytest.raises(PanelFileError, match=r"none for 1 months: '2001-03'"):
            script.build_panel(monthly, market.drop(pd.Period("2001-03", "M")), n_universe=5)

    def test_a_file_shorter_than_a_year_is_refused(self, monthly, market):
        with pytest.raises(PanelFileError, match="12 months in a row"):
            script.build_panel(monthly[monthly["month"] < "2000-12"], market, n_universe=5)


class TestReferenceValues:
    @pytest.mark.parametrize("name", script.DESCRIPTORS)
    def test_descriptor_equals_its_literal_formula(self, monthly, market, name):
        wide = script.compute_descriptors_wide(monthly, market)[name]
        months = wide.index
        picks = [("TRUE", 79), ("NA", 60), ("NA", 59), ("ON", 24), ("ON", 23), ("S06", 45), (LATE, 74), (LATE, 73)]
        picks += [(GAPPY, t) for t in (30, 31, 32, 33, 43, 44, 79)] + [(UNTRADED, 25), (STALE, 45), (NEGATIVE, 69)]
        picks += [(LATE, 55), (LATE, 61), (LEAVER, 60), ("ALL", 10), ("ALL", 11), ("ALL", 12)]
        expected = [literal_value(name, monthly, market, asset, months[t]) for asset, t in picks]
        found = [wide.loc[months[t], asset] for asset, t in picks]
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12 if name == "SKEW" else 0)
        assert np.isfinite(expected).sum() >= 2

    def test_history_begins_after_24_and_60_returns(self, panel):
        rows = panel[panel["asset"] == "ALL"].set_index("date")
        first = {name: rows[name].first_valid_index().to_period("M") for name in script.DESCRIPTORS}
        assert {str(first[name]) for name in ("60VOL", "BETA", "SKEW")} == {"2002-01"}
        assert str(first["60MOM"]) == "2005-01"
        assert str(first["12-1MOM"]) == "2001-01"
        assert str(first["1MOM"]) == "2000-02"
        assert str(first["ILLIQ"]) == "2000-06"
        assert str(first["LOGDV"]) == "2000-12"

    def test_a_missing_month_gives_no_return_over_several_months(self, panel):
        returns = panel[panel["asset"] == GAPPY].set_index("date")["return"]
        missing = returns.index[returns.isna()].to_period("M").astype(str).tolist()
        assert missing == ["2000-01", "2002-09"]  # rows of 2002-07 and 2002-08 do not exist

    def test_a_stale_price_gives_no_return_in_its_month_and_the_next(self, panel):
        rows = panel[panel["asset"] == STALE].set_index("date")["return"]
        assert "2003-09-30" not in rows.index
        assert np.isnan(rows["2003-10-31"])
        assert np.isfinite(rows["2003-11-30"])


class TestProperties:
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_changing_or_removing_later_rows_changes_nothing_before(self, monthly, market, panel, seed):
        rng = np.random.default_rng(seed)
        month = pd.Period("2000-01", "M") + int(rng.integers(20, N_MONTHS - 1))
        past = panel[panel["date"] <= month.end_time]
        for altered in (monthly[monthly["month"] <= month], change_after(monthly, month, rng)):
            again = script.build_panel(altered, market, n_universe=7)
            assert_same_rows(again[again["date"] <= month.end_time], past)

    def test_universe_holds_the_highest_twelve_month_means(self, monthly, panel):
        month = pd.Period("2004-05", "M")
        means = {
            asset: rows["dollar_volume"].mean()
            for asset, rows in monthly[(monthly["month"] > month - 12) & (monthly["month"] <= month)].groupby("asset")
            if len(rows) == 12
        }
        best = sorted(means, key=means.get, reverse=True)[:7]
        marked = panel[panel["universe"] & (panel["date"] == "2004-05-31")]["asset"]
        assert sorted(marked) == sorted(best)

    def test_universe_has_at_most_n_stocks_a_month_and_none_in_the_first_year(self, panel):
        sizes = panel.groupby(panel["date"].dt.to_period("M"))["universe"].sum()
        assert (sizes[:11] == 0).all()
        assert (sizes[11:] == 7).all()

    def test_ties_never_exceed_n(self):
        months = pd.period_range("2000-01", periods=12, freq="M")
        volume = pd.DataFrame(5.0, index=months, columns=["A", "B", "C", "D"])
        assert script.choose_universe(volume, 2).iloc[-1].tolist() == [True, True, False, False]

    def test_stocks_without_volume_or_full_year_are_never_chosen(self):
        months = pd.period_range("2000-01", periods=12, freq="M")
        volume = pd.DataFrame({"A": 0.0, "B": 1.0, "C": [np.nan, *[9.0] * 11]}, index=months)
        assert script.choose_universe(volume, 3).iloc[-1].tolist() == [False, True, False]

    def test_every_priced_row_is_kept_once_in_order_of_date_and_asset(self, monthly, panel):
        assert not panel.duplicated(["date", "asset"]).any()
        assert len(panel) == len(monthly)
        assert_same_rows(panel, panel.sort_values(["date", "asset"]))
        assert panel["date"].dt.is_month_end.all()
        assert list(panel.columns) == ["date", "asset", *script.DESCRIPTORS, "return", "universe"]

    def test_clipping_bounds_the_published_return_and_no_descriptor(self, monthly, market, panel):
        clipped = script.build_panel(monthly, market, n_universe=7, clip_return=1.0)
        assert panel["return"].max() > 100
        assert clipped["return"].max() == 1.0
        assert_same_rows(clipped.drop(columns="return"), panel.drop(columns="return"))

    def test_inputs_are_not_changed(self, monthly, market):
        before = monthly.copy(deep=True), market.copy(deep=True)
        script.build_panel(monthly, market, n_universe=3)
        assert_same_rows(monthly, before[0])
        pd.testing.assert_series_equal(market, before[1], check_exact=True)

    def test_next_returns_skip_no_month(self, panel):
        forward = script.next_returns(panel)
        gap = panel[(panel["asset"] == GAPPY) & (panel["date"] == "2002-06-30")].index
        assert forward[gap].isna().all()
        one = panel[(panel["asset"] == "NA") & (panel["date"] == "2002-06-30")].index
        after = panel[(panel["asset"] == "NA") & (panel["date"] == "2002-07-31")]["return"]
        assert forward[one].tolist() == after.tolist()


class TestCommand:
    @pytest.mark.parametrize("ending", ["csv", "parquet"])
    def test_written_panel_is_the_built_one(self, data_dir, panel, tmp_path, capsys, ending):
        if ending == "parquet":
            pytest.importorskip("pyarrow")
        out = tmp_path / "new" / f"panel.{ending}"
        script.main(["--data", str(data_dir), "--out", str(out), "--n-universe", "7"])
        if ending == "csv":
            written = pd.read_csv(
                out, dtype={"asset": str}, parse_dates=["date"], keep_default_na=False, na_values=[""]
            )
        else:
            written = pd.read_parquet(out)
        pd.testing.assert_frame_equal(written, panel, check_exact=ending == "parquet", check_dtype=False)
        printed = capsys.readouterr().out
        assert "survivorship bias" in printed
        assert "rows dropped, adj_close not positive: 10" in printed
        assert "universe size by month: 7 to 7 from 2000-12 on" in printed

    def test_clipped_returns_are_counted(self, data_dir, tmp_path, capsys):
        arguments = ["--data", str(data_dir), "--out", str(tmp_path / "p.csv"), "--n-universe", "7"]
        script.main([*arguments, "--clip-return", "1"])
        assert "returns clipped at +100%: 1" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--out", "panel.xlsx"], "must end in .csv or .parquet"),
            (["--out", "panel.csv", "--n-universe", "0"], "must be at least 1"),
            (["--out", "panel.csv", "--clip-return", "-1"], "must be a positive"),
            (["--out", "panel.csv", "--data", "nowhere"], "data folder must hold"),
        ],
    )
    def test_wrong_options_are_refused_before_anything_is_written(
        self, data_dir, tmp_path, monkeypatch, capsys, arguments, message
    ):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as stop:
            script.main(["--data", str(data_dir), *arguments])
        assert stop.value.code == 2
        assert message in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []

    def test_data_folder_comes_from_the_environment(self, monkeypatch, data_dir):
        monkeypatch.setenv("SKDRFM_DATA", str(data_dir))
        assert script.default_data_dir() == data_dir


class TestRealData:
    def test_known_faults_are_found(self, real, real_panel):
        counts = real[2]
        assert counts["rows read"] == 254_544
        assert counts["rows dropped, adj_close not positive"] == 90
        assert counts["  their stocks"] == ["VATE"]
        assert (real_panel["return"].abs() > 1).sum() == 294
        assert "ALL" in set(real_panel["asset"])

    def test_universe_is_full_and_free_of_huge_returns_from_2003_on(self, real_panel):
        sizes = real_panel[real_panel["date"] >= "2000-12-01"].groupby("date")["universe"].sum()
        assert (sizes == 150).all()
        inside = real_panel["universe"] & (real_panel["date"] >= "2002-12-01")
        assert script.next_returns(real_panel)[inside].abs().max() < 1

    def test_no_descriptor_predicts_too_well(self, real_panel):
        inside = real_panel[real_panel["universe"] & (real_panel["date"] >= "2009-01-01")]
        ic = script.mean_rank_ic(inside, script.next_returns(real_panel)[inside.index])
        assert (ic.abs() < 0.05).all()

    @pytest.mark.parametrize("name", script.DESCRIPTORS)
    def test_descriptor_equals_its_literal_formula(self, real, sixty, name):
        wide = script.compute_descriptors_wide(sixty, real[1])[name]
        for asset, month in (("ALL", "2016-12"), ("ALL", "2009-03"), (wide.columns[7], "2012-05")):
            period = pd.Period(month, "M")
            expected = literal_value(name, sixty, real[1], asset, period)
            assert wide.loc[period, asset] == pytest.approx(expected, rel=1e-10, nan_ok=True)

    def test_changing_or_removing_later_rows_changes_nothing_before(self, real, sixty):
        rng = np.random.default_rng(5)
        month = pd.Period("2003-01", "M") + int(rng.integers(0, 150))
        whole = script.build_panel(sixty, real[1], n_universe=20)
        past = whole[whole["date"] <= month.end_time]
        for altered in (sixty[sixty["month"] <= month], change_after(sixty, month, rng)):
            again = script.build_panel(altered, real[1], n_universe=20)
            assert_same_rows(again[again["date"] <= month.end_time], past)
