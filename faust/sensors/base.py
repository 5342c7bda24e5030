"""The port for whatever wants to be told what happens: to events, batches, tables, commits.

Counting costs one call for each batch.  The callbacks for each event, message, send or access of a
table cost something only where a sensor overrides them, and then only from when it was added.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mode import Service

from faust._values import TP

__all__ = ["Sensor"]


class Sensor(Service):
    """Told what happens; does nothing about it.  Override what you want to know.

    A callback must be quick and must not raise: what it raises is logged, and the app goes on.
    """

    abstract = False

    def on_added(self, app: Any) -> None:
        """It belongs to this app from now on."""

    # -- for every message, event, send and access: only where overridden -----------------

    def on_message_in(self, tp: TP, offset: int, message: Any) -> None:
        """A record has come from the broker."""

    def on_message_out(self, tp: TP, offset: int, message: Any) -> None:
        """The last reader of a record has finished with it."""

    def on_stream_event_in(self, tp: TP, offset: int, stream: Any, event: Any) -> Any:
        """An event is about to be handed out; what this returns is given to the next."""

    def on_stream_event_out(
        self, tp: TP, offset: int, stream: Any, event: Any, state: Any = None
    ) -> None:
        """The agent has come back for the next event, or has failed."""

    def on_table_get(self, table: Any, key: Any) -> None:
        """A key is read."""

    def on_table_set(self, table: Any, key: Any, value: Any) -> None:
        """A key is set."""

    def on_table_del(self, table: Any, key: Any) -> None:
        """A key is deleted."""

    def on_send_initiated(
        self, producer: Any, topic: str, message: Any, keysize: int, valsize: int
    ) -> Any:
        """A record was put into the batch of its partition; what this returns is given on.

        Arguments:
            message: What `Topic.send` returns for it.
            keysize, valsize: Bytes of the encoded key and value.
        """

    def on_send_completed(self, producer: Any, state: Any, metadata: Any) -> None:
        """It is in the log."""

    def on_send_error(self, producer: Any, exc: BaseException, state: Any) -> None:
        """It could not be delivered."""

    # -- for every batch -----------------------------------------------------------------

    def on_batch_in(self, tp: TP, records: int) -> None:
        """A batch of a partition that is read here has come from the broker."""

    def on_batch(self, tp: TP, reader: str, records: int, next_offset: int, seconds: float) -> None:
        """A reader has used up a batch.

        Arguments:
            records: How many of its records were handed out.
            next_offset: Where the reader goes on in this partition.
            seconds: How long the agent has had them, all together.
        """

    def on_batch_sent(
        self, tp: TP, records: int, size: int, seconds: float, error: BaseException | None
    ) -> None:
        """A batch was delivered, or has failed, ``seconds`` after it was handed to the producer."""

    # -- less often ------------------------------------------------------------------------

    def on_event_skipped(self, reader: str, tp: TP | None) -> None:
        """An event was left out by the error policy."""

    def on_event_retried(self, reader: str, tp: TP | None) -> None:
        """An event failed, and is to be tried again: in place, or by way of a retry topic."""

    def on_event_dead_lettered(self, reader: str, tp: TP | None, topic: str) -> None:
        """An event was put among the dead letters in ``topic``."""

    def on_topic_buffer_full(self, tp: TP) -> None:
        """So much waits of a partition that no more of it is fetched until some is done."""

    def on_tp_end(self, tp: TP, offset: int) -> None:
        """The broker says where a partition ends: the offset of the next record to come."""

    def on_commit_initiated(self, consumer: Any) -> Any:
        """A commit has begun; what this returns is given to its end."""

    def on_commit_completed(self, consumer: Any, state: Any) -> None:
        """It has succeeded.  (Of one that fails nothing more is heard.)"""

    def on_tp_commit(self, tp_offsets: Mapping[TP, int]) -> None:
        """These offsets are committed: of the next record to process, for each partition."""

    def on_assignment_start(self, assignor: Any) -> Any:
        """This worker leads the group and assigns partitions to its members."""

    def on_assignment_completed(self, assignor: Any, state: Any) -> None:
        """It has; told together with the start, whose ``time_start`` is corrected."""

    def on_assignment_error(self, assignor: Any, state: Any, exc: BaseException) -> None:
        """It could not."""

    def on_rebalance_start(self, app: Any) -> Any:
        """A rebalance has begun; what this returns is given to the others."""

    def on_rebalance_return(self, app: Any, state: Any) -> None:
        """It is known what this worker has, and what it gives up is given up."""

    def on_rebalance_end(self, app: Any, state: Any) -> None:
        """A rebalance is over: everything assigned is being processed."""

    def on_restored(self, table: Any, partition: int, records: int) -> None:
        """A table's partition was restored, by reading so many records."""

    def on_web_request_start(self, app: Any, request: Any, *, view: Any = None) -> Any:
        """A page is asked for; what this returns is given to the end."""

    def on_web_request_end(
        self, app: Any, request: Any, response: Any, state: Any, *, view: Any = None
    ) -> None:
        """It is answered.  (Called in the thread that answers.)"""

    def on_threaded_producer_buffer_processed(self, app: Any, size: int) -> None:
        """So many batches were handed to the producer's thread at once."""

    def asdict(self) -> Mapping[str, Any]:
        """Return what was measured, for pages and logs."""
        return {}
