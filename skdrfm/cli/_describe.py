"""``skdrfm describe``: what is in a panel file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from skdrfm.cli._console import FOUND, echo_json, paragraph, running, say
from skdrfm.cli._options import WITH_DEFAULTS, column_options, output_options, panel_argument
from skdrfm.cli._panel import PanelTable
from skdrfm.cli._text import percent, short, text_table
from skdrfm.utils._words import plural

_EPILOG = """\b
Example:
  skdrfm describe panel.csv --json > panel.json

Exit codes: 0 nothing is wrong, 1 the panel has faults that a study refuses, 2 the file is no panel.
"""


@click.command(short_help="What is in a panel file.", epilog=_EPILOG, context_settings=WITH_DEFAULTS)
@panel_argument
@column_options
@output_options
@click.pass_context
def describe(context: click.Context, /, panel: Path, **options: Any) -> None:
    """Say what is in PANEL: months, stocks, coverage of each descriptor, returns, gaps and repeated keys.

    PANEL is a .csv, .csv.gz or .parquet file with one row for each month end and stock. Coverage is the share of rows
    that have a value; the lowest month is the one with the smallest share.
    """
    with running():
        from skdrfm.cli._panel_facts import panel_facts

        facts = panel_facts(PanelTable.read(panel, options, needed=[]))
        if options["as_json"]:
            echo_json("describe", {"panel": panel, **facts})
        else:
            _write_text(panel, facts)
    if facts["faults"]:
        context.exit(FOUND)


def _write_text(panel: Path, facts: Mapping[str, Any]) -> None:
    from skdrfm.panel._plot import short_date

    dates, assets, gaps = facts["dates"], facts["assets"], facts["gaps"]
    say(
        paragraph(
            f"{panel.name}: {plural(facts['rows'], 'row')}, {plural(dates['count'], 'date')} from "
            f"{short_date(dates['first'])} to {short_date(dates['last'])}, {plural(assets['count'], 'asset')}"
        )
    )
    per_date = assets["per_date"]
    say(f"Assets on a date: {per_date['min']:,} to {per_date['max']:,}, median {per_date['median']:,.0f}")
    months = plural(len(gaps["missing_months"]), "month")
    holes = f"{plural(gaps['rows'], 'row')} missing inside the histories of {plural(gaps['assets'], 'asset')}"
    say(f"Gaps: {f'{months} without any row; {holes}' if gaps['rows'] or gaps['missing_months'] else 'none'}")
    repeated = facts["duplicates"]["rows"]
    say(f"Repeated keys: {plural(repeated, 'row') if repeated else 'none'}")
    if facts["universe"] is not None:
        say(f"Universe {facts['universe']['column']!r}: {percent(facts['universe']['share'], 1)} % of the rows")
    say("\n" + _descriptor_table(facts["descriptors"]))
    _write_returns(facts["returns"])
    for fault in facts["faults"]:
        say("\n" + paragraph(f"Fault: {fault}"))


def _descriptor_table(descriptors: list[dict[str, Any]]) -> str:
    rows = [
        [
            short(facts["name"]),
            percent(facts["coverage"], 1),
            "n/a"
            if facts["lowest_date"] is None
            else f"{percent(facts['lowest_coverage'], 1)} in {facts['lowest_date']:%Y-%m}",
            "never" if facts["first"] is None else f"{facts['first']:%Y-%m}",
            "never" if facts["last"] is None else f"{facts['last']:%Y-%m}",
        ]
        for facts in descriptors
    ]
    return text_table(["descriptor", "coverage\n[%]", "lowest month\n[%]", "first\nvalue", "last\nvalue"], rows)


def _write_returns(returns: Mapping[str, Any] | None) -> None:
    if returns is None:
        return
    when = "after the date" if returns["forward"] else "that ends at the date"
    say(f"\nReturn {returns['column']!r}, of the month {when}, in percent:")
    names = ("mean", "std", "min", "q01", "median", "q99", "max")
    labels = ("mean", "std", "min", "1 %", "median", "99 %", "max")
    if returns["count"]:
        say(text_table(["count", "missing", *labels], [[
            f"{returns['count']:,}", f"{returns['missing']:,}", *(percent(returns[name], 2) for name in names)
        ]]))  # fmt: skip
    else:
        say("no value at all")
