"""Credentials as aiokafka's connections take them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from aiokafka.abc import AbstractTokenProvider

from faust.auth import (
    Credentials,
    GSSAPICredentials,
    OAuthCredentials,
    SASLCredentials,
    SASLMechanism,
)
from faust.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from faust.auth import TokenProvider

__all__ = ["connection_arguments"]


class _Tokens(AbstractTokenProvider):
    """aiokafka asks that token providers be of its own class; the user's need not be."""

    def __init__(self, provider: TokenProvider) -> None:
        self._provider = provider

    async def token(self) -> str:
        return await self._provider.token()


def connection_arguments(credentials: Credentials | None) -> dict[str, Any]:
    """Return the security arguments of an `aiokafka.conn.AIOKafkaConnection`.

    Raises:
        ImproperlyConfigured: name or password are missing, or the library for Kerberos is.
    """
    if credentials is None:
        return {}
    arguments: dict[str, Any] = {
        "security_protocol": credentials.protocol.value,
        "ssl_context": credentials.ssl_context,
    }
    if isinstance(credentials, SASLCredentials):
        arguments |= _password(credentials)
    elif isinstance(credentials, GSSAPICredentials):
        arguments |= _kerberos(credentials)
    elif isinstance(credentials, OAuthCredentials):
        arguments |= {
            "sasl_mechanism": SASLMechanism.OAUTHBEARER.value,
            "sasl_oauth_token_provider": _Tokens(credentials.oauth_cb),
        }
    return arguments


def _password(credentials: SASLCredentials) -> dict[str, Any]:
    if credentials.username is None or credentials.password is None:
        raise ImproperlyConfigured("SASLCredentials need a username and a password")
    return {
        "sasl_mechanism": credentials.mechanism.value,
        "sasl_plain_username": credentials.username,
        "sasl_plain_password": credentials.password,
    }


def _kerberos(credentials: GSSAPICredentials) -> dict[str, Any]:
    if find_spec("gssapi") is None:
        raise ImproperlyConfigured(
            "GSSAPICredentials need the `gssapi` package: pip install gssapi"
        )
    return {
        "sasl_mechanism": credentials.mechanism.value,
        "sasl_kerberos_service_name": credentials.kerberos_service_name,
        "sasl_kerberos_domain_name": credentials.kerberos_domain_name,
    }
