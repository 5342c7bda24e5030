"""The port between the vocabulary and the engine: what a user's objects may ask of their app.

Agents, streams, tables, topics and channels see their app as an `AppContext` and nothing more; the
host satisfies it without inheriting from it.  If a member is missing here, ask first whether the
question belongs into the engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from faust._core.clock import Clock
from faust._values import TP, Headers, RecordMetadata

if TYPE_CHECKING:
    from faust._feeds import Feed
    from faust._machines.effects import TaskRun
    from faust.sensors.delegate import SensorDelegate
    from faust.sensors.monitor import Monitor
    from faust.serializers.registry import Registry
    from faust.settings import Settings

__all__ = ["AppContext", "Sender", "Sent", "Target"]


class Sent(Protocol):
    """A record on its way (see `faust.types.FutureMessage`)."""

    def done(self) -> bool: ...
    def result(self, timeout: float | None = None) -> RecordMetadata: ...
    def add_done_callback(self, fun: Callable[[Any], object]) -> None: ...
    def claim(self) -> None:
        """The caller deals with its failure, so that nobody else has to."""

    def peek_error(self) -> BaseException | None:
        """Return why it failed, if it did."""

    def __await__(self) -> Generator[Any, None, RecordMetadata]: ...


class Target(Protocol):
    """One topic as the outbox knows it.

    Attributes:
        partitions: How many there are; 0 as long as nobody has asked the broker.
    """

    name: str
    partitions: int


class Sender(Protocol):
    """Sends: the outbox, as topics see it."""

    def target(self, topic: str) -> Target:
        """Return the target of that name, made on first use."""

    async def prepare(self, target: Any) -> None:
        """Ask the broker for the target's partitions."""

    def forget(self, topic: str) -> None:
        """Nothing more is sent to this topic, as far as is known."""

    def append(
        self,
        target: Any,
        partition: int | None,
        key: bytes | None,
        value: bytes | None,
        timestamp: float | None,
        headers: Headers | None,
    ) -> Sent:
        """Put a record into the open batch of its partition; the target must be prepared."""

    def append_soon(
        self,
        target: Any,
        partition: int | None,
        key: bytes | None,
        value: bytes | None,
        timestamp: float | None,
        headers: Headers | None,
    ) -> Sent:
        """As `append`, from any thread, and also where the target is not prepared yet."""

    #: Is so much under way that senders should wait?
    crowded: bool
    #: May records be appended?
    open: bool
    #: Who may: the thread (its ident) of the app's event loop.
    thread: int

    def choose(self, target: Any, key: bytes | None) -> int:
        """Return the partition that a record with this key goes to, as things stand."""

    async def room(self) -> None:
        """Wait until there is less under way."""


class AppContext(Protocol):
    """What the vocabulary may ask of its app."""

    @property
    def conf(self) -> Settings: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def serializers(self) -> Registry: ...

    @property
    def monitor(self) -> Monitor: ...

    @property
    def sensors(self) -> SensorDelegate: ...

    @property
    def outbox(self) -> Sender: ...

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None: ...

    @property
    def tables(self) -> Mapping[str, Any]:
        """The tables by name."""

    @property
    def agents(self) -> Mapping[str, Any]:
        """The agents by name."""

    @property
    def topic(self) -> Callable[..., Any]:
        """What makes a topic description of this app's class."""

    def stream(self, channel: Any, **options: Any) -> Any:
        """Make a stream of this app's class."""

    def subscribe(self, topic: Any, reader: str) -> Feed:
        """Read a topic on behalf of a reader; what comes arrives in the feed."""

    def read_into(self, topic: Any, reader: str, feed: Feed) -> None:
        """Let what a reader reads of a further topic arrive in a feed that it has already."""

    async def headers_from(self, tp: TP, start: int) -> list[tuple[int, Headers]]:
        """Return offsets and headers of a partition's records, from an offset to its end now."""

    async def until_heard_of(self) -> None:
        """Return when the group has heard of us once more: who was replaced is never heard."""

    def on_crash(self, error: BaseException) -> None:
        """Something has ended that the worker cannot do without."""

    async def ensure_sending(self) -> None:
        """See to it that sending works: start what is needed in client mode."""

    async def create_topic(self, topic: Any) -> None:
        """Create an internal topic if it is not there and may be created."""

    def produce_hook(
        self,
    ) -> Callable[[Any, Any, int | None, float | None, Headers], None] | None:
        """Return what to call before a record is sent (`on_produce_message`), or ``None``."""

    async def _on_agent_error(self, agent: Any, exc: BaseException) -> None:
        """An agent has raised."""

    async def leaves_out(self, stream: Any, cursor: Any, record: Any, error: Exception) -> bool:
        """A record cannot be decoded: put it where the policy says; is it left out?"""

    def streams(self) -> list[Any]:
        """Return all streams."""

    def agents_naming(self, table: str) -> set[str]:
        """Return the names of the agents whose code refers to a table."""

    def share_table(self, run: TaskRun, writer: str, others: set[str]) -> None:
        """These readers write one table: let them into an event one at a time from now on."""

    def committed_position(self, tp: TP) -> int | None:
        """Return the last offset committed for a partition, if this worker has it."""
