"""The id of an idempotent producer without transactions: any node gives a new one (KIP-98)."""

from __future__ import annotations

from collections.abc import Callable

from aiokafka.protocol.transaction import InitProducerIdRequest

from faust.exceptions import RetryableError
from faust.transport.drivers.aiokafka.cluster import Cluster
from faust.transport.drivers.aiokafka.errors import (
    FOREIGN,
    NO_ERROR,
    error_for,
    may_be_retried,
    translated,
)
from faust.transport.drivers.aiokafka.patience import Backoff

__all__ = ["new_producer_id"]

#: Means nothing without transactions.
_INIT_TIMEOUT_MS = 60_000


async def new_producer_id(
    cluster: Cluster, is_wanted: Callable[[], bool]
) -> tuple[int, int] | None:
    """Return a new id and its epoch; ``None`` once it is not wanted any more.

    Raises:
        BrokerError: nobody may give us one.
    """
    backoff = Backoff()
    while is_wanted():
        try:
            return await _ask(cluster)
        except (RetryableError, *FOREIGN) as exc:
            if not may_be_retried(exc):
                raise translated(exc, "getting a producer id") from exc
            cluster.refresh_soon()
            await cluster.options.clock.sleep(backoff.next_seconds())
    return None


async def _ask(cluster: Cluster) -> tuple[int, int]:
    request = InitProducerIdRequest(None, _INIT_TIMEOUT_MS)  # type: ignore[arg-type]  # null: no transactions
    answer = await cluster.connections.send_to_any(request)
    if answer.error_code != NO_ERROR:
        raise error_for(answer.error_code, "getting a producer id")
    return answer.producer_id, answer.producer_epoch
