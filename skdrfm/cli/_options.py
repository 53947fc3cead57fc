"""Options that several commands have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from skdrfm.cli._types import CommaList, GroupAddition

Function = TypeVar("Function", bound=Callable[..., Any])

# Told apart from defaults, since a simulated panel has no columns to choose.
COLUMN_OPTIONS = (
    "date_column",
    "asset_column",
    "return_column",
    "returns_are_forward",
    "descriptors",
    "universe_column",
)
EXISTING_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
WITH_DEFAULTS = {"show_default": True}


def panel_argument(function: Function) -> Function:
    """Add the argument PANEL."""
    return click.argument("panel", type=EXISTING_FILE)(function)


def column_options(function: Function) -> Function:
    """Add the options that say which column of a panel file is which."""
    options = (
        click.option("--date-column", default="date", help="Column with the date."),
        click.option("--asset-column", default="asset", help="Column with the stock."),
        click.option("--return-column", default="return", help="Column with the decimal return."),
        click.option(
            "--returns-are-forward",
            is_flag=True,
            help="The return column holds the return of the month after the date, not of the month that ends there.",
        ),
        click.option("--descriptors", type=CommaList(), help="Columns to use.  [default: all others]"),
        click.option("--universe-column", help="Column of 0/1 that marks the rows to train and test on."),
    )
    return _add(options, function)


def group_option(function: Function) -> Function:
    """Add the option that puts descriptors into groups."""
    return click.option(
        "--group",
        "additions",
        type=GroupAddition(),
        multiple=True,
        help='Put descriptors into a group, for example "Size=LOGDV"; may be repeated.',
    )(function)


def output_options(function: Function) -> Function:
    """Add the options on what is written to the terminal."""
    options = (
        click.option("--json", "as_json", is_flag=True, help="Write one JSON document to stdout in place of text."),
        click.option(
            "-q", "--quiet", is_flag=True, help="No progress bar and no notes; results, warnings and errors only."
        ),
    )
    return _add(options, function)


def _add(options: tuple[Callable[[Any], Any], ...], function: Function) -> Function:
    for option in reversed(options):
        function = option(function)
    return function
