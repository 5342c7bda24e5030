"""Options and arguments of commands: click's, made when the program runs.

So a module that defines a command does not load click.
"""

from __future__ import annotations

from typing import Any

__all__ = ["argument", "option"]


class argument:
    """A positional parameter of a command: takes what `click.argument` takes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args = args
        self.kwargs = kwargs

    def __call__(self, fun: Any) -> Any:
        """Decorate a function with it."""
        import click

        return click.argument(*self.args, **self.kwargs)(fun)


class option:
    """An option of a command: takes what `click.option` takes; its default is shown."""

    def __init__(self, *args: Any, show_default: bool = True, **kwargs: Any) -> None:
        self.args = args
        self.kwargs = {"show_default": show_default, **kwargs}

    def __call__(self, fun: Any) -> Any:
        """Decorate a function with it."""
        import click

        return click.option(*self.args, **self.kwargs)(fun)
