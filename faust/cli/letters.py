"""Dead letters as commands see them: found, read, chosen, and which of them were sent back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from faust._engine.stretches import bounds, read_stretch
from faust._values import TP
from faust._values.policies import DeadLetter, Retry
from faust.agents.deadletters import PREFIX
from faust.exceptions import MetadataTooLarge
from faust.transport.membership import Commit

__all__ = ["Choice", "Done", "Letter", "Letters", "text_of", "topics_of"]

#: Bytes that a broker takes as the metadata of a commit.
MOST_METADATA = 4_000


@dataclass(frozen=True)
class Letter:
    """One dead letter.

    Attributes:
        tp: Where it is.
        record: It, as it is in the log.
        about: Its headers of ours, without their prefix, as text.
    """

    tp: TP
    record: Any
    about: Mapping[str, str]

    @classmethod
    def of(cls, tp: TP, record: Any) -> Letter:
        """Read a record."""
        return cls(
            tp,
            record,
            {
                name.removeprefix(PREFIX): (value or b"").decode(errors="replace")
                for name, value in record.headers
                if name.startswith(PREFIX)
            },
        )

    @property
    def is_one(self) -> bool:
        """Is it a dead letter, and not just any record?"""
        return "agent" in self.about

    @property
    def origin(self) -> TP | None:
        """Where the event was, if the headers say so."""
        about = self.about
        if not about.get("partition", "").isdigit() or not about.get("topic"):
            return None
        return TP(about["topic"], int(about["partition"]))

    @property
    def when(self) -> str:
        """When it was given up (where that is not said: the record's time)."""
        stamp = datetime.fromtimestamp(self.record.timestamp / 1000, UTC)
        return self.about.get("time") or stamp.isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Choice:
    """Which letters a command is about; what is ``None`` does not matter."""

    agent: str | None = None
    error: str | None = None
    key: str | None = None
    partition: int | None = None
    offset: int | None = None

    def takes(self, letter: Letter) -> bool:
        """Is it about this one?"""
        error = letter.about.get("error", "")
        key = letter.record.key
        return (
            self.agent in (None, letter.about.get("agent"))
            and self.error in (None, error, error.rpartition(".")[2])
            and (self.key is None or (key is not None and key == self.key.encode()))
            and self.partition in (None, letter.tp.partition)
            and self.offset in (None, letter.record.offset)
        )


class Done:
    """Which letters of a partition were sent back: a position, and ranges above it.

    It is kept as a commit of a group, so that an interrupted command goes on where it was.
    """

    def __init__(self, position: int, above: Iterable[int] = ()) -> None:
        self.position = position
        self.above = set(above)

    def __contains__(self, offset: int) -> bool:
        return offset < self.position or offset in self.above

    def add(self, offset: int) -> None:
        """This one was sent back."""
        self.above.add(offset)

    def settle(self, there: Collection[int]) -> None:
        """Move the position up to the first letter that was not sent back.

        Arguments:
            there: The offsets of all letters of the partition, in order.
        """
        for offset in there:
            if offset in self:
                self.position = max(self.position, offset + 1)
            elif offset >= self.position:
                break
        self.above = {offset for offset in self.above if offset >= self.position}

    def as_commit(self) -> Commit:
        """Return what to commit.

        Raises:
            MetadataTooLarge: there are too many gaps between those that were sent back.
        """
        text = ",".join(f"{low}-{high}" for low, high in _ranges(sorted(self.above)))
        if len(text) > MOST_METADATA:
            raise MetadataTooLarge(len(text), MOST_METADATA)
        return Commit(self.position, text)

    @classmethod
    def of(cls, commit: Commit | None, first: int) -> Done:
        """Read a commit; ``first`` is where the log begins."""
        if commit is None:
            return cls(first)
        pairs = [part.split("-") for part in (commit.metadata or "").split(",") if "-" in part]
        above = [n for low, high in pairs for n in range(int(low), int(high) + 1)]
        return cls(max(commit.offset, first), above)


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


class Letters:
    """The letters of some topics (on the I/O loop).

    Arguments:
        transport: The broker.
        topics: Their names; those that are not there are left out.
        group: In whose name it is kept what was sent back.
    """

    def __init__(self, transport: Any, topics: Iterable[str], group: str) -> None:
        self.transport = transport
        self.group = group
        self._topics = list(topics)
        self.bounds: dict[TP, tuple[int, int]] = {}
        self.done: dict[TP, Done] = {}
        self._offsets: dict[TP, list[int]] = {}

    async def look(self) -> None:
        """Ask the broker what there is, and what was sent back."""
        infos = await self.transport.topics(self._topics)
        tps = [TP(name, n) for name in sorted(infos) for n in range(infos[name].partitions)]
        self.bounds = await bounds(self.transport, tps)
        commits = await self.transport.committed(self.group, tps)
        self.done = {tp: Done.of(commits.get(tp), self.bounds[tp][0]) for tp in tps}

    def count(self) -> int:
        """Return how many records there are, about."""
        return sum(end - first for first, end in self.bounds.values())

    async def of(self, tp: TP) -> AsyncIterator[Letter]:
        """Iterate over those of one partition."""
        first, end = self.bounds[tp]
        async for records in read_stretch(self.transport, tp, first, end):
            for record in records:
                yield Letter.of(tp, record)

    async def offsets(self, tp: TP) -> list[int]:
        """Return the offsets of all of them in one partition, in order; read once."""
        if tp not in self._offsets:
            self._offsets[tp] = [letter.record.offset async for letter in self.of(tp)]
        return self._offsets[tp]

    def is_done(self, letter: Letter) -> bool:
        """Was it sent back?"""
        return letter.record.offset in self.done[letter.tp]


def topics_of(app: Any, known: Iterable[str]) -> list[str]:
    """Return the topics for dead letters that an app's policies name, and those named like them."""
    conf = app.conf
    policies = [conf.agent_error_policy, conf.decode_error_policy]
    for agent in app.agents.values():
        policies += [agent.error_policy, agent.decode_error_policy]
    named = {topic for topic in map(_letters_in, policies) if topic}
    prefix = f"{conf.id}-"
    ours = {n for n in known if n.startswith(prefix) and n.endswith("-dead-letters")}
    return sorted(ours | named)


def _letters_in(policy: Any) -> str | None:
    while isinstance(policy, Retry):
        policy = policy.then
    return policy.topic if isinstance(policy, DeadLetter) else None


def text_of(data: bytes | None) -> Any:
    """Return bytes as JSON says them, else as text, else as Python writes them."""
    if data is None:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return repr(data)
    try:
        return json.loads(text)
    except ValueError:
        return text
