import json

import pandas as pd
import pytest

from skdrfm.datasets import read_panel
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.inspection import LEAKAGE_CHECKS, audit_leakage
from skdrfm.model_selection import WalkForwardSplit

QUICK = ["--train-size", "24", "--windows", "1"]
SOME = ["--checks", "duplicate_keys,target_in_features,percent_target,look_ahead"]


class TestAudit:
    def test_a_clean_panel_ends_with_0(self, run, panel):
        result = run("audit", panel, *QUICK, *SOME, "--returns-are-forward")
        assert result.exit_code == 0, result.output
        assert "panel.csv: 0 errors and 0 warnings in 4 checks (4 passed)" in result.stdout
        assert result.stderr == "Auditing 396 rows of panel.csv ...\n"

    def test_quiet_leaves_the_notes_out(self, run, panel):
        assert run("audit", panel, *QUICK, *SOME, "--returns-are-forward", "-q").stderr == ""

    def test_findings_are_those_of_the_function_and_end_with_1(self, run, broken):
        path = broken(lambda frame: frame.assign(leak=frame["return"]))
        result = run("audit", path, *QUICK, "--returns-are-forward", "--json")
        assert result.exit_code == 1, result.output
        document = json.loads(result.stdout)
        assert document["clean"] is False
        assert set(document["checks"]) == set(LEAKAGE_CHECKS)
        X, y, _ = read_panel(path, returns_are_forward=True)
        expected = audit_leakage(
            LinearFactorRegressor(), X, y, cv=WalkForwardSplit(24), checks={"target_in_features"}
        ).findings[0]
        (finding,) = [found for found in document["findings"] if found["code"] == "target_in_features"]
        assert finding["evidence"] == expected.evidence

    def test_text_has_evidence_and_remedy_within_80_columns(self, run, broken):
        path = broken(lambda frame: frame.assign(leak=frame["return"]))
        result = run("audit", path, *QUICK, "--checks", "target_in_features", "--returns-are-forward")
        assert result.exit_code == 1
        assert "[error] target_in_features" in result.stdout
        assert "Evidence:" in result.stdout
        assert "Remedy:" in result.stdout
        assert max(map(len, result.stdout.splitlines())) <= 80

    def test_returns_are_looked_up_one_month_later(self, run, panel):
        document = json.loads(run("audit", panel, *QUICK, *SOME, "--json").stdout)
        assert document["rows_without_forward_return"] == 12

    @pytest.mark.parametrize("forward", [[], ["--returns-are-forward"]])
    def test_repeated_keys_are_a_finding_and_no_bad_input(self, run, broken, forward):
        path = broken(lambda frame: pd.concat([frame, frame.head(2)]))
        result = run("audit", path, *QUICK, *SOME, *forward, "--json")
        assert result.exit_code == 1, result.output
        document = json.loads(result.stdout)
        assert [found["code"] for found in document["findings"]] == ["duplicate_keys"]
        assert document["checks"]["look_ahead"].startswith("not applicable")

    def test_checks_can_be_left_out(self, run, panel):
        result = run("audit", panel, *QUICK, *SOME, "--skip", "look_ahead", "--json", "--returns-are-forward")
        assert set(json.loads(result.stdout)["checks"]) == {"duplicate_keys", "target_in_features", "percent_target"}


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--checks", "nope"], "must name some of duplicate_keys"),
            (["--skip", "nope"], "Got nope"),
            ([*SOME, "--skip", SOME[1]], "must leave some check"),
            (["--return-column", "ret"], "must have the columns 'ret'"),
            (["--descriptors", "ROE"], "must have the columns 'ROE'"),
            (["--train-size", "60"], "33 distinct dates"),
            (["--windows", "0"], "'--windows'"),
        ],
    )
    def test_is_refused_with_2_and_nothing_on_stdout(self, run, panel, arguments, message):
        result = run("audit", panel, "--json", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr

    def test_text_for_numbers_is_refused(self, run, broken):
        result = run("audit", broken(lambda frame: frame.assign(BETA="high")), *QUICK)
        assert result.exit_code == 2
        assert "'BETA'" in result.stderr
