"""An ASGI application as the web server of a worker: uvicorn in the app's event loop.

    web = FastAPI()
    serve_asgi(app, web)

It is what ``faust worker`` then serves, in the place of the pages that every worker has.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from mode import Service

from faust.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from faust.app.base import App

__all__ = ["AsgiService", "serve_asgi"]

logger = logging.getLogger(__name__)


class AsgiService(Service):
    """Serves an ASGI application while the app runs.

    Arguments:
        asgi_app: The application (default: the attribute of that name of a subclass).
        host: Address to listen at (default: the setting ``web_bind``).
        port: Port to listen at (default: the setting ``web_port``).
        uvicorn_options: Further options of ``uvicorn.Config``.

    Attributes:
        faust_app: The app whose settings count; set by `serve_asgi`.

    Raises:
        ImproperlyConfigured: uvicorn is not installed, or the server could not be started.
    """

    abstract = False

    asgi_app: Any = None
    faust_app: ClassVar[Any] = None
    host: str | None = None
    port: int | None = None
    uvicorn_options: Mapping[str, Any] = {}

    def __init__(
        self,
        asgi_app: Any = None,
        *,
        host: str | None = None,
        port: int | None = None,
        uvicorn_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        conf = None if self.faust_app is None else self.faust_app.conf
        self.asgi_app = self.asgi_app if asgi_app is None else asgi_app
        self.host = host or self.host or (conf.web_bind if conf is not None else "127.0.0.1")
        self.port = _first(port, self.port, conf.web_port if conf is not None else 6066)
        self.uvicorn_options = {**self.uvicorn_options, **(uvicorn_options or {})}
        self._server: Any = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it is found."""
        return f"http://{self.host}:{self.port}"

    async def on_start(self) -> None:
        """Listen; returns when requests are answered."""
        self._server = _server(
            self.asgi_app, host=self.host, port=self.port, **self.uvicorn_options
        )
        self._serving = asyncio.create_task(self._serve(), name="asgi-server")
        while not self._server.started:
            if self._serving.done():
                raise ImproperlyConfigured(
                    f"{self.asgi_app!r} cannot be served at {self.url}: uvicorn says why above"
                )
            await asyncio.sleep(0.01)
        logger.info("Serving %r at %s", self.asgi_app, self.url)

    async def _serve(self) -> None:
        try:
            await self._server.serve()
        except SystemExit:  # so uvicorn ends a process that cannot listen
            return

    async def on_stop(self) -> None:
        """Answer what has been asked, and stop."""
        if self._serving is not None:
            self._server.should_exit = True
            await self._serving


def serve_asgi(
    app: App, asgi_app: Any, *, host: str | None = None, port: int | None = None, **options: Any
) -> type[AsgiService]:
    """Let workers of an app serve an ASGI application (FastAPI, Starlette, Django).

    It takes the place of the worker's own web server, and with it of its pages, ``/health`` and
    ``/metrics`` among them.  Requests and agents share one event loop: a request may send, ask, and
    read the tables of this worker.

    Arguments:
        app: The app.
        asgi_app: The application.
        host: Address to listen at (default: the setting ``web_bind``).
        port: Port to listen at (default: the setting ``web_port``).
        options: Further options of ``uvicorn.Config``.

    Returns:
        The class of the service, which `faust.App.web_server` has got.

    Raises:
        ImproperlyConfigured: the app has a web server of its own already.
    """
    attributes = {
        "asgi_app": staticmethod(asgi_app),
        "faust_app": app,
        "host": host,
        "port": port,
        "uvicorn_options": options,
    }
    return app.web_server(type("AsgiService", (AsgiService,), attributes))


def _first(*given: int | None) -> int:
    return next(each for each in given if each is not None)


def _server(asgi_app: Any, **options: Any) -> Any:
    try:
        import uvicorn
    except ImportError as exc:
        raise ImproperlyConfigured("serve_asgi() needs uvicorn: pip install uvicorn") from exc

    class Server(uvicorn.Server):
        """One that leaves signals to the worker."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Server(uvicorn.Config(asgi_app, **{"log_config": None, **options}))
