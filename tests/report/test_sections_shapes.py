"""Reports of results of every shape: one model or seven, few months, gaps, dates of any kind, hostile names."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge

from skdrfm.datasets import make_factor_panel
from skdrfm.exceptions import CoverageWarning
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.portfolio import backtest, backtest_weights, timing_weights
from skdrfm.report import BacktestReport
from skdrfm.report._content import Chart, Table, Text
from skdrfm.study import run_study

HOSTILE = ["<script>alert(1)</script>", "שלום עולם", "a|b\nc", "NA", "{{ 7 * 7 }}"]


def short_study(n_tests, **options):
    X, y = make_factor_panel(n_dates=24 + n_tests, n_assets=12, random_state=1)
    settings = {"models": ["Linear"], "lags": (0,), "train_size": 24, "n_quantiles": 3, "progress": False}
    return run_study(X, y, **{**settings, **options})


@pytest.fixture(scope="module")
def three_months():
    return short_study(3)


def months(dates, seed=0, n_assets=9, n_quantiles=3, **options):
    index = pd.MultiIndex.from_product([dates, [f"A{i}" for i in range(n_assets)]], names=["date", "asset"])
    rng = np.random.default_rng(seed)
    predictions = pd.Series(rng.normal(size=len(index)), index=index)
    returns = pd.Series(rng.normal(0.005, 0.06, len(index)), index=index)
    return backtest(predictions, returns, n_quantiles=n_quantiles, **options)


def blocks(content, kind):
    return [each for section in content.sections for each in section.blocks if isinstance(each, kind)]


def table(content, start):
    (found,) = [each for each in blocks(content, Table) if each.caption.startswith(start)]
    return found


def chart(content, start):
    (found,) = [each for each in blocks(content, Chart) if each.caption.startswith(start)]
    return found


def absent(content):
    return content.sections[-1].blocks[0].text


def assert_missing_figures_have_reasons(content):
    for each in blocks(content, Table):
        texts = each.texts()
        for name in texts.columns:
            if (texts[name] == "n/a").any():
                assert each.note.startswith("n/a: "), each.caption
                assert name in each.note, (each.caption, name)


class TestFewMonths:
    @pytest.mark.parametrize("n_tests", [1, 2, 3])
    def test_figures_that_need_more_months_are_not_available_and_say_why(self, n_tests):
        content = BacktestReport(short_study(n_tests)).content
        assert (table(content, "Risk after costs").texts()["Kurtosis"] == "n/a").all()
        assert (table(content, "Could it be luck?").texts()["Deflated"] == "n/a").all()
        assert_missing_figures_have_reasons(content)

    def test_one_month_has_no_volatility_and_no_t(self):
        content = BacktestReport(short_study(1)).content
        assert table(content, "Figures of this study").texts().loc["Linear", "Volatility [%]"] == "n/a"
        assert table(content, "Could it be luck?").texts().loc["Linear", "t of return"] == "n/a"

    def test_parts_that_need_more_months_are_named(self, three_months):
        text = absent(BacktestReport(three_months).content)
        assert "the 12-month mean of the rank IC of Linear, because it needs 12 months" in text
        assert "the Diebold-Mariano tests" in text

    def test_two_models_over_three_months_have_no_probability_of_overfitting(self):
        study = short_study(3, models={"A": LinearFactorRegressor(), "B": Ridge(alpha=10.0)})
        content = BacktestReport(study).content
        assert "overfitting, because it needs 16 dates that all models share (got 3)" in absent(content)
        assert table(content, "Diebold-Mariano").frame.loc["A", "B"] == -table(content, "Diebold").frame.loc["B", "A"]

    def test_a_short_tail_is_named(self, three_months):
        assert "fewer than 20 dates VaR" in table(BacktestReport(three_months).content, "Risk").note

    def test_equal_models_cannot_be_told_apart_and_say_so(self):
        models = {"A": LinearFactorRegressor(), "B": LinearFactorRegressor()}
        content = BacktestReport(short_study(4, models=models)).content
        found = table(content, "Diebold-Mariano statistics")
        assert found.texts().loc["A", "B"] == "n/a"
        assert "n/a: two models whose losses differ by the same number" in found.note

    def test_two_models_over_one_month_cannot_be_tested(self):
        content = BacktestReport(short_study(1, models={"A": LinearFactorRegressor(), "B": Ridge()})).content
        assert "the Diebold-Mariano tests, because they need at least two test months" in absent(content)
        assert_missing_figures_have_reasons(content)

    def test_constant_forecasts_have_no_information_coefficient(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CoverageWarning)
            content = BacktestReport(short_study(3, models={"Constant": DummyRegressor()})).content
        assert "the rank IC of each month, because no month has one" in absent(content)
        assert table(content, "How well forecasts").texts().loc["Constant", "Mean rank IC"] == "n/a"
        assert_missing_figures_have_reasons(content)


class TestModels:
    def test_rarer_fits_and_several_seeds_are_said(self):
        models = {"Forest": RandomForestRegressor(n_estimators=2, random_state=0), "Linear": LinearFactorRegressor()}
        content = BacktestReport(short_study(3, models=models, refit_every=2, n_seeds=2)).content
        assert "and fitted anew every 2 months." in content.summary[0].text
        facts = table(content, "What was tested").frame["Value"]
        assert facts["Fits averaged in each forecast"] == "2 of Forest; 1 of the others"
        assert facts["Months from one fit to the next"] == "2"

    def test_a_choice_that_cannot_be_judged_says_why(self):
        index = pd.MultiIndex.from_product([pd.date_range("2010-01-31", periods=20, freq="ME"), ["A"]])
        index = index.set_names(["date", "asset"])
        cash = backtest_weights(pd.Series(0.0, index=index), pd.Series(0.01, index=index))
        market = backtest_weights(
            pd.Series(1.0, index=index), pd.Series(np.random.default_rng(0).normal(0, 0.05, 20), index=index)
        )
        content = BacktestReport({"Cash": cash, "Market": market}).content
        assert "overfitting, because it could not be computed (Each trial must have different" in absent(content)
        assert_missing_figures_have_reasons(content)

    def test_one_model_has_its_portfolios_in_full(self, three_months):
        content = BacktestReport(three_months).content
        found = table(content, "Portfolios by forecast of Linear").frame
        summary = three_months.backtests["Linear"].quantile_summary()
        np.testing.assert_array_equal(found.to_numpy(), summary.to_numpy())
        wealth = chart(content, "Compounded wealth of one unit in each portfolio of Linear").frame
        expected = (1 + three_months.backtests["Linear"].quantile_returns).cumprod()
        np.testing.assert_allclose(wealth.to_numpy(), expected.to_numpy(), rtol=1e-14)

    def test_seven_models_are_all_in_each_table(self):
        dates = pd.date_range("2010-01-31", periods=40, freq="ME")
        results = {f"Model {i}": months(dates, seed=i) for i in range(7)}
        content = BacktestReport(results).content
        for start in ("Figures per year", "Could it be luck?", "Mean return of portfolios", "Risk after costs"):
            assert table(content, start).frame.index.tolist() == list(results)
        assert table(content, "Probability of backtest overfitting").frame["Models"].tolist() == [7]
        assert len(table(content, "The deepest drawdowns").frame) <= 21

    def test_the_best_of_each_column_is_marked(self):
        dates = pd.date_range("2010-01-31", periods=40, freq="ME")
        results = {f"Model {i}": months(dates, seed=i) for i in range(3)}
        main = table(BacktestReport(results).content, "Figures per year")
        ratios = {name: result.summary()["Sharpe ratio"] for name, result in results.items()}
        assert main.best_rows()["Sharpe ratio"] == {max(ratios, key=ratios.get)}

    def test_portfolios_of_different_numbers_are_compared_within_their_number(self):
        dates = pd.date_range("2010-01-31", periods=20, freq="ME")
        content = BacktestReport({"A": months(dates), "B": months(dates, n_quantiles=2)}).content
        assert chart(content, "Mean return of 3 portfolios").frame.columns.tolist() == ["A"]
        assert chart(content, "Mean return of 2 portfolios").frame.columns.tolist() == ["B"]

    def test_a_single_backtest_names_what_it_cannot_say(self):
        content = BacktestReport(months(pd.date_range("2010-01-31", periods=30, freq="ME"))).content
        assert [section.anchor for section in content.sections] == [
            "results",
            "significance",
            "wealth",
            "quantiles",
            "costs",
            "risk",
            "not-in-this-report",
        ]
        for what in ("Diebold-Mariano", "information coefficients", "the fold plan, data coverage", "rows given"):
            assert what in absent(content)
        assert not any(each.caption.startswith("Published") for each in blocks(content, Table))

    def test_models_without_explanations_are_named(self, three_months):
        bare = replace(three_months, contributions={}, signed_contributions={}, relevance_by_lag={})
        assert "contributions of groups of descriptors, relevance by lag, because no model" in absent(
            BacktestReport(bare).content
        )

    def test_a_study_of_one_lag_has_no_relevance_by_lag(self, three_months):
        assert "relevance by lag, because there is one lag only" in absent(BacktestReport(three_months).content)


@pytest.fixture(scope="module")
def results():
    """A full history, and one without a portfolio on two dates."""
    dates = pd.date_range("2010-01-31", periods=30, freq="ME")
    full, part = months(dates), months(dates, seed=1)
    index = part.weights.index
    rows = index.get_level_values("date")
    # The names of two dates are too few for three portfolios.
    keep = ~(rows.isin(dates[[4, 17]]) & (index.get_level_values("asset") != "A0"))
    rng = np.random.default_rng(1)
    predictions, returns = (pd.Series(rng.normal(0, 0.05, len(index)), index=index)[keep] for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CoverageWarning)
        return {"Full": full, "Gappy": backtest(predictions, returns, n_quantiles=3, cost=0.002)}


class TestGaps:
    def test_dates_without_portfolio_are_counted_and_flat(self, results):
        content = BacktestReport(results).content
        facts = table(content, "What was tested").frame
        assert facts["Without portfolio"].tolist() == [0, 2]
        wealth = chart(content, "Compounded wealth of one unit after costs").frame["Gappy"]
        assert wealth.iloc[4] == wealth.iloc[3]
        assert np.isnan(chart(content, "Turnover").frame["Gappy"].iloc[17])

    def test_trials_are_compared_on_the_dates_that_all_have(self, results):
        content = BacktestReport(results).content
        assert "over 28 common dates" in table(content, "Could it be luck?").note
        assert table(content, "Probability").frame["Dates"].tolist() == [28]
        assert table(content, "Could it be luck?").frame["Dates"].tolist() == [30, 28]

    def test_histories_of_different_dates_leave_gaps_and_have_no_common_trials(self):
        early, late = (pd.date_range(start, periods=20, freq="ME") for start in ("2010-01-31", "2015-01-31"))
        content = BacktestReport({"Early": months(early), "Late": months(late)}).content
        wealth = chart(content, "Compounded wealth of one unit after costs").frame
        assert wealth["Late"].isna().sum() == wealth["Early"].isna().sum() == 20
        found = table(content, "Could it be luck?")
        assert (found.texts()["Deflated"] == "n/a").all()
        assert "got 0 trials over 0 common dates" in found.note

    def test_trials_are_not_counted_where_nothing_is_deflated(self):
        early, late = (pd.date_range(start, periods=20, freq="ME") for start in ("2010-01-31", "2015-01-31"))
        results = {"Early": months(early), "Late": months(late)}
        found = table(BacktestReport(results, trial_sharpe_ratios=[0.3, 0.4]).content, "Could it be luck?")
        assert (found.texts()["Deflated"] == "n/a").all()
        assert "got 2 trials over 0 common dates" in found.note
        assert "counts" not in found.note

    def test_a_strategy_of_equal_returns_has_reasons(self):
        index = pd.MultiIndex.from_product([range(202001, 202007), ["A"]], names=["date", "asset"])
        flat = backtest_weights(pd.Series(1.0, index=index), pd.Series(0.01, index=index))
        content = BacktestReport(flat).content
        assert_missing_figures_have_reasons(content)
        texts = [each.text for each in blocks(content, Text)]
        assert "Wealth after costs never fell below an earlier peak." in texts


class TestDates:
    @pytest.mark.parametrize(
        "dates",
        [
            pd.date_range("2010-01-31", periods=14, freq="ME"),
            pd.period_range("2010-01", periods=14, freq="M"),
            pd.Index([*range(201001, 201013), 201101, 201102]),
            pd.Index([f"2010-{month:02d}" for month in range(1, 13)] + ["2011-01", "2011-02"]),
        ],
        ids=["datetime", "period", "yyyymm", "text"],
    )
    def test_months_of_any_kind_are_drawn_at_their_ends(self, dates):
        wealth = chart(BacktestReport(months(dates)).content, "Compounded wealth of one unit after costs").frame
        assert list(wealth.index) == list(pd.date_range("2010-01-31", periods=14, freq="ME"))

    def test_days_of_a_time_zone_are_written_as_days(self):
        dates = pd.date_range("2010-01-31", periods=14, freq="ME", tz="Europe/Berlin")
        content = BacktestReport(months(dates)).content
        first_and_last = table(content, "What was tested").frame[["First date", "Last date"]]
        assert first_and_last.to_numpy().tolist() == [["2010-01-31", "2011-02-28"]]
        assert "from 2010-01-31 to 2011-02-28" in content.summary[0].text

    def test_labels_that_are_no_dates_stay(self):
        content = BacktestReport(months(pd.Index(range(1, 15)))).content
        assert chart(content, "Compounded wealth of one unit after costs").frame.index.tolist() == list(range(1, 15))
        assert table(content, "What was tested").frame[["First date", "Last date"]].to_numpy().tolist() == [["1", "14"]]

    @pytest.mark.parametrize("kind", ["period", "yyyymm"])
    def test_a_study_of_any_months_has_all_sections(self, kind, three_months):
        X, y = make_factor_panel(n_dates=28, n_assets=12, random_state=1)
        stamps = X.index.get_level_values("date")
        dates = stamps.to_period("M") if kind == "period" else stamps.year * 100 + stamps.month
        index = pd.MultiIndex.from_arrays([dates, X.index.get_level_values("asset")], names=["date", "asset"])
        study = run_study(
            X.set_axis(index),
            y.set_axis(index),
            models=["Linear"],
            lags=(0, 1),
            train_size=24,
            n_quantiles=3,
            progress=False,
        )
        content = BacktestReport(study).content
        spans = chart(content, "Fold plan").frame
        assert spans["start"].iloc[0] == pd.Timestamp("2000-02-29")
        assert (spans["start"] < spans["end"]).all()
        assert chart(content, "Coverage by date").frame.columns[0] == "2000-01"
        first = table(content, "First and last window").frame["First training date"].iloc[0]
        assert first == {"period": "2000-02", "yyyymm": "200002"}[kind]

    def test_days_are_called_days(self):
        dates = pd.bdate_range("2020-01-01", periods=60)
        index = pd.MultiIndex.from_product([dates, ["AAPL"]], names=["date", "asset"])
        rng = np.random.default_rng(0)
        returns, forecasts = (pd.Series(rng.normal(0, 0.01, 60), index=index) for _ in range(2))
        result = backtest_weights(timing_weights(forecasts, short=False), returns, delay=1, periods_per_year=252)
        content = BacktestReport({"Long or flat": result}).content
        assert "trading day" in table(content, "Risk after costs").caption
        volatility = table(content, "Risk after costs").frame.loc["Long or flat", "Volatility"]
        assert volatility == pytest.approx(np.sqrt(252) * result.long_short.std())
        assert "quantile returns of Long or flat, because weights were given" in absent(content)


class TestNames:
    def test_hostile_names_stay_text(self):
        dates = pd.date_range("2010-01-31", periods=20, freq="ME")
        results = {name: months(dates, seed=i) for i, name in enumerate(HOSTILE)}
        content = BacktestReport(results, title=HOSTILE[0], source=HOSTILE[1]).content
        assert content.title == HOSTILE[0]
        assert f"Data: {HOSTILE[1]}." in [text.text for text in content.summary]
        assert table(content, "Risk after costs").frame.index.tolist() == HOSTILE
        assert chart(content, "Compounded wealth of one unit after costs").frame.columns.tolist() == HOSTILE
        assert table(content, "Could it be luck?").texts().index.tolist() == HOSTILE

    def test_hostile_names_in_a_study(self):
        X, y = make_factor_panel(n_dates=28, n_assets=12, random_state=1)
        names = [*HOSTILE[:2], "a|b", *HOSTILE[3:]]
        X = X.iloc[:, :5].set_axis(names, axis=1)
        study = run_study(
            X,
            y,
            models={HOSTILE[0]: LinearFactorRegressor(), HOSTILE[1]: Ridge()},
            groups={HOSTILE[1]: names[:2], HOSTILE[0]: names[2:]},
            lags=(0, 1),
            train_size=24,
            n_quantiles=3,
            progress=False,
        )
        content = BacktestReport(study).content
        assert table(content, "Coverage: share").frame.index.tolist() == names
        assert table(content, "Diebold-Mariano statistics").frame.columns.tolist() == HOSTILE[:2]

    def test_costs_that_differ_by_asset_are_named(self):
        dates = pd.date_range("2010-01-31", periods=20, freq="ME")
        index = pd.MultiIndex.from_product([dates, ["A", "B"]], names=["date", "asset"])
        rng = np.random.default_rng(0)
        predictions, returns = (pd.Series(rng.normal(0, 0.05, 40), index=index) for _ in range(2))
        costs = pd.Series([0.001, 0.002], index=pd.Index(["A", "B"], name="asset"))
        content = BacktestReport(backtest(predictions, returns, n_quantiles=2, cost=costs)).content
        assert table(content, "Returns per year before").texts()["Cost charged"].tolist() == ["by asset"]
        assert content.manifest["backtests"]["Strategy"]["cost"] == "by asset"


class TestCautions:
    def cautions(self, *args, **options):
        return [text.text for text in BacktestReport(*args, **options).content.summary if text.kind == "caution"]

    def test_figures_too_good_for_real_stocks_are_doubted(self, three_months):
        good = replace(three_months, table=three_months.table.assign(**{"Rank IC": 0.4}))
        (caution,) = self.cautions(good)
        assert caution.startswith("Too good to be true?")
        assert "mean rank IC 0.400" in caution

    def test_simulated_data_are_labelled_and_not_doubted(self, three_months):
        good = replace(three_months, table=three_months.table.assign(**{"Rank IC": 0.4}))
        (caution,) = self.cautions(good, simulated=True)
        assert caution.startswith("Simulated data.")

    def test_a_manifest_that_says_simulated_counts(self, three_months):
        manifest = {**three_months.manifest, "data": {"source": "made up", "simulated": True}}
        report = BacktestReport(replace(three_months, manifest=manifest))
        assert report.content.summary[1].text == "Data: made up."
        assert report.content.summary[2].text.startswith("Simulated data.")

    def test_a_universe_that_nothing_leaves_is_doubted(self, three_months):
        dates = pd.date_range("2000-01-31", periods=60, freq="ME")
        index = pd.MultiIndex.from_product([dates, range(50)], names=["date", "asset"])
        realised = pd.Series(np.random.default_rng(0).normal(0, 0.05, len(index)), index=index)
        calm = three_months.table.assign(**{"Rank IC": 0.0, "R2_oos [%]": 0.0})
        stay = replace(three_months, table=calm)
        from skdrfm.report._sections_results import summary_texts
        from skdrfm.report._sections_subject import Subject

        def found(returns):
            study = replace(stay, realised=returns)
            return [t.text for t in summary_texts(Subject(study.backtests, study)) if t.kind == "caution"]

        (caution,) = found(realised)
        assert caution.startswith("Survivors only? No asset ever leaves")
        left = index.get_level_values("asset").isin(range(5)) & (index.get_level_values("date") > dates[30])
        assert found(realised[~left]) == []
