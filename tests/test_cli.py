import os
import re
import subprocess
import sys
import warnings

import click
import pandas as pd
import pytest
from click.testing import CliRunner

from skdrfm import __version__, cli, study
from skdrfm.datasets import make_factor_panel
from skdrfm.datasets._panel_file import EXACT_FLOATS
from skdrfm.exceptions import CoverageWarning

SMALL = ["--models", "Linear", "--train-size", "24", "--lags", "0,3", "--quantiles", "3", "--quiet"]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Undo afterwards what the command sets in the environment."""
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "1")


@pytest.fixture(scope="module")
def table():
    """33 months of 12 stocks, one row for each; the last column is the return of the next month."""
    X, y = make_factor_panel(n_dates=33, n_assets=12, n_descriptors=3, random_state=0)
    return X.assign(LOGDV=X["BETA"] ** 2, forward=y).reset_index()


@pytest.fixture
def panel(table, tmp_path):
    path = tmp_path / "panel.csv"
    table.rename(columns={"forward": "return"}).to_csv(path, index=False)
    return path


def run(*arguments):
    return CliRunner().invoke(cli.main, ["study", *map(str, arguments)])


class TestHelp:
    @pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
    def test_help_names_the_command(self, arguments):
        assert "study" in CliRunner().invoke(cli.main, arguments).output

    def test_help_of_the_study_names_every_option(self):
        output = run("--help").output
        for option in cli.main.commands["study"].params:
            assert option.opts[0] in output

    def test_version_is_that_of_the_package(self):
        assert CliRunner().invoke(cli.main, ["--version"]).output == f"skdrfm, version {__version__}\n"

    def test_help_loads_nothing_heavy(self):
        code = (
            "import sys; from skdrfm.cli import main; main(['study', '--help'], standalone_mode=False); "
            "assert not {'numpy', 'pandas', 'sklearn', 'matplotlib', 'tensorflow'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


class TestStudy:
    def test_a_panel_file_becomes_a_folder_and_a_summary(self, panel, tmp_path):
        out = tmp_path / "out"
        result = run("--data", panel, *SMALL, "--returns-are-forward", "--out", out, "--group", "Size=LOGDV")
        assert result.exit_code == 0, result.output
        assert f"Open {out / 'index.html'}" in result.output
        assert (out / "index.html").exists()
        assert len(list((out / "checkpoint").rglob("window-*.npz"))) == 6
        manifest = pd.read_json(out / "manifest.json", typ="series")
        assert manifest["options"]["groups"]["Size"] == ["LOGDV"]
        assert manifest["data"] == {"source": "panel.csv, 396 rows, 4 descriptors", "simulated": False}
        figures = pd.read_csv(out / "table.csv", index_col=0, **EXACT_FLOATS)
        assert f"{figures.loc['Linear', 'Return [%]']:.2f}" in result.output
        assert "Published by Nakagawa et al. (2019)" in result.output
        assert "36  dropped: history shorter than the lags" in result.output
        assert "Walk forward" not in result.output

    def test_without_a_file_the_simulated_panel_is_used(self, tmp_path, monkeypatch):
        monkeypatch.setattr(cli, "_EMBEDDED", {"n_dates": 30, "n_assets": 12})
        result = run(*SMALL, "--seed", 7, "--out", tmp_path / "out", "--checkpoint", tmp_path / "windows")
        assert result.exit_code == 0, result.output
        assert "simulated panel of 30 months and 12 stocks, seed 7" in result.output
        assert "no real market forecasts this well" in result.output
        assert "Simulated panel." in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
        assert (tmp_path / "windows").is_dir()
        assert not (tmp_path / "out" / "checkpoint").exists()

    def test_columns_months_and_costs_are_passed_on(self, table, tmp_path, monkeypatch):
        path = tmp_path / "other.csv"
        renamed = table.rename(columns={"date": "month", "asset": "ticker", "forward": "ret"})
        renamed.assign(big=1, note="text").to_csv(path, index=False)
        seen = {}

        def remember(X, y, **options):
            seen.update(options, X=X, y=y)
            raise cli.SkdrfmError("seen enough")

        monkeypatch.setattr(study, "run_study", remember)
        columns = ["--date-column", "month", "--asset-column", "ticker", "--return-column", "ret"]
        choice = ["--descriptors", "BETA, SKEW", "--universe-column", "big"]
        months = ["--start", "2002-06", "--end", "2002-08", "--cost", "0.002", "--jobs", "2", "--seed", "3"]
        months += ["--seeds", "4", "--refit-every", "6"]
        result = run("--data", path, *columns, *choice, *months, "--out", tmp_path / "out")
        assert "Error: seen enough" in result.output
        assert list(seen["X"].columns) == ["BETA", "SKEW"]
        assert seen["universe"].all()
        # The return of a row is that of the month that ends there, so the forward return is the next row's.
        first = table[table["asset"] == "A01"]
        assert seen["y"].xs("A01", level="asset").iloc[0] == pytest.approx(first["forward"].iloc[1])
        assert (seen["start"], seen["end"], seen["cost"]) == ("2002-06", "2002-08", 0.002)
        assert (seen["n_jobs"], seen["random_state"], seen["lags"]) == (2, 3, (0, 3, 6, 9, 12))
        assert (seen["n_seeds"], seen["refit_every"]) == (4, 6)
        assert seen["models"] is None
        assert seen["groups"] is None
        assert seen["progress"] is True

    @pytest.mark.parametrize(("before", "after"), [(None, "3"), ("0", "0")])
    def test_the_log_of_tensorflow_is_quiet_unless_the_user_says_otherwise(self, monkeypatch, before, after):
        monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
        if before is not None:
            monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", before)
        run("--models", "Nope")
        assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == after


class TestGroups:
    def test_additions_join_a_group_of_the_paper_or_a_new_one(self):
        groups = cli._groups(["CAP", "LOGDV", "ESG"], [("Size", ("LOGDV",)), ("Green", ("ESG",))])
        assert groups["Size"] == ("CAP", "ILLIQ", "LOGDV")
        assert groups["Green"] == ("ESG",)

    def test_a_descriptor_moves_and_is_never_in_two_groups(self):
        groups = cli._groups(["BETA"], [("Market", ("BETA",))])
        assert groups["Risk"] == ("60VOL", "SKEW")
        assert groups["Market"] == ("BETA",)

    def test_without_additions_the_study_decides(self):
        assert cli._groups(["BETA"], []) is None

    def test_a_descriptor_in_two_groups_is_refused(self):
        with pytest.raises(click.BadParameter, match="twice"):
            cli._groups(["BETA"], [("Market", ("BETA",)), ("Size", ("BETA",))])


def broken(panel, name, change):
    """Copy of the panel file with a change."""
    path = panel.with_name(name)
    change(pd.read_csv(panel)).to_csv(path, index=False)
    return path


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
    "row given twice": (
        lambda panel: broken(panel, "twice.csv", lambda frame: pd.concat([frame, frame.head(2)])),
        r"(?i)twice|duplicate|once",
    ),
    "text among numbers": (
        lambda panel: broken(panel, "text.csv", lambda frame: frame.assign(BETA="high")),
        r"'BETA'.* must hold numbers",
    ),
    "dates that are none": (
        lambda panel: broken(panel, "dates.csv", lambda frame: frame.assign(date="soon")),
        r"must hold ISO dates",
    ),
    "descriptor without a value": (
        lambda panel: broken(panel, "void.csv", lambda frame: frame.assign(BETA=float("nan"))),
        r"Got none in 'BETA'",
    ),
}


def write(path, content):
    path.write_bytes(content)
    return path


def assert_refused(result, message, out):
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert re.search(message, result.output), result.output
    assert "Traceback" not in result.output
    assert not out.exists()


class TestBadInput:
    @pytest.mark.parametrize(("arguments", "message"), BAD_INPUT.values(), ids=list(BAD_INPUT))
    def test_options_that_cannot_be_met_are_refused_before_anything_is_written(
        self, panel, tmp_path, arguments, message
    ):
        out = tmp_path / "out"
        assert_refused(run("--data", panel, *SMALL, *arguments, "--out", out), message, out)

    @pytest.mark.parametrize(("make", "message"), BAD_FILES.values(), ids=list(BAD_FILES))
    def test_files_that_are_no_panel_are_refused_before_anything_is_written(self, panel, tmp_path, make, message):
        out = tmp_path / "out"
        assert_refused(run("--data", make(panel), *SMALL, "--out", out), message, out)

    @pytest.mark.parametrize(
        "option",
        [["--descriptors", "BETA"], ["--universe-column", "big"], ["--returns-are-forward"], ["--date-column", "date"]],
    )
    def test_options_of_the_file_need_a_file(self, tmp_path, option):
        out = tmp_path / "out"
        assert_refused(run(*SMALL, *option, "--out", out), f"{option[0]} must come with a panel file", out)

    def test_a_file_in_the_place_of_the_folder_is_refused_and_left_alone(self, panel):
        before = panel.read_bytes()
        result = run("--data", panel, *SMALL, "--out", panel)
        assert result.exit_code == 2
        assert panel.read_bytes() == before

    def test_a_checkpoint_of_another_run_is_refused(self, panel, tmp_path):
        windows = ["--checkpoint", tmp_path / "windows"]
        assert run("--data", panel, *SMALL, *windows, "--out", tmp_path / "first").exit_code == 0
        result = run("--data", panel, *SMALL, *windows, "--train-size", "25", "--out", tmp_path / "second")
        assert_refused(result, "must belong to the same run", tmp_path / "second")

    def test_the_message_goes_to_stderr_and_no_traceback_with_it(self, tmp_path):
        command = [sys.executable, "-m", "skdrfm", "study", "--models", "Lasso", "--out", str(tmp_path / "out")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stdout == ""
        assert "Error: Invalid value for '--models'" in done.stderr
        assert "Got Lasso" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_warning_is_one_line_without_the_place_in_the_code(self, capsys):
        with cli._clear_errors():
            warnings.simplefilter("default")
            warnings.warn("3 dates have too few names.", CoverageWarning, stacklevel=1)
        assert capsys.readouterr().err == "Warning: 3 dates have too few names.\n"
