"""URLs of brokers: several hosts, schemes once or each, names that keep their case."""

from typing import Any

import pytest
from yarl import URL

from faust.utils.urls import broker_urls, file_of_url, parse_address, show_url, to_url


@pytest.mark.parametrize(
    ("given", "urls"),
    [
        ("kafka://", ["kafka://localhost:9092"]),
        ("kafka://h", ["kafka://h:9092"]),
        ("aiokafka://h:1;i:2", ["aiokafka://h:1", "aiokafka://i:2"]),
        ("kafka://h:1;kafka://i:2", ["kafka://h:1", "kafka://i:2"]),
        ("kafka://h:1, i ,", ["kafka://h:1", "kafka://i:9092"]),
        ("h;i:2", ["kafka://h:9092", "kafka://i:2"]),
        ("localhost:9092", ["kafka://localhost:9092"]),
        ("a;aiokafka://b", ["aiokafka://a:9092", "aiokafka://b:9092"]),
        (["kafka://h:1", "i:2"], ["kafka://h:1", "kafka://i:2"]),
        (["kafka://h:1;i:2", URL("kafka://j:3")], ["kafka://h:1", "kafka://i:2", "kafka://j:3"]),
        (URL("kafka://"), ["kafka://localhost:9092"]),
        (URL("kafka://h:1"), ["kafka://h:1"]),
        ("kafka://[::1]", ["kafka://[::1]:9092"]),
        ("kafka://[::1]:7", ["kafka://[::1]:7"]),
        ("kafka://my_host", ["kafka://my_host:9092"]),
        ("kafka://h/", ["kafka://h:9092"]),
        ("memory://", ["memory://"]),
        ("sqlite://", ["sqlite://"]),
        ("sqlite:///Abs/a;b,c.db", ["sqlite:///Abs/a;b,c.db"]),
        (URL("sqlite:///Abs/x.db"), ["sqlite:///Abs/x.db"]),
        ("my_pkg.drivers.MyTransport://Host:9", ["my_pkg.drivers.MyTransport://Host:9"]),
        (
            "my_pkg.drivers.MyTransport://a;b",
            ["my_pkg.drivers.MyTransport://a"] * 1 + ["my_pkg.drivers.MyTransport://b"],
        ),
    ],
)
def test_broker_urls(given: Any, urls: list[str]) -> None:
    assert [show_url(url) for url in broker_urls(given)] == urls


def test_broker_urls_have_hosts_and_ports() -> None:
    [url] = broker_urls("kafka://h")
    assert (url.scheme, url.host, url.port) == ("kafka", "h", 9092)
    assert url == URL("kafka://h:9092")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "no broker"),
        ([], "no broker"),
        (";,", "no broker"),
        ("kafka://h:x", "port of 'h:x'"),
        ("kafka://h:0", "port of 'h:0'"),
        ("kafka://h:65536", "port"),
        ("kafka://a;sqlite://b", "two schemes"),
        (["sqlite://a", "sqlite://b"], "takes one URL"),
    ],
)
def test_what_cannot_be_a_broker_is_an_error(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        broker_urls(given)


@pytest.mark.parametrize("given", [3, None, b"kafka://", [3]])
def test_what_is_no_url_is_an_error(given: Any) -> None:
    with pytest.raises(TypeError, match="not a URL"):
        broker_urls(given)


def test_kafka_and_aiokafka_are_one_driver() -> None:
    assert len(broker_urls("kafka://a;aiokafka://b")) == 2


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("sqlite:///Abs/Path.db", "/Abs/Path.db"),
        ("sqlite://Relative.db", "Relative.db"),
        ("sqlite://Dir/Relative.db", "Dir/Relative.db"),
        ("sqlite://", ""),
    ],
)
def test_file_names_keep_their_case(text: str, file: str) -> None:
    [url] = broker_urls(text)
    assert file_of_url(url) == file


def test_a_url_with_a_query_survives() -> None:
    assert str(to_url(parse_address("redis://h:1/0?ssl=true"))) == "redis://h:1/0?ssl=true"


def test_a_text_without_a_scheme_is_no_url() -> None:
    with pytest.raises(ValueError, match="no scheme"):
        parse_address("rocksdb")


def test_a_password_is_not_shown() -> None:
    assert show_url(URL("redis://me:s3cret@h:1")) == "redis://me:***@h:1"
    assert show_url(URL("memory://")) == "memory://"
