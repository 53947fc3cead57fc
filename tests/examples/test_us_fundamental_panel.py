import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skdrfm.datasets import read_panel
from skdrfm.descriptors import DESCRIPTORS

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "us_fundamental_panel.py"
TICKERS = ["TRUE", "ON", "ALL", "NA", "TWO", *(f"S{i:02d}" for i in range(7))]
UNSTABLE_LINK, UNLINKED, TWO_FIRMS = "S05", "S06", "TWO"
N_MONTHS = 75


def _load_script():
    spec = importlib.util.spec_from_file_location("us_fundamental_panel", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = _load_script()


def write(folder, name, table, **kwargs):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / name, index=False, **kwargs)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A folder as the real one, with two bars a month and stocks of every kind."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    months = pd.period_range("2000-01", periods=N_MONTHS, freq="M")
    bars, reports, links = [], [], []
    for ticker in TICKERS:
        price = 20 * np.exp(np.cumsum(rng.normal(0.005, 0.05, 2 * N_MONTHS)))
        days = [f"{month}-{day}" for month in months for day in ("14", "28")]
        for day, close in zip(days, price, strict=True):
            bars.append(
                (day, ticker, close, close * 1.01, close * 0.99, close, close / 2, int(rng.integers(1000, 9000)))
            )
        n_firms = 2 if ticker == TWO_FIRMS else 1
        for quarter in pd.period_range("1999Q1", "2006Q1", freq="Q"):
            for _ in range(n_firms):
                flows = rng.lognormal(3, 0.2, 3).round(2)
                reports.append(
                    (ticker, quarter.end_time.date(), 1000, *flows, 900, 500, 400 if ticker != "S01" else -5)
                )
        if ticker != UNLINKED:
            spread = 0.5 if ticker == UNSTABLE_LINK else 0.0
            links.append((ticker, 20, 0.25, 0.25 * (1 - spread / 2), 0.25 * (1 + spread / 2)))
    columns = ["date", "asset", "open", "high", "low", "close", "adj_close", "volume"]
    write(folder, script.BARS_FILE, pd.DataFrame(bars, columns=columns))
    columns = ["ticker", "Quarter end", "Shares split adjusted", "Revenue", "Earnings"]
    columns += ["Cash from operating activities", "Assets", "Liabilities", "Shareholders equity"]
    table = pd.DataFrame(reports, columns=columns)
    table.loc[(table["ticker"] == "S02") & (table["Quarter end"].astype(str) == "2004-03-31"), "Revenue"] = 0
    write(folder, script.REPORTS_FILE, table)
    write(folder, script.LINK_FILE, pd.DataFrame(links, columns=["ticker", "n_quarters", "price_ratio", "q25", "q75"]))
    market = pd.DataFrame({"month": months.astype(str), "Mkt-RF": rng.normal(0.5, 4, N_MONTHS).round(2)})
    write(folder, script.MARKET_FILE, market.assign(SMB=0.1, HML=0.1, RF=0.2))
    return folder


@pytest.fixture(scope="module")
def built(data_dir):
    return script.build_panel(data_dir)


class TestSimulatedFiles:
    def test_all_16_descriptors_and_the_return_are_there(self, built):
        panel, counts = built
        assert list(panel.columns) == [*DESCRIPTORS, "return"]
        assert counts["linked stocks"] == len(TICKERS) - 2
        assert set(panel.index.get_level_values("asset")) == set(TICKERS) - {UNLINKED, UNSTABLE_LINK}
        pd.testing.assert_series_equal(panel["return"], panel["1MOM"], check_names=False)

    def test_shares_are_put_on_the_split_basis_of_the_bars(self, data_dir, built):
        panel, _ = built
        bars = pd.read_csv(data_dir / script.BARS_FILE, dtype={"asset": str}, keep_default_na=False)
        close = bars.set_index(["date", "asset"])["close"]["2004-06-28", "TRUE"]
        value = panel.loc[(pd.Timestamp("2004-06-30"), "TRUE"), "CAP"]
        np.testing.assert_allclose(np.exp(value), close * 1000 / 0.25, rtol=1e-12)

    def test_two_firms_under_one_ticker_have_prices_and_no_reports(self, built):
        of_two = built[0].xs(TWO_FIRMS, level="asset")
        assert of_two[["ROE", "PSR", "CAP"]].isna().all(axis=None)
        assert of_two["ILLIQ"].notna().any()

    def test_negative_equity_has_no_return_on_equity_and_is_counted(self, built):
        panel, counts = built
        assert panel.xs("S01", level="asset")[["ROE", "PBR"]].isna().all(axis=None)
        assert counts["panel: non_positive_net_assets"] == N_MONTHS

    def test_a_zero_that_means_not_reported_leaves_a_year_of_sales_unknown(self, built):
        sales = built[0].xs("S02", level="asset")["PSR"]["2001":]
        unknown = sales.index[sales.isna()].to_period("M")
        assert [str(month) for month in unknown] == [str(m) for m in pd.period_range("2004-06", "2005-05", freq="M")]

    def test_command_writes_a_panel_that_the_package_reads_back(self, data_dir, built, tmp_path, capsys):
        out = tmp_path / "panel.csv"
        script.main(["--data", str(data_dir), "--out", str(out)])
        X, y, universe = read_panel(out)
        pd.testing.assert_frame_equal(X, built[0][list(DESCRIPTORS)], check_index_type=False, check_exact=True)
        assert universe is None
        assert y.notna().sum() == len(X) - X.index.get_level_values("asset").nunique()
        assert "Share of known values" in capsys.readouterr().out

    def test_missing_files_are_named(self, tmp_path, capsys):
        with pytest.raises(SystemExit):
            script.main(["--data", str(tmp_path), "--out", str(tmp_path / "panel.csv")])
        assert script.LINK_FILE in capsys.readouterr().err


@pytest.fixture(scope="module")
def real():
    folder = script.default_data_dir()
    if folder is None or not (folder / script.SNAPSHOTS_FILE).exists():
        pytest.skip("needs the real data: set SKDRFM_DATA to the folder that holds us_daily/")
    return folder, *script.build_panel(folder)


class TestRealFiles:
    def test_coverage_is_high_once_there_is_history(self, real):
        _, panel, counts = real
        assert counts["linked stocks"] == 189
        late = panel[panel.index.get_level_values("date") >= "2005"]
        assert late[list(DESCRIPTORS)].notna().mean().min() > 0.93

    def test_value_and_size_agree_with_another_source(self, real):
        folder, panel, _ = real
        table = script.compare_with_snapshots(panel, script.load_snapshots(folder))
        assert (table["rank correlation"] > pd.Series({"CAP": 0.985, "PSR": 0.985, "PBR": 0.985, "PER": 0.89})).all()
        assert table["median ratio"].between(0.98, 1.02).all()
        assert (table["months and stocks"] > 2000).all()

    def test_labels_that_look_ahead_are_never_read(self, real):
        folder, _, _ = real
        assert set(script.load_snapshots(folder).columns) == {"CAP", "PSR", "PBR", "PER"}

    def test_the_two_firms_under_pld_are_left_out_and_counted(self, real):
        _, panel, counts = real
        assert panel.xs("PLD", level="asset")[["ROE", "CAP"]].isna().all(axis=None)
        assert any("PLD" in str(value) for name, value in counts.items() if name.startswith("reports"))

    def test_audit_finds_that_no_stock_ever_leaves_and_nothing_else(self, real):
        report = script.audit(real[1])
        assert report.codes == ("survivorship",)

    def test_later_bars_and_reports_change_nothing_before(self, real):
        folder, panel, _ = real
        price_ratio = script.load_link(folder)
        bars = script.load_bars(folder, list(price_ratio.index))
        reports = script.load_reports(folder, price_ratio)
        market = script.read_fama_french(folder / script.MARKET_FILE)["Mkt-RF"]
        cut = pd.Timestamp("2010-05-31")
        rng = np.random.default_rng(0)
        later = bars.index.get_level_values("date") > cut
        bars.loc[later] *= rng.uniform(0.5, 2, (later.sum(), 1))
        unknown = reports["period_end"] + pd.DateOffset(months=3) > cut
        reports.loc[unknown, "net_income"] *= -7
        market = market.mask(market.index > cut.to_period("M"), 0.0)
        again = script.compute_descriptors(bars, reports, market)
        before = panel.index.get_level_values("date") <= cut
        pd.testing.assert_frame_equal(again[before], panel.loc[before, list(DESCRIPTORS)], check_exact=True)
        assert not again[~before].equals(panel.loc[~before, list(DESCRIPTORS)])
