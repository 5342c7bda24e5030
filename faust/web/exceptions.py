"""What a view raises to answer with an error: each class is one HTTP status."""

from __future__ import annotations

from typing import Any

from faust.exceptions import FaustError

__all__ = [
    "AuthenticationFailed",
    "MethodNotAllowed",
    "NotAcceptable",
    "NotAuthenticated",
    "NotFound",
    "ParseError",
    "PermissionDenied",
    "ServerError",
    "ServiceUnavailable",
    "Throttled",
    "UnsupportedMediaType",
    "ValidationError",
    "WebError",
]


class WebError(FaustError):
    """Answers ``{"error": detail, **extra_context}`` with the status ``code``.

    Arguments:
        detail: What went wrong, in words for the caller.
        code: Another HTTP status than that of the class.
        extra_context: Further members of the JSON object.
    """

    code: int = 500
    detail: str = "Internal error"

    def __init__(
        self, detail: str | None = None, *, code: int | None = None, **extra_context: Any
    ) -> None:
        if detail is not None:
            self.detail = detail
        if code is not None:
            self.code = code
        self.extra_context = extra_context
        super().__init__(self.detail, self.code)

    def __str__(self) -> str:
        return self.detail


class ServerError(WebError):
    """500."""


class ValidationError(WebError):
    """400: what was given is not what is wanted."""

    code = 400
    detail = "Invalid input"


class ParseError(WebError):
    """400: what was given cannot be parsed."""

    code = 400
    detail = "Malformed request"


class NotAuthenticated(WebError):
    """401: who is it?"""

    code = 401
    detail = "Authentication credentials were not provided"


class AuthenticationFailed(WebError):
    """401: it is not who it says."""

    code = 401
    detail = "Incorrect authentication credentials"


class PermissionDenied(WebError):
    """403."""

    code = 403
    detail = "You do not have permission to do that"


class NotFound(WebError):
    """404."""

    code = 404
    detail = "Not found"


class MethodNotAllowed(WebError):
    """405."""

    code = 405
    detail = "Method not allowed"


class NotAcceptable(WebError):
    """406."""

    code = 406
    detail = "Not acceptable"


class UnsupportedMediaType(WebError):
    """415."""

    code = 415
    detail = "Unsupported media type in request"


class Throttled(WebError):
    """429."""

    code = 429
    detail = "Request was throttled"


class ServiceUnavailable(WebError):
    """503."""

    code = 503
    detail = "Service unavailable, try again later"
