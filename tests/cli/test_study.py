import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import click
import pandas as pd
import pytest

from skdrfm import study
from skdrfm.cli import _panel, _study
from skdrfm.cli._study_output import write_summary
from skdrfm.datasets._panel_file import EXACT_FLOATS
from skdrfm.exceptions import SkdrfmError
from skdrfm.inspection import Finding, LeakageReport
from skdrfm.report import read_study

SMALL = ["--models", "Linear", "--train-size", "24", "--lags", "0,3", "--quantiles", "3", "--quiet"]


class TestStudy:
    def test_a_panel_file_becomes_a_folder_and_a_summary(self, run, panel, tmp_path):
        out = tmp_path / "out"
        result = run("study", "--data", panel, *SMALL, "--returns-are-forward", "--out", out, "--group", "Size=LOGDV")
        assert result.exit_code == 0, result.output
        assert result.stderr == ""
        assert f"Open {out / 'index.html'}" in result.stdout
        assert (out / "index.html").exists()
        assert len(list((out / "checkpoint").rglob("window-*.npz"))) == 6
        manifest = pd.read_json(out / "manifest.json", typ="series")
        assert manifest["options"]["groups"]["Size"] == ["LOGDV"]
        assert manifest["data"] == {"source": "panel.csv, 396 rows, 4 descriptors", "simulated": False}
        figures = pd.read_csv(out / "table.csv", index_col=0, **EXACT_FLOATS)
        assert f"{figures.loc['Linear', 'Return [%]']:.2f}" in result.stdout
        assert "Published by Nakagawa et al. (2019)" in result.stdout
        assert "36  dropped: history shorter than the lags" in result.stdout
        assert max(len(line) for line in result.stdout.splitlines() if not line.startswith("Open")) <= 80

    def test_json_is_one_document_with_the_figures_of_the_files(self, run, panel, tmp_path):
        out = tmp_path / "out"
        result = run("study", "--data", panel, *SMALL, "--returns-are-forward", "--out", out, "--json")
        assert result.exit_code == 0, result.output
        document = json.loads(result.stdout)
        figures = pd.read_csv(out / "table.csv", index_col=0, **EXACT_FLOATS)
        assert document["table"] == [{"model": "Linear", **figures.loc["Linear"]}]
        assert document["page"] == str(out / "index.html")
        assert document["test_months"]["count"] == 6
        assert document["rows"]["given"] == 396
        assert document["findings"] is None

    @pytest.mark.parametrize("found", [True, False])
    def test_findings_of_the_audit_are_in_text_and_json(self, panel, run, tmp_path, capsys, found):
        out = tmp_path / "out"
        assert run("study", "--data", panel, *SMALL, "--out", out).exit_code == 0
        finding = Finding("date_cut", "error", "A date is cut.", "2001-03-31 is on both sides.", "Split by dates.")
        findings = LeakageReport((finding,) if found else (), {}).to_frame()
        result = replace(read_study(out), findings=findings)
        options = {"source": "here", "simulated": False}
        write_summary(result, out / "index.html", **options, as_json=False)
        text = capsys.readouterr().out
        assert ("[error] date_cut: A date is cut." in text) is found
        assert ("Audit for leaks: nothing found" in text) is not found
        write_summary(result, out / "index.html", **options, as_json=True)
        document = json.loads(capsys.readouterr().out)
        assert document["findings"] == ([vars(finding)] if found else [])

    def test_without_a_file_the_simulated_panel_is_used(self, run, tmp_path, monkeypatch):
        monkeypatch.setattr(_study, "EMBEDDED", {"n_dates": 30, "n_assets": 12})
        result = run("study", *SMALL, "--seed", 7, "--out", tmp_path / "out", "--checkpoint", tmp_path / "windows")
        assert result.exit_code == 0, result.output
        assert "simulated panel of 30 months and 12 stocks, seed 7" in result.stdout
        assert "no real market forecasts this well" in " ".join(result.stdout.split())
        assert json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))["data"]["simulated"] is True
        assert (tmp_path / "windows").is_dir()
        assert not (tmp_path / "out" / "checkpoint").exists()

    @pytest.mark.parametrize(("before", "after"), [(None, "3"), ("0", "0")])
    def test_the_log_of_tensorflow_is_quiet_unless_the_user_says_otherwise(self, run, monkeypatch, before, after):
        monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
        if before is not None:
            monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", before)
        run("study", "--models", "Nope")
        assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == after


@pytest.fixture
def seen(monkeypatch):
    """What the command passes on to run_study, which is not run."""
    found = {}

    def remember(X, y, **options):
        found.update(options, X=X, y=y)
        raise SkdrfmError("seen enough")

    monkeypatch.setattr(study, "run_study", remember)
    return found


class TestPassedOn:
    def test_columns_months_and_costs(self, run, table, tmp_path, seen):
        path = tmp_path / "other.csv"
        renamed = table.rename(columns={"date": "month", "asset": "ticker", "forward": "ret"})
        renamed.assign(big=1, note="text").to_csv(path, index=False)
        columns = ["--date-column", "month", "--asset-column", "ticker", "--return-column", "ret"]
        choice = ["--descriptors", "BETA, SKEW", "--universe-column", "big"]
        months = ["--start", "2002-06", "--end", "2002-08", "--cost", "0.002", "--jobs", "2", "--seed", "3"]
        months += ["--seeds", "4", "--refit-every", "6", "--evidence"]
        result = run("study", "--data", path, *columns, *choice, *months, "--out", tmp_path / "out")
        assert "Error: seen enough" in result.stderr
        assert list(seen["X"].columns) == ["BETA", "SKEW"]
        assert seen["universe"].all()
        # The return of a row is that of the month that ends there, so the forward return is the next row's.
        first = table[table["asset"] == "A01"]
        assert seen["y"].xs("A01", level="asset").iloc[0] == pytest.approx(first["forward"].iloc[1])
        assert (seen["start"], seen["end"], seen["cost"]) == ("2002-06", "2002-08", 0.002)
        assert (seen["n_jobs"], seen["random_state"], seen["lags"]) == (2, 3, (0, 3, 6, 9, 12))
        assert (seen["n_seeds"], seen["refit_every"], seen["evidence"]) == (4, 6, True)
        assert seen["models"] is None
        assert seen["groups"] is None

    def test_no_bar_is_drawn_where_nobody_looks(self, run, panel, seen, monkeypatch):
        run("study", "--data", panel)
        assert seen["progress"] is False
        monkeypatch.setattr("skdrfm.cli._console.sys.stderr", type("Terminal", (), {"isatty": lambda self: True})())
        from skdrfm.cli._console import shows_progress

        assert shows_progress(quiet=False)
        assert not shows_progress(quiet=True)


class TestConfig:
    def test_keys_are_options_and_the_command_line_wins(self, run, panel, tmp_path, seen):
        folder = tmp_path / "settings"
        folder.mkdir()
        panel.rename(folder / "mine.csv")
        config = folder / "study.toml"
        config.write_text(
            'data = "mine.csv"\nmodels = ["Linear", "SVR"]\nlags = [0, 3]\ntrain_size = 24\nquantiles = 3\n'
            'start = "2002-06"\ncost = 0\nreturns-are-forward = true\nout = "results"\nseed = 5\n'
            '[group]\nSize = ["LOGDV"]\nGreen = "SKEW"\n',
            encoding="utf-8",
        )
        result = run("study", "--config", config, "--seed", 8, "--models", "Linear")
        assert "seen enough" in result.stderr
        assert (seen["train_size"], seen["lags"], seen["n_quantiles"], seen["cost"]) == (24, (0, 3), 3, 0.0)
        assert (seen["random_state"], seen["models"], seen["start"]) == (8, ("Linear",), "2002-06")
        # Relative to the file, not to the current folder.
        assert seen["checkpoint"] == folder / "results" / "checkpoint"
        assert seen["groups"]["Size"][-1] == "LOGDV"
        assert seen["groups"]["Green"] == ("SKEW",)
        assert seen["y"].notna().all()

    def test_options_of_the_command_line_may_come_before_the_file(self, run, panel, tmp_path, seen):
        (tmp_path / "study.toml").write_text("train-size = 24\nquantiles = 4", encoding="utf-8")
        run("study", "--train-size", 30, "--data", panel, "--config", tmp_path / "study.toml")
        assert (seen["train_size"], seen["n_quantiles"]) == (30, 4)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("trian-size = 36", r"names of options: data, models, train-size.*Got 'trian-size'. Did you mean 'train-s"),
            ("config = 'x.toml'", r"names of options: .*Got 'config'"),
            ("help = true", r"names of options: .*Got 'help'"),
            ("start = 2009-01", r"must be TOML.*in quotes"),
            ("start = 2009-01-01", r"'start' .* must be text in quotes"),
            ("start = '2009'", r"'start' .*a month such as"),
            ("train-size = 36.5", r"must be a whole number. Got 36.5"),
            ("train-size = true", r"must be a whole number. Got True"),
            ("train-size = '36'", r"must be a whole number. Got '36'"),
            ("train-size = 0", r"'train-size' .*range x>=1"),
            ("train-size = 36\ntrain_size = 24", r"two spellings"),
            ("cost = nan", r"'cost' .*Got nan"),
            ("cost = 'low'", r"must be a number"),
            ("quiet = 1", r"must be true or false. Got 1"),
            ("models = 3", r"must be a list, or text with commas"),
            ("models = []", r"names separated by commas"),
            ("lags = [0, 'a']", r"whole numbers separated by commas"),
            ("lags = [0, true]", r"whole numbers separated by commas"),
            ("lags = [0, 0]", r"each item once"),
            ("group = ['Size']", r"a table of lists"),
            ("group = {Size = 3}", r"a table of lists"),
            ("data = 'absent.csv'", r"'data' .*does not exist"),
            ("data = ''", r"text in quotes"),
            ("[study]\nseed = 1", r"Got 'study'"),
            ("descriptors = 'BETA'", r"--descriptors must come with a panel file"),
        ],
    )
    def test_what_cannot_be_meant_is_refused_with_its_key(self, run, tmp_path, seen, text, message):
        (tmp_path / "study.toml").write_text(text, encoding="utf-8")
        result = run("study", "--config", tmp_path / "study.toml", "--out", tmp_path / "out")
        assert result.exit_code == 2
        assert re.search(message, result.stderr), result.stderr
        assert not seen

    @pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"= 3"])
    def test_a_file_that_is_no_toml_is_refused(self, run, tmp_path, content):
        (tmp_path / "study.toml").write_bytes(content)
        result = run("study", "--config", tmp_path / "study.toml")
        assert result.exit_code == 2
        assert "must be TOML" in result.stderr


class TestResume:
    def test_finished_windows_are_refused_without_resume_and_used_with_it(self, run, panel, tmp_path):
        first = ["study", "--data", panel, *SMALL, "--out", tmp_path / "out"]
        assert run(*first, "--no-resume").exit_code == 0
        windows = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("window-*.npz")}
        result = run(*first, "--no-resume")
        assert result.exit_code == 2
        assert "must be empty. It holds 5 finished windows. Leave --no-resume out" in result.stderr
        assert run(*first).exit_code == 0
        assert {path: path.stat().st_mtime_ns for path in windows} == windows

    def test_an_interrupted_study_says_what_is_kept_and_goes_on(self, run, panel, tmp_path, monkeypatch):
        from skdrfm.model_selection._checkpoint import Checkpoint

        save, saved = Checkpoint.save, []

        def save_three(self, group, window, arrays):
            if len(saved) == 3:
                raise KeyboardInterrupt
            saved.append(window)
            save(self, group, window, arrays)

        command = ["study", "--data", panel, *SMALL, "--out", tmp_path / "out"]
        with monkeypatch.context() as patched:
            patched.setattr(Checkpoint, "save", save_three)
            result = run(*command)
        assert (result.exit_code, result.stdout) == (130, "")
        text = " ".join(result.stderr.split())
        assert f"Interrupted. 3 finished windows are in '{tmp_path / 'out' / 'checkpoint'}'" in text
        assert "The same command goes on from there." in text
        assert not (tmp_path / "out" / "index.html").exists()
        assert run(*command).exit_code == 0

    def test_the_way_on_names_the_option_that_stands_in_it(self, tmp_path):
        assert "starts anew" in _study._how_to_go_on(tmp_path, True)
        (tmp_path / "group").mkdir()
        (tmp_path / "group" / "window-00000.npz").touch()
        assert _study._how_to_go_on(tmp_path, False).endswith("command without --no-resume goes on from there.")
        assert "1 finished window is in" in _study._how_to_go_on(tmp_path, True)


class TestGroups:
    def test_additions_join_a_group_of_the_paper_or_a_new_one(self):
        groups = _panel.groups_with(["CAP", "LOGDV", "ESG"], [("Size", ("LOGDV",)), ("Green", ("ESG",))])
        assert groups["Size"] == ("CAP", "ILLIQ", "LOGDV")
        assert groups["Green"] == ("ESG",)

    def test_a_descriptor_moves_and_is_never_in_two_groups(self):
        groups = _panel.groups_with(["BETA"], [("Market", ("BETA",))])
        assert groups["Risk"] == ("60VOL", "SKEW")
        assert groups["Market"] == ("BETA",)

    def test_without_additions_the_study_decides(self):
        assert _panel.groups_with(["BETA"], []) is None

    def test_a_descriptor_in_two_groups_is_refused(self):
        with pytest.raises(click.BadParameter, match="twice"):
            _panel.groups_with(["BETA"], [("Market", ("BETA",)), ("Size", ("BETA",))])


BAD_INPUT = {
    "unknown model": (["--models", "LSTM,Lasso"], r"Got Lasso"),
    "model named twice": (["--models", "Linear,Linear"], r"each item once"),
    "empty model name": (["--models", "Linear,"], r"separated by commas"),
    "lags that are no numbers": (["--lags", "0,three"], r"whole numbers separated by commas. Got '0,three'"),
    "negative lags": (["--lags", "-1,0"], r">= 0"),
    "lags given twice": (["--lags", "0,0"], r"each item once"),
    "lags beyond the panel": (["--lags", "0,60"], r"(?i)at all lags"),
    "no month": (["--start", "2002"], r"a month such as 2009-01. Got '2002'"),
    "month 13": (["--end", "2002-13"], r"a month such as 2009-01"),
    "start after end": (["--start", "2002-08", "--end", "2002-07"], r"--start must not be after --end"),
    "start after the panel": (["--start", "2050-01"], r"start=2050-01"),
    "too few dates": (["--train-size", "60"], r"Got 29 distinct dates"),
    "training before the panel": (["--start", "2001-01"], r"must have 24 dates before it"),
    "fewer assets than quantiles": (["--quantiles", "20"], r"quantiles \(20\). Got 12 assets"),
    "one quantile": (["--quantiles", "1"], r"(?i)invalid value for '--quantiles'"),
    "negative cost": (["--cost", "-0.1"], r"(?i)invalid value for '--cost'"),
    "cost that is no number": (["--cost", "nan"], r"(?i)invalid value for '--cost'.*Got 'nan'"),
    "group without descriptors": (["--group", "Size"], r"as in Size=LOGDV. Got 'Size'"),
    "group of unknown descriptors": (["--group", "Size=TURNOVER"], r"Got TURNOVER"),
    "missing descriptor": (["--descriptors", "BETA,ROE"], r"Missing: 'ROE'"),
    "missing return column": (["--return-column", "ret"], r"Missing: 'ret'"),
    "missing universe column": (["--universe-column", "big"], r"Missing: 'big'"),
}
BAD_FILES = {
    "no such file": (lambda panel: panel.with_name("absent.csv"), r"does not exist"),
    "folder": (lambda panel: panel.parent, r"(?i)is a directory"),
    "other kind of file": (lambda panel: panel.rename(panel.with_suffix(".xlsx")), r"ending in .csv"),
    "empty file": (lambda panel: write(panel, b""), r"must be a readable CSV"),
    "file that is no text": (lambda panel: write(panel, b"\xff\xfe\x00\x01" * 50), r"must be a readable CSV"),
}
BAD_ROWS = {
    "row given twice": (lambda frame: pd.concat([frame, frame.head(2)]), r"(?i)twice|duplicate|once"),
    "text among numbers": (lambda frame: frame.assign(BETA="high"), r"'BETA'.* must hold numbers"),
    "dates that are none": (lambda frame: frame.assign(date="soon"), r"must hold ISO dates"),
    "descriptor without a value": (lambda frame: frame.assign(BETA=float("nan")), r"Got none in 'BETA'"),
}


def write(path, content):
    path.write_bytes(content)
    return path


def assert_refused(result, message, out):
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert re.search(message, result.stderr), result.stderr
    assert "Traceback" not in result.stderr
    assert not out.exists()


class TestBadInput:
    @pytest.mark.parametrize(("arguments", "message"), BAD_INPUT.values(), ids=list(BAD_INPUT))
    def test_options_that_cannot_be_met_are_refused_before_anything_is_written(
        self, run, panel, tmp_path, arguments, message
    ):
        out = tmp_path / "out"
        assert_refused(run("study", "--data", panel, *SMALL, *arguments, "--out", out), message, out)

    @pytest.mark.parametrize(("make", "message"), BAD_FILES.values(), ids=list(BAD_FILES))
    def test_files_that_are_no_panel_are_refused_before_anything_is_written(self, run, panel, tmp_path, make, message):
        out = tmp_path / "out"
        assert_refused(run("study", "--data", make(panel), *SMALL, "--out", out), message, out)

    @pytest.mark.parametrize(("change", "message"), BAD_ROWS.values(), ids=list(BAD_ROWS))
    def test_rows_that_are_no_panel_are_refused_before_anything_is_written(
        self, run, broken, tmp_path, change, message
    ):
        out = tmp_path / "out"
        assert_refused(run("study", "--data", broken(change), *SMALL, "--out", out), message, out)

    @pytest.mark.parametrize(
        "option",
        [["--descriptors", "BETA"], ["--universe-column", "big"], ["--returns-are-forward"], ["--date-column", "date"]],
    )
    def test_options_of_the_file_need_a_file(self, run, tmp_path, option):
        out = tmp_path / "out"
        assert_refused(run("study", *SMALL, *option, "--out", out), f"{option[0]} must come with a panel file", out)

    def test_a_file_in_the_place_of_the_folder_is_refused_and_left_alone(self, run, panel):
        before = panel.read_bytes()
        assert run("study", "--data", panel, *SMALL, "--out", panel).exit_code == 2
        assert panel.read_bytes() == before

    def test_a_folder_that_cannot_be_made_is_refused_before_the_work(self, run, panel, seen):
        result = run("study", "--data", panel, *SMALL, "--out", panel / "below" / "a-file", "--checkpoint", "x")
        assert result.exit_code == 2
        assert "is a file" in result.stderr
        assert not seen

    def test_a_checkpoint_of_another_run_is_refused(self, run, panel, tmp_path):
        windows = ["--checkpoint", tmp_path / "windows"]
        assert run("study", "--data", panel, *SMALL, *windows, "--out", tmp_path / "first").exit_code == 0
        result = run("study", "--data", panel, *SMALL, *windows, "--train-size", "25", "--out", tmp_path / "second")
        assert_refused(result, "must belong to the same run", tmp_path / "second")

    def test_the_message_goes_to_stderr_and_no_traceback_with_it(self, tmp_path):
        command = [sys.executable, "-m", "skdrfm", "study", "--models", "Lasso", "--out", str(tmp_path / "out")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stdout == ""
        assert "Error: Invalid value for '--models'" in done.stderr
        assert "Got Lasso" in done.stderr
        assert "Traceback" not in done.stderr
