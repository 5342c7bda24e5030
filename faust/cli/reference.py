"""The reference of the program, as Markdown: ``python -m faust.cli.reference`` prints it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc

import click

from faust.cli.base import Command, params_of
from faust.cli.faust import COMMANDS, built_in
from faust.cli.options import group_options, worker_options

__all__ = ["reference"]

_INTRODUCTION = """
# The `faust` program

    faust [OPTIONS BEFORE] COMMAND [OPTIONS BEHIND]

`python -m faust` is the same, and so is a script of yours that calls `app.main()`; it knows its
app, others need `-A`. This page is made from the commands themselves.

`-A` takes a module (`myproj.app`: its attribute `app`, or its only app), a module and an attribute
(`myproj.app:other`, `myproj.app.other`), or a file (`myproj/app.py`). The variable `FAUST_APP`
does, too. Settings that have an option are taken from the option first, then from the environment
([all settings](settings.md)), from a config source, and from what is given to `faust.App`. An
option that may stand before the command and behind it counts where it stands first.

Results go to standard output, everything else to standard error. Tables are coloured, and wrapped
to the width, on a terminal only (`NO_COLOR` turns colours off); with `--json` they are one line of
JSON. `_` is as good as `-` in names of commands.

| status | when |
|---|---|
| 0 | It is done; or SIGTERM or SIGINT ended a worker or a daemon. |
| 1 | It failed; a worker ended without a last commit; `check-migration` found something. |
| 2 | It was used or configured wrongly: one sentence says how. |
| 71 | Out of memory. |
| 130, 143 | SIGINT or SIGTERM ended a command. |
| N | A command raised `SystemExit(N)`. |
"""


def reference() -> str:
    """Return the whole text."""
    lines = [_INTRODUCTION.strip(), "", "## Options before the command", ""]
    lines += [*_table(group_options()), ""]
    for name in COMMANDS:
        lines += [*_command(name, built_in(name)), ""]
    return "\n".join(lines)


def _command(name: str, command: type[Command]) -> Iterator[str]:
    yield f"## `{name}`"
    yield ""
    yield cleandoc(command.__doc__ or "")
    yield ""
    params = params_of(command)
    arguments = [p for p in params if isinstance(p, click.Argument)]
    given = " ".join(
        f"{p.name.upper()}" if p.required else f"[{p.name.upper()}]" for p in arguments if p.name
    )
    words = ["faust", "-A APP" if command.require_app else "", name, given]
    yield f"    {' '.join(word for word in words if word)}"
    shared: list[click.Parameter] = [*worker_options()] if name == "worker" else []
    options = [p for p in [*params, *shared] if isinstance(p, click.Option)]
    if options:
        yield ""
        yield from _table(options)
    if command.examples:
        yield ""
        yield from _examples(command.examples)


def _examples(text: str) -> Iterator[str]:
    heading, *lines = cleandoc(text).splitlines()
    yield heading
    yield ""
    yield from (f"    {line.strip()}" for line in lines)


def _table(options: list[click.Parameter] | list[click.Option]) -> Iterator[str]:
    yield "| option | what | environment |"
    yield "|---|---|---|"
    for option in options:
        if isinstance(option, click.Option):
            yield f"| {_names(option)} | {_what(option)} | {_environment(option)} |"


def _names(option: click.Option) -> str:
    names = [f"`{name}`" for name in (*option.opts, *option.secondary_opts)]
    return f"{', '.join(names)} {_metavar(option)}".strip()


def _metavar(option: click.Option) -> str:
    if option.is_flag:
        return ""
    if isinstance(option.type, click.Choice):
        return " \\| ".join(map(str, option.type.choices))
    return option.metavar or option.type.name.upper()


def _what(option: click.Option) -> str:
    text = re.sub(r"\s+", " ", option.help or "").replace("|", "\\|")
    shows = option.show_default and not option.is_flag and isinstance(option.default, int | float)
    return f"{text} Default: {option.default}." if shows else text


def _environment(option: click.Option) -> str:
    names = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    print(reference())
