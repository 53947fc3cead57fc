import json

import pytest

from skdrfm.report import BacktestReport, read_study
from skdrfm.report import write_study as write
from skdrfm.study import run_study


@pytest.fixture(scope="session")
def finished(table, tmp_path_factory):
    """Folder of a study."""
    frame = table.set_index(["date", "asset"])
    study = run_study(
        frame.drop(columns="forward"),
        frame["forward"],
        models=["Linear"],
        train_size=24,
        lags=(0, 3),
        n_quantiles=3,
        progress=False,
    )
    folder = tmp_path_factory.mktemp("report") / "run"
    write(study, folder, source="twelve stocks", simulated=True)
    return folder


class TestReport:
    def test_markdown_is_that_of_the_report(self, run, finished, tmp_path):
        expected = BacktestReport(read_study(finished)).to_markdown()
        result = run("report", finished, "--out", "-")
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.rstrip("\n") == expected.rstrip("\n")
        out = tmp_path / "below" / "report.md"
        assert run("report", finished, "--out", out).exit_code == 0
        assert out.read_text(encoding="utf-8") == expected

    @pytest.mark.parametrize(("kind", "beginning"), [("html", b"<!doctype html>"), ("docx", b"PK")])
    def test_documents_are_written_into_the_folder_by_default(self, run, finished, kind, beginning):
        result = run("report", finished, "--format", kind, "--json")
        assert result.exit_code == 0, result.output
        document = json.loads(result.stdout)
        assert document["file"] == str(finished / f"report.{kind}")
        content = (finished / f"report.{kind}").read_bytes()
        assert content[: len(beginning)].lower() == beginning.lower()
        assert document["bytes"] == len(content)
        assert document["sections"][0] == "Results"
        read_study(finished)

    def test_title_and_trials_are_passed_on(self, run, finished):
        output = run("report", finished, "--out", "-", "--title", "Mine alone", "--trials", 40).stdout
        assert output.startswith("# Mine alone\n")
        assert output != run("report", finished, "--out", "-", "--title", "Mine alone").stdout

    def test_text_names_the_file_alone_on_stdout(self, run, finished, tmp_path):
        out = tmp_path / "r.markdown"
        result = run("report", finished, "--out", out)
        assert result.stdout == f"{out}\n"
        assert "sections" in result.stderr
        assert run("report", finished, "--out", out, "--quiet").stderr == ""


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--out", "r.pdf"], "ending in .html, .htm, .docx, .md, .markdown. Got 'r.pdf'"),
            (["--out", "r.docx", "--format", "md"], "ending in .md, .markdown. Got 'r.docx'"),
            (["--out", "-", "--format", "html"], "must be Markdown"),
            (["--out", "-", "--json"], "must be Markdown, without --json"),
            (["--format", "pdf"], "'pdf' is not one of"),
            (["--trials", "1"], "'--trials'"),
            (["--trials", "inf"], "'--trials'"),
        ],
    )
    def test_options_that_do_not_fit_are_refused(self, run, finished, arguments, message, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        result = run("report", finished, *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr
        assert not list(tmp_path.iterdir())

    def test_folders_that_are_no_study_are_refused(self, run, tmp_path, panel):
        assert "manifest.json" in run("report", tmp_path).stderr
        assert run("report", tmp_path).exit_code == 2
        assert "does not exist" in run("report", tmp_path / "absent").stderr
        assert "is a file" in run("report", panel).stderr

    def test_a_changed_table_is_refused(self, run, finished, tmp_path):
        import shutil

        copy = tmp_path / "copy"
        shutil.copytree(finished, copy, ignore=shutil.ignore_patterns("report.*"))
        with (copy / "table.csv").open("a") as stream:
            stream.write("x")
        result = run("report", copy)
        assert result.exit_code == 2
        assert "table.csv" in result.stderr
        assert not (copy / "report.html").exists()
