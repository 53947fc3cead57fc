"""Where words go, and how a command ends: results to stdout, all else to stderr."""

import json
import math
import os
import shutil
import sys
import textwrap
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import PurePath
from typing import Any

import click

from skdrfm import __version__
from skdrfm.exceptions import SkdrfmError

# Control characters, halves of surrogate pairs, and ends of lines and paragraphs of Unicode.
_COMMANDS = frozenset({"Cc", "Cs", "Zl", "Zp"})
# What would turn round the text that follows a name.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

FOUND, BAD_INPUT, FAULT, INTERRUPTED, BROKEN_PIPE = 1, 2, 70, 130, 141


class BadInputError(click.ClickException):
    """One message on stderr, no traceback."""

    exit_code = BAD_INPUT

    def format_message(self) -> str:
        """Make the message fit for the terminal."""
        return error_text(self.message)


def error_text(message: str) -> str:
    """Break the lines of an error between words where a person reads it; a program gets one line."""
    text = printable(message.strip())
    if not sys.stderr.isatty():
        return text
    label = "Error: "  # what click puts before it
    return paragraph(label + text).removeprefix(label)


@contextmanager
def running(*, interrupted: Callable[[], str] = lambda: "Nothing was written.") -> Iterator[None]:
    """Turn our errors into one message and exit code 2, warnings into one line each, and Ctrl-C into a way to go on.

    Parameters
    ----------
    interrupted : callable, default=lambda: "Nothing was written."
        Says what becomes of the work after Ctrl-C.
    """
    # An application may quieten TensorFlow's log, and must do so before TensorFlow is loaded. Level 2 still prints a
    # missing graphics card as an error, and one line in each training; real failures come as Python errors.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        warnings.showwarning = _echo_warning
        try:
            yield
        except BrokenPipeError:
            raise
        except (SkdrfmError, OSError) as error:
            raise BadInputError(str(error)) from error
        except KeyboardInterrupt as error:
            click.echo("\n" + paragraph(f"Interrupted. {interrupted()}"), err=True)
            raise click.exceptions.Exit(INTERRUPTED) from error


def _echo_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"Warning: {printable(str(message))}", err=True)


def shows_progress(quiet: bool) -> bool:
    """Tell whether somebody looks: a bar in a file is rubbish."""
    return not quiet and sys.stderr.isatty()


def say(text: str = "") -> None:
    """Write a result for people to stdout."""
    click.echo(_encodable(printable(text)))


def note(text: str, *, quiet: bool = False) -> None:
    """Write what is no result to stderr."""
    if not quiet:
        click.echo(printable(text), err=True)


def paragraph(text: str, indent: str = "") -> str:
    """Break a text into lines of the terminal."""
    return textwrap.fill(
        text,
        text_width(),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def text_width() -> int:
    """Columns of the terminal, 80 where there is none; long lines are hard to read."""
    return max(40, min(100, shutil.get_terminal_size((80, 24)).columns))


def printable(text: str) -> str:
    r"""Write control characters as their codes, so that a name in a file cannot command the terminal.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        The same with codes such as ``\x1b``; ends of lines stay.

    Examples
    --------
    >>> from skdrfm.cli._console import printable
    >>> print(printable("red \x1b[31m"))
    red \x1b[31m
    """
    return text if text.isprintable() else "".join(letter if _is_harmless(letter) else _code(letter) for letter in text)


def _is_harmless(letter: str) -> bool:
    return letter in "\n\t" or not (unicodedata.category(letter) in _COMMANDS or letter in _TURNING)


def _code(letter: str) -> str:
    return ascii(letter)[1:-1]


def _encodable(text: str) -> str:
    """Write what the encoding of stdout lacks as codes."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def echo_json(command: str, document: Mapping[str, Any]) -> None:
    """Write the one document of a command to stdout.

    Parameters
    ----------
    command : str
        Name of the command.
    document : mapping of str to object
        What it found; see `plain` for what may be in it.
    """
    whole = {"command": command, "skdrfm": __version__, **document}
    # Letters outside ASCII as codes: every terminal, pipe and shell passes them on.
    click.echo(json.dumps(plain(whole), indent=2, allow_nan=False))


def plain(value: Any) -> Any:
    """Turn results into what JSON knows.

    Parameters
    ----------
    value : object
        Numbers, texts, dates, paths, and mappings and sequences of them, also of NumPy and pandas.

    Returns
    -------
    object
        NaN and infinity become None, dates ISO text without a midnight, anything else its text.

    Examples
    --------
    >>> from skdrfm.cli._console import plain
    >>> plain({"share": float("nan"), "lags": (3, 0)})
    {'share': None, 'lags': [3, 0]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, date):  # a Timestamp is one, and so is NaT, which is not equal to itself
        return None if value != value else value.isoformat().removesuffix("T00:00:00")
    if hasattr(value, "tolist"):  # arrays and numbers of NumPy, series of pandas
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Sequence) and not isinstance(value, PurePath):
        return [plain(item) for item in value]
    return None if str(value) == "<NA>" else str(value)
