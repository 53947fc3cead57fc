"""Options from a TOML file: its keys are the names of the options."""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from skdrfm.cli._types import CommaList, GroupAddition


def config_option(function: Any) -> Any:
    """Add the option --config, whose file is read before the other options take their defaults."""
    return click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=_read_config,
        help="TOML file of options, such as train-size = 36. The command line wins. Paths in it are relative to it.",
    )(function)


def _read_config(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    try:
        content = tomllib.loads(path.read_bytes().decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(
            f"The file {str(path)!r} must be TOML. Got: {error}. Texts and months stand in quotes there, as in "
            'start = "2009-01".'
        ) from error
    known = {_key(param): param for param in context.command.params if _is_option(param)}
    values: dict[str, Any] = {}
    for key, value in content.items():
        name = key.replace("_", "-")
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(
                f"The keys of {str(path)!r} must be names of options: {', '.join(known)}. Got {key!r}.{hint}"
            )
        param = known[name]
        if param.name in values:
            raise click.UsageError(
                f"The keys of {str(path)!r} must name each option once. Got {name!r} in two spellings."
            )
        values[str(param.name)] = _checked(context, param, value, f"The key {key!r} of {str(path)!r}", path.parent)
    context.default_map = values


def _is_option(param: click.Parameter) -> bool:
    # Neither --help nor --config: what acts before the others is no setting.
    return isinstance(param, click.Option) and not param.is_eager


def _key(param: click.Parameter) -> str:
    return next(name for name in param.opts if name.startswith("--")).removeprefix("--")


def _checked(context: click.Context, param: click.Parameter, value: Any, what: str, folder: Path) -> Any:
    """Check a value as on the command line, and its type more strictly: TOML tells 60 from 60.5 and true."""
    expected, fits = _expectation(param, value)
    if not fits:
        raise click.UsageError(f"{what} must be {expected}. Got {value!r}.")
    if isinstance(param.type, GroupAddition):
        value = [f"{group}={names if isinstance(names, str) else ','.join(names)}" for group, names in value.items()]
    elif isinstance(param.type, click.Path):
        value = str(folder / value)
    try:
        param.type_cast_value(context, value)
    except click.BadParameter as error:
        raise click.UsageError(f"{what}: {error.message}") from error
    return value


def _expectation(param: click.Parameter, value: Any) -> tuple[str, bool]:
    """Say of which TOML type a value must be, and whether it is."""
    kind = param.type
    if getattr(param, "is_flag", False):
        return "true or false", isinstance(value, bool)
    if isinstance(kind, CommaList):
        return "a list, or text with commas", isinstance(value, list | str)
    if isinstance(kind, GroupAddition):
        fits = isinstance(value, Mapping) and all(
            isinstance(names, str) or (isinstance(names, list) and all(isinstance(name, str) for name in names))
            for names in value.values()
        )
        return 'a table of lists, as in group = {Size = ["LOGDV"]}', fits
    if isinstance(kind, click.IntRange):
        return "a whole number", type(value) is int
    if isinstance(kind, click.FloatRange):
        return "a number", type(value) in (int, float)
    return "text in quotes", isinstance(value, str) and bool(value)
