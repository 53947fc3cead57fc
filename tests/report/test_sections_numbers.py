"""Each number of each table and chart is that of the function it stands for, and none is typed in."""

from dataclasses import replace
from itertools import pairwise, permutations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from skdrfm.datasets import make_factor_panel
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.inspection import Finding, LeakageReport
from skdrfm.metrics import (
    annualised_return,
    annualised_volatility,
    break_even_cost,
    calmar_ratio,
    conditional_value_at_risk,
    deflated_sharpe_ratio,
    diebold_mariano,
    drawdown_periods,
    drawdown_series,
    forecast_summary,
    hit_rate,
    kurtosis,
    max_drawdown,
    mean_absolute_error_by_date,
    newey_west_t,
    probabilistic_sharpe_ratio,
    probability_of_backtest_overfitting,
    r2_oos,
    rank_information_coefficient,
    root_mean_squared_error_by_date,
    sharpe_ratio,
    sharpe_standard_error,
    skewness,
    sortino_ratio,
    value_at_risk,
)
from skdrfm.report import BacktestReport
from skdrfm.report._content import Chart, Table, Text
from skdrfm.study import PUBLISHED, run_study

MONTHLY = {"periods_per_year": 12}


class Nudged(Ridge):
    """Changes its very first forecast of each window, and nothing else."""

    def predict(self, X):
        forecasts = super().predict(X)
        forecasts[0] += 0.5
        return forecasts


def run(model):
    X, y = make_factor_panel(n_dates=60, n_assets=15, missing=0.02, random_state=0)
    models = {"Linear": LinearFactorRegressor(), "Ridge": model, "Strong": Ridge(alpha=5000.0)}
    return run_study(X, y, models=models, lags=(0, 3), train_size=24, n_quantiles=3, cost=0.001, progress=False)


@pytest.fixture(scope="module")
def study():
    return run(Ridge(alpha=50.0))


@pytest.fixture(scope="module")
def content(study):
    return BacktestReport(study, n_trials=40, trial_sharpe_ratios=[0.3, -1.2]).content


def block(content, anchor, kind, start):
    (section,) = [section for section in content.sections if section.anchor == anchor]
    (found,) = [each for each in section.blocks if isinstance(each, kind) and each.caption.startswith(start)]
    return found


def frame(content, anchor, start, kind=Table):
    return block(content, anchor, kind, start).frame


def by_model(study, figure):
    return pd.Series({name: figure(name) for name in study.results}, dtype=np.float64)


def assert_column(table, name, expected):
    pd.testing.assert_series_equal(table[name].astype(np.float64), expected, check_names=False, check_exact=True)


class TestReferenceValues:
    def test_the_main_table_holds_the_figures_of_the_paper(self, study, content):
        table = frame(content, "results", "Figures of this study")
        truth = study.realised

        def net(name):
            return study.backtests[name].long_short

        def forecast(name):
            return study.results[name].predictions

        expected = {
            "Return [%]": lambda name: 100 * annualised_return(net(name), **MONTHLY),
            "Volatility [%]": lambda name: 100 * annualised_volatility(net(name), **MONTHLY),
            "Sharpe ratio": lambda name: sharpe_ratio(net(name), **MONTHLY),
            "MAE": lambda name: mean_absolute_error_by_date(truth, forecast(name)).mean(),
            "RMSE": lambda name: root_mean_squared_error_by_date(truth, forecast(name)).mean(),
            "Rank IC": lambda name: rank_information_coefficient(truth, forecast(name)).mean(),
            "R² oos [%]": lambda name: 100 * r2_oos(truth, forecast(name)),
        }
        assert list(table.columns) == list(expected)
        for name, figure in expected.items():
            assert_column(table, name, by_model(study, figure))

    def test_published_figures_are_labelled_and_unchanged(self, content):
        table = block(content, "results", Table, "Published figures")
        np.testing.assert_array_equal(table.frame.to_numpy(), PUBLISHED.to_numpy())
        assert "own market only and were not computed here" in table.note

    def test_what_was_tested_is_counted_from_the_results(self, study, content):
        facts = frame(content, "results", "What was tested")["Value"]
        assert facts["Test months"] == str(study.realised.index.get_level_values("date").nunique())
        assert facts["Forecasts of each model"] == str(len(study.realised))
        assert facts["Assets"] == "15"
        assert facts["Lags of the descriptors [months]"] == "0, 3"
        assert facts["Cost of each unit traded [%]"] == "0.1"
        assert facts["Returns earned in"] == "2002-05 to 2005-01"

    def test_significance_of_each_model(self, study, content):
        table = frame(content, "significance", "Could it be luck?")
        net = {name: result.long_short for name, result in study.backtests.items()}
        trials = [*(sharpe_ratio(returns, **MONTHLY) for returns in net.values()), 0.3, -1.2]
        expected = {
            "Dates": lambda name: len(net[name]),
            "t of return": lambda name: newey_west_t(net[name]),
            "t of rank IC": lambda name: newey_west_t(
                rank_information_coefficient(study.realised, study.results[name].predictions)
            ),
            "Sharpe ratio": lambda name: sharpe_ratio(net[name], **MONTHLY),
            "Standard error": lambda name: sharpe_standard_error(net[name], **MONTHLY),
            "Probabilistic": lambda name: probabilistic_sharpe_ratio(net[name], **MONTHLY),
            "Deflated": lambda name: deflated_sharpe_ratio(
                net[name], trial_sharpe_ratios=trials, n_trials=40, **MONTHLY
            ),
        }
        assert list(table.columns) == list(expected)
        for name, figure in expected.items():
            assert_column(table, name, by_model(study, figure))

    def test_the_number_of_trials_is_named(self, study, content):
        note = block(content, "significance", Table, "Could it be luck?").note
        assert "counts 40 trials" in note
        assert "from 3 of this report and 2 others" in note
        plain = block(BacktestReport(study).content, "significance", Table, "Could it be luck?")
        assert "counts 3 trials" in plain.note

    def test_probability_of_overfitting(self, study, content):
        table = frame(content, "significance", "Probability of backtest overfitting")
        returns = pd.DataFrame({name: result.long_short for name, result in study.backtests.items()})
        found = probability_of_backtest_overfitting(returns, n_blocks=16)
        assert table.iloc[0].to_dict() == {
            "Probability": found.probability,
            "Models": 3,
            "Dates": 33,
            "Blocks": 16,
            "Choices of half of the blocks": found.n_combinations,
        }

    def test_diebold_mariano_matrices(self, study, content):
        found = diebold_mariano(study.realised, {name: result.predictions for name, result in study.results.items()})
        for start, expected in (
            ("Diebold-Mariano statistics", found.statistic),
            ("P-values of these tests", found.p_values),
            ("P-values times", found.adjusted_p_values),
        ):
            table = frame(content, "significance", start)
            assert list(np.diag(table)) == ["", "", ""]
            for row, column in permutations(study.results, 2):
                assert table.loc[row, column] == expected.loc[row, column]
        (verdict,) = [
            each.text
            for section in content.sections
            if section.anchor == "significance"
            for each in section.blocks
            if isinstance(each, Text)
        ]
        count = int((found.to_frame()["adjusted_p_value"] < 0.05).sum())
        assert verdict.startswith(f"{count} of 3 pairs of models differ")

    def test_wealth_and_drawdown(self, study, content):
        wealth, drawdown = (frame(content, "wealth", start, Chart) for start in ("Compounded wealth", "Drawdown"))
        for name, result in study.backtests.items():
            np.testing.assert_allclose(wealth[name], (1 + result.long_short).cumprod(), rtol=1e-14)
            np.testing.assert_array_equal(drawdown[name], drawdown_series(result.long_short))
        assert list(wealth.index) == list(study.backtests["Linear"].long_short.index)

    def test_quantile_portfolios(self, study, content):
        labels = ["1 (lowest)", "2", "3 (highest)"]
        bars = frame(content, "quantiles", "Mean return of 3 portfolios", Chart)
        means = frame(content, "quantiles", "Mean return of portfolios by forecast")
        statistics = frame(content, "quantiles", "Newey-West t")
        for name, result in study.backtests.items():
            returns = result.quantile_returns
            expected = [returns[i].to_numpy().mean() for i in (1, 2, 3)]
            assert bars[name].tolist() == means.loc[name, labels].tolist() == expected
            assert means.loc[name, "Highest minus lowest"] == result.gross_long_short.to_numpy().mean()
            assert statistics.loc[name, labels].tolist() == [newey_west_t(returns[i]) for i in (1, 2, 3)]
            assert statistics.loc[name, "Highest minus lowest"] == newey_west_t(result.gross_long_short)

    def test_information_coefficients(self, study, content):
        table = frame(content, "information-coefficients", "How well forecasts")
        by_month = frame(content, "information-coefficients", "Rank IC of each month", Chart)
        rolling = frame(content, "information-coefficients", "Rank IC, mean of the last 12", Chart)
        labels = {
            "Mean IC": "Mean IC",
            "ICIR": "ICIR (annualised)",
            "Mean rank IC": "Mean rank IC",
            "Rank ICIR": "Rank ICIR (annualised)",
            "t of rank IC": "Newey-West t of rank IC",
            "R² oos": "R2_oos (pooled)",
            "R² oos, cross-sectional": "R2_oos (cross-sectional)",
            "Dates": "Dates",
            "Dates without IC": "Dates without IC",
        }
        assert list(table.columns) == list(labels)
        for name, result in study.results.items():
            summary = forecast_summary(study.realised, result.predictions, **MONTHLY)
            assert table.loc[name].tolist() == summary[list(labels.values())].tolist()
            ic = rank_information_coefficient(study.realised, result.predictions)
            np.testing.assert_array_equal(by_month.loc[name], ic)
            np.testing.assert_array_equal(rolling[name], ic.rolling(12).mean())
        assert list(by_month.columns[:2]) == ["2002-04", "2002-05"]

    def test_turnover_and_costs(self, study, content):
        table = frame(content, "costs", "Returns per year before and after costs")
        turnover = frame(content, "costs", "Turnover", Chart)
        curve = frame(content, "costs", "Return per year by cost", Chart)
        for name, result in study.backtests.items():
            even = break_even_cost(result.gross_long_short, result.turnover)
            assert table.loc[name].to_dict() == {
                "Gross return": annualised_return(result.gross_long_short, **MONTHLY),
                "Net return": annualised_return(result.long_short, **MONTHLY),
                "Gross Sharpe ratio": sharpe_ratio(result.gross_long_short, **MONTHLY),
                "Net Sharpe ratio": sharpe_ratio(result.long_short, **MONTHLY),
                "Mean turnover": result.turnover.mean(),
                "Mean cost": result.costs.mean(),
                "Cost charged": 0.001,
                "Break-even cost": even,
            }
            np.testing.assert_array_equal(turnover[name], result.turnover)
            for cost in (curve.index[0], curve.index[7]):
                net = result.gross_long_short - cost / 100 * result.turnover
                assert curve.loc[cost, name] == pytest.approx(annualised_return(net, **MONTHLY), abs=1e-14)
            assert np.interp(100 * even, curve.index, curve[name]) == pytest.approx(0, abs=1e-12)

    def test_risk(self, study, content):
        table = frame(content, "risk", "Risk after costs")
        episodes = frame(content, "risk", "The deepest drawdowns")
        for name, result in study.backtests.items():
            returns = result.long_short
            assert table.loc[name].to_dict() == {
                "Volatility": annualised_volatility(returns, **MONTHLY),
                "VaR 95 %": value_at_risk(returns),
                "CVaR 95 %": conditional_value_at_risk(returns),
                "Max drawdown": max_drawdown(returns),
                "Sortino ratio": sortino_ratio(returns, **MONTHLY),
                "Calmar ratio": calmar_ratio(returns, **MONTHLY),
                "Hit rate": hit_rate(returns),
                "Skewness": skewness(returns),
                "Kurtosis": kurtosis(returns),
            }
            expected = drawdown_periods(returns).head(3)
            shown = episodes.loc[[name]]
            assert shown["Depth"].tolist() == expected["depth"].tolist()
            assert shown["Length"].tolist() == expected["n_periods"].tolist()
            assert shown["Trough"].tolist() == [str(date.date()) for date in expected["trough"]]
            starts = ["the start" if pd.isna(date) else str(date.date()) for date in expected["start"]]
            ends = ["not yet" if pd.isna(date) else str(date.date()) for date in expected["recovery"]]
            assert (shown["Peak"].tolist(), shown["Recovery"].tolist()) == (starts, ends)

    def test_contributions_and_lags(self, study, content):
        assert set(study.contributions) == set(study.relevance_by_lag) == {"Linear"}
        for name in study.contributions:
            shares = frame(content, "contributions", "Mean share of each group").loc[name]
            signed = frame(content, "contributions", "Mean contribution of each group").loc[name]
            assert shares.tolist() == study.contributions[name].mean().tolist()
            assert signed.tolist() == study.signed_contributions[name].mean().tolist()
            drawn = frame(content, "contributions", f"Share of each group in what the forecasts of {name}", Chart)
            np.testing.assert_array_equal(drawn, study.contributions[name])
            drawn = frame(content, "contributions", f"Contribution of each group to the forecasts of {name}", Chart)
            np.testing.assert_array_equal(drawn, study.signed_contributions[name])
            lags = frame(content, "lags", "Mean share of each lag").loc[name]
            assert lags.to_dict() == {f"Lag {lag}": study.relevance_by_lag[name][lag].mean() for lag in (3, 0)}
            drawn = frame(content, "lags", f"Share of each lag in what the forecasts of {name}", Chart)
            np.testing.assert_array_equal(drawn, study.relevance_by_lag[name])

    def test_fold_plan(self, study, content):
        spans = frame(content, "fold-plan", "Fold plan: 33 windows", Chart)
        training, test = (spans[spans["kind"] == kind] for kind in ("Training", "Test"))
        assert training["start"].tolist() == study.windows["train_start"].tolist()
        assert test["start"].tolist() == study.windows["test_start"].tolist()
        # The last training return is known when the test begins, and the test return when the next test begins.
        assert training["end"].tolist() == study.windows["test_start"].tolist()
        assert test["end"].tolist()[:-1] == study.windows["test_start"].tolist()[1:]
        assert test["end"].iloc[-1] > study.windows["test_end"].iloc[-1]
        assert spans.index.tolist() == [number for i in range(33) for number in (i + 1, i + 1)]
        table = frame(content, "fold-plan", "First and last window")
        assert table.index.tolist() == ["1", "33"]
        assert table.loc["33", "Last test date"] == str(study.windows["test_end"].iloc[-1].date())
        assert table.loc["33", "Training rows"] == study.windows["train_rows"].iloc[-1]

    def test_coverage(self, study, content):
        table = frame(content, "coverage", "Coverage: share")
        assert table["Mean"].tolist() == study.coverage.mean().tolist()
        assert table["Lowest"].tolist() == study.coverage.min().tolist()
        first = study.coverage["CAP"]
        assert table.loc["CAP", "Date of the lowest"] == str(first.index[first == first.min()][0].date())
        drawn = frame(content, "coverage", "Coverage by date", Chart)
        np.testing.assert_array_equal(drawn, study.coverage.T)

    def test_rows_given_and_dropped(self, study, content):
        rows = frame(content, "rows", "What became of the rows")["Number"]
        assert rows["given"] == study.manifest["rows"]["given"] == 900
        assert rows["dropped: history shorter than the lags"] == 45
        missing = frame(content, "rows", "Missing values by descriptor")["Number"]
        assert missing.to_dict() == study.manifest["missing_cells_ranked_neutral"]

    def test_explainers_and_audit_of_a_study_with_evidence(self, study):
        methods = ["lrp-all", "shap-permutation"]
        agreement = pd.DataFrame([[1.0, 0.734], [0.734, 1.0]], index=methods, columns=methods)
        costs = pd.DataFrame({"microseconds_per_sample": [3.0, 900.0], "evaluations": [np.nan, 50]}, index=methods)
        finding = Finding("date_cut", "error", "A date is cut.", "2001-03-31 is on both sides.", "Split by dates.")
        findings = LeakageReport((finding,)).to_frame()
        evidence = {
            "explanations": {"model": "Linear", "date": "2004-12-31 00:00:00", "rows_explained": 15},
            "audit": {"model": "a model", "checks": {"date_cut": "found"}, "rows_without_forward_return": 2},
        }
        full = replace(
            study,
            agreement=agreement,
            explainer_costs=costs,
            findings=findings,
            manifest={**study.manifest, "evidence": evidence},
        )
        content = BacktestReport(full).content
        shown = block(content, "agreement", Table, "Rank correlation")
        np.testing.assert_array_equal(shown.frame, agreement)
        assert shown.caption.endswith("(Linear, 15 rows of 2004-12-31)")
        sentence = content.sections[[s.anchor for s in content.sections].index("agreement")].blocks[0].text
        assert "0.73 for lrp-all and shap-permutation" in sentence
        assert frame(content, "agreement", "Cost and additivity")["Time [µs per row]"].tolist() == [3.0, 900.0]
        assert frame(content, "leak-audit", "Findings").iloc[0].tolist() == [
            "error",
            "date_cut",
            "A date is cut.",
            "2001-03-31 is on both sides.",
            "Split by dates.",
        ]
        assert frame(content, "leak-audit", "Checks")["Result"].to_dict() == {"date_cut": "found"}
        assert any(text.kind == "caution" and "found 1 error" in text.text for text in content.summary)

    def test_the_audit_that_is_given_goes_before_that_of_the_study(self, study):
        given = LeakageReport((), {"date_cut": "passed"}, n_missing_targets=3)
        content = BacktestReport(replace(study, findings=LeakageReport(()).to_frame()), audit=given).content
        (section,) = [section for section in content.sections if section.anchor == "leak-audit"]
        assert section.blocks[0].text.startswith("The audit found no leak.")
        assert frame(content, "leak-audit", "Checks")["Result"].to_dict() == {"date_cut": "passed"}
        assert section.blocks[-1].text == "3 rows without a return took no part in the audit."


def blocks_by_caption(content):
    return {each.caption: each for section in content.sections for each in section.blocks if hasattr(each, "caption")}


@pytest.fixture(scope="module")
def pair(study):
    """Contents before and after one forecast of each month has changed."""
    return BacktestReport(study).content, BacktestReport(run(Nudged(alpha=50.0))).content


class TestNothingIsTypedIn:
    def test_changed_forecasts_change_each_table_and_chart_that_rests_on_them(self, pair):
        before, after = (blocks_by_caption(content) for content in pair)
        same = {
            caption for caption in before if caption in after and before[caption].frame.equals(after[caption].frame)
        }
        # What does not depend on forecasts of the second model must stay.
        unmoved = ("Published", "What was tested", "Fold plan", "First and last", "Coverage", "What became", "Missing")
        explained = ("Share of each", "Contribution of each group to the forecasts of Linear", "Mean share of each lag")
        assert all(caption.startswith((*unmoved, *explained, "Mean share", "Mean contribution")) for caption in same)
        assert {caption for caption in before if caption.startswith(unmoved)} <= same

    def test_texts_that_are_shown_change_too(self, pair):
        before, after = (blocks_by_caption(content) for content in pair)
        main = next(caption for caption in before if caption.startswith("Figures of this study"))
        changed = before[main].texts().loc["Ridge"] != after[main].texts().loc["Ridge"]
        assert changed.all()
        assert before[main].texts().loc["Linear"].tolist() == after[main].texts().loc["Linear"].tolist()


class TestProperties:
    def test_content_is_complete_and_in_order(self, content):
        assert [section.anchor for section in content.sections] == [
            "results",
            "significance",
            "wealth",
            "quantiles",
            "information-coefficients",
            "costs",
            "risk",
            "contributions",
            "lags",
            "fold-plan",
            "coverage",
            "rows",
            "not-in-this-report",
        ]

    def test_captions_are_unique_and_columns_are_text(self, content):
        captions = [each.caption for s in content.sections for each in s.blocks if not isinstance(each, Text)]
        assert len(set(captions)) == len(captions)
        for section in content.sections:
            for each in section.blocks:
                if not isinstance(each, Text):
                    assert all(isinstance(name, str) for name in each.frame.columns)

    def test_formats_and_readings_name_columns_that_exist(self, content):
        for section in content.sections:
            for each in section.blocks:
                if isinstance(each, Table):
                    columns = set(each.frame.columns)
                    assert set(each.formats) | set(each.readings) | set(each.best) <= columns, each.caption

    def test_what_is_absent_is_named_in_one_sentence(self, content):
        (text,) = content.sections[-1].blocks
        assert text.text.startswith("Not in this report: agreement of explainers, because ")
        assert "the leak audit, because " in text.text
        assert text.text.count(". ") == 0

    def test_results_are_not_changed(self, study):
        before = {name: result.to_frame().copy() for name, result in study.backtests.items()}
        BacktestReport(study).content  # noqa: B018
        for name, result in study.backtests.items():
            pd.testing.assert_frame_equal(result.to_frame(), before[name])

    def test_bars_of_one_line_never_overlap(self, content):
        spans = frame(content, "fold-plan", "Fold plan", Chart)
        for _, line in spans.groupby(level=0):
            assert all(a <= b for a, b in pairwise(line[["start", "end"]].to_numpy().ravel()))

    def test_the_manifest_is_that_of_the_study(self, study, content):
        assert {key: content.manifest[key] for key in study.manifest} == dict(study.manifest)
        assert content.manifest["report"]["n_trials"] == 40
