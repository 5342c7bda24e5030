"""The web server of a worker: status, health, tables, and the app's own pages."""

from __future__ import annotations

from typing import Any

from faust.exceptions import ImproperlyConfigured
from faust.web.base import Web
from faust.web.cors import ResourceOptions
from faust.web.messages import Request, Response
from faust.web.views import View, gives_model, takes_model

__all__ = [
    "Request",
    "ResourceOptions",
    "Response",
    "View",
    "Web",
    "gives_model",
    "server_for",
    "takes_model",
]

#: Scheme of the ``web`` setting -> path of the driver's class.
DRIVERS = {"aiohttp": "faust.web.drivers.aiohttp:Web"}


def server_for(app: Any) -> Web:
    """Return the web server that the ``web`` setting names.

    Raises:
        ImproperlyConfigured: there is no such driver.
    """
    from faust._core.names import symbol_by_name

    scheme = app.conf.web.scheme
    path = DRIVERS.get(scheme, scheme if "." in scheme else "")
    if not path:
        raise ImproperlyConfigured(
            f"web: unknown driver {scheme!r} (there is aiohttp://, or the path of a class)"
        )
    try:
        made: Web = symbol_by_name(path)(app)
    except ImportError as exc:
        raise ImproperlyConfigured(f"web: driver {scheme!r} cannot be imported: {exc}") from exc
    return made
