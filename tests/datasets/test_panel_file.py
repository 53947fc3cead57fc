"""Panels in files: tickers stay text, returns move one calendar month, and faults name the column."""

import numpy as np
import pandas as pd
import pytest

from skdrfm.datasets import read_panel
from skdrfm.exceptions import PanelError, PanelFileError


@pytest.fixture
def table():
    months = pd.date_range("2020-01-31", periods=4, freq="ME")
    index = pd.MultiIndex.from_product([months, ["NA", "TRUE", "ON"]], names=["date", "asset"])
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"CAP": rng.normal(size=12), "BETA": rng.normal(size=12)}, index=index)
    frame["return"] = rng.normal(size=12) * 0.1
    frame["member"] = [True, False, True] * 4
    frame.iloc[1, 0] = np.nan
    return frame.reset_index()


def write(table, path):
    table.to_parquet(path) if path.suffix == ".parquet" else table.to_csv(path, index=False)
    return path


class TestReading:
    @pytest.mark.parametrize("name", ["panel.csv", "panel.csv.gz", "panel.parquet"])
    def test_every_format_gives_the_same_panel(self, table, tmp_path, name):
        X, y, universe = read_panel(write(table, tmp_path / name), universe="member")
        indexed = table.set_index(["date", "asset"])
        pd.testing.assert_frame_equal(X, indexed[["CAP", "BETA"]], check_dtype=False, check_index_type=False)
        assert X.index.get_level_values("asset").unique().tolist() == ["NA", "TRUE", "ON"]
        assert universe.tolist() == table["member"].tolist()
        expected = indexed["return"].groupby(level="asset").shift(-1)
        np.testing.assert_allclose(y, expected)
        assert y.name == "forward_return"

    def test_returns_of_the_row_are_never_the_target_unless_said_so(self, table, tmp_path):
        path = write(table, tmp_path / "panel.csv")
        own = table.set_index(["date", "asset"])["return"]
        _, shifted, _ = read_panel(path)
        _, forward, _ = read_panel(path, returns_are_forward=True)
        assert (shifted.to_numpy() != own.to_numpy()).all()
        np.testing.assert_allclose(forward, own)

    def test_a_missing_month_is_never_bridged(self, table, tmp_path):
        gap = table.drop(index=table.index[(table["asset"] == "ON") & (table["date"] == "2020-02-29")])
        _, y, _ = read_panel(write(gap, tmp_path / "panel.csv"))
        assert np.isnan(y[pd.Timestamp("2020-01-31"), "ON"])

    def test_columns_are_named_by_options(self, table, tmp_path):
        renamed = table.rename(columns={"date": "yyyymm", "asset": "permno", "return": "ret"})
        renamed["yyyymm"] = renamed["yyyymm"].dt.strftime("%Y%m").astype(int)
        path = write(renamed, tmp_path / "panel.csv")
        X, _, _ = read_panel(path, date="yyyymm", asset="permno", returns="ret", descriptors=["BETA"])
        assert list(X.columns) == ["BETA"]
        assert X.index.get_level_values("date").max() == pd.Timestamp("2020-04-30")


class TestErrors:
    @pytest.mark.parametrize(
        ("change", "options", "error", "message"),
        [
            (lambda t: t.drop(columns="return"), {}, PanelFileError, "Missing: 'return'. Found: 'date', 'asset'"),
            (lambda t: t, {"descriptors": ["ROE"]}, PanelFileError, "Missing: 'ROE'"),
            (lambda t: t, {"universe": "index"}, PanelFileError, "Missing: 'index'"),
            (lambda t: t.assign(CAP="big"), {}, PanelFileError, "'CAP' of .* must hold numbers. Got 12 other"),
            (lambda t: t.assign(date="soon"), {}, PanelFileError, "ISO dates or yyyymm integers. Got .*'soon'"),
            (lambda t: t.assign(member=3), {"universe": "member"}, PanelFileError, "0/1 or true/false. Got 3"),
            (lambda t: pd.concat([t, t[:2]]), {}, PanelError, "Got 2 duplicate rows"),
            (lambda t: t.assign(**{"return": -3.0}), {}, PanelError, "at least -1 .decimals"),
            (lambda t: t[["date", "asset", "return"]], {}, PanelFileError, "at least one descriptor column"),
        ],
    )
    def test_faults_are_named(self, table, tmp_path, change, options, error, message):
        with pytest.raises(error, match=message):
            read_panel(write(change(table), tmp_path / "panel.csv"), **options)

    @pytest.mark.parametrize("name", ["panel.csv", "panel.parquet"])
    def test_a_row_without_an_asset_is_no_stock_of_its_own(self, table, tmp_path, name):
        table["asset"] = table["asset"].astype(object)
        table.loc[4, "asset"] = None
        with pytest.raises(PanelError, match="asset"):
            read_panel(write(table.drop(columns="member"), tmp_path / name))

    def test_the_target_is_no_descriptor(self, table, tmp_path):
        path = write(table, tmp_path / "panel.csv")
        options = {"descriptors": ["CAP", "return"], "universe": "member"}
        assert list(read_panel(path, **options)[0]) == ["CAP", "return"]
        with pytest.raises(PanelFileError, match="Got 'return' among them, which holds the returns after it"):
            read_panel(path, **options, returns_are_forward=True)

    def test_flags_may_be_numbers_with_a_point(self, table, tmp_path):
        table["member"] = table["member"].astype(float)
        universe = read_panel(write(table, tmp_path / "panel.csv"), universe="member")[2]
        assert universe.tolist() == [True, False, True] * 4

    def test_a_spoiled_parquet_file(self, tmp_path):
        path = tmp_path / "panel.parquet"
        path.write_bytes(b"no parquet")
        with pytest.raises(PanelFileError, match="readable CSV or Parquet file"):
            read_panel(path)
