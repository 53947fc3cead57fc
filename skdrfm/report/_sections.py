"""All sections of a report, in reading order."""

from collections.abc import Callable

from skdrfm.report._content import Content, Section, Text
from skdrfm.report._sections_audit import audit_part
from skdrfm.report._sections_data import coverage_part, rows_part, windows_part
from skdrfm.report._sections_explanation import agreement_part, contributions_part, lags_part
from skdrfm.report._sections_forecasts import forecasts_part
from skdrfm.report._sections_manifest import manifest_of
from skdrfm.report._sections_results import results_part, summary_texts
from skdrfm.report._sections_returns import costs_part, equity_part, quantiles_part
from skdrfm.report._sections_risk import risk_part
from skdrfm.report._sections_significance import significance_part
from skdrfm.report._sections_subject import Absent, Part, Subject

_PARTS: tuple[Callable[[Subject], Part], ...] = (
    results_part,
    significance_part,
    equity_part,
    quantiles_part,
    forecasts_part,
    costs_part,
    risk_part,
    contributions_part,
    lags_part,
    agreement_part,
    windows_part,
    coverage_part,
    audit_part,
    rows_part,
)


def build_content(subject: Subject, title: str) -> Content:
    """Say all that the results allow, and name what they do not.

    Parameters
    ----------
    subject : Subject
        The results.
    title : str
        Title of the report.

    Returns
    -------
    Content
        Sections in reading order; the last one names what is left out, if anything is.
    """
    parts = [part(subject) for part in _PARTS]
    sections = [part.section for part in parts if part.section is not None]
    absent = [missing for part in parts for missing in part.absent]
    if absent:
        sections.append(Section("Not in this report", "not-in-this-report", (Text(_named(absent)),)))
    return Content(title, summary_texts(subject), tuple(sections), manifest_of(subject, title))


def _named(absent: list[Absent]) -> str:
    by_reason: dict[str, list[str]] = {}
    for missing in absent:
        by_reason.setdefault(missing.because, []).append(missing.what)
    parts = [f"{', '.join(what)}, because {why}" for why, what in by_reason.items()]
    return f"Not in this report: {'; '.join(parts)}."
