"""A whole app in a test: a worker in this event loop, on a broker that nobody else sees.

    async with running(app) as broker:
        await orders.send(Order("ada", 3), key="ada")
        ...

Everything of the app runs: agents, tables, timers, services.  In virtual time (`run_virtual`) the
app's clock is the virtual one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory
from typing import Any

from faust._core.threads import LoopBridge
from faust.testing.broker import MemoryBroker, memory_broker
from faust.testing.clock import VirtualClock, VirtualLoop
from faust.transport.base import TransportOptions
from faust.transport.drivers.memory import MemoryTransport
from faust.utils.urls import broker_urls

__all__ = ["running"]


@asynccontextmanager
async def running(app: Any, *, broker: MemoryBroker | None = None) -> AsyncIterator[MemoryBroker]:
    """Run an app as a worker until the block ends; whatever its settings say, nothing is kept.

    Its topics are in ``broker``, its tables in memory, and it has no web server.  Afterwards the
    app is as it was, and can be run again.

    Arguments:
        app: The app.
        broker: One from `memory_broker`, to start an app twice on the same log; by default an
            empty one, which is gone afterwards.
    """
    if broker is None:
        async with memory_broker() as own, running(app, broker=own):
            yield own
        return
    conf = app.conf
    saved = app.clock, app.make_bridge, app.make_transport
    settings = {name: getattr(conf, name) for name in ("datadir", "store", "web_enabled")}
    if isinstance(asyncio.get_running_loop(), VirtualLoop):
        app.clock = VirtualClock.current()
    options = TransportOptions(default_partitions=conf.topic_partitions, clock=app.clock)
    url = broker.url
    app.make_bridge = LoopBridge
    app.make_transport = lambda: MemoryTransport(broker_urls(url), options)
    with TemporaryDirectory(prefix="faust-test-") as directory:
        conf.datadir, conf.store, conf.web_enabled = directory, "memory://", False
        try:
            async with app:
                yield broker
        finally:
            app.clock, app.make_bridge, app.make_transport = saved
            for name, value in settings.items():
                setattr(conf, name, value)
