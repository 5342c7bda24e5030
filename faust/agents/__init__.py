"""Agents: functions that process streams."""

from faust.agents.agent import Agent, current_agent
from faust.agents.replies import AgentError, AskTimeout, ReplyPromise

__all__ = ["Agent", "AgentError", "AskTimeout", "ReplyPromise", "current_agent"]
