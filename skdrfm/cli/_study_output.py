"""What ``skdrfm study`` writes to the terminal when it is done."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from skdrfm.cli._console import echo_json, paragraph, say
from skdrfm.cli._text import short, text_table

if TYPE_CHECKING:
    import pandas as pd

    from skdrfm.study import StudyResult

_SIMULATED = "The panel is simulated with a strong planted signal: no real market forecasts this well."
# Two short lines of a heading, so that a row fits into 80 columns.
_HEADS = {
    "Return [%]": "return\n[%]",
    "Volatility [%]": "volatility\n[%]",
    "Sharpe ratio": "Sharpe\nratio",
    "Rank IC": "rank\nIC",
    "R2_oos [%]": "R2 oos\n[%]",
}


def write_summary(result: "StudyResult", page: Path, *, source: str, simulated: bool, as_json: bool) -> None:
    """Write the table of a study, and where the rest is.

    Parameters
    ----------
    result : StudyResult
        The study.
    page : Path
        Its page.
    source : str
        What the panel is, in words.
    simulated : bool
        Whether the panel is simulated.
    as_json : bool
        Whether to write one JSON document in place of text.
    """
    from skdrfm.report._tables import earned_months, row_counts, suspicious_figures

    first, last = earned_months(result)
    months = result.manifest["dates"]["n_test_months"]
    cautions = [] if simulated else suspicious_figures(result.table)
    missing = result.manifest["missing_cells_ranked_neutral"]
    if as_json:
        echo_json(
            "study",
            {
                "page": page,
                "folder": page.parent,
                "source": source,
                "simulated": simulated,
                "test_months": {"first": first, "last": last, "count": months},
                "table": [{"model": name, **dict(row)} for name, row in result.table.iterrows()],
                "cautions": cautions,
                "rows": result.manifest["rows"],
                "missing_values_ranked_neutral": missing,
                "findings": _findings(result),
            },
        )
        return
    say(f"Data: {source}")
    say(f"Test months {first} to {last} ({months}), long/short after costs:\n")
    say(_table(result.table))
    if simulated:
        say("\n" + paragraph(_SIMULATED))
    for sentence in cautions:
        say("\n" + paragraph(f"Caution, suspect a leak: {sentence}"))
    _say_published()
    say("\nRows of the panel:")
    for label, count in row_counts(result):
        say(f"{count:>10,}  {label}")
    say(f"{sum(missing.values()):>10,}  missing values entered as the neutral rank 0")
    _say_findings(result)
    say(f"\nOpen {page}")


def _table(frame: "pd.DataFrame") -> str:
    from skdrfm.report._tables import format_table

    texts = format_table(frame)
    rows = [[short(name, 16), *map(str, row)] for name, row in zip(texts.index, texts.to_numpy(), strict=True)]
    return text_table(["model", *(_HEADS.get(name, name) for name in texts.columns)], rows)


def _say_published() -> None:
    from skdrfm.report._tables import PUBLISHED_LABEL
    from skdrfm.study import PUBLISHED

    say("\n" + paragraph(f"{PUBLISHED_LABEL}:") + "\n")
    say(_table(PUBLISHED))


def _findings(result: "StudyResult") -> list[dict[str, Any]] | None:
    return None if result.findings is None else [dict(row) for _, row in result.findings.iterrows()]


def _say_findings(result: "StudyResult") -> None:
    found = _findings(result)
    if found is None:
        return
    say(f"\nAudit for leaks: {'nothing found' if not found else ''}".rstrip())
    for finding in found:
        say(paragraph(f"[{finding['severity']}] {finding['code']}: {finding['title']}", "  "))
