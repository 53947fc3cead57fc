"""The program: its commands, and how it ends."""

import contextlib
import os
import sys
import traceback
from typing import Any

import click

from skdrfm import __version__
from skdrfm.cli._audit import audit
from skdrfm.cli._completion import completion
from skdrfm.cli._console import BROKEN_PIPE, FAULT, INTERRUPTED, error_text
from skdrfm.cli._describe import describe
from skdrfm.cli._explain import explain
from skdrfm.cli._report import report
from skdrfm.cli._study import study


class _Program(click.Group):
    """Commands in the order of use, and an exit code for each way to end."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            # All kinds of them are shown alike once the message is made.
            raise click.UsageError(error_text(error.format_message()), ctx=error.ctx) from error
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo("\nInterrupted.", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            # The reader has seen enough. What is still in the buffer must not be written when Python ends.
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(BROKEN_PIPE)
        except Exception:
            # Python would end with 1, which means that something was found in the data.
            traceback.print_exc()
            click.echo("This is a fault of skdrfm, not of the input. Please report it with these lines.", err=True)
            ctx.exit(FAULT)


_EPILOG = """\b
From a panel of stocks to a report:
  skdrfm describe panel.csv
  skdrfm audit panel.csv
  skdrfm study --data panel.csv --out runs/mine
  skdrfm report runs/mine --format docx

Results go to stdout, and with --json they are one JSON document. Progress, warnings and errors go to stderr.

\b
Exit codes:
  0    done
  1    done, and something was found (audit: a leak; describe: a fault)
  2    bad input or a wrong call; nothing was written
  70   a fault of skdrfm itself, with a traceback
  130  interrupted (Ctrl-C)
  141  the reader of the output has gone, as in "| head"
"""


@click.group(cls=_Program, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="skdrfm")
def main() -> None:
    """Deep recurrent factor models, walked forward and explained."""


for _command in (describe, audit, study, report, explain, completion):
    main.add_command(_command)
