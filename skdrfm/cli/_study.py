"""``skdrfm study``: the comparison of models as one command."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skdrfm.cli._config import config_option
from skdrfm.cli._console import running, shows_progress
from skdrfm.cli._options import EXISTING_FILE, WITH_DEFAULTS, column_options, group_option, output_options
from skdrfm.cli._panel import groups_with, load_study_panel, without_file
from skdrfm.cli._study_output import write_summary
from skdrfm.cli._types import CommaList, FiniteRange, Month
from skdrfm.utils._words import plural

if TYPE_CHECKING:
    import pandas as pd

# For completion alone, which must not load the models.
MODELS = ("LSTM", "LSTM+LRP", "DNN", "DNN+LRP", "Linear", "SVR", "Random forest")
# 12 months of lags, 60 of training and 12 to test: seven models take minutes on two cores. Little noise, and loadings
# that do not switch, let so short a history show the planted signal.
EMBEDDED: Mapping[str, Any] = {
    "n_dates": 84,
    "n_assets": 60,
    "noise": 0.05,
    "regimes": 1,
    "entry_exit": 0.1,
    "missing": 0.01,
}
_FOLDER = click.Path(file_okay=False, writable=True, path_type=Path)


_EPILOG = """\b
Example, and the same with a file of options:
  skdrfm study --data panel.csv --models LSTM,Linear --train-size 36
  skdrfm study --config study.toml
\b
study.toml:
  data = "panel.csv"
  models = ["LSTM", "Linear"]
  train-size = 36
  start = "2009-01"

Exit codes: 0 done, 2 bad input, 130 interrupted; the same command then goes on where it stopped.
"""


@click.command(short_help="Compare models on a panel.", epilog=_EPILOG, context_settings=WITH_DEFAULTS)
@click.option(
    "--data",
    type=EXISTING_FILE,
    help="Panel file (.csv, .csv.gz or .parquet): one row for each month end and stock. Without it a simulated panel "
    "is used.",
)
@config_option
@click.option("--models", type=CommaList(str, MODELS), help="Models to compare.  [default: all seven of the paper]")
@click.option("--train-size", type=click.IntRange(min=1), metavar="N", default=60, help="Months in a training window.")
@click.option("--lags", type=CommaList(int), default="0,3,6,9,12", help="Months before the date that are inputs.")
@click.option("--start", type=Month(), help="First test month, in which predicted returns are earned.")
@click.option("--end", type=Month(), help="Last test month.")
@click.option("--quantiles", type=click.IntRange(min=2), metavar="N", default=5, help="Number of portfolios.")
@click.option(
    "--cost", type=FiniteRange(min=0, max=1), metavar="X", default=0.0, help="Cost of one unit traded (0.001 = 0.1 %)."
)
@click.option(
    "--seed", type=click.IntRange(min=0, max=2**32 - 1), metavar="N", default=0, help="Seed of models and simulation."
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    help="Fits of each random model, whose mean forecasts.",
)
@click.option(
    "--refit-every", type=click.IntRange(min=1), metavar="N", default=1, help="Months from one fit to the next."
)
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", default=1, help="Windows computed at the same time.")
@click.option(
    "--evidence/--no-evidence",
    default=False,
    help="Compare explainers of one model on the last month, and audit the panel for leaks.",
)
@click.option("--out", type=_FOLDER, default="runs/study", help="Folder for the results.")
@click.option(
    "--checkpoint",
    type=_FOLDER,
    help="Folder for finished windows; the same command run again goes on from there.  [default: OUT/checkpoint]",
)
@click.option("--resume/--no-resume", default=True, help="Go on from finished windows, or refuse to if there are any.")
@column_options
@group_option
@output_options
@click.pass_context
def study(context: click.Context, /, **options: Any) -> None:
    """Compare the models of Nakagawa et al. (2019) on a monthly panel.

    Each month every model is trained on the months before, forecasts the next month's returns and buys the highest
    and sells the lowest of its quantile portfolios. OUT receives index.html with figures, tables and a manifest.
    """
    folder = options["checkpoint"] or options["out"] / "checkpoint"
    _check_options(context, options, folder)
    simulated = options["data"] is None
    with running(interrupted=lambda: _how_to_go_on(folder, options["resume"])):
        from skdrfm.report import write_study
        from skdrfm.study import run_study

        _check_models(options["models"])
        X, y, universe, source = _load(options)
        result = run_study(
            X,
            y,
            models=options["models"],
            groups=groups_with(list(X.columns), options["additions"]),
            universe=universe,
            lags=options["lags"],
            train_size=options["train_size"],
            start=options["start"],
            end=options["end"],
            n_quantiles=options["quantiles"],
            cost=options["cost"],
            random_state=options["seed"],
            n_jobs=options["jobs"],
            checkpoint=folder,
            progress=shows_progress(options["quiet"]),
            refit_every=options["refit_every"],
            n_seeds=options["seeds"],
            evidence=options["evidence"],
        )
        page = write_study(result, options["out"], source=source, simulated=simulated)
        write_summary(result, page, source=source, simulated=simulated, as_json=options["as_json"])


def _check_options(context: click.Context, options: Mapping[str, Any], checkpoint: Path) -> None:
    """Refuse what cannot be meant, before anything is loaded."""
    if options["data"] is None and (given := without_file(context)):
        raise click.UsageError(f"{', '.join(given)} must come with a panel file. Got none. Name it: --data FILE.")
    if any(lag < 0 for lag in options["lags"]):
        raise click.BadParameter(f"must be whole numbers >= 0. Got {options['lags']}.", param_hint="'--lags'")
    if options["start"] and options["end"] and options["start"] > options["end"]:
        raise click.UsageError(f"--start must not be after --end. Got {options['start']} and {options['end']}.")
    for option in ("out", "checkpoint"):
        if options[option] is not None:
            _check_can_be_made(options[option], f"'--{option}'")
    if not options["resume"] and checkpoint.is_dir() and any(checkpoint.iterdir()):
        raise click.UsageError(
            f"With --no-resume the checkpoint folder {str(checkpoint)!r} must be empty. It holds "
            f"{plural(_finished(checkpoint), 'finished window')}. Leave --no-resume out to go on from there; to start "
            "anew, delete this folder, or name another with --checkpoint or --out."
        )


def _check_can_be_made(folder: Path, hint: str) -> None:
    """Refuse a folder that cannot be written before hours of work, not after them."""
    there = next((parent for parent in (folder, *folder.absolute().parents) if parent.exists()), Path("/"))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise click.BadParameter(
            f"must be a folder that can be made and written. Got {str(folder)!r}, but {str(there)!r} "
            f"{'cannot be written' if there.is_dir() else 'is a file'}.",
            param_hint=hint,
        )


def _check_models(names: Sequence[str] | None) -> None:
    from skdrfm.study import resolve_models

    try:
        resolve_models(names, 0)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--models'") from error


def _load(options: Mapping[str, Any]) -> "tuple[pd.DataFrame, pd.Series[Any], pd.Series[bool] | None, str]":
    """Read the panel file, or simulate the embedded panel; say which."""
    if options["data"] is not None:
        X, y, universe = load_study_panel(options["data"], options)
        return X, y, universe, f"{options['data'].name}, {len(X):,} rows, {X.shape[1]} descriptors"
    from skdrfm.datasets import make_factor_panel

    X, y = make_factor_panel(**EMBEDDED, random_state=options["seed"])
    months, assets = EMBEDDED["n_dates"], EMBEDDED["n_assets"]
    return X, y, None, f"simulated panel of {months} months and {assets} stocks, seed {options['seed']}"


def _finished(checkpoint: Path) -> int:
    return sum(1 for _ in checkpoint.glob("*/window-*.npz"))


def _how_to_go_on(checkpoint: Path, resume: bool) -> str:
    count = _finished(checkpoint)
    if not count:
        return "No window was finished yet: the same command starts anew."
    return (
        f"{plural(count, 'finished window is', 'finished windows are')} in {str(checkpoint)!r}. The same command "
        f"{'' if resume else 'without --no-resume '}goes on from there."
    )
