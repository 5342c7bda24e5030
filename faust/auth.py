"""How to authenticate to a broker: values only, no client of any broker is imported here.

The secrets in these objects are never part of their ``repr``.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from faust.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from ssl import Purpose, SSLContext

__all__ = [
    "AuthProtocol",
    "Credentials",
    "GSSAPICredentials",
    "OAuthCredentials",
    "SASLCredentials",
    "SASLMechanism",
    "SSLCredentials",
    "TokenProvider",
    "to_credentials",
]


class AuthProtocol(Enum):
    """What a connection is made of (Kafka's ``security.protocol``)."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"


class SASLMechanism(Enum):
    """How SASL proves who we are (Kafka's ``sasl.mechanism``)."""

    PLAIN = "PLAIN"
    GSSAPI = "GSSAPI"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"
    OAUTHBEARER = "OAUTHBEARER"


class TokenProvider(Protocol):
    """What `OAuthCredentials` asks for tokens."""

    async def token(self) -> str:
        """Return a token that is valid now."""
        ...


class Credentials:
    """Base of all credentials.

    Attributes:
        protocol: What the connection is made of.
        ssl_context: The TLS context, if the connection has TLS.
    """

    protocol: AuthProtocol
    ssl_context: SSLContext | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.protocol.value}>"


class _SASL(Credentials):
    """Credentials for SASL; a TLS context turns SASL_PLAINTEXT into SASL_SSL."""

    default_mechanism: ClassVar[SASLMechanism] = SASLMechanism.PLAIN

    def __init__(
        self, ssl_context: SSLContext | None, mechanism: str | SASLMechanism | None = None
    ) -> None:
        self.ssl_context = ssl_context
        self.protocol = AuthProtocol.SASL_SSL if ssl_context else AuthProtocol.SASL_PLAINTEXT
        self.mechanism = _mechanism(mechanism) or self.default_mechanism

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.protocol.value} {self.mechanism.value}>"


class SASLCredentials(_SASL):
    """A user's name and password.

    Arguments:
        username: The name.
        password: The password; never shown.
        ssl_context: TLS for the connection; without it the password of ``PLAIN`` travels in clear.
        mechanism: ``PLAIN`` (default), ``SCRAM-SHA-256`` or ``SCRAM-SHA-512``.

    Raises:
        ImproperlyConfigured: the mechanism is unknown.
    """

    def __init__(
        self,
        *,
        username: str | None = None,
        password: str | None = None,
        ssl_context: SSLContext | None = None,
        mechanism: str | SASLMechanism | None = None,
    ) -> None:
        super().__init__(ssl_context, mechanism)
        self.username = username
        self.password = password

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {self.protocol.value} {self.mechanism.value} "
            f"username={self.username!r}>"
        )


class GSSAPICredentials(_SASL):
    """Kerberos.

    Arguments:
        kerberos_service_name: Service part of the broker's principal.
        kerberos_domain_name: Host part of it; the broker's host name by default.
        ssl_context: TLS for the connection.
        mechanism: ``GSSAPI`` unless given.

    Raises:
        ImproperlyConfigured: the mechanism is unknown.
    """

    default_mechanism = SASLMechanism.GSSAPI

    def __init__(
        self,
        *,
        kerberos_service_name: str = "kafka",
        kerberos_domain_name: str | None = None,
        ssl_context: SSLContext | None = None,
        mechanism: str | SASLMechanism | None = None,
    ) -> None:
        super().__init__(ssl_context, mechanism)
        self.kerberos_service_name = kerberos_service_name
        self.kerberos_domain_name = kerberos_domain_name


class OAuthCredentials(_SASL):
    """Tokens from a provider of yours.

    Arguments:
        oauth_cb: An object with ``async def token(self) -> str``, asked at every connection.
        ssl_context: TLS for the connection.

    Raises:
        ImproperlyConfigured: ``oauth_cb`` has no such method.
    """

    default_mechanism = SASLMechanism.OAUTHBEARER

    def __init__(self, *, oauth_cb: TokenProvider, ssl_context: SSLContext | None = None) -> None:
        if not callable(getattr(oauth_cb, "token", None)):
            raise ImproperlyConfigured(
                f"oauth_cb must have a method `async def token(self) -> str`; "
                f"{type(oauth_cb).__name__} has none"
            )
        super().__init__(ssl_context)
        self.oauth_cb = oauth_cb


class SSLCredentials(Credentials):
    """TLS, with or without a client certificate.

    Arguments:
        context: A ready context; without it one is made from the rest, which then verifies the
            broker's certificate and host name.
        purpose: What the made context is for; `ssl.Purpose.SERVER_AUTH` by default.
        cafile: File with the certificates to trust; the system's without any of these three.
        capath: Directory with the certificates to trust.
        cadata: The certificates to trust themselves, PEM text.

    Raises:
        OSError: a file cannot be read.
    """

    protocol = AuthProtocol.SSL

    def __init__(
        self,
        context: SSLContext | None = None,
        *,
        purpose: Purpose | None = None,
        cafile: str | None = None,
        capath: str | None = None,
        cadata: str | None = None,
    ) -> None:
        if context is None:
            import ssl

            context = ssl.create_default_context(
                purpose or ssl.Purpose.SERVER_AUTH, cafile=cafile, capath=capath, cadata=cadata
            )
        self.context = context
        self.ssl_context = context


def to_credentials(value: Any) -> Credentials | None:
    """Return ``value`` as credentials: credentials, a TLS context, or nothing.

    Raises:
        TypeError: it is none of these.  The message does not show it: it may be a secret.
    """
    if value is None or isinstance(value, Credentials):
        return value
    from ssl import SSLContext

    if isinstance(value, SSLContext):
        return SSLCredentials(value)
    raise TypeError(f"neither credentials nor an ssl.SSLContext, but a {type(value).__name__}")


def _mechanism(value: str | SASLMechanism | None) -> SASLMechanism | None:
    if value is None or isinstance(value, SASLMechanism):
        return value
    try:
        return SASLMechanism(value.upper())
    except (ValueError, AttributeError):
        known = ", ".join(m.value for m in SASLMechanism)
        raise ImproperlyConfigured(f"SASL mechanism {value!r} is none of {known}") from None
