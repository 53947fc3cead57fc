"""``skdrfm audit``: a search for leaks in a panel file."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skdrfm.cli._console import FOUND, echo_json, note, paragraph, running, say
from skdrfm.cli._options import WITH_DEFAULTS, column_options, output_options, panel_argument
from skdrfm.cli._panel import PanelTable
from skdrfm.cli._types import CommaList
from skdrfm.utils._words import plural

if TYPE_CHECKING:
    from skdrfm.inspection import LeakageReport

# For completion alone, which must not load the audit.
CHECKS = (
    "duplicate_keys",
    "full_sample_scaling",
    "scaled_target",
    "target_in_features",
    "misaligned_target",
    "percent_target",
    "scale_jump",
    "zero_filled_target",
    "constant_target",
    "survivorship",
    "delisting_returns",
    "test_in_training",
    "training_after_test",
    "date_cut",
    "label_overlap",
    "overlapping_target",
    "random_validation",
    "prefit_step",
    "look_ahead",
    "outside_training",
    "shuffled_labels",
    "implausible_skill",
)


_EPILOG = """\b
Example:
  skdrfm audit panel.csv && skdrfm study --data panel.csv

Exit codes: 0 clean, 1 something was found (a warning counts, and so does a check that broke off), 2 bad input.
"""


@click.command(short_help="Look for leaks in a panel file.", epilog=_EPILOG, context_settings=WITH_DEFAULTS)
@panel_argument
@click.option("--train-size", type=click.IntRange(min=1), metavar="N", default=60, help="Months in a training window.")
@click.option(
    "--windows", type=click.IntRange(min=1), metavar="N", default=3, help="Windows in which a model is fitted."
)
@click.option("--checks", type=CommaList(str, CHECKS), help="Checks to run.  [default: all]")
@click.option("--skip", type=CommaList(str, CHECKS), help="Checks to leave out.")
@click.option("--seed", type=click.IntRange(min=0, max=2**32 - 1), metavar="N", default=0, help="Seed of permutations.")
@column_options
@output_options
@click.pass_context
def audit(context: click.Context, /, panel: Path, **options: Any) -> None:
    """Look for leaks of the future in PANEL, and for mistakes that look like skill.

    PANEL is a .csv, .csv.gz or .parquet file with one row for each month end and stock. Its columns are searched for
    the target and for scaling with the whole sample, its returns for wrong units, its stocks for survivorship. A
    linear model of the ranked descriptors is walked forward in some windows, also with shuffled returns.

    What happened before the file was made leaves few traces in it: a clean audit is no proof.
    """
    with running():
        from skdrfm.inspection import LEAKAGE_CHECKS

        asked = set(options["checks"] or LEAKAGE_CHECKS) - set(options["skip"] or ())
        _check_names(options, LEAKAGE_CHECKS, asked)
        table = PanelTable.read(panel, options, needed=["return_column"])
        note(f"Auditing {plural(len(table.index), 'row')} of {panel.name} ...", quiet=options["quiet"])
        found = _run(table, options, asked)
        if options["as_json"]:
            _write_json(found, panel)
        else:
            _write_text(found, panel)
    if not found.ok:
        context.exit(FOUND)


def _check_names(options: Mapping[str, Any], known: Mapping[str, str], asked: set[str]) -> None:
    for option in ("checks", "skip"):
        unknown = [name for name in options[option] or () if name not in known]
        if unknown:
            raise click.BadParameter(
                f"must name some of {', '.join(known)}. Got {', '.join(unknown)}.", param_hint=f"'--{option}'"
            )
    if not asked:
        raise click.UsageError("--checks and --skip must leave some check. They leave none.")


def _run(table: PanelTable, options: Mapping[str, Any], checks: set[str]) -> "LeakageReport":
    from sklearn.pipeline import make_pipeline

    from skdrfm.factor_model import LinearFactorRegressor
    from skdrfm.inspection import audit_leakage
    from skdrfm.model_selection import WalkForwardSplit
    from skdrfm.preprocessing import CrossSectionalRankScaler

    found: LeakageReport = audit_leakage(
        make_pipeline(CrossSectionalRankScaler(missing="zero"), LinearFactorRegressor()),
        table.numbers(table.descriptors),
        table.forward_returns(),
        cv=WalkForwardSplit(options["train_size"]),
        n_windows=options["windows"],
        checks=checks,
        random_state=options["seed"],
    )
    return found


def _write_json(found: "LeakageReport", panel: Path) -> None:
    echo_json(
        "audit",
        {
            "panel": panel,
            "clean": found.ok,
            "errors": len(found.errors),
            "warnings": len(found.warnings),
            "findings": found.to_frame().to_dict("records"),
            "checks": found.checked,
            "rows_without_forward_return": found.n_missing_targets,
        },
    )


def _write_text(found: "LeakageReport", panel: Path) -> None:
    for finding in found.findings:
        say(paragraph(f"[{finding.severity}] {finding.code}: {finding.title}"))
        say(paragraph(f"Evidence: {finding.evidence}", "    "))
        say(paragraph(f"Remedy: {finding.remedy}", "    "))
        say()
    silent = {code: status for code, status in found.checked.items() if ":" in status}
    if silent:
        say("Without a judgement:")
        for code, status in silent.items():
            say(paragraph(f"{code}, {status}", "    "))
        say()
    counts = Counter(status.split(":")[0] for status in found.checked.values())
    say(
        paragraph(
            f"{panel.name}: {plural(len(found.errors), 'error')} and {plural(len(found.warnings), 'warning')} in "
            f"{plural(len(found.checked), 'check')} ({', '.join(f'{n} {status}' for status, n in counts.items())})"
        )
    )
    if found.n_missing_targets:
        say(f"{plural(found.n_missing_targets, 'row has', 'rows have')} no forward return")
