"""Credentials: protocols, mechanisms, and nothing secret shown."""

import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from faust.auth import (
    AuthProtocol,
    GSSAPICredentials,
    OAuthCredentials,
    SASLCredentials,
    SASLMechanism,
    SSLCredentials,
    to_credentials,
)
from faust.exceptions import ImproperlyConfigured

CONTEXT = ssl.create_default_context()


class Tokens:
    async def token(self) -> str:
        return "t0ken"


@pytest.mark.parametrize(
    ("credentials", "protocol", "mechanism"),
    [
        (SASLCredentials(), "SASL_PLAINTEXT", "PLAIN"),
        (SASLCredentials(ssl_context=CONTEXT), "SASL_SSL", "PLAIN"),
        (SASLCredentials(mechanism="SCRAM-SHA-256"), "SASL_PLAINTEXT", "SCRAM-SHA-256"),
        (SASLCredentials(mechanism="scram-sha-512"), "SASL_PLAINTEXT", "SCRAM-SHA-512"),
        (GSSAPICredentials(), "SASL_PLAINTEXT", "GSSAPI"),
        (GSSAPICredentials(ssl_context=CONTEXT), "SASL_SSL", "GSSAPI"),
        (OAuthCredentials(oauth_cb=Tokens()), "SASL_PLAINTEXT", "OAUTHBEARER"),
        (OAuthCredentials(oauth_cb=Tokens(), ssl_context=CONTEXT), "SASL_SSL", "OAUTHBEARER"),
    ],
)
def test_a_tls_context_decides_the_protocol(
    credentials: Any, protocol: str, mechanism: str
) -> None:
    assert credentials.protocol is AuthProtocol(protocol)
    assert credentials.mechanism is SASLMechanism(mechanism)


def test_a_password_is_never_shown() -> None:
    credentials = SASLCredentials(username="me", password="s3cret")
    assert "s3cret" not in repr(credentials)
    assert "me" in repr(credentials)
    assert credentials.password == "s3cret"
    assert "t0ken" not in repr(OAuthCredentials(oauth_cb=Tokens()))


def test_kerberos_names_are_kept() -> None:
    credentials = GSSAPICredentials(kerberos_domain_name="d")
    assert credentials.kerberos_service_name == "kafka"
    assert credentials.kerberos_domain_name == "d"


def test_tls_needs_no_purpose(tmp_path: Path) -> None:
    credentials = SSLCredentials()
    assert credentials.protocol is AuthProtocol.SSL
    assert credentials.context.verify_mode is ssl.CERT_REQUIRED
    assert credentials.context.check_hostname
    with pytest.raises(OSError, match="No such file"):
        SSLCredentials(cafile=str(tmp_path / "missing.pem"))


def test_tls_takes_a_ready_context() -> None:
    credentials = SSLCredentials(CONTEXT)
    assert credentials.context is credentials.ssl_context is CONTEXT


@pytest.mark.parametrize("mechanism", ["MD5", "", 3])
def test_an_unknown_mechanism_is_refused_with_those_there_are(mechanism: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="SCRAM-SHA-512"):
        SASLCredentials(mechanism=mechanism)


@pytest.mark.parametrize("provider", [None, object(), "token"])
def test_a_provider_without_a_token_method_is_refused(provider: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="async def token"):
        OAuthCredentials(oauth_cb=provider)


def test_a_context_becomes_credentials_and_a_text_does_not() -> None:
    made = to_credentials(CONTEXT)
    assert isinstance(made, SSLCredentials)
    assert to_credentials(made) is made
    assert to_credentials(None) is None
    with pytest.raises(TypeError) as caught:
        to_credentials("s3cret")
    assert "s3cret" not in str(caught.value)


def test_no_client_of_a_broker_is_imported() -> None:
    code = "import sys, faust.auth; print([m for m in ('aiokafka', 'ssl') if m in sys.modules])"
    root = str(Path(__file__).parents[2])
    out = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": root},
    )
    assert out.stdout.strip() == "[]"
