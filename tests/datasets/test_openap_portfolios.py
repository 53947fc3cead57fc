import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skdrfm.datasets import read_openap_portfolios
from skdrfm.exceptions import PanelFileError

N_MONTHS = 24


def percent_table(seed=0):
    rng = np.random.default_rng(seed)
    dates = pd.bdate_range("1999-12-01", periods=600)
    last = dates.to_series().groupby(dates.to_period("M")).max().iloc[:N_MONTHS]
    table = pd.DataFrame({"date": last.dt.strftime("%Y-%m-%d").to_numpy()})
    for name in ("Beta", "BM", "Mom12m"):
        table[name] = rng.normal(0.5, 3, N_MONTHS)
    table.loc[:5, "BM"] = np.nan
    return table


def write(table, path):
    table.to_csv(path, index=False, na_rep="NA")
    return path


class TestReferenceValues:
    @pytest.mark.parametrize("name", ["ls.csv", "ls.csv.gz", "ls.zip"])
    def test_percent_by_trading_day_becomes_decimals_by_month(self, tmp_path, name):
        table = percent_table()
        out = read_openap_portfolios(write(table, tmp_path / name))
        assert out.index.equals(pd.period_range("1999-12", periods=N_MONTHS, freq="M"))
        assert out.index.name == "month"
        np.testing.assert_array_equal(out.to_numpy(), table[["Beta", "BM", "Mom12m"]].to_numpy() / 100)
        assert out.attrs["read_openap_portfolios"] == {
            "n_rows": N_MONTHS,
            "missing": 6,
            "missing_share": 6 / 72,
            "absent_months": 0,
        }

    def test_columns_are_chosen_by_name_in_that_order(self, tmp_path):
        out = read_openap_portfolios(write(percent_table(), tmp_path / "ls.csv"), ["Mom12m", "Beta"])
        assert list(out.columns) == ["Mom12m", "Beta"]

    def test_rows_in_any_order_come_back_by_month_and_gaps_are_counted(self, tmp_path):
        table = percent_table().drop(index=[4, 9]).sample(frac=1, random_state=0)
        out = read_openap_portfolios(write(table, tmp_path / "ls.csv"))
        assert out.index.is_monotonic_increasing
        assert out.attrs["read_openap_portfolios"]["absent_months"] == 2
        assert out.loc["2001-11", "Beta"] == percent_table()["Beta"].iloc[-1] / 100


class TestValidation:
    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            (lambda t: t.assign(BM=t["BM"] / 100), "must be in percent per month.*'BM' .0.0"),
            (lambda t: t.drop(columns="date"), "must have a column 'date'. Found: 'Beta'"),
            (lambda t: t[["date"]], "At least one signal"),
            (lambda t: t.iloc[:0], "a row for each month. Got none"),
            (lambda t: t.assign(date=t["date"].str[:8] + "01"), "last trading days of their months. Got 24 earlier"),
            (lambda t: t.assign(date=t["date"].str[:7]), "must be ISO dates"),
            (lambda t: t.assign(date=t["date"].where(t.index != 3)), "ISO dates.*1 rows without a date"),
            (lambda t: pd.concat([t, t.iloc[[2]]]), "one row for each month. Got 1 further rows: '2000-02'"),
            (lambda t: t.assign(Beta="high"), "'Beta' .* finite numbers or NA. Got 24 others such as 'high'"),
            (lambda t: t.assign(Beta=np.inf), "'Beta' .* finite numbers or NA. Got 24 others such as inf"),
        ],
    )
    def test_files_that_lie_are_refused(self, tmp_path, changed, message):
        with pytest.raises(PanelFileError, match=message):
            read_openap_portfolios(write(changed(percent_table()), tmp_path / "ls.csv"))

    def test_unknown_names_are_refused_with_near_ones(self, tmp_path):
        with pytest.raises(PanelFileError, match="Unknown: 'mom12M' .near: 'Mom12m'"):
            read_openap_portfolios(write(percent_table(), tmp_path / "ls.csv"), ["mom12M"])

    @pytest.mark.parametrize("name", ["ls.csv", "ls.zip", "ls.parquet"])
    def test_absent_and_spoiled_files_are_refused(self, tmp_path, name):
        with pytest.raises(PanelFileError, match="ls\\."):
            read_openap_portfolios(tmp_path / name)
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(PanelFileError, match="ls\\."):
            read_openap_portfolios(tmp_path / name)


@pytest.fixture(scope="module")
def real():
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("SKDRFM_DATA", default)) / "osap_longshort"
    if not folder.is_dir():
        pytest.skip("needs the long-short file: set SKDRFM_DATA to the folder that holds osap_longshort/")
    return folder


class TestRealFile:
    def test_the_file_has_its_known_shape_dates_and_missing_share(self, real):
        out = read_openap_portfolios(real / "osap_longshort_monthly_1926_2016.csv.gz")
        assert out.shape == (1092, 207)
        assert out.index.equals(pd.period_range("1926-01", "2016-12", freq="M"))
        assert out["BidAskSpread"].loc["1926-02"] == pytest.approx(-0.0256926579596434)
        assert out.loc["1963-07":].isna().to_numpy().mean() == pytest.approx(0.106, abs=0.001)
        assert out.abs().median().median() == pytest.approx(0.017, abs=0.002)

    def test_the_same_numbers_as_decimals_are_refused(self, real, tmp_path):
        table = pd.read_csv(real / "osap_longshort_monthly_1926_2016.csv.gz", usecols=["date", "Beta", "BM", "Mom12m"])
        table[["Beta", "BM", "Mom12m"]] /= 100
        with pytest.raises(PanelFileError, match="looks like decimals"):
            read_openap_portfolios(write(table, tmp_path / "ls.csv"))
