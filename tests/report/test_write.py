import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from skdrfm.datasets._tables import EXACT_FLOATS
from skdrfm.report import BacktestReport, _write, write_study
from skdrfm.report._html import render_html
from skdrfm.study import PUBLISHED

FILES = {
    "index.html",
    "manifest.json",
    "table.csv",
    "published.csv",
    "predictions.csv",
    "long_short_returns.csv",
    "quantile_returns.csv",
    "contributions.csv",
    "relevance_by_lag.csv",
    "coverage.csv",
    "windows.csv",
    "fits.csv",
}


def read(folder, name, index):
    table = pd.read_csv(folder / f"{name}.csv", **EXACT_FLOATS)
    if "date" in table:
        table["date"] = pd.to_datetime(table["date"])
    return table.set_index(index)


def same(found, expected):
    pd.testing.assert_frame_equal(
        found,
        expected,
        check_exact=True,
        check_names=False,
        check_freq=False,
        check_column_type=False,
        check_index_type=False,
    )


def files_in(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


class TestFiles:
    """What other programs read: plain CSV, without anything of ours."""

    def test_the_folder_is_complete(self, folder):
        assert files_in(folder) == FILES

    def test_the_table_reads_back_equal(self, study, folder):
        same(read(folder, "table", "model"), study.table)

    def test_published_figures_read_back_equal_and_are_labelled(self, folder):
        found = read(folder, "published", "model")
        assert found.pop("note").str.startswith("Published by Nakagawa et al. (2019)").all()
        same(found, PUBLISHED)

    def test_predictions_read_back_equal(self, study, folder):
        found = read(folder, "predictions", ["date", "asset"])
        same(found, pd.DataFrame({"realised": study.realised, "Linear": study.results["Linear"].predictions}))

    def test_long_short_returns_read_back_equal(self, study, folder):
        same(read(folder, "long_short_returns", "date"), study.backtests["Linear"].long_short.to_frame("Linear"))

    def test_quantile_returns_read_back_equal(self, study, folder):
        found = read(folder, "quantile_returns", ["model", "date", "quantile"]).loc["Linear", "return"].unstack()
        same(found, study.backtests["Linear"].quantile_returns)

    @pytest.mark.parametrize(("column", "attribute"), [("share", "contributions"), ("signed", "signed_contributions")])
    def test_contributions_read_back_equal(self, study, folder, column, attribute):
        expected = getattr(study, attribute)["Linear"]
        found = read(folder, "contributions", ["model", "date", "group"]).loc["Linear", column].unstack()
        same(found[list(expected.columns)], expected)

    def test_shares_of_lags_read_back_equal(self, study, folder):
        expected = study.relevance_by_lag["Linear"]
        found = read(folder, "relevance_by_lag", ["model", "date", "lag"]).loc["Linear", "share"].unstack()
        same(found[list(expected.columns)], expected)

    def test_coverage_reads_back_equal(self, study, folder):
        same(read(folder, "coverage", "date"), study.coverage)

    def test_windows_read_back_equal(self, study, folder):
        found = read(folder, "windows", "window")
        for name in ("train_start", "train_end", "test_start", "test_end"):
            found[name] = pd.to_datetime(found[name])
        pd.testing.assert_frame_equal(found, study.windows, check_dtype=False)

    def test_the_manifest_says_what_the_data_is(self, study, folder):
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        assert manifest.pop("data") == {"source": "twelve simulated stocks", "simulated": True}
        assert set(manifest.pop("folder")["files"]) == FILES - {"index.html", "manifest.json"}
        assert manifest == json.loads(json.dumps(dict(study.manifest)))

    def test_numbers_of_numpy_are_numbers_in_the_manifest(self, study, tmp_path, quick):
        options = {**study.manifest["options"], "n_quantiles": np.int64(3), "cost": np.float64(0.001)}
        write_study(replace(study, manifest={**study.manifest, "options": options}), tmp_path)
        manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
        assert manifest["options"]["n_quantiles"] == 3
        assert manifest["options"]["cost"] == 0.001


@pytest.fixture
def quick(monkeypatch):
    """Write the title of the report for a page, which takes no time."""
    monkeypatch.setattr(_write, "render_html", lambda content: f"<p>{content.summary[0].text}</p>")


class TestPage:
    def test_it_is_that_of_the_report(self, study, folder):
        report = BacktestReport(study, source="twelve simulated stocks", simulated=True)
        assert (folder / "index.html").read_text(encoding="utf-8") == render_html(report.content)

    def test_source_and_simulation_are_those_of_the_manifest_unless_they_are_given(self, study, tmp_path, quick):
        known = replace(study, manifest={**study.manifest, "data": {"source": "old", "simulated": True}})

        def data(**options):
            write_study(known, tmp_path, **options)
            return json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))["data"]

        assert data() == {"source": "old", "simulated": True}
        assert data(source="new") == {"source": "new", "simulated": True}


@pytest.mark.usefixtures("quick")
class TestWriting:
    def test_evidence_has_files_of_its_own(self, with_evidence, tmp_path):
        write_study(with_evidence, tmp_path)
        assert files_in(tmp_path) == FILES | {"agreement.csv", "explainer_costs.csv", "findings.csv"}
        same(read(tmp_path, "agreement", "method"), with_evidence.agreement)
        same(read(tmp_path, "explainer_costs", "method"), with_evidence.explainer_costs)
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "findings.csv"), with_evidence.findings)

    def test_an_older_study_is_replaced_and_other_files_stay(self, study, with_evidence, tmp_path):
        write_study(with_evidence, tmp_path, source="old")
        (tmp_path / "notes.txt").write_text("mine")
        (tmp_path / "figures").mkdir()
        (tmp_path / "figures" / "windows.svg").write_text("of a version before")
        plain = replace(study, contributions={}, signed_contributions={}, relevance_by_lag={})
        write_study(plain, tmp_path, source="new")
        assert files_in(tmp_path) == FILES - {"contributions.csv", "relevance_by_lag.csv"} | {"notes.txt"}
        assert json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))["data"]["source"] == "new"

    def test_missing_folders_are_made(self, study, tmp_path):
        page = write_study(study, str(tmp_path / "a" / "b"))
        assert page == tmp_path / "a" / "b" / "index.html"
        assert page.exists()

    def test_a_failure_while_the_page_is_made_writes_nothing(self, study, tmp_path, monkeypatch):
        def fail(*args, **options):
            raise RuntimeError("no page")

        monkeypatch.setattr(_write, "render_html", fail)
        with pytest.raises(RuntimeError, match="no page"):
            write_study(study, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_a_failure_while_writing_leaves_the_old_page(self, study, tmp_path, monkeypatch):
        before = write_study(study, tmp_path).read_bytes()
        moving = type(tmp_path).replace

        def fail(path, target):
            if target.name == "windows.csv":
                raise OSError("disk is full")
            return moving(path, target)

        monkeypatch.setattr(type(tmp_path), "replace", fail)
        monkeypatch.setattr(_write, "render_html", lambda content: "new")
        with pytest.raises(OSError, match="disk is full"):
            write_study(study, tmp_path)
        assert (tmp_path / "index.html").read_bytes() == before
        assert not list(tmp_path.rglob("*.part"))

    def test_the_study_is_left_as_it_was(self, study, tmp_path):
        before = study.table.copy(), dict(study.manifest), study.realised.copy()
        write_study(study, tmp_path, source="told")
        pd.testing.assert_frame_equal(study.table, before[0])
        assert dict(study.manifest) == before[1]
        pd.testing.assert_series_equal(study.realised, before[2])
