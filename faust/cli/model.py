"""``faust model``: show the fields of a model."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, ClassVar

from faust.cli.base import AppCommand, UsageError
from faust.cli.completing import complete_model
from faust.cli.params import argument
from faust.models import registry

__all__ = ["model"]


class model(AppCommand):
    """Show the fields of a model."""

    abstract = False
    headers: ClassVar[list[str]] = ["field", "type", "default"]
    options = [argument("name", shell_complete=complete_model)]

    async def run(self, name: str) -> None:
        """Print the table."""
        found = self._find(name)
        fields = found._options.descriptors
        rows = [self._row(fields[field]) for field in sorted(fields)]
        self.say(self.tabulate(rows, headers=self.headers, title=found.__name__))

    def _find(self, name: str) -> Any:
        for known in (name, f"{(self.app.conf.origin or '').partition(':')[0]}.{name}"):
            if known in registry:
                return registry[known]
        shown = {each.casefold(): each for each in map(self.abbreviate_fqdn, registry)}
        close = get_close_matches(self.abbreviate_fqdn(name).casefold(), shown, n=1)
        hint = f"did you mean {shown[close[0]]!r}?" if close else "see the command models"
        raise UsageError(f"there is no model {name!r}; {hint}")

    @staticmethod
    def _row(field: Any) -> list[str]:
        kind = getattr(field.type, "__name__", None) or repr(field.type)
        return [field.field, kind, "*" if field.required else repr(field.default)]
