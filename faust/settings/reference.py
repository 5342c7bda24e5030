"""What is made from the definitions of settings: the reference page, help texts, type hints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from faust.settings.params import Setting
from faust.settings.retired import RETIRED
from faust.settings.settings import Settings

__all__ = ["help_text", "keywords_module", "reference"]

INTRODUCTION = """# Settings

<!-- Made by `python -m tools.settings` from the definitions in faust/settings; do not edit. -->

Every setting may be given in several places. Where more than one gives it, the first of these wins:

1. the command line (`faust -A app worker --web-port 6067`);
2. the environment (`WEB_PORT=6067`, or `FAUST_WEB_PORT=6067`, which wins over the former);
3. a config source (`app.config_from_object("myproj.config")`, or `App(..., config_source=...)`): a
   module, an object, the path of one of these, or a mapping;
4. a keyword argument (`faust.App("myapp", web_port=6067)`);
5. the default.

`faust -A app settings` shows every value and where it came from. `None` means the default, wherever
it stands. `app.conf.web_port = 6067` assigns a setting before the app is started (in a handler of
`on_configured`, say), `app.conf = faust.Settings("myapp", web_port=6067)` all of them.

Durations are seconds, as a number, or a `timedelta`. True-or-false settings are written `true`,
`yes`, `on`, `1` or `false`, `no`, `off`, `0` in the environment. With `env_prefix="FOO"` the
variables are `FOO_WEB_PORT` and so on; `WEB_PORT` is not read then. Only those that
begin with `FAUST_` or `F_`, for the data directory and the web server's port, address and
transport, never have a prefix.

Two variables are no settings: `APP_ENV_PREFIX` gives the prefix, and with `FAUST_STRICT=1` (or
`F_STRICT=1`) it is an error to read `app.conf` before `app.finalize()` was called.

A setting of your own is an attribute of a subclass:

```python
import faust
from faust.settings import setting
from faust.settings.kinds import Text


class Settings(faust.Settings):
    greeting = setting(Text(), default="hello", env="GREETING", text="What is said first.")


class App(faust.App):
    Settings = Settings


print(App("myapp").conf.greeting)
print(App("myapp", env={"GREETING": "good morning"}).conf.greeting)
```

```text
hello
good morning
```

"Since" is the version of Faust that brought it; 0.x are versions of faust-streaming.
"""

GONE = """## Gone

These were settings, and are none here. Those without effect are ignored, with a warning; the others
are refused, unless they are off.
"""

KEYWORDS = '''"""The keyword arguments of `faust.App`, for type checkers.

Made by ``python -m tools.settings`` from the definitions; do not edit.  Types are
narrower than what is read: a number may come as text from the environment, but is one in code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from logging import Handler
    from pathlib import Path
    from ssl import SSLContext

    from yarl import URL

    from faust._values import ProcessingGuarantee
    from faust._values.modelproto import CodecProto
    from faust._values.policies import DecodePolicy, Policy
    from faust.auth import Credentials

__all__ = ["SettingsKeywords"]


class SettingsKeywords(TypedDict, total=False):
    """All settings but the id."""
'''


def reference(settings: type[Settings] = Settings) -> str:
    """Return all settings of a class, section by section, as Markdown."""
    lines = [INTRODUCTION]
    for title, definitions in settings.SETTINGS_BY_SECTION.items():
        lines += [f"## {title}", ""]
        for definition in definitions:
            lines += [*_entry(definition), ""]
    lines += [GONE]
    for name, retired in sorted(RETIRED.items()):
        verb = "no effect" if retired.harmless else "refused"
        lines.append(f"- `{name}`: {verb}; {_marked(retired.why)}.")
    return "\n".join(lines) + "\n"


def keywords_module(settings: type[Settings] = Settings) -> str:
    """Return the module `faust.settings.keywords`: the type of each setting, as code."""
    lines = [KEYWORDS]
    for title, definitions in settings.SETTINGS_BY_SECTION.items():
        lines.append(f"    # {title}")
        for definition in definitions:
            if definition.name != "id":
                names = (definition.name, *definition.aliases)
                kind = definition.kind.annotation
                lines += [f"    {name}: {_optional(kind)}" for name in names]
    return "\n".join(lines) + "\n"


def help_text(name: str, settings: type[Settings] = Settings) -> str:
    """Return a setting in one sentence with its default, for an option of the command line."""
    definition = settings.SETTINGS[name]
    sentence = definition.text.replace("``", "").split(". ")[0]
    return f"{sentence.rstrip('.')} [{definition.default_text.strip(chr(39))}]."


def _optional(kind: str) -> str:
    return kind if kind == "Any" else f"{kind} | None"


def _entry(definition: Setting[Any, Any]) -> Iterator[str]:
    yield f"### `{definition.name}`"
    yield ""
    yield _marked(definition.text)
    yield ""
    for what, text in _facts(definition):
        if text:
            yield f"- {what}: {text}"


def _facts(definition: Setting[Any, Any]) -> Iterator[tuple[str, str]]:
    old = definition.in_milliseconds
    yield "Takes", definition.expects
    yield "Default", f"`{definition.default_text}`"
    yield "Environment", _code(definition.env_names(None))
    yield "Command line", _code((definition.option,) if definition.option else ())
    yield "Also called", _code(definition.aliases)
    yield "Was called", _code((*definition.renamed_from, *([old] if old else [])))
    yield "Since", definition.since


def _marked(text: str) -> str:
    return text.replace("``", "`")


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
