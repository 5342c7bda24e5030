"""TLS and SASL, against a real broker with a listener for each."""

from __future__ import annotations

import logging
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from yarl import URL

from faust._values import TP
from faust.auth import Credentials, OAuthCredentials, SASLCredentials, SSLCredentials
from faust.exceptions import BrokerUnavailable, StopError
from faust.transport.base import ProducerOptions, ReaderOptions
from faust.transport.drivers.aiokafka.driver import KafkaTransport
from tests.kafka.driver_support import batch, new_topic, options, read_all, run
from tests.support.kafka_fixture import require_kafka
from tools.kafka import KafkaNode
from tools.kafka.jars import java, kafka_libs
from tools.kafka.node import Membership as Place
from tools.kafka.probe import free_ports

pytestmark = pytest.mark.kafka

USER, PASSWORD = "faust", "faust-secret"
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
_OAUTH = "org.apache.kafka.common.security.oauthbearer"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=150)


class SecureNode:
    """A node with a listener for each way of proving who one is."""

    def __init__(self, folder: Path) -> None:
        names = ("SASLPLAIN", "SASLSCRAM", "SASLSSL", "OAUTH", "TLS")
        inner, controller, *ports = free_ports(2 + len(names))
        self.ports = dict(zip(names, ports, strict=True))
        self.certificate = folder / "certificate.pem"
        self._make_certificate(folder)
        listeners = f"PLAINTEXT://127.0.0.1:{inner}," + ",".join(
            f"{name}://127.0.0.1:{port}" for name, port in self.ports.items()
        )
        self.node = KafkaNode(
            membership=Place(1, {1: controller}, inner),
            extra_properties={
                "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}",
                "advertised.listeners": listeners,
                "inter.broker.listener.name": "PLAINTEXT",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
                "SASLPLAIN:SASL_PLAINTEXT,SASLSCRAM:SASL_PLAINTEXT,SASLSSL:SASL_SSL,"
                "OAUTH:SASL_PLAINTEXT,TLS:SSL",
                "ssl.keystore.location": str(folder / "keystore.p12"),
                "ssl.keystore.password": PASSWORD,
                "ssl.keystore.type": "PKCS12",
                **self._sasl("saslplain", "PLAIN", f'{_PLAIN} required user_{USER}="{PASSWORD}";'),
                **self._sasl("saslssl", "PLAIN", f'{_PLAIN} required user_{USER}="{PASSWORD}";'),
                **self._sasl("saslscram", "SCRAM-SHA-256", f"{_SCRAM} required;"),
                **self._sasl(
                    "oauth",
                    "OAUTHBEARER",
                    f"{_OAUTH}.OAuthBearerLoginModule required "
                    'unsecuredLoginStringClaim_sub="broker";',
                ),
                "listener.name.oauth.oauthbearer.sasl.server.callback.handler.class": f"{_OAUTH}"
                ".internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler",
                "listener.name.oauth.oauthbearer.sasl.login.callback.handler.class": f"{_OAUTH}"
                ".internals.unsecured.OAuthBearerUnsecuredLoginCallbackHandler",
            },
        )

    @staticmethod
    def _sasl(listener: str, mechanism: str, jaas: str) -> dict[str, str]:
        prefix = f"listener.name.{listener}"
        return {
            f"{prefix}.sasl.enabled.mechanisms": mechanism,
            f"{prefix}.{mechanism.lower()}.sasl.jaas.config": jaas,
        }

    def _make_certificate(self, folder: Path) -> None:
        key = str(folder / "key.pem")
        _run(
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", key, "-out", str(self.certificate)),
        )
        _run(
            *("openssl", "pkcs12", "-export", "-in", str(self.certificate), "-inkey", key),
            *("-out", str(folder / "keystore.p12"), "-passout", f"pass:{PASSWORD}"),
        )

    def add_scram_user(self) -> None:
        """Give our user a SCRAM password, with Kafka's own tool."""
        _run(
            *(java(), "-cp", f"{kafka_libs()}/*", "kafka.admin.ConfigCommand"),
            *("--bootstrap-server", self.node.bootstrap, "--alter", "--entity-type", "users"),
            *("--entity-name", USER, "--add-config", f"SCRAM-SHA-256=[password={PASSWORD}]"),
        )

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureNode]:
    require_kafka()
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    setup = SecureNode(tmp_path_factory.mktemp("tls"))
    with setup.node:
        setup.add_scram_user()
        yield setup


class Tokens:
    """Tokens that nobody has signed, as Kafka's listener for tests takes them."""

    async def token(self) -> str:
        import base64
        import json
        import time

        now = int(time.time())
        parts = ({"alg": "none"}, {"sub": USER, "iat": now, "exp": now + 3600})
        encoded = (base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts)
        return b".".join(encoded).decode() + "."


def password(secret: str = PASSWORD, **more: object) -> SASLCredentials:
    return SASLCredentials(username=USER, password=secret, **more)  # type: ignore[arg-type]


async def talk(port: int, credentials: Credentials | None, **more: float) -> None:
    """Write and read a record."""
    urls = [URL(f"kafka://127.0.0.1:{port}")]
    transport = KafkaTransport(urls, options(credentials=credentials, **more))
    try:
        await transport.open()
        tp = TP(await new_topic(transport), 0)
        producer, reader = transport.producer(ProducerOptions()), transport.reader(ReaderOptions())
        await producer.produce(tp, batch("hello"))
        reader.assign({tp: 0})
        assert await read_all(reader, 1) == ["hello"]
        await producer.close()
        await reader.close()
    finally:
        await transport.close()


def test_tls_is_spoken_to_a_broker_whose_certificate_is_trusted(secure: SecureNode) -> None:
    run(talk(secure.ports["TLS"], SSLCredentials(secure.context())))
    run(talk(secure.ports["TLS"], SSLCredentials(cafile=str(secure.certificate))))


def test_a_certificate_that_is_not_trusted_stops_the_app(secure: SecureNode) -> None:
    with pytest.raises(StopError, match="certificate"):
        run(talk(secure.ports["TLS"], SSLCredentials()))


def test_a_password_is_taken_plain_over_tls_and_by_challenge(
    secure: SecureNode, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        run(talk(secure.ports["SASLPLAIN"], password()))
        run(talk(secure.ports["SASLSSL"], password(ssl_context=secure.context())))
        run(talk(secure.ports["SASLSCRAM"], password(mechanism="SCRAM-SHA-256")))
    clear = [r for r in caplog.records if "in the clear" in r.getMessage()]
    assert len(clear) == 1  # once for a transport, not once for each of its connections


def test_a_token_is_asked_for_and_taken(secure: SecureNode) -> None:
    run(talk(secure.ports["OAUTH"], OAuthCredentials(oauth_cb=Tokens())))


@pytest.mark.parametrize(
    ("listener", "mechanism"), [("SASLPLAIN", "PLAIN"), ("SASLSCRAM", "SCRAM-SHA-256")]
)
def test_a_wrong_password_stops_the_app(secure: SecureNode, listener: str, mechanism: str) -> None:
    with pytest.raises(StopError, match="refused"):
        run(talk(secure.ports[listener], password("wrong", mechanism=mechanism)))


def test_a_mechanism_that_the_broker_does_not_know_stops_the_app(secure: SecureNode) -> None:
    with pytest.raises(StopError, match="UnsupportedSaslMechanism"):
        run(talk(secure.ports["SASLPLAIN"], password(mechanism="SCRAM-SHA-512")))


def test_speaking_plainly_to_a_tls_listener_is_no_broker_there(secure: SecureNode) -> None:
    with pytest.raises(BrokerUnavailable):
        run(talk(secure.ports["TLS"], None, request_timeout=2.0))
