"""The command ``skdrfm``."""

import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skdrfm import __version__
from skdrfm.exceptions import SkdrfmError

if TYPE_CHECKING:
    import pandas as pd

    from skdrfm.study import StudyResult

# 12 months of lags, 60 of training and 12 to test: seven models take minutes on two cores. Little noise, and loadings
# that do not switch, let so short a history show the planted signal.
_EMBEDDED = {"n_dates": 84, "n_assets": 60, "noise": 0.05, "regimes": 1, "entry_exit": 0.1, "missing": 0.01}
_OF_THE_FILE = (
    "date_column",
    "asset_column",
    "return_column",
    "returns_are_forward",
    "descriptors",
    "universe_column",
)


class _CommaList(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions
    """Distinct names, or whole numbers, separated by commas."""

    def __init__(self, kind: type = str) -> None:
        self.kind = kind
        self.name = "a,b,..." if kind is str else "n,n,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        if not isinstance(value, str):
            return tuple(value)
        parts = [part.strip() for part in value.split(",")]
        try:
            items = tuple(self.kind(part) for part in parts)
        except ValueError:
            items = ()
        if not items or "" in parts:
            kind = "names" if self.kind is str else "whole numbers"
            self.fail(f"must be {kind} separated by commas. Got {value!r}.", param, ctx)
        if len(set(items)) < len(items):
            self.fail(f"must name each item once. Got {value!r}.", param, ctx)
        return items


class _Month(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions
    """A month such as 2009-01."""

    name = "yyyy-mm"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", value):
            self.fail(f"must be a month such as 2009-01. Got {value!r}.", param, ctx)
        return str(value)


class _Group(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions
    """Descriptors to add to a group, as in Size=LOGDV or Size=LOGDV,TURNOVER."""

    name = "group=a,b,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[str, ...]]:
        group, equals, names = value.partition("=")
        if not equals or not group.strip():
            self.fail(f"must be a group and its descriptors, as in Size=LOGDV. Got {value!r}.", param, ctx)
        return group.strip(), _CommaList().convert(names, param, ctx)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="skdrfm")
def main() -> None:
    """Deep recurrent factor models, walked forward and explained."""


@main.command(context_settings={"show_default": True})
@click.option(
    "--data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Panel file (.csv, .csv.gz or .parquet): one row for each month end and stock. Without it a simulated panel "
    "is used.",
)
@click.option("--models", type=_CommaList(), help="Models to compare.  [default: all seven of the paper]")
@click.option("--train-size", type=click.IntRange(min=1), default=60, help="Months in a training window.")
@click.option("--lags", type=_CommaList(int), default="0,3,6,9,12", help="Months before the date that are inputs.")
@click.option("--start", type=_Month(), help="First test month, in which predicted returns are earned.")
@click.option("--end", type=_Month(), help="Last test month.")
@click.option("--quantiles", type=click.IntRange(min=2), default=5, help="Number of portfolios.")
@click.option(
    "--cost", type=click.FloatRange(min=0, max=1), default=0.0, help="Cost of one unit traded (0.001 = 0.1 %)."
)
@click.option("--seed", type=click.IntRange(min=0, max=2**32 - 1), default=0, help="Seed of models and simulation.")
@click.option("--seeds", type=click.IntRange(min=1), default=1, help="Fits of each random model, whose mean forecasts.")
@click.option("--refit-every", type=click.IntRange(min=1), default=1, help="Months from one fit to the next.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, help="Windows computed at the same time.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, writable=True, path_type=Path),
    default="runs/study",
    help="Folder for the results.",
)
@click.option(
    "--checkpoint",
    type=click.Path(file_okay=False, writable=True, path_type=Path),
    help="Folder for finished windows; the same command run again goes on from there.  [default: OUT/checkpoint]",
)
@click.option("--date-column", default="date", help="Column with the date.")
@click.option("--asset-column", default="asset", help="Column with the stock.")
@click.option("--return-column", default="return", help="Column with the decimal return.")
@click.option(
    "--returns-are-forward",
    is_flag=True,
    help="The return column holds the return of the month after the date, not of the month that ends there.",
)
@click.option("--descriptors", type=_CommaList(), help="Columns to use.  [default: all others]")
@click.option("--universe-column", help="Column of 0/1 that marks the rows to train and test on.")
@click.option(
    "--group",
    "additions",
    type=_Group(),
    multiple=True,
    help='Put descriptors into a group, for example "Size=LOGDV"; may be repeated.',
)
@click.option("--quiet", is_flag=True, help="Show no progress bar.")
@click.pass_context
def study(context: click.Context, /, **options: Any) -> None:
    """Compare the models of Nakagawa et al. (2019) on a monthly panel.

    Each month every model is trained on the months before, forecasts the next month's returns and buys the highest
    and sells the lowest of its quantile portfolios. OUT receives index.html with figures, tables and a manifest.
    """
    # An application may quieten TensorFlow's log, and must do so before TensorFlow is loaded. Level 2 still prints a
    # missing graphics card as an error, and one line in each training; real failures come as Python errors.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _check_options(context, options)
    with _clear_errors():
        from skdrfm.report import write_study
        from skdrfm.study import run_study

        _check_models(options["models"])
        X, y, universe, source = _load(options)
        out = options["out"]
        result = run_study(
            X,
            y,
            models=options["models"],
            groups=_groups(list(X.columns), options["additions"]),
            universe=universe,
            lags=options["lags"],
            train_size=options["train_size"],
            start=options["start"],
            end=options["end"],
            n_quantiles=options["quantiles"],
            cost=options["cost"],
            random_state=options["seed"],
            n_jobs=options["jobs"],
            checkpoint=options["checkpoint"] or out / "checkpoint",
            progress=not options["quiet"],
            refit_every=options["refit_every"],
            n_seeds=options["seeds"],
        )
        page = write_study(result, out, source=source, simulated=options["data"] is None)
    _echo_summary(result, page, source=source, simulated=options["data"] is None)


def _check_options(context: click.Context, options: Mapping[str, Any]) -> None:
    """Refuse what cannot be meant, before anything is loaded."""
    if options["data"] is None:
        default = click.core.ParameterSource.DEFAULT
        given = [name for name in _OF_THE_FILE if context.get_parameter_source(name) is not default]
        if given:
            names = ", ".join("--" + name.replace("_", "-") for name in given)
            raise click.UsageError(f"{names} must come with a panel file. Got none. Name it: --data FILE.")
    if any(lag < 0 for lag in options["lags"]):
        raise click.BadParameter(f"must be whole numbers >= 0. Got {options['lags']}.", param_hint="'--lags'")
    if options["start"] and options["end"] and options["start"] > options["end"]:
        raise click.UsageError(f"--start must not be after --end. Got {options['start']} and {options['end']}.")


def _check_models(names: Sequence[str] | None) -> None:
    from skdrfm.study import resolve_models

    try:
        resolve_models(names, 0)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--models'") from error


def _load(
    options: Mapping[str, Any],
) -> "tuple[pd.DataFrame, pd.Series[Any], pd.Series[bool] | None, str]":
    """Read the panel file, or simulate the embedded panel; say which."""
    if options["data"] is None:
        from skdrfm.datasets import make_factor_panel

        X, y = make_factor_panel(**_EMBEDDED, random_state=options["seed"])  # type: ignore[call-overload]
        months, assets = _EMBEDDED["n_dates"], _EMBEDDED["n_assets"]
        return X, y, None, f"simulated panel of {months} months and {assets} stocks, seed {options['seed']}"
    from skdrfm.datasets import read_panel

    X, y, universe = read_panel(
        options["data"],
        date=options["date_column"],
        asset=options["asset_column"],
        returns=options["return_column"],
        returns_are_forward=options["returns_are_forward"],
        descriptors=options["descriptors"],
        universe=options["universe_column"],
    )
    return X, y, universe, f"{options['data'].name}, {len(X):,} rows, {X.shape[1]} descriptors"


def _groups(
    descriptors: Sequence[str], additions: Sequence[tuple[str, tuple[str, ...]]]
) -> dict[str, tuple[str, ...]] | None:
    """Add descriptors to the paper's groups; one that is there already moves."""
    from skdrfm.descriptors import GROUPS

    if not additions:
        return None
    home = {name: group for group, names in additions for name in names}
    if len(home) < sum(len(names) for _, names in additions):
        raise click.BadParameter(
            "must put each descriptor into one group. Got one of them twice.", param_hint="'--group'"
        )
    unknown = [name for name in home if name not in descriptors]
    if unknown:
        raise click.BadParameter(
            f"must name descriptors of the panel ({', '.join(map(str, descriptors))}). Got {', '.join(unknown)}.",
            param_hint="'--group'",
        )
    groups = {group: [name for name in names if name not in home] for group, names in GROUPS.items()}
    for name, group in home.items():
        groups.setdefault(group, []).append(name)
    return {group: tuple(names) for group, names in groups.items()}


class _BadInput(click.ClickException):
    """One message on stderr, no traceback."""

    exit_code = 2


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Turn our errors into one message and exit code 2, and warnings into one line each."""
    with warnings.catch_warnings():
        warnings.showwarning = _echo_warning
        try:
            yield
        except (SkdrfmError, OSError) as error:
            raise _BadInput(str(error)) from error


def _echo_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"Warning: {message}", err=True)


def _echo_summary(result: "StudyResult", page: Path, *, source: str, simulated: bool) -> None:
    from skdrfm.report._tables import PUBLISHED_LABEL, earned_months, format_table, row_counts, suspicious_figures
    from skdrfm.study import PUBLISHED

    first, last = earned_months(result)
    n_months = result.manifest["dates"]["n_test_months"]
    click.echo(f"\nData: {source}")
    click.echo(f"Test months {first} to {last} ({n_months}), long/short after costs:\n")
    click.echo(format_table(result.table).rename_axis(None).to_string())
    if simulated:
        click.echo("\nThe panel is simulated with a strong planted signal: no real market forecasts this well.")
    else:
        for sentence in suspicious_figures(result.table):
            click.echo(f"\nCaution, suspect a leak: {sentence}")
    click.echo(f"\n{PUBLISHED_LABEL}:\n")
    click.echo(format_table(PUBLISHED).rename_axis(None).to_string())
    click.echo("\nRows of the panel:")
    for label, count in row_counts(result):
        click.echo(f"{count:>10,}  {label}")
    missing = result.manifest["missing_cells_ranked_neutral"]
    click.echo(f"{sum(missing.values()):>10,}  missing values entered as the neutral rank 0")
    click.echo(f"\nOpen {page}")
