"""Settings from environment variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from faust.settings.kinds import Bool
from faust.settings.params import Setting, prefixed

__all__ = ["PREFIX_VARIABLE", "is_strict", "read_env"]

#: Names the prefix of all other variables; it has no prefix itself.
PREFIX_VARIABLE = "APP_ENV_PREFIX"


def read_env(
    definitions: Mapping[str, Setting[Any, Any]],
    environment: Mapping[str, str],
    *,
    prefix: str | None = None,
) -> Iterator[tuple[str, str, str]]:
    """Yield name, text and variable for each setting that the environment sets.

    What is set by ``BROKER_URL`` is also set by ``FAUST_BROKER_URL``, which wins (platforms set
    variables such as ``WEB_PORT`` for reasons of their own); with a prefix ``X`` it is
    ``X_BROKER_URL`` only.  An empty variable counts as not set, but for true-or-false settings it
    is false.  The name is an old one where the variable is.
    """
    for name, definition in definitions.items():
        variables = [(name, each) for each in definition.env_names(prefix)]
        old = definition.in_milliseconds
        variables += [(old, each) for each in prefixed(old.upper(), prefix)]
        for called, variable in variables:
            text = environment.get(variable)
            if text is None or (not text and not definition.kind.empty_text_counts):
                continue
            yield called, text, variable
            break


def is_strict(environment: Mapping[str, str]) -> bool:
    """Return whether reading ``app.conf`` before ``app.finalize()`` is an error.

    That is what ``FAUST_STRICT`` (or ``F_STRICT``) asks for: anything but ``0``, ``false``, ``no``,
    ``off`` and the empty text.
    """
    text = environment.get("FAUST_STRICT", environment.get("F_STRICT", ""))
    try:
        return Bool().convert(text)
    except ValueError:
        return True
