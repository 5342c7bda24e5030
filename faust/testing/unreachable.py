"""Crash points where the simulation never finds anybody, each with its reason.

A test says when an entry is about a line that is not there any more, and the campaign when somebody
was found there after all.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["UNREACHABLE"]

_ENTERED_AT_ONCE = "a time-out is entered and left without waiting"
_SETS_A_FLAG = (
    "Engine._crash waits for nothing: it tells the host, and that is an ordinary function"
)
_ONLY_ONE = (
    "the lock is free: all that takes it runs in the one task that follows, but for _detach, and "
    "that lets go of it at once, or waits when this task has ended"
)
_CANCELLED_SOONER = (
    "a start that was taken away while the loop was blocked is cancelled as soon as that runs "
    "again, and ends within a turn; the round that may give it back takes several requests"
)

_HAS_ENDED = "once it has ended it sends nothing, and waits for nothing"
_TAKEN_BACK = "the abort before it has taken back, and waited for, all that was handed over"
_FREE_IN_ONE_LOOP = (
    "in one loop whoever is cancelled in a step lets go of the lock before anybody asks for it; it "
    "is for two threads"
)

#: Crash point, as it is printed -> why nobody ever stands there.
UNREACHABLE: Mapping[str, str] = {
    "engine._leave: async with asyncio.timeout(LEAVE_PATIENCE): await self.bridg": (
        _ENTERED_AT_ONCE
    ),
    "engine.stop: async with asyncio.timeout(self.conf.broker_rebalance_grace ": _ENTERED_AT_ONCE,
    "engine._resubscribe: await self._crash(exc)": _SETS_A_FLAG,
    "task_manager._start_until_done: await self._on_crash(exc)": _SETS_A_FLAG,
    "engine.stop: await self.manager.drop_all()": (
        "it waits for tasks that are being started, and of these there are none: give_up has "
        "cancelled and awaited them before it can run out of time, and a closed manager starts none"
    ),
    "task_manager.take_on: await self._forget((added := frozenset(added)), assignment)": (
        _CANCELLED_SOONER
    ),
    "task_manager._forget: await self.give_up(self.starting.keys() - (assignment.tasks ": (
        _CANCELLED_SOONER
    ),
    "following.aim: async with self._lock: if self._stopped or self._clock.monot": _ONLY_ONE,
    "following._close: await self._detach()": (
        "the lock is free, as nobody has stopped it, and what was written by the task that follows "
        "has been waited for by it"
    ),
    "following.take: async with self._lock: end = min(position, self.boundary) co": _ONLY_ONE,
    "following.refresh: async with self._lock: copy = self._copy if self._stopped or": _ONLY_ONE,
    "exactlyonce.close: await self.abandon()": _HAS_ENDED,
    "exactlyonce._close: await self._producer.close()": _TAKEN_BACK,
    "exactlyonce._alone: async with self._step: return await fun(*args)": _FREE_IN_ONE_LOOP,
}
