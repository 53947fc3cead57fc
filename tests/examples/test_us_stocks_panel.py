import importlib.util
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skdrfm.datasets import read_panel
from skdrfm.exceptions import PanelError, PanelFileError
from skdrfm.panel import forward_returns

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "us_stocks_panel.py"
N_MONTHS = 80
TICKERS = ["TRUE", "ON", "ALL", "NA", "NAN", "None", "null", "INF", "1E5", "007", *(f"S{i:02d}" for i in range(14))]
LATE, GAPPY, LEAVER, NEGATIVE, STALE, UNTRADED, HUGE = "S00", "S01", "S02", "S03", "S04", "S05", "S06"


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
        if asset == HUGE:
            prices[40:] *= 300  # an unadjusted reverse split
        for t, month in enumerate(months):
            if (asset == LATE and t < 50) or (asset == GAPPY and t in (30, 31)) or (asset == LEAVER and t > 60):
                continue
            untraded = asset == UNTRADED and t in (20, 21)
            last_day = 12 if (asset == STALE and t == 44) else month.days_in_month - 1
            rows.append(
                {
                    "month": str(month),
                    "asset": asset,
                    "last_trade_date": f"{month}-{last_day}",
                    "close": prices[t],
                    "adj_close": -prices[t] if (asset == NEGATIVE and t >= 70) else prices[t],
                    "volume": 0 if untraded else 1000 + k,
                    "dollar_volume": 0 if untraded else int(1e6 * math.exp(0.3 * k % 2 + rng.normal(0, 1))),
                    "illiq": np.nan if untraded else math.exp(rng.normal(-20, 3)),
                }
            )
    stocks = pd.DataFrame(rows).sample(frac=1, random_state=seed)
    factors = pd.DataFrame({"month": months.astype(str), "Mkt-RF": market, "SMB": 0.5, "HML": 0.5, "RF": 0.1})
    return stocks, factors


def write_data(folder, stocks, factors):
    for name, table in ((script.MONTHLY_FILE, stocks), (script.MARKET_FILE, factors)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(folder / name, index=False)
    return folder


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), *simulated_tables())


@pytest.fixture(scope="module")
def bars(data_dir):
    return script.load_monthly(data_dir)[0]


@pytest.fixture(scope="module")
def market(data_dir):
    return script.load_market(data_dir)


@pytest.fixture(scope="module")
def panel(bars, market):
    return script.build_panel(bars, market, n_universe=7)


class TestReading:
    def test_tickers_that_look_like_missing_values_or_numbers_stay_text(self, bars):
        assert sorted(set(bars.index.get_level_values("asset"))) == sorted(TICKERS)

    def test_every_dropped_row_is_counted_under_its_reason(self, data_dir, bars):
        _, counts = script.load_monthly(data_dir)
        assert counts["rows dropped, negative adj_close"] == f"10 of ['{NEGATIVE}']"
        assert counts["rows dropped, last trade over 5 days before month end"] == 1
        assert counts["rows read"] == len(bars) + 11
        assert counts["rows kept, no trade in the month"] == 2

    def test_a_stale_price_gives_no_return_in_its_month_and_the_next(self, panel):
        returns = panel.xs(STALE, level="asset")["return"]
        assert "2003-09-30" not in returns.index
        assert np.isnan(returns["2003-10-31"])
        assert np.isfinite(returns["2003-11-30"])

    def test_market_returns_become_decimals(self, market):
        _, factors = simulated_tables()
        np.testing.assert_allclose(market.to_numpy(), factors["Mkt-RF"] / 100, rtol=1e-12)

    def test_a_file_shorter_than_a_year_is_refused(self, bars, market):
        with pytest.raises(PanelError, match="12 months in a row"):
            script.build_panel(bars[bars.index.get_level_values("date") < "2000-12"], market, n_universe=5)

    def test_a_file_without_prices_is_refused(self, tmp_path):
        stocks, factors = simulated_tables()
        write_data(tmp_path, stocks.drop(columns="month"), factors)
        with pytest.raises(PanelFileError, match="column of dates"):
            script.load_monthly(tmp_path)


class TestPanel:
    def test_own_descriptor_is_the_log_of_the_mean_dollar_volume_of_a_year(self, bars, panel):
        volume = bars.xs("NA", level="asset")["dollar_volume"]
        expected = math.log(volume.iloc[20:32].sum() / 12)
        assert panel["LOGDV"][volume.index[31], "NA"] == pytest.approx(expected, rel=1e-12)
        gappy = panel.xs(GAPPY, level="asset")["LOGDV"]
        assert gappy["2002-09":"2003-07"].isna().all()
        assert np.isfinite(gappy["2003-08-31"])

    def test_history_begins_after_24_and_60_returns(self, panel):
        rows = panel.xs("ALL", level="asset")
        first = {name: str(rows[name].first_valid_index().to_period("M")) for name in script.NAMES}
        assert {first[name] for name in ("60VOL", "BETA", "SKEW")} == {"2002-01"}
        assert first["60MOM"] == "2005-01"
        assert first["12-1MOM"] == "2001-01"
        assert first["1MOM"] == "2000-02"
        assert first["ILLIQ"] == "2000-06"
        assert first["LOGDV"] == "2000-12"

    def test_universe_holds_the_highest_twelve_month_means(self, bars, panel):
        recent = bars["dollar_volume"].unstack().loc["2003-06-30":"2004-05-31"]
        means = recent.mean()[recent.notna().all()]
        marked = panel.loc["2004-05-31"].query("universe").index
        assert sorted(marked) == sorted(means.nlargest(7).index)

    def test_universe_is_full_once_a_year_is_known_and_empty_before(self, panel):
        sizes = panel.groupby(level="date")["universe"].sum()
        assert (sizes.iloc[:11] == 0).all()
        assert (sizes.iloc[11:] == 7).all()

    def test_every_kept_row_is_there_once_at_its_month_end(self, bars, panel):
        assert panel.index.equals(bars.index)
        assert panel.index.get_level_values("date").is_month_end.all()
        assert list(panel.columns) == [*script.NAMES, "return", "universe"]

    def test_clipping_bounds_the_published_return_and_no_descriptor(self, bars, market, panel):
        clipped = script.build_panel(bars, market, n_universe=7, clip_return=1.0)
        assert panel["return"].max() > 100
        assert clipped["return"].max() == 1.0
        pd.testing.assert_frame_equal(clipped.drop(columns="return"), panel.drop(columns="return"), check_exact=True)

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_changing_or_removing_later_rows_changes_nothing_before(self, bars, market, panel, seed):
        rng = np.random.default_rng(seed)
        cut = bars.index.levels[0][int(rng.integers(20, N_MONTHS - 1))]
        later = bars.index.get_level_values("date") > cut
        changed = bars.copy()
        changed[later] *= rng.uniform(0.01, 100, (later.sum(), 1))
        past = panel[panel.index.get_level_values("date") <= cut]
        for altered in (bars[~later], changed[~(later & (rng.random(len(bars)) < 0.2))]):
            again = script.build_panel(altered, market, n_universe=7)
            again = again[again.index.get_level_values("date") <= cut]
            pd.testing.assert_frame_equal(again, past, check_exact=True)


class TestCommand:
    @pytest.mark.parametrize("ending", ["csv", "parquet"])
    def test_the_package_reads_the_written_panel(self, data_dir, panel, tmp_path, capsys, ending):
        if ending == "parquet":
            pytest.importorskip("pyarrow")
        out = tmp_path / "new" / f"panel.{ending}"
        script.main(["--data", str(data_dir), "--out", str(out), "--n-universe", "7"])
        X, y, universe = read_panel(out, universe="universe")
        pd.testing.assert_frame_equal(X, panel[list(script.NAMES)], check_exact=True, check_index_type=False)
        assert y.notna().sum() > 0.9 * len(y)
        assert universe.sum() == panel["universe"].sum()
        printed = capsys.readouterr().out
        assert "survivorship bias" in printed
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
            (["--out", "panel.csv", "--data", "nowhere"], "must exist"),
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


@pytest.fixture(scope="module")
def real():
    folder = script.default_data_dir()
    if folder is None or not (folder / script.MONTHLY_FILE).exists():
        pytest.skip("needs the monthly US stock file: set SKDRFM_DATA to the folder that holds us_monthly/")
    bars, counts = script.load_monthly(folder)
    return script.build_panel(bars, script.load_market(folder)), counts


class TestRealData:
    def test_known_faults_are_found(self, real):
        panel, counts = real
        assert counts["rows read"] == 254_544
        assert counts["rows dropped, negative adj_close"] == "90 of ['VATE']"
        assert (panel["return"].abs() > 1).sum() == 294
        assert "ALL" in panel.index.get_level_values("asset")

    def test_universe_is_full_and_free_of_huge_returns_from_2003_on(self, real):
        panel, _ = real
        dates = panel.index.get_level_values("date")
        assert (panel[dates >= "2000-12-01"].groupby(level="date")["universe"].sum() == 150).all()
        inside = panel["universe"] & (dates >= "2002-12-01")
        assert forward_returns(panel["return"])[inside].abs().max() < 1
