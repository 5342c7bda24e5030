"""The I/O loop's side of sending: batches go to the producer, what became of them comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from faust.exceptions import ProducerSendError

if TYPE_CHECKING:
    from faust._core.threads import Bridge
    from faust._engine.deliveries import Delivery
    from faust._engine.losses import Losses
    from faust._engine.targets import OutboxTarget
    from faust.transport.producer import Placed, Producer
    from faust.transport.records import Builder

__all__ = ["Closed", "Courier", "Settled"]

#: A batch that takes no more records.
Closed: TypeAlias = "tuple[OutboxTarget, Delivery, Builder]"
#: A batch that was delivered, or has failed.
Settled: TypeAlias = "tuple[OutboxTarget, Delivery, Placed | None, BaseException | None]"


class Courier:
    """Hands batches to the producer, in order (on the I/O loop only, where nothing else is said).

    Arguments:
        bridge: The way to the main loop.
        producer: What delivers.
        on_settled: Called on the main loop with what became of some batches.
        losses: Knows whether what nobody asks for ends the app when it is lost.
    """

    def __init__(
        self,
        bridge: Bridge,
        producer: Producer,
        on_settled: Callable[[list[Settled]], None],
        losses: Losses,
    ) -> None:
        self._bridge = bridge
        self._producer = producer
        self._on_settled = on_settled
        self._losses = losses
        #: What lost a record that nobody has claimed: nothing is sent after it.
        self._broken: BaseException | None = None
        self._settled: list[Settled] = []
        #: Set from the main loop: no further batch is sent.
        self.stopped = False

    def hand_over(self, batches: list[Closed]) -> None:
        """Give these batches to the producer."""
        for target, delivery, builder in batches:
            if self.stopped:
                self._done(target, delivery, None, ProducerSendError("the app is stopping"))
                continue
            if self._broken is not None:
                self._done(target, delivery, None, self._broken)
                continue
            future = self._producer.produce(delivery.tp, builder)
            future.add_done_callback(partial(self._produced, target, delivery))

    def _produced(
        self, target: OutboxTarget, delivery: Delivery, future: asyncio.Future[Placed]
    ) -> None:
        if future.cancelled():
            self._done(target, delivery, None, ProducerSendError("the app was stopped"))
        elif (error := future.exception()) is not None:
            self._done(target, delivery, None, error)
        else:
            self._done(target, delivery, future.result(), None)

    def _done(
        self,
        target: OutboxTarget,
        delivery: Delivery,
        placed: Placed | None,
        error: BaseException | None,
    ) -> None:
        if error is not None and delivery.claims < delivery.count and self._losses.final:
            # Nothing may overtake what is missing: whoever reads what was forwarded takes the
            # highest source offset for the last one.
            self._broken = self._broken or error
        self._collect(target, delivery, placed, error)

    def _collect(
        self,
        target: OutboxTarget,
        delivery: Delivery,
        placed: Placed | None,
        error: BaseException | None,
    ) -> None:
        """Collect what this turn of the I/O loop settles: one wake-up of the main loop for all."""
        if not self._settled:
            asyncio.get_running_loop().call_soon(self._post_settled)
        self._settled.append((target, delivery, placed, error))

    def _post_settled(self) -> None:
        settled, self._settled = self._settled, []
        self._bridge.post_main(self._on_settled, settled)
