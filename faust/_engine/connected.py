"""What an app that only sends and asks is made of: the way to the broker, and answers from it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from mode import Service

from faust._core.clock import Clock, SystemClock
from faust._core.threads import Bridge, ThreadBridge, awaited_in
from faust._engine.clients import Producer
from faust._engine.connection import Connection, transport_class
from faust._engine.outbox import Outbox
from faust._values import Headers
from faust.agents.replies import ReplyPromise, ReplyTable

if TYPE_CHECKING:
    from faust._engine.replies import ReplyReader
    from faust.settings import Settings
    from faust.topics import Topic

__all__ = ["Connected"]


class Connected(Service):
    """An app as far as it sends, and reads what it is answered.

    Attributes:
        clock: Where time comes from.
        connection: The way to the broker, while there is one.
    """

    abstract = False

    # What App provides.
    conf: Settings
    topics: Any
    sensors: Any

    def __init__(self, *, beacon: Any = None, loop: Any = None) -> None:
        super().__init__(beacon=beacon, loop=loop)
        self.clock: Clock = SystemClock()
        self.connection: Connection | None = None
        self.make_bridge: Callable[[], Bridge] = ThreadBridge
        #: Set where a transport is not to be made from the settings (tests, simulation).
        self.make_transport: Callable[[], Any] | None = None
        self.producer = Producer(self, beacon=self.beacon)
        self._replies = ReplyTable()
        self._reply_reader: ReplyReader | None = None
        self._starting_client: asyncio.Future[None] | None = None
        self._lock = threading.RLock()
        self._main_loop: asyncio.AbstractEventLoop | None = None

    # -- sending -----------------------------------------------------------------------------

    @property
    def outbox(self) -> Outbox:
        """What is sent; before there is a connection, messages wait in it."""
        with self._lock:
            if self.connection is None:
                self.connection = self._new_connection()
            return self.connection.outbox

    def _new_connection(self) -> Connection:
        connection = Connection(
            self.conf, self.clock, self.make_bridge(), self.make_transport or self._new_transport
        )
        outbox = connection.outbox
        outbox.after_the_end = self._stopped.is_set()
        outbox.on_delivered = self.sensors.on_batch_sent
        outbox.on_handed_over = partial(self.sensors.on_threaded_producer_buffer_processed, self)
        self._watch_sends(outbox)
        return connection

    def _watch_sends(self, outbox: Outbox) -> None:
        outbox.watch(self.sensors.send_hooks, self.producer)

    def _new_transport(self) -> Any:
        from faust.transport.base import TransportOptions

        conf = self.conf
        urls = conf.broker
        driver = transport_class(urls[0].scheme)
        return driver(
            urls,
            TransportOptions(
                client_id=conf.broker_client_id,
                credentials=conf.broker_credentials,
                request_timeout=conf.broker_request_timeout,
                metadata_max_age=min(
                    conf.consumer_metadata_max_age_ms, conf.producer_metadata_max_age_ms
                )
                / 1000.0,
                connections_max_idle=min(
                    conf.consumer_connections_max_idle_ms, conf.producer_connections_max_idle_ms
                )
                / 1000.0,
                default_partitions=conf.topic_partitions,
                clock=self.clock,
                base_directory=str(conf.datadir),
            ),
        )

    async def ensure_sending(self) -> None:
        """See to it that sending works here: connect, if nobody has yet."""
        if self.connection is None or not self.connection.outbox.open:
            await self.maybe_start_client()

    async def connect(self) -> None:
        """Open the connection."""
        if self._stopped.is_set():  # a client that was stopped, and begins again
            self.service_reset()
        with self._lock:
            if self.connection is None:
                self.connection = self._new_connection()
            connection = self.connection
        self._main_loop = asyncio.get_running_loop()
        if not connection.opened:
            await connection.open()

    async def maybe_start_client(self) -> None:
        """Connect for sending, unless that was done, or is being done."""
        if self.connection is not None and self.connection.opened:
            return
        with self._lock:
            if self._starting_client is None:
                self._starting_client = asyncio.ensure_future(self.connect())
            starting = self._starting_client
        await awaited_in(starting.get_loop(), self._wait_for_client, starting)

    async def _wait_for_client(self, starting: asyncio.Future[None]) -> None:
        try:
            await asyncio.shield(starting)
        finally:
            if starting.done():
                self._starting_client = None

    def produce_hook(
        self,
    ) -> Callable[[Any, Any, int | None, float | None, Headers], None] | None:
        """Return what to call before a record is sent, or ``None``."""
        return None

    async def topic_exists(self, name: str) -> bool:
        """Ask the broker whether there is a topic of this name."""
        await self.ensure_sending()
        connection = self.connection
        assert connection is not None
        return name in await connection.bridge.call_io(connection.transport.topics, [name])

    async def create_topic(self, topic: Topic[Any]) -> None:
        """Create a topic of ours that is not there."""
        await self.ensure_sending()
        assert self.connection is not None
        from faust._engine.declarations import Declarations

        declarations = Declarations(self.conf, self.connection.transport, self.topics, {}, {}, ())
        outbox = self.connection.outbox

        async def ensure() -> None:
            assert self.connection is not None
            for name in topic.topics:
                found = await self.connection.transport.topics([name])
                info = found.get(name) or await declarations.create(
                    name, topic, topic.partitions or self.conf.topic_partitions
                )
                outbox.learn(name, info.partitions, info.topic_id)

        await self.connection.bridge.call_io(ensure)

    # -- replies ---------------------------------------------------------------------------------

    async def expect_reply(self, promise: ReplyPromise) -> None:
        """Read the reply topic from now on, and give the promise its answer."""
        self._replies.add(promise)
        await self.ensure_sending()
        main = self._main_loop
        assert main is not None
        await awaited_in(main, self._read_replies, promise.reply_to)

    async def _read_replies(self, topic: str) -> None:
        if self._reply_reader is None:
            from faust._engine.replies import ReplyReader

            assert self.connection is not None
            self._reply_reader = ReplyReader(self, self.connection, self._replies)
        await self._reply_reader.read(topic)

    async def start_replies(self) -> None:
        """Create and read the reply topic."""
        promise = ReplyPromise(self.conf.reply_to, "")
        await self.expect_reply(promise)
        promise.cancel()
