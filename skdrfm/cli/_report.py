"""``skdrfm report``: a finished study as a document."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from skdrfm.cli._console import echo_json, note, running, say
from skdrfm.cli._options import WITH_DEFAULTS, output_options
from skdrfm.cli._types import FiniteRange

SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "html": (".html", ".htm"),
    "docx": (".docx",),
    "md": (".md", ".markdown"),
}


_EPILOG = """\b
Examples:
  skdrfm report runs/study
  skdrfm report runs/study --format docx --out study.docx
  skdrfm report runs/study --out - | less

Exit codes: 0 done, 2 bad input.
"""


@click.command(short_help="Write the report of a study.", epilog=_EPILOG, context_settings=WITH_DEFAULTS)
@click.argument("run_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice(list(SUFFIXES)),
    help="Web page, Word document or Markdown.  [default: by the name of --out, else html]",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="File to write, an older one is replaced; - writes Markdown to stdout.  [default: RUN_DIR/report.FORMAT]",
)
@click.option("--title", help="Title of the report.  [default: that of the study]")
@click.option(
    "--trials",
    type=FiniteRange(min=2),
    metavar="N",
    help="Number of independent strategies that were tried, also those that were dropped, for the deflated Sharpe "
    "ratio.  [default: the models of the study]",
)
@output_options
def report(run_dir: Path, **options: Any) -> None:
    """Write the report of a finished study, RUN_DIR, the folder that `skdrfm study` made.

    All numbers come from the files of the study; portfolios are made again from its predictions and must agree with
    them. A file that was changed is refused.
    """
    kind = _check_format(options["kind"], options["out"], options["as_json"])
    out = options["out"] or run_dir / f"report.{kind}"
    with running():
        from skdrfm.report import BacktestReport, read_study

        made = BacktestReport(read_study(run_dir), title=options["title"], n_trials=options["trials"])
        if str(out) == "-":
            say(made.to_markdown().rstrip("\n"))
            return
        # The document is made whole before the file is touched.
        if kind == "html":
            made.to_html(out)
        elif kind == "docx":
            made.to_docx(out)
        else:
            _write_text(out, made.to_markdown())
        sections = [section.title for section in made.content.sections]
        if options["as_json"]:
            size = out.stat().st_size
            document = {"run": run_dir, "file": out, "format": kind, "bytes": size, "title": made.title}
            echo_json("report", {**document, "sections": sections})
        else:
            note(f"{made.title}: {len(sections)} sections", quiet=options["quiet"])
            say(str(out))


def _check_format(kind: str | None, out: Path | None, as_json: bool) -> str:
    """Find the format that option and name of the file agree on."""
    if out is not None and str(out) == "-":
        if kind not in (None, "md") or as_json:
            raise click.UsageError("--out - must be Markdown, without --json. Name a file for other formats.")
        return "md"
    by_name = None
    if out is not None:
        by_name = next((name for name, suffixes in SUFFIXES.items() if out.suffix.lower() in suffixes), None)
        if by_name is None or kind not in (None, by_name):
            wanted = SUFFIXES[kind] if kind else [suffix for suffixes in SUFFIXES.values() for suffix in suffixes]
            raise click.BadParameter(
                f"must be a file ending in {', '.join(wanted)}. Got {str(out)!r}. Rename it, or choose the format "
                "that it has.",
                param_hint="'--out'",
            )
    return kind or by_name or "html"


def _write_text(path: Path, text: str) -> None:
    from skdrfm.utils._files import write_file

    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, text.encode())
