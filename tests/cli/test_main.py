"""The program as a whole: help, completion, and how it ends."""

import json
import subprocess
import sys
import time

import click
import pytest

from skdrfm import __version__, exceptions
from skdrfm.cli import _audit, _console, _explain, _study, main

COMMANDS = ["describe", "audit", "study", "report", "explain", "completion"]
PYTHON = [sys.executable, "-m", "skdrfm"]


class TestHelp:
    @pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
    def test_help_names_the_commands_in_the_order_of_use(self, run, arguments):
        output = run(*arguments).output
        found = [line.split()[0] for line in output.split("Commands:")[1].splitlines() if line.startswith("  ")]
        assert found[: len(COMMANDS)] == COMMANDS

    @pytest.mark.parametrize("name", COMMANDS)
    def test_help_of_each_command_names_every_option_and_fits_80_columns(self, run, name):
        output = run(name, "--help").output
        for param in main.commands[name].params:
            shown = param.opts[0] if isinstance(param, click.Option) else param.make_metavar(click.Context(main))
            assert shown in output
        wide = [line for line in output.splitlines() if len(line) > 80]
        assert not wide or name == "completion"

    @pytest.mark.parametrize("name", COMMANDS[:-1])
    def test_help_of_each_command_has_an_example_and_its_exit_codes(self, run, name):
        output = run(name, "--help").output
        assert f"skdrfm {name} " in output.split("Example")[1]
        assert "Exit codes: 0" in output

    def test_version_is_that_of_the_package(self, run):
        assert run("--version").output == f"skdrfm, version {__version__}\n"

    def test_help_loads_nothing_heavy(self):
        code = (
            "import sys; from skdrfm.cli import main\n"
            f"for name in {COMMANDS!r}: main([name, '--help'], standalone_mode=False)\n"
            "main(['completion', 'zsh'], standalone_mode=False)\n"
            "assert not {'numpy', 'pandas', 'sklearn', 'matplotlib', 'tensorflow', 'tqdm'} & set(sys.modules)"
        )
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        # Python and click alone; NumPy and pandas would take seconds on a busy machine.
        assert time.perf_counter() - began < 20


class TestNamesWrittenOut:
    def test_models_to_complete_are_those_of_the_paper(self):
        from skdrfm.factor_model import paper_models

        assert tuple(paper_models()) == _study.MODELS

    def test_checks_to_complete_are_those_of_the_audit(self):
        from skdrfm.inspection import LEAKAGE_CHECKS

        assert tuple(LEAKAGE_CHECKS) == _audit.CHECKS

    def test_rules_are_those_of_lrp(self):
        from skdrfm.lrp import METHODS

        assert METHODS == _explain.RULES


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_script_calls_the_program_back(self, run, shell):
        output = run("completion", shell).stdout
        assert "_SKDRFM_COMPLETE=" in output
        assert f"{shell}_complete" in output

    def test_other_shells_are_refused(self, run):
        assert run("completion", "tcsh").exit_code == 2

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ("skdrfm aud", {"audit"}),
            ("skdrfm study --models LSTM,li", {"LSTM,Linear"}),
            ("skdrfm study --models LSTM,l", {"LSTM,LSTM+LRP", "LSTM,Linear"}),
            ("skdrfm explain --rule arras", {"arras-decay", "arras-2017"}),
        ],
    )
    def test_values_are_completed(self, words, expected):
        environment = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1), "PATH": ""}
        code = "from skdrfm.cli import main; main(prog_name='skdrfm')"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, "_SKDRFM_COMPLETE": "bash_complete"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert {line.split(",", 1)[1] for line in done.stdout.split()} == expected


@pytest.fixture
def raising(monkeypatch):
    """Make a command that raises."""

    def make(error, **options):
        @click.command("fail")
        def fail():
            with _console.running(**options):
                raise error

        monkeypatch.setitem(main.commands, "fail", fail)

    return make


class TestEnds:
    def test_bad_input_is_one_message_and_2(self, run, raising):
        raising(exceptions.PanelError("X must be a panel."))
        result = run("fail")
        assert (result.exit_code, result.stdout, result.stderr) == (2, "", "Error: X must be a panel.\n")

    def test_interruption_is_130_and_says_how_to_go_on(self, run, raising):
        raising(KeyboardInterrupt(), interrupted=lambda: "Run it again.")
        result = run("fail")
        assert (result.exit_code, result.stdout, result.stderr) == (130, "", "\nInterrupted. Run it again.\n")

    def test_interruption_outside_of_the_work_is_130_too(self, run, monkeypatch):
        @click.command("fail")
        def fail():
            raise KeyboardInterrupt

        monkeypatch.setitem(main.commands, "fail", fail)
        assert run("fail").exit_code == 130

    def test_a_fault_of_ours_has_a_traceback_and_is_not_taken_for_a_finding(self, run, raising):
        raising(ZeroDivisionError("oh"))
        result = run("fail")
        assert result.exit_code == 70
        assert "ZeroDivisionError: oh" in result.stderr
        assert "fault of skdrfm" in result.stderr

    def test_a_warning_is_one_line_without_the_place_in_the_code(self, run, monkeypatch):
        import warnings

        @click.command("warn")
        def warn():
            with _console.running():
                warnings.simplefilter("default")
                warnings.warn("3 dates have too few names.", exceptions.CoverageWarning, stacklevel=1)

        monkeypatch.setitem(main.commands, "warn", warn)
        result = run("warn")
        assert (result.stdout, result.stderr) == ("", "Warning: 3 dates have too few names.\n")

    def test_a_reader_that_goes_leaves_no_words_behind(self, panel):
        reader = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)
        reader.wait()
        done = subprocess.run(
            [*PYTHON, "describe", str(panel)], stdout=reader.stdin, stderr=subprocess.PIPE, text=True, check=False
        )
        reader.stdin.close()
        assert (done.returncode, done.stderr) == (141, "")

    def test_unknown_commands_are_refused(self, run):
        result = run("stuyd")
        assert result.exit_code == 2
        assert "No such command 'stuyd'" in result.stderr


class TestText:
    def test_control_characters_do_not_reach_the_terminal(self):
        assert _console.printable("a\x1b[31m\nb\u202e") == "a\\x1b[31m\nb\\u202e"

    def test_letters_that_stdout_lacks_are_written_as_codes(self, tmp_path, table):
        path = tmp_path / "p.csv"
        table.rename(columns={"forward": "return", "BETA": "βήτα"}).to_csv(path, index=False)
        done = subprocess.run(
            [*PYTHON, "describe", str(path)], env={"PYTHONIOENCODING": "ascii"}, capture_output=True, check=False
        )
        assert done.returncode == 0
        assert b"\\u03b2\\u03ae" in done.stdout

    def test_json_has_neither_nan_nor_numpy(self):
        import numpy as np
        import pandas as pd

        value = {"a": np.float64("nan"), "b": np.arange(2), "c": pd.Timestamp("2020-01-31"), "d": pd.NaT, 1: np.True_}
        text = json.dumps(_console.plain(value), allow_nan=False)
        assert json.loads(text) == {"a": None, "b": [0, 1], "c": "2020-01-31", "d": None, "1": True}
