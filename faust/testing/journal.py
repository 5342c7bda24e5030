"""What the agents of a simulation have done: who began and ended which event, and what was
committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from faust._values import TP
from faust.testing.processes import Process, current_process

__all__ = ["Handling", "Journal"]


class Handling(NamedTuple):
    """One time that an event was handed to an agent."""

    process: str
    reader: str
    tp: TP
    offset: int


class Journal:
    """Notes what happens, and sees at once what must never happen (I3, I6).

    Attributes:
        findings: What has gone wrong.
        handled: How often each (reader, partition, offset) was handed out.
        repeats: Events handed out more than once, over all processes.
        excess: Those of them that had been committed before their task was given out (I3).
    """

    def __init__(self) -> None:
        self.findings: list[str] = []
        self.handled: Counter[tuple[str, TP, int]] = Counter()
        self.repeats = 0
        self.excess = 0
        self._read: dict[tuple[str, TP], int] = {}
        self._floors: dict[tuple[str, TP], int] = {}
        self.committed: dict[TP, int] = {}
        self.lines: list[str] | None = None
        self._unfinished: dict[tuple[str, TP], dict[int, int]] = {}
        self._incarnations: dict[tuple[str, TP], int] = {}
        self._digest = blake2b(digest_size=8)

    # -- the agents ----------------------------------------------------------------------

    def begin(self, reader: str, tp: TP, offset: int, incarnation: int) -> None:
        """An event is handed out."""
        process = current_process()
        assert process is not None
        self.note("begin", process.name, reader, tp.topic, tp.partition, offset)
        if self.handled[reader, tp, offset]:
            self.repeats += 1
        self.handled[reader, tp, offset] += 1
        place = (process.name, tp)
        if self._incarnations.get(place) != incarnation:
            # What an older run of the task had in its hands does not count any more.
            self._incarnations[place] = incarnation
            self._unfinished[place] = {}
            self._floors[place] = self._read.get(place, 0)
        if offset < self._floors[place]:
            self.excess += 1
            self.findings.append(
                f"I3 duplicates: {process.name} is given {tp} offset {offset} again, and "
                f"{self._floors[place]} was committed before it began"
            )
        open_ = self._unfinished[place]
        open_[offset] = open_.get(offset, 0) + 1

    def end(self, reader: str, tp: TP, offset: int, incarnation: int) -> None:
        """An event is finished, or has failed."""
        process = current_process()
        assert process is not None
        self.note("end", process.name, reader, tp.topic, tp.partition, offset)
        if self._incarnations.get((process.name, tp)) != incarnation:
            return
        open_ = self._unfinished.get((process.name, tp), {})
        left = open_.pop(offset, 0) - 1
        if left > 0:
            open_[offset] = left

    def is_inside(self, process: Process) -> bool:
        """Is an agent of this process inside an event?"""
        return any(open_ for (name, _), open_ in self._unfinished.items() if name == process.name)

    # -- the broker ----------------------------------------------------------------------

    def commit(
        self, process: Process | None, offsets: Mapping[TP, Any], incarnations: Mapping[TP, int]
    ) -> None:
        """Offsets have been committed by a process, which has these runs of their tasks."""
        name = "" if process is None else process.name
        for tp, commit in sorted(offsets.items()):
            self.note("commit", name, tp.topic, tp.partition, commit.offset)
            before = self.committed.get(tp, 0)
            self.committed[tp] = commit.offset
            if commit.offset < before:
                self.note("back", tp.topic, tp.partition, before, commit.offset)
            if self._incarnations.get((name, tp)) != incarnations.get(tp):
                continue
            lowest = min(self._unfinished.get((name, tp), ()), default=None)
            if lowest is not None and commit.offset > lowest:
                self.findings.append(
                    f"I6 commits: {name} committed {tp} up to {commit.offset}, and its event at "
                    f"{lowest} is not finished"
                )

    def read(self, process: Process | None, offsets: Mapping[TP, Any]) -> None:
        """A process has asked what is committed: it begins there, if it begins now."""
        if process is not None:
            self._read.update(((process.name, tp), at.offset) for tp, at in offsets.items())

    # -- the trace -----------------------------------------------------------------------

    def note(self, *what: Any) -> None:
        """Take something into the trace."""
        line = " ".join(map(str, what))
        self._digest.update(line.encode())
        if self.lines is not None:
            self.lines.append(line)

    @property
    def digest(self) -> str:
        """Of all that was noted: equal traces have equal ones."""
        return self._digest.hexdigest()
