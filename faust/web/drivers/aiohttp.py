"""The web server on aiohttp, in a thread of its own with its own event loop.

So `/health`, `/ready` and the other views that say `View.in_server` are answered while an agent
blocks the app's loop.  The app's own pages run where the app runs: their requests are read here,
handed over complete, and their answers written here.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import threading
from concurrent.futures import CancelledError, Future
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from faust.exceptions import ImproperlyConfigured
from faust.web import base, cors
from faust.web.drivers.forms import fields_of
from faust.web.messages import Request, Response
from faust.web.views import View

__all__ = ["Web"]

logger = logging.getLogger(__name__)

#: How long requests in progress may take when the server stops (seconds).
SHUTDOWN_PATIENCE = 2.0


class Web(base.Web):
    """The server: `start` returns when it listens."""

    driver_version = f"aiohttp {aiohttp.__version__}"

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        self._thread: threading.Thread | None = None
        self._ending: asyncio.Event | None = None
        self._is_over = False

    async def on_start(self) -> None:
        """Start the thread and wait until the server listens.

        Raises:
            ImproperlyConfigured: the port is in use, or may not be used.
        """
        self._main = asyncio.get_running_loop()
        self.prepare()
        self._is_over = False
        listening: Future[int] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(listening,), name="faust-web", daemon=True
        )
        self._thread.start()
        self.port = await asyncio.wrap_future(listening)
        conf = self.app.conf
        if self.port and conf.web_port != self.port:
            conf.change("web_port", self.port)
        logger.info("Web server at %s", self.url)

    async def on_stop(self) -> None:
        """Finish the requests in progress, within two seconds, and end the thread."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._is_over = True  # seen by a thread that has not come to listening yet
        ending = self._ending
        if ending is not None and thread.is_alive():
            with contextlib.suppress(RuntimeError):  # its loop has just been closed
                self._loop_here.call_soon_threadsafe(ending.set)
        await asyncio.get_running_loop().run_in_executor(None, thread.join)
        self.port = None

    async def wsgi(self) -> web.Application:
        """Return the application, for an aiohttp server of your own in the running loop."""
        self._main = asyncio.get_running_loop()
        self.prepare()
        return self._make_application()

    # -- in the thread ---------------------------------------------------------------------------

    def _run(self, listening: Future[int]) -> None:
        try:
            asyncio.run(self._serve(listening))
        except Exception as exc:
            if listening.cancelled():
                logger.debug("The web server was stopped while it started", exc_info=exc)
            elif listening.done():
                logger.exception("The web server has failed")
            else:
                listening.set_exception(exc)
        finally:
            self._ending = None

    async def _serve(self, listening: Future[int]) -> None:
        self._loop_here = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        runner = web.AppRunner(
            self._make_application(), access_log=None, shutdown_timeout=SHUTDOWN_PATIENCE
        )
        await runner.setup()
        try:
            await self._listen(runner)
            if not listening.set_running_or_notify_cancel():
                return  # the worker stops while it starts
            listening.set_result(_port_of(runner))
            if not self._is_over:
                await self._ending.wait()
        finally:
            await runner.cleanup()

    def _make_application(self) -> web.Application:
        options = dict(self.app.conf.web_application_options or {})
        middlewares = [
            web.normalize_path_middleware(append_slash=True),
            *options.pop("middlewares", ()),
        ]
        application = web.Application(middlewares=middlewares, **options)
        for prefix, directory, kept in self.statics:
            application.router.add_static(prefix, directory, **kept)
        others = cors.options_from(self.app.conf.web_cors_options)
        for page in self.all_pages():
            handler = self._handler(self.make_view(page), page.cors_options or others)
            application.router.add_route("*", page.path, handler)
        return application

    async def _listen(self, runner: web.AppRunner) -> None:
        conf = self.app.conf
        transport = conf.web_transport
        tls = conf.web_ssl_context
        site: web.BaseSite
        if transport.scheme == "unix":
            site = web.UnixSite(runner, transport.path, ssl_context=tls)
        else:
            site = web.TCPSite(runner, conf.web_bind, conf.web_port, ssl_context=tls)
        try:
            await site.start()
        except OSError as exc:
            raise ImproperlyConfigured(_why_not(exc, conf)) from exc

    def _handler(self, view: View, cors_options: cors.CorsOptions | None) -> Any:
        async def handle(carrier: web.Request) -> web.StreamResponse:
            origin = carrier.headers.get("Origin")
            if cors_options and _asks_first(carrier):
                methods = {m.upper() for m in view.get_methods()}
                wanted = carrier.headers.get("Access-Control-Request-Headers", "")
                headers = cors.preflight(cors_options, origin, methods, wanted)
                return web.Response(status=200 if headers else 403, headers=headers)
            response = await self._answer(view, await _read(carrier))
            response.headers.update(cors.allowed(cors_options, origin))
            return _native(response)

        return handle

    async def _answer(self, view: View, request: Request) -> Any:
        if view.in_server:
            return await self.answer(view, request)
        if self._main.is_closed():
            return view.error(503, "This worker is stopping")
        running = asyncio.run_coroutine_threadsafe(self.answer(view, request), self._main)
        try:
            return await asyncio.wrap_future(running)
        except (CancelledError, asyncio.CancelledError):
            if not running.cancelled():
                raise
            return view.error(503, "This worker is stopping")


async def _read(carrier: web.Request) -> Request:
    """Read a request to its end, here where it arrives."""
    body = await carrier.read()
    form: list[tuple[str, Any]] | None = None
    if carrier.content_type.startswith("multipart/"):
        form = await fields_of(carrier, body)
    return Request(
        method=carrier.method,
        url=carrier.url,
        headers=carrier.headers,
        body=body,
        match_info=carrier.match_info,
        form=form,
        carrier=carrier,
    )


def _native(response: Any) -> web.StreamResponse:
    if not isinstance(response, Response):
        native: web.StreamResponse = response  # a user's own aiohttp response
        return native
    if response.status == 204:
        return web.Response(status=204, headers=response.headers)
    kind = response.content_type or ""
    if ";" not in kind and response.charset:
        kind = f"{kind}; charset={response.charset}"
    headers = CIMultiDict(response.headers)  # of a forwarded answer: some may come several times
    if kind:
        headers.setdefault("Content-Type", kind)
    return web.Response(
        body=response.body, status=response.status, reason=response.reason, headers=headers
    )


def _asks_first(carrier: web.Request) -> bool:
    return carrier.method == "OPTIONS" and "Access-Control-Request-Method" in carrier.headers


def _port_of(runner: web.AppRunner) -> int:
    for address in runner.addresses:
        if isinstance(address, tuple):
            return int(address[1])
    return 0


#: By the command line, and where an app lives in another program.
_WITHOUT = "or do without it with --without-web or web_enabled=False"


def _why_not(exc: OSError, conf: Any) -> str:
    if conf.web_transport.scheme == "unix":
        return f"the web server cannot listen at {conf.web_transport}: {exc.strerror or exc}"
    where = f"port {conf.web_port} at {conf.web_bind}"
    if exc.errno == errno.EADDRINUSE:
        return (
            f"the web server cannot listen at {where}: it is in use. Choose another with "
            f"--web-port or web_port= (0 takes any that is free), {_WITHOUT}"
        )
    return (
        f"the web server cannot listen at {where}: {exc.strerror or exc}. Choose another with "
        f"--web-port and --web-bind (web_port=, web_bind=), {_WITHOUT}"
    )
