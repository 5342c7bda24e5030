"""``faust agents``: list the agents."""

from __future__ import annotations

from typing import Any, ClassVar

from faust.cli.base import AppCommand
from faust.cli.params import option

__all__ = ["agents"]


class agents(AppCommand):
    """List agents, and the topics they read."""

    abstract = False
    title: ClassVar[str] = "Agents"
    headers: ClassVar[list[str]] = ["name", "topic", "help"]
    options = [
        option("--local/--no-local", help="Include agents that read channels in memory."),
    ]

    async def run(self, local: bool) -> None:
        """Print the table."""
        found = sorted(self.app.agents.values(), key=lambda agent: str(agent.name))
        rows = [self._row(agent) for agent in found if local or agent.reads_topic]
        self.say(self.tabulate(rows, headers=self.headers, title=self.title))

    def _row(self, agent: Any) -> list[str]:
        lines = (agent.help or "").strip().splitlines()
        topic = str(agent.channel) if agent.reads_topic else "<LOCAL>"
        return [self.abbreviate_fqdn(agent.name, prefix="@"), topic, lines[0] if lines else "<N/A>"]
