"""The port for whatever wants to be told what happens: batches, commits, tables, rebalances.

Counting costs one call for each batch.  The two callbacks for each event cost something only where
a sensor overrides them (`Sensor.on_stream_event_in`, `Sensor.on_stream_event_out`).
"""

from __future__ import annotations

from typing import Any

from mode import Service

from faust._values import TP

__all__ = ["Sensor"]


class Sensor(Service):
    """Told what happens; does nothing about it.  Override what you want to know."""

    abstract = False

    # -- for every event: only where overridden ---------------------------------------

    def on_stream_event_in(self, tp: TP, offset: int, stream: Any, event: Any) -> Any:
        """An event is about to be handed out; what this returns is given to the next."""

    def on_stream_event_out(
        self, tp: TP, offset: int, stream: Any, event: Any, state: Any = None
    ) -> None:
        """The agent has come back for the next event."""

    # -- for every batch -----------------------------------------------------------------

    def on_batch(self, tp: TP, reader: str, records: int) -> None:
        """A reader has used up a batch, of which ``records`` were handed to it."""

    def on_send(self, tp: TP, records: int, size: int, error: BaseException | None) -> None:
        """A batch was delivered, or has failed."""

    # -- less often ------------------------------------------------------------------------

    def on_event_skipped(self, reader: str, tp: TP | None) -> None:
        """An event was left out by the error policy."""

    def on_committed(self, seconds: float, offsets: dict[TP, int]) -> None:
        """A commit has succeeded."""

    def on_rebalance_start(self, app: Any) -> Any:
        """A rebalance has begun; what this returns is given to the end."""

    def on_rebalance_end(self, app: Any, state: Any = None) -> None:
        """A rebalance is over: everything assigned is being processed."""

    def on_restored(self, table: str, partition: int, records: int) -> None:
        """A table's partition was restored."""

    def asdict(self) -> dict[str, Any]:
        """Return what was measured, for pages and logs."""
        return {}
