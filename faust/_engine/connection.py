"""The way to the broker: bridge, transport, producer, outbox.  A client needs no more than this."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from faust._core.threads import Bridge
from faust._engine.outbox import Outbox
from faust._machines.retry import backoff
from faust._values import ProcessingGuarantee
from faust.exceptions import (
    BrokerUnavailable,
    ImproperlyConfigured,
    ProducerSendError,
    UnknownTopic,
)

if TYPE_CHECKING:
    from faust._core.clock import Clock
    from faust.settings import Settings
    from faust.transport.base import Transport
    from faust.transport.producer import Producer

__all__ = ["Connection"]

logger = logging.getLogger(__name__)

#: How long one attempt to reach a broker may take, before it is said that it is away (seconds).
OPEN_PATIENCE = 5.0
#: How long a topic that is sent to is waited for (seconds).
TOPIC_PATIENCE = 10.0


class Connection:
    """An open way to the broker.

    Arguments:
        conf: The settings.
        clock: Where time comes from.
        bridge: The hand-over between the loops.
        make_transport: Returns a new transport for the settings.

    Attributes:
        transport: The broker.
        producer: The producer of this process for all that is in no transaction.
        outbox: What is sent.
    """

    transport: Transport
    producer: Producer

    def __init__(
        self,
        conf: Settings,
        clock: Clock,
        bridge: Bridge,
        make_transport: Callable[[], Transport],
    ) -> None:
        self.conf = conf
        self.clock = clock
        self.bridge = bridge
        self._make_transport = make_transport
        self.opened = False
        outbox_class = Outbox
        if conf.processing_guarantee is ProcessingGuarantee.EXACTLY_ONCE:
            from faust._engine.outputs import ExactOutbox

            outbox_class = ExactOutbox
        self.outbox = outbox_class(
            clock,
            linger=conf.producer_linger,
            batch_size=conf.producer_max_batch_size,
            compression=conf.producer_compression_type,
            describe=self._describe,
            partitioner=conf.producer_partitioner,
        )

    async def open(self) -> None:
        """Connect, waiting for a broker that is away.

        Raises:
            BrokerUnavailable: it was away for longer than ``broker_unavailable_timeout``.
            StopError: what answers is no broker of ours, or refuses us.
        """
        await self.bridge.start()
        try:
            await self.bridge.call_io(self._open)
        except BaseException:
            await self.bridge.stop()
            raise
        self.outbox.start(self.bridge, self.producer)
        self.opened = True

    async def _open(self) -> None:
        self.transport = self._make_transport()
        await self._open_patiently()
        acks = self.conf.producer_acks
        self.producer = self._new_producer(acks)
        #: Tables are exact whatever is asked of messages: it must be known where their records are.
        self.changelog_producer = self.producer if acks == -1 else self._new_producer(-1)

    def _new_producer(self, acks: int) -> Producer:
        from faust.transport.producer import ProducerOptions

        return self.transport.producer(
            ProducerOptions(
                acks=acks,
                idempotent=acks == -1,
                max_request_bytes=self.conf.producer_max_request_size,
                delivery_timeout=self.conf.producer_request_timeout,
            )
        )

    async def _open_patiently(self) -> None:
        began = self.clock.monotonic()
        limit = self.conf.broker_unavailable_timeout
        attempt = 0
        while True:
            try:
                await self._open_once(began, limit)
            except BrokerUnavailable as exc:
                waited = self.clock.monotonic() - began
                if limit is not None and waited >= limit:
                    raise self.away(waited, exc) from exc
                attempt += 1
                delay = backoff(attempt, 0.2, 5.0)
                if attempt in (1, 5) or attempt % 20 == 0:
                    logger.warning("Waiting for a broker at %s (%s)", self._hosts(), exc)
                await self.transport.close()
                await self.clock.sleep(delay)
                self.transport = self._make_transport()
            else:
                if attempt:
                    logger.warning("The broker at %s answers", self._hosts())
                return

    async def _open_once(self, began: float, limit: float | None) -> None:
        """One attempt; a driver may try for longer than we are allowed to wait."""
        left = OPEN_PATIENCE
        if limit is not None:
            left = min(left, max(0.05, began + limit - self.clock.monotonic()))
        try:
            async with asyncio.timeout(left):
                await self.transport.open()
        except TimeoutError:
            raise BrokerUnavailable("no answer") from None

    def away(self, seconds: float, why: BaseException) -> BrokerUnavailable:
        """Return what ends an app whose broker has been away for longer than it may be."""
        return BrokerUnavailable(
            f"no broker has answered at {self._hosts()} for {seconds:.0f} seconds "
            f"(broker_unavailable_timeout): {why}"
        )

    def _hosts(self) -> str:
        from faust.utils.urls import show_url

        return ", ".join(show_url(url) for url in self.transport.urls)

    async def _describe(self, topic: str) -> tuple[int, str]:
        """Return a topic's partitions and id; made now, if the broker makes it on first use."""
        return await self.bridge.call_io(self._describe_on_io, topic)

    async def _describe_on_io(self, topic: str) -> tuple[int, str]:
        deadline = self.clock.monotonic() + TOPIC_PATIENCE
        asked = False
        while True:
            try:
                found: dict[str, Any] = await self.transport.topics([topic])
                if topic in found:
                    return found[topic].partitions, found[topic].topic_id
                if not asked:
                    asked = True
                    if not await self.transport.auto_create(topic):
                        deadline = min(deadline, self.clock.monotonic() + 2.0)
                    continue
                if self.clock.monotonic() >= deadline:
                    raise UnknownTopic(
                        f"topic {topic!r} does not exist, and the broker does not create it by "
                        f"itself: create it, or declare it with app.topic({topic!r}, internal=True)"
                    )
            except BrokerUnavailable as exc:
                logger.warning("Sending to %s waits for the broker: %s", topic, exc)
            await self.clock.sleep(0.2)

    async def close(self, patience: float | None = None) -> None:
        """Send what was given to us, then disconnect.

        Arguments:
            patience: Seconds that each step may take; ``None``: what sending may take anyhow.

        Raises:
            ProducerSendError: some of it was not delivered.
        """
        if not self.opened:
            self.outbox.drop_early()
            return
        self.opened = False
        try:
            async with asyncio.timeout(patience):
                await self.outbox.stop()
        except TimeoutError:
            raise ProducerSendError("messages could not be delivered: no broker answers") from None
        finally:
            try:
                await self.bridge.call_io(self._close, patience)
            finally:
                await self.bridge.stop()

    async def _close(self, patience: float | None) -> None:
        """On the I/O loop: close all, and leave nothing half closed where there is no time."""
        try:
            for producer in dict.fromkeys((self.producer, self.changelog_producer)):
                with suppress(TimeoutError):
                    async with asyncio.timeout(patience):
                        await producer.close()
                producer.abandon()
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self.transport.close()


def transport_class(scheme: str) -> Any:
    """Return the driver for a URL scheme: built in, an entry point, or the path of a class.

    Raises:
        ImproperlyConfigured: there is none; the message lists those there are.
    """
    from faust._core.names import symbol_by_name

    if scheme in DRIVERS:
        return symbol_by_name(DRIVERS[scheme])
    if "." in scheme:
        try:
            return symbol_by_name(scheme)
        except ImportError as exc:
            raise ImproperlyConfigured(f"broker: no driver {scheme!r}: {exc}") from exc
    from importlib.metadata import entry_points

    for point in entry_points(group="faust.transports"):
        if point.name == scheme:
            return point.load()
    raise ImproperlyConfigured(
        f"broker: unknown scheme {scheme!r} (there are: {', '.join(sorted(DRIVERS))}, or the "
        f"path of a driver class)"
    )


#: Scheme -> path of the driver's class.
DRIVERS = {
    "kafka": "faust.transport.drivers.aiokafka.driver:KafkaTransport",
    "aiokafka": "faust.transport.drivers.aiokafka.driver:KafkaTransport",
    "sqlite": "faust.transport.drivers.sqlite:SQLiteTransport",
    "memory": "faust.transport.drivers.memory:MemoryTransport",
}
