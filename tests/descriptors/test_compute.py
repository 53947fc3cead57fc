import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from skdrfm.descriptors import (
    DESCRIPTORS,
    GROUPS,
    DescriptorSpec,
    compute_descriptors,
    descriptor_specs,
    groups_of,
    register_descriptor,
    unregister_descriptor,
)
from skdrfm.exceptions import NonFiniteError, PanelError

KINDS = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "daily": st.booleans(),
        "returns": st.sampled_from(["adj_close", "return"]),
        "value": st.sampled_from(["market_value", "shares", "fundamentals"]),
        "dollar_volume": st.booleans(),
        "illiq": st.booleans(),
    }
)
OPTIONS = st.fixed_dictionaries(
    {
        "publication_lag": st.sampled_from([0, 3, 5, pd.Timedelta(days=100), pd.DateOffset(months=4)]),
        "min_periods": st.sampled_from([None, 5, 40, {"60VOL": 1, "BETA": 2, "SKEW": 3, "ILLIQ": 1}, {"ILLIQ": 12}]),
        "max_report_age": st.sampled_from([2, 18, 30]),
    }
)
# A panel is drawn from its seed, so there is nothing to shrink.
SEEDED = {"phases": [Phase.explicit, Phase.reuse, Phase.generate]}
PRICE_ONLY = ["60VOL", "SKEW", "12-1MOM", "1MOM", "60MOM"]
OF_REPORTS = ["ROE", "ROA", "ACCRUALS", "LEVERAGE", "PSR", "PER", "PBR", "PCFR"]
ITEMS = ["sales", "operating_profit", "net_income", "operating_cash_flow"]
ITEMS += ["total_assets", "total_liabilities", "net_assets", "shares"]


def assert_same_bits(left, right):
    """Equal rows, columns and bits; NaN matches NaN alone."""
    pd.testing.assert_index_equal(left.index, right.index)
    assert list(left.columns) == list(right.columns)
    a, b = left.to_numpy(), right.to_numpy()
    np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
    np.testing.assert_array_equal(
        np.where(np.isnan(a), 0, a).view(np.int64), np.where(np.isnan(b), 0, b).view(np.int64)
    )


def assert_close(left, right, rtol=1e-10):
    """Equal to a relative error; near 0 absolute, except for ILLIQ, whose values are all tiny."""
    pd.testing.assert_index_equal(left.index, right.index)
    assert list(left.columns) == list(right.columns)
    for name in right:
        atol = 0 if name == "ILLIQ" else 1e-2 * rtol
        np.testing.assert_allclose(left[name], right[name], rtol=rtol, atol=atol, err_msg=name)


def up_to(table, month):
    return table[table.index.get_level_values("date") <= month.end_time]


def monthly_returns(values, asset="A", start="2000-01"):
    """One asset with a bar at the end of each month."""
    dates = pd.period_range(start, periods=len(values), freq="M").to_timestamp(how="end").normalize()
    index = pd.MultiIndex.from_arrays([dates, [asset] * len(values)], names=["date", "asset"])
    return pd.DataFrame({"return": np.asarray(values, dtype=float)}, index=index)


def priced(n_months=36, start="2000-01"):
    """One asset of market value 100 in every month."""
    return monthly_returns(np.zeros(n_months), start=start).assign(market_value=100.0)


def reports(*rows):
    """Rows of (period_end, available, items) of asset A."""
    records = []
    for period_end, available, items in rows:
        end, day = pd.Timestamp(period_end), pd.Timestamp(available)
        records.append({"asset": "A", "period_end": end, "available": day, **items})
    table = pd.DataFrame(records)
    table["available"] = pd.to_datetime(table["available"])
    return table


def at(table, month, name):
    return table.xs("A", level="asset")[name].loc[pd.Period(month, "M").end_time.normalize()]


def market_of(bars, values):
    months = bars.index.get_level_values("date").unique().to_period("M")
    return pd.Series(np.asarray(values, dtype=float), index=months)


class TestReferenceValues:
    @settings(max_examples=15, **SEEDED)
    @given(kind=KINDS, options=OPTIONS)
    def test_every_descriptor_and_count_equals_the_literal_computation(self, make, literal, kind, options):
        case = make(**kind)
        expected = literal(case.bars, case.fundamentals, case.market, **options)
        found = compute_descriptors(case.bars, case.fundamentals, case.market, **options)
        assert_close(found, expected)
        assert found.attrs == expected.attrs

    def test_the_compared_panel_knows_every_descriptor_somewhere_and_not_everywhere(self, one_case, literal):
        expected = literal(one_case.bars, one_case.fundamentals, one_case.market)
        assert expected.notna().sum().min() >= 15
        assert expected.isna().sum().min() >= 1
        assert expected.attrs["compute_descriptors"]["non_positive_net_assets"] >= 5
        found = compute_descriptors(one_case.bars, one_case.fundamentals, one_case.market)
        assert_close(found, expected)
        assert (found.dtypes == np.float64).all()

    def test_a_series_of_monthly_returns_is_enough_for_risk_and_momentum(self, make, literal):
        case = make(4, daily=False, returns="return")
        bars = case.bars[["return"]]
        names = [*PRICE_ONLY, "BETA"]
        found = compute_descriptors(bars["return"].rename(None), market=case.market, names=names)
        assert_close(found, literal(bars, market=case.market, names=names))
        assert_same_bits(found, compute_descriptors(bars, market=case.market, names=names))

    def test_risk_of_a_line_on_the_market_is_its_slope(self):
        x = np.sin(np.arange(60.0))
        bars = monthly_returns(0.003 + 0.05 * x)
        found = compute_descriptors(bars, market=market_of(bars, 0.04 * x), names=["BETA", "60VOL", "SKEW"]).iloc[-1]
        assert found["BETA"] == pytest.approx(1.25, rel=1e-12)
        assert found["60VOL"] == pytest.approx(np.std(0.05 * x, ddof=1), rel=1e-12)
        assert found["SKEW"] == pytest.approx(pd.Series(x).skew(), rel=1e-10)

    def test_momentum_compounds_the_months_it_names(self):
        values = np.linspace(-0.1, 0.2, 60)
        found = compute_descriptors(monthly_returns(values), names=["12-1MOM", "1MOM", "60MOM"])
        assert found["1MOM"].iloc[-1] == values[-1]
        assert found["12-1MOM"].iloc[-1] == pytest.approx(np.prod(1 + values[-12:-1]) - 1, rel=1e-12)
        assert found["60MOM"].iloc[-1] == pytest.approx(np.prod(1 + values) - 1, rel=1e-12)
        assert np.isnan(found["12-1MOM"].iloc[10])
        assert np.isfinite(found["12-1MOM"].iloc[11])
        assert np.isnan(found["60MOM"].iloc[-2])

    def test_a_total_loss_stays_in_momentum_until_it_leaves_the_window(self):
        values = np.full(80, 0.01)
        values[5] = -1.0
        found = compute_descriptors(monthly_returns(values), names=["60MOM", "12-1MOM"])
        assert found["60MOM"].iloc[59:65].tolist() == [-1.0] * 6
        assert found["60MOM"].iloc[65] == pytest.approx(1.01**60 - 1, rel=1e-12)
        assert found["12-1MOM"].iloc[17] == pytest.approx(1.01**11 - 1, rel=1e-12)

    def test_a_huge_return_leaves_no_trace_after_its_window(self):
        rng = np.random.default_rng(0)
        values = rng.normal(0.01, 0.05, 140)
        spiked = values.copy()
        spiked[30] = 1e6
        plain, after = (compute_descriptors(monthly_returns(v), names=PRICE_ONLY).iloc[91:] for v in (values, spiked))
        assert_close(after, plain, rtol=1e-12)

    def test_constant_returns_have_no_risk_and_no_skewness(self):
        bars = monthly_returns(np.full(70, 0.01))
        market = market_of(bars, np.cos(np.arange(70)) / 30)
        found = compute_descriptors(bars, market=market, names=["60VOL", "BETA", "SKEW"])
        assert found["60VOL"].iloc[23:].tolist() == [0.0] * 47
        assert found["BETA"].iloc[23:].abs().max() < 1e-15
        assert found["SKEW"].isna().all()

    def test_a_constant_market_gives_no_beta(self):
        bars = monthly_returns(np.cos(np.arange(70)) / 30)
        found = compute_descriptors(bars, market=market_of(bars, np.full(70, 0.007)), names=["BETA"])
        assert found["BETA"].isna().all()

    @pytest.mark.parametrize(("min_periods", "first"), [(None, 23), (30, 29), ({"60VOL": 10}, 9)])
    def test_risk_begins_with_the_least_number_of_returns(self, min_periods, first):
        found = compute_descriptors(
            monthly_returns(np.cos(np.arange(40)) / 9), names=["60VOL", "SKEW"], min_periods=min_periods
        )
        assert np.flatnonzero(found["60VOL"].notna())[0] == first
        assert np.flatnonzero(found["SKEW"].notna())[0] == (23 if isinstance(min_periods, dict) else first)

    def test_a_missing_month_gives_no_return_over_two_months(self):
        bars = monthly_returns(np.zeros(6)).assign(adj_close=[10.0, 11.0, 12.0, 18.0, 9.0, 9.0]).drop(columns="return")
        found = compute_descriptors(bars.drop(bars.index[2]), names=["1MOM"])["1MOM"]
        np.testing.assert_allclose(found, [np.nan, 0.1, np.nan, -0.5, 0.0], rtol=1e-12)

    def test_a_return_that_is_unknown_within_a_month_makes_its_return_unknown(self):
        index = pd.MultiIndex.from_product([pd.date_range("2020-01-02", periods=3), ["A"]], names=["date", "asset"])
        bars = pd.DataFrame({"return": [0.1, np.nan, 0.2]}, index=index)
        assert np.isnan(compute_descriptors(bars, names=["1MOM"]).iloc[0, 0])
        assert compute_descriptors(bars.iloc[[0, 2]], names=["1MOM"]).iloc[0, 0] == pytest.approx(0.32)

    def test_illiquidity_is_the_mean_of_monthly_means_over_traded_bars(self):
        dates = pd.to_datetime(["2020-01-10", "2020-01-20", "2020-01-30", "2020-02-10", "2020-02-20"])
        index = pd.MultiIndex.from_product([dates, ["A"]], names=["date", "asset"])
        bars = pd.DataFrame({"adj_close": [10.0, 11.0, 22.0, 11.0, 11.0]}, index=index)
        bars["close"], bars["volume"] = 5.0, [100.0, 200.0, 0.0, 10.0, 40.0]
        found = compute_descriptors(bars, names=["ILLIQ"], min_periods={"ILLIQ": 1})["ILLIQ"]
        # January: 10 % on 1,000; the untraded bar is left out. February: 50 % on 50, then 0 on 200.
        np.testing.assert_allclose(found, [1e-4, (1e-4 + (0.01 + 0) / 2) / 2], rtol=1e-12)
        counts = compute_descriptors(bars, names=["ILLIQ"]).attrs["compute_descriptors"]
        assert counts["zero_volume_bars"] == 1

    def test_a_bar_after_an_empty_month_has_no_return_for_illiquidity(self):
        index = pd.MultiIndex.from_product(
            [pd.to_datetime(["2020-01-31", "2020-03-02", "2020-03-31"]), ["A"]], names=["date", "asset"]
        )
        bars = pd.DataFrame({"adj_close": [1.0, 9.0, 18.0], "dollar_volume": 100.0}, index=index)
        found = compute_descriptors(bars, names=["ILLIQ"], min_periods={"ILLIQ": 1})["ILLIQ"]
        np.testing.assert_allclose(found, [np.nan, 0.01], rtol=1e-12)


class TestReports:
    def test_year_to_date_cash_flows_become_trailing_twelve_months(self):
        ends = ["2000-03-31", "2000-06-30", "2000-09-30", "2000-12-31", "2001-03-31", "2001-06-30"]
        flows, months = [10.0, 30.0, 60.0, 100.0, 11.0, 33.0], [3, 6, 9, 12, 3, 6]
        table = reports(*[(end, end, {"operating_cash_flow": f}) for end, f in zip(ends, flows, strict=True)])
        table["cash_flow_months"] = months
        found = compute_descriptors(priced(), table, names=["PCFR"])
        assert np.isnan(at(found, "2000-09", "PCFR"))
        assert at(found, "2000-12", "PCFR") == pytest.approx(1.0)
        assert at(found, "2001-03", "PCFR") == pytest.approx((100 + 11 - 10) / 100)
        assert at(found, "2001-06", "PCFR") == pytest.approx((100 + 33 - 30) / 100)

    def test_the_fourth_quarter_is_the_year_less_three_quarters(self):
        ends = ["2000-03-31", "2000-06-30", "2000-09-30", "2000-12-31", "2001-03-31"]
        table = reports(*[(end, end, {"sales": s}) for end, s in zip(ends, [1.0, 2.0, 3.0, 10.0, 7.0], strict=True)])
        found = compute_descriptors(priced(), table.assign(months=[3, 3, 3, 12, 3]), names=["PSR"])
        assert at(found, "2000-12", "PSR") == pytest.approx(0.10)
        assert at(found, "2001-03", "PSR") == pytest.approx((2 + 3 + 4 + 7) / 100)

    def test_half_years_bridge_two_annual_reports(self):
        rows = [("2000-06-30", 20.0, 6), ("2000-12-31", 50.0, 12), ("2001-06-30", 24.0, 6)]
        table = reports(*[(end, end, {"sales": s}) for end, s, _ in rows]).assign(months=[m for _, _, m in rows])
        found = compute_descriptors(priced(), table, names=["PSR"])
        assert at(found, "2001-06", "PSR") == pytest.approx((24 + 50 - 20) / 100)

    def test_of_several_year_to_date_figures_of_one_quarter_the_shortest_counts(self):
        rows = [("1999-12-31", 5.0, 3), ("2000-03-31", 7.0, 3), ("2000-06-30", 11.0, 3), ("2000-06-30", 30.0, 6)]
        rows += [("2000-09-30", 60.0, 9), ("2000-09-30", 35.0, 6)]
        days = ["2000-01-10", "2000-04-10", "2000-07-10", "2000-07-20", "2000-10-10", "2000-10-20"]
        table = reports(*[(end, day, {"sales": s}) for (end, s, _), day in zip(rows, days, strict=True)])
        found = compute_descriptors(priced(), table.assign(months=[m for _, _, m in rows]), names=["PSR"])
        assert at(found, "2000-10", "PSR") == pytest.approx((5 + 7 + 11 + (35 - 11)) / 100)

    def test_one_missing_quarter_leaves_the_year_unknown_until_it_passes(self):
        ends = pd.date_range("2000-03-31", periods=7, freq="QE")
        table = reports(*[(end, end, {"sales": 25.0}) for end in ends]).drop(index=2)
        found = compute_descriptors(priced(), table, names=["PSR"])["PSR"]
        assert np.isnan(found.iloc[:20]).all()
        assert found.iloc[20] == pytest.approx(1.0)

    def test_a_report_counts_from_the_month_in_which_it_became_public(self):
        table = reports(
            ("2000-03-31", "2000-04-20", {"total_assets": 10.0, "total_liabilities": 5.0}),
            ("2000-06-30", "2000-09-01", {"total_assets": 10.0, "total_liabilities": 1e12}),
        )
        found = compute_descriptors(priced(), table, names=["LEVERAGE"])
        assert np.isnan(at(found, "2000-03", "LEVERAGE"))
        assert [at(found, f"2000-0{m}", "LEVERAGE") for m in (4, 5, 6, 7, 8, 9)] == [0.5] * 5 + [1e11]

    @pytest.mark.parametrize(
        ("lag", "first"),
        [(3, "2000-06"), (0, "2000-03"), (pd.Timedelta(days=45), "2000-05"), (pd.DateOffset(months=2), "2000-05")],
    )
    def test_an_unknown_publication_date_is_the_period_end_plus_the_lag(self, lag, first):
        table = reports(("2000-03-31", None, {"total_assets": 10.0, "total_liabilities": 5.0}))
        for known in (table, table.drop(columns="available")):
            found = compute_descriptors(priced(), known, names=["LEVERAGE"], publication_lag=lag)["LEVERAGE"]
            assert found.first_valid_index()[0].to_period("M") == pd.Period(first, "M")

    def test_an_amendment_replaces_what_it_states_and_nothing_else(self):
        table = reports(
            ("2000-03-31", "2000-04-20", {"total_assets": 10.0, "total_liabilities": 5.0}),
            ("2000-03-31", "2000-07-20", {"total_assets": 20.0, "total_liabilities": np.nan}),
        )
        found = compute_descriptors(priced(), table, names=["LEVERAGE"])
        assert at(found, "2000-06", "LEVERAGE") == 0.5
        assert at(found, "2000-07", "LEVERAGE") == 0.25

    def test_a_late_amendment_of_an_old_quarter_is_not_the_newest_report(self):
        table = reports(
            ("2000-03-31", "2000-04-20", {"total_assets": 10.0, "total_liabilities": 5.0}),
            ("2000-06-30", "2000-07-20", {"total_assets": 10.0, "total_liabilities": 6.0}),
            ("2000-03-31", "2000-09-20", {"total_assets": 10.0, "total_liabilities": 9.0}),
        )
        found = compute_descriptors(priced(), table, names=["LEVERAGE"])
        assert at(found, "2000-09", "LEVERAGE") == 0.6

    def test_an_amended_quarter_enters_the_year_from_its_own_day_on(self):
        ends = pd.date_range("2000-03-31", periods=4, freq="QE")
        rows = [(end, end, {"sales": 25.0}) for end in ends]
        table = reports(*rows, ("2000-03-31", "2001-01-15", {"sales": 45.0}))
        found = compute_descriptors(priced(), table, names=["PSR"])
        assert at(found, "2000-12", "PSR") == pytest.approx(1.0)
        assert at(found, "2001-01", "PSR") == pytest.approx(1.2)

    def test_balances_are_never_taken_from_an_older_period(self):
        table = reports(
            ("2000-03-31", "2000-04-20", {"total_assets": 10.0, "total_liabilities": 5.0}),
            ("2000-06-30", "2000-07-20", {"total_assets": 10.0, "total_liabilities": np.nan}),
        )
        found = compute_descriptors(priced(), table, names=["LEVERAGE"])
        assert at(found, "2000-06", "LEVERAGE") == 0.5
        assert np.isnan(at(found, "2000-07", "LEVERAGE"))

    @pytest.mark.parametrize(("age", "last"), [(18, "2001-09"), (3, "2000-06"), (0, "2000-03")])
    def test_a_report_that_is_too_old_counts_no_more_and_is_counted(self, age, last):
        table = reports(("2000-03-31", "2000-03-31", {"total_assets": 10.0, "total_liabilities": 5.0}))
        found = compute_descriptors(priced(), table, names=["LEVERAGE"], max_report_age=age)
        assert found["LEVERAGE"].last_valid_index()[0].to_period("M") == pd.Period(last, "M")
        assert found.attrs["compute_descriptors"]["reports_too_old"] == 36 - 3 - age

    def test_weeks_that_end_in_the_next_month_belong_to_their_quarter(self):
        ends = ["2000-04-01", "2000-07-01", "2000-09-30", "2000-12-30", "2001-03-31"]
        table = reports(*[(end, "2001-05-01", {"sales": s}) for end, s in zip(ends, [9, 1, 2, 3, 4], strict=True)])
        found = compute_descriptors(priced(), table.astype({"sales": float}), names=["PSR"])
        assert at(found, "2001-05", "PSR") == pytest.approx(0.10)

    def test_a_month_without_any_bar_has_no_row_and_is_not_counted_as_a_month(self):
        bars = priced(5)
        found = compute_descriptors(bars.drop(bars.index[2]), names=["1MOM", "CAP"])
        counts = found.attrs["compute_descriptors"]
        assert (counts["n_rows"], counts["n_months"], len(found)) == (4, 4, 4)
        assert found["CAP"].notna().all()

    def test_negative_equity_has_no_return_and_no_yield_and_is_counted(self):
        ends = pd.date_range("2000-03-31", periods=4, freq="QE")
        table = reports(*[(end, end, {"net_income": 2.0, "net_assets": -5.0}) for end in ends])
        found = compute_descriptors(priced(12), table, names=["ROE", "PBR", "PER"])
        assert found[["ROE", "PBR"]].isna().all(axis=None)
        assert found["PER"].iloc[-1] == pytest.approx(0.08)
        assert found.attrs["compute_descriptors"]["non_positive_net_assets"] == 10

    def test_market_value_comes_from_bars_before_shares_and_from_shares_of_bars_before_those_of_reports(self):
        bars = priced(12).assign(close=2.0, shares=10.0)
        table = reports(("2000-03-31", "2000-03-31", {"shares": 1000.0}))
        sizes = [
            compute_descriptors(held, table, names=["CAP"])["CAP"].iloc[-1]
            for held in (bars, bars.drop(columns="market_value"), bars.drop(columns=["market_value", "shares"]))
        ]
        np.testing.assert_allclose(np.exp(sizes), [100.0, 20.0, 2000.0], rtol=1e-12)

    def test_zero_market_value_and_zero_assets_give_no_ratio(self):
        ends = pd.date_range("2000-03-31", periods=4, freq="QE")
        row = dict.fromkeys(ITEMS, 1.0) | {"total_assets": 0.0}
        table = reports(*[(end, end, row) for end in ends])
        names = ["ROA", "ACCRUALS", "LEVERAGE", "PSR", "PER", "PBR", "PCFR", "CAP"]
        found = compute_descriptors(priced(12).assign(market_value=0.0), table, names=names)
        assert found.isna().all(axis=None)


class TestPointInTime:
    @settings(max_examples=10, **SEEDED)
    @given(kind=KINDS, month=st.integers(15, 74))
    def test_later_rows_changed_removed_or_added_leave_earlier_rows_bit_identical(self, make, kind, month):
        case = make(**kind)
        month = pd.Period("2001-03", "M") + month
        rng = np.random.default_rng(kind["seed"])
        past = up_to(compute_descriptors(case.bars, case.fundamentals, case.market), month)

        later = case.bars.index.get_level_values("date") > month.end_time
        numbers = case.bars.mul(np.where(later, rng.uniform(0.1, 10, len(later)), 1.0), axis=0)
        if "return" in numbers:
            numbers["return"] = numbers["return"].clip(lower=-1.0)
        numbers = numbers[~(later & (rng.random(len(later)) < 0.3))]
        entrant = monthly_returns([0.5], asset="A00", start=str(month + 1))
        entrant = entrant.assign(adj_close=1.0)[[c for c in ("return", "adj_close") if c in numbers]]
        changed = pd.concat([numbers, entrant])

        known_by = case.fundamentals["available"].fillna(case.fundamentals["period_end"] + pd.DateOffset(months=3))
        unknown = (known_by.dt.to_period("M") > month).to_numpy()
        revised = case.fundamentals.copy()
        revised.loc[unknown, ITEMS] *= -1e6
        revised = revised[~(unknown & (rng.random(len(unknown)) < 0.3))]
        news = case.fundamentals[~unknown].assign(available=(month + 1).start_time, **dict.fromkeys(ITEMS, 1e15))
        news = news[news["period_end"] <= news["available"]].drop_duplicates(["asset", "period_end"])
        revised = pd.concat([revised, news]).drop_duplicates(["asset", "period_end", "available"], keep="last")

        market = case.market.where(case.market.index <= month, -3 * case.market)
        assert_same_bits(up_to(compute_descriptors(changed, revised, market), month), past)
        cut = up_to(case.bars, month), case.fundamentals[~unknown], case.market[case.market.index <= month]
        assert_same_bits(compute_descriptors(*cut), past)

    def test_news_of_the_next_month_are_seen_there(self, one_case):
        month = pd.Period("2004-06", "M")
        news = one_case.fundamentals[one_case.fundamentals["asset"] == "A1"].tail(1)
        end = month.start_time - pd.Timedelta(days=1)
        news = news.assign(period_end=end, available=(month + 1).start_time, months=12, cash_flow_months=12)
        news = news.assign(**dict.fromkeys(ITEMS, 1e15))
        before = compute_descriptors(one_case.bars, one_case.fundamentals, one_case.market)
        after = compute_descriptors(one_case.bars, pd.concat([one_case.fundamentals, news]), one_case.market)
        assert_same_bits(up_to(after, month), up_to(before, month))
        seen = after.loc[((month + 1).end_time.normalize(), "A1")]
        assert seen[["ROE", "ROA", "LEVERAGE"]].tolist() == [1.0, 1.0, 1.0]
        assert (seen[["PSR", "PER", "PBR", "PCFR"]] > 1e6).all()


class TestProperties:
    @settings(max_examples=8, **SEEDED)
    @given(kind=KINDS)
    def test_order_of_rows_and_names_of_assets_change_no_bit(self, make, kind):
        case = make(**kind)
        rng = np.random.default_rng(kind["seed"])
        table = compute_descriptors(case.bars, case.fundamentals, case.market)
        # versions of one day with two labels of the period, which no date can order
        twins = case.fundamentals.dropna(subset="available").sample(4, random_state=0)
        twins = twins.assign(period_end=twins["period_end"] - pd.Timedelta(days=1), total_assets=77.0)
        fundamentals = pd.concat([case.fundamentals, twins]).drop_duplicates(["asset", "period_end", "available"])
        one, two = (
            compute_descriptors(
                case.bars.sample(frac=1, random_state=k),
                fundamentals.sample(frac=1, random_state=k),
                case.market.sample(frac=1, random_state=k),
            )
            for k in (1, 2)
        )
        assert_same_bits(one, two)
        new_names = dict(zip(["A0", "A1", "A2", "A3", "UNLISTED"], rng.permutation(list("VWXYZ")), strict=True))
        renamed = compute_descriptors(
            case.bars.rename(index=new_names, level="asset").sort_index(),
            case.fundamentals.assign(asset=case.fundamentals["asset"].map(new_names)),
            case.market,
        )
        assert_same_bits(renamed, table.rename(index=new_names, level="asset").sort_index())

    def test_each_asset_alone_has_the_same_bits_on_the_same_months(self, one_case):
        whole = compute_descriptors(one_case.bars, one_case.fundamentals, one_case.market)
        # the bars of the asset that is first and last keep the months of the grid
        dates = one_case.bars.index.get_level_values("date").to_period("M")
        assets = one_case.bars.index.get_level_values("asset")
        ends = one_case.bars[(dates == dates.min()) | (dates == dates.max())]
        for asset in ("A0", "A1", "A2", "A3"):
            own = one_case.bars[assets == asset]
            rest = ends[ends.index.get_level_values("asset") != asset]
            alone = compute_descriptors(pd.concat([own, rest]), one_case.fundamentals, one_case.market)
            assert_same_bits(alone.xs(asset, level="asset"), whole.xs(asset, level="asset"))

    @settings(max_examples=8, **SEEDED)
    @given(kind=KINDS.map(lambda kind: {**kind, "value": "shares"}), factor=st.sampled_from([2.0, 7.0, 1 / 3]))
    def test_splits_change_no_descriptor(self, make, kind, factor):
        case = make(**kind)
        before = case.bars.index.get_level_values("date") < "2004-02-12"
        split = case.bars.copy()
        split["close"] = split["close"].where(~before, split["close"] / factor)
        for column in ("volume", "shares"):
            split[column] = split[column].where(~before, split[column] * factor)
        plain = compute_descriptors(case.bars, case.fundamentals, case.market)
        assert_close(compute_descriptors(split, case.fundamentals, case.market), plain, rtol=1e-12)

    def test_the_level_of_adjusted_prices_is_no_feature(self, one_case):
        factors = one_case.bars.index.get_level_values("asset").map({f"A{k}": 3.0**k for k in range(5)})
        scaled = one_case.bars.assign(adj_close=one_case.bars["adj_close"] * factors.to_numpy())
        plain = compute_descriptors(one_case.bars, one_case.fundamentals, one_case.market)
        again = compute_descriptors(scaled, one_case.fundamentals, one_case.market)
        assert_close(again, plain, rtol=1e-12)

    def test_inputs_are_not_changed(self, one_case):
        before = one_case.copy()
        compute_descriptors(one_case.bars, one_case.fundamentals, one_case.market)
        pd.testing.assert_frame_equal(one_case.bars, before.bars, check_exact=True)
        pd.testing.assert_frame_equal(one_case.fundamentals, before.fundamentals, check_exact=True)
        pd.testing.assert_series_equal(one_case.market, before.market, check_exact=True)
        assert one_case.bars.attrs == {}

    @pytest.mark.parametrize(("frequency", "months"), [("Q", {3, 6, 9, 12}), ("Y", {12})])
    def test_rows_of_quarters_and_years_are_the_rows_of_their_months(self, one_case, frequency, months):
        inputs = one_case.bars, one_case.fundamentals, one_case.market
        monthly = compute_descriptors(*inputs)
        found = compute_descriptors(*inputs, frequency=frequency)
        assert_same_bits(found, monthly[monthly.index.get_level_values("date").month.isin(list(months))])
        counts = found.attrs["compute_descriptors"]
        assert counts["n_rows"] == len(found)
        assert counts["missing"] == found.isna().sum().to_dict()
        quarterly = found["ROE"]  # rows are counted, not months in between
        assert counts["non_positive_net_assets"] + counts["reports_too_old"] <= quarterly.isna().sum()

    @pytest.mark.parametrize("name", DESCRIPTORS)
    def test_a_descriptor_alone_is_its_column_and_needs_nothing_else(self, one_case, name):
        inputs = one_case.bars, one_case.fundamentals, one_case.market
        needs = set(descriptor_specs()[name].needs)
        columns = ["adj_close"]
        columns += ["close", "volume"] if "illiq" in needs else []
        columns += ["market_value"] if "market_value" in needs else []
        items = [item for item in ITEMS if item in needs]
        keys = ["asset", "period_end", "available", "months", "cash_flow_months"]
        alone = compute_descriptors(
            one_case.bars[columns],
            one_case.fundamentals[[*keys, *items]] if items else None,
            one_case.market if "market" in needs else None,
            names=[name],
        )
        assert_same_bits(alone, compute_descriptors(*inputs)[[name]])

    def test_names_come_in_the_order_given(self, one_case):
        names = ["ILLIQ", "1MOM", "60VOL"]
        assert list(compute_descriptors(one_case.bars, names=names).columns) == names

    @pytest.mark.parametrize("form", ["month ends", "days within", "yyyymm"])
    def test_months_of_the_market_may_be_written_in_several_ways(self, one_case, form):
        market = one_case.market.copy()
        if form == "yyyymm":
            market.index = market.index.year * 100 + market.index.month
        else:
            market.index = market.index.to_timestamp(how="end").normalize()
            if form == "days within":
                market.index -= pd.Timedelta(days=9)
        found = compute_descriptors(one_case.bars, market=market, names=["BETA"])
        assert_same_bits(found, compute_descriptors(one_case.bars, market=one_case.market, names=["BETA"]))

    def test_rows_are_the_months_in_which_an_asset_has_a_bar(self, one_case):
        found = compute_descriptors(one_case.bars, names=["1MOM"])
        dates = one_case.bars.index.get_level_values("date").to_period("M").to_timestamp(how="end").normalize()
        pairs = set(zip(dates, one_case.bars.index.get_level_values("asset"), strict=True))
        assert found.index.tolist() == sorted(pairs)
        assert found.index.names == ["date", "asset"]
        assert found.index.is_unique
        assert found.index.get_level_values("date").is_month_end.all()


class TestCatalogue:
    def test_the_sixteen_come_first_and_in_the_order_of_the_paper(self):
        assert tuple(descriptor_specs()) == DESCRIPTORS
        assert len(DESCRIPTORS) == 16

    @pytest.mark.parametrize("name", DESCRIPTORS)
    def test_every_descriptor_is_described(self, name):
        spec = descriptor_specs()[name]
        assert spec.name == name
        assert name in GROUPS[spec.group]
        assert spec.sign in (-1, 1)
        of_reports = name in OF_REPORTS
        assert spec.lag == (3 if of_reports else 0)
        assert all(len(text) > 3 for text in (spec.formula, spec.unit, spec.reference))
        assert spec.needs
        assert (spec.min_periods is not None) == (name in ("60VOL", "BETA", "SKEW", "ILLIQ"))

    def test_the_dictionary_of_specs_is_a_copy(self):
        descriptor_specs().clear()
        assert len(descriptor_specs()) == 16


def own_spec(name="SPREAD", compute=None, needs=("close", "dollar_volume"), **kwargs):
    compute = compute or (lambda inputs: inputs.close / inputs.dollar_volume.clip(1))
    return DescriptorSpec(name, "Own", "close / dollar volume", "1 / shares", 1, 0, "none", needs, compute, **kwargs)


@pytest.fixture
def registered():
    spec = own_spec()
    register_descriptor(spec)
    yield spec
    if spec.name in descriptor_specs():
        unregister_descriptor(spec.name)


class TestOwnDescriptors:
    def test_a_spec_among_the_names_is_computed_beside_the_others(self, one_case):
        found = compute_descriptors(one_case.bars, names=["1MOM", own_spec()])
        assert list(found.columns) == ["1MOM", "SPREAD"]
        months = pd.to_datetime(one_case.bars.index.get_level_values("date")).to_period("M")
        grouped = one_case.bars.assign(traded=one_case.bars["close"] * one_case.bars["volume"]).groupby(
            [months, one_case.bars.index.get_level_values("asset")]
        )
        last = grouped["close"].agg(lambda closes: closes.iloc[-1]).to_numpy()
        expected = last / grouped["traded"].sum(min_count=1).clip(lower=1).to_numpy()
        by_cell = dict(zip(grouped.groups, expected, strict=True))
        for (date, asset), value in found["SPREAD"].items():
            assert value == pytest.approx(by_cell[date.to_period("M"), asset], rel=1e-12, nan_ok=True)

    def test_inputs_are_wide_arrays_with_their_months_and_assets(self, one_case):
        seen = {}

        def look(inputs):
            seen.update(
                months=inputs.months, assets=inputs.assets, market=inputs.market, returns=inputs.returns,
                wide=[inputs.close, inputs.dollar_volume, inputs.illiq, inputs.market_value],
                sales=inputs.trailing("sales"), assets_total=inputs.latest("total_assets"),
            )  # fmt: skip
            return inputs.returns

        needs = ("returns", "market", "close", "dollar_volume", "illiq", "market_value", "sales", "total_assets")
        spec = own_spec("LOOK", look, needs)
        found = compute_descriptors(one_case.bars, one_case.fundamentals, one_case.market, names=[spec, "1MOM", "PSR"])
        shape = len(seen["months"]), len(seen["assets"])
        assert shape == (76, 5)
        assert list(seen["assets"]) == ["A0", "A1", "A2", "A3", "A4"]
        assert seen["months"].equals(pd.period_range("2001-03", periods=76, freq="M"))
        np.testing.assert_array_equal(seen["market"], one_case.market.reindex(seen["months"]))
        for array in (seen["returns"], *seen["wide"], seen["sales"], seen["assets_total"]):
            assert array.shape == shape
        np.testing.assert_array_equal(found["LOOK"], found["1MOM"])
        t, k = 60, 1
        cell = found.loc[(seen["months"][t].end_time.normalize(), "A1"), "PSR"]
        assert seen["sales"][t, k] / seen["wide"][3][t, k] == pytest.approx(cell, nan_ok=True)

    def test_a_registered_descriptor_is_known_by_name_until_it_is_forgotten(self, one_case, registered):
        assert list(descriptor_specs())[-1] == "SPREAD"
        by_name = compute_descriptors(one_case.bars, names=["SPREAD"])
        assert_same_bits(by_name, compute_descriptors(one_case.bars, names=[registered]))
        unregister_descriptor("SPREAD")
        with pytest.raises(PanelError, match="SPREAD"):
            compute_descriptors(one_case.bars, names=["SPREAD"])

    def test_a_taken_name_needs_overwrite(self, one_case, registered):
        other = own_spec(compute=lambda inputs: inputs.close, needs=("close",))
        with pytest.raises(PanelError, match="overwrite=True"):
            register_descriptor(other)
        register_descriptor(other, overwrite=True)
        assert descriptor_specs()["SPREAD"] is other

    def test_descriptors_of_the_paper_are_never_replaced_or_forgotten(self):
        with pytest.raises(PanelError, match="never replaced"):
            register_descriptor(own_spec("CAP"), overwrite=True)
        with pytest.raises(PanelError, match="'CAP'"):
            unregister_descriptor("CAP")
        with pytest.raises(PanelError, match="must be a DescriptorSpec"):
            register_descriptor("CAP")

    @pytest.mark.parametrize(
        ("compute", "message"),
        [(lambda inputs: inputs.close[0], "shape"), (lambda inputs: inputs.close * math.inf, "infinite")],
    )
    def test_faulty_results_are_refused(self, one_case, compute, message):
        with pytest.raises(PanelError, match=message):
            compute_descriptors(one_case.bars, names=[own_spec(compute=compute)])

    def test_an_input_that_was_not_given_is_named(self, one_case):
        with pytest.raises(PanelError, match="'sales'"):
            compute_descriptors(one_case.bars, names=[own_spec(compute=lambda inputs: inputs.trailing("sales"))])
        with pytest.raises(PanelError, match="total_assets"):
            compute_descriptors(
                one_case.bars,
                one_case.fundamentals,
                names=[own_spec(compute=lambda inputs: inputs.trailing("total_assets"))],
            )

    def test_groups_hold_own_descriptors_too(self, registered):
        assert groups_of(["PBR", "SPREAD", own_spec("MINE"), "CAP"]) == {
            "Value": ("PBR",),
            "Own": ("SPREAD", "MINE"),
            "Size": ("CAP",),
        }


def with_bar(column, value):
    def change(case):
        bars = case.bars.copy()
        if column not in bars:
            bars[column] = 1.0
        bars.iloc[7, bars.columns.get_loc(column)] = value
        return {"bars": bars}

    return change


def with_report(column, value):
    def change(case):
        table = case.fundamentals.astype({"months": float, "cash_flow_months": float})
        table.loc[5, column] = value
        return {"fundamentals": table}

    return change


def with_market(change):
    return lambda case: {"market": change(case.market)}


def without(*columns):
    return lambda case: {"bars": case.bars.drop(columns=list(columns))}


FAULTS = {
    "adjusted price of zero": (with_bar("adj_close", 0.0), PanelError, "adj_close.*positive.*1 value"),
    "negative adjusted price": (with_bar("adj_close", -3.0), PanelError, "adj_close.*positive.*-3"),
    "price of zero": (with_bar("close", 0.0), PanelError, "'close'.*positive"),
    "return below minus one": (with_bar("return", -1.5), PanelError, "'return'.*at least -1.*-1.5"),
    "infinite price": (with_bar("adj_close", np.inf), NonFiniteError, "adj_close"),
    "infinite volume": (with_bar("volume", np.inf), NonFiniteError, "volume"),
    "infinite return": (with_bar("return", np.inf), NonFiniteError, "return"),
    "negative volume": (with_bar("volume", -1.0), PanelError, "'volume'.*at least 0"),
    "negative traded value": (with_bar("dollar_volume", -1.0), PanelError, "dollar_volume.*at least 0"),
    "two bars of a day": (
        lambda case: {"bars": pd.concat([case.bars, case.bars.iloc[[3]]])},
        PanelError,
        r"one row for each \(date, asset\)",
    ),
    "no returns": (without("adj_close"), PanelError, "'return'.*'adj_close'"),
    "no rows": (lambda case: {"bars": case.bars.iloc[:0]}, PanelError, "at least one row"),
    "no panel index": (lambda case: {"bars": case.bars.reset_index()}, PanelError, "'date' and 'asset'"),
    "no table": (lambda case: {"bars": case.bars.to_numpy()}, PanelError, "DataFrame"),
    "text in a column": (
        lambda case: {"bars": case.bars.astype({"close": str})},
        PanelError,
        "'close'.*must hold numbers",
    ),
    "no reports": (lambda case: {"fundamentals": None}, PanelError, "net_income.*60VOL.*ILLIQ"),
    "no market": (lambda case: {"market": None}, PanelError, "'market'.*BETA.*60VOL"),
    "no volume": (without("volume"), PanelError, "'illiq'.*ILLIQ.*CAP"),
    "no market value": (
        lambda case: {
            "bars": case.bars.drop(columns="market_value"),
            "fundamentals": case.fundamentals.drop(columns="shares"),
        },
        PanelError,
        "'market_value'.*60VOL.*LEVERAGE",
    ),
    "an item missing": (
        lambda case: {"fundamentals": case.fundamentals.drop(columns="sales")},
        PanelError,
        r"'sales' \(for PSR\).*PER",
    ),
    "reports without assets": (
        lambda case: {"fundamentals": case.fundamentals.drop(columns="asset")},
        PanelError,
        "'asset'",
    ),
    "reports of no asset with bars": (
        lambda case: {"fundamentals": case.fundamentals.assign(asset="B")},
        PanelError,
        "same labels",
    ),
    "reports that are no table": (lambda case: {"fundamentals": [1]}, PanelError, "must be a DataFrame"),
    "no item": (
        lambda case: {"fundamentals": case.fundamentals[["asset", "period_end"]]},
        PanelError,
        "items sales",
    ),
    "report public before its period ends": (
        lambda case: {"fundamentals": case.fundamentals.assign(available=pd.Timestamp("1990-01-01"))},
        PanelError,
        "'available' before 'period_end'",
    ),
    "report without asset": (with_report("asset", None), PanelError, "'asset'.*1 rows"),
    "report without period": (with_report("period_end", pd.NaT), PanelError, "'period_end'.*1 rows"),
    "periods as text": (
        lambda case: {"fundamentals": case.fundamentals.astype({"period_end": str})},
        PanelError,
        "datetime64",
    ),
    "infinite item": (with_report("sales", -np.inf), NonFiniteError, "sales"),
    "flow of five months": (with_report("months", 5.0), PanelError, "'months'.*3, 6, 9 or 12.*5"),
    "cash flow of four months": (with_report("cash_flow_months", 4.0), PanelError, "cash_flow_months.*3, 6, 9 or 12"),
    "one version twice": (
        lambda case: {"fundamentals": pd.concat([case.fundamentals, case.fundamentals.head(2)])},
        PanelError,
        "one row for each asset, period_end and available.*2 further",
    ),
    "two versions without dates": (
        lambda case: {
            "fundamentals": pd.concat([case.fundamentals.head(2)] * 2).drop(columns="available").assign(sales=1.0)
        },
        PanelError,
        "one row for each asset, period_end and available",
    ),
    "market in percent": (with_market(lambda market: 100 * market), PanelError, "percent.*Divide it by 100"),
    "month without market": (
        with_market(lambda market: market.drop(pd.Period("2003-05", "M"))),
        PanelError,
        "1 months.*2003-05",
    ),
    "market unknown in a month": (
        with_market(lambda market: market.mask(market.index == pd.Period("2003-05", "M"))),
        PanelError,
        "2003-05",
    ),
    "market twice": (
        with_market(lambda market: pd.concat([market, market.head(1)])),
        PanelError,
        "one return for each month",
    ),
    "infinite market": (with_market(lambda market: market.replace(market.iloc[0], np.inf)), NonFiniteError, "market"),
    "market as a table": (with_market(lambda market: market.to_frame()), PanelError, "must be a Series"),
    "unknown name": (lambda case: {"names": ["CAP", "PEG"]}, PanelError, "'PEG'"),
    "no name": (lambda case: {"names": []}, PanelError, "none"),
    "one name twice": (lambda case: {"names": ["CAP", "CAP"]}, PanelError, "must differ"),
    "weekly rows": (lambda case: {"frequency": "W"}, PanelError, "'M', 'Q', 'Y'.*'W'"),
    "negative lag": (lambda case: {"publication_lag": -1}, PanelError, "publication_lag"),
    "negative lag in days": (lambda case: {"publication_lag": pd.Timedelta(days=-9)}, PanelError, "publication_lag"),
    "lag in words": (lambda case: {"publication_lag": "soon"}, PanelError, "publication_lag"),
    "lag of a truth": (lambda case: {"publication_lag": True}, PanelError, "publication_lag.*Got True"),
    "text for an item": (
        lambda case: {"fundamentals": case.fundamentals.assign(net_assets="many")},
        PanelError,
        "'net_assets'.*must hold numbers",
    ),
    "periods in words": (lambda case: {"names": ["CAP"], "min_periods": "few"}, PanelError, "min_periods.*'few'"),
    "negative age": (lambda case: {"max_report_age": -1}, PanelError, "max_report_age"),
    "age in words": (lambda case: {"max_report_age": "old"}, PanelError, "max_report_age"),
    "no periods": (lambda case: {"min_periods": 0}, PanelError, "min_periods.*>= 1"),
    "periods of a descriptor without": (lambda case: {"min_periods": {"CAP": 3}}, PanelError, "min_periods.*'CAP'"),
}


class TestValidation:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_faulty_inputs_are_refused_with_the_reason(self, one_case, fault):
        change, error, message = FAULTS[fault]
        given = {"bars": one_case.bars, "fundamentals": one_case.fundamentals, "market": one_case.market}
        given.update(change(one_case))
        with pytest.raises(error, match=f"(?s){message}"):
            compute_descriptors(**given)

    def test_absent_volume_and_reports_matter_only_to_names_that_need_them(self, one_case):
        found = compute_descriptors(one_case.bars[["adj_close"]], names=PRICE_ONLY)
        assert list(found.columns) == PRICE_ONLY
        with pytest.raises(PanelError, match="1MOM") as error:
            compute_descriptors(one_case.bars[["adj_close"]])
        assert repr(PRICE_ONLY) in str(error.value)

    def test_faulty_values_after_the_last_row_are_refused_too(self, one_case):
        bars = one_case.bars.copy()
        bars.iloc[-1, bars.columns.get_loc("adj_close")] = -1.0
        with pytest.raises(PanelError, match=str(bars.index[-1][1])):
            compute_descriptors(bars, names=["1MOM"])
