"""Agents, as annotations name them."""

from __future__ import annotations

from faust.agents.actor import Actor as ActorT
from faust.agents.agent import Agent as AgentT

__all__ = ["ActorT", "AgentT"]
