"""Accounts in files: each version of each report once, with the months that its flows cover."""

import numpy as np
import pandas as pd
import pytest

from skdrfm.datasets import read_fundamentals
from skdrfm.exceptions import PanelFileError


def wide_table():
    """Two firms and three quarters in a vendor's wide layout."""
    return pd.DataFrame(
        {
            "ticker": ["TRUE"] * 3 + ["NA"] * 3,
            "Quarter end": ["2015-03-31", "2015-06-30", "2015-09-30"] * 2,
            "Shares": 50,
            "Shares split adjusted": [100, 101, 102, 200, 201, 202],
            "Assets": [50.0, 51.0, 52.0, 70.0, 71.0, 72.0],
            "Liabilities": [30.0, 30.0, 30.0, 80.0, 60.0, 60.0],
            "Shareholders equity": [20.0, 21.0, 22.0, -10.0, 11.0, 12.0],
            "Revenue": [8.0, 9.0, 0.0, 4.0, 5.0, 6.0],
            "Earnings": ["1.5", "None", "2.5", "0", "0.5", "0.75"],
            "Cash from operating activities": [2.0, 3.0, 4.0, 1.0, 1.0, 1.0],
            "P/E ratio": "None",
        }
    )


# The fiscal year of JCP ends in January; cash at the start of it is 100.
CASH = [100.0, 110.0, 105.0, 125.0, 160.0]
QUARTERLY_FLOWS = [10.0, -5.0, 20.0, 35.0]


def report_rows(symbol="JCP", *, year_to_date=True):
    """One fiscal year of reports, after the annual report of the year before."""
    flows = np.array(QUARTERLY_FLOWS)
    covered = np.cumsum(flows) if year_to_date else np.append(flows[:3], flows.sum())
    return pd.DataFrame(
        {
            "archive_date": ["2015-03-20", "2015-06-05", "2015-09-08", "2015-12-09", "2016-03-16"],
            "symbol": symbol,
            "end_date": ["2015-01-31", "2015-05-02", "2015-08-01", "2015-10-31", "2016-01-30"],
            "amend": "False",
            "period_focus": ["FY", "Q1", "Q2", "Q3", "FY"],
            "fiscal_year": 2015,
            "doc_type": ["10-K", "10-Q", "10-Q", "10-Q", "10-K"],
            "revenues": [400.0, 100.0, 110.0, 90.0, 420.0],
            "op_income": [40.0, 10.0, None, 9.0, 42.0],
            "net_income": [20.0, 5.0, 6.0, 4.0, 22.0],
            "assets": 500.0,
            "cash": CASH,
            "equity": [200.0, 205.0, 211.0, 215.0, 237.0],
            "cash_flow_op": np.append(30.0, 2 * covered),
            "cash_flow_inv": np.append(-10.0, -covered),
            "cash_flow_fin": 0.0,
        }
    )


def read(table, tmp_path, **options):
    path = tmp_path / "accounts.csv"
    table.to_csv(path, index=False)
    return read_fundamentals(path, **options)


def copy_of(table, rows, **values):
    """Append copies of rows with other values."""
    return pd.concat([table.astype(object), table.iloc[rows].assign(**values).astype(object)], ignore_index=True)


class TestWideTables:
    def test_every_item_lands_under_its_name(self, tmp_path):
        found = read(wide_table(), tmp_path)
        assert list(found.columns) == [
            *["asset", "period_end", "available", "months", "cash_flow_months", "sales", "net_income"],
            *["operating_cash_flow", "total_assets", "total_liabilities", "net_assets", "shares"],
        ]
        assert found["asset"].tolist() == ["NA"] * 3 + ["TRUE"] * 3
        assert isinstance(found.index, pd.RangeIndex)
        row = found.loc[4]
        assert row["period_end"] == pd.Timestamp("2015-06-30")
        assert pd.isna(row["available"])
        assert (row["months"], row["cash_flow_months"]) == (3, 3)
        assert row[["sales", "operating_cash_flow", "total_assets"]].tolist() == [9.0, 3.0, 51.0]
        assert row[["total_liabilities", "net_assets", "shares"]].tolist() == [30.0, 21.0, 101.0]
        assert np.isnan(row["net_income"])
        assert found["available"].dtype == found["period_end"].dtype
        counts = found.attrs["read_fundamentals"]
        assert (counts["layout"], counts["n_rows"], counts["n_kept"]) == ("wide", 6, 6)
        assert counts["n_negative_net_assets"] == 1
        assert not counts["liabilities_derived"]

    def test_operating_profit_comes_only_from_a_column_named_by_the_caller(self, tmp_path):
        table = wide_table().assign(EBIT=3.0)
        assert "operating_profit" not in read(table, tmp_path)
        found = read(table, tmp_path, columns={"operating_profit": "EBIT", "shares": "Shares", "sales": None})
        assert (found["operating_profit"] == 3.0).all()
        assert (found["shares"] == 50).all()
        assert "sales" not in found

    def test_one_column_may_stand_for_two_items(self, tmp_path):
        path = tmp_path / "wide.csv"
        wide_table().to_csv(path, index=False)
        both = read_fundamentals(path, columns={"net_income": "Earnings", "operating_profit": "Earnings"})
        pd.testing.assert_series_equal(both["operating_profit"], both["net_income"], check_names=False)
        assert both["net_income"].notna().sum() == 5

    def test_zero_stays_a_number_unless_said_otherwise(self, tmp_path):
        assert (read(wide_table(), tmp_path)[["sales", "net_income"]] == 0).sum().tolist() == [1, 1]
        some = read(wide_table(), tmp_path, zero_is_missing=["sales"])
        assert some.loc[5, "sales"] != some.loc[5, "sales"]
        assert some.attrs["read_fundamentals"]["zeros_as_missing"] == {"sales": 1}
        every = read(wide_table(), tmp_path, zero_is_missing=True)
        assert (every[["sales", "net_income"]] == 0).sum().sum() == 0
        assert every.attrs["read_fundamentals"]["zeros_as_missing"]["net_income"] == 1

    def test_annual_tables_say_their_months_by_option_or_column(self, tmp_path):
        assert (read(wide_table(), tmp_path, months=12)[["months", "cash_flow_months"]] == 12).all(axis=None)
        found = read(wide_table().assign(months=[3, 6, 9] * 2), tmp_path)
        assert found["months"].tolist() == found["cash_flow_months"].tolist() == [3, 6, 9] * 2
        found = read(wide_table().assign(cash_flow_months=[3, 6, 9] * 2), tmp_path)
        assert (found["months"] == 3).all()
        assert found["cash_flow_months"].tolist() == [3, 6, 9] * 2

    def test_a_result_that_is_written_is_read_back(self, tmp_path):
        first = read(report_rows(), tmp_path)
        again = read(first, tmp_path)
        pd.testing.assert_frame_equal(again, first)
        assert again.attrs["read_fundamentals"]["layout"] == "wide"

    def test_assets_are_chosen_on_the_way(self, tmp_path):
        found = read(wide_table(), tmp_path, assets=["TRUE", "XYZ"], chunk_size=2)
        assert found["asset"].unique().tolist() == ["TRUE"]
        counts = found.attrs["read_fundamentals"]
        assert (counts["n_rows"], counts["n_filtered"], counts["assets_without_reports"]) == (6, 3, ["XYZ"])
        assert len(read(wide_table(), tmp_path, assets="NA")) == 3

    def test_rows_without_any_item_are_dropped_and_counted(self, tmp_path):
        table = wide_table()
        table.loc[1, "Shares split adjusted":"Cash from operating activities"] = None
        found = read(table, tmp_path)
        assert len(found) == 5
        assert found.attrs["read_fundamentals"]["n_empty"] == 1


class TestReportRows:
    def test_flows_cover_the_months_of_the_document(self, tmp_path):
        found = read(report_rows(), tmp_path)
        assert found["months"].tolist() == [12, 3, 3, 3, 12]
        assert found["cash_flow_months"].tolist() == [12, 3, 6, 9, 12]
        assert found["available"].tolist() == pd.to_datetime(report_rows()["archive_date"]).tolist()
        assert found["operating_cash_flow"].tolist() == [30, 20, 10, 50, 120]
        assert found["total_liabilities"].tolist() == [300, 295, 289, 285, 263]
        counts = found.attrs["read_fundamentals"]
        assert (counts["layout"], counts["liabilities_derived"], counts["n_quarterly_cash_flows"]) == (
            "reports",
            True,
            0,
        )

    def test_liabilities_of_the_file_are_never_derived(self, tmp_path):
        found = read(report_rows().assign(liabilities=7.0), tmp_path)
        assert (found["total_liabilities"] == 7).all()
        # A missing zero must not become liabilities as large as the assets.
        found = read(report_rows().assign(equity=0.0), tmp_path, zero_is_missing=["net_assets"])
        assert found["total_liabilities"].isna().all()

    def test_cash_flows_of_the_quarter_are_found_by_the_change_of_cash(self, tmp_path):
        found = read(report_rows(year_to_date=False), tmp_path)
        assert found["cash_flow_months"].tolist() == [12, 3, 3, 3, 12]
        assert found.attrs["read_fundamentals"]["n_quarterly_cash_flows"] == 2

    @pytest.mark.parametrize(
        "change",
        [
            lambda t: t.drop(columns="cash"),
            lambda t: t.drop(columns="cash_flow_fin"),
            lambda t: t.assign(cash_flow_inv=np.nan),
            lambda t: t.assign(cash=[100.0, 110.0, 101.0, 129.0, 160.0]),  # explains no flow
            lambda t: t.iloc[[2, 4]],  # no quarter before
        ],
    )
    def test_without_evidence_cash_flows_follow_the_rule(self, tmp_path, change):
        found = read(change(report_rows(year_to_date=False)), tmp_path).set_index("period_end")
        assert found.loc["2015-08-01", "cash_flow_months"] == 6

    def test_the_rule_may_be_prescribed(self, tmp_path):
        found = read(report_rows(year_to_date=False), tmp_path, cash_flow="year_to_date")
        assert found["cash_flow_months"].tolist() == [12, 3, 6, 9, 12]

    def test_flows_that_explain_quarter_and_year_follow_the_rule(self, tmp_path):
        table = report_rows(year_to_date=False).assign(cash=[105.0, 110.0, 105.0, 125.0, 160.0])
        table.loc[2, ["cash_flow_op", "cash_flow_inv"]] = [4.0, -4.0]
        table.loc[1, "cash"] = 105.0
        assert read(table, tmp_path).loc[2, "cash_flow_months"] == 6

    def test_annual_cash_flows_are_never_taken_for_those_of_a_quarter(self, tmp_path):
        table = report_rows()
        table.loc[4, ["cash_flow_op", "cash_flow_inv"]] = [70.0, -35.0]  # the change of cash in the last quarter
        assert read(table, tmp_path).loc[4, "cash_flow_months"] == 12

    def test_only_cash_that_was_public_counts_as_evidence(self, tmp_path):
        late = report_rows(year_to_date=False)
        late.loc[1, "archive_date"] = "2015-10-01"  # the first quarter, after the second
        assert read(late, tmp_path)["cash_flow_months"].tolist() == [12, 3, 6, 3, 12]

    def test_exchange_rates_may_leave_a_percent_where_the_year_fits_far_worse(self, tmp_path):
        table = report_rows(year_to_date=False)
        table.loc[2, "cash"] += 0.1  # of flows of 15 in all
        assert read(table, tmp_path)["cash_flow_months"].tolist()[2] == 3
        table.loc[2, "cash"] += 0.1
        assert read(table, tmp_path)["cash_flow_months"].tolist()[2] == 6

    def test_the_caller_may_know_better(self, tmp_path):
        found = read(report_rows(), tmp_path, cash_flow="quarter")
        assert found["cash_flow_months"].tolist() == [12, 3, 3, 3, 12]
        assert found.attrs["read_fundamentals"]["n_quarterly_cash_flows"] == 0

    def test_a_quarterly_document_of_the_fiscal_year_has_no_known_cash_flow(self, tmp_path):
        table = report_rows()
        table.loc[3, "period_focus"] = "FY"
        found = read(table, tmp_path)
        assert found.loc[3, "months"] == 3
        assert np.isnan(found.loc[3, "operating_cash_flow"])
        assert found.attrs["read_fundamentals"]["n_cash_flows_of_unknown_length"] == 1
        # Without types of documents the focus alone counts.
        assert read(table.drop(columns="doc_type"), tmp_path).loc[3, "months"] == 12

    def test_documents_of_amendments_are_known_by_their_ending(self, tmp_path):
        table = report_rows().replace({"doc_type": {"10-K": "10-K/A", "10-Q": "10-q/a"}})
        assert read(table, tmp_path)["months"].tolist() == [12, 3, 3, 3, 12]


class TestVersions:
    def test_the_same_report_again_later_is_dropped_and_counted(self, tmp_path):
        table = copy_of(report_rows(), [0, 1, 2], archive_date="2015-09-09")  # the last one lacks an item
        found = read(copy_of(table, [1], archive_date="2015-10-09"), tmp_path)
        assert len(found) == 5
        assert found.attrs["read_fundamentals"]["n_late_copies"] == 4
        assert found["available"].iloc[1] == pd.Timestamp("2015-06-05")

    def test_another_version_later_stays_beside_the_first(self, tmp_path):
        table = copy_of(report_rows(), [1], archive_date="2015-07-09", net_income=7.0, op_income=None)
        found = read(table, tmp_path)
        assert found["net_income"].tolist()[1:3] == [5.0, 7.0]
        assert found["available"].dt.strftime("%m-%d").tolist()[1:3] == ["06-05", "07-09"]
        # Back to the first figures is news again.
        back = read(copy_of(table, [1], archive_date="2015-08-09"), tmp_path)
        assert back["net_income"].tolist()[1:4] == [5.0, 7.0, 5.0]
        assert back.attrs["read_fundamentals"]["n_late_copies"] == 0

    def test_an_amendment_wins_on_its_day_in_any_order_of_rows(self, tmp_path):
        table = copy_of(report_rows(), [1], amend="True", net_income=7.0)
        for rows in (table, table.iloc[::-1]):
            found = read(rows, tmp_path)
            assert found["net_income"].tolist()[1] == 7.0
            assert len(found) == 5
            assert found.attrs["read_fundamentals"]["n_replaced_by_amendment"] == 1

    def test_exact_copies_are_dropped_and_counted(self, tmp_path):
        found = read(copy_of(wide_table(), [1, 1]), tmp_path)
        assert len(found) == 6
        assert found.attrs["read_fundamentals"]["n_identical_copies"] == 2
        amended = read(copy_of(report_rows(), [1], amend="True"), tmp_path)
        assert amended.attrs["read_fundamentals"]["n_identical_copies"] == 1
        assert amended.attrs["read_fundamentals"]["n_replaced_by_amendment"] == 0

    def test_an_amendment_that_confirms_one_of_two_rows_decides_between_them(self, tmp_path):
        table = copy_of(copy_of(report_rows(), [1], net_income=7.0), [1], amend="True")
        found = read(table, tmp_path)
        assert found["net_income"].tolist()[1] == 5.0
        assert len(found) == 5

    def test_contradicting_rows_are_named_or_left_out(self, tmp_path):
        table = copy_of(wide_table(), [0, 1], Revenue=99.0)
        with pytest.raises(PanelFileError, match=r"2 periods with rows that contradict each other: TRUE \(2 periods\)"):
            read(table, tmp_path)
        found = read(table, tmp_path, ambiguous="drop_period")
        assert found["asset"].tolist() == ["NA"] * 3 + ["TRUE"]
        assert found.attrs["read_fundamentals"]["n_ambiguous"] == 4
        found = read(table, tmp_path, ambiguous="drop_asset")
        assert found["asset"].tolist() == ["NA"] * 3
        counts = found.attrs["read_fundamentals"]
        assert (counts["n_ambiguous"], counts["ambiguous_assets"]) == (5, {"TRUE": 2})

    def test_contradictions_on_one_day_take_later_versions_of_the_period_along(self, tmp_path):
        table = copy_of(report_rows(), [1], net_income=7.0)
        table = copy_of(table, [1], archive_date="2015-07-09", net_income=8.0)
        with pytest.raises(PanelFileError, match="1 periods"):
            read(table, tmp_path)
        found = read(table, tmp_path, ambiguous="drop_period")
        assert pd.Timestamp("2015-05-02") not in found["period_end"].tolist()
        assert len(found) == 4

    def test_keys_are_unique_and_sorted_and_every_row_is_accounted_for(self, tmp_path):
        table = pd.concat([report_rows("B"), report_rows("A"), report_rows("A")], ignore_index=True)
        table = copy_of(copy_of(table, [0, 1], archive_date="2016-09-01"), [2], net_income=-1.0)
        found = read(table.sample(frac=1, random_state=0), tmp_path, ambiguous="drop_period")
        keys = found.set_index(["asset", "period_end", "available"]).index
        assert keys.is_unique
        assert keys.is_monotonic_increasing
        counts = found.attrs["read_fundamentals"]
        dropped = ["n_filtered", "n_empty", "n_identical_copies", "n_replaced_by_amendment", "n_late_copies"]
        assert counts["n_rows"] == counts["n_kept"] + counts["n_ambiguous"] + sum(counts[name] for name in dropped)


class TestValidation:
    @pytest.mark.parametrize(
        ("change", "options", "message"),
        [
            (
                lambda t: t.assign(archive_date="2015-05-01"),
                {},
                "published before its period ended. Got 4 .*JCP 2015-05",
            ),
            (lambda t: t.assign(end_date="soon"), {}, "'end_date' of .* must hold ISO dates.*Got 5 .*'soon'"),
            (lambda t: t.assign(end_date=""), {}, "'end_date' of .* must hold ISO dates"),
            (lambda t: t.assign(archive_date="x"), {}, "'archive_date' of .* must hold ISO dates"),
            (lambda t: t.assign(symbol=""), {}, "must have an asset. Got 5 rows"),
            (lambda t: t.assign(assets="big"), {}, "'assets' of .* must hold finite numbers. Got 5 .*'big' of 'JCP'"),
            (lambda t: t.assign(assets=np.inf), {}, "must hold finite numbers"),
            (lambda t: t.assign(period_focus="H1"), {}, "'period_focus' of .* must hold Q1, Q2, Q3, FY. Got 5 .*'H1'"),
            (lambda t: t.assign(doc_type="8-K"), {}, "'doc_type' of .* must hold 10-K, 10-Q. Got 5 .*'8-K'"),
            (lambda t: t.assign(amend="maybe"), {}, "'amend' must hold true or false. Got 5 .*'maybe'"),
            (lambda t: t.drop(columns="archive_date"), {}, "Missing: available"),
            (lambda t: t[["archive_date", "symbol", "end_date", "period_focus"]], {}, "Missing: all items"),
            (lambda t: t.assign(revenue=1.0), {}, "several columns for 'sales': 'revenues', 'revenue'"),
            (lambda t: t, {"columns": {"EBIT": "op_income"}}, "keys of 'columns' must be among"),
            (lambda t: t, {"zero_is_missing": ["shares"]}, "'zero_is_missing' must name items of the file.*'shares'"),
            (lambda t: t, {"months": 4}, "'months' must be 3, 6, 9 or 12. Got 4"),
            (lambda t: t.assign(months=4), {"layout": "wide"}, "'months' of .* must hold 3, 6, 9 or 12. Got 5"),
            (lambda t: t, {"assets": "XYZ"}, "At least one report must be left"),
            (lambda t: t.iloc[:0], {}, "must hold at least one row"),
        ],
    )
    def test_what_cannot_be_read_is_said(self, tmp_path, change, options, message):
        with pytest.raises(PanelFileError, match=message):
            read(change(report_rows()), tmp_path, **options)

    def test_reports_without_items_never_count_as_too_early(self, tmp_path):
        items = ["revenues", "op_income", "net_income", "assets", "equity", "cash_flow_op"]
        early = copy_of(report_rows(), [1], archive_date="2015-05-01", **dict.fromkeys(items))
        found = read(early, tmp_path)
        assert found.attrs["read_fundamentals"]["n_empty"] == 1
        assert len(found) == 5

    def test_the_day_of_the_period_end_is_not_too_early(self, tmp_path):
        assert len(read(report_rows().assign(archive_date=report_rows()["end_date"]), tmp_path)) == 5

    def test_files_must_agree_and_are_read_together(self, tmp_path):
        wide_table().to_csv(tmp_path / "a.csv", index=False)
        wide_table().assign(ticker="B").iloc[:3].to_parquet(tmp_path / "b.parquet")
        assert len(read_fundamentals(tmp_path)) == 9
        wide_table().drop(columns="Revenue").to_csv(tmp_path / "c.csv", index=False)
        with pytest.raises(PanelFileError, match="All files must have the same columns"):
            read_fundamentals(tmp_path)

    @pytest.mark.parametrize("options", [{"layout": "long"}, {"ambiguous": "first"}, {"cash_flow": "annual"}])
    def test_unknown_options_are_refused(self, tmp_path, options):
        with pytest.raises(ValueError, match=f"'{next(iter(options))}' parameter of read_fundamentals"):
            read(wide_table(), tmp_path, **options)
