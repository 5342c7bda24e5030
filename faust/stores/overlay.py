"""What a table's partition looks like between commits: an overlay over its committed store.

Four layers, from the newest to the oldest; a read takes the first that knows the key:

============  ==============================================================================
``pending``   written by the event in progress.  Finishing the event moves it down, an
              exception, a skip or a revocation drops it.
``live``      the table as the agent's finished events left it (also a cache of decoded
              committed values).
``dirty``     the same values, for the keys changed since the last cut.  A cut takes the whole
              dictionary away and leaves an empty one: it never waits and copies nothing.
the store     committed entries, encoded.
============  ==============================================================================

Undo returns to bytes.  Values of immutable scalar types are kept as they are; anything else is
encoded when its event finishes, and a later event decodes its own object, so an agent that changes
a value and then fails leaves nothing behind.  An object that an event got by reading and changed in place is
noticed when the event finishes (its encoding differs from the one it was decoded from), and counts
as written.

Keys of type ``str`` and ``int`` are kept as they are; others are kept as a one-element tuple of
their encoding, because Python holds ``1``, ``1.0`` and ``True`` for one key and the log does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from faust._machines.effects import TaskRun
from faust.stores.base import Checkpoint, PartitionStore

__all__ = ["ABSENT", "DELETED", "SCALARS", "Encoded", "Slice", "SliceCodec"]

Key: TypeAlias = Any

#: Types whose values cannot change under our hands.
SCALARS = frozenset({int, str, float, bool, bytes, type(None)})


class _Mark:
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


#: There is no such key in this layer.
ABSENT = _Mark("ABSENT")
#: The key was deleted in this layer.
DELETED = _Mark("DELETED")


class Encoded:
    """A value kept as bytes, because its type can change."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class SliceCodec:
    """How one table's keys and values become bytes and back (built once for a table)."""

    __slots__ = ("dump_key", "dump_value", "load_key", "load_value")

    def __init__(
        self,
        dump_key: Callable[[Any], bytes],
        load_key: Callable[[bytes], Any],
        dump_value: Callable[[Any], bytes],
        load_value: Callable[[bytes], Any],
    ) -> None:
        self.dump_key = dump_key
        self.load_key = load_key
        self.dump_value = dump_value
        self.load_value = load_value


class Slice:
    """One table's partition in one incarnation of its task.

    Arguments:
        task: The run that may write it.
        store: Its committed state.
        codec: How keys and values are encoded.
        cache_size: Decoded committed values that are kept at most.
    """

    __slots__ = (
        "cache_size",
        "codec",
        "dirty",
        "live",
        "loaded",
        "pending",
        "position",
        "store",
        "task",
        "topic_id",
        "uncommitted",
    )

    def __init__(
        self, task: TaskRun, store: PartitionStore, codec: SliceCodec, cache_size: int = 65_536
    ) -> None:
        self.task = task
        self.store = store
        self.codec = codec
        self.cache_size = cache_size
        self.pending: dict[Key, Any] = {}
        self.loaded: dict[Key, tuple[Any, Encoded]] = {}
        self.live: dict[Key, Any] = {}
        self.dirty: dict[Key, Any] = {}
        #: Entries cut and not applied yet: live must keep their keys until then.
        self.uncommitted = 0
        #: Next changelog offset as of the last commit.
        self.position = 0
        self.topic_id = ""

    # -- keys --------------------------------------------------------------------

    def key_of(self, key: Any) -> Key:
        """Return the form under which ``key`` is kept."""
        kind = type(key)
        return key if kind is str or kind is int else (self.codec.dump_key(key),)

    def encode_key(self, key: Key) -> bytes:
        """Return the bytes of a kept key."""
        return key[0] if type(key) is tuple else self.codec.dump_key(key)

    # -- the event in progress -----------------------------------------------------

    def get(self, key: Key) -> Any:
        """Return the value of a kept key as the event in progress sees it, or `ABSENT`."""
        if self.pending:
            value = self.pending.get(key, ABSENT)
            if value is not ABSENT:
                return ABSENT if value is DELETED else value
        value = self.live.get(key, ABSENT)
        if type(value) in SCALARS:
            return value
        if value is DELETED:
            return ABSENT
        if value is ABSENT:
            value = self._fault_in(key)
            if not isinstance(value, Encoded):
                return value
        return self._load(key, value)

    def _fault_in(self, key: Key) -> Any:
        data = self.store.get(self.encode_key(key))
        if data is None:
            return ABSENT
        value = self.codec.load_value(data)
        if type(value) not in SCALARS:
            value = Encoded(data)
        self.live[key] = value
        return value

    def _load(self, key: Key, encoded: Encoded) -> Any:
        known = self.loaded.get(key)
        if known is not None:
            return known[0]
        value = self.codec.load_value(encoded.data)
        self._touch()
        self.loaded[key] = (value, encoded)
        return value

    def _touch(self) -> None:
        if not (self.pending or self.loaded):
            self.task.touched.append(self)

    def set(self, key: Key, value: Any) -> None:
        """Write for the event in progress."""
        if not (self.pending or self.loaded):
            self.task.touched.append(self)
        self.pending[key] = value

    def delete(self, key: Key) -> None:
        """Delete for the event in progress."""
        self.set(key, DELETED)

    def finish(self) -> None:
        """The event is finished: what it wrote is now dirty."""
        if self.loaded:
            self._notice_changes()
        pending = self.pending
        if len(pending) == 1:
            key, value = next(iter(pending.items()))
            if type(value) not in SCALARS and value is not DELETED:
                value = Encoded(self.codec.dump_value(value))
            self.live[key] = self.dirty[key] = value
            pending.clear()
            return
        encoded = {
            key: value
            if type(value) in SCALARS or value is DELETED
            else Encoded(self.codec.dump_value(value))
            for key, value in pending.items()
        }
        self.live.update(encoded)
        self.dirty.update(encoded)
        pending.clear()

    def _notice_changes(self) -> None:
        for key, (value, encoded) in self.loaded.items():
            if key not in self.pending and self.codec.dump_value(value) != encoded.data:
                self.pending[key] = value
        self.loaded.clear()

    def hold(self) -> Callable[[], None]:
        """The event is over but not acknowledged: show its writes, but keep them out of cuts.

        Returns what releases them; releases must be called in offset order.
        """
        before = self.dirty
        self.dirty = held = {}
        try:
            self.finish()
        finally:
            self.dirty = before
        self.uncommitted += len(held)

        def release() -> None:
            self.uncommitted -= len(held)
            self.dirty.update(held)

        return release

    def undo(self) -> None:
        """The event failed: forget what it wrote and what it read."""
        self.pending.clear()
        self.loaded.clear()

    # -- commit --------------------------------------------------------------------

    def cut(self) -> dict[Key, Any]:
        """Take the entries of all finished events since the last cut; never waits."""
        taken, self.dirty = self.dirty, {}
        self.uncommitted += len(taken)
        return taken

    def encode_cut(self, taken: dict[Key, Any]) -> list[tuple[bytes, bytes | None]]:
        """Return the changelog's form of a cut."""
        dump = self.codec.dump_value
        entries: list[tuple[bytes, bytes | None]] = []
        for key, value in taken.items():
            if value is DELETED:
                data = None
            elif type(value) is Encoded:
                data = value.data
            else:
                data = dump(value)
            entries.append((self.encode_key(key), data))
        return entries

    def uncut(self, taken: dict[Key, Any]) -> None:
        """A commit failed: its entries are dirty again, unless written since."""
        self.uncommitted -= len(taken)
        self.dirty = {**taken, **self.dirty}

    def apply(
        self,
        taken: dict[Key, Any],
        entries: list[tuple[bytes, bytes | None]],
        checkpoint: Checkpoint,
    ) -> None:
        """A commit succeeded: write its entries to the store; trim the cache."""
        self.store.apply(entries, checkpoint)
        self.uncommitted -= len(taken)
        self.position = checkpoint.position
        if len(self.live) > self.cache_size and not self.uncommitted:
            self._trim()

    def _trim(self) -> None:
        """Keep the dirty entries and the younger half of the others."""
        keep = self.cache_size // 2
        young = list(self.live.items())[-keep:]
        self.live = {**dict(young), **self.dirty}

    # -- reading from outside of an event ------------------------------------------

    def peek(self, key: Key) -> Any:
        """Return the value as finished events left it, decoded anew, or `ABSENT`.

        Changes nothing, so other threads may call it.
        """
        value = self.live.get(key, ABSENT)
        if value is DELETED:
            return ABSENT
        if value is ABSENT:
            return self.peek_committed(key)
        return self.codec.load_value(value.data) if type(value) is Encoded else value

    def peek_committed(self, key: Key) -> Any:
        """Return the committed value, which a crash cannot take back, or `ABSENT`."""
        data = self.store.get(self.encode_key(key))
        return ABSENT if data is None else self.codec.load_value(data)

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Iterate over all keys and values, the event in progress included, decoded anew."""
        load_key, load_value = self.codec.load_key, self.codec.load_value
        newer: dict[bytes, Any] = {
            self.encode_key(key): value
            for layer in (self.live, self.pending)
            for key, value in list(layer.items())
        }
        for key, (value, _) in list(self.loaded.items()):
            newer.setdefault(self.encode_key(key), value)
        for raw, data in self.store.items():
            value = newer.pop(raw, ABSENT)
            if value is not DELETED:
                yield load_key(raw), self._decoded(value, data, load_value)
        for raw, value in newer.items():
            if value is not DELETED:
                yield load_key(raw), self._decoded(value, b"", load_value)

    @staticmethod
    def _decoded(value: Any, data: bytes, load_value: Callable[[bytes], Any]) -> Any:
        if value is ABSENT:
            return load_value(data)
        return load_value(value.data) if type(value) is Encoded else value

    def count(self) -> int:
        """Return the number of keys, the event in progress included."""
        if not self.dirty and not self.pending and not self.uncommitted:
            return len(self.store)
        changed = {**self.live, **self.pending}
        total = len(self.store)
        for key, value in changed.items():
            stored = self.store.get(self.encode_key(key)) is not None
            total += (value is not DELETED) - stored
        return total

    def __repr__(self) -> str:
        return (
            f"<Slice {self.task.id} dirty={len(self.dirty)} pending={len(self.pending)} "
            f"uncommitted={self.uncommitted} position={self.position}>"
        )
