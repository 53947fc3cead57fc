import json

import numpy as np
import pandas as pd
import pytest


def facts_of(result):
    assert result.exit_code in (0, 1), result.output
    return json.loads(result.stdout)


class TestDescribe:
    def test_numbers_are_those_of_the_file(self, run, panel, table):
        facts = facts_of(run("describe", panel, "--json", "--returns-are-forward"))
        assert facts["faults"] == []
        assert facts["rows"] == len(table)
        assert facts["dates"] == {"first": "2000-01-31", "last": "2002-09-30", "count": 33}
        assert facts["assets"] == {"count": 12, "per_date": {"min": 12, "median": 12.0, "max": 12}}
        assert facts["gaps"] == {"missing_months": [], "assets": 0, "rows": 0}
        assert facts["duplicates"] == {"rows": 0, "keys": 0}
        returns = facts["returns"]
        assert (returns["count"], returns["missing"], returns["forward"]) == (396, 0, True)
        for name in ("mean", "std", "min", "median", "max"):
            assert returns[name] == pytest.approx(getattr(table["forward"], name)())
        assert returns["q99"] == pytest.approx(table["forward"].quantile(0.99))
        assert [found["name"] for found in facts["descriptors"]] == ["60VOL", "BETA", "SKEW", "LOGDV"]

    def test_coverage_counts_values_by_date(self, run, broken):
        def hide(frame):
            first, last = frame["date"].min(), frame["date"].max()
            hidden = (frame["date"] == first) | ((frame["date"] == last) & frame["asset"].isin(["A01", "A02", "A03"]))
            return frame.assign(BETA=frame["BETA"].mask(hidden))

        beta = facts_of(run("describe", broken(hide), "--json"))["descriptors"][1]
        assert beta["coverage"] == pytest.approx(1 - 15 / 396)
        assert (beta["lowest_coverage"], beta["lowest_date"]) == (0.0, "2000-01-31")
        assert (beta["first"], beta["last"]) == ("2000-02-29", "2002-09-30")

    def test_gaps_of_months_and_of_histories_are_found(self, run, broken):
        def cut(frame):
            whole_month = frame["date"] == pd.Timestamp("2001-05-31")
            one_row = (frame["date"] == pd.Timestamp("2001-07-31")) & (frame["asset"] == "A01")
            return frame[~whole_month & ~one_row]

        result = run("describe", broken(cut), "--json")
        assert facts_of(result)["gaps"] == {"missing_months": ["2001-05"], "assets": 12, "rows": 13}
        assert result.exit_code == 0

    def test_text_fits_80_columns_and_has_the_numbers(self, run, panel):
        result = run("describe", panel)
        assert result.exit_code == 0
        assert max(map(len, result.stdout.splitlines())) <= 80
        assert "396 rows, 33 dates from 2000-01-31 to" in result.stdout
        assert "Gaps: none" in result.stdout
        assert "of the month that ends at the date" in result.stdout
        assert result.stderr == ""

    def test_dates_are_written_without_a_time_zone(self, run, panel, broken):
        zoned = broken(lambda frame: frame.assign(date=frame["date"].dt.tz_localize("UTC")), panel.name)
        with_zone = run("describe", zoned)
        assert "33 dates from 2000-01-31 to" in with_zone.stdout
        assert with_zone.stderr == ""

    def test_a_universe_is_no_descriptor(self, run, broken):
        path = broken(lambda frame: frame.assign(big=np.arange(len(frame)) % 2))
        facts = facts_of(run("describe", path, "--universe-column", "big", "--json"))
        assert facts["universe"] == {"column": "big", "share": 0.5}
        assert "big" not in [found["name"] for found in facts["descriptors"]]

    def test_true_and_false_are_numbers_as_for_a_study(self, run, broken):
        path = broken(lambda frame: frame.assign(big=frame["asset"] == "A01"))
        result = run("describe", path, "--json")
        assert result.exit_code == 0
        assert facts_of(result)["descriptors"][-1]["coverage"] == 1.0


FAULTS = {
    "repeated keys": (lambda frame: pd.concat([frame, frame.head(2)]), "2 rows repeat the date and asset of another"),
    "two rows in a month": (
        lambda frame: pd.concat([frame, frame.head(1).assign(date="2000-01-15")]),
        "1 row is a second row of an asset in a month",
    ),
    "text": (lambda frame: frame.assign(BETA="high"), "'BETA' holds 396 values that are no numbers, such as 'high'"),
    "no value": (lambda frame: frame.assign(BETA=np.nan), "'BETA' has no value"),
    "infinity": (lambda frame: frame.assign(BETA=np.inf), "'BETA' has 396 infinite values"),
    "no returns": (lambda frame: frame.drop(columns="return"), "no return column 'return'"),
    "text for returns": (lambda frame: frame.assign(**{"return": "x"}), "'return' holds 396 values that are no num"),
    "infinite returns": (lambda frame: frame.assign(**{"return": np.inf}), "'return' has 396 infinite values"),
    "no value for returns": (lambda frame: frame.assign(**{"return": np.nan}), "'return' has no value"),
    "returns in percent": (lambda frame: frame.assign(**{"return": -5.0}), "396 values below -1"),
    "no descriptor": (lambda frame: frame[["date", "asset", "return"]], "no descriptor column"),
    "rows without a date": (
        lambda frame: frame.assign(date=frame["date"].mask(frame["asset"] == "A01")),
        "33 rows have",
    ),
}


class TestFaults:
    @pytest.mark.parametrize(("change", "message"), FAULTS.values(), ids=list(FAULTS))
    def test_what_a_study_refuses_is_a_fault_and_1(self, run, broken, change, message):
        result = run("describe", broken(change), "--json")
        assert result.exit_code == 1, result.output
        (fault,) = facts_of(result)["faults"]
        assert message in fault

    def test_faults_are_named_in_the_text(self, run, broken):
        result = run("describe", broken(lambda frame: frame.assign(BETA=np.nan)))
        assert result.exit_code == 1
        assert "Fault: The descriptor 'BETA' has no value." in result.stdout


BAD = {
    "absent": (lambda path: path.with_name("absent.csv"), "does not exist"),
    "folder": (lambda path: path.parent, "is a directory"),
    "other kind": (lambda path: path.rename(path.with_suffix(".xlsx")), "ending in .csv"),
    "empty": (lambda path: fill(path, b""), "must be a readable CSV"),
    "binary": (lambda path: fill(path, b"\xff\xfe\x00\x01" * 50), "must be a readable CSV"),
    "header alone": (lambda path: fill(path, b"date,asset,BETA,return\n"), "must have a row with a date"),
}


def fill(path, content):
    path.write_bytes(content)
    return path


class TestBadInput:
    @pytest.mark.parametrize(("make", "message"), BAD.values(), ids=list(BAD))
    def test_a_file_that_is_no_panel_is_refused(self, run, panel, make, message):
        result = run("describe", make(panel), "--json")
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr

    @pytest.mark.parametrize("option", ["--date-column", "--asset-column", "--universe-column", "--descriptors"])
    def test_a_column_that_is_not_there_is_refused_with_the_option_that_names_it(self, run, panel, option):
        result = run("describe", panel, option, "nope")
        assert result.exit_code == 2
        assert "must have the columns 'nope'" in result.stderr
        assert f"Name the columns by {option}." in result.stderr
