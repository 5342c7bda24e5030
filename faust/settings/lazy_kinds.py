"""Kinds of values that are checked when given and made when first read: URLs, classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from faust._core.names import symbol_by_name
from faust.settings.params import Kind
from faust.utils.urls import Address, URLText, broker_addresses, parse_address, to_url

if TYPE_CHECKING:
    from ssl import SSLContext

    from yarl import URL

    from faust._values.policies import DecodePolicy, Policy
    from faust.auth import Credentials

__all__ = [
    "BrokerURLs",
    "ClassPath",
    "CredentialsKind",
    "DecodePolicyKind",
    "Discover",
    "DiscoverValue",
    "PolicyKind",
    "URLKind",
]

#: Which packages to scan: yes or no, their names, or a function that gives their names.
DiscoverValue: TypeAlias = bool | Iterable[str] | Callable[[], Iterable[str]]

# What is given and what is read, for classes that need not be imported to define a setting.
_URL: TypeAlias = "URL"
_URLs: TypeAlias = "list[URL]"
_GivenURLs: TypeAlias = "URLText | Iterable[URLText]"
_ClassOrPath: TypeAlias = str | Callable[..., Any]
_Credentials: TypeAlias = "Credentials | None"
_Policy: TypeAlias = "Policy"
_DecodePolicy: TypeAlias = "DecodePolicy"
_GivenCredentials: TypeAlias = "Credentials | SSLContext | None"


class URLKind(Kind[URLText, _URL]):
    """A URL, read as `yarl.URL`."""

    annotation = "str | URL"
    lazy = True
    tells = True

    def __init__(self, example: str) -> None:
        self.expects = f"a URL such as {example!r}"

    def convert(self, value: Any) -> Address:
        return parse_address(value)

    def finish(self, conf: Any, value: Address) -> URL:
        return to_url(value)


class BrokerURLs(Kind[_GivenURLs, _URLs]):
    """The URLs of a broker's hosts, read as a list of `yarl.URL`."""

    annotation = "str | URL | Iterable[str | URL]"
    expects = (
        "a URL such as 'kafka://host:9092', several hosts separated by ';' or ',', "
        "or a list of these"
    )
    lazy = True
    tells = True

    def convert(self, value: Any) -> list[Address]:
        return broker_addresses(value)

    def finish(self, conf: Any, value: list[Address]) -> list[URL]:
        return [to_url(address) for address in value]


class ClassPath(Kind[_ClassOrPath, Any]):
    """A class (or another callable), or the path of one, imported at the first read."""

    annotation = "str | Callable[..., Any]"
    expects = "a class, or the path of one such as 'package.module:Class'"
    lazy = True

    def convert(self, value: Any) -> Any:
        if not isinstance(value, str) and not callable(value):
            raise TypeError
        if value == "":
            raise ValueError
        return value

    def finish(self, conf: Any, value: Any) -> Any:
        return symbol_by_name(value)


class CredentialsKind(Kind[_GivenCredentials, _Credentials]):
    """Credentials of `faust.auth`, or a TLS context to make some of; never shown in messages."""

    annotation = "Credentials | SSLContext"
    expects = "credentials of faust.auth, or an ssl.SSLContext"
    secret = True

    def convert(self, value: Any) -> Credentials | None:
        from faust.auth import to_credentials

        return to_credentials(value)


class Discover(Kind[DiscoverValue, DiscoverValue]):
    """Which packages to scan: yes or no, a list of names, or a function that returns one."""

    annotation = "bool | Iterable[str] | Callable[[], Iterable[str]]"
    expects = "True, False, a list of package names, or a function that returns one"

    def convert(self, value: Any) -> DiscoverValue:
        if isinstance(value, bool):
            return value
        if callable(value):
            return cast("Callable[[], Iterable[str]]", value)
        if isinstance(value, str | bytes) or not isinstance(value, Iterable):
            raise TypeError
        names = list(value)
        if not all(isinstance(name, str) for name in names):
            raise TypeError
        return names


class PolicyKind(Kind[_Policy, _Policy]):
    """What is to happen to events that fail: a word, or `faust.DeadLetter`, `faust.Retry`."""

    annotation = "Policy"
    expects = "one of crash, skip, dead_letter, faust.DeadLetter(...) or faust.Retry(...)"
    tells = True

    def convert(self, value: Any) -> Policy:
        from faust._values.policies import as_policy

        return as_policy(value)


class DecodePolicyKind(Kind[_DecodePolicy, _DecodePolicy]):
    """What is to happen to what cannot be decoded: a word, or `faust.DeadLetter`."""

    annotation = "DecodePolicy"
    expects = "one of crash, skip, dead_letter or faust.DeadLetter(...)"
    tells = True

    def convert(self, value: Any) -> DecodePolicy:
        from faust._values.policies import as_decode_policy

        return as_decode_policy(value)
