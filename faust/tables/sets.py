"""Sets: distributed sets, and tables of named sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from types import GenericAlias
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from faust.exceptions import ImproperlyConfigured
from faust.serializers.compiled import hashable
from faust.stores.overlay import ABSENT, DELETED, SliceCodec
from faust.tables.base import Collection
from faust.tables.globaltable import GlobalTable
from faust.tables.setmanager import SetTableManager
from faust.tables.setmethods import SetMethods
from faust.tables.setwindows import SetWindowSet, SetWindowWrapper
from faust.tables.table import Table

if TYPE_CHECKING:
    from faust.stores.overlay import Slice

__all__ = [
    "ChangeloggedSet",
    "Set",
    "SetGlobalTable",
    "SetTable",
    "SetTableManager",
    "SetWindowSet",
    "SetWindowWrapper",
]

KT = TypeVar("KT")
VT = TypeVar("VT")


class Set(Collection, SetMethods[VT], Generic[VT]):
    """A set whose members are spread over the workers: tracks membership and nothing else.

    Only an agent that is handling an event of a topic may change it; within an event it is the set
    of the event's partition, elsewhere of all partitions that are here.  Each member is an entry of
    its own in the changelog, so adding costs the same in a set of a million.  Operators (``&``,
    ``|``...) return plain Python sets.

    Arguments: as `Collection`; ``key_type`` is the type of the members.
    """

    def __init__(self, app: Any, **options: Any) -> None:
        if options.get("window") is not None:
            raise ImproperlyConfigured(
                f"set {options.get('name')!r} cannot have windows: use app.SetTable(), whose sets "
                f"can"
            )
        super().__init__(app, **options)

    def add(self, value: VT) -> None:
        """Add a member; nothing is written if it is there."""
        piece = self.slice_for_write()
        kept = piece.key_of(value)
        if piece.get(kept) is ABSENT:
            piece.set(kept, True)

    def discard(self, value: VT) -> None:
        """Remove a member, if it is there."""
        piece = self.slice_for_write()
        kept = piece.key_of(value)
        if piece.get(kept) is not ABSENT:
            piece.set(kept, DELETED)

    def pop(self) -> VT:
        """Remove and return a member of the event's partition.

        Raises:
            KeyError: there is none.
        """
        piece = self.slice_for_write()
        found = next(iter(piece.items()), None)
        if found is None:
            raise KeyError(
                f"pop from set {self.name!r}, which is empty in partition {piece.task.partition}"
            )
        value: VT = found[0]
        piece.set(piece.key_of(value), DELETED)
        return value

    def clear(self) -> None:
        """Remove all members of the event's partition."""
        piece = self.slice_for_write()
        for value, _ in list(piece.items()):
            piece.set(piece.key_of(value), DELETED)

    def __contains__(self, value: object) -> bool:
        return self.lookup(value) is not ABSENT

    def __iter__(self) -> Iterator[VT]:
        return (value for value, _ in self.raw_items())

    def __len__(self) -> int:
        return self.count_keys()

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Collection):
            return self is other
        return SetMethods.__eq__(self, other)

    def __hash__(self) -> int:  # type: ignore[override]  # a service: itself and nothing else
        return id(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name} partitions={len(self.slices)}>"


class ChangeloggedSet(SetMethods[VT], Generic[VT]):
    """One set of a `SetTable`: a view that reads and writes the table.

    Arguments:
        table: The table.
        key: Its key.
    """

    __slots__ = ("key", "table")

    def __init__(self, table: SetTable[Any, VT], key: Any) -> None:
        self.table = table
        self.key = key

    @property
    def data(self) -> AbstractSet[VT]:
        """Its members now; not to be changed."""
        found = self.table.lookup(self.key)
        return frozenset() if found is ABSENT else found

    def change(self, fun: Callable[[set[VT]], Any]) -> None:
        """Let ``fun`` change the members, and write them if it did."""
        self.table.change(self.key, fun)

    def add(self, value: VT) -> None:
        """Add a member."""
        self.change(lambda members: members.add(value))

    def discard(self, value: VT) -> None:
        """Remove a member, if it is there."""
        self.change(lambda members: members.discard(value))

    def clear(self) -> None:
        """Remove all members."""
        self.change(lambda members: members.clear())

    def update(self, *others: Iterable[VT]) -> None:
        """Add the members of all these."""
        added = set[VT]().union(*others)
        self.change(lambda members: members.update(added))

    def difference_update(self, *others: Iterable[Any]) -> None:
        """Remove the members of all these."""
        removed = set[Any]().union(*others)
        self.change(lambda members: members.difference_update(removed))

    def intersection_update(self, *others: Iterable[Any]) -> None:
        """Keep only what is in each of these."""
        kept = [set(other) for other in others]
        self.change(lambda members: members.intersection_update(*kept))

    def symmetric_difference_update(self, other: Iterable[VT]) -> None:
        """Remove the members that are in ``other``, and add its others."""
        toggled = set(other)
        self.change(lambda members: toggle(members, toggled))

    def __contains__(self, value: object) -> bool:
        return value in self.data

    def __iter__(self) -> Iterator[VT]:
        return iter(tuple(self.data))

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({set(self.data)!r})"


class SetTable(Table[KT, Any], Generic[KT, VT]):
    """Named sets: a table whose values are sets.

    ``table[key]`` is always a set, empty where nothing was added; it can be changed in an event, by
    its methods and operators (with any iterable), by ``table[key] = {...}`` and ``del table[key]``.
    In the changelog a key has its whole set, as a sorted list.

    Arguments: as `Table`; ``value_type`` is the type of the members.
        start_manager: Let `manager` change sets from anywhere: from pages, timers, other apps.
        manager_topic_name: Topic of the manager (default: ``{app id}-{table}{suffix}``, internal).
        manager_topic_suffix: End of that name (default ``-setmanager``).
    """

    WindowWrapper: ClassVar[type[SetWindowWrapper]] = SetWindowWrapper

    def __init__(
        self,
        app: Any,
        *,
        start_manager: bool = False,
        manager_topic_name: str | None = None,
        manager_topic_suffix: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(app, **{**options, "default": None})
        self.start_manager = start_manager
        self.manager_topic_name = manager_topic_name
        self.manager_topic_suffix = manager_topic_suffix or "-setmanager"
        self.manager: SetTableManager = SetTableManager(self)

    # -- reading and writing one set -------------------------------------------------------

    def __getitem__(self, key: KT) -> ChangeloggedSet[VT]:
        return ChangeloggedSet(self, key)

    def __setitem__(self, key: KT, value: Iterable[VT]) -> None:
        if isinstance(value, ChangeloggedSet) and value.table is self and value.key == key:
            return  # the second half of ``table[key] |= ...``: it is written
        super().__setitem__(key, set(value))

    def change(self, key: Any, fun: Callable[[set[VT]], Any]) -> None:
        """Let ``fun`` change the members of a set, and write them if it did.

        It did if it says so by returning true, or if their number has changed.
        """
        piece = self.slice_for_write_of(key)
        change_members(piece, piece.key_of(key), fun)

    def get(self, key: KT, default: Any = None) -> Any:
        """Return the set of a key that is there, else ``default``."""
        return default if self.lookup(key) is ABSENT else self[key]

    def setdefault(self, key: KT, default: Any = ()) -> Any:
        """Return the set of a key; where it is missing, write ``default`` first."""
        if key not in self:
            self[key] = default
        return self[key]

    # -- how it is kept --------------------------------------------------------------------

    def _make_codec(self) -> SliceCodec:
        plain = super()._make_codec()
        dump = self.app.serializers.value_dumper(self.value_type, self.value_serializer or "json")
        load = self._list_loader()
        if self.value_serializer in (None, "json"):
            dump_set = _json_dumper(dump)
        else:
            whole = self.app.serializers.value_dumper(None, self.value_serializer)
            dump_set = _codec_dumper(whole)
        return SliceCodec(
            plain.dump_key, plain.load_key, dump_set, lambda data: set(map(hashable, load(data)))
        )

    def _list_loader(self) -> Callable[[bytes | None], Any]:
        members = None if self.value_type is None else GenericAlias(list, (self.value_type,))
        return self.app.serializers.value_loader(members, self.value_serializer or "json")

    def members_from(self, members: Iterable[Any]) -> set[VT]:
        """Return members of the right type, from what JSON gave."""
        if self.value_type is None or self.value_serializer not in (None, "json"):
            return set(map(hashable, members))
        data = self.app.serializers.value_dumper(None, "json")(list(members))
        found: set[VT] = self.codec.load_value(data or b"[]")
        return found

    # -- the rest --------------------------------------------------------------------------

    def using_window(self, window: Any, *, key_index: bool = False) -> SetWindowWrapper:
        """Return this table with the given windows."""
        if self.start_manager:
            raise ImproperlyConfigured(
                f"set table {self.name!r} cannot have windows and a manager: which window a change "
                f"belongs to is told by an event"
            )
        self.set_window(window)
        return SetWindowWrapper(self, key_index=key_index)

    def info(self) -> Any:
        """Return the options that make up this table."""
        return {
            **super().info(),
            "start_manager": self.start_manager,
            "manager_topic_name": self.manager_topic_name,
            "manager_topic_suffix": self.manager_topic_suffix,
        }


class SetGlobalTable(SetTable[KT, VT], GlobalTable[KT, Any]):
    """Named sets that every worker holds in full (see `GlobalTable`)."""


def toggle(members: set[Any], toggled: set[Any]) -> bool:
    """Update with the symmetric difference; return whether that has changed anything."""
    members.symmetric_difference_update(toggled)
    return bool(toggled)


def change_members(piece: Slice, kept: Any, fun: Callable[[set[Any]], Any]) -> None:
    """Let ``fun`` change the members that a slice has under a kept key."""
    members = piece.get(kept)
    if members is ABSENT:
        members = set()
    count = len(members)
    changed = fun(members)
    if (changed or len(members) != count) and kept not in piece.fresh:
        piece.set(kept, members)


def _json_dumper(dump: Callable[[Any], bytes | None]) -> Callable[[Any], bytes]:
    """Return the function from a set to a JSON list, the same for equal sets everywhere."""

    def dump_set(members: AbstractSet[Any]) -> bytes:
        kinds = set(map(type, members))
        if kinds == {str} or kinds == {int}:
            return dump(sorted(members)) or b"[]"
        return b"[" + b",".join(sorted(_encoded(dump, member) for member in members)) + b"]"

    return dump_set


def _encoded(dump: Callable[[Any], bytes | None], member: Any) -> bytes:
    """A member of bytes, which a codec leaves as it is, is JSON only as part of a list."""
    if member is None or isinstance(member, bytes):
        return (dump([member]) or b"[null]")[1:-1]
    return dump(member) or b"null"


def _codec_dumper(dump: Callable[[Any], bytes | None]) -> Callable[[Any], bytes]:
    def dump_set(members: AbstractSet[Any]) -> bytes:
        return dump(sorted(members, key=repr)) or b""

    return dump_set
