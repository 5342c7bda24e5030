"""How a difference from earlier versions of Faust is seen in the facts of an app's source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from faust.cli.oldcode import Fact

__all__ = ["Difference", "Sign", "differences_in"]


@dataclass(frozen=True)
class Sign:
    """A fact that shows a difference.

    Attributes:
        kind: Of the fact.
        name: Of the fact; ``*`` stands for anything.
        having: A keyword argument that it must have.
        lacking: One that it must not have.
        where: What must hold for it.
    """

    kind: str
    name: str
    having: str = ""
    lacking: str = ""
    where: Callable[[Fact], bool] | None = None

    def shows(self, fact: Fact) -> bool:
        """Does this fact show it?"""
        return (
            fact.kind == self.kind
            and fnmatchcase(fact.name, self.name)
            and (not self.having or self.having in fact.given)
            and (not self.lacking or self.lacking not in fact.given)
            and (self.where is None or self.where(fact))
        )


class Difference:
    """A difference.

    Attributes:
        subject: The section of ``docs/migrating.md``.
        earlier: What was, in the words of its table.
        signs: What shows it.
        general: It is told only of facts that show no other.
    """

    def __init__(
        self,
        subject: str,
        earlier: str,
        *signs: Sign,
        general: bool = False,
    ) -> None:
        self.subject = subject
        self.earlier = earlier
        self.signs = signs
        self.general = general

    def shows_in(self, fact: Fact) -> bool:
        """Does a fact show it?"""
        return any(sign.shows(fact) for sign in self.signs)


def differences_in(
    facts: Iterable[Fact], known: Iterable[Difference]
) -> Iterator[tuple[Fact, Difference]]:
    """Find what differs, in the order of the source; each once for a line."""
    seen: set[tuple[int, str]] = set()
    known = list(known)
    for fact in facts:
        shown = [each for each in known if each.shows_in(fact)]
        special = [each for each in shown if not each.general]
        for difference in special or shown:
            if (fact.line, difference.earlier) not in seen:
                seen.add((fact.line, difference.earlier))
                yield fact, difference
