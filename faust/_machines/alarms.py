"""What has stood still for how long, and when to say so: once, then after twice as long, and so on.

Whoever looks says what could move now, each with its *state*: anything that changes when it moves
(a position, a number of records left).  What is in the same state as at the last look has stood
still meanwhile; what is in another, or is not there any more, has moved.  So idle is never stuck,
and slow is not, either: only what does not move at all.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Alarms", "Heard", "Seen"]


class Seen(NamedTuple):
    """One look at something.

    Attributes:
        state: Changes when it moves.
        patience: Seconds that it may stand still.
    """

    state: Hashable
    patience: float


class Heard(NamedTuple):
    """What to say after a look: each key with the seconds for which it stands, or stood, still."""

    tell: list[tuple[Hashable, float]]
    over: list[tuple[Hashable, float]]


@dataclass
class _Watched:
    seen: Seen
    seconds: float = 0.0
    next_telling: float = 0.0
    told: bool = False


class Alarms:
    """Remembers what stands still."""

    def __init__(self) -> None:
        self._watched: dict[Hashable, _Watched] = {}

    def look(self, now: Mapping[Hashable, Seen], elapsed: float) -> Heard:
        """Another ``elapsed`` seconds are over, and this is what could move."""
        heard = Heard([], [])
        before, self._watched = self._watched, {}
        for key, seen in now.items():
            watched = before.get(key)
            if watched is None or watched.seen.state != seen.state:
                watched = _Watched(seen, next_telling=seen.patience)
            else:
                watched.seen = seen
                watched.seconds += elapsed
                before.pop(key)
            self._watched[key] = watched
            if watched.seconds >= watched.next_telling:
                watched.told = True
                watched.next_telling = 2 * watched.seconds
                heard.tell.append((key, watched.seconds))
        heard.over.extend((key, w.seconds) for key, w in before.items() if w.told)
        return heard

    def standing(self) -> list[tuple[Hashable, float]]:
        """Return what has stood still for longer than it may, with the seconds."""
        return [(key, w.seconds) for key, w in list(self._watched.items()) if w.told]

    def seconds(self, key: Hashable) -> float:
        """Return for how long something has stood still; 0.0 if it moves, or is unknown."""
        watched = self._watched.get(key)
        return 0.0 if watched is None else watched.seconds

    def __repr__(self) -> str:
        return f"<Alarms: {len(self.standing())} of {len(self._watched)} stand still>"
