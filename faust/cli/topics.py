"""``faust topics``: the app's topics, their partitions, ends, and the lag of groups."""

from __future__ import annotations

from typing import Any, ClassVar

from faust._values import TP
from faust.cli.base import AppCommand
from faust.cli.params import option
from faust.transport.base import EARLIEST, LATEST

__all__ = ["topics"]


class topics(AppCommand):
    """List topics, and who is how far behind.

    For each: partitions, end offsets, and the lag of each group that reads it. Those that group_by
    and through have made are among them, changelogs and reply topics, too.
    """

    abstract = False
    title: ClassVar[str] = "Topics"
    headers: ClassVar[list[str]] = ["topic", "partitions", "end offsets", "group", "lag"]
    examples = """
    Examples:
      faust -A myproj.app topics          those of the app
      faust -A myproj.app topics --all    all that the broker has
    """
    options = [option("--all", "everything", is_flag=True, help="All that the broker has.")]

    async def run(self, *, everything: bool) -> None:
        """Ask the broker, and print the table."""
        self.app.prepare_directories()
        await self.app.connect()
        connection = self.app.connection
        rows = await connection.bridge.call_io(self._rows, connection.transport, everything)
        self.say(self.tabulate(rows, headers=self.headers, title=self.title))

    async def _rows(self, transport: Any, everything: bool) -> list[list[Any]]:
        infos = await transport.topics(None)
        of_the_app = {*self._of_the_app(infos), *await self._read_by_the_app(transport, infos)}
        wanted = sorted(infos if everything else of_the_app)
        missing = [] if everything else self._missing(infos)
        tps = [TP(name, n) for name in wanted for n in range(infos[name].partitions)]
        first = await transport.offsets(tps, EARLIEST)
        ends = await transport.offsets(tps, LATEST)
        committed = await self._committed(transport, tps)
        rows: list[list[Any]] = []
        for name in wanted:
            own = [tp for tp in tps if tp.topic == name]
            end = sum(ends.get(tp, 0) for tp in own)
            readers: list[tuple[str, dict[TP, int] | None]] = [
                (group, at)
                for group, at in sorted(committed.items())
                if any(tp in at for tp in own)
            ]
            for group, offsets in readers or [("-", None)]:
                lag: Any = "-"
                if offsets is not None:
                    at = {tp: offsets.get(tp, first.get(tp, 0)) for tp in own}
                    lag = sum(max(0, ends.get(tp, 0) - at[tp]) for tp in own)
                rows.append([name, len(own), end, group, lag])
        rows += [[name, "-", "not there", "-", "-"] for name in missing]
        return sorted(rows, key=lambda row: str(row[0]))

    async def _read_by_the_app(self, transport: Any, infos: Any) -> set[str]:
        """Return the topics that the app's group has a position in: those of group_by, too."""
        tps = [TP(name, n) for name, info in infos.items() for n in range(info.partitions)]
        return {tp.topic for tp in await transport.committed(str(self.app.conf.id), tps)}

    def _missing(self, infos: Any) -> list[str]:
        """Return the topics that agents read, and the broker does not have (yet)."""
        named = (a.get_topic_names() for a in self.app.agents.values() if a.reads_topic)
        return sorted({name for names in named for name in names if name not in infos})

    def _of_the_app(self, infos: Any) -> list[str]:
        prefix = f"{self.app.conf.id}-"
        named = {n for a in self.app.agents.values() if a.reads_topic for n in a.get_topic_names()}
        objects = [a.channel for a in self.app.agents.values() if a.reads_topic]
        return [
            name
            for name in infos
            if name in named
            or name.startswith(prefix)
            or any(topic.matches(name) for topic in objects)
        ]

    async def _committed(self, transport: Any, tps: list[TP]) -> dict[str, dict[TP, int]]:
        found: dict[str, dict[TP, int]] = {}
        for group in await transport.groups():
            commits = await transport.committed(group, tps)
            offsets = {tp: commit.offset for tp, commit in commits.items()}
            if offsets:
                found[group] = offsets
        return found
