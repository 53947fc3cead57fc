"""Bridges to alphalens, empyrical and quantstats, each against the installed package."""

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.metrics import (
    annualised_volatility,
    max_drawdown,
    newey_west_t,
    quantile_returns,
    rank_information_coefficient,
    sharpe_ratio,
)
from skdrfm.portfolio import backtest, to_alphalens, to_returns

# alphalens calls parts of pandas that pandas 3 deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:alphalens.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:alphalens.*"),
]


def panel(dates, n_assets=10, seed=0):
    """Scores without ties and monthly returns of assets that are all there."""
    rng = np.random.default_rng(seed)
    assets = [f"A{number}" for number in range(n_assets)]
    index = pd.MultiIndex.from_product([dates, assets], names=["date", "asset"])
    scores = pd.Series(rng.normal(size=len(index)), index=index)
    return scores, 0.01 * scores + pd.Series(rng.normal(0.01, 0.1, size=len(index)), index=index)


def month_ends(n=24):
    return pd.date_range("2010-01-31", periods=n, freq="ME")


def ends(dates, **options):
    """Dates on which the returns of dates are earned, as ISO days."""
    returns = pd.Series(range(len(dates)), index=dates, dtype=float)
    return to_returns(returns, **options).index.strftime("%Y-%m-%d").tolist()


class TestAlphalens:
    @pytest.fixture
    def alphalens(self):
        return pytest.importorskip("alphalens", reason="alphalens-reloaded is an optional peer")

    def clean(self, alphalens, predictions, returns, **options):
        factor, prices = to_alphalens(predictions, returns)
        return alphalens.utils.get_clean_factor_and_forward_returns(factor, prices, periods=(1,), **options)

    @pytest.mark.parametrize(
        "dates",
        [
            month_ends(),
            pd.date_range("2010-01-31", periods=24, freq="BME"),
            pd.date_range("2010-01-01", periods=24, freq="MS"),
            month_ends().to_period("M"),
            month_ends().strftime("%Y%m").astype(int),
            pd.date_range("2010-01-31", periods=24, freq="QE"),
            pd.bdate_range("2010-01-01", periods=24),
            pd.date_range("2010-01-01", periods=24, freq="W-FRI"),
        ],
        ids=["month ends", "business month ends", "month starts", "Period", "yyyymm", "quarters", "days", "weeks"],
    )
    def test_its_forward_returns_are_ours(self, alphalens, dates):
        scores, returns = panel(dates)
        data = self.clean(alphalens, scores, returns, max_loss=0)
        assert len(data) == len(scores)
        np.testing.assert_allclose(data.iloc[:, 0], returns.sort_index(), rtol=0, atol=1e-12)
        np.testing.assert_array_equal(data["factor"], scores.sort_index())

    def test_unknown_returns_are_left_out_and_not_taken_for_zero(self, alphalens):
        scores, returns = panel(month_ends())
        unknown = np.random.default_rng(1).random(len(returns)) < 0.3
        with pytest.warns(CoverageWarning, match=f"{unknown.sum()} of 240 predictions have no known return"):
            factor, prices = to_alphalens(scores, returns.mask(unknown))
        data = alphalens.utils.get_clean_factor_and_forward_returns(factor, prices, periods=(1,), max_loss=0)
        np.testing.assert_allclose(data.iloc[:, 0], returns[~unknown].sort_index(), rtol=0, atol=1e-12)

    def test_filling_forward_would_have_made_zeros(self, alphalens):
        # The trap that leaving out avoids: the same factor with all rows against the same prices.
        scores, returns = panel(month_ends(4), n_assets=3)
        returns[("2010-02-28", "A1")] = np.nan
        with pytest.warns(CoverageWarning, match="1 of 12"):
            _, prices = to_alphalens(scores, returns)
        theirs = alphalens.utils.compute_forward_returns(scores, prices, periods=(1,)).iloc[:, 0]
        assert theirs[("2010-02-28", "A1")] == 0

    def test_its_quantile_returns_are_ours(self, alphalens):
        scores, returns = panel(month_ends())
        data = self.clean(alphalens, scores, returns, quantiles=5)
        means, _ = alphalens.performance.mean_return_by_quantile(data, by_date=True, demeaned=False)
        ours = quantile_returns(returns, scores, n_quantiles=5)
        np.testing.assert_allclose(means.iloc[:, 0].unstack("factor_quantile"), ours, rtol=0, atol=1e-12)
        # With the same number of names on every date the mean over rows is the mean over dates.
        pooled, _ = alphalens.performance.mean_return_by_quantile(data, demeaned=False)
        np.testing.assert_allclose(pooled.iloc[:, 0], ours.mean(), rtol=0, atol=1e-12)

    def test_by_default_it_subtracts_the_mean_of_each_date(self, alphalens):
        scores, returns = panel(month_ends())
        data = self.clean(alphalens, scores, returns, quantiles=5)
        means, _ = alphalens.performance.mean_return_by_quantile(data, by_date=True)
        ours = quantile_returns(returns, scores, n_quantiles=5)
        demeaned = ours.sub(returns.groupby("date").mean(), axis=0)
        np.testing.assert_allclose(means.iloc[:, 0].unstack("factor_quantile"), demeaned, rtol=0, atol=1e-12)
        assert np.abs(demeaned - ours).to_numpy().max() > 0.01

    def test_its_information_coefficient_is_our_rank_ic(self, alphalens):
        scores, returns = panel(month_ends())
        data = self.clean(alphalens, scores, returns)
        theirs = alphalens.performance.factor_information_coefficient(data).iloc[:, 0]
        np.testing.assert_allclose(theirs, rank_information_coefficient(returns, scores), rtol=0, atol=1e-12)

    def test_its_quantiles_put_ties_on_one_side_of_a_border(self, alphalens):
        _, returns = panel(month_ends(6))
        tied = pd.Series(np.tile([-2.0, -1, 0, 0, 0, 0, 0, 0, 1, 2], 6), index=returns.index)
        data = self.clean(alphalens, tied, returns, quantiles=2)
        sizes = data.groupby("date")["factor_quantile"].value_counts().unstack()
        assert (sizes[1] == 8).all()
        assert (sizes[2] == 2).all()
        # The six equal names share three slots of each half here: 1 / 10 of a portfolio each, long and short alike.
        weights = backtest(tied, returns, n_quantiles=2).weights.unstack("date").to_numpy()
        np.testing.assert_allclose(weights.T, np.tile([-0.2, -0.2, 0, 0, 0, 0, 0, 0, 0.2, 0.2], (6, 1)), atol=1e-15)

    def test_it_drops_dates_whose_borders_coincide(self, alphalens):
        _, returns = panel(month_ends(6))
        tied = pd.Series([0.0, 0, 0, 0, 0, 0, 1, 2, 3, 4, *np.tile(np.arange(10.0), 5)], index=returns.index)
        data = self.clean(alphalens, tied, returns, quantiles=2)
        assert month_ends(6)[0] not in data.index.get_level_values("date")
        assert backtest(tied, returns, n_quantiles=2).long_short.notna().all()

    def test_its_t_statistic_takes_dates_as_independent(self, alphalens):
        from scipy.stats import ttest_1samp

        scores, returns = panel(month_ends(60))
        data = self.clean(alphalens, scores, returns)
        ic = alphalens.performance.factor_information_coefficient(data).iloc[:, 0].to_numpy()
        plain = float(ttest_1samp(ic, 0).statistic)
        # Without lags ours differs from the t of independent dates by the divisor of the variance alone.
        assert newey_west_t(ic, n_lags=0) == pytest.approx(plain * np.sqrt(60 / 59), rel=1e-12)
        assert newey_west_t(ic) != pytest.approx(plain, rel=1e-3)


class TestPrices:
    def test_they_compound_from_one_and_end_with_the_last_return(self):
        index = pd.MultiIndex.from_product([[202311, 202312], ["A", "B"]], names=["date", "asset"])
        returns = pd.Series([0.1, -0.5, 0.2, 1.0], index=index)
        factor, prices = to_alphalens(pd.Series([1, 2, 3, 4], index=index), returns)
        expected = pd.DataFrame(
            {"A": [1, 1.1, 1.32], "B": [1, 0.5, 1.0]}, index=pd.to_datetime(["2023-11-30", "2023-12-31", "2024-01-31"])
        )
        pd.testing.assert_frame_equal(prices, expected, check_names=False, check_index_type=False)
        assert factor.index.names == ["date", "asset"]
        assert factor.tolist() == [1, 2, 3, 4]
        assert factor.index.levels[0].tolist() == expected.index[:2].tolist()
        assert isinstance(factor.index.levels[0], pd.DatetimeIndex)

    def test_there_is_no_price_where_no_return_begins_or_ends(self):
        index = pd.MultiIndex.from_product([month_ends(6), ["A", "B"]], names=["date", "asset"])
        returns = pd.Series(0.1, index=index)
        for month in (0, 3, 5):
            returns[(month_ends(6)[month], "B")] = np.nan
        _, prices = to_alphalens(returns.dropna(), returns)
        # After the gap in the fourth month the path goes on from its last price.
        np.testing.assert_allclose(prices["B"], [np.nan, 1, 1.1, 1.21, 1.21, 1.331, np.nan])
        np.testing.assert_allclose(prices["A"], 1.1 ** np.arange(7))

    def test_a_month_that_the_panel_lacks_has_a_row(self):
        scores, returns = panel(month_ends(6).delete(3))
        _, prices = to_alphalens(scores, returns)
        assert prices.index.equals(month_ends(7))
        assert prices.iloc[3].notna().all()
        np.testing.assert_allclose(prices.iloc[4], prices.iloc[3])

    def test_rows_may_come_in_any_order_and_nothing_is_modified(self):
        scores, returns = panel(month_ends(5))
        shuffled = scores.sample(frac=1, random_state=0), returns.sample(frac=1, random_state=1)
        copies = [series.copy() for series in shuffled]
        factor, prices = to_alphalens(shuffled[0].swaplevel(), shuffled[1])
        pd.testing.assert_series_equal(factor, to_alphalens(scores, returns)[0])
        pd.testing.assert_frame_equal(prices, to_alphalens(scores, returns)[1])
        for series, copy in zip(shuffled, copies, strict=True):
            pd.testing.assert_series_equal(series, copy)

    @given(st.lists(st.lists(st.none() | st.floats(-0.9, 3), min_size=3, max_size=3), min_size=3, max_size=12))
    @settings(max_examples=60)
    def test_every_known_return_comes_back(self, rows):
        index = pd.MultiIndex.from_product([month_ends(len(rows)), list("ABC")], names=["date", "asset"])
        returns = pd.Series(np.array(rows, dtype=float).ravel(), index=index)
        if returns.isna().all():
            return
        known = returns.dropna()
        factor, prices = to_alphalens(known, returns, last_date="2030-01-31")
        assert len(factor) == len(known)
        moves = prices.pct_change(fill_method=None).shift(-1).stack().rename_axis(["date", "asset"])
        np.testing.assert_allclose(moves[known.index], known, rtol=0, atol=1e-12)

    def test_a_total_loss_is_the_end_of_a_path(self):
        index = pd.MultiIndex.from_product([month_ends(3), ["A"]], names=["date", "asset"])
        returns = pd.Series([0.1, -1.0, np.nan], index=index)
        _, prices = to_alphalens(returns.dropna(), returns)
        assert prices["A"].tolist() == [1, 1.1, 0]
        with pytest.raises(PanelError, match="may follow a total loss .* first of 'A' at 2010-03-31"):
            to_alphalens(returns.fillna(0), returns.fillna(0))


class TestReturns:
    @pytest.fixture
    def result(self):
        return backtest(*panel(month_ends(60).to_period("M")), n_quantiles=5)

    def test_a_return_is_earned_one_period_after_its_prediction(self, result):
        earned = to_returns(result.long_short)
        assert earned.index.equals(pd.date_range("2010-02-28", periods=60, freq="ME"))
        np.testing.assert_array_equal(earned, result.long_short)
        assert earned.name == "long_short"

    def test_empyrical_gives_our_figures(self, result):
        empyrical = pytest.importorskip("empyrical", reason="empyrical-reloaded is an optional peer")
        ours, returns = result.long_short, to_returns(result.long_short)
        assert empyrical.sharpe_ratio(returns, annualization=12) == pytest.approx(
            sharpe_ratio(ours, periods_per_year=12), rel=1e-12
        )
        assert empyrical.annual_volatility(returns, annualization=12) == pytest.approx(
            annualised_volatility(ours, periods_per_year=12), rel=1e-12
        )
        assert empyrical.max_drawdown(returns) == pytest.approx(max_drawdown(ours), rel=1e-12)
        # Its default takes returns for daily.
        assert empyrical.sharpe_ratio(returns) == pytest.approx(sharpe_ratio(ours, periods_per_year=252), rel=1e-12)

    def test_quantstats_gives_our_figures(self, result):
        quantstats = pytest.importorskip("quantstats", reason="quantstats is an optional peer")
        ours, returns = result.long_short, to_returns(result.long_short)
        assert quantstats.stats.sharpe(returns, periods=12) == pytest.approx(
            sharpe_ratio(ours, periods_per_year=12), rel=1e-12
        )
        assert quantstats.stats.volatility(returns, periods=12) == pytest.approx(
            annualised_volatility(ours, periods_per_year=12), rel=1e-12
        )
        assert quantstats.stats.max_drawdown(returns) == pytest.approx(max_drawdown(ours), rel=1e-12)
        assert quantstats.stats.sharpe(returns) == pytest.approx(sharpe_ratio(ours, periods_per_year=252), rel=1e-12)

    def test_dates_without_a_return_are_counted(self):
        returns = pd.Series([0.1, np.nan, 0.2], index=month_ends(3))
        with pytest.warns(CoverageWarning, match="1 of 3 dates have no return .* the first is 2010-02-28"):
            earned = to_returns(returns)
        assert earned.index.strftime("%Y-%m-%d").tolist() == ["2010-02-28", "2010-04-30"]

    def test_the_order_of_rows_is_that_of_time(self):
        returns = pd.Series([0.3, 0.1, 0.2], index=[201003, 201001, 201002])
        assert to_returns(returns).tolist() == [0.1, 0.2, 0.3]
        assert returns.tolist() == [0.3, 0.1, 0.2]


class TestEndsOfPeriods:
    @pytest.mark.parametrize(
        ("dates", "expected"),
        [
            (pd.to_datetime(["2014-10-31", "2014-11-28", "2014-12-31"]), ["2014-11-28", "2014-12-31", "2015-01-30"]),
            (pd.to_datetime(["2014-10-31", "2014-11-30"]), ["2014-11-30", "2014-12-31"]),
            (pd.to_datetime(["2014-11-01", "2014-12-01"]), ["2014-12-01", "2015-01-01"]),
            (pd.to_datetime(["2014-10-01", "2014-11-03", "2014-12-01"]), ["2014-11-03", "2014-12-01", "2015-01-01"]),
            (pd.to_datetime(["2014-06-30", "2014-07-31"]), ["2014-07-31", "2014-08-31"]),
            ([201411, 201412, 201502], ["2014-12-31", "2015-01-31", "2015-03-31"]),
            ([20141130, 20141231], ["2014-12-31", "2015-01-31"]),
            (["2014-11", "2014-12"], ["2014-12-31", "2015-01-31"]),
            (["2014-11-30", "2014-12-31"], ["2014-12-31", "2015-01-31"]),
            ([datetime.date(2014, 11, 30), datetime.date(2014, 12, 31)], ["2014-12-31", "2015-01-31"]),
            (pd.period_range("2014Q2", periods=3, freq="Q"), ["2014-09-30", "2014-12-31", "2015-03-31"]),
            (pd.to_datetime(["2014-04-30", "2014-07-31", "2014-10-31"]), ["2014-07-31", "2014-10-31", "2015-01-31"]),
            (pd.period_range("2014Q2", periods=2, freq="Q"), ["2014-09-30", "2014-12-31"]),
            (pd.period_range("2014-11", periods=1, freq="M"), ["2014-12-31"]),
            (pd.PeriodIndex(["2014-11", "2014-08"], freq="M"), ["2014-09-30", "2014-12-31"]),
            (pd.period_range("2014-12-05", periods=1, freq="W-FRI"), ["2014-12-12"]),
            (["2012", "2013", "2014"], ["2013-12-31", "2014-12-31", "2015-12-31"]),
            (pd.to_datetime(["2014-12-05", "2014-12-12", "2014-12-26"]), ["2014-12-12", "2014-12-19", "2015-01-02"]),
            (pd.to_datetime(["2014-12-11", "2014-12-12", "2014-12-15", "2014-12-17", "2014-12-19"]), None),
            (pd.to_datetime(["2014-12-12", "2014-12-13", "2014-12-14"]), ["2014-12-13", "2014-12-14", "2014-12-15"]),
        ],
        ids=[
            "business month ends",
            "month ends",
            "month starts",
            "business month starts",
            "both month and business month ends",
            "yyyymm with a hole",
            "yyyymmdd",
            "ISO months",
            "ISO days",
            "datetime.date",
            "quarters",
            "fiscal quarters",
            "two quarters",
            "one month",
            "months of which two are missing",
            "one week",
            "years",
            "weeks with a hole",
            "trading days with holidays",
            "days",
        ],
    )
    def test_the_spacing_says_when_a_return_is_earned(self, dates, expected):
        expected = expected or ["2014-12-12", "2014-12-15", "2014-12-17", "2014-12-19", "2014-12-22"]
        assert ends(pd.Index(dates)) == expected

    def test_prices_of_one_month_end_with_the_next(self):
        scores, returns = panel(pd.period_range("2014-11", periods=1, freq="M"))
        _, prices = to_alphalens(scores, returns)
        assert prices.index.strftime("%Y-%m-%d").tolist() == ["2014-11-30", "2014-12-31"]

    def test_time_zones_and_hours_are_kept(self):
        dates = pd.date_range("2014-01-31 16:00", periods=3, freq="ME", tz="America/New_York")
        earned = to_returns(pd.Series(0.1, index=dates)).index
        assert earned[-1] == pd.Timestamp("2014-04-30 16:00", tz="America/New_York")
        assert ends(dates, last_date="2014-05-01") == ["2014-02-28", "2014-03-31", "2014-05-01"]

    @pytest.mark.parametrize(
        "dates",
        [
            ["2014-01-31"],
            ["2014-03-31", "2014-06-30"],
            ["2014-01-31", "2014-02-28", "2014-05-31", "2014-08-31"],
            ["2014-01-15", "2014-02-16", "2014-03-20"],
            ["2014-12-05", "2014-12-12", "2014-12-31"],
            ["2014-10-31 10:00", "2014-11-30 16:00"],
        ],
        ids=[
            "one date",
            "quarters or months",
            "mostly holes",
            "no month ends",
            "a week and a half",
            "two times of day",
        ],
    )
    def test_an_unclear_spacing_asks_for_the_last_date(self, dates):
        with pytest.raises(PanelError, match="must say when the last return ends.*Pass last_date="):
            ends(pd.to_datetime(dates))
        with pytest.raises(PanelError, match="must say when the last return ends"):
            ends(pd.PeriodIndex(dates[-1:], freq="D"))  # the next day may be a holiday
        following = [date[:10] for date in dates[1:]]
        assert ends(pd.to_datetime(dates), last_date="2015-01-31") == [*following, "2015-01-31"]

    @pytest.mark.parametrize("last_date", [201502, "2015-02", datetime.date(2015, 2, 28), pd.Period("2015-02", "M")])
    def test_the_last_date_may_be_of_any_type(self, last_date):
        assert ends(pd.Index([201411, 201501]), last_date=last_date) == ["2015-01-31", "2015-02-28"]


class TestValidation:
    def test_what_is_no_panel(self):
        scores, returns = panel(month_ends(3))
        with pytest.raises(PanelError, match="predictions must be a Series .* Got ndarray. Build one"):
            to_alphalens(scores.to_numpy(), returns)
        with pytest.raises(PanelError, match="returns must have at least one value. Got 30 rows of NaN"):
            to_alphalens(scores, returns * np.nan)
        with pytest.raises(PanelError, match="predictions must have at least one row. Got 0 rows"):
            to_alphalens(scores.iloc[:0], returns)
        with pytest.raises(PanelError, match="levels 'date' and 'asset'"):
            to_alphalens(scores, returns.reset_index(drop=True))

    def test_numbers_that_are_none(self):
        scores, returns = panel(month_ends(3))
        with pytest.raises(NonFiniteError, match="predictions must hold finite"):
            to_alphalens(scores.where(scores > 0), returns)
        with pytest.raises(NonFiniteError, match="returns must hold finite"):
            to_alphalens(scores, returns.replace(returns.iloc[0], np.inf))
        with pytest.raises(NonFiniteError, match="returns must hold finite"):
            to_returns(pd.Series([0.1, np.inf], index=month_ends(2)))

    def test_returns_in_percent(self):
        scores, returns = panel(month_ends(3))
        with pytest.raises(PanelError, match="at least -1.*Divide percent by 100"):
            to_alphalens(scores, returns * 100)

    def test_predictions_of_other_dates(self):
        scores, returns = panel(month_ends(3))
        later = scores.rename(lambda date: date + pd.DateOffset(years=9), level="date")
        with pytest.raises(PanelError, match="Got none for 30 rows.*Check that both use the same type"):
            to_alphalens(later, returns)

    @pytest.mark.parametrize("last_date", ["2010-02-28", "2009"])
    def test_a_last_date_that_is_not_last(self, last_date):
        with pytest.raises(PanelError, match="'last_date' must be after the last date, 2010-02-28"):
            ends(month_ends(2), last_date=last_date)

    @pytest.mark.parametrize(
        ("returns", "message"),
        [
            (np.zeros(3), "Got ndarray"),
            (pd.Series(dtype=float), "Got an empty Series"),
            (panel(month_ends(2))[0], "Got a Series indexed by pairs"),
            (pd.Series([0.1, 0.2], index=pd.to_datetime(["2010-01-31", None])), "Got 1 without a date"),
            (pd.Series([0.1, 0.2], index=[201001, 201001]), "1 with a date that occurs before"),
            (pd.Series([0.1, 0.2], index=["a", "b"]), "must hold dates"),
            (pd.Series([0.1, 0.2], index=["2010-01-31 10:00", "2010-01-31 16:00"]), "2 dates that share one|1 dates"),
            (pd.Series(["a", "b"], index=month_ends(2)), "must hold numbers"),
        ],
    )
    def test_what_is_no_series_of_returns(self, returns, message):
        with pytest.raises(PanelError, match=message):
            to_returns(returns)
