"""The signals of an app."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from faust._engine.host import Host
from faust._engine.signals import Signal, SyncSignal
from faust._values import Headers

__all__ = ["Signalling"]


class Signalling(Host):
    """An app that tells what happens to it."""

    abstract = False

    on_before_configured = SyncSignal()
    on_configured = SyncSignal()
    on_after_configured = SyncSignal()
    on_worker_init = SyncSignal()
    on_partitions_assigned = Signal()
    on_partitions_revoked = Signal()
    on_rebalance_complete = Signal()
    on_before_shutdown = Signal()
    on_produce_message = SyncSignal()

    def produce_hook(
        self,
    ) -> Callable[[Any, Any, int | None, float | None, Headers], None] | None:
        """Return what sends `on_produce_message`, if anybody listens."""
        signal = self.on_produce_message
        if not signal:
            return None

        def hook(
            key: Any, value: Any, partition: int | None, timestamp: float | None, headers: Headers
        ) -> None:
            signal.send(
                self,
                key=key,
                value=value,
                partition=partition,
                timestamp=timestamp,
                headers=headers,
            )

        return hook
