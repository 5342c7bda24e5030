"""The reference of all settings, as Markdown, made from their definitions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from faust.settings.params import Setting
from faust.settings.settings import Settings

__all__ = ["reference"]


def reference(settings: type[Settings] = Settings) -> str:
    """Return all settings of a class, section by section."""
    lines = ["# Settings", ""]
    for title, definitions in settings.SETTINGS_BY_SECTION.items():
        lines += [f"## {title}", ""]
        for definition in definitions:
            lines += [*_entry(definition), ""]
    return "\n".join(lines)


def _entry(definition: Setting[Any, Any]) -> Iterator[str]:
    yield f"### `{definition.name}`"
    yield ""
    yield definition.text.replace("``", "`")
    yield ""
    for what, text in _facts(definition):
        if text:
            yield f"- {what}: {text}"


def _facts(definition: Setting[Any, Any]) -> Iterator[tuple[str, str]]:
    yield "Takes", definition.expects
    yield "Default", f"`{definition.default_text}`"
    yield "Environment", _code(definition.env_names(None))
    yield "Command line", _code((definition.option,) if definition.option else ())
    yield "Also called", _code(definition.aliases)
    yield "Was called", _code(definition.renamed_from)
    yield "Since", definition.since


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in dict.fromkeys(names))
