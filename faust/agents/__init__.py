"""Agents: functions that process streams."""

from faust.agents.agent import Agent, current_agent
from faust.agents.replies import ReplyPromise

__all__ = ["Agent", "ReplyPromise", "current_agent"]
