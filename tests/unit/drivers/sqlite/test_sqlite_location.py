from __future__ import annotations

import os

import pytest

from faust.exceptions import ImproperlyConfigured
from faust.transport.drivers.sqlite.location import Location
from faust.utils.urls import broker_urls


def locate(url: str, base: str = "/data") -> Location:
    return Location.from_url(broker_urls(url)[0], base)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///abs/Broker.db", "/abs/Broker.db"),
        ("sqlite://Relative.db", "/data/Relative.db"),
        ("sqlite://sub/Relative.db", "/data/sub/Relative.db"),
        ("sqlite://", "/data/broker.db"),
        ("sqlite://my%20broker.db", "/data/my broker.db"),
        ("sqlite:///abs/b.db?durability=full", "/abs/b.db"),
    ],
)
def test_the_url_names_the_file(url: str, path: str) -> None:
    assert locate(url).path == path


def test_a_relative_base_directory_is_relative_to_where_we_are() -> None:
    assert locate("sqlite://x.db", "data").path == os.path.abspath("data/x.db")


def test_options_are_read_from_the_url() -> None:
    found = locate("sqlite://?durability=full&auto_create=0")
    assert (found.full, found.auto_create) == (True, False)
    assert (locate("sqlite://").full, locate("sqlite://").auto_create) == (False, True)


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("sqlite://?durability=great", "durability"),
        ("sqlite://?auto_create=maybe", "auto_create"),
        ("sqlite://?durabilty=full", "durabilty"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(url: str, hint: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=hint):
        locate(url)
