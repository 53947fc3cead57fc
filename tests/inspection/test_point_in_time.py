"""What looks ahead is found with its column and its first value; what looks back is not."""

import numpy as np
import pandas as pd
import pytest

from skdrfm import make_factor_panel, stack_lags
from skdrfm.exceptions import PanelError
from skdrfm.inspection import check_point_in_time
from skdrfm.panel import forward_returns
from skdrfm.preprocessing import CrossSectionalRankScaler


@pytest.fixture(scope="module")
def X():
    return make_factor_panel(n_dates=24, n_assets=8, n_descriptors=2, random_state=0)[0]


@pytest.fixture
def reports():
    """Quarterly reports of two firms, filed two months after the end of the quarter."""
    ends = pd.date_range("2001-03-31", periods=8, freq="QE")
    frame = pd.DataFrame(
        {
            "date": np.tile(ends, 2),
            "asset": np.repeat(["A", "B"], 8),
            "income": np.random.default_rng(0).uniform(1, 2, 16),
            "note": "text",
        }
    )
    return frame.assign(filed=frame["date"] + pd.Timedelta(days=60))


def by_asset(X):
    return X.groupby(level="asset")


class TestWhatLooksBack:
    @pytest.mark.parametrize(
        "compute",
        [
            CrossSectionalRankScaler().fit_transform,
            lambda X: stack_lags(X, lags=(0, 3)),
            lambda X: stack_lags(X, X["BETA"], lags=(0, 3)),
            lambda X: by_asset(X).shift(1),
            lambda X: by_asset(X).ffill().to_numpy(),
            lambda X: X["BETA"].rolling(5).mean(),
            lambda X: X.reset_index(),
            lambda X: X.groupby(level="date").mean(),
        ],
    )
    def test_past_and_cross_sectional_figures_pass(self, X, compute):
        assert check_point_in_time(compute, X) == ()

    def test_a_table_is_not_changed(self, X):
        before = X.copy()
        check_point_in_time(lambda table: table * 2, X)
        pd.testing.assert_frame_equal(X, before)

    def test_rows_may_come_in_another_order(self, X):
        assert check_point_in_time(lambda table: table.sort_index(ascending=len(table) > 180), X) == ()

    @pytest.mark.parametrize("kind", ["period", "yyyymm", "text"])
    def test_monthly_results_of_daily_tables_are_compared_by_the_end_of_the_month(self, kind):
        days = pd.bdate_range("2001-01-01", "2001-12-31", name="date")
        bars = pd.DataFrame({"close": np.random.default_rng(0).uniform(9, 11, len(days)), "volume": 5}, index=days)
        to_date = {
            "period": lambda months: months,
            "yyyymm": lambda months: months.strftime("%Y%m").astype(int),
            "text": lambda months: months.strftime("%Y-%m"),
        }[kind]

        def last_price(table):
            months = table.index.to_period("M")
            out = table["close"].groupby(months).last()
            return out.set_axis(pd.Index(to_date(pd.PeriodIndex(out.index)), name="date"))

        assert check_point_in_time(last_price, bars) == ()
        (finding,) = check_point_in_time(lambda table: last_price(table).shift(-1), bars)
        assert finding.code == "look_ahead"

    def test_prices_and_returns_stay_valid_when_rows_are_changed(self, X):
        prices = np.exp(X["BETA"])
        # forward_returns refuses prices that are not positive; known returns are those of the date before.
        assert check_point_in_time(lambda p: by_asset(forward_returns(p, kind="prices")).shift(1), prices) == ()


class TestWhatLooksAhead:
    @pytest.mark.parametrize(
        "compute",
        [
            lambda X: by_asset(X).shift(-1),
            lambda X: (X - X.mean()) / X.std(),
            lambda X: X.to_numpy() / X["BETA"].abs().max(),
            lambda X: by_asset(X.where(X.abs() < 1)).bfill(),
            lambda X: X.groupby(level="date").transform("count") + X.index.get_level_values("date").nunique(),
            lambda X: forward_returns(X["BETA"].clip(-0.9)),
        ],
    )
    def test_later_rows_with_an_effect_are_found(self, X, compute):
        findings = check_point_in_time(compute, X)
        assert [finding.code for finding in findings] == ["look_ahead"]

    def test_the_evidence_names_column_row_and_values(self, X):
        def compute(table):
            return table.assign(BETA=by_asset(table)["BETA"].shift(-1))

        (finding,) = check_point_in_time(compute, X, dates=["2001-06-30"])
        before = X["BETA"].xs("A1", level="asset").loc["2001-07-31"]
        assert "Rows after 2001-06-30 changed: 8 of 288 values up to it differ (column 'BETA'; " in finding.evidence
        assert f"first at 2001-06-30, A1: {before:.6g} became" in finding.evidence
        assert "removed: 8 of 288" in finding.evidence
        assert finding.evidence.count("became nan") == 1

    def test_only_the_result_at_fault_is_named(self, X):
        (finding,) = check_point_in_time(lambda table: (table, by_asset(table).shift(-1)), X)
        assert finding.title.startswith("Result 1 looks ahead")

    def test_rows_that_depend_on_later_ones_are_found(self, X):
        def only_those_that_live_on(table):
            later = by_asset(table["BETA"]).shift(-3)
            return table[later.notna()]

        (finding,) = check_point_in_time(only_those_that_live_on, X)
        assert "rows up to it appear or vanish" in finding.evidence

    def test_unused_labels_of_the_index_are_no_way_to_the_future(self, X):
        (finding,) = check_point_in_time(lambda table: table * len(table.index.levels[0]), X)
        assert "removed" in finding.evidence
        assert "changed" not in finding.evidence

    def test_integers_count_when_rows_are_removed(self, X):
        table = X.assign(volume=np.arange(len(X)))[["volume"]]
        (finding,) = check_point_in_time(lambda table: table + table["volume"].max(), table)
        assert "changed" not in finding.evidence

    def test_text_is_compared_too(self, X):
        table = X.assign(sector="a")
        (finding,) = check_point_in_time(lambda table: table.assign(sector=f"{table['BETA'].sum():.4f}"), table)
        assert "column 'sector'" in finding.evidence

    def test_columns_that_depend_on_later_rows_are_found(self, X):
        (finding,) = check_point_in_time(lambda table: table.add_suffix(str(len(table))), X)
        assert "the columns differ" in finding.evidence


class TestReports:
    @staticmethod
    def latest(column):
        def compute(reports):
            """Latest report that each month knows by a date column."""
            months = pd.date_range("2001-06-30", "2002-12-31", freq="ME")
            rows = [
                {"date": month, "income": reports.loc[reports[column] <= month, "income"].iloc[-2:].sum()}
                for month in months
            ]
            return pd.DataFrame(rows)

        return compute

    def test_a_report_must_not_be_seen_before_it_is_filed(self, reports):
        reports = reports.sort_values("filed")
        assert check_point_in_time(self.latest("filed"), reports, available="filed") == ()
        assert check_point_in_time(self.latest("date"), reports) == ()
        (finding,) = check_point_in_time(self.latest("date"), reports, available="filed")
        assert "column 'income'" in finding.evidence

    def test_a_report_without_a_filing_date_is_never_known(self, reports):
        reports = reports.sort_values("filed")
        reports["filed"] = reports["filed"].where(reports["asset"] == "A")
        assert check_point_in_time(self.latest("filed"), reports, available=["filed"]) == ()
        assert check_point_in_time(self.latest("date"), reports, available=["filed"]) != ()

    def test_each_table_may_have_a_column_of_its_own(self, X, reports):
        def compute(X, reports):
            known = self.latest("filed")(reports)
            return X, known

        assert check_point_in_time(compute, X, reports, available=[None, "filed"], dates=["2001-09-30"]) == ()


class TestProperties:
    @pytest.mark.parametrize("seed", range(5))
    def test_a_window_into_the_future_of_any_length_is_found(self, X, seed):
        rng = np.random.default_rng(seed)
        ahead = int(rng.integers(1, 6))
        assert check_point_in_time(lambda table: by_asset(table).shift(-ahead), X, random_state=seed) != ()
        assert check_point_in_time(lambda table: by_asset(table).shift(ahead), X, random_state=seed) == ()

    def test_rounding_of_fewer_rows_is_forgiven_only_where_asked(self, X):
        def compute(table):
            return table * (1 + 1e-12 * len(table))

        assert len(check_point_in_time(compute, X)) == 1
        assert check_point_in_time(compute, X, rtol=1e-6) == ()


class TestValidation:
    def test_what_compute_raises_says_where(self, X):
        def compute(table):
            if len(table) < 190:
                raise KeyError("short")
            return table

        with pytest.raises(KeyError) as caught:
            check_point_in_time(compute, X)
        assert "rows after 2000-12-31 removed" in caught.value.__notes__[0]

    @pytest.mark.parametrize(
        ("tables", "options", "message"),
        [
            ((), {}, "At least one table"),
            (([1, 2],), {}, "must be DataFrames or Series with dates. Got a list"),
            ((pd.DataFrame({"a": [1.0, 2.0]}),), {}, "must have the date of each row"),
            ((pd.DataFrame({"a": [1.0, 2.0], "date": ["x1", "y2"]}),), {}, "Convert them with pd.to_datetime"),
            ((pd.DataFrame({"a": [1.0], "date": ["2001-01-31"]}),), {}, "at least two dates"),
        ],
    )
    def test_tables_without_dates_are_refused(self, tables, options, message):
        with pytest.raises(PanelError, match=message):
            check_point_in_time(lambda *tables: tables[0], *tables, **options)

    def test_options_out_of_range_are_refused(self, X):
        def same(table):
            return table

        with pytest.raises(ValueError, match="'n_dates' must be an integer >= 1"):
            check_point_in_time(same, X, n_dates=0)
        with pytest.raises(ValueError, match="'rtol' must be a number >= 0"):
            check_point_in_time(same, X, rtol=-1.0)
        with pytest.raises(PanelError, match="'available' must name a column"):
            check_point_in_time(same, X, available="filed")
        with pytest.raises(PanelError, match="'dates' must hold at least one date"):
            check_point_in_time(same, X, dates=[])
        with pytest.raises(PanelError, match="Got none after 2001-12-31"):
            check_point_in_time(same, X, dates=["2001-12-31"])

    def test_results_must_have_dates_and_repeat(self, X):
        rng = np.random.default_rng(0)
        with pytest.raises(PanelError, match="must give the same result"):
            check_point_in_time(lambda table: table * rng.random(), X)
        with pytest.raises(PanelError, match="must have the rows of the first table"):
            check_point_in_time(lambda table: table.to_numpy()[:3], X)
        with pytest.raises(PanelError, match="Tables and results must have the date"):
            check_point_in_time(lambda table: table.mean(), X)
