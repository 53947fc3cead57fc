"""``skdrfm completion``: what a shell needs to complete the command."""

import click
from click.shell_completion import get_completion_class

_EPILOG = """\b
  bash  skdrfm completion bash > ~/.local/share/bash-completion/completions/skdrfm
  zsh   skdrfm completion zsh > ~/.zfunc/_skdrfm
        (~/.zshrc: fpath+=~/.zfunc; autoload -Uz compinit && compinit)
  fish  skdrfm completion fish > ~/.config/fish/completions/skdrfm.fish
"""


@click.command(short_help="Completion for bash, zsh or fish.", epilog=_EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, /, shell: str) -> None:
    """Write the script with which a shell completes commands, options and values.

    Put it where the shell looks for such scripts, and open a new shell:
    """
    kind = get_completion_class(shell)
    assert kind is not None  # the names are click's own
    click.echo(kind(context.find_root().command, {}, "skdrfm", "_SKDRFM_COMPLETE").source())
