"""What the search for leaks of the future found."""

import pandas as pd

from skdrfm.report._content import Section, Table, Text
from skdrfm.report._sections_subject import Absent, Part, Subject, listed
from skdrfm.utils._words import plural

_COLUMNS = {
    "severity": "Severity",
    "code": "Check",
    "title": "Finding",
    "evidence": "Evidence",
    "remedy": "What to do",
}


def audit_part(subject: Subject) -> Part:
    """List the findings of the leak audit, and which checks judged."""
    findings = _findings(subject)
    if findings is None:
        because = "no audit was made: pass audit=audit_leakage(...), or evidence=True to run_study"
        return Part(None, (Absent("the leak audit", because),))
    blocks: list[Text | Table] = [Text(_verdict(findings))]
    if len(findings):
        columns = findings[list(_COLUMNS)].rename(columns=_COLUMNS)
        frame = columns.set_axis([str(i + 1) for i in range(len(findings))], axis=0).rename_axis("No.")
        blocks.append(
            Table(
                "Findings of the leak audit, errors first",
                frame,
                readings={
                    "Severity": "An error means that results are not out of sample, or not in the unit they seem to "
                    "be; a warning is a sign that needs an explanation."
                },
            )
        )
    checks, n_missing, audited = _extent(subject)
    if checks:
        blocks.append(
            Table(
                f"Checks of the leak audit{audited}",
                pd.DataFrame({"Result": pd.Series(checks, dtype=object)}).rename_axis("Check"),
            )
        )
    if n_missing:
        blocks.append(Text(f"{plural(n_missing, 'row')} without a return took no part in the audit."))
    return Part(Section("Leak audit", "leak-audit", tuple(blocks)))


def audit_errors(subject: Subject) -> int:
    """Count the findings of severity "error"; 0 without an audit."""
    findings = _findings(subject)
    return 0 if findings is None else int((findings["severity"] == "error").sum())


def _findings(subject: Subject) -> pd.DataFrame | None:
    if subject.audit is not None:
        return subject.audit.to_frame()
    return None if subject.study is None else subject.study.findings


def _extent(subject: Subject) -> tuple[dict[str, str], int, str]:
    """Say which checks judged how, how many rows took no part, and what was audited."""
    if subject.audit is not None:
        return dict(subject.audit.checked), subject.audit.n_missing_targets, ""
    evidence = {} if subject.study is None else subject.study.manifest.get("evidence", {}).get("audit", {})
    model = f" ({evidence['model']})" if "model" in evidence else ""
    return dict(evidence.get("checks", {})), int(evidence.get("rows_without_forward_return", 0)), model


def _verdict(findings: pd.DataFrame) -> str:
    if not len(findings):
        return "The audit found no leak. That is no proof: it knows the usual leaks, not all of them."
    counts = findings["severity"].value_counts()
    parts = [plural(int(counts[kind]), kind) for kind in ("error", "warning") if kind in counts]
    return f"The audit found {listed(parts)}."
