"""Credentials as arguments of a connection."""

from __future__ import annotations

import asyncio
import ssl
from importlib.util import find_spec

import pytest
from aiokafka.abc import AbstractTokenProvider

from faust.auth import GSSAPICredentials, OAuthCredentials, SASLCredentials, SSLCredentials
from faust.exceptions import ImproperlyConfigured
from faust.transport.drivers.aiokafka.security import connection_arguments


def test_no_credentials_are_no_arguments() -> None:
    assert connection_arguments(None) == {}


def test_tls_takes_the_context() -> None:
    context = ssl.create_default_context()
    arguments = connection_arguments(SSLCredentials(context))
    assert arguments == {"security_protocol": "SSL", "ssl_context": context}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_password_takes_its_mechanism(mechanism: str) -> None:
    given = SASLCredentials(username="me", password="secret", mechanism=mechanism)
    assert connection_arguments(given) == {
        "security_protocol": "SASL_PLAINTEXT",
        "ssl_context": None,
        "sasl_mechanism": mechanism,
        "sasl_plain_username": "me",
        "sasl_plain_password": "secret",
    }
    context = ssl.create_default_context()
    given = SASLCredentials(username="me", password="secret", ssl_context=context)
    assert connection_arguments(given)["security_protocol"] == "SASL_SSL"


def test_a_missing_password_is_told_before_any_connection() -> None:
    with pytest.raises(ImproperlyConfigured, match="password"):
        connection_arguments(SASLCredentials(username="me"))


def test_a_token_provider_of_any_class_is_asked_for_its_token() -> None:
    class Mine:
        async def token(self) -> str:
            return "the token"

    arguments = connection_arguments(OAuthCredentials(oauth_cb=Mine()))
    provider = arguments["sasl_oauth_token_provider"]
    assert isinstance(provider, AbstractTokenProvider)
    assert asyncio.run(provider.token()) == "the token"
    assert arguments["sasl_mechanism"] == "OAUTHBEARER"


@pytest.mark.skipif(find_spec("gssapi") is not None, reason="gssapi is installed")
def test_kerberos_without_its_library_says_what_to_install() -> None:
    with pytest.raises(ImproperlyConfigured, match="pip install gssapi"):
        connection_arguments(GSSAPICredentials())
