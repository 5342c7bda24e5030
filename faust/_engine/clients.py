"""The consumer and the producer of an app, as services: what sensors and users know them by.

Nothing goes through them for a record.  They are faces of the parts that do the work: the engine
and the outbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mode import Service

from faust._values import TP, Headers

__all__ = ["Consumer", "Producer"]


class _Client(Service):
    """A service of an app.

    Arguments:
        app: The app.
    """

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(**options)
        self.app = app

    @property
    def label(self) -> str:
        """Name shown in logs."""
        return f"{type(self).__name__}: {self.app.conf.id}"


class Consumer(_Client):
    """What this worker reads: ``app.consumer``.

    Arguments:
        app: The app.
    """

    abstract = False

    def assignment(self) -> set[TP]:
        """Return the partitions that are being processed here."""
        engine = self.app.engine
        return set() if engine is None else {tp for t in engine.tasks.values() for tp in t.sources}

    def position(self, tp: TP) -> int | None:
        """Return the next offset to process of a partition, ``None`` if it is not ours."""
        found = [cursor.committable for cursor in self.app.topics.cursors() if cursor.tp == tp]
        return min(found, default=None)

    def committed(self, tp: TP) -> int | None:
        """Return the committed offset of a partition, ``None`` if it is not ours."""
        found: int | None = self.app.committed_position(tp)
        return found

    def highwater(self, tp: TP) -> int:
        """Return where a partition ends, as last heard; 0 if it is not ours."""
        return max((c.end for c in self.app.topics.cursors() if c.tp == tp), default=0)

    def topic_partitions(self, topic: str) -> int | None:
        """Return how many partitions a topic has, ``None`` as long as nobody has asked."""
        partitions: int = self.app.outbox.target(topic).partitions
        return partitions or None

    async def commit(self) -> bool:
        """Commit now what is finished; false if not all of it could be."""
        engine = self.app.engine
        if engine is None:
            return True
        done: bool = await engine.committer.commit(list(engine.tasks.values()))
        return done


class Producer(_Client):
    """What this process sends: ``app.producer``.

    Arguments:
        app: The app.
    """

    abstract = False

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: Headers | Mapping[str, bytes] | None = None,
        **_options: Any,
    ) -> Any:
        """Send bytes; returns what gives, when awaited, the `RecordMetadata`."""
        await self.app.ensure_sending()
        outbox = self.app.outbox
        target = outbox.target(topic)
        if not target.partitions:
            await outbox.prepare(target)
        if outbox.crowded:
            await outbox.room()
        pairs = list(headers.items()) if isinstance(headers, Mapping) else headers
        return outbox.append_soon(target, partition, key, value, timestamp, pairs)

    async def send_and_wait(self, topic: str, *args: Any, **options: Any) -> Any:
        """Send bytes, and wait until they are in the log; returns the `RecordMetadata`."""
        return await (await self.send(topic, *args, **options))

    async def flush(self) -> None:
        """Wait until everything that was sent is in the log.

        Raises:
            ProducerSendError: some of it could not be delivered.
        """
        await self.app.outbox.barrier()

    def key_partition(self, topic: str, key: bytes | None) -> TP:
        """Return the partition that a record with this key goes to.

        Raises:
            NotReady: nobody has asked yet how many the topic has.
        """
        outbox = self.app.outbox
        return TP(topic, outbox.choose(outbox.target(topic), key))
