"""The report as an object: what it takes, what it writes, what it refuses."""

import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from skdrfm.exceptions import CoverageWarning, PanelError
from skdrfm.inspection import ExplainerComparison, LeakageReport
from skdrfm.portfolio import backtest
from skdrfm.report import BacktestReport
from skdrfm.report._content import Content, Table


def result(periods_per_year=12, dates=None, seed=0):
    dates = pd.date_range("2010-01-31", periods=24, freq="ME") if dates is None else dates
    index = pd.MultiIndex.from_product([dates, list("ABCD")], names=["date", "asset"])
    rng = np.random.default_rng(seed)
    predictions, returns = (pd.Series(rng.normal(0, 0.05, len(index)), index=index) for _ in range(2))
    return backtest(predictions, returns, n_quantiles=2, periods_per_year=periods_per_year)


@pytest.fixture(scope="module")
def report():
    return BacktestReport({"A": result(), "B": result(seed=1)}, title="Two", source="random numbers")


class TestContent:
    def test_content_is_made_once(self, report):
        assert isinstance(report.content, Content)
        assert report.content is report.content

    def test_same_results_give_the_same_content(self, report):
        again = BacktestReport({"A": result(), "B": result(seed=1)}, title="Two", source="random numbers").content
        for mine, other in zip(report.content.sections, again.sections, strict=True):
            for one, two in zip(mine.blocks, other.blocks, strict=True):
                if hasattr(one, "frame"):
                    pd.testing.assert_frame_equal(one.frame, two.frame, check_exact=True)
        assert dict(report.content.manifest) == dict(again.manifest)

    def test_titles_say_what_the_results_are(self):
        assert BacktestReport(result()).title == "Back-test"
        assert BacktestReport({"A": result(), "B": result()}).title == "Comparison of back-tests"
        assert BacktestReport(result(), title="Mine").content.title == "Mine"

    def test_repr_counts_models_and_sections(self, report):
        assert repr(report) == "BacktestReport('Two', 2 models, 7 sections)"

    def test_a_comparison_of_explainers_is_shown(self, monkeypatch):
        agreement = pd.DataFrame(
            [[1.0, 0.5], [0.5, 1.0]], index=["lrp-all", "occlusion"], columns=["lrp-all", "occlusion"]
        )
        comparison = ExplainerComparison({}, {}, {}, {}, 0)
        monkeypatch.setattr(ExplainerComparison, "agreement", lambda self, by: agreement)
        monkeypatch.setattr(ExplainerComparison, "summary", lambda self: pd.DataFrame({"additivity_gap": [0.0, 1e-3]}))
        content = BacktestReport(result(), comparison=comparison).content
        (section,) = [section for section in content.sections if section.anchor == "agreement"]
        tables = [block for block in section.blocks if isinstance(block, Table)]
        np.testing.assert_array_equal(tables[0].frame, agreement)
        assert tables[1].frame["Additivity gap"].tolist() == [0.0, 1e-3]

    def test_a_model_with_one_descriptor_is_compared_by_inputs_and_left_out_rows_are_named(self, monkeypatch):
        def agreement(self, by):
            if by == "descriptor":
                raise PanelError("An order needs at least two.")
            warnings.warn("2 rows have no order.", CoverageWarning, stacklevel=2)
            return pd.DataFrame([[1.0]], index=["lrp-all"], columns=["lrp-all"])

        monkeypatch.setattr(ExplainerComparison, "agreement", agreement)
        monkeypatch.setattr(ExplainerComparison, "summary", lambda self: pd.DataFrame({"relative_gap": [0.0]}))
        content = BacktestReport(result(), comparison=ExplainerComparison({}, {}, {}, {}, 0)).content
        (section,) = [section for section in content.sections if section.anchor == "agreement"]
        assert section.blocks[0].caption.startswith("Rank correlation of relevances by inputs")
        assert section.blocks[0].note.endswith("2 rows have no order.")

    def test_other_warnings_of_a_comparison_pass(self, monkeypatch):
        def agreement(self, by):
            warnings.warn("beware", RuntimeWarning, stacklevel=2)
            return pd.DataFrame([[1.0]], index=["lrp-all"], columns=["lrp-all"])

        monkeypatch.setattr(ExplainerComparison, "agreement", agreement)
        monkeypatch.setattr(ExplainerComparison, "summary", lambda self: pd.DataFrame({"relative_gap": [0.0]}))
        with pytest.warns(RuntimeWarning, match="beware"):
            BacktestReport(result(), comparison=ExplainerComparison({}, {}, {}, {}, 0)).content  # noqa: B018

    def test_the_manifest_has_plain_values_only(self, report):
        import json

        text = json.dumps(dict(report.content.manifest), allow_nan=False)
        assert '"source": "random numbers"' in text
        assert '"periods_per_year": 12.0' in text


class TestFiles:
    @pytest.fixture
    def renderers(self, monkeypatch):
        seen = []

        def stand_in(name, function):
            monkeypatch.setitem(sys.modules, f"skdrfm.report.{name}", SimpleNamespace(**function))

        stand_in("_html", {"render_html": lambda content: seen.append(content) or "<p>ü</p>"})
        stand_in("_docx", {"render_docx": lambda content: seen.append(content) or b"PK"})
        stand_in("_markdown", {"render_markdown": lambda content: seen.append(content) or "# ü"})
        return seen

    def test_all_formats_show_the_same_content(self, report, renderers, tmp_path):
        page, word = report.to_html(tmp_path / "new" / "report.html"), report.to_docx(str(tmp_path / "report.docx"))
        assert page == tmp_path / "new" / "report.html"
        assert page.read_bytes() == "<p>ü</p>".encode()
        assert word.read_bytes() == b"PK"
        assert report.to_markdown() == "# ü"
        assert all(content is report.content for content in renderers)

    def test_an_older_file_is_replaced_and_nothing_else_is_left(self, report, renderers, tmp_path):
        path = tmp_path / "report.html"
        path.write_text("old")
        report.to_html(path)
        assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
        assert path.read_text(encoding="utf-8") == "<p>ü</p>"

    def test_a_renderer_that_fails_leaves_the_old_file(self, report, renderers, monkeypatch, tmp_path):
        def fail(content):
            raise RuntimeError("no")

        monkeypatch.setattr(sys.modules["skdrfm.report._html"], "render_html", fail)
        path = tmp_path / "report.html"
        path.write_text("old")
        with pytest.raises(RuntimeError):
            report.to_html(path)
        assert path.read_text() == "old"

    def test_a_folder_is_no_file(self, report, renderers, tmp_path):
        with pytest.raises(IsADirectoryError, match="'path' must be a file. Got the folder"):
            report.to_html(tmp_path)


class TestValidation:
    @pytest.mark.parametrize(
        ("results", "message"),
        [
            ([1], "Got list"),
            ({}, "Got none"),
            ({"A": 3}, "Got int for 'A'"),
            (None, "Got NoneType"),
        ],
    )
    def test_other_results_are_refused(self, results, message):
        with pytest.raises(PanelError, match=message):
            BacktestReport(results)

    def test_names_that_read_alike_are_refused(self):
        with pytest.raises(PanelError, match="must differ as text"):
            BacktestReport({1: result(), "1": result()})

    def test_periods_per_year_must_agree(self):
        with pytest.raises(PanelError, match="Got 12 of 'A', 252 of 'B'"):
            BacktestReport({"A": result(), "B": result(252)})

    def test_types_of_dates_must_agree(self):
        with pytest.raises(PanelError, match="dates of the same type. Got datetime64 of 'A', integer of 'B'"):
            BacktestReport({"A": result(), "B": result(dates=range(1, 25))})

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda days: days.tz_localize("UTC"), "Got datetime64 of 'A', datetime64 with a time zone of 'B'"),
            (lambda days: days.to_period("D"), "Got datetime64 of 'A', period.D. of 'B'"),
        ],
    )
    def test_dates_that_cannot_stand_in_one_table_are_refused(self, change, message):
        days = pd.date_range("2010-01-31", periods=24, freq="ME")
        with pytest.raises(PanelError, match=message):
            BacktestReport({"A": result(), "B": result(dates=change(days))})

    def test_periods_of_different_lengths_are_refused(self):
        months = pd.period_range("2010-01", periods=24, freq="M")
        with pytest.raises(PanelError, match="Got period.M. of 'A', period.D. of 'B'"):
            BacktestReport({"A": result(dates=months), "B": result(dates=months.asfreq("D"))})

    @pytest.mark.parametrize("n_trials", [1, 0, -3, float("nan"), float("inf"), "7"])
    def test_a_number_of_trials_is_at_least_two(self, n_trials):
        with pytest.raises(ValueError, match="'n_trials' must be a number of at least 2"):
            BacktestReport(result(), n_trials=n_trials)

    @pytest.mark.parametrize("ratios", [[np.nan], ["a"], "0.3", None, 0.3])
    def test_sharpe_ratios_of_trials_are_numbers(self, ratios):
        with pytest.raises(ValueError, match="'trial_sharpe_ratios' must be finite numbers"):
            BacktestReport(result(), trial_sharpe_ratios=ratios)

    def test_sharpe_ratios_that_can_be_read_once_are_not_lost(self):
        content = BacktestReport(result(), trial_sharpe_ratios=(figure for figure in (0.3, 0.4))).content
        assert content.manifest["report"]["trial_sharpe_ratios"] == [0.3, 0.4]

    def test_comparison_and_audit_have_their_types(self):
        with pytest.raises(PanelError, match="'comparison' must be of type ExplainerComparison, or None. Got dict"):
            BacktestReport(result(), comparison={})
        with pytest.raises(PanelError, match="'audit' must be of type LeakageReport, or None. Got str"):
            BacktestReport(result(), audit="clean")
        assert BacktestReport(result(), audit=LeakageReport(())).content


class TestImports:
    def test_a_report_loads_neither_plotly_nor_docx(self):
        import subprocess

        code = "import sys, skdrfm.report; print([m for m in ('plotly', 'docx', 'tensorflow') if m in sys.modules])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"
