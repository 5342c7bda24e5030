"""Faust inside an ASGI server: the app lives as long as the web application does.

With FastAPI or Starlette::

    web = FastAPI(lifespan=faust_lifespan(app))

With Django, or whatever else is an ASGI application::

    application = FaustLifespanMiddleware(get_asgi_application(), app)

Requests and agents then share one event loop, of any kind (uvloop, too), and one process: a request
may send, ask, and read the tables of this worker.  The server's shutdown stops the app in order;
what it handled is committed.  If the app fails, the process is told to end (SIGTERM), so that the
server stops, too, and whoever supervises it starts it again.

The app's own web server still serves its pages, health and metrics on ``web_port``; switch it off
with ``web_enabled=False`` where the framework's server is all you want.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from faust.contrib.asgi_server import AsgiService, serve_asgi
from faust.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from faust.app.base import App

__all__ = [
    "AsgiService",
    "FaustLifespanMiddleware",
    "faust_app_running",
    "faust_lifespan",
    "serve_asgi",
]

logger = logging.getLogger(__name__)

_Message: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[_Message]]
_Send: TypeAlias = Callable[[_Message], Awaitable[None]]
_Asgi: TypeAlias = Callable[[Any, _Receive, _Send], Awaitable[None]]


@asynccontextmanager
async def faust_app_running(
    app: App,
    *,
    finalize: bool = True,
    discover: bool | None = None,
    stop_timeout: float | None = None,
) -> AsyncIterator[App]:
    """Run an app in this event loop while the block runs.

    Arguments:
        app: The app; agents, timers, tasks and pages all run, as in ``faust worker``.
        finalize: Freeze what is declared first, and report what is wrong with it.
        discover: Scan for decorated functions first (default: if ``autodiscover`` is set).
        stop_timeout: Seconds after which stopping is given up (default: however long it takes).

    Raises:
        ImproperlyConfigured: the app is running already.
        Exception: the app could not be started, or it has failed meanwhile.
    """
    if app.started:
        raise ImproperlyConfigured(f"app {app.conf.id!r} is running already: start it in one place")
    if finalize:
        app.finalize()
    app.worker_init()
    if app.conf.autodiscover if discover is None else discover:
        app.discover()
    await app.start()
    watching = asyncio.create_task(_end_with(app), name="faust-embedded")
    try:
        yield app
    finally:
        watching.cancel()
        async with asyncio.timeout(stop_timeout):
            await app.stop()
    if app.failure is not None:
        raise app.failure


async def _end_with(app: App) -> None:
    """The app has failed: ask whoever serves in this process to stop."""
    await app.failed.wait()
    logger.error("App %s has failed (%s): this process ends", app.conf.id, app.failure)
    os.kill(os.getpid(), signal.SIGTERM)


def faust_lifespan(app: App, **options: Any) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return the lifespan for FastAPI or Starlette that runs an app.

    Arguments:
        app: The app.
        options: For `faust_app_running`.
    """

    @asynccontextmanager
    async def lifespan(web: Any) -> AsyncIterator[None]:
        async with faust_app_running(app, **options):
            yield

    return lifespan


class FaustLifespanMiddleware:
    """An ASGI application with an app that runs as long as it does.

    Arguments:
        asgi_app: The application that answers; it may have a lifespan of its own, and need not
            (Django has none).
        faust_app: The app.
        options: For `faust_app_running`.
    """

    def __init__(self, asgi_app: _Asgi, faust_app: App, **options: Any) -> None:
        self.asgi_app = asgi_app
        self.faust_app = faust_app
        self._options = options

    async def __call__(self, scope: Any, receive: _Receive, send: _Send) -> None:
        """Answer a request, or run the app for a lifespan."""
        if scope["type"] != "lifespan":
            await self.asgi_app(scope, receive, send)
            return
        stage, told = "startup", _Told(receive, send)
        try:
            async with faust_app_running(self.faust_app, **self._options):
                await told.let(self.asgi_app, scope)
                stage = "shutdown"
        except Exception as exc:
            stage = "shutdown" if told.started else stage
            logger.exception("App %s failed at the %s", self.faust_app.conf.id, stage)
            await send({"type": f"lifespan.{stage}.failed", "message": str(exc)})
            return
        await send(told.last)


class _Told:
    """The lifespan of the application inside; its last word is held back until the app has stopped.

    Attributes:
        started: Has it said that it has started?
        last: What it says at the end.
    """

    def __init__(self, receive: _Receive, send: _Send) -> None:
        self._receive, self._send = receive, send
        self._heard = 0
        self.started = False
        self.last: _Message = {"type": "lifespan.shutdown.complete"}

    async def let(self, application: _Asgi, scope: Any) -> None:
        """Run it until the end; for an application that knows no lifespans, wait for the end."""
        try:
            await application(scope, self._hear, self._say)
        except Exception:
            if self.started:
                raise
        if not self.started:
            if not self._heard:
                await self._receive()
            await self._say({"type": "lifespan.startup.complete"})
            await self._receive()

    async def _hear(self) -> _Message:
        self._heard += 1
        return await self._receive()

    async def _say(self, message: _Message) -> None:
        if message["type"].startswith("lifespan.shutdown"):
            self.last = message
            return
        if message["type"] == "lifespan.startup.failed":
            raise RuntimeError(message.get("message") or "the application did not start")
        self.started = True
        await self._send(message)
