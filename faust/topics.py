"""Topics: what they are called, how they are created, and how messages are sent to them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from threading import get_ident
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from faust._inprogress import current_stream
from faust._serialized import SerializedChannel
from faust._values import HeadersArg, headers_as_list
from faust._values.topicnames import legal_topic_name
from faust.conductor import TopicConductor
from faust.serializers.schemas import Schema
from faust.utils.times import Seconds, want_seconds

if TYPE_CHECKING:
    from faust._context import AppContext, Sender, Sent, Target

__all__ = ["Topic", "TopicConductor"]

T = TypeVar("T")


class Topic(SerializedChannel[T], Generic[T]):
    """One or several topics of the log, by name or by pattern.

    Arguments:
        app: The app.
        topics: Names.
        pattern: A regular expression: all topics whose whole name matches, also those that come
            later.
        schema, key_type, value_type, key_serializer, value_serializer, allow_empty: How keys and
            values are typed and encoded (see `faust.Schema`).
        partitions: Partitions when it is created (default: ``topic_partitions``).
        retention: How long records are kept when it is created; -1: for ever.
        compacting, deleting: Cleanup policy when it is created.
        replicas: Replication factor when it is created.
        acks: ``False``: what is read is never committed.
        internal: Ours: created at the start, with ``partitions``.  Others are created by their
            producers, and only read.
        config: Further topic configuration for the broker, when it is created.
        maxsize: Records handed to a stream and not finished at most (default:
            ``stream_buffer_maxsize``).
        has_prefix: Its name is generated and carries the app id.

    Raises:
        TypeError: names and a pattern together.
        ValueError: an impossible name, or no partitions.
    """

    is_topic = True

    def __init__(
        self,
        app: AppContext,
        *,
        topics: Sequence[str] | None = None,
        pattern: str | re.Pattern[str] | None = None,
        schema: Schema[Any, Any] | None = None,
        key_type: Any = None,
        value_type: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        partitions: int | None = None,
        retention: Seconds | None = None,
        compacting: bool | None = None,
        deleting: bool | None = None,
        replicas: int | None = None,
        acks: bool = True,
        internal: bool = False,
        config: Mapping[str, Any] | None = None,
        maxsize: int | None = None,
        allow_empty: bool | None = None,
        has_prefix: bool = False,
        repartition: bool = False,
        loop: Any = None,
        **_future: Any,
    ) -> None:
        if pattern is not None and topics:
            raise TypeError("a topic has names or a pattern, not both")
        if partitions is not None and partitions < 1:
            raise ValueError(f"a topic needs at least 1 partition, not {partitions}")
        self.topics: list[str] = [legal_topic_name(name) for name in topics or ()]
        self.pattern = re.compile(pattern) if isinstance(pattern, str) else pattern
        super().__init__(
            app,
            schema=schema,
            key_type=key_type,
            value_type=value_type,
            key_serializer=key_serializer,
            value_serializer=value_serializer,
            allow_empty=allow_empty,
            maxsize=maxsize,
            loop=loop,
        )
        self.partitions = partitions
        self.retention = retention
        self.compacting = compacting
        self.deleting = deleting
        self.replicas = replicas
        self.acks = acks
        self.internal = internal
        self.config: dict[str, Any] = dict(config or {})
        self.has_prefix = has_prefix
        self.repartition = repartition
        #: Name of the topic whose number of partitions it is created with, where there is one.
        self.like: str | None = None
        self._outbox: Sender | None = None
        self._target: Target | None = None
        #: Does something want to see what is sent before it is encoded?
        self._hooked = False

    # -- names ---------------------------------------------------------------------

    def get_topic_name(self) -> str:
        """Return the one name.

        Raises:
            ValueError: there are several names, or a pattern: nothing can be sent to such a topic.
        """
        if self.pattern is not None:
            raise ValueError(f"a topic with a pattern has no single name: {self.pattern.pattern!r}")
        if len(self.topics) != 1:
            raise ValueError(f"a topic with several names has no single one: {self.topics}")
        return self.topics[0]

    def matches(self, name: str) -> bool:
        """Does it stand for the topic of that name?"""
        if self.pattern is not None:
            return self.pattern.fullmatch(name) is not None
        return name in self.topics

    def topic_id(self, name: str) -> str:
        """Return the broker's id of the topic, where this worker knows it."""
        return getattr(self.app.outbox.target(name), "topic_id", "")

    def topic_config(self) -> dict[str, str]:
        """Return the configuration it is created with."""
        config: dict[str, str] = {}
        policies = [
            name
            for name, wanted in (("compact", self.compacting), ("delete", self.deleting))
            if wanted
        ]
        if policies:
            config["cleanup.policy"] = ",".join(policies)
        if self.retention is not None:
            config["retention.ms"] = str(_milliseconds(self.retention))
        config.update({key: str(value) for key, value in self.config.items()})
        return config

    # -- writing -----------------------------------------------------------------------

    async def send(  # type: ignore[override]  # a topic's delivery may still be under way
        self,
        value: Any = None,
        *,
        key: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: HeadersArg = None,
        schema: Schema[Any, Any] | None = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        callback: Any = None,
        force: bool = False,
    ) -> Sent:
        """Send a message, from any thread's event loop; returns when it is on its way.

        Arguments:
            value: The value; ``None`` is a tombstone.
            key: The key: equal keys go to one partition.
            partition: Send to this partition whatever the key says.
            timestamp: Seconds since the epoch (default: now).
            headers: Header names and bytes.
            schema, key_serializer, value_serializer: Encode in another way than the topic's.
            callback: Called with what this returns when the message was delivered or has failed.
            force: Accepted for compatibility; messages are never held back.

        Returns:
            What gives, when awaited, the `RecordMetadata` of the delivered message, or raises
            `ProducerSendError`.
        """
        stream = current_stream()
        if stream is not None and stream.task is not None and not stream.task.alive:
            stream.check_alive()
        outbox, target = self._outbox, self._target
        if outbox is None or target is None or not outbox.open:
            outbox, target = await self._connect()
        if outbox.crowded:
            await outbox.room()
        if outbox.thread != get_ident():
            return self.send_soon(
                value,
                key=key,
                partition=partition,
                timestamp=timestamp,
                headers=headers,
                schema=schema,
                key_serializer=key_serializer,
                value_serializer=value_serializer,
                callback=callback,
            )
        own = schema is None and key_serializer is None and value_serializer is None
        if own and not self._hooked:
            write = self._key_writers.get(type(key))
            raw_key = write(key) if write is not None else self._write_key(key)
            write = self._value_writers.get(type(value))
            raw_value = write(value) if write is not None else self._write_value(value)
            pairs = None if headers is None else headers_as_list(headers)
            sent = outbox.append(target, partition, raw_key, raw_value, timestamp, pairs)
            if callback is not None:
                sent.add_done_callback(callback)
            return sent
        raw_key, raw_value, pairs = self._encode(
            key, value, partition, timestamp, headers, schema, key_serializer, value_serializer
        )
        sent = outbox.append(target, partition, raw_key, raw_value, timestamp, pairs)
        if callback is not None:
            sent.add_done_callback(callback)
        return sent

    async def _connect(self) -> tuple[Sender, Target]:
        """Find out once what sending to this topic needs."""
        app = self.app
        await app.ensure_sending()
        outbox = app.outbox
        target = outbox.target(self.get_topic_name())
        if not target.partitions:
            await self._prepare(target)
        self._hooked = app.produce_hook() is not None or not self._compiled_dumpers()
        self._outbox, self._target = outbox, target
        return outbox, target

    async def _prepare(self, target: Target) -> None:
        if self.internal:
            await self.declare()
        await self.app.outbox.prepare(target)

    def send_soon(  # type: ignore[override]  # see send()
        self,
        value: Any = None,
        *,
        key: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: HeadersArg = None,
        schema: Schema[Any, Any] | None = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        callback: Any = None,
        force: bool = False,
        eager_partitioning: bool = False,
    ) -> Sent:
        """As `send`, without waiting for anything; may be called from any thread.

        What it returns may be awaited, or asked with ``result(timeout)`` in a thread without an
        event loop.

        Arguments: as `send`, and
            eager_partitioning: Choose the partition now, and not when the message gets its place
                in a batch (from another thread, or before the start, that is later; the topic may
                have more partitions by then).

        Raises:
            NotReady: ``eager_partitioning`` for a topic whose partitions are not known yet.
        """
        raw_key, raw_value, pairs = self._encode(
            key, value, partition, timestamp, headers, schema, key_serializer, value_serializer
        )
        outbox = self.app.outbox
        target = outbox.target(self.get_topic_name())
        if eager_partitioning and partition is None:
            partition = outbox.choose(target, raw_key)
        sent = outbox.append_soon(target, partition, raw_key, raw_value, timestamp, pairs)
        if callback is not None:
            sent.add_done_callback(callback)
        return sent

    async def put(self, value: Any) -> None:
        """Send an event's key and value; a topic has no queue in this process."""
        if not hasattr(value, "value"):
            raise TypeError(f"put() on a topic takes an event; use send({value!r}) for a value")
        await self.send(key=value.key, value=value.value, headers=value.headers)

    # -- the broker's side ------------------------------------------------------------------

    async def declare(self) -> None:
        """Create it, if it is internal, not there, and may be created."""
        await self.app.create_topic(self)

    maybe_declare = declare

    def declare_soon(self) -> None:
        """Note that it must be there before the group is joined."""
        app: Any = self.app
        app.needs_topic(self)

    # -- derived topics ------------------------------------------------------------------------

    def stream(self, **options: Any) -> Any:
        """Return a stream over this topic."""
        return self.app.stream(self, **options)

    def __aiter__(self) -> AsyncIterator[Any]:
        """Iterate over its events, as a stream of no agent."""
        events: AsyncIterator[Any] = self.stream().events()
        return events

    def derive(self, **options: Any) -> Topic[Any]:
        """Return a topic like this one, with some options changed."""
        return self.derive_topic(**options)

    def derive_topic(
        self,
        *,
        topics: Sequence[str] | None = None,
        prefix: str = "",
        suffix: str = "",
        forget_key: bool = False,
        **options: Any,
    ) -> Topic[Any]:
        """Return a topic like this one; ``prefix`` and ``suffix`` are put around its names.

        Raises:
            ValueError: a prefix or suffix for a pattern.
        """
        if self.pattern is not None and not topics and (prefix or suffix):
            raise ValueError("a pattern cannot get a prefix or suffix")
        info = dict(self.info())
        if forget_key:
            schema = info["schema"].derive()
            schema.key_type = schema.key_serializer = None
            info["schema"] = schema
        changed = {**info, **{k: v for k, v in options.items() if v is not None}}
        names = list(topics) if topics else list(self.topics)
        if names:
            changed["pattern"] = None
        changed["topics"] = [f"{prefix}{name}{suffix}" for name in names]
        return type(self)(self.app, **changed)

    def clone(self, **options: Any) -> Topic[Any]:
        """Return a topic like this one, with some options changed."""
        return type(self)(self.app, **{**self.info(), **options})

    def info(self) -> Mapping[str, Any]:
        """Return the options that make up this topic."""
        return {
            "topics": list(self.topics),
            "pattern": self.pattern,
            "schema": self.schema,
            "partitions": self.partitions,
            "retention": self.retention,
            "compacting": self.compacting,
            "deleting": self.deleting,
            "replicas": self.replicas,
            "acks": self.acks,
            "internal": self.internal,
            "config": dict(self.config),
            "maxsize": self._maxsize,
            "has_prefix": self.has_prefix,
            "repartition": self.repartition,
        }

    def __str__(self) -> str:
        return self.pattern.pattern if self.pattern is not None else ",".join(self.topics)

    def __repr__(self) -> str:
        return f"<Topic: {self}>"

    def __hash__(self) -> int:
        return id(self)


def _milliseconds(retention: Seconds) -> int:
    seconds = (
        retention.total_seconds() if isinstance(retention, timedelta) else want_seconds(retention)
    )
    return -1 if seconds < 0 else int(seconds * 1000)
