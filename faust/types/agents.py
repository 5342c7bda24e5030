"""Agents, as annotations name them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from faust.agents.actor import Actor as ActorT
from faust.agents.agent import Agent as AgentT
from faust.streams import Stream

__all__ = ["ActorT", "AgentFun", "AgentT"]

_T = TypeVar("_T")

#: What ``@app.agent`` decorates: an async function, or generator, of a stream.
AgentFun: TypeAlias = Callable[[Stream[_T]], Any]
