"""Why there is another generation, as far as its leader can tell: who came, who is gone, who asked.

A group's coordinator says nothing of it.  But whoever joins says why, and the leader knows who was
there in the generation before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

__all__ = ["STARTING", "Joining", "causes", "summary"]

#: The reason of a worker that has just been started.
STARTING = "starting"

#: So many causes are told; of the others, how many they are.
_TOLD = 6


class Joining(NamedTuple):
    """One member as it joined.

    Attributes:
        label: What it is called: its URL, or its id in the group.
        reason: Why it asked for a new generation; "" if it did not.
    """

    label: str
    reason: str

    @property
    def fresh(self) -> bool:
        """Whether it has just been started."""
        return self.reason == STARTING


def causes(before: Collection[str], joining: Iterable[Joining]) -> list[str]:
    """Return sentences, such as ``"w4:6066 joined"``.

    Arguments:
        before: Labels of the members of the generation before; nothing if they are unknown.
        joining: The members of the new one.
    """
    members = sorted(joining)
    known = Counter(before)
    come = Counter(member.label for member in members) - known
    gone = known - Counter(member.label for member in members)
    told = [f"{label} is gone" for label in sorted(gone.elements())]
    for member in members:
        if come[member.label]:
            come[member.label] -= 1
            told.append(f"{member.label} joined" + _because(member))
        elif member.fresh:
            told.append(f"{member.label} started again")
        elif member.reason:
            told.append(f"{member.label}: {member.reason}")
    return told


def _because(member: Joining) -> str:
    return f" ({member.reason})" if member.reason and not member.fresh else ""


def summary(told: Collection[str]) -> str:
    """Return causes as one clause for a log line."""
    first = list(told)[:_TOLD]
    if more := len(told) - len(first):
        first.append(f"and {more} more")
    return "; ".join(first) or "a round was repeated"
