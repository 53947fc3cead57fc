import gzip
import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdrfm.datasets import read_fama_french
from skdrfm.exceptions import PanelFileError

PREAMBLE = """This file was created by CMPT_ME_BEME_RETS using the 202412 CRSP database.
The 1-month TBill return, and the rest, are from Ibbotson and Associates, Inc.

"""
FOOTER = "\nCopyright 2024 Kenneth R. French\n"
FACTORS = (
    PREAMBLE
    + """,Mkt-RF,SMB,HML,RF
192607,    2.96,   -2.56,   -2.43,    0.22
192608,    2.64,   -1.17,  -99.99,    0.25
192609,    0.36,   -1.40,    0.13,    0.23

 Annual Factors: January-December
,Mkt-RF,SMB,HML,RF
  1927,   29.47,   -2.04,   -4.54,    3.12
  1928,   35.39,    4.51,   -6.17,    3.56
"""
    + FOOTER
)
PORTFOLIOS = (
    """This file was created using the 202412 CRSP database.
Missing data are indicated by -99.99 or -999.

  Average Value Weighted Returns -- Monthly
,SMALL LoBM,BIG HiBM
192607,    5.00,    0.00
192608,    -999,   -99.99

  Average Equal Weighted Returns -- Monthly
,SMALL LoBM,BIG HiBM
192607,    7.00,    1.00
192608,    8.00,    2.00

  Average Value Weighted Returns -- Annual
,SMALL LoBM,BIG HiBM
1927,   50.00,   10.00

  Number of Firms in Portfolios
,SMALL LoBM,BIG HiBM
192607,    10,    20
192608,    11,  -99.99

  Value Weight Average of BE / ME
  as of June of the year
,SMALL LoBM,BIG HiBM
1927,    0.31,    4.20
"""
    + FOOTER
)
DAILY = PREAMBLE + ",Mkt-RF,RF\n19260701,  0.10, 0.009\n19260702,  0.45, 0.009\n" + FOOTER
PLAIN = "month,table,A,B\n1926-07,vw,1.5,2.5\n1926-08,vw,-1,-99.99\n1926-07,n_firms,12,30\n1926-08,n_firms,13,31\n"


def write(folder, text, name="file.csv"):
    path = folder / name
    content = text.replace("\n", "\r\n").encode()
    if name.endswith(".gz"):
        content = gzip.compress(content)
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("F-F_Research_Data_Factors.CSV", content)
        return path
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def real():
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("SKDRFM_DATA", default))
    if not (folder / "ff_factors").is_dir():
        pytest.skip("needs the factor files: set SKDRFM_DATA to the folder that holds ff_factors/")
    return folder


class TestReferenceValues:
    @pytest.mark.parametrize("name", ["file.csv", "F-F.CSV", "file.csv.gz", "file_CSV.zip"])
    def test_monthly_factors_are_decimals_by_month_in_every_container(self, tmp_path, name):
        factors = read_fama_french(write(tmp_path, FACTORS, name))
        expected = pd.DataFrame(
            {
                "Mkt-RF": [0.0296, 0.0264, 0.0036],
                "SMB": [-0.0256, -0.0117, -0.014],
                "HML": [-0.0243, np.nan, 0.0013],
                "RF": [0.0022, 0.0025, 0.0023],
            },
            index=pd.period_range("1926-07", periods=3, freq="M", name="month"),
        )
        pd.testing.assert_frame_equal(factors, expected, rtol=1e-14)
        assert factors.attrs["read_fama_french"] == {
            "table": "",
            "frequency": "monthly",
            "unit": "decimal",
            "n_rows": 3,
            "masked": 1,
            "absent_periods": 0,
        }

    @pytest.mark.parametrize("table", [1, "annual", "Annual Factors: January-December"])
    def test_annual_factors_are_read_when_asked_for(self, tmp_path, table):
        factors = read_fama_french(write(tmp_path, FACTORS), table=table)
        assert factors.index.equals(pd.period_range("1927", "1928", freq="Y"))
        assert factors.index.name == "year"
        np.testing.assert_allclose(factors["Mkt-RF"], [0.2947, 0.3539], rtol=1e-14)

    def test_daily_factors_are_indexed_by_day(self, tmp_path):
        factors = read_fama_french(write(tmp_path, DAILY))
        assert factors.index.tolist() == [pd.Timestamp("1926-07-01"), pd.Timestamp("1926-07-02")]
        assert factors.index.name == "date"
        np.testing.assert_allclose(factors["Mkt-RF"], [0.001, 0.0045], rtol=1e-14)

    @pytest.mark.parametrize(
        ("table", "expected", "unit", "masked"),
        [
            (0, [[0.05, 0.0], [np.nan, np.nan]], "decimal", 2),
            ("equal weighted", [[0.07, 0.01], [0.08, 0.02]], "decimal", 0),
            ("value weighted returns -- annual", [[0.5, 0.1]], "decimal", 0),
            ("number of firms", [[10, 20], [11, np.nan]], "as in the file", 1),
            ("BE / ME", [[0.31, 4.2]], "as in the file", 0),
        ],
    )
    def test_each_table_of_a_portfolio_file_has_its_own_unit(self, tmp_path, table, expected, unit, masked):
        out = read_fama_french(write(tmp_path, PORTFOLIOS), table=table)
        np.testing.assert_allclose(out.to_numpy(), expected, rtol=1e-14)
        assert list(out.columns) == ["SMALL LoBM", "BIG HiBM"]
        assert out.attrs["read_fama_french"]["unit"] == unit
        assert out.attrs["read_fama_french"]["masked"] == masked

    def test_a_title_may_stand_on_two_lines(self, tmp_path):
        out = read_fama_french(write(tmp_path, PORTFOLIOS), table=4)
        assert out.attrs["read_fama_french"]["table"] == "Value Weight Average of BE / ME as of June of the year"

    @pytest.mark.parametrize(
        ("table", "expected"),
        [
            (0, [[0.015, 0.025], [-0.01, np.nan]]),
            ("vw", [[0.015, 0.025], [-0.01, np.nan]]),
            ("n_firms", [[12, 30], [13, 31]]),
        ],
    )
    def test_a_plain_file_is_split_by_its_table_column(self, tmp_path, table, expected):
        out = read_fama_french(write(tmp_path, PLAIN), table=table)
        np.testing.assert_allclose(out.to_numpy(), expected, rtol=1e-14)
        assert list(out.columns) == ["A", "B"]

    def test_a_whole_title_goes_before_a_part_of_another(self, tmp_path):
        text = "month,table,A\n2000-01,vw returns,1.0\n2000-01,vw,2.0\n"
        assert read_fama_french(write(tmp_path, text), table="VW").to_numpy().tolist() == [[0.02]]

    def test_rows_of_another_length_of_date_begin_another_table(self, tmp_path):
        path = write(tmp_path, ",Mkt-RF\n192607,1.0\n192608,2.0\n1926,3.0\n")
        assert len(read_fama_french(path)) == 2
        with pytest.raises(PanelFileError, match="must have a header.*above line 4"):
            read_fama_french(path, table=1)

    def test_months_without_a_row_are_counted(self, tmp_path):
        text = "month,Mkt-RF\n2000-01,1.0\n2000-05,2.0\n2000-06,2.0\n"
        assert read_fama_french(write(tmp_path, text)).attrs["read_fama_french"]["absent_periods"] == 3

    def test_letters_outside_ascii_do_no_harm(self, tmp_path):
        path = tmp_path / "file.csv"
        path.write_bytes("Créé à Hanover\r\n\r\n,Mkt-RF\r\n192607,2.5\r\n".encode("latin-1"))
        assert read_fama_french(path).to_numpy().tolist() == [[0.025]]


class TestProperties:
    @settings(max_examples=30)
    @given(
        st.lists(
            st.tuples(
                st.floats(-60, 60, allow_nan=False).map(lambda x: round(x, 4)),
                st.sampled_from([None, "-99.99", "-999", "-999.00"]),
            ),
            min_size=1,
            max_size=30,
        )
    )
    def test_values_come_back_and_exactly_the_marked_ones_are_missing(self, tmp_path_factory, cells):
        months = pd.period_range("1990-01", periods=len(cells), freq="M")
        lines = [f"{m.strftime('%Y%m')},{mark or value},5.0" for m, (value, mark) in zip(months, cells, strict=True)]
        path = tmp_path_factory.mktemp("ff") / "x.csv"
        path.write_text(",SMB,Mkt-RF\n" + "\n".join(lines))
        out = read_fama_french(path)
        expected = [np.nan if mark else value / 100 for value, mark in cells]
        np.testing.assert_array_equal(out["SMB"], expected)
        assert out.attrs["read_fama_french"]["masked"] == sum(mark is not None for _, mark in cells)


def months_of(values, name="Mkt-RF"):
    months = pd.period_range("2000-01", periods=len(values), freq="M")
    return f",{name}\n" + "".join(f"{m.strftime('%Y%m')},{v}\n" for m, v in zip(months, values, strict=True))


class TestValidation:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (months_of([0.03, -0.02, 0.01, 0.05, -0.04, 0.02]), "must be in percent.*0.025 per period .monthly"),
            (
                ",Mkt-RF,RF\n" + "".join(f"200001{d:02d},0.00{d},3.0\n" for d in range(10, 20)),
                "must be in percent.*.daily.",
            ),
            (",Mom\n" + "".join(f"{y},0.{y - 1985}\n" for y in range(2000, 2010)), "must be in percent.*.annual."),
            ("month,table,A\n" + "".join(f"2000-{m:02d},ew,0.02\n" for m in range(1, 8)), "must be in percent"),
            ("", "must hold rows that begin with a date"),
            (PREAMBLE + ",Mkt-RF\n" + FOOTER, "must hold rows that begin with a date"),
            (",Mkt-RF\n192607,1.0\n192605,2.0\n", "must increase from row to row. Got 192605 after 192607"),
            (",Mkt-RF\n192607,1.0\n192607,2.0\n", "must increase from row to row"),
            (",Mkt-RF\n192613,1.0\n", "days of the calendar"),
            (",Mkt-RF\n1926/07,1.0\n", "Line 2 of .* must begin with yyyymm"),
            (",Mkt-RF\n192607,1.0\n19268,2.0\n192609,1.0\n", "Line 3 of .* must begin with yyyymm"),
            (",Mkt-RF\n192607,1.0\n\n192608,2.0\n", "Got a break before line 4"),
            (",Mkt-RF,RF\n192607,1.0\n", "must have the 3 cells of its header. Got 1 others"),
            (",Mkt-RF,RF\n192607,1.0,\n", "-99.99 or -999 for a missing one. Got 1 other"),
            (",Mkt-RF,RF\n192607,1.0,inf\n", "finite numbers.*'inf'"),
            (",Mkt-RF,RF\n192607,1.0,abc\n", "finite numbers.*'abc'"),
            (",A,A\n192607,1.0,2.0\n", "distinct names"),
            (",A,\n192607,1.0,2.0\n", "distinct names"),
            ("Breakpoints\n\n192607,1.0,2.0\n", "must have a header"),
        ],
    )
    def test_files_that_lie_are_refused(self, tmp_path, text, message):
        with pytest.raises(PanelFileError, match=message):
            read_fama_french(write(tmp_path, text))

    def test_the_market_decides_about_percent_not_small_factors(self, tmp_path):
        rows = "".join(f"2000{m:02d},{m},0.01,0.03,0.02\n" for m in range(1, 13))
        out = read_fama_french(write(tmp_path, ",Mkt-RF,SMB,HML,RF\n" + rows))
        assert out["SMB"].iloc[0] == 0.0001

    def test_five_returns_are_too_few_to_judge(self, tmp_path):
        assert read_fama_french(write(tmp_path, months_of([0.03] * 5))).iloc[0, 0] == 0.0003

    @pytest.mark.parametrize("table", [5, -1, True, 1.0, "no such", "Average"])
    def test_a_table_that_is_not_one_is_refused_with_the_titles(self, tmp_path, table):
        with pytest.raises(PanelFileError, match="Tables: 'Average Value Weighted Returns -- Monthly', 'Average Equal"):
            read_fama_french(write(tmp_path, PORTFOLIOS), table=table)

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("file.txt", b"x", "must end in .csv, .csv.gz or .zip"),
            ("file.zip", b"no archive", "BadZipFile"),
            ("file.csv.gz", b"no archive", "BadGzipFile"),
        ],
    )
    def test_spoiled_files_are_refused(self, tmp_path, name, content, message):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PanelFileError, match=message):
            read_fama_french(tmp_path / name)

    def test_an_absent_file_is_refused(self, tmp_path):
        with pytest.raises(PanelFileError, match="FileNotFoundError"):
            read_fama_french(tmp_path / "none.csv")

    def test_an_archive_of_two_files_is_refused(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            archive.writestr("a.csv", FACTORS)
            archive.writestr("b.CSV", FACTORS)
        with pytest.raises(PanelFileError, match="must hold one CSV file. Got 2: 'a.csv', 'b.CSV'"):
            read_fama_french(tmp_path / "x.zip")


class TestRealFiles:
    @pytest.mark.parametrize(
        ("name", "shape", "first", "value"),
        [
            ("ff3_monthly_1926_2023", (1163, 4), pd.Period("1926-07", "M"), 0.0296),
            ("ff5_monthly_1963_2021", (697, 6), pd.Period("1963-07", "M"), -0.0039),
            ("ff3_daily_1926_2021", (25020, 4), pd.Timestamp("1926-07-01"), 0.001),
            ("ff5_daily_1963_2021", (14600, 6), pd.Timestamp("1963-07-01"), -0.0067),
        ],
    )
    def test_factor_files_are_decimals_after_reading(self, real, name, shape, first, value):
        factors = read_fama_french(real / "ff_factors" / f"{name}.csv.gz")
        assert factors.shape == shape
        assert factors.index[0] == first
        assert factors["Mkt-RF"].iloc[0] == pytest.approx(value, rel=1e-12)
        assert factors.abs().max().max() < 0.5
        assert factors.attrs["read_fama_french"]["absent_periods"] == 0

    def test_portfolio_tables_keep_their_units(self, real):
        path = real / "ff25" / "ff25_monthly_1926_2016.csv.gz"
        returns = read_fama_french(path, table="vw")
        firms = read_fama_french(path, table="n_firms")
        assert returns.shape == firms.shape == (1086, 25)
        assert returns.iloc[0, 0] == pytest.approx(0.037782)
        assert 0.01 < returns.abs().median().median() < 0.1
        assert (firms.fillna(0) % 1 == 0).all(axis=None)

    def test_decimals_of_another_source_are_refused(self, real, tmp_path):
        table = pd.read_csv(real / "char_deciles" / "char_deciles_1963_2016.csv.gz", nrows=600)
        wide = table.drop(columns=["char", "char_name"]).drop_duplicates("month")
        wide.to_csv(tmp_path / "deciles.csv", index=False)
        with pytest.raises(PanelFileError, match="looks like decimals"):
            read_fama_french(tmp_path / "deciles.csv")
