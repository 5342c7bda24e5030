"""Where the broker's file is, and what its URL asks for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from yarl import URL

from faust.exceptions import ImproperlyConfigured
from faust.utils.urls import file_of_url

__all__ = ["DEFAULT_FILE", "Location"]

#: What ``sqlite://`` alone means, inside of the data directory.
DEFAULT_FILE = "broker.db"

_TRUE = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True, kw_only=True)
class Location:
    """A broker's file.

    Attributes:
        path: Absolute path of the database.
        full: Durable against power loss (``?durability=full``), not only against ``kill -9``.
        auto_create: A topic that is not there is created when somebody first sends to it.
    """

    path: str
    full: bool = False
    auto_create: bool = True

    @classmethod
    def from_url(cls, url: URL, base_directory: str) -> Location:
        """Read a ``sqlite://`` URL.

        Raises:
            ImproperlyConfigured: an option it does not know, or a value that is none.
        """
        options = dict(parse_qsl(url.raw_query_string, keep_blank_values=True))
        durability = options.pop("durability", "normal").lower()
        if durability not in ("normal", "full"):
            raise ImproperlyConfigured(
                f"{url}: durability is either 'normal' (kill -9) or 'full' (power loss)"
            )
        create = options.pop("auto_create", "1").lower()
        if create not in _TRUE:
            raise ImproperlyConfigured(f"{url}: auto_create is either 0 or 1, not {create!r}")
        if options:
            raise ImproperlyConfigured(
                f"{url}: sqlite:// knows the options durability and auto_create, "
                f"not {', '.join(sorted(options))}"
            )
        name = unquote(file_of_url(url)) or DEFAULT_FILE
        path = os.path.abspath(os.path.join(base_directory, os.path.expanduser(name)))
        return cls(path=path, full=durability == "full", auto_create=_TRUE[create])

    @property
    def companion(self) -> str:
        """The directory beside the file: the write lock and each process's wake-up pipe."""
        return f"{self.path}-peers"
