"""Agents, as annotations name them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from faust.agents.actor import Actor as ActorT
from faust.agents.agent import Agent as AgentT

__all__ = ["ActorT", "AgentFun", "AgentT"]

#: What ``@app.agent`` decorates: an async function, or generator, of a stream.
AgentFun: TypeAlias = Callable[[Any], Any]
