"""``faust completion``: what makes a shell complete commands, options, agents and models."""

from __future__ import annotations

import os
from typing import Any

from faust.cli.base import Command, UsageError
from faust.cli.params import argument

__all__ = ["completion"]

SHELLS = ("bash", "zsh", "fish")


def _is_shell(ctx: Any, param: Any, value: str | None) -> str | None:
    if ctx.resilient_parsing:
        return value
    name = value or os.path.splitext(os.path.basename(os.environ.get("SHELL", "")))[0]
    if name not in SHELLS:
        seen = f"{name!r} is none of" if name else "which shell? There are"
        raise UsageError(f"{seen} {', '.join(SHELLS)}: faust completion bash")
    return name


def _complete_shell(ctx: Any, param: Any, incomplete: str) -> list[str]:
    return [shell for shell in SHELLS if shell.startswith(incomplete)]


class completion(Command):
    """Print what lets your shell complete commands.

    SHELL is bash, zsh or fish (default: the one in $SHELL). Commands and options are completed,
    those of the app included where -A or FAUST_APP names it; so are @agents for `send`, and models
    for `model`.
    """

    abstract = False
    require_app = False
    examples = """
    Examples:
      eval "$(faust completion bash)"                               in ~/.bashrc
      eval "$(faust completion zsh)"                                in ~/.zshrc
      faust completion fish > ~/.config/fish/completions/faust.fish
    """
    options = [
        argument("shell", required=False, callback=_is_shell, shell_complete=_complete_shell)
    ]

    async def run(self, shell: str) -> None:
        """Print the script."""
        self.say(script_for(shell), file=self.stdout)


def script_for(shell: str) -> str:
    """Return the script for a shell."""
    from click.shell_completion import get_completion_class

    from faust.cli.faust import COMPLETE_VARIABLE, Program

    made = get_completion_class(shell)
    assert made is not None
    # Not source(), which runs the shell to look at its version.
    complete = made(Program(), {}, "faust", COMPLETE_VARIABLE)
    return complete.source_template % complete.source_vars()
