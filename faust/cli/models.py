"""``faust models``: list the models."""

from __future__ import annotations

from typing import Any, ClassVar

from faust.cli.base import AppCommand
from faust.cli.params import option
from faust.models import registry

__all__ = ["models"]


class models(AppCommand):
    """List models."""

    abstract = False
    title: ClassVar[str] = "Models"
    headers: ClassVar[list[str]] = ["name", "help"]
    options = [option("--builtins/--no-builtins", help="Include those of Faust itself.")]

    async def run(self, *, builtins: bool) -> None:
        """Print the table."""
        rows = [
            [self.abbreviate_fqdn(name), _first_line(registry[name])]
            for name in sorted(registry)
            if (builtins and name.startswith("@"))
            or not registry[name].__module__.startswith("faust.")
        ]
        self.say(self.tabulate(rows, headers=self.headers, title=self.title))


def _first_line(model: Any) -> str:
    lines = (model.__doc__ or "").strip().splitlines()
    return lines[0] if lines else "<N/A>"
