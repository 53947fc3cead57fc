import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdrfm.datasets import _openap_signals, read_openap_signals
from skdrfm.exceptions import CoverageWarning, PanelFileError

DOC = "Acronym,Kind,Sign\nBeta,Predictor,1.0\nBookLeverage,Predictor,-1.0\nAccruals,Predictor,-1\nZScore,Placebo,NA\n"


def wide_table(seed=0):
    """Rows as the packing script leaves them: by permno, then month, ragged, a tail of accounting signals."""
    rng = np.random.default_rng(seed)
    rows = []
    for permno, first, last in ((10001, 0, 11), (10002, 3, 14), (9999, 0, 5), (93436, 6, 11)):
        for t in range(first, last + 1):
            rows.append(
                {
                    "permno": permno,
                    "yyyymm": 202000 + t + 1 if t < 12 else 202100 + t - 11,
                    "Beta": rng.normal(1, 0.3) if t < 12 else np.nan,
                    "BookLeverage": -rng.uniform(1, 4),
                    "Accruals": rng.normal() if t % 5 else np.nan,
                }
            )
    return pd.DataFrame(rows)


def write(table, path):
    if path.suffix == ".parquet":
        table.to_parquet(path, index=False)
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("signed_predictors_dl_wide.csv", table.to_csv(index=False))
    else:
        table.to_csv(path, index=False)
    return path


def literal(table, names, keep=lambda permno, month: True):
    """The expected frame, one row of the file after the other."""
    rows = {}
    for row in table.itertuples():
        permno, month = int(row.permno), int(row.yyyymm)
        if keep(permno, month):
            end = pd.Period(f"{month // 100}-{month % 100:02d}", "M").end_time.normalize()
            rows[(end, str(permno))] = [np.float32(getattr(row, name)) for name in names]
    keys = sorted(rows)
    return keys, np.array([rows[key] for key in keys], dtype=np.float32).reshape(len(keys), len(names))


@pytest.fixture
def file(tmp_path):
    return write(wide_table(), tmp_path / "signed_predictors_dl_wide.csv")


@pytest.fixture
def doc(tmp_path):
    path = tmp_path / "SignalDoc.csv"
    path.write_text(DOC)
    return path


class TestReferenceValues:
    @pytest.mark.parametrize("name", ["s.csv", "s.csv.gz", "s.zip", "s.parquet"])
    @pytest.mark.parametrize("chunk_size", [1, 7, 1000])
    def test_every_container_and_chunk_size_gives_the_same_rows(self, tmp_path, name, chunk_size):
        table = wide_table()
        out = read_openap_signals(write(table, tmp_path / name), chunk_size=chunk_size)
        keys, values = literal(table, ["Beta", "BookLeverage", "Accruals"])
        assert out.index.tolist() == keys
        assert out.index.names == ["date", "asset"]
        np.testing.assert_array_equal(out.to_numpy(), values)
        assert (out.dtypes == np.float32).all()
        assert list(out.columns) == ["Beta", "BookLeverage", "Accruals"]

    def test_assets_are_text_in_the_order_of_text(self, file):
        first_day = read_openap_signals(file, ["Beta"], end=202001)
        assert first_day.index.get_level_values("asset").tolist() == ["10001", "9999"]

    def test_rows_and_columns_are_those_asked_for_and_the_others_are_counted(self, file):
        out = read_openap_signals(
            file, ["Accruals", "Beta"], start="2020-03", end=pd.Period("2020-08", "M"), assets=["10001", 93436, "777"]
        )
        keys, values = literal(
            wide_table(), ["Accruals", "Beta"], lambda p, m: p in (10001, 93436) and 202003 <= m <= 202008
        )
        assert out.index.tolist() == keys
        np.testing.assert_array_equal(out.to_numpy(), values)
        assert out.attrs["read_openap_signals"] == {
            "rows_read": 36,
            "rows_outside": 36 - len(keys),
            "rows_past_release_end": 0,
            "infinite": 0,
            "rows_without_value": 0,
            "assets_not_found": 1,
            "signed": True,
        }

    def test_one_name_may_come_without_a_list(self, file):
        pd.testing.assert_frame_equal(read_openap_signals(file, "Beta"), read_openap_signals(file, ["Beta"]))

    def test_rows_past_the_end_of_the_release_are_left_out_and_counted(self, file):
        out = read_openap_signals(file, release_end="2020-12")
        assert out.attrs["read_openap_signals"]["rows_past_release_end"] == 3
        assert out.index.get_level_values("date").max() == pd.Timestamp("2020-12-31")
        assert read_openap_signals(file, ["Beta"]).attrs["read_openap_signals"]["rows_without_value"] == 3

    def test_raw_signals_are_multiplied_by_their_sign_again(self, file, doc):
        signed = read_openap_signals(file)
        raw = read_openap_signals(file, signed=False, signal_doc=doc)
        np.testing.assert_array_equal(raw.to_numpy(), signed.to_numpy() * np.float32([1, -1, -1]))
        assert raw.attrs["read_openap_signals"]["signed"] is False

    def test_infinite_cells_count_as_missing_with_a_warning(self, tmp_path):
        table = wide_table()
        table.loc[[0, 5], "Accruals"] = [np.inf, 1e39]
        with pytest.warns(CoverageWarning, match="2 cells of .* are infinite"):
            out = read_openap_signals(write(table, tmp_path / "s.csv"))
        assert out.attrs["read_openap_signals"]["infinite"] == 2
        assert np.isnan(out.loc[(pd.Timestamp("2020-01-31"), "10001"), "Accruals"])

    def test_missing_cells_in_every_spelling_are_missing(self, tmp_path):
        path = tmp_path / "s.csv"
        path.write_text("permno,yyyymm,Beta\n1,202001,NA\n2,202001,\n3,202001,NaN\n4,202001,0.5\n")
        np.testing.assert_array_equal(read_openap_signals(path)["Beta"], np.float32([np.nan, np.nan, np.nan, 0.5]))


class TestCache:
    @pytest.mark.parametrize("place", ["folder/below", "kept.parquet"])
    def test_a_second_call_reads_the_cache_and_not_the_file(self, file, tmp_path, monkeypatch, place):
        options = {"names": ["Accruals", "Beta"], "end": "2020-06", "cache": tmp_path / place}
        first = read_openap_signals(file, **options)
        monkeypatch.setattr(_openap_signals, "_chunks", lambda *_: pytest.fail("the file was read"))
        second = read_openap_signals(file, **options)
        pd.testing.assert_frame_equal(first, second, check_exact=True)
        assert first.attrs == second.attrs

    def test_raw_signals_come_from_the_same_cache(self, file, doc, tmp_path):
        read_openap_signals(file, cache=tmp_path / "c.parquet")
        raw = read_openap_signals(file, cache=tmp_path / "c.parquet", signed=False, signal_doc=doc)
        again = read_openap_signals(file, cache=tmp_path / "c.parquet")
        np.testing.assert_array_equal(raw["BookLeverage"], -again["BookLeverage"])
        assert (again["BookLeverage"] < 0).all()

    @pytest.mark.parametrize("place", ["folder", "kept.parquet"])
    def test_other_arguments_and_a_changed_file_are_read_anew(self, file, tmp_path, place):
        cache = tmp_path / place
        read_openap_signals(file, ["Beta"], cache=cache)
        assert len(read_openap_signals(file, ["Beta"], end="2020-02", cache=cache)) == 4
        assert len(read_openap_signals(file, ["Beta"], assets=[9999], cache=cache)) == 6
        assert list(read_openap_signals(file, ["Accruals"], cache=cache).columns) == ["Accruals"]
        write(wide_table().iloc[:-1], file)
        assert len(read_openap_signals(file, ["Beta"], cache=cache)) == 35

    def test_a_foreign_file_is_never_overwritten(self, file, tmp_path):
        mine = write(wide_table(), tmp_path / "mine.parquet")
        before = mine.read_bytes()
        with pytest.raises(PanelFileError, match="not written by read_openap_signals. Delete it, or pass"):
            read_openap_signals(file, cache=mine)
        assert mine.read_bytes() == before

    def test_a_spoiled_cache_is_named(self, file, tmp_path):
        (tmp_path / "c.parquet").write_bytes(b"no parquet")
        with pytest.raises(PanelFileError, match="c.parquet.*must be a Parquet file of this reader"):
            read_openap_signals(file, cache=tmp_path / "c.parquet")


class TestProperties:
    @settings(max_examples=20)
    @given(seed=st.integers(0, 10**6), chunk_size=st.integers(1, 50))
    def test_the_order_of_the_rows_in_the_file_does_not_matter(self, tmp_path_factory, seed, chunk_size):
        table = wide_table()
        folder = tmp_path_factory.mktemp("s")
        shuffled = write(table.sample(frac=1, random_state=seed), folder / "b.csv")
        out = read_openap_signals(shuffled, chunk_size=chunk_size)
        keys, values = literal(table, list(out.columns))
        assert out.index.tolist() == keys
        np.testing.assert_array_equal(out.to_numpy(), values)
        assert out.index.is_monotonic_increasing


def change(column, row, value):
    def changed(table):
        table = table.astype({column: object})
        table.loc[row, column] = value
        return table

    return changed


class TestValidation:
    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            (lambda t: t.drop(columns="permno"), "Missing: 'permno'. Found: 'yyyymm'"),
            (lambda t: t.rename(columns={"yyyymm": "month"}), "Missing: 'yyyymm'"),
            (lambda t: t[["permno", "yyyymm"]], "At least one signal"),
            (lambda t: t.iloc[:0], "Got none among 0 rows"),
            (
                lambda t: pd.concat([t, t.iloc[[4]]]),
                "one row for each .permno, yyyymm.. Got 1 further rows: .10001, 202005",
            ),
            (change("yyyymm", 3, 202013), "'yyyymm' .* months as yyyymm. Got 1 others such as 202013"),
            (change("yyyymm", 3, 20200131), "months as yyyymm"),
            (change("yyyymm", 3, "2020-01"), "months as yyyymm. Got 1 others such as '2020-01'"),
            (change("yyyymm", 3, ""), "months as yyyymm"),
            (change("permno", 3, ""), "'permno' .* whole positive numbers"),
            (change("permno", 3, 10001.5), "whole positive numbers. Got 1 others such as 10001.5"),
            (change("permno", 3, "AAPL"), "whole positive numbers. Got 1 others such as 'AAPL'"),
            (change("Beta", 3, "high"), "readable table of numbers.*'high'"),
            (lambda t: t.assign(BookLeverage=-t["BookLeverage"]), "must be signed.*Got 100% positive values"),
        ],
    )
    def test_files_that_lie_are_refused(self, tmp_path, changed, message):
        with pytest.raises(PanelFileError, match=message):
            read_openap_signals(write(changed(wide_table()), tmp_path / "s.csv"))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"names": ["beta"]}, "which has 3. Unknown: 'beta' .near: 'Beta'"),
            ({"names": ["BookLevrage", "xyzzy"]}, "'BookLevrage' .near: 'BookLeverage'.; 'xyzzy' .nothing near"),
            ({"names": ["Size"]}, "'Size' .not in the public file"),
            ({"names": ["Beta", "Beta"]}, "Got twice: 'Beta'"),
            ({"names": []}, "At least one signal"),
            ({"start": "soon"}, "'start' must be a month such as '2000-01' or 200001. Got 'soon'"),
            ({"end": 202013}, "'end' must be a month"),
            ({"end": 2020}, "'end' must be a month"),
            ({"release_end": "NaT"}, "'release_end' must be a month"),
            ({"start": "2030-01"}, "Got none among 36 rows"),
            ({"assets": ["AAPL"]}, "'assets' must be permnos such as '10001'. Got 'AAPL'"),
            ({"assets": []}, "'assets' must be permnos such as '10001'. Got none"),
            ({"assets": [1]}, "Got none among 36 rows"),
            ({"chunk_size": 0}, "'chunk_size' must be an int of at least 1. Got 0"),
            ({"chunk_size": 10.5}, "'chunk_size' must be an int"),
            ({"signed": False}, "Got no 'signal_doc'"),
            ({"signal_doc": "SignalDoc.csv"}, "'signal_doc' must come with signed=False only"),
        ],
    )
    def test_arguments_out_of_range_are_refused(self, file, options, message):
        with pytest.raises(PanelFileError, match=message):
            read_openap_signals(file, **options)

    def test_a_signal_without_a_sign_is_named(self, tmp_path, doc):
        path = write(wide_table().rename(columns={"Beta": "ZScore"}), tmp_path / "s.csv")
        with pytest.raises(PanelFileError, match="a sign for each signal that is read. Missing: 'ZScore'"):
            read_openap_signals(path, signed=False, signal_doc=doc)

    @pytest.mark.parametrize("name", ["s.txt", "s.csv", "s.zip", "s.parquet"])
    def test_spoiled_and_absent_files_are_refused(self, tmp_path, name):
        with pytest.raises(PanelFileError, match="s\\.(txt|csv|zip|parquet)"):
            read_openap_signals(tmp_path / name)
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(PanelFileError, match="s\\.(txt|csv|zip|parquet)"):
            read_openap_signals(tmp_path / name)
