"""Settings from environment variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from faust.settings.params import Setting

__all__ = ["PREFIX_VARIABLE", "read_env"]

#: Names the prefix of all other variables; it has no prefix itself.
PREFIX_VARIABLE = "APP_ENV_PREFIX"


def read_env(
    definitions: Mapping[str, Setting[Any, Any]],
    environment: Mapping[str, str],
    *,
    prefix: str | None = None,
) -> Iterator[tuple[str, str, str]]:
    """Yield setting, text and variable for each setting that the environment sets.

    What is set by ``BROKER_URL`` is also set by ``FAUST_BROKER_URL``, which wins (platforms set
    variables such as ``WEB_PORT`` for reasons of their own); with a prefix ``X`` it is
    ``X_BROKER_URL`` only.  An empty
    variable counts as not set, but for true-or-false settings it is false.
    """
    for name, definition in definitions.items():
        for variable in definition.env_names(prefix):
            text = environment.get(variable)
            if text is None or (not text and not definition.kind.empty_text_counts):
                continue
            yield name, text, variable
            break
