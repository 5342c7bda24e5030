"""``faust settings``: show every setting, and where it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from faust.cli.base import AppCommand, Command
from faust.cli.params import argument, option
from faust.exceptions import ImproperlyConfigured
from faust.settings import Settings
from faust.utils.urls import show_url

__all__ = ["settings"]

#: What stands for a value that nobody is to see.
HIDDEN = "***"
#: Settings, and keys in mappings, whose values nobody is to see.
_SECRET = re.compile(r"passw|secret|token|credential|api_?key", re.I)


class settings(AppCommand):
    """Show settings, and where their values came from.

    Passwords in URLs, credentials, and what is called password, secret or token are shown as ***.
    """

    abstract = False
    needs_broker = False
    examples = """
    Examples:
      faust -A myproj.app settings            all of them
      faust -A myproj.app settings broker     those with broker in their names
      faust -A myproj.app settings --given    those that somebody has set
    """
    options = [
        argument("name", required=False, default=""),
        option("--all/--given", "everything", default=True, help="Also those nobody has set."),
    ]

    async def execute(self, *args: Any, **kwargs: Any) -> Any:
        """As for a command without an app: no broker is asked, and nothing is set for one."""
        return await Command.execute(self, *args, **kwargs)

    async def run(self, *, name: str = "", everything: bool = True) -> None:
        """Print the table.

        Raises:
            UsageError: there is no such setting.
        """
        conf = self.app.conf
        names = sorted(each for each in conf.setting_names() if name in each)
        if not names:
            raise self.UsageError(f"there is no setting with {name!r} in its name")
        rows = [
            [each, self._value(conf, each), str(conf.source_of(each))]
            for each in names
            if everything or conf.source_of(each).level != "default"
        ]
        self.say(self.tabulate(rows, headers=["setting", "value", "source"], title="Settings"))

    def _value(self, conf: Settings, name: str) -> Any:
        """Return a value as it is shown: text, or what JSON has where JSON was asked for."""
        try:
            value = getattr(conf, name)
        except ImproperlyConfigured as exc:
            return f"({exc})"
        secret = conf.SETTINGS[name].kind.secret or _SECRET.search(name)
        if secret and value is not None:
            return HIDDEN
        shown = shown_value(value)
        return shown if self.json else _as_text(shown)


def shown_value(value: Any) -> Any:
    """Return a value as JSON could have it, without secrets."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "raw_authority"):
        return show_url(value)
    if isinstance(value, Mapping):
        return {str(k): _shown_item(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        shown = [shown_value(each) for each in value]
        return ";".join(shown) if value and hasattr(value[0], "raw_authority") else shown
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    enum_value = getattr(value, "value", None)
    return enum_value if isinstance(enum_value, str) else str(value)


def _shown_item(key: str, value: Any) -> Any:
    return HIDDEN if _SECRET.search(key) else shown_value(value)


def _as_text(shown: Any) -> str:
    if isinstance(shown, Sequence) and not isinstance(shown, str):
        return ";".join(map(str, shown))
    return str(shown)
