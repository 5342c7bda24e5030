"""Views: classes with a method for each HTTP method, or functions that become such classes."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from functools import wraps
from inspect import Parameter, isawaitable, signature
from typing import TYPE_CHECKING, Any, ClassVar

from faust.web import exceptions
from faust.web.messages import Request, Response

if TYPE_CHECKING:
    from yarl import URL

__all__ = ["View", "gives_model", "takes_model", "view_from"]

logger = logging.getLogger(__name__)

METHODS = ("head", "get", "post", "put", "patch", "delete", "options", "search")


class View:
    """Answers the requests for one path.

    Define ``async def get(self, request, **path_parameters)``, ``post``, and so on.  Return a
    response (`json`, `text`, `html`, `bytes`), or ``None`` (204), text, or anything that JSON has.
    Raise a `WebError` to answer with an error.

    Arguments:
        app: The app.
        web: The web server.
    """

    ServerError: ClassVar = exceptions.ServerError
    ValidationError: ClassVar = exceptions.ValidationError
    ParseError: ClassVar = exceptions.ParseError
    NotAuthenticated: ClassVar = exceptions.NotAuthenticated
    PermissionDenied: ClassVar = exceptions.PermissionDenied
    NotFound: ClassVar = exceptions.NotFound

    view_name: str = ""
    view_path: str = ""
    #: Answered on the server's own thread, also while the app's loop is blocked.  Such a view must
    #: not touch what belongs to the app's loop.
    in_server: ClassVar[bool] = False

    def __init__(self, app: Any, web: Any) -> None:
        self.app = app
        self.web = web
        methods: dict[str, Callable[..., Any]] = {m: getattr(self, m) for m in METHODS}
        self.methods = methods
        self.__post_init__()

    def __post_init__(self) -> None:
        """Override to set up what the view needs."""

    @classmethod
    def from_handler(cls, fun: Callable[..., Any]) -> type[View]:
        """Return a view class for a function that answers GET and HEAD."""
        handle = as_handler(fun)

        async def get(self: View, request: Request, **params: Any) -> Any:
            return await handle(self, request, **params)

        body = {
            "get": get,
            "head": get,
            "__doc__": getattr(fun, "__doc__", None),
            "__module__": getattr(fun, "__module__", cls.__module__),
        }
        return type(getattr(fun, "__name__", "view"), (cls,), body)

    # -- answering ---------------------------------------------------------------------------

    async def __call__(self, request: Request) -> Any:
        """Answer a request; every exception becomes a response."""
        try:
            return Response.from_result(await self.dispatch(request))
        except exceptions.WebError as exc:
            return await self.on_request_error(request, exc)
        except Exception:
            logger.exception(
                "View %s failed at %s %s", self.view_name, request.method, request.path
            )
            return self.error(500, "Internal server error")

    async def dispatch(self, request: Request) -> Any:
        """Call the method for the request's HTTP method."""
        name = request.method.lower()
        if name not in self.get_methods():
            allowed = ", ".join(sorted(m.upper() for m in self.get_methods()))
            raise exceptions.MethodNotAllowed(f"{request.method} is not allowed; use {allowed}")
        return await self.methods[name](request, **request.match_info)

    def get_methods(self) -> set[str]:
        """Return the HTTP methods that this view answers, in lower case."""
        found = {m for m in METHODS if getattr(type(self), m) is not getattr(View, m)}
        return found | {"head"} if "get" in found else found

    async def on_request_error(self, request: Request, exc: exceptions.WebError) -> Response:
        """Answer a request for which a `WebError` was raised; override for another form."""
        return self.error(exc.code, exc.detail, **exc.extra_context)

    async def head(self, *args: Any, **kwargs: Any) -> Any:
        """Answer HEAD: as GET; the server leaves the body out."""
        return await self.methods["get"](*args, **kwargs)

    async def get(self, *args: Any, **kwargs: Any) -> Any:
        """Answer GET."""
        raise exceptions.MethodNotAllowed

    async def post(self, *args: Any, **kwargs: Any) -> Any:
        """Answer POST."""
        raise exceptions.MethodNotAllowed

    async def put(self, *args: Any, **kwargs: Any) -> Any:
        """Answer PUT."""
        raise exceptions.MethodNotAllowed

    async def patch(self, *args: Any, **kwargs: Any) -> Any:
        """Answer PATCH."""
        raise exceptions.MethodNotAllowed

    async def delete(self, *args: Any, **kwargs: Any) -> Any:
        """Answer DELETE."""
        raise exceptions.MethodNotAllowed

    async def options(self, *args: Any, **kwargs: Any) -> Any:
        """Answer OPTIONS."""
        raise exceptions.MethodNotAllowed

    async def search(self, *args: Any, **kwargs: Any) -> Any:
        """Answer SEARCH."""
        raise exceptions.MethodNotAllowed

    # -- responses -----------------------------------------------------------------------------

    def json(self, value: Any, **options: Any) -> Response:
        """Return a JSON response (``content_type``, ``status``, ``reason``, ``headers``)."""
        made: Response = self.web.json(value, **options)
        return made

    def text(self, value: str, **options: Any) -> Response:
        """Return a response of plain text."""
        made: Response = self.web.text(value, **options)
        return made

    def html(self, value: str, **options: Any) -> Response:
        """Return a response of HTML."""
        made: Response = self.web.html(value, **options)
        return made

    def bytes(self, value: Any, **options: Any) -> Response:
        """Return a response of bytes."""
        made: Response = self.web.bytes(value, **options)
        return made

    def error(
        self,
        status: int,
        reason: str,
        headers: MutableMapping[str, str] | None = None,
        **kwargs: Any,
    ) -> Response:
        """Return an error response: ``{"error": reason, **kwargs}``."""
        return self.json({"error": reason, **kwargs}, status=status, headers=headers)

    def notfound(self, reason: str = "Not Found", **kwargs: Any) -> Response:
        """Return a 404 response."""
        return self.error(404, reason, **kwargs)

    def route(self, pattern: str, handler: Callable[..., Any]) -> Any:
        """Add a page to the server, before it starts."""
        self.web.route(pattern, handler)
        return handler

    def path_for(self, view_name: str, **kwargs: Any) -> str:
        """Return the path of a view by its name."""
        return str(self.web.url_for(view_name, **kwargs))

    def url_for(self, view_name: str, _base_url: str | URL | None = None, **kwargs: Any) -> URL:
        """Return the URL of a view by its name."""
        from yarl import URL

        base = str(_base_url or self.app.conf.canonical_url).rstrip("/")
        return URL(base + self.path_for(view_name, **kwargs))

    async def read_request_content(self, request: Request) -> Any:
        """Return the body of a request."""
        return await self.web.read_request_content(request)

    def response_to_bytes(self, response: Response) -> Any:
        """Return a whole response as bytes, to keep it somewhere."""
        return self.web.response_to_bytes(response)

    def bytes_to_response(self, s: Any) -> Response:
        """Return the response that `response_to_bytes` has made bytes of."""
        made: Response = self.web.bytes_to_response(s)
        return made


Handler = Callable[..., Awaitable[Any]]


def view_from(fun: Any, *, base: type[View] | None = None, path: str = "") -> type[View]:
    """Return a view class for what ``@app.page`` decorates.

    Raises:
        TypeError: it is a class, but no `View`; or it cannot be called with the parameters of the
            path.
    """
    if isinstance(fun, type):
        if not issubclass(fun, View):
            raise TypeError(f"a page is a function or a subclass of faust.web.View, not {fun!r}")
        for name in METHODS:
            if name in vars(fun):
                _check_parameters(vars(fun)[name], path, 2)
        return fun
    _check_parameters(fun, path, 2 if _wants_view(fun) else 1)
    return (base or View).from_handler(fun)


#: A parameter of a path: its name, and a pattern that is not looked at here.
PARAMETER = re.compile(r"\{(\w+)(?::[^{}]*)?\}")


def _check_parameters(fun: Any, path: str, before: int) -> None:
    """A handler that its path does not fit would fail at every request."""
    if not path:
        return
    names = PARAMETER.findall(path)
    try:
        # What wraps a function may add arguments of its own: it is asked itself.
        taken = signature(fun, follow_wrapped=False)
    except (TypeError, ValueError):
        return
    try:
        taken.bind(*[None] * before, **dict.fromkeys(names))
    except TypeError as exc:
        given = ", ".join(["request", *names])
        raise TypeError(
            f"page {path!r} calls {getattr(fun, '__qualname__', fun)}({given}): {exc}"
        ) from None


def as_handler(fun: Callable[..., Any]) -> Handler:
    """Return a handler ``(view, request, ...)`` for a function that may leave out the view."""
    wants_view = _wants_view(fun)

    async def handle(view: View, request: Request, *args: Any, **params: Any) -> Any:
        head = (view, request) if wants_view else (request,)
        result = fun(*head, *args, **params)
        return await result if isawaitable(result) else result

    return handle


def _wants_view(fun: Callable[..., Any]) -> bool:
    """``(request)`` and ``(request, name)`` do not; ``(view, request)``, ``(self, request)`` do."""
    params = list(signature(fun).parameters.values())
    given = [p for p in params if p.kind in (Parameter.POSITIONAL_ONLY, _EITHER)]
    if any(p.kind is Parameter.VAR_POSITIONAL for p in params) and not given:
        return True
    return len(given) > 1 and given[0].name != "request"


_EITHER = Parameter.POSITIONAL_OR_KEYWORD


def takes_model(Model: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorate a handler: the JSON body becomes a model, given after the request.

    A body that is no such model is answered with 400.
    """

    def decorate(fun: Callable[..., Any]) -> Any:
        handle = as_handler(fun)

        @wraps(fun)
        async def handler(view: View, request: Request, *args: Any, **params: Any) -> Any:
            try:
                obj = Model.loads(await request.read(), serializer="json")
            except (ValueError, TypeError, KeyError) as exc:
                raise exceptions.ValidationError(f"the body is no {Model.__name__}: {exc}") from exc
            return await handle(view, request, obj, *args, **params)

        del handler.__wrapped__  # its signature is what counts from here on
        return handler

    return decorate


def gives_model(Model: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorate a handler: the model that it returns is the JSON answer."""

    def decorate(fun: Callable[..., Any]) -> Any:
        handle = as_handler(fun)

        @wraps(fun)
        async def handler(view: View, request: Request, *args: Any, **params: Any) -> Any:
            result = await handle(view, request, *args, **params)
            return result if isinstance(result, Response) else view.json(result)

        del handler.__wrapped__
        return handler

    return decorate
