"""``faust settings``: show every setting, and where it came from."""

from __future__ import annotations

from typing import Any

from faust.cli.base import AppCommand
from faust.cli.params import option

__all__ = ["settings"]


class settings(AppCommand):
    """Show settings, and where their values came from."""

    abstract = False
    options = [option("--all/--given", "everything", help="Also those that nobody has set.")]

    async def run(self, *, everything: bool) -> None:
        """Print the table."""
        conf = self.app.conf
        rows = [
            [name, self._value(conf, name), str(conf.source_of(name))]
            for name in sorted(conf.setting_names())
            if everything or conf.source_of(name).level != "default"
        ]
        self.say(self.tabulate(rows, headers=["setting", "value", "source"], title="Settings"))

    @staticmethod
    def _value(conf: Any, name: str) -> str:
        value = getattr(conf, name)
        if conf.SETTINGS[name].kind.secret:
            return "<hidden>" if value is not None else "None"
        if isinstance(value, type):
            return f"{value.__module__}.{value.__qualname__}"
        if isinstance(value, list) and value and hasattr(value[0], "scheme"):
            from faust.utils.urls import show_url

            return ";".join(show_url(url) for url in value)
        return str(value)
