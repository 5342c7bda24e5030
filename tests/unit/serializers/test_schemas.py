"""Schemas: types and codecs in one object that can be shared and overridden."""

import asyncio

import pytest

from faust._values import Message
from faust.exceptions import KeyDecodeError, ValueDecodeError
from faust.models import Record
from faust.serializers import Registry, Schema


class Order(Record):
    account: str


class FakeApp:
    def __init__(self):
        self.serializers = Registry()

    def create_event(self, key, value, headers, message):
        return (key, value, headers, message.offset)


@pytest.fixture
def app():
    return FakeApp()


def message(key=b"k", value=b'{"account":"a"}'):
    return Message("t", 0, 7, 0.0, 0, [("h", b"1")], key, value)


def test_a_schema_reads_and_writes_with_its_types(app):
    schema = Schema(key_type=str, value_type=Order)
    assert schema.loads_key(app, message()) == "k"
    assert schema.loads_value(app, message()) == Order("a")
    assert schema.value_loader(app)(message().value) == Order("a")
    assert schema.key_loader(app)(b"k") == "k"
    assert schema.dumps_key(app, "k", headers=[]) == (b"k", [])
    payload, headers = schema.dumps_value(app, Order("a"), headers=[("x", b"")])
    assert payload == Order("a").dumps() == schema.value_dumper(app)(Order("a"))
    assert headers == [("x", b"")]
    assert schema.key_dumper(app)("k") == b"k"


def test_the_argument_wins_over_the_schema_serializer(app):
    schema = Schema(value_serializer="raw")
    assert schema.loads_value(app, message(value=b"1")) == b"1"
    assert schema.loads_value(app, message(value=b"1"), serializer="json") == 1


def test_deriving_leaves_a_shared_schema_alone(app):
    class Mine(Schema):
        pass

    shared = Mine(key_type=str)
    derived = shared.derive(value_type=Order, allow_empty=True)
    assert isinstance(derived, Mine)
    assert (derived.key_type, derived.value_type, derived.allow_empty) == (str, Order, True)
    assert (shared.value_type, shared.allow_empty) == (None, False)


def test_an_empty_value_is_an_error_unless_allowed(app):
    with pytest.raises(ValueDecodeError, match="empty"):
        Schema(value_type=Order).loads_value(app, message(value=None))
    assert Schema(value_type=Order, allow_empty=True).loads_value(app, message(value=None)) is None
    assert Schema().loads_value(app, message(value=None)) is None


def test_an_overridden_method_leaves_no_compiled_function_beside_it(app):
    class Mine(Schema):
        def loads_value(self, app, message, *, loads=None, serializer=None):
            return message.headers

        def on_dumps_key_prepare_headers(self, key, headers):
            headers.append(("key", b""))

    schema = Mine(value_type=Order)
    assert schema.value_loader(app) is None
    assert schema.key_dumper(app) is None
    assert schema.key_loader(app) is not None
    assert schema.value_dumper(app) is not None
    assert schema.loads_value(app, message()) == [("h", b"1")]
    assert schema.dumps_key(app, "k", headers=[]) == (b"k", [("key", b"")])


def test_a_compiled_schema_makes_events_and_reports_what_it_cannot_read(app):
    failed = []

    async def on_key(exc, message):
        failed.append(("key", exc, message))

    async def on_value(exc, message):
        failed.append(("value", exc, message))

    decode = Schema(key_type=int, value_type=Order).compile(
        app, on_key_decode_error=on_key, on_value_decode_error=on_value
    )

    async def run():
        assert await decode(message(b"3")) == (3, Order("a"), [("h", b"1")], 7)
        assert await decode(message(b"x")) is None
        assert await decode(message(b"3", b"x")) is None
        with pytest.raises(KeyDecodeError):
            await decode(message(b"x"), propagate=True)
        assert await Schema().decode(app, message()) == (b"k", {"account": "a"}, [("h", b"1")], 7)

    asyncio.run(run())
    assert [(what, type(exc)) for what, exc, _ in failed] == [
        ("key", KeyDecodeError),
        ("value", ValueDecodeError),
    ]


def test_repr_tells_both_types():
    shown = repr(Schema(key_type=str, value_type=Order, value_serializer="json"))
    assert shown == "<Schema: KT=str (None), VT=Order (json)>"
