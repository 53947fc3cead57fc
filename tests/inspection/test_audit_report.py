"""Findings and reports can be read, kept as a table, and not be changed."""

from dataclasses import FrozenInstanceError

import pytest

from skdrfm.inspection import Finding, LeakageReport

WARNING = Finding("survivorship", "warning", "Nothing leaves.", "0 < 5 exits", "Use members.")
ERROR = Finding("date_cut", "error", "A date is cut.", "2001-03-31", "Split by dates.")


def test_a_report_is_ok_only_without_findings_and_failures():
    assert LeakageReport((), {"date_cut": "passed", "survivorship": "not applicable: too short"}).ok
    assert not LeakageReport((), {"look_ahead": "could not run: ValueError: NaN"}).ok
    assert not LeakageReport((WARNING,), {"survivorship": "found"}).ok


def test_findings_are_counted_by_severity_and_tabled():
    report = LeakageReport([ERROR, WARNING, WARNING])
    assert (report.errors, report.warnings) == ((ERROR,), (WARNING, WARNING))
    assert report.codes == ("date_cut", "survivorship")
    assert list(report.to_frame().columns) == ["code", "severity", "title", "evidence", "remedy"]
    assert report.to_frame()["code"].tolist() == ["date_cut", "survivorship", "survivorship"]
    assert LeakageReport(()).to_frame().shape == (0, 5)


def test_a_report_reads_well_and_tells_what_was_not_judged():
    report = LeakageReport((WARNING,), {"survivorship": "found", "date_cut": "could not run: KeyError: 'x'"})
    assert repr(report).splitlines() == [
        "LeakageReport: 0 errors, 1 warning in 2 checks",
        "[warning] survivorship: Nothing leaves.",
        "    evidence: 0 < 5 exits",
        "    remedy: Use members.",
        "date_cut could not run: KeyError: 'x'",
    ]


def test_html_is_escaped_and_has_a_table_only_where_something_was_found():
    report = LeakageReport((WARNING,), {"date_cut": "could not run: <b>"})
    assert "0 &lt; 5 exits" in report._repr_html_()
    assert "<li>date_cut could not run: &lt;b&gt;</li>" in report._repr_html_()
    assert "<table" not in LeakageReport(())._repr_html_()


def test_reports_cannot_be_changed():
    report = LeakageReport((ERROR,), {"date_cut": "found"})
    with pytest.raises(FrozenInstanceError):
        report.findings = ()
    with pytest.raises(TypeError):
        report.checked["date_cut"] = "passed"


def test_unknown_severities_are_refused():
    with pytest.raises(ValueError, match="must be 'error' or 'warning'. Got 'fatal'"):
        Finding("date_cut", "fatal", "", "", "")
