"""What an audit found: findings and the report that holds them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from types import MappingProxyType

import pandas as pd

SEVERITIES = ("error", "warning")

PASSED = "passed"
FOUND = "found"
# What begins the status of a check that did not judge; the reason follows.
NOT_APPLICABLE = "not applicable: "
FAILED = "could not run: "


class NotApplicableError(Exception):
    """A check has nothing to judge; the message says why."""


@dataclass(frozen=True)
class Finding:
    """One thing that looks like a leak.

    Parameters
    ----------
    code : str
        Name of the check that found it, one of `LEAKAGE_CHECKS`.
    severity : {"error", "warning"}
        ``"error"``: results are not out of sample, or not in the unit they seem to be. ``"warning"``: a sign that
        needs an explanation.
    title : str
        What is wrong, in one sentence.
    evidence : str
        The numbers, dates or columns that show it.
    remedy : str
        What to do.

    Raises
    ------
    ValueError
        If the severity is neither of the two.

    Examples
    --------
    >>> from skdrfm.inspection import Finding
    >>> Finding("date_cut", "error", "A date is cut.", "2001-03-31: 20 rows train, 30 test.", "Split by dates.")
    Finding(code='date_cut', severity='error', title='A date is cut.', ...)
    """

    code: str
    severity: str
    title: str
    evidence: str
    remedy: str

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f"'severity' must be 'error' or 'warning'. Got {self.severity!r}. Choose one of them.")


@dataclass(frozen=True, repr=False)
class LeakageReport:
    """Findings of `audit_leakage`, and what was looked at.

    Parameters
    ----------
    findings : tuple of Finding
        Errors first, else in the order of `LEAKAGE_CHECKS`. Empty if nothing was found.
    checked : mapping of str to str
        For each check that was asked for: ``"passed"``, ``"found"``, ``"not applicable: ..."`` or
        ``"could not run: ..."`` with the reason. Read-only.
    n_missing_targets : int
        Rows whose y is missing. They are left out of the fits and figures of the audit.

    See Also
    --------
    audit_leakage : Makes the report.

    Examples
    --------
    >>> from skdrfm.inspection import Finding, LeakageReport
    >>> finding = Finding("date_cut", "error", "A date is cut.", "2001-03-31 is on both sides.", "Split by dates.")
    >>> report = LeakageReport((finding,), {"date_cut": "found", "survivorship": "passed"})
    >>> report.ok
    False
    >>> report
    LeakageReport: 1 error, 0 warnings in 2 checks
    [error] date_cut: A date is cut.
        evidence: 2001-03-31 is on both sides.
        remedy: Split by dates.
    """

    findings: tuple[Finding, ...]
    checked: Mapping[str, str] = field(default_factory=dict)
    n_missing_targets: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "findings", tuple(self.findings))
        object.__setattr__(self, "checked", MappingProxyType(dict(self.checked)))

    @property
    def ok(self) -> bool:
        """Whether nothing was found and no check broke off; a check that does not apply does no harm."""
        return not self.findings and not self._with_status(FAILED)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings of severity ``"error"``."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings of severity ``"warning"``."""
        return tuple(finding for finding in self.findings if finding.severity == "warning")

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes that were found, each once, in the order of the findings."""
        return tuple(dict.fromkeys(finding.code for finding in self.findings))

    def to_frame(self) -> pd.DataFrame:
        """Put the findings into a table.

        Returns
        -------
        DataFrame of shape (n_findings, 5)
            Columns ``code``, ``severity``, ``title``, ``evidence`` and ``remedy``.
        """
        columns = ["code", "severity", "title", "evidence", "remedy"]
        return pd.DataFrame([[getattr(found, name) for name in columns] for found in self.findings], columns=columns)

    def __repr__(self) -> str:
        lines = [self._headline()]
        for finding in self.findings:
            lines += [
                f"[{finding.severity}] {finding.code}: {finding.title}",
                f"    evidence: {finding.evidence}",
                f"    remedy: {finding.remedy}",
            ]
        lines += [f"{code} {status}" for code, status in self._without_judgement().items()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("severity", "code", "finding", "evidence", "remedy"))
        body = "".join(
            "<tr>"
            + "".join(
                f'<td style="text-align: left; vertical-align: top">{escape(text)}</td>'
                for text in (finding.severity, finding.code, finding.title, finding.evidence, finding.remedy)
            )
            + "</tr>"
            for finding in self.findings
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if self.findings else ""
        rest = "".join(f"<li>{escape(f'{code} {status}')}</li>" for code, status in self._without_judgement().items())
        return f"<p>{escape(self._headline())}</p>{table}" + (f"<ul>{rest}</ul>" if rest else "")

    def _headline(self) -> str:
        counts = ", ".join(
            f"{len(found)} {name}{'' if len(found) == 1 else 's'}"
            for name, found in (("error", self.errors), ("warning", self.warnings))
        )
        return f"LeakageReport: {counts} in {len(self.checked)} checks"

    def _without_judgement(self) -> dict[str, str]:
        return self._with_status(NOT_APPLICABLE) | self._with_status(FAILED)

    def _with_status(self, beginning: str) -> dict[str, str]:
        return {code: status for code, status in self.checked.items() if status.startswith(beginning)}
