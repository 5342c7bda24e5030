"""Which other sites' pages may use a page of ours (CORS)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, TypeAlias

from faust.exceptions import ImproperlyConfigured

__all__ = ["CorsOptions", "ResourceOptions", "allowed", "options_from", "preflight"]


class ResourceOptions(NamedTuple):
    """What pages of one origin may do.

    Attributes:
        allow_credentials: Whether they may send cookies.
        expose_headers: Response headers that they may read; ``"*"`` for all.
        allow_headers: Request headers that they may send; ``"*"`` for all.
        max_age: Seconds for which a browser may remember the answer to its question.
        allow_methods: HTTP methods that they may use; ``"*"`` or nothing for all that there are.
    """

    allow_credentials: bool = False
    expose_headers: Collection[str] | str = ()
    allow_headers: Collection[str] | str = ()
    max_age: int | None = None
    allow_methods: Collection[str] | str | None = None


CorsOptions: TypeAlias = Mapping[str, ResourceOptions]


def options_from(setting: Mapping[str, Any] | None) -> CorsOptions | None:
    """Return the setting ``web_cors_options`` as options; ``None`` where it is not set.

    Raises:
        ImproperlyConfigured: what it says of an origin are no options.
    """
    if not setting:
        return None
    found: dict[str, ResourceOptions] = {}
    for origin, given in setting.items():
        try:
            found[origin] = given if isinstance(given, ResourceOptions) else _made_of(given)
        except TypeError as exc:
            fields = ", ".join(ResourceOptions._fields)
            raise ImproperlyConfigured(
                f"setting 'web_cors_options' must have ResourceOptions for {origin!r}, or a "
                f"mapping with some of {fields}, but has {given!r}"
            ) from exc
    return found


def _made_of(given: Any) -> ResourceOptions:
    if isinstance(given, Mapping):
        return ResourceOptions(**given)
    fields = ResourceOptions._fields
    if not all(hasattr(given, field) for field in fields):
        raise TypeError
    return ResourceOptions(*(getattr(given, field) for field in fields))


def allowed(options: CorsOptions | None, origin: str | None) -> dict[str, str]:
    """Return the headers that let a page of ``origin`` read the answer; none if it may not."""
    found = _find(options, origin)
    if found is None or origin is None:
        return {}
    headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    if found.allow_credentials:
        headers["Access-Control-Allow-Credentials"] = "true"
    if found.expose_headers:
        headers["Access-Control-Expose-Headers"] = _listed(found.expose_headers)
    return headers


def preflight(
    options: CorsOptions | None, origin: str | None, methods: Collection[str], wanted: str
) -> dict[str, str]:
    """Return the headers that answer a browser's question before the request itself.

    Arguments:
        methods: The methods that the view answers.
        wanted: The headers that the browser wants to send (``Access-Control-Request-Headers``).
    """
    found = _find(options, origin)
    if found is None:
        return {}
    headers = allowed(options, origin)
    given = found.allow_methods
    every = given is None or given == "*"
    headers["Access-Control-Allow-Methods"] = _listed(methods if every else given or ())
    if found.allow_headers:
        everything = found.allow_headers == "*"
        headers["Access-Control-Allow-Headers"] = (
            wanted if everything else _listed(found.allow_headers)
        )
    if found.max_age is not None:
        headers["Access-Control-Max-Age"] = str(found.max_age)
    return headers


def _find(options: CorsOptions | None, origin: str | None) -> ResourceOptions | None:
    if not options or origin is None:
        return None
    return options.get(origin) or options.get("*")


def _listed(names: Collection[str] | str) -> str:
    return names if isinstance(names, str) else ", ".join(sorted(n for n in names))
