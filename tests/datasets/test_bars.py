"""Bars in files: one canonical table from every format, and no fault passes unseen."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdrfm.datasets import bar_report, read_bars
from skdrfm.exceptions import PanelError, PanelFileError

TICKERS = ["007", "NA", "ON", "TRUE"]


@pytest.fixture
def table():
    """Twelve good daily bars of four tickers that look like other things, in no order."""
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([pd.date_range("2020-01-02", periods=3), TICKERS], names=["date", "asset"])
    frame = pd.DataFrame(index=index)
    frame["open"], frame["close"] = rng.uniform(9, 11, (2, 12))
    frame["high"], frame["low"] = frame.max(axis=1) + 0.1, frame.min(axis=1) - 0.1
    frame["adj_close"] = frame["close"] * 0.9
    frame["volume"] = rng.integers(0, 3, 12).astype(float)
    return frame.reset_index().sample(frac=1, random_state=1)


def write(table, path):
    table.to_parquet(path) if path.suffix == ".parquet" else table.to_csv(path, index=False)
    return path


def canonical(table, names=("open", "high", "low", "close", "adj_close", "volume")):
    return table.set_index(["date", "asset"]).sort_index()[list(names)]


def assert_same(found, expected):
    pd.testing.assert_frame_equal(found, expected, check_index_type=False, check_dtype=False)


class TestReading:
    @pytest.mark.parametrize("name", ["bars.csv", "bars.csv.gz", "bars.parquet"])
    @pytest.mark.parametrize("chunk_size", [5, 1_000_000])
    def test_every_format_and_chunk_size_gives_the_same_sorted_bars(self, table, tmp_path, name, chunk_size):
        bars = read_bars(write(table, tmp_path / name), chunk_size=chunk_size)
        assert_same(bars, canonical(table))
        assert bars.index.is_monotonic_increasing
        assert bars.loc[pd.Timestamp("2020-01-03") :].shape == (8, 6)
        assert bars.index.unique("asset").tolist() == TICKERS
        counts = bars.attrs["read_bars"]
        assert (counts["n_rows"], counts["n_kept"], counts["n_dropped"], counts["dropped"]) == (12, 12, 0, {})
        assert counts["zero_volume_bars"] == (table["volume"] == 0).sum() > 0

    def test_names_of_vendors_are_recognised_in_any_case(self, table, tmp_path):
        renamed = table.rename(columns=str.title).rename(columns={"Adj_Close": "Adj Close", "Asset": "TICKER"})
        assert_same(read_bars(write(renamed, tmp_path / "b.csv")), canonical(table))

    def test_columns_are_named_or_left_out_by_options(self, table, tmp_path):
        path = write(table.rename(columns={"close": "prc", "date": "day"}), tmp_path / "b.csv")
        bars = read_bars(path, columns={"date": "day", "close": "prc", "open": None, "high": None, "low": None})
        assert_same(bars, canonical(table, ["close", "adj_close", "volume"]))
        assert bars.attrs["read_bars"]["columns"]["close"] == "prc"

    def test_a_file_of_one_asset_is_named_by_its_stem_in_a_folder(self, table, tmp_path):
        for asset, rows in table.groupby("asset"):
            write(rows.drop(columns="asset"), tmp_path / f"{asset}.csv{'.gz' if asset == 'NA' else ''}")
        (tmp_path / "notes.txt").write_text("no table")
        assert_same(read_bars(tmp_path), canonical(table))
        assert_same(
            read_bars([tmp_path / "ON.csv", tmp_path / "TRUE.csv"]),
            canonical(table[table["asset"].isin(["ON", "TRUE"])]),
        )

    def test_assets_and_dates_are_filtered_before_faults_are_looked_for(self, table, tmp_path):
        table.loc[table["asset"] == "ON", "close"] = -1.0
        path = write(table, tmp_path / "b.csv")
        bars = read_bars(path, assets=["TRUE", "NA", "XYZ"], start="2020-01-03", end="2020-01", chunk_size=5)
        rows = table[table["asset"].isin(["TRUE", "NA"]) & (table["date"] > "2020-01-02")]
        assert_same(bars, canonical(rows))
        counts = bars.attrs["read_bars"]
        assert (counts["n_filtered"], counts["assets_without_bars"]) == (8, ["XYZ"])
        assert_same(read_bars(path, assets="007"), canonical(table[table["asset"] == "007"]))

    @pytest.mark.parametrize(
        ("start", "end", "n_dates"),
        [
            ("2020", "2020", 3),
            ("2020-01-03", None, 2),
            (None, pd.Timestamp("2020-01-03"), 2),
            (pd.Period("2020-01"), None, 3),
        ],
    )
    def test_a_year_or_month_stands_for_all_of_its_days(self, table, tmp_path, start, end, n_dates):
        assert read_bars(write(table, tmp_path / "b.csv"), start=start, end=end).index.unique("date").size == n_dates

    def test_months_are_their_last_day_and_times_of_day_are_cut_off(self, tmp_path):
        texts = [
            "2000-02",
            "200003",
            "20000403",
            "2000-05-02",
            "2000-06-02T00:00:00+09:00",
            "2000-07-03 00:00:00-05:00",
        ]
        path = write(pd.DataFrame({"month": texts, "asset": "A", "close": 1.0}), tmp_path / "b.csv")
        days = ["2000-02-29", "2000-03-31", "2000-04-03", "2000-05-02", "2000-06-02", "2000-07-03"]
        assert read_bars(path).index.unique("date").tolist() == pd.to_datetime(days).tolist()

    @pytest.mark.parametrize(
        "dates",
        [
            pd.period_range("2000-01", periods=2, freq="M"),
            [200001, 200002],
            [200001.0, 200002.0],
            pd.to_datetime(["2000-01-31 00:00", "2000-02-29 16:00"]).tz_localize("Asia/Tokyo"),
            [pd.Timestamp("2000-01-31").date(), pd.Timestamp("2000-02-29").date()],
        ],
    )
    def test_dates_of_parquet_files_may_have_any_type(self, tmp_path, dates):
        path = write(pd.DataFrame({"date": dates, "permno": [10001.0, 7.0], "ret": [0.1, 0.2]}), tmp_path / "b.parquet")
        bars = read_bars(path, assets=["10001", "7"], columns={"asset": "permno"})
        assert bars.index.tolist() == [(pd.Timestamp("2000-01-31"), "10001"), (pd.Timestamp("2000-02-29"), "7")]
        assert bars["return"].iloc[0] == 0.1

    def test_markers_of_missing_numbers_become_nan_and_tickers_never_do(self, tmp_path):
        rows = [f"2020-01-{k + 1:02d},null,{text},1" for k, text in enumerate(["", "NA", "NaN", "null", "None", "N/A"])]
        path = tmp_path / "b.csv"
        path.write_text("\n".join(["date,symbol,close,volume", *rows]))
        bars = read_bars(path)
        assert bars["close"].isna().all()
        assert bars.index.unique("asset").tolist() == ["null"]

    def test_single_precision_holds_the_same_bars(self, table, tmp_path):
        bars = read_bars(write(table, tmp_path / "b.csv"), dtype="float32")
        assert (bars.dtypes == np.float32).all()
        assert_same(bars, canonical(table).astype(np.float32))


def with_row(table, **values):
    row = {**table.iloc[0].to_dict(), "date": pd.Timestamp("2020-02-01"), **values}
    return pd.concat([table.astype(object), pd.DataFrame([row]).astype(object)])


class TestFaults:
    @pytest.mark.parametrize(
        ("values", "fault"),
        [
            ({"date": ""}, "missing date"),
            ({"date": "01/02/2020"}, "unreadable date"),
            ({"date": "2020-02-31"}, "unreadable date"),
            ({"asset": ""}, "missing asset"),
            ({"close": "ten"}, "no number"),
            ({"volume": np.inf}, "infinite value"),
            (dict.fromkeys(["open", "high", "low", "close", "adj_close", "volume"]), "empty bar"),
            ({"open": None, "high": None, "low": None, "close": -1.0}, "negative close"),
            ({"open": None, "high": None, "low": None, "close": 0.0}, "zero close"),
            ({"adj_close": -1.0}, "negative adj_close"),
            ({"adj_close": 0.0}, "zero adj_close"),
            ({"volume": -1.0}, "negative volume"),
            ({"low": 10.5, "open": 10.0, "close": 10.7, "high": 11.0}, "prices outside low and high"),
            ({"low": 9.0, "open": 10.0, "close": 10.7, "high": 10.5}, "prices outside low and high"),
            ({"low": 9.0, "open": None, "close": None, "high": 8.0}, "prices outside low and high"),
        ],
    )
    def test_each_fault_is_named_counted_and_dropped(self, table, tmp_path, values, fault):
        path = write(with_row(table, **values), tmp_path / "b.csv")
        with pytest.raises(PanelFileError, match=rf"Got 1 faulty rows of 13(.|\n)*{fault} +1  .*(.|\n)*faulty='drop'"):
            read_bars(path)
        bars = read_bars(path, faulty="drop")
        assert_same(bars, canonical(table))
        counts = bars.attrs["read_bars"]
        asset = "" if fault == "missing asset" else table.iloc[0]["asset"]
        assert counts["dropped"] == {fault: 1}
        assert counts["assets"] == {fault: {asset: 1}}
        assert (counts["n_rows"], counts["n_kept"], counts["n_dropped"]) == (13, 12, 1)

    @pytest.mark.parametrize(
        ("name", "fault"),
        [("return", "return below -1"), ("dollar_volume", "negative volume"), ("shares", "negative market value")],
    )
    def test_faults_of_other_columns(self, table, tmp_path, name, fault):
        table[name] = 0.5
        table.iloc[3, table.columns.get_loc(name)] = -1.5
        assert read_bars(write(table, tmp_path / "b.csv"), faulty="drop").attrs["read_bars"]["dropped"] == {fault: 1}

    def test_rounding_of_prices_is_no_fault_and_unknown_prices_neither(self, table, tmp_path):
        table["low"] = table[["open", "close"]].min(axis=1) * (1 + 5e-7)
        table["high"] = table[["open", "close"]].max(axis=1) * (1 - 5e-7)
        table.iloc[0, table.columns.get_loc("low")] = np.nan
        assert len(read_bars(write(table, tmp_path / "b.csv"))) == 12

    def test_of_identical_copies_one_stays_and_of_contradicting_ones_none(self, table, tmp_path):
        table.iloc[0, table.columns.get_loc("adj_close")] = np.nan
        contradicting = table.iloc[[5]].assign(volume=9.0)
        path = write(pd.concat([table, table.iloc[[0, 0]], contradicting]), tmp_path / "b.csv")
        with pytest.raises(PanelFileError, match="Got 4 faulty rows of 15"):
            read_bars(path)
        bars = read_bars(path, faulty="drop", chunk_size=4)
        assert_same(bars, canonical(table.drop(index=table.index[5])))
        counts = bars.attrs["read_bars"]
        assert counts["dropped"] == {"identical copy": 2, "contradicting copies": 2}
        assert counts["n_rows"] == counts["n_kept"] + counts["n_dropped"] == 15

    def test_the_table_of_faults_names_assets_and_examples(self, table, tmp_path):
        table = table.astype({"date": str, "close": object})
        table.loc[table["asset"].isin(["ON", "NA"]), "close"] = -2.0
        table.iloc[0, table.columns.get_loc("date")] = "soon"
        with pytest.raises(PanelFileError) as caught:
            read_bars(write(table, tmp_path / "b.csv"))
        message = str(caught.value)
        assert "Got 'soon'." in message
        assert "negative close" in message
        assert "'NA', 'ON'" in message
        assert "CRSP" in message

    @settings(max_examples=8, deadline=None)
    @given(seed=st.integers(0, 1000), chunk_size=st.integers(1, 40))
    def test_rows_are_kept_or_counted_whatever_the_chunks(self, tmp_path_factory, seed, chunk_size):
        rng = np.random.default_rng(seed)
        rows = pd.DataFrame(
            {
                "date": rng.choice(["2020-01-01", "2020-01-02", "", "bad"], 30, p=[0.45, 0.45, 0.05, 0.05]),
                "asset": rng.choice([*TICKERS, ""], 30),
                "close": rng.choice([1.0, 2.0, 0.0, np.nan], 30),
            }
        )
        path = write(rows, tmp_path_factory.mktemp("bars") / "b.csv")
        good = rows[rows["date"].str.startswith("2020") & (rows["asset"] != "") & (rows["close"] > 0)]
        agree = good.groupby(["date", "asset"])["close"].nunique() == 1
        if not agree.any():
            return
        bars = read_bars(path, faulty="drop", chunk_size=chunk_size)
        assert [(f"{day:%Y-%m-%d}", asset) for day, asset in bars.index] == agree[agree].index.tolist()
        counts = bars.attrs["read_bars"]
        assert counts["n_kept"] + counts["n_dropped"] == 30


class TestValidation:
    @pytest.mark.parametrize(
        ("change", "options", "message"),
        [
            (lambda t: t.drop(columns="date"), {}, "must have a column of dates"),
            (lambda t: t[["date", "asset"]], {}, "at least one of prices"),
            (lambda t: t.assign(ticker="A"), {}, "several columns for 'asset': 'asset', 'ticker'"),
            (lambda t: t, {"columns": {"prc": "close"}}, "keys of 'columns' must be among"),
            (lambda t: t, {"columns": {"close": "prc"}}, "Missing: 'prc'"),
            (lambda t: t, {"assets": ["XYZ"]}, "At least one bar must be left"),
            (lambda t: t, {"start": "soon"}, "'start' must be a date"),
            (lambda t: t.iloc[:0], {}, "At least one bar must be left"),
        ],
    )
    def test_what_cannot_be_read_is_said(self, table, tmp_path, change, options, message):
        with pytest.raises(PanelFileError, match=message):
            read_bars(write(change(table), tmp_path / "b.csv"), **options)

    def test_paths_that_hold_no_bars(self, table, tmp_path):
        (tmp_path / "empty").mkdir()
        write(table, tmp_path / "a.csv")
        write(table.drop(columns="volume"), tmp_path / "b.csv")
        (tmp_path / "bad.parquet").write_bytes(b"no parquet")
        (tmp_path / "void.csv").write_text("")
        (tmp_path / "c.xlsx").write_text("")
        for path, message in [
            (tmp_path / "empty", "must hold files ending in"),
            (tmp_path / "absent.csv", "must exist"),
            (tmp_path / "c.xlsx", "must be a file ending in"),
            (tmp_path / "bad.parquet", "readable CSV or Parquet"),
            (tmp_path / "void.csv", "readable CSV or Parquet"),
            ([], "At least one file"),
            ([tmp_path / "a.csv", tmp_path / "b.csv"], "All files must have the same columns"),
        ]:
            with pytest.raises(PanelFileError, match=message):
                read_bars(path)

    @pytest.mark.parametrize("options", [{"faulty": "ignore"}, {"dtype": "int64"}, {"chunk_size": 0}])
    def test_unknown_options_are_refused(self, table, tmp_path, options):
        with pytest.raises(ValueError, match=f"'{next(iter(options))}' parameter of read_bars"):
            read_bars(write(table, tmp_path / "b.csv"), **options)


def bars_of(closes, days, volume=None, asset="A"):
    index = pd.MultiIndex.from_arrays([days, [asset] * len(days)], names=["date", "asset"])
    columns = {"close": closes} | ({} if volume is None else {"volume": volume})
    return pd.DataFrame(columns, index=index, dtype=float)


class TestBarReport:
    def test_figures_agree_with_a_plain_count(self):
        rng = np.random.default_rng(3)
        days = pd.bdate_range("2020-01-01", periods=80)
        parts = []
        for asset in "CAB":
            own = days[np.sort(rng.choice(80, 50, replace=False))]
            parts.append(bars_of(rng.choice([1.0, 1.3, 2.0], 50), own, rng.integers(0, 3, 50), asset))
        bars = pd.concat(parts).sample(frac=1, random_state=0)
        before = bars.copy()
        report = bar_report(bars)
        pd.testing.assert_frame_equal(bars, before)
        assert report.index.tolist() == ["A", "B", "C"]
        for asset in "ABC":
            own = bars.xs(asset, level="asset").sort_index()
            days_apart = own.index.to_series().diff().dt.days
            row = report.loc[asset]
            assert row["first_date"] == own.index[0]
            assert row["last_date"] == own.index[-1]
            assert row["n_bars"] == 50
            assert row["zero_volume_share"] == (own["volume"] == 0).mean()
            assert row["longest_gap_days"] == days_apart.max()
            assert row["n_jumps"] == (own["close"].pct_change().abs() > 0.5).sum()
            assert row["stale_share"] == (own["close"].diff() == 0).mean()

    def test_a_jump_after_a_long_gap_is_suspect_and_either_alone_is_not(self):
        days = pd.bdate_range("2020-01-01", periods=20).append(pd.bdate_range("2020-06-01", periods=20))
        assert bar_report(bars_of([10.0] * 20 + [30.0] * 20, days))["suspects"].tolist() == [
            "gap then jump: reused ticker?"
        ]
        assert bar_report(bars_of([10.0] * 20 + [11.0] * 20, days))["suspects"].tolist() == [""]
        no_gap = pd.bdate_range("2020-01-01", periods=40)
        assert bar_report(bars_of([10.0] * 20 + [30.0] * 20, no_gap))["suspects"].tolist() == [""]

    @pytest.mark.parametrize(("n_quiet", "suspect"), [(20, "gap then jump: reused ticker?"), (19, "")])
    def test_a_jump_after_a_long_time_without_trade_is_suspect(self, n_quiet, suspect):
        closes = [9.0] + [10.0] * (n_quiet + 1) + [30.0] * 100
        volume = [5.0] * 2 + [0.0] * n_quiet + [5.0] * 100
        report = bar_report(bars_of(closes, pd.bdate_range("2020-01-01", periods=len(closes)), volume))
        assert report["suspects"].tolist() == [suspect]

    def test_monthly_bars_have_no_long_gaps_by_themselves(self):
        months = pd.date_range("2020-01-31", periods=6, freq="ME")
        assert bar_report(bars_of([1.0, 2, 1, 2, 1, 2], months))["suspects"].tolist() == [""]

    def test_assets_are_told_apart_and_returns_go_before_prices(self):
        days = pd.bdate_range("2020-01-01", periods=3)
        bars = pd.concat([bars_of([1.0, 1, 1], days, [0, 0, 9], "A"), bars_of([9.0, 9, 9], days, [1, 1, 1], "B")])
        report = bar_report(bars)
        assert report["n_jumps"].tolist() == [0, 0]
        assert report["suspects"].tolist() == ["rarely trades: reused ticker?", ""]
        assert bar_report(bars.assign(**{"return": [0.9, 0.9, 0, 0, 0, -0.9]}))["n_jumps"].tolist() == [1, 1]
        assert bar_report(bars.assign(adj_close=[1.0, 3, 3, 9, 9, 9]))["n_jumps"].tolist() == [1, 0]
        only = bar_report(bars[["volume"]].assign(**{"return": 0.0}))
        assert only["stale_share"].isna().all()
        assert bar_report(bars[["close"]])["zero_volume_share"].isna().all()

    def test_an_empty_table_gives_an_empty_report(self):
        assert bar_report(bars_of([], pd.DatetimeIndex([]))).shape == (0, 8)

    def test_what_is_no_table_of_bars_is_refused(self):
        days = pd.bdate_range("2020-01-01", periods=2)
        with pytest.raises(PanelError, match="must have a column 'return'"):
            bar_report(bars_of([1.0, 2], days).rename(columns={"close": "price"}))
        with pytest.raises(PanelError, match="must be datetime64"):
            bar_report(bars_of([1.0, 2], [202001, 202002]))
        with pytest.raises(PanelError, match="levels 'date' and 'asset'"):
            bar_report(bars_of([1.0, 2], days).reset_index())
