"""URLs of brokers and stores: several hosts in one text, class paths as schemes, file names.

`yarl` is imported where a URL is built, not before: it costs more than all of our settings.
Three things that a general URL parser does not do, and users need:

- a scheme may be the path of a class (``mypkg.drivers.MyTransport://host``), whose case and
  underscores must survive;
- ``sqlite://Relative.db`` is a file name, whose case must survive although it stands where a
  host stands;
- ``kafka://a;b:9093,c`` is three hosts, and gives the scheme once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeGuard, cast

if TYPE_CHECKING:
    from yarl import URL

__all__ = [
    "Address",
    "URLText",
    "broker_addresses",
    "broker_urls",
    "file_of_url",
    "parse_address",
    "show_url",
    "to_url",
]

#: One URL, as a user may give it.
URLText: TypeAlias = "str | URL"

#: Schemes of Apache Kafka: a missing host is localhost, a missing port `KAFKA_PORT`.
KAFKA_SCHEMES = frozenset({"kafka", "aiokafka"})
KAFKA_PORT = 9092

#: Schemes that name one place, so that ``;`` and ``,`` belong to its name.
SINGLE_SCHEMES = frozenset({"sqlite", "memory"})


class Address(NamedTuple):
    """A URL taken apart, with its case kept."""

    scheme: str
    authority: str = ""
    path: str = ""
    query: str = ""

    def __str__(self) -> str:
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{self.authority}{self.path}{query}"


def parse_address(value: URLText) -> Address:
    """Take one URL apart.

    Raises:
        TypeError: ``value`` is neither text nor a URL.
        ValueError: the text has no scheme.
    """
    if not isinstance(value, str):
        return _from_url(value)
    scheme, rest = _split_scheme(value.strip())
    if not scheme:
        raise ValueError(f"no scheme in {value!r}: it should begin with a name and ://")
    before, _, query = rest.partition("?")
    authority, slash, path = before.partition("/")
    return Address(scheme, authority, slash + path, query)


def to_url(address: Address) -> URL:
    """Build the `yarl.URL` of an address; scheme and authority keep their case."""
    from yarl import URL

    return URL.build(
        scheme=address.scheme,
        authority=address.authority,
        path=address.path,
        query_string=address.query,
        encoded=True,
    )


def show_url(url: URL) -> str:
    """Return the URL as a person writes it: ``memory://``, and ``***`` where a password stands."""
    address = _from_url(url)
    credentials, at, host = address.authority.rpartition("@")
    user, colon, _ = credentials.partition(":")
    hidden = f"{user}{colon}{'***' if colon else ''}{at}{host}"
    return str(address._replace(authority=hidden))


def file_of_url(url: URL) -> str:
    """Return the file name in ``scheme:///absolute`` or ``scheme://relative``; ``""`` for none."""
    address = _from_url(url)
    return address.authority + address.path


def broker_urls(value: URLText | Iterable[URLText], *, default_scheme: str = "kafka") -> list[URL]:
    """Return the URLs of all hosts in ``value``; see `broker_addresses`."""
    return [to_url(a) for a in broker_addresses(value, default_scheme=default_scheme)]


def broker_addresses(
    value: URLText | Iterable[URLText], *, default_scheme: str = "kafka"
) -> list[Address]:
    """Return the addresses of all hosts in ``value``.

    ``value`` is a URL, a text with several hosts separated by ``;`` or ``,``, or an iterable of
    these.  The first scheme found holds for the hosts that have none.  Kafka's host is
    ``localhost`` and its port 9092 unless given.

    Raises:
        TypeError: something in it is neither text nor a URL.
        ValueError: it names no host, two different schemes, or an impossible port.
    """
    parts = list(_parts(value))
    if not parts:
        raise ValueError("no broker is named")
    scheme = next((p.scheme for p in parts if p.scheme), default_scheme)
    addresses = [_complete(p._replace(scheme=p.scheme or scheme)) for p in parts]
    _check_one_driver(addresses)
    return addresses


def _parts(value: URLText | Iterable[URLText]) -> Iterable[Address]:
    if isinstance(value, str):
        for text in _split_hosts(value):
            yield _parse_host(text)
    elif _is_list(value):
        for item in value:
            yield from _parts(item)
    else:
        yield _from_url(cast("URL", value))


def _is_list(value: URL | Iterable[URLText]) -> TypeGuard[Iterable[URLText]]:
    return isinstance(value, Iterable) and not isinstance(value, bytes)


def _split_hosts(text: str) -> list[str]:
    if _split_scheme(text.strip())[0] in SINGLE_SCHEMES:
        return [text.strip()]
    hosts = [host.strip() for host in text.replace(",", ";").split(";")]
    return [host for host in hosts if host]


def _parse_host(text: str) -> Address:
    """Like `parse_address`, but the scheme may be missing (it is ``""`` then)."""
    if "://" in text:
        return parse_address(text)
    authority, slash, path = text.partition("/")
    return Address("", authority, slash + path)


def _split_scheme(text: str) -> tuple[str, str]:
    scheme, separator, rest = text.partition("://")
    return (scheme, rest) if separator else ("", text)


def _from_url(url: URL) -> Address:
    if not hasattr(url, "raw_authority"):
        raise TypeError(f"not a URL: {url!r}")
    # yarl says "/" for the empty path of a URL that has a host.
    path = "" if url.raw_authority and url.raw_path == "/" else url.raw_path
    return Address(url.scheme, url.raw_authority, path, url.raw_query_string)


def _complete(address: Address) -> Address:
    if address.scheme not in KAFKA_SCHEMES:
        return address
    credentials, at, host = address.authority.rpartition("@")
    name, port = _split_port(host)
    return Address(address.scheme, f"{credentials}{at}{name or 'localhost'}:{port or KAFKA_PORT}")


def _split_port(host: str) -> tuple[str, int]:
    """Split ``name:port`` (``[::1]:port`` too); the port is 0 where none is given."""
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        return host, 0
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"the port of {host!r} is not a number from 1 to 65535")
    return name, int(port)


def _check_one_driver(addresses: list[Address]) -> None:
    drivers = {"kafka" if a.scheme in KAFKA_SCHEMES else a.scheme for a in addresses}
    if len(drivers) > 1:
        raise ValueError(f"one broker cannot have two schemes: {', '.join(sorted(drivers))}")
    if addresses[0].scheme in SINGLE_SCHEMES and len(addresses) > 1:
        raise ValueError(f"{addresses[0].scheme}:// takes one URL, not {len(addresses)}")
