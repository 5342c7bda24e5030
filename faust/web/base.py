"""The web server as its views see it; a driver makes it listen."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from mode import Service

from faust.exceptions import ImproperlyConfigured
from faust.web.cors import CorsOptions
from faust.web.messages import Request, Response
from faust.web.views import PARAMETER, View, view_from

__all__ = ["Page", "Request", "Response", "Web"]


class Page(NamedTuple):
    """One path and the view that answers it.

    Attributes:
        path: With ``{name}`` for parameters.
        view: The view's class.
        name: For `Web.url_for`.
        cors_options: Who else's pages may use it.
    """

    path: str
    view: type[View]
    name: str
    cors_options: CorsOptions | None = None


class Web(Service):
    """The web server of an app.

    Arguments:
        app: The app.

    Attributes:
        pages: Pages added with `route`; those of ``@app.page`` are in the app's registry.
        port: The port that it listens at, once it does.
    """

    abstract = False
    driver_version = ""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(**options)
        self.app = app
        self.pages: list[Page] = []
        self.statics: list[tuple[str, Path, dict[str, Any]]] = []
        self.port: int | None = None
        self._prepared = False

    def prepare(self) -> None:
        """Let the app add to it, before it starts for the first time."""
        if not self._prepared:
            self._prepared = True
            self.app.on_webserver_init(self)

    # -- what there is -------------------------------------------------------------------------

    def route(
        self,
        pattern: str,
        handler: Any,
        cors_options: CorsOptions | None = None,
        *,
        name: str = "",
    ) -> None:
        """Add a page; before the server starts.

        Raises:
            RuntimeError: it has started.
        """
        self._check_not_started(pattern)
        label = name or getattr(handler, "__name__", pattern)
        self.pages.append(Page(pattern, view_from(handler, path=pattern), label, cors_options))

    def add_static(self, prefix: str, path: Path | str, **options: Any) -> None:
        """Serve the files of a directory below ``prefix``; before the server starts.

        Arguments:
            options: As for the server's own router (``show_index``, ``append_version``, ...).

        Raises:
            RuntimeError: it has started.
            ImproperlyConfigured: there is no such directory.
        """
        self._check_not_started(prefix)
        if not Path(path).is_dir():
            raise ImproperlyConfigured(f"files below {prefix!r}: there is no directory '{path}'")
        self.statics.append((prefix, Path(path), options))

    def _check_not_started(self, path: str) -> None:
        if self.port is not None:
            raise RuntimeError(f"page {path!r} is added after the web server has started")

    def all_pages(self) -> Iterator[Page]:
        """Iterate over all pages, the user's first: they win over the built-in ones."""
        for spec in self.app.registry.pages:
            yield Page(spec.path, spec.view, spec.name, spec.cors_options)
        yield from self.pages
        from faust.web.apps import built_in_pages

        yield from built_in_pages(self.app)

    def make_view(self, page: Page) -> View:
        """Return the view of a page."""
        view = page.view(self.app, self)
        view.view_name = view.view_name or page.name
        view.view_path = page.path
        return view

    async def answer(self, view: View, request: Any) -> Any:
        """Let a view answer a request, and sensors know of it."""
        sensors = self.app.sensors
        state = sensors.on_web_request_start(self.app, request, view=view)
        response = None
        try:
            response = await view(request)
            return response
        finally:
            sensors.on_web_request_end(self.app, request, response, state, view=view)

    def url_for(self, view_name: str, **kwargs: Any) -> str:
        """Return the path of a view by its name, with its parameters filled in.

        Raises:
            KeyError: there is no such view, or a parameter is missing.
        """
        for page in self.all_pages():
            if view_name in (page.name, getattr(page.view, "view_name", "")):
                return PARAMETER.sub(lambda m: quote(str(kwargs[m[1]]), safe=""), page.path)
        raise KeyError(view_name)

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        from socket import gethostname

        conf = self.app.conf
        url = conf.canonical_url
        if conf.web_transport.scheme == "unix":
            return f"unix://{conf.web_transport.path}"
        if url.host == gethostname():
            bound = conf.web_bind
            host = "localhost" if bound in ("", "0.0.0.0", "::") else bound
            url = url.with_host(host)
        return str(url)

    # -- requests ------------------------------------------------------------------------------

    async def read_request_content(self, request: Request) -> Any:
        """Return the body of a request."""
        return await request.read()

    def response_to_bytes(self, response: Response) -> Any:
        """Return a whole response as bytes, to keep it somewhere."""
        return response.to_bytes()

    def bytes_to_response(self, s: Any) -> Response:
        """Return the response that `response_to_bytes` has made bytes of."""
        return Response.from_bytes(s)

    # -- responses -------------------------------------------------------------------------------

    def json(
        self,
        value: Any,
        *,
        content_type: str | None = None,
        status: int = 200,
        reason: str | None = None,
        headers: MutableMapping[str, str] | None = None,
    ) -> Response:
        """Return a JSON response."""
        return Response.of_json(
            value, content_type=content_type, status=status, reason=reason, headers=headers
        )

    def text(
        self,
        value: str,
        *,
        content_type: str | None = None,
        status: int = 200,
        reason: str | None = None,
        headers: MutableMapping[str, str] | None = None,
    ) -> Response:
        """Return a response of plain text."""
        return Response.of_text(
            value, content_type=content_type, status=status, reason=reason, headers=headers
        )

    def html(self, value: str, *, content_type: str | None = None, **options: Any) -> Response:
        """Return a response of HTML."""
        return self.text(value, content_type=content_type or "text/html", **options)

    def bytes(
        self,
        value: bytes,
        *,
        content_type: str | None = None,
        status: int = 200,
        reason: str | None = None,
        headers: MutableMapping[str, str] | None = None,
    ) -> Response:
        """Return a response of bytes."""
        return Response(
            value,
            content_type=content_type or "application/octet-stream",
            status=status,
            reason=reason,
            headers=headers,
        )
