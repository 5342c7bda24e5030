"""Requests and responses, the same whichever server carries them.

A request is complete when a view gets it: its body has been read on the server's own loop, so that
a view may run on another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from faust.utils import json as _json
from faust.web.exceptions import ParseError, ValidationError

__all__ = ["MissingParameter", "Request", "Response", "Values"]


class MissingParameter(ValidationError, KeyError):
    """A parameter that a view needs was not given: 400, unless the view handles the `KeyError`."""

    def __init__(self, name: str, where: str) -> None:
        super().__init__(f"missing parameter {name!r} in the {where}", parameter=name)
        self.name = name


class Values(Mapping[str, Any]):
    """Names with one or several values each, in order: a query string, or a form.

    Arguments:
        pairs: Names and values.
        where: What it is, for messages.
    """

    def __init__(self, pairs: Iterable[tuple[str, Any]], where: str) -> None:
        self._where = where
        self._values: dict[str, list[Any]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> Any:
        """Return the first value of a name.

        Raises:
            MissingParameter: it was not given.
        """
        values = self._values.get(name)
        if not values:
            raise MissingParameter(name, self._where)
        return values[0]

    def getall(self, name: str, default: Any = None) -> list[Any]:
        """Return all values of a name."""
        values = self._values.get(name)
        if values is not None:
            return list(values)
        if default is None:
            raise MissingParameter(name, self._where)
        return list(default)

    getone = __getitem__

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<Values: {self._values!r}>"


class Request:
    """What somebody asks of a view.

    Attributes:
        method: ``GET``, ``POST``, and so on.
        url: The whole URL.
        path: Its path.
        headers: Headers; names in any case.
        query: Parameters of the query string; reading one that is missing answers 400.
        match_info: Parameters from the path.
        user: For your own use.

    Whatever else the server's own request has (cookies, the peer's address) is there, too.
    """

    def __init__(
        self,
        *,
        method: str,
        url: Any,
        headers: Mapping[str, str],
        body: bytes,
        match_info: Mapping[str, str],
        form: Iterable[tuple[str, Any]] | None = None,
        carrier: Any = None,
    ) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.match_info = dict(match_info)
        self.user: Any = None
        self._body = body
        self._form = form
        self._carrier = carrier
        self.path: str = url.path
        self.query_string: str = url.query_string
        self.query = Values(url.query.items(), "query string")

    def __getattr__(self, name: str) -> Any:
        carrier = self.__dict__.get("_carrier")
        if carrier is None or name.startswith("__"):
            raise AttributeError(f"a request has no attribute {name!r}")
        return getattr(carrier, name)

    @property
    def rel_url(self) -> Any:
        """The URL without scheme and host."""
        return self.url.relative()

    @property
    def body_exists(self) -> bool:
        """Does it have a body?"""
        return bool(self._body) or self._form is not None

    async def read(self) -> bytes:
        """Return the body."""
        return self._body

    async def text(self) -> str:
        """Return the body as text (UTF-8).

        Raises:
            ParseError: it is no UTF-8.
        """
        try:
            return self._body.decode()
        except UnicodeDecodeError as exc:
            raise ParseError(f"the body is not UTF-8: {exc}") from exc

    async def json(self) -> Any:
        """Return the body, decoded from JSON.

        Raises:
            ParseError: it is no JSON.
        """
        try:
            return _json.loads(self._body)
        except ValueError as exc:
            raise ParseError(f"the body is not JSON: {exc}") from exc

    async def post(self) -> Values:
        """Return the fields of a form."""
        pairs = self._form
        if pairs is None:
            pairs = parse_qsl(await self.text(), keep_blank_values=True)
        return Values(pairs, "form")

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"


class Response:
    """What a view answers.

    Attributes:
        status: HTTP status.
        body: The bytes.
        content_type: Media type, without parameters.
        charset: Character set that the media type names; ``None`` for bytes.
        headers: Further headers.
    """

    def __init__(
        self,
        body: bytes | None = b"",
        *,
        status: int = 200,
        reason: str | None = None,
        content_type: str | None = "text/plain",
        charset: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.body = body or b""
        self.status = status
        self.reason = reason
        self.content_type = content_type
        self.charset = charset
        self.headers: MutableMapping[str, str] = dict(headers or {})

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(self.charset or "utf-8")

    @property
    def content_length(self) -> int:
        """Bytes in the body."""
        return len(self.body)

    @classmethod
    def of_json(cls, value: Any, **options: Any) -> Response:
        """Return a response with an object as JSON."""
        options["content_type"] = options.get("content_type") or "application/json"
        return cls(_json.dumps(value), charset="utf-8", **options)

    @classmethod
    def of_text(cls, value: str, **options: Any) -> Response:
        """Return a response with text."""
        options["content_type"] = options.get("content_type") or "text/plain"
        return cls(value.encode(), charset="utf-8", **options)

    def to_bytes(self) -> bytes:
        """Return all of it as bytes: a line of JSON, then the body."""
        head = {
            "status": self.status,
            "reason": self.reason,
            "content_type": self.content_type,
            "charset": self.charset,
            "headers": dict(self.headers),
        }
        return _json.dumps(head) + b"\n" + self.body

    @classmethod
    def from_bytes(cls, data: bytes) -> Response:
        """Return the response that `to_bytes` has made ``data`` of."""
        head, _, body = data.partition(b"\n")
        return cls(body, **_json.loads(head))

    @classmethod
    def from_result(cls, value: Any) -> Any:
        """Return what a view returned as a response: ``None`` is 204, text text, the rest JSON."""
        if value is None:
            return cls(status=204, content_type=None)
        if isinstance(value, str):
            return cls.of_text(value)
        if isinstance(value, bytes | bytearray):
            return cls(bytes(value), content_type="application/octet-stream")
        if isinstance(value, cls) or hasattr(value, "status"):
            return value
        return cls.of_json(value)

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.content_type} {len(self.body)} bytes>"
