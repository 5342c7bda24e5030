"""What a Python set can do, for sets that are kept elsewhere: with any iterable as operand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSet
from collections.abc import Set as AbstractSet
from typing import Any, TypeVar

__all__ = ["SetMethods"]

VT = TypeVar("VT")


class SetMethods(MutableSet[VT]):
    """The methods and operators of ``set``, by `add`, `discard`, ``in``, iteration and ``len()``.

    New sets are plain Python sets.
    """

    __slots__ = ()

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> set[Any]:
        return set(it)

    # -- changing --------------------------------------------------------------------------

    def update(self, *others: Iterable[VT]) -> None:
        """Add the members of all these."""
        for other in others:
            for value in tuple(other):
                self.add(value)

    def difference_update(self, *others: Iterable[Any]) -> None:
        """Remove the members of all these."""
        for other in others:
            for value in tuple(other):
                self.discard(value)

    def intersection_update(self, *others: Iterable[Any]) -> None:
        """Keep only what is in each of these."""
        self.difference_update(set(self).difference(set(self).intersection(*others)))

    def symmetric_difference_update(self, other: Iterable[VT]) -> None:
        """Remove the members that are in ``other``, and add its others."""
        for value in set(other):
            if value in self:
                self.discard(value)
            else:
                self.add(value)

    def __ior__(self, it: Iterable[VT]) -> Any:  # type: ignore[override, misc]  # any iterable
        self.update(it)
        return self

    def __isub__(self, it: Iterable[Any]) -> Any:
        self.difference_update(it)
        return self

    def __iand__(self, it: Iterable[Any]) -> Any:
        self.intersection_update(it)
        return self

    def __ixor__(self, it: Iterable[VT]) -> Any:  # type: ignore[override, misc]  # any iterable
        self.symmetric_difference_update(it)
        return self

    # -- new sets --------------------------------------------------------------------------

    def copy(self) -> set[VT]:
        """Return its members as a Python set."""
        return set(self)

    def union(self, *others: Iterable[Any]) -> set[Any]:
        """Return what is in it or in any of these."""
        return set(self).union(*others)

    def intersection(self, *others: Iterable[Any]) -> set[VT]:
        """Return what is in it and in each of these."""
        return set(self).intersection(*others)

    def difference(self, *others: Iterable[Any]) -> set[VT]:
        """Return what is in it and in none of these."""
        return set(self).difference(*others)

    def symmetric_difference(self, other: Iterable[Any]) -> set[Any]:
        """Return what is in it or in ``other``, and not in both."""
        return set(self).symmetric_difference(other)

    def __or__(self, other: Iterable[Any]) -> Any:
        return self.union(other)

    __ror__ = __or__

    def __and__(self, other: Iterable[Any]) -> Any:
        return self.intersection(other)

    __rand__ = __and__

    def __sub__(self, other: Iterable[Any]) -> Any:
        return self.difference(other)

    def __rsub__(self, other: Iterable[Any]) -> Any:
        return set(other).difference(self)

    def __xor__(self, other: Iterable[Any]) -> Any:
        return self.symmetric_difference(other)

    __rxor__ = __xor__

    # -- comparing -------------------------------------------------------------------------

    def issubset(self, other: Iterable[Any]) -> bool:
        """Is every member in ``other``?"""
        return set(self).issubset(other)

    def issuperset(self, other: Iterable[Any]) -> bool:
        """Is all of ``other`` in it?"""
        return set(self).issuperset(other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AbstractSet) and set(self) == set(other)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __iter__(self) -> Iterator[VT]:
        raise TypeError("a set must tell its members")
