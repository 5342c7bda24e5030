"""What events send under exactly once: it belongs to them as their table writes do.

An output waits in three places.  While its event is in progress, with the event (`EventOutputs`):
an exception, a skip, a retry or a revocation drops it.  When the event counts (is finished, and
acknowledged in the order of offsets), with the run of its task, in order (`TaskRun.outputs`).  From
the cut that contains its event on, with the cut: it becomes visible with the cut's positions, in
one transaction, or goes back to the front of the run's list.

So the outputs in a cut are exactly those of the events below its positions.
"""

from __future__ import annotations

from typing import Protocol

from faust._machines.effects import Mark, Output, TaskRun

__all__ = ["EventOutputs", "Keeper", "SizedOutput", "put_back", "take"]


class SizedOutput(Output, Protocol):
    """An output, and about how many bytes it has."""

    size: int


class Keeper(Protocol):
    """Who counts what waits for a commit."""

    def keep(self, records: int, size: int) -> None:
        """So much more waits (less, if negative)."""


class EventOutputs(Mark):
    """What one event (or list of them) has sent.

    Arguments:
        run: Its task's run.
        keeper: Is told what waits for a commit.

    Attributes:
        items: The messages, in the order they were sent.
        size: Their bytes.
        in_progress: Is the event?  Then none of them can be delivered before it ends.
        counts: Is the event finished, and acknowledged?
    """

    __slots__ = ("counts", "in_progress", "items", "keeper", "run", "size")

    def __init__(self, run: TaskRun, keeper: Keeper) -> None:
        self.run = run
        self.keeper = keeper
        self.items: list[SizedOutput] = []
        self.size = 0
        self.in_progress = True
        self.counts = False

    def finish(self) -> None:
        """From the next cut on it is sent."""
        self.counts = True
        items, self.items = self.items, []
        self.run.outputs.extend(items)
        self.keeper.keep(len(items), self.size)

    def take_back(self) -> None:
        """Nothing of it is sent."""
        items, self.items = self.items, []
        for item in items:
            item.drop()

    def forget_event(self) -> None:
        """The event is over: who waits for a delivery does not wait for itself any more."""
        self.in_progress = False

    def forget(self, output: SizedOutput) -> None:
        """An output that waited for a commit will not be sent, or has been."""
        if self.counts:
            self.keeper.keep(-1, -output.size)


def take(run: TaskRun) -> list[Output]:
    """Take what the events have sent that are below the positions of a cut made now."""
    outputs, run.outputs = run.outputs, []
    return outputs


def put_back(run: TaskRun, outputs: list[Output]) -> None:
    """The cut is undone: they are in the next one, before what was sent since."""
    run.outputs[:0] = outputs
