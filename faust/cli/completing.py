"""What a shell may complete beside commands and options: names of agents, topics and models."""

from __future__ import annotations

from contextlib import redirect_stdout
from sys import stderr
from typing import Any

__all__ = ["complete_entity", "complete_model"]


def complete_entity(ctx: Any, param: Any, incomplete: str) -> list[str]:
    """Return agents, as ``@name``, and the topics they read."""
    app = _app_of(ctx)
    if app is None:
        return []
    from faust._core.names import shorten_name

    agents = [a for a in app.agents.values() if a.reads_topic]
    names = [f"@{shorten_name(agent.name, app.conf.origin)}" for agent in agents]
    names += sorted({topic for agent in agents for topic in agent.get_topic_names()})
    return [name for name in names if name.startswith(incomplete)]


def complete_model(ctx: Any, param: Any, incomplete: str) -> list[str]:
    """Return models, without the app's own module in front."""
    app = _app_of(ctx)
    if app is None:
        return []
    from faust._core.names import shorten_name
    from faust.models import registry

    names = [shorten_name(name, app.conf.origin) for name in registry if not name.startswith("@")]
    return sorted(name for name in names if name.startswith(incomplete))


def _app_of(ctx: Any) -> Any:
    """Return the app, if it is known and can be imported; what it prints is kept off the answer."""
    root = ctx.find_root()
    with redirect_stdout(stderr):
        try:
            return root.command.app_for(root, required=False)
        except Exception:
            return None
